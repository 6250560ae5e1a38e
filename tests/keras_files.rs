//! What Keras makes of the files that we write: the same weights, the same state of the optimizer.
//!
//! `scripts/test.sh` names the interpreter in CONVAE_PYTHON; without it this test says that it was
//! skipped.

#[path = "common/absent.rs"]
mod absent;

use std::path::{Path, PathBuf};
use std::process::Command;

use convae::formats::checkpoint::Array;
use convae::formats::keras_file::{
    KerasFile, LayerWeightsToSave, Weight, WeightToSave, Weights, write_keras, write_weights_h5,
};
use serde_json::json;

use absent::python;

/// Opens Keras's file and ours, and compares all that they hold; then gives our weights to a model
/// that has none, in the order of its layers and by their names.
const COMPARISON: &str = r#"
import os, sys
os.environ["KERAS_BACKEND"] = "jax"
import keras, numpy as np
theirs, ours, whole, weights = sys.argv[1:]
a, b = keras.saving.load_model(theirs), keras.saving.load_model(ours)
for x, y in zip(a.get_weights() + a.optimizer.variables, b.get_weights() + b.optimizer.variables, strict=True):
    np.testing.assert_array_equal(x, y)
assert int(b.optimizer.iterations) == 7 and b.loss == "mse"
model = keras.saving.load_model(whole, compile=False)
wanted = model.get_weights()
for options in ({}, {"by_name": True}):
    model.set_weights([0 * each for each in wanted])
    model.load_weights(weights, **options)
    for x, y in zip(wanted, model.get_weights(), strict=True):
        np.testing.assert_array_equal(x, y)
sys.stdout.flush()
os._exit(0)  # backends may hang on the way out
"#;

#[test]
fn keras_opens_what_we_write_and_finds_the_same_values() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (model, weights) = (folder.path().join("ours.keras"), folder.path().join("ours.h5"));
    copy_model(&fixture("keras3.keras"), &model);
    copy_weights(&fixture("keras3.h5"), &weights);
    let run = Command::new(python)
        .args(["-c", COMPARISON])
        .args([&fixture("keras3.keras"), &model, &fixture("keras3.h5"), &weights])
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/keras").join(name)
}

fn copy_model(from: &Path, to: &Path) {
    let file = KerasFile::open(from, None).unwrap();
    let all: Vec<&Weight> = file.all_weights().chain(&file.optimizer).collect();
    let arrays: Vec<Array> = all.iter().map(|weight| weight.read().unwrap()).collect();
    let weights: Vec<WeightToSave> = (all.iter().zip(&arrays))
        .map(|(weight, array)| WeightToSave {
            path: &weight.name,
            owner: weight.owner.as_deref(),
            array,
        })
        .collect();
    let metadata =
        json!({"keras_version": file.keras_version, "date_saved": "2026-01-01@00:00:00"});
    write_keras(to, file.model.as_ref().unwrap(), &metadata, &weights).unwrap();
}

fn copy_weights(from: &Path, to: &Path) {
    let file = KerasFile::open(from, None).unwrap();
    let Weights::Layered(layers) = &file.weights else { panic!("{:?}", file.weights) };
    let arrays: Vec<Vec<Array>> = (layers.iter())
        .map(|layer| layer.weights.iter().map(|weight| weight.read().unwrap()).collect())
        .collect();
    let layers: Vec<LayerWeightsToSave> = (layers.iter().zip(&arrays))
        .map(|(layer, arrays)| {
            let names = layer.weights.iter().map(|weight| weight.name.as_str());
            LayerWeightsToSave { name: &layer.name, weights: names.zip(arrays).collect() }
        })
        .collect();
    write_weights_h5(to, &layers, "3.15.1", "tensorflow").unwrap();
}
