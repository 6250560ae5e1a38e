//! Opening a file that a user named: a pipe would wait for its writer, and a folder has no bytes.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::Path;

/// Why there is nothing to read.
#[derive(Debug)]
pub(crate) enum NotOpened {
    /// Nothing is there.
    Missing,
    /// It is a folder.
    Directory,
    /// It is a pipe, a socket or a device.
    Special,
    /// The system refuses.
    Read(io::Error),
}

/// Opens a regular file.
pub(crate) fn open(path: &Path) -> Result<File, NotOpened> {
    let kind = fs::metadata(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => NotOpened::Missing,
        _ => NotOpened::Read(error),
    })?;
    if kind.is_dir() {
        return Err(NotOpened::Directory);
    }
    if !kind.is_file() {
        return Err(NotOpened::Special);
    }
    File::open(path).map_err(NotOpened::Read)
}
