//! Nadam, as in Keras's `optimizers/nadam.py`.

use tch::Tensor;

use super::formula::{self, Formula, Number};
use super::{Moment, Rule, Step, power};
use crate::config::sections::{Moments, Nadam};

/// How fast the momentum rises to `beta_1`.
const DECAY: f64 = 0.96;

impl Rule for Nadam {
    fn slots(&self) -> Vec<&'static str> {
        vec!["momentum", "velocity"]
    }

    fn numbers(&self, at: Moment) -> Vec<f64> {
        let Moments { beta_1, beta_2, .. } = self.moments;
        let momentum = |iteration| beta_1 * (1.0 - 0.5 * power(DECAY, iteration, at.kind));
        let (now, next) = (momentum(at.iteration), momentum(at.iteration + 1));
        let so_far = product((1..=at.iteration).map(momentum));
        let correction = 1.0 - power(beta_2, at.iteration, at.kind);
        vec![at.learning_rate, next, 1.0 - so_far * next, 1.0 - now, 1.0 - so_far, correction]
    }

    fn update(&self, weights: &mut Tensor, gradient: &Tensor, slots: &mut [Tensor], step: Step) {
        formula::update(self, weights, gradient, slots, step);
    }
}

impl Formula for Nadam {
    #[inline(always)]
    fn step<N: Number>(&self, weight: &mut N, gradient: N, slots: &mut [N], numbers: &[N]) {
        let [rate, next, ahead, now, behind, correction] = numbers else {
            unreachable!("Nadam needs six numbers")
        };
        let [m, v] = slots else { unreachable!("Nadam keeps two slots") };
        let Moments { beta_1, beta_2, epsilon } = &self.moments;
        *m += (gradient.clone() - m.clone()) * (1.0 - beta_1);
        *v += (gradient.clone().square() - v.clone()) * (1.0 - beta_2);
        let ahead = m.clone() * next.clone() / ahead.clone();
        let m_hat = ahead + gradient * now.clone() / behind.clone();
        let v_hat = v.clone() / correction.clone();
        *weight -= m_hat * rate.clone() / (v_hat.sqrt() + *epsilon);
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
