//! How much may be between reading and writing at once, so that memory does not grow with the number
//! of images.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// A number of pixels to share out.
#[derive(Debug)]
pub(super) struct Budget {
    most: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    used: usize,
    closed: bool,
}

/// A share, given back when dropped.
#[derive(Debug)]
pub(super) struct Share<'a> {
    budget: &'a Budget,
    size: usize,
}

/// Closes a budget when dropped, also by a panic, so that nobody waits for ever.
pub(super) struct CloseAtEnd<'a>(pub &'a Budget);

/// The same of a thread that others wait for: only by a panic.
pub(super) struct CloseAtPanic<'a>(pub &'a Budget);

impl Budget {
    pub fn new(most: usize) -> Self {
        Self { most, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Waits for a share; one that exceeds the whole budget waits until it is alone. `None` where
    /// the work has ended.
    pub fn take(&self, size: usize) -> Option<Share<'_>> {
        let too_much = |state: &mut State| {
            !state.closed && state.used > 0 && state.used.saturating_add(size) > self.most
        };
        let state = self.changed.wait_while(self.lock(), too_much);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return None;
        }
        state.used = state.used.saturating_add(size);
        Some(Share { budget: self, size })
    }

    fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        let mut state = self.budget.lock();
        state.used = state.used.saturating_sub(self.size);
        drop(state);
        self.budget.changed.notify_all();
    }
}

impl Drop for CloseAtEnd<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Drop for CloseAtPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn no_more_is_out_than_there_is() {
        let (budget, out) = (Budget::new(10), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        let share = budget.take(4).unwrap();
                        assert!(out.fetch_add(1, Ordering::SeqCst) < 2);
                        out.fetch_sub(1, Ordering::SeqCst);
                        drop(share);
                    }
                });
            }
        });
        assert_eq!(budget.lock().used, 0);
    }

    #[test]
    fn a_share_beyond_the_budget_is_given_to_one_that_is_alone() {
        let budget = Budget::new(10);
        let large = budget.take(usize::MAX).unwrap();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| budget.take(1).is_some());
            drop(large);
            assert!(waiting.join().unwrap());
        });
    }

    #[test]
    fn who_waits_is_told_that_the_work_has_ended() {
        let budget = Budget::new(1);
        let share = budget.take(1).unwrap();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| budget.take(1).is_none());
            drop(CloseAtEnd(&budget));
            assert!(waiting.join().unwrap());
        });
        drop(share);
    }
}
