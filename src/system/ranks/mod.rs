//! Several processes that train one model together, on one machine or on many: which one this is ([`Place`]), sums over
//! all of them, and who is to blame when one is lost. Of it all, [`Ranks`] is what others use.
//!
//! A slow rank is waited for while it shows signs of life; one that shows none for `train.distributed_timeout` is lost, and
//! the training with it. So is one that lives, but for which the others have waited thirty times as long.

mod group;
mod nccl;
mod place;
mod summed;
mod watch;

use std::fmt::Write as _;
use std::net::{TcpStream, ToSocketAddrs};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

pub use group::{Summand, is_built};
pub use nccl::sums_on_gpus;
pub use place::{Apart, Place};

use anyhow::anyhow;

use crate::system::exit::UsageError;
use crate::system::interrupt;
use group::{Group, Problem, Store};
use nccl::Nccl;
use tch::Tensor;
use watch::{Ending, Watch, wait};

/// A rank that shows no sign of life for so long, when something went wrong, is what went wrong.
const SILENCE: Duration = Duration::from_secs(2);
/// A rank that finds nobody to blame for so long takes over what another one found.
const HEARSAY: Duration = Duration::from_secs(3);
/// How long an ending rank waits for the others to hear why.
const FAREWELL: Duration = Duration::from_secs(5);
/// Rank 0 has patience for so much longer than the others, who would else lose the store that it serves.
const LONGER: Duration = Duration::from_secs(2);
/// So long no rank waits for another that does its work: longer than what rank 0 writes between two steps, and than what
/// shares of a validation or an evaluation differ by on unequal machines.
fn patience(timeout: Duration) -> Duration {
    if cfg!(test) { 2 * timeout } else { 30 * timeout.max(Duration::from_secs(60)) }
}

/// Between two looks at who has come.
const LOOK: Duration = Duration::from_millis(50);

/// Another rank is lost, or has failed: a sentence that names it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct Lost(pub String);

/// What a rank takes of a batch: contiguous parts, as equal as can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Counts from 0.
    pub rank: usize,
    /// Ranks.
    pub of: usize,
}

impl Share {
    /// Of a process that is alone.
    pub const ALL: Self = Self { rank: 0, of: 1 };

    /// Its part of so many; it may be empty.
    #[must_use]
    pub fn range(self, count: usize) -> Range<usize> {
        let start = |rank: usize| rank * count / self.of;
        start(self.rank)..start(self.rank + 1)
    }
}

/// The ways to add up numbers.
#[derive(Debug)]
struct Members {
    group: Group,
    /// Of tensors, where each rank has a GPU of its own.
    nccl: Option<Nccl>,
}

/// One of several processes that train together.
#[derive(Debug)]
pub struct Ranks {
    place: Place,
    timeout: Duration,
    /// Gone once they are lost or left.
    members: Mutex<Option<Members>>,
    lost: Mutex<Option<Lost>>,
    watch: Watch,
    /// What all have agreed on.
    stops: AtomicBool,
}

impl Ranks {
    /// Comes to the meeting, and waits for all others.
    ///
    /// # Errors
    /// When the port is taken or nobody is there, a rank does not come in time, comes twice, or expects another number of
    /// ranks.
    pub fn join(place: Place, timeout: Duration) -> Result<Self, UsageError> {
        let serves = place.rank == 0 && !place.is_served;
        if !serves {
            await_server(&place, timeout)?;
        }
        let longer = if serves { LONGER } else { Duration::ZERO };
        let limit = timeout + LONGER + FAREWELL;
        let (said, hears) = channel();
        let own = place.clone();
        // Who listens at a port may never answer, and then libtorch waits for ever.
        thread::spawn(move || said.send(meet(&own, serves, (timeout, longer))));
        let (store, group) = hears.recv_timeout(limit).unwrap_or_else(|_| {
            Err(UsageError(format!(
                "whoever listens at {} gave no answer within {} s; give all ranks the same MASTER_ADDR and MASTER_PORT, a port \
                 that nobody else uses",
                place.meeting(),
                limit.as_secs_f64()
            )))
        })?;
        let watch = Watch::begin(Arc::new(store), place.rank, place.size, patience(timeout));
        Ok(Self {
            timeout,
            members: Mutex::new(Some(Members { group, nccl: None })),
            lost: Mutex::default(),
            watch,
            stops: AtomicBool::new(false),
            place,
        })
    }

    /// Which one this is, and how many there are.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What this one takes of each batch.
    #[must_use]
    pub fn share(&self) -> Share {
        self.place.share()
    }

    /// Whether it is the one that writes and talks.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.place.rank == 0
    }

    /// The sums of what all bring, of which all must bring as many, in its place. All get the same bits.
    ///
    /// # Errors
    /// When a rank is lost or has failed; there is nothing in `values` then.
    pub fn sum<T: Summand>(&self, values: &mut Vec<T>) -> Result<(), Lost> {
        let brought = std::mem::take(values);
        *values = self.together(|members| members.group.sum(brought, || !self.is_overdue()))?;
        Ok(())
    }

    /// From here on [`Ranks::sum_tensor`] adds up on the GPUs, of which each rank names its own.
    ///
    /// # Errors
    /// As [`Ranks::sum`]; and in NCCL's words, where the GPUs do not meet in time.
    pub fn join_gpus(&self, device: usize) -> anyhow::Result<()> {
        let refused =
            |problem: Problem| anyhow!("the GPUs of the processes do not meet ({problem})");
        let invitation = if self.is_first() { Nccl::invite() } else { Ok(Vec::new()) };
        let invitation = self.share_out(invitation.map_err(refused)?)?;
        let (place, end) = ((self.place.rank, self.place.size), Instant::now() + self.timeout);
        let goes_on = || !self.has_lost_one() && Instant::now() < end;
        let joined = Nccl::join(device, &invitation, place, goes_on);
        self.together(|members| match joined {
            Err(problem) if self.has_lost_one() => Err(problem),
            joined => Ok(joined.map(|nccl| members.nccl = Some(nccl))),
        })?
        .map_err(refused)
    }

    /// Whether the ranks have joined their GPUs.
    #[must_use]
    pub fn have_gpus(&self) -> bool {
        held(&self.members).as_ref().is_some_and(|members| members.nccl.is_some())
    }

    /// As [`Ranks::sum`] of a tensor's values, `(N,)`, on the GPU that this rank has joined with.
    ///
    /// # Errors
    /// When a rank is lost or has failed; what `values` hold then is nothing of use.
    pub fn sum_tensor(&self, values: &mut Tensor) -> Result<(), Lost> {
        self.together(|members| match &mut members.nccl {
            Some(nccl) => nccl.sum(values, || !self.has_lost_one()),
            None => Err("the GPUs have not been joined".to_owned()),
        })
    }

    /// What each rank brings, of which all must bring as many, rank after rank, to the last bit.
    ///
    /// # Errors
    /// As [`Ranks::sum`].
    pub fn gather(&self, own: &[f64]) -> Result<Vec<f64>, Lost> {
        let mut all = vec![0.0; own.len() * self.place.size];
        all[self.place.rank * own.len()..][..own.len()].copy_from_slice(own);
        self.sum(&mut all)?;
        Ok(all)
    }

    /// The bytes that rank 0 brings; what others bring does not matter.
    ///
    /// # Errors
    /// As [`Ranks::sum`].
    pub fn share_out(&self, bytes: Vec<u8>) -> Result<Vec<u8>, Lost> {
        let own = if self.is_first() { bytes.len() as f64 } else { 0.0 };
        let length = self.gather(&[own])?[0] as usize;
        let room = if self.is_first() { bytes } else { vec![0; length] };
        self.together(|members| members.group.copy(room, || !self.is_overdue()))
    }

    /// 1 where this process was asked to stop: for the others, who stop after the same step.
    #[must_use]
    pub fn wants_stop(&self) -> f64 {
        f64::from(u8::from(interrupt::requested()))
    }

    /// Takes over whether any rank wants to stop.
    pub fn agree_on_stop(&self, any: bool) {
        self.stops.store(any, Ordering::Relaxed);
    }

    /// Whether all have agreed to stop.
    #[must_use]
    pub fn stops(&self) -> bool {
        self.stops.load(Ordering::Relaxed)
    }

    fn together<R>(
        &self,
        work: impl FnOnce(&mut Members) -> Result<R, Problem>,
    ) -> Result<R, Lost> {
        let mut all = held(&self.members);
        let Some(members) = all.as_mut() else {
            let lost = held(&self.lost).clone();
            return Err(
                lost.unwrap_or_else(|| Lost("the processes have parted already".to_owned()))
            );
        };
        self.watch.comes();
        let done = work(members).map_err(|problem| {
            let lost = self.explain(&problem);
            *held(&self.lost) = Some(lost.clone());
            // Not left: its threads may still wait for the one that is lost, and who waits for them waits as well.
            *all = None;
            lost
        });
        self.watch.goes();
        done
    }

    /// Whether a rank has shown no sign of life, or done nothing, for too long; or the store has not answered.
    fn is_overdue(&self) -> bool {
        let (silence, is_gone) = self.watch.store();
        let is_silent = || self.watch.silent(self.timeout).is_some();
        is_gone || silence >= self.timeout || is_silent() || self.watch.absent().is_some()
    }

    /// The same, or a rank has said that it failed or lost another. NCCL does not notice by itself, as gloo does, whose
    /// connections break then.
    fn has_lost_one(&self) -> bool {
        self.is_overdue() || self.watch.is_broken()
    }

    /// Who is to blame for what has failed.
    fn explain(&self, problem: &str) -> Lost {
        let most = self.timeout + FAREWELL;
        let (began, mut lost) = (Instant::now(), None);
        wait(most, || {
            lost = self.blame(began.elapsed() > HEARSAY);
            lost.is_some()
        });
        let lost = lost.unwrap_or_else(|| {
            Lost(format!("the connection between the processes failed ({problem}), and all of them still live"))
        });
        self.watch.say(Ending::Lost(lost.0.clone()), LONGER);
        lost
    }

    /// What others say of a rank that they have lost counts where `is_late`, or they can no longer be asked.
    fn blame(&self, is_late: bool) -> Option<Lost> {
        let (silence, is_gone) = self.watch.store();
        let hearsay = || self.watch.lost(self.place.rank).filter(|_| is_late || is_gone);
        if let Some((rank, sentence)) = self.watch.failed().or_else(hearsay) {
            return Some(Lost(format!("rank {rank} ended: {sentence}")));
        }
        if is_gone {
            return Some(Lost(if self.place.is_served {
                format!("what started the processes no longer answers at {}", self.place.meeting())
            } else {
                "rank 0 is gone".to_owned()
            }));
        }
        let seconds = self.timeout.as_secs_f64();
        if silence >= self.timeout && !self.place.is_served {
            return Some(Lost(format!("rank 0 has given no sign of life for {seconds} s")));
        }
        if let Some(rank) = self.watch.absent() {
            let seconds = patience(self.timeout).as_secs_f64();
            return Some(Lost(format!(
                "rank {rank} shows signs of life, but was waited for in vain for {seconds} s"
            )));
        }
        let rank = self.watch.silent(self.timeout.min(SILENCE))?;
        let long = self.watch.silent(self.timeout) == Some(rank);
        Some(Lost(if long {
            format!("rank {rank} has given no sign of life for {seconds} s")
        } else {
            format!("rank {rank} is gone")
        }))
    }

    /// Training is over: waits until rank 0 has all that it needs of this one.
    pub fn finish(&self) {
        self.watch.say(Ending::Done, FAREWELL);
        if !self.is_first() {
            wait(self.timeout, || self.watch.has_ended(0));
        }
        self.part();
    }

    /// This rank ends by itself, and says why.
    pub fn fail(&self, sentence: &str) {
        if held(&self.lost).is_none() {
            self.watch.say(Ending::Failed(sentence.to_owned()), FAREWELL);
            self.part();
        }
    }

    fn part(&self) {
        if let Some(members) = held(&self.members).take() {
            members.group.leave();
        }
    }

    /// The last thing that a rank does: the one that serves the store stays until all have heard how it ended.
    pub fn end(&self) {
        if self.is_first() && !self.place.is_served {
            let size = self.place.size;
            wait(FAREWELL, || (1..size).all(|rank| self.watch.has_ended(rank)) || self.is_alone());
        }
        self.watch.end();
    }

    /// Whether whoever has not said an end is lost.
    fn is_alone(&self) -> bool {
        let silent = |rank| self.watch.has_ended(rank) || self.watch.silent(SILENCE) == Some(rank);
        held(&self.lost).is_some() && (1..self.place.size).all(silent)
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens the store, waits for all others there, and connects to them.
fn meet(
    place: &Place,
    serves: bool,
    (timeout, longer): (Duration, Duration),
) -> Result<(Store, Group), UsageError> {
    let meeting = place.meeting();
    let store = Store::open(&place.address, serves, timeout).map_err(|problem| {
        UsageError(if serves {
            format!("{meeting} cannot be served ({problem}); set MASTER_PORT to a port that is free there")
        } else {
            format!("nothing that speaks as rank 0 does was found at {meeting} ({problem}); give all ranks the same MASTER_PORT, one that nobody else uses")
        })
    })?;
    await_all(&store, place, (timeout, longer))?;
    let network = std::env::var("GLOO_SOCKET_IFNAME").unwrap_or_default();
    let network = network.split(',').next().unwrap_or_default();
    let members = (place.rank, place.size);
    let group = Group::join(&store, members, place.is_local(), network, timeout);
    let group = group.map_err(|problem| {
        UsageError(format!(
            "the {} processes cannot connect to each other ({problem}); name the network's interface in \
             GLOO_SOCKET_IFNAME, and open its ports between the machines",
            place.size
        ))
    })?;
    Ok((store, group))
}

/// Until somebody listens at the meeting.
fn await_server(place: &Place, timeout: Duration) -> Result<(), UsageError> {
    let end = Instant::now() + timeout;
    let mut problem = String::new();
    while Instant::now() < end {
        match reach(place) {
            Ok(()) => return Ok(()),
            Err(error) => problem = error.to_string(),
        }
        sleep(LOOK);
    }
    Err(UsageError(format!(
        "nobody was found at {} within {} s ({problem}); start rank 0 there, and give all ranks its MASTER_ADDR and MASTER_PORT",
        place.meeting(),
        timeout.as_secs_f64()
    )))
}

fn reach(place: &Place) -> std::io::Result<()> {
    let addresses = (place.address.host.as_str(), place.address.port).to_socket_addrs()?;
    let mut outcome = Err(std::io::Error::other("the name has no address"));
    for address in addresses {
        outcome = TcpStream::connect_timeout(&address, Duration::from_secs(2)).map(drop);
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

/// Until all ranks have said that they are there, and expect the same.
fn await_all(
    store: &Store,
    place: &Place,
    (timeout, longer): (Duration, Duration),
) -> Result<(), UsageError> {
    let Place { rank, size, .. } = *place;
    let meeting = place.meeting();
    let gone = |problem: Problem| {
        UsageError(format!(
            "the meeting at {meeting} is over ({problem}); see what rank 0 said, and start all ranks again"
        ))
    };
    if store.add(&format!("taken/{rank}"), 1).map_err(gone)? > 1 {
        return Err(UsageError(format!(
            "two processes say that they are rank {rank}; give each another RANK, or another MASTER_PORT to each training"
        )));
    }
    store.set(&format!("size/{rank}"), &size.to_string()).map_err(gone)?;
    let end = Instant::now() + timeout + longer;
    let mut missing: Vec<usize> = (0..size).collect();
    loop {
        let mut left = Vec::new();
        for other in missing {
            match store.get(&format!("size/{other}")).map_err(gone)? {
                None => left.push(other),
                Some(said) if said != size.to_string() => {
                    return Err(UsageError(format!(
                        "WORLD_SIZE is {size} for rank {rank} and {said} for rank {other}; give all the same"
                    )));
                }
                Some(_) => {}
            }
        }
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() >= end {
            return Err(UsageError(format!(
                "{} of {size} did not come to {meeting} within {} s (train.distributed_timeout); start all ranks at about the \
                 same time, each with its own RANK",
                in_words(&left),
                timeout.as_secs_f64()
            )));
        }
        missing = left;
        sleep(LOOK);
    }
}

/// `rank 1`, `ranks 1, 2`; no more than a few of them.
fn in_words(ranks: &[usize]) -> String {
    const NAMED: usize = 8;
    let mut text = format!("rank{} ", if ranks.len() == 1 { "" } else { "s" });
    for (place, rank) in ranks.iter().take(NAMED).enumerate() {
        let _ = write!(text, "{}{rank}", if place == 0 { "" } else { ", " });
    }
    if ranks.len() > NAMED {
        let _ = write!(text, " and {} more", ranks.len() - NAMED);
    }
    text
}

/// Processes of a training that share this machine.
static NEIGHBOURS: AtomicUsize = AtomicUsize::new(1);

/// From now on this process leaves cores to so many others, itself among them.
pub fn share_cores(processes: usize) {
    NEIGHBOURS.store(processes.max(1), Ordering::Relaxed);
}

/// Cores for this process, at least 1.
#[must_use]
pub fn cores() -> usize {
    let all = std::thread::available_parallelism().map_or(1, usize::from);
    (all / neighbours()).max(1)
}

/// Processes of a training that share this machine, this one among them.
#[must_use]
pub fn neighbours() -> usize {
    NEIGHBOURS.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    const SHORT: Duration = Duration::from_secs(3);

    /// A port that was free a moment ago.
    fn port() -> u16 {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
    }

    /// What each of so many ranks makes of it, each on a thread of its own.
    fn each<R: Send>(size: usize, work: impl Fn(Ranks) -> R + Sync) -> Vec<R> {
        let port = port();
        thread::scope(|scope| {
            let (work, ranks) = (&work, 0..size);
            let join = |rank| Ranks::join(Place::local(rank, size, port), SHORT).unwrap();
            let threads: Vec<_> = ranks.map(|rank| scope.spawn(move || work(join(rank)))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    }

    #[test]
    fn whoever_listens_and_never_answers_is_not_waited_for() {
        let mute = TcpListener::bind("127.0.0.1:0").unwrap();
        let place = Place::local(1, 2, mute.local_addr().unwrap().port());
        let problem = Ranks::join(place, Duration::from_secs(1)).unwrap_err().to_string();
        assert!(problem.contains("gave no answer"), "{problem}");
    }

    #[test]
    fn shares_are_contiguous_and_as_equal_as_can_be() {
        for (count, of, wanted) in [(10, 3, vec![0..3, 3..6, 6..10]), (1, 2, vec![0..0, 0..1])] {
            let shares: Vec<_> = (0..of).map(|rank| Share { rank, of }.range(count)).collect();
            assert_eq!(shares, wanted);
        }
        assert_eq!(Share::ALL.range(7), 0..7);
    }

    #[test]
    fn three_add_up_to_the_same_bits_and_see_what_each_brought() {
        if !is_built() {
            return;
        }
        let all = each(3, |ranks| {
            let rank = ranks.place().rank;
            let mut wide: Vec<f64> =
                (0..1000).map(|i| 0.1 + f64::from(i) / (rank as f64 + 3.0)).collect();
            let mut single: Vec<f32> = wide.iter().map(|&value| value as f32).collect();
            ranks.sum(&mut wide).unwrap();
            ranks.sum(&mut single).unwrap();
            let seen = ranks.gather(&[rank as f64, -0.0]).unwrap();
            let own = if rank == 0 { b"from rank 0".to_vec() } else { Vec::new() };
            let bytes = ranks.share_out(own).unwrap();
            ranks.finish();
            ranks.end();
            (wide, single, seen, bytes)
        });
        for (wide, single, seen, bytes) in &all {
            assert_eq!((wide, single), (&all[0].0, &all[0].1));
            assert_eq!(seen[..], [0.0, 0.0, 1.0, 0.0, 2.0, 0.0]);
            assert_eq!(bytes, b"from rank 0");
        }
        let wanted = |i: f64| 0.3 + i / 3.0 + i / 4.0 + i / 5.0;
        assert!((all[0].0[999] - wanted(999.0)).abs() < 1e-12);
        assert!((f64::from(all[0].1[7]) - wanted(7.0)).abs() < 1e-6);
    }

    #[test]
    fn a_rank_that_fails_is_named_with_its_sentence_to_all_others() {
        if !is_built() {
            return;
        }
        for fails in [0, 1] {
            let all = each(3, |ranks| {
                let mut values = vec![1.0_f64];
                ranks.sum(&mut values).unwrap();
                let outcome = if ranks.place().rank == fails {
                    ranks.fail("the disk is full");
                    None
                } else {
                    let lost = ranks.sum(&mut values).unwrap_err();
                    assert!(ranks.sum(&mut values).is_err(), "a lost group stays lost");
                    Some(lost.to_string())
                };
                ranks.end();
                outcome
            });
            let wanted = Some(format!("rank {fails} ended: the disk is full"));
            let others = (0..3).filter(|&rank| rank != fails);
            for rank in others {
                assert_eq!(all[rank], wanted);
            }
        }
    }

    #[test]
    fn a_rank_that_shows_no_sign_of_life_is_named() {
        if !is_built() {
            return;
        }
        let all = each(2, |ranks| {
            if ranks.place().rank == 1 {
                // As a process that was stopped, whose connections stay open.
                ranks.watch.end();
                sleep(2 * SHORT);
                return None;
            }
            let lost = ranks.sum(&mut vec![1.0_f32]).unwrap_err();
            ranks.end();
            Some(lost.to_string())
        });
        assert_eq!(all[0].as_deref(), Some("rank 1 has given no sign of life for 3 s"));
    }

    #[test]
    fn a_rank_that_lives_but_never_comes_is_named_also_by_who_only_hears_of_it() {
        if !is_built() {
            return;
        }
        let has_ended = &AtomicBool::new(false);
        let all = each(3, |ranks| {
            let mut values = vec![1.0_f32];
            ranks.sum(&mut values).unwrap();
            if ranks.place().rank == 1 {
                // As one whose disk no longer answers.
                while !has_ended.load(Ordering::Relaxed) {
                    sleep(LOOK);
                }
                ranks.end();
                return None;
            }
            if ranks.is_first() {
                sleep(SHORT);
            }
            let lost = ranks.sum(&mut values).unwrap_err();
            let told = ranks.blame(true).filter(|_| ranks.is_first());
            has_ended.store(ranks.is_first(), Ordering::Relaxed);
            ranks.end();
            Some((lost.to_string(), told.map(|told| told.to_string())))
        });
        let wanted = "rank 1 shows signs of life, but was waited for in vain for 6 s";
        let heard = format!("rank 2 ended: {wanted}");
        assert_eq!(all[0], Some((wanted.to_owned(), Some(heard))));
        assert_eq!(all[2], Some((wanted.to_owned(), None)));
    }

    #[test]
    fn a_rank_that_does_not_come_or_comes_twice_is_named() {
        if !is_built() {
            return;
        }
        let short = Duration::from_millis(300);
        let join =
            |rank, size, port| Ranks::join(Place::local(rank, size, port), short).unwrap_err().0;
        let sentence = join(1, 2, port());
        assert!(sentence.contains("nobody was found at 127.0.0.1:"), "{sentence}");
        let sentence = join(0, 3, port());
        assert!(sentence.contains("ranks 1, 2 of 3 did not come"), "{sentence}");

        let (port, twice) = (port(), |size| move |port| join(1, size, port));
        let sentences: Vec<String> = thread::scope(|scope| {
            let first = scope.spawn(|| join(0, 3, port));
            let others = [twice(3), twice(3)].map(|join| scope.spawn(move || join(port)));
            [first].into_iter().chain(others).map(|thread| thread.join().unwrap()).collect()
        });
        assert!(
            sentences.iter().any(|said| said.contains("two processes say that they are rank 1")),
            "{sentences:?}"
        );
    }
}
