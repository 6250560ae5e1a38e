//! A model that learns: a predictor and the optimizer that changes its weights.

use std::sync::Arc;

use rand::Rng;
use tch::Device;

use super::together;
use crate::config::method::Method;
use crate::data::Batch;
use crate::engine::Step;
use crate::formats::checkpoint::load;
use crate::infer::Predictor;
use crate::infer::model_file::{ITERATIONS, OPTIMIZER, OpenError, fill, tensor_of};
use crate::optim::{Optimizer, Variable};
use crate::plan::Plan;
use crate::system::exit::UsageError;
use crate::system::interrupt;
use crate::system::random::{Purpose, stream};
use crate::system::ranks::{Lost, Ranks, Share};
use crate::system::terminal::complain;

/// Learns by gradient descent; a step changes the predictor's weights in place.
#[derive(Debug)]
pub struct Trainer {
    /// The model as it is now.
    pub predictor: Predictor,
    /// Holds what a resumed run needs beside the weights.
    pub optimizer: Optimizer,
    seed: u64,
    /// Of Neighbor2Neighbor's regularizer: its factor after each epoch rises by this.
    gamma: f64,
    /// With which others it trains, where it is not alone.
    ranks: Option<Arc<Ranks>>,
    /// Whether BatchNormalization then sees the whole batch.
    synchronized: bool,
}

impl Trainer {
    /// A model that has learned nothing yet.
    ///
    /// # Errors
    /// When the plan asks for an engine that cannot run its model.
    pub fn new(plan: &Plan, device: Device) -> Result<Self, UsageError> {
        let mut predictor = Predictor::drawn(plan, device)?;
        let train = &plan.config.train;
        let variables = Variable::all(&plan.graph);
        let optimizer = Optimizer::new(&train.optimizer, predictor.weights(), variables)
            .paced(train.learning_rate_schedule.clone(), train.warmup_steps);
        let gamma = match &train.method {
            Method::Neighbor2Neighbor(own) => own.gamma / train.epochs as f64,
            _ => 0.0,
        };
        let (seed, synchronized) = (plan.seed(), train.synchronized_batch_norm);
        Ok(Self { predictor, optimizer, seed, gamma, ranks: None, synchronized })
    }

    /// Takes over the weights that the config names for a start, if any, and the state of the optimizer that
    /// stands beside them.
    ///
    /// # Errors
    /// When there is no such checkpoint, or it is of another model.
    pub fn start(&mut self, plan: &Plan) -> Result<(), OpenError> {
        let Some(path) = &plan.config.model.weights else { return Ok(()) };
        let checkpoint = load(path)?;
        fill(path, self.predictor.parameters(), &checkpoint)?;
        let mut slots = Vec::new();
        let mut iterations = 0;
        for (name, array) in &checkpoint.tensors {
            match (name.strip_prefix(OPTIMIZER), tensor_of(array)) {
                (Some(ITERATIONS), _) => {
                    let count = array.to_values::<i64>().unwrap_or_default();
                    iterations = count.first().map_or(0, |&count| count.try_into().unwrap_or(0));
                }
                (Some(slot), Some(tensor)) => slots.push((slot.to_owned(), tensor)),
                _ => {}
            }
        }
        if slots.is_empty() && iterations == 0 {
            return Ok(());
        }
        if let Err(problem) = self.optimizer.restore(iterations, &slots) {
            let path = path.display();
            complain(format_args!(
                "the optimizer starts anew: {path} holds the state of another ({problem})"
            ));
        }
        Ok(())
    }

    /// From now on it trains with these, who all have its weights and its state.
    pub fn join(&mut self, ranks: Arc<Ranks>) {
        if self.synchronized {
            self.predictor.join(&ranks);
        }
        self.ranks = Some(ranks);
    }

    /// With whom it trains.
    #[must_use]
    pub fn ranks(&self) -> Option<&Ranks> {
        self.ranks.as_deref()
    }

    /// What it takes of each batch.
    #[must_use]
    pub fn share(&self) -> Share {
        self.ranks().map_or(Share::ALL, Ranks::share)
    }

    /// Whether to stop after the step that was just made: all processes of a training say the same.
    #[must_use]
    pub fn stops(&self) -> bool {
        self.ranks().map_or_else(interrupt::requested, Ranks::stops)
    }

    /// One step of gradient descent on its own; `epoch` and `step` name the random numbers that it may draw.
    pub fn train_step(&mut self, batch: &Batch, epoch: u64, step: u64) -> Step {
        let (gamma, seed) = self.chances(epoch, step);
        if !self.optimizer.is_uniform() {
            let step = self.predictor.loss_and_gradient(batch, gamma, seed);
            return self.learn(step);
        }
        let Self { predictor, optimizer, .. } = self;
        optimizer.prepare();
        let step = predictor.step(batch, gamma, seed, &mut |weights, gradient| {
            optimizer.apply(weights, gradient);
        });
        optimizer.advance();
        step
    }

    /// The same with all that train together, of whose batch it has its share.
    ///
    /// # Errors
    /// When another of them is lost: the training is over.
    pub fn shared_step(&mut self, batch: &Batch, epoch: u64, step: u64) -> Result<Step, Lost> {
        let Some(ranks) = &self.ranks else { return Ok(self.train_step(batch, epoch, step)) };
        let (gamma, seed) = self.chances(epoch, step);
        let step = self.predictor.loss_and_gradient(batch, gamma, seed);
        let moving = if self.synchronized {
            Vec::new()
        } else {
            self.predictor.parameters().moving_statistics()
        };
        let step = together::sum_up(ranks, &step, &moving)?;
        Ok(self.learn(step))
    }

    /// Neighbor2Neighbor's factor, and where the layers' random numbers come from.
    fn chances(&self, epoch: u64, step: u64) -> (f64, u64) {
        let seed = stream(self.seed, Purpose::Layers, epoch, step).next_u64();
        (self.gamma * epoch as f64, seed)
    }

    fn learn(&mut self, step: Step) -> Step {
        let Self { predictor, optimizer, .. } = self;
        predictor.learn(step, &mut |weights, gradient| optimizer.step(weights, gradient))
    }

    /// The learning rate of the next step.
    #[must_use]
    pub fn learning_rate(&self) -> f64 {
        self.optimizer.current_rate()
    }

    /// What training ends with: the moving average of the weights takes their place where one is kept.
    /// `false` where none is.
    pub fn finalize(&mut self) -> bool {
        self.optimizer.finalize(self.predictor.weights())
    }
}
