"""A child process: trains from scratch in Keras as the tutorial does, once per seed. Imports Keras.

Nothing is shared with convae but the config: own weights, own order, own noise.
"""

import json
import os
import sys
from pathlib import Path

import keras
import numpy as np

from . import config, idx
from .failure import Failure
from .model import build, compile_model


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    experiment = config.read(Path(job["config"]), job["overrides"])
    clean = {split: idx.scaled(idx.clean_bytes(experiment.data_dir, split, samples))
             for split, samples in (("train", experiment.train_samples), ("test", experiment.test_samples))}
    results = []
    for seed in job["seeds"]:
        results.append(train(experiment, clean, seed))
        print(f"seed {seed}: loss {results[-1]['loss']:.5f}, val_loss {results[-1]['val_loss']:.5f}", flush=True)
    (Path(job["out"]) / "scratch.json").write_text(json.dumps(results))


def train(experiment: config.Experiment, clean: dict[str, np.ndarray], seed: int) -> dict[str, float]:
    """The last epoch's figures, as `fit` gives them."""
    keras.utils.set_random_seed(seed)
    model = build(experiment)
    compile_model(model, experiment)
    history = model.fit(
        noisy(clean["train"], experiment), clean["train"],
        validation_data=(noisy(clean["test"], experiment), clean["test"]),
        epochs=experiment.epochs, batch_size=experiment.batch_size, shuffle=experiment.shuffle, verbose=0,
    )
    keras.backend.clear_session()
    return {key: float(history.history[key][-1]) for key in ("loss", "val_loss")}


def noisy(pictures: np.ndarray, experiment: config.Experiment) -> np.ndarray:
    """`np.clip(x + noise_factor * np.random.normal(...), 0, 1)`, as in the Keras blog."""
    if not experiment.corrupts:
        return pictures
    gaussian = experiment.gaussian
    if gaussian is None:
        raise Failure("only Gaussian noise of one factor is drawn here; train with corruption.kind=gaussian")
    noise = np.random.normal(loc=0.0, scale=1.0, size=pictures.shape)
    result = pictures + gaussian["factor"] * noise
    return (np.clip(result, 0.0, 1.0) if gaussian["clip"] else result).astype(np.float32)


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)
