//! Layers that draw random numbers while training, and pass everything through after.
//!
//! They draw from libtorch's generator, which the trainer seeds anew for every step, so that a
//! resumed run draws what the first one would have drawn.

use tch::Tensor;
use tch::nn::ModuleT;

/// Zeroes a share of the values and enlarges the others by 1 / (1 - rate).
#[derive(Debug)]
pub struct Dropout {
    pub rate: f64,
}

impl ModuleT for Dropout {
    fn forward_t(&self, x: &Tensor, train: bool) -> Tensor {
        x.dropout(self.rate, train)
    }
}

/// Adds normal noise of a standard deviation.
#[derive(Debug)]
pub struct GaussianNoise {
    pub stddev: f64,
}

impl ModuleT for GaussianNoise {
    fn forward_t(&self, x: &Tensor, train: bool) -> Tensor {
        if train { x + x.randn_like() * self.stddev } else { x.shallow_clone() }
    }
}
