//! Keras's optimizers, one number at a time (`keras/src/optimizers/*.py`, 3.15.1). The options come
//! in the config's own structs; the arithmetic shares nothing with `convae::optim`.

use convae::config::sections::{
    Adagrad, Adam, AdamMoments, AdamW, Ftrl, Moments, Optimizer, OptimizerOptions,
};

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
        let first = match options {
            Optimizer::Adagrad(Adagrad { initial_accumulator_value, .. })
            | Optimizer::Ftrl(Ftrl { initial_accumulator_value, .. }) => initial_accumulator_value,
            // Nadam's product of momenta.
            Optimizer::Nadam(_) => 1.0,
            _ => 0.0,
        };
        let slots = weights.iter().map(|tensor| vec![[first, 0.0, 0.0]; tensor.len()]).collect();
        let learning_rate = options.learning_rate();
        Self { options, learning_rate, iterations: 0, slots }
    }

    /// `BaseOptimizer._backend_apply_gradients`: clip, decay, update.
    pub fn step(&mut self, weights: &mut [Vec<f64>], gradients: &[Vec<f64>]) {
        let common = self.options.common();
        let gradients = clipped(common, gradients);
        let share = match &self.options {
            // Of what is no matrix.
            Optimizer::Muon(muon) => muon.adam_weight_decay,
            _ => common.weight_decay,
        };
        let decay = share.unwrap_or(0.0) * self.learning_rate;
        for ((tensor, gradients), slots) in weights.iter_mut().zip(gradients).zip(&mut self.slots) {
            for weight in tensor.iter_mut() {
                *weight -= *weight * decay;
            }
            let (rate, t) = (self.learning_rate, self.iterations + 1);
            let numbers = tensor.iter().zip(gradients).zip(slots);
            let moves: Vec<f64> = numbers
                .map(|((&weight, gradient), slots)| {
                    move_of(&self.options, weight, gradient, slots, rate, t)
                })
                .collect();
            let norm =
                |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>().sqrt();
            let ratio = match &self.options {
                Optimizer::Lamb(_) if norm(tensor) > 0.0 && norm(&moves) > 0.0 => {
                    norm(tensor) / norm(&moves) * rate
                }
                Optimizer::Lamb(_) => rate,
                Optimizer::Adafactor(o) => {
                    let size = |values: &[f64]| norm(values) / (values.len() as f64).sqrt();
                    let rho = rate.min(1.0 / f64::from(t).sqrt());
                    size(tensor).max(o.epsilon_2) * rho / (size(&moves) / o.clip_threshold).max(1.0)
                }
                _ => 1.0,
            };
            tensor.iter_mut().zip(moves).for_each(|(weight, step)| *weight += ratio * step);
        }
        self.iterations += 1;
    }
}

/// What `update_step` adds to a weight (Lamb's and Adafactor's before their ratio and rate); `t` counts from 1.
fn move_of(
    options: &Optimizer,
    weight: f64,
    g: f64,
    slots: &mut [f64; SLOTS],
    rate: f64,
    t: i32,
) -> f64 {
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
        Optimizer::Nadam(o) => nadam(&o.moments, g, slots, rate, t),
        Optimizer::Adamax(o) => adamax(&o.moments, g, slots, rate, t),
        Optimizer::Adagrad(o) => {
            slots[0] += g * g;
            -rate * g / (slots[0] + o.epsilon).sqrt()
        }
        Optimizer::Lion(o) => {
            let [m, ..] = slots;
            let blended = *m * o.beta_1 + g * (1.0 - o.beta_1);
            *m = *m * o.beta_2 + g * (1.0 - o.beta_2);
            if blended == 0.0 { 0.0 } else { -rate * blended.signum() }
        }
        Optimizer::Lamb(o) => lamb(&o.moments, g, slots, t),
        Optimizer::Ftrl(o) => ftrl(o, weight, g, slots, rate),
        Optimizer::Adafactor(o) => {
            let beta = 1.0 - f64::from(t).powf(o.beta_2_decay);
            slots[0] = slots[0] * beta + (g * g + o.epsilon_1) * (1.0 - beta);
            -g / slots[0].sqrt()
        }
        Optimizer::Muon(o) => {
            let moments = AdamMoments {
                beta_1: o.adam_beta_1,
                beta_2: o.adam_beta_2,
                epsilon: o.epsilon,
                amsgrad: false,
            };
            adam(&moments, g, slots, rate * o.adam_lr_ratio, t)
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

fn nadam(
    &Moments { beta_1, beta_2, epsilon }: &Moments,
    g: f64,
    [product, m, v]: &mut [f64; SLOTS],
    rate: f64,
    t: i32,
) -> f64 {
    let momentum = |t: i32| beta_1 * (1.0 - 0.5 * 0.96_f64.powi(t));
    *product *= momentum(t);
    let next = *product * momentum(t + 1);
    *m += (g - *m) * (1.0 - beta_1);
    *v += (g * g - *v) * (1.0 - beta_2);
    let m_hat = momentum(t + 1) * *m / (1.0 - next) + (1.0 - momentum(t)) * g / (1.0 - *product);
    -m_hat * rate / ((*v / (1.0 - beta_2.powi(t))).sqrt() + epsilon)
}

fn adamax(
    &Moments { beta_1, beta_2, epsilon }: &Moments,
    g: f64,
    [m, u, _]: &mut [f64; SLOTS],
    rate: f64,
    t: i32,
) -> f64 {
    *m += (g - *m) * (1.0 - beta_1);
    *u = (beta_2 * *u).max(g.abs());
    -rate * *m / ((1.0 - beta_1.powi(t)) * (*u + epsilon))
}

fn lamb(
    &Moments { beta_1, beta_2, epsilon }: &Moments,
    g: f64,
    [m, v, _]: &mut [f64; SLOTS],
    t: i32,
) -> f64 {
    *m += (g - *m) * (1.0 - beta_1);
    *v += (g * g - *v) * (1.0 - beta_2);
    -(*m / (1.0 - beta_1.powi(t))) / ((*v / (1.0 - beta_2.powi(t))).sqrt() + epsilon)
}

fn ftrl(o: &Ftrl, weight: f64, g: f64, [sum, linear, _]: &mut [f64; SLOTS], rate: f64) -> f64 {
    let root = |sum: f64| sum.powf(-o.learning_rate_power);
    let new = *sum + g * g;
    let pulled = g + 2.0 * o.l2_shrinkage_regularization_strength * weight;
    *linear += pulled - (root(new) - root(*sum)) / rate * weight;
    let l2 = o.l2_regularization_strength + o.beta / (2.0 * rate);
    let l1 = o.l1_regularization_strength;
    *sum = new;
    (linear.clamp(-l1, l1) - *linear) / (root(new) / rate + 2.0 * l2) - weight
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
