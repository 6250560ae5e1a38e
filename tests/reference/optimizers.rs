//! Keras's optimizers, one number at a time (`keras/src/optimizers/*.py`, 3.15.1). The options come
//! in the config's own structs; the arithmetic shares nothing with `convae::optim`.

use convae::config::sections::{Adam, AdamMoments, AdamW, Optimizer, OptimizerOptions};

/// Most numbers that an optimizer keeps for a weight.
const SLOTS: usize = 3;

/// An optimizer of several weight tensors.
pub struct Keras {
    options: Optimizer,
    /// May be changed between steps.
    pub learning_rate: f64,
    iterations: i32,
    /// By tensor, then by weight.
    slots: Vec<Vec<[f64; SLOTS]>>,
}

impl Keras {
    pub fn new(options: Optimizer, weights: &[Vec<f64>]) -> Self {
        let slots = weights.iter().map(|tensor| vec![[0.0; SLOTS]; tensor.len()]).collect();
        let learning_rate = options.learning_rate();
        Self { options, learning_rate, iterations: 0, slots }
    }

    /// `BaseOptimizer._backend_apply_gradients`: clip, decay, update.
    pub fn step(&mut self, weights: &mut [Vec<f64>], gradients: &[Vec<f64>]) {
        let common = self.options.common();
        let gradients = clipped(common, gradients);
        let decay = common.weight_decay.unwrap_or(0.0) * self.learning_rate;
        for ((tensor, gradients), slots) in weights.iter_mut().zip(gradients).zip(&mut self.slots) {
            for ((weight, gradient), slots) in tensor.iter_mut().zip(gradients).zip(slots) {
                *weight -= *weight * decay;
                *weight += move_of(
                    &self.options,
                    gradient,
                    slots,
                    self.learning_rate,
                    self.iterations + 1,
                );
            }
        }
        self.iterations += 1;
    }
}

/// What `update_step` adds to a weight; `t` counts from 1.
fn move_of(options: &Optimizer, g: f64, slots: &mut [f64; SLOTS], rate: f64, t: i32) -> f64 {
    match options {
        Optimizer::Adam(Adam { moments, .. }) | Optimizer::AdamW(AdamW { moments, .. }) => {
            adam(moments, g, slots, rate, t)
        }
        Optimizer::SGD(o) => {
            if o.momentum == 0.0 {
                return -rate * g;
            }
            let [m, ..] = slots;
            *m = *m * o.momentum - g * rate;
            if o.nesterov { *m * o.momentum - g * rate } else { *m }
        }
        Optimizer::RMSprop(o) => {
            let [velocity, momentum, average] = slots;
            *velocity = o.rho * *velocity + (1.0 - o.rho) * g * g;
            let mut denominator = *velocity + o.epsilon;
            if o.centered {
                *average = o.rho * *average + (1.0 - o.rho) * g;
                denominator -= *average * *average;
            }
            let increment = rate * g / denominator.sqrt();
            if o.momentum > 0.0 {
                *momentum = o.momentum * *momentum + increment;
                -*momentum
            } else {
                -increment
            }
        }
        Optimizer::Adadelta(o) => {
            let [squares, deltas, _] = slots;
            *squares = o.rho * *squares + (1.0 - o.rho) * g * g;
            let delta = -(*deltas + o.epsilon).sqrt() * g / (*squares + o.epsilon).sqrt();
            *deltas = o.rho * *deltas + (1.0 - o.rho) * delta * delta;
            rate * delta
        }
    }
}

fn adam(
    &AdamMoments { beta_1, beta_2, epsilon, amsgrad }: &AdamMoments,
    g: f64,
    [m, v, largest]: &mut [f64; SLOTS],
    rate: f64,
    t: i32,
) -> f64 {
    let alpha = rate * (1.0 - beta_2.powi(t)).sqrt() / (1.0 - beta_1.powi(t));
    *m += (g - *m) * (1.0 - beta_1);
    *v += (g * g - *v) * (1.0 - beta_2);
    *largest = largest.max(*v);
    let v = if amsgrad { *largest } else { *v };
    -*m * alpha / (v.sqrt() + epsilon)
}

/// `BaseOptimizer._clip_gradients`.
pub fn clipped(common: &OptimizerOptions, gradients: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let norm = |tensor: &[f64]| tensor.iter().map(|g| g * g).sum::<f64>().sqrt();
    let scaled = |tensor: &[f64], factor: f64| tensor.iter().map(|g| g * factor).collect();
    if let Some(limit) = common.clipnorm {
        let factor = |tensor: &[f64]| limit / norm(tensor).max(limit);
        gradients.iter().map(|tensor| scaled(tensor, factor(tensor))).collect()
    } else if let Some(limit) = common.global_clipnorm {
        let all: Vec<f64> = gradients.iter().flatten().copied().collect();
        let factor = limit * (1.0 / norm(&all)).min(1.0 / limit);
        gradients.iter().map(|tensor| scaled(tensor, factor)).collect()
    } else if let Some(limit) = common.clipvalue {
        let clip = |tensor: &Vec<f64>| tensor.iter().map(|g| g.clamp(-limit, limit)).collect();
        gradients.iter().map(clip).collect()
    } else {
        gradients.to_vec()
    }
}
