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
/// When `root` is gone, when `folder` is not inside it, and when the system refuses.
pub fn make_inside(root: &Path, folder: &Path) -> io::Result<()> {
    let inside = folder.strip_prefix(root).map_err(io::Error::other)?;
    if !root.is_dir() {
        return Err(io::Error::new(ErrorKind::NotFound, "the folder for the results has vanished"));
    }
    make_below(root, inside)
}

/// Makes the folders of `inside`, one in another. Not `create_dir_all`: `root` may go at any moment, also after
/// somebody has looked.
fn make_below(root: &Path, inside: &Path) -> io::Result<()> {
    let mut folder = root.to_path_buf();
    for part in inside {
        folder.push(part);
        match fs::create_dir(&folder) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists || !folder.is_dir() => {
                return Err(error);
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_made_inside_and_a_root_that_goes_at_any_moment_stays_gone() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("out");
        for inside in ["", "a", "a/b"] {
            assert!(make_inside(&root, &root.join(inside)).is_err());
            assert_eq!(make_below(&root, Path::new(inside)).is_ok(), inside.is_empty());
            assert!(!root.exists());
        }
        fs::create_dir(&root).unwrap();
        for inside in ["", "a/b", "a", "a/b/c"] {
            make_inside(&root, &root.join(inside)).unwrap();
            assert!(root.join(inside).is_dir());
        }
        fs::write(root.join("a/file"), "").unwrap();
        assert!(make_inside(&root, &root.join("a/file")).is_err());
        assert!(make_inside(&root, folder.path()).is_err());
    }
}
