//! Muon, as in Keras's `optimizers/muon.py`: matrices step by the orthogonal matrix next to their momentum, all
//! other weights by Adam.

use tch::Tensor;

use super::subnormal::remove_subnormals;
use super::variable::views;
use super::{Moment, Rule, Step, Variable, power};
use crate::config::sections::Muon;

/// Keeps a matrix of zeros from being divided by its norm.
const SMALLEST_NORM: f64 = 1e-7;

impl Rule for Muon {
    fn slots(&self) -> Vec<&'static str> {
        vec!["momentum", "velocity"]
    }

    fn numbers(&self, at: Moment) -> Vec<f64> {
        let power = |beta| power(beta, at.iteration, at.kind);
        let corrected = (1.0 - power(self.adam_beta_2)).sqrt() / (1.0 - power(self.adam_beta_1));
        let decay = self.adam_weight_decay.unwrap_or(0.0) * at.learning_rate;
        vec![at.learning_rate, at.learning_rate * self.adam_lr_ratio * corrected, decay]
    }

    fn decay(&self, weights: &mut Tensor, share: Option<&Tensor>, step: Step) {
        let of_adam = self.adam_weight_decay.map(|_| &step.numbers[2]);
        for (mut weight, variable) in views(weights, step.variables).into_iter().zip(step.variables)
        {
            let share = if self.takes_adam_for(variable) { of_adam } else { share };
            if let Some(share) = share {
                weight -= &weight * share;
            }
        }
    }

    fn update(&self, weights: &mut Tensor, gradient: &Tensor, slots: &mut [Tensor], step: Step) {
        let [rate, alpha, _] = step.numbers else { unreachable!("Muon needs three numbers") };
        let [momentum, velocity] = slots else { unreachable!("Muon keeps two slots") };
        let tensors = |flat: &Tensor| views(flat, step.variables);
        let moments = tensors(momentum).into_iter().zip(tensors(velocity));
        let all = tensors(weights).into_iter().zip(tensors(gradient)).zip(moments);
        for (((mut weight, gradient), (mut m, mut v)), variable) in all.zip(step.variables) {
            weight -= if self.takes_adam_for(variable) {
                self.adam(&gradient, &mut m, &mut v, alpha)
            } else {
                self.orthogonal(&gradient, &mut m) * rate
            };
        }
        remove_subnormals(slots);
    }
}

impl Muon {
    /// Whether a weight takes Adam's steps: it has other than two axes, or is excluded by its `layer/weight`.
    #[must_use]
    pub fn takes_adam(&self, path: &str, axes: usize) -> bool {
        let is_embedding = || path.to_lowercase().contains("embedding");
        axes != 2
            || (self.exclude_embeddings && is_embedding())
            || self.exclude_layers.0.iter().any(|name| path.contains(name.as_str()))
    }

    fn takes_adam_for(&self, variable: &Variable) -> bool {
        self.takes_adam(&variable.path, variable.shape().len())
    }

    fn adam(&self, gradient: &Tensor, m: &mut Tensor, v: &mut Tensor, alpha: &Tensor) -> Tensor {
        *m += (gradient - &*m) * (1.0 - self.adam_beta_1);
        *v += (gradient.square() - &*v) * (1.0 - self.adam_beta_2);
        &*m * alpha / (v.sqrt() + self.epsilon)
    }

    /// The step of a matrix, without the learning rate.
    fn orthogonal(&self, gradient: &Tensor, m: &mut Tensor) -> Tensor {
        *m += gradient + &*m * (self.momentum - 1.0);
        let along = if self.nesterov { gradient + &*m * self.momentum } else { m.shallow_clone() };
        let step = self.newton_schulz(&along);
        let longer = along.size().into_iter().max().unwrap_or(1) as f64;
        if self.rms_rate == 0.0 { step } else { step * (longer.sqrt() * self.rms_rate) }
    }

    /// Brings all singular values near 1 (`zeropower_via_newtonschulz5`).
    fn newton_schulz(&self, matrix: &Tensor) -> Tensor {
        let is_tall = matrix.size()[0] > matrix.size()[1];
        let turned = |x: &Tensor| if is_tall { x.transpose(0, 1) } else { x.shallow_clone() };
        let norm = matrix.square().sum(matrix.kind()).sqrt();
        let mut x = turned(matrix) / (norm + SMALLEST_NORM);
        for _ in 0..self.ns_steps {
            let a = x.matmul(&x.transpose(0, 1));
            let b = &a * self.muon_b + (&a * self.muon_c).matmul(&a);
            x = &x * self.muon_a + b.matmul(&x);
        }
        turned(&x)
    }
}
