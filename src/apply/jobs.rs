//! Which images there are, and which file each result goes to: settled before anything is read.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};

use crate::image_file::{Format, Found, find};

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
    /// The jobs for files and folders, in their order. Results keep the images' names and their
    /// places below the folders that were named. What lies in the results' own folder is no image.
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
        let inputs: HashSet<PathBuf> =
            found.iter().filter_map(|found| found.path.canonicalize().ok()).collect();
        let mut results = HashSet::new();
        jobs.extend(found.into_iter().map(|Found { path, relative }| {
            let task = self.task(&path, &relative, &inputs, &mut results);
            Job { image: path, task }
        }));
        jobs
    }

    fn task(
        &self,
        image: &Path,
        relative: &Path,
        inputs: &HashSet<PathBuf>,
        results: &mut HashSet<PathBuf>,
    ) -> Task {
        if !relative.components().all(|part| matches!(part, Component::Normal(_))) {
            return Task::Refuse("it has no file name".to_owned());
        }
        let format = self.format.unwrap_or_else(|| Format::for_result_of(image));
        let mut result = self.out.join(relative);
        if format != Format::for_result_of(&result) || format == Format::Png {
            result.set_extension("png");
        }
        if !results.insert(result.clone()) {
            return Task::Refuse(format!(
                "another image has already given {}; rename one of them",
                result.display()
            ));
        }
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
