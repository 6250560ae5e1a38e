//! A folder that a command is asked to write into.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use anyhow::Context;

use crate::system::atomic;
use crate::system::exit::UsageError;

/// Refuses a file, before the work begins.
///
/// # Errors
/// When something else than a folder is there.
pub fn check(path: &Path) -> Result<(), UsageError> {
    if path.exists() && !path.is_dir() {
        return Err(UsageError(format!("{} is a file; name a folder with --out", path.display())));
    }
    Ok(())
}

/// Makes the folder, and those above it, where they are not there yet.
///
/// # Errors
/// When the system refuses.
pub fn make(path: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(path).with_context(|| {
        format!("the folder {} cannot be made; name another one with --out", path.display())
    })
}

/// Writes a file into such a folder, whole or not at all.
///
/// # Errors
/// When the system refuses.
pub fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    atomic::write(path, |file| file.write_all(text.as_bytes())).with_context(|| {
        format!("{} cannot be written; name another folder with --out DIR", path.display())
    })
}

/// Makes a folder for some of the results inside `root`. That one is not made again where it has gone
/// meanwhile: the results that it held would be missing, and nobody told.
///
/// # Errors
/// When `root` is gone, and when the system refuses.
pub fn make_inside(root: &Path, folder: &Path) -> io::Result<()> {
    if !root.is_dir() {
        return Err(io::Error::new(ErrorKind::NotFound, "the folder for the results has vanished"));
    }
    fs::create_dir_all(folder)
}
