//! Losses of a batch, and weighted sums of them.

use tch::{Reduction, Tensor};

/// Keras's `backend.epsilon()`: probabilities are clipped this far from 0 and 1.
const EPSILON: f64 = 1e-7;

/// Side of the windows of [`Loss::Ssim`], as of the figure that `convae evaluate` prints.
pub const SSIM_WINDOW: usize = 7;
/// Constants of the structural similarity of values in 0..1: (0.01 * 1)^2 and (0.03 * 1)^2.
const SSIM_C: [f64; 2] = [1e-4, 9e-4];

/// What is minimised, of outputs `p` and targets `t`. Source: Keras `losses/losses.py`; the last axis of
/// Keras's is the channels'.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Loss {
    /// `-mean(t * ln(p) + (1 - t) * ln(1 - p))`, `p` clipped to 1e-7 .. 1 - 1e-7 as Keras on JAX and
    /// torch clips it. (On TensorFlow, Keras reaches back to the sigmoid's logits; the two part only
    /// at the clip.)
    BinaryCrossentropy,
    /// `mean((t - p)^2)`.
    MeanSquaredError,
    /// `mean(|t - p|)`.
    MeanAbsoluteError,
    /// `mean(e^2 / 2)` of errors `e = p - t` up to `delta`, beyond `mean(delta |e| - delta^2 / 2)`.
    Huber {
        /// Where it turns from squares to a line.
        delta: f64,
    },
    /// `mean(ln(cosh(p - t)))`.
    LogCosh,
    /// `mean((ln(1 + p) - ln(1 + t))^2)`, both at least 1e-7.
    MeanSquaredLogarithmicError,
    /// `100 mean(|t - p| / |t|)`, `|t|` at least 1e-7.
    MeanAbsolutePercentageError,
    /// `mean(p - t ln(p + 1e-7))`.
    Poisson,
    /// The sum of `t ln(t / p)` over channels, both clipped to 1e-7 .. 1, as a mean over pixels.
    KlDivergence,
    /// Less the cosine between the channels of `t` and `p`, as a mean over pixels.
    CosineSimilarity,
    /// `mean(sqrt((p - t)^2 + epsilon^2))`; not Keras's. Source: Lai et al., "Fast and accurate image
    /// super-resolution with deep Laplacian pyramid networks", 2018, section 3.3.
    Charbonnier {
        /// Where it turns from squares to a line.
        epsilon: f64,
    },
    /// 1 less the mean structural similarity of values in 0..1; not Keras's. Windows of 7x7 that lie
    /// wholly inside, sample covariance, as scikit-image's `structural_similarity` has them.
    Ssim,
    /// One that we do not have: the model only predicts.
    Unknown,
}

impl Loss {
    /// Whether it is a mean over values of which each is looked at by itself.
    #[must_use]
    pub fn is_elementwise(self) -> bool {
        match self {
            Self::BinaryCrossentropy
            | Self::MeanSquaredError
            | Self::MeanAbsoluteError
            | Self::Huber { .. }
            | Self::LogCosh
            | Self::MeanSquaredLogarithmicError
            | Self::MeanAbsolutePercentageError
            | Self::Poisson
            | Self::Charbonnier { .. } => true,
            Self::KlDivergence | Self::CosineSimilarity | Self::Ssim | Self::Unknown => false,
        }
    }

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
            Self::Huber { delta } => {
                let error = output - target;
                let (size, square) = (error.abs(), error.square() * 0.5);
                let line = &size * delta - 0.5 * delta * delta;
                square.where_self(&size.le(delta), &line).mean(None)
            }
            Self::LogCosh => {
                let error = output - target;
                // libtorch's own softplus leaves out what is below 2e-9.
                let softplus = (&error * -2.0).logaddexp(&error.zeros_like());
                (&error + softplus - std::f64::consts::LN_2).mean(None)
            }
            Self::MeanSquaredLogarithmicError => {
                let log = |values: &Tensor| (values.clamp_min(EPSILON) + 1.0).log();
                (log(output) - log(target)).square().mean(None)
            }
            Self::MeanAbsolutePercentageError => {
                ((target - output) / target.abs().clamp_min(EPSILON)).abs().mean(None) * 100.0
            }
            Self::Poisson => (output - target * (output + EPSILON).log()).mean(None),
            Self::KlDivergence => {
                let clip = |values: &Tensor| values.clamp(EPSILON, 1.0);
                let ratio = clip(target) / clip(output);
                mean_over_pixels(&(clip(target) * ratio.log()))
            }
            Self::CosineSimilarity => -mean_over_pixels(&(unit(output) * unit(target))),
            Self::Charbonnier { epsilon } => {
                ((output - target).square() + epsilon * epsilon).sqrt().mean(None)
            }
            Self::Ssim => 1.0 - similarity(output, target),
            Self::Unknown => {
                unreachable!("a model without a loss is refused before it is asked for")
            }
        }
    }
}

/// The sum over the channels, as a mean over all else.
fn mean_over_pixels(values: &Tensor) -> Tensor {
    values.sum_dim_intlist([1].as_slice(), false, values.kind()).mean(None)
}

/// Each pixel's channels divided by their norm: `ops.nn.normalize`, whose norms are at least epsilon.
fn unit(values: &Tensor) -> Tensor {
    let squares = values.square().sum_dim_intlist([1].as_slice(), true, values.kind());
    values * squares.clamp_min(EPSILON * EPSILON).rsqrt()
}

/// Mean structural similarity of images `(N, C, H, W)`.
fn similarity(a: &Tensor, b: &Tensor) -> Tensor {
    let side = SSIM_WINDOW as i64;
    let mean = |values: &Tensor| values.avg_pool2d([side, side], [1, 1], [0, 0], false, true, None);
    let (mean_a, mean_b) = (mean(a), mean(b));
    // Of a sample: one value less counts.
    let sample = (side * side) as f64 / (side * side - 1) as f64;
    let covariance = |x: &Tensor, y: &Tensor, mean_x: &Tensor, mean_y: &Tensor| {
        (mean(&(x * y)) - mean_x * mean_y) * sample
    };
    let variances = covariance(a, a, &mean_a, &mean_a) + covariance(b, b, &mean_b, &mean_b);
    let both: Tensor = covariance(a, b, &mean_a, &mean_b) * 2.0 + SSIM_C[1];
    let means: Tensor = &mean_a * &mean_b * 2.0 + SSIM_C[0];
    let below = (mean_a.square() + mean_b.square() + SSIM_C[0]) * (variances + SSIM_C[1]);
    (means * both / below).mean(None)
}

/// A loss, or several, each times its weight.
#[derive(Debug, Clone, PartialEq)]
pub struct Losses(pub Vec<(Loss, f64)>);

impl From<Loss> for Losses {
    fn from(loss: Loss) -> Self {
        Self(vec![(loss, 1.0)])
    }
}

impl PartialEq<Loss> for Losses {
    fn eq(&self, loss: &Loss) -> bool {
        self.alone() == Some(*loss)
    }
}

impl Losses {
    /// The one loss, where there is one and it counts as it is.
    #[must_use]
    pub fn alone(&self) -> Option<Loss> {
        match self.0.as_slice() {
            &[(loss, 1.0)] => Some(loss),
            _ => None,
        }
    }

    /// Output and target of one shape, `(N, C, H, W)` or `(N, F)`, to a scalar.
    ///
    /// # Panics
    /// Of [`Loss::Unknown`].
    pub fn of(&self, output: &Tensor, target: &Tensor) -> Tensor {
        let parts = self.0.iter().map(|&(loss, weight)| match weight {
            1.0 => loss.of(output, target),
            _ => loss.of(output, target) * weight,
        });
        parts.reduce(|sum, part| sum + part).expect("there is one at least")
    }
}
