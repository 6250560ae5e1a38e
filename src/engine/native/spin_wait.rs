//! Waiting without going to sleep: where steps take a few milliseconds, what the system takes to wake
//! a thread is some percent of each.

use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::yield_now;
use std::time::{Duration, Instant};

/// As long as a thread may stay spin_wait in vain.
const PATIENCE: Duration = Duration::from_micros(200);
/// Looks at what is awaited between two offers of the core to other threads.
const SPINS: usize = 50;

/// Returns as soon as `done`, or when it has lasted too long.
fn wait(done: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() && Instant::now() < end {
        for _ in 0..SPINS {
            spin_loop();
        }
        yield_now();
    }
}

/// Counts what still runs, on the thread that waits for it.
#[derive(Debug)]
pub(super) struct Latch(AtomicUsize);

impl Latch {
    pub fn new(count: usize) -> Self {
        Self(AtomicUsize::new(count))
    }

    pub fn done(&self) {
        self.0.fetch_sub(1, Ordering::Release);
    }

    pub fn wait(&self) {
        wait(|| self.0.load(Ordering::Acquire) == 0);
    }
}

/// Keeps the threads of a pool spin_wait between one call and the next.
#[derive(Debug, Default)]
pub(super) struct SpinWait {
    calls: Arc<AtomicUsize>,
}

impl SpinWait {
    /// Lets the threads look for work.
    pub fn end(&self) {
        self.calls.fetch_add(1, Ordering::Release);
    }

    /// Until [`SpinWait::end`], or for a short while.
    pub fn begin(&self, pool: &rayon::ThreadPool) {
        let (calls, before) = (Arc::clone(&self.calls), self.calls.load(Ordering::Acquire));
        pool.spawn_broadcast(move |_| wait(|| calls.load(Ordering::Acquire) != before));
    }
}
