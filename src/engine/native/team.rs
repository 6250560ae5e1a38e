//! Who computes a call: workers with images of their own, and, where there are more threads than workers, helpers
//! that share the heaviest loops of one worker.
//!
//! What it guarantees:
//! - The results are the same bits however many help. A [`Team`] only runs parts that write to different places, and
//!   no part's arithmetic knows who runs it.
//! - No thread too many: at no time do more compute than the engine was given. Those that have handed their share over
//!   to a team sleep.
//! - Nobody waits for a helper that has not begun: on a busy machine that would take longer than the work. A worker with
//!   helpers is a thread of their pool, and what none of them has begun it takes back.
//! - Nobody waits for ever. What a worker takes back must not be another one's share: the two would meet at a barrier on
//!   one thread. So each team has a pool of its own.

use std::sync::{Arc, Mutex, PoisonError};

use rayon::{ThreadPool, ThreadPoolBuilder, Yield, yield_local};

use super::kernels::Kernels;
use super::spin_wait::{Latch, SpinWait};

/// Multiplications that are worth another thread: some tens of microseconds, as to call one and to wait for it takes a
/// few. Tests divide whatever they can.
const FEWEST_MULTIPLICATIONS: usize = if cfg!(test) { 1 } else { 1 << 20 };

/// What it takes to read and write a value, about.
pub(super) const MULTIPLICATIONS_OF_A_VALUE: usize = 16;

/// What a stage computes with: the loops, and who runs them.
pub(super) type Means<'a, T> = (&'a Kernels<T>, &'a Team);

/// The threads of an engine.
#[derive(Debug)]
pub(super) struct Crew {
    threads: usize,
    /// Multiplications of the heaviest stage: where nothing can be divided, nothing is handed over.
    heaviest: usize,
    /// For the workers after the first, which begins on the caller's thread.
    pool: Option<ThreadPool>,
    spin_wait: SpinWait,
    /// One for each worker of the last call.
    teams: Vec<Team>,
}

impl Crew {
    /// Threads are started when there is work for them.
    pub fn new(threads: usize, heaviest: usize) -> Self {
        Self { threads, heaviest, pool: None, spin_wait: SpinWait::default(), teams: Vec::new() }
    }

    /// Calls `work` with each job, at most one for each thread, at the same time. The first one is done on this
    /// thread, which would else only wait, unless it has a team.
    pub fn work<J: Send>(&mut self, jobs: Vec<J>, work: impl Fn(&Team, J) + Sync) {
        let workers = jobs.len();
        self.form(workers);
        let mut jobs = self.teams.iter().zip(jobs);
        let Some((first_team, first)) = jobs.next() else { return };
        let begin = &|team: &Team, job: J| team.lead(|team| work(team, job));
        let Some(pool) = &self.pool else { return begin(first_team, first) };
        let pending = &Latch::new(workers - 1);
        self.spin_wait.end();
        pool.in_place_scope(|scope| {
            for (team, job) in jobs {
                scope.spawn(move |_| {
                    begin(team, job);
                    pending.done();
                });
            }
            begin(first_team, first);
            pending.wait();
        });
        self.spin_wait.begin(pool);
    }

    /// Divides the threads among so many workers; the first ones may get one more.
    fn form(&mut self, workers: usize) {
        if self.teams.len() == workers || workers == 0 {
            return;
        }
        // Those of before are told to end first.
        (self.pool, self.teams) = (None, Vec::new());
        self.pool = pool(workers - 1, "worker");
        let (each, more) = (self.threads / workers, self.threads % workers);
        let is_divided = self.heaviest >= 2 * FEWEST_MULTIPLICATIONS;
        let size = |worker| if is_divided { each + usize::from(worker < more) } else { 1 };
        let sizes = (0..workers).map(size);
        self.teams = sizes.map(Team::new).collect();
    }
}

/// The threads of a worker with helpers.
#[derive(Debug, Clone, Default)]
pub(super) struct Team(Option<Arc<Threads>>);

#[derive(Debug)]
struct Threads {
    pool: ThreadPool,
    spin_wait: SpinWait,
}

impl Team {
    /// Of so many threads; one needs no pool.
    pub fn new(threads: usize) -> Self {
        let pool = if threads > 1 { pool(threads, "team") } else { None };
        Self(pool.map(|pool| Arc::new(Threads { pool, spin_wait: SpinWait::default() })))
    }

    /// Calls `work` on one of its threads, which the others then help; on this thread where there are no others.
    fn lead(&self, work: impl FnOnce(&Self) + Send) {
        match &self.0 {
            Some(threads) => {
                threads.spin_wait.end();
                threads.pool.install(|| work(self));
            }
            None => work(self),
        }
    }

    /// A worker without helpers.
    pub fn alone() -> Self {
        Self::default()
    }

    /// For how many threads there is enough to do.
    pub fn members(&self, multiplications: usize) -> usize {
        let all = self.0.as_ref().map_or(1, |threads| threads.pool.current_num_threads());
        (multiplications / FEWEST_MULTIPLICATIONS).clamp(1, all)
    }

    /// Calls `work` once with each part, on as many threads as so many multiplications in all are worth. Whoever is
    /// free takes the next part.
    ///
    /// # Panics
    /// When `work` has panicked on one of them.
    pub fn share_out<P>(
        &self,
        multiplications: usize,
        parts: impl ExactSizeIterator<Item = P> + Send,
        work: impl Fn(P) + Sync,
    ) {
        let members = self.members(multiplications).min(parts.len());
        let Some(threads) = self.0.as_deref().filter(|_| members > 1) else {
            return parts.for_each(work);
        };
        let parts = Mutex::new(parts);
        let next = || parts.lock().unwrap_or_else(PoisonError::into_inner).next();
        let take_part = || {
            while let Some(part) = next() {
                work(part);
            }
        };
        let (take_part, pending) = (&take_part, &Latch::new(members - 1));
        threads.spin_wait.end();
        threads.pool.in_place_scope(|scope| {
            for _ in 1..members {
                scope.spawn(move |_| {
                    take_part();
                    pending.done();
                });
            }
            take_part();
            while yield_local() == Some(Yield::Executed) {}
            pending.wait();
        });
        threads.spin_wait.begin(&threads.pool);
    }
}

/// Of so many threads, if any.
fn pool(threads: usize, name: &'static str) -> Option<ThreadPool> {
    let builder =
        ThreadPoolBuilder::new().num_threads(threads).thread_name(move |i| format!("{name} {i}"));
    let build = || builder.build().unwrap_or_else(|_| panic!("not enough memory for threads"));
    (threads > 0).then(build)
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::channel;
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;

    /// More than any team here is worth.
    const MUCH: usize = 100 * FEWEST_MULTIPLICATIONS;

    #[test]
    fn each_part_is_done_once_however_many_help() {
        for threads in 1..6 {
            Team::new(threads).lead(|team| {
                for count in [0, 1, 2, 5, 64] {
                    let mut parts = vec![0; count];
                    for round in 1..50 {
                        let numbered = parts.iter_mut().enumerate();
                        team.share_out(MUCH, numbered, |(place, part)| *part += place + 1);
                        let done: Vec<usize> = (1..=count).map(|number| round * number).collect();
                        assert_eq!(parts, done, "{threads} threads");
                    }
                }
            });
        }
    }

    #[test]
    fn a_helper_that_is_busy_is_not_waited_for() {
        let team = Team::new(2);
        let (begun, has_begun) = channel();
        let (release, is_released) = channel::<()>();
        team.0.as_ref().unwrap().pool.spawn(move || {
            begun.send(()).unwrap();
            let _ = is_released.recv_timeout(Duration::from_secs(60));
        });
        has_begun.recv().unwrap();
        let start = Instant::now();
        team.lead(|team| team.share_out(MUCH, 0..8, |_| ()));
        assert!(start.elapsed() < Duration::from_secs(30));
        drop(release);
    }

    #[test]
    fn parts_that_wait_for_each_other_are_done_at_the_same_time() {
        let meeting = Barrier::new(3);
        Team::new(3).share_out(MUCH, 0..3, |_| {
            meeting.wait();
        });
    }

    #[test]
    fn few_multiplications_are_not_divided() {
        let team = Team::new(4);
        let members = [0, 1, 2, 3, 9].map(|times| team.members(times * FEWEST_MULTIPLICATIONS));
        assert_eq!(members, [1, 1, 2, 3, 4]);
        let own = thread::current().id();
        team.share_out(FEWEST_MULTIPLICATIONS, 0..9, |_| assert_eq!(thread::current().id(), own));
        assert_eq!(Team::alone().members(MUCH), 1);
    }

    #[test]
    fn a_panic_of_any_part_ends_the_wait_and_is_seen() {
        let team = Team::new(3);
        for fails in 0..6 {
            let done = AtomicUsize::new(0);
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                team.share_out(MUCH, 0..6, |part| {
                    thread::sleep(Duration::from_millis(1));
                    assert_ne!(part, fails, "on purpose");
                    done.fetch_add(1, Ordering::Relaxed);
                });
            }));
            assert!(outcome.is_err());
            assert_eq!(done.into_inner(), 5);
        }
        let done = AtomicUsize::new(0);
        team.share_out(MUCH, 0..6, |_| {
            done.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(done.into_inner(), 6, "the team goes on");
    }

    /// How many threads each of so many workers has.
    fn sizes(threads: usize, workers: usize) -> Vec<usize> {
        let mut crew = Crew::new(threads, MUCH);
        let mut sizes = vec![0; workers];
        crew.work(sizes.iter_mut().collect(), |team, size| *size = team.members(MUCH));
        sizes
    }

    #[test]
    fn all_threads_are_divided_among_the_workers() {
        assert_eq!(sizes(1, 1), [1]);
        assert_eq!(sizes(5, 1), [5]);
        assert_eq!(sizes(5, 2), [3, 2]);
        assert_eq!(sizes(5, 5), [1; 5]);
        assert_eq!(sizes(16, 3), [6, 5, 5]);
    }

    /// A worker that runs another's share while it waits for its helpers would never come to the meeting.
    #[test]
    fn workers_with_helpers_meet() {
        for (threads, workers) in [(3, 2), (5, 2), (7, 3), (3, 3)] {
            let mut crew = Crew::new(threads, MUCH);
            for _ in 0..200 {
                let meeting = Barrier::new(workers);
                crew.work(vec![(); workers], |team, ()| {
                    team.share_out(MUCH, 0..8, |_| ());
                    meeting.wait();
                    team.share_out(MUCH, 0..8, |_| ());
                });
            }
        }
    }

    #[test]
    fn a_panic_of_a_helper_is_seen_by_the_caller() {
        let mut crew = Crew::new(4, MUCH);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            crew.work(vec![0, 1], |team, job| {
                team.share_out(MUCH, 0..8, |part| assert!(job == 0 || part != 5, "on purpose"));
            });
        }));
        assert!(outcome.is_err());
    }
}
