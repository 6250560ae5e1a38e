//! From a plan to stages: first one operation for each thing that a layer does, then the rewrites,
//! which make the same function of fewer and larger operations.
//!
//! The rewrites, in the order in which they are made:
//!
//! - [`drop_identities`]: an operation that changes nothing is left out.
//! - [`fold_upsampling`]: nearest upsampling and the convolution after it are one transposed
//!   convolution; [`super::fold`] has the algebra.
//! - [`multiply_less`]: convolutions of 3x3 taps and stride 1, and `same` ones after an upsampling by two,
//!   are computed from tiles of 2x2 pixels where they have 16 channels or more on both sides; this takes
//!   16 multiplications a tile instead of 36, and 9 instead of 16; [`super::tiled`] has the algebra.
//! - [`fuse_pooling`]: `max_k relu(x_k) = relu(max_k x_k)`, as relu does not decrease; so the largest
//!   value is taken first, and the convolution keeps no more than the rows under one pooled row.
//! - [`fuse_relu`]: the convolution applies the relu while a row is in the cache.
//! - [`fuse_sigmoid`]: with `p = sigmoid(z)`, the cross-entropy `-t ln p - (1 - t) ln(1 - p)` is
//!   `ln(1 + e^z) - t z`, and its gradient by `z` is `p - t`.

use super::fold::Fold;
use super::grid::Size;
use super::pass::Direction;
use super::stages::{Activate, ConvolutionOptions};
use super::tiled::Tiling;
use super::window::{Side, Window};
use crate::config::layers::{self, Layer, Pair, Sides};
use crate::nn::{Activation, Interpolation, Loss, Padding, PoolOptions, same_padding};
use crate::plan::{PlannedLayer, Section};

/// One operation with what goes in and comes out.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    pub kind: Kind,
    pub input: Size,
    pub output: Size,
}

/// What an operation does.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Convolution(ConvolutionOptions),
    Activate(Activate),
    MaxPool(PoolOptions),
    AveragePool(PoolOptions),
    /// Nearest upsampling by these factors.
    Repeat(usize, usize),
    /// Padding or cropping: rows and columns before the first one.
    Place(isize, isize),
    Reshape,
}

/// What follows the last operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Head {
    /// The outputs meet the targets in this loss.
    Outputs(Loss),
    /// The outputs are logits of a cross-entropy.
    Logits,
}

/// A layer that the native engine has no stage for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it has no stage for {name} ({what})")]
pub struct Unsupported {
    /// Its name in Keras: `batch_normalization_1`.
    pub name: String,
    /// Its type, and what of it is missing: `UpSampling2D, bilinear`.
    pub what: String,
}

/// The operations of some layers, rewritten.
///
/// # Errors
/// Names the first layer that there is no stage for.
pub(super) fn lower(
    section: &Section<'_>,
    loss: Loss,
) -> Result<(Vec<Operation>, Head), Unsupported> {
    let operations = operations(section)?;
    let operations = drop_identities(operations);
    let operations = fold_upsampling(operations);
    let operations = multiply_less(operations);
    let operations = fuse_pooling(operations);
    let operations = fuse_relu(operations);
    Ok(fuse_sigmoid(operations, loss))
}

/// One or two operations for each layer, as the layers stand.
pub(super) fn operations(section: &Section<'_>) -> Result<Vec<Operation>, Unsupported> {
    let mut operations = Vec::new();
    let mut weights = section.weights_before;
    for planned in section.layers {
        let (input, output) = (Size::of(&planned.input.0), Size::of(&planned.output.0));
        let (kind, activation) = translate(planned, input, output, weights)?;
        let operation = |kind, input| Operation { kind, input, output };
        operations.extend(kind.map(|kind| operation(kind, input)));
        operations.extend(activation.map(|function| operation(Kind::Activate(function), output)));
        weights += planned.trainable;
    }
    Ok(operations)
}

/// What a layer does and the activation that it applies; its weights start at `first`.
fn translate(
    planned: &PlannedLayer,
    input: Size,
    output: Size,
    first: usize,
) -> Result<(Option<Kind>, Option<Activate>), Unsupported> {
    let unsupported = |detail: &str| {
        Err(Unsupported {
            name: planned.name.clone(),
            what: format!("{}{detail}", planned.layer.name()),
        })
    };
    let activation = match &planned.layer {
        Layer::Conv2D(conv) | Layer::Conv2DTranspose(conv) => conv.activation,
        Layer::Dense(dense) => dense.activation,
        Layer::Activation(layer) => layer.activation,
        Layer::ReLU(_) => Activation::Relu,
        _ => Activation::Linear,
    };
    if activation == Activation::Softmax {
        return unsupported(", softmax");
    }
    let kind = match &planned.layer {
        Layer::Conv2D(conv) => Kind::Convolution(conv2d(conv, input, output, first)),
        Layer::Conv2DTranspose(conv) => {
            Kind::Convolution(conv2d_transpose(conv, input, output, first))
        }
        Layer::Dense(dense) => Kind::Convolution(self::dense(dense, input, output, first)),
        Layer::MaxPooling2D(pool) => Kind::MaxPool(pool_options(pool)),
        Layer::AveragePooling2D(pool) => Kind::AveragePool(pool_options(pool)),
        Layer::UpSampling2D(up) if up.interpolation == Interpolation::Nearest => {
            Kind::Repeat(up.size.0, up.size.1)
        }
        Layer::UpSampling2D(_) => return unsupported(", bilinear"),
        Layer::ZeroPadding2D(pad) => {
            let Sides { top, left, .. } = pad.padding;
            Kind::Place(top as isize, left as isize)
        }
        Layer::Cropping2D(crop) => {
            let Sides { top, left, .. } = crop.cropping;
            Kind::Place(-(top as isize), -(left as isize))
        }
        Layer::Flatten(_) | Layer::Reshape(_) => Kind::Reshape,
        Layer::LeakyReLU(leaky) => Kind::Activate(Activate::LeakyRelu(leaky.negative_slope)),
        Layer::ReLU(_) | Layer::Activation(_) => {
            return Ok((None, Some(Activate::Activation(activation))));
        }
        Layer::BatchNormalization(_) | Layer::Dropout(_) | Layer::GaussianNoise(_) => {
            return unsupported("");
        }
    };
    Ok((Some(kind), Some(Activate::Activation(activation))))
}

fn conv2d(
    conv: &layers::Convolution,
    input: Size,
    output: Size,
    first: usize,
) -> ConvolutionOptions {
    let side = |fine, coarse, taps, stride| {
        let offset = match conv.padding {
            Padding::Same => same_padding(fine, taps, stride).0 as isize,
            Padding::Valid => 0,
        };
        Side { fine, coarse, taps, stride, offset }
    };
    let (Pair(height, width), Pair(down, across)) = (conv.kernel_size, conv.strides);
    let window = Window {
        rows: side(input.height, output.height, height, down),
        columns: side(input.width, output.width, width, across),
        fine: input.channels,
        coarse: output.channels,
    };
    with_weights(window, Direction::Gather, conv.use_bias, first)
}

/// Keras keeps the middle of what an unpadded transposed convolution gives.
fn conv2d_transpose(
    conv: &layers::Convolution,
    input: Size,
    output: Size,
    first: usize,
) -> ConvolutionOptions {
    let side = |coarse, fine, taps: usize, stride| {
        let offset = match conv.padding {
            Padding::Same => (taps.saturating_sub(stride) / 2) as isize,
            Padding::Valid => 0,
        };
        Side { fine, coarse, taps, stride, offset }
    };
    let (Pair(height, width), Pair(down, across)) = (conv.kernel_size, conv.strides);
    let window = Window {
        rows: side(input.height, output.height, height, down),
        columns: side(input.width, output.width, width, across),
        fine: output.channels,
        coarse: input.channels,
    };
    with_weights(window, Direction::Scatter, conv.use_bias, first)
}

/// A convolution of one tap.
fn dense(dense: &layers::Dense, input: Size, output: Size, first: usize) -> ConvolutionOptions {
    let side = |length| Side { fine: length, coarse: length, taps: 1, stride: 1, offset: 0 };
    let window = Window {
        rows: side(input.height),
        columns: side(input.width),
        fine: input.channels,
        coarse: output.channels,
    };
    with_weights(window, Direction::Gather, dense.use_bias, first)
}

/// PyTorch's layouts, which the weights have, put the coarse channels first in all three layers.
fn with_weights(
    window: Window,
    direction: Direction,
    use_bias: bool,
    first: usize,
) -> ConvolutionOptions {
    let end = first + window.taps() * window.fine * window.coarse;
    let results = if direction == Direction::Gather { window.coarse } else { window.fine };
    ConvolutionOptions {
        window,
        direction,
        fold: Fold { upsampling: None },
        tiling: None,
        coarse_first: true,
        relu: false,
        pool: None,
        kernel: first..end,
        bias: use_bias.then_some(end..end + results),
    }
}

fn pool_options(pool: &layers::Pooling) -> PoolOptions {
    let tuple = |Pair(height, width): Pair| (height, width);
    PoolOptions {
        pool_size: tuple(pool.pool_size),
        strides: tuple(pool.strides.unwrap_or(pool.pool_size)),
        padding: pool.padding,
    }
}

/// Linear activations, upsampling by 1, reshaping to the same shape.
pub(super) fn drop_identities(mut operations: Vec<Operation>) -> Vec<Operation> {
    operations.retain(|operation| match operation.kind {
        Kind::Activate(function) => function != Activate::Activation(Activation::Linear),
        Kind::Repeat(rows, columns) => (rows, columns) != (1, 1),
        Kind::Reshape => operation.input != operation.output,
        _ => true,
    });
    operations
}

/// Upsampling followed by a convolution of stride 1.
pub(super) fn fold_upsampling(operations: Vec<Operation>) -> Vec<Operation> {
    rewrite(operations, |operations| {
        let [Operation { kind: Kind::Repeat(down, across), input, .. }, conv, ..] = operations
        else {
            return None;
        };
        let Kind::Convolution(options) = &conv.kind else { return None };
        let Window { rows, columns, fine, coarse } = options.window;
        if options.direction != Direction::Gather || (rows.stride, columns.stride) != (1, 1) {
            return None;
        }
        let side = |own: Side, coarse, factor| Side {
            fine: own.coarse,
            coarse,
            taps: own.taps + factor - 1,
            stride: factor,
            offset: own.taps as isize - 1 - own.offset,
        };
        let window = Window {
            rows: side(rows, input.height, *down),
            columns: side(columns, input.width, *across),
            fine: coarse,
            coarse: fine,
        };
        let options = ConvolutionOptions {
            window,
            direction: Direction::Scatter,
            fold: Fold { upsampling: Some((*down, *across)) },
            coarse_first: false,
            ..options.clone()
        };
        Some((2, Kind::Convolution(options)))
    })
}

/// Convolutions that a [`Tiling`] suits.
pub(super) fn multiply_less(mut operations: Vec<Operation>) -> Vec<Operation> {
    for operation in &mut operations {
        if let Kind::Convolution(options) = &mut operation.kind {
            options.tiling = Tiling::of(&options.window, options.fold);
        }
    }
    operations
}

/// A pooling tells its candidates apart by a byte.
const MOST_CANDIDATES: usize = 256;

/// A convolution, perhaps a relu, and a max-pooling whose windows neither overlap nor reach over the
/// edge; the relu may also come last.
pub(super) fn fuse_pooling(operations: Vec<Operation>) -> Vec<Operation> {
    rewrite(operations, |operations| {
        let Kind::Convolution(options) = &operations.first()?.kind else { return None };
        if options.direction != Direction::Gather {
            return None;
        }
        let relu = usize::from(is_relu(operations.get(1)?));
        let Operation { kind: Kind::MaxPool(pool), input, output } = operations.get(1 + relu)?
        else {
            return None;
        };
        let (height, width) = pool.pool_size;
        let apart = pool.strides == pool.pool_size && height * width <= MOST_CANDIDATES;
        let inside = output.height * height <= input.height && output.width * width <= input.width;
        let options =
            ConvolutionOptions { pool: Some(pool.pool_size), relu: relu == 1, ..options.clone() };
        (apart && inside).then_some((2 + relu, Kind::Convolution(options)))
    })
}

/// A convolution and a relu.
pub(super) fn fuse_relu(operations: Vec<Operation>) -> Vec<Operation> {
    rewrite(operations, |operations| {
        let [Operation { kind: Kind::Convolution(options), .. }, next, ..] = operations else {
            return None;
        };
        let options = ConvolutionOptions { relu: true, ..options.clone() };
        is_relu(next).then_some((2, Kind::Convolution(options)))
    })
}

fn is_relu(operation: &Operation) -> bool {
    matches!(operation.kind, Kind::Activate(Activate::Activation(Activation::Relu)))
}

/// A last sigmoid, which only reshaping may follow, and the cross-entropy.
pub(super) fn fuse_sigmoid(mut operations: Vec<Operation>, loss: Loss) -> (Vec<Operation>, Head) {
    let last = operations.iter().rposition(|operation| !matches!(operation.kind, Kind::Reshape));
    let sigmoid = last.filter(|&last| {
        let kind = &operations[last].kind;
        // Without an operation before it there would be nothing to hold the logits.
        last > 0 && matches!(kind, Kind::Activate(Activate::Activation(Activation::Sigmoid)))
    });
    match (sigmoid, loss) {
        (Some(sigmoid), Loss::BinaryCrossentropy) => {
            operations.remove(sigmoid);
            (operations, Head::Logits)
        }
        _ => (operations, Head::Outputs(loss)),
    }
}

/// Goes through the operations once; where `find` names a number of them and what takes their place,
/// they are replaced.
fn rewrite(
    operations: Vec<Operation>,
    find: impl Fn(&[Operation]) -> Option<(usize, Kind)>,
) -> Vec<Operation> {
    let mut result = Vec::new();
    let mut rest = operations.as_slice();
    while let [first, ..] = rest {
        let (count, kind) = find(rest).unwrap_or_else(|| (1, first.kind.clone()));
        let (replaced, others) = rest.split_at(count);
        let output = replaced[count - 1].output;
        result.push(Operation { kind, input: first.input, output });
        rest = others;
    }
    result
}
