//! Nadam, as in Keras's `optimizers/nadam.py`.

use tch::Tensor;

use super::{Rule, Step, power};
use crate::config::sections::{Moments, Nadam};

/// How fast the momentum rises to `beta_1`.
const DECAY: f64 = 0.96;

impl Rule for Nadam {
    fn slots(&self) -> Vec<&'static str> {
        vec!["momentum", "velocity"]
    }

    fn update(&self, weights: &mut Tensor, gradient: &Tensor, slots: &mut [Tensor], step: Step) {
        let [m, v] = slots else { unreachable!("Nadam keeps two slots") };
        let (Moments { beta_1, beta_2, epsilon }, kind) = (&self.moments, weights.kind());
        let momentum = |iteration| beta_1 * (1.0 - 0.5 * power(DECAY, iteration, kind));
        let (now, next) = (momentum(step.iteration), momentum(step.iteration + 1));
        let so_far = product((1..=step.iteration).map(momentum));
        *m += (gradient - &*m) * (1.0 - beta_1);
        *v += (gradient.square() - &*v) * (1.0 - beta_2);
        let m_hat = &*m * next / (1.0 - so_far * next) + gradient * (1.0 - now) / (1.0 - so_far);
        let v_hat = &*v / (1.0 - power(*beta_2, step.iteration, kind));
        *weights -= m_hat * step.learning_rate / (v_hat.sqrt() + *epsilon);
    }
}

/// Keras keeps it as a variable of its own; it follows from the number of steps, and is soon too small to
/// change the 1 that it is taken from.
fn product(factors: impl Iterator<Item = f64>) -> f64 {
    let mut product = 1.0;
    for factor in factors {
        product *= factor;
        if product < f64::EPSILON / 4.0 {
            break;
        }
    }
    product
}
