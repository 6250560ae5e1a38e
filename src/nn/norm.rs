//! Normalisations as Keras computes them.

use tch::nn::ModuleT;
use tch::{Device, Kind, Tensor, no_grad};

use super::resize::{channels_first, channels_last};
use super::window::to_i64;
use super::{Initializer, Parameters, WholeBatch};
use crate::system::random::Stream;

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
    batch: WholeBatch,
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
    /// How beta starts, the learned offset, where there is one.
    pub beta: Option<Initializer>,
    /// How gamma starts, the learned factor, where there is one.
    pub gamma: Option<Initializer>,
}

impl BatchNormalization {
    /// The moving variance starts at 1, the moving mean at 0. The names are those of `torch.nn.BatchNorm2d`.
    pub fn new(parameters: &mut Parameters, options: NormOptions, stream: &mut Stream) -> Self {
        let NormOptions { channels, momentum, epsilon, beta, gamma } = options;
        let mut draw = |name, start| parameters.draw_norm(name, channels, start, stream);
        Self {
            gamma: gamma.map(|start| draw("weight", start)),
            beta: beta.map(|start| draw("bias", start)),
            moving_mean: parameters.moving("running_mean", channels, 0.0),
            moving_variance: parameters.moving("running_var", channels, 1.0),
            momentum,
            epsilon,
            batch: parameters.batch.clone(),
        }
    }

    /// By the statistics of a batch of so many images, of which others have a part; computed in that precision.
    fn synchronized(&self, x: &Tensor, images: usize, kind: Kind) -> Tensor {
        let channels = self.moving_mean.numel();
        let values = (x.numel() / x.size()[0] as usize / channels * images) as f64;
        let axes: Vec<i64> = (0..to_i64(x.dim())).filter(|&axis| axis != 1).collect();
        let mean_of = |x: &Tensor| {
            let own = x.sum_dim_intlist(axes.as_slice(), false, kind);
            self.batch.sum(&own) / values
        };
        let mut sides = vec![1; x.dim()];
        sides[1] = to_i64(channels);
        let wide = x.to_kind(kind);
        let mean = mean_of(&wide);
        let centered = wide - mean.view(sides.as_slice());
        let variance = mean_of(&centered.square());
        follow_batch(&self.moving_mean, &mean, self.momentum);
        follow_batch(&self.moving_variance, &variance, self.momentum);
        let scale = (variance + self.epsilon).rsqrt();
        let scale = match &self.gamma {
            Some(gamma) => scale * gamma.to_kind(kind),
            None => scale,
        };
        let y = centered * scale.view(sides.as_slice());
        let y = match &self.beta {
            Some(beta) => y + beta.to_kind(kind).view(sides.as_slice()),
            None => y,
        };
        y.to_kind(x.kind())
    }

    /// Lets the moving statistics follow a batch's mean and its unbiased variance, `(C,)`, which were
    /// taken over so many values.
    fn follow(&self, mean: &Tensor, unbiased: &Tensor, values: usize) {
        follow_batch(&self.moving_mean, mean, self.momentum);
        let variance = match values {
            1 => unbiased.zeros_like(),
            _ => unbiased * ((values - 1) as f64 / values as f64),
        };
        follow_batch(&self.moving_variance, &variance, self.momentum);
    }
}

/// Lets a moving statistic follow that of a batch; `momentum` is the share of the old value.
pub fn follow_batch(moving: &Tensor, batch: &Tensor, momentum: f64) {
    no_grad(|| {
        let batch = batch.to_kind(moving.kind());
        moving.shallow_clone().copy_(&(moving * momentum + batch * (1.0 - momentum)));
    });
}

impl ModuleT for BatchNormalization {
    fn forward_t(&self, x: &Tensor, train: bool) -> Tensor {
        // On the CPU libtorch sums channels-last memory up in plain loops of the input's own precision:
        // over a million values a channel float32 loses 5e-5 of the result and 1e-3 of gamma's gradient. Of bfloat16,
        // which loses more than that, it takes the statistics in float32, as Keras does.
        let rounded = x.kind() == Kind::BFloat16;
        let kind =
            if train && x.device() == Device::Cpu && !rounded { Kind::Double } else { wide(x) };
        if let Some(images) = self.batch.synchronized().filter(|_| train) {
            return self.synchronized(x, images, kind);
        }
        let own = |weight: &Tensor| weight.to_kind(kind);
        let (mean, variance) = (own(&self.moving_mean), own(&self.moving_variance));
        // libtorch's moving statistics follow a rule of their own. With a momentum of 1 they keep nothing
        // of before: in training they come back as the batch's.
        let (mean, variance) =
            if train { (mean.zeros_like(), variance.zeros_like()) } else { (mean, variance) };
        let (gamma, beta) = (self.gamma.as_ref().map(own), self.beta.as_ref().map(own));
        let computed = if rounded { x.shallow_clone() } else { own(x) };
        let y = computed.batch_norm(
            gamma.as_ref(),
            beta.as_ref(),
            Some(&mean),
            Some(&variance),
            train,
            1.0,
            self.epsilon,
            false,
        );
        if train {
            let channels = mean.numel();
            self.follow(&mean, &variance, x.numel() / channels);
        }
        y.to_kind(x.kind())
    }
}

/// What is computed in where bfloat16 does not do: of bfloat16 float32, as in Keras; of others their own.
pub(super) fn wide(x: &Tensor) -> Kind {
    if x.kind() == Kind::BFloat16 { Kind::Float } else { x.kind() }
}

/// What the normalisations without moving statistics are made from.
#[derive(Debug, Clone, Copy)]
pub struct SampleNormOptions {
    /// Length of gamma and beta.
    pub channels: usize,
    /// Added to the variance; above 0.
    pub epsilon: f64,
    /// How beta starts, the learned offset, where there is one.
    pub beta: Option<Initializer>,
    /// How gamma starts, the learned factor, where there is one.
    pub gamma: Option<Initializer>,
}

/// Gamma and beta of the normalisations without moving statistics.
#[derive(Debug)]
struct GammaAndBeta {
    gamma: Option<Tensor>,
    beta: Option<Tensor>,
    epsilon: f64,
}

impl GammaAndBeta {
    fn new(parameters: &mut Parameters, options: SampleNormOptions, stream: &mut Stream) -> Self {
        let SampleNormOptions { channels, epsilon, beta, gamma } = options;
        let mut draw = |name, start| parameters.draw_norm(name, channels, start, stream);
        Self {
            gamma: gamma.map(|start| draw("weight", start)),
            beta: beta.map(|start| draw("bias", start)),
            epsilon,
        }
    }
}

/// Normalises the channels of each position by their mean and biased variance: `(N, C, H, W)` or `(N, F)`, to the
/// same shape. Source: Keras `layers/normalization/layer_normalization.py`.
#[derive(Debug)]
pub struct LayerNormalization(GammaAndBeta);

impl LayerNormalization {
    /// The names are those of `torch.nn.LayerNorm`.
    pub fn new(
        parameters: &mut Parameters,
        options: SampleNormOptions,
        stream: &mut Stream,
    ) -> Self {
        Self(GammaAndBeta::new(parameters, options, stream))
    }
}

impl ModuleT for LayerNormalization {
    fn forward_t(&self, x: &Tensor, _train: bool) -> Tensor {
        let GammaAndBeta { gamma, beta, epsilon } = &self.0;
        let last = channels_last(&x.to_kind(wide(x)));
        let channels = [last.size()[last.dim() - 1]];
        let y = last.layer_norm(&channels[..], gamma.as_ref(), beta.as_ref(), *epsilon, false);
        channels_first(&y).to_kind(x.kind())
    }
}

/// Normalises groups of channels over all positions of a sample. Source: Keras
/// `layers/normalization/group_normalization.py`.
#[derive(Debug)]
pub struct GroupNormalization {
    groups: usize,
    learned: GammaAndBeta,
}

impl GroupNormalization {
    /// The names are those of `torch.nn.GroupNorm`.
    pub fn new(
        parameters: &mut Parameters,
        groups: usize,
        options: SampleNormOptions,
        stream: &mut Stream,
    ) -> Self {
        Self { groups, learned: GammaAndBeta::new(parameters, options, stream) }
    }
}

impl ModuleT for GroupNormalization {
    fn forward_t(&self, x: &Tensor, _train: bool) -> Tensor {
        let GammaAndBeta { gamma, beta, epsilon } = &self.learned;
        // libtorch's own has no gradient of a beta without a gamma.
        let groups = x.to_kind(wide(x)).reshape([x.size()[0], to_i64(self.groups), -1]);
        let length = [groups.size()[2]];
        let normal =
            groups.layer_norm(&length[..], None::<Tensor>, None::<Tensor>, *epsilon, false);
        let mut sides = vec![1; x.dim()];
        sides[1] = -1;
        let mut y = normal.view_as(x);
        if let Some(gamma) = gamma {
            y *= gamma.view(sides.as_slice());
        }
        let y = match beta {
            Some(beta) => y + beta.view(sides.as_slice()),
            None => y,
        };
        y.to_kind(x.kind())
    }
}

/// Divides the channels of each position by their Euclidean norm. Source: Keras
/// `layers/normalization/unit_normalization.py`; `ops/nn.py`, `_normalize`.
#[derive(Debug)]
pub struct UnitNormalization;

/// The smallest norm that is divided by.
pub const SMALLEST_NORM: f64 = 1e-12;

impl ModuleT for UnitNormalization {
    fn forward_t(&self, x: &Tensor, _train: bool) -> Tensor {
        let squares = x.square().sum_dim_intlist(1, true, None::<Kind>);
        // Keras takes the smaller of both factors, whose slope at a pixel of zeros is no number.
        x * squares.clamp_min(SMALLEST_NORM * SMALLEST_NORM).rsqrt()
    }
}
