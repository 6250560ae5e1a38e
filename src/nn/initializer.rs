//! How weights start: Keras's initializers, drawn from a stream of our own.

use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

use crate::random::Stream;

/// Truncating a normal at two standard deviations shrinks it to this fraction; Keras makes up for
/// that (`initializers/random_initializers.py`, `VarianceScaling`).
const TRUNCATED_STDDEV: f64 = 0.879_625_661_034_239_8;
/// Where the normal initializers truncate, in standard deviations.
const TRUNCATION: f64 = 2.0;

/// Names of Keras's initializers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Initializer {
    GlorotUniform,
    GlorotNormal,
    HeUniform,
    HeNormal,
    LecunUniform,
    LecunNormal,
    Zeros,
    Ones,
}

/// Inputs that reach one output value, and outputs that one input value reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fans {
    pub r#in: usize,
    pub out: usize,
}

impl Initializer {
    /// `count` starting values.
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
    #[allow(clippy::cast_precision_loss)] // fans are far below 2^52
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
