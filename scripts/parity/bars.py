"""How close is equal. Every tolerance has its reason here and is nowhere else."""

EXACT = 1e-9
"""float64. What differs is the order of sums, 4e-16 in a step's loss; the rest is room for the
chaos of training, which enlarges that by some 1e4 in an epoch. The smallest mistake that we know,
libtorch's epsilon in Adam, is 1e-6 within ten steps."""

FIRST_LOSS = 1e-6
"""float32. Nothing has moved yet: only rounding, 6e-8 a sum."""
FIRST_GRADIENT = 1e-5
"""float32, by the norm of each weight's gradient: sums over 25,088 values that mostly cancel."""
FIRST_TEN = 2e-5
"""float32. Keras's own backends part by 7e-6 in steps 1 to 10; libtorch's own Adam by 6e-4."""
EPOCH_MEAN = 3e-4
"""float32. Keras's own backends part by 1.3e-4 in the mean of an epoch."""
BACKENDS_APART = 2.0
"""Further than this many times the distance between Keras's own backends is too far. So it is of Keras on
JAX in float32 from itself in float64, over the first ten steps: two that lie as far from float64 as
that can be twice as far from one another."""
MEASURED_STEPS = 10
"""As many are replayed in float64 to measure that distance by."""
CALM = 1000
"""Steps of a float32 run from which on its validation loss moves as little as the epoch's mean. Before, it
is a loss at weights on a steep way down, and is measured like a step's: by the largest distance between two
backends in any step."""
CHAOS = 1e-2
"""float32. Keras's own backends part by up to 7.5e-3 in a step. With one backend there is nothing to
measure this by, so what lies between a bar and this is neither held nor missed."""

ROUNDED = 1e-3
"""mixed_bfloat16. At least so far is the first gradient from float32's where values are rounded to 8 bits, 4e-3;
0.02 was seen, and of float32 itself 1e-6."""
ROUNDINGS = 2.0**-7
"""mixed_bfloat16. What some roundings of 2^-9 each leave of a weight's gradient: where Keras by luck is nearer to
float32, its distance is counted as this."""
LOST = 0.05
"""mixed_bfloat16. As far as a gradient may be from float32's where Keras has lost more: its sums of biases can lose all."""
ROUNDED_LOSS = 2.0**-9
"""mixed_bfloat16. One rounding, where Keras's loss by luck is nearer to float32's."""

INITIAL_WEIGHTS = 2.5
"""Kolmogorov-Smirnov distance times the root of the count: beyond it with chance 7e-6. Fans that are
wrong by a quarter show in 1,000 weights."""
NOISE = 5.0
"""Standard errors: beyond it with chance 6e-7."""
SEEDS = 2.0
"""Standard errors of the difference between two means over seeds."""
