"""A child process: what every layer gives for some test pictures. Imports Keras."""

import json
import os
import sys
from pathlib import Path

import keras
import numpy as np

from . import config, doubles, faults
from .model import build, set_weights
from .runs import read_trace


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    keras.config.set_floatx("float64")
    doubles.lift()
    faults.plant_in_keras(job["fault"])
    experiment = config.read(Path(job["config"]), job["overrides"])
    model = build(experiment)
    set_weights(model, experiment, read_trace(Path(job["trace"])).weights["initial"])
    every = keras.Model(model.inputs, [model.get_layer(layer.name).output for layer in experiment.layers])
    with np.load(job["pictures"]) as arrays:
        outputs = every.predict(arrays["pictures"].astype(float), verbose=0)
    outputs = outputs if isinstance(outputs, list) else [outputs]
    np.savez(Path(job["out"]) / "activations.npz", **{f"layer_{i}": a for i, a in enumerate(outputs)})


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)
