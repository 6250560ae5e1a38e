//! Each layer of the config language as standard operators on `(N, C, H, W)` or `(N, F)`; a signal is an image of
//! one row.

use super::activation::{activate, leaky_relu};
use super::graph::Graph;
use super::proto::Attribute;
use crate::config::layers::{
    Conv2D, Convolution, Dense, DepthwiseConv2D, GroupNormalization, Layer, LayerNormalization,
    Pair, Pooling, ReLU, Sides, UpSampling2D, Windows, of_signals,
};
use crate::infer::export::LayerWeights;
use crate::nn::{Interpolation, Padding, SMALLEST_NORM};
use crate::plan::{Node, Shape, channels_first_axis};

/// The end of an axis in a `Slice`.
const END: i64 = i64::MAX;

/// Appends one node, which reads the values of these names; the first has the shape `input`. In a `flexible`
/// model height and width may differ from the plan's.
pub fn lower(
    graph: &mut Graph,
    node: &Node,
    input: &Shape,
    inputs: Vec<String>,
    weights: &LayerWeights<'_>,
    flexible: bool,
) {
    if node.layer.is_merge() {
        return merge(graph, node, inputs);
    }
    graph.value.clone_from(&inputs[0]);
    let in_2d = node.layer.in_2d();
    let layer = in_2d.as_ref().unwrap_or(&node.layer);
    lower_layer(graph, layer, [&input.computed(), &node.output], weights, flexible);
}

fn merge(graph: &mut Graph, node: &Node, inputs: Vec<String>) {
    match &node.layer {
        Layer::Add(_) => graph.op_on("Sum", inputs, vec![]),
        Layer::Average(_) => graph.op_on("Mean", inputs, vec![]),
        Layer::Maximum(_) => graph.op_on("Max", inputs, vec![]),
        Layer::Minimum(_) => graph.op_on("Min", inputs, vec![]),
        Layer::Subtract(_) => graph.op_on("Sub", inputs, vec![]),
        Layer::Multiply(_) => {
            let mut inputs = inputs.into_iter();
            graph.value = inputs.next().expect("a merge has inputs");
            for input in inputs {
                graph.op("Mul", &[input], vec![]);
            }
        }
        Layer::Sampling(_) => graph.value.clone_from(&inputs[0]), // the mean
        Layer::Concatenate(concatenate) => {
            let axis = channels_first_axis(&node.output, concatenate.axis) as i64;
            graph.op_on("Concat", inputs, vec![Attribute::int("axis", axis)]);
        }
        layer => unreachable!("{} is no merge", layer.name()),
    }
}

#[allow(clippy::too_many_lines)] // a table: an arm for each layer
fn lower_layer(
    graph: &mut Graph,
    layer: &Layer,
    [input, output]: [&Shape; 2],
    weights: &LayerWeights<'_>,
    flexible: bool,
) {
    match layer {
        Layer::Conv2D(Conv2D { conv, groups }) => {
            let mut attributes = window(input, conv.windows(), flexible);
            attributes.push(kernel_shape(conv.kernel_size));
            attributes.extend(dilations(conv.dilation_rate));
            attributes.push(group(*groups));
            kernel(graph, weights, "Conv", attributes);
            activate(graph, conv.activation);
        }
        Layer::DepthwiseConv2D(conv) => {
            depthwise(graph, input, weights, conv, ["weight", "bias"], flexible);
            activate(graph, conv.each.activation);
        }
        Layer::SeparableConv2D(conv) => {
            let first = &conv.depthwise;
            depthwise(graph, input, weights, first, ["depthwise_weight", ""], flexible);
            let point = vec![kernel_shape(Pair(1, 1))];
            weighted(graph, weights, ["pointwise_weight", "bias"], "Conv", point);
            activate(graph, first.each.activation);
        }
        Layer::Conv2DTranspose(conv) => {
            kernel(graph, weights, "ConvTranspose", transposed(conv));
            activate(graph, conv.activation);
        }
        Layer::MaxPooling2D(pool) => pooling(graph, input, "MaxPool", pool, flexible),
        // Padding does not count, which is ONNX's default.
        Layer::AveragePooling2D(pool) => pooling(graph, input, "AveragePool", pool, flexible),
        Layer::UpSampling2D(up) => upsample(graph, up),
        Layer::Dense(layer) => dense(graph, input, weights, layer),
        Layer::Flatten(_) => {
            channels_last(graph, input.0.len());
            graph.op("Flatten", &[], vec![Attribute::int("axis", 1)]);
        }
        Layer::Reshape(_) => {
            channels_last(graph, input.0.len());
            // 0 keeps the batch.
            let output = output.computed();
            let sides = output.0.iter().map(|&side| side as i64);
            let shape: Vec<i64> = std::iter::once(0).chain(sides).collect();
            let shape = graph.ints(&shape);
            graph.op("Reshape", &[shape], vec![]);
            channels_first(graph, output.0.len());
        }
        Layer::RepeatVector(repeat) => {
            // (N, F) to (N, F, 1, n).
            let row = graph.ints(&[0, -1, 1, 1]);
            graph.op("Reshape", &[row], vec![]);
            let times = graph.ints(&[1, 1, 1, repeat.n as i64]);
            graph.op("Tile", &[times], vec![]);
        }
        Layer::BatchNormalization(norm) => {
            let channels = input.0.last().copied().unwrap_or(1);
            let statistics = ["weight", "bias", "running_mean", "running_var"].map(|suffix| {
                match weights.get(suffix) {
                    Some(array) => graph.weight(suffix, array, array.shape()),
                    None => graph.floats(
                        &[channels],
                        &vec![if suffix == "weight" { 1.0 } else { 0.0 }; channels],
                    ),
                }
            });
            let epsilon = vec![Attribute::float("epsilon", norm.epsilon)];
            graph.op("BatchNormalization", &statistics, epsilon);
        }
        // They act while training and pass everything through after.
        Layer::Dropout(_)
        | Layer::GaussianNoise(_)
        | Layer::GaussianDropout(_)
        | Layer::AlphaDropout(_)
        | Layer::SpatialDropout2D(_)
        | Layer::ActivityRegularization(_)
        | Layer::Identity(_) => {}
        Layer::LayerNormalization(norm) => layer_normalization(graph, input, weights, norm),
        Layer::GroupNormalization(layer) => group_normalization(graph, input, weights, layer),
        Layer::UnitNormalization(_) => {
            let value = graph.value.clone();
            let axes = vec![Attribute::ints("axes", &[1]), Attribute::int("keepdims", 1)];
            graph.op("ReduceL2", &[], axes);
            let least = graph.floats(&[], &[SMALLEST_NORM as f32]);
            graph.op("Max", &[least], vec![]);
            graph.op_on("Div", vec![value, graph.value.clone()], vec![]);
        }
        Layer::GlobalAveragePooling2D(pool) => {
            global_pooling(graph, "GlobalAveragePool", pool.keepdims);
        }
        Layer::GlobalMaxPooling2D(pool) => global_pooling(graph, "GlobalMaxPool", pool.keepdims),
        Layer::DepthToSpace(layer) => {
            let block = Attribute::int("blocksize", layer.block_size as i64);
            graph.op("DepthToSpace", &[], vec![block, Attribute::text("mode", "DCR")]);
        }
        Layer::Permute(permute) => permutation(graph, &permute.dims),
        Layer::Rescaling(layer) => {
            let [scale, offset] =
                [layer.scale, layer.offset].map(|number| graph.floats(&[], &[number as f32]));
            graph.op("Mul", &[scale], vec![]);
            graph.op("Add", &[offset], vec![]);
        }
        Layer::ZeroPadding2D(pad) => {
            let Sides { top, bottom, left, right } = pad.padding;
            let pads = [0, 0, top, left, 0, 0, bottom, right].map(|rows| rows as i64);
            let pads = graph.ints(&pads);
            graph.op("Pad", &[pads], vec![]);
        }
        Layer::Cropping2D(crop) => cropping(graph, crop.cropping),
        Layer::ReLU(relu) => relu_with_options(graph, relu),
        Layer::ELU(elu) => graph.op("Elu", &[], vec![Attribute::float("alpha", elu.alpha)]),
        Layer::Softmax(softmax) => {
            let axis = channels_first_axis(output, softmax.axis) as i64;
            graph.op("Softmax", &[], vec![Attribute::int("axis", axis)]);
        }
        Layer::LeakyReLU(leaky) => leaky_relu(graph, leaky.negative_slope),
        Layer::PReLU(_) => {
            let alpha = weights.get("weight").expect("a PReLU has an alpha");
            // A signal is an image of one row.
            let shape = match *alpha.shape() {
                [channels, steps] => vec![channels, 1, steps],
                ref shape => shape.to_vec(),
            };
            let alpha = graph.weight("weight", alpha, &shape);
            graph.op("PRelu", &[alpha], vec![]);
        }
        Layer::Activation(layer) => activate(graph, layer.activation),
        Layer::Add(_)
        | Layer::Subtract(_)
        | Layer::Multiply(_)
        | Layer::Average(_)
        | Layer::Maximum(_)
        | Layer::Minimum(_)
        | Layer::Sampling(_)
        | Layer::Concatenate(_) => unreachable!("a merge is lowered by itself"),
        of_signals!() => unreachable!("a layer of signals is that of images on one row"),
    }
}

/// As in [`crate::nn::ReLU`].
fn relu_with_options(graph: &mut Graph, relu: &ReLU) {
    let ReLU { max_value, negative_slope, threshold } = *relu;
    let value = graph.value.clone();
    if threshold > 0.0 {
        let limit = graph.floats(&[], &[threshold as f32]);
        graph.op("Greater", &[limit], vec![]);
        let zero = graph.floats(&[], &[0.0]);
        graph.op_on("Where", vec![graph.value.clone(), value.clone(), zero], vec![]);
    } else {
        graph.op("Relu", &[], vec![]);
    }
    if let Some(most) = max_value {
        let most = graph.floats(&[], &[most as f32]);
        graph.op("Min", &[most], vec![]);
    }
    if negative_slope > 0.0 {
        let positive = graph.value.clone();
        let [limit, slope] =
            [threshold, negative_slope].map(|number| graph.floats(&[], &[number as f32]));
        graph.op_on("Sub", vec![limit, value], vec![]);
        graph.op("Relu", &[], vec![]);
        graph.op("Mul", &[slope], vec![]);
        graph.op_on("Sub", vec![positive, graph.value.clone()], vec![]);
    }
}

/// An array of a layer, or as many ones or zeros.
fn or_constant(
    graph: &mut Graph,
    weights: &LayerWeights<'_>,
    suffix: &str,
    (length, value): (usize, f32),
) -> String {
    match weights.get(suffix) {
        Some(array) => graph.weight(suffix, array, array.shape()),
        None => graph.floats(&[length], &vec![value; length]),
    }
}

/// ONNX normalises from an axis to the last.
fn layer_normalization(
    graph: &mut Graph,
    input: &Shape,
    weights: &LayerWeights<'_>,
    norm: &LayerNormalization,
) {
    let channels = input.channels();
    channels_last(graph, input.0.len());
    let constants = [
        or_constant(graph, weights, "weight", (channels, 1.0)),
        or_constant(graph, weights, "bias", (channels, 0.0)),
    ];
    let attributes = vec![Attribute::int("axis", -1), Attribute::float("epsilon", norm.epsilon)];
    graph.op("LayerNormalization", &constants, attributes);
    channels_first(graph, input.0.len());
}

/// Opset 17 has none: each group becomes a channel of its own image, which is normalised by itself.
fn group_normalization(
    graph: &mut Graph,
    input: &Shape,
    weights: &LayerWeights<'_>,
    layer: &GroupNormalization,
) {
    let channels = input.channels();
    let groups = layer.groups_of(channels).expect("the plan has checked it");
    let value = graph.value.clone();
    graph.op("Shape", &[], vec![]);
    let shape = graph.value.clone();
    let rows = graph.ints(&[0, groups as i64, -1]);
    graph.op_on("Reshape", vec![value, rows], vec![]);
    let constants =
        [graph.floats(&[groups], &vec![1.0; groups]), graph.floats(&[groups], &vec![0.0; groups])];
    let epsilon = vec![Attribute::float("epsilon", layer.norm.epsilon)];
    graph.op("InstanceNormalization", &constants, epsilon);
    graph.op("Reshape", &[shape], vec![]);
    let sides: Vec<usize> =
        std::iter::once(channels).chain(input.0.iter().skip(1).map(|_| 1)).collect();
    for (suffix, kind) in [("weight", "Mul"), ("bias", "Add")] {
        if let Some(array) = weights.get(suffix) {
            let array = graph.weight(suffix, array, &sides);
            graph.op(kind, &[array], vec![]);
        }
    }
}

fn global_pooling(graph: &mut Graph, kind: &str, keepdims: bool) {
    graph.op(kind, &[], vec![]);
    if !keepdims {
        graph.op("Flatten", &[], vec![Attribute::int("axis", 1)]);
    }
}

/// Of axes with the channels last.
fn permutation(graph: &mut Graph, dims: &[usize]) {
    match *dims {
        // A signal is an image of one row.
        [2, 1] => graph.op("Transpose", &[], vec![Attribute::ints("perm", &[0, 3, 2, 1])]),
        [a, b, c] => {
            channels_last(graph, 3);
            graph.op("Transpose", &[], vec![Attribute::ints("perm", &[0, a, b, c])]);
            channels_first(graph, 3);
        }
        _ => {}
    }
}

fn kernel(graph: &mut Graph, weights: &LayerWeights<'_>, kind: &str, attributes: Vec<Attribute>) {
    weighted(graph, weights, ["weight", "bias"], kind, attributes);
}

/// An operator with the weights of these names, as far as the layer has them.
fn weighted(
    graph: &mut Graph,
    weights: &LayerWeights<'_>,
    suffixes: [&str; 2],
    kind: &str,
    attributes: Vec<Attribute>,
) {
    let inputs: Vec<String> = suffixes
        .into_iter()
        .filter_map(|suffix| {
            weights.get(suffix).map(|array| graph.weight(suffix, array, &of_image(array.shape())))
        })
        .collect();
    graph.op(kind, &inputs, attributes);
}

/// With the height that a kernel of signals lacks.
fn of_image(shape: &[usize]) -> Vec<usize> {
    match *shape {
        [first, second, length] => vec![first, second, 1, length],
        _ => shape.to_vec(),
    }
}

/// Filters of one channel each: the weights of these names are the kernel, and the bias if there is one.
fn depthwise(
    graph: &mut Graph,
    input: &Shape,
    weights: &LayerWeights<'_>,
    conv: &DepthwiseConv2D,
    [kernel, bias]: [&str; 2],
    flexible: bool,
) {
    let array = weights.get(kernel).expect("the layer has a kernel");
    let Pair(height, width) = conv.kernel_size;
    let filters = input.channels() * conv.each.depth_multiplier;
    let mut inputs = vec![graph.weight(kernel, array, &[filters, 1, height, width])];
    if let Some(array) = weights.get(bias) {
        inputs.push(graph.weight(bias, array, array.shape()));
    }
    // onnxruntime has no SAME_UPPER of dilated kernels.
    let dilations = dilations(conv.dilation_rate);
    let mut attributes = window(input, conv.windows(), flexible && dilations.is_none());
    attributes.push(kernel_shape(conv.kernel_size));
    attributes.extend(dilations);
    attributes.push(group(input.channels()));
    graph.op("Conv", &inputs, attributes);
}

/// None where the pixels of a kernel stand side by side.
fn dilations(Pair(down, across): Pair) -> Option<Attribute> {
    (down > 1 || across > 1).then(|| Attribute::ints("dilations", &[down, across]))
}

fn group(groups: usize) -> Attribute {
    Attribute::int("group", groups as i64)
}

fn kernel_shape(Pair(height, width): Pair) -> Attribute {
    Attribute::ints("kernel_shape", &[height, width])
}

/// Strides and padding of a sliding window. Keras's `same` depends on the size of the image where a
/// stride exceeds 1; SAME_UPPER is the same rule, at run time. Where a stride exceeds its window,
/// onnxruntime's rule gives negative pads, so the plan's stand there: they hold for all sizes that
/// [`Exporter::sizes`](crate::infer::export::Exporter::sizes) promises.
fn window(
    input: &Shape,
    Windows { size: Pair(height, width), strides: Pair(down, across), padding }: Windows,
    flexible: bool,
) -> Vec<Attribute> {
    let mut attributes = vec![Attribute::ints("strides", &[down, across])];
    if padding == Padding::Valid {
        return attributes;
    }
    let overlap = height >= down && width >= across;
    let at_run_time = flexible && overlap && padding == Padding::Same;
    if at_run_time && (down > 1 || across > 1) {
        attributes.push(Attribute::text("auto_pad", "SAME_UPPER"));
    } else {
        let (top, bottom) = padding.added(input.0[0], height, down);
        let (left, right) = padding.added(input.0[1], width, across);
        attributes.push(Attribute::ints("pads", &[top, left, bottom, right]));
    }
    attributes
}

/// Keras keeps `length * stride` rows of the unpadded result, or for `valid` all that the kernel
/// reaches; where the stride exceeds the kernel, rows without a term are added.
fn transposed(conv: &Convolution) -> Vec<Attribute> {
    let Windows { size: Pair(height, width), strides: Pair(down, across), padding } =
        conv.windows();
    let ((top, bottom), (left, right)) = (padding.cut(height, down), padding.cut(width, across));
    let missing = [down.saturating_sub(height), across.saturating_sub(width)];
    let attributes = [
        kernel_shape(conv.kernel_size),
        Attribute::ints("strides", &[down, across]),
        Attribute::ints("pads", &[top, left, bottom, right]),
        Attribute::ints("output_padding", &missing),
    ];
    attributes.into_iter().chain(dilations(conv.dilation_rate)).collect()
}

fn pooling(graph: &mut Graph, input: &Shape, kind: &str, pool: &Pooling, flexible: bool) {
    let strides = pool.strides.unwrap_or(pool.pool_size);
    let windows = Windows { size: pool.pool_size, strides, padding: pool.padding };
    let mut attributes = window(input, windows, flexible);
    attributes.push(kernel_shape(pool.pool_size));
    graph.op(kind, &[], attributes);
}

fn upsample(graph: &mut Graph, up: &UpSampling2D) {
    let Pair(rows, columns) = up.size;
    let scales = graph.floats(&[4], &[1.0, 1.0, rows as f32, columns as f32]);
    let how = match up.interpolation {
        Interpolation::Nearest => vec![
            Attribute::text("mode", "nearest"),
            Attribute::text("coordinate_transformation_mode", "asymmetric"),
            Attribute::text("nearest_mode", "floor"),
        ],
        Interpolation::Bilinear => vec![
            Attribute::text("mode", "linear"),
            Attribute::text("coordinate_transformation_mode", "half_pixel"),
        ],
    };
    // The input without a name would be a region of interest.
    graph.op("Resize", &[String::new(), scales], how);
}

/// Of an image's channels a convolution with a window of one pixel.
fn dense(graph: &mut Graph, input: &Shape, weights: &LayerWeights<'_>, layer: &Dense) {
    if input.0.len() == 1 {
        kernel(graph, weights, "Gemm", vec![Attribute::int("transB", 1)]);
    } else {
        let array = weights.get("weight").expect("a dense layer has a kernel");
        let shape = [array.shape(), &[1, 1]].concat();
        let mut inputs = vec![graph.weight("weight", array, &shape)];
        if let Some(bias) = weights.get("bias") {
            inputs.push(graph.weight("bias", bias, bias.shape()));
        }
        graph.op("Conv", &inputs, vec![kernel_shape(Pair(1, 1))]);
    }
    activate(graph, layer.activation);
}

fn cropping(graph: &mut Graph, Sides { top, bottom, left, right }: Sides) {
    let end = |rows: usize| if rows == 0 { END } else { -(rows as i64) };
    let inputs = [
        graph.ints(&[top as i64, left as i64]),
        graph.ints(&[end(bottom), end(right)]),
        graph.ints(&[2, 3]),
    ];
    graph.op("Slice", &inputs, vec![]);
}

/// A signal `(N, steps, channels)` as an image of one row; others as they are.
pub fn to_row(graph: &mut Graph, shape: &Shape) {
    if shape.0.len() == 2 {
        graph.op("Transpose", &[], vec![Attribute::ints("perm", &[0, 2, 1])]);
        let height = graph.ints(&[2]);
        graph.op("Unsqueeze", &[height], vec![]);
    }
}

/// The way back.
pub fn from_row(graph: &mut Graph, shape: &Shape) {
    if shape.0.len() == 2 {
        let height = graph.ints(&[2]);
        graph.op("Squeeze", &[height], vec![]);
        graph.op("Transpose", &[], vec![Attribute::ints("perm", &[0, 2, 1])]);
    }
}

/// An image in the order in which Keras counts its values.
fn channels_last(graph: &mut Graph, axes: usize) {
    if axes == 3 {
        graph.op("Transpose", &[], vec![Attribute::ints("perm", &[0, 2, 3, 1])]);
    }
}

fn channels_first(graph: &mut Graph, axes: usize) {
    if axes == 3 {
        graph.op("Transpose", &[], vec![Attribute::ints("perm", &[0, 3, 1, 2])]);
    }
}
