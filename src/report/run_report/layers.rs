//! The boxes of the model's drawing.

use crate::config::layers::{Conv2D, Layer, Pair};
use crate::nn::Activation;
use crate::plan::{Node, Part, Plan, Shape, Value};
use crate::report::html::{LayerBox, LayerKind, LayerPart};

/// The image that goes in, then every layer.
pub(super) fn boxes(plan: &Plan) -> Vec<LayerBox> {
    let input = LayerBox {
        name: "input".to_owned(),
        detail: match plan.graph.input.0.len() {
            3 => "the image, values 0 to 1".to_owned(),
            _ => "what the model receives".to_owned(),
        },
        shape: plan.graph.input.0.clone(),
        weights: 0,
        kind: LayerKind::Input,
        part: LayerPart::Input,
        is_code: plan.has_code && plan.graph.code == Value::Input,
        reads: Vec::new(),
    };
    let nodes = (0..plan.graph.nodes.len()).map(|index| one(plan, index));
    std::iter::once(input).chain(nodes).collect()
}

fn one(plan: &Plan, index: usize) -> LayerBox {
    let node = &plan.graph.nodes[index];
    // The image is drawn first.
    let place = |value: Value| match value {
        Value::Input => 0,
        Value::Node(index) => index + 1,
    };
    LayerBox {
        name: node.name.clone(),
        detail: match node.shares {
            None => detail(&node.layer),
            Some(owner) => format!("{} again", plan.graph.nodes[owner].name),
        },
        shape: node.output.0.clone(),
        weights: node.trainable() + node.non_trainable(),
        kind: kind(node, plan.graph.input_of(node)),
        part: match node.part {
            Part::Encoder => LayerPart::Encoder,
            Part::Decoder => LayerPart::Decoder,
            Part::Whole => LayerPart::Whole,
        },
        is_code: plan.has_code && plan.graph.code == Value::Node(index),
        reads: node.inputs.iter().map(|&value| place(value)).collect(),
    }
}

fn kind(node: &Node, input: &Shape) -> LayerKind {
    let (before, after) = (input.values(), node.output.values());
    match () {
        () if node.trainable() > 0 => LayerKind::Learned,
        () if after < before => LayerKind::Smaller,
        () if after > before => LayerKind::Larger,
        () => LayerKind::Other,
    }
}

/// What a layer does, in as few words as fit beside its box.
fn detail(layer: &Layer) -> String {
    match layer.in_2d() {
        // Of an image of one row: its height is left out.
        Some(in_2d) => detail_of(layer.name(), &in_2d).replace("1\u{d7}", ""),
        None => detail_of(layer.name(), layer),
    }
}

fn detail_of(name: &str, layer: &Layer) -> String {
    match layer {
        Layer::Conv2D(Conv2D { conv, .. }) | Layer::Conv2DTranspose(conv) => {
            convolution(name, conv.kernel_size, conv.strides, conv.activation)
        }
        Layer::DepthwiseConv2D(conv) => {
            convolution(name, conv.kernel_size, conv.strides, conv.each.activation)
        }
        Layer::SeparableConv2D(conv) => {
            let conv = &conv.depthwise;
            convolution(name, conv.kernel_size, conv.strides, conv.each.activation)
        }
        Layer::MaxPooling2D(pool) | Layer::AveragePooling2D(pool) => {
            format!("{name} {}", sides(pool.pool_size))
        }
        Layer::UpSampling2D(up) => format!("{name} {}", sides(up.size)),
        Layer::Dense(dense) => format!("{name}, {}", dense.activation.name()),
        Layer::DepthToSpace(layer) => format!("{name} {}", layer.block_size),
        Layer::Rescaling(layer) => format!("{name} {}", layer.scale),
        Layer::Dropout(dropout) => format!("{name} {}", dropout.rate),
        Layer::GaussianNoise(noise) => format!("{name} {}", noise.stddev),
        Layer::LeakyReLU(leaky) => format!("{name} {}", leaky.negative_slope),
        Layer::Activation(layer) => format!("{name}, {}", layer.activation.name()),
        _ => name.to_owned(),
    }
}

fn convolution(name: &str, kernel: Pair, strides: Pair, activation: Activation) -> String {
    let stride = match strides {
        Pair(1, 1) => String::new(),
        strides if strides.0 == strides.1 => format!("/{}", strides.0),
        strides => format!("/{}", sides(strides)),
    };
    format!("{name} {}{stride}, {}", sides(kernel), activation.name())
}

fn sides(Pair(height, width): Pair) -> String {
    format!("{height}\u{d7}{width}")
}
