//! Stochastic gradient descent, as in Keras's `optimizers/sgd.py`.

use tch::Tensor;

use super::formula::{self, Formula, Number};
use super::{Rule, Step};
use crate::config::sections::Sgd;

impl Rule for Sgd {
    fn slots(&self) -> Vec<&'static str> {
        if self.momentum == 0.0 { vec![] } else { vec!["momentum"] }
    }

    fn update(&self, weights: &mut Tensor, gradient: &Tensor, slots: &mut [Tensor], step: Step) {
        formula::update(self, weights, gradient, slots, step);
    }
}

impl Formula for Sgd {
    #[inline(always)]
    fn step<N: Number>(&self, weight: &mut N, gradient: N, slots: &mut [N], numbers: &[N]) {
        let [rate] = numbers else { unreachable!("SGD needs the rate") };
        let push = gradient * rate.clone();
        let [velocity] = slots else {
            *weight -= push;
            return;
        };
        // The velocity holds the learning rate, as in Keras; libtorch multiplies later.
        velocity.set(velocity.clone() * self.momentum - push.clone());
        let new = velocity.clone();
        *weight += if self.nesterov { new * self.momentum - push } else { new };
    }
}
