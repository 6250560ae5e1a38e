//! One run of a sweep as a process: how it is called, what it says, how it ended.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{self, ChildStdin, Command, ExitStatus, Stdio};

use crate::system::child::{LIBTORCH_THREADS, this_program};
use crate::system::exit;

/// How a run's error begins on its log.
const ERROR: &str = "convae: ";

/// A run at work.
#[derive(Debug)]
pub(super) struct Child {
    process: process::Child,
    /// Held open while the run is to go on.
    leash: Option<ChildStdin>,
    log: Log,
}

/// How a run ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Finished,
    /// It was stopped, and saved what it had learned.
    Interrupted,
    /// Why, in one sentence.
    Failed(String),
}

/// The call that trains the run in `folder`, whose config lies there already.
fn arguments_of_a_run(folder: &Path) -> Vec<OsString> {
    let config = folder.join("config.toml");
    vec![
        "--config".into(),
        config.into(),
        "--out".into(),
        folder.into(),
        "--resume".into(),
        "--attended".into(),
    ]
}

impl Child {
    /// Starts the run in `folder`, whose config lies there already; `threads` is for libtorch, where
    /// the user has not decided that.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn start(folder: &Path, log: Log, threads: Option<usize>) -> io::Result<Self> {
        let mut command = Command::new(this_program()?);
        command
            .arg0("convae")
            .args(arguments_of_a_run(folder))
            .stdin(Stdio::piped())
            .stdout(log.written.try_clone()?)
            .stderr(log.written.try_clone()?)
            // A Ctrl-C at the terminal is for the sweep, which passes it on once.
            .process_group(0);
        if let (Some(threads), None) = (threads, std::env::var_os(LIBTORCH_THREADS)) {
            command.env(LIBTORCH_THREADS, threads.to_string());
        }
        let mut process = command.spawn()?;
        let leash = process.stdin.take();
        Ok(Self { process, leash, log })
    }

    /// Asks the run to save what it has learned, and to end.
    pub(super) fn stop(&mut self) {
        self.leash = None;
    }

    /// Lines that it has said since the last call, and how it ended, if it has.
    ///
    /// # Errors
    /// When the system does not know the process or its log any more.
    pub(super) fn look(&mut self) -> io::Result<(Vec<String>, Option<Ending>)> {
        // In this order: what it said before its end has then been read.
        let status = self.process.try_wait()?;
        let lines = self.log.new_lines()?;
        Ok((lines, status.map(|status| ending(status, self.log.error.take()))))
    }
}

fn ending(status: ExitStatus, error: Option<String>) -> Ending {
    match (status.code(), error) {
        (Some(0), _) => Ending::Finished,
        (Some(code), _) if code == i32::from(exit::INTERRUPTED) => Ending::Interrupted,
        (_, Some(error)) => Ending::Failed(error),
        (Some(code), None) => Ending::Failed(format!("it ended with exit code {code}")),
        (None, None) => {
            let signal = status.signal().unwrap_or_default();
            let memory = if signal == KILL { ", as it does when memory runs out" } else { "" };
            Ending::Failed(format!("the system ended it with signal {signal}{memory}"))
        }
    }
}

const KILL: i32 = signal_hook::consts::SIGKILL;

/// What a run says, read as it is written.
#[derive(Debug)]
pub(super) struct Log {
    /// For the run to write to. Locked while any process has it open.
    written: File,
    /// The same, to be read.
    read: File,
    /// The beginning of a line whose end is not written yet.
    rest: Vec<u8>,
    /// The last error.
    error: Option<String>,
}

impl Log {
    /// The log at `path`, to be read from its present end; `None` while a process that an earlier sweep
    /// left behind still writes to it.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        let written = OpenOptions::new().append(true).create(true).open(path)?;
        match written.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let mut read = File::open(path)?;
        read.seek(SeekFrom::End(0))?;
        Ok(Some(Self { written, read, rest: Vec::new(), error: None }))
    }

    fn new_lines(&mut self) -> io::Result<Vec<String>> {
        self.read.read_to_end(&mut self.rest)?;
        let mut lines = Vec::new();
        while let Some(end) = self.rest.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line[..end]).into_owned();
            if let Some(error) = line.strip_prefix(ERROR) {
                self.error = Some(error.to_owned());
            }
            lines.push(line);
        }
        Ok(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn lines_are_read_once_and_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.log");
        std::fs::write(&path, "convae: from an earlier call\n").unwrap();
        let mut log = Log::open(&path).unwrap().unwrap();
        log.written.write_all(b"one\ntw").unwrap();
        assert_eq!(log.new_lines().unwrap(), ["one"]);
        log.written.write_all(b"o\nconvae: the disk is full\n\xff\n").unwrap();
        assert_eq!(log.new_lines().unwrap(), ["two", "convae: the disk is full", "\u{fffd}"]);
        assert!(log.new_lines().unwrap().is_empty());
        assert_eq!(log.error.as_deref(), Some("the disk is full"));
    }

    #[test]
    fn a_log_that_another_run_still_writes_is_left_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.log");
        let log = Log::open(&path).unwrap().unwrap();
        let child = log.written.try_clone().unwrap();
        assert!(Log::open(&path).unwrap().is_none());
        drop(log);
        assert!(Log::open(&path).unwrap().is_none());
        drop(child);
        assert!(Log::open(&path).unwrap().is_some());
    }

    #[test]
    fn an_ending_is_told_by_code_signal_and_last_error() {
        let code = |code: i32| ExitStatus::from_raw(code << 8);
        assert_eq!(ending(code(0), None), Ending::Finished);
        assert_eq!(ending(code(130), None), Ending::Interrupted);
        let failed = |status, error: Option<&str>| match ending(status, error.map(str::to_owned)) {
            Ending::Failed(reason) => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(failed(code(1), Some("no space")), "no space");
        assert!(failed(code(101), None).contains("101"));
        assert!(failed(ExitStatus::from_raw(9), None).contains("memory"));
        assert!(failed(ExitStatus::from_raw(11), None).ends_with("signal 11"));
    }
}
