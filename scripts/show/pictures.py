"""Grey pictures as files and as values 0..1, and how near two of them are."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from parity.failure import Failure

WHITE = 255


def read(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("L"), dtype=np.float64) / WHITE


def write(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.rint(np.clip(picture, 0, 1) * WHITE).astype(np.uint8)).save(path)


def rounded(picture: np.ndarray) -> np.ndarray:
    """As an 8-bit file keeps it: all contestants read and are judged as such."""
    return np.rint(np.clip(picture, 0, 1) * WHITE) / WHITE


def files(folder: Path) -> list[Path]:
    found = sorted(folder.glob("*.png"))
    if not found:
        raise Failure(f"{folder} holds no PNG; make the pages: python scripts/make_pages.py")
    return found


@dataclass(frozen=True)
class Score:
    """Of one picture against the clean one."""

    psnr: float
    ssim: float

    @staticmethod
    def of(picture: np.ndarray, clean: np.ndarray) -> "Score":
        return Score(
            psnr=float(peak_signal_noise_ratio(clean, picture, data_range=1)),
            ssim=float(structural_similarity(clean, picture, data_range=1)),
        )
