"""Finds the layer whose output parts first, where the loss of step 1 already differs.

`convae encode` gives a model's code, and which layer gives that is for the config to say. So the code is
what the first layer gives, then the second, and so on, and each is held against what Keras's layer gives
for the same pictures: the first of the test set, clean, which both sides get in one file, whatever kind of
data they come from.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from . import config, driver
from .config import PARTS, SHARED, Experiment, Layer
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
    pictures = _pictures(Feed(experiment, case.out / "trace"))
    np.savez(folder / "pictures.npz", pictures=pictures)
    theirs = _of_keras(case, folder)
    for index, layer in enumerate(experiment.layers):
        found = _of_convae(case, experiment, folder, index, ours.weights["initial"])
        expected = theirs[f"layer_{index}"]
        if found is None or not _distance(found, expected) <= APART:
            return f"{layer.part}.{layer.name}"
    return None


def _pictures(feed: Feed) -> np.ndarray:
    """Clean ones, unless what the model should give has another shape than what it sees."""
    clean, seen = feed.clean("test")[:PICTURES], feed.test_inputs()[:PICTURES]
    return clean if clean.shape == seen.shape else seen


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
    model, codes = folder / "one_list.safetensors", folder / "codes.npz"
    text = toml_text(_with_code(experiment, index, folder / "pictures.npz"))
    save_file(_renamed(weights), model, metadata={"config.toml": text})
    command = [str(case.convae), "encode", "--checkpoint", str(model), "--out", str(codes), "--overwrite"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        driver.say(f"{case.name}: {experiment.layers[index].name}: {done.stderr.strip()}")
        return None
    with np.load(codes) as arrays:
        return arrays["codes"].astype(float)


def _with_code(experiment: Experiment, index: int, pictures: Path) -> dict[str, Any]:
    """The config as one list of layers, whose code is what the layer at `index` gives."""
    shape = [-1 if side is None else side for side in experiment.input_shape]
    return {
        "name": "one-list",
        "data": {"kind": "npz", "file": str(pictures), "train": "pictures", "test": "pictures"},
        "model": {"input_shape": shape, "code": experiment.layers[index].name,
                  "layers": [_entry(layer) for layer in experiment.layers]},
        "train": {"dtype": "float64", "device": "cpu"},
    }


def _entry(layer: Layer) -> dict[str, Any]:
    what = {"layer": SHARED, "of": layer.shares} if layer.shares else {"layer": layer.kind} | layer.options
    return what | {"name": layer.name, "inputs": list(layer.inputs)}


def _renamed(weights: Weights) -> Weights:
    """Under the names that they have in one list."""
    def named(name: str) -> str:
        return ".".join([PARTS["layers"], *name.split(".")[1:]])

    return {named(name): np.ascontiguousarray(array.astype(float)) for name, array in weights.items()}
