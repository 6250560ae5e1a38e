//! Activations as stages of their own, value by value.

use super::Stage;
use crate::engine::native::grid::{Edge, Field};
use crate::engine::native::kernels::Real;
use crate::nn::{Activation, ReLU};

/// A function of every value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::engine::native) enum Activate {
    /// Any but softmax, which looks at a whole pixel.
    Activation(Activation),
    /// With this slope below 0.
    LeakyRelu(f64),
    /// With these options, of which one at least is set.
    Relu(ReLU),
    /// With minus this limit below 0.
    Elu(f64),
    /// Times the first, plus the second.
    Line(f64, f64),
}

const LEAKY_RELU_SLOPE: f64 = 0.2;
const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;
const SELU_SCALE: f64 = 1.050_700_987_355_480_5;

impl Activate {
    /// The function and its derivative at `x`: Keras's formulas, as in `crate::nn::Activation`.
    fn at<T: Real>(self, x: T) -> (T, T) {
        let (zero, one) = (T::zero(), T::one());
        let leaky = |slope: f64| {
            let slope = if x >= zero { one } else { T::of(slope) };
            (x * slope, slope)
        };
        let activation = match self {
            Self::LeakyRelu(slope) => return leaky(slope),
            Self::Relu(options) => return relu(options, x),
            Self::Elu(alpha) => return elu(x, T::of(alpha)),
            Self::Line(scale, offset) => return (x * T::of(scale) + T::of(offset), T::of(scale)),
            Self::Activation(activation) => activation,
        };
        let sigmoid = || one / (one + (-x).exp());
        match activation {
            Activation::Linear => (x, one),
            Activation::Relu => {
                if x <= zero {
                    (zero, zero)
                } else {
                    (x, one)
                }
            }
            Activation::Relu6 => clipped(x, zero, T::of(6.0)),
            Activation::LeakyRelu => leaky(LEAKY_RELU_SLOPE),
            Activation::Elu => elu(x, one),
            Activation::Selu => {
                let (scale, alpha) = (T::of(SELU_SCALE), T::of(SELU_ALPHA));
                if x > zero {
                    (scale * x, scale)
                } else {
                    (scale * alpha * x.exp_m1(), scale * alpha * x.exp())
                }
            }
            Activation::Gelu => gelu(x),
            Activation::Silu => {
                let s = sigmoid();
                (x * s, s * (one + x * (one - s)))
            }
            Activation::Mish => {
                let tanh = softplus(x).tanh();
                (x * tanh, tanh + x * (one - tanh * tanh) * sigmoid())
            }
            Activation::Sigmoid => {
                let y = sigmoid();
                (y, y * (one - y))
            }
            Activation::HardSigmoid => {
                let (y, slope) = clipped(x + T::of(3.0), zero, T::of(6.0));
                (y / T::of(6.0), slope / T::of(6.0))
            }
            Activation::Tanh => {
                let y = x.tanh();
                (y, one - y * y)
            }
            Activation::Softplus => (softplus(x), sigmoid()),
            Activation::Softsign => {
                let size = one + x.abs();
                (x / size, one / (size * size))
            }
            Activation::Softmax => {
                unreachable!("softmax is not lowered to a function of one value")
            }
            Activation::Exponential => (x.exp(), x.exp()),
        }
    }
}

/// As `crate::nn::ReLU` has it: where two functions meet, the slope is that of Keras on JAX.
fn relu<T: Real>(ReLU { max_value, negative_slope, threshold }: ReLU, x: T) -> (T, T) {
    let (zero, one, half) = (T::zero(), T::one(), T::of(0.5));
    let (limit, below) = (T::of(threshold), T::of(negative_slope));
    if threshold == 0.0 && max_value.is_none() {
        let slope = if x >= zero { one } else { below };
        return (x * slope, slope);
    }
    let above = if x <= limit { (zero, zero) } else { (x, one) };
    let (y, slope) = match max_value.map(T::of) {
        Some(most) if threshold == 0.0 && most == T::of(6.0) => clipped(x, zero, most),
        Some(most) if above.0 > most => (most, zero),
        Some(most) if above.0 == most => (most, above.1 * half),
        _ => above,
    };
    if negative_slope > 0.0 && x < limit {
        (y - below * (limit - x), slope + below)
    } else {
        (y, slope)
    }
}

fn elu<T: Real>(x: T, alpha: T) -> (T, T) {
    if x > T::zero() { (x, T::one()) } else { (alpha * x.exp_m1(), alpha * x.exp()) }
}

fn clipped<T: Real>(x: T, low: T, high: T) -> (T, T) {
    let slope = if x > low && x < high { T::one() } else { T::zero() };
    // What is not a number stays so, and is told.
    let above = if x >= high { high } else { x };
    (if x <= low { low } else { above }, slope)
}

fn softplus<T: Real>(x: T) -> T {
    x.max(T::zero()) + (-x.abs()).exp().ln_1p()
}

/// By the error function, which only float64 has here.
fn gelu<T: Real>(x: T) -> (T, T) {
    let x = x.wide();
    let below = 0.5 * (1.0 + libm::erf(x / std::f64::consts::SQRT_2));
    let density = (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
    (T::of(x * below), T::of(below + x * density))
}

impl<T: Real> Stage<T> for Activate {
    fn forward(&mut self, input: &Field<T>, output: &mut Field<T>, images: usize) {
        output.zip_rows(input, 0..images, |output, input| {
            for (y, &x) in output.iter_mut().zip(input) {
                *y = self.at(x).0;
            }
        });
    }

    fn backward(
        &mut self,
        input: &Field<T>,
        output: &mut Edge<T>,
        input_gradient: Option<&mut Field<T>>,
        images: usize,
    ) {
        let Some(result) = input_gradient else { return };
        output.gradient.zip_rows(input, 0..images, |gradient, input| {
            for (gradient, &x) in gradient.iter_mut().zip(input) {
                *gradient = *gradient * self.at(x).1;
            }
        });
        result.zip_rows(&output.gradient, 0..images, |result, gradient| {
            result.copy_from_slice(gradient);
        });
    }
}
