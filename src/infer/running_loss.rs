//! The loss over many batches.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// A mean of batch losses, weighted by batch size. It stays on the device until it is asked for,
/// so that no step waits for the one before.
#[derive(Debug, Default)]
pub struct RunningLoss {
    sum: Option<Tensor>,
    images: usize,
}

impl RunningLoss {
    /// Counts a batch of so many images.
    pub fn add(&mut self, loss: &Tensor, images: usize) {
        let weighted = loss.to_kind(Kind::Double) * images as f64;
        self.sum = Some(match self.sum.take() {
            Some(sum) => sum + weighted,
            None => weighted,
        });
        self.images += images;
    }

    /// What there is to save of it, to the last bit.
    #[must_use]
    pub fn total(&self) -> LossTotal {
        let sum = self.sum.as_ref().map_or(0.0, |sum| sum.double_value(&[]));
        LossTotal { sum, images: self.images }
    }

    /// NaN before the first batch.
    #[must_use]
    pub fn mean(&self) -> f64 {
        let sum = self.sum.as_ref().map_or(f64::NAN, |sum| sum.double_value(&[]));
        sum / self.images as f64
    }
}

/// A [`RunningLoss`] as a number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct LossTotal {
    /// Of the batches' losses, each times its images.
    pub sum: f64,
    /// In all batches.
    #[serde(rename = "pictures")]
    pub images: usize,
}

impl From<LossTotal> for RunningLoss {
    fn from(LossTotal { sum, images }: LossTotal) -> Self {
        Self { sum: (images > 0).then(|| Tensor::from(sum)), images }
    }
}
