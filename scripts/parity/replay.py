"""The child process: trains in Keras what convae trained. Imports Keras, with one backend.

Run by the driver as `python -m parity.replay JOB.json`, KERAS_BACKEND being set.
"""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from . import config, doubles, faults
from .compare import MIXED
from .feed import Feed
from .gradient import first_gradient
from .model import build, compile_model, get_weights, set_weights
from .runs import Run, read_trace, write_replay

KEPT_STEPS = (1, 10)
SHOWN = 16
"""Test pictures whose outputs are compared, as many as the trace holds."""
PROGRESS_EVERY = 100


@dataclass
class Job:
    """What the driver asks for."""

    config: str
    overrides: list[str]
    trace: str
    dtype: str
    out: str
    fault: str | None = None
    steps: int | None = None
    """Only so many steps of the first epoch, and no validation."""

    @property
    def floatx(self) -> str:
        """Keras's type of weights and data."""
        return "float32" if self.dtype == MIXED else self.dtype


def main() -> None:
    job = Job(**json.loads(Path(sys.argv[1]).read_text()))
    keras.config.set_floatx(job.floatx)
    if job.dtype == "float64":
        doubles.lift()
    if job.dtype == MIXED:
        keras.config.set_dtype_policy(MIXED)
    faults.plant_in_keras(job.fault)
    write_replay(Path(job.out), replay(job))


def replay(job: Job) -> Run:
    """Same weights, same pictures, same order; Keras's own arithmetic."""
    experiment = config.read(Path(job.config), job.overrides)
    trace, feed = read_trace(Path(job.trace)), Feed(experiment, Path(job.trace))
    model = build(experiment, Replayed)
    model.step_loss = LastValue(name="step_loss")
    compile_model(model, experiment)
    set_weights(model, experiment, trace.weights["initial"])

    gradient = gradient_of_first_batch(model, experiment, feed, job.floatx)
    set_weights(model, experiment, trace.weights["initial"])
    recorder = Recorder(experiment, steps=min(len(trace.losses), job.steps or len(trace.losses)))
    if job.steps:
        fit(model, experiment, feed, recorder, job.floatx, epoch=1, images=job.steps * experiment.batch_size)
        epoch_losses, val_losses = [], []
    else:
        epoch_losses, val_losses = train(model, experiment, feed, recorder, job.floatx)
    outputs = model.predict(feed.test_inputs()[:SHOWN].astype(job.floatx), verbose=0)
    return Run(
        name=keras.backend.backend(),
        losses=np.asarray(recorder.losses),
        epoch_losses=epoch_losses,
        val_losses=val_losses,
        gradient=gradient,
        weights=recorder.weights | {"last": get_weights(model, experiment)},
        outputs=np.asarray(outputs),
        versions=versions(),
    )


def train(
    model: keras.Model, experiment: config.Experiment, feed: Feed, recorder: "Recorder", dtype: str
) -> tuple[list[float], list[float]]:
    """Keras's `fit` on the traced order, an epoch at a time; the means are those that Keras shows."""
    test = feed.clean("test").astype(dtype)
    test_inputs = feed.test_inputs().astype(dtype)
    epoch_losses, val_losses = [], []
    for epoch in range(1, experiment.epochs + 1):
        epoch_losses.append(fit(model, experiment, feed, recorder, dtype, epoch))
        results = model.evaluate(
            test_inputs, test, batch_size=experiment.batch_size, verbose=0, return_dict=True
        )
        val_losses.append(float(results["loss"]))
    return epoch_losses, val_losses


def fit(
    model: keras.Model, experiment: config.Experiment, feed: Feed, recorder: "Recorder", dtype: str,
    epoch: int, images: int | None = None,
) -> float:
    """One epoch, or as many images of it; its mean loss."""
    order = feed.order(epoch)[:images]
    inputs = feed.train_inputs(epoch)[order].astype(dtype)
    targets = feed.clean("train", epoch)[order].astype(dtype)
    history = model.fit(
        inputs, targets,
        batch_size=experiment.batch_size, shuffle=False, verbose=0, callbacks=[recorder],
        initial_epoch=epoch - 1, epochs=epoch,
    )
    return float(history.history["loss"][0])


def gradient_of_first_batch(
    model: keras.Model, experiment: config.Experiment, feed: Feed, dtype: str
) -> dict[str, np.ndarray]:
    """Before anything moves, under the checkpoint's names."""
    first = feed.order(1)[: experiment.batch_size]
    x, y = feed.train_inputs(1)[first].astype(dtype), feed.clean("train")[first].astype(dtype)
    kept = get_weights(model, experiment)
    gradients = first_gradient(model, x, y)
    # Each trainable variable borrows the place of a weight, so that names and layouts have one home.
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        variable.assign(gradient)
    trainable = [name for name in kept if not name.endswith(("running_mean", "running_var"))]
    renamed = get_weights(model, experiment)
    return {name: renamed[name] for name in trainable}


class LastValue(keras.metrics.Metric):
    """Keeps the last value it was given: Keras's own metrics give running means."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name)
        self.last = self.add_variable(shape=(), initializer="zeros", name="last")

    def update_state(self, value: Any, sample_weight: Any = None) -> None:
        self.last.assign(value)

    def result(self) -> Any:
        return keras.ops.convert_to_tensor(self.last)


class Replayed(keras.Model):
    """A model that also notes each step's own loss, through the hook that Keras documents."""

    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        loss = super().compute_loss(*args, **kwargs)
        self.step_loss.update_state(loss)
        return loss


class Recorder(keras.callbacks.Callback):
    """Losses of all steps, weights of some; counts over all epochs."""

    def __init__(self, experiment: config.Experiment, steps: int) -> None:
        super().__init__()
        self.experiment, self.steps = experiment, steps
        self.losses: list[float] = []
        self.weights: dict[str, dict[str, np.ndarray]] = {}

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.losses.append(float(logs["step_loss"]))
        step = len(self.losses)
        if step in KEPT_STEPS:
            if hasattr(self.model, "jax_state_sync"):
                self.model.jax_state_sync()
            self.weights[f"step_{step}"] = get_weights(self.model, self.experiment)
        if step % PROGRESS_EVERY == 0 or step == self.steps:
            print(f"step {step}/{self.steps}  loss {self.losses[-1]:.4f}", flush=True)


def versions() -> dict[str, str]:
    backend = keras.backend.backend()
    return {"keras": keras.__version__, backend: __import__(backend).__version__}


if __name__ == "__main__":
    main()
    # TensorFlow's threads have been seen to hang at exit; everything is on disk.
    sys.stdout.flush()
    os._exit(0)
