//! What training holds weights to, in Keras's words and with its defaults (`constraints/constraints.py`).

use super::ConfigError;
use super::layers::Bare;
use super::node::{Node, Value};
use super::schema::{Bounds, Field, family, refuse, section};

const NORM: Bounds = Bounds::closed(0.0, 1e9);
const SHARE: Bounds = Bounds::closed(0.0, 1.0);

/// Axes of a weight in Keras's layout, along which its norms are taken: one number or a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Axes(pub Vec<i64>);

impl Field for Axes {
    fn takes() -> String {
        "a whole number, or some of them in brackets, each".to_owned()
    }

    fn read(node: &Node, bounds: Option<Bounds>) -> Result<Self, ConfigError> {
        match &node.value {
            Value::Integer(_) => i64::read(node, bounds).map(|axis| Self(vec![axis])),
            Value::Array(items) if !items.is_empty() => {
                items.iter().map(|item| i64::read(item, bounds)).collect::<Result<_, _>>().map(Self)
            }
            _ => Err(refuse(node, &super::schema::taking::<Self>(bounds))),
        }
    }

    fn write(&self) -> Option<toml::Value> {
        if let [axis] = self.0.as_slice() { axis.write() } else { self.0.write() }
    }
}

/// A kernel of Keras's has four axes at most; -1 is the last.
const AXIS: Bounds = Bounds::closed(-4.0, 3.0);

section! {
    /// Norms of at most `max_value`.
    pub struct MaxNorm {
        /// The largest norm.
        max_value: f64 = 2.0, in NORM;
        /// Along which axes of Keras's layout norms are taken: 0 for a Dense, `[0, 1, 2]` for each filter of a
        /// Conv2D.
        axis: Axes = Axes(vec![0]), in AXIS;
    }
}

section! {
    /// Norms of 1.
    pub struct UnitNorm {
        /// Along which axes of Keras's layout norms are taken.
        axis: Axes = Axes(vec![0]), in AXIS;
    }
}

section! {
    /// Norms between two bounds.
    pub struct MinMaxNorm {
        /// The smallest norm.
        min_value: f64 = 0.0, in NORM;
        /// The largest norm.
        max_value: f64 = 1.0, in NORM;
        /// Share of the way to the bounds that each step goes.
        rate: f64 = 1.0, in SHARE;
        /// Along which axes of Keras's layout norms are taken.
        axis: Axes = Axes(vec![0]), in AXIS;
    }
}

family! {
    /// What each step of a training ends with.
    pub enum Constraint by "name", like "{ name = \"MaxNorm\", max_value = 2.0 }" {
        /// Norms of at most `max_value`.
        MaxNorm(MaxNorm) = "MaxNorm" | "max_norm",
        /// No value below 0.
        NonNeg(Bare) = "NonNeg" | "non_neg",
        /// Norms of 1.
        UnitNorm(UnitNorm) = "UnitNorm" | "unit_norm",
        /// Norms between two bounds.
        MinMaxNorm(MinMaxNorm) = "MinMaxNorm" | "min_max_norm",
    }
}

impl Constraint {
    /// Along which axes of Keras's layout it takes norms.
    #[must_use]
    pub fn axes(&self) -> &[i64] {
        match self {
            Self::MaxNorm(MaxNorm { axis, .. })
            | Self::UnitNorm(UnitNorm { axis })
            | Self::MinMaxNorm(MinMaxNorm { axis, .. }) => &axis.0,
            Self::NonNeg(_) => &[],
        }
    }
}
