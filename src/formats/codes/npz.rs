//! NumPy's archive of two arrays: `codes`, float32, and `names`, texts. Memory grows with what is
//! there, not with what an archive's directory promises.

use std::io::{BufReader, Read, Seek};

use zip::ZipArchive;
use zip::result::{ZipError, ZipResult};

use super::error::Fault;
use super::npy::{Npy, texts_to_bytes};
use super::{CODES, Codes, NAMES, numbers, split};
use crate::formats::checkpoint::Element;
use crate::formats::npy::Header;
use crate::formats::npz;

/// The most bytes of an array that we unpack: a small archive can hold endless zeros.
const MOST_BYTES: u64 = 8 << 30;

/// Lays codes out as an archive, not compressed, as `numpy.savez` does.
pub(super) fn to_bytes(codes: &Codes) -> ZipResult<Vec<u8>> {
    let shape: Vec<usize> = [codes.len()].iter().chain(&codes.shape).copied().collect();
    let mut values = Vec::with_capacity(size_of_val(codes.values.as_slice()));
    f32::encode(&codes.values, &mut values);
    let (descr, texts) = texts_to_bytes(&codes.names);
    npz::to_bytes(&[
        (CODES, Header::bytes("<f4", &shape), values),
        (NAMES, Header::bytes(&descr, &shape[..1]), texts),
    ])
}

/// Reads what [`to_bytes`] or `numpy.savez(file, codes=..., names=...)` wrote, compressed or not.
pub(super) fn read(file: impl Read + Seek) -> Result<Codes, Fault> {
    let mut zip = ZipArchive::new(BufReader::new(file)).map_err(zip_fault)?;
    let bytes = entry(&mut zip, CODES)?.ok_or(Fault::NoCodes)?;
    let array = Npy::parse(&bytes)?;
    let (count, shape) = split(&array.header.shape)?;
    if array.header.fortran {
        return Err(Fault::Fortran);
    }
    let values = array.floats()?;
    let names = match entry(&mut zip, NAMES)? {
        Some(bytes) => Npy::parse(&bytes)?.texts()?,
        None => numbers(count),
    };
    Ok(Codes { names, shape, values })
}

/// The bytes of an array, checked against their checksum; `None` where there is none of that name.
fn entry<R: Read + Seek>(zip: &mut ZipArchive<R>, name: &str) -> Result<Option<Vec<u8>>, Fault> {
    let Some(index) = zip.index_for_name(&format!("{name}.npy")) else { return Ok(None) };
    let entry = zip.by_index(index).map_err(zip_fault)?;
    let mut bytes = Vec::new();
    let read = entry.take(MOST_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| zip_fault(error.into()))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(Fault::TooLarge(MOST_BYTES));
    }
    Ok(Some(bytes))
}

/// With what the library says made fit to be shown.
fn zip_fault(error: ZipError) -> Fault {
    let said = error.to_string();
    Fault::Damaged(said.chars().flat_map(char::escape_debug).take(100).collect())
}
