//! How weights start: Keras's initializers, drawn from a stream of our own.

use rand::RngExt;
use rand_distr::{Distribution as _, StandardNormal};
use tch::{Device, Kind, Tensor};

use super::window::to_i64;
use crate::system::random::Stream;

/// Truncating a normal at two standard deviations shrinks it to this fraction; Keras makes up for
/// that (`initializers/random_initializers.py`, `VarianceScaling`).
const TRUNCATED_STDDEV: f64 = 0.879_625_661_034_239_8;
/// Where the normal initializers truncate, in standard deviations.
const TRUNCATION: f64 = 2.0;

/// Keras's initializers (`initializers/random_initializers.py`, `initializers/constant_initializers.py`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Initializer {
    /// One value everywhere; draws nothing.
    Constant(f64),
    /// Normal.
    Normal {
        /// Its centre.
        mean: f64,
        /// Its standard deviation.
        stddev: f64,
    },
    /// Normal, drawn again where it is two deviations or more from the mean.
    TruncatedNormal {
        /// Its centre.
        mean: f64,
        /// Its standard deviation before the cut.
        stddev: f64,
    },
    /// Uniform between two bounds.
    Uniform {
        /// The smallest value.
        low: f64,
        /// What no value reaches.
        high: f64,
    },
    /// With mean 0 and variance `scale / n`, after a cut too; `n` by the [`Fans`] of the weight.
    VarianceScaling {
        /// Above 0.
        scale: f64,
        /// What `n` is.
        mode: FanMode,
        /// Of the values.
        distribution: Distribution,
    },
    /// `gain` times a matrix with orthogonal columns of length 1, rows where it has fewer of these: the weight in
    /// Keras's layout, all of its axes but the last taken together.
    Orthogonal {
        /// Length of the vectors.
        gain: f64,
    },
    /// `gain` times the identity matrix; draws nothing.
    Identity {
        /// Value of the diagonal.
        gain: f64,
    },
}

/// What the variance of [`Initializer::VarianceScaling`] is divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FanMode {
    /// Inputs of an output value.
    FanIn,
    /// Outputs of an input value.
    FanOut,
    /// The mean of both.
    FanAvg,
}

/// How the values of [`Initializer::VarianceScaling`] are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distribution {
    /// Normal, cut at two deviations.
    TruncatedNormal,
    /// Normal.
    UntruncatedNormal,
    /// Between two bounds.
    Uniform,
}

/// Inputs that reach one output value, and outputs that one input value reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fans {
    /// Pixels of the window times the kernel's last axis but one.
    pub r#in: usize,
    /// Pixels of the window times the kernel's last axis.
    pub out: usize,
}

impl Fans {
    /// As Keras reads them off a weight's shape in its own layout, whatever the weight is (`compute_fans` in
    /// `initializers/random_initializers.py`).
    #[must_use]
    pub fn of(shape: &[usize]) -> Self {
        match *shape {
            [] => Self { r#in: 1, out: 1 },
            [length] => Self { r#in: length, out: length },
            [ref window @ .., r#in, out] => {
                let pixels: usize = window.iter().product();
                Self { r#in: r#in * pixels, out: out * pixels }
            }
        }
    }
}

impl Initializer {
    /// 0 everywhere.
    pub const ZEROS: Self = Self::Constant(0.0);
    /// 1 everywhere.
    pub const ONES: Self = Self::Constant(1.0);
    /// Uniform, at most `sqrt(6 / (in + out))` from 0.
    pub const GLOROT_UNIFORM: Self = scaling(1.0, FanMode::FanAvg, Distribution::Uniform);
    /// Normal, deviation `sqrt(2 / (in + out))`.
    pub const GLOROT_NORMAL: Self = scaling(1.0, FanMode::FanAvg, Distribution::TruncatedNormal);
    /// Uniform, at most `sqrt(6 / in)` from 0.
    pub const HE_UNIFORM: Self = scaling(2.0, FanMode::FanIn, Distribution::Uniform);
    /// Normal, deviation `sqrt(2 / in)`.
    pub const HE_NORMAL: Self = scaling(2.0, FanMode::FanIn, Distribution::TruncatedNormal);
    /// Uniform, at most `sqrt(3 / in)` from 0.
    pub const LECUN_UNIFORM: Self = scaling(1.0, FanMode::FanIn, Distribution::Uniform);
    /// Normal, deviation `sqrt(1 / in)`.
    pub const LECUN_NORMAL: Self = scaling(1.0, FanMode::FanIn, Distribution::TruncatedNormal);

    /// The next `count` starting values of a weight with these fans, where each stands for itself.
    ///
    /// # Panics
    /// For those that draw a matrix.
    #[must_use]
    pub fn draw(self, count: usize, fans: Fans, stream: &mut Stream) -> Vec<f64> {
        let each = 0..count;
        match self.with_fans(fans) {
            Self::Constant(value) => vec![value; count],
            Self::Normal { mean, stddev } => each.map(|_| mean + stddev * normal(stream)).collect(),
            Self::TruncatedNormal { mean, stddev } => {
                each.map(|_| mean + stddev * truncated_normal(stream)).collect()
            }
            Self::Uniform { low, high } => {
                let (centre, reach) = (f64::midpoint(low, high), (high - low) / 2.0);
                each.map(|_| centre + reach * (2.0 * stream.random::<f64>() - 1.0)).collect()
            }
            Self::VarianceScaling { .. } => unreachable!("the fans make it one of the others"),
            Self::Orthogonal { .. } | Self::Identity { .. } => panic!("values of a whole matrix"),
        }
    }

    /// The starting values of a weight that has this shape in Keras's layout, where they make sense as a whole only.
    pub(super) fn matrix(self, shape: &[usize], stream: &mut Stream) -> Option<Tensor> {
        let columns = shape.last().copied().unwrap_or(1);
        let rows = shape.iter().product::<usize>() / columns.max(1);
        let matrix = match self {
            Self::Orthogonal { gain } => gain * orthogonal(rows, columns, stream),
            Self::Identity { gain } => {
                let matrix = Tensor::zeros([to_i64(rows), to_i64(columns)], DOUBLE);
                let _ = matrix.diagonal(0, 0, 1).fill_(gain);
                matrix
            }
            _ => return None,
        };
        let shape: Vec<i64> = shape.iter().map(|&side| to_i64(side)).collect();
        Some(matrix.reshape(shape))
    }

    /// With the deviation or the bounds that the fans give it.
    fn with_fans(self, fans: Fans) -> Self {
        let Self::VarianceScaling { scale, mode, distribution } = self else { return self };
        let (r#in, out) = (fans.r#in as f64, fans.out as f64);
        let count = match mode {
            FanMode::FanIn => r#in,
            FanMode::FanOut => out,
            FanMode::FanAvg => f64::midpoint(r#in, out),
        };
        let variance = scale / count.max(1.0);
        let mean = 0.0;
        match distribution {
            Distribution::TruncatedNormal => {
                Self::TruncatedNormal { mean, stddev: variance.sqrt() / TRUNCATED_STDDEV }
            }
            Distribution::UntruncatedNormal => Self::Normal { mean, stddev: variance.sqrt() },
            Distribution::Uniform => {
                let limit = (3.0 * variance).sqrt();
                Self::Uniform { low: -limit, high: limit }
            }
        }
    }
}

const DOUBLE: (Kind, Device) = (Kind::Double, Device::Cpu);

const fn scaling(scale: f64, mode: FanMode, distribution: Distribution) -> Initializer {
    Initializer::VarianceScaling { scale, mode, distribution }
}

fn normal(stream: &mut Stream) -> f64 {
    StandardNormal.sample(stream)
}

fn truncated_normal(stream: &mut Stream) -> f64 {
    loop {
        let value = normal(stream);
        if value.abs() < TRUNCATION {
            return value;
        }
    }
}

/// Q of a tall matrix of normal numbers, each column with the sign that makes R's diagonal positive, so that no
/// direction is more likely than another; laid down where there are fewer rows than columns.
fn orthogonal(rows: usize, columns: usize, stream: &mut Stream) -> Tensor {
    let (tall, narrow) = (rows.max(columns), rows.min(columns));
    let values: Vec<f64> = (0..tall * narrow).map(|_| normal(stream)).collect();
    let matrix = Tensor::from_slice(&values).view([to_i64(tall), to_i64(narrow)]);
    let (q, r) = Tensor::linalg_qr(&matrix, "reduced");
    let q = q * r.diagonal(0, 0, 1).sign();
    if rows < columns { q.transpose(0, 1) } else { q }
}
