//! The boxes of the model's drawing.

use crate::config::layers::{Convolution, Layer, Pair};
use crate::plan::{Plan, PlannedLayer};
use crate::report::html::{LayerBox, LayerKind, LayerPart};

/// The picture that goes in, then every layer.
pub(super) fn boxes(plan: &Plan) -> Vec<LayerBox> {
    let input = LayerBox {
        name: "input".to_owned(),
        detail: "the picture, values 0 to 1".to_owned(),
        shape: plan.input_shape.to_vec(),
        weights: 0,
        kind: LayerKind::Input,
        part: LayerPart::Input,
    };
    let of = |layers: &[PlannedLayer], part| {
        layers.iter().map(|layer| one(layer, part)).collect::<Vec<_>>()
    };
    let encoder = of(plan.encoder(), LayerPart::Encoder);
    let decoder = of(plan.decoder(), LayerPart::Decoder);
    [input].into_iter().chain(encoder).chain(decoder).collect()
}

fn one(planned: &PlannedLayer, part: LayerPart) -> LayerBox {
    LayerBox {
        name: planned.name.clone(),
        detail: detail(&planned.layer),
        shape: planned.output.0.clone(),
        weights: planned.trainable + planned.moving,
        kind: kind(planned),
        part,
    }
}

fn kind(planned: &PlannedLayer) -> LayerKind {
    let (before, after) = (planned.input.values(), planned.output.values());
    match &planned.layer {
        _ if planned.trainable > 0 => LayerKind::Learned,
        _ if after < before => LayerKind::Smaller,
        _ if after > before => LayerKind::Larger,
        _ => LayerKind::Other,
    }
}

/// What a layer does, in as few words as fit beside its box.
fn detail(layer: &Layer) -> String {
    let name = layer.name();
    match layer {
        Layer::Conv2D(conv) | Layer::Conv2DTranspose(conv) => convolution(name, conv),
        Layer::MaxPooling2D(pool) | Layer::AveragePooling2D(pool) => {
            format!("{name} {}", sides(pool.pool_size))
        }
        Layer::UpSampling2D(up) => format!("{name} {}", sides(up.size)),
        Layer::Dense(dense) => format!("{name}, {}", dense.activation.name()),
        Layer::Dropout(dropout) => format!("{name} {}", dropout.rate),
        Layer::GaussianNoise(noise) => format!("{name} {}", noise.stddev),
        Layer::LeakyReLU(leaky) => format!("{name} {}", leaky.negative_slope),
        Layer::Activation(layer) => format!("{name}, {}", layer.activation.name()),
        Layer::Flatten(_)
        | Layer::Reshape(_)
        | Layer::BatchNormalization(_)
        | Layer::ZeroPadding2D(_)
        | Layer::Cropping2D(_)
        | Layer::ReLU(_) => name.to_owned(),
    }
}

fn convolution(name: &str, conv: &Convolution) -> String {
    let stride = match conv.strides {
        Pair(1, 1) => String::new(),
        strides if strides.0 == strides.1 => format!("/{}", strides.0),
        strides => format!("/{}", sides(strides)),
    };
    format!("{name} {}{stride}, {}", sides(conv.kernel_size), conv.activation.name())
}

fn sides(Pair(height, width): Pair) -> String {
    format!("{height}\u{d7}{width}")
}
