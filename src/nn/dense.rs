//! The dense layer.

use tch::nn::ModuleT;
use tch::{Device, Tensor};

use super::layout::DENSE;
use super::resize::{channels_first, channels_last};
use super::{Activation, Initializer, Parameters};
use crate::system::random::Stream;

/// Rows whose products are summed up at once.
const MOST_ROWS: i64 = 4096;

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
    /// How the learned offset of each unit starts, where it has one.
    pub bias_initializer: Option<Initializer>,
    /// Draws the kernel.
    pub kernel_initializer: Initializer,
}

impl Dense {
    /// Draws kernel and bias from `stream`.
    pub fn new(parameters: &mut Parameters, options: DenseOptions, stream: &mut Stream) -> Self {
        let DenseOptions { inputs, units, activation, .. } = options;
        let shape = [units, inputs];
        let weight = parameters.draw("weight", &shape, DENSE, options.kernel_initializer, stream);
        let draw = |bias| parameters.draw_vector("bias", units, bias, stream);
        Self { weight, bias: options.bias_initializer.map(draw), activation }
    }

    /// `(rows, in)` to `(rows, units)`. The kernel's gradient is a sum over all rows, which are every pixel
    /// of every image. On the CPU libtorch loses 1e-5 of it in float32 over a million rows; part by part
    /// it loses no more than over a thousand.
    fn multiply(&self, rows: &Tensor) -> Tensor {
        let multiply = |rows: &Tensor| rows.linear(&self.weight, None::<Tensor>);
        if rows.size()[0] <= MOST_ROWS || rows.device() != Device::Cpu {
            return multiply(rows);
        }
        Tensor::cat(&rows.split(MOST_ROWS, 0).iter().map(multiply).collect::<Vec<_>>(), 0)
    }
}

impl ModuleT for Dense {
    fn forward_t(&self, x: &Tensor, _train: bool) -> Tensor {
        let x = channels_last(x);
        let mut products = self.multiply(&x.flatten(0, -2));
        let y = match &self.bias {
            Some(bias) => products.g_add_(bias),
            None => products,
        };
        let shape = [&x.size()[..x.dim() - 1], &[-1]].concat();
        self.activation.apply(&channels_first(&y.view(shape.as_slice())))
    }
}
