//! Adam, as in Keras's `optimizers/adam.py`; AdamW is the same, its weight decay being an option that
//! every optimizer has.

use tch::{Kind, Tensor};

use super::formula::{self, Formula, Number};
use super::{Moment, Rule, Step, power};
use crate::config::sections::AdamMoments;

impl Rule for AdamMoments {
    fn slots(&self) -> Vec<&'static str> {
        let all = ["momentum", "velocity", "velocity_hat"];
        all[..if self.amsgrad { 3 } else { 2 }].to_vec()
    }

    /// The bias corrections go into the rate, so epsilon meets the uncorrected root: this is where Keras and
    /// libtorch part.
    fn numbers(&self, Moment { learning_rate, iteration, kind }: Moment) -> Vec<f64> {
        vec![if kind == Kind::Float {
            f64::from(self.alpha_in_float32(learning_rate, iteration))
        } else {
            learning_rate * (1.0 - self.beta_2.powi(iteration)).sqrt()
                / (1.0 - self.beta_1.powi(iteration))
        }]
    }

    fn update(&self, weights: &mut Tensor, gradient: &Tensor, slots: &mut [Tensor], step: Step) {
        formula::update(self, weights, gradient, slots, step);
    }
}

impl Formula for AdamMoments {
    #[inline(always)]
    fn step<N: Number>(&self, weight: &mut N, gradient: N, slots: &mut [N], numbers: &[N]) {
        let [alpha] = numbers else { unreachable!("Adam needs one number") };
        let [m, v, largest @ ..] = slots else { unreachable!("Adam keeps two slots or three") };
        *m += (gradient.clone() - m.clone()) * (1.0 - self.beta_1);
        *v += (gradient.square() - v.clone()) * (1.0 - self.beta_2);
        let v = match largest {
            [largest] => {
                largest.set(largest.clone().maximum(v.clone()));
                largest.clone()
            }
            _ => v.clone(),
        };
        *weight -= m.clone() * alpha.clone() / (v.sqrt() + self.epsilon);
    }
}

impl AdamMoments {
    /// As Keras computes it for float32 weights: `1 - beta_2` alone is then 1.3e-5 off, which all of its
    /// backends share.
    fn alpha_in_float32(&self, learning_rate: f64, iteration: i32) -> f32 {
        let power = |beta| power(beta, iteration, Kind::Float) as f32;
        learning_rate as f32 * (1.0 - power(self.beta_2)).sqrt() / (1.0 - power(self.beta_1))
    }
}
