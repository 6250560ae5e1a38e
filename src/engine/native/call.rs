//! What a call of the stages is for, and where the workers of a training step meet.

use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::panicking;

use crate::data::BatchPart;
use crate::system::ranks::Ranks;

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
        batch: BatchPart,
        worker: usize,
        meeting: &'a Meeting,
    ) -> Self {
        Self { seed, first: batch.first + images.start, batch: batch.whole, worker, meeting }
    }

    /// The same of some images, those of its share that go through the stages at once.
    pub fn at(self, images: &Range<usize>, batch: BatchPart) -> Self {
        Self { first: batch.first + images.start, ..self }
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
    /// Images of all who meet.
    images: usize,
    /// Other processes that have shares of the same batch, and for each exchange what came of all.
    ranks: Option<Arc<Ranks>>,
    merged: Vec<Mutex<Vec<f64>>>,
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
    /// For so many workers, who meet so many times in a step, and then those of other processes, if there are any: of
    /// so many images in all.
    pub fn new(workers: usize, exchanges: usize, ranks: Option<Arc<Ranks>>, images: usize) -> Self {
        let each = || (0..workers).map(|_| Mutex::default()).collect();
        Self {
            workers,
            round: Mutex::default(),
            changed: Condvar::new(),
            brought: (0..exchanges).map(|_| each()).collect(),
            images,
            ranks,
            merged: (0..exchanges).map(|_| Mutex::default()).collect(),
        }
    }

    /// Of all who meet.
    pub fn images(&self) -> usize {
        self.images
    }

    /// To be held by each worker, so that its panic ends the others' waiting.
    pub fn attend(&self) -> Attendance<'_> {
        Attendance(self)
    }

    /// Waits for the others to bring theirs, then merges what each of them brought, in the order of the workers and of
    /// the processes: timing decides nothing. All bring as many, and no exchange may happen twice in a step: the end of
    /// the step frees its place.
    ///
    /// Where another process is lost, what it would have brought is missing: the sum of the step's gradients says so.
    ///
    /// # Panics
    /// When another worker has panicked.
    pub fn exchange(
        &self,
        exchange: usize,
        worker: usize,
        values: impl IntoIterator<Item = f64>,
        merge: impl Fn(&mut [f64], &[f64]),
    ) -> Vec<f64> {
        *held(&self.brought[exchange][worker]) = values.into_iter().collect();
        assert!(self.wait(), "another worker has stopped");
        let of_workers = || {
            let mut brought = self.brought[exchange].iter();
            let first = brought.next().map(|first| held(first).clone());
            let mut all = first.unwrap_or_default();
            brought.for_each(|next| merge(&mut all, &held(next)));
            all
        };
        let Some(ranks) = &self.ranks else { return of_workers() };
        if worker == 0 {
            let mut all = of_workers();
            if let Ok(brought) = ranks.gather(&all) {
                let mut of_ranks = brought.chunks_exact(all.len());
                let own: Vec<f64> = of_ranks.next().map(<[f64]>::to_vec).unwrap_or_default();
                all = of_ranks.fold(own, |mut all, next| {
                    merge(&mut all, next);
                    all
                });
            }
            *held(&self.merged[exchange]) = all;
        }
        assert!(self.wait(), "another worker has stopped");
        held(&self.merged[exchange]).clone()
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

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_see_what_each_brought_in_the_order_of_the_workers() {
        let meeting = Meeting::new(3, 20, None, 3);
        std::thread::scope(|scope| {
            for worker in 0..3 {
                let meeting = &meeting;
                scope.spawn(move || {
                    for exchange in 0..20 {
                        let own = (100 * exchange + worker + 1) as f64;
                        let digits =
                            |all: &mut [f64], next: &[f64]| all[0] = 1000.0 * all[0] + next[0];
                        let seen = meeting.exchange(exchange, worker, [own], digits);
                        let all = [1, 2, 3].map(|other| (100 * exchange + other) as f64);
                        assert_eq!(seen, [(1000.0 * all[0] + all[1]) * 1000.0 + all[2]]);
                    }
                });
            }
        });
    }

    #[test]
    fn nobody_waits_for_a_worker_that_has_panicked() {
        let meeting = Meeting::new(2, 1, None, 2);
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| meeting.exchange(0, 0, [1.0], |_, _| ()));
            let fails = scope.spawn(|| {
                let _attendance = meeting.attend();
                panic!("on purpose");
            });
            assert!(fails.join().is_err() && waits.join().is_err());
        });
    }
}
