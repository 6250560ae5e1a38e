//! Layers that draw random numbers while training, and pass everything through after.
//!
//! They draw from libtorch's generator, which the trainer seeds anew for every step, so that a
//! resumed run draws what the first one would have drawn.

use tch::Tensor;
use tch::nn::ModuleT;

use super::WholeBatch;
use super::norm::wide;

/// Zeroes a share of the values and enlarges the others by 1 / (1 - rate). Source: Keras
/// `layers/regularization/dropout.py`.
#[derive(Debug)]
pub struct Dropout {
    /// That share, 0..1.
    pub rate: f64,
    /// Of what it draws for.
    pub batch: WholeBatch,
}

impl ModuleT for Dropout {
    fn forward_t(&self, x: &Tensor, train: bool) -> Tensor {
        if !train {
            return x.shallow_clone();
        }
        x * self.batch.draw(x, |x| x.ones_like().dropout(self.rate, true))
    }
}

/// Adds normal noise of mean 0. Source: Keras `layers/regularization/gaussian_noise.py`.
#[derive(Debug)]
pub struct GaussianNoise {
    /// Standard deviation, in units of the values; at least 0.
    pub stddev: f64,
    /// Of what it draws for.
    pub batch: WholeBatch,
}

impl ModuleT for GaussianNoise {
    fn forward_t(&self, x: &Tensor, train: bool) -> Tensor {
        if !train {
            return x.shallow_clone();
        }
        x + self.batch.draw(x, Tensor::randn_like) * self.stddev
    }
}

/// Multiplies by normal noise of mean 1. Source: Keras `layers/regularization/gaussian_dropout.py`.
#[derive(Debug)]
pub struct GaussianDropout {
    /// The noise's standard deviation is `sqrt(rate / (1 - rate))`; 0..1.
    pub rate: f64,
    /// Of what it draws for.
    pub batch: WholeBatch,
}

impl ModuleT for GaussianDropout {
    fn forward_t(&self, x: &Tensor, train: bool) -> Tensor {
        if !train {
            return x.shallow_clone();
        }
        let stddev = (self.rate / (1.0 - self.rate)).sqrt();
        x * (self.batch.draw(x, Tensor::randn_like) * stddev + 1.0)
    }
}

/// Sets a share of the values to SELU's lower limit, and shifts and scales all so that mean and variance of
/// normal ones stay. Source: Keras `layers/regularization/alpha_dropout.py`.
#[derive(Debug)]
pub struct AlphaDropout {
    /// That share; 0..1.
    pub rate: f64,
    /// Of what it draws for.
    pub batch: WholeBatch,
}

/// The factor and the offset that give back mean and variance when a share `rate` has become [`SELU_LIMIT`].
pub(crate) fn alpha_dropout_line(rate: f64) -> (f64, f64) {
    let a = ((1.0 - rate) * (1.0 + rate * SELU_LIMIT.powi(2))).powf(-0.5);
    (a, -a * SELU_LIMIT * rate)
}

/// SELU's lower limit: -alpha * scale.
pub(crate) const SELU_LIMIT: f64 = -1.673_263_242_354_377_2 * 1.050_700_987_355_480_5;

impl ModuleT for AlphaDropout {
    fn forward_t(&self, x: &Tensor, train: bool) -> Tensor {
        if !train || self.rate == 0.0 {
            return x.shallow_clone();
        }
        // Of bfloat16 there would be 256 numbers to draw; Keras draws these in float32.
        let drawn = self.batch.draw(&x.to_kind(wide(x)), Tensor::rand_like);
        let kept = drawn.ge(self.rate).to_kind(x.kind());
        let (a, b) = alpha_dropout_line(self.rate);
        (x * &kept + (1.0 - kept) * SELU_LIMIT) * a + b
    }
}

/// Zeroes a share of the channels of each image, `(N, C, H, W)`, and enlarges the others. Source: Keras
/// `layers/regularization/spatial_dropout.py`.
#[derive(Debug)]
pub struct SpatialDropout2D {
    /// That share, 0..1.
    pub rate: f64,
    /// Of what it draws for.
    pub batch: WholeBatch,
}

impl ModuleT for SpatialDropout2D {
    fn forward_t(&self, x: &Tensor, train: bool) -> Tensor {
        if !train {
            return x.shallow_clone();
        }
        let channels = x.new_ones([x.size()[0], x.size()[1], 1, 1], (x.kind(), x.device()));
        x * self.batch.draw(&channels, |x| x.ones_like().dropout(self.rate, true))
    }
}

/// A draw from the normal distribution of that mean and logarithm of a variance, both of one shape, through which
/// their gradients go; the mean where nothing is trained. Source: the variational autoencoder among Keras's
/// examples, `Sampling`.
pub fn sampled(mean: &Tensor, log_variance: &Tensor, train: bool, batch: &WholeBatch) -> Tensor {
    if !train {
        return mean.shallow_clone();
    }
    mean + (log_variance * 0.5).exp() * batch.draw(mean, Tensor::randn_like)
}

/// The Kullback-Leibler divergence of such draws from the standard normal distribution: the sum over a sample's
/// values, as a mean over the batch; a scalar. Source: the same example, `kl_loss`.
pub fn kl_divergence_from_normal(mean: &Tensor, log_variance: &Tensor) -> Tensor {
    let values = (log_variance + 1.0 - mean.square() - log_variance.exp()) * -0.5;
    values.sum(mean.kind()) / mean.size()[0] as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn a_draw_has_its_mean_and_variance_and_rests_outside_training() {
        let ones = Tensor::ones([200_000], (Kind::Double, Device::Cpu));
        let (mean, log_variance) = (&ones * 3.0, &ones * 2.0);
        let sampled = |train| sampled(&mean, &log_variance, train, &WholeBatch::default());
        assert_eq!(sampled(false), mean);
        tch::manual_seed(5);
        let draw = sampled(true);
        tch::manual_seed(5);
        assert_eq!(sampled(true), draw);
        // Four standard errors of 200,000 draws.
        let noise = (draw - 3.0) / 1.0_f64.exp();
        let close = |value: f64, expected: f64, deviation: f64| {
            assert!((value - expected).abs() < 4.0 * deviation / 200_000_f64.sqrt(), "{value}");
        };
        close(noise.mean(None).double_value(&[]), 0.0, 1.0);
        close(noise.square().mean(None).double_value(&[]), 1.0, 2.0_f64.sqrt());
    }
}
