//! The mean of a value with Gaussian noise that is cut off to 0..1.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use tch::Tensor;

/// The mean of `clip(value + stddev z, 0, 1)` with `z` of the standard normal distribution.
///
/// With `G(u) = E[max(0, u + z)] = u Phi(u) + phi(u)` it is `stddev (G(value / stddev) - G((value - 1) / stddev))`.
pub(super) fn mean(value: &Tensor, stddev: f64) -> Tensor {
    let above = |from: f64| {
        let u = (value - from) / stddev;
        let density = (u.square() * -0.5).exp() / (2.0 * PI).sqrt();
        let share = ((&u * FRAC_1_SQRT_2).erf() + 1.0) * 0.5;
        u * share + density
    };
    (above(0.0) - above(1.0)) * stddev
}
