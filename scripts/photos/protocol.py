"""The photographs, their noise, and how an output is judged."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from parity.failure import Failure

from .table import Row

WHITE = 255


@dataclass(frozen=True)
class Photos:
    """A folder with train400/, bsd68/ and set12/."""

    folder: Path

    def files(self, part: str) -> list[Path]:
        files = sorted((self.folder / part).glob("*.png"))
        if not files:
            raise Failure(f"{self.folder / part} has no PNG; name a folder with train400/, bsd68/ and set12/")
        return files


def read(file: Path) -> np.ndarray:
    """Grey, in 0..1."""
    return np.asarray(Image.open(file).convert("L"), dtype=np.float64) / WHITE


@dataclass(frozen=True)
class Noisy:
    """The photographs with noise of one strength, as TIFFs of 32-bit floats: no value is clipped or rounded to 8 bits."""

    photos: Photos
    sigma: int
    seed: int
    out: Path
    """Folder of the noisy images and of what is made of them."""
    cache: dict = field(default_factory=dict)

    @property
    def level(self) -> float:
        return self.sigma / WHITE

    def folder(self, part: str) -> Path:
        """The noisy images of a part, made once."""
        folder = self.out / f"noisy-{self.seed}" / part
        done = folder.with_suffix(".done")
        if not done.exists():
            folder.mkdir(parents=True, exist_ok=True)
            for index, file in enumerate(self.photos.files(part)):
                clean = read(file)
                random = np.random.default_rng([self.seed, index, PARTS.index(part)])
                values = clean + self.level * random.standard_normal(clean.shape)
                tifffile.imwrite(folder / f"{file.stem}.tif", values.astype(np.float32))
            done.touch()
        return folder

    def images(self) -> list[np.ndarray]:
        """What is to be denoised: BSD68."""
        folder = self.folder("bsd68")
        return [tifffile.imread(folder / f"{file.stem}.tif") for file in self.photos.files("bsd68")]

    def psnr(self, outputs: list[np.ndarray]) -> float:
        """Mean over BSD68, in decibels."""
        cleans = [read(file) for file in self.photos.files("bsd68")]
        return float(np.mean([psnr(output, clean) for output, clean in zip(outputs, cleans, strict=True)]))

    def row(self) -> Row:
        return Row(self.sigma, "noisy", "", self.psnr(self.images()))


PARTS = ("train400", "bsd68", "set12")


def psnr(output: np.ndarray, clean: np.ndarray) -> float:
    """Of an output clipped to 0..1, whose white is 1."""
    error = np.mean((np.clip(output.astype(np.float64), 0, 1) - clean) ** 2)
    return float(-10 * np.log10(error))
