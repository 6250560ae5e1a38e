//! Batches made ahead of their use, by several threads, in an order that does not depend on them:
//! maker k of N makes the batches k, k + N, k + 2N, ..., and the makers are asked in turn.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::batches::Batch;
use super::error::DataError;

/// Batches that wait at most, for each maker, beside the one that it is making.
const AHEAD: usize = 2;

/// The batches of an epoch as they come.
#[derive(Debug)]
pub struct Ahead {
    /// One for each maker.
    batches: Vec<Receiver<Result<Batch, DataError>>>,
    next: usize,
    waited: Duration,
}

impl Ahead {
    /// How long their user has waited for batches so far.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.waited
    }
}

impl Iterator for Ahead {
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
/// With `not enough memory` where no thread can be started.
pub(super) fn ahead<R>(
    makers: usize,
    count: usize,
    make: impl Fn(usize) -> Result<Batch, DataError> + Sync,
    use_them: impl FnOnce(&mut Ahead) -> R,
) -> R {
    let makers = makers.min(count).max(1);
    thread::scope(|scope| {
        let (senders, batches): (Vec<_>, _) = (0..makers).map(|_| sync_channel(AHEAD)).unzip();
        for (first, sender) in senders.into_iter().enumerate() {
            let make = &make;
            let work = move || {
                // It stops when nobody wants more.
                let mut steps = (first..count).step_by(makers);
                let _ = steps.try_for_each(|step| sender.send(make(step)));
            };
            let maker = thread::Builder::new().name("batches".to_owned());
            maker.spawn_scoped(scope, work).expect("not enough memory for a thread");
        }
        use_them(&mut Ahead { batches, next: 0, waited: Duration::ZERO })
    })
}
