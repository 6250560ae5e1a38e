//! A folder that a command is asked to write into.

use std::fs;
use std::path::Path;

use anyhow::Context;

use crate::exit::Misuse;

/// Refuses a file, before the work begins.
///
/// # Errors
/// When something else than a folder is there.
pub fn check(path: &Path) -> Result<(), Misuse> {
    if path.exists() && !path.is_dir() {
        return Err(Misuse(format!("{} is a file; name a folder with --out", path.display())));
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
