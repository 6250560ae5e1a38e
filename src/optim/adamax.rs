//! Adamax, as in Keras's `optimizers/adamax.py`.

use tch::Tensor;

use super::{Moment, Rule, Step, power};
use crate::config::sections::{Adamax, Moments};

impl Rule for Adamax {
    fn slots(&self) -> Vec<&'static str> {
        vec!["momentum", "norm"]
    }

    fn numbers(&self, at: Moment) -> Vec<f64> {
        vec![at.learning_rate, 1.0 - power(self.moments.beta_1, at.iteration, at.kind)]
    }

    fn update(&self, weights: &mut Tensor, gradient: &Tensor, slots: &mut [Tensor], step: Step) {
        let [rate, correction] = step.numbers else { unreachable!("Adamax needs two numbers") };
        let [m, norm] = slots else { unreachable!("Adamax keeps two slots") };
        let Moments { beta_1, beta_2, epsilon } = &self.moments;
        *m += (gradient - &*m) * (1.0 - beta_1);
        let new = (&*norm * *beta_2).maximum(&gradient.abs());
        norm.copy_(&new);
        *weights -= &*m * rate / ((&*norm + *epsilon) * correction);
    }
}
