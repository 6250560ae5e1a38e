"""The two models: config, weights, data, and how they are trained."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from parity.failure import Failure
from photos.contestants import train, training_minutes
from photos.protocol import Photos

from .pictures import TEST

HERE = Path("models")
"""Of the configs, and where weights go unless told otherwise."""
LARGEST = 1_000_000
"""Bytes of a file of weights."""


@dataclass(frozen=True)
class Model:
    """`models/photo-COLOURS.toml` and the `.pt` beside it."""

    colours: str

    @property
    def name(self) -> str:
        return f"photo-{self.colours}"

    @property
    def config(self) -> Path:
        return HERE / f"{self.name}.toml"

    def weights(self, ship: Path) -> Path:
        return ship / f"{self.name}.pt"

    def held_out(self, data: Path) -> Photos:
        return Photos(data / self.colours, judged=TEST, colour=self.colours == "colour")

    def train(self, binary: Path, run: Path, overrides: list[str], retrain: bool) -> float:
        """Leaves a finished run in the folder; minutes that it took."""
        command = [str(binary), "--config", str(self.config), "--out", str(run)]
        for override in overrides:
            command += ["--set", override]
        train(command, run, retrain)
        return training_minutes(run)

    def ship(self, run: Path, ship: Path) -> bool:
        """Copies the weights after the last epoch (the run's checkpoints hold the optimizer too); whether they are new."""
        made = run / f"{self.name}.pt"
        if made.stat().st_size > LARGEST:
            raise Failure(f"{made} has {made.stat().st_size} bytes, more than the {LARGEST} of a shipped model")
        kept = self.weights(ship)
        if kept.exists() and kept.read_bytes() == made.read_bytes():
            return False
        ship.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(made, kept)
        return True


MODELS = {colours: Model(colours) for colours in ("grey", "colour")}
