//! The weights that a layer holds: the one table of their names, shapes and layouts.
//!
//! Keras's shapes are those of `keras.layers` (`kernel`, `bias`, `gamma`, ...); ours are PyTorch's.

use super::shapes::Shape;
use crate::config::layers::{
    Conv1D, Conv2D, DepthwiseConv2D, Layer, LayerNormalization, PReLU, Pair, SeparableConv2D,
};
use crate::nn::layout::{
    CHANNELS_FIRST, CONVOLUTION, CONVOLUTION_1D, DENSE, DEPTHWISE, VECTOR, in_keras,
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
        Layer::Conv1D(Conv1D { groups, conv }) => {
            let shape = vec![conv.filters, channels / groups, conv.kernel_size.0];
            kernel_and_bias(shape, CONVOLUTION_1D, conv.use_bias.then_some(conv.filters))
        }
        Layer::Conv1DTranspose(conv) => {
            let shape = vec![channels, conv.filters, conv.kernel_size.0];
            kernel_and_bias(shape, CONVOLUTION_1D, conv.use_bias.then_some(conv.filters))
        }
        Layer::DepthwiseConv2D(conv) => {
            let bias = conv.use_bias.then(|| conv.depth_multiplier.saturating_mul(channels));
            kernel_and_bias(depthwise(conv, channels), DEPTHWISE, bias)
        }
        Layer::SeparableConv2D(conv) => separable(conv, channels),
        Layer::PReLU(layer) => vec![alpha(layer, input)],
        Layer::Dense(dense) => {
            let shape = vec![dense.units, channels];
            kernel_and_bias(shape, DENSE, dense.use_bias.then_some(dense.units))
        }
        Layer::LayerNormalization(norm) => scale_and_offset(norm, channels),
        Layer::GroupNormalization(layer) => scale_and_offset(&layer.norm, channels),
        Layer::BatchNormalization(norm) => {
            let vector = |suffix, keras_name, trainable| Weight {
                suffix,
                keras_name,
                shape: vec![channels],
                keras_axes: VECTOR,
                trainable,
            };
            [
                norm.scale.then(|| vector("weight", "gamma", true)),
                norm.center.then(|| vector("bias", "beta", true)),
                Some(vector("running_mean", "moving_mean", false)),
                Some(vector("running_var", "moving_variance", false)),
            ]
            .into_iter()
            .flatten()
            .collect()
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

fn scale_and_offset(norm: &LayerNormalization, channels: usize) -> Vec<Weight> {
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

/// Input channels, filters of each, height, width.
fn depthwise(conv: &DepthwiseConv2D, channels: usize) -> Vec<usize> {
    let Pair(h, w) = conv.kernel_size;
    vec![channels, conv.depth_multiplier, h, w]
}

fn separable(conv: &SeparableConv2D, channels: usize) -> Vec<Weight> {
    let between = conv.depthwise.depth_multiplier.saturating_mul(channels);
    let first = depthwise(&conv.depthwise, channels);
    let bias = conv.depthwise.use_bias.then(|| learned("bias", "bias", vec![conv.filters], VECTOR));
    [
        learned("depthwise_weight", "depthwise_kernel", first, DEPTHWISE),
        learned(
            "pointwise_weight",
            "pointwise_kernel",
            vec![conv.filters, between, 1, 1],
            CONVOLUTION,
        ),
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
