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


KINDS = {"Dropout training": (drops, dropped), "GaussianNoise training": (adds_noise, noisy)}


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
