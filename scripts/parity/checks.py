"""What must hold of a trace by itself: how weights start, what noise does, what order is drawn.

A replay takes these from the trace, so it cannot find a mistake in them.
"""

import math
from typing import Any

import numpy as np

from . import bars, layouts
from .config import Experiment, Layer
from .feed import Feed
from .rows import Row, within
from .runs import Run, Weights

# Keras's defaults and formulas: initializers/random_initializers.py.
DEFAULT_INITIALIZER = {"name": "GlorotUniform"}
DEFAULTS = {
    "Constant": {"value": 0.0},
    "RandomNormal": {"mean": 0.0, "stddev": 0.05},
    "TruncatedNormal": {"mean": 0.0, "stddev": 0.05},
    "RandomUniform": {"minval": -0.05, "maxval": 0.05},
    "VarianceScaling": {"scale": 1.0, "mode": "fan_in", "distribution": "truncated_normal"},
    "Orthogonal": {"gain": 1.0},
    "Identity": {"gain": 1.0},
}


def _scaling(scale: float, mode: str, distribution: str) -> dict[str, Any]:
    return {"name": "VarianceScaling", "scale": scale, "mode": mode, "distribution": distribution}


NAMED = {
    "Zeros": {"name": "Constant", "value": 0.0},
    "Ones": {"name": "Constant", "value": 1.0},
    "GlorotUniform": _scaling(1.0, "fan_avg", "uniform"),
    "GlorotNormal": _scaling(1.0, "fan_avg", "truncated_normal"),
    "HeUniform": _scaling(2.0, "fan_in", "uniform"),
    "HeNormal": _scaling(2.0, "fan_in", "truncated_normal"),
    "LecunUniform": _scaling(1.0, "fan_in", "uniform"),
    "LecunNormal": _scaling(1.0, "fan_in", "truncated_normal"),
}
"""Those that are others with options."""
ORTHOGONAL = 1e-5
"""Rounding of a kernel in float32."""
TRUNCATED_STDDEV = 0.87962566103423978
"""Deviation of a standard normal truncated at 2; Keras divides by it."""
CONSTANTS = {"bias": 0.0, "beta": 0.0, "gamma": 1.0, "moving_mean": 0.0, "moving_variance": 1.0}
PICTURES = 2000
"""Pictures whose noise is examined: 1.5 million values."""


def check(experiment: Experiment, ours: Run, feed: Feed) -> list[Row]:
    """All of them."""
    rows = [initial_weights(experiment, ours.weights["initial"]), order(experiment, feed)]
    # Of pairs the noisy picture is not known apart from the noise that was added to it.
    known = experiment.corrupts and experiment.data_kind != "pairs"
    return rows + ([corrupted_inputs(experiment, feed)] if known else [])


def initial_weights(experiment: Experiment, weights: Weights) -> Row:
    """Every weight is distributed as Keras's initializer says, or constant."""
    if not experiment.draws_weights:
        return Row("initial weights", "-", "-", None, "a checkpoint's: model.weights")
    worst, culprit, at = 0.0, "", ""
    for layer in experiment.layers:
        for suffix, keras_name in layouts.names_of(layer.kind).items():
            name = f"{layer.part}.{layer.name}.{suffix}"
            if name not in weights:
                continue
            array = layouts.to_keras(layer.kind, suffix, weights[name]).astype(float)
            distance, what = _from_initializer(layer, keras_name, array)
            if distance > worst:
                worst, at, culprit = distance, name, f"the initial {name}: {what}"
    return within("initial weights", worst, bars.INITIAL_WEIGHTS, f"{at} (Kolmogorov-Smirnov)", culprit)


def _from_initializer(layer: Layer, keras_name: str, array: np.ndarray) -> tuple[float, str]:
    """How far from the initializer's distribution, and what it is not."""
    table = _initializer_of(layer, keras_name)
    name = table["name"]
    options = {**DEFAULTS.get(name, {}), **table}
    if name == "Constant":
        return _all_are(array, np.full_like(array, options["value"]), f"{options['value']:g} everywhere")
    if name == "Identity":
        return _all_are(array, options["gain"] * np.eye(*array.shape), "the identity")
    if name == "Orthogonal":
        matrix = array.reshape(-1, array.shape[-1])
        matrix = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
        error = np.abs(matrix.T @ matrix - options["gain"] ** 2 * np.eye(matrix.shape[1])).max()
        return (0.0 if error < ORTHOGONAL * options["gain"] ** 2 else math.inf), "it is not orthogonal"
    if name == "RandomUniform":
        low, high = options["minval"], options["maxval"]
        centre, cdf = (low + high) / 2, _uniform((high - low) ** 2 / 12)
    elif name == "RandomNormal":
        centre, cdf = options["mean"], _normal(options["stddev"])
    elif name == "TruncatedNormal":
        centre, cdf = options["mean"], _truncated(options["stddev"])
    else:
        centre, cdf = 0.0, _scaled(options, array.shape)
    return _kolmogorov(array.ravel() - centre, cdf), f"not {name} for the shape {array.shape}"


def _initializer_of(layer: Layer, keras_name: str) -> dict[str, Any]:
    """The table of the weight's initializer, as one of the general ones."""
    stem = keras_name.removesuffix("_kernel")
    if layer.kind == "DepthwiseConv2D" and stem == "kernel":
        stem = "depthwise"
    constant = {"name": "Constant", "value": CONSTANTS.get(stem, 0.0)}
    usual = DEFAULT_INITIALIZER if keras_name.endswith("kernel") else constant
    table = layer.options.get(f"{stem}_initializer", usual)
    return NAMED.get(table["name"], table)


def _all_are(array: np.ndarray, wanted: np.ndarray, what: str) -> tuple[float, str]:
    return (0.0 if np.array_equal(array, wanted.astype(array.dtype)) else math.inf), f"it is not {what}"


def _scaled(options: dict[str, Any], shape: tuple[int, ...]):
    """Of a `VarianceScaling`."""
    field = math.prod(shape[:-2])
    fan_in, fan_out = (field * shape[-2], field * shape[-1]) if len(shape) > 1 else shape * 2
    count = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[options["mode"]]
    variance = options["scale"] / max(1.0, count)
    deviation = math.sqrt(variance)
    return {
        "uniform": lambda: _uniform(variance),
        "untruncated_normal": lambda: _normal(deviation),
        "truncated_normal": lambda: _truncated(deviation / TRUNCATED_STDDEV),
    }[options["distribution"]]()


def _uniform(variance: float):
    limit = math.sqrt(3 * variance)
    return lambda x: np.clip((x / limit + 1) / 2, 0, 1)


def _normal(stddev: float):
    return lambda x: _phis(x / stddev)


def _truncated(stddev: float):
    """At two of the deviations before the cut."""
    low, high = _phi(-2.0), _phi(2.0)
    return lambda x: np.clip((_phis(x / stddev) - low) / (high - low), 0, 1)


def _kolmogorov(values: np.ndarray, cdf) -> float:
    """Largest distance between the two distribution functions, times the root of the count."""
    expected, count = cdf(np.sort(values)), values.size
    steps = np.arange(count + 1) / count
    distance = max((steps[1:] - expected).max(), (expected - steps[:-1]).max())
    return float(distance * math.sqrt(count))


def order(experiment: Experiment, feed: Feed) -> Row:
    """Every picture once an epoch; another order each epoch where it is shuffled, else the files'."""
    orders = [feed.order(epoch) for epoch in range(1, experiment.epochs + 1)]
    unshuffled = np.arange(len(feed.clean("train")))
    if not all(np.array_equal(np.sort(order), unshuffled) for order in orders):
        problem = "an epoch does not take every picture once"
    elif experiment.shuffle and any(np.array_equal(order, unshuffled) for order in orders):
        problem = "an epoch is not shuffled"
    elif not experiment.shuffle and not all(np.array_equal(order, unshuffled) for order in orders):
        problem = "an epoch is shuffled"
    elif experiment.shuffle and any(np.array_equal(a, b) for a, b in zip(orders, orders[1:])):
        problem = "two epochs have one order"
    else:
        return Row("order", "every picture once", "the same", True)
    return Row("order", problem, "every picture once", False, culprit=f"the order: {problem}")


def corrupted_inputs(experiment: Experiment, feed: Feed) -> Row:
    """clean + factor * normal, clipped to 0..1 where the config says so; new noise where it should be."""
    gaussian = experiment.gaussian
    if gaussian is None:
        kinds = ", ".join(table["kind"] for table in experiment.corruption)
        return Row("corrupted inputs", "-", "-", None, f"{kinds}: `cargo test` holds them to references")
    findings = {}
    resampled = gaussian["resample"] == "epoch"
    for epoch in range(1, experiment.epochs + 1):
        if epoch > 1 and (resampled or feed.draws()) != feed.corrupted_file(epoch).exists():
            return _noise_missed(f"resample = {gaussian['resample']}, epoch {epoch} does not")
    train = feed.train_inputs(1)[:PICTURES]
    if experiment.epochs > 1 and resampled and np.array_equal(train, feed.train_inputs(2)[:PICTURES]):
        return _noise_missed("epoch 2 has the noise of epoch 1")
    for split, inputs in (("train", train), ("test", feed.test_inputs()[:PICTURES])):
        clean = feed.clean_bytes(split)
        if clean is None:
            return Row("corrupted inputs", "16 bits", "by cargo test", None)
        clean = clean[:PICTURES]
        if gaussian["clip"] and not (inputs.min() >= 0 and inputs.max() <= 1):
            return _noise_missed(
                f"clip = true, but {split} inputs reach {inputs.min():.3f} to {inputs.max():.3f}"
            )
        findings |= {f"{split} {name}": z for name, z in _errors(gaussian, clean, inputs).items()}
    name, worst = max(findings.items(), key=lambda item: abs(item[1]))
    culprit = f"the corrupted inputs: {name} is {worst:.1f} standard errors off"
    return within("corrupted inputs", abs(worst), bars.NOISE, f"{name}, in standard errors", culprit)


def _noise_missed(problem: str) -> Row:
    return Row("corrupted inputs", problem, "as configured", False, culprit=f"the corrupted inputs: {problem}")


def _errors(corruption: dict, clean: np.ndarray, inputs: np.ndarray) -> dict[str, float]:
    """Moments of the noise, and whether neighbours share it, in standard errors."""
    moments = _clipped_moments if corruption["clip"] else _free_moments
    first, second = moments(np.arange(256) / 255, corruption["factor"])
    values = inputs.astype(float)
    residual, square = values - first[clean], values**2 - second[clean]
    rows = residual.reshape(len(residual), -1)
    return {
        "mean": _standard_errors(residual),
        "mean square": _standard_errors(square),
        "noise of neighbouring pictures": _standard_errors(rows[1:] * rows[:-1]),
        "noise of neighbouring pixels": _standard_errors(rows[:, 1:] * rows[:, :-1]),
    }


def _standard_errors(values: np.ndarray) -> float:
    """Of a mean that should be 0. A factor of 0 has no deviation."""
    error = values.std() / math.sqrt(values.size)
    return float(values.mean() / error) if error > 0 else float(values.any()) * math.inf


def _free_moments(clean: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    return clean, clean**2 + sigma**2


def _clipped_moments(clean: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean and mean square of a normal that is clipped to 0..1."""
    if sigma == 0:
        return clean, clean**2
    low, high = -clean / sigma, (1 - clean) / sigma
    inside, above = _phis(high) - _phis(low), 1 - _phis(high)
    at_low, at_high = _density(low), _density(high)
    first = clean * inside + sigma * (at_low - at_high) + above
    second = (
        (clean**2 + sigma**2) * inside
        + 2 * clean * sigma * (at_low - at_high)
        + sigma**2 * (low * at_low - high * at_high)
        + above
    )
    return first, second


def _phi(x: float) -> float:
    return (1 + math.erf(x / math.sqrt(2))) / 2


_phis = np.vectorize(_phi, otypes=[float])


def _density(x: np.ndarray) -> np.ndarray:
    return np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
