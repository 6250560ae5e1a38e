//! How weights start: Keras's initializers, drawn from a stream of our own.

use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

use crate::system::random::Stream;

/// Truncating a normal at two standard deviations shrinks it to this fraction; Keras makes up for
/// that (`initializers/random_initializers.py`, `VarianceScaling`).
const TRUNCATED_STDDEV: f64 = 0.879_625_661_034_239_8;
/// Where the normal initializers truncate, in standard deviations.
const TRUNCATION: f64 = 2.0;

/// Keras's initializers (`initializers/random_initializers.py`), by the [`Fans`] of the kernel. The
/// normal ones are truncated at two deviations; the deviations here are those after the cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Initializer {
    /// Uniform, at most `sqrt(6 / (in + out))` from 0.
    GlorotUniform,
    /// Normal, deviation `sqrt(2 / (in + out))`.
    GlorotNormal,
    /// Uniform, at most `sqrt(6 / in)` from 0.
    HeUniform,
    /// Normal, deviation `sqrt(2 / in)`.
    HeNormal,
    /// Uniform, at most `sqrt(3 / in)` from 0.
    LecunUniform,
    /// Normal, deviation `sqrt(1 / in)`.
    LecunNormal,
    /// 0 everywhere; draws nothing.
    Zeros,
    /// 1 everywhere; draws nothing.
    Ones,
}

/// Inputs that reach one output value, and outputs that one input value reaches, as Keras reads them
/// off its kernel's shape (`compute_fans` in `initializers/random_initializers.py`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fans {
    /// Pixels of the window times the kernel's last axis but one.
    pub r#in: usize,
    /// Pixels of the window times the kernel's last axis.
    pub out: usize,
}

impl Initializer {
    /// The next `count` starting values.
    #[must_use]
    pub fn draw(self, count: usize, fans: Fans, stream: &mut Stream) -> Vec<f64> {
        match self {
            Self::Zeros => vec![0.0; count],
            Self::Ones => vec![1.0; count],
            Self::GlorotUniform | Self::HeUniform | Self::LecunUniform => {
                let limit = (3.0 * self.variance(fans)).sqrt();
                (0..count).map(|_| limit * (2.0 * stream.random::<f64>() - 1.0)).collect()
            }
            Self::GlorotNormal | Self::HeNormal | Self::LecunNormal => {
                let stddev = self.variance(fans).sqrt() / TRUNCATED_STDDEV;
                (0..count).map(|_| stddev * truncated_normal(stream)).collect()
            }
        }
    }

    /// Variance that the drawn values have.
    fn variance(self, fans: Fans) -> f64 {
        let (r#in, out) = (fans.r#in as f64, fans.out as f64);
        match self {
            Self::GlorotUniform | Self::GlorotNormal => 2.0 / (r#in + out),
            Self::HeUniform | Self::HeNormal => 2.0 / r#in,
            Self::LecunUniform | Self::LecunNormal => 1.0 / r#in,
            Self::Zeros | Self::Ones => 0.0,
        }
    }
}

fn truncated_normal(stream: &mut Stream) -> f64 {
    loop {
        let value: f64 = StandardNormal.sample(stream);
        if value.abs() < TRUNCATION {
            return value;
        }
    }
}
