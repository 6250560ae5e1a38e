//! Tests that need something which may not be there: a Python with Keras and PyTorch, a browser, a
//! file system that may be mounted. The harness knows only tests that pass, so each says that it was
//! skipped in a line of its own, which `scripts/test.sh` counts as skipped instead of passed.

#![allow(dead_code)] // each test binary uses its own part

use std::io::Write;
use std::panic::Location;
use std::path::PathBuf;

/// How such a line begins.
const SKIPPED: &str = "!! SKIPPED";

/// Says that this test was skipped, and what it needs; it then has to return. A test may say so more
/// than once.
#[track_caller]
pub fn skipped(why: &str) {
    let thread = std::thread::current();
    let place = Location::caller();
    let test = thread.name().unwrap_or("a test");
    // At once, so that no other line comes between; and around the harness, which hides what a test
    // prints that passes.
    let line = format!("\n{SKIPPED} {test} ({}): {why}\n", place.file());
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// The interpreter that CONVAE_PYTHON names, or a word that the test was skipped.
#[track_caller]
pub fn python() -> Option<PathBuf> {
    let python = std::env::var_os("CONVAE_PYTHON").map(PathBuf::from);
    if python.is_none() {
        skipped("CONVAE_PYTHON names no Python");
    }
    python
}
