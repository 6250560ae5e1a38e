//! Everything that can be wrong with a checkpoint file, each as one sentence with a remedy.
//! A sentence starts with the file's path, which only [`CheckpointError`] knows.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::array::ArrayError;

/// A checkpoint that was not read or not written: which file, and why.
#[derive(Debug, Error)]
#[error("`{}` {fault}", path.display())]
pub struct CheckpointError {
    path: PathBuf,
    fault: Fault,
}

impl CheckpointError {
    pub(super) fn new(path: &Path, fault: Fault) -> Self {
        Self { path: path.to_path_buf(), fault }
    }

    /// Whether there was no file at the path, which a caller may take as "nothing to resume".
    #[must_use]
    pub const fn is_missing(&self) -> bool {
        matches!(self.fault, Fault::Missing)
    }

    /// The file that was asked for.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is wrong with it.
    #[must_use]
    pub const fn fault(&self) -> &Fault {
        &self.fault
    }
}

/// What is wrong with a checkpoint. The text continues a sentence that began with the path.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Fault {
    /// There is no such file.
    #[error("does not exist: check the path, or train first to make the file")]
    Missing,
    /// The path is a directory.
    #[error("is a directory: name the checkpoint file inside it")]
    Directory,
    /// The path is a pipe, a socket or a device.
    #[error("is not a regular file: copy its content to one first")]
    Special,
    /// The file name says neither of the two formats.
    #[error("ends in neither `.pt` (PyTorch) nor `.safetensors`: choose one of the two")]
    Extension,
    /// The operating system refused to read.
    #[error("cannot be read ({0}): check its permissions")]
    Read(io::Error),
    /// The operating system refused to write.
    #[error("cannot be written ({0}): check its folder, the permissions and the free space")]
    Write(io::Error),
    /// The file has no bytes.
    #[error("is empty: train again or use another copy")]
    Empty,
    /// The first bytes are those of no known format.
    #[error(
        "is neither a PyTorch zip file nor a safetensors file: give a file that convae, \
         torch.save or safetensors wrote"
    )]
    Unknown,
    /// The file ends before what it announces.
    #[error("is truncated ({0}): train again or use another copy")]
    Truncated(String),
    /// The bytes contradict each other.
    #[error("is damaged ({0}): train again or use another copy")]
    Damaged(String),
    /// A torch.save file from before the zip format.
    #[error(
        "is in PyTorch's format from before 1.6: in Python, \
         `torch.save(torch.load(path), path)` rewrites it"
    )]
    Legacy,
    /// A TorchScript archive.
    #[error(
        "is a TorchScript archive (of torch.jit.save or tch's VarStore::save), not a state_dict: \
         in Python, `torch.save(torch.jit.load(path).state_dict(), new_path)` makes one"
    )]
    TorchScript,
    /// Some other kind of zip file.
    #[error("is a zip file without a `data.pkl`: give a file that convae or torch.save wrote")]
    OtherZip,
    /// Saved on a big-endian machine.
    #[error(
        "holds big-endian numbers: in Python, `torch.save(torch.load(path), path)` on a \
         little-endian machine rewrites it"
    )]
    BigEndian,
    /// A zip entry is compressed or encrypted.
    #[error(
        "packs its entry `{0}`, which torch.save never does: unpack it and store it unpacked \
         (`zip -0`)"
    )]
    Packed(String),
    /// The pickle names something that we do not build.
    #[error(
        "holds `{0}`, which is not a plain tensor; refused: save only the model's state_dict()"
    )]
    Global(String),
    /// The pickle uses an instruction beyond those of torch.save.
    #[error(
        "uses the pickle instruction {0:#04x}, which torch.save does not write by default; \
         refused: save again with its defaults"
    )]
    Instruction(u8),
    /// Larger than any state_dict that we expect.
    #[error("holds too much for a state_dict ({0}); refused: save only the model's state_dict()")]
    TooLarge(String),
    /// The elements are of a type that our files do not hold.
    #[error("holds elements of `{0}`: convert them to float32, float64 or int64 and save again")]
    Elements(String),
    /// The top of the file is not a dict.
    #[error("holds {0} instead of a state_dict: save `model.state_dict()`")]
    TopLevel(&'static str),
    /// A dict entry is not a tensor.
    #[error(
        "holds {found} under the key `{key}`, where a tensor belongs: save the state_dict itself"
    )]
    NotTensor {
        /// The entry's name.
        key: String,
        /// What was found, such as "a dict".
        found: &'static str,
    },
    /// A dict key is not a string.
    #[error("has {0} for a key, where a tensor's name belongs: save the model's state_dict()")]
    Key(&'static str),
    /// Two tensors of one name.
    #[error("holds two tensors named `{0}`: give each its own name")]
    Duplicate(String),
    /// A tensor's name that a format cannot carry.
    #[error("cannot hold a tensor named `{0}`: choose another name of at most 1000 bytes")]
    TensorName(String),
    /// A record's name that a format cannot carry.
    #[error(
        "cannot hold a record named `{0}`: choose 1 to 200 bytes without slashes and control \
         characters, other than `format`"
    )]
    RecordName(String),
    /// A record that is not text.
    #[error("holds a record `{0}` that is not UTF-8 text: remove it or write it as text")]
    RecordText(String),
}

impl Fault {
    pub(super) fn damaged(detail: impl Into<String>) -> Self {
        Self::Damaged(detail.into())
    }
}

impl From<ArrayError> for Fault {
    fn from(error: ArrayError) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// Makes a name from a file fit to be shown: no control characters that could steer a terminal, and
/// no more than a line.
pub(super) fn shown(name: &str) -> String {
    const LONGEST: usize = 120;
    let mut text: String = name.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if name.chars().nth(LONGEST).is_some() {
        text.push_str("...");
    }
    text
}
