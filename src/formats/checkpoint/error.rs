//! Everything that can be wrong with a checkpoint file, each as one sentence with a remedy.
//! A sentence starts with the file's path, which only [`CheckpointError`] knows.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::array::ArrayError;
use crate::system::regular_file::NotOpened;

/// A checkpoint that was not read or not written, as one sentence: the file, what is wrong with it,
/// and what to do.
#[derive(Debug, Error)]
#[error("`{}` {fault}", path.display())]
pub struct CheckpointError {
    path: PathBuf,
    fault: Fault,
}

impl CheckpointError {
    pub(super) fn new(path: &Path, fault: Fault) -> Self {
        let path = path.to_path_buf();
        Self { path, fault }
    }

    /// Whether there was no file at the path, which a caller may take as "nothing to resume".
    #[must_use]
    pub const fn is_missing(&self) -> bool {
        matches!(self.fault, Fault::Missing)
    }

    /// What is wrong, without the remedy: for a caller who has one of its own.
    #[must_use]
    pub fn problem(&self) -> String {
        let sentence = self.to_string();
        sentence.rsplit_once(": ").map_or(sentence.clone(), |(problem, _)| problem.to_owned())
    }

    /// Whether the file's first bytes are of no format that is read here.
    #[must_use]
    pub const fn is_unknown(&self) -> bool {
        matches!(self.fault, Fault::Unknown | Fault::Empty)
    }

    /// The file that was asked for.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// What is wrong with a checkpoint; the text continues a sentence that began with the path.
#[derive(Debug, Error)]
pub(super) enum Fault {
    // The path and the operating system.
    #[error("does not exist: check the path, or train first to make the file")]
    Missing,
    #[error("is a directory: name the checkpoint file inside it")]
    Directory,
    #[error("is not a regular file: copy its content to one first")]
    Special,
    #[error("ends in neither `.pt` (PyTorch) nor `.safetensors`: choose one of the two")]
    Extension,
    #[error("cannot be read ({0}): check its permissions")]
    Read(io::Error),
    #[error("cannot be written ({0}): check its folder, the permissions and the free space")]
    Write(io::Error),

    // The kind of file.
    #[error("is empty: train again or use another copy")]
    Empty,
    #[error("is neither a PyTorch zip file nor a safetensors file: give one of the two")]
    Unknown,
    #[error(
        "is in PyTorch's format from before 1.6: in Python, \
         `torch.save(torch.load(path), path)` rewrites it"
    )]
    Legacy,
    #[error(
        "is a TorchScript archive (of torch.jit.save or tch's VarStore::save), not a state_dict: \
         in Python, `torch.save(torch.jit.load(path).state_dict(), new_path)` makes one"
    )]
    TorchScript,
    #[error("is a zip file without a `data.pkl`: give a file that convae or torch.save wrote")]
    OtherZip,
    #[error("holds big-endian numbers: save it again on a little-endian machine")]
    BigEndian,

    // Its bytes.
    #[error("is truncated ({0}): train again or use another copy")]
    Truncated(String),
    #[error("is damaged ({0}): train again or use another copy")]
    Damaged(String),
    #[error("packs its entry `{0}`, which torch.save never does: store it unpacked (`zip -0`)")]
    Packed(String),
    #[error("holds too much for a state_dict ({0}); refused: save only the model's state_dict()")]
    TooLarge(String),

    // What it holds.
    #[error(
        "holds `{0}`, which is not a plain tensor; refused: save only the model's state_dict()"
    )]
    Global(String),
    #[error("uses the pickle instruction {0:#04x}; refused: save again with torch.save's defaults")]
    Instruction(u8),
    #[error("holds elements of `{0}`: convert them to float32, float64 or int64 and save again")]
    Elements(String),
    #[error("holds {0} instead of a state_dict: save `model.state_dict()`")]
    TopLevel(&'static str),
    #[error("holds {1} under the key `{0}`, where a tensor belongs: save the state_dict itself")]
    NotTensor(String, &'static str),
    #[error("has {0} for a key, where a tensor's name belongs: save the model's state_dict()")]
    Key(&'static str),
    #[error("holds two tensors named `{0}`: give each its own name")]
    Duplicate(String),
    #[error("holds a record `{0}` that is not UTF-8 text: remove it or write it as text")]
    RecordText(String),

    // What it cannot hold.
    #[error("cannot hold a tensor named `{0}`: choose another name of at most 1000 bytes")]
    TensorName(String),
    #[error(
        "cannot hold a record named `{0}`: choose 1 to 200 bytes without slashes and control \
         characters, other than `format`"
    )]
    RecordName(String),
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

impl From<ArrayError> for Fault {
    fn from(error: ArrayError) -> Self {
        Self::Damaged(shown(&error.to_string()))
    }
}

/// Makes text from a file fit to be shown: no control characters that could steer a terminal, and
/// no more than a line.
pub(in crate::formats) fn shown(text: &str) -> String {
    const LONGEST: usize = 120;
    // Escaped, a control character is six letters.
    let mut letters = text.chars().flat_map(char::escape_debug);
    let mut line: String = letters.by_ref().take(LONGEST).collect();
    if letters.next().is_some() {
        line.push_str("...");
    }
    line
}
