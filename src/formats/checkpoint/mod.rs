//! Named tensors on disk: PyTorch's own `.pt` files, which `torch.load(weights_only=True)` reads
//! without convae, and `.safetensors`. Pure Rust; no tensor library appears here.
//!
//! Reading trusts nothing: no code runs, every size is checked against the bytes that are there
//! before memory is taken, and a damaged file is an error that says so.

mod archive;
mod array;
mod error;
mod opcode;
mod pickle;
mod pt;
mod rebuild;
mod safetensors;
pub(crate) mod script;
mod seal;
mod state_dict;
mod strided;
mod unpickle;
mod wrappers;

use std::collections::{BTreeMap, HashSet};
use std::io::{Read, Write};
use std::path::Path;

pub use array::{Array, ArrayError, DType, Element};
pub use error::CheckpointError;

use crate::system::{atomic, regular_file};
use error::Fault;
pub(in crate::formats) use error::shown;

/// The start of every zip file, and of one without entries.
const ZIP_SIGNATURES: [&[u8]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];
/// The start of torch.save's format from before 1.6: a pickle of this number, protocol 2.
const LEGACY_SIGNATURE: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";
/// Bytes that tell the formats apart.
const HEAD: u64 = 16;
/// The most tensors in one file, to bound what a hostile one can make us build.
const MAX_TENSORS: usize = 4096;
/// The longest name of a tensor, in bytes.
const MAX_TENSOR_NAME: usize = 1000;
/// The longest name of a record, in bytes.
const MAX_RECORD_NAME: usize = 200;

/// What a checkpoint file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// The tensors by name, each name once. A `.pt` file keeps their order; a `.safetensors` file
    /// gives them back in the order of their names.
    pub tensors: Vec<(String, Array)>,
    /// Texts that make the file describe itself, such as the resolved configuration. In a `.pt`
    /// file each is an entry `extra/<name>`, in a `.safetensors` file a metadata string.
    pub records: BTreeMap<String, String>,
}

impl Checkpoint {
    /// The tensor of that name.
    #[must_use]
    pub fn tensor(&self, name: &str) -> Option<&Array> {
        let mut tensors = self.tensors.iter();
        tensors.find_map(|(found, array)| (found == name).then_some(array))
    }
}

/// The two kinds of file.
enum Format {
    PyTorch,
    Safetensors,
}

/// Checks, before any training, that [`save`] knows the format that `path` asks for.
///
/// # Errors
/// When the name ends in neither `.pt` nor `.safetensors`.
pub fn check_name(path: &Path) -> Result<(), CheckpointError> {
    format_of_name(path).map(drop).map_err(|fault| CheckpointError::new(path, fault))
}

/// Writes a checkpoint in the format that the file name asks for, all or nothing: a file that was
/// at `path` before is replaced only once the new one is complete. Takes memory for a second copy.
///
/// # Errors
/// When the name ends in neither `.pt` nor `.safetensors`, when a tensor's or record's name is
/// doubled or cannot be carried by both formats, and when the operating system refuses.
pub fn save(path: &Path, checkpoint: &Checkpoint) -> Result<(), CheckpointError> {
    let write = || {
        let format = format_of_name(path)?;
        check_content(checkpoint)?;
        let written = match format {
            Format::PyTorch => atomic::write(path, |file| pt::write(file, checkpoint)),
            Format::Safetensors => {
                let bytes = safetensors::to_bytes(checkpoint)?;
                atomic::write(path, |file| file.write_all(&bytes))
            }
        };
        written.map_err(Fault::Write)
    };
    write().map_err(|fault| CheckpointError::new(path, fault))
}

/// Reads a checkpoint, by what the file holds and not by its name. Takes memory for the file and,
/// beside it, for its tensors.
///
/// # Errors
/// When there is no such file ([`CheckpointError::is_missing`]), when it is truncated, damaged or
/// something else than a state_dict of float32, float64 and int64 tensors, and when the operating
/// system refuses.
pub fn load(path: &Path) -> Result<Checkpoint, CheckpointError> {
    decode(path).map_err(|fault| CheckpointError::new(path, fault))
}

/// As [`save`] to a `.pt` file, with a checksum over the whole file.
///
/// # Errors
/// As [`save`].
pub fn save_sealed(path: &Path, checkpoint: &Checkpoint) -> Result<(), CheckpointError> {
    check_content(checkpoint)
        .and_then(|()| pt::to_sealed_bytes(checkpoint))
        .and_then(|bytes| atomic::write(path, |file| file.write_all(&bytes)).map_err(Fault::Write))
        .map_err(|fault| CheckpointError::new(path, fault))
}

/// Reads what [`save_sealed`] wrote.
///
/// # Errors
/// When one byte of the file is not as it was written, and as [`load`].
pub fn load_sealed(path: &Path) -> Result<Checkpoint, CheckpointError> {
    let read = || {
        let mut bytes = Vec::new();
        regular_file::open(path)?.read_to_end(&mut bytes).map_err(Fault::Read)?;
        seal::check(&bytes)?;
        pt::from_bytes(&bytes)
    };
    read().map_err(|fault| CheckpointError::new(path, fault))
}

fn decode(path: &Path) -> Result<Checkpoint, Fault> {
    let file = regular_file::open(path)?;
    let mut bytes = Vec::new();
    let head = (&file).take(HEAD).read_to_end(&mut bytes);
    head.map_err(Fault::Read)?;
    // Told apart before the rest is read: a wrong path may name a file of any size.
    let format = format_of_head(&bytes)?;
    (&file).read_to_end(&mut bytes).map_err(Fault::Read)?;
    match format {
        Format::PyTorch => pt::from_bytes(&bytes),
        Format::Safetensors => safetensors::from_bytes(&bytes),
    }
}

fn format_of_name(path: &Path) -> Result<Format, Fault> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("pt") => Ok(Format::PyTorch),
        Some("safetensors") => Ok(Format::Safetensors),
        _ => Err(Fault::Extension),
    }
}

fn format_of_head(head: &[u8]) -> Result<Format, Fault> {
    let starts_with = |signature: &&[u8]| head.starts_with(signature);
    if head.is_empty() {
        Err(Fault::Empty)
    } else if ZIP_SIGNATURES.iter().any(starts_with) {
        Ok(Format::PyTorch)
    } else if head.starts_with(LEGACY_SIGNATURE) {
        Err(Fault::Legacy)
    } else if safetensors::recognises(head) {
        Ok(Format::Safetensors)
    } else {
        Err(Fault::Unknown)
    }
}

/// Refuses what only one of the two formats could carry, so that each file converts to the other.
fn check_content(checkpoint: &Checkpoint) -> Result<(), Fault> {
    let count = checkpoint.tensors.len();
    if count > MAX_TENSORS {
        let detail = format!("{count} tensors, at most {MAX_TENSORS}");
        return Err(Fault::TooLarge(detail));
    }
    let mut seen = HashSet::new();
    for (name, _) in &checkpoint.tensors {
        if name.len() > MAX_TENSOR_NAME || name == safetensors::METADATA_KEY {
            return Err(Fault::TensorName(shown(name)));
        }
        if !seen.insert(name) {
            return Err(Fault::Duplicate(shown(name)));
        }
    }
    let odd = checkpoint.records.keys().find(|name| !is_record_name(name));
    odd.map_or(Ok(()), |name| Err(Fault::RecordName(shown(name))))
}

/// Whether `name` is one plain path segment, so that unpacking the zip file is safe too.
fn is_record_name(name: &str) -> bool {
    let odd = |letter: char| letter.is_control() || matches!(letter, '/' | '\\');
    (1..=MAX_RECORD_NAME).contains(&name.len())
        && ![".", "..", safetensors::FORMAT_KEY].contains(&name)
        && !name.contains(odd)
}
