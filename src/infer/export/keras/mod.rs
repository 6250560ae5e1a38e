//! Keras files: a `.keras` archive, which `keras.saving.load_model` opens compiled, and weights alone as
//! `.h5`, which `load_weights` opens.
//!
//! The file's config holds what a layer's own `get_config` gives where that differs from Keras's defaults,
//! so that every Keras from 3.0 on reads it.

mod compile;
pub(super) mod config;

pub use compile::in_keras;

use std::path::Path;

use anyhow::Context;
use serde_json::{Value, json};

use super::Exporter;
use crate::formats::checkpoint::Array;
use crate::formats::keras_file::{LayerWeightsToSave, WeightToSave, write_keras, write_weights_h5};
use crate::keras::containers;
use crate::plan::Node;

/// The version of Keras whose files these are like.
const KERAS_VERSION: &str = "3.0.0";

/// A weight in Keras's layout, with the names that a file gives it.
struct KerasWeight {
    /// The layer's place among the archive's `layers`: `conv2d_1`.
    container: String,
    layer: String,
    /// Its place among the layer's weights.
    index: usize,
    /// Keras's own name: `kernel`.
    name: &'static str,
    trainable: bool,
    array: Array,
}

/// Writes the whole model, compiled with the config's optimizer and loss; its optimizer has not yet moved.
///
/// # Errors
/// When the file cannot be written.
pub fn write_model(model: &Exporter, path: &Path) -> anyhow::Result<()> {
    let weights = weights_of(model)?;
    let state = compile::optimizer_state(model, &weights);
    let mut paths: Vec<(String, Option<&str>, &Array)> = (weights.iter())
        .map(|weight| {
            let path = format!("layers/{}/vars/{}", weight.container, weight.index);
            (path, Some(weight.layer.as_str()), &weight.array)
        })
        .collect();
    paths.extend(
        state.iter().enumerate().map(|(i, array)| (format!("optimizer/vars/{i}"), None, array)),
    );
    let entries: Vec<WeightToSave<'_>> = paths
        .iter()
        .map(|(path, owner, array)| WeightToSave { path, owner: *owner, array })
        .collect();
    let metadata = json!({ "keras_version": KERAS_VERSION, "date_saved": date_saved() });
    Ok(write_keras(path, &config::model(model), &metadata, &entries)?)
}

/// Writes the weights alone, by the names of their layers.
///
/// # Errors
/// When the file cannot be written.
pub fn write_weights(model: &Exporter, path: &Path) -> anyhow::Result<()> {
    let weights = weights_of(model)?;
    let mut names: Vec<String> = Vec::new();
    for weight in &weights {
        names.push(format!("{}/{}:0", weight.layer, weight.name));
    }
    let mut layers: Vec<LayerWeightsToSave<'_>> = Vec::new();
    let order = containers(&model.plan.graph);
    for (index, _) in &order {
        let name = &model.plan.graph.nodes[*index].name;
        let own = weights.iter().zip(&names).filter(|(weight, _)| weight.layer == *name);
        let weights = own.map(|(weight, name)| (name.as_str(), &weight.array)).collect();
        layers.push(LayerWeightsToSave { name, weights });
    }
    Ok(write_weights_h5(path, &layers, KERAS_VERSION, "tensorflow")?)
}

/// Every weight in the order in which Keras has its layers.
fn weights_of(model: &Exporter) -> anyhow::Result<Vec<KerasWeight>> {
    let mut all = Vec::new();
    for (index, container) in containers(&model.plan.graph) {
        let node = &model.plan.graph.nodes[index];
        all.extend(weights_of_layer(model, node, &container)?);
    }
    Ok(all)
}

fn weights_of_layer(
    model: &Exporter,
    node: &Node,
    container: &str,
) -> anyhow::Result<Vec<KerasWeight>> {
    let held = model.weights_of(node);
    let weights = node.weights.iter().enumerate().map(|(index, weight)| {
        let array =
            held.get(weight.suffix).context("the checkpoint was found to hold all weights")?;
        Ok(KerasWeight {
            container: container.to_owned(),
            layer: node.name.clone(),
            index,
            name: weight.keras_name,
            trainable: weight.trainable,
            array: array.transposed(&inverse(weight.keras_axes)),
        })
    });
    weights.collect()
}

/// `keras.transpose(axes)` has PyTorch's layout; this is the way back.
fn inverse(axes: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; axes.len()];
    axes.iter().enumerate().for_each(|(to, &from)| inverse[from] = to);
    inverse
}

/// No date: the same model gives the same bytes.
fn date_saved() -> Value {
    json!("1980-01-01@00:00:00")
}
