"""Thousands of small images through `apply`, beside a PyTorch script that does the same."""

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from parity.failure import Failure

from . import pictures
from .contest import say
from .corrupted import noisy
from .ours import Done, Model, run

SIDE, LEVEL = 64, 0.2
FEW, MANY = 1_000, 10_000
WAYS = {"tuned": "PyTorch, tuned", "compiled": "PyTorch, torch.compile", "plain": "PyTorch, picture by picture"}
MOST_APART = 1.01 / 255
"""Both round to 8 bits, and a value between two may go either way."""


@dataclass
class Speed:
    """Of one contestant; a sample is a whole command, from start to exit."""

    name: str
    images: int
    ours: bool = False
    seconds: list[float] = field(default_factory=list)
    peak_mb: list[float] = field(default_factory=list)

    def add(self, done: Done) -> None:
        self.seconds.append(done.seconds)
        self.peak_mb.append(done.peak_mb)

    @property
    def per_second(self) -> float:
        return self.images / median(self.seconds)

    def json(self) -> dict[str, Any]:
        return vars(self) | {"images_per_second": self.per_second, "median_peak_mb": median(self.peak_mb)}


def measure(model: Model, work: Path, rounds: int) -> list[Speed]:
    """Everyone in turn, round by round."""
    folders = {count: make_images(model.pages, work / f"input-{count}", count) for count in (FEW, MANY)}
    contestants: list[tuple[Speed, Callable[[Path, Path], Done]]] = [
        (Speed(f"convae, {count:,} images", count, ours=True), model.apply) for count in (MANY, FEW)
    ]
    contestants += [(Speed(f"{name}, {MANY:,} images", MANY), torch_script(model, way)) for way, name in WAYS.items()]
    for number in range(rounds):
        for index, (speed, apply) in enumerate(contestants):
            say(f"speed: {speed.name}, round {number + 1} of {rounds}")
            output = work / f"output-{index}"
            shutil.rmtree(output, ignore_errors=True)
            speed.add(apply(folders[speed.images], output))
    for index in range(2, len(contestants)):
        check_agreement(work / "output-0", work / f"output-{index}")
    return [speed for speed, _ in contestants]


def make_images(pages: Path, folder: Path, count: int) -> Path:
    """Noisy windows of training crops."""
    if len(list(folder.glob("*.png"))) == count:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    crops = [pictures.read(file) for file in pictures.files(pages / "train")[:FEW]]
    random = np.random.default_rng(count)
    for index in range(count):
        crop = crops[index % len(crops)]
        top, left = (random.integers(side - SIDE + 1) for side in crop.shape)
        seen = noisy(crop[top:top + SIDE, left:left + SIDE], LEVEL, index)
        pictures.write(folder / f"{index:05}.png", seen.picture)
    return folder


def torch_script(model: Model, way: str) -> Callable[[Path, Path], Done]:
    def apply(inputs: Path, outputs: Path) -> Done:
        command = [sys.executable, "-m", "show.torch_apply", str(model.folder), str(inputs), str(outputs), way]
        return run(command, outputs.with_suffix(".log"))

    return apply


def check_agreement(ours: Path, theirs: Path) -> None:
    """A speed only counts where the work was done."""
    for file in pictures.files(ours):
        if np.abs(pictures.read(file) - pictures.read(theirs / file.name)).max() > MOST_APART:
            raise Failure(f"{file} and {theirs / file.name} differ by more than rounding; one of them is wrong")
