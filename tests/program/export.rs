//! `convae export`: every layer of the config language in every format, run by the tool that the
//! format is for; and what the command refuses.
//!
//! The tests that need Python run where CONVAE_PYTHON names one, as in tests/python.rs.

mod cases;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use assert_cmd::assert::OutputAssertExt;
use convae::ImageFile;
use convae::Source;
use convae::config::layers::Layer;
use convae::config::schema::Field;
use convae::formats::checkpoint::{Array, Checkpoint, Element, save};
use convae::infer::export::{Exporter, Format};
use convae::infer::model_file::save_model;
use convae::nn::{Activation, Interpolation, Padding};
use convae::plan::{Axis, Plan};
use convae::system::random::Stream;
use convae::train::{History, Trainer};
use rand::{RngExt, SeedableRng};
use tch::{CModule, Device, Kind, Tensor, no_grad};

use crate::common::{Convae, Folder, convae, names, python, root, train};
use cases::Case;

/// Largest difference between a tool's outputs and ours.
const BAR: f64 = 2e-6;
/// Images at once.
const BATCHES: [usize; 2] = [1, 5];

fn exporting(weights: &Path, out: &Path) -> Convae {
    convae().arg("export").arg(weights).out(out)
}

fn plan_of(case: &Case) -> Plan {
    Plan::new(Source::parse(&case.config(), &case.name, &[]).unwrap()).unwrap()
}

/// A checkpoint whose weights are all random, also those that start as constants.
fn save_random(case: &Case, path: &Path) -> Plan {
    let plan = plan_of(case);
    let trainer = Trainer::new(&plan, Device::Cpu).unwrap();
    let mut stream = Stream::seed_from_u64(7);
    for parameter in trainer.predictor.parameters().iter() {
        let spread = if parameter.name.ends_with("running_var") { 0.5..1.5 } else { -0.5..0.5 };
        let count = parameter.tensor.numel();
        let values: Vec<f64> = (0..count).map(|_| stream.random_range(spread.clone())).collect();
        let values = Tensor::from_slice(&values).view_as(&parameter.tensor);
        no_grad(|| parameter.tensor.shallow_clone().copy_(&values));
    }
    save_model(path, &plan, &trainer.predictor, &History::new(&plan, &trainer)).unwrap();
    plan
}

/// The model's own input, and two of other sizes where there are any.
fn inputs_of(plan: &Plan) -> Vec<Vec<usize>> {
    let [height, width, channels] = plan.input_shape;
    let mut inputs = vec![plan.graph.input.0.clone()];
    if plan.sized_layer().is_none() {
        let (rows, columns) = (plan.period(Axis::Rows), plan.period(Axis::Columns));
        for [down, across] in [[rows, 3 * columns], [2 * rows, columns]] {
            let sides = [height + down, width + across, channels];
            // A signal is an image of one row.
            inputs.push(sides[3 - plan.graph.input.0.len()..].to_vec());
        }
    }
    inputs
}

/// Random images, and what the model makes of them.
struct Expected {
    shape: Vec<usize>,
    input: Vec<f32>,
    output_shape: Vec<usize>,
    output: Vec<f32>,
}

fn expected(case: &Case, checkpoint: &Path) -> Vec<Expected> {
    let mut stream = Stream::seed_from_u64(11);
    let plan = plan_of(case);
    let mut all = Vec::new();
    for sides in inputs_of(&plan) {
        let input_shape = format!("model.input_shape={sides:?}");
        let mut model = Exporter::open(checkpoint, None, &[input_shape]).unwrap();
        let given = model.plan.graph.shape(model.plan.graph.output).0.clone();
        for batch in BATCHES {
            let shape = [&[batch], &sides[..]].concat();
            let [low, high] = case.values;
            let count = shape.iter().product();
            let input: Vec<f32> = (0..count).map(|_| stream.random_range(low..high)).collect();
            let output = model.outputs(&input);
            let output_shape = [&[batch], &given[..]].concat();
            all.push(Expected { shape, input, output_shape, output });
        }
    }
    all
}

/// The list of cases is complete: each layer, each key with several values, each choice.
#[test]
fn the_cases_have_every_layer_and_every_option() {
    let mut seen: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for case in cases::all() {
        for node in &plan_of(&case).graph.nodes {
            let layer = &node.layer;
            let table = layer.write().unwrap();
            for (key, value) in table.as_table().unwrap() {
                let place = (layer.name().to_owned(), key.clone());
                seen.entry(place).or_default().insert(value.to_string());
            }
        }
    }
    // What a kernel started as, or a moving mean followed, shows in its values alone.
    let without_effect = [
        "kernel_initializer",
        "bias_initializer",
        "depthwise_initializer",
        "pointwise_initializer",
        "alpha_initializer",
        "beta_initializer",
        "gamma_initializer",
        "momentum",
        "rate",
        "stddev",
        "l1",
        "l2",
    ];
    for (name, _, keys) in Layer::reference() {
        assert!(seen.contains_key(&(name.to_owned(), "layer".to_owned())), "no case has {name}");
        // Nor does what training adds to its loss.
        let in_training =
            |name: &str| name.ends_with("_regularizer") || name.ends_with("_constraint");
        for key in keys.iter().filter(|key| !in_training(key.name)) {
            let values = seen.get(&(name.to_owned(), key.name.to_owned()));
            let least = if without_effect.contains(&key.name) { 1 } else { 2 };
            let count = values.map_or(0, BTreeSet::len);
            assert!(count >= least, "{name}.{} has {count} values", key.name);
        }
    }
    for (layer, key, choices) in [
        ("Activation", "activation", Activation::takes()),
        ("Dense", "activation", Activation::takes()),
        ("Conv2D", "padding", Padding::takes()),
        ("Conv2DTranspose", "padding", Padding::takes()),
        ("UpSampling2D", "interpolation", Interpolation::takes()),
    ] {
        let values = &seen[&(layer.to_owned(), key.to_owned())];
        for choice in choices.trim_start_matches("one of ").split(", ") {
            assert!(values.contains(choice), "no case has {layer} with {key} = {choice}");
        }
    }
}

#[test]
fn libtorch_runs_the_torchscript_of_every_layer_for_any_batch_and_size() {
    let folder = Folder::new();
    let mut worst = 0.0_f64;
    for case in cases::all() {
        let (weights, script) = (folder.at("weights.pt"), folder.at("script.pt"));
        save_random(&case, &weights);
        let mut model = Exporter::open(&weights, None, &[]).unwrap();
        model
            .export(Format::Torchscript, &script)
            .unwrap_or_else(|e| panic!("{}: {e:#}", case.name));
        let module = CModule::load(&script).unwrap();
        let kind = if case.dtype == "float64" { Kind::Double } else { Kind::Float };
        for Expected { shape, input, output_shape, output } in expected(&case, &weights) {
            let samples = |values: &[f32], shape: &[usize]| {
                let shape: Vec<i64> = shape.iter().map(|&side| side as i64).collect();
                Tensor::from_slice(values).view(shape.as_slice())
            };
            let turned = |images: Tensor, axes: [i64; 4]| {
                if images.dim() == 4 { images.permute(axes) } else { images }
            };
            let input = turned(samples(&input, &shape), [0, 3, 1, 2]).to_kind(kind);
            let theirs = turned(module.forward_ts(&[input]).unwrap(), [0, 2, 3, 1]);
            let ours = samples(&output, &output_shape);
            assert_eq!(theirs.size(), ours.size(), "{}", case.name);
            let difference = (theirs - ours).abs().max().double_value(&[]);
            assert!(difference <= BAR, "{}, {shape:?}: {difference:e}", case.name);
            worst = worst.max(difference);
        }
    }
    println!("largest difference in libtorch: {worst:.1e}");
}

#[test]
fn an_export_is_the_same_file_each_time() {
    let folder = Folder::new();
    let weights = folder.at("weights.pt");
    save_random(&cases::all()[0], &weights);
    let mut model = Exporter::open(&weights, None, &[]).unwrap();
    for format in [Format::Onnx, Format::Torchscript, Format::Safetensors] {
        let files = ["one", "other"].map(|name| folder.at(&format!("{name}.{}", format.ending())));
        for file in &files {
            model.export(format, file).unwrap();
        }
        assert_eq!(fs::read(&files[0]).unwrap(), fs::read(&files[1]).unwrap(), "{format:?}");
    }
}

#[test]
fn every_layer_in_every_format_gives_our_outputs_in_the_tool_that_it_is_for() {
    let Some(python) = python() else { return };
    let folder = Folder::new();
    let mut asked = BTreeSet::new();
    for case in cases::all() {
        let at = |ending: &str| folder.at(&format!("{}.{ending}", case.name));
        let weights = at("pt");
        save_random(&case, &weights);
        let mut model = Exporter::open(&weights, None, &[]).unwrap();
        model.export(Format::Torchscript, &at("script.pt")).unwrap();
        model.export(Format::Safetensors, &at("safetensors")).unwrap();
        if case.dtype == "float32" {
            model.export(Format::Onnx, &at("onnx")).unwrap();
        }
        model.export(Format::Keras, &at("keras")).unwrap();
        let expected = expected(&case, &weights);
        // What Keras has no layer for stands in its file for images of the model's own size, the first.
        let left_out = model.left_out(Format::Keras);
        let of_one_size = left_out.iter().any(|said| said.contains("takes images of"));
        for input in 0..expected.len() {
            for format in ["onnx", "torchscript", "safetensors", "keras"] {
                let other_size = format == "keras" && of_one_size && input >= BATCHES.len();
                if (format != "onnx" || case.dtype == "float32") && !other_size {
                    asked.insert((case.name.clone(), format.to_owned(), input));
                }
            }
        }
        save_expected(&expected, case.dtype, &at("data.safetensors"));
    }
    let script = root().join("tests/program/export/compare.py");
    let run = Command::new(python).arg(script).arg(folder.path()).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    assert_eq!(judge(&String::from_utf8_lossy(&run.stdout)), asked, "what was compared");
}

/// Holds each difference against the bar; returns what was compared.
fn judge(lines: &str) -> BTreeSet<(String, String, usize)> {
    let mut compared = BTreeSet::new();
    let mut worst: BTreeMap<(String, bool), f64> = BTreeMap::new();
    for line in lines.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| line[key].as_str().unwrap().to_owned();
        let input = line["input"].as_u64().unwrap() as usize;
        let difference = line["difference"].as_f64().expect("a number, not NaN");
        assert!(difference <= BAR, "{line}");
        // The first batches have the model's own size.
        let entry = worst.entry((text("format"), input >= BATCHES.len())).or_default();
        *entry = entry.max(difference);
        compared.insert((text("case"), text("format"), input));
    }
    for ((format, other_size), difference) in worst {
        let size = if other_size { "other sizes" } else { "own size" };
        println!("largest difference, {format}, {size}: {difference:.1e}");
    }
    compared
}

fn save_expected(all: &[Expected], dtype: &str, path: &Path) {
    let mut tensors = Vec::new();
    for (number, Expected { shape, input, output_shape, output }) in all.iter().enumerate() {
        for (name, shape, values) in [("input", shape, input), ("output", output_shape, output)] {
            let array = match dtype {
                "float64" => {
                    array(shape, &values.iter().map(|&v| f64::from(v)).collect::<Vec<_>>())
                }
                _ => array(shape, values),
            };
            tensors.push((format!("{name}.{number}"), array));
        }
    }
    save(path, &Checkpoint { tensors, ..Checkpoint::default() }).unwrap();
}

fn array<T: Element>(shape: &[usize], values: &[T]) -> Array {
    Array::from_values(shape, values).unwrap()
}

/// A run of the default model, and a noisy digit.
fn trained() -> (Folder, PathBuf, PathBuf) {
    let folder = Folder::new();
    train("denoise.toml").out(folder.at("run")).succeeds();
    let (weights, image) = (folder.at("run/noise.pt"), folder.at("run/input_noise.png"));
    (folder, weights, image)
}

#[test]
fn the_command_writes_each_format_and_the_examples_open_it() {
    let Some(python) = python() else { return };
    let (folder, weights, image) = trained();
    let ours = folder.at("ours");
    convae().arg("apply").arg("--checkpoint").arg(&weights).out(&ours).arg(&image).succeeds();
    let ours = ImageFile::open(ours.join("input_noise.png")).unwrap().scaled();
    for (format, example) in [
        ("onnx", "load_onnx"),
        ("torchscript", "load_torchscript"),
        ("safetensors", "load_safetensors"),
        ("keras", "load_keras"),
    ] {
        let ending = if format == "torchscript" { "pt" } else { format };
        let (file, result) = (folder.at(&format!("x.{ending}")), folder.at("cleaned.png"));
        let said = exporting(&weights, &file).arg("--format").arg(format);
        let said = said.succeeds();
        assert!(said.contains("multiples of 4"), "{said}");
        let script = root().join(format!("examples/{example}.py"));
        let run =
            Command::new(&python).arg(script).args([&file, &image, &result]).output().unwrap();
        assert!(run.status.success(), "{example}: {}", String::from_utf8_lossy(&run.stderr));
        let theirs = ImageFile::open(&result).unwrap();
        assert_eq!(theirs.shape, [28, 28, 1]);
        // A value at the edge of two shades may fall to either side.
        let differ = |(a, b): (&f32, &f32)| (a - b).abs() > 1.5 / 255.0;
        assert!(!theirs.scaled().iter().zip(&ours).any(differ), "{example}");
        fs::remove_file(result).unwrap();
    }
    let code = fs::read_to_string(root().join("examples/load_onnx.py")).unwrap();
    assert!(code.lines().count() <= 25);
}

#[test]
fn the_rust_example_cleans_a_image_as_apply_does() {
    let (folder, weights, image) = trained();
    let cleaned = folder.at("cleaned.png");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["run", "--quiet", "--locked", "--example", "denoise", "--"]);
    cargo.args([&weights, &image, &cleaned]).current_dir(root()).assert().success();
    let ours = folder.at("ours");
    convae().arg("apply").arg("--checkpoint").arg(&weights).out(&ours).arg(&image).succeeds();
    assert_eq!(fs::read(cleaned).unwrap(), fs::read(ours.join("input_noise.png")).unwrap());
}

#[test]
fn a_name_that_tells_no_format_is_refused() {
    let (folder, weights, _) = trained();
    exporting(&weights, &folder.at("x.pt")).refused(&["x.pt", "--format torchscript"]);
    exporting(&weights, &folder.at("x.tflite")).refused(&["x.tflite", ".onnx"]);
    exporting(&weights, &folder.at("x")).refused(&["does not tell a format"]);
    let onnx = || exporting(&weights, &folder.at("x.onnx"));
    onnx().arg("--format").arg("keras").refused(&["x.onnx", "another ending than .keras"]);
    exporting(&weights, &folder.at("no/x.onnx")).refused(&["no folder"]);
    assert_eq!(names(folder.path()), ["run"]);
}

#[test]
fn a_file_that_is_there_is_replaced_only_when_asked_and_never_by_itself() {
    let (folder, weights, _) = trained();
    let out = folder.write("x.onnx", "precious");
    exporting(&weights, &out).refused(&["x.onnx", "--overwrite"]);
    assert_eq!(fs::read(&out).unwrap(), b"precious");
    exporting(&weights, &out).arg("--overwrite").succeeds();
    assert!(fs::metadata(&out).unwrap().len() > 40_000);
    let before = fs::read(&weights).unwrap();
    let itself = exporting(&weights, &weights).arg("--overwrite");
    itself.arg("--format").arg("torchscript").refused(&["noise.pt", "the model itself"]);
    assert_eq!(fs::read(&weights).unwrap(), before);
}

#[test]
fn what_is_no_checkpoint_is_refused_and_leaves_no_file() {
    let folder = Folder::new();
    let out = folder.at("x.onnx");
    exporting(&folder.at("none.pt"), &out).refused(&["none.pt"]);
    exporting(&folder.write("text.pt", "no weights"), &out).fails(&["text.pt"]);
    assert_eq!(names(folder.path()), ["text.pt"]);
}

#[test]
fn a_torchscript_file_is_not_taken_for_a_checkpoint() {
    let (folder, weights, _) = trained();
    let script = folder.at("script.pt");
    exporting(&weights, &script).arg("--format").arg("torchscript").succeeds();
    exporting(&script, &folder.at("x.onnx")).fails(&["script.pt", "TorchScript"]);
}

#[test]
fn onnx_refuses_float64_and_takes_it_rounded() {
    let folder = Folder::new();
    let (weights, out) = (folder.at("double.pt"), folder.at("x.onnx"));
    let case = cases::all().into_iter().find(|case| case.dtype == "float64").unwrap();
    save_random(&case, &weights);
    exporting(&weights, &out).refused(&["float64", "--set train.dtype=float32"]);
    assert!(!out.exists());
    exporting(&weights, &out).set("train.dtype=float32").succeeds();
    assert!(out.exists());
}

/// In software where the processor does not compute it.
#[test]
fn a_model_in_mixed_precision_is_resumed_applied_and_exported() {
    let folder = Folder::new();
    let config = folder.write("tiny.toml", crate::common::tiny());
    let run = folder.at("run");
    let training = |epochs: u32| {
        let call = train(&config).out(&run).set("train.dtype=mixed_bfloat16");
        call.set("train.engine=libtorch").set(&format!("train.epochs={epochs}"))
    };
    assert!(training(1).succeeds().contains("libtorch, mixed_bfloat16"));
    training(2).arg("--resume").succeeds();
    let (weights, image) = (run.join("tiny.pt"), run.join("input_tiny.png"));
    let applied = |precision: &str| {
        let out = folder.at(precision);
        let call = convae().args(["apply", "--precision", precision, "--checkpoint"]).arg(&weights);
        call.out(&out).arg(&image).succeeds();
        fs::read(out.join("input_tiny.png")).unwrap()
    };
    assert_ne!(applied("float32"), applied("bfloat16"), "to 8 significant bits");
    let call = convae().args(["apply", "--precision", "half", "--checkpoint"]).arg(&weights);
    call.arg(&image).assert().code(2);
    for (file, is_said) in [("m.onnx", true), ("m.safetensors", false), ("m.keras", false)] {
        let said = exporting(&weights, &folder.at(file)).succeeds();
        assert_eq!(said.contains("mixed_bfloat16 is left out"), is_said, "{file}: {said}");
    }
}
