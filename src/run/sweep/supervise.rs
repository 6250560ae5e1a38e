//! Runs the children: so many at once, until all have ended or the user stops them.

use std::collections::VecDeque;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::Context;

use super::child::{Child, Ending, Log};
use super::progress::Progress;
use super::{Record, State};
use crate::config::Config;
use crate::system::interrupt;
use crate::system::output_folder;
use crate::system::terminal as output;

/// How often the children are looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Why a run has ended that nobody here has stopped.
const STOPPED: &str = "something else stopped it; the same call again goes on with it";

/// A run to be trained.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its folder's name within the sweep's.
    pub name: String,
    /// All of its config. The user's file may change while others train.
    pub config: Config,
}

/// How the supervision ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Every run has ended, well or not.
    AllEnded,
    /// The user stopped it; the runs at work have saved what they learned.
    Interrupted,
}

/// A job at work.
struct Active {
    job: Job,
    child: Child,
    /// Whether it was asked to stop.
    stopped: bool,
}

/// Trains the jobs in their order, `at_once` at a time, and writes down what becomes of each. A
/// run that fails is reported, and the others go on.
///
/// # Errors
/// When the record cannot be written; the runs at work then save what they learned, and end.
pub fn supervise(
    folder: &Path,
    record: &mut Record,
    jobs: Vec<Job>,
    at_once: usize,
) -> anyhow::Result<Outcome> {
    let mut progress = Progress::new(&jobs);
    let mut waiting = VecDeque::from(jobs);
    let mut active: Vec<Active> = Vec::new();
    while !active.is_empty() || (!waiting.is_empty() && !interrupt::requested()) {
        while active.len() < at_once && !interrupt::requested() {
            let Some(job) = waiting.pop_front() else { break };
            match start(folder, &job) {
                Ok(Some(child)) => {
                    record.set(&job.name, State::Running, None);
                    record.write(folder)?;
                    progress.begins(&job.name);
                    active.push(Active { job, child, stopped: false });
                }
                Ok(None) => {
                    progress.waits_for(&job.name);
                    waiting.push_front(job);
                    break;
                }
                Err(error) => {
                    let ending = Ending::Failed(format!("it cannot be started: {error:#}"));
                    ends(folder, record, &mut progress, &job, ending)?;
                }
            }
        }
        sleep(LOOK);
        look(folder, record, &mut progress, &mut active)?;
    }
    progress.close();
    let cut_short =
        !waiting.is_empty() || record.runs.iter().any(|run| run.state == State::Interrupted);
    Ok(if interrupt::requested() && cut_short { Outcome::Interrupted } else { Outcome::AllEnded })
}

/// `None` while an earlier process still works for this run.
fn start(folder: &Path, job: &Job) -> anyhow::Result<Option<Child>> {
    let (run, logs) = (folder.join(&job.name), folder.join("logs"));
    for inside in [&run, &logs] {
        output_folder::make_inside(folder, inside).with_context(|| {
            format!(
                "the folder {} cannot be made; free some space, or name another one with --out",
                inside.display()
            )
        })?;
    }
    let Some(log) = Log::open(&logs.join(format!("{}.log", job.name)))? else { return Ok(None) };
    output_folder::write(&run.join("config.toml"), &job.config.to_toml())?;
    Ok(Some(Child::start(&run, log, job.config.train.threads)?))
}

/// What the runs at work have said, and which of them have ended.
fn look(
    folder: &Path,
    record: &mut Record,
    progress: &mut Progress,
    active: &mut Vec<Active>,
) -> anyhow::Result<()> {
    let mut at_work = Vec::new();
    for mut one in active.drain(..) {
        if interrupt::requested() && !one.stopped {
            one.child.stop();
            one.stopped = true;
            progress.stops(&one.job.name);
        }
        let (lines, ending) = one.child.look().unwrap_or_else(|error| {
            (vec![], Some(Ending::Failed(format!("what becomes of it cannot be known: {error}"))))
        });
        for line in lines {
            progress.says(&one.job.name, &line);
        }
        let ending = match ending {
            Some(Ending::Interrupted) if !one.stopped => Some(Ending::Failed(STOPPED.to_owned())),
            ending => ending,
        };
        match ending {
            Some(ending) => ends(folder, record, progress, &one.job, ending)?,
            None => at_work.push(one),
        }
    }
    *active = at_work;
    Ok(())
}

fn ends(
    folder: &Path,
    record: &mut Record,
    progress: &mut Progress,
    job: &Job,
    ending: Ending,
) -> anyhow::Result<()> {
    let (state, error) = match ending {
        Ending::Finished => (State::Finished, None),
        Ending::Interrupted => (State::Interrupted, None),
        Ending::Failed(reason) => (State::Failed, Some(reason)),
    };
    progress.ends(&job.name, state);
    if let Some(reason) = &error {
        progress.aside(|| output::complain(format_args!("{}: {reason}", job.name)));
    }
    record.set(&job.name, state, error);
    record.write(folder)
}
