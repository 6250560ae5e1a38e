//! The weights that a layer holds: the one table of their names, shapes and layouts.
//!
//! Keras's shapes are those of `keras.layers` (`kernel`, `bias`, `gamma`, ...); ours are PyTorch's.

use super::shapes::Shape;
use crate::config::layers::{Layer, Pair};

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
}

/// Conv2D `(h, w, in, out)` is `(out, in, h, w)`; Conv2DTranspose `(h, w, out, in)` is `(in, out, h, w)`.
const CONVOLUTION: &[usize] = &[3, 2, 0, 1];
/// Conv1D `(k, in, out)` is `(out, in, k)`; Conv1DTranspose `(k, out, in)` is `(in, out, k)`.
const CONVOLUTION_1D: &[usize] = &[2, 1, 0];
/// Dense `(in, out)` is `(out, in)`.
const DENSE: &[usize] = &[1, 0];
const VECTOR: &[usize] = &[0];

/// In Keras's order, for an input of this shape.
pub(super) fn weights_of(layer: &Layer, input: &Shape) -> Vec<Weight> {
    let channels = input.channels();
    match layer {
        Layer::Conv2D(conv) => {
            let Pair(h, w) = conv.kernel_size;
            let shape = vec![conv.filters, channels, h, w];
            kernel_and_bias(shape, CONVOLUTION, conv.use_bias.then_some(conv.filters))
        }
        Layer::Conv2DTranspose(conv) => {
            let Pair(h, w) = conv.kernel_size;
            let shape = vec![channels, conv.filters, h, w];
            kernel_and_bias(shape, CONVOLUTION, conv.use_bias.then_some(conv.filters))
        }
        Layer::Conv1D(conv) => {
            let shape = vec![conv.filters, channels, conv.kernel_size.0];
            kernel_and_bias(shape, CONVOLUTION_1D, conv.use_bias.then_some(conv.filters))
        }
        Layer::Conv1DTranspose(conv) => {
            let shape = vec![channels, conv.filters, conv.kernel_size.0];
            kernel_and_bias(shape, CONVOLUTION_1D, conv.use_bias.then_some(conv.filters))
        }
        Layer::Dense(dense) => {
            let shape = vec![dense.units, channels];
            kernel_and_bias(shape, DENSE, dense.use_bias.then_some(dense.units))
        }
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
    let kernel =
        Weight { suffix: "weight", keras_name: "kernel", shape, keras_axes, trainable: true };
    let bias = bias.map(|length| Weight {
        suffix: "bias",
        keras_name: "bias",
        shape: vec![length],
        keras_axes: VECTOR,
        trainable: true,
    });
    [kernel].into_iter().chain(bias).collect()
}
