//! Adagrad, as in Keras's `optimizers/adagrad.py`.

use tch::Tensor;

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
        let [rate] = step.numbers else { unreachable!("Adagrad needs the rate") };
        let [squares] = slots else { unreachable!("Adagrad keeps one slot") };
        *squares += gradient.square();
        *weights -= gradient * rate / (&*squares + self.epsilon).sqrt();
    }
}
