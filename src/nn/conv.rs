//! Convolution and transposed convolution with Keras's padding.

use tch::Tensor;
use tch::nn::ModuleT;

use super::layout::{CONVOLUTION, CONVOLUTION_1D};
use super::window::{dilated, padding_of, pair, size_of, to_i64};
use super::{Activation, Initializer, Padding, Parameters};
use crate::system::random::Stream;

/// What both kinds of convolution are made from.
#[derive(Debug, Clone, Copy)]
pub struct ConvOptions {
    /// Channels of the input.
    pub channels: usize,
    /// Channels of the output.
    pub filters: usize,
    /// Height, width.
    pub kernel_size: (usize, usize),
    /// Down, across; at least 1. Transposed: factors of height and width.
    pub strides: (usize, usize),
    /// Settles H' and W': see [`super::window_length`] and [`super::conv_transpose_length`].
    pub padding: Padding,
    /// Applied after the bias.
    pub activation: Activation,
    /// How the learned offset of each filter starts, where it has one.
    pub bias_initializer: Option<Initializer>,
    /// Draws the kernel.
    pub kernel_initializer: Initializer,
    /// Whether the images are signals, of one row: PyTorch's kernel has no height then.
    pub of_signals: bool,
    /// Distance of the kernel's pixels, down and across; at least 1.
    pub dilation_rate: (usize, usize),
    /// Parts of the channels that are convolved apart; divides channels and filters. A transposed convolution
    /// has one.
    pub groups: usize,
}

impl ConvOptions {
    /// Height and width of the dilated kernel.
    fn window(&self) -> (usize, usize) {
        let (kernel, rate) = (self.kernel_size, self.dilation_rate);
        (dilated(kernel.0, rate.0), dilated(kernel.1, rate.1))
    }
}

/// A kernel, with its bias.
#[derive(Debug)]
struct Kernel {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Kernel {
    /// `leading` are the kernel's first two axes.
    fn new(
        parameters: &mut Parameters,
        options: &ConvOptions,
        leading: [usize; 2],
        stream: &mut Stream,
    ) -> Self {
        let (height, width) = options.kernel_size;
        let shape = [leading[0], leading[1], height, width];
        let without_height = [leading[0], leading[1], width];
        let (shape, axes) = if options.of_signals {
            (&without_height[..], CONVOLUTION_1D)
        } else {
            (&shape[..], CONVOLUTION)
        };
        let weight = parameters.draw("weight", shape, axes, options.kernel_initializer, stream);
        let draw = |bias| parameters.draw_vector("bias", options.filters, bias, stream);
        Self { weight, bias: options.bias_initializer.map(draw) }
    }

    fn add_bias(&self, y: Tensor) -> Tensor {
        add_bias(y, self.bias.as_ref())
    }
}

/// A kernel with the height that one of signals lacks.
pub(super) fn with_height(kernel: &Tensor) -> Tensor {
    if kernel.dim() == 3 { kernel.unsqueeze(2) } else { kernel.shallow_clone() }
}

/// To `(N, filters, H, W)`, in place. What libtorch's convolutions add themselves gets its gradient
/// from a plain sum, which in float32 loses 1e-5 in a million values a channel; that of an addition
/// is summed pairwise.
pub(super) fn add_bias(mut y: Tensor, bias: Option<&Tensor>) -> Tensor {
    let Some(bias) = bias else { return y };
    y.g_add_(&bias.view([-1, 1, 1]))
}

/// A convolution with Keras's padding, for windows of that size.
pub(super) fn convolve(
    x: &Tensor,
    kernel: &Tensor,
    (window, strides, padding): ((usize, usize), (usize, usize), Padding),
    dilation_rate: (usize, usize),
    groups: usize,
) -> Tensor {
    let pad = padding_of(size_of(x), window, strides, padding);
    let convolve = |x: &Tensor, padding: [i64; 2]| {
        let (strides, rate) = (pair(strides), pair(dilation_rate));
        x.conv2d(kernel, None::<Tensor>, strides, padding, rate, to_i64(groups))
    };
    // libtorch pads both sides alike at no cost; anything else takes a copy.
    let [left, right, top, bottom] = pad;
    if left == right && top == bottom {
        convolve(x, [top, left])
    } else {
        convolve(&x.constant_pad_nd(pad), [0, 0])
    }
}

/// `(N, in, H, W)` to `(N, filters, H', W')`; the kernel is `(filters, in / groups, kh, kw)`. Source: Keras
/// `layers/convolutional/base_conv.py`.
#[derive(Debug)]
pub struct Conv2D {
    kernel: Kernel,
    options: ConvOptions,
}

impl Conv2D {
    /// Draws kernel and bias from `stream`.
    pub fn new(parameters: &mut Parameters, options: ConvOptions, stream: &mut Stream) -> Self {
        let ConvOptions { channels, filters, groups, .. } = options;
        let kernel = Kernel::new(parameters, &options, [filters, channels / groups], stream);
        Self { kernel, options }
    }
}

impl ModuleT for Conv2D {
    fn forward_t(&self, x: &Tensor, _train: bool) -> Tensor {
        let ConvOptions { strides, padding, activation, dilation_rate, groups, .. } = self.options;
        let windows = (self.options.window(), strides, padding);
        let y = convolve(x, &with_height(&self.kernel.weight), windows, dilation_rate, groups);
        activation.apply(&self.kernel.add_bias(y))
    }
}

/// `(N, in, H, W)` to `(N, filters, H', W')`; the kernel is `(in, filters, kh, kw)`. Source: Keras
/// `layers/convolutional/base_conv_transpose.py`.
#[derive(Debug)]
pub struct Conv2DTranspose {
    kernel: Kernel,
    options: ConvOptions,
}

impl Conv2DTranspose {
    /// Draws kernel and bias from `stream`.
    pub fn new(parameters: &mut Parameters, options: ConvOptions, stream: &mut Stream) -> Self {
        let ConvOptions { channels, filters, .. } = options;
        let kernel = Kernel::new(parameters, &options, [channels, filters], stream);
        Self { kernel, options }
    }
}

impl ModuleT for Conv2DTranspose {
    /// Run unpadded, then cut to length: no symmetric padding gives Keras's `same` for an odd
    /// kernel and a stride above 1.
    fn forward_t(&self, x: &Tensor, _train: bool) -> Tensor {
        let ConvOptions { strides, padding, activation, dilation_rate, .. } = self.options;
        let ((height, width), window) = (size_of(x), self.options.window());
        let rows = Extent::of(height, window.0, strides.0, padding);
        let columns = Extent::of(width, window.1, strides.1, padding);
        let y = x.conv_transpose2d(
            &with_height(&self.kernel.weight),
            None::<Tensor>,
            pair(strides),
            [0, 0],
            [rows.missing, columns.missing],
            1,
            pair(dilation_rate),
        );
        let y = y.narrow(2, rows.start, rows.length).narrow(3, columns.start, columns.length);
        activation.apply(&self.kernel.add_bias(y))
    }
}

/// What Keras keeps of an unpadded transposed convolution along one side.
struct Extent {
    start: i64,
    length: i64,
    /// Rows that the unpadded result is short of, where the stride exceeds the kernel.
    missing: i64,
}

impl Extent {
    fn of(length: usize, kernel: usize, stride: usize, padding: Padding) -> Self {
        let (start, end) = padding.cut(kernel, stride);
        let kept = length * stride + kernel.saturating_sub(stride) - start - end;
        let missing = stride.saturating_sub(kernel);
        Self { start: to_i64(start), length: to_i64(kept), missing: to_i64(missing) }
    }
}
