//! Optimizers by Keras's formulas, over one flat buffer of weights, with state that can be saved.
//!
//! Order of a step, as in Keras's `optimizers/base_optimizer.py`: accumulate, clip, decay, update,
//! average; then the weights are held to their [`Constraints`]. What they add to the loss is a [`Penalty`].

// A formula becomes part of a loop of vectors.
#![allow(clippy::inline_always)]

mod accumulator;
mod adadelta;
mod adafactor;
mod adagrad;
mod adam;
mod adamax;
mod average;
mod clip;
mod constraint;
mod formula;
mod ftrl;
mod lamb;
mod lion;
mod muon;
mod nadam;
mod numbers;
mod of_weight;
mod penalty;
mod rmsprop;
mod schedule;
mod sgd;
mod subnormal;
#[cfg(test)]
mod tests;
mod variable;

use tch::{Kind, Tensor, no_grad};

use crate::config::policies::LearningRateSchedule;
use crate::config::sections::{self, Adam, AdamW};
use accumulator::Accumulator;
use average::Average;
use clip::Clip;
pub use constraint::Constraints;
use numbers::Numbers;
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

    /// All that changes from one update to the next, as many numbers in each: the learning rate, unless it says
    /// otherwise.
    fn numbers(&self, at: Moment) -> Vec<f64> {
        vec![at.learning_rate]
    }

    /// Takes this share of the weights off them.
    fn decay(&self, weights: &mut Tensor, share: Option<&Tensor>, _step: Step) {
        if let Some(share) = share {
            *weights -= &*weights * share;
        }
    }

    /// Moves `weights` along `gradient` (both flat), where they lie: it neither waits for a GPU nor knows which
    /// update it is, so that a GPU can be told once what to do in each.
    fn update(&self, weights: &mut Tensor, gradient: &Tensor, slots: &mut [Tensor], step: Step);
}

/// When an update is.
#[derive(Debug, Clone, Copy)]
struct Moment {
    learning_rate: f64,
    /// Counts the updates of the weights, from 1.
    iteration: i32,
    /// Of the weights.
    kind: Kind,
}

/// What an update reads beside weights, gradient and slots.
#[derive(Debug, Clone, Copy)]
struct Step<'a> {
    /// [`Rule::numbers`], scalars in the weights' precision and memory.
    numbers: &'a [Tensor],
    /// The same as they were given, where the weights are in the processor's memory.
    values: Option<&'a [f64]>,
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

/// Numbers of a step that follow the rule's.
const AFTER_THE_RULES: usize = 3;

/// The rule's numbers, and those that follow them.
fn split<T>(numbers: &[T]) -> (&[T], &[T; AFTER_THE_RULES]) {
    numbers.split_last_chunk().expect("it holds them all")
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
    /// The rule's, the share that weights lose ([`Rule::decay`]), and two of the average.
    numbers: Numbers,
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
        let at = Moment { learning_rate: 0.0, iteration: 1, kind: weights.kind() };
        let numbers = Numbers::new(rule.numbers(at).len() + AFTER_THE_RULES, weights);
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
            numbers,
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
        self.prepare();
        self.apply(weights, gradient);
        self.advance();
    }

    /// Lays out what changes from step to step, for [`Optimizer::apply`].
    pub(crate) fn prepare(&mut self) {
        let updates = self.updates();
        let learning_rate = self.current_rate();
        let at = Moment { learning_rate, iteration: updates + 1, kind: self.kind };
        let mut numbers = self.rule.numbers(at);
        numbers.push(self.weight_decay.map_or(0.0, |share| share * learning_rate));
        numbers.extend(self.average.as_ref().map_or([0.0; 2], |average| average.shares(updates)));
        self.numbers.set(numbers);
    }

    /// Whether [`Optimizer::apply`] does the same in each step.
    pub(crate) fn is_uniform(&self) -> bool {
        self.accumulator.is_none() && !self.average.as_ref().is_some_and(Average::overwrites)
    }

    /// The step's work on the weights and the state, in their memory.
    pub(crate) fn apply(&mut self, weights: &mut Tensor, gradient: &Tensor) {
        no_grad(|| {
            let updates = self.updates();
            let due = match &mut self.accumulator {
                Some(accumulator) => accumulator.add(gradient, self.iterations),
                None => Some(gradient.shallow_clone()),
            };
            if let Some(gradient) = due {
                self.update(weights, &gradient);
            }
            if let Some(average) = &mut self.average {
                let (_, [_, old, new]) = split(self.numbers.tensors());
                average.follow(weights, [old, new], updates);
            }
        });
    }

    /// Another step is done.
    pub(crate) fn advance(&mut self) {
        self.iterations += 1;
    }

    fn update(&mut self, weights: &mut Tensor, gradient: &Tensor) {
        let gradient = self.clip.apply(gradient);
        let (numbers, [share, ..]) = split(self.numbers.tensors());
        let values = self.numbers.values().map(|values| split(values).0);
        let step = Step { numbers, values, variables: &self.variables };
        self.rule.decay(weights, self.weight_decay.map(|_| share), step);
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
