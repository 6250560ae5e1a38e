//! A file that a command is asked to write, looked at before the work begins.

use std::path::Path;

use anyhow::Context;

use crate::system::exit::UsageError;

/// Refuses what could not be written in the end: a name that tells no format, a folder, a file that
/// is there and may not be replaced, a place where nothing can be written.
///
/// # Errors
/// The first of these that holds.
pub fn check(path: &Path, endings: &[&str], overwrite: bool) -> anyhow::Result<()> {
    let shown = path.display();
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let usage_error = |sentence: String| Err(UsageError(sentence).into());
    if path.is_dir() {
        return usage_error(format!("{shown} is a folder; name a file with --out FILE"));
    }
    if !endings.contains(&ending) {
        let endings = endings.join(" or .");
        return usage_error(format!(
            "{shown} has another ending than .{endings}; name a file with that ending with --out FILE"
        ));
    }
    if path.exists() && !overwrite {
        return usage_error(format!(
            "{shown} is already there; add --overwrite to replace it, or name another file with \
             --out FILE"
        ));
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if !folder.is_dir() {
        let folder = folder.display();
        return usage_error(format!("{shown} lies in {folder}, which is no folder; make it first"));
    }
    tempfile::tempfile_in(folder)
        .map(drop)
        .with_context(|| format!("{shown} cannot be written; name another place with --out FILE"))
}
