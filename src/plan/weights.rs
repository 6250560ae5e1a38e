//! The weights that a layer holds: the one table of their names, shapes and layouts.
//!
//! Keras's shapes are those of `keras.layers` (`kernel`, `bias`, `gamma`, ...); ours are PyTorch's.

use super::shapes::Shape;
use crate::config::layers::{
    Conv1D, Conv1DTranspose, Conv2D, Depthwise, Layer, PReLU, Pair, Pointwise, ScaleAndOffset,
    SeparableConv2D,
};
use crate::nn::layout::{
    CHANNELS_FIRST, CONVOLUTION, CONVOLUTION_1D, DENSE, DEPTHWISE, DEPTHWISE_1D, VECTOR, in_keras,
};

/// A weight tensor of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weight {
    /// Its name in a PyTorch state dict: `weight`, `bias`, `running_mean` or `running_var`.
    pub suffix: &'static str,
    /// Its name in Keras.
    pub keras_name: &'static str,
    /// PyTorch's layout.
    pub shape: Vec<usize>,
    /// Keras's axis for each of PyTorch's: `keras.transpose(keras_axes)` has PyTorch's layout.
    pub keras_axes: &'static [usize],
    /// Whether the optimizer changes it; moving statistics follow the data.
    pub trainable: bool,
}

impl Weight {
    /// Number of values; saturates.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shape.iter().fold(1, |all, &side| all.saturating_mul(side))
    }

    /// Its shape in Keras's layout.
    #[must_use]
    pub fn keras_shape(&self) -> Vec<usize> {
        in_keras(&self.shape, self.keras_axes)
    }
}

/// In Keras's order, for an input of this shape.
pub(super) fn weights_of(layer: &Layer, input: &Shape) -> Vec<Weight> {
    let channels = input.channels();
    match layer {
        Layer::Conv2D(Conv2D { conv, groups }) => {
            let Pair(h, w) = conv.kernel_size;
            let shape = vec![conv.filters, channels / groups, h, w];
            kernel_and_bias(shape, CONVOLUTION, conv.use_bias.then_some(conv.filters))
        }
        Layer::Conv2DTranspose(conv) => {
            let Pair(h, w) = conv.kernel_size;
            let shape = vec![channels, conv.filters, h, w];
            kernel_and_bias(shape, CONVOLUTION, conv.use_bias.then_some(conv.filters))
        }
        Layer::Conv1D(Conv1D { groups, conv, .. }) => {
            let shape = vec![conv.filters, channels / groups, conv.kernel_size.0];
            kernel_and_bias(shape, CONVOLUTION_1D, conv.use_bias.then_some(conv.filters))
        }
        Layer::Conv1DTranspose(Conv1DTranspose { conv, .. }) => {
            let shape = vec![channels, conv.filters, conv.kernel_size.0];
            kernel_and_bias(shape, CONVOLUTION_1D, conv.use_bias.then_some(conv.filters))
        }
        Layer::DepthwiseConv2D(conv) => {
            let filters = conv.each.depth_multiplier;
            let Pair(h, w) = conv.kernel_size;
            let bias = conv.each.use_bias.then(|| filters.saturating_mul(channels));
            kernel_and_bias(vec![channels, filters, h, w], DEPTHWISE, bias)
        }
        Layer::SeparableConv2D(SeparableConv2D { pointwise, depthwise }) => {
            let Pair(h, w) = depthwise.kernel_size;
            let layouts = [DEPTHWISE, CONVOLUTION];
            separable(pointwise, &depthwise.each, channels, &[h, w], layouts)
        }
        Layer::SeparableConv1D(conv) => {
            let layouts = [DEPTHWISE_1D, CONVOLUTION_1D];
            separable(&conv.pointwise, &conv.each, channels, &[conv.kernel_size.0], layouts)
        }
        Layer::PReLU(layer) => vec![alpha(layer, input)],
        Layer::Dense(dense) => {
            let shape = vec![dense.units, channels];
            kernel_and_bias(shape, DENSE, dense.use_bias.then_some(dense.units))
        }
        Layer::LayerNormalization(norm) => scale_and_offset(&norm.learned, channels),
        Layer::GroupNormalization(layer) => scale_and_offset(&layer.norm.learned, channels),
        Layer::BatchNormalization(norm) => {
            let moving = |suffix, keras_name| Weight {
                trainable: false,
                ..learned(suffix, keras_name, vec![channels], VECTOR)
            };
            let mut weights = scale_and_offset(&norm.learned, channels);
            weights.push(moving("running_mean", "moving_mean"));
            weights.push(moving("running_var", "moving_variance"));
            weights
        }
        _ => Vec::new(),
    }
}

fn kernel_and_bias(
    shape: Vec<usize>,
    keras_axes: &'static [usize],
    bias: Option<usize>,
) -> Vec<Weight> {
    let kernel = learned("weight", "kernel", shape, keras_axes);
    let bias = bias.map(|length| learned("bias", "bias", vec![length], VECTOR));
    [kernel].into_iter().chain(bias).collect()
}

fn scale_and_offset(norm: &ScaleAndOffset, channels: usize) -> Vec<Weight> {
    let gamma = norm.scale.then(|| learned("weight", "gamma", vec![channels], VECTOR));
    let beta = norm.center.then(|| learned("bias", "beta", vec![channels], VECTOR));
    gamma.into_iter().chain(beta).collect()
}

fn learned(
    suffix: &'static str,
    keras_name: &'static str,
    shape: Vec<usize>,
    keras_axes: &'static [usize],
) -> Weight {
    Weight { suffix, keras_name, shape, keras_axes, trainable: true }
}

/// A kernel of those sides for each channel, and one of a single position for the sums.
fn separable(
    pointwise: &Pointwise,
    each: &Depthwise,
    channels: usize,
    sides: &[usize],
    [first, second]: [&'static [usize]; 2],
) -> Vec<Weight> {
    let between = each.depth_multiplier.saturating_mul(channels);
    let kernel = [&[channels, each.depth_multiplier], sides].concat();
    let sums = [vec![pointwise.filters, between], vec![1; sides.len()]].concat();
    let bias = each.use_bias.then(|| learned("bias", "bias", vec![pointwise.filters], VECTOR));
    [
        learned("depthwise_weight", "depthwise_kernel", kernel, first),
        learned("pointwise_weight", "pointwise_kernel", sums, second),
    ]
    .into_iter()
    .chain(bias)
    .collect()
}

/// The shape of the input, channels first, with 1 for shared axes. Source: Keras `layers/activations/prelu.py`.
fn alpha(layer: &PReLU, input: &Shape) -> Weight {
    let side = |(axis, &side): (usize, &usize)| {
        if layer.shared_axes.contains(&(axis + 1)) { 1 } else { side }
    };
    let mut shape: Vec<usize> = input.0.iter().enumerate().map(side).collect();
    shape.rotate_right(1);
    learned("weight", "alpha", shape, CHANNELS_FIRST[input.0.len() - 1])
}
