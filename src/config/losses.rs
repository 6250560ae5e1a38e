//! Losses, in Keras's words: a text, a table with a loss's options, or a list of them that is summed up.

use super::ConfigError;
use super::node::{Node, Value};
use super::schema::{Bounds, Field, family, refuse, section};
use crate::nn::{Loss, Losses};

const WEIGHT: Bounds = Bounds::above(0.0, 1e9);

section! {
    /// A loss without options of its own.
    pub struct Plain {
        /// Its factor in a sum.
        weight: f64 = 1.0, in WEIGHT;
    }
}

section! {
    /// Squares of small errors, sizes of large ones.
    pub struct Huber {
        /// Where it turns from squares to a line.
        delta: f64 = 1.0, in Bounds::above(0.0, 1e9);
        /// Its factor in a sum.
        weight: f64 = 1.0, in WEIGHT;
    }
}

section! {
    /// The root of squared errors and a constant; not Keras's.
    pub struct Charbonnier {
        /// Where it turns from squares to a line.
        epsilon: f64 = 0.001, in Bounds::above(0.0, 1e9);
        /// Its factor in a sum.
        weight: f64 = 1.0, in WEIGHT;
    }
}

family! {
    /// A loss with its options.
    pub enum LossTable by "loss", like "{ loss = \"huber\", delta = 0.5 }" {
        /// Of probabilities.
        BinaryCrossentropy(Plain) = "binary_crossentropy" | "binary_crossentropy" | "bce",
        /// The mean squared error.
        MeanSquaredError(Plain) = "mean_squared_error" | "mean_squared_error" | "mse",
        /// The mean absolute error.
        MeanAbsoluteError(Plain) = "mean_absolute_error" | "mean_absolute_error" | "mae",
        /// Squares of small errors, sizes of large ones.
        Huber(Huber) = "huber" | "huber",
        /// The logarithm of an error's hyperbolic cosine.
        LogCosh(Plain) = "log_cosh" | "log_cosh",
        /// The squared error of logarithms.
        MeanSquaredLogarithmicError(Plain) =
            "mean_squared_logarithmic_error" | "mean_squared_logarithmic_error" | "msle",
        /// The absolute error as a percentage of the target.
        MeanAbsolutePercentageError(Plain) =
            "mean_absolute_percentage_error" | "mean_absolute_percentage_error" | "mape",
        /// Of counts.
        Poisson(Plain) = "poisson" | "poisson",
        /// The relative entropy of each pixel's channels.
        KlDivergence(Plain) = "kl_divergence" | "kl_divergence" | "kld",
        /// Less the cosine between each pixel's channels.
        CosineSimilarity(Plain) = "cosine_similarity" | "cosine_similarity",
        /// The root of squared errors and a constant; not Keras's.
        Charbonnier(Charbonnier) = "charbonnier" | "charbonnier",
        /// 1 less the structural similarity in windows of 7x7, of values in 0..1; not Keras's.
        Ssim(Plain) = "ssim" | "ssim",
        /// That of a model which came with a loss that convae does not have: it predicts, and is neither
        /// trained nor evaluated before `train.loss` says otherwise.
        Unknown(Plain) = "unknown" | "unknown",
    }
}

macro_rules! plain {
    ($($Loss:ident),+) => {
        impl LossTable {
            fn loss(&self) -> (Loss, f64) {
                match *self {
                    $(Self::$Loss(Plain { weight }) => (Loss::$Loss, weight),)+
                    Self::Huber(Huber { delta, weight }) => (Loss::Huber { delta }, weight),
                    Self::Charbonnier(Charbonnier { epsilon, weight }) => {
                        (Loss::Charbonnier { epsilon }, weight)
                    }
                }
            }

            fn of(&(loss, weight): &(Loss, f64)) -> Self {
                match loss {
                    $(Loss::$Loss => Self::$Loss(Plain { weight }),)+
                    Loss::Huber { delta } => Self::Huber(Huber { delta, weight }),
                    Loss::Charbonnier { epsilon } => {
                        Self::Charbonnier(Charbonnier { epsilon, weight })
                    }
                }
            }
        }
    };
}
plain!(
    BinaryCrossentropy,
    MeanSquaredError,
    MeanAbsoluteError,
    LogCosh,
    MeanSquaredLogarithmicError,
    MeanAbsolutePercentageError,
    Poisson,
    KlDivergence,
    CosineSimilarity,
    Ssim,
    Unknown
);

impl Loss {
    /// Its name in a config.
    #[must_use]
    pub fn name(self) -> &'static str {
        LossTable::of(&(self, 1.0)).name()
    }
}

impl Losses {
    /// For people: `0.84 ssim + 0.16 mean_absolute_error`.
    #[must_use]
    pub fn name(&self) -> String {
        if let Some(loss) = self.alone() {
            return loss.name().to_owned();
        }
        let parts = self.0.iter().map(|(loss, weight)| format!("{weight} {}", loss.name()));
        parts.collect::<Vec<_>>().join(" + ")
    }
}

impl Field for Losses {
    fn takes() -> String {
        format!("{}; or a list of such tables, each with a `weight`", LossTable::takes())
    }

    fn read(node: &Node, bounds: Option<Bounds>) -> Result<Self, ConfigError> {
        let read = |node: &Node| LossTable::read(node, bounds).map(|table| table.loss());
        match &node.value {
            Value::Array(items) if items.is_empty() => Err(refuse(node, &Self::takes())),
            Value::Array(items) => items.iter().map(read).collect::<Result<_, _>>().map(Self),
            _ => read(node).map(|one| Self(vec![one])),
        }
    }

    fn write(&self) -> Option<toml::Value> {
        match self.0.as_slice() {
            [one] => LossTable::of(one).write(),
            several => Some(
                several
                    .iter()
                    .filter_map(|one| LossTable::of(one).write())
                    .collect::<Vec<_>>()
                    .into(),
            ),
        }
    }
}
