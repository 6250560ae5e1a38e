"""A child process: what every layer gives for some test pictures. Imports Keras."""

import json
import os
import sys
from pathlib import Path

import keras
import numpy as np

from . import config, doubles, faults
from .model import set_weights, values_of
from .runs import read_trace


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    keras.config.set_floatx("float64")
    doubles.lift()
    faults.plant_in_keras(job["fault"])
    experiment = config.read(Path(job["config"]), job["overrides"])
    values = values_of(experiment)
    every = keras.Model(values[config.INPUT], [values[layer.name] for layer in experiment.layers])
    set_weights(every, experiment, read_trace(Path(job["trace"])).weights["initial"])
    with np.load(job["pictures"]) as arrays:
        outputs = every.predict(arrays["pictures"].astype(float), verbose=0)
    outputs = outputs if isinstance(outputs, list) else [outputs]
    np.savez(Path(job["out"]) / "activations.npz", **{f"layer_{i}": a for i, a in enumerate(outputs)})


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)
