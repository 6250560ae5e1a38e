//! Adadelta, as in Keras's `optimizers/adadelta.py`.

use tch::Tensor;

use super::formula::{self, Formula, Number};
use super::{Rule, Step};
use crate::config::sections::Adadelta;

impl Rule for Adadelta {
    fn slots(&self) -> Vec<&'static str> {
        vec!["accumulated_grad", "accumulated_delta_var"]
    }

    fn update(&self, weights: &mut Tensor, gradient: &Tensor, slots: &mut [Tensor], step: Step) {
        formula::update(self, weights, gradient, slots, step);
    }
}

impl Formula for Adadelta {
    #[inline(always)]
    fn step<N: Number>(&self, weight: &mut N, gradient: N, slots: &mut [N], numbers: &[N]) {
        let [rate] = numbers else { unreachable!("Adadelta needs the rate") };
        let [squares, deltas] = slots else { unreachable!("Adadelta keeps two slots") };
        let blend = |old: &N, new: N| old.clone() * self.rho + new * (1.0 - self.rho);
        let rms = |x: &N| (x.clone() + self.epsilon).sqrt();
        squares.set(blend(squares, gradient.clone().square()));
        let delta = rms(deltas) * gradient / rms(squares);
        deltas.set(blend(deltas, delta.clone().square()));
        *weight -= delta * rate.clone();
    }
}
