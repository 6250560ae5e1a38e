//! Softmax over the channels of each pixel of a row. Source: Keras `activations/activations.py`, `softmax`.
//!
//! ```text
//! y_c = exp(x_c - max x) / sum_k exp(x_k - max x)        dx_c = y_c * (dy_c - sum_k dy_k * y_k)
//! ```

use super::Real;
use super::elementwise::sum_of;

/// What is not a number is left out; it shows in the sum.
#[inline(always)]
fn largest<T: Real>(values: &[T]) -> T {
    const LANES: usize = 8;
    let larger = |a: T, b: T| if b > a { b } else { a };
    let chunks = values.chunks_exact(LANES);
    let rest = chunks.remainder().iter().copied().fold(T::neg_infinity(), larger);
    let mut lanes = [rest; LANES];
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, &value)| *lane = larger(*lane, value));
    }
    lanes.into_iter().fold(rest, larger)
}

#[inline(always)]
pub(super) fn softmax<T: Real>(values: &[T], results: &mut [T], channels: usize) {
    let pixels = results.chunks_exact_mut(channels).zip(values.chunks_exact(channels));
    for (y, x) in pixels {
        let largest = largest(x);
        for (y, &x) in y.iter_mut().zip(x) {
            *y = (x - largest).exponential();
        }
        let sum = T::of(sum_of(y, y, |y, _| y.wide()));
        for y in y {
            *y = *y / sum;
        }
    }
}

#[inline(always)]
pub(super) fn softmax_gradient<T: Real>(
    results: &[T],
    gradient: &[T],
    input_gradient: &mut [T],
    channels: usize,
) {
    let pixels = results.chunks_exact(channels).zip(gradient.chunks_exact(channels));
    for (dx, (y, dy)) in input_gradient.chunks_exact_mut(channels).zip(pixels) {
        let mean = T::of(sum_of(dy, y, |dy, y| dy.wide() * y.wide()));
        for ((dx, &dy), &y) in dx.iter_mut().zip(dy).zip(y) {
            *dx = y * (dy - mean);
        }
    }
}
