//! Which images there are, and which file each result goes to: settled before anything is read.

use std::collections::{HashMap, HashSet};
use std::path::{Component, Path, PathBuf};

use super::names::{Names, sniff};
use crate::formats::image_file::{Format, Found, find};

/// What is to be done with an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Compute it, and write the result there.
    Write(PathBuf, Format),
    /// The result is already there.
    Keep(PathBuf),
    /// A sentence about the image.
    Refuse(String),
}

/// An image and its task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// As found.
    pub image: PathBuf,
    /// What becomes of it.
    pub task: Task,
}

/// Gives each image its task.
#[derive(Debug)]
pub struct Jobs<'a> {
    /// Folder for the results.
    pub out: &'a Path,
    /// Whether results that are there are replaced.
    pub overwrite: bool,
    /// The format of all results; by the images' names where not set.
    pub format: Option<Format>,
}

impl Jobs<'_> {
    /// The jobs for files and folders, in their order. Results keep the images' names, as `names`
    /// says, and their places below the folders that were named. What lies in the results' own folder
    /// is no image.
    #[must_use]
    pub fn list(&self, paths: &[PathBuf]) -> Vec<Job> {
        let mut jobs = Vec::new();
        let mut found = Vec::new();
        for path in paths {
            match find(std::slice::from_ref(path)) {
                Err(error) => jobs.push(refusal(error.path, error.problem.to_string())),
                Ok(images) => {
                    let images = without(images, path, self.out);
                    if images.is_empty() {
                        let remedy = "it is a folder without an image; give one with PNG, JPEG, \
                                      BMP, TIFF, WebP or PNM files";
                        jobs.push(refusal(path.clone(), remedy.to_owned()));
                    }
                    found.extend(images);
                }
            }
        }
        jobs.extend(self.of_images(&found));
        jobs
    }

    fn of_images(&self, found: &[Found]) -> Vec<Job> {
        let names = Names::new(self.out, self.format, found);
        let inputs: HashSet<PathBuf> =
            found.iter().filter_map(|found| found.path.canonicalize().ok()).collect();
        let results: Vec<PathBuf> = found.iter().map(|image| names.name(image)).collect();
        // First those that keep their names, whatever comes before them.
        let (mut order, others): (Vec<usize>, Vec<usize>) =
            (0..found.len()).partition(|&index| results[index] == found[index].relative);
        order.extend(others);
        let mut taken = HashMap::new();
        let mut jobs: Vec<(usize, Job)> = Vec::with_capacity(found.len());
        for index in order {
            let (image, result) = (&found[index], self.out.join(&results[index]));
            let refusal = refused(&mut taken, &result, image);
            let task = refusal.map_or_else(
                || self.task(&image.path, result, names.format(image), &inputs),
                Task::Refuse,
            );
            jobs.push((index, Job { image: image.path.clone(), task }));
        }
        jobs.sort_by_key(|&(index, _)| index);
        jobs.into_iter().map(|(_, job)| job).collect()
    }

    fn task(
        &self,
        image: &Path,
        result: PathBuf,
        format: Format,
        inputs: &HashSet<PathBuf>,
    ) -> Task {
        match result.canonicalize() {
            Ok(present) if image.canonicalize().is_ok_and(|image| image == present) => {
                Task::Refuse("its result would replace it; name another folder with --out".into())
            }
            Ok(present) if inputs.contains(&present) => Task::Refuse(format!(
                "its result would replace another image, {}; name another folder with --out",
                result.display()
            )),
            Ok(present) if !self.overwrite && holds_something(&present) => Task::Keep(result),
            _ => Task::Write(result, format),
        }
    }
}

/// Takes a result's name for an image, or says why it gets none. Only what is an image can have taken
/// it before.
fn refused<'a>(
    taken: &mut HashMap<PathBuf, &'a Path>,
    result: &Path,
    image: &'a Found,
) -> Option<String> {
    if !image.relative.components().all(|part| matches!(part, Component::Normal(_))) {
        return Some("it has no file name".to_owned());
    }
    let first = taken.get(result).copied().filter(|first| sniff(first).is_ok());
    let Some(first) = first else {
        taken.insert(result.to_owned(), &image.path);
        return None;
    };
    if first.canonicalize().ok() == image.path.canonicalize().ok() {
        return Some("it is named twice; name it once".to_owned());
    }
    Some(sniff(&image.path).err().unwrap_or_else(|| {
        let (first, result) = (first.display(), result.display());
        format!("another image, {first}, gives {result} too; rename one of them")
    }))
}

/// Not so a folder, nor a file that was on its way to the disk when the power went.
fn holds_something(present: &Path) -> bool {
    present.metadata().is_ok_and(|data| data.is_file() && data.len() > 0)
}

fn refusal(image: PathBuf, sentence: String) -> Job {
    Job { image, task: Task::Refuse(sentence) }
}

/// Leaves out earlier results, where their folder lies in the one that is searched.
fn without(images: Vec<Found>, folder: &Path, out: &Path) -> Vec<Found> {
    let (Ok(folder), Ok(out)) = (folder.canonicalize(), out.canonicalize()) else { return images };
    match out.strip_prefix(&folder) {
        Ok(inside) if !inside.as_os_str().is_empty() => {
            images.into_iter().filter(|found| !found.relative.starts_with(inside)).collect()
        }
        _ => images,
    }
}
