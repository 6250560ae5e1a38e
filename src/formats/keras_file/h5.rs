//! Keras's `.h5` files: the config in attributes of the root, and weights either by layer, with the
//! names in attributes, or by path, as Keras 3 saves weights alone.

use std::path::Path;
use std::sync::Arc;

use super::error::Fault;
use super::{KerasFile, Kind, LayerWeights, Weight, Weights, json, tree};
use crate::formats::checkpoint::shown;
use crate::formats::hdf5::{Attributes, File, Group};

/// Weights that belong to the model itself and not to one of its layers.
const TOP_LEVEL: &str = "top_level_model_weights";
/// The most layers, and weights of one layer, that a file may list.
const MAX_NAMES: usize = 1 << 16;

pub(super) fn read(file: &File, path: &Arc<Path>) -> Result<KerasFile, Fault> {
    let root = file.root()?;
    let attributes = root.attributes()?;
    let config = |name: &str| {
        let text = attributes.text(name)?;
        text.map(|text| json::parse(text.as_bytes(), name)).transpose()
    };
    let model = config("model_config")?;
    let inner = root.group("model_weights")?;
    let layers = inner.as_ref().unwrap_or(&root);
    let names = list(&layers.attributes()?, "layer_names")?;
    let Some(names) = names else {
        return if model.is_some() {
            Err(missing("layer_names"))
        } else {
            weights_alone(file, path)
        };
    };
    if let Some(model) = &model {
        json::check_model(model)?;
    }
    let about = |name: &str| -> Result<Option<String>, Fault> {
        let outer = attributes.text(name)?;
        Ok(if outer.is_some() { outer } else { layers.attributes()?.text(name)? })
    };
    Ok(KerasFile {
        kind: if model.is_some() { Kind::WholeH5 } else { Kind::WeightsH5 },
        keras_version: about("keras_version")?,
        backend: about("backend")?,
        training: config("training_config")?,
        model,
        weights: Weights::Layered(layered(layers, names, path)?),
        optimizer: match root.group("optimizer_weights")? {
            Some(group) => weights_of(&group, path)?,
            None => Vec::new(),
        },
    })
}

/// What Keras 3 saves without a config.
fn weights_alone(file: &File, path: &Arc<Path>) -> Result<KerasFile, Fault> {
    let (weights, optimizer) = tree::read(file, path)?;
    if weights.is_empty() {
        return Err(Fault::OtherHdf5);
    }
    Ok(KerasFile {
        kind: Kind::WeightsTree,
        keras_version: None,
        backend: None,
        model: None,
        training: None,
        weights: Weights::Tree(weights),
        optimizer,
    })
}

fn layered(
    group: &Group,
    names: Vec<String>,
    path: &Arc<Path>,
) -> Result<Vec<LayerWeights>, Fault> {
    let mut layers = Vec::with_capacity(names.len());
    for name in names {
        let layer = group.group(&name)?.ok_or_else(|| missing(&name))?;
        layers.push(LayerWeights { weights: weights_of(&layer, path)?, name });
    }
    if let Some(top) = group.group(TOP_LEVEL)? {
        let weights = weights_of(&top, path)?;
        if !weights.is_empty() {
            layers.push(LayerWeights { name: TOP_LEVEL.to_owned(), weights });
        }
    }
    Ok(layers)
}

/// The weights that a group lists.
fn weights_of(group: &Group, path: &Arc<Path>) -> Result<Vec<Weight>, Fault> {
    let names = list(&group.attributes()?, "weight_names")?.unwrap_or_default();
    let open = |name: String| {
        let dataset = group.dataset(&name)?.ok_or_else(|| missing(&name))?;
        Ok(Weight { name, owner: None, dataset, file: Arc::clone(path) })
    };
    names.into_iter().map(open).collect()
}

/// A list of names. Where it takes more than 64 KB Keras splits it up, and numbers the parts.
fn list(attributes: &Attributes, name: &str) -> Result<Option<Vec<String>>, Fault> {
    if let Some(names) = attributes.texts(name)? {
        return Ok(Some(names));
    }
    let mut all: Option<Vec<String>> = None;
    for part in 0..MAX_NAMES {
        let Some(names) = attributes.texts(&format!("{name}{part}"))? else { break };
        all.get_or_insert_default().extend(names);
    }
    Ok(all)
}

fn missing(name: &str) -> Fault {
    Fault::Absent(shown(name))
}
