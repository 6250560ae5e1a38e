"""What people use today, each with its settings chosen on training pictures under the same corruption.

A rival takes a corrupted picture, what is known about it (the level of the noise, the mask) and one
setting; it gives a picture. Everyone gets the corruption's true parameters, which a model does not.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from scipy.special import erf

from .corrupted import Corrupted

Settings = dict[str, Any]


@dataclass(frozen=True)
class Rival:
    """Its settings are tried in all combinations."""

    name: str
    run: Callable[..., np.ndarray]
    choices: dict[str, tuple]

    def settings(self) -> list[Settings]:
        return [dict(zip(self.choices, values)) for values in product(*self.choices.values())]

    def __call__(self, corrupted: Corrupted, settings: Settings) -> np.ndarray:
        return self.run(corrupted, **settings)


def non_local_means(seen: Corrupted, strength: float, patch: int, reach: int, unclip: bool) -> np.ndarray:
    from skimage.restoration import denoise_nl_means

    cleaned = denoise_nl_means(
        seen.picture, patch_size=patch, patch_distance=reach, h=strength * seen.level, sigma=seen.level, fast_mode=True
    )
    return undo_clipping(cleaned, seen.level) if unclip else cleaned


def total_variation(seen: Corrupted, weight: float, unclip: bool) -> np.ndarray:
    from skimage.restoration import denoise_tv_chambolle

    cleaned = denoise_tv_chambolle(seen.picture, weight=weight * seen.level, eps=1e-5, max_num_iter=500)
    return undo_clipping(cleaned, seen.level) if unclip else cleaned


def bm3d(seen: Corrupted, strength: float, unclip: bool) -> np.ndarray:
    from bm3d import bm3d as run

    cleaned = run(seen.picture, sigma_psd=strength * seen.level)
    return undo_clipping(cleaned, seen.level) if unclip else cleaned


def undo_clipping(picture: np.ndarray, level: float) -> np.ndarray:
    """Noise that is clipped to 0..1 darkens paper and lightens ink; these methods assume it does not.

    The mean of clip(v + noise) is known for each v, so that a cleaned value is taken back to its v.
    """
    values = np.linspace(0, 1, 1001)
    return np.interp(picture, clipped_mean(values, level), values)


def clipped_mean(values: np.ndarray, level: float) -> np.ndarray:
    """Of clip(v + level * n, 0, 1) for standard normal n."""
    low, high = -values / level, (1 - values) / level
    return values * (below(high) - below(low)) + level * (density(low) - density(high)) + 1 - below(high)


def below(x: np.ndarray) -> np.ndarray:
    return (1 + erf(x / np.sqrt(2))) / 2


def density(x: np.ndarray) -> np.ndarray:
    return np.exp(-x * x / 2) / np.sqrt(2 * np.pi)


def sharpened(seen: Corrupted, radius: float, amount: float) -> np.ndarray:
    from skimage.filters import unsharp_mask

    return unsharp_mask(seen.picture, radius=radius, amount=amount)


def lanczos(seen: Corrupted) -> np.ndarray:
    return seen.enlarged("LANCZOS")


def opencv(seen: Corrupted, method: str, radius: int) -> np.ndarray:
    import cv2

    picture, mask = np.rint(seen.picture * 255).astype(np.uint8), seen.mask.astype(np.uint8)
    return cv2.inpaint(picture, mask, radius, getattr(cv2, method)) / 255.0


def biharmonic(seen: Corrupted) -> np.ndarray:
    from skimage.restoration import inpaint_biharmonic

    return inpaint_biharmonic(seen.picture, seen.mask)


DENOISERS = (
    Rival("total variation", total_variation, {"weight": (0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.3), "unclip": (False, True)}),
    Rival("non-local means", non_local_means, {
        "strength": (0.25, 0.35, 0.45, 0.6, 0.8), "patch": (3, 5, 7), "reach": (3, 6, 10), "unclip": (False, True),
    }),
    Rival("BM3D", bm3d, {"strength": (0.7, 0.8, 0.9, 1.0), "unclip": (False, True)}),
)
ENLARGERS = (
    Rival("Lanczos", lanczos, {}),
    Rival("bicubic, sharpened", sharpened, {"radius": (0.7, 1.0, 1.5, 2.0), "amount": (0.3, 0.6, 1.0, 1.5)}),
)
INPAINTERS = (
    Rival("OpenCV, Telea", opencv, {"method": ("INPAINT_TELEA",), "radius": (1, 2, 3, 5)}),
    Rival("OpenCV, Navier-Stokes", opencv, {"method": ("INPAINT_NS",), "radius": (1, 2, 3, 5)}),
    Rival("biharmonic (scikit-image)", biharmonic, {}),
)
