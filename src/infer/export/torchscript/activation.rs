//! Activations as expressions of `x`, with Keras's constants, as `nn` computes them.

use crate::nn::{Activation, LEAKY_RELU_SLOPE};

/// The activation of `x`; axis 1 holds the channels.
pub fn activation(activation: Activation) -> Option<String> {
    let expression = match activation {
        Activation::Linear => return None,
        Activation::Relu => "torch.relu(x)",
        Activation::Relu6 => "torch.clamp(x, 0., 6.)",
        Activation::LeakyRelu => return Some(leaky_relu(LEAKY_RELU_SLOPE)),
        Activation::Elu => "torch.elu(x)",
        Activation::Selu => "torch.selu(x)",
        Activation::Gelu => "torch.gelu(x)",
        Activation::Silu => "torch.silu(x)",
        Activation::Mish => "torch.mul(x, torch.tanh(torch.logaddexp(x, torch.zeros_like(x))))",
        Activation::Sigmoid => "torch.sigmoid(x)",
        Activation::HardSigmoid => {
            "torch.mul(torch.clamp(torch.add(x, 3.), 0., 6.), 0.16666666666666666)"
        }
        Activation::Tanh => "torch.tanh(x)",
        Activation::Softplus => "torch.logaddexp(x, torch.zeros_like(x))",
        Activation::Softsign => "torch.div(x, torch.add(torch.abs(x), 1.))",
        Activation::Softmax => "torch.softmax(x, 1)",
        Activation::Exponential => "torch.exp(x)",
    };
    Some(expression.to_owned())
}

/// The layer's slope, or the activation's.
pub fn leaky_relu(slope: f64) -> String {
    format!("torch.where(torch.ge(x, 0), x, torch.mul(x, {slope:?}))")
}
