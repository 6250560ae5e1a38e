//! Optimizers by Keras's formulas, over one flat buffer of weights, with state that can be saved.
//!
//! Order of a step, as in Keras's `optimizers/base_optimizer.py`: clip, decay, update.

mod adadelta;
mod adam;
mod clip;
mod rmsprop;
mod sgd;
mod values;

use tch::{Tensor, no_grad};

use crate::config::sections;
use crate::plan::CommonOptions;
use clip::Clip;

/// One optimizer's update.
trait Rule: std::fmt::Debug {
    /// Names of the buffers that it keeps, each of the weights' shape and starting at 0.
    fn slots(&self) -> Vec<&'static str>;

    /// Moves `weights` along `gradient` (both flat) in step `iteration`, which counts from 1.
    fn update(&self, weights: &mut Tensor, gradient: &Tensor, slots: &mut [Tensor], step: Step);
}

/// Where an update stands.
#[derive(Debug, Clone, Copy)]
struct Step {
    learning_rate: f64,
    /// Counts from 1.
    iteration: i32,
}

/// A rule with its state.
#[derive(Debug)]
pub struct Optimizer {
    rule: Box<dyn Rule>,
    clip: Clip,
    weight_decay: Option<f64>,
    /// May be changed between steps.
    pub learning_rate: f64,
    iterations: i32,
    slots: Vec<Tensor>,
}

impl Optimizer {
    /// For `weights`, `(P,)`, made of tensors of these `lengths`.
    #[must_use]
    pub fn new(options: &sections::Optimizer, weights: &Tensor, lengths: Vec<i64>) -> Self {
        let rule: Box<dyn Rule> = match options.clone() {
            sections::Optimizer::Adam(adam) => Box::new(adam),
            sections::Optimizer::AdamW(adam) => Box::new(adam::without_decay(&adam)),
            sections::Optimizer::SGD(sgd) => Box::new(sgd),
            sections::Optimizer::RMSprop(rmsprop) => Box::new(rmsprop),
            sections::Optimizer::Adadelta(adadelta) => Box::new(adadelta),
        };
        let common = options.common();
        let CommonOptions { learning_rate, weight_decay, .. } = common;
        let slots = rule.slots().iter().map(|_| weights.zeros_like()).collect();
        let clip = Clip::new(common, lengths);
        Self { rule, clip, weight_decay, learning_rate, iterations: 0, slots }
    }

    /// One step; `gradient` is flat, like the weights.
    pub fn step(&mut self, weights: &mut Tensor, gradient: &Tensor) {
        no_grad(|| {
            let gradient = self.clip.apply(gradient);
            if let Some(decay) = self.weight_decay {
                *weights -= &*weights * (decay * self.learning_rate);
            }
            self.iterations += 1;
            let step = Step { learning_rate: self.learning_rate, iteration: self.iterations };
            self.rule.update(weights, &gradient, &mut self.slots, step);
        });
    }

    /// Steps taken so far.
    #[must_use]
    pub fn iterations(&self) -> i32 {
        self.iterations
    }

    /// The buffers by name, each `(P,)`: with [`Optimizer::iterations`], all that there is to save.
    #[must_use]
    pub fn state(&self) -> Vec<(&'static str, Tensor)> {
        let slots = self.slots.iter().map(Tensor::copy);
        self.rule.slots().into_iter().zip(slots).collect()
    }

    /// Goes on from a saved state.
    ///
    /// # Errors
    /// Names the buffer that is missing or of another length.
    pub fn restore(&mut self, iterations: i32, state: &[(String, Tensor)]) -> Result<(), String> {
        let mut found = Vec::new();
        for (name, slot) in self.rule.slots().iter().zip(&self.slots) {
            match state.iter().find(|(saved, _)| saved == name) {
                Some((_, saved)) if saved.size() == slot.size() => found.push(saved),
                Some((_, saved)) => {
                    return Err(format!(
                        "{name} has size {:?}, not {:?}",
                        saved.size(),
                        slot.size()
                    ));
                }
                None => return Err(format!("{name} is missing")),
            }
        }
        // Only now, so that a refused state changes nothing.
        for (slot, saved) in self.slots.iter_mut().zip(found) {
            slot.copy_(saved);
        }
        self.iterations = iterations;
        Ok(())
    }
}
