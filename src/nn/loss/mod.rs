//! Losses of a batch, and weighted sums of them.

mod axes;
mod clipped;
mod crossentropy;
mod similarity;

use tch::Tensor;

pub use axes::Axes;
use axes::{dimension, of_signal};
pub use crossentropy::Labels;
pub use similarity::{MS_SSIM_SIDE, SSIM_WINDOW};

/// Keras's `backend.epsilon()`: probabilities are clipped this far from 0 and 1.
const EPSILON: f64 = 1e-7;

/// What is minimised, of outputs `p` and targets `t`. Source: Keras `losses/losses.py`; the last axis of
/// Keras's is the channels'.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Loss {
    /// `-mean(t * ln(p) + (1 - t) * ln(1 - p))`, `p` clipped to 1e-7 .. 1 - 1e-7 as Keras on JAX and
    /// torch clips it. (On TensorFlow, Keras reaches back to the sigmoid's logits; the two part only
    /// at the clip.)
    BinaryCrossentropy(Labels),
    /// The same times `(1 - q)^gamma`, where `q` is `p` of ones and `1 - p` of zeros.
    BinaryFocalCrossentropy {
        /// Of outputs and targets.
        labels: Labels,
        /// Whether ones count `alpha` and zeros the rest.
        apply_class_balancing: bool,
        /// What ones count.
        alpha: f64,
        /// How little counts what is sure and right.
        gamma: f64,
    },
    /// The sum of `-t ln(p / sum p)` over classes, clipped to 1e-7 .. 1 - 1e-7, as a mean over pixels.
    CategoricalCrossentropy {
        /// Of outputs and targets.
        labels: Labels,
        /// Where the classes are: Keras's axis.
        axis: i64,
    },
    /// The same of targets with one channel, which holds the class's number.
    SparseCategoricalCrossentropy {
        /// Whether outputs are logits.
        from_logits: bool,
    },
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
    CosineSimilarity {
        /// Along which the cosine is taken: Keras's axis.
        axis: i64,
    },
    /// `1 - 2 sum(t p) / (sum(t) + sum(p) + 1e-7)`.
    Dice {
        /// Of the sums; all where none.
        axis: Option<Axes>,
    },
    /// `1 - s / (s + alpha sum(t (1 - p)) + beta sum(p (1 - t)) + 1e-7)`, where `s` is `sum(t p)`.
    Tversky {
        /// What counts a one that the output lacks.
        alpha: f64,
        /// What counts a one too many.
        beta: f64,
        /// Of the sums; all where none.
        axis: Option<Axes>,
    },
    /// `mean(sqrt((p - t)^2 + epsilon^2))`; not Keras's. Source: Lai et al., "Fast and accurate image
    /// super-resolution with deep Laplacian pyramid networks", 2018, section 3.3.
    Charbonnier {
        /// Where it turns from squares to a line.
        epsilon: f64,
    },
    /// `mean((c(p) - t)^2)`, where `c(p)` is the mean of `p` with Gaussian noise, cut off to 0..1: what targets with
    /// such noise have on average. So `p` itself becomes the value before noise was added and cut off. Not Keras's. Source: Foi,
    /// "Clipped noisy images: heteroskedastic modeling and practical denoising", 2009, whose declipping is the
    /// inverse of `c`.
    ClippedGaussian {
        /// Of the noise, before it is cut off.
        stddev: f64,
    },
    /// 1 less the mean structural similarity of values in 0..1; not Keras's. Windows of 7x7 that lie
    /// wholly inside, sample covariance, as scikit-image's `structural_similarity` has them.
    Ssim,
    /// 1 less the mean structural similarity at five scales, of values in 0..1; not Keras's. Windows of 11x11, a
    /// Gaussian of deviation 1.5, as in TensorFlow's `tf.image.ssim_multiscale`.
    MsSsim,
    /// One that we do not have: the model only predicts.
    Unknown,
}

impl Loss {
    /// Cross-entropy of probabilities, Keras's options all at their defaults.
    pub const BINARY_CROSSENTROPY: Self =
        Self::BinaryCrossentropy(Labels { from_logits: false, label_smoothing: 0.0 });

    /// Whether it is a mean over values of which each is looked at by itself.
    #[must_use]
    pub fn is_elementwise(self) -> bool {
        match self {
            Self::BinaryCrossentropy(_)
            | Self::BinaryFocalCrossentropy { .. }
            | Self::MeanSquaredError
            | Self::MeanAbsoluteError
            | Self::Huber { .. }
            | Self::LogCosh
            | Self::MeanSquaredLogarithmicError
            | Self::MeanAbsolutePercentageError
            | Self::Poisson
            | Self::Charbonnier { .. }
            | Self::ClippedGaussian { .. } => true,
            Self::CategoricalCrossentropy { .. }
            | Self::SparseCategoricalCrossentropy { .. }
            | Self::KlDivergence
            | Self::CosineSimilarity { .. }
            | Self::Dice { .. }
            | Self::Tversky { .. }
            | Self::Ssim
            | Self::MsSsim
            | Self::Unknown => false,
        }
    }

    /// Output and target of one shape to a scalar.
    ///
    /// # Panics
    /// Of [`Loss::Unknown`].
    pub fn of(self, output: &Tensor, target: &Tensor) -> Tensor {
        match self {
            Self::BinaryCrossentropy(labels) => {
                crossentropy::binary(labels, output, target).mean(None)
            }
            Self::BinaryFocalCrossentropy { labels, apply_class_balancing, alpha, gamma } => {
                let alpha = apply_class_balancing.then_some(alpha);
                crossentropy::focal(labels, alpha, gamma, output, target).mean(None)
            }
            Self::CategoricalCrossentropy { labels, axis } => {
                crossentropy::categorical(labels, axis, output, target).mean(None)
            }
            Self::SparseCategoricalCrossentropy { from_logits } => {
                crossentropy::sparse(from_logits, output, target).mean(None)
            }
            Self::MeanSquaredError => output.mse_loss(target, tch::Reduction::Mean),
            Self::MeanAbsoluteError => output.l1_loss(target, tch::Reduction::Mean),
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
                mean_over_pixels(1, &(clip(target) * ratio.log()))
            }
            Self::CosineSimilarity { axis } => {
                let along = dimension(axis, output);
                -mean_over_pixels(along, &(unit(along, output) * unit(along, target)))
            }
            Self::Dice { axis } => {
                let sum = |values: &Tensor| sum_over(axis, values);
                let both = sum(&(target * output)) * 2.0;
                1.0 - (both / (sum(target) + sum(output) + EPSILON)).mean(None)
            }
            Self::Tversky { alpha, beta, axis } => {
                let sum = |values: &Tensor| sum_over(axis, values);
                let both = sum(&(target * output));
                let lacking = sum(&((1.0 - output) * target)) * alpha;
                let too_many = sum(&(output * (1.0 - target))) * beta;
                1.0 - (&both / (&both + lacking + too_many + EPSILON)).mean(None)
            }
            Self::Charbonnier { epsilon } => {
                ((output - target).square() + epsilon * epsilon).sqrt().mean(None)
            }
            Self::ClippedGaussian { stddev } => {
                clipped::mean(output, stddev).mse_loss(target, tch::Reduction::Mean)
            }
            Self::Ssim => 1.0 - similarity::ssim(output, target),
            Self::MsSsim => 1.0 - similarity::multiscale(output, target),
            Self::Unknown => {
                unreachable!("a model without a loss is refused before it is asked for")
            }
        }
    }

    /// Keras's axes that it names; none where it looks at pixels, or at all values.
    #[must_use]
    pub fn axes(self) -> Vec<i64> {
        match self {
            Self::CategoricalCrossentropy { axis, .. } | Self::CosineSimilarity { axis } => {
                vec![axis]
            }
            Self::Dice { axis } | Self::Tversky { axis, .. } => {
                axis.iter().flat_map(Axes::iter).collect()
            }
            _ => Vec::new(),
        }
    }

    /// How many values Keras's loss gives for such outputs, before they are added up: one for each pixel.
    fn values_of(self, output: &Tensor) -> i64 {
        let size = output.size();
        let taken: i64 = match self {
            Self::Dice { axis } | Self::Tversky { axis, .. } => match axis {
                Some(axes) => {
                    axes.dimensions(output).into_iter().map(|along| size[along as usize]).product()
                }
                None => size.iter().product(),
            },
            Self::CategoricalCrossentropy { axis, .. } | Self::CosineSimilarity { axis } => {
                size[dimension(axis, output) as usize]
            }
            _ => size.get(1).copied().unwrap_or(1),
        };
        size.iter().product::<i64>() / taken
    }

    fn of_signals(mut self) -> Self {
        match &mut self {
            Self::CategoricalCrossentropy { axis, .. } | Self::CosineSimilarity { axis } => {
                *axis = of_signal(*axis);
            }
            Self::Dice { axis } | Self::Tversky { axis, .. } => {
                *axis = axis.map(Axes::of_signals);
            }
            _ => {}
        }
        self
    }
}

/// The sum along a dimension, as a mean over all else.
fn mean_over_pixels(along: i64, values: &Tensor) -> Tensor {
    values.sum_dim_intlist([along].as_slice(), false, values.kind()).mean(None)
}

/// Divided by the norms along a dimension: `ops.nn.normalize`, whose norms are at least epsilon.
fn unit(along: i64, values: &Tensor) -> Tensor {
    let squares = values.square().sum_dim_intlist([along].as_slice(), true, values.kind());
    values * squares.clamp_min(EPSILON * EPSILON).rsqrt()
}

fn sum_over(axes: Option<Axes>, values: &Tensor) -> Tensor {
    match axes {
        Some(axes) => {
            values.sum_dim_intlist(axes.dimensions(values).as_slice(), false, values.kind())
        }
        None => values.sum(values.kind()),
    }
}

/// What becomes of a loss's values, of which there is one for each pixel (Keras's `losses/loss.py`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reduction {
    /// Their mean.
    Mean,
    /// Their sum.
    Sum,
}

/// A loss as a part of what is minimised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Term {
    /// Of outputs and targets.
    pub loss: Loss,
    /// Over all pixels of a batch.
    pub reduction: Reduction,
    /// Its factor.
    pub weight: f64,
}

impl From<Loss> for Term {
    fn from(loss: Loss) -> Self {
        Self { loss, reduction: Reduction::Mean, weight: 1.0 }
    }
}

impl Term {
    fn of(&self, output: &Tensor, target: &Tensor) -> Tensor {
        let factor = match self.reduction {
            Reduction::Mean => self.weight,
            Reduction::Sum => self.weight * self.loss.values_of(output) as f64,
        };
        let loss = self.loss.of(output, target);
        match factor {
            1.0 => loss,
            _ => loss * factor,
        }
    }
}

/// A loss, or several that are summed up.
#[derive(Debug, Clone, PartialEq)]
pub struct Losses(pub Vec<Term>);

impl From<Loss> for Losses {
    fn from(loss: Loss) -> Self {
        Self(vec![loss.into()])
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
            [term] if *term == Term::from(term.loss) => Some(term.loss),
            _ => None,
        }
    }

    /// Whether the target holds the numbers of classes, in one channel.
    #[must_use]
    pub fn of_classes(&self) -> bool {
        let sparse = |term: &Term| matches!(term.loss, Loss::SparseCategoricalCrossentropy { .. });
        self.0.iter().any(sparse)
    }

    /// Whether it is the mean of what each image has by itself, of outputs of so many axes beside the batch's.
    #[must_use]
    pub fn is_mean_over_images(&self, axes: usize) -> bool {
        let is_batch = |axis: i64| axis.rem_euclid(axes as i64 + 1) == 0;
        let over_batch = |term: &Term| {
            matches!(term.loss, Loss::Dice { .. } | Loss::Tversky { .. })
                || term.reduction == Reduction::Sum
                || term.loss.axes().into_iter().any(is_batch)
        };
        !self.0.iter().any(over_batch)
    }

    /// The same of signals `(N, steps, channels)` that are computed on as images of one row.
    #[must_use]
    pub fn of_signals(&self) -> Self {
        let of_signals = |term: &Term| Term { loss: term.loss.of_signals(), ..*term };
        Self(self.0.iter().map(of_signals).collect())
    }

    /// As engines compute it of outputs of so many axes beside the batch's.
    #[must_use]
    pub fn computed(&self, axes: usize) -> Self {
        if axes == 2 { self.of_signals() } else { self.clone() }
    }

    /// Output and target of one shape, `(N, C, H, W)` or `(N, F)`, to a scalar. Of a sparse loss the target has
    /// one channel.
    ///
    /// # Panics
    /// Of [`Loss::Unknown`].
    pub fn of(&self, output: &Tensor, target: &Tensor) -> Tensor {
        let parts = self.0.iter().map(|term| term.of(output, target));
        parts.reduce(|sum, part| sum + part).expect("there is one at least")
    }
}
