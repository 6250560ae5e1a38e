//! The `.safetensors` format, by way of the crate of that name: a JSON header, then the elements.
//! Records travel as the header's metadata.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, View};

use super::Checkpoint;
use super::array::{Array, DType};
use super::error::{Fault, shown};

/// The metadata that safetensors' own PyTorch functions write, and some loaders ask for; it is not
/// a record.
pub(super) const FORMAT_KEY: &str = "format";
const FORMAT_VALUE: &str = "pt";
/// The name under which the header holds its metadata, so that no tensor can have it.
pub(super) const METADATA_KEY: &str = "__metadata__";
/// Bytes of the number that starts the file: the header's length.
const PREFIX: usize = size_of::<u64>();
/// The longest header that the format allows, in bytes.
const MAX_HEADER: u64 = 100_000_000;

/// Lays a checkpoint out as a `.safetensors` file, whose size in memory is the file's. The format
/// sorts tensors by element type and name.
pub(super) fn to_bytes(checkpoint: &Checkpoint) -> Result<Vec<u8>, SafeTensorError> {
    let mut metadata: HashMap<String, String> = checkpoint.records.clone().into_iter().collect();
    metadata.insert(FORMAT_KEY.to_owned(), FORMAT_VALUE.to_owned());
    let tensors = checkpoint.tensors.iter().map(|(name, array)| (name, array));
    let mut bytes = safetensors::serialize(tensors, Some(metadata))?;
    sort_header(&mut bytes)?;
    Ok(bytes)
}

/// Sorts the header in place, since the crate writes metadata in a random order and equal
/// checkpoints shall be equal files. The same entries in another order take the same bytes.
fn sort_header(bytes: &mut [u8]) -> Result<(), SafeTensorError> {
    let (length, _) = SafeTensors::read_metadata(bytes)?;
    let header = &mut bytes[PREFIX..PREFIX + length];
    let mut json: serde_json::Value = serde_json::from_slice(header)?;
    json.sort_all_objects();
    let mut sorted = serde_json::to_vec(&json)?;
    sorted.resize(header.len(), b' ');
    header.copy_from_slice(&sorted);
    Ok(())
}

/// Whether a file that starts with `head` announces itself as a safetensors file: the length of a
/// header that the format allows, and the header's opening brace.
pub(super) fn recognises(head: &[u8]) -> bool {
    match head.split_first_chunk::<PREFIX>() {
        Some((length, rest)) => {
            u64::from_le_bytes(*length) <= MAX_HEADER && rest.first() == Some(&b'{')
        }
        None => false,
    }
}

/// Reads a `.safetensors` file; the tensors come in the order of their names, since the header is
/// an unordered map.
pub(super) fn from_bytes(bytes: &[u8]) -> Result<Checkpoint, Fault> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(fault)?;
    let mut records: BTreeMap<String, String> =
        header.metadata().clone().unwrap_or_default().into_iter().collect();
    records.remove(FORMAT_KEY);
    let file = SafeTensors::deserialize(bytes).map_err(fault)?;
    let mut tensors = Vec::with_capacity(file.len());
    for (name, view) in file.iter() {
        let dtype = dtype(view.dtype())?;
        let array = Array::new(dtype, view.shape().to_vec(), view.data().to_vec())?;
        tensors.push((name.to_owned(), array));
    }
    tensors.sort_by(|(left, _), (right, _)| left.cmp(right));
    Ok(Checkpoint { tensors, records })
}

fn dtype(found: Dtype) -> Result<DType, Fault> {
    match found {
        Dtype::F32 => Ok(DType::F32),
        Dtype::F64 => Ok(DType::F64),
        Dtype::I64 => Ok(DType::I64),
        other => Err(Fault::Elements(other.to_string())),
    }
}

fn fault(error: SafeTensorError) -> Fault {
    let detail = shown(&error.to_string());
    match error {
        SafeTensorError::HeaderTooSmall
        | SafeTensorError::InvalidHeaderLength
        | SafeTensorError::MetadataIncompleteBuffer => Fault::Truncated(detail),
        _ => Fault::Damaged(detail),
    }
}

impl View for &Array {
    fn dtype(&self) -> Dtype {
        match Array::dtype(self) {
            DType::F32 => Dtype::F32,
            DType::F64 => Dtype::F64,
            DType::I64 => Dtype::I64,
        }
    }

    fn shape(&self) -> &[usize] {
        Array::shape(self)
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.bytes().into()
    }

    fn data_len(&self) -> usize {
        self.bytes().len()
    }
}
