//! Adadelta, as in Keras's `optimizers/adadelta.py`.

use tch::Tensor;

use super::{Rule, Step};
use crate::config::sections::Adadelta;

impl Rule for Adadelta {
    fn slots(&self) -> Vec<&'static str> {
        vec!["accumulated_grad", "accumulated_delta_var"]
    }

    fn update(&self, weights: &mut Tensor, gradient: &Tensor, slots: &mut [Tensor], step: Step) {
        let [rate] = step.numbers else { unreachable!("Adadelta needs the rate") };
        let [squares, deltas] = slots else { unreachable!("Adadelta keeps two slots") };
        let blend = |old: &Tensor, new: &Tensor| old * self.rho + new * (1.0 - self.rho);
        let rms = |x: &Tensor| (x + self.epsilon).sqrt();
        let new = blend(squares, &gradient.square());
        squares.copy_(&new);
        let delta = rms(deltas) * gradient / rms(squares);
        let new = blend(deltas, &delta.square());
        deltas.copy_(&new);
        *weights -= delta * rate;
    }
}
