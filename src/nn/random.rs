//! Layers that draw random numbers while training, and pass everything through after.
//!
//! They draw from libtorch's generator, which the trainer seeds anew for every step, so that a
//! resumed run draws what the first one would have drawn.

use tch::Tensor;
use tch::nn::ModuleT;

/// Zeroes a share of the values and enlarges the others by 1 / (1 - rate). Source: Keras
/// `layers/regularization/dropout.py`.
#[derive(Debug)]
pub struct Dropout {
    /// That share, 0..1.
    pub rate: f64,
}

impl ModuleT for Dropout {
    fn forward_t(&self, x: &Tensor, train: bool) -> Tensor {
        x.dropout(self.rate, train)
    }
}

/// Adds normal noise of mean 0. Source: Keras `layers/regularization/gaussian_noise.py`.
#[derive(Debug)]
pub struct GaussianNoise {
    /// Standard deviation, in units of the values; at least 0.
    pub stddev: f64,
}

impl ModuleT for GaussianNoise {
    fn forward_t(&self, x: &Tensor, train: bool) -> Tensor {
        if train { x + x.randn_like() * self.stddev } else { x.shallow_clone() }
    }
}
