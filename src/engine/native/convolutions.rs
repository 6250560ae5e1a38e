//! Layers with kernels as operations: what their keys mean as windows, and where their weights stand.
//!
//! A `SeparableConv2D` is two operations: [`separable`] gives the second one.

use super::fold::Fold;
use super::grid::Size;
use super::lower::Kind;
use super::pass::Direction;
use super::stages::{ConvolutionOptions, DepthwiseOptions};
use super::window::{Side, Window};
use crate::config::layers::{self, Layer, Pair};
use crate::nn::{Padding, dilated};

/// What the sides of a kernel have in common, down or across.
#[derive(Clone, Copy)]
struct Taps {
    count: usize,
    stride: usize,
    dilation: usize,
    padding: Padding,
}

impl Taps {
    /// Down, then across.
    fn of(kernel: Pair, strides: Pair, dilation: Pair, padding: Padding) -> [Self; 2] {
        let taps = |count, stride, dilation| {
            // One tap has no distance to others.
            let dilation = if count == 1 { 1 } else { dilation };
            Self { count, stride, dilation, padding }
        };
        [taps(kernel.0, strides.0, dilation.0), taps(kernel.1, strides.1, dilation.1)]
    }

    fn side(self, fine: usize, coarse: usize, offset: usize) -> Side {
        let Self { count, stride, dilation, .. } = self;
        Side { fine, coarse, taps: count, stride, dilation, offset: offset as isize }
    }

    /// From a fine grid to a coarse one.
    fn gather(self, fine: usize, coarse: usize) -> Side {
        let window = dilated(self.count, self.dilation);
        self.side(fine, coarse, self.padding.added(fine, window, self.stride).0)
    }

    /// The other way: Keras keeps the middle of what an unpadded transposed convolution gives.
    fn scatter(self, coarse: usize, fine: usize) -> Side {
        let window = dilated(self.count, self.dilation);
        self.side(fine, coarse, self.padding.cut(window, self.stride).0)
    }
}

/// With as many groups as channels, a `Conv2D` is a `DepthwiseConv2D`: so are its weights.
pub(super) fn conv2d(layer: &layers::Conv2D, input: Size, output: Size, first: usize) -> Kind {
    let layers::Conv2D { conv, groups } = layer;
    let [down, across] = Taps::of(conv.kernel_size, conv.strides, conv.dilation_rate, conv.padding);
    let window = Window {
        rows: down.gather(input.height, output.height),
        columns: across.gather(input.width, output.width),
        fine: input.channels / groups,
        coarse: output.channels / groups,
        groups: *groups,
    };
    if *groups > 1 && window.fine == 1 {
        return Kind::Depthwise(DepthwiseOptions::new(window, conv.use_bias, first));
    }
    Kind::Convolution(with_weights(window, Direction::Gather, conv.use_bias, first))
}

pub(super) fn conv2d_transpose(
    conv: &layers::Convolution,
    input: Size,
    output: Size,
    first: usize,
) -> Kind {
    let [down, across] = Taps::of(conv.kernel_size, conv.strides, conv.dilation_rate, conv.padding);
    let window = Window {
        rows: down.scatter(input.height, output.height),
        columns: across.scatter(input.width, output.width),
        fine: output.channels,
        coarse: input.channels,
        groups: 1,
    };
    Kind::Convolution(with_weights(window, Direction::Scatter, conv.use_bias, first))
}

/// A convolution of one tap.
pub(super) fn dense(dense: &layers::Dense, input: Size, output: Size, first: usize) -> Kind {
    Kind::Convolution(pointwise(input, output, dense.use_bias, first))
}

/// The filters of each channel; `output` has the size of what the layer gives, whose channels may be those of
/// the sums that follow.
pub(super) fn depthwise(
    conv: &layers::DepthwiseConv2D,
    input: Size,
    output: Size,
    use_bias: bool,
    first: usize,
) -> Kind {
    let [down, across] = Taps::of(conv.kernel_size, conv.strides, conv.dilation_rate, conv.padding);
    let window = Window {
        rows: down.gather(input.height, output.height),
        columns: across.gather(input.width, output.width),
        fine: 1,
        coarse: conv.each.depth_multiplier,
        groups: input.channels,
    };
    Kind::Depthwise(DepthwiseOptions::new(window, use_bias, first))
}

/// Of a separable convolution the sums that follow its filters, and what these give.
pub(super) fn separable(
    layer: &Layer,
    input: Size,
    output: Size,
    first: usize,
) -> Option<(Kind, Size)> {
    let in_2d = layer.in_2d();
    let Layer::SeparableConv2D(conv) = in_2d.as_ref().unwrap_or(layer) else { return None };
    let layers::SeparableConv2D {
        depthwise: layers::DepthwiseConv2D { kernel_size, each, .. },
        ..
    } = conv;
    let between = Size { channels: input.channels * each.depth_multiplier, ..output };
    // The weights are the kernel of the filters, that of the sums, and the bias.
    let first = first + kernel_size.0 * kernel_size.1 * between.channels;
    Some((Kind::Convolution(pointwise(between, output, each.use_bias, first)), between))
}

/// So many input channels fill vectors of any length.
const FILLING: usize = 16;

/// Sums over the channels of each pixel. The stored kernel is `(outputs, inputs)`. Where there is one pixel, the weights
/// outweigh the images: there the outputs are the fine grid and the inputs the coarse one, so that the kernel is
/// `(fine, coarse)` as it is stored, and neither it nor its gradient is brought into another order in each step.
fn pointwise(input: Size, output: Size, use_bias: bool, first: usize) -> ConvolutionOptions {
    let side =
        |length| Side { fine: length, coarse: length, taps: 1, stride: 1, dilation: 1, offset: 0 };
    let coarse_first = input.height * input.width > 1 || input.channels < FILLING;
    let (direction, fine, coarse) = if coarse_first {
        (Direction::Gather, input.channels, output.channels)
    } else {
        (Direction::Scatter, output.channels, input.channels)
    };
    let (rows, columns) = (side(input.height), side(input.width));
    let window = Window { rows, columns, fine, coarse, groups: 1 };
    ConvolutionOptions { coarse_first, ..with_weights(window, direction, use_bias, first) }
}

/// PyTorch's layouts, which the weights have, put the coarse channels first in all three layers; for [`pointwise`] with
/// the grids exchanged they are the last.
fn with_weights(
    window: Window,
    direction: Direction,
    use_bias: bool,
    first: usize,
) -> ConvolutionOptions {
    let end = first + window.groups * window.kernel();
    let results = match direction {
        Direction::Gather => window.coarse_size().channels,
        Direction::Scatter => window.fine_size().channels,
    };
    ConvolutionOptions {
        window,
        direction,
        fold: Fold { upsampling: None },
        tiling: None,
        coarse_first: true,
        relu: false,
        pool: None,
        part: None,
        kernel: first..end,
        bias: use_bias.then_some(end..end + results),
    }
}
