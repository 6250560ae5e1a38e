"""What convae fed its model, from its trace and from the IDX files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from . import idx
from .config import Experiment


@dataclass
class Feed:
    """Clean pictures are read here; corrupted ones and the order come from the trace."""

    experiment: Experiment
    trace: Path

    def clean(self, split: str) -> np.ndarray:
        """In 0..1, float32, `(N, H, W, C)`."""
        return idx.scaled(self.clean_bytes(split))

    def clean_bytes(self, split: str) -> np.ndarray:
        samples = {"train": self.experiment.train_samples, "test": self.experiment.test_samples}
        return idx.clean_bytes(self.experiment.data_dir, split, samples[split])

    def train_inputs(self, epoch: int) -> np.ndarray:
        """In the files' order. Noise that stays the same is in the trace once, under epoch 1."""
        if not self.experiment.corrupts:
            return self.clean("train")
        file = self.corrupted_file(epoch)
        return _pictures(file if file.exists() else self.corrupted_file(1))

    def corrupted_file(self, epoch: int) -> Path:
        return self.trace / f"train_inputs_{epoch}.safetensors"

    def test_inputs(self) -> np.ndarray:
        if not self.experiment.corrupts:
            return self.clean("test")
        return _pictures(self.trace / "test_inputs.safetensors")

    def order(self, epoch: int) -> np.ndarray:
        return load_file(self.trace / "order.safetensors")[f"epoch_{epoch}"]


def _pictures(file: Path) -> np.ndarray:
    return load_file(file)["pictures"]
