//! Keras's `.h5` files: the config in attributes of the root, and weights either by layer, with the
//! names in attributes, or by path, as Keras 3 saves weights alone.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;
use std::sync::Arc;

use super::error::Fault;
use super::{KerasFile, Kind, LONGEST_NAME, LayerWeights, Weight, Weights, json, tree};
use crate::formats::checkpoint::shown;
use crate::formats::hdf5::{Attributes, Dataset, File, Group, Hdf5Error};

/// Weights that belong to the model itself and not to one of its layers.
const TOP_LEVEL: &str = "top_level_model_weights";
/// A layer or weight takes at least so many bytes in a sound file, for its name and its place.
const BYTES_PER_NAME: u64 = 32;
/// The most parts that a list may be split into.
const MAX_PARTS: usize = 1 << 16;

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
    let mut opener = Opener::new(file, path);
    Ok(KerasFile {
        weights_of: None,
        kind: if model.is_some() { Kind::WholeH5 } else { Kind::WeightsH5 },
        keras_version: about("keras_version")?,
        backend: about("backend")?,
        training: config("training_config")?,
        model,
        weights: Weights::Layered(opener.layers(layers, names)?),
        optimizer: match root.group("optimizer_weights")? {
            Some(group) => opener.weights(&group)?,
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
        weights_of: None,
        kind: Kind::WeightsTree,
        keras_version: None,
        backend: None,
        model: None,
        training: None,
        weights: Weights::Tree(weights),
        optimizer,
    })
}

/// Opens weights by name, and no more than the file can hold: names may lead to one array over and
/// over. Each group is listed once, since finding one of thousands of names may take thousands of
/// reads.
struct Opener<'a> {
    path: &'a Arc<Path>,
    left: u64,
    listed: HashMap<u64, Listed>,
}

/// What lies in a group, by name.
struct Listed {
    groups: HashMap<String, Group>,
    datasets: HashMap<String, Dataset>,
}

impl<'a> Opener<'a> {
    fn new(file: &File, path: &'a Arc<Path>) -> Self {
        Self { path, left: file.length() / BYTES_PER_NAME, listed: HashMap::new() }
    }

    /// All layers and, if there are any, the weights of the model itself.
    fn layers(&mut self, group: &Group, names: Vec<String>) -> Result<Vec<LayerWeights>, Fault> {
        let mut layers = Vec::with_capacity(names.len());
        for name in names {
            self.count(&name)?;
            let layer = self.group(group, &name)?.ok_or_else(|| missing(&name))?;
            layers.push(LayerWeights { weights: self.weights(&layer)?, name });
        }
        if let Some(top) = self.group(group, TOP_LEVEL)? {
            let weights = self.weights(&top)?;
            if !weights.is_empty() {
                layers.push(LayerWeights { name: TOP_LEVEL.to_owned(), weights });
            }
        }
        Ok(layers)
    }

    /// The weights that a group lists.
    fn weights(&mut self, group: &Group) -> Result<Vec<Weight>, Fault> {
        let names = list(&group.attributes()?, "weight_names")?.unwrap_or_default();
        let open = |name: String| {
            self.count(&name)?;
            let (folder, last) = name.rsplit_once('/').unwrap_or(("", &name));
            let folder = self.group(group, folder)?.ok_or_else(|| missing(&name))?;
            let found = self.listed(&folder)?.datasets.get(last).cloned();
            let dataset = found.ok_or_else(|| missing(&name))?;
            Ok(Weight { name, owner: None, dataset, file: Arc::clone(self.path) })
        };
        names.into_iter().map(open).collect()
    }

    /// The group at a path of names with slashes between.
    fn group(&mut self, from: &Group, path: &str) -> Result<Option<Group>, Fault> {
        let mut group = from.clone();
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let Some(inner) = self.listed(&group)?.groups.get(name) else { return Ok(None) };
            group = inner.clone();
        }
        Ok(Some(group))
    }

    fn listed(&mut self, group: &Group) -> Result<&Listed, Fault> {
        Ok(match self.listed.entry(group.id()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let members = group.members()?;
                let groups = members.groups.into_iter().map(|each| (each.name().to_owned(), each));
                let datasets = members.datasets.into_iter();
                let datasets = datasets.map(|each| (each.name().to_owned(), each));
                new.insert(Listed { groups: groups.collect(), datasets: datasets.collect() })
            }
        })
    }

    /// Counts a name, which every weight keeps a copy of.
    fn count(&mut self, name: &str) -> Result<(), Fault> {
        if name.len() > LONGEST_NAME {
            return Err(Fault::damaged(format!("a name takes more than {LONGEST_NAME} bytes")));
        }
        let too_many = || Hdf5Error::TooLarge("it lists more weights than it can hold".to_owned());
        self.left = self.left.checked_sub(1).ok_or_else(too_many)?;
        Ok(())
    }
}

/// A list of names. Where it takes more than 64 KB Keras splits it up, and numbers the parts.
fn list(attributes: &Attributes, name: &str) -> Result<Option<Vec<String>>, Fault> {
    if let Some(names) = attributes.texts(name)? {
        return Ok(Some(names));
    }
    let mut all: Option<Vec<String>> = None;
    for part in 0..MAX_PARTS {
        let Some(names) = attributes.texts(&format!("{name}{part}"))? else { break };
        all.get_or_insert_default().extend(names);
    }
    Ok(all)
}

fn missing(name: &str) -> Fault {
    Fault::Absent(shown(name))
}
