"""What a case is, how far two arrays are apart, and what a row of the result says."""

import dataclasses
import zlib
from collections.abc import Callable

import numpy as np

# Where a value cancels to nothing, like the gradient of a softmax over one channel, rounding is all
# there is of it; no norm counts as less than this share of the norm of what went in.
CANCELLED = 1e-3


@dataclasses.dataclass
class Case:
    """One question to convae and how to judge its answer."""

    row: str  # the comparison that it belongs to
    index: int  # the same row, index and seed give the same case
    request: dict  # as tests/parity/ reads it, without the id
    given: dict[str, np.ndarray]
    # The answer's arrays by name, or its JSON, to errors by name.
    judge: Callable[[dict], dict[str, float]]
    bar: float
    # Keras's answer as arrays by name, where it is one.
    wanted: Callable[[], dict[str, np.ndarray]] | None = None

    @property
    def id(self):
        return f"{self.row} #{self.index}".replace("/", "|")


def generator(seed, row, index):
    """Random numbers of a case, the same whichever other cases are drawn."""
    return np.random.default_rng([seed, zlib.crc32(row.encode()), index])


def distance(ours, reference, scale=0.0):
    """Norm of the difference, relative to the norm of the reference. `scale` is the norm of what
    went in. Infinite for another shape; what is not finite in either gives NaN, which is a miss."""
    ours, reference = np.asarray(ours), np.asarray(reference)
    if ours.shape != reference.shape:
        return np.inf
    difference = np.linalg.norm((ours - reference).ravel())
    if difference == 0.0:
        return 0.0
    norm = max(np.linalg.norm(reference.ravel()), CANCELLED * scale)
    return float(difference / norm) if norm else np.inf


@dataclasses.dataclass
class Row:
    """All cases of one comparison."""

    comparison: str
    bar: float
    seed: int
    cases: int = 0
    measured: float = 0.0
    detail: str = ""  # the first miss, or else the worst case

    def add(self, case, errors):
        """Takes in the errors of a case by name."""
        errors = {name: np.inf if np.isnan(error) else error for name, error in errors.items()}
        name, worst = max(errors.items(), key=lambda error: error[1])
        self.cases += 1
        if self.ok and worst >= self.measured:
            self.detail = f"{name} is {worst:.3g} off in case {case.index} of seed {self.seed}: " \
                          f"{describe(case)}"
        self.measured = max(self.measured, worst)

    @property
    def ok(self):
        return self.measured <= self.bar

    def json(self):
        keys = ["comparison", "cases", "measured", "bar", "ok", "detail"]
        return {key: getattr(self, key) for key in keys}


def describe(case):
    """The case in one line."""
    shapes = {name: list(array.shape) for name, array in case.given.items()}
    return f"{case.request} {shapes}"
