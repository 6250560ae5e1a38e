//! What a plan is lowered into: steps from one field of values to the next, and back.

mod bilinear;
mod broadcast;
mod convolution;
mod depthwise;
mod global_pool;
mod group_norm;
mod layer_norm;
mod learned;
mod parted;
mod pointwise;
mod pool;
mod prelu;
mod rearrange;
mod shape;
mod softmax;

pub(super) use bilinear::Bilinear;
pub(super) use broadcast::Broadcast;
pub(super) use convolution::{Convolution, Options as ConvolutionOptions, Part};
pub(super) use depthwise::{Depthwise, Options as DepthwiseOptions};
pub(super) use global_pool::GlobalPool;
pub(super) use group_norm::GroupNorm;
pub(super) use layer_norm::{LayerNorm, NormOptions, UnitNorm};
pub(super) use learned::hand_out;
pub(super) use parted::{Parted, PartedOptions};
pub(super) use pointwise::Pointwise;
pub(super) use pool::{AveragePool, MOST_CANDIDATES, MaxPool};
pub(super) use prelu::{PRelu, PReluOptions};
pub(super) use rearrange::{DepthToSpace, Permute};
pub(super) use shape::{PadOrCrop, Reshape, Upsample};
pub(super) use softmax::Softmax;

use super::grid::{Edge, Field, Margin};
use super::kernels::Real;
use super::team::Team;

/// One stage with its buffers; every worker has its own.
pub(super) trait Stage<T: Real>: std::fmt::Debug + Send {
    /// Takes over the weights before a step: all of the model's, in one row.
    fn load(&mut self, _weights: &[T]) {}

    /// From now on it may divide its work among `team`.
    fn join(&mut self, _team: &Team) {}

    /// Computes the first `images` of `output`.
    fn forward(&mut self, input: &Field<T>, output: &mut Field<T>, images: usize);

    /// From the output's gradient, which may be overwritten, to the input's, where it is wanted; adds
    /// up the gradients of the stage's own weights.
    fn backward(
        &mut self,
        input: &Field<T>,
        output: &mut Edge<T>,
        input_gradient: Option<&mut Field<T>>,
        images: usize,
    );

    /// Adds the gradients of the stage's weights to those at their places in the row of all weights, which other
    /// stages may share, and starts them anew.
    fn collect(&mut self, _gradient: &mut [T]) {}

    /// Zeros that the stage reads around its input's values.
    fn input_margin(&self) -> Margin {
        Margin::default()
    }

    /// Zeros that the stage reads around its output's gradient.
    fn gradient_margin(&self) -> Margin {
        Margin::default()
    }
}
