//! The `.safetensors` format, by way of the crate of that name: a JSON header, then the elements.
//! Records travel as the header's metadata.

use std::collections::{BTreeMap, HashMap};

use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, TensorView};

use super::array::{Array, DType};
use super::error::{Fault, shown};
use super::{Checkpoint, MAX_TENSORS};

/// The metadata that safetensors' own PyTorch functions write, and some loaders ask for; it is not
/// a record.
pub(super) const FORMAT_KEY: &str = "format";
const FORMAT_VALUE: &str = "pt";
/// The name under which the header holds its metadata, so that no tensor can have it.
pub(super) const METADATA_KEY: &str = "__metadata__";
/// Bytes of the number that starts the file: the header's length.
const PREFIX: usize = size_of::<u64>();
/// The longest header that the format allows, in bytes.
const FORMAT_LIMIT: u64 = 100_000_000;
/// The longest header that we take: in memory, parsed, it is up to thirty times as large.
const HEADER_LIMIT: u64 = 16 << 20;

/// Lays a checkpoint out as a `.safetensors` file, whose size in memory is the file's. The format
/// sorts tensors by element type and name.
pub(super) fn to_bytes(checkpoint: &Checkpoint) -> Result<Vec<u8>, Fault> {
    let mut metadata: HashMap<String, String> = checkpoint.records.clone().into_iter().collect();
    metadata.insert(FORMAT_KEY.to_owned(), FORMAT_VALUE.to_owned());
    let mut tensors = Vec::with_capacity(checkpoint.tensors.len());
    for (name, array) in &checkpoint.tensors {
        let dtype = file_type(array.dtype());
        let view = TensorView::new(dtype, array.shape().to_vec(), array.bytes()).map_err(fault)?;
        tensors.push((name, view));
    }
    let mut bytes = safetensors::serialize(tensors, Some(metadata)).map_err(fault)?;
    check_header(&bytes)?;
    sort_header(&mut bytes).map_err(fault)?;
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
    header_length(head) <= FORMAT_LIMIT && head.get(PREFIX) == Some(&b'{')
}

/// The length that the file declares; beyond all limits for a file too short to declare one.
fn header_length(bytes: &[u8]) -> u64 {
    let prefix = bytes.first_chunk::<PREFIX>();
    prefix.map_or(u64::MAX, |prefix| u64::from_le_bytes(*prefix))
}

fn check_header(bytes: &[u8]) -> Result<(), Fault> {
    let length = header_length(bytes);
    if length <= HEADER_LIMIT {
        return Ok(());
    }
    let detail = format!("a header of {length} bytes, at most {HEADER_LIMIT}");
    Err(Fault::TooLarge(detail))
}

/// Reads a `.safetensors` file; the tensors come in the order of their names, since the header is
/// an unordered map.
pub(super) fn from_bytes(bytes: &[u8]) -> Result<Checkpoint, Fault> {
    check_header(bytes)?;
    // Checks that shapes, offsets and the file's length agree.
    let (length, header) = SafeTensors::read_metadata(bytes).map_err(fault)?;
    let data = &bytes[PREFIX + length..];
    let infos = BTreeMap::from_iter(header.tensors());
    if infos.len() > MAX_TENSORS {
        return Err(Fault::TooLarge(format!("{} tensors", infos.len())));
    }
    let mut tensors = Vec::with_capacity(infos.len());
    for (name, info) in infos {
        let dtype = our_type(info.dtype)?;
        let bytes = data[info.data_offsets.0..info.data_offsets.1].to_vec();
        tensors.push((name, Array::new(dtype, info.shape.clone(), bytes)?));
    }
    let metadata = header.metadata().clone().unwrap_or_default();
    let mut records = BTreeMap::from_iter(metadata);
    records.remove(FORMAT_KEY);
    Ok(Checkpoint { tensors, records })
}

const fn file_type(dtype: DType) -> Dtype {
    match dtype {
        DType::F32 => Dtype::F32,
        DType::F64 => Dtype::F64,
        DType::I64 => Dtype::I64,
    }
}

fn our_type(found: Dtype) -> Result<DType, Fault> {
    let mut types = DType::ALL.into_iter();
    let same = types.find(|&dtype| file_type(dtype) == found);
    same.ok_or_else(|| Fault::Elements(found.to_string()))
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
