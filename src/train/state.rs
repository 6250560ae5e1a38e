//! Where a training stands, beside its trainer: all that it needs to go on as if it had not stopped.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::policies::PolicyState;
use super::{History, Timings, Trainer};
use crate::data::Digests;
use crate::infer::{LossTotal, RunningLoss};
use crate::plan::Plan;

/// Between two steps, or between two epochs.
#[derive(Debug)]
pub struct TrainingState {
    /// Of the epochs before, and the loss curve up to here.
    pub history: History,
    /// Steps done of the epoch after those of the history.
    pub step: usize,
    /// The loss of these.
    pub running: RunningLoss,
    /// Training and test images, known once training has begun.
    pub images: Option<[usize; 2]>,
    /// Of these, where somebody has asked for them.
    pub digests: Option<Digests>,
    /// What policies remember.
    pub policies: PolicyState,
    /// Weights that a policy remembers.
    pub remembered: Option<Tensor>,
    /// Not part of what a resumed run repeats.
    pub timings: Timings,
}

/// The part of a state that is numbers and no history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Numbers {
    /// Of this record; grows by new keys only.
    pub format: u32,
    /// Whole epochs.
    pub epochs: usize,
    /// Steps of the next one.
    pub step: usize,
    /// The optimizer's.
    pub iterations: i32,
    /// The optimizer's, of the next step.
    pub learning_rate: f64,
    /// Of the epoch under way.
    pub running: LossTotal,
    /// Since the loss curve's last point.
    pub pending: LossTotal,
    /// Training and test images.
    #[serde(default)]
    #[serde(rename = "pictures")]
    pub images: Option<[usize; 2]>,
    /// What policies remember.
    #[serde(default)]
    pub policies: PolicyState,
}

impl TrainingState {
    /// Before the first step.
    #[must_use]
    pub fn new(history: History) -> Self {
        Self {
            history,
            step: 0,
            running: RunningLoss::default(),
            images: None,
            digests: None,
            policies: PolicyState::default(),
            remembered: None,
            timings: Timings::default(),
        }
    }

    /// As it was when its `numbers` were taken; the trainer has to be restored by itself.
    #[must_use]
    pub fn restored(history: History, numbers: Numbers) -> Self {
        let mut state = Self::new(history);
        state.step = numbers.step;
        state.running = numbers.running.into();
        state.history.pending = numbers.pending.into();
        (state.images, state.policies) = (numbers.images, numbers.policies);
        state
    }

    /// To be saved beside the history and the weights.
    #[must_use]
    pub fn numbers(&self, trainer: &Trainer) -> Numbers {
        Numbers {
            format: 1,
            epochs: self.epochs(),
            step: self.step,
            iterations: trainer.optimizer.iterations(),
            learning_rate: trainer.optimizer.learning_rate,
            running: self.running.total(),
            pending: self.history.pending.total(),
            images: self.images,
            policies: self.policies.clone(),
        }
    }

    /// Whole epochs so far.
    #[must_use]
    pub fn epochs(&self) -> usize {
        self.history.epochs.len()
    }

    /// Whether epochs are left that no policy has refused.
    #[must_use]
    pub fn wants_more(&self, plan: &Plan) -> bool {
        self.epochs() < plan.config.train.epochs && self.history.stopped.is_none()
    }

    /// The history has its record by now.
    pub(super) fn epoch_done(&mut self) {
        (self.step, self.running) = (0, RunningLoss::default());
    }
}

/// Keeps states where they survive the process. Unlike an observer it can fail, which ends the training.
pub trait Checkpointer {
    /// Whether to keep the state after so many steps of an epoch; after each epoch it is kept anyway.
    fn wants_step(&self, step: usize) -> bool;

    /// Keeps it.
    ///
    /// # Errors
    /// When it cannot be written.
    fn keep(&mut self, state: &TrainingState, trainer: &Trainer) -> anyhow::Result<()>;
}

/// For a training that is not worth resuming.
#[derive(Debug, Clone, Copy)]
pub struct NoCheckpoints;

impl Checkpointer for NoCheckpoints {
    fn wants_step(&self, _step: usize) -> bool {
        false
    }

    fn keep(&mut self, _state: &TrainingState, _trainer: &Trainer) -> anyhow::Result<()> {
        Ok(())
    }
}
