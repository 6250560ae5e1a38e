//! Writes what Keras opens: a whole model as a `.keras` zip, and weights by layer as an `.h5` file,
//! which `load_weights` of Keras 2 and 3 reads. Whole or not at all, and without copying the weights.

use std::io::{self, Seek, Write};
use std::path::Path;

use serde_json::Value;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::error::{Fault, KerasFileError};
use crate::formats::checkpoint::{Array, shown};
use crate::formats::hdf5::{NewAttribute, NewGroup};
use crate::formats::zip_sink::ZipSink;
use crate::system::atomic;

/// The most bytes of one attribute that Keras writes; longer lists are split up.
const MAX_ATTRIBUTE: usize = 64_512;
/// From this many bytes on, an entry's length needs the zip64 form.
const ZIP64_FROM: u64 = u32::MAX as u64;

/// A weight of a `.keras` file.
#[derive(Clone, Copy, Debug)]
pub struct WeightToSave<'a> {
    /// Where Keras looks for it, such as `layers/conv2d_1/vars/0` or `optimizer/vars/0`.
    pub path: &'a str,
    /// The name of the layer that it belongs to, which Keras writes but does not read.
    pub owner: Option<&'a str>,
    /// Its values.
    pub array: &'a Array,
}

/// The weights of one layer for [`write_weights_h5`].
#[derive(Clone, Debug)]
pub struct LayerWeightsToSave<'a> {
    /// The layer's name.
    pub name: &'a str,
    /// The names of its weights, such as `conv1/kernel:0`, and their values; none for layers without
    /// weights, which are named all the same.
    pub weights: Vec<(&'a str, &'a Array)>,
}

/// Writes a whole model as Keras 3 does: `config`, all of `config.json` with `compile_config` in it,
/// `metadata` with `keras_version` and `date_saved`, and the weights and the optimizer's state by
/// their paths.
///
/// # Errors
/// When two weights have one path, and when the system refuses.
pub fn write_keras(
    path: &Path,
    config: &Value,
    metadata: &Value,
    weights: &[WeightToSave],
) -> Result<(), KerasFileError> {
    let tree =
        tree(weights).map_err(|name| KerasFileError::new(path, Fault::Name(shown(&name))))?;
    write(path, |file| {
        let mut zip = ZipWriter::new(ZipSink::new(file));
        add(&mut zip, "metadata.json", |zip| Ok(serde_json::to_writer(zip, metadata)?), 0)?;
        add(&mut zip, "config.json", |zip| Ok(serde_json::to_writer(zip, config)?), 0)?;
        add(&mut zip, "model.weights.h5", |zip| tree.write(zip), tree.byte_len()?)?;
        zip.finish()?.finish().map(drop)
    })
}

fn tree<'a>(weights: &[WeightToSave<'a>]) -> Result<NewGroup<'a>, String> {
    let mut root = NewGroup::default();
    for weight in weights {
        root.add(weight.path, weight.array)?;
        if let (Some(owner), Some((folder, _))) = (weight.owner, weight.path.rsplit_once('/')) {
            root.group(folder)?.set("name", NewAttribute::Text(owner.to_owned()));
        }
    }
    Ok(root)
}

fn add<W: Write + Seek>(
    zip: &mut ZipWriter<W>,
    name: &str,
    fill: impl FnOnce(&mut ZipWriter<W>) -> io::Result<()>,
    length: u64,
) -> io::Result<()> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .large_file(length >= ZIP64_FROM);
    zip.start_file(name, options).map_err(io::Error::from)?;
    fill(zip)
}

/// Writes weights as `save_weights` of Keras 2 does, by layer and in the model's order.
///
/// # Errors
/// When two layers or weights have one name, when the names of one layer's weights take more than
/// 64 KB, and when the system refuses.
pub fn write_weights_h5(
    path: &Path,
    layers: &[LayerWeightsToSave],
    keras_version: &str,
    backend: &str,
) -> Result<(), KerasFileError> {
    let root = by_layer(layers, keras_version, backend)
        .map_err(|name| KerasFileError::new(path, Fault::Name(shown(&name))))?;
    write(path, |mut file| root.write(&mut file))
}

fn by_layer<'a>(
    layers: &[LayerWeightsToSave<'a>],
    keras_version: &str,
    backend: &str,
) -> Result<NewGroup<'a>, String> {
    let mut root = NewGroup::default();
    set_list(&mut root, "layer_names", layers.iter().map(|layer| layer.name));
    root.set("keras_version", NewAttribute::Text(keras_version.to_owned()));
    root.set("backend", NewAttribute::Text(backend.to_owned()));
    for layer in layers {
        let group = root.group(layer.name)?;
        if group.is_set("weight_names") || layer.name.is_empty() {
            return Err(layer.name.to_owned());
        }
        set_list(group, "weight_names", layer.weights.iter().map(|(name, _)| *name));
        layer.weights.iter().try_for_each(|(name, array)| group.add(name, array))?;
    }
    Ok(root)
}

/// Sets a list of names, in as many parts as it takes.
fn set_list<'a>(group: &mut NewGroup, name: &str, texts: impl Iterator<Item = &'a str>) {
    let texts: Vec<String> = texts.map(str::to_owned).collect();
    let width = texts.iter().map(String::len).max().unwrap_or(0).max(1);
    if texts.len() * width <= MAX_ATTRIBUTE {
        return group.set(name, NewAttribute::Texts(texts));
    }
    let count = (MAX_ATTRIBUTE / width).max(1);
    for (part, texts) in texts.chunks(count).enumerate() {
        group.set(&format!("{name}{part}"), NewAttribute::Texts(texts.to_vec()));
    }
}

/// Through [`atomic::write`], with the system's refusal as a sentence.
fn write(
    path: &Path,
    fill: impl FnOnce(&mut io::BufWriter<&std::fs::File>) -> io::Result<()>,
) -> Result<(), KerasFileError> {
    atomic::write(path, fill).map_err(|error| KerasFileError::new(path, Fault::Write(error)))
}
