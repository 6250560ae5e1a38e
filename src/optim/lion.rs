//! Lion, as in Keras's `optimizers/lion.py`.

use tch::Tensor;

use super::formula::{self, Formula, Number};
use super::{Rule, Step};
use crate::config::sections::Lion;

impl Rule for Lion {
    fn slots(&self) -> Vec<&'static str> {
        vec!["momentum"]
    }

    fn update(&self, weights: &mut Tensor, gradient: &Tensor, slots: &mut [Tensor], step: Step) {
        formula::update(self, weights, gradient, slots, step);
    }
}

impl Formula for Lion {
    #[inline(always)]
    fn step<N: Number>(&self, weight: &mut N, gradient: N, slots: &mut [N], numbers: &[N]) {
        let [rate] = numbers else { unreachable!("Lion needs the rate") };
        let [momentum] = slots else { unreachable!("Lion keeps one slot") };
        let blend = |old: &N, beta: f64| old.clone() * beta + gradient.clone() * (1.0 - beta);
        *weight -= blend(momentum, self.beta_1).sign() * rate.clone();
        momentum.set(blend(momentum, self.beta_2));
    }
}
