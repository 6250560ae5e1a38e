//! Ftrl, as in Keras's `optimizers/ftrl.py`.

use tch::Tensor;

use super::{Moment, Rule, Step};
use crate::config::sections::Ftrl;

const ACCUMULATOR: &str = "accumulator";

impl Rule for Ftrl {
    fn slots(&self) -> Vec<&'static str> {
        vec![ACCUMULATOR, "linear"]
    }

    fn start_of(&self, slot: &str) -> f64 {
        if slot == ACCUMULATOR { self.initial_accumulator_value } else { 0.0 }
    }

    fn numbers(&self, at: Moment) -> Vec<f64> {
        let rate = at.learning_rate;
        vec![rate, 2.0 * (self.l2_regularization_strength + self.beta / (2.0 * rate))]
    }

    fn update(&self, weights: &mut Tensor, gradient: &Tensor, slots: &mut [Tensor], step: Step) {
        let [rate, l2] = step.numbers else { unreachable!("Ftrl needs two numbers") };
        let [squares, linear] = slots else { unreachable!("Ftrl keeps two slots") };
        let pulled = gradient + &*weights * (2.0 * self.l2_shrinkage_regularization_strength);
        let new = &*squares + gradient.square();
        let root = |squares: &Tensor| squares.pow_tensor_scalar(-self.learning_rate_power);
        *linear += pulled - (root(&new) - root(squares)) / rate * &*weights;
        let quadratic = root(&new) / rate + l2;
        let l1 = self.l1_regularization_strength;
        weights.copy_(&((linear.clamp(-l1, l1) - &*linear) / quadratic));
        squares.copy_(&new);
    }
}
