//! Adamax, as in Keras's `optimizers/adamax.py`.

use tch::Tensor;

use super::{Rule, Step, power};
use crate::config::sections::{Adamax, Moments};

impl Rule for Adamax {
    fn slots(&self) -> Vec<&'static str> {
        vec!["momentum", "norm"]
    }

    fn update(&self, weights: &mut Tensor, gradient: &Tensor, slots: &mut [Tensor], step: Step) {
        let [m, norm] = slots else { unreachable!("Adamax keeps two slots") };
        let Moments { beta_1, beta_2, epsilon } = &self.moments;
        *m += (gradient - &*m) * (1.0 - beta_1);
        let new = (&*norm * *beta_2).maximum(&gradient.abs());
        norm.copy_(&new);
        let correction = 1.0 - power(*beta_1, step.iteration, weights.kind());
        *weights -= &*m * step.learning_rate / ((&*norm + *epsilon) * correction);
    }
}
