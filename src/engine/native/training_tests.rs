//! Layers that do another thing in training: batch normalisation, held to libtorch's autograd, and layers of chance,
//! held to what they are meant to draw and to differences of the loss.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind};

use super::graph_tests::{Builder, distance};
use super::*;
use crate::engine::libtorch::Libtorch;
use crate::plan::Value;

/// Sums of some thousand terms in another order.
const FLOAT64: f64 = 1e-12;

fn values(count: usize, seed: u64) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| random.random_range(0.0..1.0)).collect()
}

pub(super) fn batch(plan: &Plan, images: usize) -> Batch {
    let count = images * plan.input_shape.iter().product::<usize>();
    Batch {
        len: images,
        input: values(count, 7),
        clean: Some(values(count, 8)),
        ..Batch::default()
    }
}

fn native(plan: &Plan, threads: usize) -> Native<f64> {
    Native::<f64>::new(plan, Part::Whole, threads).unwrap()
}

/// Three steps of both engines, each on a model of its own: losses, gradients, moving statistics, and what the
/// models give then. The steps have batches of different sizes.
fn agrees(plan: &Plan) {
    for (threads, sizes) in [(1, [3, 2, 20]), (2, [5, 1, 8]), (3, [4, 37, 2])] {
        let models = [(); 2].map(|()| Model::new(plan, Device::Cpu, Kind::Double));
        let mut libtorch = Libtorch::new(plan, Part::Whole, Device::Cpu, Kind::Double);
        let mut native = native(plan, threads);
        for images in sizes {
            let batch = batch(plan, images);
            let ours = native.loss_and_gradient(&models[0], &batch, 0);
            let theirs = libtorch.loss_and_gradient(&models[1], &batch, 0);
            let [own, exact] = [0, 1].map(|i| models[i].parameters.values());
            for (what, ours, theirs) in [
                ("loss", &ours.loss, &theirs.loss),
                ("gradient", &ours.gradient, &theirs.gradient),
                ("weights and statistics", &own, &exact),
                (
                    "outputs",
                    &native.outputs(&models[0], &batch.input),
                    &libtorch.outputs(&models[1], &batch.input),
                ),
                (
                    "loss of inference",
                    &native.loss(&models[0], &batch),
                    &libtorch.loss(&models[1], &batch),
                ),
            ] {
                let distance = distance(ours, theirs);
                assert!(
                    distance <= FLOAT64,
                    "{what}: {distance:.1e}, {threads} threads, {images} images"
                );
            }
        }
    }
}

pub(super) fn with_norm(keys: &str) -> Plan {
    let mut graph = Builder::new([5, 6, 2]);
    let norm = format!("layer = \"BatchNormalization\"{keys}");
    let first = graph.layer(&norm, Value::Input);
    let conv = graph.conv(5, "linear", first);
    let second = graph.layer(&norm, conv);
    let relu = graph.layer("layer = \"ReLU\"", second);
    let inner = graph.conv(5, "linear", relu);
    let third = graph.layer(&norm, inner);
    let sum = graph.merge("Add", &[third, relu]);
    let last = graph.conv(2, "linear", sum);
    let last = graph.layer(&norm, last);
    graph.layer("layer = \"Activation\", activation = \"sigmoid\"", last);
    graph.plan()
}

#[test]
fn batch_normalisation_with_all_options() {
    for keys in [
        "",
        ", momentum = 0.5, epsilon = 0.1",
        ", scale = false",
        ", center = false",
        ", center = false, scale = false",
    ] {
        agrees(&with_norm(keys));
    }
}

#[test]
fn batch_normalisation_of_rows_of_values_and_of_signals() {
    let mut graph = Builder::new([7]);
    let dense = graph.layer("layer = \"Dense\", units = 6", Value::Input);
    let norm = graph.layer("layer = \"BatchNormalization\"", dense);
    graph.layer("layer = \"Dense\", units = 7, activation = \"sigmoid\"", norm);
    agrees(&graph.plan());
    let mut graph = Builder::new([9, 2]);
    let conv = graph.layer(
        "layer = \"Conv1D\", filters = 4, kernel_size = 3, padding = \"same\"",
        Value::Input,
    );
    let norm = graph.layer("layer = \"BatchNormalization\"", conv);
    graph.layer("layer = \"Conv1D\", filters = 2, kernel_size = 3, padding = \"same\", activation = \"sigmoid\"", norm);
    agrees(&graph.plan());
}

#[test]
fn a_batch_normalisation_that_is_there_twice_follows_both_places() {
    let mut graph = Builder::new([6, 6, 3]);
    let conv = graph.conv(4, "tanh", Value::Input);
    let norm = graph.layer("layer = \"BatchNormalization\"", conv);
    let pooled = graph.layer("layer = \"MaxPooling2D\", pool_size = 2", norm);
    let again = graph.again(norm, pooled);
    let up = graph.layer("layer = \"UpSampling2D\"", again);
    graph.conv(3, "sigmoid", up);
    agrees(&graph.plan());
}

/// A variance of 1e-6 beside a mean of 1000 is lost where squares are summed up as they are.
#[test]
fn a_small_variance_far_from_zero_is_found() {
    let mut graph = Builder::new([4, 4, 1]);
    let far = graph.layer("layer = \"Rescaling\", scale = 0.001, offset = 1000.0", Value::Input);
    let norm = graph.layer("layer = \"BatchNormalization\"", far);
    graph.conv(1, "sigmoid", norm);
    let plan = graph.plan();
    let model = Model::new(&plan, Device::Cpu, Kind::Double);
    let batch = batch(&plan, 6);
    native(&plan, 2).loss_and_gradient(&model, &batch, 0);
    let mean = batch.input.iter().map(|&x| f64::from(x)).sum::<f64>() / batch.input.len() as f64;
    let square = |&x: &f32| (f64::from(x) - mean).powi(2);
    let variance = batch.input.iter().map(square).sum::<f64>() / batch.input.len() as f64;
    let moving = &model.parameters.moving_statistics()[1];
    let found = (moving.double_value(&[0]) - 0.99) / 0.01 * 1e6;
    assert!((found / variance - 1.0).abs() < 1e-3, "{found}, {variance}");
}

/// Workers meet in the stages, and all of them for the loss.
#[test]
fn losses_of_the_whole_batch_and_penalties_of_values() {
    let mut plan = with_norm("");
    for loss in ["\"dice\"", "[{ loss = \"cosine_similarity\" }, { loss = \"mse\", weight = 3.0 }]"]
    {
        plan.config.train.loss = of_config(loss);
        agrees(&plan);
    }
    let mut graph = Builder::new([5, 6, 2]);
    let keys = "kernel_size = 3, padding = \"same\", activation = \"relu\"";
    let penalty = "activity_regularizer = { name = \"L1L2\", l1 = 0.1, l2 = 0.02 }";
    let conv =
        graph.layer(&format!("layer = \"Conv2D\", filters = 4, {keys}, {penalty}"), Value::Input);
    let sum = graph.layer("layer = \"ActivityRegularization\", l1 = 0.3", conv);
    let again = graph.conv(4, "tanh", sum);
    let merged = graph.merge("Add", &[again, sum]);
    let dense = format!("layer = \"Dense\", units = 3, activation = \"tanh\", {penalty}");
    let merged = graph.layer(&dense, merged);
    graph.conv(2, "sigmoid", merged);
    let mut plan = graph.plan();
    agrees(&plan);
    plan.config.train.loss = of_config("{ loss = \"mse\", reduction = \"sum\" }");
    agrees(&plan);
}

fn two_convolutions(shape: [usize; 3]) -> Plan {
    let mut graph = Builder::new(shape);
    let conv = graph.conv(4, "tanh", Value::Input);
    graph.conv(2, "sigmoid", conv);
    graph.plan()
}

/// Twenty images are more than go through the stages at once.
#[test]
fn losses_that_are_means_over_images_are_judged_in_portions() {
    let mut plan = two_convolutions([8, 9, 2]);
    for loss in ["\"ssim\"", "[{ loss = \"kl_divergence\" }, { loss = \"mae\", weight = 3.0 }]"] {
        plan.config.train.loss = of_config(loss);
        agrees(&plan);
    }
}

/// Of a single image its slope would be 0 but for rounding.
#[test]
fn a_cosine_along_the_batch_is_that_of_the_whole_batch() {
    let mut plan = two_convolutions([5, 6, 2]);
    for axis in [0, -4] {
        plan.config.train.loss =
            of_config(&format!("{{ loss = \"cosine_similarity\", axis = {axis} }}"));
        let (model, batch) = (Model::new(&plan, Device::Cpu, Kind::Double), batch(&plan, 20));
        let exact = Libtorch::new(&plan, Part::Whole, Device::Cpu, Kind::Double)
            .loss_and_gradient(&model, &batch, 0);
        for threads in [1, 3] {
            let ours = native(&plan, threads).loss_and_gradient(&model, &batch, 0);
            assert!(distance(&ours.loss, &exact.loss) < FLOAT64, "axis {axis}");
            assert!(distance(&ours.gradient, &exact.gradient) < FLOAT64, "axis {axis}");
        }
    }
}

#[test]
fn a_loss_that_libtorch_computes_sees_the_hidden_values_alone() {
    let mut plan = with_norm("");
    plan.config.train.loss =
        of_config("[{ loss = \"mse\" }, { loss = \"poisson\", weight = 0.5 }]");
    let mut batch = batch(&plan, 5);
    let hidden = (0..5).flat_map(|image| [7 + image, 59, 0]);
    batch.supervision = crate::data::Supervision::Masked(hidden.collect());
    let step = |kind, engine: &mut dyn Engine| {
        let step = engine.loss_and_gradient(&Model::new(&plan, Device::Cpu, kind), &batch, 0);
        [step.loss, step.gradient].map(|tensor| tensor.to_kind(Kind::Double))
    };
    let exact =
        step(Kind::Double, &mut Libtorch::new(&plan, Part::Whole, Device::Cpu, Kind::Double));
    let ours = step(Kind::Double, &mut native(&plan, 2));
    let rounded = step(Kind::Float, &mut Native::<f32>::new(&plan, Part::Whole, 2).unwrap());
    for ((exact, ours), rounded) in exact.iter().zip(&ours).zip(&rounded) {
        assert!(distance(ours, exact) < FLOAT64);
        assert!(distance(rounded, exact) < 1e-5, "{}", distance(rounded, exact));
    }
}

fn of_config(loss: &str) -> nn::Losses {
    let model = "[model]\nlayers = [{ layer = \"Dense\", units = 1 }]";
    let text = format!("name = \"x\"\n{model}\n[train]\nloss = {loss}\n");
    crate::config::Source::parse(&text, "loss", &[]).unwrap().config.train.loss
}

// ---- layers of chance ----

const CHANCE: [&str; 6] = [
    "layer = \"Dropout\", rate = 0.3",
    "layer = \"SpatialDropout2D\", rate = 0.3",
    "layer = \"GaussianNoise\", stddev = 0.4",
    "layer = \"GaussianDropout\", rate = 0.3",
    "layer = \"AlphaDropout\", rate = 0.3",
    "layer = \"Sampling\", kl_weight = 0.2",
];

/// Two of them; a Sampling reads two values.
fn with_chance(layer: &str) -> Plan {
    let mut graph = Builder::new([5, 6, 2]);
    let draw = |graph: &mut Builder, filters: usize, input| {
        let value = graph.conv(filters, "tanh", input);
        if layer.contains("Sampling") {
            let spread = graph.conv(filters, "tanh", input);
            return graph.add(crate::plan::testing::layer(layer), &[value, spread]);
        }
        graph.layer(layer, value)
    };
    let drawn = draw(&mut graph, 8, Value::Input);
    let drawn = draw(&mut graph, 4, drawn);
    graph.conv(2, "sigmoid", drawn);
    graph.plan()
}

#[test]
fn layers_of_chance_draw_the_same_whatever_the_threads_and_rest_in_inference() {
    for layer in CHANCE {
        let plan = with_chance(layer);
        let model = Model::new(&plan, Device::Cpu, Kind::Double);
        let batch = batch(&plan, 37);
        let step = |threads, seed| {
            let step = native(&plan, threads).loss_and_gradient(&model, &batch, seed);
            (step.loss, step.gradient)
        };
        let (loss, gradient) = step(1, 5);
        for threads in [1, 2, 3] {
            let (other, slopes) = step(threads, 5);
            assert!(distance(&other, &loss) < FLOAT64, "{layer}");
            assert!(distance(&slopes, &gradient) < FLOAT64, "{layer}");
        }
        assert!(distance(&step(1, 6).0, &loss) > 1e-6, "{layer} draws the same for each seed");
        let mut libtorch = Libtorch::new(&plan, Part::Whole, Device::Cpu, Kind::Double);
        let (ours, theirs) = (
            native(&plan, 2).outputs(&model, &batch.input),
            libtorch.outputs(&model, &batch.input),
        );
        assert!(distance(&ours, &theirs) < FLOAT64, "{layer}");
    }
}

/// The loss at two places along a direction, with the same numbers drawn, is apart by what the gradient says.
#[test]
fn layers_of_chance_have_the_gradient_of_what_they_drew() {
    for layer in CHANCE {
        let plan = with_chance(layer);
        let model = Model::new(&plan, Device::Cpu, Kind::Double);
        let batch = batch(&plan, 5);
        let mut native = native(&plan, 2);
        let gradient = native.loss_and_gradient(&model, &batch, 3).gradient;
        let count = plan.trainable();
        let direction: Vec<f64> =
            values(count, 9).into_iter().map(|value| f64::from(value) - 0.5).collect();
        let direction = Tensor::from_slice(&direction);
        let expected = (&gradient * &direction).sum(Kind::Double).double_value(&[]);
        let start = model.weights.copy();
        let mut at = |along: f64| {
            let moved = &start + &direction * along;
            tch::no_grad(|| model.weights.shallow_clone().copy_(&moved));
            native.loss_and_gradient(&model, &batch, 3).loss.double_value(&[])
        };
        let found = (at(1e-5) - at(-1e-5)) / 2e-5;
        assert!(
            (found - expected).abs() < 1e-6 * expected.abs().max(1e-3),
            "{layer}: {found}, {expected}"
        );
    }
}

/// Mean and deviation of 200,000 draws, within five standard errors.
#[test]
fn layers_of_chance_have_the_mean_and_the_deviation_of_their_formulas() {
    use super::chance::{Chance, Draw};
    use super::grid::{Field, Grid, Size};
    let size = Size { height: 50, width: 10, channels: 400 };
    let grid = Grid { size, margin: super::grid::Margin::default() };
    let (mut input, mut output) = (Field::<f64>::new(grid, 1), Field::new(grid, 1));
    input.take_image(0, &vec![2.0; size.values()]);
    let meeting = Meeting::new(1, 0, None, 1);
    let training = Training { seed: 1, first: 0, batch: 1, worker: 0, meeting: &meeting };
    let spread = (0.3_f64 / 0.7).sqrt();
    for (draw, mean, deviation) in [
        (Draw::Dropout(0.3), 2.0, 2.0 * spread),
        (Draw::GaussianNoise(0.4), 2.0, 0.4),
        (Draw::GaussianDropout(0.3), 2.0, 2.0 * spread),
    ] {
        let mut chance = Chance::<f64>::new(draw, 1, size, 1);
        chance.forward(&input, &mut output, 1, call::Call::Training(training));
        let mut drawn = vec![0.0; size.values()];
        output.copy_images(0, &mut drawn);
        let count = drawn.len() as f64;
        let found = drawn.iter().sum::<f64>() / count;
        let square = drawn.iter().map(|y| (y - mean).powi(2)).sum::<f64>() / count;
        assert!((found - mean).abs() < 5.0 * deviation / count.sqrt(), "{draw:?}: {found}");
        assert!((square.sqrt() / deviation - 1.0).abs() < 0.02, "{draw:?}: {}", square.sqrt());
    }
    // What keeps mean 0 and variance 1 of normal values.
    let normal: Vec<f64> = {
        let tensor = Tensor::randn([size.values() as i64], (Kind::Double, Device::Cpu));
        Vec::try_from(tensor).unwrap()
    };
    input.take_image(0, &normal);
    let mut chance = Chance::<f64>::new(Draw::AlphaDropout(0.3), 1, size, 1);
    chance.forward(&input, &mut output, 1, call::Call::Training(training));
    let mut drawn = vec![0.0; size.values()];
    output.copy_images(0, &mut drawn);
    let mean = drawn.iter().sum::<f64>() / drawn.len() as f64;
    let square = drawn.iter().map(|y| y * y).sum::<f64>() / drawn.len() as f64;
    assert!(mean.abs() < 0.02 && (square - 1.0).abs() < 0.03, "{mean}, {square}");
}

/// The same of a Sampling; outside training it gives the mean, whatever the variance.
#[test]
fn a_sampling_has_its_mean_and_deviation_and_rests_in_inference() {
    use super::grid::{Edge, Field, Grid, Margin, Size};
    use super::penalties::{Sampling, SamplingOptions};
    let size = Size { height: 50, width: 10, channels: 400 };
    let grid = Grid { size, margin: Margin::default() };
    let edge = |value: f64| {
        let mut values = Field::new(grid, 1);
        values.take_image(0, &vec![value; size.values()]);
        Edge { values, gradient: Field::empty(grid) }
    };
    let meeting = Meeting::new(1, 0, None, 1);
    let training = Training { seed: 1, first: 0, batch: 1, worker: 0, meeting: &meeting };
    let drawn = |log_variance: f64, call| {
        let mut edges = [edge(2.0), edge(log_variance), edge(0.0)];
        let options = SamplingOptions { kl_weight: 0.0, number: 1 };
        let mut sampling = Sampling::<f64>::new(options, size, 1);
        let added = sampling.forward(&mut edges, (0, 1), 2, 1, call);
        let mut drawn = vec![0.0; size.values()];
        edges[2].values.copy_images(0, &mut drawn);
        (drawn, added)
    };
    let (values, _) = drawn(2.0 * 0.4_f64.ln(), call::Call::Training(training));
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let deviation = (values.iter().map(|y| (y - 2.0).powi(2)).sum::<f64>() / count).sqrt();
    assert!((mean - 2.0).abs() < 5.0 * 0.4 / count.sqrt(), "{mean}");
    assert!((deviation / 0.4 - 1.0).abs() < 0.02, "{deviation}");
    let (values, added) = drawn(1e4, call::Call::Inference);
    assert_eq!((values, added), (vec![2.0; size.values()], 0.0));
}
