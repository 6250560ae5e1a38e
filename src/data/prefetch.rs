//! Batches made ahead of their use, by several threads, in an order that does not depend on them:
//! maker k of N makes the batches k, k + N, k + 2N, ..., and the makers are asked in turn.

use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::batches::Batch;
use super::error::DataError;

/// Batches that wait at most, for each maker, beside the one that it is making.
const AHEAD: usize = 2;

/// The batches of an epoch as they come.
#[derive(Debug)]
pub struct Prefetch {
    /// One for each maker.
    batches: Vec<Receiver<Result<Batch, DataError>>>,
    next: usize,
    waited: Duration,
}

impl Prefetch {
    /// How long their user has waited for batches so far.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.waited
    }
}

impl Iterator for Prefetch {
    type Item = Result<Batch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let started = Instant::now();
        // A maker that is done has hung up.
        let batch = self.batches[self.next].recv().ok();
        self.waited += started.elapsed();
        self.next = (self.next + 1) % self.batches.len();
        batch
    }
}

/// Gives `use_them` the results of `make` for 0, 1, ... `count - 1`; not all need to be taken.
///
/// # Panics
/// With `not enough memory` where no thread can be started, and as `make` does.
pub(super) fn prefetch<R>(
    makers: usize,
    count: usize,
    make: impl Fn(usize) -> Result<Batch, DataError> + Sync,
    use_them: impl FnOnce(&mut Prefetch) -> R,
) -> R {
    let makers = makers.min(count).max(1);
    thread::scope(|scope| {
        let (senders, batches): (Vec<_>, _) = (0..makers).map(|_| sync_channel(AHEAD)).unzip();
        let mut makers_at_work = Vec::new();
        for (first, sender) in senders.into_iter().enumerate() {
            let make = &make;
            let work = move || {
                // It stops when nobody wants more.
                let mut steps = (first..count).step_by(makers);
                steps.all(|step| sender.send(make(step)).is_ok());
            };
            let maker = thread::Builder::new().name("batches".to_owned());
            let maker = maker.spawn_scoped(scope, work).expect("not enough memory for a thread");
            makers_at_work.push(maker);
        }
        let result = use_them(&mut Prefetch { batches, next: 0, waited: Duration::ZERO });
        // The receivers are gone by now, so that makers whose batches nobody took come to an end.
        join(makers_at_work);
        result
    })
}

/// Waits for threads, and passes a panic on with its text, of which a scope would tell nothing.
///
/// # Panics
/// As the first of the threads that did.
pub(crate) fn join(threads: Vec<thread::ScopedJoinHandle<'_, ()>>) {
    // Joined all of them, since the scope would replace the text on account of the others.
    let panics: Vec<_> = threads.into_iter().filter_map(|thread| thread.join().err()).collect();
    if let Some(first) = panics.into_iter().next() {
        resume_unwind(first);
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn a_makers_panic_keeps_its_text() {
        for makers in [1, 3] {
            let all = AssertUnwindSafe(|| {
                prefetch(makers, 9, |step| panic!("step {step} is odd"), |batches| batches.count())
            });
            let panic = catch_unwind(all).unwrap_err();
            assert_eq!(panic.downcast_ref::<String>().unwrap(), "step 0 is odd", "{makers}");
        }
    }
}
