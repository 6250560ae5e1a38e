//! The dense layer.

use tch::Tensor;
use tch::nn::ModuleT;

use super::resize::{channels_first, channels_last};
use super::{Activation, Fans, Initializer, Parameters};
use crate::random::Stream;

/// Over Keras's last axis: `(N, F)` to `(N, units)`, or `(N, C, H, W)` to `(N, units, H, W)`; the
/// kernel is `(units, in)`. Source: Keras `layers/core/dense.py`.
#[derive(Debug)]
pub struct Dense {
    weight: Tensor,
    bias: Option<Tensor>,
    activation: Activation,
}

/// What a dense layer is made from.
#[derive(Debug, Clone, Copy)]
pub struct DenseOptions {
    /// Size of Keras's last axis: `F`, or the channels.
    pub inputs: usize,
    /// Size of that axis afterwards.
    pub units: usize,
    /// Applied after the bias.
    pub activation: Activation,
    /// Whether each unit adds a learned offset, which starts at 0.
    pub use_bias: bool,
    /// Draws the kernel.
    pub kernel_initializer: Initializer,
}

impl Dense {
    /// Draws the kernel from `stream`; the bias starts at 0.
    pub fn new(parameters: &mut Parameters, options: DenseOptions, stream: &mut Stream) -> Self {
        let DenseOptions { inputs, units, activation, use_bias, kernel_initializer } = options;
        let fans = Fans { r#in: inputs, out: units };
        let weight = parameters.draw("weight", &[units, inputs], kernel_initializer, fans, stream);
        Self { weight, bias: use_bias.then(|| parameters.constant("bias", units, 0.0)), activation }
    }
}

impl ModuleT for Dense {
    fn forward_t(&self, x: &Tensor, _train: bool) -> Tensor {
        let y = channels_last(x).linear(&self.weight, self.bias.as_ref());
        self.activation.apply(&channels_first(&y))
    }
}
