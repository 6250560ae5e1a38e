//! What can watch a training: progress, history and traces see the same events.

use std::time::Duration;

use tch::Tensor;

use super::policies::Action;
use super::{EpochRecord, EpochTiming, Trainer};
use crate::infer::RunningLoss;

/// Sees a training go by; it cannot change it.
pub trait Observer {
    /// After each step.
    fn step_done(&mut self, done: &StepDone<'_>);

    /// Just before a state is kept within an epoch, from which the training may go on: what was seen until then should be
    /// safe too.
    fn state_is_kept(&mut self) {}

    /// After each epoch and its validation: how long they took. Comes before [`Observer::epoch_done`].
    fn epoch_timed(&mut self, _timing: &EpochTiming) {}

    /// After each epoch and its validation.
    fn epoch_done(&mut self, record: &EpochRecord);

    /// After a policy's action, at an epoch's or the training's end.
    fn policy_acted(&mut self, _action: &Action) {}
}

/// An observer that was not asked for sees nothing.
impl<T: Observer> Observer for Option<T> {
    fn step_done(&mut self, done: &StepDone<'_>) {
        if let Some(observer) = self {
            observer.step_done(done);
        }
    }

    fn state_is_kept(&mut self) {
        if let Some(observer) = self {
            observer.state_is_kept();
        }
    }

    fn epoch_timed(&mut self, timing: &EpochTiming) {
        if let Some(observer) = self {
            observer.epoch_timed(timing);
        }
    }

    fn epoch_done(&mut self, record: &EpochRecord) {
        if let Some(observer) = self {
            observer.epoch_done(record);
        }
    }

    fn policy_acted(&mut self, action: &Action) {
        if let Some(observer) = self {
            observer.policy_acted(action);
        }
    }
}

/// A step that was just made.
#[derive(Debug, Clone, Copy)]
pub struct StepDone<'a> {
    /// Counts from 1.
    pub epoch: usize,
    /// Within the epoch, counts from 1.
    pub step: usize,
    /// Steps of the epoch.
    pub steps: usize,
    /// Size of the batch.
    pub images: usize,
    /// The batch's loss before the step: a scalar on the device.
    pub loss: &'a Tensor,
    /// Of that loss, before clipping: `(P,)`, on the device.
    pub gradient: &'a Tensor,
    /// The epoch's loss so far.
    pub running: &'a RunningLoss,
    /// How long the epoch's steps have waited for their batches so far.
    pub waited: Duration,
    /// With the weights after the step.
    pub trainer: &'a Trainer,
}
