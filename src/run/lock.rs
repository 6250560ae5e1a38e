//! A run's folder belongs to one process at a time. The system gives the lock back when the process
//! ends, however it ends, so that nobody ever has to remove a stale one.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use anyhow::Context;

use crate::system::exit::UsageError;
use crate::system::terminal::complain;

/// Empty; only its lock matters.
pub const FILE: &str = "run.lock";

/// Holds a folder while it lives.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

impl RunLock {
    /// Takes the folder, which is there.
    ///
    /// # Errors
    /// When another process has it, or its lock's file cannot be made.
    pub fn take(dir: &Path) -> anyhow::Result<Self> {
        let path = dir.join(FILE);
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.with_context(|| {
            let path = path.display();
            format!(
                "{path} cannot be written; free some space, or name another folder with --out DIR"
            )
        })?;
        lock(&file, dir)?;
        Ok(Self { _file: file })
    }

    /// Refuses a folder that another process has, changing nothing.
    ///
    /// # Errors
    /// When one has it.
    pub fn check(dir: &Path) -> Result<(), UsageError> {
        // One that cannot be opened will be complained about where it is taken.
        OpenOptions::new().write(true).open(dir.join(FILE)).map_or(Ok(()), |file| lock(&file, dir))
    }
}

fn lock(file: &File, dir: &Path) -> Result<(), UsageError> {
    let dir = dir.display();
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(UsageError(format!(
            "another convae is training in {dir}; wait until it ends, or name another folder with --out \
             DIR"
        ))),
        Err(TryLockError::Error(error)) => {
            unlockable(&error, &dir);
            Ok(())
        }
    }
}

/// Some network file systems have no locks; a run there is better than none.
fn unlockable(error: &io::Error, dir: &std::path::Display<'_>) {
    complain(format_args!("{dir} cannot be locked ({error}), so do not train in it twice at once"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_held_by_one_and_free_again_after_it() {
        let dir = tempfile::tempdir().unwrap();
        assert!(RunLock::check(dir.path()).is_ok());
        let held = RunLock::take(dir.path()).unwrap();
        let refused = RunLock::take(dir.path()).unwrap_err();
        assert!(
            refused.is::<UsageError>() && refused.to_string().contains("another convae"),
            "{refused}"
        );
        assert!(RunLock::check(dir.path()).is_err());
        drop(held);
        assert!(RunLock::check(dir.path()).is_ok());
        RunLock::take(dir.path()).unwrap();
    }
}
