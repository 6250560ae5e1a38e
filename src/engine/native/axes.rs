//! Which stage a layer has that looks at whole axes or puts them elsewhere: softmax, normalisations of a sample,
//! PReLU, poolings over all pixels, and what moves or repeats values.

use super::grid::Size;
use super::lower::Kind;
use super::stages::{NormOptions, PReluOptions};
use crate::config::layers::{self, Layer};
use crate::plan::{Shape, axis_of};

/// Of height, width and channels the one that a side of a shape is: a signal is an image of one row, and a
/// vector one pixel.
fn of_image(shape: &Shape, side: usize) -> usize {
    side + 3 - shape.0.len()
}

/// An axis of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Axis {
    Height,
    Width,
    Channels,
}

impl Axis {
    /// The one of a shape that Keras's `axis` means, which counts the batch.
    ///
    /// # Panics
    /// When the shape has no such side, which a plan refuses.
    pub fn of(shape: &Shape, axis: i64) -> Self {
        let side = axis_of(shape, axis).expect("the plan has checked it");
        [Self::Height, Self::Width, Self::Channels][of_image(shape, side)]
    }
}

/// The stage of a layer whose weights start at `first`; of all others `None`.
pub(super) fn kind(layer: &Layer, input: &Shape, first: usize) -> Option<Kind> {
    let channels = input.channels();
    Some(match layer {
        Layer::Softmax(_) => Kind::Softmax,
        Layer::PReLU(layer) => Kind::PRelu(prelu(layer, input, first)),
        Layer::LayerNormalization(norm) => {
            Kind::LayerNorm(normalization(&norm.learned, norm.epsilon, channels, first))
        }
        Layer::GroupNormalization(layer) => {
            let groups = layer.groups_of(channels).expect("the plan has checked it");
            let norm = &layer.norm;
            Kind::GroupNorm(groups, normalization(&norm.learned, norm.epsilon, channels, first))
        }
        Layer::UnitNormalization(_) => Kind::UnitNorm,
        Layer::GlobalAveragePooling2D(_) => Kind::GlobalPool { largest: false },
        Layer::GlobalMaxPooling2D(_) => Kind::GlobalPool { largest: true },
        Layer::Permute(permute) => {
            let mut axes = [0, 1, 2];
            for (side, &axis) in permute.dims.iter().enumerate() {
                axes[of_image(input, side)] = of_image(input, axis - 1);
            }
            Kind::Permute(axes)
        }
        Layer::RepeatVector(layer) => Kind::Repeat(layer.n),
        Layer::DepthToSpace(layer) => Kind::DepthToSpace(layer.block_size),
        _ => return None,
    })
}

/// Of a softmax along another axis than the channels: the axis is put in their place, and back.
pub(super) fn softmax_elsewhere(layer: &Layer, input: &Shape) -> Option<[(Kind, Size, Size); 3]> {
    let Layer::Softmax(softmax) = layer else { return None };
    let size = Size::of(&input.0);
    let Size { height, width, channels } = size;
    let (axes, turned) = match Axis::of(input, softmax.axis) {
        Axis::Height => ([2, 1, 0], Size { height: channels, width, channels: height }),
        Axis::Width => ([0, 2, 1], Size { height, width: channels, channels: width }),
        Axis::Channels => return None,
    };
    let turn = Kind::Permute(axes);
    Some([(turn.clone(), size, turned), (Kind::Softmax, turned, turned), (turn, turned, size)])
}

/// Alpha has the input's sides, and 1 where an axis is shared.
fn prelu(layer: &layers::PReLU, input: &Shape, first: usize) -> PReluOptions {
    let sides = input.0.iter().zip(1..);
    let sides = sides.map(|(&side, axis)| if layer.shared_axes.contains(&axis) { 1 } else { side });
    let sides = Size::of(&sides.collect::<Vec<_>>());
    PReluOptions { sides, alpha: first..first + sides.values() }
}

/// Gamma stands before beta.
pub(super) fn normalization(
    learned: &layers::ScaleAndOffset,
    epsilon: f64,
    channels: usize,
    first: usize,
) -> NormOptions {
    let gamma = learned.scale.then(|| first..first + channels);
    let first = gamma.as_ref().map_or(first, |gamma| gamma.end);
    let beta = learned.center.then(|| first..first + channels);
    NormOptions { gamma, beta, epsilon }
}
