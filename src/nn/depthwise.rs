//! Convolutions that filter each channel by itself.

use tch::Tensor;
use tch::nn::ModuleT;

use super::conv::{add_bias, convolve, with_height};
use super::layout::{CONVOLUTION, CONVOLUTION_1D, DEPTHWISE, DEPTHWISE_1D};
use super::window::dilated;
use super::{Activation, Initializer, Padding, Parameters};
use crate::system::random::Stream;

/// What both layers filter each channel with.
#[derive(Debug, Clone, Copy)]
pub struct DepthwiseOptions {
    /// Channels of the input.
    pub channels: usize,
    /// Filters of each channel.
    pub depth_multiplier: usize,
    /// Height, width.
    pub kernel_size: (usize, usize),
    /// Down, across; at least 1.
    pub strides: (usize, usize),
    /// Settles H' and W': see [`super::window_length`].
    pub padding: Padding,
    /// Distance of the kernel's pixels, down and across; at least 1.
    pub dilation_rate: (usize, usize),
    /// Whether the images are signals, of one row: PyTorch's kernels have no height then.
    pub of_signals: bool,
    /// Draws the kernel.
    pub initializer: Initializer,
    /// How the learned offset of each output channel starts, where it has one.
    pub bias_initializer: Option<Initializer>,
    /// Applied after the bias.
    pub activation: Activation,
}

impl DepthwiseOptions {
    /// Output channels of the filters.
    fn filters(&self) -> usize {
        self.channels * self.depth_multiplier
    }

    /// A kernel `(channels, depth_multiplier, kh, kw)`, of signals `(channels, depth_multiplier, kw)`.
    fn draw(&self, parameters: &mut Parameters, name: &str, stream: &mut Stream) -> Tensor {
        let Self { channels, depth_multiplier, kernel_size: (height, width), .. } = *self;
        let (shape, axes) = if self.of_signals {
            (vec![channels, depth_multiplier, width], DEPTHWISE_1D)
        } else {
            (vec![channels, depth_multiplier, height, width], DEPTHWISE)
        };
        parameters.draw(name, &shape, axes, self.initializer, stream)
    }

    /// A bias for so many output channels.
    fn draw_bias(
        &self,
        parameters: &mut Parameters,
        filters: usize,
        stream: &mut Stream,
    ) -> Option<Tensor> {
        let initializer = self.bias_initializer?;
        Some(parameters.draw_vector("bias", filters, initializer, stream))
    }

    /// `(N, channels, H, W)` to `(N, channels * depth_multiplier, H', W')`.
    fn convolve(&self, x: &Tensor, kernel: &Tensor) -> Tensor {
        let Self { kernel_size, strides, padding, dilation_rate, channels, .. } = *self;
        let window =
            (dilated(kernel_size.0, dilation_rate.0), dilated(kernel_size.1, dilation_rate.1));
        let kernel = with_height(&kernel.flatten(0, 1).unsqueeze(1));
        convolve(x, &kernel, (window, strides, padding), dilation_rate, channels)
    }
}

/// Filters of one channel each. Source: Keras `layers/convolutional/base_depthwise_conv.py`.
#[derive(Debug)]
pub struct DepthwiseConv2D {
    weight: Tensor,
    bias: Option<Tensor>,
    options: DepthwiseOptions,
}

impl DepthwiseConv2D {
    /// Draws kernel and bias from `stream`.
    pub fn new(
        parameters: &mut Parameters,
        options: DepthwiseOptions,
        stream: &mut Stream,
    ) -> Self {
        let weight = options.draw(parameters, "weight", stream);
        let bias = options.draw_bias(parameters, options.filters(), stream);
        Self { weight, bias, options }
    }
}

impl ModuleT for DepthwiseConv2D {
    fn forward_t(&self, x: &Tensor, _train: bool) -> Tensor {
        let y = self.options.convolve(x, &self.weight);
        self.options.activation.apply(&add_bias(y, self.bias.as_ref()))
    }
}

/// Filters of one channel each, then sums over the channels, pixel by pixel; `(filters, channels *
/// depth_multiplier, 1, 1)` are their factors (of signals without the height). Source: Keras `layers/convolutional/base_separable_conv.py`.
#[derive(Debug)]
pub struct SeparableConv2D {
    depthwise: Tensor,
    pointwise: Tensor,
    bias: Option<Tensor>,
    options: DepthwiseOptions,
}

impl SeparableConv2D {
    /// Draws both kernels and the bias from `stream`.
    pub fn new(
        parameters: &mut Parameters,
        options: DepthwiseOptions,
        (filters, initializer): (usize, Initializer),
        stream: &mut Stream,
    ) -> Self {
        let depthwise = options.draw(parameters, "depthwise_weight", stream);
        let shape = [filters, options.filters(), 1, 1];
        let (shape, axes) = if options.of_signals {
            (&shape[..3], CONVOLUTION_1D)
        } else {
            (&shape[..], CONVOLUTION)
        };
        let name = "pointwise_weight";
        let pointwise = parameters.draw(name, shape, axes, initializer, stream);
        let bias = options.draw_bias(parameters, filters, stream);
        Self { depthwise, pointwise, bias, options }
    }
}

impl ModuleT for SeparableConv2D {
    fn forward_t(&self, x: &Tensor, _train: bool) -> Tensor {
        let each = self.options.convolve(x, &self.depthwise);
        let pointwise = with_height(&self.pointwise);
        let y = each.conv2d(&pointwise, None::<Tensor>, [1, 1], [0, 0], [1, 1], 1);
        self.options.activation.apply(&add_bias(y, self.bias.as_ref()))
    }
}
