//! NumPy's archives: arrays by name, compressed or not; single arrays; and tables.

use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek};
use std::path::Path;

use zip::ZipArchive;
use zip::result::ZipError;

use super::error::{DataError, Supply};
use super::stored::{Pixels, Stored};
use super::{csv, npy};
use crate::config::data::Npz;
use crate::formats::npy::{Header, MAGIC};

/// The file as it lies on disk.
enum Kind {
    Archive,
    Array,
    Table,
}

/// The images of an array of an archive; `None` where the file is a single array. Floating point is held to 0..1
/// unless the config takes `any_values`.
pub(super) fn open(npz: &Npz, name: &str) -> Result<Option<Stored>, DataError> {
    match kind(&npz.file)? {
        Kind::Array | Kind::Table => Ok(None),
        Kind::Archive => array(npz, name).map(Some),
    }
}

/// The images of a file that is a single array.
pub(super) fn open_single(npz: &Npz) -> Result<Stored, DataError> {
    stored(npz, "it", read_single(&npz.file)?)
}

/// The shape and the values of a single array, whatever they are.
fn read_single(path: &Path) -> Result<Read, DataError> {
    match kind(path)? {
        Kind::Table => Ok(csv::read(BufReader::new(reader(path)?))),
        Kind::Array | Kind::Archive => Ok(npy::read(BufReader::new(reader(path)?))),
    }
}

/// An array or a table as floating point, bytes divided by 255; its shape and its values.
///
/// # Errors
/// When the file cannot be read, or is an archive of several.
pub(super) fn samples(path: &Path) -> Result<(Vec<usize>, Vec<f32>), DataError> {
    if matches!(kind(path)?, Kind::Archive) {
        let remedy = "save the one that is meant with numpy.save, as a .npy";
        return Err(refuse(path, "it is an archive of several arrays".to_owned(), remedy));
    }
    let (shape, pixels) = read_single(path)?.map_err(|refusal| refused(path, "it", refusal))?;
    let mut values = Vec::with_capacity(pixels.len());
    if !shape.contains(&0) {
        let row = [1, pixels.len(), 1];
        Stored { file: path.to_owned(), shape: row, pixels }.push(0, &mut values);
    }
    Ok((shape, values))
}

/// Height, width and channels of the images of an array, or of a file that is a single one, by its header.
pub(super) fn shape(npz: &Npz, name: &str) -> Result<[usize; 3], DataError> {
    let path = &npz.file;
    let header = match kind(path)? {
        Kind::Table => None,
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
        None => open(npz, name)?.map_or_else(|| open_single(npz), Ok).map(|stored| stored.shape),
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
    if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv")) {
        return Ok(Kind::Table);
    }
    let remedy = "name a file that numpy.savez or numpy.save wrote, or a .csv";
    Err(refuse(path, "it is neither a .npz nor a .npy".to_owned(), remedy))
}

fn reader(path: &Path) -> Result<File, DataError> {
    if !path.is_file() {
        let remedy = "name a .npz or .npy that is there with --set data.file=FILE";
        return Err(refuse(path, "there is no such file".to_owned(), remedy));
    }
    File::open(path).map_err(|error| DataError::Unreadable { path: path.to_owned(), error })
}

fn array(npz: &Npz, name: &str) -> Result<Stored, DataError> {
    let path = &npz.file;
    let fault = |error: ZipError| damaged(path, format!("it cannot be unpacked ({error})"));
    let mut archive = ZipArchive::new(BufReader::new(reader(path)?)).map_err(fault)?;
    let member = format!("{name}.npy");
    if archive.index_for_name(&member).is_none() {
        let remedy = format!("set data.train and data.test; it holds {}", names(&archive));
        return Err(refuse(path, format!("it has no array `{name}`"), &remedy));
    }
    let file = archive.by_name(&member).map_err(fault)?;
    stored(npz, &format!("its `{name}`"), npy::read(file))
}

fn names<R: io::Read + Seek>(archive: &ZipArchive<R>) -> String {
    /// More would fill a screen.
    const SHOWN: usize = 8;
    let arrays = archive.file_names().filter_map(|name| {
        let name = name.ok()?;
        Some(format!("`{}`", name.strip_suffix(".npy")?))
    });
    let shown: Vec<String> = arrays.take(SHOWN).collect();
    if shown.is_empty() { "no array".to_owned() } else { shown.join(", ") }
}

/// What was read of an array.
type Read = Result<(Vec<usize>, Pixels), npy::Refusal>;

fn refused(path: &Path, what: &str, refusal: npy::Refusal) -> DataError {
    match refusal {
        npy::Refusal::Damaged(problem) => damaged(path, format!("{what} {problem}")),
        npy::Refusal::Unfit(problem, remedy) => refuse(path, format!("{what} {problem}"), remedy),
    }
}

/// Images out of an array; `what` names it.
fn stored(npz: &Npz, what: &str, read: Read) -> Result<Stored, DataError> {
    let path = &npz.file;
    let read = read.and_then(|read| npy::within(read, npz.any_values || npz.scale.is_some()));
    let (shape, pixels) = read.map_err(|refusal| refused(path, what, refusal))?;
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
