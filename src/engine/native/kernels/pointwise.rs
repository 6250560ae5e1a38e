//! Activations, value by value: Keras's formulas, as in `crate::nn::Activation`. Which function it is, is asked once for a
//! row, so that its loop becomes vectors.

use super::Real;
use crate::nn::{Activation, ReLU};

/// A function of every value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::engine) enum Activate {
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

/// Goes over rows with a function of one value, which gives the result and the derivative.
trait Loop<T> {
    fn go(self, function: impl Fn(T) -> (T, T));
}

struct Forward<'a, T> {
    values: &'a [T],
    results: &'a mut [T],
}

impl<T: Real> Loop<T> for Forward<'_, T> {
    #[inline(always)]
    fn go(self, function: impl Fn(T) -> (T, T)) {
        for (result, &x) in self.results.iter_mut().zip(self.values) {
            *result = function(x).0;
        }
    }
}

struct Backward<'a, T> {
    values: &'a [T],
    gradient: &'a [T],
    results: &'a mut [T],
}

impl<T: Real> Loop<T> for Backward<'_, T> {
    #[inline(always)]
    fn go(self, function: impl Fn(T) -> (T, T)) {
        let rows = self.results.iter_mut().zip(self.values).zip(self.gradient);
        for ((result, &x), &gradient) in rows {
            *result = gradient * function(x).1;
        }
    }
}

#[inline(always)]
pub(super) fn activate<T: Real>(function: Activate, values: &[T], results: &mut [T]) {
    function.over(Forward { values, results });
}

#[inline(always)]
pub(super) fn activate_gradient<T: Real>(
    function: Activate,
    values: &[T],
    gradient: &[T],
    results: &mut [T],
) {
    function.over(Backward { values, gradient, results });
}

impl Activate {
    #[inline(always)]
    fn over<T: Real>(self, rows: impl Loop<T>) {
        let (zero, one) = (T::zero(), T::one());
        let activation = match self {
            Self::LeakyRelu(slope) => return rows.go(|x| leaky(x, T::of(slope))),
            Self::Relu(ReLU { max_value: None, negative_slope, threshold: 0.0 }) => {
                return rows.go(|x| leaky(x, T::of(negative_slope)));
            }
            Self::Relu(options) => return rows.go(|x| relu(options, x)),
            Self::Elu(alpha) => return rows.go(|x| elu(x, T::of(alpha))),
            Self::Line(scale, offset) => {
                return rows.go(|x| (x * T::of(scale) + T::of(offset), T::of(scale)));
            }
            Self::Activation(activation) => activation,
        };
        match activation {
            Activation::Linear => rows.go(|x| (x, one)),
            Activation::Relu => rows.go(|x| {
                // What is not a number stays so.
                let is_low = x <= zero;
                (if is_low { zero } else { x }, if is_low { zero } else { one })
            }),
            Activation::Relu6 => rows.go(|x| clipped(x, zero, T::of(6.0))),
            Activation::LeakyRelu => rows.go(|x| leaky(x, T::of(LEAKY_RELU_SLOPE))),
            Activation::Elu => rows.go(|x| elu(x, one)),
            Activation::Selu => rows.go(|x| {
                let (y, slope) = elu(x, T::of(SELU_ALPHA));
                let scale = T::of(SELU_SCALE);
                (scale * y, scale * slope)
            }),
            Activation::Gelu => rows.go(gelu),
            Activation::Silu => rows.go(|x| {
                let s = sigmoid(x);
                (x * s, s * (one + x * (one - s)))
            }),
            Activation::Mish => rows.go(mish),
            Activation::Sigmoid => rows.go(|x| {
                let y = sigmoid(x);
                (y, y * (one - y))
            }),
            Activation::HardSigmoid => rows.go(|x| {
                let (y, slope) = clipped(x + T::of(3.0), zero, T::of(6.0));
                (y / T::of(6.0), slope / T::of(6.0))
            }),
            Activation::Tanh => rows.go(tanh),
            Activation::Softplus => rows.go(|x| (softplus(x), sigmoid(x))),
            Activation::Softsign => rows.go(|x| {
                let size = one + x.abs();
                (x / size, one / (size * size))
            }),
            Activation::Softmax => {
                unreachable!("softmax is not lowered to a function of one value")
            }
            Activation::Exponential => rows.go(|x| {
                // The square of the root goes beyond the type's range where e^x does.
                let root = (x * T::of(0.5)).exponential();
                (root * root, root * root)
            }),
        }
    }
}

#[inline(always)]
fn leaky<T: Real>(x: T, below: T) -> (T, T) {
    let slope = if x >= T::zero() { T::one() } else { below };
    (x * slope, slope)
}

#[inline(always)]
fn sigmoid<T: Real>(x: T) -> T {
    let small = (-x.abs()).exponential_or_zero();
    let above = if x < T::zero() { small } else { T::one() };
    above / (T::one() + small)
}

/// `x tanh(softplus(x))` by `e^-|x|` alone: with `e = e^x` the tangent is `(e^2 + 2 e) / (e^2 + 2 e + 2)`.
#[inline(always)]
fn mish<T: Real>(x: T) -> (T, T) {
    let (one, two) = (T::one(), T::of(2.0));
    let small = (-x.abs()).exponential_or_zero();
    let positive = x >= T::zero();
    let above = if positive { one + two * small } else { small * (small + two) };
    let below = if positive { two * small * small } else { two };
    let whole = above + below;
    let tanh = above / whole;
    let slope = below * (above + whole) / (whole * whole);
    let sigmoid = if positive { one } else { small } / (one + small);
    (x * tanh, tanh + x * slope * sigmoid)
}

/// By `e^-2|x|` and `e^-2|x| - 1`: so small results keep their digits, and small slopes theirs.
#[inline(always)]
fn tanh<T: Real>(x: T) -> (T, T) {
    let twice = T::of(-2.0) * x.abs();
    let (small, below) = (twice.exponential(), twice.exponential_m1());
    let whole = T::of(2.0) + below;
    let size = -below / whole;
    (if x < T::zero() { -size } else { size }, T::of(4.0) * small / (whole * whole))
}

/// As `crate::nn::ReLU` has it: where two functions meet, the slope is that of Keras on JAX.
#[inline(always)]
fn relu<T: Real>(ReLU { max_value, negative_slope, threshold }: ReLU, x: T) -> (T, T) {
    let (zero, one, half) = (T::zero(), T::one(), T::of(0.5));
    let (limit, below) = (T::of(threshold), T::of(negative_slope));
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

#[inline(always)]
fn elu<T: Real>(x: T, alpha: T) -> (T, T) {
    let low = if x > T::zero() { T::zero() } else { x };
    let (y, slope) = (alpha * low.exponential_m1(), alpha * low.exponential());
    if x > T::zero() { (x, T::one()) } else { (y, slope) }
}

#[inline(always)]
fn clipped<T: Real>(x: T, low: T, high: T) -> (T, T) {
    let slope = if x > low && x < high { T::one() } else { T::zero() };
    // What is not a number stays so, and is told.
    let above = if x >= high { high } else { x };
    (if x <= low { low } else { above }, slope)
}

#[inline(always)]
fn softplus<T: Real>(x: T) -> T {
    let above = if x < T::zero() { T::zero() } else { x };
    above + (-x.abs()).exponential().log_1p()
}

#[inline(always)]
fn gelu<T: Real>(x: T) -> (T, T) {
    let below = x.normal_below();
    let density = (T::of(-0.5) * x * x).exponential_or_zero() * T::of(0.398_942_280_401_432_7); // 1 / sqrt(2 pi)
    (x * below, below + x * density)
}
