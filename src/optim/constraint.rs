//! What weights are held to after each step: Keras's constraints (`constraints/constraints.py`).

use tch::{Tensor, no_grad};

use super::of_weight::{EPSILON, OfWeight};
use crate::config::constraints::{Constraint, MaxNorm, MinMaxNorm};
use crate::config::layers::Layer;
use crate::plan::Graph;

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
pub struct Constraints(Vec<OfWeight<Constraint>>);

impl Constraints {
    /// Of the weights of all layers.
    #[must_use]
    pub fn new(graph: &Graph) -> Self {
        Self(OfWeight::all(graph, Layer::constraint))
    }

    /// Changes the weights in place.
    pub fn apply(&self, trainable: &[Tensor]) {
        no_grad(|| {
            for held in &self.0 {
                let mut weight = held.in_keras(trainable);
                weight.copy_(&held.said.of(&weight));
            }
        });
    }
}
