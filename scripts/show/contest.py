"""One experiment: settings are chosen on training pictures, everyone is judged on the held-out pages."""

import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from . import pictures
from .corrupted import Corrupted
from .ours import Model
from .pictures import Score
from .rivals import Rival, Settings
from .tasks import Task

CHOOSING = 12
"""Training pictures that settings are chosen on."""


@dataclass
class Result:
    """One contestant at one level, means over the pages."""

    task: str
    level: float
    name: str
    scores: list[Score]
    seconds: float | None = None
    """For a page; ours with the program's start, divided among the pages."""
    settings: Settings = field(default_factory=dict)
    ours: bool = False

    @property
    def psnr(self) -> float:
        return mean(score.psnr for score in self.scores)

    @property
    def ssim(self) -> float:
        return mean(score.ssim for score in self.scores)

    def json(self) -> dict[str, Any]:
        return asdict(self) | {"psnr": self.psnr, "ssim": self.ssim}


@dataclass
class Contest:
    """A task with everything that it was played with."""

    task: Task
    model: Model
    work: Path
    results: list[Result] = field(default_factory=list)
    shown: dict[str, list[np.ndarray]] = field(default_factory=dict)
    """Of each contestant, the pages at the level that is shown."""

    def play(self) -> None:
        for level in self.task.levels:
            seen = self.corrupted(pictures.files(self.model.pages / "test"), level)
            self.judge(level, self.task.input_name, seen, [page.picture for page in seen])
            for rival in self.task.rivals:
                try:
                    self.play_rival(level, rival, seen)
                except ImportError as error:
                    say(f"{self.task.title}: {rival.name} is left out: {error}")
            self.play_ours(level, seen)
            if level == self.task.shown:
                self.shown["clean"] = [page.clean for page in seen]

    def corrupted(self, files: list[Path], level: float) -> list[Corrupted]:
        return [self.task.corrupt(pictures.read(file), level, seed) for seed, file in enumerate(files)]

    def play_rival(self, level: float, rival: Rival, seen: list[Corrupted]) -> None:
        settings = self.choose(level, rival)
        say(f"{self.task.title}: {rival.name} {settings or ''} on {len(seen)} pages")
        started = time.perf_counter()
        outputs = [rival(page, settings) for page in seen]
        seconds = (time.perf_counter() - started) / len(seen)
        self.judge(level, rival.name, seen, outputs, seconds=seconds, settings=settings)

    def choose(self, level: float, rival: Rival) -> Settings:
        """The setting with the best mean PSNR on training pictures."""
        choices = rival.settings()
        if len(choices) == 1:
            return choices[0]
        say(f"{self.task.title}: {rival.name}, {len(choices)} settings on {CHOOSING} training pictures")
        files = pictures.files(self.model.pages / "train")
        trained = self.corrupted(files[::len(files) // CHOOSING][:CHOOSING], level)
        return max(choices, key=lambda settings: mean(
            Score.of(pictures.rounded(rival(picture, settings)), picture.clean).psnr for picture in trained
        ))

    def play_ours(self, level: float, seen: list[Corrupted]) -> None:
        """Through files, as a user would."""
        say(f"{self.task.title}: convae on {len(seen)} pages")
        inputs, outputs = (self.work / f"{part}-{level:g}" for part in ("input", "convae"))
        for index, page in enumerate(seen):
            pictures.write(inputs / f"{index:02}.png", page.picture)
        done = self.model.apply(inputs, outputs)
        cleaned = [pictures.read(outputs / f"{index:02}.png") for index in range(len(seen))]
        self.judge(level, "convae", seen, cleaned, seconds=done.seconds / len(seen), ours=True)
        if all(page.mask.any() for page in seen):
            # The others know the mask and leave all else alone; this shows the same of ours.
            filled = [np.where(page.mask, output, page.picture) for page, output in zip(seen, cleaned)]
            self.judge(level, "convae, in the holes alone", seen, filled, ours=True)

    def judge(self, level: float, name: str, seen: list[Corrupted], outputs: list[np.ndarray], **facts: Any) -> None:
        outputs = [pictures.rounded(output) for output in outputs]
        scores = [Score.of(output, page.clean) for output, page in zip(outputs, seen, strict=True)]
        self.results.append(Result(self.task.config, level, name, scores, **facts))
        if level == self.task.shown:
            self.shown[name] = outputs


def say(text: str) -> None:
    print(f"show: {text}", file=sys.stderr, flush=True)
