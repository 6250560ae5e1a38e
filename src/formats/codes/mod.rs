//! Codes on disk, with the names of their images: `.npz` for NumPy, or
//! `.safetensors`. What computes a code, or draws one, is elsewhere.

mod error;
mod npy;
mod npz;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;

pub use error::CodesError;

use crate::formats::checkpoint::{Array, Checkpoint, DType, load, save};
use crate::system::atomic;
use error::Fault;

/// The array of the codes, `(N, ...)`.
const CODES: &str = "codes";
/// The array, or the metadata, of their names.
const NAMES: &str = "names";
/// Endings of a file of codes.
pub const ENDINGS: [&str; 2] = ["npz", "safetensors"];

/// Codes of one shape.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Codes {
    /// Of the images; as many as codes.
    pub names: Vec<String>,
    /// Of one code: `[values]`, or `[height, width, channels]`.
    pub shape: Vec<usize>,
    /// One code after the other.
    pub values: Vec<f32>,
}

impl Codes {
    /// None yet, each to be of this shape.
    #[must_use]
    pub fn new(shape: Vec<usize>) -> Self {
        Self { shape, ..Self::default() }
    }

    /// Number of codes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Values of one code.
    #[must_use]
    pub fn length(&self) -> usize {
        self.shape.iter().product()
    }

    /// Appends a code of the shape.
    pub fn push(&mut self, name: String, code: &[f32]) {
        debug_assert_eq!(code.len(), self.length());
        self.names.push(name);
        self.values.extend_from_slice(code);
    }

    /// Writes the file, in the format that its name asks for, whole or not at all.
    ///
    /// # Errors
    /// When the name asks for neither format, or the system refuses.
    pub fn save(&self, path: &Path) -> Result<(), CodesError> {
        let refuse = |fault| CodesError::new(path, fault);
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("npz") => {
                let bytes =
                    npz::to_bytes(self).map_err(|error| refuse(Fault::Write(error.into())))?;
                let written = atomic::write(path, |file| file.write_all(&bytes));
                written.map_err(|error| refuse(Fault::Write(error)))
            }
            Some("safetensors") => {
                let checkpoint = self.as_checkpoint().map_err(refuse)?;
                save(path, &checkpoint).map_err(|error| CodesError::Checkpoint(Box::new(error)))
            }
            _ => Err(refuse(Fault::Ending)),
        }
    }

    /// Reads a file, by what it holds and not by its name. Names that it lacks are numbers.
    ///
    /// # Errors
    /// When there is no such file, or it does not hold finite codes.
    pub fn open(path: &Path) -> Result<Self, CodesError> {
        let refuse = |fault| CodesError::new(path, fault);
        if !fs::metadata(path).is_ok_and(|found| found.is_file()) {
            return Err(refuse(Fault::Missing));
        }
        let file = || File::open(path).map_err(|error| refuse(Fault::Read(error)));
        let mut start = Vec::new();
        let read = file()?.take(2).read_to_end(&mut start);
        read.map_err(|error| refuse(Fault::Read(error)))?;
        let codes = if start == *b"PK" {
            npz::read(file()?).map_err(refuse)?
        } else {
            let checkpoint = load(path).map_err(|error| {
                if error.is_unknown() {
                    refuse(Fault::Unknown)
                } else {
                    CodesError::Checkpoint(Box::new(error))
                }
            })?;
            Self::of_checkpoint(&checkpoint).map_err(refuse)?
        };
        codes.check().map_err(refuse)
    }

    fn check(self) -> Result<Self, Fault> {
        let count = self.values.len() / self.length().max(1);
        if self.is_empty() || count == 0 {
            return Err(Fault::Empty);
        }
        if self.len() != count {
            return Err(Fault::Names { names: self.len(), codes: count });
        }
        let codes = self.values.chunks_exact(self.length());
        let broken = codes.zip(&self.names).find(|(code, _)| code.iter().any(|v| !v.is_finite()));
        match broken {
            Some((_, name)) => Err(Fault::NotFinite(name.clone())),
            None => Ok(self),
        }
    }

    fn as_checkpoint(&self) -> Result<Checkpoint, Fault> {
        let shape: Vec<usize> = [self.len()].iter().chain(&self.shape).copied().collect();
        let array = Array::from_values(&shape, &self.values)
            .map_err(|error| Fault::Damaged(error.to_string()))?;
        let names = serde_json::to_string(&self.names)
            .map_err(|error| Fault::Damaged(error.to_string()))?;
        let records = BTreeMap::from([(NAMES.to_owned(), names)]);
        Ok(Checkpoint { tensors: vec![(CODES.to_owned(), array)], records })
    }

    fn of_checkpoint(checkpoint: &Checkpoint) -> Result<Self, Fault> {
        let array = checkpoint.tensor(CODES).ok_or(Fault::NoCodes)?;
        let values = match array.dtype() {
            DType::F32 => array.to_values::<f32>(),
            DType::F64 => {
                array.to_values::<f64>().map(|v| v.into_iter().map(|v| v as f32).collect())
            }
            DType::I64 => return Err(Fault::Elements(array.dtype().to_string())),
        };
        let values = values.map_err(|error| Fault::Damaged(error.to_string()))?;
        let (count, shape) = split(array.shape())?;
        let names = match checkpoint.records.get(NAMES) {
            Some(text) => serde_json::from_str(text)
                .map_err(|_| Fault::Damaged("its `names` are no list of texts".to_owned()))?,
            None => numbers(count),
        };
        Ok(Self { names, shape, values })
    }
}

/// Number and shape of the codes in an array. An array without values could claim any number of codes,
/// each of which would get a name.
fn split(shape: &[usize]) -> Result<(usize, Vec<usize>), Fault> {
    match shape {
        [_, _, ..] if shape.contains(&0) => Err(Fault::Empty),
        [count, code @ ..] if !code.is_empty() => Ok((*count, code.to_vec())),
        _ => Err(Fault::Axes(shape.to_vec())),
    }
}

/// Names for images that have none: their places, `0000` to `9999`, which sort as they count.
#[must_use]
pub fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|index| number(index, count)).collect()
}

/// The name of one of so many images.
#[must_use]
pub fn number(index: usize, count: usize) -> String {
    let width = count.saturating_sub(1).to_string().len();
    format!("{index:0width$}")
}
