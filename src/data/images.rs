//! Images of one shape, wherever they are: in memory as a file of arrays held them, or in image
//! files. Batches and commands see only this.

use std::path::Path;

use super::error::{DataError, Supply};
use super::files::Files;
use super::idx;
use super::stored::Stored;
use crate::data::corruption::Split;
use crate::formats::image_file::ImagePlace;

/// What samples that are drawn anew depend on, beside their index.
#[derive(Debug, Clone, Copy)]
pub struct Draw {
    /// The run's.
    pub seed: u64,
    /// Which of the two sets it is; the test set is the same in every epoch.
    pub split: Split,
    /// Counts from 1.
    pub epoch: u64,
}

/// Images of one shape, by index.
#[derive(Debug)]
pub struct Images(Source);

#[derive(Debug)]
enum Source {
    Stored(Stored),
    Files(Files),
}

impl From<Stored> for Images {
    fn from(stored: Stored) -> Self {
        Self(Source::Stored(stored))
    }
}

impl From<Files> for Images {
    fn from(files: Files) -> Self {
        Self(Source::Files(files))
    }
}

impl Images {
    /// Reads a raw or gzipped IDX file, or its first `samples` images.
    ///
    /// # Errors
    /// When the file cannot be read, or is not what its header says.
    pub fn open(path: &Path, samples: Option<usize>) -> Result<Self, DataError> {
        idx::open(path, samples, Supply::Mnist).map(Self::from)
    }

    /// Height, width and channels.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        match &self.0 {
            Source::Stored(stored) => stored.shape,
            Source::Files(files) => files.shape(),
        }
    }

    /// Values of one image.
    #[must_use]
    pub fn values(&self) -> usize {
        self.shape().iter().product()
    }

    /// Number of images; of patches, where images are cut into them.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            Source::Stored(stored) => stored.len(),
            Source::Files(files) => files.len(),
        }
    }

    /// Only where none was asked for: data without images are refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The file that an image comes from, below its folder, where there is one; a patch of several
    /// has its number behind a `#`.
    #[must_use]
    pub fn name(&self, index: usize) -> Option<String> {
        match &self.0 {
            Source::Stored(_) => None,
            Source::Files(files) => Some(files.name(index)),
        }
    }

    /// The file, or its page, that [`clean`](Self::clean) takes an image's values from, where there is one
    /// that no other set has parts of.
    #[must_use]
    pub fn place(&self, index: usize) -> Option<&ImagePlace> {
        match &self.0 {
            Source::Stored(_) => None,
            Source::Files(files) => files.place(index),
        }
    }

    /// Whether what the model sees is another image than what it should give, before corruption.
    #[must_use]
    pub fn are_paired(&self) -> bool {
        match &self.0 {
            Source::Stored(_) => false,
            Source::Files(files) => files.is_paired(),
        }
    }

    /// Whether an index stands for another image in each epoch of training.
    #[must_use]
    pub fn are_drawn(&self) -> bool {
        match &self.0 {
            Source::Stored(_) => false,
            Source::Files(files) => files.draws(),
        }
    }

    /// Files that were left out because they cannot be used.
    #[must_use]
    pub fn skipped(&self) -> usize {
        match &self.0 {
            Source::Stored(_) => 0,
            Source::Files(files) => files.skipped(),
        }
    }

    /// Digests of what the images are made of: one for each file, or one for an array.
    pub(super) fn digests(&self) -> Vec<u32> {
        match &self.0 {
            Source::Stored(stored) => vec![stored.digest()],
            Source::Files(files) => files.digests(),
        }
    }

    /// The file that digest `index` is of.
    pub(super) fn file(&self, index: usize) -> &Path {
        match &self.0 {
            Source::Stored(stored) => &stored.file,
            Source::Files(files) => files.file(index),
        }
    }

    /// Threads that are worth having for making batches; the batches do not depend on it.
    pub(super) fn makers(&self) -> usize {
        match &self.0 {
            Source::Stored(_) => 1,
            Source::Files(files) => files.makers(),
        }
    }

    /// Appends an image's values in 0..1 to `input`; of a pair also the clean one's to `clean`.
    ///
    /// # Errors
    /// When its file cannot be read any more.
    ///
    /// # Panics
    /// When there is no such image.
    pub fn push(
        &self,
        draw: Draw,
        index: usize,
        input: &mut Vec<f32>,
        clean: &mut Vec<f32>,
    ) -> Result<(), DataError> {
        match &self.0 {
            Source::Stored(stored) => {
                stored.push(index, input);
                Ok(())
            }
            Source::Files(files) => files.push(draw, index, input, clean),
        }
    }

    /// An image's values in 0..1 before any corruption, as the test set has it: not mirrored, not
    /// turned; of a pair the clean one.
    ///
    /// # Errors
    /// When its file cannot be read any more.
    ///
    /// # Panics
    /// When there is no such image.
    pub fn clean(&self, index: usize) -> Result<Vec<f32>, DataError> {
        let draw = Draw { seed: 0, split: Split::Test, epoch: 0 };
        let (mut input, mut clean) = (Vec::new(), Vec::new());
        self.push(draw, index, &mut input, &mut clean)?;
        Ok(if clean.is_empty() { input } else { clean })
    }
}
