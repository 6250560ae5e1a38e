"""Layers that draw random numbers while training. No library repeats another's draws, so what they
do is held exactly, and how often they do it by its statistics, in standard errors."""

import numpy as np

from . import reference
from .case import Case, distance, generator

SHAPE = [4, 25, 25, 40]  # 100,000 draws
# Chance exceeds four standard errors once in 16,000 times; the draws follow from the seed.
STANDARD_ERRORS = 4.0
# What is no matter of chance is a product or a sum of two numbers: one rounding of 1.1e-16.
EXACT = 1e-15


def drops(rng):
    return {"layer": "Dropout", "rate": float(rng.uniform(0.01, 0.99))}


def adds_noise(rng):
    return {"layer": "GaussianNoise", "stddev": float(rng.uniform(0.01, 1))}


def dropped(table, x, dy, answer):
    """How far the zeros are from independent draws at the rate."""
    rate = table["rate"]
    mask = answer["y"] != 0
    spread = np.sqrt(rate * (1 - rate))
    zeros = (~mask - rate) / spread
    errors = {
        "values": distance(answer["y"], mask * x / (1 - rate)),
        "gradient": distance(answer["dx"], mask * dy / (1 - rate)),
    }
    return exact(errors) | in_standard_errors(zeros, {})


def multiplies(rng):
    return {"layer": "GaussianDropout", "rate": float(rng.uniform(0.01, 0.9))}


def noisy_factors(table, x, dy, answer):
    """The same of the factors' distance from 1."""
    stddev = np.sqrt(table["rate"] / (1 - table["rate"]))
    factors = answer["y"] / x
    noise = {"y": x + (factors - 1), "dx": dy}
    gradient = exact({"factors": distance(answer["dx"], factors * dy)})
    return gradient | noisy({"stddev": stddev}, x, dy, noise)


def drops_to_a_limit(rng):
    return {"layer": "AlphaDropout", "rate": float(rng.uniform(0.01, 0.99))}


def at_a_limit(table, x, dy, answer):
    """How far the values at the limit are from independent draws at the rate."""
    rate, limit = table["rate"], -1.6732632423543772848170429916717 * 1.0507009873554804934193349852946
    a = ((1 - rate) * (1 + rate * limit**2)) ** -0.5
    mask = answer["dx"] != 0
    errors = {
        "values": distance(answer["y"], a * np.where(mask, x, limit) - a * limit * rate),
        "gradient": distance(answer["dx"], a * mask * dy),
    }
    return exact(errors) | in_standard_errors((~mask - rate) / np.sqrt(rate * (1 - rate)), {})


def drops_channels(rng):
    return {"layer": "SpatialDropout2D", "rate": float(rng.uniform(0.1, 0.9))}


def dropped_channels(table, x, dy, answer):
    """The same of whole channels: one draw for each."""
    first = {name: array[:, 0, 0] for name, array in answer.items() if name in ("y", "dx")}
    whole = (first["y"] != 0)[:, None, None] == (answer["y"] != 0)
    split = {"channels in part": 0.0 if whole.all() else np.inf}
    return split | dropped(table, x[:, 0, 0], dy[:, 0, 0], first)


def noisy(table, x, dy, answer):
    """How far the noise is from independent normal draws."""
    noise = (answer["y"] - x) / table["stddev"]
    # Variances of z^2 - 1, z^3 and z^4 - 3 for normal z.
    moments = {"variance": (noise**2 - 1) / np.sqrt(2), "skewness": noise**3 / np.sqrt(15),
               "kurtosis": (noise**4 - 3) / np.sqrt(96)}
    return exact({"gradient": distance(answer["dx"], dy)}) | in_standard_errors(noise, moments)


def exact(errors):
    """Errors in units that make the bar of the row theirs."""
    return {name: error / EXACT * STANDARD_ERRORS for name, error in errors.items()}


def in_standard_errors(z, moments):
    """Means of what has mean 0 and variance 1, also between neighbours along each axis."""
    of_mean_zero = {"mean": z} | moments
    for axis in range(z.ndim):
        first = np.take(z, range(z.shape[axis] - 1), axis)
        of_mean_zero[f"neighbours along axis {axis}"] = first * np.take(
            z, range(1, z.shape[axis]), axis)
    return {name: float(abs(values.mean()) * np.sqrt(values.size))
            for name, values in of_mean_zero.items()}


KINDS = {
    "Dropout training": (drops, dropped),
    "GaussianNoise training": (adds_noise, noisy),
    "GaussianDropout training": (multiplies, noisy_factors),
    "AlphaDropout training": (drops_to_a_limit, at_a_limit),
    "SpatialDropout2D training": (drops_channels, dropped_channels),
}


def draw(row, index, seed):
    """One case: our draws, and Keras's own by the same yardstick."""
    rng = generator(seed, row, index)
    make, measure = KINDS[row]
    table = make(rng)
    # Away from 0, so that a zero in the output is one that the layer made.
    x = rng.uniform(0.5, 1.5, SHAPE)
    dy = rng.normal(size=SHAPE)

    def judge(answer):
        keras = reference.evaluate(table, x, [], dy, training=True)
        return measure(table, x, dy, answer) | {
            f"Keras's own {name}": error for name, error in measure(table, x, dy, keras).items()}

    request = {"kind": "layer", "layer": table, "training": True, "seed": index + 1}
    return Case(row, index, request, {"x": x, "dy": dy}, judge, STANDARD_ERRORS)


def cases(row, count, seed):
    return [draw(row, index, seed) for index in range(max(1, count // 20))]
