//! The native engine against libtorch's layers: the same weights and images, loss, gradient and
//! outputs, in both precisions, in every form of the kernels that this CPU can run.

mod convolutions;
mod plain;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind};

use super::*;
use crate::config::Source;
use crate::data::Supervision;
use crate::engine::libtorch::Libtorch;
use crate::engine::values_of;
use plain::{Mistake, Plain};

/// Norm of the difference, relative to the norm of the second.
fn distance(ours: &Tensor, theirs: &Tensor) -> f64 {
    let values = |tensor: &Tensor| tensor.to_kind(Kind::Double).flatten(0, -1);
    let (ours, theirs) = (values(ours), values(theirs));
    let difference = (ours - &theirs).norm().double_value(&[]);
    difference / theirs.norm().double_value(&[]).max(f64::MIN_POSITIVE)
}

struct Case {
    plan: Plan,
    batch: Batch,
    weights: Tensor,
    text: String,
}

fn lowered(plan: &Plan) -> (Vec<Operation>, Head) {
    lower::lower(&section_of(plan, Part::Whole), plan.config.train.loss.alone()).unwrap()
}

fn operations(plan: &Plan) -> Vec<Operation> {
    lower::operations(&section_of(plan, Part::Whole)).unwrap()
}

/// What an engine gives for a case: loss with and without learning, gradient, outputs.
type Results = [Tensor; 4];

impl Case {
    fn new(shape: [usize; 3], encoder: &str, decoder: &str, train: &str, images: usize) -> Self {
        let text = format!(
            "name = \"case\"\n[model]\ninput_shape = {shape:?}\nencoder = [{encoder}]\ndecoder = [{decoder}]\n[train]\n{train}\n"
        );
        let plan = Plan::new(Source::parse(&text, "case", &[]).unwrap()).expect(&text);
        // Biases start at 0, which would hide where they go.
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let initial = Model::new(&plan, Device::Cpu, Kind::Float).weights;
        let shifts: Vec<f32> =
            (0..initial.numel()).map(|_| random.random_range(-0.1..0.1)).collect();
        let weights = initial + Tensor::from_slice(&shifts);
        let count = images * shape.iter().product::<usize>();
        let mut values =
            |count| -> Vec<f32> { (0..count).map(|_| random.random_range(0.0..1.0)).collect() };
        let batch = Batch {
            len: images,
            input: values(count),
            clean: Some(values(count)),
            ..Batch::default()
        };
        Self { plan, batch, weights, text }
    }

    fn results(&self, engine: &mut dyn Engine, kind: Kind) -> Results {
        let mut model = Model::new(&self.plan, Device::Cpu, kind);
        tch::no_grad(|| model.weights.copy_(&self.weights));
        let step = engine.loss_and_gradient(&model, &self.batch, 0);
        let loss = engine.loss(&model, &self.batch);
        let outputs = engine.outputs(&model, &self.batch.input);
        let singles = values_of(&outputs);
        let judged = engine.judge(&model, &self.batch);
        assert_eq!(judged, (loss.copy(), singles.clone()), "{}", self.text);
        assert_eq!(engine.predict(&model, &self.batch.input), singles, "{}", self.text);
        [step.loss, loss, step.gradient, outputs]
    }

    fn libtorch(&self, kind: Kind) -> Results {
        self.results(&mut Libtorch::new(&self.plan, Part::Whole, Device::Cpu, kind), kind)
    }

    /// The same in plain loops of float32.
    fn plain(&self, mistake: Mistake) -> Results {
        let weights = Vec::<f32>::try_from(&self.weights).unwrap();
        let operations = operations(&self.plan);
        let loss = self.plan.config.train.loss.alone().unwrap();
        let plain = Plain { operations: &operations, weights: &weights, loss, mistake };
        let [loss, gradient, outputs] = plain.results(&self.batch);
        [loss.copy(), loss, gradient, outputs]
    }

    /// Holds every form of the kernels against libtorch in float64.
    fn check<T: Real>(&self, threads: usize) {
        self.check_lowered::<T>(threads, lowered);
    }

    /// The same of a plan that is lowered otherwise.
    fn check_lowered<T: Real>(
        &self,
        threads: usize,
        lower: impl Fn(&Plan) -> (Vec<Operation>, Head),
    ) {
        let bars = Bars::of::<T>(self);
        for kernels in T::forms() {
            let lowered = lower(&self.plan);
            let mut native =
                Native::<T>::assemble(&self.plan, Part::Whole, lowered, threads, kernels);
            // Twice: what a step leaves in the buffers must not show in the next.
            for _ in 0..2 {
                let missed = bars.missed(&self.results(&mut native, T::KIND));
                assert!(
                    missed.is_none(),
                    "{}, {:?}, {}, {threads} threads, {} images:\n{}",
                    missed.unwrap(),
                    T::KIND,
                    kernels.name,
                    self.batch.len,
                    self.text
                );
            }
        }
    }
}

/// How near to libtorch in float64 a case has to be.
struct Bars {
    exact: Results,
    furthest: [f64; 4],
}

impl Bars {
    /// In float64 the order of sums is all that differs. In float32 the case itself says what rounding
    /// costs: see [`Plain`].
    fn of<T: Real>(case: &Case) -> Self {
        let exact = case.libtorch(Kind::Double);
        let furthest = if T::KIND == Kind::Double {
            [FLOAT64; 4]
        } else {
            let is_function =
                |operation: &Operation| matches!(operation.kind, lower::Kind::Activate(_));
            let has_functions = operations(&case.plan).iter().any(is_function);
            let ways = if has_functions {
                &[Mistake::None, Mistake::LastPlace][..]
            } else {
                &[Mistake::None]
            };
            let plain: Vec<Results> = ways.iter().map(|&mistake| case.plain(mistake)).collect();
            std::array::from_fn(|i| {
                let apart = plain.iter().map(|plain| distance(&plain[i], &exact[i]));
                TIMES * apart.fold(0.0, f64::max) + ROUNDING
            })
        };
        Self { exact, furthest }
    }

    /// The first result that is too far off.
    fn missed(&self, results: &Results) -> Option<String> {
        ["training loss", "loss", "gradient", "outputs"].into_iter().enumerate().find_map(
            |(i, what)| {
                let (distance, bar) = (distance(&results[i], &self.exact[i]), self.furthest[i]);
                let missed = distance.is_nan() || distance > bar;
                missed.then(|| format!("{what}: {distance:.1e}, more than {bar:.1e}"))
            },
        )
    }
}

/// An encoder and a decoder by themselves: what each gives for the same input, and that both in a
/// row are the whole.
fn parts_agree(shape: [usize; 3], encoder: &str, decoder: &str) {
    let case = Case::new(shape, encoder, decoder, "dtype = \"float64\"", 7);
    let model = Model::new(&case.plan, Device::Cpu, Kind::Double);
    tch::no_grad(|| model.weights.shallow_clone().copy_(&case.weights));
    let outputs = |part, input: &[f32]| {
        let mut native = Native::<f64>::new(&case.plan, part, 2).unwrap();
        let mut libtorch = Libtorch::new(&case.plan, part, Device::Cpu, Kind::Double);
        let (ours, theirs) = (native.outputs(&model, input), libtorch.outputs(&model, input));
        assert_eq!(ours.size(), theirs.size(), "{part:?}, {}", case.text);
        let distance = distance(&ours, &theirs);
        assert!(distance <= FLOAT64, "{part:?}: {distance:.1e}, {}", case.text);
        values_of(&ours)
    };
    let codes = outputs(Part::Encoder, &case.batch.input);
    let drawn = Tensor::from_slice(&outputs(Part::Decoder, &codes));
    let whole = Tensor::from_slice(&outputs(Part::Whole, &case.batch.input));
    assert!(distance(&drawn, &whole) <= ROUNDED_CODES, "{}", case.text);
}

#[test]
fn weights_that_change_between_predictions_are_taken_over() {
    let layer = r#"{ layer = "Conv2D", filters = 3, kernel_size = 3, padding = "same" }"#;
    let last = r#"{ layer = "Conv2D", filters = 1, kernel_size = 3, padding = "same" }"#;
    let case = Case::new([5, 6, 1], layer, last, "", 4);
    let mut model = Model::new(&case.plan, Device::Cpu, Kind::Float);
    let mut engine = Native::<f32>::new(&case.plan, Part::Whole, 2).unwrap();
    let before = engine.predict(&model, &case.batch.input);
    assert_eq!(engine.predict(&model, &case.batch.input), before);
    tch::no_grad(|| model.weights.copy_(&case.weights));
    let after = engine.predict(&model, &case.batch.input);
    assert_ne!(after, before);
    let mut fresh = Native::<f32>::new(&case.plan, Part::Whole, 2).unwrap();
    assert_eq!(fresh.predict(&model, &case.batch.input), after);
}

/// Sums of some thousand terms in another order.
const FLOAT64: f64 = 1e-12;
/// Of float32, how many times further off than plain loops the kernels may be. Longer sums than a vector
/// are nearer than those; tiles add and subtract pixels before they multiply, and 2.5 is the most that
/// any case here takes. The kernels' arithmetic is the same on every processor that has their form.
const TIMES: f64 = 3.0;
/// The rounding of the result, which plain loops may by luck be without.
const ROUNDING: f64 = f32::EPSILON as f64;
/// The codes were rounded to float32, and then every value after them.
const ROUNDED_CODES: f64 = 1e-6;

fn agrees(shape: [usize; 3], encoder: &str, decoder: &str, train: &str) {
    for (threads, images) in [(1, 1), (2, 3), (3, 37)] {
        let case = Case::new(shape, encoder, decoder, train, images);
        case.check::<f64>(threads);
        case.check::<f32>(threads);
    }
}

const LAST: &str = "{ layer = \"Conv2D\", filters = 1, kernel_size = 3, padding = \"same\", activation = \"sigmoid\" }";

#[test]
fn the_shipped_models() {
    for name in ["plain", "blog-denoise", "blog-conv"] {
        let path = format!("{}/configs/{name}.toml", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        let model = text.split_once("[model]").unwrap().1.split_once("[train]").unwrap().0;
        let list = |key: &str| {
            let list = model.split_once(&format!("{key} = [\n")).unwrap().1;
            list.split_once("\n]").unwrap().0.to_owned()
        };
        agrees([28, 28, 1], &list("encoder"), &list("decoder"), "");
    }
}

#[test]
fn every_loss_with_and_without_a_last_sigmoid() {
    let conv = "{ layer = \"Conv2D\", filters = 5, kernel_size = 3, padding = \"same\" }";
    for loss in ["binary_crossentropy", "mse", "mae"] {
        // Keras's cross-entropy of bare outputs is as steep as 1 / output.
        let bare = if loss == "binary_crossentropy" { "hard_sigmoid" } else { "linear" };
        for last in [LAST, &LAST.replace("sigmoid", bare)] {
            agrees([6, 5, 1], conv, last, &format!("loss = \"{loss}\""));
        }
    }
}

#[test]
fn every_activation() {
    for name in [
        "linear",
        "relu",
        "relu6",
        "leaky_relu",
        "elu",
        "selu",
        "gelu",
        "silu",
        "mish",
        "sigmoid",
        "hard_sigmoid",
        "tanh",
        "softplus",
        "softsign",
        "exponential",
    ] {
        let inside = format!(
            "{{ layer = \"Conv2D\", filters = 4, kernel_size = 3, padding = \"same\", activation = \"{name}\" }}"
        );
        let alone = format!("{{ layer = \"Activation\", activation = \"{name}\" }}");
        agrees(
            [5, 6, 3],
            &inside,
            &format!("{alone}, {}", LAST.replace("filters = 1", "filters = 3")),
            "",
        );
    }
    agrees(
        [5, 6, 1],
        "{ layer = \"LeakyReLU\", negative_slope = 0.1 }, { layer = \"ReLU\" }",
        LAST,
        "",
    );
}

#[test]
fn a_loss_of_masked_values_alone() {
    let encoder = "{ layer = \"Conv2D\", filters = 4, kernel_size = 3, padding = \"same\", activation = \"relu\" }";
    for (last, loss) in [("sigmoid", "bce"), ("sigmoid", "mse"), ("linear", "mae")] {
        let last = format!(
            "{{ layer = \"Conv2D\", filters = 2, kernel_size = 3, padding = \"same\", activation = \"{last}\" }}"
        );
        let train = format!("loss = \"{loss}\"");
        for images in [1, 5] {
            let mut case = Case::new([5, 6, 2], encoder, &last, &train, images);
            let masked = (0..images as u32).flat_map(|image| [7 + image, 59, 0]);
            case.batch.supervision = Supervision::Masked(masked.collect());
            for threads in [1, 3] {
                case.check::<f32>(threads);
                case.check::<f64>(threads);
            }
        }
    }
}

#[test]
fn dense_layers_and_shapes() {
    let encoder = "{ layer = \"ZeroPadding2D\", padding = [[1, 2], [0, 3]] }, { layer = \"Flatten\" }, \
                   { layer = \"Dense\", units = 37, activation = \"relu\" }, { layer = \"Dense\", units = 9 }";
    let decoder = "{ layer = \"Dense\", units = 48, activation = \"tanh\" }, { layer = \"Reshape\", target_shape = [4, 4, 3] }, \
                   { layer = \"Dense\", units = 2 }, { layer = \"UpSampling2D\", size = [2, 3] }, \
                   { layer = \"Cropping2D\", cropping = [[1, 1], [2, 5]] }, { layer = \"Dense\", units = 1, activation = \"sigmoid\" }";
    agrees([6, 5, 1], encoder, decoder, "");
}

#[test]
fn pooling_of_all_kinds() {
    let conv = "{ layer = \"Conv2D\", filters = 6, kernel_size = 3, padding = \"same\", activation = \"relu\" }";
    for kind in ["MaxPooling2D", "AveragePooling2D"] {
        for keys in [
            "pool_size = 2",
            "pool_size = [3, 2]",
            "pool_size = 2, padding = \"same\"",
            "pool_size = 3, strides = 2, padding = \"same\"",
            "pool_size = 3, strides = 1",
            "pool_size = [2, 1], strides = [3, 1]",
            "pool_size = [7, 3]",
        ] {
            for between in [
                "",
                "{ layer = \"ReLU\" }, ",
                "{ layer = \"Activation\", activation = \"tanh\" }, ",
            ] {
                let encoder = format!(
                    "{conv}, {between}{{ layer = \"{kind}\", {keys} }}, {{ layer = \"Flatten\" }}"
                );
                agrees(
                    [7, 9, 1],
                    &encoder,
                    "{ layer = \"Dense\", units = 63, activation = \"sigmoid\" }, { layer = \"Reshape\", target_shape = [7, 9, 1] }",
                    "",
                );
            }
        }
    }
}

/// Of a layer; more take too long.
const MOST_WEIGHTS: usize = 300_000;

/// Whatever geometry the config language allows.
#[test]
fn random_convolutions() {
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let mut done = 0;
    while done < 150 {
        let mut pick = |choices: &[usize]| choices[random.next_u32() as usize % choices.len()];
        let shape = [pick(&[1, 3, 6, 7, 12, 17]), pick(&[1, 2, 5, 8, 14, 16]), pick(&[1, 3])];
        let conv = |kind: &str, pick: &mut dyn FnMut(&[usize]) -> usize| {
            format!(
                "{{ layer = \"{kind}\", filters = {}, kernel_size = [{}, {}], strides = [{}, {}], padding = \"{}\", activation = \"{}\", use_bias = {} }}",
                pick(&[1, 2, 3, 8, 9, 16, 17, 33, 40]),
                pick(&[1, 2, 3, 4, 5, 7]),
                pick(&[1, 2, 3, 4, 5]),
                pick(&[1, 1, 2, 3]),
                pick(&[1, 1, 2, 3]),
                ["same", "valid"][pick(&[0, 1])],
                ["relu", "linear", "tanh"][pick(&[0, 1, 2])],
                pick(&[0, 1]) == 1,
            )
        };
        let first = conv(["Conv2D", "Conv2DTranspose"][pick(&[0, 1])], &mut pick);
        let up = format!(
            "{{ layer = \"UpSampling2D\", size = [{}, {}] }}, ",
            pick(&[1, 2, 3]),
            pick(&[1, 2, 4])
        );
        let up = if pick(&[0, 1]) == 1 { up } else { String::new() };
        let pool = if pick(&[0, 1, 2]) == 1 { ", { layer = \"MaxPooling2D\" }" } else { "" };
        let second = conv(["Conv2D", "Conv2DTranspose"][pick(&[0, 0, 1])], &mut pick);
        let encoder = format!("{first}{pool}, {up}{second}, {{ layer = \"Flatten\" }}");
        let values: usize = shape.iter().product();
        let decoder = format!(
            "{{ layer = \"Dense\", units = {values}, activation = \"sigmoid\" }}, {{ layer = \"Reshape\", target_shape = {shape:?} }}"
        );
        let text = format!(
            "name = \"case\"\n[model]\ninput_shape = {shape:?}\nencoder = [{encoder}]\ndecoder = [{decoder}]\n"
        );
        // Windows that do not fit are the plan's matter.
        let plan = Plan::new(Source::parse(&text, "case", &[]).unwrap());
        if plan
            .is_ok_and(|plan| plan.graph.nodes.iter().all(|node| node.trainable() < MOST_WEIGHTS))
        {
            agrees(shape, &encoder, &decoder, "");
            done += 1;
        }
    }
}

/// A rewrite by itself: where it applies, and how many operations fewer it leaves.
struct Rewrite {
    encoder: fn(&mut ChaCha8Rng) -> String,
    decoder: &'static str,
    lower: fn(Vec<Operation>) -> (Vec<Operation>, Head),
    fewer: usize,
}

/// On random sizes the rewrite applies, and what it leaves computes what libtorch's layers do.
fn holds(rewrite: &Rewrite) {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    for _ in 0..25 {
        let shape = [random.random_range(4..20), random.random_range(4..20), 1];
        let values: usize = shape.iter().product();
        let encoder = (rewrite.encoder)(&mut random);
        // One channel, so that the rows of Dense stay short: their sums would hide what is tested.
        let decoder = format!(
            "{}{{ layer = \"Conv2D\", filters = 1, kernel_size = 1 }}, {{ layer = \"Flatten\" }}, {{ layer = \"Dense\", units = {values}, activation = \"sigmoid\" }}, {{ layer = \"Reshape\", target_shape = {shape:?} }}",
            rewrite.decoder
        );
        let case = Case::new(shape, &encoder, &decoder, "", 5);
        let plain = lower::drop_identities(operations(&case.plan));
        let (rewritten, _) = (rewrite.lower)(plain.clone());
        assert_eq!(rewritten.len() + rewrite.fewer, plain.len(), "{}", case.text);
        let lower = |plan: &Plan| (rewrite.lower)(lower::drop_identities(operations(plan)));
        case.check_lowered::<f64>(2, lower);
        case.check_lowered::<f32>(2, lower);
    }
}

fn conv(random: &mut ChaCha8Rng, activation: &str) -> String {
    format!(
        "{{ layer = \"Conv2D\", filters = {}, kernel_size = [{}, {}], padding = \"{}\", activation = \"{activation}\" }}",
        random.random_range(1..35),
        random.random_range(1..5),
        random.random_range(1..5),
        ["same", "valid"][random.random_range(0..2)],
    )
}

const OUTPUTS: Head = Head::Outputs(crate::nn::Loss::BINARY_CROSSENTROPY);

#[test]
fn the_operations_without_any_rewrite() {
    let encoder = "{ layer = \"Conv2D\", filters = 5, kernel_size = 3, padding = \"same\", activation = \"relu\" }, { layer = \"MaxPooling2D\" }, { layer = \"Activation\", activation = \"linear\" }";
    let decoder =
        format!("{{ layer = \"UpSampling2D\", size = 1 }}, {{ layer = \"UpSampling2D\" }}, {LAST}");
    let case = Case::new([6, 8, 1], encoder, &decoder, "", 5);
    let plain = |plan: &Plan| (operations(plan), OUTPUTS);
    let dropped = lower::drop_identities(plain(&case.plan).0).len();
    assert_eq!(plain(&case.plan).0.len(), dropped + 5); // four linear activations, one upsampling by 1
    case.check_lowered::<f64>(2, plain);
    case.check_lowered::<f32>(2, plain);
    let without = |plan: &Plan| (lower::drop_identities(plain(plan).0), OUTPUTS);
    case.check_lowered::<f64>(2, without);
    case.check_lowered::<f32>(2, without);
}

#[test]
fn folding_an_upsampling_into_the_convolution_after_it() {
    holds(&Rewrite {
        encoder: |random| {
            let (down, across) = (random.random_range(1..4), random.random_range(2..4));
            let up = format!("{{ layer = \"UpSampling2D\", size = [{down}, {across}] }}");
            format!("{}, {up}, {}", conv(random, "tanh"), conv(random, "tanh"))
        },
        decoder: "",
        lower: |operations| (lower::fold_upsampling(operations), OUTPUTS),
        fewer: 1,
    });
}

/// Convolutions that were turned round.
fn turned(operations: &[Operation]) -> usize {
    let scatters = |operation: &&Operation| match &operation.kind {
        lower::Kind::Convolution(options) => options.fold.upsampling.is_some(),
        _ => false,
    };
    operations.iter().filter(scatters).count()
}

#[test]
fn convolutions_that_are_turned_round() {
    for (shape, filters, keys, count) in [
        ([10, 10, 8], 4, "kernel_size = 3", 1),
        ([10, 10, 8], 1, "kernel_size = [1, 9], padding = \"same\"", 1),
        // Too many, too few before it, one tap, some pixels left out, pixels between the taps, too little left.
        ([10, 10, 16], 5, "kernel_size = 3", 0),
        ([10, 10, 7], 4, "kernel_size = 3", 0),
        ([10, 10, 8], 4, "kernel_size = 1", 0),
        ([10, 10, 8], 4, "kernel_size = 3, strides = 2", 0),
        ([10, 10, 8], 4, "kernel_size = 3, dilation_rate = 2", 0),
        ([10, 10, 8], 4, "kernel_size = 4", 0),
    ] {
        let layers = format!("{{ layer = \"Conv2D\", filters = {filters}, {keys} }}");
        let case = Case::new(shape, &layers, "", "loss = \"mean_squared_error\"", 1);
        assert_eq!(
            turned(&lower::turn_round(operations(&case.plan))),
            count,
            "{shape:?}: {layers}"
        );
    }
}

#[test]
fn turning_a_convolution_to_few_channels_round() {
    holds(&Rewrite {
        encoder: |random| {
            let wide = |random: &mut ChaCha8Rng| {
                let wide = random.random_range(8..40);
                format!(
                    "{{ layer = \"Conv2D\", filters = {wide}, kernel_size = 1, activation = \"tanh\" }}"
                )
            };
            let mut to_few = |activation| {
                format!(
                    "{{ layer = \"Conv2D\", filters = {}, kernel_size = [{}, {}], padding = \"{}\", activation = \"{activation}\" }}",
                    random.random_range(1..5),
                    random.random_range(2..5),
                    random.random_range(1..5),
                    ["same", "valid"][random.random_range(0..2)],
                )
            };
            // Valid ones take no more away than the smallest image has.
            let few = [to_few("relu"), to_few("linear").replace("valid", "same")];
            format!("{}, {}, {}, {}", wide(random), few[0], wide(random), few[1])
        },
        decoder: "",
        lower: |operations| {
            let operations = lower::turn_round(operations);
            // Those that leave less than half of an image are not.
            assert!((1..=2).contains(&turned(&operations)));
            (operations, OUTPUTS)
        },
        fewer: 0,
    });
}

/// Every convolution but the last has tiles.
fn tiled(operations: Vec<Operation>) -> (Vec<Operation>, Head) {
    let operations = lower::multiply_less(lower::fold_upsampling(operations));
    let tiled = operations.iter().filter(|operation| match &operation.kind {
        lower::Kind::Convolution(options) => options.tiling.is_some(),
        _ => false,
    });
    assert_eq!(tiled.count(), 2);
    (operations, OUTPUTS)
}

/// Three taps, and as many channels as it takes.
fn wide_conv(random: &mut ChaCha8Rng, activation: &str, paddings: &[&str]) -> String {
    format!(
        "{{ layer = \"Conv2D\", filters = {}, kernel_size = 3, padding = \"{}\", activation = \"{activation}\" }}",
        random.random_range(16..41),
        paddings[random.random_range(0..paddings.len())],
    )
}

#[test]
fn three_taps_from_tiles() {
    holds(&Rewrite {
        encoder: |random| {
            let first = wide_conv(random, "tanh", &["same"]); // of one channel: too few
            let second = wide_conv(random, "tanh", &["same", "valid"]);
            let transposed = wide_conv(random, "tanh", &["same", "valid"]);
            format!("{first}, {second}, {}", transposed.replace("Conv2D", "Conv2DTranspose"))
        },
        decoder: "",
        lower: tiled,
        fewer: 0,
    });
}

#[test]
fn an_upsampling_by_two_and_three_taps_from_tiles() {
    holds(&Rewrite {
        encoder: |random| {
            let first = wide_conv(random, "tanh", &["same"]);
            let second = wide_conv(random, "tanh", &["same"]);
            let up = "{ layer = \"UpSampling2D\" }";
            let pool = "{ layer = \"AveragePooling2D\", padding = \"same\" }";
            format!("{first}, {pool}, {up}, {second}, {pool}, {up}, {second}, {pool}")
        },
        decoder: "",
        lower: tiled,
        fewer: 2,
    });
}

#[test]
fn a_pooling_of_what_comes_from_tiles() {
    holds(&Rewrite {
        encoder: |random| {
            let (height, width) = (random.random_range(1..4), random.random_range(1..4));
            let pool = format!("{{ layer = \"MaxPooling2D\", pool_size = [{height}, {width}] }}");
            let mut layer = |activation| wide_conv(random, activation, &["same"]);
            format!("{}, {}, {pool}, {}", layer("tanh"), layer("relu"), layer("tanh"))
        },
        decoder: "",
        lower: |operations| {
            let (operations, head) = tiled(operations);
            (lower::fuse_pooling(operations), head)
        },
        fewer: 2,
    });
}

#[test]
fn fusing_a_pooling_with_the_convolution_and_the_relu_before_it() {
    holds(&Rewrite {
        encoder: |random| {
            let (height, width) = (random.random_range(1..4), random.random_range(1..4));
            format!(
                "{}, {{ layer = \"MaxPooling2D\", pool_size = [{height}, {width}] }}",
                conv(random, "relu").replace("valid", "same")
            )
        },
        decoder: "",
        lower: |operations| (lower::fuse_pooling(operations), OUTPUTS),
        fewer: 2,
    });
}

#[test]
fn fusing_a_relu_with_the_convolution_before_it() {
    holds(&Rewrite {
        encoder: |random| format!("{}, {}", conv(random, "relu"), conv(random, "tanh")),
        decoder: "{ layer = \"Dense\", units = 7, activation = \"relu\" }, ",
        lower: |operations| (lower::fuse_relu(operations), OUTPUTS),
        fewer: 2,
    });
}

#[test]
fn fusing_the_last_sigmoid_with_the_cross_entropy() {
    holds(&Rewrite {
        encoder: |random| conv(random, "tanh"),
        decoder: "",
        lower: |operations| lower::fuse_sigmoid(operations, crate::nn::Loss::BINARY_CROSSENTROPY),
        fewer: 1,
    });
}

#[test]
fn the_bars_let_no_wrong_tap_no_lost_term_and_no_lost_digits_pass() {
    let dense = "{ layer = \"Flatten\" }, { layer = \"Dense\", units = 30, activation = \"tanh\" }, \
                 { layer = \"Dense\", units = 168 }, { layer = \"Reshape\", target_shape = [12, 14, 1] }";
    for middle in [&LAST.replace("filters = 1", "filters = 17").replace("sigmoid", "relu"), dense] {
        let case = Case::new([12, 14, 1], LAST, &format!("{middle}, {LAST}"), "", 37);
        let bars = Bars::of::<f32>(&case);
        assert_eq!(bars.missed(&case.plain(Mistake::None)), None);
        // Of 24 bits, three fewer: eight times the roundings.
        for mistake in [Mistake::Bits(21), Mistake::LostTerm(13), Mistake::WrongTap(13)] {
            let missed = bars.missed(&case.plain(mistake));
            println!("{mistake:?}: {missed:?}");
            assert!(missed.is_some(), "{mistake:?}: {}", case.text);
        }
    }
}

#[test]
fn the_same_threads_give_the_same_bits() {
    let case = Case::new([9, 9, 1], LAST, LAST, "", 50);
    let gradient = |threads| {
        let mut native = Native::<f32>::new(&case.plan, Part::Whole, threads).unwrap();
        let [_, _, gradient, _] = case.results(&mut native, Kind::Float);
        Vec::<f32>::try_from(gradient).unwrap()
    };
    assert_eq!(gradient(3), gradient(3));
}

#[test]
fn the_encoder_and_the_decoder_by_themselves() {
    let conv = |filters, activation| {
        format!(
            "{{ layer = \"Conv2D\", filters = {filters}, kernel_size = 3, padding = \"same\", activation = \"{activation}\" }}"
        )
    };
    let up = "{ layer = \"UpSampling2D\" }";
    let encoder = format!("{}, {{ layer = \"MaxPooling2D\" }}", conv(4, "relu"));
    let decoder = format!("{}, {up}, {}", conv(4, "relu"), conv(3, "sigmoid"));
    parts_agree([8, 12, 3], &encoder, &decoder);
    // A code of one axis, which ends in a sigmoid.
    let encoder = format!(
        "{encoder}, {{ layer = \"Flatten\" }}, {{ layer = \"Dense\", units = 5, activation = \"sigmoid\" }}"
    );
    let decoder = format!(
        "{{ layer = \"Dense\", units = 96 }}, {{ layer = \"Reshape\", target_shape = [4, 6, 4] }}, {decoder}"
    );
    parts_agree([8, 12, 3], &encoder, &decoder);
    // A code that is the image itself.
    parts_agree([4, 4, 1], "", &conv(1, "sigmoid"));
}
