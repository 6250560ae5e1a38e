"""A page as the contestants get it, and what they may know about it.

The corruptions are those of the shipped configs, made anew here: contestants that are no part of
convae must get theirs from someone else. What a file would hold is rounded as files are.
"""

from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from .pictures import WHITE, rounded

ENLARGEMENT = 2
BOX_SIDES = (3, 10)
"""Least and greatest side of a missing box, in pixels."""


@dataclass(frozen=True)
class Corrupted:
    """The clean page is there to judge by, not to be looked at."""

    clean: np.ndarray
    picture: np.ndarray
    level: float = 0.0
    """Standard deviation of the noise, before it was clipped."""
    mask: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), dtype=bool))
    """True where a pixel is missing."""
    small: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    """What there is to enlarge."""

    def enlarged(self, kernel: str) -> np.ndarray:
        return enlarged(self.small, kernel)


def noisy(clean: np.ndarray, level: float, seed: int) -> Corrupted:
    """Gaussian noise, clipped to 0..1."""
    noise = np.random.default_rng(seed).standard_normal(clean.shape)
    return Corrupted(clean, rounded(clean + level * noise), level=level)


def shrunk(clean: np.ndarray, _level: float, _seed: int) -> Corrupted:
    """Means of 2x2 pixels, then bicubic back to the size; an odd last row or column is left out."""
    height, width = (side // ENLARGEMENT for side in clean.shape)
    clean = clean[:height * ENLARGEMENT, :width * ENLARGEMENT]
    small = rounded(clean.reshape(height, ENLARGEMENT, width, ENLARGEMENT).mean(axis=(1, 3)))
    return Corrupted(clean, rounded(enlarged(small, "BICUBIC")), small=small)


def enlarged(small: np.ndarray, kernel: str) -> np.ndarray:
    height, width = small.shape
    picture = Image.fromarray((small * WHITE).astype(np.float32))
    size = (width * ENLARGEMENT, height * ENLARGEMENT)
    return np.asarray(picture.resize(size, getattr(Image.Resampling, kernel)), dtype=np.float64) / WHITE


def masked(clean: np.ndarray, share: float, seed: int) -> Corrupted:
    """Black boxes at random places until this share of the page is missing."""
    random, mask = np.random.default_rng(seed), np.zeros(clean.shape, dtype=bool)
    while mask.mean() < share:
        height, width = random.integers(*BOX_SIDES, size=2, endpoint=True)
        top, left = (random.integers(side - box + 1) for side, box in zip(clean.shape, (height, width)))
        mask[top:top + height, left:left + width] = True
    return Corrupted(clean, rounded(np.where(mask, 0, clean)), mask=mask)
