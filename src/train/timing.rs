//! How long the epochs took. Nothing that a run computes depends on it, so it is kept apart from all
//! that a resumed run has to repeat.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::StepDone;

/// One epoch's times.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EpochTiming {
    /// Counts from 1.
    pub epoch: usize,
    /// Training and validation, over all parts of an epoch that was resumed.
    pub seconds: f64,
    /// Training images per second of training.
    pub images_per_second: f64,
    /// Share of the training in which no batch was ready: data were slower than computing.
    pub waiting: f64,
}

/// A run's times, as they are kept in `timings.json`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Timings {
    /// Whole epochs.
    pub epochs: Vec<EpochTiming>,
    /// What the epoch under way has taken so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    under_way: Option<Part>,
    /// Of the process, not of the run.
    #[serde(skip, default = "Clock::start")]
    clock: Clock,
}

/// The training of some steps, all of them from an epoch's first on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Part {
    epoch: usize,
    step: usize,
    #[serde(rename = "pictures")]
    images: usize,
    seconds: f64,
    waited: f64,
}

#[derive(Debug)]
struct Clock {
    started: Instant,
    /// What other processes did of the epoch.
    before: Part,
}

impl Clock {
    fn start() -> Self {
        Self { started: Instant::now(), before: Part::default() }
    }
}

impl Default for Timings {
    fn default() -> Self {
        Self { epochs: Vec::new(), under_way: None, clock: Clock::start() }
    }
}

impl Timings {
    /// An epoch begins, or goes on after so many steps.
    pub(super) fn epoch_begins(&mut self, epoch: usize, step: usize) {
        // Of other steps than these, should the file be older or newer than the checkpoint, nothing is known.
        self.under_way = self.under_way.filter(|part| (part.epoch, part.step) == (epoch, step));
        let before = self.under_way.unwrap_or_default();
        self.clock = Clock { before, ..Clock::start() };
    }

    pub(super) fn step_done(&mut self, done: &StepDone<'_>) {
        let before = self.clock.before;
        self.under_way = Some(Part {
            epoch: done.epoch,
            step: done.step,
            images: self.under_way.map_or(0, |part| part.images) + done.images,
            seconds: before.seconds + self.clock.started.elapsed().as_secs_f64(),
            waited: before.waited + done.waited.as_secs_f64(),
        });
    }

    pub(super) fn epoch_done(&mut self, epoch: usize) -> EpochTiming {
        let training = self.under_way.take().unwrap_or_default();
        let share = |part: f64| if training.seconds > 0.0 { part / training.seconds } else { 0.0 };
        let timing = EpochTiming {
            epoch,
            seconds: self.clock.before.seconds + self.clock.started.elapsed().as_secs_f64(),
            images_per_second: share(training.images as f64),
            waiting: share(training.waited),
        };
        self.epochs.push(timing);
        timing
    }

    /// Goes back to so many whole epochs: what came after them is trained anew.
    pub fn truncate(&mut self, epochs: usize) {
        self.epochs.retain(|timing| timing.epoch <= epochs);
    }
}
