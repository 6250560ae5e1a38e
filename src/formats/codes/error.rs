//! Everything that can be wrong with a file of codes, each as one sentence with a remedy.

use std::io;
use std::path::{Path, PathBuf};

use crate::formats::checkpoint::CheckpointError;

/// A file of codes that was not read or not written.
#[derive(Debug, thiserror::Error)]
pub enum CodesError {
    /// What is wrong with it, as one sentence.
    #[error("{} {fault}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Continues a sentence that began with the path.
        fault: Fault,
    },
    /// A `.safetensors` file that was not read or not written.
    #[error(transparent)]
    Checkpoint(Box<CheckpointError>),
}

impl CodesError {
    pub(super) fn new(path: &Path, fault: Fault) -> Self {
        Self::File { path: path.to_owned(), fault }
    }

    /// Whether the user named the wrong file, rather than a file being damaged.
    #[must_use]
    pub fn is_usage_error(&self) -> bool {
        matches!(self, Self::File { fault: Fault::Missing | Fault::Ending, .. })
    }
}

/// What is wrong with a file of codes; the text continues a sentence that began with the path.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing is there, or a folder.
    #[error("is no file; name one that `convae encode` wrote")]
    Missing,
    /// The name does not tell a format.
    #[error("ends in neither `.npz` (NumPy) nor `.safetensors`; choose one of the two")]
    Ending,
    /// Neither format.
    #[error("is neither a `.npz` nor a `.safetensors`; name a file that `convae encode` wrote")]
    Unknown,
    /// The system refused.
    #[error("cannot be read ({0}); check its permissions")]
    Read(io::Error),
    /// The system refused.
    #[error("cannot be written ({0}); free some space, or name another file")]
    Write(io::Error),
    /// Not what its format says.
    #[error("is damaged ({0}); encode the images again, or use another copy")]
    Damaged(String),
    /// More than memory holds.
    #[error("holds an array of more than {0} bytes; encode fewer images at a time")]
    TooLarge(u64),
    /// Another archive.
    #[error("holds no array named `codes`; name a file that `convae encode` wrote")]
    NoCodes,
    /// Of no code, or of codes of no value.
    #[error("holds no code; encode some images first")]
    Empty,
    /// A scalar, or a single axis.
    #[error("has codes of shape {0:?}; give (N, values) or (N, height, width, channels)")]
    Axes(Vec<usize>),
    /// Whole numbers, objects and the like.
    #[error("has codes of type {0}; save them as float32 or float64")]
    Elements(String),
    /// Columns first.
    #[error("has codes in Fortran's order; save numpy.ascontiguousarray of them")]
    Fortran,
    /// Not one name for each code.
    #[error("has {names} names for {codes} codes; give one for each, or none at all")]
    Names {
        /// Names found.
        names: usize,
        /// Codes found.
        codes: usize,
    },
    /// Nothing can be drawn from such a code.
    #[error("has a code of values that are not finite (of {0:?}); leave it out")]
    NotFinite(String),
}
