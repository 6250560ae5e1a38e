//! Losses of outputs as they are: Keras's formulas, as in `crate::nn::Loss`.

use super::kernels::Real;
use crate::nn::Loss;

/// Keras's `backend.epsilon()`.
pub(super) const EPSILON: f64 = 1e-7;

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
    let (zero, one) = (T::zero(), T::one());
    let error = output - target;
    match loss {
        Loss::BinaryCrossentropy => {
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
        Loss::MeanSquaredError => (error * error, error + error),
        Loss::MeanAbsoluteError => (error.abs(), if error == zero { zero } else { error.signum() }),
        Loss::Unknown => unreachable!("a model without a loss is refused before it is asked for"),
    }
}
