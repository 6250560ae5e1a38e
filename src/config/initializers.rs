//! How weights start, in Keras's words and with its defaults (`initializers/random_initializers.py`,
//! `initializers/constant_initializers.py`).

use super::layers::Bare;
use super::schema::{Bounds, choice, family, section};
use crate::nn::{self, Distribution, FanMode};

const VALUE: Bounds = Bounds::closed(-1e9, 1e9);
const STDDEV: Bounds = Bounds::closed(0.0, 1e9);

choice!(FanMode { FanIn = "fan_in", FanOut = "fan_out", FanAvg = "fan_avg" });

choice!(Distribution {
    TruncatedNormal = "truncated_normal" | "normal",
    UntruncatedNormal = "untruncated_normal",
    Uniform = "uniform",
});

section! {
    /// One value everywhere.
    pub struct Constant {
        /// Which one.
        value: f64 = 0.0, in VALUE;
    }
}

section! {
    /// A normal distribution.
    pub struct Normal {
        /// Its centre.
        mean: f64 = 0.0, in VALUE;
        /// Its standard deviation, before a cut.
        stddev: f64 = 0.05, in STDDEV;
    }
}

section! {
    /// A uniform distribution.
    pub struct RandomUniform {
        /// The smallest value.
        minval: f64 = -0.05, in VALUE;
        /// What no value reaches.
        maxval: f64 = 0.05, in VALUE;
    }
}

section! {
    /// Mean 0 and variance `scale / n`.
    pub struct VarianceScaling {
        /// Factor of the variance.
        scale: f64 = 1.0, in Bounds::above(0.0, 1e9);
        /// What n is: the inputs of an output value, the outputs of an input value, or the mean of both.
        mode: FanMode = FanMode::FanIn;
        /// How the values are spread; `truncated_normal` is cut at two deviations, and wider before.
        distribution: Distribution = Distribution::TruncatedNormal;
    }
}

section! {
    /// A matrix and its size.
    pub struct Gain {
        /// Factor of the matrix.
        gain: f64 = 1.0, in VALUE;
    }
}

family! {
    /// How a weight starts.
    pub enum Initializer by "name", like "{ name = \"Constant\", value = 0.25 }" {
        /// Uniform, at most `sqrt(6 / (in + out))` from 0.
        GlorotUniform(Bare) = "GlorotUniform" | "glorot_uniform",
        /// Normal, cut at two deviations; deviation `sqrt(2 / (in + out))` after the cut.
        GlorotNormal(Bare) = "GlorotNormal" | "glorot_normal",
        /// Uniform, at most `sqrt(6 / in)` from 0.
        HeUniform(Bare) = "HeUniform" | "he_uniform",
        /// Normal, cut at two deviations; deviation `sqrt(2 / in)` after the cut.
        HeNormal(Bare) = "HeNormal" | "he_normal",
        /// Uniform, at most `sqrt(3 / in)` from 0.
        LecunUniform(Bare) = "LecunUniform" | "lecun_uniform",
        /// Normal, cut at two deviations; deviation `sqrt(1 / in)` after the cut.
        LecunNormal(Bare) = "LecunNormal" | "lecun_normal",
        /// 0 everywhere.
        Zeros(Bare) = "Zeros" | "zeros",
        /// 1 everywhere.
        Ones(Bare) = "Ones" | "ones",
        /// One value everywhere.
        Constant(Constant) = "Constant" | "constant",
        /// A normal distribution.
        RandomNormal(Normal) = "RandomNormal" | "random_normal",
        /// A normal distribution, drawn again where it is two deviations or more from the mean.
        TruncatedNormal(Normal) = "TruncatedNormal" | "truncated_normal",
        /// A uniform distribution.
        RandomUniform(RandomUniform) = "RandomUniform" | "random_uniform",
        /// Mean 0 and variance `scale / n`, where n depends on the weight's shape.
        VarianceScaling(VarianceScaling) = "VarianceScaling" | "variance_scaling",
        /// Orthogonal columns of length `gain`, rows where there are fewer: of the weight in Keras's layout, as a matrix
        /// with its last axis. For kernels.
        Orthogonal(Gain) = "Orthogonal" | "orthogonal",
        /// `gain` on the diagonal, 0 elsewhere. For the kernel of a Dense.
        Identity(Gain) = "Identity" | "identity",
    }
}

impl From<&Initializer> for nn::Initializer {
    fn from(initializer: &Initializer) -> Self {
        match *initializer {
            Initializer::GlorotUniform(_) => Self::GLOROT_UNIFORM,
            Initializer::GlorotNormal(_) => Self::GLOROT_NORMAL,
            Initializer::HeUniform(_) => Self::HE_UNIFORM,
            Initializer::HeNormal(_) => Self::HE_NORMAL,
            Initializer::LecunUniform(_) => Self::LECUN_UNIFORM,
            Initializer::LecunNormal(_) => Self::LECUN_NORMAL,
            Initializer::Zeros(_) => Self::ZEROS,
            Initializer::Ones(_) => Self::ONES,
            Initializer::Constant(Constant { value }) => Self::Constant(value),
            Initializer::RandomNormal(Normal { mean, stddev }) => Self::Normal { mean, stddev },
            Initializer::TruncatedNormal(Normal { mean, stddev }) => {
                Self::TruncatedNormal { mean, stddev }
            }
            Initializer::RandomUniform(RandomUniform { minval, maxval }) => {
                Self::Uniform { low: minval, high: maxval }
            }
            Initializer::VarianceScaling(VarianceScaling { scale, mode, distribution }) => {
                Self::VarianceScaling { scale, mode, distribution }
            }
            Initializer::Orthogonal(Gain { gain }) => Self::Orthogonal { gain },
            Initializer::Identity(Gain { gain }) => Self::Identity { gain },
        }
    }
}
