//! The two precisions.

use std::fmt::Debug;

use num_traits::Float;

use super::Kernels;

/// `f32` or `f64`.
pub(in crate::engine) trait Real:
    Float + Debug + Default + Send + Sync + tch::kind::Element + 'static
{
    /// Rounds.
    fn of(value: f64) -> Self;

    /// Exact.
    fn wide(self) -> f64;

    /// Rounds all of them; what is `f32` already stays where it is.
    fn singles(values: Vec<Self>) -> Vec<f32>;

    /// `e^x` to the last digit or two, without branches; beyond the type's range, its largest value
    /// and (about) its smallest.
    fn exponential(self) -> Self;

    /// The same, and 0 instead of the smallest value: for what is multiplied by numbers of any size.
    fn exponential_or_zero(self) -> Self;

    /// `e^x - 1` in the same way: near 0, too, to the last digit or two.
    fn exponential_m1(self) -> Self;

    /// `ln(1 + x)` for `x` in 0..=1, to the last digit or two, without branches.
    fn log_1p(self) -> Self;

    /// The share of the standard normal distribution below this number, `(1 + erf(x / sqrt(2))) / 2`.
    fn normal_below(self) -> Self;

    /// The forms of the kernels that this CPU can run, the fastest first.
    fn forms() -> Vec<&'static Kernels<Self>>;
}

impl Real for f64 {
    #[inline(always)]
    fn of(value: f64) -> Self {
        value
    }

    #[inline(always)]
    fn wide(self) -> f64 {
        self
    }

    fn singles(values: Vec<Self>) -> Vec<f32> {
        values.into_iter().map(|value| value as f32).collect()
    }

    #[inline(always)]
    fn exponential(self) -> Self {
        self.exp()
    }

    #[inline(always)]
    fn exponential_or_zero(self) -> Self {
        self.exp()
    }

    #[inline(always)]
    fn exponential_m1(self) -> Self {
        self.exp_m1()
    }

    #[inline(always)]
    fn log_1p(self) -> Self {
        self.ln_1p()
    }

    #[inline(always)]
    fn normal_below(self) -> Self {
        0.5 * libm::erfc(-self * std::f64::consts::FRAC_1_SQRT_2)
    }

    fn forms() -> Vec<&'static Kernels<Self>> {
        super::forms::available_f64()
    }
}

impl Real for f32 {
    #[inline(always)]
    fn of(value: f64) -> Self {
        value as f32
    }

    #[inline(always)]
    fn wide(self) -> f64 {
        f64::from(self)
    }

    fn singles(values: Vec<Self>) -> Vec<f32> {
        values
    }

    #[inline(always)]
    fn exponential(self) -> Self {
        let (above_one, power) = exponential_parts(self);
        (above_one + 1.0) * power
    }

    #[inline(always)]
    fn exponential_or_zero(self) -> Self {
        if self < LEAST_EXPONENT { 0.0 } else { self.exponential() }
    }

    #[inline(always)]
    fn exponential_m1(self) -> Self {
        let (above_one, power) = exponential_parts(self);
        above_one * power + (power - 1.0)
    }

    /// Kahan's correction of `ln(u)` for what `u = 1 + x` has lost; the polynomial is Cephes's `logf`.
    #[inline(always)]
    fn log_1p(self) -> Self {
        const LN2_HIGH: f32 = 0.693_359_4;
        const LN2_LOW: f32 = -2.121_944_4e-4;
        const SERIES: [f32; 9] = [
            7.037_683_6e-2,
            -1.151_461e-1,
            1.167_699_9e-1,
            -1.242_014_1e-1,
            1.424_932_3e-1,
            -1.666_805_8e-1,
            2.000_071_5e-1,
            -2.499_999_4e-1,
            3.333_333e-1,
        ];
        let u = 1.0 + self;
        let upper = u > std::f32::consts::SQRT_2;
        let (f, n) = if upper { (u * 0.5 - 1.0, 1.0) } else { (u - 1.0, 0.0) };
        let mut sum = SERIES[0];
        for term in &SERIES[1..] {
            sum = sum * f + term;
        }
        let log = f + (sum * f * f * f + n * LN2_LOW - 0.5 * f * f) + n * LN2_HIGH;
        let kept = u - 1.0;
        let lost = self / if kept > 0.0 { kept } else { 1.0 };
        if kept > 0.0 { log * lost } else { self }
    }

    /// The polynomial is Numerical Recipes' `erfcc`, to 1.2e-7 of what is left above or below.
    #[inline(always)]
    fn normal_below(self) -> Self {
        const SERIES: [f32; 10] = [
            0.170_872_77,
            -0.822_152_23,
            1.488_515_9,
            -1.135_204,
            0.278_868_07,
            -0.186_288_06,
            0.096_784_18,
            0.374_091_96,
            1.000_023_7,
            -1.265_512_2,
        ];
        let z = self.abs() * std::f32::consts::FRAC_1_SQRT_2;
        let t = 1.0 / (1.0 + 0.5 * z);
        let mut sum = SERIES[0];
        for term in &SERIES[1..] {
            sum = sum * t + term;
        }
        let beyond = 0.5 * t * (sum - z * z).exponential_or_zero();
        if self > 0.0 { 1.0 - beyond } else { beyond }
    }

    fn forms() -> Vec<&'static Kernels<Self>> {
        super::forms::available_f32()
    }
}

/// Below it `e^x` has no longer all its digits.
const LEAST_EXPONENT: f32 = -87.0;

/// `e^r - 1` and `2^n` with `e^x = 2^n e^r`, `n` whole and `|r| <= ln(2) / 2`; the polynomial is Cephes's `expf`.
#[inline(always)]
fn exponential_parts(x: f32) -> (f32, f32) {
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    const SERIES: [f32; 6] =
        [1.987_569_1e-4, 1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];
    const ROUNDED: f32 = 12_582_912.0; // 1.5 * 2^23
    let x = if x > 88.0 { 88.0 } else { x };
    let x = if x < LEAST_EXPONENT { LEAST_EXPONENT } else { x };
    let n = (x * std::f32::consts::LOG2_E).round_ties_even();
    let r = x - n * LN2_HIGH - n * LN2_LOW;
    let mut sum = SERIES[0];
    for term in &SERIES[1..] {
        sum = sum * r + term;
    }
    // The sum's last bits are n, and what stands above them is shifted out.
    let power = f32::from_bits((n + ROUNDED).to_bits().wrapping_add(127) << 23);
    (sum * r * r + r, power)
}
