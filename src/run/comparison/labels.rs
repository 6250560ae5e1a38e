//! Short names for folders: what is left without the folders that all of them lie in.

use std::path::{Component, Path};

/// A name for each folder: its path, without the leading part that all of them share.
#[must_use]
pub fn labels<P: AsRef<Path>>(folders: &[P]) -> Vec<String> {
    let paths: Vec<Vec<Component<'_>>> = folders
        .iter()
        .map(|folder| {
            let parts = folder.as_ref().components();
            parts.filter(|part| !matches!(part, Component::CurDir)).collect()
        })
        .collect();
    let shared = shared(&paths);
    let name = |(path, folder): (&Vec<Component<'_>>, &P)| {
        let rest: Vec<_> =
            path[shared..].iter().map(|part| part.as_os_str().to_string_lossy()).collect();
        if rest.is_empty() { folder.as_ref().display().to_string() } else { rest.join("/") }
    };
    paths.iter().zip(folders).map(name).collect()
}

/// Leading parts that are the same everywhere; the last part of a path is never one of them.
fn shared(paths: &[Vec<Component<'_>>]) -> usize {
    let shortest = paths.iter().map(|path| path.len().saturating_sub(1)).min().unwrap_or(0);
    (0..shortest).take_while(|&i| paths.iter().all(|path| path[i] == paths[0][i])).count()
}

#[cfg(test)]
mod tests {
    use super::labels;

    #[test]
    fn what_all_folders_share_is_left_out() {
        assert_eq!(labels(&["runs/a", "./runs/b/"]), ["a", "b"]);
        assert_eq!(labels(&["runs/a", "runs/s/b"]), ["a", "s/b"]);
        assert_eq!(labels(&["runs/a", "other/a"]), ["runs/a", "other/a"]);
        assert_eq!(labels(&["runs", "runs/a"]), ["runs", "runs/a"]);
        assert_eq!(labels(&["/x/only"]), ["only"]);
        assert_eq!(labels(&[".", ".."]), [".", ".."]);
    }
}
