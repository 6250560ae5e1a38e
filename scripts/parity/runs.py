"""One training as it is compared: convae's trace, or a replay of it on a Keras backend.

Weights are under their checkpoint names in PyTorch's layouts, on both sides.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from .failure import Failure

STAGES = ("initial", "step_1", "step_10", "last")
"""When weights are kept. A stage that the run never reached is absent."""

Weights = dict[str, np.ndarray]


@dataclass
class Run:
    """What a training left; losses of all epochs in one row."""

    name: str
    losses: np.ndarray
    epoch_losses: list[float]
    val_losses: list[float]
    gradient: Weights
    weights: dict[str, Weights]
    outputs: np.ndarray
    versions: dict[str, str] = field(default_factory=dict)


def read_trace(folder: Path) -> Run:
    """What `convae --trace FOLDER` wrote."""
    record = json.loads((folder / "trace.json").read_text())
    if record["format"] != 1:
        raise Failure(f"{folder} is a trace of format {record['format']}; this script reads format 1")
    files = {stage: folder / f"weights_{stage}.safetensors" for stage in STAGES}
    return Run(
        name="convae",
        losses=np.concatenate([np.asarray(epoch, float) for epoch in record["losses"]]),
        epoch_losses=record["epoch_losses"],
        val_losses=record["val_losses"],
        gradient=load_file(folder / "gradient.safetensors"),
        weights={stage: load_file(file) for stage, file in files.items() if file.exists()},
        outputs=load_file(folder / "outputs.safetensors")["pictures"],
    )


def write_replay(folder: Path, run: Run) -> None:
    """Left by a child process for the driver."""
    arrays = {
        f"weights/{stage}/{name}": array
        for stage, weights in run.weights.items()
        for name, array in weights.items()
    }
    arrays |= {f"gradient/{name}": array for name, array in run.gradient.items()}
    np.savez(folder / "arrays.npz", outputs=run.outputs, **arrays)
    record = {
        "name": run.name,
        "losses": run.losses.tolist(),
        "epoch_losses": run.epoch_losses,
        "val_losses": run.val_losses,
        "versions": run.versions,
    }
    (folder / "replay.json").write_text(json.dumps(record))


def read_replay(folder: Path) -> Run:
    """The other end of `write_replay`."""
    record = json.loads((folder / "replay.json").read_text())
    gradient: Weights = {}
    weights: dict[str, Weights] = {}
    with np.load(folder / "arrays.npz") as arrays:
        outputs = arrays["outputs"]
        for key in arrays.files:
            if key.startswith("gradient/"):
                gradient[key.removeprefix("gradient/")] = arrays[key]
            elif key.startswith("weights/"):
                _, stage, name = key.split("/")
                weights.setdefault(stage, {})[name] = arrays[key]
    record["losses"] = np.asarray(record["losses"])
    return Run(gradient=gradient, weights=weights, outputs=outputs, **record)
