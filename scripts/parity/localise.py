"""Finds the layer whose output parts first, where the loss of step 1 already differs.

`convae encode` gives what a model's encoder gives, and which layers are the encoder is for the config
to say. So the model is cut after its first layer, after its second, and so on, and each code is held
against what Keras's layer gives for the same pictures: the first of the test set, clean, which both
sides get in one file, whatever kind of data they come from.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from . import config, driver
from .config import Experiment
from .feed import Feed
from .runs import Run, Weights
from .toml_text import toml_text

PICTURES = 8
APART = 1e-6
"""Relative to the norm of what the layer gives. Computed in float64, but codes are written as float32."""


def first_layer_apart(case: "driver.Case", ours: Run) -> str | None:
    """`encoder.conv2d_1`, or None where all layers give the same."""
    experiment = config.read(case.config, case.sets())
    folder = case.out / "layers"
    folder.mkdir(exist_ok=True)
    pictures = Feed(experiment, case.out / "trace").clean("test")[:PICTURES]
    np.savez(folder / "pictures.npz", pictures=pictures)
    theirs = _of_keras(case, folder)
    for index, layer in enumerate(experiment.layers):
        found = _of_convae(case, experiment, folder, index, ours.weights["initial"])
        expected = theirs[f"layer_{index}"]
        if found is None or not _distance(found, expected) <= APART:
            return f"{layer.part}.{layer.name}"
    return None


def _distance(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Infinite for another shape, so that a layer that gives one is found, too."""
    if ours.shape != theirs.shape:
        return np.inf
    norm = np.linalg.norm(theirs.ravel())
    return float(np.linalg.norm((ours - theirs).ravel()) / (norm or 1.0))


def _of_keras(case: "driver.Case", folder: Path) -> dict[str, np.ndarray]:
    """Every layer's output, from a child process."""
    job = {
        "config": str(case.config), "overrides": case.sets(), "trace": str(case.out / "trace"),
        "out": str(folder), "pictures": str(folder / "pictures.npz"), "fault": case.fault,
    }
    (folder / "job.json").write_text(json.dumps(job))
    driver.child("parity.activations", str(folder / "job.json"), case.backends[0], "float64",
                 folder / "log.txt", f"{case.name}: looking for the layer")
    with np.load(folder / "activations.npz") as arrays:
        return dict(arrays)


def _of_convae(
    case: "driver.Case", experiment: Experiment, folder: Path, index: int, weights: Weights
) -> np.ndarray | None:
    """The output of the layer at `index`; None where convae gives none, which it says itself."""
    model, codes = folder / "first_layers.safetensors", folder / "codes.npz"
    text = toml_text(_cut_after(experiment, index, folder / "pictures.npz"))
    save_file(_renamed(experiment, index, weights), model, metadata={"config.toml": text})
    command = [str(case.convae), "encode", "--checkpoint", str(model), "--out", str(codes), "--overwrite"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        driver.say(f"{case.name}: {experiment.layers[index].name}: {done.stderr.strip()}")
        return None
    with np.load(codes) as arrays:
        return arrays["codes"].astype(float)


def _cut_after(experiment: Experiment, index: int, pictures: Path) -> dict[str, Any]:
    layers = [{"layer": layer.kind} | layer.options for layer in experiment.layers]
    return {
        "name": "first-layers",
        "data": {"kind": "npz", "file": str(pictures), "train": "pictures", "test": "pictures"},
        "model": {"input_shape": list(experiment.input_shape), "encoder": layers[: index + 1],
                  "decoder": layers[index + 1 :]},
        "train": {"dtype": "float64", "device": "cpu"},
    }


def _renamed(experiment: Experiment, index: int, weights: Weights) -> Weights:
    """All layers up to `index` stand in the encoder here, those after it in the decoder."""
    places = {f"{layer.part}.{layer.name}": f"{'encoder' if i <= index else 'decoder'}.{layer.name}"
              for i, layer in enumerate(experiment.layers)}
    named = {}
    for name, array in weights.items():
        layer, _, suffix = name.rpartition(".")
        named[f"{places[layer]}.{suffix}"] = np.ascontiguousarray(array.astype(float))
    return named
