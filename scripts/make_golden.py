"""Writes tests/golden/: what Keras computes, for tests that run without Python.

Run: .venv/bin/python scripts/make_golden.py
Each file's metadata names this script, Keras's version and backend. All is computed in float64;
what a model starts from (weights, pictures) is float32, so that both precisions start alike.
"""

import json
from pathlib import Path

from parity.cases import reference  # first: it settles Keras's backend and precision

import jax
import keras
import numpy as np
from parity import config, idx, layouts, model
from parity.cases import layers, losses, optimizers
from safetensors.numpy import save

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests/golden"
SEED = 2024
LARGEST = 700  # values in all arrays of a layer's case
OPTIMIZER_STEPS = 20
BATCH = 8
STEPS = 10
# The trained model: enough for digits to be recognised.
TRAINING_EPOCHS = 6
TRAINING_BATCH = 16
SHOWN = 16
NOISE = 0.5


def main():
    if reference.BACKEND != "jax":
        raise SystemExit(f"make_golden: KERAS_BACKEND is {reference.BACKEND}; unset it")
    GOLDEN.mkdir(exist_ok=True)
    write_cases("layers", layer_cases())
    write_cases("optimizers", [optimizers.draw(name, i, SEED, OPTIMIZER_STEPS)
                               for name in optimizers.OWN for i in range(6)])
    write_cases("losses", [losses.draw(name, i, SEED)
                           for name in losses.CLASSES for i in range(4)])
    clean, tested = digits("train", None), digits("test", SHOWN)
    noisy = corrupted(clean)
    write("plain", ten_steps("plain", clean, clean))
    denoise = ten_steps("denoise", noisy, clean)
    write("denoise", denoise | {"input": noisy[: STEPS * BATCH]})
    write("trained", trained("plain", clean, tested))


def layer_cases():
    """Of each kind the first small cases."""
    cases = []
    for row in layers.DRAWS:
        wanted = 2 if row.startswith("Activation") else 5
        drawn = (layers.draw(row, index, SEED) for index in range(1000))
        small = (case for case in drawn
                 if sum(each.size for each in case.given.values()) <= LARGEST)
        cases += [next(small) for _ in range(wanted)]
    return cases


def write_cases(name, cases):
    arrays = {}
    for case in cases:
        arrays |= {f"given/{case.id}/{key}": array for key, array in case.given.items()}
        arrays |= {f"wanted/{case.id}/{key}": array for key, array in case.wanted().items()}
    requests = [{"id": case.id, **case.request} for case in cases]
    write(name, arrays, questions=json.dumps({"requests": requests}))


def write(name, arrays, **metadata):
    metadata |= {"script": "scripts/make_golden.py", "keras": keras.__version__,
                 "backend": f"jax {jax.__version__}, float64"}
    path = GOLDEN / f"{name}.safetensors"
    arrays = {key: np.array(array, order="C") for key, array in arrays.items()}
    path.write_bytes(sorted_header(save(arrays, metadata)))
    print(f"{path.name}: {len(arrays)} arrays, {path.stat().st_size / 1e3:.0f} kB")


def sorted_header(file):
    """The library writes metadata in a random order, but the same numbers shall be the same file."""
    end = 8 + int.from_bytes(file[:8], "little")
    header = json.dumps(json.loads(file[8:end]), sort_keys=True, separators=(",", ":"))
    return file[:8] + header.encode().ljust(end - 8) + file[end:]


def digits(split, samples):
    return idx.scaled(idx.clean_bytes(ROOT / "tests/digits", split, samples))


def corrupted(pictures):
    noise = np.random.default_rng(SEED).normal(size=pictures.shape)
    return np.clip(pictures + NOISE * noise, 0, 1).astype(np.float32)


class Training:
    """A shipped model in Keras, stepped by hand so that every number can be seen."""

    def __init__(self, name):
        self.experiment = config.read(ROOT / f"configs/{name}.toml", [])
        keras.utils.clear_session()
        keras.utils.set_random_seed(SEED)
        self.model = model.build(self.experiment)
        for variable in self.model.trainable_variables:
            variable.assign(keras.ops.cast(keras.ops.cast(variable, "float32"), "float64"))
        options = self.experiment.optimizer_options
        optimizer = getattr(keras.optimizers, self.experiment.optimizer)(**options)
        optimizer.build(self.model.trainable_variables)
        self.weights = [variable.value for variable in self.model.trainable_variables]
        self.state = [variable.value for variable in optimizer.variables]
        loss = keras.losses.BinaryCrossentropy()
        assert self.experiment.loss == "binary_crossentropy"

        def loss_of(weights, x, y):
            return loss(y, self.model.stateless_call(weights, [], x, training=True)[0])

        @jax.jit
        def step(weights, state, x, y):
            value, gradients = jax.value_and_grad(loss_of)(weights, x, y)
            weights, state = optimizer.stateless_apply(state, gradients, weights)
            return value, gradients, weights, state

        self._step = step

    def step(self, x, y):
        """The loss before the step and its gradient."""
        value, gradients, self.weights, self.state = self._step(
            self.weights, self.state, x.astype(np.float64), y.astype(np.float64))
        return float(value), gradients

    def flat(self, arrays):
        """In convae's order and layouts, one row of all weights."""
        rows = []
        for variable, array in zip(self.model.trainable_variables, arrays, strict=True):
            kind = type(self.model.get_layer(variable.path.split("/")[-2])).__name__
            suffix = {"kernel": "weight", "bias": "bias"}[variable.name]
            rows.append(layouts.to_torch(kind, suffix, np.asarray(array)).ravel())
        return np.concatenate(rows)

    def outputs(self, x):
        return np.asarray(self.model.stateless_call(self.weights, [], x.astype(np.float64))[0])


def ten_steps(name, inputs, clean):
    """Batches in the files' order; the gradient of the first."""
    training = Training(name)
    arrays = {"initial": training.flat(training.weights).astype(np.float32)}
    losses = []
    for step in range(STEPS):
        batch = slice(step * BATCH, (step + 1) * BATCH)
        loss, gradients = training.step(inputs[batch], clean[batch])
        losses.append(loss)
        if step == 0:
            arrays["gradient"] = training.flat(gradients)
    return arrays | {"losses": np.array(losses), "final": training.flat(training.weights)}


def trained(name, pictures, tested):
    """Weights as float32, since that is what a checkpoint holds, and what they make of digits."""
    training = Training(name)
    for _ in range(TRAINING_EPOCHS):
        for start in range(0, len(pictures), TRAINING_BATCH):
            batch = pictures[start : start + TRAINING_BATCH]
            loss, _ = training.step(batch, batch)
    print(f"the trained model's last loss is {loss:.4f}")
    training.weights = [np.asarray(weight).astype(np.float32).astype(np.float64)
                        for weight in training.weights]
    weights = training.flat(training.weights).astype(np.float32)
    return {"weights": weights, "outputs": training.outputs(tested)}


if __name__ == "__main__":
    main()
