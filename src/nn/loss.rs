//! Losses, as a mean over all values of a batch.

use tch::{Reduction, Tensor};

/// Keras's `backend.epsilon()`: probabilities are clipped this far from 0 and 1.
const EPSILON: f64 = 1e-7;

/// What is minimised, of outputs `p` and targets `t`. Source: Keras `losses/losses.py`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// `-mean(t * ln(p) + (1 - t) * ln(1 - p))`, `p` clipped to 1e-7 .. 1 - 1e-7 as Keras on JAX and
    /// torch clips it. (On TensorFlow, Keras reaches back to the sigmoid's logits; the two part only
    /// at the clip.)
    BinaryCrossentropy,
    /// `mean((t - p)^2)`.
    MeanSquaredError,
    /// `mean(|t - p|)`.
    MeanAbsoluteError,
    /// One that we do not have: the model only predicts.
    Unknown,
}

impl Loss {
    /// Output and target of one shape to a scalar.
    ///
    /// # Panics
    /// Of [`Loss::Unknown`].
    pub fn of(self, output: &Tensor, target: &Tensor) -> Tensor {
        match self {
            Self::BinaryCrossentropy => {
                // libtorch's own refuses NaN, which is what tells a run that it has diverged.
                let p = output.clamp(EPSILON, 1.0 - EPSILON);
                let certain = target * p.log() - (target - 1.0) * (-p + 1.0).log();
                -certain.mean(None)
            }
            Self::MeanSquaredError => output.mse_loss(target, Reduction::Mean),
            Self::MeanAbsoluteError => output.l1_loss(target, Reduction::Mean),
            Self::Unknown => {
                unreachable!("a model without a loss is refused before it is asked for")
            }
        }
    }
}
