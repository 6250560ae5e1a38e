"""What convae fed its model, from its trace and from MNIST's files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from . import idx
from .config import Experiment


@dataclass
class Feed:
    """Clean pictures are read here where they are in MNIST's files and what the model gives has their shape; other
    targets, pictures that the model sees and that are not the target, and the order come from the trace."""

    experiment: Experiment
    trace: Path

    def clean(self, split: str, epoch: int = 1) -> np.ndarray:
        """In 0..1, float32, `(N, H, W, C)`: what the model should give."""
        file = self.trace / "test_targets.safetensors" if split == "test" else self._targets(epoch)
        if file.exists() or self.experiment.data_dir is None:
            return _pictures(file)
        return idx.scaled(self.clean_bytes(split))

    def clean_bytes(self, split: str) -> np.ndarray | None:
        """The same as bytes; None where the pictures have more than 8 bits."""
        if self.experiment.data_dir is not None and not self._targets(1).exists():
            samples = {"train": self.experiment.train_samples, "test": self.experiment.test_samples}
            return idx.clean_bytes(self.experiment.data_dir, split, samples[split])
        values = self.clean(split) * 255
        return np.rint(values).astype(np.uint8) if np.allclose(values, np.rint(values), atol=1e-4) else None

    def draws(self) -> bool:
        """Whether the pictures themselves are others in each epoch: random patches."""
        return (self.trace / "train_targets_2.safetensors").exists()

    def train_inputs(self, epoch: int) -> np.ndarray:
        """By index. Pictures that stay the same are in the trace once, under epoch 1."""
        files = [file for file in (self.corrupted_file(epoch), self.corrupted_file(1)) if file.exists()]
        return _pictures(files[0]) if files else self.clean("train", epoch)

    def _targets(self, epoch: int) -> Path:
        file = self.trace / f"train_targets_{epoch}.safetensors"
        return file if file.exists() else self.trace / "train_targets_1.safetensors"

    def corrupted_file(self, epoch: int) -> Path:
        return self.trace / f"train_inputs_{epoch}.safetensors"

    def test_inputs(self) -> np.ndarray:
        file = self.trace / "test_inputs.safetensors"
        return _pictures(file) if file.exists() else self.clean("test")

    def order(self, epoch: int) -> np.ndarray:
        return load_file(self.trace / "order.safetensors")[f"epoch_{epoch}"]


def _pictures(file: Path) -> np.ndarray:
    return load_file(file)["pictures"]
