//! Adagrad, as in Keras's `optimizers/adagrad.py`.

use tch::Tensor;

use super::formula::{self, Formula, Number};
use super::{Rule, Step};
use crate::config::sections::Adagrad;

impl Rule for Adagrad {
    fn slots(&self) -> Vec<&'static str> {
        vec!["accumulator"]
    }

    fn start_of(&self, _slot: &str) -> f64 {
        self.initial_accumulator_value
    }

    fn update(&self, weights: &mut Tensor, gradient: &Tensor, slots: &mut [Tensor], step: Step) {
        formula::update(self, weights, gradient, slots, step);
    }
}

impl Formula for Adagrad {
    #[inline(always)]
    fn step<N: Number>(&self, weight: &mut N, gradient: N, slots: &mut [N], numbers: &[N]) {
        let [rate] = numbers else { unreachable!("Adagrad needs the rate") };
        let [squares] = slots else { unreachable!("Adagrad keeps one slot") };
        *squares += gradient.clone().square();
        *weight -= gradient * rate.clone() / (squares.clone() + self.epsilon).sqrt();
    }
}
