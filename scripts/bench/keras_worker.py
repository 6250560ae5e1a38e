"""Keras as a contestant: `fit` and `predict` with their defaults, pictures as float32 arrays in memory.

Run by the parent as `python -m bench.keras_worker JOB`, KERAS_BACKEND being set. `compile` keeps its
documented default, jit_compile="auto".
"""

import time
from typing import Any

import keras

from parity.model import build, compile_model

from . import serve


class Stopwatch(keras.callbacks.Callback):
    """When each step's loss was known.

    `async_safe` lets Keras call it beside the training as it calls its own history, so that looking
    at the clock makes no step wait.
    """

    async_safe = True

    def __init__(self) -> None:
        super().__init__()
        self.stamps: list[float] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.stamps.append(time.perf_counter())


def main() -> None:
    asked = serve.job()
    experiment = serve.experiment(asked)
    keras.config.set_dtype_policy(experiment.dtype)
    train_set = serve.pictures(experiment, "train")
    model = build(experiment)
    compile_model(model, experiment)

    def train(steps: int) -> dict[str, Any]:
        """The step that sets up the input pipeline comes before the clock: an epoch has one such."""
        watch = Stopwatch()
        model.fit(train_set, train_set, batch_size=experiment.batch_size, steps_per_epoch=steps + 1,
                  verbose=0, callbacks=[watch])
        assert len(watch.stamps) == steps + 1
        return {"seconds": max(watch.stamps) - min(watch.stamps)}

    test_set = None

    def predict(passes: int) -> dict[str, Any]:
        nonlocal test_set
        if test_set is None:
            test_set = serve.pictures(experiment, "test")
        started = time.perf_counter()
        for _ in range(passes):
            model.predict(test_set, batch_size=experiment.batch_size, verbose=0)
        return {"seconds": time.perf_counter() - started}

    train(asked["warm_up"])
    serve.serve({"train": train, "predict": predict}, {"peak_mb": serve.peak_mb()})


if __name__ == "__main__":
    main()
