//! Stochastic gradient descent, as in Keras's `optimizers/sgd.py`.

use tch::Tensor;

use super::{Rule, Step};
use crate::config::sections::Sgd;

impl Rule for Sgd {
    fn slots(&self) -> Vec<&'static str> {
        if self.momentum == 0.0 { vec![] } else { vec!["momentum"] }
    }

    fn update(&self, weights: &mut Tensor, gradient: &Tensor, slots: &mut [Tensor], step: Step) {
        let [rate] = step.numbers else { unreachable!("SGD needs the rate") };
        let push = gradient * rate;
        let [velocity] = slots else {
            *weights -= push;
            return;
        };
        // The velocity holds the learning rate, as in Keras; libtorch multiplies later.
        let new = &*velocity * self.momentum - &push;
        velocity.copy_(&new);
        *weights += if self.nesterov { new * self.momentum - push } else { new };
    }
}
