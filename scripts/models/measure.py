"""PSNR of a model beside the noisy images and non-local means, at four strengths of the noise."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from parity.failure import Failure
from photos.contestants import Rival, denoised, non_local_means
from photos.protocol import Noisy, Photos, psnr
from photos.table import Row

from .pictures import TRAIN

SIGMAS = (5, 15, 25, 50)
"""Standard deviations of the noise, of 255."""
STRENGTHS = (0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
"""Of non-local means, as multiples of the noise's."""
CHOOSING, SIDE = 8, 160
"""Training images on which the strength is chosen, and pixels a side of their middle that are looked at."""
NLM = "non-local means (scikit-image), told sigma"


@dataclass(frozen=True)
class Contest:
    """One model and what it is measured with."""

    weights: Path
    binary: Path
    training: Photos
    """On which the rival's strength is chosen."""

    def rows(self, photos: Photos, out: Path) -> list[Row]:
        """One for each strength and contestant; noisy and cleaned images go to `out`."""
        if not self.weights.exists():
            raise Failure(f"{self.weights} is not there; train it first, without --measure-only")
        rows = []
        for sigma in SIGMAS:
            noisy = Noisy(photos, sigma, 0, out / f"sigma{sigma}")
            rows += [noisy.row(), self.rival(noisy).compete(noisy)]
            outputs, seconds = denoised(noisy, self.binary, self.weights, noisy.out / "cleaned")
            rows.append(Row(sigma, self.weights.name, "photographs", noisy.psnr(outputs), None, seconds))
        return rows

    def rival(self, noisy: Noisy) -> Rival:
        """Non-local means with the strength that is best on training images."""
        files = spread(self.training.files(TRAIN), CHOOSING)
        clean = [middle(self.training.read(file)) for file in files]
        random = np.random.default_rng(noisy.seed)
        seen = [image + noisy.level * random.standard_normal(image.shape) for image in clean]

        def quality(strength: float) -> float:
            cleaned = [non_local_means(image, noisy.level, strength) for image in seen]
            return float(np.mean([psnr(image, truth) for image, truth in zip(cleaned, clean, strict=True)]))

        best = max(STRENGTHS, key=quality)
        return Rival(NLM, lambda image, level: non_local_means(image, level, best))


def spread(files: list[Path], count: int) -> list[Path]:
    """So many of the files, or all where there are fewer, at even distances."""
    return files[:: max(1, len(files) // count)][:count]


def middle(image: np.ndarray) -> np.ndarray:
    """At most SIDE pixels of both sides."""
    top, left = (max(0, side - SIDE) // 2 for side in image.shape[:2])
    return image[top:top + SIDE, left:left + SIDE]
