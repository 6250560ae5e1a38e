//! Digests of what a training learns from and is tested on, by which a run that goes on knows whether
//! its data are still the same: of the bytes of image files, of the values of arrays. Names, places and
//! times do not count. CRC-32 sees every accident but one in four thousand million.

use std::fs;
use std::path::Path;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error::DataError;
use super::listing::Entry;

/// Of both sets, in their order: a number for each image file (0 for what the file before it holds,
/// too), or one for all images of an array.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digests {
    /// Of the training set.
    #[serde(serialize_with = "write", deserialize_with = "read")]
    pub train: Vec<u32>,
    /// Of the test set.
    #[serde(serialize_with = "write", deserialize_with = "read")]
    pub test: Vec<u32>,
}

/// Eight hexadecimal digits for each: a list of numbers would take a line each.
fn write<S: Serializer>(digests: &[u32], serializer: S) -> Result<S::Ok, S::Error> {
    let digits: Vec<String> = digests.iter().map(|digest| format!("{digest:08x}")).collect();
    serializer.serialize_str(&digits.concat())
}

fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u32>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let parts = text.as_bytes().chunks(8).map(|part| str::from_utf8(part).unwrap_or_default());
    let numbers = parts.map(|digits| u32::from_str_radix(digits, 16));
    numbers.collect::<Result<_, _>>().map_err(D::Error::custom)
}

/// Of an image file's bytes; of a pair those of both files.
pub(super) fn of_entry(entry: &Entry) -> Result<u32, DataError> {
    let mut hasher = crc32fast::Hasher::new();
    for place in [Some(&entry.input), entry.clean.as_ref()].into_iter().flatten() {
        hasher.update(&bytes_of(&place.path)?);
    }
    Ok(hasher.finalize())
}

fn bytes_of(path: &Path) -> Result<Vec<u8>, DataError> {
    fs::read(path).map_err(|error| DataError::Unreadable { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_survive_json() {
        let digests = Digests { train: vec![0, 1, u32::MAX, 0x89ab_cdef], test: vec![] };
        let json = serde_json::to_string(&digests).unwrap();
        assert_eq!(json, r#"{"train":"0000000000000001ffffffff89abcdef","test":""}"#);
        assert_eq!(serde_json::from_str::<Digests>(&json).unwrap(), digests);
        for damaged in [r#"{"train":"0000000x","test":""}"#, r#"{"train":"éééé","test":""}"#] {
            assert!(serde_json::from_str::<Digests>(damaged).is_err(), "{damaged}");
        }
    }
}
