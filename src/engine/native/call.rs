//! What a call of the stages is for, and where the workers of a training step meet.

use std::sync::{Barrier, Mutex, PoisonError};

/// Inference, or one worker's part of a training step.
#[derive(Debug, Clone, Copy)]
pub(super) enum Call<'a> {
    /// Layers of chance let everything through; moving statistics normalise.
    Inference,
    /// Layers draw, and the batch's own statistics normalise.
    Training(Training<'a>),
}

/// One worker's part of a training step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Training<'a> {
    /// Of the step.
    pub seed: u64,
    /// The number in the batch of the first image that goes through the stages.
    pub first: usize,
    /// Images of the whole batch.
    pub batch: usize,
    /// The number of the worker.
    pub worker: usize,
    /// Where it meets the others.
    pub meeting: &'a Meeting,
}

/// Where workers that each hold some images of a batch learn what the whole batch is like.
#[derive(Debug)]
pub(super) struct Meeting {
    barrier: Barrier,
    /// For each exchange of a step what each worker brought.
    brought: Vec<Vec<Mutex<Vec<f64>>>>,
}

impl Meeting {
    /// For so many workers, who meet so many times in a step.
    pub fn new(workers: usize, exchanges: usize) -> Self {
        let each = || (0..workers).map(|_| Mutex::default()).collect();
        Self { barrier: Barrier::new(workers), brought: (0..exchanges).map(|_| each()).collect() }
    }

    /// Waits for the others to bring theirs, then looks at what each of them brought, in the order of the workers:
    /// timing decides nothing. No exchange may happen twice in a step: the end of the step frees its place.
    pub fn exchange(
        &self,
        exchange: usize,
        worker: usize,
        values: impl IntoIterator<Item = f64>,
        mut look: impl FnMut(&[f64]),
    ) {
        let held = |place: usize| {
            self.brought[exchange][place].lock().unwrap_or_else(PoisonError::into_inner)
        };
        {
            let mut place = held(worker);
            place.clear();
            place.extend(values);
        }
        self.barrier.wait();
        for place in 0..self.brought[exchange].len() {
            look(&held(place));
        }
    }
}
