//! From a plan's graph to stages, and which layers have none (`translate`): first one operation for each
//! thing that a layer does, then the rewrites,
//! which make the same function of fewer and larger operations.
//!
//! The rewrites, in the order in which they are made:
//!
//! - [`drop_identities`]: an operation that changes nothing is left out.
//! - [`convolve_parts`]: a convolution of concatenated channels, of which some were enlarged by nearest upsampling, is the
//!   sum of convolutions of the parts, so that these too fold.
//! - [`fold_upsampling`]: nearest upsampling and the convolution after it are one transposed
//!   convolution; [`super::fold`] has the algebra.
//! - [`multiply_less`]: convolutions of 3x3 taps and stride 1, and `same` ones after an upsampling by two,
//!   are computed from tiles of 2x2 pixels where they have 16 channels or more on both sides; this takes
//!   16 multiplications a tile instead of 36, and 9 instead of 16; [`super::tiled`] has the algebra.
//! - [`fuse_pooling`]: `max_k relu(x_k) = relu(max_k x_k)`, as relu does not decrease; so the largest
//!   value is taken first, and the convolution keeps no more than the rows under one pooled row.
//! - [`turn_round`]: a convolution to few channels is the transposed one with its taps in reverse; so the channels that
//!   it reads fill the vectors, instead of the few that it gives.
//! - [`fuse_relu`]: the convolution, or the batch normalisation, applies the relu while a row is in the cache.
//! - [`fuse_sigmoid`]: with `p = sigmoid(z)`, the cross-entropy `-t ln p - (1 - t) ln(1 - p)` is
//!   `ln(1 + e^z) - t z`, and its gradient by `z` is `p - t`.

use std::collections::HashMap;

use super::axes::{self, Axis};
use super::batch_norm::BatchNormOptions;
use super::chance::Draw;
use super::convolutions;
use super::fold::Fold;
use super::grid::Size;
use super::kernels::Activate;
use super::pass::Direction;
use super::penalties::{Penalty, SamplingOptions};
use super::stages::{
    ConvolutionOptions, DepthwiseOptions, MOST_CANDIDATES, NormOptions, PReluOptions, Part,
    PartedOptions,
};
use super::tiled::Tiling;
use super::window::{Side, Window};
use crate::config::layers::{self, Layer, Pair, Sides, of_signals};
use crate::config::regularizers::{L1, L1L2, L2, Regularizer};
use crate::nn::{self, Activation, Interpolation, Loss, PoolOptions};
use crate::plan::{Graph, Node, Section, Shape, Value};

/// One operation with what goes in and comes out. Values are told apart by numbers, 0 being what the model
/// receives. Each has one reader; the last operation gives the output.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    pub kind: Kind,
    /// Of its first input.
    pub input: Size,
    /// Of each output.
    pub output: Size,
    /// The values that it reads: of a merge several.
    pub from: Vec<usize>,
    /// The values that it gives: of a fork several.
    pub to: Vec<usize>,
}

/// What an operation does.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Convolution(ConvolutionOptions),
    /// Of several values as if their channels were concatenated.
    Parted(PartedOptions),
    Depthwise(DepthwiseOptions),
    Activate(Activate),
    MaxPool(PoolOptions),
    AveragePool(PoolOptions),
    /// Nearest upsampling by these factors.
    Upsample(usize, usize),
    /// Bilinear upsampling by these factors.
    Bilinear(usize, usize),
    /// Padding or cropping: rows and columns before the first one.
    PadOrCrop(isize, isize),
    Reshape,
    /// Of the channels of each pixel.
    Softmax,
    PRelu(PReluOptions),
    /// Each pixel by itself.
    LayerNorm(NormOptions),
    /// So many groups of channels over all pixels.
    GroupNorm(usize, NormOptions),
    UnitNorm,
    /// All pixels as one: their mean, or the largest values.
    GlobalPool {
        largest: bool,
    },
    /// Of each axis of the output, which one of the input's it is.
    Permute([usize; 3]),
    /// Channels as blocks of pixels of that side.
    DepthToSpace(usize),
    /// One pixel as a row of so many.
    Repeat(usize),
    /// Sides of 1 as long as the output's.
    Broadcast,
    /// Copies of a value for several readers; the gradient is the sum of theirs.
    Fork,
    /// The same position of several values of one size.
    Merge(Merge),
    BatchNorm(BatchNormOptions),
    /// A draw from means and logarithms of variances.
    Sampling(SamplingOptions),
    /// What its values add to the loss.
    Penalty(Penalty),
    /// A layer of chance, with its number among them.
    Chance(Draw, usize),
    /// Along an axis.
    Concatenate(Axis),
}

impl Kind {
    /// Whether something of it is learned.
    pub fn has_weights(&self) -> bool {
        matches!(
            self,
            Self::Convolution(_)
                | Self::Parted(_)
                | Self::Depthwise(_)
                | Self::PRelu(_)
                | Self::LayerNorm(_)
                | Self::GroupNorm(..)
                | Self::BatchNorm(_)
        )
    }
}

/// What is made of several values, from the first to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Merge {
    Add,
    Subtract,
    Multiply,
    Average,
    Maximum,
    Minimum,
}

/// What follows the last operation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Head {
    /// The outputs meet the targets in this loss.
    Outputs(Loss),
    /// The outputs are logits of a cross-entropy.
    Logits,
    /// A loss that libtorch computes, of the batch as a whole.
    Batch,
}

/// A layer that the native engine has no stage for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it has no stage for {name} ({what})")]
pub struct Unsupported {
    /// Its name in Keras: `batch_normalization_1`.
    pub name: String,
    /// Its type, and what of it is missing: `Dense, OrthogonalRegularizer of its outputs`.
    pub what: String,
}

/// The operations of some layers, rewritten, and the loss, where it looks at each value by itself.
///
/// # Errors
/// Names the first layer that there is no stage for.
pub(super) fn lower(
    section: &Section<'_>,
    loss: Option<Loss>,
) -> Result<(Vec<Operation>, Head), Unsupported> {
    let operations = operations(section)?;
    let operations = drop_identities(operations);
    let operations = convolve_parts(operations);
    let operations = fold_upsampling(operations);
    let operations = multiply_less(operations);
    let operations = fuse_pooling(operations);
    let operations = turn_round(operations);
    let operations = fuse_relu(operations);
    Ok(match loss {
        Some(loss) => fuse_sigmoid(operations, loss),
        None => (operations, Head::Batch),
    })
}

/// One to four operations for each node, as the nodes stand, and a fork where a value has several readers.
pub(super) fn operations(section: &Section<'_>) -> Result<Vec<Operation>, Unsupported> {
    let mut operations = Vec::new();
    let mut wires = Wires::default();
    let mut counts = Counts::default();
    let input = wires.take();
    wires.publish(section, section.input, input, &mut operations);
    for (index, node) in section.nodes() {
        let graph = section.graph();
        let (input, output) = (Size::of(&graph.input_of(node).0), Size::of(&node.output.0));
        let mut from: Vec<usize> = node.inputs.iter().map(|&value| wires.read(value)).collect();
        let (kind, activation) = if let Some(options) = batch_norm(graph, index, &counts) {
            counts.norms += 1;
            (Some(Kind::BatchNorm(options)), None)
        } else if let Some(draw) = draw_of(&node.layer) {
            counts.draws += 1;
            (Some(Kind::Chance(draw, counts.draws)), None)
        } else if let Layer::Sampling(layers::Sampling { kl_weight }) = node.layer {
            counts.draws += 1;
            (Some(Kind::Sampling(SamplingOptions { kl_weight, number: counts.draws })), None)
        } else if node.layer.is_merge() {
            (Some(merge(node)), None)
        } else {
            translate(node, graph.input_of(node), graph.weights_before(index))
        };
        let is_merge = matches!(kind, Some(Kind::Merge(_)));
        if is_merge {
            // The merges themselves see values of one size.
            let sizes = node.inputs.iter().map(|&value| Size::of(&graph.shape(value).0));
            for (wire, input) in from.iter_mut().zip(sizes).filter(|(_, input)| *input != output) {
                let (kind, read) = (Kind::Broadcast, vec![*wire]);
                *wire = wires.take();
                operations.push(Operation { kind, input, output, from: read, to: vec![*wire] });
            }
        }
        let input = if is_merge { output } else { input };
        let first = graph.weights_before(index);
        let (sums, between) = convolutions::separable(&node.layer, input, output, first).unzip();
        let between = between.unwrap_or(output);
        let activation = activation.map(applied);
        let penalty = penalty(node)?.map(Kind::Penalty);
        let own = if let Some(steps) = axes::softmax_elsewhere(&node.layer, graph.input_of(node)) {
            steps.to_vec()
        } else {
            let own =
                [(kind, input, between), (sums, between, output), (activation, output, output)];
            own.into_iter().filter_map(|(kind, from, to)| Some((kind?, from, to))).collect()
        };
        let steps = own.into_iter().chain(penalty.map(|penalty| (penalty, output, output)));
        for (kind, input, output) in steps {
            let to = vec![wires.take()];
            operations.push(Operation { kind, input, output, from, to: to.clone() });
            from = to;
        }
        wires.publish(section, Value::Node(index), from[0], &mut operations);
    }
    Ok(operations)
}

/// Which numbers the readers of the graph's values get.
#[derive(Default)]
struct Wires {
    next: usize,
    /// Of each value those that no reader has taken yet, the next one at the end.
    open: Vec<(Value, Vec<usize>)>,
}

impl Wires {
    fn take(&mut self) -> usize {
        self.next += 1;
        self.next - 1
    }

    /// Tells what carries a value; for several readers it is forked.
    fn publish(
        &mut self,
        section: &Section<'_>,
        value: Value,
        wire: usize,
        operations: &mut Vec<Operation>,
    ) {
        let readers = section.readers(value);
        if readers < 2 {
            return self.open.push((value, vec![wire]));
        }
        let to: Vec<usize> = (0..readers).map(|_| self.take()).collect();
        let size = Size::of(&section.graph().shape(value).0);
        let (kind, from) = (Kind::Fork, vec![wire]);
        operations.push(Operation { kind, input: size, output: size, from, to: to.clone() });
        self.open.push((value, to.into_iter().rev().collect()));
    }

    fn read(&mut self, value: Value) -> usize {
        let open = self.open.iter_mut().find(|(published, _)| *published == value);
        open.and_then(|(_, wires)| wires.pop()).expect("nodes stand behind what they read")
    }
}

/// Of what operations are numbered by.
#[derive(Default)]
struct Counts {
    norms: usize,
    draws: usize,
}

/// Where a node is a batch normalisation, its weights and statistics.
fn batch_norm(graph: &Graph, index: usize, counts: &Counts) -> Option<BatchNormOptions> {
    let node = &graph.nodes[index];
    let Layer::BatchNormalization(norm) = &node.layer else { return None };
    let channels = node.output.channels();
    let owner = graph.owner(index);
    let first = graph.weights_before(index);
    let is_norm = |node: &Node| matches!(node.layer, Layer::BatchNormalization(_));
    let before = graph.nodes[..owner].iter().filter(|node| is_norm(node) && node.shares.is_none());
    Some(BatchNormOptions {
        channels,
        norm: axes::normalization(&norm.learned, norm.epsilon, channels, first),
        momentum: norm.momentum,
        moving: 2 * before.count(),
        number: counts.norms,
        relu: false,
    })
}

/// What a layer of chance draws.
fn draw_of(layer: &Layer) -> Option<Draw> {
    let in_2d = layer.in_2d();
    Some(match in_2d.as_ref().unwrap_or(layer) {
        Layer::Dropout(layer) => Draw::Dropout(layer.rate),
        Layer::SpatialDropout2D(layer) => Draw::SpatialDropout(layer.rate),
        Layer::GaussianNoise(layer) => Draw::GaussianNoise(layer.stddev),
        Layer::GaussianDropout(layer) => Draw::GaussianDropout(layer.rate),
        Layer::AlphaDropout(layer) => Draw::AlphaDropout(layer.rate),
        _ => return None,
    })
}

fn merge(node: &Node) -> Kind {
    let merge = match &node.layer {
        Layer::Add(_) => Merge::Add,
        Layer::Subtract(_) => Merge::Subtract,
        Layer::Multiply(_) => Merge::Multiply,
        Layer::Average(_) => Merge::Average,
        Layer::Maximum(_) => Merge::Maximum,
        Layer::Minimum(_) => Merge::Minimum,
        Layer::Concatenate(layer) => {
            return Kind::Concatenate(Axis::of(&node.output, layer.axis));
        }
        layer => unreachable!("{} is no merge", layer.name()),
    };
    Kind::Merge(merge)
}

/// A ReLU without options.
const PLAIN_RELU: layers::ReLU =
    layers::ReLU { max_value: None, negative_slope: 0.0, threshold: 0.0 };

/// What a layer does and the activation that it applies; its weights start at `first`.
fn translate(node: &Node, shape: &Shape, first: usize) -> (Option<Kind>, Option<Activate>) {
    let (layer, input, output) = (&node.layer, Size::of(&shape.0), Size::of(&node.output.0));
    let in_2d = layer.in_2d();
    let layer = in_2d.as_ref().unwrap_or(layer);
    let activation = match layer {
        Layer::Conv2D(layers::Conv2D { conv, .. }) | Layer::Conv2DTranspose(conv) => {
            conv.activation
        }
        Layer::DepthwiseConv2D(conv) => conv.each.activation,
        Layer::SeparableConv2D(conv) => conv.depthwise.each.activation,
        Layer::Dense(dense) => dense.activation,
        Layer::Activation(layer) => layer.activation,
        Layer::ReLU(relu) if *relu == PLAIN_RELU => Activation::Relu,
        _ => Activation::Linear,
    };
    if let Some(kind) = axes::kind(layer, shape, first) {
        return (Some(kind), None);
    }
    let kind = match layer {
        Layer::Conv2D(conv) => convolutions::conv2d(conv, input, output, first),
        Layer::Conv2DTranspose(conv) => convolutions::conv2d_transpose(conv, input, output, first),
        Layer::DepthwiseConv2D(conv) => {
            convolutions::depthwise(conv, input, output, conv.each.use_bias, first)
        }
        Layer::SeparableConv2D(conv) => {
            convolutions::depthwise(&conv.depthwise, input, output, false, first)
        }
        Layer::Dense(dense) => convolutions::dense(dense, input, output, first),
        Layer::MaxPooling2D(pool) => Kind::MaxPool(pool_options(pool)),
        Layer::AveragePooling2D(pool) => Kind::AveragePool(pool_options(pool)),
        Layer::UpSampling2D(up) => match up.interpolation {
            Interpolation::Nearest => Kind::Upsample(up.size.0, up.size.1),
            Interpolation::Bilinear => Kind::Bilinear(up.size.0, up.size.1),
        },
        Layer::ZeroPadding2D(pad) => {
            let Sides { top, left, .. } = pad.padding;
            Kind::PadOrCrop(top as isize, left as isize)
        }
        Layer::Cropping2D(crop) => {
            let Sides { top, left, .. } = crop.cropping;
            Kind::PadOrCrop(-(top as isize), -(left as isize))
        }
        Layer::Flatten(_) | Layer::Reshape(_) => Kind::Reshape,
        Layer::LeakyReLU(leaky) => Kind::Activate(Activate::LeakyRelu(leaky.negative_slope)),
        Layer::ELU(elu) => Kind::Activate(Activate::Elu(elu.alpha)),
        Layer::Rescaling(layer) => Kind::Activate(Activate::Line(layer.scale, layer.offset)),
        Layer::ReLU(relu) if *relu != PLAIN_RELU => Kind::Activate(Activate::Relu(nn::ReLU {
            max_value: relu.max_value,
            negative_slope: relu.negative_slope,
            threshold: relu.threshold,
        })),
        Layer::ReLU(_)
        | Layer::Identity(_)
        | Layer::Activation(_)
        | Layer::ActivityRegularization(_) => {
            return (None, Some(Activate::Activation(activation)));
        }
        Layer::BatchNormalization(_)
        | Layer::Dropout(_)
        | Layer::SpatialDropout2D(_)
        | Layer::GaussianNoise(_)
        | Layer::GaussianDropout(_)
        | Layer::AlphaDropout(_) => unreachable!("it has an operation of its own kind"),
        Layer::Softmax(_)
        | Layer::PReLU(_)
        | Layer::LayerNormalization(_)
        | Layer::GroupNormalization(_)
        | Layer::UnitNormalization(_)
        | Layer::GlobalAveragePooling2D(_)
        | Layer::GlobalMaxPooling2D(_)
        | Layer::RepeatVector(_)
        | Layer::DepthToSpace(_)
        | Layer::Permute(_) => unreachable!("`axes` has its stage"),
        Layer::Add(_)
        | Layer::Subtract(_)
        | Layer::Multiply(_)
        | Layer::Average(_)
        | Layer::Maximum(_)
        | Layer::Minimum(_)
        | Layer::Sampling(_)
        | Layer::Concatenate(_) => unreachable!("a merge is translated by itself"),
        of_signals!() => unreachable!("a layer of signals is that of images on one row"),
    };
    (Some(kind), Some(Activate::Activation(activation)))
}

/// What a layer's values add to the loss.
fn penalty(node: &Node) -> Result<Option<Penalty>, Unsupported> {
    let penalty = |l1, l2| Ok(Some(Penalty { l1, l2 }));
    match node.layer.activity_regularizer() {
        None => Ok(None),
        Some(Regularizer::L1(L1 { l1 })) => penalty(l1, 0.0),
        Some(Regularizer::L2(L2 { l2 })) => penalty(0.0, l2),
        Some(Regularizer::L1L2(L1L2 { l1, l2 })) => penalty(l1, l2),
        Some(Regularizer::OrthogonalRegularizer(_)) => Err(Unsupported {
            name: node.name.clone(),
            what: format!("{}, OrthogonalRegularizer of its outputs", node.layer.name()),
        }),
    }
}

/// What an activation does to what a layer gives.
fn applied(activation: Activate) -> Kind {
    match activation {
        Activate::Activation(Activation::Softmax) => Kind::Softmax,
        activation => Kind::Activate(activation),
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
pub(super) fn drop_identities(operations: Vec<Operation>) -> Vec<Operation> {
    let mut kept = Vec::with_capacity(operations.len());
    // What stands for the values of the operations that were dropped.
    let mut instead = HashMap::new();
    for mut operation in operations {
        for wire in &mut operation.from {
            *wire = *instead.get(wire).unwrap_or(wire);
        }
        let changes = match operation.kind {
            Kind::Activate(function) => function != Activate::Activation(Activation::Linear),
            Kind::Upsample(rows, columns) | Kind::Bilinear(rows, columns) => {
                (rows, columns) != (1, 1)
            }
            Kind::Reshape => operation.input != operation.output,
            Kind::Permute(axes) => axes != [0, 1, 2],
            _ => true,
        };
        if changes {
            kept.push(operation);
        } else {
            instead.insert(operation.to[0], operation.from[0]);
        }
    }
    kept
}

/// A convolution that [`folded`] takes and reads a concatenation of which a part is an upsampling.
pub(super) fn convolve_parts(mut operations: Vec<Operation>) -> Vec<Operation> {
    let mut place = 0;
    while place < operations.len() {
        if let Some((dropped, parted)) = parted(&operations, place) {
            operations[place] = parted;
            let mut index = 0;
            operations.retain(|_| {
                index += 1;
                !dropped.contains(&(index - 1))
            });
            place -= dropped.len();
        }
        place += 1;
    }
    operations
}

/// The operation that takes the place of a convolution, and those before it that it makes superfluous.
fn parted(operations: &[Operation], place: usize) -> Option<(Vec<usize>, Operation)> {
    let conv = &operations[place];
    let Kind::Convolution(options) = &conv.kind else { return None };
    let Window { fine: inputs, coarse: outputs, groups, .. } = options.window;
    if !is_plain(options) || groups > 1 {
        return None;
    }
    let giving = |wire: usize| (0..place).find(|&before| operations[before].to.contains(&wire));
    let together = giving(conv.from[0])?;
    let Kind::Concatenate(Axis::Channels) = operations[together].kind else { return None };
    let (mut dropped, mut from, mut parts) = (vec![together], Vec::new(), Vec::new());
    let (mut first, mut sizes) = (0, Vec::new());
    for &wire in &operations[together].from {
        let before = giving(wire)?;
        let Operation { kind, input, output, from: read, .. } = &operations[before];
        let part = Part { first, channels: output.channels, inputs, outputs };
        let own = ConvolutionOptions {
            window: Window { fine: output.channels, ..options.window },
            bias: options.bias.clone().filter(|_| first == 0),
            part: Some(part),
            ..options.clone()
        };
        first += output.channels;
        if let Kind::Upsample(down, across) = *kind {
            parts.push(folded(&own, *input, (down, across)));
            from.push(read[0]);
            sizes.push(*input);
            dropped.push(before);
        } else {
            parts.push(own);
            from.push(wire);
            sizes.push(*output);
        }
    }
    let saves = parts.iter().map(multiplications).sum::<usize>() < multiplications(options);
    let kind = Kind::Parted(PartedOptions { parts, relu: false });
    let parted =
        Operation { kind, input: sizes[0], output: conv.output, from, to: conv.to.clone() };
    (dropped.len() > 1 && saves).then_some((dropped, parted))
}

/// Multiplications of a convolution, computed as suits it: parts of few channels may lose what tiles save.
fn multiplications(options: &ConvolutionOptions) -> usize {
    let window = &options.window;
    let pixels = window.rows.coarse * window.columns.coarse;
    let pairs = window.fine * window.coarse;
    match Tiling::of(window, options.fold) {
        // Of each pixel before the upsampling; of each four pixels.
        Some(Tiling::Upsampling) => 9 * pixels * pairs,
        Some(Tiling::Winograd) => 4 * pixels * pairs,
        None => window.taps() * pixels * pairs,
    }
}

/// Of stride 1, from a window of the fine grid whose taps lie side by side: else most taps of a folded kernel would be
/// zeros.
fn is_plain(options: &ConvolutionOptions) -> bool {
    let Window { rows, columns, .. } = &options.window;
    let plain = (rows.stride, columns.stride) == (1, 1) && !options.window.is_dilated();
    options.direction == Direction::Gather && plain
}

/// A convolution after nearest upsampling of so large an input by these factors, which may be 1.
fn folded(
    options: &ConvolutionOptions,
    input: Size,
    (down, across): (usize, usize),
) -> ConvolutionOptions {
    let Window { rows, columns, fine, coarse, groups } = options.window;
    let side = |own: Side, coarse, factor| Side {
        fine: own.coarse,
        coarse,
        taps: own.taps + factor - 1,
        stride: factor,
        dilation: 1,
        offset: own.taps as isize - 1 - own.offset,
    };
    let window = Window {
        rows: side(rows, input.height, down),
        columns: side(columns, input.width, across),
        fine: coarse,
        coarse: fine,
        groups,
    };
    ConvolutionOptions {
        window,
        direction: Direction::Scatter,
        fold: Fold { upsampling: Some((down, across)) },
        coarse_first: false,
        ..options.clone()
    }
}

/// Upsampling followed by a convolution that [`folded`] takes.
pub(super) fn fold_upsampling(operations: Vec<Operation>) -> Vec<Operation> {
    rewrite(operations, |operations| {
        let [Operation { kind: Kind::Upsample(down, across), input, .. }, conv, ..] = operations
        else {
            return None;
        };
        let Kind::Convolution(options) = &conv.kind else { return None };
        let kind = || Kind::Convolution(folded(options, *input, (*down, *across)));
        is_plain(options).then(|| (2, kind()))
    })
}

/// Convolutions that a [`Tiling`] suits.
pub(super) fn multiply_less(mut operations: Vec<Operation>) -> Vec<Operation> {
    for operation in &mut operations {
        let tile = |options: &mut ConvolutionOptions| {
            options.tiling = Tiling::of(&options.window, options.fold);
        };
        match &mut operation.kind {
            Kind::Convolution(options) => tile(options),
            Kind::Parted(PartedOptions { parts, .. }) => parts.iter_mut().for_each(tile),
            _ => {}
        }
    }
    operations
}

/// A convolution, perhaps a relu, and a max-pooling whose windows neither overlap nor reach over the
/// edge; the relu may also come last.
pub(super) fn fuse_pooling(operations: Vec<Operation>) -> Vec<Operation> {
    rewrite(operations, |operations| {
        let Kind::Convolution(options) = &operations.first()?.kind else { return None };
        if options.direction != Direction::Gather {
            return None;
        }
        let relu = usize::from(is_relu(operations.get(1)?));
        let Operation { kind: Kind::MaxPool(pool), input, output, .. } =
            operations.get(1 + relu)?
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

/// Convolutions to at most so many channels.
const FEW_CHANNELS: usize = 4;

/// Of several taps, to few channels from at least twice as many: what [`folded`] makes of an upsampling by 1. Of images
/// that become much smaller, most pixels of the input would be multiplied for nothing.
pub(super) fn turn_round(mut operations: Vec<Operation>) -> Vec<Operation> {
    for Operation { kind, input, .. } in &mut operations {
        let Kind::Convolution(options) = kind else { continue };
        let Window { fine, coarse, groups, .. } = options.window;
        let few = groups == 1 && coarse <= FEW_CHANNELS && 2 * coarse <= fine;
        let several = options.window.taps() > 1;
        let pixels = |size: Size| size.height * size.width;
        let shrinks = 2 * pixels(options.window.coarse_size()) < pixels(*input);
        if is_plain(options) && options.pool.is_none() && few && several && !shrinks {
            *options = folded(options, *input, (1, 1));
        }
    }
    operations
}

/// A convolution, or a batch normalisation, and a relu.
pub(super) fn fuse_relu(operations: Vec<Operation>) -> Vec<Operation> {
    rewrite(operations, |operations| {
        let [Operation { kind, .. }, next, ..] = operations else { return None };
        let kind = match kind {
            Kind::Convolution(options) => {
                Kind::Convolution(ConvolutionOptions { relu: true, ..options.clone() })
            }
            Kind::BatchNorm(options) => {
                Kind::BatchNorm(BatchNormOptions { relu: true, ..options.clone() })
            }
            Kind::Parted(options) => Kind::Parted(PartedOptions { relu: true, ..options.clone() }),
            _ => return None,
        };
        is_relu(next).then_some((2, kind))
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
        (Some(sigmoid), Loss::BINARY_CROSSENTROPY) => {
            let Operation { from, to, .. } = operations.remove(sigmoid);
            if let Some(reshape) = operations.get_mut(sigmoid).filter(|next| next.from == to) {
                reshape.from = from;
            }
            (operations, Head::Logits)
        }
        _ => (operations, Head::Outputs(loss)),
    }
}

/// The first operation and those after it that each read the one before, and nothing else.
fn connected(operations: &[Operation]) -> &[Operation] {
    let follows = |pair: &[Operation]| pair[0].to == pair[1].from && pair[0].to.len() == 1;
    let count = operations.windows(2).take_while(|pair| follows(pair)).count();
    &operations[..=count]
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
        let (count, kind) = find(connected(rest)).unwrap_or_else(|| (1, first.kind.clone()));
        let (replaced, others) = rest.split_at(count);
        let Operation { output, ref to, .. } = replaced[count - 1];
        let (input, from, to) = (first.input, first.from.clone(), to.clone());
        result.push(Operation { kind, input, output, from, to });
        rest = others;
    }
    result
}
