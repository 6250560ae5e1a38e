"""Finds the layer whose output parts first, where the loss of step 1 already differs.

convae gives no inner outputs, but it evaluates any model: the first so many layers, followed by a
random projection to a picture, whose loss it prints. Keras's inner outputs go through the same
projection here. So nothing but `convae evaluate` is needed, and what it runs is what a user runs.
"""

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from . import config, driver, idx
from .runs import Run
from .toml_text import toml_text

PICTURES = 8
SCALE = 100.0
"""Makes the loss large, as convae prints six decimals of it."""
APART = 1e-6
"""Relative. In float64, and six decimals of a loss above 1."""


def first_layer_apart(case: "driver.Case", ours: Run) -> str | None:
    """`encoder.conv2d_1`, or None where all layers give the same."""
    experiment = config.read(case.config, case.sets())
    folder = case.out / "layers"
    folder.mkdir(exist_ok=True)
    activations = _of_keras(case, folder)
    clean = idx.scaled(idx.clean_bytes(experiment.data_dir, "test", PICTURES)).astype(float)
    for index, layer in enumerate(experiment.layers):
        weights = {k: v for k, v in ours.weights["initial"].items()
                   if _index_of(experiment, k) <= index}
        inner = activations[f"layer_{index}"].reshape(len(clean), -1)
        projection = _projection(inner.shape[1], clean[0].size, index)
        expected = np.mean((inner @ projection.T - clean.reshape(len(clean), -1)) ** 2)
        found = _of_convae(case, experiment, folder, index, weights, projection)
        if not abs(found - expected) <= APART * max(expected, 1.0):
            return f"{layer.part}.{layer.name}"
    return None


def _of_keras(case: "driver.Case", folder: Path) -> dict[str, np.ndarray]:
    """Every layer's output for the first test pictures, from a child process."""
    job = {
        "config": str(case.config), "overrides": case.sets(), "trace": str(case.out / "trace"),
        "dtype": "float64", "out": str(folder), "fault": case.fault,
    }
    (folder / "job.json").write_text(json.dumps(job))
    driver.child("parity.activations", str(folder / "job.json"), case.backends[0], "float64",
                 folder / "log.txt", f"{case.name}: looking for the layer")
    with np.load(folder / "activations.npz") as arrays:
        return dict(arrays)


def _of_convae(case: Any, experiment: Any, folder: Path, index: int, weights: dict, projection: np.ndarray) -> float:
    """The loss that convae prints for the first layers and the projection."""
    tree = tomllib.loads(case.config.read_text())
    for argument in case.sets():
        config.override(tree, argument)
    model = tree["model"]
    layers = (model["encoder"] + model["decoder"])[: index + 1]
    values, shape = projection.shape[0], list(experiment.input_shape)
    tail = [{"layer": "Flatten"}, {"layer": "Dense", "units": values},
            {"layer": "Reshape", "target_shape": shape}]
    name = f"encoder.dense_{_count(layers)}" if _count(layers) else "encoder.dense"
    # All layers stand in the encoder here, so the decoder's weights change their first word.
    arrays = {re.sub("^decoder", "encoder", key): value.astype(float) for key, value in weights.items()}
    arrays |= {f"{name}.weight": projection, f"{name}.bias": np.zeros(values)}
    arrays = {key: np.ascontiguousarray(value) for key, value in arrays.items()}
    file = folder / "first_layers.safetensors"
    save_file(arrays, file, metadata={"config.toml": toml_text(_tree(experiment, shape, layers + tail))})
    done = subprocess.run([str(case.convae), "evaluate", "--checkpoint", str(file)], capture_output=True, text=True)
    found = re.search(r"loss \(\S+\)\s+([\d.einfNa+-]+)", done.stdout)
    return float(found[1]) if found else float("nan")


def _tree(experiment: Any, shape: list[int], layers: list[dict]) -> dict[str, Any]:
    return {
        "name": "first-layers",
        "data": {"dir": str(experiment.data_dir), "test_samples": PICTURES},
        "model": {"input_shape": shape, "encoder": layers, "decoder": []},
        "train": {"loss": "mean_squared_error", "dtype": "float64", "device": "cpu"},
    }


def _projection(inputs: int, outputs: int, seed: int) -> np.ndarray:
    """`(out, in)`, as PyTorch has it."""
    return np.random.default_rng(seed).normal(0, SCALE / inputs**0.5, (outputs, inputs))


def _index_of(experiment: Any, weight: str) -> int:
    names = [f"{layer.part}.{layer.name}" for layer in experiment.layers]
    return names.index(weight.rpartition(".")[0])


def _count(layers: list[dict]) -> int:
    return sum(layer["layer"] == "Dense" for layer in layers)
