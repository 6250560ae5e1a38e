//! Lamb, as in Keras's `optimizers/lamb.py`.

use tch::Tensor;

use super::subnormal::remove_subnormals;
use super::variable::views;
use super::{Moment, Rule, Step, power};
use crate::config::sections::{Lamb, Moments};

impl Rule for Lamb {
    fn slots(&self) -> Vec<&'static str> {
        vec!["momentum", "velocity"]
    }

    fn numbers(&self, at: Moment) -> Vec<f64> {
        let Moments { beta_1, beta_2, .. } = self.moments;
        let correction = |beta| 1.0 - power(beta, at.iteration, at.kind);
        vec![at.learning_rate, correction(beta_1), correction(beta_2)]
    }

    fn update(&self, weights: &mut Tensor, gradient: &Tensor, slots: &mut [Tensor], step: Step) {
        let [rate, first, second] = step.numbers else { unreachable!("Lamb needs three numbers") };
        let [m, v] = slots else { unreachable!("Lamb keeps two slots") };
        let (Moments { beta_1, beta_2, epsilon }, kind) = (&self.moments, weights.kind());
        *m += (gradient - &*m) * (1.0 - beta_1);
        *v += (gradient.square() - &*v) * (1.0 - beta_2);
        let update = &*m / first / ((&*v / second).sqrt() + *epsilon);
        let tensors = |flat: &Tensor| views(flat, step.variables);
        for (mut weights, update) in tensors(weights).into_iter().zip(tensors(&update)) {
            let norm = |values: &Tensor| values.square().sum(kind).sqrt();
            let (own, moved) = (norm(&weights), norm(&update));
            // As long as the weights are, if both are anything.
            let ratio = (&own / &moved)
                .where_self(&own.gt(0.0).logical_and(&moved.gt(0.0)), &own.ones_like());
            weights -= update * ratio * rate;
        }
        remove_subnormals(slots);
    }
}
