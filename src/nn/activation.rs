//! Activations, with Keras's constants.

use tch::nn::ModuleT;
use tch::{Kind, Tensor};

use super::layout::CHANNELS_FIRST;
use super::{Initializer, Parameters};
use crate::system::random::Stream;

/// Slope of Keras's activation `leaky_relu`; the layer `LeakyReLU` has another default.
pub const LEAKY_RELU_SLOPE: f64 = 0.2;

/// A function of every value `x` (softmax: of every pixel's channels). Source: Keras
/// `activations/activations.py`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `x`.
    Linear,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// `x` where positive, else `0.2 * x`.
    LeakyRelu,
    /// `x` where positive, else `exp(x) - 1`.
    Elu,
    /// `s * x` where positive, else `s * a * (exp(x) - 1)`, with s = 1.0507 and a = 1.6733.
    Selu,
    /// `x * (1 + erf(x / sqrt(2))) / 2`: the exact form, not the one by tanh.
    Gelu,
    /// `x * sigmoid(x)`.
    Silu,
    /// `x * tanh(softplus(x))`.
    Mish,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `x / 6 + 1 / 2`, clipped to 0..1.
    HardSigmoid,
    /// `(exp(x) - exp(-x)) / (exp(x) + exp(-x))`.
    Tanh,
    /// `ln(1 + exp(x))`.
    Softplus,
    /// `x / (1 + |x|)`.
    Softsign,
    /// `exp(x) / sum(exp(x))` over Keras's last axis, the channels.
    Softmax,
    /// `exp(x)`.
    Exponential,
}

impl Activation {
    /// Any shape whose axis 1 holds the channels, to the same shape.
    pub fn apply(self, x: &Tensor) -> Tensor {
        match self {
            Self::Linear => x.shallow_clone(),
            Self::Relu => x.relu(),
            Self::Relu6 => x.relu6(),
            Self::LeakyRelu => leaky_relu(x, LEAKY_RELU_SLOPE),
            Self::Elu => x.elu(),
            Self::Selu => x.selu(),
            Self::Gelu => x.gelu("none"),
            Self::Silu => x.silu(),
            Self::Mish => x * softplus(x).tanh(),
            Self::Sigmoid => x.sigmoid(),
            // libtorch's own takes 1/6 in float32 in its gradient.
            Self::HardSigmoid => (x + 3.0).relu6() / 6.0,
            Self::Tanh => x.tanh(),
            Self::Softplus => softplus(x),
            Self::Softsign => x / (x.abs() + 1.0),
            Self::Softmax => x.softmax(1, None::<Kind>),
            Self::Exponential => x.exp(),
        }
    }
}

/// ln(1 + e^x). libtorch's own turns linear above 20, which float64 would notice.
fn softplus(x: &Tensor) -> Tensor {
    x.logaddexp(&x.zeros_like())
}

/// At 0 the slope is 1, as in Keras on JAX; libtorch's own has the other there.
fn leaky_relu(x: &Tensor, slope: f64) -> Tensor {
    x.where_self(&x.ge(0.0), &(x * slope))
}

/// An activation as a layer of its own.
#[derive(Debug)]
pub struct Activate(pub Activation);

impl ModuleT for Activate {
    fn forward_t(&self, x: &Tensor, _train: bool) -> Tensor {
        self.0.apply(x)
    }
}

/// `x` where positive, else `negative_slope * x`. Source: Keras `layers/activations/leaky_relu.py`.
#[derive(Debug)]
pub struct LeakyReLU {
    /// At least 0; the layer's default in Keras is 0.3, the activation's 0.2.
    pub negative_slope: f64,
}

impl ModuleT for LeakyReLU {
    fn forward_t(&self, x: &Tensor, _train: bool) -> Tensor {
        leaky_relu(x, self.negative_slope)
    }
}

/// `relu(x) - alpha * relu(-x)`, where alpha is learned and has the shape of a sample, or 1 where several
/// positions share it. Source: Keras `layers/activations/prelu.py`.
#[derive(Debug)]
pub struct PReLU {
    alpha: Tensor,
}

impl PReLU {
    /// Draws an alpha of that shape, channels first, from `stream`.
    pub fn new(
        parameters: &mut Parameters,
        shape: &[usize],
        initializer: Initializer,
        stream: &mut Stream,
    ) -> Self {
        let axes = CHANNELS_FIRST[shape.len() - 1];
        Self { alpha: parameters.draw("weight", shape, axes, initializer, stream) }
    }
}

impl ModuleT for PReLU {
    fn forward_t(&self, x: &Tensor, _train: bool) -> Tensor {
        // A signal's alpha meets an image of one row.
        let is_signal = self.alpha.dim() == 2 && x.dim() == 4;
        let alpha = if is_signal { self.alpha.unsqueeze(1) } else { self.alpha.shallow_clone() };
        x.relu() - alpha * (-x).relu()
    }
}

/// `max(x, 0)` with Keras's options. Source: Keras `activations/activations.py`, `ReLU.static_call`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReLU {
    /// The largest value; at least 0.
    pub max_value: Option<f64>,
    /// Slope below the threshold; at least 0.
    pub negative_slope: f64,
    /// Values up to it count as negative; at least 0.
    pub threshold: f64,
}

impl ModuleT for ReLU {
    fn forward_t(&self, x: &Tensor, _train: bool) -> Tensor {
        let Self { max_value, negative_slope, threshold } = *self;
        // A smallest of two, as in Keras on JAX: both have half the slope where they are equal.
        let at_most = |y: Tensor, most: f64| y.minimum(&y.full_like(most));
        let y = match (threshold > 0.0, max_value) {
            (false, None) if negative_slope != 0.0 => return leaky_relu(x, negative_slope),
            (false, None) => x.relu(),
            (false, Some(6.0)) => x.relu6(),
            (false, Some(most)) => at_most(x.relu(), most),
            (true, most) => {
                let y = x.where_self(&x.gt(threshold), &x.zeros_like());
                most.map_or_else(|| y.shallow_clone(), |most| at_most(y.shallow_clone(), most))
            }
        };
        if negative_slope == 0.0 { y } else { y - (threshold - x).relu() * negative_slope }
    }
}

/// `x` where positive, else `alpha * (exp(x) - 1)`. Source: Keras `layers/activations/elu.py`.
#[derive(Debug)]
pub struct Elu {
    /// The limit of large negative values is -alpha.
    pub alpha: f64,
}

impl ModuleT for Elu {
    fn forward_t(&self, x: &Tensor, _train: bool) -> Tensor {
        x.relu() + x.clamp_max(0.0).expm1() * self.alpha
    }
}

/// `exp(x) / sum(exp(x))` along an axis of `(N, C, H, W)` or `(N, F)`. Source: Keras
/// `layers/activations/softmax.py`.
#[derive(Debug)]
pub struct Softmax {
    /// As libtorch counts it.
    pub axis: i64,
}

impl ModuleT for Softmax {
    fn forward_t(&self, x: &Tensor, _train: bool) -> Tensor {
        x.softmax(self.axis, None::<Kind>)
    }
}

/// `x * scale + offset`. Source: Keras `layers/preprocessing/rescaling.py`.
#[derive(Debug)]
pub struct Rescaling {
    /// The factor.
    pub scale: f64,
    /// Added after that.
    pub offset: f64,
}

impl ModuleT for Rescaling {
    fn forward_t(&self, x: &Tensor, _train: bool) -> Tensor {
        x * self.scale + self.offset
    }
}
