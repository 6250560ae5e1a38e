//! RMSprop, as in Keras's `optimizers/rmsprop.py`.

use tch::Tensor;

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
        let [rate] = step.numbers else { unreachable!("RMSprop needs the rate") };
        let (velocity, rest) = slots.split_first_mut().expect("RMSprop keeps a velocity");
        let (momentum, average) = rest.split_at_mut(usize::from(self.momentum > 0.0));
        let blend = |old: &Tensor, new: &Tensor| old * self.rho + new * (1.0 - self.rho);
        let new = blend(velocity, &gradient.square());
        velocity.copy_(&new);
        let denominator = match average {
            [average] => {
                let new = blend(average, gradient);
                average.copy_(&new);
                &*velocity - average.square()
            }
            _ => velocity.shallow_clone(),
        };
        let increment = gradient * rate / (denominator + self.epsilon).sqrt();
        *weights -= match momentum {
            [momentum] => {
                let new = &*momentum * self.momentum + increment;
                momentum.copy_(&new);
                new
            }
            _ => increment,
        };
    }
}
