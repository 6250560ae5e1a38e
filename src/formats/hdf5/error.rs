//! What can be wrong with an HDF5 file. Each text continues a sentence that began with the file's
//! path, and ends with a remedy.

use std::io;

use hdf5_reader::error::Error;
use thiserror::Error;

use crate::formats::checkpoint::{ArrayError, shown};

/// Why an HDF5 file, or a part of it, was not read; without the file's path.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Hdf5Error {
    /// The system refused.
    #[error("cannot be read ({0}): check its permissions")]
    Read(io::Error),
    /// The bytes are not what the format asks for.
    #[error("is damaged ({0}): save the model again or use another copy")]
    Damaged(String),
    /// The file claims more than its size warrants.
    #[error("claims too much for its size ({0}); refused: save the model again")]
    TooLarge(String),
    /// A part of HDF5 that no Keras file has, such as other compressions.
    #[error(
        "is stored in a way that is not read here ({0}): with h5py, copy its groups into a new \
         file without compression"
    )]
    Unsupported(String),
    /// Elements that are not numbers, or too large ones.
    #[error("holds `{0}` of elements that are not plain numbers: save it as float32")]
    Elements(String),
}

impl Hdf5Error {
    pub(super) fn damaged(detail: impl Into<String>) -> Self {
        Self::Damaged(detail.into())
    }
}

impl From<Error> for Hdf5Error {
    fn from(error: Error) -> Self {
        let detail = shown(&error.to_string());
        match innermost(error) {
            Error::Io(error) => Self::Read(error),
            Error::ResourceLimit(_) => Self::TooLarge(detail),
            Error::UnsupportedFilter(_)
            | Error::UnsupportedEncoding(_)
            | Error::UnsupportedLayoutClass(_) => Self::Unsupported(detail),
            _ => Self::Damaged(detail),
        }
    }
}

/// The error without the paths that the crate puts around it.
fn innermost(error: Error) -> Error {
    match error {
        Error::Context { source, .. } => innermost(*source),
        other => other,
    }
}

impl From<io::Error> for Hdf5Error {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::damaged("it ends too early"),
            _ => Self::Read(error),
        }
    }
}

impl From<ArrayError> for Hdf5Error {
    fn from(error: ArrayError) -> Self {
        Self::Damaged(shown(&error.to_string()))
    }
}
