"""The contestants of one cell: all alive, one at work at a time, over and over.

Each round gives everyone a turn, so that a machine that slows down slows all of them down.
"""

import sys
from collections.abc import Callable
from typing import Any

from .child import Child, Unavailable

Sample = Callable[[str, Child], Any]
"""A turn of a contestant of that key."""


class Stage:
    """As a context it ends its children, come what may."""

    def __init__(self, name: str, starters: dict[str, Callable[[], Child]]) -> None:
        self.name, self.starters = name, starters
        self.children: dict[str, Child] = {}
        self.reasons: dict[str, str] = {}
        self.first: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> "Stage":
        """All start at once: imports and compilers fill the cores, and nothing is measured yet."""
        say(f"{self.name}: {', '.join(self.starters)} start and warm up")
        try:
            for key, start in self.starters.items():
                self._attempt(key, lambda: self.children.__setitem__(key, start()))
            for key, child in list(self.children.items()):
                self.first[key] = self._attempt(key, child.answer)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: Any) -> None:
        for child in self.children.values():
            child.stop()

    def rounds(
        self, what: str, count: int, sample: Sample, idle: frozenset[str] = frozenset()
    ) -> dict[str, list[Any]]:
        """What each turn gave, of all that are not `idle`; the order rotates, so that nobody always follows the same
        other."""
        samples: dict[str, list[Any]] = {key: [] for key in self.children if key not in idle}
        for number in range(count):
            say(f"{self.name}: {what}, round {number + 1} of {count}")
            keys = [key for key in self.children if key not in idle]
            for key in keys[number % max(1, len(keys)):] + keys[: number % max(1, len(keys))]:
                value = self._attempt(key, lambda: sample(key, self.children[key]))
                if value is not None:
                    samples[key].append(value)
        return {key: values for key, values in samples.items() if key in self.children}

    def _attempt(self, key: str, act: Callable[[], Any]) -> Any:
        """Whoever fails is out of this cell, with the reason; the others go on."""
        try:
            return act()
        except Unavailable as reason:
            say(f"{self.name}: {key} is not available: {reason}")
            self.reasons[key] = str(reason)
            if key in self.children:
                self.children.pop(key).stop()
            return None


def say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)
