//! Each layer of the config language as standard operators on `(N, C, H, W)`.

use super::activation::{activate, leaky_relu};
use super::graph::Graph;
use super::proto::Attribute;
use crate::config::layers::{Convolution, Dense, Layer, Pair, Pooling, Sides, UpSampling2D};
use crate::infer::export::LayerWeights;
use crate::nn::{Activation, Interpolation, Padding, same_padding};
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
    lower_layer(graph, &node.layer, [input, &node.output], weights, flexible);
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
        Layer::Concatenate(concatenate) => {
            let axis = channels_first_axis(&node.output, concatenate.axis) as i64;
            graph.op_on("Concat", inputs, vec![Attribute::int("axis", axis)]);
        }
        layer => unreachable!("{} is no merge", layer.name()),
    }
}

fn lower_layer(
    graph: &mut Graph,
    layer: &Layer,
    [input, output]: [&Shape; 2],
    weights: &LayerWeights<'_>,
    flexible: bool,
) {
    match layer {
        Layer::Conv2D(conv) => {
            let mut attributes =
                window(input, conv.kernel_size, conv.strides, conv.padding, flexible);
            attributes.push(kernel_shape(conv.kernel_size));
            kernel(graph, weights, "Conv", attributes);
            activate(graph, conv.activation);
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
            let sides = output.0.iter().map(|&side| side as i64);
            let shape: Vec<i64> = std::iter::once(0).chain(sides).collect();
            let shape = graph.ints(&shape);
            graph.op("Reshape", &[shape], vec![]);
            channels_first(graph, output.0.len());
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
        Layer::Dropout(_) | Layer::GaussianNoise(_) | Layer::ActivityRegularization(_) => {}
        Layer::ZeroPadding2D(pad) => {
            let Sides { top, bottom, left, right } = pad.padding;
            let pads = [0, 0, top, left, 0, 0, bottom, right].map(|rows| rows as i64);
            let pads = graph.ints(&pads);
            graph.op("Pad", &[pads], vec![]);
        }
        Layer::Cropping2D(crop) => cropping(graph, crop.cropping),
        Layer::ReLU(_) => activate(graph, Activation::Relu),
        Layer::LeakyReLU(leaky) => leaky_relu(graph, leaky.negative_slope),
        Layer::Activation(layer) => activate(graph, layer.activation),
        Layer::Add(_)
        | Layer::Subtract(_)
        | Layer::Multiply(_)
        | Layer::Average(_)
        | Layer::Maximum(_)
        | Layer::Minimum(_)
        | Layer::Concatenate(_) => unreachable!("a merge is lowered by itself"),
    }
}

fn kernel(graph: &mut Graph, weights: &LayerWeights<'_>, kind: &str, attributes: Vec<Attribute>) {
    let inputs: Vec<String> = ["weight", "bias"]
        .into_iter()
        .filter_map(|suffix| {
            weights.get(suffix).map(|array| graph.weight(suffix, array, array.shape()))
        })
        .collect();
    graph.op(kind, &inputs, attributes);
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
    Pair(height, width): Pair,
    Pair(down, across): Pair,
    padding: Padding,
    flexible: bool,
) -> Vec<Attribute> {
    let mut attributes = vec![Attribute::ints("strides", &[down, across])];
    if padding == Padding::Valid {
        return attributes;
    }
    let overlap = height >= down && width >= across;
    if flexible && overlap && (down > 1 || across > 1) {
        attributes.push(Attribute::text("auto_pad", "SAME_UPPER"));
    } else {
        let (top, bottom) = same_padding(input.0[0], height, down);
        let (left, right) = same_padding(input.0[1], width, across);
        attributes.push(Attribute::ints("pads", &[top, left, bottom, right]));
    }
    attributes
}

/// Keras keeps `length * stride` rows of the unpadded result, or for `valid` all that the kernel
/// reaches; where the stride exceeds the kernel, rows without a term are added.
fn transposed(conv: &Convolution) -> Vec<Attribute> {
    let Convolution { kernel_size: Pair(height, width), strides: Pair(down, across), .. } = *conv;
    let cut = |kernel: usize, stride: usize| match conv.padding {
        Padding::Valid => (0, 0),
        Padding::Same => {
            let overhang = kernel.saturating_sub(stride);
            (overhang / 2, overhang - overhang / 2)
        }
    };
    let ((top, bottom), (left, right)) = (cut(height, down), cut(width, across));
    let missing = [down.saturating_sub(height), across.saturating_sub(width)];
    vec![
        kernel_shape(conv.kernel_size),
        Attribute::ints("strides", &[down, across]),
        Attribute::ints("pads", &[top, left, bottom, right]),
        Attribute::ints("output_padding", &missing),
    ]
}

fn pooling(graph: &mut Graph, input: &Shape, kind: &str, pool: &Pooling, flexible: bool) {
    let strides = pool.strides.unwrap_or(pool.pool_size);
    let mut attributes = window(input, pool.pool_size, strides, pool.padding, flexible);
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
