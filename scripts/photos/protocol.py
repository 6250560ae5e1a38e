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
    """A folder with train400/, bsd68/ and set12/, or with other parts."""

    folder: Path
    judged: str = "bsd68"
    """The part that is denoised."""
    colour: bool = False

    def files(self, part: str) -> list[Path]:
        files = sorted((self.folder / part).glob("*.png"))
        if not files:
            raise Failure(f"{self.folder / part} has no PNG; name a folder with train400/, bsd68/ and set12/")
        return files

    def read(self, file: Path) -> np.ndarray:
        """Grey, or in colours, in 0..1."""
        return np.asarray(Image.open(file).convert("RGB" if self.colour else "L"), dtype=np.float64) / WHITE


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
                clean = self.photos.read(file)
                random = np.random.default_rng([self.seed, index, PARTS.index(part)])
                values = clean + self.level * random.standard_normal(clean.shape)
                kind = "rgb" if self.photos.colour else "minisblack"
                tifffile.imwrite(folder / f"{file.stem}.tif", values.astype(np.float32), photometric=kind)
            done.touch()
        return folder

    def images(self) -> list[np.ndarray]:
        """What is to be denoised."""
        folder = self.folder(self.photos.judged)
        return [tifffile.imread(folder / f"{file.stem}.tif") for file in self.photos.files(self.photos.judged)]

    def psnr(self, outputs: list[np.ndarray]) -> float:
        """Mean over the judged images, in decibels."""
        cleans = [self.photos.read(file) for file in self.photos.files(self.photos.judged)]
        return float(np.mean([psnr(output, clean) for output, clean in zip(outputs, cleans, strict=True)]))

    def row(self) -> Row:
        return Row(self.sigma, "noisy", "", self.psnr(self.images()))


PARTS = ("train400", "bsd68", "set12", "test")
"""Each has a random stream of its own."""


def psnr(output: np.ndarray, clean: np.ndarray) -> float:
    """Of an output clipped to 0..1, whose white is 1."""
    error = np.mean((np.clip(output.astype(np.float64), 0, 1) - clean) ** 2)
    return float(-10 * np.log10(error))
