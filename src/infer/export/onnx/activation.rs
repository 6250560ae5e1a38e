//! Activations as operators of opset 17, with Keras's constants.

use std::f32::consts::FRAC_1_SQRT_2;

use super::graph::Graph;
use super::proto::Attribute;
use crate::nn::{Activation, LEAKY_RELU_SLOPE};

/// Appends an activation; axis 1 holds the channels.
pub fn activate(graph: &mut Graph, activation: Activation) {
    match activation {
        Activation::Linear => {}
        Activation::Relu => graph.op("Relu", &[], vec![]),
        Activation::Relu6 => {
            let bounds = [graph.floats(&[], &[0.0]), graph.floats(&[], &[6.0])];
            graph.op("Clip", &bounds, vec![]);
        }
        Activation::LeakyRelu => leaky_relu(graph, LEAKY_RELU_SLOPE),
        Activation::Elu => graph.op("Elu", &[], vec![]),
        Activation::Selu => graph.op("Selu", &[], vec![]),
        Activation::Gelu => gelu(graph),
        Activation::Silu => times(graph, &["Sigmoid"]),
        Activation::Mish => times(graph, &["Softplus", "Tanh"]),
        Activation::Sigmoid => graph.op("Sigmoid", &[], vec![]),
        Activation::HardSigmoid => {
            let line = vec![Attribute::float("alpha", 1.0 / 6.0), Attribute::float("beta", 0.5)];
            graph.op("HardSigmoid", &[], line);
        }
        Activation::Tanh => graph.op("Tanh", &[], vec![]),
        Activation::Softplus => graph.op("Softplus", &[], vec![]),
        Activation::Softsign => graph.op("Softsign", &[], vec![]),
        Activation::Softmax => graph.op("Softmax", &[], vec![Attribute::int("axis", 1)]),
        Activation::Exponential => graph.op("Exp", &[], vec![]),
    }
}

/// The layer's slope, or the activation's.
pub fn leaky_relu(graph: &mut Graph, slope: f64) {
    graph.op("LeakyRelu", &[], vec![Attribute::float("alpha", slope)]);
}

/// The value times what some operators make of it.
fn times(graph: &mut Graph, kinds: &[&str]) {
    let value = graph.value.clone();
    for kind in kinds {
        graph.op(kind, &[], vec![]);
    }
    graph.op("Mul", &[value], vec![]);
}

/// Opset 17 has no operator of this name: `x * (1 + erf(x / sqrt(2))) / 2`.
fn gelu(graph: &mut Graph) {
    let value = graph.value.clone();
    let factor = graph.floats(&[], &[FRAC_1_SQRT_2]);
    graph.op("Mul", &[factor], vec![]);
    graph.op("Erf", &[], vec![]);
    let (one, half) = (graph.floats(&[], &[1.0]), graph.floats(&[], &[0.5]));
    graph.op("Add", &[one], vec![]);
    graph.op("Mul", &[value], vec![]);
    graph.op("Mul", &[half], vec![]);
}
