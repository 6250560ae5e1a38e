//! ONNX: the model as a graph of standard operators, which onnxruntime and many others run.
//!
//! Pictures go in as `input` and come out as `output`: float32, `(N, C, H, W)`, 0 is black and 1 is
//! white. N is free; height and width are where no layer fixes them.

mod activation;
mod graph;
mod lower;
#[allow(missing_docs)] // the names are those of onnx.proto
mod proto;

use prost::Message;

use super::TrainedModel;
use crate::config::sections::Precision;
use crate::exit::Misuse;
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
pub fn to_bytes(model: &TrainedModel) -> Result<Vec<u8>, Misuse> {
    let config = &model.plan.config;
    if config.train.dtype == Precision::Float64 {
        return Err(Misuse(
            "the model computes in float64, for which onnxruntime has no convolution; round it with \
             --set train.dtype=float32, or export it as torchscript or keras"
                .to_owned(),
        ));
    }
    let flexible = model.takes_other_sizes();
    let mut graph = Graph::new();
    for (part, planned) in model.layers() {
        graph.enter(format!("{part}.{}", planned.name));
        lower::lower(&mut graph, planned, &model.weights_of(part, planned), flexible);
    }
    graph.finish();
    let size = graph.initializers.iter().map(|tensor| tensor.raw_data.len()).sum();
    check_size(size)?;
    let file = proto::Model {
        ir_version: IR_VERSION,
        producer_name: "convae".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        doc_string: model.description("(N, C, H, W)"),
        opset_import: vec![OperatorSet { domain: String::new(), version: OPSET }],
        metadata_props: metadata(model),
        graph: Some(proto::Graph {
            node: graph.nodes,
            name: config.name.clone(),
            initializer: graph.initializers,
            input: vec![picture(model, INPUT, ["height", "width"])],
            output: vec![picture(model, OUTPUT, ["output_height", "output_width"])],
        }),
    };
    Ok(file.encode_to_vec())
}

/// Leaves a MiB for everything but the weights.
fn check_size(weights: usize) -> Result<(), Misuse> {
    if weights <= LARGEST_FILE - (1 << 20) {
        return Ok(());
    }
    Err(Misuse(format!(
        "the model has {weights} bytes of weights, and an ONNX file holds 2 GB; export it as \
         torchscript or safetensors"
    )))
}

fn metadata(model: &TrainedModel) -> Vec<Entry> {
    let entry = |key: &str, value: String| Entry { key: key.to_owned(), value };
    vec![
        entry("config.toml", model.plan.config.to_toml()),
        entry("layout", "NCHW".to_owned()),
        entry("values", "0 is black, 1 is white".to_owned()),
        entry("sizes", model.sizes()),
    ]
}

/// The output's free sides have names of their own: of a size that the model was not made for, it may
/// give a picture of another size.
fn picture(model: &TrainedModel, name: &str, [rows, columns]: [&str; 2]) -> ValueInfo {
    let [height, width, channels] = model.plan.input_shape;
    let side = |length: usize, free: &str| {
        if model.takes_other_sizes() {
            Length::Param(free.to_owned())
        } else {
            Length::Value(length as i64)
        }
    };
    let lengths = [
        Length::Param("N".to_owned()),
        Length::Value(channels as i64),
        side(height, rows),
        side(width, columns),
    ];
    let dim = lengths.map(|length| Dimension { length: Some(length) }).to_vec();
    let shape = Some(TensorShape { dim });
    let tensor_type = Some(TensorType { elem_type: FLOAT, shape });
    ValueInfo {
        name: name.to_owned(),
        r#type: Some(proto::Type { tensor_type }),
        doc_string: "pictures, 0 is black and 1 is white".to_owned(),
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
