//! A model that learns: a predictor and the optimizer that changes its weights.

use rand::Rng;
use tch::Device;

use crate::data::Batch;
use crate::engine::Step;
use crate::infer::Predictor;
use crate::optim::Optimizer;
use crate::plan::Plan;
use crate::system::exit::UsageError;
use crate::system::random::{Purpose, stream};

/// Learns by gradient descent; a step changes the predictor's weights in place.
#[derive(Debug)]
pub struct Trainer {
    /// The model as it is now.
    pub predictor: Predictor,
    /// Holds what a resumed run needs beside the weights.
    pub optimizer: Optimizer,
    seed: u64,
}

impl Trainer {
    /// A model that has learned nothing yet.
    ///
    /// # Errors
    /// When the plan asks for an engine that cannot run its model.
    pub fn new(plan: &Plan, device: Device) -> Result<Self, UsageError> {
        let mut predictor = Predictor::drawn(plan, device)?;
        let train = &plan.config.train;
        let (weights, lengths) = predictor.weights();
        let optimizer = Optimizer::new(&train.optimizer, weights, lengths)
            .paced(train.learning_rate_schedule.clone(), train.warmup_steps);
        Ok(Self { predictor, optimizer, seed: plan.seed() })
    }

    /// One step of gradient descent; `epoch` and `step` name the random numbers that it may draw.
    pub fn train_step(&mut self, batch: &Batch, epoch: u64, step: u64) -> Step {
        let seed = stream(self.seed, Purpose::Layers, epoch, step).next_u64();
        let step = self.predictor.loss_and_gradient(batch, seed);
        self.optimizer.step(self.predictor.weights().0, &step.gradient);
        step
    }

    /// The learning rate of the next step.
    #[must_use]
    pub fn learning_rate(&self) -> f64 {
        self.optimizer.current_rate()
    }

    /// What training ends with: the moving average of the weights takes their place where one is kept.
    /// `false` where none is.
    pub fn finalize(&mut self) -> bool {
        self.optimizer.finalize(self.predictor.weights().0)
    }
}
