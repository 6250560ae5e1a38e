//! Builds checkpoints, good and malformed, for the other test files.
//! Pickles are put together instruction by instruction, so that each can be wrong in one place.

use std::fs;
use std::io::{Cursor, Write};
use std::path::PathBuf;

use convae::formats::checkpoint::{Array, Checkpoint, CheckpointError, load, save};
use tempfile::TempDir;
use zip::write::SimpleFileOptions;

/// A checkpoint with every element type, a scalar, an empty tensor and a record.
pub fn example() -> Checkpoint {
    let tensors = [
        (
            "encoder.0.weight",
            Array::from_values(&[2, 1, 1, 3], &[0.5_f32, -1.0, 2.0, 3.5, 4.0, -0.0]),
        ),
        ("encoder.0.bias", Array::from_values(&[2], &[1e-30_f32, f32::MAX])),
        ("precise", Array::from_values(&[1, 2], &[1e300_f64, -0.1])),
        ("steps", Array::from_values(&[], &[i64::MIN])),
        ("empty", Array::from_values::<f32>(&[2, 0, 3], &[])),
    ];
    let tensors = tensors.map(|(name, array)| (name.to_owned(), array.unwrap()));
    Checkpoint {
        tensors: tensors.into(),
        records: [("config.toml".to_owned(), "épochs = 3\n".to_owned())].into(),
    }
}

/// A folder that lives as long as the test, and a file in it.
pub fn scratch(name: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    (folder, path)
}

/// The bytes that `save` writes under a name with this ending.
pub fn saved(extension: &str, checkpoint: &Checkpoint) -> Vec<u8> {
    let (_folder, path) = scratch(&format!("x.{extension}"));
    save(&path, checkpoint).unwrap();
    fs::read(path).unwrap()
}

/// What `load` makes of a file of these bytes.
pub fn loaded(bytes: &[u8]) -> Result<Checkpoint, CheckpointError> {
    let (_folder, path) = scratch("x.pt");
    fs::write(&path, bytes).unwrap();
    load(&path)
}

/// The sentence with which `load` refuses a file of these bytes.
pub fn refusal(bytes: &[u8]) -> String {
    loaded(bytes).expect_err("a malformed file").to_string()
}

/// A zip file of stored entries.
pub fn zip_file(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let stored = zip::CompressionMethod::Stored;
    let options = SimpleFileOptions::default().compression_method(stored);
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        zip.start_file(*name, options).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A `.pt` file of that pickle, with storage `0` holding the float32 numbers 0, 1, 2, 3.
pub fn pt_file(pickle: &[u8]) -> Vec<u8> {
    let storage: Vec<u8> = [0.0_f32, 1.0, 2.0, 3.0].map(f32::to_le_bytes).concat();
    let entries: [(&str, &[u8]); 3] =
        [("archive/data.pkl", pickle), ("archive/data/0", &storage), ("archive/version", b"3\n")];
    zip_file(&entries)
}

/// The arguments of a tensor, each wrong in at most one test.
pub struct Tensor {
    pub storage_type: &'static str,
    pub key: &'static str,
    pub len: i32,
    pub offset: i32,
    pub shape: Vec<i32>,
    pub strides: Vec<i32>,
}

impl Default for Tensor {
    /// Two rows of two, all of storage `0` of [`pt_file`].
    fn default() -> Self {
        Self {
            storage_type: "FloatStorage",
            key: "0",
            len: 4,
            offset: 0,
            shape: vec![2, 2],
            strides: vec![2, 1],
        }
    }
}

impl Tensor {
    pub fn pickle(&self) -> Vec<u8> {
        [
            b"ctorch._utils\n_rebuild_tensor_v2\n((".to_vec(),
            text("storage"),
            format!("ctorch\n{}\n", self.storage_type).into_bytes(),
            text(self.key),
            text("cpu"),
            int(self.len),
            b"tQ".to_vec(),
            int(self.offset),
            ints(&self.shape),
            ints(&self.strides),
            b"\x89}tR".to_vec(),
        ]
        .concat()
    }
}

/// A plain dict with these pickled values.
pub fn dict(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut pickle = b"}(".to_vec();
    for (name, value) in entries {
        pickle.extend(text(name));
        pickle.extend(value);
    }
    pickle.push(b'u');
    pickle
}

/// A whole pickle around one value.
pub fn program(value: &[u8]) -> Vec<u8> {
    [b"\x80\x02", value, b"."].concat()
}

pub fn text(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap();
    [b"X", &length.to_le_bytes()[..], text.as_bytes()].concat()
}

pub fn int(value: i32) -> Vec<u8> {
    [b"J", &value.to_le_bytes()[..]].concat()
}

fn ints(values: &[i32]) -> Vec<u8> {
    let items: Vec<u8> = values.iter().flat_map(|&value| int(value)).collect();
    [b"(", &items[..], b"t"].concat()
}
