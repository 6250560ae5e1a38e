//! Losses of outputs as they are: Keras's formulas, as in `crate::nn::Loss`.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use super::kernels::Real;
use crate::nn::{Labels, Loss, Losses};

/// Keras's `backend.epsilon()`.
pub(super) const EPSILON: f64 = 1e-7;

/// The loss, where it is one that looks at each value by itself and is computed here.
pub(super) fn elementwise(losses: &Losses) -> Option<Loss> {
    losses.alone().filter(|loss| {
        matches!(
            loss,
            Loss::BinaryCrossentropy(_)
                | Loss::MeanSquaredError
                | Loss::MeanAbsoluteError
                | Loss::Huber { .. }
                | Loss::LogCosh
                | Loss::Charbonnier { .. }
                | Loss::ClippedGaussian { .. }
                | Loss::Unknown
        )
    })
}

/// The summed loss; the outputs give way to the gradient times `scale`.
pub(super) fn loss<T: Real>(loss: Loss, outputs: &mut [T], targets: &[T], scale: T) -> f64 {
    let mut sum = 0.0;
    for (output, &target) in outputs.iter_mut().zip(targets) {
        let (value, slope) = at(loss, *output, target);
        sum += value.wide();
        *output = slope * scale;
    }
    sum
}

/// A value's loss and its derivative.
fn at<T: Real>(loss: Loss, output: T, target: T) -> (T, T) {
    let zero = T::zero();
    let error = output - target;
    match loss {
        Loss::BinaryCrossentropy(labels) => crossentropy(labels, output, target),
        Loss::MeanSquaredError => (error * error, error + error),
        Loss::MeanAbsoluteError => (error.abs(), if error == zero { zero } else { error.signum() }),
        Loss::Huber { delta } => {
            let (delta, size, half) = (T::of(delta), error.abs(), T::of(0.5));
            if size <= delta {
                (half * error * error, error)
            } else {
                (delta * size - half * delta * delta, delta * error.signum())
            }
        }
        Loss::LogCosh => {
            let softplus = |x: T| x.max(zero) + (-x.abs()).exp().ln_1p();
            (error + softplus(-(error + error)) - T::of(std::f64::consts::LN_2), error.tanh())
        }
        Loss::Charbonnier { epsilon } => {
            let root = (error * error + T::of(epsilon * epsilon)).sqrt();
            (root, error / root)
        }
        Loss::ClippedGaussian { stddev } => {
            let (mean, share) = clipped(output.wide(), stddev);
            let error = T::of(mean) - target;
            (error * error, (error + error) * T::of(share))
        }
        loss => unreachable!("{loss:?} is not elementwise, or unknown, which is refused before"),
    }
}

fn crossentropy<T: Real>(labels: Labels, output: T, target: T) -> (T, T) {
    let (zero, one) = (T::zero(), T::one());
    let share = labels.label_smoothing;
    let target =
        if share == 0.0 { target } else { target * T::of(1.0 - share) + T::of(0.5 * share) };
    if labels.from_logits {
        let odds = (-output.abs()).exp();
        let probability = if output < zero { odds } else { one } / (one + odds);
        return (output.max(zero) - output * target + odds.ln_1p(), probability - target);
    }
    let (low, high) = (T::of(EPSILON), T::of(1.0 - EPSILON));
    let inside = output >= low && output <= high;
    let p = if output < low {
        low
    } else if output > high {
        high
    } else {
        output
    };
    let slope = if inside { (one - target) / (one - p) - target / p } else { zero };
    (-(target * p.ln() + (one - target) * (one - p).ln()), slope)
}

/// The mean of a value with Gaussian noise cut off to 0..1, as [`Loss::ClippedGaussian`] has it, and how much of the
/// noise is not: its derivative.
fn clipped(value: f64, stddev: f64) -> (f64, f64) {
    let above = |from: f64| {
        let u = (value - from) / stddev;
        let share = 0.5 * libm::erfc(-u * FRAC_1_SQRT_2);
        (u * share + (-0.5 * u * u).exp() / (2.0 * PI).sqrt(), share)
    };
    let ((zero, inside), (one, beyond)) = (above(0.0), above(1.0));
    ((zero - one) * stddev, inside - beyond)
}
