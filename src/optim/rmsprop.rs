//! RMSprop, as in Keras's `optimizers/rmsprop.py`.

use tch::Tensor;

use super::formula::{self, Formula, Number};
use super::{Rule, Step};
use crate::config::sections::RmsProp;

impl Rule for RmsProp {
    fn slots(&self) -> Vec<&'static str> {
        let mut slots = vec!["velocity"];
        slots.extend((self.momentum > 0.0).then_some("momentum"));
        slots.extend(self.centered.then_some("average_gradient"));
        slots
    }

    fn update(&self, weights: &mut Tensor, gradient: &Tensor, slots: &mut [Tensor], step: Step) {
        formula::update(self, weights, gradient, slots, step);
    }
}

impl Formula for RmsProp {
    #[inline(always)]
    fn step<N: Number>(&self, weight: &mut N, gradient: N, slots: &mut [N], numbers: &[N]) {
        let [rate] = numbers else { unreachable!("RMSprop needs the rate") };
        let (velocity, rest) = slots.split_first_mut().expect("RMSprop keeps a velocity");
        let (momentum, average) = rest.split_at_mut(usize::from(self.momentum > 0.0));
        let blend = |old: &N, new: N| old.clone() * self.rho + new * (1.0 - self.rho);
        velocity.set(blend(velocity, gradient.clone().square()));
        let denominator = match average {
            [average] => {
                average.set(blend(average, gradient.clone()));
                velocity.clone() - average.clone().square()
            }
            _ => velocity.clone(),
        };
        let increment = gradient * rate.clone() / (denominator + self.epsilon).sqrt();
        *weight -= match momentum {
            [momentum] => {
                momentum.set(momentum.clone() * self.momentum + increment);
                momentum.clone()
            }
            _ => increment,
        };
    }
}
