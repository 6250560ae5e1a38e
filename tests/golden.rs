//! What Keras computed once, held against what convae computes now: every layer, optimizer and loss,
//! ten training steps of both shipped models, and a trained model's images. No Python is needed.
//!
//! The files under tests/golden/ are from `scripts/make_golden.py`: Keras on JAX in float64; each
//! one's metadata names the versions. `python -m parity.cases` compares many more cases.

mod parity;

use std::path::{Path, PathBuf};

use convae::config::Source;
use convae::data::{Batch, Images};
use convae::plan::Plan;
use convae::train::Trainer;
use tch::{Device, Tensor, no_grad};

use parity::Questions;
use parity::arrays::{Arrays, values};

/// Sums of some hundred terms in another order leave 1e-14; a wrong term leaves 1e-1.
const LAYERS: f64 = 1e-10;
/// Twenty steps of some ten roundings each leave 1e-14; a wrong epsilon leaves 1e-6.
const OPTIMIZERS: f64 = 1e-12;
/// A mean of some hundred values leaves 1e-15.
const LOSSES: f64 = 1e-12;
/// Ten steps in float64: Adam divides tiny gradients by their own size, which makes 1e-16 into 1e-11.
const STEPS_FLOAT64: f64 = 1e-9;
/// Ten steps in float32: Keras's own backends are up to 7e-6 apart by then.
const STEPS_FLOAT32: f64 = 2e-5;
/// Before any step, float32 has rounded (6e-8) in some hundred thousand terms of one mean.
const FIRST_LOSS_FLOAT32: f64 = 1e-6;
/// The same through the layers and back.
const FIRST_GRADIENT_FLOAT32: f64 = 1e-5;
/// Values in 0..1 after seven layers in float32.
const OUTPUTS_FLOAT32: f64 = 1e-6;

/// Where a value cancels to nothing, rounding is all there is of it; no norm counts as less than
/// this share of the norm of what went in.
const CANCELLED: f64 = 1e-3;

const BATCH: usize = 8;

/// `train.engine`'s.
const ENGINES: [&str; 2] = ["native", "libtorch"];

/// A model of the plan with these weights, all in one row.
fn start(plan: &Plan, weights: &[f64]) -> Trainer {
    let trainer = Trainer::new(plan, Device::Cpu).unwrap();
    let mut rest = weights;
    for mut tensor in trainer.predictor.parameters().trainable() {
        let (own, others) = rest.split_at(tensor.numel());
        no_grad(|| tensor.copy_(&Tensor::from_slice(own).view_as(&tensor)));
        rest = others;
    }
    assert!(rest.is_empty(), "the model takes all weights of the file");
    trainer
}

#[test]
fn every_layer_computes_what_keras_computes() {
    answers_are_keras_s("layers", LAYERS);
}

#[test]
fn every_optimizer_goes_where_keras_goes() {
    answers_are_keras_s("optimizers", OPTIMIZERS);
}

#[test]
fn every_loss_and_its_gradient_are_keras_s() {
    answers_are_keras_s("losses", LOSSES);
}

#[test]
fn the_plain_model_takes_keras_s_first_steps_in_float64() {
    steps_in_float64_are_keras_s("plain");
}

#[test]
fn the_denoising_model_takes_keras_s_first_steps_in_float64() {
    steps_in_float64_are_keras_s("denoise");
}

#[test]
fn the_plain_model_takes_keras_s_first_steps_in_float32() {
    steps_in_float32_are_keras_s("plain");
}

#[test]
fn the_denoising_model_takes_keras_s_first_steps_in_float32() {
    steps_in_float32_are_keras_s("denoise");
}

#[test]
fn a_model_that_keras_trained_draws_the_same_digits() {
    outputs_are_keras_s("float64", LAYERS);
    outputs_are_keras_s("float32", OUTPUTS_FLOAT32);
}

/// Asks the questions of the file anew and compares every array.
fn answers_are_keras_s(file: &str, bar: f64) {
    let (arrays, metadata) = read(file);
    let questions = Questions::parse(&metadata["questions"]).unwrap();
    let given = arrays.within("given");
    let wanted = arrays.within("wanted");
    let answered = questions.answer(&given).unwrap().arrays;
    let names = |arrays: &Arrays| arrays.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&answered), names(&wanted));
    for ((name, ours), (_, keras)) in answered.iter().zip(wanted.iter()) {
        assert_eq!(ours.size(), keras.size(), "shape of {name}");
        let error = distance(&values(ours), &values(keras), scale(&given, name));
        assert!(error <= bar, "{name} is {error:.1e} from Keras's, which is more than {bar:.0e}");
    }
}

/// The norm of what the array was computed from: a layer's upstream gradient or its input.
fn scale(given: &Arrays, name: &str) -> f64 {
    let (id, array) = name.rsplit_once('/').expect("an id stands before the array's name");
    let source = if array.starts_with('d') { "dy" } else { "x" };
    given.get(&format!("{id}/{source}")).map_or(0.0, |array| norm(&values(array)))
}

fn steps_in_float64_are_keras_s(model: &str) {
    let (keras, _) = read(model);
    for engine in ENGINES {
        let Run { losses, gradient, weights } = run(model, "float64", engine);
        for (step, (loss, keras)) in losses.iter().zip(numbers(&keras, "losses")).enumerate() {
            close(&format!("{engine}: the loss of step {step}"), &[*loss], &[keras], STEPS_FLOAT64);
        }
        let what = format!("{engine}: the first gradient");
        close(&what, &gradient, &numbers(&keras, "gradient"), STEPS_FLOAT64);
        close(
            &format!("{engine}: the weights"),
            &weights,
            &numbers(&keras, "final"),
            STEPS_FLOAT64,
        );
    }
}

fn steps_in_float32_are_keras_s(model: &str) {
    let (keras, _) = read(model);
    for engine in ENGINES {
        let Run { losses, gradient, .. } = run(model, "float32", engine);
        for (step, (loss, keras)) in losses.iter().zip(numbers(&keras, "losses")).enumerate() {
            let bar = if step == 0 { FIRST_LOSS_FLOAT32 } else { STEPS_FLOAT32 };
            close(&format!("{engine}: the loss of step {step}"), &[*loss], &[keras], bar);
        }
        let what = format!("{engine}: the first gradient");
        close(&what, &gradient, &numbers(&keras, "gradient"), FIRST_GRADIENT_FLOAT32);
    }
}

fn outputs_are_keras_s(dtype: &str, bar: f64) {
    let (keras, _) = read("trained");
    let wanted = numbers(&keras, "outputs");
    let pictures = digits("t10k-images-idx3-ubyte.gz", wanted.len() / (28 * 28));
    for engine in ENGINES {
        let mut trainer = start(&plan("plain", dtype, engine), &numbers(&keras, "weights"));
        close(
            &format!("{engine}: the images"),
            &values(&trainer.predictor.outputs(&pictures)),
            &wanted,
            bar,
        );
    }
}

/// Ten steps of a shipped model.
struct Run {
    losses: Vec<f64>,
    /// Of the first step.
    gradient: Vec<f64>,
    /// After the last step.
    weights: Vec<f64>,
}

/// From the file's weights, on its corrupted images where it has some.
fn run(model: &str, dtype: &str, engine: &str) -> Run {
    let (given, _) = read(model);
    let mut trainer = start(&plan(model, dtype, engine), &numbers(&given, "initial"));
    let steps = numbers(&given, "losses").len();
    let clean = digits("train-images-idx3-ubyte.gz", steps * BATCH);
    let input = match given.get("input") {
        Ok(corrupted) => values(corrupted).into_iter().map(|value| value as f32).collect(),
        Err(_) => clean.clone(),
    };
    let size = clean.len() / steps;
    let batches = input.chunks(size).zip(clean.chunks(size)).map(|(input, clean)| Batch {
        len: BATCH,
        input: input.to_vec(),
        clean: Some(clean.to_vec()),
        ..Batch::default()
    });
    let (losses, mut gradients): (Vec<f64>, Vec<Vec<f64>>) = batches
        .zip(0..)
        .map(|(batch, index)| {
            let step = trainer.train_step(&batch, 0, index);
            (step.loss.double_value(&[]), values(&step.gradient))
        })
        .unzip();
    let weights = trainer.predictor.parameters().trainable().iter().flat_map(values).collect();
    Run { losses, gradient: gradients.swap_remove(0), weights }
}

fn plan(model: &str, dtype: &str, engine: &str) -> Plan {
    let path = root().join(format!("configs/{model}.toml"));
    let overrides = [format!("train.dtype={dtype}"), format!("train.engine={engine}")];
    Plan::new(Source::open(&path, &overrides).unwrap()).unwrap()
}

/// The first of the digits that the tests bring along, in 0..1.
fn digits(file: &str, count: usize) -> Vec<f32> {
    let images = Images::open(&root().join("tests/digits").join(file), Some(count)).unwrap();
    assert_eq!(images.len(), count);
    (0..count).flat_map(|index| images.clean(index).unwrap()).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> (Arrays, std::collections::HashMap<String, String>) {
    let path: PathBuf = root().join("tests/golden").join(format!("{file}.safetensors"));
    Arrays::read(&path).unwrap()
}

fn numbers(arrays: &Arrays, name: &str) -> Vec<f64> {
    values(arrays.get(name).unwrap())
}

fn close(what: &str, ours: &[f64], keras: &[f64], bar: f64) {
    let error = distance(ours, keras, 0.0);
    assert!(error <= bar, "{what}: {error:.1e} from Keras's, which is more than {bar:.0e}");
}

/// Norm of the difference, relative to the norm of Keras's.
fn distance(ours: &[f64], keras: &[f64], scale: f64) -> f64 {
    assert_eq!(ours.len(), keras.len());
    let difference: Vec<f64> = ours.iter().zip(keras).map(|(ours, keras)| ours - keras).collect();
    match norm(&difference) {
        0.0 => 0.0,
        difference => difference / norm(keras).max(CANCELLED * scale),
    }
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>().sqrt()
}
