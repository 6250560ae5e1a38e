//! NumPy's archives: arrays by name, compressed or not; and single arrays.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use zip::ZipArchive;
use zip::result::ZipError;

use super::error::{DataError, Supply};
use super::npy;
use super::stored::{Pixels, Stored};
use crate::formats::npy::{Header, MAGIC};

/// The file as it lies on disk.
enum Kind {
    Archive,
    Array,
}

/// The images of an array of an archive; `None` where the file is a single array.
pub(super) fn open(path: &Path, name: &str) -> Result<Option<Stored>, DataError> {
    match kind(path)? {
        Kind::Array => Ok(None),
        Kind::Archive => array(path, name).map(Some),
    }
}

/// The images of a file that is a single array.
pub(super) fn open_single(path: &Path) -> Result<Stored, DataError> {
    stored(path, "it", npy::read(BufReader::new(reader(path)?)))
}

/// Height, width and channels of the images of an array, or of a file that is a single one, by its header.
pub(super) fn shape(path: &Path, name: &str) -> Result<[usize; 3], DataError> {
    let header = match kind(path)? {
        Kind::Array => Header::read(&mut BufReader::new(reader(path)?)).ok(),
        Kind::Archive => {
            ZipArchive::new(BufReader::new(reader(path)?)).ok().and_then(|mut archive| {
                Header::read(&mut archive.by_name(&format!("{name}.npy")).ok()?).ok()
            })
        }
    };
    match header.and_then(|header| of_one(&header.shape)) {
        Some(shape) => Ok(shape),
        // What is wrong with it is found where all of it is read.
        None => open(path, name)?.map_or_else(|| open_single(path), Ok).map(|stored| stored.shape),
    }
}

/// A sample of an array as an image: a vector is one row, and two sides are a grey image.
fn of_one(shape: &[usize]) -> Option<[usize; 3]> {
    match *shape {
        [_, values] => Some([1, values, 1]),
        [_, height, width] => Some([height, width, 1]),
        [_, height, width, channels] => Some([height, width, channels]),
        _ => None,
    }
}

fn kind(path: &Path) -> Result<Kind, DataError> {
    let mut start = Vec::new();
    let read = reader(path)?.take(MAGIC.len() as u64).read_to_end(&mut start);
    read.map_err(|error| DataError::Unreadable { path: path.to_owned(), error })?;
    if start == MAGIC {
        return Ok(Kind::Array);
    }
    if start.starts_with(b"PK") {
        return Ok(Kind::Archive);
    }
    let remedy = "name a file that numpy.savez or numpy.save wrote";
    Err(refuse(path, "it is neither a .npz nor a .npy".to_owned(), remedy))
}

fn reader(path: &Path) -> Result<File, DataError> {
    if !path.is_file() {
        let remedy = "name a .npz or .npy that is there with --set data.file=FILE";
        return Err(refuse(path, "there is no such file".to_owned(), remedy));
    }
    File::open(path).map_err(|error| DataError::Unreadable { path: path.to_owned(), error })
}

fn array(path: &Path, name: &str) -> Result<Stored, DataError> {
    let fault = |error: ZipError| damaged(path, format!("it cannot be unpacked ({error})"));
    let mut archive = ZipArchive::new(BufReader::new(reader(path)?)).map_err(fault)?;
    let member = format!("{name}.npy");
    if archive.index_for_name(&member).is_none() {
        let remedy = format!("set data.train and data.test; it holds {}", names(&archive));
        return Err(refuse(path, format!("it has no array `{name}`"), &remedy));
    }
    let file = archive.by_name(&member).map_err(fault)?;
    stored(path, &format!("its `{name}`"), npy::read(file))
}

fn names<R: Read + Seek>(archive: &ZipArchive<R>) -> String {
    /// More would fill a screen.
    const SHOWN: usize = 8;
    let arrays = archive.file_names().filter_map(|name| {
        let name = name.ok()?;
        Some(format!("`{}`", name.strip_suffix(".npy")?))
    });
    let shown: Vec<String> = arrays.take(SHOWN).collect();
    if shown.is_empty() { "no array".to_owned() } else { shown.join(", ") }
}

/// Images out of an array; `what` names it.
fn stored(
    path: &Path,
    what: &str,
    read: Result<(Vec<usize>, Pixels), npy::Refusal>,
) -> Result<Stored, DataError> {
    let (shape, pixels) = read.map_err(|refusal| match refusal {
        npy::Refusal::Damaged(problem) => damaged(path, format!("{what} {problem}")),
        npy::Refusal::Unfit(problem, remedy) => refuse(path, format!("{what} {problem}"), remedy),
    })?;
    let sides = of_one(&shape).ok_or_else(|| {
        let remedy = "give (N, height, width), (N, height, width, channels), (N, steps, channels) or (N, values)";
        refuse(path, format!("{what} has shape {shape:?}"), remedy)
    })?;
    if shape.contains(&0) {
        let problem = format!("{what} has shape {shape:?}, which is no image");
        return Err(refuse(path, problem, "name another array"));
    }
    Ok(Stored { file: path.to_owned(), shape: sides, pixels })
}

fn refuse(path: &Path, problem: String, remedy: &str) -> DataError {
    DataError::Array { path: path.to_owned(), problem, remedy: remedy.to_owned() }
}

fn damaged(path: &Path, problem: String) -> DataError {
    DataError::Damaged { path: path.to_owned(), problem, supply: Supply::User }
}
