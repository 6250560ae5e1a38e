"""Tests of how far apart two gradients are."""

import unittest

import numpy as np

from . import bars
from .compare import weight_distances

KERNEL, BIAS = "encoder.conv2d.weight", "encoder.conv2d.bias"


def gradient(kernel: float, bias: float) -> dict[str, np.ndarray]:
    """Of a kernel and of the bias beside it, each with this norm."""
    return {KERNEL: np.array([kernel, 0.0]), BIAS: np.array([0.0, bias])}


class Distances(unittest.TestCase):
    def test_what_is_0_but_for_rounding_is_held_against_the_whole_gradient(self) -> None:
        """A bias before a batch normalization."""
        distances = weight_distances(gradient(2.0, 3e-17), gradient(2.0, -1e-18), bars.EXACT)
        self.assertEqual(distances[KERNEL], 0)
        self.assertAlmostEqual(distances[BIAS] / (3.1e-17 / 2), 1)

    def test_a_gradient_that_should_be_0_and_is_not_is_found(self) -> None:
        distances = weight_distances(gradient(2.0, 1e-6), gradient(2.0, 0.0), bars.EXACT)
        self.assertAlmostEqual(distances[BIAS], 5e-7)
        self.assertGreater(distances[BIAS], bars.EXACT)

    def test_a_small_gradient_is_held_against_itself(self) -> None:
        """A hundred thousandth of the whole in float64, a hundredth in float32."""
        for bar, small in ((bars.EXACT, 2e-5), (bars.FIRST_GRADIENT, 2e-2)):
            distances = weight_distances(gradient(2.0, small * 1.25), gradient(2.0, small), bar)
            self.assertAlmostEqual(distances[BIAS], 0.25)

    def test_tensors_that_only_one_side_has_are_no_number(self) -> None:
        one, other = gradient(1.0, 1.0), gradient(1.0, 1.0)
        del one[BIAS]
        self.assertTrue(np.isnan(weight_distances(one, other, bars.EXACT)[BIAS]))
