//! Signs of life: a thread of each rank counts up a number in the store, and looks at those of all others. Whoever waits
//! for another rank so learns whether that one still lives, however long its work takes; and whoever ends says why.
//!
//! A rank may live and yet do nothing more, as one whose disk no longer answers: so each counts in the store what it has
//! brought to the others, too, which is looked at where somebody has waited for very long.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

use super::group::{Problem, Store};

/// Between two signs of life.
const BEAT: Duration = Duration::from_millis(250);

/// How a rank has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    /// Training was over.
    Done,
    /// It has lost another one: its sentence.
    Lost(String),
    /// By itself: its sentence.
    Failed(String),
}

impl Ending {
    fn written(&self) -> String {
        match self {
            Self::Done => "done".to_owned(),
            Self::Lost(sentence) => format!("lost {sentence}"),
            Self::Failed(sentence) => format!("failed {sentence}"),
        }
    }

    fn of(text: &str) -> Self {
        match text.split_once(' ') {
            Some(("lost", sentence)) => Self::Lost(sentence.to_owned()),
            Some(("failed", sentence)) => Self::Failed(sentence.to_owned()),
            _ => Self::Done,
        }
    }
}

/// What is known of a rank.
#[derive(Debug, Clone)]
struct Sign {
    beats: i64,
    since: Instant,
    ending: Option<Ending>,
}

#[derive(Debug)]
struct Seen {
    /// When the store has answered last.
    answered: Instant,
    /// Whether it answers no more.
    is_gone: bool,
    ranks: Vec<Sign>,
    /// What this rank wants to have said in the end, and whether it is.
    ending: Option<Ending>,
    is_said: bool,
    /// How many times this rank has come to meet the others, and since when it waits for them.
    meetings: i64,
    waits: Option<Instant>,
    /// Who has not come, found out where the wait is longer than the patience.
    absent: Option<usize>,
}

/// Looks after the others while this process does something else.
#[derive(Debug)]
pub(super) struct Watch {
    seen: Arc<Mutex<Seen>>,
    is_over: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Watch {
    /// From now on, of so many ranks, of which each is waited for so long at most.
    pub fn begin(store: Arc<Store>, rank: usize, size: usize, patience: Duration) -> Self {
        let now = Instant::now();
        let ranks = vec![Sign { beats: 0, since: now, ending: None }; size];
        let seen = Seen {
            answered: now,
            is_gone: false,
            ranks,
            ending: None,
            is_said: false,
            meetings: 0,
            waits: None,
            absent: None,
        };
        let seen = Arc::new(Mutex::new(seen));
        let is_over: Arc<AtomicBool> = Arc::default();
        let thread = {
            let (seen, is_over) = (Arc::clone(&seen), Arc::clone(&is_over));
            let work = move || {
                while !is_over.load(Ordering::Relaxed) {
                    if look(&store, rank, &seen, patience).is_err() {
                        held(&seen).is_gone = true;
                        return;
                    }
                    sleep(BEAT);
                }
            };
            thread::Builder::new().name("signs of life".to_owned()).spawn(work).ok()
        };
        Self { seen, is_over, thread: Mutex::new(thread) }
    }

    /// How long the store has not answered, and whether it never will again.
    pub fn store(&self) -> (Duration, bool) {
        let seen = held(&self.seen);
        (seen.answered.elapsed(), seen.is_gone)
    }

    /// This rank has come to meet the others.
    pub fn comes(&self) {
        let mut seen = held(&self.seen);
        seen.meetings += 1;
        (seen.waits, seen.absent) = (Some(Instant::now()), None);
    }

    /// They have met.
    pub fn goes(&self) {
        held(&self.seen).waits = None;
    }

    /// A rank that has not come although this one has waited for longer than the patience.
    pub fn absent(&self) -> Option<usize> {
        held(&self.seen).absent
    }

    /// The rank without a sign of life for the longest time, of those that have not said that they end; at least so long.
    pub fn silent(&self, least: Duration) -> Option<usize> {
        let seen = held(&self.seen);
        // A time in which nothing could be heard is nobody's silence.
        let heard = seen.answered;
        let silence = |sign: &Sign| heard.saturating_duration_since(sign.since);
        let ranks = seen.ranks.iter().enumerate();
        let silent = ranks.filter(|(_, sign)| sign.ending.is_none() && silence(sign) >= least);
        silent.max_by_key(|(_, sign)| silence(sign)).map(|(rank, _)| rank)
    }

    /// The first rank that has failed by itself, with its sentence.
    pub fn failed(&self) -> Option<(usize, String)> {
        self.first(|_, ending| match ending {
            Ending::Failed(sentence) => Some(sentence.clone()),
            Ending::Done | Ending::Lost(_) => None,
        })
    }

    /// The first rank but `own` that has lost another one, with its sentence.
    pub fn lost(&self, own: usize) -> Option<(usize, String)> {
        self.first(|rank, ending| match ending {
            Ending::Lost(sentence) if rank != own => Some(sentence.clone()),
            Ending::Done | Ending::Failed(_) | Ending::Lost(_) => None,
        })
    }

    fn first<R>(&self, find: impl Fn(usize, &Ending) -> Option<R>) -> Option<(usize, R)> {
        let seen = held(&self.seen);
        let mut ranks = seen.ranks.iter().enumerate();
        ranks.find_map(|(rank, sign)| Some((rank, find(rank, sign.ending.as_ref()?)?)))
    }

    /// Whether any rank has said that it ends before training is over.
    pub fn is_broken(&self) -> bool {
        let ends_early = |_, ending: &Ending| (*ending != Ending::Done).then_some(());
        self.first(ends_early).is_some()
    }

    /// Whether that rank has ended, or will never be heard again.
    pub fn has_ended(&self, rank: usize) -> bool {
        let seen = held(&self.seen);
        seen.is_gone || seen.ranks[rank].ending.is_some()
    }

    /// Tells the others how this rank ends; returns once that is said, or nobody listens for so long.
    pub fn say(&self, ending: Ending, patience: Duration) {
        {
            let mut seen = held(&self.seen);
            (seen.ending, seen.is_said) = (Some(ending), false);
        }
        wait(patience, || {
            let seen = held(&self.seen);
            seen.is_said || seen.is_gone
        });
    }

    /// Ends the thread, but for one that the store keeps waiting.
    pub fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
        let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return;
        };
        wait(4 * BEAT, || thread.is_finished());
        if thread.is_finished() {
            let _ = thread.join();
        }
    }
}

/// One round: this rank's sign of life, those of the others, and how they ended.
fn look(store: &Store, rank: usize, seen: &Mutex<Seen>, patience: Duration) -> Result<(), Problem> {
    let (size, ending, meetings, waits_long) = {
        let seen = held(seen);
        let waits_long = seen.waits.is_some_and(|since| since.elapsed() >= patience);
        let ending = seen.ending.clone().filter(|_| !seen.is_said);
        (seen.ranks.len(), ending, seen.meetings, waits_long)
    };
    store.set(&format!("meetings/{rank}"), &meetings.to_string())?;
    let absent = if waits_long { absent(store, size, meetings)? } else { None };
    if let Some(ending) = &ending {
        store.set(&format!("ending/{rank}"), &ending.written())?;
        store.add("endings", 1)?;
    }
    let someone_ended = store.add("endings", 0)? > 0;
    let mut found = Vec::with_capacity(size);
    for other in 0..size {
        let beats = store.add(&format!("beats/{other}"), i64::from(other == rank))?;
        let ending = if someone_ended { store.get(&format!("ending/{other}"))? } else { None };
        found.push((beats, ending.as_deref().map(Ending::of)));
    }
    let now = Instant::now();
    let mut seen = held(seen);
    for (sign, (beats, ending)) in seen.ranks.iter_mut().zip(found) {
        if beats != sign.beats {
            (sign.beats, sign.since) = (beats, now);
        }
        sign.ending = ending.or(sign.ending.take());
    }
    (seen.answered, seen.is_said) = (now, seen.is_said || ending.is_some());
    // They may have met since.
    if waits_long && seen.waits.is_some() && seen.meetings == meetings {
        seen.absent = absent;
    }
    Ok(())
}

/// The first rank that has come to fewer meetings.
fn absent(store: &Store, size: usize, meetings: i64) -> Result<Option<usize>, Problem> {
    for rank in 0..size {
        let come = store.get(&format!("meetings/{rank}"))?;
        if come.is_some_and(|come| come.parse().is_ok_and(|come: i64| come < meetings)) {
            return Ok(Some(rank));
        }
    }
    Ok(None)
}

/// Until it holds; `false` where it did not in that time.
pub(super) fn wait(patience: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + patience;
    loop {
        if holds() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        sleep(Duration::from_millis(10));
    }
}

fn held(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
