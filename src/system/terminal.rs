//! Printing. What a command is asked for must arrive, or it failed; what it says while it works is
//! for whoever reads it, and a reader that has gone must not cost the work. All text passes here, and
//! leaves without control characters, which names of files could bring to a terminal.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{ErrorKind, Write, stderr, stdout};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::anyhow;

use crate::system::plain_text::{self, one_line};

/// Prints the result that a command is for, a text of lines.
///
/// # Errors
/// When it cannot be written.
pub fn print(text: &str) -> anyhow::Result<()> {
    print_bytes(plain_text::lines(text).as_bytes())
}

/// Prints a JSON document.
///
/// # Errors
/// When it cannot be written.
pub fn print_json(document: &str) -> anyhow::Result<()> {
    print_bytes(plain_text::json(document).as_bytes())
}

/// The same of a result that is no text.
///
/// # Errors
/// When it cannot be written.
pub fn print_bytes(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => anyhow!("whoever read the output stopped before its end"),
        _ => anyhow!("the output cannot be written: {error}"),
    })
}

/// Whether this process leaves talking to another one.
static IS_QUIET: AtomicBool = AtomicBool::new(false);
/// Which of several processes speaks, where that is said: its rank, counted from 1.
static SPEAKER: AtomicUsize = AtomicUsize::new(0);

/// From now on, lines about the work under way are left to another process.
pub fn be_quiet() {
    IS_QUIET.store(true, Ordering::Relaxed);
}

/// From now on, what goes wrong is said again, in the name of this rank.
pub fn speak_as(rank: usize) {
    SPEAKER.store(rank + 1, Ordering::Relaxed);
    IS_QUIET.store(false, Ordering::Relaxed);
}

/// How [`complain`] begins what a rank says: `convae: rank 2: `.
#[must_use]
pub fn said_by(rank: usize) -> String {
    format!("convae: rank {rank}: ")
}

/// Prints a line about the work under way.
pub fn note(line: fmt::Arguments<'_>) {
    if IS_QUIET.load(Ordering::Relaxed) {
        return;
    }
    let _ = writeln!(stdout(), "{}", one_line(&line.to_string()));
}

/// Prints several things that went wrong, a line each.
pub fn complain_of_all<T: fmt::Display>(what: fmt::Arguments<'_>, all: &[T]) {
    complain(what);
    for one in all {
        let _ = writeln!(stderr(), "  {}", one_line(&one.to_string()));
    }
}

/// The same of what may be met again, as a file is by each part of the work that opens it: said the first time.
pub fn complain_once(line: fmt::Arguments<'_>) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let is_new = SAID.lock().unwrap_or_else(PoisonError::into_inner).insert(line.to_string());
    if is_new {
        complain(line);
    }
}

/// Prints a line about something that went wrong.
pub fn complain(line: fmt::Arguments<'_>) {
    if IS_QUIET.load(Ordering::Relaxed) {
        return;
    }
    let start = match SPEAKER.load(Ordering::Relaxed) {
        0 => "convae: ".to_owned(),
        speaker => said_by(speaker - 1),
    };
    let _ = writeln!(stderr(), "{start}{}", one_line(&line.to_string()));
}
