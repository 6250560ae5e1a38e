//! What weights are held to after each step: Keras's constraints (`constraints/constraints.py`).

use tch::{Tensor, no_grad};

use super::penalty::axes_of;
use crate::config::constraints::{Constraint, MaxNorm, MinMaxNorm};
use crate::plan::Graph;

/// Keras's `backend.epsilon()`.
const EPSILON: f64 = 1e-7;

impl Constraint {
    /// What becomes of a weight in Keras's layout.
    fn of(&self, weight: &Tensor) -> Tensor {
        let norms = || weight.square().sum_dim_intlist(self.axes(), true, weight.kind()).sqrt();
        let scaled = |wanted: &Tensor, norms: &Tensor| weight * (wanted / (norms + EPSILON));
        match self {
            Self::NonNeg(_) => weight.clamp_min(0.0),
            Self::UnitNorm(_) => weight / (norms() + EPSILON),
            Self::MaxNorm(MaxNorm { max_value, .. }) => {
                let norms = norms();
                scaled(&norms.clamp(0.0, *max_value), &norms)
            }
            Self::MinMaxNorm(MinMaxNorm { min_value, max_value, rate, .. }) => {
                let norms = norms();
                let inside = norms.clamp(*min_value, *max_value);
                scaled(&(inside * *rate + &norms * (1.0 - rate)), &norms)
            }
        }
    }
}

/// The constraints of a model's weights.
#[derive(Debug)]
pub struct Constraints(Vec<Held>);

/// Of one weight tensor.
#[derive(Debug)]
struct Held {
    /// Its place among the trainable ones.
    index: usize,
    constraint: Constraint,
    /// PyTorch's axis for each of Keras's.
    axes: Vec<i64>,
}

impl Constraints {
    /// Of the weights of all layers.
    #[must_use]
    pub fn new(graph: &Graph) -> Self {
        let weights = graph.nodes.iter().flat_map(|node| {
            let trainable = node.weights.iter().filter(|weight| weight.trainable);
            trainable.map(|weight| (node.layer.constraint(weight.keras_name), weight))
        });
        let held = weights.enumerate().filter_map(|(index, (constraint, weight))| {
            Some(Held { index, constraint: constraint?.clone(), axes: axes_of(weight) })
        });
        Self(held.collect())
    }

    /// Changes the weights in place.
    pub fn apply(&self, trainable: &[Tensor]) {
        no_grad(|| {
            for Held { index, constraint, axes } in &self.0 {
                let mut weight = trainable[*index].permute(axes.as_slice());
                weight.copy_(&constraint.of(&weight));
            }
        });
    }
}
