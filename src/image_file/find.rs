//! The images that paths stand for: files are taken as they are, folders are searched.

use std::fs;
use std::path::{Path, PathBuf};

use super::{ImageError, ImageProblem};

/// Endings of the files that a search takes, in small letters.
const ENDINGS: [&str; 14] = [
    "png", "jpg", "jpeg", "jpe", "jfif", "bmp", "dib", "tif", "tiff", "webp", "pnm", "pbm", "pgm",
    "ppm",
];

/// An image and where it stood.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// Its path below the folder that was named; its name, where the file itself was.
    pub relative: PathBuf,
    /// To open it by.
    pub path: PathBuf,
}

/// Files as named, whatever they are and whether they exist, and the images in folders and their
/// subfolders, by their endings: in the order of `paths`, each folder's sorted by relative path.
/// Hidden files and folders are left out. Links are followed, but not into a folder that they stand
/// in.
///
/// # Errors
/// When a folder cannot be listed.
pub fn find(paths: &[PathBuf]) -> Result<Vec<Found>, ImageError> {
    let mut all = Vec::new();
    for path in paths {
        if path.is_dir() {
            let mut found = Vec::new();
            search(path, Path::new(""), &mut Vec::new(), &mut found)?;
            found.sort();
            all.append(&mut found);
        } else {
            let relative = path.file_name().map_or_else(|| path.clone(), PathBuf::from);
            all.push(Found { relative, path: path.clone() });
        }
    }
    Ok(all)
}

/// `above` are the folders on the way down, as the system knows them.
fn search(
    folder: &Path,
    relative: &Path,
    above: &mut Vec<PathBuf>,
    found: &mut Vec<Found>,
) -> Result<(), ImageError> {
    let refuse = |error| ImageError { path: folder.to_owned(), problem: ImageProblem::Read(error) };
    let real = folder.canonicalize().map_err(refuse)?;
    if above.contains(&real) {
        return Ok(());
    }
    above.push(real);
    for entry in fs::read_dir(folder).map_err(refuse)? {
        let entry = entry.map_err(refuse)?;
        let (name, path) = (entry.file_name(), entry.path());
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let relative = relative.join(&name);
        if path.is_dir() {
            search(&path, &relative, above, found)?;
        } else if has_ending(&path) && !is_special(&path) {
            found.push(Found { relative, path });
        }
    }
    above.pop();
    Ok(())
}

/// Whether a file is called as an image that we read.
#[must_use]
pub fn has_ending(path: &Path) -> bool {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
}

/// A pipe or a device, which would keep its reader waiting; a link to nothing is for the reader to
/// name.
fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|data| !data.is_file())
}
