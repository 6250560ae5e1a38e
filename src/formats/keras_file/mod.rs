//! Keras's own files as configs and arrays: what a layer computes is decided in the rooms above.
//!
//! | file | written by | holds |
//! |---|---|---|
//! | `.keras` | Keras 3, Keras 2.12 to 2.15 | a zip: `config.json`, `metadata.json`, `model.weights.h5` |
//! | `.h5` | Keras 1 to 3, tf.keras: `model.save` | HDF5: the config as attributes, weights by layer |
//! | `.h5` | Keras 1 and 2: `save_weights` | HDF5: weights by layer |
//! | `.weights.h5` | Keras 3: `save_weights` | HDF5: weights by path |
//! | `.json` | `model.to_json()` | the config; the weights are in a second file |
//!
//! A file is told by its content, never by its name, and nothing in it is trusted or run. Weights are
//! read one at a time, when they are asked for. Only what Keras itself can open is written.

mod archive;
mod error;
mod h5;
mod json;
mod tree;
mod write;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::checkpoint::{Array, DType};
use super::hdf5::{self, Dataset, Source, most_bytes};
use crate::system::regular_file;
use archive::Archive;
use error::Fault;
pub use error::KerasFileError;
pub use write::{LayerWeightsToSave, WeightToSave, write_keras, write_weights_h5};

/// The start of every zip file.
const ZIP_SIGNATURE: &[u8] = b"PK\x03\x04";
/// A longer name, in bytes, is no layer's or weight's; every weight keeps its own copies.
const LONGEST_NAME: usize = 1000;
/// Others may put something before an HDF5 file; it then starts at 512 bytes or a doubling of them.
const HDF5_STARTS: [u64; 5] = [0, 512, 1024, 2048, 4096];

/// What a Keras file holds. Weights are read when they are asked for.
#[derive(Debug)]
#[non_exhaustive]
pub struct KerasFile {
    /// Which of Keras's files it is; that of the config where there are two.
    pub kind: Kind,
    /// The version that the file names, such as `3.8.0`, `2.2.4-tf` or `1.2.2`.
    pub keras_version: Option<String>,
    /// The backend that the file names, such as `tensorflow`; `.keras` files name none.
    pub backend: Option<String>,
    /// The model's config as Keras wrote it, an object with `class_name` and `config`. Where Python
    /// wrote `NaN`, `Infinity` or `-Infinity`, which JSON lacks, there is a text of that name.
    pub model: Option<Value>,
    /// Loss, optimizer and metrics as Keras wrote them: `training_config` of an `.h5` file,
    /// `compile_config` of a `.keras` file.
    pub training: Option<Value>,
    /// The model's weights.
    pub weights: Weights,
    /// Where these are of another file: the version and the backend that it names.
    pub weights_of: Option<[Option<String>; 2]>,
    /// The optimizer's state in Keras's order, by paths such as `optimizer/vars/0` or by names such
    /// as `training/Adam/iterations:0`.
    pub optimizer: Vec<Weight>,
}

/// Which of Keras's files it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A `.keras` file.
    Keras,
    /// A whole model in an `.h5` file.
    WholeH5,
    /// The config alone.
    Json,
    /// Weights alone, by layer.
    WeightsH5,
    /// Weights alone, by path.
    WeightsTree,
}

/// A model's weights in one of Keras's two layouts.
#[derive(Debug)]
pub enum Weights {
    /// By the names of layers and of weights, both in the model's order.
    Layered(Vec<LayerWeights>),
    /// By paths such as `layers/conv2d_1/vars/0`, where a folder stands for the class of a layer and
    /// a count. In the order of paths, numbers by their value.
    Tree(Vec<Weight>),
    /// There are none: only a config was given.
    None,
}

/// The weights of one layer, or of a model that is used as a layer.
#[derive(Debug)]
pub struct LayerWeights {
    /// The layer's name.
    pub name: String,
    /// Its weights, such as `conv1/kernel:0`, in Keras's order; none for layers without weights.
    pub weights: Vec<Weight>,
}

/// An array in the file.
#[derive(Clone, Debug)]
pub struct Weight {
    /// What the file calls it: see [`Weights`].
    pub name: String,
    /// The name of the layer that it belongs to, as the weights of newer Keras 3 have it.
    pub owner: Option<String>,
    dataset: Dataset,
    file: Arc<Path>,
}

impl Weight {
    /// The length of each axis.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        self.dataset.shape()
    }

    /// The elements that [`Weight::read`] gives: shorter floating-point numbers become float32,
    /// whole numbers and truth values int64. `None` when they are something else.
    #[must_use]
    pub fn dtype(&self) -> Option<DType> {
        self.dataset.dtype()
    }

    /// Reads the values now; nothing is kept.
    ///
    /// # Errors
    /// When the elements are not plain numbers, and when the file is damaged or cannot be read.
    pub fn read(&self) -> Result<Array, KerasFileError> {
        let read = self.dataset.read();
        read.map_err(|fault| KerasFileError::new(&self.file, fault.into()))
    }
}

impl KerasFile {
    /// Opens a file of any [`Kind`]. The weights of `weights`, a second file, and the optimizer's
    /// state in it take the place of the first file's; a config alone has none of its own.
    ///
    /// # Errors
    /// When a file is none of Keras's, damaged, or claims more than its size warrants, when the
    /// second file has no weights, and when the system refuses.
    pub fn open(path: &Path, weights: Option<&Path>) -> Result<Self, KerasFileError> {
        let mut file = Self::read(path, || source(path))?;
        if let Some(path) = weights {
            file.take_weights(path, Self::read(path, || source(path))?)?;
        }
        Ok(file)
    }

    /// As [`KerasFile::open`] for one file whose bytes are in memory; `path` is for messages.
    ///
    /// # Errors
    /// As [`KerasFile::open`].
    pub fn from_bytes(path: &Path, bytes: Vec<u8>) -> Result<Self, KerasFileError> {
        Self::read(path, || Ok(Source::memory(bytes)))
    }

    fn read(
        path: &Path,
        source: impl FnOnce() -> Result<Source, Fault>,
    ) -> Result<Self, KerasFileError> {
        source()
            .and_then(|source| Self::of(source, path))
            .map_err(|fault| KerasFileError::new(path, fault))
    }

    fn of(source: Source, path: &Path) -> Result<Self, Fault> {
        let file: Arc<Path> = Arc::from(path);
        let length = source.len();
        let read = match Content::of(&source)? {
            Content::Zip => from_keras(&mut Archive::open(source)?, &file),
            Content::Hdf5 => h5::read(&hdf5::File::open(source)?, &file),
            Content::Json => from_json(&source),
        }?;
        check_size(&read, length)?;
        Ok(read)
    }

    fn take_weights(&mut self, path: &Path, other: Self) -> Result<(), KerasFileError> {
        if matches!(other.weights, Weights::None) {
            return Err(KerasFileError::new(path, Fault::NoWeights));
        }
        self.weights = other.weights;
        self.optimizer = other.optimizer;
        self.weights_of = Some([other.keras_version.clone(), other.backend]);
        self.keras_version = self.keras_version.take().or(other.keras_version);
        Ok(())
    }

    /// All weights of the model in the file's order, whatever their layout.
    pub fn all_weights(&self) -> impl Iterator<Item = &Weight> {
        let (layers, tree) = match &self.weights {
            Weights::Layered(layers) => (layers.as_slice(), &[][..]),
            Weights::Tree(tree) => (&[][..], tree.as_slice()),
            Weights::None => (&[][..], &[][..]),
        };
        layers.iter().flat_map(|layer| &layer.weights).chain(tree)
    }
}

/// What the first bytes tell.
enum Content {
    Zip,
    Hdf5,
    Json,
}

impl Content {
    fn of(source: &Source) -> Result<Self, Fault> {
        const HEAD: usize = 64;
        let head = source.head(0, HEAD)?;
        if head.is_empty() {
            return Err(Fault::Empty);
        }
        if head.starts_with(ZIP_SIGNATURE) {
            return Ok(Self::Zip);
        }
        for start in HDF5_STARTS {
            if source.head(start, hdf5::SIGNATURE.len())? == hdf5::SIGNATURE {
                return Ok(Self::Hdf5);
            }
        }
        let text = head.strip_prefix(json::MARK).unwrap_or(&head).trim_ascii_start();
        // A config that was packed as JSON twice is a text that holds JSON.
        if text.starts_with(b"{") || text.starts_with(b"\"{") {
            return Ok(Self::Json);
        }
        Err(Fault::Unknown)
    }
}

fn source(path: &Path) -> Result<Source, Fault> {
    Ok(Source::file(regular_file::open(path)?)?)
}

fn from_keras(archive: &mut Archive, path: &Arc<Path>) -> Result<KerasFile, Fault> {
    let Some(model) = archive.json("config.json")? else { return Err(archive.stranger()) };
    let metadata = archive.json("metadata.json")?.unwrap_or_default();
    let weights = archive.weights()?;
    let (weights, optimizer) = match weights {
        Some(weights) => tree::read(&hdf5::File::open(weights)?, path)?,
        None => return Err(Fault::NoWeightsInZip),
    };
    json::check_model(&model)?;
    Ok(KerasFile {
        weights_of: None,
        kind: Kind::Keras,
        keras_version: json::text(&metadata, "keras_version"),
        backend: None,
        training: model.get("compile_config").filter(|config| !config.is_null()).cloned(),
        model: Some(model),
        weights: Weights::Tree(weights),
        optimizer,
    })
}

fn from_json(source: &Source) -> Result<KerasFile, Fault> {
    let model = json::read(source)?;
    json::check_model(&model)?;
    Ok(KerasFile {
        weights_of: None,
        kind: Kind::Json,
        keras_version: json::text(&model, "keras_version"),
        backend: json::text(&model, "backend"),
        training: model.get("compile_config").filter(|config| !config.is_null()).cloned(),
        model: Some(model),
        weights: Weights::None,
        optimizer: Vec::new(),
    })
}

/// Bounds what all arrays together take, before any is read: many names may lead to one array.
fn check_size(file: &KerasFile, length: u64) -> Result<(), Fault> {
    let sizes =
        file.all_weights().chain(&file.optimizer).filter_map(|each| each.dataset.byte_len());
    let total = sizes.fold(0, u64::saturating_add);
    if total <= most_bytes(length) {
        return Ok(());
    }
    let detail = format!("{total} bytes of weights in a file of {length}");
    Err(hdf5::Hdf5Error::TooLarge(detail).into())
}
