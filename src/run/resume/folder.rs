//! The folder of a run's checkpoints: which there are, and which may go.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// Where in a training a checkpoint was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Counts from 1.
    pub epoch: usize,
    /// Steps of it that are done; all of them also stands for the end of its validation.
    pub step: usize,
}

impl Place {
    /// `epoch-0003-step-001875.pt`
    fn file_name(self) -> String {
        let Self { epoch, step } = self;
        format!("epoch-{epoch:04}-step-{step:06}.pt")
    }

    fn of_file(name: &str) -> Option<Self> {
        let (epoch, step) =
            name.strip_prefix("epoch-")?.strip_suffix(".pt")?.split_once("-step-")?;
        let place = Self { epoch: epoch.parse().ok()?, step: step.parse().ok()? };
        (place.file_name() == name).then_some(place)
    }
}

/// A run's checkpoints.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    dir: PathBuf,
}

impl Checkpoints {
    /// In this folder, which need not be there yet.
    #[must_use]
    pub fn in_folder(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The file of a place.
    #[must_use]
    pub fn file(&self, place: Place) -> PathBuf {
        self.dir.join(place.file_name())
    }

    /// Those that are there, the newest first; other files are passed over.
    ///
    /// # Errors
    /// When the folder is there and cannot be read.
    pub fn newest_first(&self) -> anyhow::Result<Vec<Place>> {
        let entries = match fs::read_dir(&self.dir) {
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                return Ok(Vec::new());
            }
            entries => entries,
        };
        let place = |entry: fs::DirEntry| Place::of_file(entry.file_name().to_str()?);
        let mut places = Vec::new();
        let unreadable = || format!("the folder {} cannot be read", self.dir.display());
        for entry in entries.with_context(unreadable)? {
            places.extend(place(entry.with_context(unreadable)?));
        }
        places.sort_by(|a, b| b.cmp(a));
        Ok(places)
    }

    /// Removes all but the last `count`, of which `newest` is the last. Of those before it, such as a
    /// Ctrl-C left between two `regular` ones go first; any after it were of no use.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn keep_last(
        &self,
        count: usize,
        newest: Place,
        regular: impl Fn(Place) -> bool,
    ) -> anyhow::Result<()> {
        let places = self.newest_first()?;
        let (mut before, after): (Vec<_>, Vec<_>) =
            places.into_iter().filter(|&place| place != newest).partition(|&place| place < newest);
        before.sort_by_key(|&place| !regular(place)); // stable, so the newest of each kind stay first
        let old = before.into_iter().skip(count.saturating_sub(1));
        old.chain(after).try_for_each(|place| self.remove(place))
    }

    /// Removes all of them, for a run that begins anew.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn clear(&self) -> anyhow::Result<()> {
        self.newest_first()?.into_iter().try_for_each(|place| self.remove(place))
    }

    fn remove(&self, place: Place) -> anyhow::Result<()> {
        let file = self.file(place);
        fs::remove_file(&file).with_context(|| format!("{} cannot be removed", file.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(epoch: usize, step: usize) -> Place {
        Place { epoch, step }
    }

    fn folder_of(places: &[Place]) -> (tempfile::TempDir, Checkpoints) {
        let dir = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::in_folder(dir.path().to_path_buf());
        for &place in places {
            fs::write(checkpoints.file(place), "").unwrap();
        }
        (dir, checkpoints)
    }

    #[test]
    fn places_are_ordered_by_number_and_other_files_are_passed_over() {
        let all = [at(9, 5), at(10_000, 2), at(9, 1_000_000), at(10, 1)];
        let (dir, checkpoints) = folder_of(&all);
        for other in ["epoch-1-step-1.pt", "epoch-0001-step-000001.pt.part", ".abc.part", "notes"] {
            fs::write(dir.path().join(other), "").unwrap();
        }
        let found = checkpoints.newest_first().unwrap();
        assert_eq!(found, [at(10_000, 2), at(10, 1), at(9, 1_000_000), at(9, 5)]);
    }

    #[test]
    fn a_folder_that_is_not_there_has_none() {
        let checkpoints = Checkpoints::in_folder(PathBuf::from("/nowhere/at/all"));
        assert!(checkpoints.newest_first().unwrap().is_empty());
    }

    #[test]
    fn the_last_ones_are_kept_and_what_a_ctrl_c_left_goes_first() {
        let every_ten = |place: Place| place.step.is_multiple_of(10);
        for (there, newest, kept) in [
            (vec![at(1, 10), at(1, 20), at(1, 30)], at(1, 30), vec![at(1, 30), at(1, 20)]),
            (vec![at(1, 10), at(1, 20), at(1, 25)], at(1, 25), vec![at(1, 25), at(1, 20)]),
            (vec![at(1, 20), at(1, 25), at(1, 30)], at(1, 30), vec![at(1, 30), at(1, 20)]),
            // There is nothing better to go back to.
            (vec![at(1, 25), at(1, 30)], at(1, 30), vec![at(1, 30), at(1, 25)]),
            // A damaged one, to which the run went back.
            (vec![at(1, 10), at(1, 20), at(2, 10)], at(1, 20), vec![at(1, 20), at(1, 10)]),
        ] {
            let (_dir, checkpoints) = folder_of(&there);
            checkpoints.keep_last(2, newest, every_ten).unwrap();
            assert_eq!(checkpoints.newest_first().unwrap(), kept, "{there:?}");
        }
    }
}
