"""The three experiments: what is done to a page, which config repairs it, and who else can."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .corrupted import Corrupted, masked, noisy, shrunk
from .rivals import DENOISERS, ENLARGERS, INPAINTERS, Rival


@dataclass(frozen=True)
class Task:
    """One shipped config's."""

    config: str
    title: str
    corrupt: Callable[[np.ndarray, float, int], Corrupted]
    levels: tuple[float, ...]
    """What `corrupt` is asked for; the rivals' settings are chosen for each."""
    shown: float
    """The level of the pictures."""
    level_name: str
    input_name: str
    rivals: tuple[Rival, ...]


TASKS = (
    Task("pages", "Gaussian noise", noisy, (0.1, 0.2, 0.3), 0.2, "noise {:g}", "noisy input", DENOISERS),
    Task("pages-x2", "super-resolution x2", shrunk, (2.0,), 2.0, "x{:g}", "bicubic (the input)", ENLARGERS),
    Task("pages-inpaint", "inpainting", masked, (0.15,), 0.15, "{:.0%} missing", "input with holes", INPAINTERS),
)
