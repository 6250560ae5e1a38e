//! One of the processes: how it is started, what it says in the end, and how it ended.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write, stderr};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{self, ChildStderr, ChildStdin, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};

use crate::system::child::{LIBTORCH_THREADS, this_program};
use crate::system::exit;
use crate::system::terminal::said_by;

pub(super) const KILL: i32 = signal_hook::consts::SIGKILL;

/// A rank at work.
#[derive(Debug)]
pub(super) struct Child {
    process: process::Child,
    /// Held open while it is to go on.
    leash: Option<ChildStdin>,
    /// Gives what it said in the end.
    listener: Option<JoinHandle<Option<String>>>,
    /// Whether it was ended from here.
    is_killed: bool,
}

/// How a rank ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    Finished,
    /// It was stopped, as all were.
    Interrupted,
    /// With its exit code, and its sentence.
    Failed {
        code: u8,
        said: Option<String>,
    },
    /// Something outside has ended it.
    Signal(i32),
    /// It was ended from here, since another one had failed.
    Ended,
}

impl Ending {
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::Failed { .. } | Self::Signal(_))
    }
}

impl Child {
    /// Starts a rank of so many, who meet at a port of this machine.
    pub fn start(arguments: &[OsString], rank: usize, count: usize, port: u16) -> io::Result<Self> {
        let mut command = Command::new(this_program()?);
        command
            .arg0("convae")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(if rank == 0 { Stdio::inherit() } else { Stdio::null() })
            .stderr(Stdio::piped())
            // A Ctrl-C at the terminal is for whoever started it, who passes it on once.
            .process_group(0)
            .env("MASTER_ADDR", "127.0.0.1")
            .env("MASTER_PORT", port.to_string())
            // What a shell within torchrun has left would lead to a store that is not this one's.
            .env_remove("TORCHELASTIC_USE_AGENT_STORE")
            .env_remove("TORCHELASTIC_RESTART_COUNT");
        for name in ["RANK", "LOCAL_RANK"] {
            command.env(name, rank.to_string());
        }
        for name in ["WORLD_SIZE", "LOCAL_WORLD_SIZE"] {
            command.env(name, count.to_string());
        }
        if std::env::var_os(LIBTORCH_THREADS).is_none() {
            let cores = thread::available_parallelism().map_or(1, usize::from);
            command.env(LIBTORCH_THREADS, (cores / count).max(1).to_string());
        }
        let mut process = command.spawn()?;
        let leash = process.stdin.take();
        let heard = process.stderr.take();
        let listener = heard.map(|heard| thread::spawn(move || listen(heard, rank)));
        Ok(Self { process, leash, listener, is_killed: false })
    }

    /// Asks it to stop after its step.
    pub fn stop(&mut self) {
        self.leash = None;
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.is_killed = true;
        let _ = self.process.kill();
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// When the system does not know the process any more.
    pub fn look(&mut self) -> io::Result<Option<Ending>> {
        let Some(status) = self.process.try_wait()? else { return Ok(None) };
        let said = self.listener.take().and_then(|listener| listener.join().ok()).flatten();
        Ok(Some(ending(status, said, self.is_killed)))
    }
}

fn ending(status: ExitStatus, said: Option<String>, is_killed: bool) -> Ending {
    match status.code() {
        Some(0) => Ending::Finished,
        Some(code) if code == i32::from(exit::INTERRUPTED) => Ending::Interrupted,
        Some(code) => Ending::Failed { code: u8::try_from(code).unwrap_or(exit::FAILED), said },
        None if is_killed => Ending::Ended,
        None => Ending::Signal(status.signal().unwrap_or_default()),
    }
}

/// Passes on what rank 0 says, but for the sentence that a rank ends with, which is one of several that say the same.
fn listen(heard: ChildStderr, rank: usize) -> Option<String> {
    let start = said_by(rank);
    // Where a rank ends without a sentence of its own, as when memory runs out, its last line says most.
    let (mut last, mut line_of_others) = (None, None);
    for line in BufReader::new(heard).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).into_owned();
        if let Some(sentence) = line.strip_prefix(&start) {
            last = Some(sentence.to_owned());
        } else if rank == 0 {
            let _ = writeln!(stderr(), "{line}");
        } else if !line.trim().is_empty() {
            let line = line.strip_prefix("convae: ").unwrap_or(&line);
            line_of_others = Some(format!("rank {rank} ended: {line}"));
        }
    }
    last.or(line_of_others)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ending_is_told_by_code_and_signal() {
        let code = |code: i32| ending(ExitStatus::from_raw(code << 8), None, false);
        assert_eq!(code(0), Ending::Finished);
        assert_eq!(code(130), Ending::Interrupted);
        assert_eq!(code(2), Ending::Failed { code: 2, said: None });
        let signal = |is_killed| ending(ExitStatus::from_raw(9), None, is_killed);
        assert_eq!((signal(false), signal(true)), (Ending::Signal(9), Ending::Ended));
    }
}
