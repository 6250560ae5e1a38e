//! Keras's activations and their slopes as closed formulas, each in a form that loses nothing for
//! large |x| (`activations/activations.py`).

#![allow(dead_code)] // each test program uses its own part

use std::f64::consts::PI;

use convae::nn::Activation;

/// The constants of Klambauer et al. 2017, which Keras uses.
const SELU_SCALE: f64 = 1.050_700_987_355_480_5;
const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;

/// All but softmax, which needs more than one value.
pub const ELEMENTWISE: [Activation; 15] = [
    Activation::Linear,
    Activation::Relu,
    Activation::Relu6,
    Activation::LeakyRelu,
    Activation::Elu,
    Activation::Selu,
    Activation::Gelu,
    Activation::Silu,
    Activation::Mish,
    Activation::Sigmoid,
    Activation::HardSigmoid,
    Activation::Tanh,
    Activation::Softplus,
    Activation::Softsign,
    Activation::Exponential,
];

/// The activation of one value.
pub fn value(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Linear => x,
        Activation::Relu => x.max(0.0),
        Activation::Relu6 => x.clamp(0.0, 6.0),
        Activation::LeakyRelu => leaky_relu(x, 0.2),
        Activation::Elu => elu(x, 1.0),
        Activation::Selu => SELU_SCALE * elu(x, SELU_ALPHA),
        Activation::Gelu => x * normal_below(x),
        Activation::Silu => x * sigmoid(x),
        Activation::Mish => x * softplus(x).tanh(),
        Activation::Sigmoid => sigmoid(x),
        Activation::HardSigmoid => (x / 6.0 + 0.5).clamp(0.0, 1.0),
        Activation::Tanh => x.tanh(),
        Activation::Softplus => softplus(x),
        Activation::Softsign => x / (1.0 + x.abs()),
        Activation::Exponential => x.exp(),
        Activation::Softmax => panic!("softmax takes more than one value"),
    }
}

/// Its derivative, away from kinks.
pub fn slope(activation: Activation, x: f64) -> f64 {
    let step = |inside: bool| if inside { 1.0 } else { 0.0 };
    match activation {
        Activation::Linear => 1.0,
        Activation::Relu => step(x > 0.0),
        Activation::Relu6 => step(x > 0.0 && x < 6.0),
        Activation::LeakyRelu => leaky_relu_slope(x, 0.2),
        Activation::Elu => elu_slope(x, 1.0),
        Activation::Selu => SELU_SCALE * elu_slope(x, SELU_ALPHA),
        Activation::Gelu => normal_below(x) + x * (-x * x / 2.0).exp() / (2.0 * PI).sqrt(),
        Activation::Silu => sigmoid(x) * (1.0 + x * sigmoid(-x)),
        Activation::Mish => {
            let tanh = softplus(x).tanh();
            tanh + x * (1.0 - tanh * tanh) * sigmoid(x)
        }
        Activation::Sigmoid => sigmoid(x) * sigmoid(-x),
        Activation::HardSigmoid => step(x.abs() < 3.0) / 6.0,
        Activation::Tanh => x.cosh().powi(-2),
        Activation::Softplus => sigmoid(x),
        Activation::Softsign => (1.0 + x.abs()).powi(-2),
        Activation::Exponential => x.exp(),
        Activation::Softmax => panic!("softmax takes more than one value"),
    }
}

pub fn leaky_relu(x: f64, slope: f64) -> f64 {
    if x < 0.0 { slope * x } else { x }
}

pub fn leaky_relu_slope(x: f64, slope: f64) -> f64 {
    if x < 0.0 { slope } else { 1.0 }
}

/// Each value's share, after the largest is taken off all, which changes no share.
pub fn softmax(values: &[f64]) -> Vec<f64> {
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = values.iter().map(|value| (value - largest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

fn elu(x: f64, alpha: f64) -> f64 {
    if x > 0.0 { x } else { alpha * x.exp_m1() }
}

fn elu_slope(x: f64, alpha: f64) -> f64 {
    if x > 0.0 { 1.0 } else { alpha * x.exp() }
}

fn sigmoid(x: f64) -> f64 {
    if x < 0.0 { x.exp() / (1.0 + x.exp()) } else { 1.0 / (1.0 + (-x).exp()) }
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// Probability that a standard normal number lies below `x`.
fn normal_below(x: f64) -> f64 {
    if x < 0.0 { normal_above(-x) } else { 1.0 - normal_above(x) }
}

/// Probability of lying above `x >= 0`: for small x by the series of the integral, for large x by
/// Laplace's continued fraction (Abramowitz and Stegun 26.2.11 and 26.2.14).
pub fn normal_above(x: f64) -> f64 {
    /// Series and fraction are both good to rounding here, with the terms below.
    const MEET: f64 = 3.0;
    const TERMS: u32 = 200;
    let density = (-x * x / 2.0).exp() / (2.0 * PI).sqrt();
    if x < MEET {
        let mut term = x;
        let mut sum = x;
        for n in 1..TERMS {
            term *= x * x / f64::from(2 * n + 1);
            sum += term;
        }
        0.5 - density * sum
    } else {
        density / (1..TERMS).rev().fold(x, |tail, n| x + f64::from(n) / tail)
    }
}
