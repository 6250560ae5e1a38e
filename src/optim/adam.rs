//! Adam, as in Keras's `optimizers/adam.py`.

use tch::Tensor;

use super::{Rule, Step};
use crate::config::sections::{Adam, AdamW};

/// `AdamW` is Adam with weight decay, which every optimizer has.
pub(super) fn without_decay(adam: &AdamW) -> Adam {
    let AdamW { learning_rate, beta_1, beta_2, epsilon, amsgrad, .. } = *adam;
    let AdamW { weight_decay, clipnorm, clipvalue, global_clipnorm, .. } = *adam;
    Adam {
        learning_rate,
        beta_1,
        beta_2,
        epsilon,
        amsgrad,
        weight_decay,
        clipnorm,
        clipvalue,
        global_clipnorm,
    }
}

impl Rule for Adam {
    fn slots(&self) -> Vec<&'static str> {
        let all = ["momentum", "velocity", "velocity_hat"];
        all[..if self.amsgrad { 3 } else { 2 }].to_vec()
    }

    fn update(&self, weights: &mut Tensor, gradient: &Tensor, slots: &mut [Tensor], step: Step) {
        let Step { learning_rate, iteration } = step;
        // The bias corrections go into the rate, so epsilon meets the uncorrected root: this is
        // where Keras and libtorch part.
        let alpha = learning_rate * (1.0 - self.beta_2.powi(iteration)).sqrt()
            / (1.0 - self.beta_1.powi(iteration));
        let [m, v, largest @ ..] = slots else { unreachable!("Adam keeps two slots or three") };
        *m += (gradient - &*m) * (1.0 - self.beta_1);
        *v += (gradient.square() - &*v) * (1.0 - self.beta_2);
        let v = match largest {
            [largest] => {
                let new = largest.maximum(v);
                largest.copy_(&new);
                &*largest
            }
            _ => &*v,
        };
        *weights -= &*m * alpha / (v.sqrt() + self.epsilon);
    }
}
