//! Printing. What a command is asked for must arrive, or it failed; what it says while it works is
//! for whoever reads it, and a reader that has gone must not cost the work.

use std::fmt;
use std::io::{ErrorKind, Write, stderr, stdout};

use anyhow::anyhow;

/// Prints the result that a command is for.
///
/// # Errors
/// When it cannot be written.
pub fn print(text: &str) -> anyhow::Result<()> {
    print_bytes(text.as_bytes())
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

/// Prints a line about the work under way.
pub fn note(line: fmt::Arguments<'_>) {
    let _ = writeln!(stdout(), "{line}");
}

/// Prints a line about something that went wrong.
pub fn complain(line: fmt::Arguments<'_>) {
    let _ = writeln!(stderr(), "convae: {}", one_line(&line.to_string()));
}

/// Without control characters, which could come from a file's name and confuse a terminal.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() {
            line.extend(letter.escape_default());
        } else {
            line.push(letter);
        }
    }
    line
}
