//! The processes of one training on this machine: starts them, and sees to it that all end when one does.

mod child;

use std::ffi::OsString;
use std::net::TcpListener;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::system::exit;
use crate::system::interrupt;
use child::{Child, Ending};

/// How often they are looked at.
const LOOK: Duration = Duration::from_millis(20);
/// What the others have to find out by themselves that one is lost, and to say so; then they are ended.
const GRACE: Duration = Duration::from_secs(12);
/// The same for followers once rank 0 has ended, as they write nothing.
const FOLLOWERS: Duration = Duration::from_millis(500);
/// The same for the last one, when others have found out who is lost.
const LAST: Duration = Duration::from_secs(5);

/// What each process is called with, and how many there are.
#[derive(Debug)]
pub struct Call {
    /// All of a rank's arguments.
    pub arguments: Vec<OsString>,
    /// Ranks.
    pub count: usize,
}

/// How they ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All with this exit code, 0 or that of an interruption.
    Ended(u8),
    /// One of them has failed.
    Failed {
        /// To end with.
        code: u8,
        /// Which one, and why.
        sentence: String,
        /// Whether the sentence says all there is to say; else the last checkpoint is not named yet.
        is_whole: bool,
    },
}

/// Starts the processes, and waits until all have ended. Ctrl-C is passed on to each, once.
///
/// # Errors
/// When one cannot be started.
pub fn supervise(call: &Call) -> anyhow::Result<Outcome> {
    let mut children = start(call)?;
    // In the order in which they ended.
    let mut endings: Vec<(usize, Ending)> = Vec::new();
    let mut first_failure: Option<Instant> = None;
    let (mut without_first, mut last_one): (Option<Instant>, Option<Instant>) = (None, None);
    while endings.len() < children.len() {
        for (rank, child) in children.iter_mut().enumerate() {
            if interrupt::requested() {
                child.stop();
            }
            if endings.iter().any(|(ended, _)| *ended == rank) {
                continue;
            }
            if let Some(ending) = child.look()? {
                if ending.is_failure() {
                    first_failure.get_or_insert_with(Instant::now);
                }
                endings.push((rank, ending));
            } else if is_over(first_failure, GRACE)
                || is_over(without_first, FOLLOWERS)
                || is_over(last_one, LAST)
            {
                child.kill();
            }
        }
        let first_ended = endings.iter().any(|(rank, _)| *rank == 0);
        // Whoever ends by itself has found out who is lost; a killed one alone says nothing of the rest.
        let told = endings.iter().any(|(_, ending)| matches!(ending, Ending::Failed { .. }));
        let left = children.len() - endings.len();
        if first_failure.is_some() && first_ended {
            without_first.get_or_insert_with(Instant::now);
        }
        if told && left == 1 {
            last_one.get_or_insert_with(Instant::now);
        }
        sleep(LOOK);
    }
    Ok(judge(endings))
}

fn is_over(since: Option<Instant>, time: Duration) -> bool {
    since.is_some_and(|since| since.elapsed() > time)
}

fn start(call: &Call) -> anyhow::Result<Vec<Child>> {
    // Free now, and most probably when rank 0 takes it.
    let port = TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr());
    let port = port.context("no port of this machine is free")?.port();
    let mut children = Vec::with_capacity(call.count);
    for rank in 0..call.count {
        let child = Child::start(&call.arguments, rank, call.count, port);
        children.push(child.with_context(|| format!("rank {rank} cannot be started"))?);
    }
    Ok(children)
}

/// What is to be said of all endings, of which the first failures say most.
fn judge(mut endings: Vec<(usize, Ending)>) -> Outcome {
    let killed = endings.iter().find_map(|(rank, ending)| match ending {
        Ending::Signal(signal) => Some((*rank, *signal)),
        _ => None,
    });
    if let Some((rank, signal)) = killed {
        let memory = if signal == child::KILL { ", as it does when memory runs out" } else { "" };
        let sentence = format!("the system ended rank {rank} with signal {signal}{memory}");
        return Outcome::Failed { code: exit::FAILED, sentence, is_whole: false };
    }
    // Of several that say why, rank 0, whose sentence names the checkpoint that it wrote.
    endings.sort_by_key(|(rank, ending)| {
        (!matches!(ending, Ending::Failed { said: Some(_), .. }), *rank)
    });
    for (rank, ending) in &endings {
        if let Ending::Failed { code, said } = ending {
            let told = said.clone();
            let sentence =
                told.unwrap_or_else(|| format!("rank {rank} ended with exit code {code}"));
            return Outcome::Failed { code: *code, sentence, is_whole: said.is_some() };
        }
    }
    let interrupted = endings.iter().any(|(_, ending)| *ending == Ending::Interrupted);
    Outcome::Ended(if interrupted { exit::INTERRUPTED } else { 0 })
}

impl Drop for Child {
    /// None outlives whoever looks after it.
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(code: u8, said: Option<&str>) -> Ending {
        Ending::Failed { code, said: said.map(str::to_owned) }
    }

    fn sentence(endings: Vec<(usize, Ending)>) -> (String, bool) {
        match judge(endings) {
            Outcome::Failed { sentence, is_whole, .. } => (sentence, is_whole),
            Outcome::Ended(code) => panic!("it ended with {code}"),
        }
    }

    #[test]
    fn one_sentence_is_made_of_what_all_say() {
        let lost = || failed(1, Some("rank 2 is gone; the last checkpoint is c"));
        let (said, is_whole) = sentence(vec![(2, Ending::Signal(9)), (1, lost()), (0, lost())]);
        assert!(said.starts_with("the system ended rank 2 with signal 9") && !is_whole, "{said}");
        let own = || failed(2, Some("no such file"));
        assert_eq!(
            sentence(vec![(1, own()), (0, lost())]).0,
            "rank 2 is gone; the last checkpoint is c"
        );
        assert_eq!(
            sentence(vec![(1, own()), (0, Ending::Finished)]),
            ("no such file".to_owned(), true)
        );
        assert_eq!(sentence(vec![(0, failed(7, None)), (1, own())]).0, "no such file");
        assert_eq!(sentence(vec![(0, failed(7, None))]).0, "rank 0 ended with exit code 7");
    }

    #[test]
    fn without_a_failure_the_code_tells_whether_it_was_interrupted() {
        let all = |last| judge(vec![(0, Ending::Finished), (1, last)]);
        assert_eq!(all(Ending::Finished), Outcome::Ended(0));
        assert_eq!(all(Ending::Interrupted), Outcome::Ended(exit::INTERRUPTED));
    }
}
