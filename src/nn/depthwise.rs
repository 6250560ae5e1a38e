//! Convolutions that filter each channel by itself.

use tch::Tensor;
use tch::nn::ModuleT;

use super::conv::{add_bias, convolve};
use super::window::dilated;
use super::{Activation, Fans, Initializer, Padding, Parameters};
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
    /// Draws the kernel.
    pub initializer: Initializer,
    /// Whether each output channel adds a learned offset, which starts at 0.
    pub use_bias: bool,
    /// Applied after the bias.
    pub activation: Activation,
}

impl DepthwiseOptions {
    /// Output channels of the filters.
    fn filters(&self) -> usize {
        self.channels * self.depth_multiplier
    }

    /// A kernel `(channels, depth_multiplier, kh, kw)`, with the fans of Keras's `(kh, kw, channels,
    /// depth_multiplier)`.
    fn draw(&self, parameters: &mut Parameters, name: &str, stream: &mut Stream) -> Tensor {
        let Self { channels, depth_multiplier, kernel_size: (height, width), .. } = *self;
        let window = height * width;
        let fans = Fans { r#in: channels * window, out: depth_multiplier * window };
        let shape = [channels, depth_multiplier, height, width];
        parameters.draw(name, &shape, self.initializer, fans, stream)
    }

    /// `(N, channels, H, W)` to `(N, channels * depth_multiplier, H', W')`.
    fn convolve(&self, x: &Tensor, kernel: &Tensor) -> Tensor {
        let Self { kernel_size, strides, padding, dilation_rate, channels, .. } = *self;
        let window =
            (dilated(kernel_size.0, dilation_rate.0), dilated(kernel_size.1, dilation_rate.1));
        let kernel = kernel.flatten(0, 1).unsqueeze(1);
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
    /// Draws the kernel from `stream`.
    pub fn new(
        parameters: &mut Parameters,
        options: DepthwiseOptions,
        stream: &mut Stream,
    ) -> Self {
        let weight = options.draw(parameters, "weight", stream);
        let bias = options.use_bias.then(|| parameters.constant("bias", options.filters(), 0.0));
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
/// depth_multiplier, 1, 1)` are their factors. Source: Keras `layers/convolutional/base_separable_conv.py`.
#[derive(Debug)]
pub struct SeparableConv2D {
    depthwise: Tensor,
    pointwise: Tensor,
    bias: Option<Tensor>,
    options: DepthwiseOptions,
}

impl SeparableConv2D {
    /// Draws both kernels from `stream`.
    pub fn new(
        parameters: &mut Parameters,
        options: DepthwiseOptions,
        (filters, initializer): (usize, Initializer),
        stream: &mut Stream,
    ) -> Self {
        let depthwise = options.draw(parameters, "depthwise_weight", stream);
        let between = options.filters();
        let fans = Fans { r#in: between, out: filters };
        let shape = [filters, between, 1, 1];
        let pointwise = parameters.draw("pointwise_weight", &shape, initializer, fans, stream);
        let bias = options.use_bias.then(|| parameters.constant("bias", filters, 0.0));
        Self { depthwise, pointwise, bias, options }
    }
}

impl ModuleT for SeparableConv2D {
    fn forward_t(&self, x: &Tensor, _train: bool) -> Tensor {
        let each = self.options.convolve(x, &self.depthwise);
        let y = each.conv2d(&self.pointwise, None::<Tensor>, [1, 1], [0, 0], [1, 1], 1);
        self.options.activation.apply(&add_bias(y, self.bias.as_ref()))
    }
}
