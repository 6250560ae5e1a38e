"""Every initializer: the distribution of a new model's weights, by the fans of each kind of kernel.

Bounds and deviations are those that Keras asks its own generator for.
"""

import math
from unittest import mock

import numpy as np

from . import reference
from .case import Case

STANDARD_ERRORS = 4.0
RANDOM = ["glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_uniform",
          "lecun_normal"]
RANDOM_OPTIONS = {
    "RandomNormal": {"mean": 0.5, "stddev": 2.0},
    "TruncatedNormal": {"mean": -1.0, "stddev": 0.25},
    "RandomUniform": {"minval": -0.25, "maxval": 1.0},
    "VarianceScaling": {"scale": 3.0, "mode": "fan_out", "distribution": "untruncated_normal"},
}
CONSTANT_OPTIONS = {"Constant": {"value": -0.375}, "Identity": {"gain": -0.375}}
ORTHOGONAL_OPTIONS = {"Orthogonal": {"gain": 1.5}}
OPTIONS = RANDOM_OPTIONS | CONSTANT_OPTIONS | ORTHOGONAL_OPTIONS
NAMES = [*RANDOM, "zeros", "ones", *OPTIONS]
# Of dot products of vectors with thousands of values.
ROUNDING = 1e-12
# A million weights each, and fans in and out that no other reading of the layout would give.
LAYERS = [
    ({"layer": "Conv2D", "filters": 125, "kernel_size": [4, 8], "padding": "same"}, [1, 1, 250]),
    ({"layer": "Conv2DTranspose", "filters": 125, "kernel_size": [4, 8]}, [1, 1, 250]),
    ({"layer": "Dense", "units": 2000}, [500]),
]
# The outermost of a million draws is this near the bound, but for one seed in a billion: uniform
# ones thin out evenly, normal ones have density 0.0566 at two deviations, and two sides.
NEAREST = {"uniform": 1 - 2.1e-5, "truncated_normal": 1 - 1e-4}


class Asked(Exception):
    """What Keras wanted from its generator."""


def asked_of_the_generator(table, shape):
    """The function's name and its arguments, for the kernel of the layer."""
    random = reference.keras.src.initializers.random_initializers.random

    def catch(name):
        def call(*_args, **options):
            raise Asked(name, options)
        return call

    layer = reference.build_layer(table)
    with mock.patch.multiple(random, uniform=catch("uniform"),
                             truncated_normal=catch("truncated_normal"), normal=catch("normal")):
        try:
            layer.build([1, *shape])
        except Asked as asked:
            return asked.args
    raise RuntimeError(f"Keras drew nothing for {table}")


def truncated_moments():
    """Variance and fourth moment of a standard normal cut off at two deviations."""
    cut, density = 2.0, math.exp(-2.0) / math.sqrt(2 * math.pi)
    inside = math.erf(cut / math.sqrt(2))
    variance = 1 - 2 * cut * density / inside
    return variance, 3 * variance - 2 * cut**3 * density / inside


def expected(kind, options):
    """Largest distance from the mean, mean, variance and fourth moment."""
    if kind == "uniform":
        low, high = options["minval"], options["maxval"]
        reach = (high - low) / 2
        return reach, (low + high) / 2, reach**2 / 3, reach**4 / 5
    cut, variance, fourth = (math.inf, 1.0, 3.0) if kind == "normal" else (2.0, *truncated_moments())
    scale = options["stddev"]
    return cut * scale, options["mean"], scale**2 * variance, scale**4 * fourth


def judge_random(table, shape, weights):
    """Errors in standard errors; a bound that is overstepped or not reached is infinitely wrong."""
    kind, options = asked_of_the_generator(table, shape)
    bound, mean, variance, fourth = expected(kind, options)
    values, count = weights["weight0"].ravel() - mean, weights["weight0"].size
    outermost = np.abs(values).max() / bound
    within = NEAREST.get(kind, 0.0) <= outermost <= 1 + 4e-16
    errors = {
        f"outermost value over bound, {outermost:.9f},": 0.0 if within else np.inf,
        "mean": abs(values.mean()) / math.sqrt(variance / count),
        "variance": abs(np.mean(values**2) - variance)
        / math.sqrt((fourth - variance**2) / count),
        "neighbours": abs(np.mean(values[1:] * values[:-1])) / (variance / math.sqrt(count)),
        "bias": np.inf if weights["weight1"].any() else 0.0,
    }
    return {name: float(error) for name, error in errors.items()}


def judge_constant(table, shape, weights):
    """Every value is the one that Keras's layer has."""
    layer = reference.build_layer(table)
    layer.build([1, *shape])
    pairs = zip(layer.get_weights(), [weights["weight0"], weights["weight1"]], strict=True)
    return {"values": 0.0 if all(np.array_equal(*pair) for pair in pairs) else np.inf}


def judge_orthogonal(_table, _shape, weights):
    """All but the last axis in a row, the vectors of the shorter side have the length of `gain` and no part in
    one another (`initializers/random_initializers.py`, whose own draws say nothing of ours); they lie any way
    round."""
    kernel = weights["weight0"]
    flat, gain = kernel.reshape(-1, kernel.shape[-1]), ORTHOGONAL_OPTIONS["Orthogonal"]["gain"]
    flat = flat if flat.shape[0] < flat.shape[1] else flat.T
    off = np.abs(flat @ flat.T / gain**2 - np.eye(len(flat))).max()
    variance, count = gain**2 / flat.shape[1], kernel.size
    return {
        f"dot products, {off:.1e} off,": 0.0 if off <= ROUNDING else np.inf,
        "mean": float(abs(flat.mean()) / math.sqrt(variance / count)),
        "diagonal": float(abs(np.diag(flat).mean()) / math.sqrt(variance / len(flat))),
        "bias": np.inf if weights["weight1"].any() else 0.0,
    }


def judge_of(name):
    if name in ORTHOGONAL_OPTIONS:
        return judge_orthogonal
    return judge_random if name in RANDOM or name in RANDOM_OPTIONS else judge_constant


def draw(row, index, seed):
    """One case: one kind of kernel."""
    name = row.removeprefix("initializer ")
    table, shape = LAYERS[index]
    initializer = {"name": name} | OPTIONS[name] if name in OPTIONS else name
    table = table | {"kernel_initializer": initializer}
    judge = judge_of(name)
    request = {"kind": "start", "layer": table, "input": shape,
               "seed": 100 * seed + NAMES.index(name)}
    return Case(row, index, request, {}, lambda answer: judge(table, shape, answer),
                STANDARD_ERRORS)


def cases(row, _count, seed):
    # An identity is a matrix, which only the kernel of a Dense is.
    fit = [index for index, (table, _) in enumerate(LAYERS) if "Identity" not in row or table["layer"] == "Dense"]
    return [draw(row, index, seed) for index in fit]
