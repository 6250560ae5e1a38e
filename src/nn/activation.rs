//! Activations, with Keras's constants.

use tch::nn::ModuleT;
use tch::{Kind, Tensor};

/// Slope of Keras's activation `leaky_relu`; the layer `LeakyReLU` has another default.
const LEAKY_RELU_SLOPE: f64 = 0.2;
/// Upper end of `relu6`.
const RELU6_CEILING: f64 = 6.0;

/// A function applied to every value (softmax: to every pixel's channels).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    Linear,
    Relu,
    Relu6,
    /// With a slope of 0.2 below zero.
    LeakyRelu,
    Elu,
    Selu,
    /// The exact form, by the error function.
    Gelu,
    Silu,
    Mish,
    Sigmoid,
    HardSigmoid,
    Tanh,
    Softplus,
    Softsign,
    /// Over Keras's last axis: the channels.
    Softmax,
    Exponential,
}

impl Activation {
    /// Any shape whose axis 1 holds the channels, to the same shape.
    #[must_use]
    pub fn apply(self, x: &Tensor) -> Tensor {
        match self {
            Self::Linear => x.shallow_clone(),
            Self::Relu => x.relu(),
            Self::Relu6 => x.clamp(0.0, RELU6_CEILING),
            Self::LeakyRelu => leaky_relu(x, LEAKY_RELU_SLOPE),
            Self::Elu => x.elu(),
            Self::Selu => x.selu(),
            Self::Gelu => x.gelu("none"),
            Self::Silu => x.silu(),
            Self::Mish => x * softplus(x).tanh(),
            Self::Sigmoid => x.sigmoid(),
            Self::HardSigmoid => x.hardsigmoid(),
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

/// libtorch's `leaky_relu` takes no slope in tch, so it is spelled out.
fn leaky_relu(x: &Tensor, slope: f64) -> Tensor {
    x.relu() - (-x).relu() * slope
}

/// An activation as a layer of its own.
#[derive(Debug)]
pub struct Activate(pub Activation);

impl ModuleT for Activate {
    fn forward_t(&self, x: &Tensor, _train: bool) -> Tensor {
        self.0.apply(x)
    }
}

/// x where positive, else x times the slope.
#[derive(Debug)]
pub struct LeakyReLU {
    pub negative_slope: f64,
}

impl ModuleT for LeakyReLU {
    fn forward_t(&self, x: &Tensor, _train: bool) -> Tensor {
        leaky_relu(x, self.negative_slope)
    }
}
