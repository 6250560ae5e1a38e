"""Writes tests/golden/policies.json: what Keras's own callbacks, schedules and optimizers do.

Run: .venv/bin/python scripts/make_policies_golden.py
     ... --out FILE --seed 7 --quick    # other sequences, without whole fits: a live comparison

Callbacks are called as `fit` calls them, on a real model, with sequences of losses that are drawn
here: falling, flat, tied, and equal but for float32's rounding. Fits are Keras's `fit` itself.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from parity.cases import reference  # first: it settles Keras's backend and precision

import jax
import keras
import numpy as np
from parity import config, idx, model
from parity.cases.optimizers import compiled_step

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "tests/golden/policies.json"
SEED = 2026
LONGEST = 24  # epochs of a sequence
SEQUENCES = 48  # of each precision
STEPS = 24
EVERY = 5
SHAPES = [[3, 2], [2], []]

ENCODER = [{"layer": "Conv2D", "filters": 2, "kernel_size": 3, "strides": 4, "padding": "same",
            "activation": "relu"}]
DECODER = [{"layer": "Conv2DTranspose", "filters": 1, "kernel_size": 3, "strides": 4,
            "padding": "same", "activation": "sigmoid"}]
NORMALIZED = [ENCODER[0], {"layer": "BatchNormalization", "momentum": 0.7}]
PICTURES, TESTED, BATCH = 64, 20, 12  # the last batch of an epoch has 4


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--float32", action="store_true", help="that part alone; for the script itself")
    arguments = parser.parse_args()
    if arguments.float32:
        arguments.out.write_text(json.dumps(part("float32", arguments)))
        return
    single, double = part_in_float32(arguments), part("float64", arguments)
    golden = {"script": "scripts/make_policies_golden.py", "keras": keras.__version__,
              "backend": f"jax {jax.__version__}"}
    golden |= {name: single[name] + double[name] for name in ("callbacks", "schedules")}
    golden["optimizers"] = double["optimizers"]
    golden["optimizers"]["cases"] += single["optimizers"]["cases"]
    if not arguments.quick:
        golden["fits"] = fits()
    arguments.out.write_text(json.dumps(golden) + "\n")
    print(f"{arguments.out.name}: {arguments.out.stat().st_size / 1e3:.0f} kB")


def part_in_float32(arguments):
    """In a process of its own: with its 64 bits switched on, JAX makes Python's numbers float64 whatever
    Keras's floatx is."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "float32.json"
        command = [sys.executable, __file__, "--float32", "--out", out, "--seed", str(arguments.seed)]
        subprocess.run(command + ["--quick"] * arguments.quick,
                       env=os.environ | {"JAX_ENABLE_X64": "0"}, check=True)
        return json.loads(out.read_text())


def part(floatx, arguments):
    keras.config.set_floatx(floatx)
    rng = np.random.default_rng([arguments.seed, int(floatx[-2:])])
    return {"callbacks": callbacks(rng, floatx),
            "schedules": [schedule_case(rng, floatx, drawn) for drawn in schedules(rng)],
            "optimizers": optimizers(floatx, arguments)}


# Callbacks.


def early_stopping(rng):
    options = {"monitor": ["val_loss", "loss"][rng.integers(2)],
               "min_delta": float(rng.choice([0, 0, 1e-8, 1e-3, 0.01])),
               "patience": int(rng.integers(0, 6)),
               "restore_best_weights": bool(rng.random() < 0.6),
               "start_from_epoch": int(rng.choice([0, 0, 0, 1, 3, 6]))}
    return options | ({"baseline": round(float(rng.uniform(0.2, 0.9)), 2)}
                      if rng.random() < 0.3 else {})


def reduce_lr_on_plateau(rng):
    return {"monitor": ["val_loss", "loss"][rng.integers(2)],
            "factor": round(float(rng.uniform(0.1, 0.95)), 3),
            "patience": int(rng.integers(0, 5)),
            "min_delta": float(rng.choice([0, 1e-8, 1e-4, 0.01])),
            "cooldown": int(rng.choice([0, 0, 1, 3])),
            "min_lr": float(rng.choice([0, 1e-4, 5e-3, 0.01]))}


def losses(rng):
    """One row an epoch."""
    kind = rng.choice([0, 1, 2, 2, 3])
    falling = np.exp(-np.arange(LONGEST) * rng.uniform(0, 0.3))[:, None]
    noise = rng.normal(size=(LONGEST, 2)) * rng.choice([0.01, 0.05, 0.2])
    drawn = np.abs(0.2 + 0.7 * falling + noise)
    if kind == 1:  # ties
        drawn = np.round(drawn, 1)
    elif kind == 2:  # equal, or nearly, to float32
        drawn = 0.5 + rng.integers(-3, 4, size=(LONGEST, 2)) * 1e-8
    elif kind == 3:  # at the very bound of min_delta
        drawn = 0.8 - 0.01 * np.cumsum(rng.integers(-1, 2, size=(LONGEST, 2)), axis=0)
    return [[round(float(value), 9) for value in row] for row in drawn]


def callbacks(rng, floatx):
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    network.compile(keras.optimizers.SGD(0.1), "mse")
    cases = []
    for index in range(SEQUENCES):
        train = {}
        if index % 3 != 1:
            train["early_stopping"] = early_stopping(rng)
        if index % 3 != 0:
            train["reduce_lr_on_plateau"] = reduce_lr_on_plateau(rng)
        rate = round(float(10 ** rng.uniform(-3, -1)), 6)
        rows = losses(rng)
        found = run(network, made(train), rate, rows)
        cases.append({"floatx": floatx, "train": train, "learning_rate": rate,
                      "losses": rows[: len(found["rates"])]} | found)
    return cases


def made(train):
    known = {"early_stopping": keras.callbacks.EarlyStopping,
             "reduce_lr_on_plateau": keras.callbacks.ReduceLROnPlateau}
    return [known[name](**options) for name, options in train.items() if name in known]


def run(network, policies, rate, rows):
    """As `fit` would; an epoch's weights are its number, so that it can be told which came back."""
    network.optimizer.learning_rate = rate
    network.stop_training = False
    every = keras.callbacks.CallbackList(policies, model=network)
    every.on_train_begin()
    rates = []
    for epoch, (loss, val_loss) in enumerate(rows):
        network.set_weights([np.full((1, 1), epoch + 1.0), np.zeros(1)])
        every.on_epoch_end(epoch, {"loss": loss, "val_loss": val_loss})
        rates.append(float(network.optimizer.learning_rate))
        if network.stop_training:
            break
    every.on_train_end()
    weights = int(network.get_weights()[0][0, 0])
    return {"rates": rates, "stopped": bool(network.stop_training), "weights_of_epoch": weights}


# Schedules.


def schedules(rng):
    """Each kind with options of all sorts; beside each the initial rate."""
    uniform = lambda low, high: round(float(rng.uniform(low, high)), 6)  # noqa: E731
    rate = lambda: round(float(10 ** rng.uniform(-4, 0)), 7)  # noqa: E731
    steps = lambda: int(rng.integers(1, 300))  # noqa: E731
    for stairs in (False, True):
        decay = {"decay_steps": steps(), "staircase": stairs}
        yield rate(), {"name": "ExponentialDecay", "decay_rate": uniform(0.1, 1.1)} | decay
        yield rate(), {"name": "InverseTimeDecay", "decay_rate": uniform(0, 3)} | decay
    yield rate(), {"name": "CosineDecay", "decay_steps": steps()}
    yield rate(), {"name": "CosineDecay", "decay_steps": steps(), "alpha": uniform(0, 1)}
    for warmup in (0, 1, steps()):
        yield rate(), {"name": "CosineDecay", "decay_steps": steps(), "alpha": uniform(0, 0.2),
                       "warmup_target": rate(), "warmup_steps": warmup}
    for cycle in (False, True):
        yield rate(), {"name": "PolynomialDecay", "decay_steps": steps(), "cycle": cycle}
        yield rate(), {"name": "PolynomialDecay", "decay_steps": steps(), "cycle": cycle,
                       "power": uniform(0.3, 3), "end_learning_rate": rate()}
    for count in (1, 2, 4):
        boundaries = sorted(int(each) for each in rng.choice(200, count, replace=False))
        values = [rate() for _ in range(count + 1)]
        yield values[0], {"name": "PiecewiseConstantDecay", "boundaries": boundaries,
                          "values": values}
    for t_mul in (1.0, 2.0, uniform(1.1, 3)):
        yield rate(), {"name": "CosineDecayRestarts", "first_decay_steps": steps(),
                       "t_mul": t_mul, "m_mul": uniform(0.5, 1), "alpha": uniform(0, 0.2)}


def schedule_case(rng, floatx, drawn):
    """Early steps, each boundary's neighbours, and steps long after the end."""
    initial, options = drawn
    marks = [value for key, value in options.items() if key.endswith("_steps")]
    marks += options.get("boundaries", []) + [sum(marks)]
    steps = {0, 1, 2, 3, 2000, *map(int, rng.integers(0, 700, 12))}
    # On which side of a restart its very step is, float32's last bit decides in a logarithm.
    at = () if options.get("t_mul", 1.0) not in (1.0, 2.0) else (0,)
    steps |= {max(mark + shift, 0) for mark in marks for shift in (-1, *at, 1)}
    schedule = model.schedule(initial, options)
    rates = [float(schedule(keras.ops.convert_to_tensor(step, "int32"))) for step in sorted(steps)]
    return {"floatx": floatx, "learning_rate": initial, "schedule": options,
            "steps": sorted(steps), "rates": rates}


# Optimizers: a moving average of the weights, accumulated gradients.

AVERAGED = {"use_ema": True, "ema_momentum": 0.8}
OVERWRITTEN = {"use_ema": True, "ema_momentum": 0.75, "ema_overwrite_frequency": 3}
VARIANTS = [
    AVERAGED,
    OVERWRITTEN,
    {"gradient_accumulation_steps": 3, "clipnorm": 0.7},
    OVERWRITTEN | {"gradient_accumulation_steps": 2, "weight_decay": 0.1, "global_clipnorm": 2.0},
]


def optimizers(floatx, arguments):
    """The same gradients in both precisions."""
    rng = np.random.default_rng(arguments.seed)
    start = [rng.normal(size=shape) for shape in SHAPES]
    gradients = [rng.normal(size=[STEPS, *shape]) * 10 ** rng.uniform(-1, 1, [STEPS, *shape])
                 for shape in SHAPES]
    cases = []
    for number, name in enumerate(("Adam", "AdamW", "SGD", "RMSprop", "Adadelta")):
        own = {"momentum": 0.9} if name in ("SGD", "RMSprop") else {}
        own |= {"amsgrad": True} if name == "Adam" else {}
        for index, variant in enumerate(VARIANTS):
            if arguments.quick and index != number % len(VARIANTS):
                continue
            options = own | variant | {"learning_rate": 0.03}
            cases.append({"floatx": floatx, "optimizer": {"name": name} | options,
                          "snapshots": optimizer_case(floatx, name, options, start, gradients)})
    rows = [flat(each[step] for each in gradients) for step in range(STEPS)]
    return {"lengths": [each.size for each in start], "start": flat(start), "every": EVERY,
            "gradients": rows, "cases": cases}


def optimizer_case(floatx, name, options, start, gradients):
    """The weights after every few steps, and last of all after training's end."""
    optimizer = getattr(keras.optimizers, name)(**options)
    variables = [keras.Variable(weight, dtype=floatx) for weight in start]
    optimizer.build(variables)
    step = compiled_step(optimizer, variables)
    snapshots = []
    for index in range(STEPS):
        step([keras.ops.convert_to_tensor(each[index], floatx) for each in gradients])
        if (index + 1) % EVERY == 0:
            snapshots.append(flat(variables))
    optimizer.finalize_variable_values(variables)
    return [*snapshots, flat(variables)]


def flat(tensors):
    return [float(value) for tensor in tensors
            for value in np.asarray(keras.ops.convert_to_numpy(tensor)).ravel()]


# Whole fits.


def fits():
    """`fit` with all of it, by the `[train]` section that convae is given."""
    plans = []
    for number, name in enumerate(("Adam", "AdamW", "SGD", "RMSprop", "Adadelta")):
        for index, variant in enumerate(VARIANTS[number % 2 :: 2]):
            plans.append({"epochs": 3, "optimizer": {"name": name, "learning_rate": 0.01} | variant,
                          "normalized": index == 1})
    adam = {"name": "Adam", "learning_rate": 0.05}
    rates = {"name": "CosineDecay", "decay_steps": 20, "warmup_target": 0.1, "warmup_steps": 4}
    plans += [
        {"epochs": 5, "optimizer": adam, "learning_rate_schedule": rates},
        {"epochs": 4, "optimizer": adam | {"gradient_accumulation_steps": 4},
         "learning_rate_schedule": {"name": "ExponentialDecay", "decay_steps": 5,
                                    "decay_rate": 0.7, "staircase": True}},
        # A rate that is too high: it stops soon, and an earlier epoch was better.
        {"epochs": 12, "optimizer": adam | {"learning_rate": 0.5, "use_ema": True},
         "early_stopping": {"patience": 2, "restore_best_weights": True}, "normalized": True},
        {"epochs": 12, "optimizer": adam | {"learning_rate": 0.5, "use_ema": True},
         "early_stopping": {"patience": 2}},
        {"epochs": 10, "optimizer": adam | {"learning_rate": 0.8}, "normalized": True,
         "early_stopping": {"patience": 5, "restore_best_weights": True},
         "reduce_lr_on_plateau": {"patience": 1, "factor": 0.3, "min_lr": 0.01}},
    ]
    return [fit_case(plan) for plan in plans]


def fit_case(plan):
    train = dict(plan)
    encoder = NORMALIZED if train.pop("normalized", False) else ENCODER
    described = {"input_shape": [28, 28, 1], "encoder": encoder, "decoder": DECODER}
    keras.config.set_floatx("float64")
    keras.utils.clear_session()
    keras.utils.set_random_seed(SEED)
    experiment = config.experiment({"name": "golden", "model": described})
    network = model.build(experiment)
    optimizer = dict(train["optimizer"])
    kind = getattr(keras.optimizers, optimizer.pop("name"))
    if "learning_rate_schedule" in train:
        optimizer["learning_rate"] = model.schedule(
            optimizer["learning_rate"], train["learning_rate_schedule"])
    network.compile(kind(**optimizer), "binary_crossentropy")
    initial = weights(network, experiment)
    watch = Rates()
    seen = network.fit(
        *pictures("train", PICTURES), batch_size=BATCH, epochs=train["epochs"], shuffle=False,
        validation_data=pictures("test", TESTED), validation_batch_size=BATCH, verbose=0,
        callbacks=[watch, *made(train)])
    train |= {"batch_size": BATCH, "shuffle": False, "dtype": "float64"}
    print(f"{train['optimizer']}: {len(seen.history['loss'])} epochs, {watch.rates}")
    return {"model": described, "train": train, "initial": initial, "rates": watch.rates,
            "stopped": bool(network.stop_training), "losses": seen.history["loss"],
            "val_losses": seen.history["val_loss"], "weights": weights(network, experiment)}


class Rates(keras.callbacks.Callback):
    """The learning rate at each epoch's end, before other callbacks change it."""

    def __init__(self):
        super().__init__()
        self.rates = []

    def on_epoch_end(self, epoch, logs=None):
        self.rates.append(float(self.model.optimizer.learning_rate))


def weights(network, experiment):
    """In convae's order and layouts, one row of all, moving statistics too."""
    return flat(model.get_weights(network, experiment).values())


def pictures(split, samples):
    clean = idx.scaled(idx.clean_bytes(ROOT / "tests/digits", split, samples)).astype(np.float64)
    return clean, clean


if __name__ == "__main__":
    assert reference.BACKEND == "jax", "unset KERAS_BACKEND"
    main()
