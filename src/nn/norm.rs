//! Batch normalisation as Keras computes it.

use tch::nn::ModuleT;
use tch::{Tensor, no_grad};

use super::Parameters;

/// Normalises each channel: by the batch's statistics while training, by the moving ones after.
///
/// Unlike libtorch's, the moving variance follows the biased variance of the batch, and `momentum`
/// is the share of the old value. Source: Keras `layers/normalization/batch_normalization.py`.
#[derive(Debug)]
pub struct BatchNormalization {
    gamma: Option<Tensor>,
    beta: Option<Tensor>,
    moving_mean: Tensor,
    moving_variance: Tensor,
    momentum: f64,
    epsilon: f64,
}

/// What a batch normalisation is made from.
#[derive(Debug, Clone, Copy)]
pub struct NormOptions {
    /// Length of gamma, beta and the moving statistics.
    pub channels: usize,
    /// Share of the old moving statistics that a batch leaves, 0..1.
    pub momentum: f64,
    /// Added to the variance; above 0.
    pub epsilon: f64,
    /// Whether there is a beta, the learned offset.
    pub center: bool,
    /// Whether there is a gamma, the learned factor.
    pub scale: bool,
}

impl BatchNormalization {
    /// Gamma and the moving variance start at 1, beta and the moving mean at 0. The names are
    /// those of `torch.nn.BatchNorm2d`.
    pub fn new(parameters: &mut Parameters, options: NormOptions) -> Self {
        let NormOptions { channels, momentum, epsilon, center, scale } = options;
        Self {
            gamma: scale.then(|| parameters.constant("weight", channels, 1.0)),
            beta: center.then(|| parameters.constant("bias", channels, 0.0)),
            moving_mean: parameters.moving("running_mean", channels, 0.0),
            moving_variance: parameters.moving("running_var", channels, 1.0),
            momentum,
            epsilon,
        }
    }

    fn follow(&self, moving: &Tensor, batch: &Tensor) {
        let mut moving = moving.shallow_clone();
        let new = &moving * self.momentum + batch * (1.0 - self.momentum);
        moving.copy_(&new);
    }
}

impl ModuleT for BatchNormalization {
    fn forward_t(&self, x: &Tensor, train: bool) -> Tensor {
        if train {
            no_grad(|| {
                // Every axis but the channels' own, 1.
                let axes: Vec<i64> = (0..i64::try_from(x.dim()).expect("few axes"))
                    .filter(|&axis| axis != 1)
                    .collect();
                self.follow(&self.moving_mean, &x.mean_dim(axes.as_slice(), false, None));
                self.follow(&self.moving_variance, &x.var_dim(axes.as_slice(), false, false));
            });
        }
        // libtorch would update moving statistics by its own rule, so it is shown none in training.
        let moving = |statistic| if train { None } else { Some(statistic) };
        x.batch_norm(
            self.gamma.as_ref(),
            self.beta.as_ref(),
            moving(&self.moving_mean),
            moving(&self.moving_variance),
            train,
            0.0,
            self.epsilon,
            false,
        )
    }
}
