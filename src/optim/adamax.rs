//! Adamax, as in Keras's `optimizers/adamax.py`.

use tch::Tensor;

use super::formula::{self, Formula, Number};
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
        formula::update(self, weights, gradient, slots, step);
    }
}

impl Formula for Adamax {
    #[inline(always)]
    fn step<N: Number>(&self, weight: &mut N, gradient: N, slots: &mut [N], numbers: &[N]) {
        let [rate, correction] = numbers else { unreachable!("Adamax needs two numbers") };
        let [m, norm] = slots else { unreachable!("Adamax keeps two slots") };
        let Moments { beta_1, beta_2, epsilon } = &self.moments;
        *m += (gradient.clone() - m.clone()) * (1.0 - beta_1);
        norm.set((norm.clone() * *beta_2).maximum(gradient.abs()));
        *weight -= m.clone() * rate.clone() / ((norm.clone() + *epsilon) * correction.clone());
    }
}
