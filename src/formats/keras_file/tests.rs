//! Files of every kind (`scripts/make_keras_files.py`), whose weight i holds i, i + 1/8, i + 2/8 ...

use std::fs;
use std::io::{Cursor, Read, Write};
use std::path::PathBuf;

use serde_json::json;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::*;
use crate::formats::hdf5::{NewAttribute, NewGroup};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/keras").join(name)
}

fn open(name: &str) -> KerasFile {
    KerasFile::open(&fixture(name), None).unwrap()
}

fn refused(bytes: Vec<u8>) -> String {
    KerasFile::from_bytes(Path::new("x.h5"), bytes).unwrap_err().to_string()
}

fn floats(weight: &Weight) -> Vec<f32> {
    weight.read().unwrap().to_values().unwrap()
}

/// Names, shapes and values, of which only the first is written down.
fn check(weights: &[Weight], wanted: &[(&str, &[usize], f32)]) {
    let names: Vec<&str> = weights.iter().map(|weight| weight.name.as_str()).collect();
    let wanted_names: Vec<&str> = wanted.iter().map(|(name, ..)| *name).collect();
    assert_eq!(names, wanted_names);
    for (weight, (name, shape, first)) in weights.iter().zip(wanted) {
        assert_eq!((weight.shape(), weight.dtype()), (*shape, Some(DType::F32)), "{name}");
        let count = shape.iter().product();
        let ramp: Vec<f32> = (0..count).map(|i| first + i as f32 / 8.0).collect();
        assert_eq!(floats(weight), ramp, "{name}");
    }
}

fn layers(file: &KerasFile) -> &[LayerWeights] {
    let Weights::Layered(layers) = &file.weights else { panic!("{:?}", file.weights) };
    layers
}

fn tree(file: &KerasFile) -> &[Weight] {
    let Weights::Tree(tree) = &file.weights else { panic!("{:?}", file.weights) };
    tree
}

fn layer_names(file: &KerasFile) -> Vec<&str> {
    layers(file).iter().map(|layer| layer.name.as_str()).collect()
}

// ---- every kind of file ----

#[test]
fn a_model_of_keras_3_opens_with_its_layers_names_and_its_optimizer() {
    for name in ["keras3.keras", "packed.keras"] {
        let file = open(name);
        assert_eq!((file.kind, file.backend.as_deref()), (Kind::Keras, None));
        assert_eq!(file.keras_version.as_deref(), Some("3.15.1"));
        let model = file.model.as_ref().unwrap();
        assert_eq!(
            (&model["class_name"], &model["config"]["name"]),
            (&json!("Functional"), &json!("small"))
        );
        assert_eq!(file.training.as_ref().unwrap()["loss"], json!("mse"));
        check_tree(&file);
        check(
            &file.optimizer[2..4],
            &[
                ("optimizer/vars/2", &[3, 3, 1, 2], 100.0),
                ("optimizer/vars/3", &[3, 3, 1, 2], 101.0),
            ],
        );
        assert_eq!(file.optimizer[0].dtype(), Some(DType::I64));
        assert_eq!(file.optimizer[0].read().unwrap().to_values::<i64>().unwrap(), [7]);
        assert_eq!(file.optimizer.last().unwrap().name, "optimizer/vars/13");
    }
}

fn check_tree(file: &KerasFile) {
    check(
        tree(file),
        &[
            ("layers/batch_normalization/vars/0", &[2], 2.0),
            ("layers/batch_normalization/vars/1", &[2], 3.0),
            ("layers/batch_normalization/vars/2", &[2], 4.0),
            ("layers/batch_normalization/vars/3", &[2], 5.0),
            ("layers/conv2d/vars/0", &[3, 3, 1, 2], 0.0),
            ("layers/conv2d/vars/1", &[2], 1.0),
            ("layers/sequential/layers/conv2d/vars/0", &[1, 1, 2, 1], 6.0),
            ("layers/sequential/layers/conv2d/vars/1", &[1], 7.0),
        ],
    );
    let owners: Vec<_> = tree(file).iter().map(|weight| weight.owner.as_deref()).collect();
    assert_eq!(owners[0], Some("norm"));
    assert_eq!((owners[5], owners[7]), (Some("first"), Some("deep")));
}

#[test]
fn weights_alone_of_keras_3_are_a_tree() {
    let mut zip = ZipArchive::new(fs::File::open(fixture("keras3.keras")).unwrap()).unwrap();
    let mut bytes = Vec::new();
    zip.by_name("model.weights.h5").unwrap().read_to_end(&mut bytes).unwrap();
    let file = KerasFile::from_bytes(Path::new("x"), bytes).unwrap();
    assert_eq!((file.kind, &file.model, &file.training), (Kind::WeightsTree, &None, &None));
    check_tree(&file);
    assert_eq!(file.optimizer.len(), 14);
}

#[test]
fn a_model_of_keras_2_14_opens_in_the_order_of_numbers() {
    let file = open("keras2_14.keras");
    assert_eq!((file.kind, file.keras_version.as_deref()), (Kind::Keras, Some("2.14.0")));
    assert_eq!(file.training, Some(json!({"optimizer": "adam", "loss": "mse"})));
    let path = |folder: &str| format!("_layer_checkpoint_dependencies/{folder}");
    let [a, b, c] = ["conv2d", "conv2d_1", "conv2d_10"].map(path);
    let paths: Vec<String> =
        [a, b, c].iter().flat_map(|folder| [0, 1].map(|i| format!("{folder}/vars/{i}"))).collect();
    let wanted: Vec<(&str, &[usize], f32)> = (paths.iter().enumerate())
        .map(|(i, path)| {
            let shape: &[usize] = if i % 2 == 0 { &[3, 3, 1, 1] } else { &[1] };
            (path.as_str(), shape, i as f32)
        })
        .collect();
    check(tree(&file), &wanted);
    let steps: Vec<f32> = file.optimizer.iter().flat_map(floats).collect();
    assert_eq!(steps, (0..12).map(|i| i as f32).collect::<Vec<_>>());
}

#[test]
fn a_whole_model_of_keras_3_in_hdf5_opens() {
    let file = open("keras3.h5");
    assert_eq!((file.kind, file.backend.as_deref()), (Kind::WholeH5, Some("jax")));
    assert_eq!(file.keras_version.as_deref(), Some("3.15.1"));
    assert_eq!(file.model.as_ref().unwrap()["class_name"], json!("Functional"));
    assert_eq!(file.training.as_ref().unwrap()["loss"], json!("mse"));
    assert_eq!(layer_names(&file), ["image", "first", "norm", "relu", "inner"]);
    check(
        &layers(&file)[1].weights,
        &[("first/kernel", &[3, 3, 1, 2], 0.0), ("first/bias", &[2], 1.0)],
    );
    check(
        &layers(&file)[4].weights,
        &[("inner/deep/kernel", &[1, 1, 2, 1], 6.0), ("inner/deep/bias", &[1], 7.0)],
    );
    let names: Vec<&str> = file.optimizer.iter().map(|weight| weight.name.as_str()).collect();
    assert_eq!(names, ["sgd/iteration", "sgd/learning_rate"]);
}

#[test]
fn older_models_and_weights_open_with_what_they_say() {
    let whole = ("Sequential", true);
    for (name, kind, version, model, suffix) in [
        ("keras2.h5", Kind::WholeH5, "2.2.4-tf", Some(whole), ":0"),
        ("keras1.h5", Kind::WholeH5, "1.2.2", Some(("Sequential", false)), ""),
        ("keras2_weights.h5", Kind::WeightsH5, "2.2.4", None, ":0"),
    ] {
        let file = open(name);
        assert_eq!((file.kind, file.keras_version.as_deref()), (kind, Some(version)));
        assert_eq!(file.backend.as_deref(), Some("tensorflow"));
        let found = file
            .model
            .as_ref()
            .map(|model| (model["class_name"].as_str().unwrap(), model["config"].is_object()));
        assert_eq!(found, model);
        let first = layers(&file).iter().find(|layer| layer.name == "first").unwrap();
        let names = [format!("first/kernel{suffix}"), format!("first/bias{suffix}")];
        check(&first.weights, &[(&names[0], &[3, 3, 1, 2], 0.0), (&names[1], &[2], 1.0)]);
        if model.is_some() {
            let training = file.training.as_ref().unwrap();
            assert_eq!(training["optimizer_config"]["config"]["lr"], json!("Infinity"));
            assert_eq!(file.optimizer[0].read().unwrap().to_values::<i64>().unwrap(), [7]);
            check(&file.optimizer[1..], &[("training/Adam/m:0", &[3, 3, 1, 2], 100.0)]);
        }
    }
    let file = open("keras2.h5");
    assert_eq!(layer_names(&file), ["image", "first", "inner"]);
    check(
        &layers(&file)[2].weights,
        &[("deep/kernel:0", &[1, 1, 2, 1], 2.0), ("deep/bias:0", &[1], 3.0)],
    );
}

#[test]
fn names_that_were_split_up_are_put_together() {
    let file = open("split.h5");
    assert_eq!((file.kind, file.keras_version.as_deref()), (Kind::WeightsH5, None));
    assert_eq!(layer_names(&file), ["layer_0", "layer_1", "layer_2"]);
    check(&layers(&file)[2].weights, &[("layer_2/kernel:0", &[2], 2.0)]);
}

#[test]
fn a_config_takes_its_weights_from_a_second_file() {
    let json = fixture("keras3.json");
    let alone = KerasFile::open(&json, None).unwrap();
    assert!(matches!((alone.kind, &alone.weights), (Kind::Json, Weights::None)));
    assert_eq!(alone.all_weights().count(), 0);
    let both = KerasFile::open(&json, Some(&fixture("keras2_weights.h5"))).unwrap();
    assert_eq!((both.kind, both.keras_version.as_deref()), (Kind::Json, Some("2.2.4")));
    assert_eq!(both.model.as_ref().unwrap()["class_name"], json!("Functional"));
    assert_eq!(layer_names(&both), ["image", "first", "inner"]);
    let error = KerasFile::open(&json, Some(&json)).unwrap_err();
    assert!(error.is_usage_error());
    assert!(error.to_string().ends_with(
        "keras3.json` holds no weights: give a file that model.save or model.save_weights wrote"
    ));
}

// ---- what is wrong ----

#[test]
fn the_content_decides_and_strangers_are_named() {
    let npz = zipped(&[("x.npy", b"1"), ("y.npy", b"2")], CompressionMethod::Stored);
    let config = br#"{"class_name": "Model", "config": {}}"#;
    let no_weights = zipped(&[("config.json", config)], CompressionMethod::Stored);
    for (bytes, said) in [
        (Vec::new(), "is empty:"),
        (
            b"epoch,loss\n".to_vec(),
            "is neither a `.keras` zip, an HDF5 file (`.h5`) nor a model's JSON",
        ),
        (vec![b'x'; 600], "is neither a `.keras` zip"),
        (npz, "is a zip file without a `config.json` (it holds `x.npy`, `y.npy`): "),
        (no_weights, "is a `.keras` zip without `model.weights.h5`: "),
        (hdf5_file(&[("a", 1)]), "is an HDF5 file without Keras's weights: "),
        (
            b"{\"a\": 1}".to_vec(),
            "is JSON, but not a model's (an object with `class_name` and `config`)",
        ),
    ] {
        let sentence = refused(bytes);
        assert!(sentence.starts_with(&format!("`x.h5` {said}")), "{sentence}");
    }
}

#[test]
fn a_path_that_leads_to_no_file_is_a_usage_error() {
    let folder = tempfile::tempdir().unwrap();
    for (path, said) in [
        (folder.path().to_path_buf(), "is a directory, perhaps a SavedModel of TensorFlow: "),
        (folder.path().join("x.keras"), "does not exist: "),
    ] {
        let error = KerasFile::open(&path, None).unwrap_err();
        assert!(error.is_usage_error() && error.to_string().contains(said), "{error}");
    }
}

#[test]
fn damage_anywhere_in_a_zip_is_noticed() {
    let bytes = fs::read(fixture("keras3.keras")).unwrap();
    let mut zip = ZipArchive::new(Cursor::new(&bytes)).unwrap();
    for name in ["config.json", "model.weights.h5"] {
        let start = zip.by_name(name).unwrap().data_start().unwrap() as usize;
        let mut damaged = bytes.clone();
        damaged[start + 100] ^= 1;
        let sentence = refused(damaged);
        let said = format!("is damaged (the checksum of the zip entry `{name}` is wrong)");
        assert!(sentence.contains(&said), "{sentence}");
    }
    let sentence = refused(bytes[..bytes.len() - 30].to_vec());
    assert!(sentence.starts_with("`x.h5` is damaged ("), "{sentence}");
}

#[test]
fn what_grows_a_thousandfold_when_it_is_unpacked_is_refused() {
    let config = br#"{"class_name": "Model", "config": {}}"#;
    let zeros = vec![0; 40 << 20];
    let bytes = zipped(
        &[("config.json", config), ("model.weights.h5", &zeros)],
        CompressionMethod::Deflated,
    );
    let sentence = refused(bytes);
    assert!(
        sentence.contains("claims too much for its size (`model.weights.h5` of 41943040"),
        "{sentence}"
    );
    let long = zipped(&[("config.json", &vec![b' '; 17 << 20])], CompressionMethod::Stored);
    assert!(refused(long).contains("holds JSON of more than 16 MB"));
}

#[test]
fn what_a_file_names_and_does_not_hold_is_named() {
    let array = Array::from_values(&[], &[1.0_f32]).unwrap();
    let texts =
        |names: &[&str]| NewAttribute::Texts(names.iter().map(|name| (*name).to_owned()).collect());
    let mut file = NewGroup::default();
    file.set("layer_names", texts(&["a", "b"]));
    file.add("a/kernel", &array).unwrap();
    file.group("a").unwrap().set("weight_names", texts(&["kernel", "bias"]));
    assert!(refused(written(&file)).starts_with("`x.h5` names `bias`, which it does not hold: "));
    file.group("a").unwrap().set("weight_names", texts(&["kernel"]));
    assert!(refused(written(&file)).starts_with("`x.h5` names `b`, which it does not hold: "));
    file.set("model_config", NewAttribute::Text("{\"class_name\"".to_owned()));
    assert!(refused(written(&file)).contains("is damaged: its `model_config` is no JSON ("));
}

#[test]
fn one_array_under_many_names_is_refused_before_it_is_read() {
    let array = Array::from_values(&[256, 256], &vec![1.0_f32; 65_536]).unwrap();
    let mut file = NewGroup::default();
    file.set("layer_names", NewAttribute::Texts(vec!["a".to_owned()]));
    file.add("a/w", &array).unwrap();
    let names = vec!["w".to_owned(); 100];
    file.group("a").unwrap().set("weight_names", NewAttribute::Texts(names));
    let sentence = refused(written(&file));
    assert!(
        sentence.contains("claims too much for its size (26214400 bytes of weights in"),
        "{sentence}"
    );
}

#[test]
fn a_list_of_more_weights_than_a_file_can_hold_is_refused() {
    let array = Array::from_values(&[], &[1.0_f32]).unwrap();
    let mut file = NewGroup::default();
    let list = |name: &str| NewAttribute::Texts(vec![name.to_owned(); 5000]);
    file.add("a/w", &array).unwrap();
    file.set("layer_names", list("a"));
    file.group("a").unwrap().set("weight_names", list("w"));
    let sentence = refused(written(&file));
    assert!(sentence.contains("(it lists more weights than it can hold)"), "{sentence}");
}

#[test]
fn a_name_without_end_is_refused() {
    let array = Array::from_values(&[], &[1.0_f32]).unwrap();
    let mut file = NewGroup::default();
    file.set("layer_names", NewAttribute::Texts(vec![format!("a{}", "/".repeat(2000))]));
    file.add("a/w", &array).unwrap();
    let sentence = refused(written(&file));
    assert!(sentence.contains("is damaged (a name takes more than 1000 bytes)"), "{sentence}");
}

#[test]
fn groups_that_are_nested_too_deep_are_refused() {
    let path = "a/".repeat(70);
    assert!(refused(hdf5_file(&[(&format!("{path}vars/0"), 1)])).contains("are nested too deep"));
    let file = KerasFile::from_bytes(Path::new("x"), hdf5_file(&[("a/b/c/d/vars/0", 1)])).unwrap();
    assert_eq!(tree(&file)[0].name, "a/b/c/d/vars/0");
}

#[test]
fn groups_that_lead_in_a_circle_are_refused() {
    // The link from `layers` to its member is bent back to `layers` itself.
    let mut bytes = hdf5_file(&[("layers/x/vars/0", 1)]);
    let link = |name: &str, bytes: &[u8]| {
        let message = [&[1, 0b1_0001, 1, name.len() as u8, 0][..], name.as_bytes()].concat();
        let at = bytes.windows(message.len()).position(|place| place == message).unwrap();
        at + message.len()
    };
    let (from, to) = (link("x", &bytes), link("layers", &bytes));
    let target = bytes[to..to + 8].to_vec();
    bytes[from..from + 8].copy_from_slice(&target);
    reseal(&mut bytes);
    assert!(refused(bytes).contains("two of its groups are the same one"));
}

/// Makes the checksums of all headers right again.
fn reseal(bytes: &mut [u8]) {
    let headers = bytes.windows(4).enumerate().filter(|(_, place)| place == b"OHDR");
    let starts: Vec<usize> = headers.map(|(at, _)| at).collect();
    for start in starts {
        let length = u32::from_le_bytes(bytes[start + 6..start + 10].try_into().unwrap());
        let end = start + 10 + length as usize;
        let sum = hdf5_reader::checksum::jenkins_lookup3(&bytes[start..end]);
        bytes[end..end + 4].copy_from_slice(&sum.to_le_bytes());
    }
}

fn zipped(entries: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let options = SimpleFileOptions::default().compression_method(method);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        zip.start_file(*name, options).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn written(group: &NewGroup) -> Vec<u8> {
    let mut bytes = Vec::new();
    group.write(&mut bytes).unwrap();
    bytes
}

/// A file of arrays of so many elements.
fn hdf5_file(arrays: &[(&str, usize)]) -> Vec<u8> {
    let arrays: Vec<(&str, Array)> = (arrays.iter())
        .map(|&(path, count)| (path, Array::from_values(&[count], &vec![1.0_f32; count]).unwrap()))
        .collect();
    let mut file = NewGroup::default();
    for (path, array) in &arrays {
        file.add(path, array).unwrap();
    }
    written(&file)
}

// ---- what we write ----

#[test]
fn a_whole_model_comes_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("again.keras");
    let file = open("keras3.keras");
    let arrays: Vec<(&Weight, Array)> = (file.all_weights().chain(&file.optimizer))
        .map(|each| (each, each.read().unwrap()))
        .collect();
    let weights: Vec<WeightToSave> = (arrays.iter())
        .map(|(weight, array)| WeightToSave {
            path: &weight.name,
            owner: weight.owner.as_deref(),
            array,
        })
        .collect();
    let metadata = json!({"keras_version": "3.15.1", "date_saved": "2026-11-26@17:00:00"});
    write_keras(&path, file.model.as_ref().unwrap(), &metadata, &weights).unwrap();
    let again = KerasFile::open(&path, None).unwrap();
    assert_eq!((&again.model, &again.keras_version), (&file.model, &file.keras_version));
    check_tree(&again);
    assert_eq!(again.optimizer.len(), file.optimizer.len());
}

#[test]
fn weights_by_layer_come_back_in_their_order_however_many_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.h5");
    let array = Array::from_values(&[2], &[0.0_f32, 0.125]).unwrap();
    // Together the names take more than one attribute holds.
    let names: Vec<String> =
        (0..3000).rev().map(|i| format!("a_layer_with_a_long_name_{i}")).collect();
    let layers: Vec<LayerWeightsToSave> = (names.iter().enumerate())
        .map(|(i, name)| {
            let weights = if i == 1 { vec![("x/kernel:0", &array)] } else { Vec::new() };
            LayerWeightsToSave { name, weights }
        })
        .collect();
    write_weights_h5(&path, &layers, "3.15.1", "tensorflow").unwrap();
    let file = KerasFile::open(&path, None).unwrap();
    assert_eq!((file.kind, file.keras_version.as_deref()), (Kind::WeightsH5, Some("3.15.1")));
    assert_eq!(layer_names(&file), names);
    check(&self::layers(&file)[1].weights, &[("x/kernel:0", &[2], 0.0)]);
}

#[test]
fn two_things_of_one_name_are_refused_and_leave_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    let array = Array::from_values(&[], &[1.0_f32]).unwrap();
    let weight = WeightToSave { path: "layers/a/vars/0", owner: None, array: &array };
    let error = write_keras(&path, &json!({}), &json!({}), &[weight, weight]).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("cannot hold two things named `layers/a/vars/0`: give each its own name")
    );
    let layer = LayerWeightsToSave { name: "a", weights: vec![("w", &array)] };
    let error = write_weights_h5(&path, &[layer.clone(), layer], "3", "jax").unwrap_err();
    assert!(error.to_string().contains("two things named `a`"), "{error}");
    let nowhere = folder.path().join("none/x.keras");
    let error = write_keras(&nowhere, &json!({}), &json!({}), &[weight]).unwrap_err();
    assert!(error.to_string().contains("cannot be written ("), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
