//! Adafactor, as in Keras's `optimizers/adafactor.py`.

use tch::{Kind, Tensor};

use super::variable::views;
use super::{Moment, Rule, Step, Variable};
use crate::config::sections::Adafactor;

/// Means of a tensor's squared gradients along its last axis (`r`) and along the one before (`c`), in Keras's layout.
const FACTORS: [&str; 2] = ["r", "c"];

impl Rule for Adafactor {
    fn slots(&self) -> Vec<&'static str> {
        vec![FACTORS[0], FACTORS[1], "velocity"]
    }

    /// Tensors of fewer than two axes have no factors.
    fn length_of(&self, slot: &str, variables: &[Variable]) -> i64 {
        let factor = FACTORS.iter().position(|factor| *factor == slot);
        let length = |variable: &Variable| match factor {
            Some(factor) => factor_shape(&variable.shape(), factor).iter().product(),
            None => variable.count(),
        };
        variables.iter().filter(|each| factor.is_none() || each.shape().len() > 1).map(length).sum()
    }

    fn numbers(&self, at: Moment) -> Vec<f64> {
        let t = f64::from(at.iteration);
        // `relative_step` asks for this bound too, and does nothing else.
        let rho = at.learning_rate.min(1.0 / t.sqrt());
        let beta_2 = 1.0 - rounded(t.powf(self.beta_2_decay), at.kind);
        vec![rho, beta_2, 1.0 - beta_2]
    }

    fn update(&self, weights: &mut Tensor, gradient: &Tensor, slots: &mut [Tensor], step: Step) {
        let [rho, beta_2, share] = step.numbers else {
            unreachable!("Adafactor needs three numbers")
        };
        let [r, c, v] = slots else { unreachable!("Adafactor keeps three slots") };
        let kind = weights.kind();
        let blend = |old: &Tensor, new: &Tensor| old * beta_2 + new * share;
        let (mut rows, mut columns) = (Parts::of(r), Parts::of(c));
        let tensors = |flat: &Tensor| views(flat, step.variables);
        let all = tensors(weights).into_iter().zip(tensors(gradient)).zip(tensors(v));
        for ((mut weight, gradient), mut v) in all {
            let squares = gradient.square() + self.epsilon_1;
            if gradient.dim() > 1 {
                let mean = |axis: i64| squares.mean_dim([axis].as_slice(), false, kind);
                let mut r = rows.next(&factor_shape(&gradient.size(), 0));
                let mut c = columns.next(&factor_shape(&gradient.size(), 1));
                r.copy_(&blend(&r, &mean(-1)));
                c.copy_(&blend(&c, &mean(-2)));
                let relative = &r / r.mean_dim([-1_i64].as_slice(), true, kind);
                v.copy_(&(relative.unsqueeze(-1) * c.unsqueeze(-2)));
            } else {
                v.copy_(&blend(&v, &squares));
            }
            let update = gradient / v.sqrt();
            let clip = (root_mean_square(&update) / self.clip_threshold).clamp_min(1.0);
            let alpha = root_mean_square(&weight).clamp_min(self.epsilon_2) * rho;
            weight -= update / clip * alpha;
        }
    }
}

/// Without the last axis, or without the one before it.
fn factor_shape(shape: &[i64], factor: usize) -> Vec<i64> {
    let mut shape = shape.to_vec();
    shape.remove(shape.len() - 1 - factor);
    shape
}

fn root_mean_square(values: &Tensor) -> Tensor {
    values.square().mean(None).sqrt()
}

/// As Keras has it in the precision of the weights.
fn rounded(number: f64, kind: Kind) -> f64 {
    if kind == Kind::Float { f64::from(number as f32) } else { number }
}

/// Tensors one after the other in a flat buffer.
struct Parts<'a> {
    flat: &'a Tensor,
    taken: i64,
}

impl<'a> Parts<'a> {
    fn of(flat: &'a Tensor) -> Self {
        Self { flat, taken: 0 }
    }

    /// A view of the next one.
    fn next(&mut self, shape: &[i64]) -> Tensor {
        let count = shape.iter().product();
        let part = self.flat.narrow(0, self.taken, count).view(shape);
        self.taken += count;
        part
    }
}
