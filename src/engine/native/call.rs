//! What a call of the stages is for, and where the workers of a training step meet.

use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::panicking;

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

impl<'a> Training<'a> {
    /// Of the images of a batch that a worker has.
    pub fn new(
        seed: u64,
        images: &Range<usize>,
        batch: usize,
        worker: usize,
        meeting: &'a Meeting,
    ) -> Self {
        Self { seed, first: images.start, batch, worker, meeting }
    }
}

/// Where workers that each hold some images of a batch learn what the whole batch is like.
#[derive(Debug)]
pub(super) struct Meeting {
    workers: usize,
    round: Mutex<Round>,
    changed: Condvar,
    /// For each exchange of a step what each worker brought.
    brought: Vec<Vec<Mutex<Vec<f64>>>>,
}

/// Who is there.
#[derive(Debug, Default)]
struct Round {
    number: usize,
    waiting: usize,
    /// Whether a worker has panicked, and will not come.
    is_broken: bool,
}

/// While it is there, the others may wait for its worker.
#[derive(Debug)]
pub(super) struct Attendance<'a>(&'a Meeting);

impl Drop for Attendance<'_> {
    fn drop(&mut self) {
        if panicking() {
            self.0.held().is_broken = true;
            self.0.changed.notify_all();
        }
    }
}

impl Meeting {
    /// For so many workers, who meet so many times in a step.
    pub fn new(workers: usize, exchanges: usize) -> Self {
        let each = || (0..workers).map(|_| Mutex::default()).collect();
        Self {
            workers,
            round: Mutex::default(),
            changed: Condvar::new(),
            brought: (0..exchanges).map(|_| each()).collect(),
        }
    }

    /// To be held by each worker, so that its panic ends the others' waiting.
    pub fn attend(&self) -> Attendance<'_> {
        Attendance(self)
    }

    /// Waits for the others to bring theirs, then looks at what each of them brought, in the order of the workers:
    /// timing decides nothing. No exchange may happen twice in a step: the end of the step frees its place.
    ///
    /// # Panics
    /// When another worker has panicked.
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
        assert!(self.wait(), "another worker has stopped");
        for place in 0..self.brought[exchange].len() {
            look(&held(place));
        }
    }

    /// Until all are there; `false` where one will not come.
    fn wait(&self) -> bool {
        let mut round = self.held();
        round.waiting += 1;
        if round.waiting == self.workers {
            (round.waiting, round.number) = (0, round.number + 1);
            self.changed.notify_all();
        }
        let left = round.number + usize::from(round.waiting > 0);
        while round.number < left && !round.is_broken {
            round = self.changed.wait(round).unwrap_or_else(PoisonError::into_inner);
        }
        !round.is_broken
    }

    fn held(&self) -> MutexGuard<'_, Round> {
        self.round.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_see_what_each_brought_in_the_order_of_the_workers() {
        let meeting = Meeting::new(3, 20);
        std::thread::scope(|scope| {
            for worker in 0..3 {
                let meeting = &meeting;
                scope.spawn(move || {
                    for exchange in 0..20 {
                        let mut seen: Vec<f64> = Vec::new();
                        let own = (100 * exchange + worker) as f64;
                        meeting.exchange(exchange, worker, [own], |brought| seen.extend(brought));
                        let all = [0, 1, 2].map(|other| (100 * exchange + other) as f64);
                        assert_eq!(seen, all);
                    }
                });
            }
        });
    }

    #[test]
    fn nobody_waits_for_a_worker_that_has_panicked() {
        let meeting = Meeting::new(2, 1);
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| meeting.exchange(0, 0, [1.0], |_| ()));
            let fails = scope.spawn(|| {
                let _attendance = meeting.attend();
                panic!("on purpose");
            });
            assert!(fails.join().is_err() && waits.join().is_err());
        });
    }
}
