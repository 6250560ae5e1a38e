//! ONNX: the model as a graph of standard operators, which onnxruntime and many others run.
//!
//! Images go in as `input` and come out as `output`: float32, `(N, C, H, W)`, 0 is black and 1 is
//! white. N is free; height and width are free where no layer fixes them. Vectors are `(N, values)`, signals
//! `(N, steps, channels)`.

mod activation;
mod graph;
mod lower;
#[allow(missing_docs)] // the names are those of onnx.proto
mod proto;

use std::collections::HashMap;

use prost::Message;

use super::{Exporter, layout_of};
use crate::config::sections::Precision;
use crate::plan::{Shape, Value};
use crate::system::exit::UsageError;
use graph::{Graph, INPUT, OUTPUT};
use proto::{Dimension, Entry, FLOAT, Length, OperatorSet, TensorShape, TensorType, ValueInfo};

/// The version of the operators; onnxruntime has it since 1.12.
const OPSET: i64 = 17;
/// The file's version, of the same time.
const IR_VERSION: i64 = 8;
/// No protobuf message may be larger.
const LARGEST_FILE: usize = (1 << 31) - 1;

/// The bytes of a file.
///
/// # Errors
/// When the model computes in float64, for which onnxruntime has no convolution, or is too large for
/// one file.
pub fn to_bytes(model: &Exporter) -> Result<Vec<u8>, UsageError> {
    let config = &model.plan.config;
    if config.train.dtype == Precision::Float64 {
        return Err(UsageError(
            "the model computes in float64, for which onnxruntime has no convolution; round it with \
             --set train.dtype=float32, or export it as torchscript or keras"
                .to_owned(),
        ));
    }
    let flexible = model.takes_other_sizes();
    let mut graph = Graph::new();
    let shapes = [Value::Input, model.plan.graph.output].map(|end| model.plan.graph.shape(end));
    graph.enter(INPUT.to_owned());
    lower::to_row(&mut graph, shapes[0]);
    // The names of the values so far.
    let mut names = HashMap::from([(usize::MAX, graph.value.clone())]);
    let key = |value: Value| match value {
        Value::Input => usize::MAX,
        Value::Node(index) => index,
    };
    for (index, node) in model.nodes() {
        graph.enter(model.owner_of(node).path());
        let inputs: Vec<String> =
            node.inputs.iter().map(|&value| names[&key(value)].clone()).collect();
        let input = model.plan.graph.input_of(node);
        lower::lower(&mut graph, node, input, inputs, &model.weights_of(node), flexible);
        names.insert(index, graph.value.clone());
    }
    graph.enter(OUTPUT.to_owned());
    lower::from_row(&mut graph, shapes[1]);
    graph.finish();
    let size = graph.initializers.iter().map(|tensor| tensor.raw_data.len()).sum();
    check_size(size)?;
    let file = proto::Model {
        ir_version: IR_VERSION,
        producer_name: "convae".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        doc_string: model.description(),
        opset_import: vec![OperatorSet { domain: String::new(), version: OPSET }],
        metadata_props: metadata(model),
        graph: Some(proto::Graph {
            node: graph.nodes,
            name: config.name.clone(),
            initializer: graph.initializers,
            input: vec![value_info(model, INPUT, shapes[0], ["height", "width", "steps"])],
            output: vec![value_info(model, OUTPUT, shapes[1], OUTPUT_SIDES)],
        }),
    };
    Ok(file.encode_to_vec())
}

/// Names of the output's sides where these are open.
const OUTPUT_SIDES: [&str; 3] = ["output_height", "output_width", "output_steps"];

/// Leaves a MiB for everything but the weights.
fn check_size(weights: usize) -> Result<(), UsageError> {
    if weights <= LARGEST_FILE - (1 << 20) {
        return Ok(());
    }
    Err(UsageError(format!(
        "the model has {weights} bytes of weights, and an ONNX file holds 2 GB; export it as \
         torchscript or safetensors"
    )))
}

fn metadata(model: &Exporter) -> Vec<Entry> {
    let entry = |key: &str, value: String| Entry { key: key.to_owned(), value };
    let layout = if model.plan.graph.input.0.len() == 3 { "NCHW" } else { "as in Keras" };
    vec![
        entry("config.toml", model.plan.config.to_toml()),
        entry("layout", layout.to_owned()),
        entry("values", model.values().to_owned()),
        entry("sizes", model.sizes()),
    ]
}

/// The output's free sides have names of their own: of a size that the model was not made for, it may
/// give an image of another size.
fn value_info(
    model: &Exporter,
    name: &str,
    shape: &Shape,
    [rows, columns, steps]: [&str; 3],
) -> ValueInfo {
    let fixed = |&length: &usize| Length::Value(length as i64);
    let side = |length: &usize, free: &str| {
        if model.takes_other_sizes() { Length::Param(free.to_owned()) } else { fixed(length) }
    };
    let sides = match &shape.0[..] {
        [height, width, channels] => {
            vec![fixed(channels), side(height, rows), side(width, columns)]
        }
        [length, channels] => vec![side(length, steps), fixed(channels)],
        sides => sides.iter().map(fixed).collect(),
    };
    let lengths = std::iter::once(Length::Param("N".to_owned())).chain(sides);
    let dim = lengths.map(|length| Dimension { length: Some(length) }).collect();
    let tensor_type = Some(TensorType { elem_type: FLOAT, shape: Some(TensorShape { dim }) });
    ValueInfo {
        name: name.to_owned(),
        r#type: Some(proto::Type { tensor_type }),
        doc_string: format!("{}, {}", layout_of(shape), model.values()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_of_more_than_2_gb_is_refused() {
        assert!(check_size(2_000_000_000).is_ok());
        let refused = check_size(1 << 31).unwrap_err().to_string();
        assert!(refused.contains("torchscript"), "{refused}");
    }
}
