//! Optimizers by Keras's formulas, over one flat buffer of weights, with state that can be saved.
//!
//! Order of a step, as in Keras's `optimizers/base_optimizer.py`: accumulate, clip, decay, update,
//! average; then the weights are held to their [`Constraints`]. What they add to the loss is a [`Penalty`].

mod accumulator;
mod adadelta;
mod adafactor;
mod adagrad;
mod adam;
mod adamax;
mod average;
mod clip;
mod constraint;
mod ftrl;
mod lamb;
mod lion;
mod muon;
mod nadam;
mod of_weight;
mod penalty;
mod rmsprop;
mod schedule;
mod sgd;
mod values;
mod variable;

use tch::{Kind, Tensor, no_grad};

use crate::config::policies::LearningRateSchedule;
use crate::config::sections::{self, Adam, AdamW};
use accumulator::Accumulator;
use average::Average;
use clip::Clip;
pub use constraint::Constraints;
pub use penalty::Penalty;
use schedule::Pace;
pub use variable::Variable;

/// One optimizer's update.
trait Rule: std::fmt::Debug {
    /// Names of the buffers that it keeps.
    fn slots(&self) -> Vec<&'static str>;

    /// What every value of a buffer is before the first step.
    fn start_of(&self, _slot: &str) -> f64 {
        0.0
    }

    /// Values of a buffer: one for each weight, unless it says otherwise.
    fn length_of(&self, _slot: &str, variables: &[Variable]) -> i64 {
        variables.iter().map(Variable::count).sum()
    }

    /// Takes this share of the weights, times the learning rate, off them.
    fn decay(&self, weights: &mut Tensor, share: Option<f64>, step: Step) {
        if let Some(share) = share {
            *weights -= &*weights * (share * step.learning_rate);
        }
    }

    /// Moves `weights` along `gradient` (both flat).
    fn update(&self, weights: &mut Tensor, gradient: &Tensor, slots: &mut [Tensor], step: Step);
}

/// Where an update stands.
#[derive(Debug, Clone, Copy)]
struct Step<'a> {
    learning_rate: f64,
    /// Counts the updates of the weights, from 1.
    iteration: i32,
    /// The weight tensors in the flat buffer.
    variables: &'a [Variable],
}

/// `base^exponent` as Keras has it: rounded once to the precision of the weights.
fn power(base: f64, exponent: i32, kind: Kind) -> f64 {
    if kind == Kind::Float {
        f64::from(f64::from(base as f32).powi(exponent) as f32)
    } else {
        base.powi(exponent)
    }
}

/// A rule with its state.
#[derive(Debug)]
pub struct Optimizer {
    rule: Box<dyn Rule>,
    variables: Vec<Variable>,
    clip: Clip,
    weight_decay: Option<f64>,
    /// May be changed between steps; where there is a schedule, what it starts from.
    pub learning_rate: f64,
    pace: Pace,
    accumulator: Option<Accumulator>,
    average: Option<Average>,
    kind: Kind,
    iterations: i32,
    slots: Vec<Tensor>,
}

impl Optimizer {
    /// For `weights`, `(P,)`, made of these tensors.
    #[must_use]
    pub fn new(options: &sections::Optimizer, weights: &Tensor, variables: Vec<Variable>) -> Self {
        let rule: Box<dyn Rule> = match options.clone() {
            sections::Optimizer::Adam(Adam { moments, .. })
            | sections::Optimizer::AdamW(AdamW { moments, .. }) => Box::new(moments),
            sections::Optimizer::SGD(sgd) => Box::new(sgd),
            sections::Optimizer::RMSprop(rmsprop) => Box::new(rmsprop),
            sections::Optimizer::Adadelta(adadelta) => Box::new(adadelta),
            sections::Optimizer::Nadam(nadam) => Box::new(nadam),
            sections::Optimizer::Adamax(adamax) => Box::new(adamax),
            sections::Optimizer::Adagrad(adagrad) => Box::new(adagrad),
            sections::Optimizer::Lion(lion) => Box::new(lion),
            sections::Optimizer::Lamb(lamb) => Box::new(lamb),
            sections::Optimizer::Ftrl(ftrl) => Box::new(ftrl),
            sections::Optimizer::Adafactor(adafactor) => Box::new(adafactor),
            sections::Optimizer::Muon(muon) => Box::new(muon),
        };
        let common = options.common();
        let start = |slot: &&str| {
            let options = (weights.kind(), weights.device());
            Tensor::full([rule.length_of(slot, &variables)], rule.start_of(slot), options)
        };
        let slots = rule.slots().iter().map(start).collect();
        Self {
            rule,
            clip: Clip::new(common, variables.iter().map(Variable::count).collect()),
            variables,
            weight_decay: common.weight_decay,
            learning_rate: options.learning_rate(),
            pace: Pace::default(),
            accumulator: common
                .gradient_accumulation_steps
                .map(|steps| Accumulator::new(steps, weights)),
            average: Average::new(common, weights),
            kind: weights.kind(),
            iterations: 0,
            slots,
        }
    }

    /// The same, its learning rate following a schedule, or rising in so many steps of warm-up.
    #[must_use]
    pub fn paced(
        self,
        schedule: Option<LearningRateSchedule>,
        warmup_steps: Option<usize>,
    ) -> Self {
        Self { pace: Pace { schedule, warmup_steps }, ..self }
    }

    /// One step; `gradient` is flat, like the weights.
    pub fn step(&mut self, weights: &mut Tensor, gradient: &Tensor) {
        no_grad(|| {
            let updates = self.updates();
            let due = match &mut self.accumulator {
                Some(accumulator) => accumulator.add(gradient, self.iterations),
                None => Some(gradient.shallow_clone()),
            };
            if let Some(gradient) = due {
                self.update(weights, &gradient, updates + 1);
            }
            if let Some(average) = &mut self.average {
                average.follow(weights, updates);
            }
            self.iterations += 1;
        });
    }

    fn update(&mut self, weights: &mut Tensor, gradient: &Tensor, iteration: i32) {
        let gradient = self.clip.apply(gradient);
        let learning_rate = self.current_rate();
        let step = Step { learning_rate, iteration, variables: &self.variables };
        self.rule.decay(weights, self.weight_decay, step);
        self.rule.update(weights, &gradient, &mut self.slots, step);
    }

    /// What training ends with, as Keras's `finalize_variable_values`: the average takes the weights'
    /// place where there is one. `false` where there is none.
    pub fn finalize(&self, weights: &mut Tensor) -> bool {
        let Some(average) = self.average.as_ref().filter(|_| self.iterations > 0) else {
            return false;
        };
        no_grad(|| weights.copy_(&average.values));
        true
    }

    /// The learning rate of the next step.
    #[must_use]
    pub fn current_rate(&self) -> f64 {
        self.pace.rate(self.learning_rate, self.iterations, self.kind)
    }

    /// Steps taken so far; where gradients are accumulated, not all of them have moved the weights.
    #[must_use]
    pub fn iterations(&self) -> i32 {
        self.iterations
    }

    /// Updates of the weights so far: Keras's `iterations`.
    fn updates(&self) -> i32 {
        let accumulated = |sum: &Accumulator| sum.updates(self.iterations);
        self.accumulator.as_ref().map_or(self.iterations, accumulated)
    }

    fn buffers(&self) -> impl Iterator<Item = (&'static str, &Tensor)> {
        let own = self.rule.slots().into_iter().zip(&self.slots);
        let average = self.average.iter().map(|average| ("average", &average.values));
        let sum = self.accumulator.iter().map(|sum| ("gradient_accumulator", &sum.sum));
        own.chain(average).chain(sum)
    }

    /// The buffers by name, each flat: with [`Optimizer::iterations`] and the learning rate, all that
    /// there is to save.
    #[must_use]
    pub fn state(&self) -> Vec<(&'static str, Tensor)> {
        self.buffers().map(|(name, buffer)| (name, buffer.copy())).collect()
    }

    /// Goes on from a saved state.
    ///
    /// # Errors
    /// Names the buffer that is missing or of another length.
    pub fn restore(&mut self, iterations: i32, state: &[(String, Tensor)]) -> Result<(), String> {
        let mut found = Vec::new();
        for (name, slot) in self.buffers() {
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
        for ((_, slot), saved) in self.buffers().zip(found) {
            slot.shallow_clone().copy_(saved);
        }
        self.iterations = iterations;
        Ok(())
    }
}
