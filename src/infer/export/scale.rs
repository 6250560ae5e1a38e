//! The scale of the data as a part of an exported model: a `Rescaling` before it, and one behind that undoes it, so
//! that the file takes and gives values in units of white, as `apply` does.

use super::Format;
use crate::config::layers::{Layer, Rescaling};
use crate::config::sections::Precision;
use crate::data::{Affine, Scaling};
use crate::plan::{Graph, Node, Plan, Value};
use crate::system::exit::UsageError;

/// The scale that a file takes in; `None` where values stay as they are.
///
/// # Errors
/// When its numbers are not known.
pub(super) fn of(plan: &Plan) -> Result<Option<Affine>, UsageError> {
    match Scaling::of_trained(&plan.config.data)? {
        Scaling::Set(_, affine) if affine != Affine::UNIT => Ok(Some(affine)),
        _ => Ok(None),
    }
}

/// Refuses a format whose graph would have to measure each image, or would round the scale.
pub(super) fn check(plan: &Plan, format: Format) -> Result<(), UsageError> {
    let is_graph = matches!(format, Format::Torchscript | Format::Onnx | Format::Keras);
    let is_rounded = plan.config.train.dtype == Precision::MixedBfloat16;
    if is_rounded && format == Format::Keras && of(plan)?.is_some() {
        return Err(UsageError(
            "train.dtype is \"mixed_bfloat16\", to which Keras would round data.scale as well: export the weights as \
             .safetensors, or the model in float32 with --set train.dtype=float32"
                .to_owned(),
        ));
    }
    match Scaling::of(&plan.config.data) {
        Scaling::EachImage(_) if is_graph => Err(UsageError(
            "data.scale.per is \"image\": each image is measured before it goes in, which the file cannot do; \
             export the weights as .safetensors, or train with data.scale.per=\"set\""
                .to_owned(),
        )),
        _ => Ok(()),
    }
}

/// What a user has to know about the scale.
pub(super) fn said(plan: &Plan, format: Format) -> Option<String> {
    if let (Format::KerasWeights, Scaling::EachImage(_)) = (format, Scaling::of(&plan.config.data))
    {
        return Some(
            "data.scale is left out: weights alone have no place for it; measure and scale each image before \
             it goes in, as data.scale says"
                .to_owned(),
        );
    }
    let Affine { offset, factor } = of(plan).ok()??;
    let formula = format!("(value - {offset}) / {factor}");
    match format {
        Format::Torchscript | Format::Onnx | Format::Keras => Some(format!(
            "the file scales by itself, by {formula} before the model and back behind it: give values in units of \
             white (bytes / 255, 16 bits / 65535, floats as they are)"
        )),
        Format::KerasWeights => Some(format!(
            "data.scale is left out: weights alone have no place for it; scale values by {formula}"
        )),
        Format::Safetensors => None, // its config has it
    }
}

/// The graph between the two layers.
pub(super) fn framed(graph: &Graph, Affine { offset, factor }: Affine) -> Graph {
    let behind = |value: Value| match value {
        Value::Input => Value::Node(0),
        Value::Node(index) => Value::Node(index + 1),
    };
    let parts = [graph.nodes.first(), graph.nodes.last()].map(|node| node.map(|node| node.part));
    let [Some(first), Some(last)] = parts else { return graph.clone() };
    let layer = |scale: f64, offset: f64| Layer::Rescaling(Rescaling { scale, offset });
    let node = |stem: &str, part, layer, input: Value, shape: Value| Node {
        name: free_name(graph, stem),
        part,
        layer,
        shares: None,
        inputs: vec![input],
        output: graph.shape(shape).clone(),
        weights: Vec::new(),
    };
    let into = layer(1.0 / factor, -offset / factor);
    let mut nodes = vec![node("scale", first, into, Value::Input, Value::Input)];
    nodes.extend(graph.nodes.iter().cloned().map(|node| Node {
        shares: node.shares.map(|owner| owner + 1),
        inputs: node.inputs.iter().map(|&value| behind(value)).collect(),
        ..node
    }));
    let back = layer(factor, offset);
    nodes.push(node("unscale", last, back, behind(graph.output), graph.output));
    let code = match graph.code {
        Value::Input => Value::Input,
        Value::Node(_) => behind(graph.code),
    };
    Graph { input: graph.input.clone(), output: Value::Node(nodes.len() - 1), nodes, code }
}

fn free_name(graph: &Graph, stem: &str) -> String {
    let mut name = stem.to_owned();
    while graph.nodes.iter().any(|node| node.name == name) {
        name.push('_');
    }
    name
}
