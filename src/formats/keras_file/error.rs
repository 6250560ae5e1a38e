//! Everything that can be wrong with a Keras file, each as one sentence with a remedy. A sentence
//! starts with the file's path, which only [`KerasFileError`] knows.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::formats::hdf5::Hdf5Error;
use crate::system::regular_file::NotOpened;

/// A Keras file that was not read or not written, as one sentence: the file, what is wrong with it,
/// and what to do.
#[derive(Debug, Error)]
#[error("`{}` {fault}", path.display())]
pub struct KerasFileError {
    path: PathBuf,
    fault: Fault,
}

impl KerasFileError {
    pub(super) fn new(path: &Path, fault: Fault) -> Self {
        Self { path: path.to_path_buf(), fault }
    }

    /// The file that was asked for.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file was named wrongly: nothing is there, or something else than a file of Keras.
    #[must_use]
    pub const fn is_usage_error(&self) -> bool {
        matches!(
            self.fault,
            Fault::Missing
                | Fault::Directory
                | Fault::Special
                | Fault::Empty
                | Fault::Unknown
                | Fault::OtherZip(_)
                | Fault::OtherHdf5
                | Fault::OtherJson
                | Fault::NoWeights
        )
    }
}

/// What is wrong with a Keras file; the text continues a sentence that began with the path.
#[derive(Debug, Error)]
pub(super) enum Fault {
    // The path and the operating system.
    #[error("does not exist: check the path")]
    Missing,
    #[error(
        "is a directory, perhaps a SavedModel of TensorFlow: open it with the Keras that wrote it, \
         and save it with model.save(\"model.keras\")"
    )]
    Directory,
    #[error("is not a regular file: copy its content to one first")]
    Special,
    #[error("cannot be read ({0}): check its permissions")]
    Read(io::Error),
    #[error("cannot be written ({0}): check its folder, the permissions and the free space")]
    Write(io::Error),

    // The kind of file.
    #[error("is empty: save the model again or use another copy")]
    Empty,
    #[error(
        "is neither a `.keras` zip, an HDF5 file (`.h5`) nor a model's JSON: give a file that \
         model.save or model.to_json wrote"
    )]
    Unknown,
    #[error(
        "is a zip file without a `config.json` (it holds {0}): give a file that model.save wrote"
    )]
    OtherZip(String),
    #[error(
        "is an HDF5 file without Keras's weights: give a file that model.save or \
         model.save_weights wrote"
    )]
    OtherHdf5,
    #[error(
        "is JSON, but not a model's (an object with `class_name` and `config`): give what \
         model.to_json() returns"
    )]
    OtherJson,
    #[error("holds no weights: give a file that model.save or model.save_weights wrote")]
    NoWeights,
    #[error("is a `.keras` zip without `model.weights.h5`: save it with model.save(\"x.keras\")")]
    NoWeightsInZip,

    // Its bytes.
    #[error(transparent)]
    Hdf5(#[from] Hdf5Error),
    #[error("is damaged ({0}): save the model again or use another copy")]
    Damaged(String),
    #[error("is damaged: its `{0}` is no JSON ({1}); save the model again or use another copy")]
    Json(String, String),
    #[error("holds JSON of more than {0} MB; refused: no model of Keras takes that much")]
    LongJson(u64),
    #[error("packs its entry `{0}` in a way that is not read here: pack it anew with `zip -0`")]
    Packed(String),
    #[error("names `{0}`, which it does not hold: save the model again or use another copy")]
    Absent(String),

    // What it cannot hold.
    #[error("cannot hold two things named `{0}`: give each its own name")]
    Name(String),
}

impl Fault {
    pub(super) fn damaged(detail: impl Into<String>) -> Self {
        Self::Damaged(detail.into())
    }
}

impl From<NotOpened> for Fault {
    fn from(reason: NotOpened) -> Self {
        match reason {
            NotOpened::Missing => Self::Missing,
            NotOpened::Directory => Self::Directory,
            NotOpened::Special => Self::Special,
            NotOpened::Read(error) => Self::Read(error),
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::damaged("it ends too early"),
            _ => Self::Read(error),
        }
    }
}
