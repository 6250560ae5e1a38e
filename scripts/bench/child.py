"""A contestant's process, as the parent sees it: a line goes in, a line of JSON comes out.

    train STEPS | predict PASSES | limit MILLISECONDS | quit

The first line comes unasked, when the child has warmed up.
"""

import json
import os
import select
import subprocess
from collections import deque
from pathlib import Path
from typing import Any

PATIENCE = 600
"""Seconds for one answer; torch.compile takes a minute on a busy machine."""


class Unavailable(Exception):
    """This contestant cannot do it here; its text is the reason."""


class Child:
    """Blocked in reading its input while the others have their turns."""

    def __init__(self, command: list[str], environment: dict[str, str], log: Path) -> None:
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "w") as errors:
            try:
                self.process = subprocess.Popen(
                    command, env=os.environ | environment, text=True, bufsize=1,
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                )
            except OSError as error:
                raise Unavailable(str(error)) from None

    def ask(self, request: str) -> dict[str, Any]:
        try:
            self.process.stdin.write(request + "\n")
        except OSError:
            raise Unavailable(last_line(self.log)) from None
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """The next line; never more than one is on its way, so nothing hides in Python's buffer."""
        if not select.select([self.process.stdout], [], [], PATIENCE)[0]:
            raise Unavailable(f"it gave no answer in {PATIENCE} s")
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            raise Unavailable(last_line(self.log))
        return json.loads(line)

    def stop(self) -> None:
        try:
            self.process.stdin.write("quit\n")
            self.process.stdin.close()
            self.process.wait(timeout=10)
        except (OSError, ValueError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()


def last_line(log: Path) -> str:
    """The sentence that a traceback or a message of convae's ends in."""
    lines = deque((line.strip() for line in log.open(errors="replace") if line.strip()), 1)
    return lines[0] if lines else "it ended without a word"
