//! The pictures: read from disk, checked, and handed out in batches.

pub mod batches;
pub mod idx;

use std::path::{Path, PathBuf};

pub use batches::{Batch, Feed};
pub use idx::{DataError, Images};

use crate::config::sections::Data;

/// Training and test pictures of one shape.
#[derive(Debug)]
pub struct Dataset {
    /// From `train-images-idx3-ubyte`, the first `data.train_samples`.
    pub train: Images,
    /// From `t10k-images-idx3-ubyte`, the first `data.test_samples`.
    pub test: Images,
}

impl Dataset {
    /// Reads the files that the config names, of pictures of `shape` (height, width, channels).
    ///
    /// # Errors
    /// When a file is missing, damaged, or holds pictures of another shape.
    pub fn open(data: &Data, shape: [usize; 3]) -> Result<Self, DataError> {
        Ok(Self {
            train: images(&data.dir, "train-images-idx3-ubyte", shape, data.train_samples)?,
            test: Self::open_test(data, shape)?,
        })
    }

    /// The test pictures alone.
    ///
    /// # Errors
    /// As [`Dataset::open`].
    pub fn open_test(data: &Data, shape: [usize; 3]) -> Result<Images, DataError> {
        images(&data.dir, "t10k-images-idx3-ubyte", shape, data.test_samples)
    }
}

fn images(
    dir: &Path,
    name: &str,
    shape: [usize; 3],
    samples: Option<usize>,
) -> Result<Images, DataError> {
    let path = existing(dir, name)?;
    let images = Images::open(&path, samples)?;
    if images.shape() == shape {
        return Ok(images);
    }
    Err(DataError::Shape { path, found: images.shape(), expected: shape })
}

/// The raw file, or its gzipped form.
fn existing(dir: &Path, name: &str) -> Result<PathBuf, DataError> {
    let raw = dir.join(name);
    let gzipped = dir.join(format!("{name}.gz"));
    let found = [&raw, &gzipped].into_iter().find(|path| path.is_file()).cloned();
    found.ok_or(DataError::Missing { path: raw })
}
