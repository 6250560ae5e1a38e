//! `keras.ops` and TensorFlow's functions in a graph: those that are one of convae's layers under another
//! name.

use serde_json::Value;

use super::activation::Found;
use super::graph::{self, Leaf};
use super::json::{number, plain, text};
use super::layers::{Findings, Words};
use super::references::{Argument, Call};

const WAY_OUT: &str = "say it with a layer of Keras that convae has, and save the model anew";

type Arguments<'a> = Call<'a, graph::Value>;

/// Whether a layer only stands for a function.
pub fn is_one(leaf: &Leaf) -> bool {
    leaf.is_operation
        || matches!(leaf.object.class, "TFOpLambda" | "SlicingOpLambda" | "TensorFlowOpLayer")
}

/// The function's name, in Keras 3's spelling where it has one.
fn function<'a>(leaf: &Leaf<'a>) -> &'a str {
    let config = leaf.object.config;
    match leaf.object.class {
        "TFOpLambda" => text(config, "function").unwrap_or("?"),
        "TensorFlowOpLayer" => {
            config.get("node_def").and_then(|node| text(node, "op")).unwrap_or("?")
        }
        class => class,
    }
}

/// The layer that it is; `None` where it is refused.
pub fn words(leaf: &Leaf, call: &Arguments, findings: &mut Findings) -> Option<Words> {
    let name = function(leaf);
    if let Some(words) = find(name, leaf, call) {
        return Some(words);
    }
    let shown = match leaf.object.class {
        "TFOpLambda" | "TensorFlowOpLayer" => format!("computes {} here", plain(name)),
        "SlicingOpLambda" => "takes a part of its input".to_owned(),
        class => format!("computes keras.ops' {} here", plain(class)),
    };
    let constant = if has_constant(call) { " with a constant" } else { "" };
    let what = format!("{shown}{constant}, which convae does not have");
    findings.refusals.add(leaf.name, leaf.object.class, what, WAY_OUT);
    None
}

/// Whether numbers stand among what it is called with.
fn has_constant(call: &Arguments) -> bool {
    let constant = |argument: &Argument<_>| matches!(argument, Argument::Plain(Value::Number(_)));
    call.args.iter().any(constant)
        || call.kwargs.iter().any(|(name, value)| *name == "y" && constant(value))
}

fn find(name: &str, leaf: &Leaf, call: &Arguments) -> Option<Words> {
    if let Some(kind) = arithmetic(name) {
        let two = call.reads().len() == 2 && !has_constant(call) && no_constants(leaf);
        return two.then(|| Words::bare(kind));
    }
    if is_depth_to_space(name) {
        return depth_to_space(leaf, call);
    }
    match name {
        "Concatenate" => leaf.object.config.get("axis").map_or(Some(-1), Value::as_i64),
        "concat" => option(call, "axis").and_then(Value::as_i64),
        _ => None,
    }
    .map(Words::concatenate)
    .or_else(|| activation(name, leaf, call))
}

/// TensorFlow's, by the names that its graphs had over time.
fn is_depth_to_space(name: &str) -> bool {
    matches!(
        name,
        "nn.depth_to_space" | "compat.v1.depth_to_space" | "depth_to_space" | "DepthToSpace"
    )
}

/// Of images with their channels last, which is TensorFlow's default.
fn depth_to_space(leaf: &Leaf, call: &Arguments) -> Option<Words> {
    let positional = call.args.get(1).and_then(|argument| match argument {
        Argument::Plain(value) => Some(*value),
        _ => None,
    });
    let block = option(call, "block_size").or(positional)?.as_i64()?;
    let layout = option(call, "data_format").and_then(Value::as_str).unwrap_or("NHWC");
    let plain = leaf.object.class == "TFOpLambda" && layout == "NHWC" && call.reads().len() == 1;
    plain.then(|| Words::bare("DepthToSpace").with("block_size", block))
}

/// Those of two inputs.
fn arithmetic(name: &str) -> Option<&'static str> {
    Some(match name {
        "Add" | "AddV2" | "math.add" | "__operators__.add" => "Add",
        "Subtract" | "Sub" | "math.subtract" | "__operators__.sub" => "Subtract",
        "Multiply" | "Mul" | "math.multiply" | "__operators__.mul" => "Multiply",
        "Maximum" | "math.maximum" => "Maximum",
        "Minimum" | "math.minimum" => "Minimum",
        _ => return None,
    })
}

/// Those of TensorFlow 2.0 to 2.3 keep theirs in their options.
fn no_constants(leaf: &Leaf) -> bool {
    leaf.object
        .config
        .get("constants")
        .and_then(Value::as_object)
        .is_none_or(serde_json::Map::is_empty)
}

/// An argument by name.
fn option<'a>(call: &Arguments<'a>, name: &str) -> Option<&'a Value> {
    call.kwargs.iter().find_map(|(key, value)| match value {
        Argument::Plain(value) if *key == name && !value.is_null() => Some(*value),
        _ => None,
    })
}

/// Of a function of TensorFlow 2.0 to 2.3, which keeps its options in the node of its graph: `{"f": 0.1}`.
fn attribute<'a>(config: &'a Value, key: &str) -> Option<&'a Value> {
    let attribute = config.get("node_def")?.get("attr")?.get(key)?;
    ["f", "i", "b"].iter().find_map(|kind| attribute.get(kind))
}

fn activation(name: &str, leaf: &Leaf, call: &Arguments) -> Option<Words> {
    let stem = name.rsplit('.').next().unwrap_or(name);
    let config = leaf.object.config;
    let one = call.reads().len() == 1 && !has_constant(call) && no_constants(leaf);
    let set = |key: &str| {
        option(call, key).or_else(|| config.get(key)).or_else(|| attribute(config, key))
    };
    let options: &[&str] = match stem {
        "Elu" | "elu" => &["alpha"],
        "Gelu" => &["approximate"],
        "LeakyRelu" | "leaky_relu" => &["alpha", "negative_slope"],
        "Softmax" | "softmax" => &["axis"],
        _ => &[],
    };
    let is_unknown = |(key, value): &(&str, Argument<_>)| match value {
        Argument::Plain(value) => !value.is_null() && *key != "name" && !options.contains(key),
        _ => false,
    };
    if call.kwargs.iter().any(is_unknown) {
        return None;
    }
    let found = match stem {
        "Relu" | "relu" => "relu",
        "Relu6" | "relu6" => "relu6",
        "Sigmoid" | "sigmoid" => "sigmoid",
        "Tanh" | "tanh" => "tanh",
        "Softplus" | "softplus" => "softplus",
        "Softsign" | "softsign" => "softsign",
        "Selu" | "selu" => "selu",
        "Silu" | "silu" => "silu",
        "Exp" | "exp" => "exponential",
        "Elu" | "elu" if matches!(set("alpha").and_then(number), None | Some(1.0)) => "elu",
        "Gelu" if set("approximate") == Some(&Value::Bool(false)) => "gelu",
        "HardSigmoid" => "hard_sigmoid",
        "LeakyRelu" | "leaky_relu" => {
            let slope =
                ["negative_slope", "alpha"].iter().find_map(|key| set(key).and_then(number));
            return one.then(|| Words::activation(Found::Leaky(slope.unwrap_or(0.2))));
        }
        "Softmax" | "softmax" => {
            let axis = set("axis").map_or(Some(-1), Value::as_i64);
            return one.then(|| Words { axis, ..Words::activation(Found::Named("softmax")) });
        }
        _ => return None,
    };
    one.then(|| Words::activation(Found::Named(found)))
}
