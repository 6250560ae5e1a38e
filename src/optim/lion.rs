//! Lion, as in Keras's `optimizers/lion.py`.

use tch::Tensor;

use super::{Rule, Step};
use crate::config::sections::Lion;

impl Rule for Lion {
    fn slots(&self) -> Vec<&'static str> {
        vec!["momentum"]
    }

    fn update(&self, weights: &mut Tensor, gradient: &Tensor, slots: &mut [Tensor], step: Step) {
        let [rate] = step.numbers else { unreachable!("Lion needs the rate") };
        let [momentum] = slots else { unreachable!("Lion keeps one slot") };
        let blend = |beta: f64| &*momentum * beta + gradient * (1.0 - beta);
        *weights -= blend(self.beta_1).sign() * rate;
        let new = blend(self.beta_2);
        momentum.copy_(&new);
    }
}
