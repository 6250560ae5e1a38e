//! From a config to a model and its batches: shapes, names and counts as Keras gives them, refusals,
//! the way back to TOML, and the order and content of the images.

mod reference {
    pub mod activations;
    pub mod axes;
    pub mod image_batch;
    pub mod linear;
    pub mod normalization;
}

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;
use std::sync::LazyLock;

use convae::config::corruption::{Corruption, CorruptionKind, Drawn, Gaussian, Resample, Span};
use convae::config::data::{Data, Mnist, SampleCounts};
use convae::config::entry::EntryLayer;
use convae::config::layers::{Conv2D, DepthwiseConv2D, Layer, Pair, Sides, Windows};
use convae::config::method::SUPERVISED;
use convae::config::schema::Section;
use convae::config::sections::{Config, Optimizer};
use convae::config::{ConfigError, Source};
use convae::data::corruption::Split;
use convae::data::{Batch, DataLoader, Dataset, Images, Kept};
use convae::engine::Model;
use convae::nn::{Activation, Interpolation, Loss, Padding};
use convae::plan::{Node, Part, Plan, Shape};
use convae::system::random::Stream;
use convae::system::ranks::Share;
use flate2::read::GzDecoder;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use rand::SeedableRng;
use reference::activations;
use reference::axes;
use reference::image_batch::{ImageBatch, assert_close, normals, numbers};
use reference::linear::{self, Margins, Window};
use reference::normalization::Norm;
use tch::nn::ModuleT;
use tch::{Device, Kind, Tensor, no_grad};

const SHIPPED: [&str; 9] = [
    "plain.toml",
    "denoise.toml",
    "blog-denoise.toml",
    "blog-conv.toml",
    "blog-simple.toml",
    "blog-sparse.toml",
    "blog-deep.toml",
    "superres.toml",
    "inpaint.toml",
];

/// Every layer, and every option of each with a value that is not its default.
const EVERYTHING: &str = r#"
name = "everything"
seed = 7

[data]
dir = "tests/digits"
train_samples = 100
test_samples = 50

[corruption]
kind = "gaussian"
factor = 0.25
clip = false
resample = "epoch"

[model]
input_shape = [8, 8, 3]
encoder = [
  { layer = "GaussianNoise", stddev = 0.1 },
  { layer = "ZeroPadding2D", padding = [[1, 0], [0, 2]] },
  { layer = "Cropping2D", cropping = [[0, 1], [2, 0]] },
  { layer = "Conv2D", name = "grouped", filters = 6, kernel_size = [2, 3], groups = 3, dilation_rate = [2, 3], padding = "same" },
  { layer = "DepthwiseConv2D", kernel_size = [2, 3], padding = "same", depth_multiplier = 2, dilation_rate = [2, 1], activation = "tanh" },
  { layer = "PReLU", shared_axes = [1] },
  { layer = "DepthToSpace", block_size = 2 },
  { layer = "SeparableConv2D", filters = 3, kernel_size = [3, 2], strides = 2, padding = "same", depth_multiplier = 2, activation = "elu" },
  { layer = "Rescaling", scale = 2, offset = -0.5 },
  { layer = "Identity" },
  { layer = "ELU", alpha = 0.5 },
  { layer = "LayerNormalization", epsilon = 0.01, scale = false },
  { layer = "GaussianDropout", rate = 0.1 },
  { layer = "GroupNormalization", groups = 3, epsilon = 0.02 },
  { layer = "AlphaDropout", rate = 0.1 },
  { layer = "Permute", dims = [2, 1, 3] },
  { layer = "SpatialDropout2D", rate = 0.1 },
  { layer = "UnitNormalization" },
  { layer = "Softmax", axis = 1 },
  { layer = "Conv2D", filters = 4, kernel_size = [3, 2], strides = [1, 2], padding = "same", activation = "gelu", use_bias = false, kernel_initializer = "he_normal" },
  { layer = "BatchNormalization", momentum = 0.9, epsilon = 0.01, center = false },
  { layer = "LeakyReLU", negative_slope = 0.1 },
  { layer = "ActivityRegularization", l2 = 0.01 },
  { layer = "MaxPooling2D", pool_size = [3, 2], strides = [2, 1], padding = "same" },
  { layer = "AveragePooling2D", pool_size = [2, 1] },
  { layer = "Dense", units = 5, activation = "tanh" },
  { layer = "Dropout", rate = 0.25 },
  { layer = "Flatten" },
  { layer = "BatchNormalization" },
  { layer = "Dense", units = 6, activation = "relu" },
]
decoder = [
  { layer = "Reshape", name = "pixels", target_shape = [1, 2, 3] },
  { layer = "GlobalAveragePooling2D", keepdims = true },
  { layer = "GlobalMaxPooling2D" },
  { layer = "Dense", units = 16, use_bias = false, kernel_initializer = "lecun_uniform" },
  { layer = "Reshape", target_shape = [2, 2, -1] },
  { layer = "ReLU", max_value = 0.5, negative_slope = 0.2, threshold = 0.1 },
  { layer = "Activation", activation = "softplus" },
  { layer = "Conv2DTranspose", filters = 3, kernel_size = [3, 4], strides = [2, 1], padding = "same" },
  { layer = "BatchNormalization", scale = false },
  { layer = "UpSampling2D", size = [2, 4], interpolation = "bilinear" },
  { layer = "Activation", activation = "softmax" },
  { layer = "UpSampling2D", size = [1, 2] },
  { layer = "Conv2D", filters = 3, kernel_size = [1, 2], strides = [1, 2], activation = "sigmoid" },
]

[train]
epochs = 3
batch_size = 16
loss = "mse"
optimizer = { name = "RMSprop", learning_rate = 0.002, rho = 0.8, momentum = 0.5, epsilon = 1e-6, centered = true, weight_decay = 0.01, clipvalue = 2.5 }
shuffle = false
device = "cpu"
dtype = "float64"

[output]
dir = "else where/runs"
safetensors = true
grid_samples = 4
"#;

/// Every layer of signals, in the same way.
const SIGNALS: &str = r#"
name = "signals"

[model]
input_shape = [12, 3]
encoder = [
  { layer = "ZeroPadding1D", padding = [1, 2] },
  { layer = "Cropping1D", cropping = [2, 1] },
  { layer = "Conv1D", filters = 4, kernel_size = 3, strides = 2, padding = "same", activation = "gelu", use_bias = false, kernel_initializer = "he_normal" },
  { layer = "BatchNormalization" },
  { layer = "Conv1D", filters = 4, kernel_size = 3, dilation_rate = 2, padding = "causal", groups = 2 },
  { layer = "SeparableConv1D", filters = 4, kernel_size = 2, padding = "same", depth_multiplier = 2, activation = "elu" },
  { layer = "MaxPooling1D", pool_size = 3, strides = 1, padding = "same" },
  { layer = "AveragePooling1D", pool_size = [2] },
  { layer = "Dense", units = 5, activation = "tanh" },
  { layer = "Activation", activation = "softmax" },
  { layer = "SpatialDropout1D", rate = 0.1 },
  { layer = "GlobalAveragePooling1D", keepdims = true },
  { layer = "GlobalMaxPooling1D" },
  { layer = "Dense", units = 6, activation = "relu" },
]
decoder = [
  { layer = "RepeatVector", n = 2 },
  { layer = "Flatten" },
  { layer = "Dense", units = 8 },
  { layer = "Reshape", target_shape = [-1, 2] },
  { layer = "Conv1DTranspose", filters = 3, kernel_size = 4, strides = 3, padding = "same" },
  { layer = "UpSampling1D" },
  { layer = "Conv1D", filters = 3, kernel_size = 2, strides = 2, activation = "sigmoid" },
]
"#;

/// A shipped config's text.
fn shipped(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs").join(name);
    std::fs::read_to_string(path).expect("a shipped config")
}

fn source(text: &str, overrides: &[&str]) -> Result<Source, ConfigError> {
    let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
    Source::parse(text, "test.toml", &overrides)
}

fn plan_of(text: &str, overrides: &[&str]) -> Result<Plan, ConfigError> {
    source(text, overrides).and_then(Plan::new)
}

fn plan(text: &str) -> Plan {
    plan_of(text, &[]).expect("a good config")
}

fn config(text: &str, overrides: &[&str]) -> Config {
    source(text, overrides).expect("a good config").config
}

/// A model of these layers, one to a line.
fn model(input_shape: [usize; 3], encoder: &str, decoder: &str) -> String {
    format!(
        "name = \"test\"\n[model]\ninput_shape = {input_shape:?}\nencoder = [\n{encoder}\n]\n\
         decoder = [\n{decoder}\n]\n"
    )
}

// What Keras says of the same models.

/// Name, output shape, learned weights and moving statistics of a layer.
type Row = (&'static str, &'static [usize], usize, usize);

fn check_rows(plan: &Plan, expected: &[Row]) {
    let rows: Vec<(&str, &[usize], usize, usize)> = plan
        .graph
        .nodes
        .iter()
        .map(|node| (&*node.name, &*node.output.0, node.trainable(), node.non_trainable()))
        .collect();
    assert_eq!(rows, expected);
}

// The tables are those of keras.Model.layers for the same layers, in Keras 3.15.1.

#[test]
fn plain_and_denoise_have_the_layers_that_keras_makes_of_them() {
    for name in ["plain.toml", "denoise.toml"] {
        check_rows(
            &plan(&shipped(name)),
            &[
                ("conv2d", &[28, 28, 32], 320, 0),
                ("max_pooling2d", &[14, 14, 32], 0, 0),
                ("conv2d_1", &[14, 14, 16], 4624, 0),
                ("max_pooling2d_1", &[7, 7, 16], 0, 0),
                ("conv2d_2", &[7, 7, 8], 1160, 0),
                ("conv2d_3", &[7, 7, 16], 1168, 0),
                ("up_sampling2d", &[14, 14, 16], 0, 0),
                ("conv2d_4", &[14, 14, 32], 4640, 0),
                ("up_sampling2d_1", &[28, 28, 32], 0, 0),
                ("conv2d_5", &[28, 28, 1], 289, 0),
            ],
        );
    }
}

#[test]
fn blog_denoise_has_the_layers_that_keras_makes_of_it() {
    check_rows(
        &plan(&shipped("blog-denoise.toml")),
        &[
            ("conv2d", &[28, 28, 32], 320, 0),
            ("max_pooling2d", &[14, 14, 32], 0, 0),
            ("conv2d_1", &[14, 14, 32], 9248, 0),
            ("max_pooling2d_1", &[7, 7, 32], 0, 0),
            ("conv2d_2", &[7, 7, 32], 9248, 0),
            ("up_sampling2d", &[14, 14, 32], 0, 0),
            ("conv2d_3", &[14, 14, 32], 9248, 0),
            ("up_sampling2d_1", &[28, 28, 32], 0, 0),
            ("conv2d_4", &[28, 28, 1], 289, 0),
        ],
    );
}

#[test]
fn blog_conv_has_the_layers_that_keras_makes_of_it() {
    check_rows(
        &plan(&shipped("blog-conv.toml")),
        &[
            ("conv2d", &[28, 28, 16], 160, 0),
            ("max_pooling2d", &[14, 14, 16], 0, 0),
            ("conv2d_1", &[14, 14, 8], 1160, 0),
            ("max_pooling2d_1", &[7, 7, 8], 0, 0),
            ("conv2d_2", &[7, 7, 8], 584, 0),
            ("max_pooling2d_2", &[4, 4, 8], 0, 0),
            ("conv2d_3", &[4, 4, 8], 584, 0),
            ("up_sampling2d", &[8, 8, 8], 0, 0),
            ("conv2d_4", &[8, 8, 8], 584, 0),
            ("up_sampling2d_1", &[16, 16, 8], 0, 0),
            ("conv2d_5", &[14, 14, 16], 1168, 0),
            ("up_sampling2d_2", &[28, 28, 16], 0, 0),
            ("conv2d_6", &[28, 28, 1], 145, 0),
        ],
    );
}

#[test]
fn a_model_of_every_layer_has_the_layers_that_keras_makes_of_it() {
    check_rows(
        &plan(EVERYTHING),
        &[
            ("gaussian_noise", &[8, 8, 3], 0, 0),
            ("zero_padding2d", &[9, 10, 3], 0, 0),
            ("cropping2d", &[8, 8, 3], 0, 0),
            ("grouped", &[8, 8, 6], 42, 0),
            ("depthwise_conv2d", &[8, 8, 12], 84, 0),
            ("p_re_lu", &[8, 8, 12], 96, 0),
            ("depth_to_space", &[16, 16, 3], 0, 0),
            ("separable_conv2d", &[8, 8, 3], 57, 0),
            ("rescaling", &[8, 8, 3], 0, 0),
            ("identity", &[8, 8, 3], 0, 0),
            ("elu", &[8, 8, 3], 0, 0),
            ("layer_normalization", &[8, 8, 3], 3, 0),
            ("gaussian_dropout", &[8, 8, 3], 0, 0),
            ("group_normalization", &[8, 8, 3], 6, 0),
            ("alpha_dropout", &[8, 8, 3], 0, 0),
            ("permute", &[8, 8, 3], 0, 0),
            ("spatial_dropout2d", &[8, 8, 3], 0, 0),
            ("unit_normalization", &[8, 8, 3], 0, 0),
            ("softmax", &[8, 8, 3], 0, 0),
            ("conv2d", &[8, 4, 4], 72, 0),
            ("batch_normalization", &[8, 4, 4], 4, 8),
            ("leaky_re_lu", &[8, 4, 4], 0, 0),
            ("activity_regularization", &[8, 4, 4], 0, 0),
            ("max_pooling2d", &[4, 4, 4], 0, 0),
            ("average_pooling2d", &[2, 4, 4], 0, 0),
            ("dense", &[2, 4, 5], 25, 0),
            ("dropout", &[2, 4, 5], 0, 0),
            ("flatten", &[40], 0, 0),
            ("batch_normalization_1", &[40], 80, 80),
            ("dense_1", &[6], 246, 0),
            ("pixels", &[1, 2, 3], 0, 0),
            ("global_average_pooling2d", &[1, 1, 3], 0, 0),
            ("global_max_pooling2d", &[3], 0, 0),
            ("dense_2", &[16], 48, 0),
            ("reshape", &[2, 2, 4], 0, 0),
            ("re_lu", &[2, 2, 4], 0, 0),
            ("activation", &[2, 2, 4], 0, 0),
            ("conv2d_transpose", &[4, 2, 3], 147, 0),
            ("batch_normalization_2", &[4, 2, 3], 3, 6),
            ("up_sampling2d", &[8, 8, 3], 0, 0),
            ("activation_1", &[8, 8, 3], 0, 0),
            ("up_sampling2d_1", &[8, 16, 3], 0, 0),
            ("conv2d_1", &[8, 8, 3], 21, 0),
        ],
    );
}

#[test]
fn a_model_of_every_layer_of_signals_has_the_layers_that_keras_makes_of_it() {
    check_rows(
        &plan(SIGNALS),
        &[
            ("zero_padding1d", &[15, 3], 0, 0),
            ("cropping1d", &[12, 3], 0, 0),
            ("conv1d", &[6, 4], 36, 0),
            ("batch_normalization", &[6, 4], 8, 8),
            ("conv1d_1", &[6, 4], 28, 0),
            ("separable_conv1d", &[6, 4], 52, 0),
            ("max_pooling1d", &[6, 4], 0, 0),
            ("average_pooling1d", &[3, 4], 0, 0),
            ("dense", &[3, 5], 25, 0),
            ("activation", &[3, 5], 0, 0),
            ("spatial_dropout1d", &[3, 5], 0, 0),
            ("global_average_pooling1d", &[1, 5], 0, 0),
            ("global_max_pooling1d", &[5], 0, 0),
            ("dense_1", &[6], 36, 0),
            ("repeat_vector", &[2, 6], 0, 0),
            ("flatten", &[12], 0, 0),
            ("dense_2", &[8], 104, 0),
            ("reshape", &[4, 2], 0, 0),
            ("conv1d_transpose", &[12, 3], 27, 0),
            ("up_sampling1d", &[24, 3], 0, 0),
            ("conv1d_2", &[12, 3], 21, 0),
        ],
    );
}

#[test]
fn the_configs_above_use_every_layer_there_is() {
    let plans = [EVERYTHING, SIGNALS].map(plan);
    let nodes = plans.iter().flat_map(|plan| &plan.graph.nodes);
    let used: BTreeSet<&str> = nodes.map(|node| node.layer.name()).collect();
    let merges =
        ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Sampling", "Concatenate"];
    let chained = Layer::NAMES.iter().copied().filter(|name| !merges.contains(name));
    assert_eq!(used, chained.collect());
}

#[test]
fn each_layer_receives_what_the_one_before_gives() {
    for text in SHIPPED.map(shipped).iter().map(String::as_str).chain([EVERYTHING, SIGNALS]) {
        let plan = plan(text);
        let mut shape = plan.graph.input.clone();
        for node in &plan.graph.nodes {
            assert_eq!(*plan.graph.input_of(node), shape, "{}", node.name);
            shape = node.output.clone();
        }
        assert_eq!(shape, plan.graph.input);
        assert!(plan.graph.chain().is_some());
        let parts = [Part::Encoder, Part::Decoder].map(|part| plan.graph.section(part).unwrap());
        let counts = parts.iter().map(|section| section.nodes().count());
        assert_eq!(counts.sum::<usize>(), plan.graph.nodes.len());
        assert_eq!(plan.code_shape(), parts[1].input_shape());
    }
}

// The model that is built from a plan.

/// `(N, C, H, W)` or `(N, F)`, as a plan writes it: without the batch, channels last.
fn planned_shape(tensor: &Tensor) -> Vec<usize> {
    let sides: Vec<usize> = tensor.size().iter().skip(1).map(|&side| side as usize).collect();
    match sides[..] {
        [channels, height, width] => vec![height, width, channels],
        _ => sides,
    }
}

fn input(plan: &Plan, pictures: usize, stream: &mut Stream) -> ImageBatch {
    let [height, width, channels] = plan.input_shape;
    ImageBatch::drawn([pictures, height, width, channels], stream)
}

/// Number of learned weights, and of moving statistics, that a model really holds.
fn weights_held(model: &Model) -> (usize, usize) {
    let count = |trainable: bool| {
        let entries = model.parameters.iter().filter(|entry| entry.trainable == trainable);
        entries.map(|entry| entry.tensor.numel()).sum()
    };
    (count(true), count(false))
}

fn weights_planned(plan: &Plan) -> (usize, usize) {
    let sum = |of: fn(&Node) -> usize| plan.graph.nodes.iter().map(of).sum();
    (sum(Node::trainable), sum(Node::non_trainable))
}

#[test]
fn models_have_the_shapes_and_the_number_of_weights_that_their_plans_promise() {
    for text in SHIPPED.map(shipped).iter().map(String::as_str).chain([EVERYTHING, SIGNALS]) {
        let plan = plan(text);
        let model = Model::new(&plan, Device::Cpu, Kind::Double);
        let x = input(&plan, 2, &mut Stream::seed_from_u64(1));
        let x = if plan.graph.input.0.len() == 1 { x.vectors() } else { x.tensor() };
        let code = model.encode(&x, false);
        assert_eq!(Shape(planned_shape(&code)), *plan.code_shape());
        assert_eq!(model.decode(&code, false).size(), x.size());
        assert_eq!(weights_held(&model), weights_planned(&plan));
    }
}

/// A number as TOML, or a pair.
fn pair((height, width): (usize, usize)) -> String {
    if height == width { height.to_string() } else { format!("[{height}, {width}]") }
}

/// Any layer with any options, as TOML.
fn layers() -> impl Strategy<Value = String> {
    let sides = |range: std::ops::RangeInclusive<usize>| (range.clone(), range);
    let padding = || prop_oneof![Just("valid"), Just("same")];
    let conv = (1..=4_usize, sides(1..=5), sides(1..=3), padding(), any::<bool>());
    let convolution = (prop_oneof![Just("Conv2D"), Just("Conv2DTranspose")], conv).prop_map(
        |(layer, (filters, kernel, strides, padding, bias))| {
            let (kernel, strides) = (pair(kernel), pair(strides));
            format!(
                "{{ layer = \"{layer}\", filters = {filters}, kernel_size = {kernel}, \
                 strides = {strides}, padding = \"{padding}\", use_bias = {bias} }}"
            )
        },
    );
    let strides = prop::option::of(sides(1..=3));
    let kind = prop_oneof![Just("MaxPooling2D"), Just("AveragePooling2D")];
    let pooling =
        (kind, sides(1..=4), strides, padding()).prop_map(|(layer, pool, strides, padding)| {
            let strides =
                strides.map_or(String::new(), |strides| format!(", strides = {}", pair(strides)));
            let pool = pair(pool);
            format!(
                "{{ layer = \"{layer}\", pool_size = {pool}, padding = \"{padding}\"{strides} }}"
            )
        });
    let upsampling = (sides(1..=3), prop_oneof![Just("nearest"), Just("bilinear")]).prop_map(
        |(size, interpolation)| {
            let size = pair(size);
            format!(
                "{{ layer = \"UpSampling2D\", size = {size}, interpolation = \"{interpolation}\" }}"
            )
        },
    );
    let margins = (
        prop_oneof![Just(("ZeroPadding2D", "padding")), Just(("Cropping2D", "cropping"))],
        sides(0..=2),
        sides(0..=2),
    );
    let margins = margins.prop_map(|((layer, key), (top, bottom), (left, right))| {
        format!("{{ layer = \"{layer}\", {key} = [[{top}, {bottom}], [{left}, {right}]] }}")
    });
    let dense = (1..=6_usize, any::<bool>()).prop_map(|(units, bias)| {
        format!("{{ layer = \"Dense\", units = {units}, use_bias = {bias} }}")
    });
    let norm = (any::<bool>(), any::<bool>()).prop_map(|(center, scale)| {
        format!("{{ layer = \"BatchNormalization\", center = {center}, scale = {scale} }}")
    });
    let bare = prop_oneof![
        Just("{ layer = \"Flatten\" }"),
        Just("{ layer = \"Reshape\", target_shape = [-1] }"),
        Just("{ layer = \"Reshape\", target_shape = [1, -1, 1] }"),
        Just("{ layer = \"Dropout\", rate = 0.5 }"),
        Just("{ layer = \"GaussianNoise\", stddev = 0.5 }"),
        Just("{ layer = \"ReLU\" }"),
        Just("{ layer = \"LeakyReLU\" }"),
        Just("{ layer = \"Activation\", activation = \"softmax\" }"),
    ];
    prop_oneof![
        4 => convolution,
        2 => pooling,
        1 => upsampling,
        1 => margins,
        1 => dense,
        1 => norm,
        2 => bare.prop_map(str::to_owned),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 250,
        rng_seed: RngSeed::Fixed(20_240_608),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Whatever an encoder gives, Flatten, Dense and Reshape bring it back to the input's shape.
    #[test]
    fn a_plan_is_either_refused_or_has_the_shapes_and_weights_of_the_real_model(
        height in 1..=12_usize, width in 1..=12_usize,
        channels in prop_oneof![Just(1_usize), Just(3_usize)],
        layers in prop::collection::vec(layers(), 1..=4),
    ) {
        let shape = [height, width, channels];
        let units = height * width * channels;
        let decoder = format!(
            "{{ layer = \"Flatten\" }},\n{{ layer = \"Dense\", units = {units} }},\n\
             {{ layer = \"Reshape\", target_shape = {shape:?} }}"
        );
        // A refusal is tested elsewhere; here it must only not be a panic.
        if let Ok(plan) = plan_of(&model(shape, &layers.join(",\n"), &decoder), &[]) {
            let built = Model::new(&plan, Device::Cpu, Kind::Float);
            let sides = [2, channels, height, width].map(|side| side as i64);
            let x = Tensor::zeros(sides, (Kind::Float, Device::Cpu));
            for train in [true, false] {
                let code = built.encode(&x, train);
                prop_assert_eq!(&Shape(planned_shape(&code)), plan.code_shape());
                prop_assert_eq!(built.decode(&code, train).size(), x.size());
            }
            prop_assert_eq!(weights_held(&built), weights_planned(&plan));
        }
    }
}

#[test]
fn weights_are_named_by_part_and_layer_as_in_a_state_dict() {
    let plan = plan(EVERYTHING);
    let model = Model::new(&plan, Device::Cpu, Kind::Float);
    let names: Vec<&str> = model.parameters.iter().map(|entry| &*entry.name).collect();
    let expected = [
        "encoder.grouped.weight",
        "encoder.grouped.bias",
        "encoder.depthwise_conv2d.weight",
        "encoder.depthwise_conv2d.bias",
        "encoder.p_re_lu.weight",
        "encoder.separable_conv2d.depthwise_weight",
        "encoder.separable_conv2d.pointwise_weight",
        "encoder.separable_conv2d.bias",
        "encoder.layer_normalization.bias",
        "encoder.group_normalization.weight",
        "encoder.group_normalization.bias",
        "encoder.conv2d.weight",
        "encoder.batch_normalization.weight",
        "encoder.batch_normalization.running_mean",
        "encoder.batch_normalization.running_var",
        "encoder.dense.weight",
        "encoder.dense.bias",
        "encoder.batch_normalization_1.weight",
        "encoder.batch_normalization_1.bias",
        "encoder.batch_normalization_1.running_mean",
        "encoder.batch_normalization_1.running_var",
        "encoder.dense_1.weight",
        "encoder.dense_1.bias",
        "decoder.dense_2.weight",
        "decoder.conv2d_transpose.weight",
        "decoder.conv2d_transpose.bias",
        "decoder.batch_normalization_2.bias",
        "decoder.batch_normalization_2.running_mean",
        "decoder.batch_normalization_2.running_var",
        "decoder.conv2d_1.weight",
        "decoder.conv2d_1.bias",
    ];
    assert_eq!(names, expected);
}

/// Everything that a model's weights hold.
fn all_weights(plan: &Plan) -> Vec<Vec<f64>> {
    let model = Model::new(plan, Device::Cpu, Kind::Double);
    model.parameters.iter().map(|entry| numbers(&entry.tensor)).collect()
}

#[test]
fn equal_seeds_give_equal_models_and_other_seeds_others() {
    let weights = |seed: &str| all_weights(&plan_of(EVERYTHING, &[seed]).expect("a good config"));
    assert_eq!(weights("seed=1"), weights("seed=1"));
    assert_ne!(weights("seed=1"), weights("seed=2"));
}

#[test]
fn two_layers_alike_start_with_different_weights() {
    let same = "{ layer = \"Conv2D\", filters = 1, kernel_size = 3, padding = \"same\" }";
    let weights = all_weights(&plan(&model([8, 8, 1], &format!("{same}, {same}"), same)));
    // Kernels at 0, 2 and 4, biases between.
    assert_ne!(weights[0], weights[2]);
    assert_ne!(weights[0], weights[4]);
    assert_ne!(weights[2], weights[4]);
}

#[test]
fn flattened_weights_keep_their_values_and_move_with_the_buffer() {
    let plan = plan(EVERYTHING);
    let built = Model::new(&plan, Device::Cpu, Kind::Double);
    let before: Vec<f64> = built.parameters.trainable().iter().flat_map(numbers).collect();
    let mut flat = built.parameters.flatten();
    assert_eq!(numbers(&flat), before);
    assert_eq!(flat.numel(), weights_planned(&plan).0);
    no_grad(|| flat += 1.0);
    let after: Vec<f64> = built.parameters.trainable().iter().flat_map(numbers).collect();
    assert_eq!(after, before.iter().map(|weight| weight + 1.0).collect::<Vec<f64>>());
    // The layers, too, see the new weights: a model of the old ones gives something else.
    let x = input(&plan, 1, &mut Stream::seed_from_u64(2)).tensor();
    let old = Model::new(&plan, Device::Cpu, Kind::Double);
    assert_ne!(built.forward_t(&x, false), old.forward_t(&x, false));
}

// The whole model against the references, layer by layer.

/// The values of a model's weight, in PyTorch's layout.
fn values_of(model: &Model, layer: &str, weight: &str) -> Option<Tensor> {
    let mut entries = model.parameters.iter();
    let name = format!(".{layer}.{weight}");
    let entry = entries.find(|entry| entry.name.ends_with(&name));
    entry.map(|entry| entry.tensor.detach())
}

fn window(Windows { size, strides, padding }: Windows) -> Window {
    let same = padding == Padding::Same;
    Window { size: (size.0, size.1), strides: (strides.0, strides.1), same }
}

/// A kernel of PyTorch's, `(out, in / groups, h, w)`, as Keras has it, with zeros where it skips pixels or
/// channels: `(h', w', in, out)`.
fn whole_kernel(kernel: &Tensor, rate: Pair, groups: i64) -> Vec<f64> {
    let kernel = if kernel.dim() == 3 { kernel.unsqueeze(2) } else { kernel.shallow_clone() };
    let [filters, each, height, width] = kernel.size()[..] else {
        panic!("a kernel of images has four axes")
    };
    let (down, across) = (rate.0 as i64, rate.1 as i64);
    let sides = [(height - 1) * down + 1, (width - 1) * across + 1, each * groups, filters];
    let whole = Tensor::zeros(sides, (Kind::Double, Device::Cpu));
    for filter in 0..filters {
        let first = filter / (filters / groups) * each;
        let spread = whole.select(3, filter).narrow(2, first, each);
        let mut spread = spread.slice(0, None, None, down).slice(1, None, None, across);
        no_grad(|| spread.copy_(&kernel.select(0, filter).permute([1, 2, 0])));
    }
    numbers(&whole)
}

fn margins(Sides { top, bottom, left, right }: Sides) -> Margins {
    Margins { top, bottom, left, right }
}

fn each(mut x: ImageBatch, f: impl Fn(f64) -> f64) -> ImageBatch {
    x.values.iter_mut().for_each(|value| *value = f(*value));
    x
}

fn activate(x: ImageBatch, activation: Activation) -> ImageBatch {
    if activation == Activation::Softmax {
        let pixels = x.values.chunks(x.shape[3]);
        return ImageBatch {
            shape: x.shape,
            values: pixels.flat_map(activations::softmax).collect(),
        };
    }
    each(x, |value| activations::value(activation, value))
}

/// Times gamma, plus beta, as far as there are any.
fn learned(normal: ImageBatch, [gamma, beta]: [Option<Tensor>; 2]) -> ImageBatch {
    let channels = normal.shape[3];
    let gamma = gamma.map_or_else(|| vec![1.0; channels], |gamma| numbers(&gamma));
    let beta = beta.map_or_else(|| vec![0.0; channels], |beta| numbers(&beta));
    axes::by_channel(normal, &gamma, &beta)
}

/// Filters of one channel each, by a kernel `(in, each, h, w)`.
fn depthwise(conv: &DepthwiseConv2D, kernel: &Tensor, x: &ImageBatch) -> ImageBatch {
    let kernel = kernel.flatten(0, 1).unsqueeze(1);
    let filters = x.shape[3] * conv.each.depth_multiplier;
    let kernel = whole_kernel(&kernel, conv.dilation_rate, x.shape[3] as i64);
    linear::conv2d(x.shape, window(conv.windows()), filters, &kernel).forward(x)
}

/// What Keras computes in inference for one layer with the model's weights.
#[allow(clippy::too_many_lines)] // a table: an arm for each layer
fn infer(model: &Model, node: &Node, x: ImageBatch) -> ImageBatch {
    let weight = |name: &str| values_of(model, &node.name, name);
    // A signal is an image of one row.
    let in_2d = node.layer.in_2d();
    let layer = in_2d.as_ref().unwrap_or(&node.layer);
    let with_bias = |mut y: ImageBatch| {
        if let Some(bias) = weight("bias") {
            linear::add_bias(&mut y, &numbers(&bias));
        }
        y
    };
    let kernel = || {
        let kernel = weight("weight").expect("a kernel");
        let kernel = if kernel.dim() == 3 { kernel.unsqueeze(2) } else { kernel };
        let axes: &[i64] = if kernel.dim() == 4 { &[2, 3, 1, 0] } else { &[1, 0] };
        numbers(&kernel.permute(axes))
    };
    match layer {
        Layer::Conv2D(Conv2D { conv, groups }) => {
            let kernel = weight("weight").expect("a kernel");
            let kernel = whole_kernel(&kernel, conv.dilation_rate, *groups as i64);
            let Pair(height, width) = conv.windows().size;
            let before = Margins { top: height - 1, left: width - 1, bottom: 0, right: 0 };
            let is_causal = conv.padding == Padding::Causal;
            let x = if is_causal { linear::zero_padding(x.shape, before).forward(&x) } else { x };
            let layer = linear::conv2d(x.shape, window(conv.windows()), conv.filters, &kernel);
            activate(with_bias(layer.forward(&x)), conv.activation)
        }
        Layer::DepthwiseConv2D(conv) => activate(
            with_bias(depthwise(conv, &weight("weight").expect("a kernel"), &x)),
            conv.each.activation,
        ),
        Layer::SeparableConv2D(conv) => {
            let kernel = weight("depthwise_weight").expect("a kernel");
            let each = depthwise(&conv.depthwise, &kernel, &x);
            let factors = weight("pointwise_weight").expect("a second kernel");
            let factors = whole_kernel(&factors, Pair(1, 1), 1);
            let point = Window { size: (1, 1), strides: (1, 1), same: false };
            let layer = linear::conv2d(each.shape, point, conv.pointwise.filters, &factors);
            activate(with_bias(layer.forward(&each)), conv.depthwise.each.activation)
        }
        Layer::PReLU(_) => {
            let alpha = weight("weight").expect("an alpha").permute([1, 2, 0]);
            let alpha = numbers(
                &alpha.expand([x.shape[1], x.shape[2], x.shape[3]].map(|side| side as i64), false),
            );
            let mut y = x;
            for (i, value) in y.values.iter_mut().enumerate() {
                *value = if *value > 0.0 { *value } else { alpha[i % alpha.len()] * *value };
            }
            y
        }
        Layer::Conv2DTranspose(conv) => {
            let window = window(conv.windows());
            let layer = linear::conv2d_transpose(x.shape, window, conv.filters, &kernel());
            activate(with_bias(layer.forward(&x)), conv.activation)
        }
        Layer::Dense(dense) => {
            let layer = linear::dense(x.shape, dense.units, &kernel());
            activate(with_bias(layer.forward(&x)), dense.activation)
        }
        Layer::MaxPooling2D(pool) => {
            let strides = pool.strides.unwrap_or(pool.pool_size);
            let windows = Windows { size: pool.pool_size, strides, padding: pool.padding };
            linear::max_pooling(&x, window(windows)).forward(&x)
        }
        Layer::AveragePooling2D(pool) => {
            let strides = pool.strides.unwrap_or(pool.pool_size);
            let windows = Windows { size: pool.pool_size, strides, padding: pool.padding };
            linear::average_pooling(x.shape, window(windows)).forward(&x)
        }
        Layer::UpSampling2D(up) => {
            let size = (up.size.0, up.size.1);
            match up.interpolation {
                Interpolation::Nearest => linear::upsampling_nearest(x.shape, size).forward(&x),
                Interpolation::Bilinear => linear::upsampling_bilinear(x.shape, size).forward(&x),
            }
        }
        Layer::Flatten(_) => {
            let [pictures, height, width, channels] = x.shape;
            ImageBatch { shape: [pictures, 1, 1, height * width * channels], values: x.values }
        }
        Layer::Reshape(_) => match node.output.0[..] {
            [height, width, channels] => {
                ImageBatch { shape: [x.shape[0], height, width, channels], values: x.values }
            }
            [steps, channels] => {
                ImageBatch { shape: [x.shape[0], 1, steps, channels], values: x.values }
            }
            _ => panic!("these configs reshape to no vectors"),
        },
        Layer::RepeatVector(repeat) => {
            let [signals, _, _, channels] = x.shape;
            let repeated = x.values.chunks(channels).flat_map(|vector| vector.repeat(repeat.n));
            ImageBatch { shape: [signals, 1, repeat.n, channels], values: repeated.collect() }
        }
        Layer::BatchNormalization(norm) => {
            let mut reference = Norm::new(x.shape[3], norm.momentum, norm.epsilon);
            for (name, values) in [
                ("weight", &mut reference.gamma),
                ("bias", &mut reference.beta),
                ("running_mean", &mut reference.moving_mean),
                ("running_var", &mut reference.moving_variance),
            ] {
                if let Some(weight) = weight(name) {
                    *values = numbers(&weight);
                }
            }
            reference.infer(&x)
        }
        Layer::Dropout(_)
        | Layer::GaussianNoise(_)
        | Layer::GaussianDropout(_)
        | Layer::AlphaDropout(_)
        | Layer::SpatialDropout2D(_)
        | Layer::ActivityRegularization(_)
        | Layer::Identity(_) => x,
        Layer::LayerNormalization(norm) => {
            learned(axes::layer_normalization(&x, norm.epsilon), [weight("weight"), weight("bias")])
        }
        Layer::GroupNormalization(layer) => {
            let groups = layer.groups_of(x.shape[3]).unwrap();
            let normal = axes::group_normalization(&x, groups, layer.norm.epsilon);
            learned(normal, [weight("weight"), weight("bias")])
        }
        Layer::UnitNormalization(_) => axes::unit_normalization(&x),
        Layer::GlobalAveragePooling2D(_) => axes::global_average(&x),
        Layer::GlobalMaxPooling2D(_) => axes::global_max(&x),
        Layer::DepthToSpace(layer) => axes::depth_to_space(&x, layer.block_size),
        Layer::Permute(_) => axes::turned_over(&x),
        Layer::Rescaling(layer) => each(x, |x| x * layer.scale + layer.offset),
        Layer::ELU(elu) => each(x, |x| if x > 0.0 { x } else { elu.alpha * x.exp_m1() }),
        Layer::Softmax(_) => axes::softmax_of_rows(&x),
        Layer::ZeroPadding2D(pad) => {
            linear::zero_padding(x.shape, margins(pad.padding)).forward(&x)
        }
        Layer::Cropping2D(crop) => linear::cropping(x.shape, margins(crop.cropping)).forward(&x),
        Layer::ReLU(relu) => each(x, |x| {
            let above = if x > relu.threshold { x } else { 0.0 };
            let below = if x > relu.threshold { 0.0 } else { x - relu.threshold };
            above.min(relu.max_value.unwrap_or(f64::INFINITY)) + relu.negative_slope * below
        }),
        Layer::LeakyReLU(leaky) => each(x, |x| activations::leaky_relu(x, leaky.negative_slope)),
        Layer::Activation(layer) => activate(x, layer.activation),
        Layer::Add(_)
        | Layer::Subtract(_)
        | Layer::Multiply(_)
        | Layer::Average(_)
        | Layer::Maximum(_)
        | Layer::Minimum(_)
        | Layer::Sampling(_)
        | Layer::Concatenate(_) => panic!("this config has no merge"),
        other => panic!("{} is that of images on one row", other.name()),
    }
}

/// Every option of the config reaches its layer: a swapped pair or a forgotten default shows here.
#[test]
fn a_model_of_every_layer_computes_what_the_references_give_one_after_the_other() {
    for text in [EVERYTHING, SIGNALS] {
        check_outputs(&plan(text));
    }
}

fn check_outputs(plan: &Plan) {
    let model = Model::new(plan, Device::Cpu, Kind::Double);
    let mut stream = Stream::seed_from_u64(3);
    for entry in model.parameters.iter() {
        let mut values = normals(entry.tensor.numel(), &mut stream);
        if entry.name.ends_with("running_var") {
            values = values.iter().map(|value| value.abs()).collect();
        }
        let values = Tensor::from_slice(&values).view_as(&entry.tensor);
        no_grad(|| entry.tensor.shallow_clone().copy_(&values));
    }
    let x = input(plan, 3, &mut stream);
    let infer = |part: Part, x: ImageBatch| {
        let section = plan.graph.section(part).unwrap();
        section.nodes().fold(x, |x, (_, node)| infer(&model, node, x))
    };
    let code = infer(Part::Encoder, x.clone());
    // Layers with sums of up to 40 terms, each with roundings of 1e-16.
    let found = ImageBatch::of(&model.encode(&x.tensor(), false));
    assert_close("code", &found.values, &code.values, 1e-12);
    let found = ImageBatch::of(&model.forward_t(&x.tensor(), false));
    assert_close("output", &found.values, &infer(Part::Decoder, code).values, 1e-12);
}

#[test]
fn batch_normalization_in_a_model_has_the_momentum_and_epsilon_of_its_config() {
    let norm = "{ layer = \"BatchNormalization\", momentum = 0.75, epsilon = 0.5 }";
    let plan = plan(&model([2, 2, 1], norm, norm));
    let built = Model::new(&plan, Device::Cpu, Kind::Double);
    let x = input(&plan, 3, &mut Stream::seed_from_u64(4));
    let mut reference = Norm::new(1, 0.75, 0.5);
    let found = ImageBatch::of(&built.encode(&x.tensor(), true));
    assert_close("training", &found.values, &reference.train(&x).values, 1e-12);
    reference.follow(&x);
    let mean = numbers(&values_of(&built, "batch_normalization", "running_mean").unwrap());
    assert_close("moving mean", &mean, &reference.moving_mean, 1e-12);
}

// Refusals.

/// The refusal of a model, as the user reads it.
fn refusal(text: &str, overrides: &[&str]) -> String {
    let plan = plan_of(text, overrides).and_then(|plan| plan.objective());
    plan.expect_err("this must be refused").to_string()
}

/// Says all of these things.
fn check_says(refusal: &str, parts: &[&str]) {
    for part in parts {
        assert!(refusal.contains(part), "no {part:?} in: {refusal}");
    }
}

const CONV: &str = "{ layer = \"Conv2D\", filters = 1, kernel_size = 3, padding = \"same\" }";

/// Refusals of an encoder's second layer, after `CONV` on 8x8x1 and with nothing to mend it after.
fn second(layer: &str) -> String {
    refusal(&model([8, 8, 1], &format!("{CONV},\n{layer}"), CONV), &[])
}

#[test]
fn a_window_larger_than_its_input_is_refused_by_the_layers_path_and_line() {
    for layer in ["Conv2D", "MaxPooling2D", "AveragePooling2D"] {
        let keys = if layer == "Conv2D" { "filters = 1, kernel_size" } else { "pool_size" };
        let refusal = second(&format!("{{ layer = \"{layer}\", {keys} = [9, 1] }}"));
        check_says(
            &refusal,
            &["test.toml:6", "`model.encoder[1]`", layer, "9x1", "8x8", "padding = \"same\""],
        );
    }
}

#[test]
fn layers_of_images_are_refused_after_flatten() {
    for layer in [
        CONV,
        "{ layer = \"Conv2DTranspose\", filters = 1, kernel_size = 3 }",
        "{ layer = \"MaxPooling2D\" }",
        "{ layer = \"AveragePooling2D\" }",
        "{ layer = \"UpSampling2D\" }",
        "{ layer = \"ZeroPadding2D\" }",
        "{ layer = \"Cropping2D\" }",
    ] {
        let refusal = second(&format!("{{ layer = \"Flatten\" }},\n{layer}"));
        check_says(&refusal, &["test.toml:7", "`model.encoder[2]`", "receives 64", "Reshape"]);
    }
}

#[test]
fn a_crop_that_leaves_nothing_is_refused() {
    for crop in ["8", "4", "[4, 0]", "[[0, 0], [8, 0]]", "[[5, 4], [0, 0]]"] {
        let refusal = second(&format!("{{ layer = \"Cropping2D\", cropping = {crop} }}"));
        check_says(&refusal, &["`model.encoder[1]`", "Cropping2D", "8x8", "crop less"]);
    }
}

#[test]
fn a_reshape_to_another_number_of_values_is_refused() {
    for shape in ["[63]", "[4, 4, 5]", "[5, -1, 1]", "[65, -1, 1]"] {
        let refusal = second(&format!("{{ layer = \"Reshape\", target_shape = {shape} }}"));
        check_says(&refusal, &["`model.encoder[1]`", "Reshape", "64"]);
    }
}

#[test]
fn a_misfit_in_the_decoder_is_named_there() {
    let decoder = format!("{CONV},\n{{ layer = \"MaxPooling2D\", pool_size = 9 }}");
    let refusal = refusal(&model([8, 8, 1], CONV, &decoder), &[]);
    check_says(&refusal, &["test.toml:9", "`model.decoder[1]`", "MaxPooling2D", "9x9"]);
}

#[test]
fn an_output_of_another_shape_than_the_input_is_refused_with_both_shapes() {
    let refusal = second("{ layer = \"MaxPooling2D\" }");
    check_says(&refusal, &["`model.decoder`", "4x4x1", "8x8x1"]);
}

#[test]
fn a_model_with_nothing_to_learn_is_refused() {
    let relu = "{ layer = \"ReLU\" }";
    check_says(&refusal(&model([8, 8, 1], relu, relu), &[]), &["nothing to learn", "Conv2D"]);
    check_says(&refusal(&model([8, 8, 1], "", ""), &[]), &["nothing to learn"]);
}

#[test]
fn a_model_too_large_to_compute_is_refused_and_not_built() {
    for layer in [
        "{ layer = \"Dense\", units = 16777216 },\n{ layer = \"Dense\", units = 16777216 }",
        "{ layer = \"UpSampling2D\", size = 1024 },\n{ layer = \"UpSampling2D\", size = 1024 },\n\
         { layer = \"UpSampling2D\", size = 1024 },\n{ layer = \"UpSampling2D\", size = 1024 }",
        "{ layer = \"Conv2DTranspose\", filters = 65536, kernel_size = 1024, strides = 1024 }",
        "{ layer = \"ZeroPadding2D\", padding = 65536 }",
        "{ layer = \"Conv2D\", filters = 65536, kernel_size = 1024, padding = \"same\" }",
    ] {
        check_says(&second(layer), &["`model.encoder[", "too large to compute"]);
    }
}

#[test]
fn a_model_takes_vectors_signals_or_images_with_their_channels() {
    for shape in ["[28, -1]", "[-1]", "[28, 28, -1]", "[28, 28, 0]", "[28, 28, 1, 1]", "[]"] {
        let refusal =
            refusal(&model([8, 8, 1], CONV, CONV), &[&format!("model.input_shape={shape}")]);
        check_says(&refusal, &["`model.input_shape", "from 1 to 65536"]);
    }
    let one = |shape: &str, layer: &str| {
        refusal(&model([8, 8, 1], layer, ""), &[&format!("model.input_shape={shape}")])
    };
    let signal = "{ layer = \"MaxPooling1D\" }";
    check_says(&one("[8, 8]", CONV), &["(Conv2D) needs height, width and channels", "8x8"]);
    check_says(&one("[8]", signal), &["(MaxPooling1D) needs steps and channels", "receives 8;"]);
    check_says(&one("[8, 8, 1]", signal), &["needs steps and channels, but receives 8x8x1"]);
    let long = "{ layer = \"MaxPooling1D\", pool_size = 9 }";
    check_says(&one("[8, 1]", long), &["has a window of 1x9, larger than the 1x8"]);
}

#[test]
fn what_is_no_image_is_seen_as_one_of_the_same_values() {
    let views = |shape: &str, data: &str, layers: &str| {
        let text = format!(
            "name = \"test\"\n[model]\ninput_shape = {shape}\nlayers = [{layers}]\n[data]\n{data}\n"
        );
        let plan = plan_of(&text, &[]).map_err(|error| error.to_string())?;
        Ok::<_, String>((plan.input_shape, plan.output_shape()))
    };
    let files = "kind = \"images\"\ntrain = \"here\"";
    let dense = |units: usize| format!("{{ layer = \"Dense\", units = {units} }}");
    let to =
        |shape: &str| format!("{}, {{ layer = \"Reshape\", target_shape = {shape} }}", dense(48));
    let conv = "{ layer = \"Conv1D\", filters = 3, kernel_size = 1 }";
    for (shape, data, layers, input, output) in [
        ("[16]", "", dense(16), [4, 4, 1], [4, 4, 1]),
        ("[16]", files, dense(5), [4, 4, 1], [1, 5, 1]),
        ("[48]", files, dense(48), [4, 4, 3], [4, 4, 3]),
        ("[48]", "", to("[6, 8]"), [4, 4, 3], [4, 4, 3]),
        ("[48]", "", to("[3, 4, 4]"), [4, 4, 3], [4, 4, 3]),
        ("[15]", "", dense(15), [1, 15, 1], [1, 15, 1]),
        ("[6, 3]", "", dense(3), [6, 3, 1], [6, 3, 1]),
        ("[6, 3]", "", conv.to_owned(), [1, 6, 3], [1, 6, 3]),
    ] {
        let found = views(shape, data, &layers).unwrap();
        assert_eq!(found, (input, output), "{shape}, {layers}");
    }
    let refused = views("[15]", files, &dense(15)).unwrap_err();
    check_says(&refused, &["`model.input_shape` is a vector of 15 values", "s x s pixels"]);
}

#[test]
fn two_kinds_of_clipping_are_refused_as_in_keras() {
    let text = model([8, 8, 1], CONV, CONV);
    let one = "train.optimizer={ name = \"SGD\", clipnorm = 1.0 }";
    assert!(plan_of(&text, &[one]).is_ok());
    let refusal = refusal(&text, &[one, "train.optimizer.clipvalue=0.5"]);
    check_says(&refusal, &["`train.optimizer`", "clipnorm", "clipvalue", "set one"]);
}

#[test]
fn a_refusal_caused_by_a_set_argument_names_that_argument() {
    let refusal = refusal(&shipped("plain.toml"), &["model.encoder[1].pool_size=3"]);
    // 28 / 3 = 9, and 9 / 2 = 4: the way back ends at 16.
    check_says(&refusal, &["`model.decoder`", "16x16x1", "28x28x1"]);
    let refusal = self::refusal(&shipped("plain.toml"), &["model.encoder[3].pool_size=15"]);
    check_says(&refusal, &["`model.encoder[3]`", "15x15", "14x14"]);
    let refusal = self::refusal(&shipped("plain.toml"), &["model.input_shape=[28, 28, -1]"]);
    check_says(&refusal, &["--set model.input_shape=[28, 28, -1]"]);
}

// To TOML and back.

#[test]
fn a_config_written_out_reads_back_as_itself() {
    for text in SHIPPED.map(shipped).iter().map(String::as_str).chain([EVERYTHING]) {
        let config = config(text, &[]);
        let written = config.to_toml();
        assert_eq!(self::config(&written, &[]), config, "{written}");
        assert_eq!(self::config(&written, &[]).to_toml(), written, "writing is not stable");
    }
}

#[test]
fn every_optimizer_with_every_option_reads_back_as_itself() {
    let common = "learning_rate = 1e-5, weight_decay = 0.125, global_clipnorm = 1e9";
    let plain = shipped("plain.toml");
    for own in [
        "name = \"Adam\", beta_1 = 0.0, beta_2 = 0.5, epsilon = 1e-12, amsgrad = true",
        "name = \"AdamW\", beta_1 = 0.1, beta_2 = 0.999999, epsilon = 0.1, amsgrad = true",
        "name = \"SGD\", momentum = 0.3, nesterov = true",
        "name = \"RMSprop\", rho = 0.3, momentum = 0.1, epsilon = 1.0, centered = true",
        "name = \"Adadelta\", rho = 0.3, epsilon = 1e-300",
        "name = \"Nadam\", beta_1 = 0.3, epsilon = 1e-3",
        "name = \"Adamax\", beta_2 = 0.3",
        "name = \"Lamb\", beta_2 = 0.3",
        "name = \"Adagrad\", initial_accumulator_value = 0.0",
        "name = \"Lion\", beta_1 = 0.3",
        "name = \"Ftrl\", learning_rate_power = 0.0, beta = 1.5",
    ] {
        let set = format!("train.optimizer={{ {own}, {common} }}");
        let config = config(&plain, &[&set]);
        assert_eq!(self::config(&config.to_toml(), &[]), config, "{own}");
    }
}

#[test]
fn every_choice_reads_back_as_itself() {
    let check = |set: &str| {
        let config = config(EVERYTHING, &[set]);
        assert_eq!(self::config(&config.to_toml(), &[]), config, "{set}");
    };
    for activation in [
        "linear",
        "relu",
        "relu6",
        "leaky_relu",
        "elu",
        "selu",
        "gelu",
        "silu",
        "swish",
        "mish",
        "sigmoid",
        "hard_sigmoid",
        "tanh",
        "softplus",
        "softsign",
        "softmax",
        "exponential",
    ] {
        check(&format!("model.decoder[3].activation={activation}"));
    }
    for initializer in [
        "glorot_uniform",
        "glorot_normal",
        "he_uniform",
        "he_normal",
        "lecun_uniform",
        "lecun_normal",
        "zeros",
        "ones",
    ] {
        check(&format!("model.encoder[3].kernel_initializer={initializer}"));
    }
    for loss in ["binary_crossentropy", "mse", "mae", "mean_squared_error", "mean_absolute_error"] {
        check(&format!("train.loss={loss}"));
    }
    for set in ["corruption={ kind = \"none\" }", "train.dtype=float32", "train.device=cuda:3"] {
        check(set);
    }
}

#[test]
fn names_and_paths_with_quotes_backslashes_and_other_letters_read_back_as_themselves() {
    for path in [r#"a "quoted" place"#, r"back\slash", "größe/Ω/数", "line\nbreak", "#no comment"]
    {
        let mut config = config(&shipped("plain.toml"), &[]);
        config.output.dir = path.into();
        config.data = Data::Mnist(Mnist { dir: path.into(), ..Mnist::defaults() });
        let written = config.to_toml();
        assert_eq!(self::config(&written, &[]), config, "{written}");
    }
}

#[test]
fn a_config_written_out_holds_every_default() {
    let written = config(&shipped("plain.toml"), &[]).to_toml();
    let expected = "kernel_initializer = \"glorot_uniform\"";
    check_says(
        &written,
        &["seed = 42", "shuffle = true", "beta_1 = 0.9", expected, "kind = \"none\""],
    );
}

// `--set`.

#[test]
fn set_reaches_nested_keys() {
    let config = config(
        &shipped("plain.toml"),
        &["train.epochs=7", "train.optimizer.learning_rate=0.5", "seed=3", "output.dir=some/where"],
    );
    assert_eq!(config.train.epochs, 7);
    assert_eq!(config.seed, 3);
    assert_eq!(config.output.dir, Path::new("some/where"));
    let Optimizer::Adam(adam) = &config.train.optimizer else { panic!("still Adam") };
    assert_eq!(adam.learning_rate.to_string(), "0.5");
}

#[test]
fn set_reaches_entries_of_lists_and_leaves_the_others_alone() {
    let before = config(&shipped("plain.toml"), &[]);
    let after = config(&shipped("plain.toml"), &["model.encoder[2].filters=11"]);
    let filters = |config: &Config| {
        config
            .model
            .encoder
            .iter()
            .flatten()
            .map(|entry| match &entry.layer {
                EntryLayer::New(Layer::Conv2D(Conv2D { conv, .. })) => conv.filters,
                _ => 0,
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(filters(&before), [32, 0, 16, 0, 8]);
    assert_eq!(filters(&after), [32, 0, 11, 0, 8]);
    assert_eq!(after.model.decoder, before.model.decoder);
}

#[test]
fn set_makes_sections_that_the_file_does_not_have() {
    let text = shipped("plain.toml");
    assert!(!text.contains("[corruption]") && !text.contains("[output]"));
    let config = config(&text, &["corruption.kind=gaussian", "output.safetensors=true"]);
    assert_eq!(config.corruption, noise(Resample::Never));
    assert!(config.output.safetensors);
}

#[test]
fn set_reaches_any_key_of_what_the_file_does_not_write() {
    let text = model([28, 28, 1], CONV, CONV);
    assert!(!text.contains("optimizer") && !text.contains("[train]"));
    let set = ["train.optimizer.learning_rate=0.25", "train.early_stopping.patience=3"];
    let changed = config(&text, &[&set[..], &["data.train_samples=7"]].concat());
    let Optimizer::Adam(adam) = &changed.train.optimizer else { panic!("the default is Adam") };
    assert_eq!((adam.learning_rate, adam.moments.beta_2), (0.25, 0.999));
    assert_eq!(changed.train.early_stopping.map(|stop| stop.patience), Some(3));
    // Whatever comes first, what was set stays, and the rest is of the kind that was set.
    for set in [
        ["train.optimizer.learning_rate=0.25", "train.optimizer.name=SGD"],
        ["train.optimizer.name=SGD", "train.optimizer.learning_rate=0.25"],
    ] {
        let Optimizer::SGD(sgd) = config(&text, &set).train.optimizer else { panic!("{set:?}") };
        assert_eq!((sgd.learning_rate, sgd.momentum), (0.25, 0.0));
    }
    let Optimizer::SGD(sgd) = config(&text, &["train.optimizer.name=SGD"]).train.optimizer else {
        panic!("it was set")
    };
    assert_eq!(sgd.learning_rate.to_string(), "0.01");
}

#[test]
fn set_reaches_entries_of_a_list_that_the_file_does_not_write() {
    let text = model([28, 28, 1], CONV, CONV).replace("input_shape = [28, 28, 1]", "");
    let changed = config(&text, &["model.input_shape[0]=16", "model.input_shape[1]=20"]);
    assert_eq!(changed.model.input_shape.0, [Some(16), Some(20), Some(1)]);
    let words = ["--set model.input_shape[3]=1", "`model.input_shape` is a list of 3"];
    check_says(&refusal(&text, &["model.input_shape[3]=1"]), &words);
}

#[test]
fn what_set_cannot_reach_is_refused_with_what_would() {
    let text = model([28, 28, 1], CONV, CONV);
    let corrupted = format!("{text}\n[[corruption]]\nkind = \"blur\"\n");
    for (text, set, words) in [
        (&text, "corruption.factor=0.2", ["`corruption` has no `kind`", "set corruption.kind too"]),
        (
            &text,
            "train.learning_rate_schedule.decay_steps=9",
            ["has no `name`", "set train.learning_rate_schedule.name too"],
        ),
        (&corrupted, "corruption.sigma=2", ["`corruption` is a list of 1", "corruption[0].sigma"]),
        (
            &text,
            "train.optimizer.momentum=0.9",
            ["`train.optimizer.momentum` is not a key", "known"],
        ),
        (&text, "model.encoder[0].kernel_size[1]=5", ["kernel_size` is 3", "set all of it"]),
        (&text, "model[0].encoder=1", ["`model` is a table", "leave [0] out"]),
        (&text, "train.loss[0]=mse", ["`train.loss` is not written as a list", "set all of it"]),
    ] {
        check_says(&refusal(text, &[set]), &[&[set][..], &words].concat());
    }
    let both = config(&text, &["corruption.factor=0.2", "corruption.kind=gaussian"]);
    assert_eq!(
        both.corruption,
        config(&text, &["corruption={kind='gaussian',factor=0.2}"]).corruption
    );
}

#[test]
fn set_replaces_a_whole_table_or_list() {
    let layer = "{ layer = \"Conv2D\", filters = 1, kernel_size = 1 }";
    let config = config(
        &shipped("plain.toml"),
        &[
            &format!("model.encoder=[{layer}]"),
            &format!("model.decoder[0]={layer}"),
            "train.optimizer={ name = \"SGD\" }",
        ],
    );
    let [encoder, decoder] = [config.model.encoder, config.model.decoder].map(Option::unwrap);
    assert_eq!((encoder.len(), &decoder[0]), (1, &encoder[0]));
    assert_eq!(config.train.optimizer.name(), "SGD");
}

#[test]
fn the_last_set_of_a_key_wins() {
    let config = config(&shipped("plain.toml"), &["train.epochs=2", "train.epochs=5"]);
    assert_eq!(config.train.epochs, 5);
}

#[test]
fn set_takes_text_without_quotes() {
    let config = config(&shipped("plain.toml"), &["name=other", "train.loss=mae"]);
    assert_eq!(config.name, "other");
    assert_eq!(config.train.loss, Loss::MeanAbsoluteError);
}

// The images.

/// One of the files of tests/digits.
fn digits(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/digits").join(name)
}

fn train_digits(samples: usize) -> Images {
    Images::open(&digits("train-images-idx3-ubyte.gz"), Some(samples)).expect("the digits")
}

/// The bytes of the images, without the 16 of the header, read apart from `Images`.
fn raw_bytes(name: &str) -> Vec<u8> {
    let file = std::fs::File::open(digits(name)).expect("the digits");
    let mut bytes = Vec::new();
    GzDecoder::new(file).read_to_end(&mut bytes).expect("the digits unpack");
    bytes.split_off(16)
}

static NO_CORRUPTION: LazyLock<Corruption> = LazyLock::new(Corruption::none);

fn noise(resample: Resample) -> Corruption {
    let gaussian = Gaussian { factor: Span::of(0.5), clip: true, drawn: Drawn { resample } };
    Corruption(vec![CorruptionKind::Gaussian(gaussian)])
}

fn loader<'a>(images: &'a Images, corruption: &'a Corruption, batch_size: usize) -> DataLoader<'a> {
    let method = &SUPERVISED;
    DataLoader {
        images,
        corruption,
        method,
        split: Split::Train,
        seed: 42,
        batch_size,
        share: Share::ALL,
        kept: Kept::Nothing,
    }
}

#[test]
fn every_pixel_is_its_byte_over_255() {
    for (name, count) in [("train-images-idx3-ubyte.gz", 640), ("t10k-images-idx3-ubyte.gz", 200)] {
        let images = Images::open(&digits(name), None).expect("the digits");
        assert_eq!((images.len(), images.shape()), (count, [28, 28, 1]));
        let values: Vec<f32> =
            (0..images.len()).flat_map(|index| images.clean(index).expect("in memory")).collect();
        let expected: Vec<f32> =
            raw_bytes(name).iter().map(|&byte| f32::from(byte) / 255.0).collect();
        assert_eq!(values, expected);
        assert!(values.contains(&0.0) && values.contains(&1.0));
    }
}

#[test]
fn a_data_set_may_be_cut_to_its_first_images() {
    let samples = SampleCounts { train_samples: Some(7), test_samples: Some(100_000) };
    let data = Data::Mnist(Mnist { dir: digits(""), samples });
    let set = Dataset::open(&data, [28, 28, 1]).expect("the digits");
    assert_eq!((set.train.len(), set.test.len()), (7, 200));
    let seventh = set.train.clean(6).expect("in memory");
    let bytes = raw_bytes("train-images-idx3-ubyte.gz");
    let expected: Vec<f32> =
        bytes[6 * 784..7 * 784].iter().map(|&byte| f32::from(byte) / 255.0).collect();
    assert_eq!(seventh, expected);
}

#[test]
fn each_epoch_has_every_image_once() {
    let images = train_digits(101);
    let loader = loader(&images, &NO_CORRUPTION, 32);
    for epoch in 1..=5 {
        let mut order = loader.order(epoch, true);
        order.sort_unstable();
        assert_eq!(order, (0..101).collect::<Vec<usize>>(), "epoch {epoch}");
    }
}

#[test]
fn epochs_and_seeds_have_orders_of_their_own_that_come_back() {
    let images = train_digits(101);
    let order =
        |seed, epoch| DataLoader { seed, ..loader(&images, &NO_CORRUPTION, 32) }.order(epoch, true);
    assert_eq!(order(1, 1), order(1, 1));
    assert_ne!(order(1, 1), order(1, 2));
    assert_ne!(order(1, 1), order(2, 1));
    assert_ne!(order(1, 1), (0..101).collect::<Vec<usize>>());
}

#[test]
fn the_order_does_not_depend_on_the_batch_size() {
    let images = train_digits(101);
    let order = |batch_size| loader(&images, &NO_CORRUPTION, batch_size).order(3, true);
    assert_eq!(order(1), order(64));
}

/// 4 images have 24 orders; a shuffle that is not fair gives some more often than others.
#[test]
fn all_orders_are_equally_likely() {
    const EPOCHS: u64 = 24_000;
    let images = train_digits(4);
    let loader = loader(&images, &NO_CORRUPTION, 1);
    let mut counts = std::collections::BTreeMap::new();
    for epoch in 0..EPOCHS {
        *counts.entry(loader.order(epoch, true)).or_insert(0_u32) += 1;
    }
    assert_eq!(counts.len(), 24);
    // 1000 each, with a standard deviation of 31; five of those.
    let fair = counts.values().all(|&count| (845..=1155).contains(&count));
    assert!(fair, "{counts:?}");
}

#[test]
fn images_come_as_stored_when_they_are_not_shuffled() {
    let images = train_digits(50);
    let loader = loader(&images, &NO_CORRUPTION, 8);
    assert_eq!(loader.order(1, false), (0..50).collect::<Vec<usize>>());
    assert_eq!(loader.order(9, false), loader.order(1, false));
}

/// All batches of an epoch, by the loader's own iterator.
fn batches<'a>(loader: &DataLoader<'a>, epoch: u64, order: &'a [usize]) -> Vec<Batch> {
    loader.batches(epoch, order).collect::<Result<_, _>>().expect("in memory")
}

/// All batches of an epoch, one by one.
fn epoch(loader: &DataLoader, epoch: u64, order: &[usize]) -> Vec<Batch> {
    // The loader's borrow of the order is as long as that of the images.
    let batches = order.chunks(loader.batch_size).map(|indices| loader.batch(epoch, indices));
    batches.collect::<Result<_, _>>().expect("in memory")
}

#[test]
fn the_last_batch_takes_what_is_left() {
    let images = train_digits(101);
    for (batch_size, sizes) in
        [(32, vec![32, 32, 32, 5]), (101, vec![101]), (200, vec![101]), (50, vec![50, 50, 1])]
    {
        let loader = loader(&images, &NO_CORRUPTION, batch_size);
        let order = loader.order(1, true);
        let found: Vec<usize> = batches(&loader, 1, &order).iter().map(|batch| batch.len).collect();
        assert_eq!(found, sizes, "batches of {batch_size}");
        assert_eq!(loader.steps(), sizes.len());
        let values = batches(&loader, 1, &order).iter().map(|b| b.input.len()).sum::<usize>();
        assert_eq!(values, 101 * 784);
    }
}

#[test]
fn batches_made_ahead_are_the_same_and_need_not_all_be_taken() {
    let images = train_digits(101);
    let loader = loader(&images, &NO_CORRUPTION, 5);
    let order = loader.order(2, true);
    let taken = |count| -> Vec<Batch> {
        let batches =
            loader.prefetch(2, &order, |batches| batches.take(count).collect::<Result<_, _>>());
        batches.expect("in memory")
    };
    let all = taken(usize::MAX);
    assert_eq!(all, epoch(&loader, 2, &order));
    assert_eq!(taken(3), all[..3]);
}

#[test]
fn batches_hold_the_images_of_the_order() {
    let images = train_digits(23);
    let loader = loader(&images, &NO_CORRUPTION, 5);
    let order = loader.order(4, true);
    let bytes = raw_bytes("train-images-idx3-ubyte.gz");
    let expected: Vec<f32> = order
        .iter()
        .flat_map(|&index| &bytes[index * 784..(index + 1) * 784])
        .map(|&byte| f32::from(byte) / 255.0)
        .collect();
    let batches = batches(&loader, 4, &order);
    assert_eq!(batches, epoch(&loader, 4, &order));
    assert_eq!(
        batches.iter().flat_map(|batch| batch.input.clone()).collect::<Vec<f32>>(),
        expected
    );
    for batch in &batches {
        assert!(batch.clean.is_none());
        assert_eq!(batch.target(), batch.input);
    }
}

#[test]
fn corrupted_batches_keep_the_clean_images_as_their_target() {
    let images = train_digits(23);
    let (clean, corrupted) = (Corruption::none(), noise(Resample::Never));
    let order = loader(&images, &clean, 5).order(1, true);
    let plain = batches(&loader(&images, &clean, 5), 1, &order);
    let noisy = batches(&loader(&images, &corrupted, 5), 1, &order);
    for (plain, noisy) in plain.iter().zip(&noisy) {
        assert_eq!(noisy.target(), plain.input);
        assert_ne!(noisy.input, plain.input);
        assert_eq!(noisy.len, plain.len);
    }
}

/// What the model sees of each image in an epoch, by the image's index.
fn seen(loader: &DataLoader, epoch: u64, shuffle: bool) -> Vec<Vec<f32>> {
    let order = loader.order(epoch, shuffle);
    let input: Vec<f32> =
        self::epoch(loader, epoch, &order).into_iter().flat_map(|b| b.input).collect();
    let mut pictures: Vec<(usize, Vec<f32>)> =
        order.into_iter().zip(input.chunks(784).map(<[f32]>::to_vec)).collect();
    pictures.sort_by_key(|(index, _)| *index);
    pictures.into_iter().map(|(_, image)| image).collect()
}

#[test]
fn the_noise_of_a_image_depends_neither_on_the_batch_size_nor_on_its_place() {
    let images = train_digits(23);
    for resample in [Resample::Never, Resample::Epoch] {
        let corruption = noise(resample);
        let base = seen(&loader(&images, &corruption, 5), 2, true);
        for batch_size in [1, 7, 23, 100] {
            assert_eq!(seen(&loader(&images, &corruption, batch_size), 2, true), base);
        }
        assert_eq!(seen(&loader(&images, &corruption, 5), 2, false), base);
        let fewer = train_digits(10);
        assert_eq!(seen(&loader(&fewer, &corruption, 5), 2, true), base[..10]);
    }
}

#[test]
fn noise_comes_anew_each_epoch_only_if_asked_for() {
    let images = train_digits(5);
    let seen = |resample, epoch| {
        let corruption = noise(resample);
        self::seen(&loader(&images, &corruption, 2), epoch, true)
    };
    assert_eq!(seen(Resample::Never, 1), seen(Resample::Never, 2));
    assert_ne!(seen(Resample::Epoch, 1), seen(Resample::Epoch, 2));
    assert_eq!(seen(Resample::Epoch, 2), seen(Resample::Epoch, 2));
}

#[test]
fn another_seed_and_the_test_set_have_other_noise() {
    let images = train_digits(5);
    let corruption = noise(Resample::Never);
    let train = loader(&images, &corruption, 2);
    let base = seen(&train, 1, false);
    assert_ne!(seen(&DataLoader { seed: 43, ..train }, 1, false), base);
    let test = DataLoader { split: Split::Test, ..train };
    assert_ne!(seen(&test, 1, false), base);
    assert_eq!(seen(&test, 1, false), seen(&test, 2, false));
}

#[test]
fn squeeze_and_excitation_takes_images_of_any_size() {
    let text = "name = \"x\"\n[model]\ninput_shape = [-1, -1, 1]\nlayers = [\n\
        { layer = \"Conv2D\", name = \"a\", filters = 4, kernel_size = 3, padding = \"same\" },\n\
        { layer = \"GlobalAveragePooling2D\" },\n{ layer = \"Dense\", units = 4 },\n\
        { layer = \"Reshape\", name = \"b\", target_shape = [1, 1, 4] },\n\
        { layer = \"Multiply\", inputs = [\"a\", \"b\"] },\n{ layer = \"Conv2D\", filters = 1, kernel_size = 1 }]\n";
    assert_eq!(plan(text).open, [true, true]);
}

#[test]
fn signals_may_have_any_number_of_steps_where_every_layer_takes_it() {
    let text = |layers: &str| {
        format!("name = \"x\"\n[model]\ninput_shape = [-1, 3]\nlayers = [{layers}]\n")
    };
    let conv = "{ layer = \"Conv1D\", filters = 3, kernel_size = 3, padding = \"causal\" }";
    let open = plan(&text(&format!("{conv}, {{ layer = \"PReLU\", shared_axes = [1] }}")));
    assert_eq!(open.open, [false, true]);
    let longer = open.for_shape(&Shape(vec![99, 3])).unwrap();
    assert_eq!((longer.input_shape, &longer.graph.input.0[..]), ([1, 99, 3], &[99, 3][..]));
    assert_eq!(longer.config, open.config);
    assert_eq!(open.for_shape(&Shape(vec![99, 2])).unwrap_err(), "it takes 64x3");
    for (layers, said) in [
        ("{ layer = \"Flatten\" }, { layer = \"Dense\", units = 3 }", "`flatten` takes one number"),
        (&format!("{conv}, {{ layer = \"PReLU\" }}"), "`p_re_lu` takes one number of steps only"),
        (
            &format!("{conv}, {{ layer = \"Permute\", dims = [2, 1] }}"),
            "`permute` takes one number",
        ),
        ("{ layer = \"Dense\", units = 3 }", "no layer works along its steps"),
    ] {
        check_says(&refusal(&text(layers), &[]), &["model.input_shape", "is open", said]);
    }
    let fixed = text(conv).replace("-1", "12");
    assert!(plan(&fixed).for_shape(&Shape(vec![13, 3])).unwrap_err().contains("it takes 12x3"));
}

#[test]
fn what_signals_and_other_values_cannot_have_is_refused() {
    let signal = "name = \"x\"\n[model]\ninput_shape = [16, 2]\nlayers = [\n\
        { layer = \"Conv1D\", filters = 2, kernel_size = 3, padding = \"same\" }]\n";
    let jpeg = plan_of(&format!("corruption = {{ kind = \"jpeg\" }}\n{signal}"), &[])
        .unwrap_err()
        .to_string();
    assert!(jpeg.contains("the samples have 2 channels"), "{jpeg}");
    let npz = "[data]\nkind = \"npz\"\nfile = \"a.npy\"\nany_values = true\n";
    for loss in [
        "[{ loss = \"bce\" }, { loss = \"mse\" }]",
        "{ loss = \"bce\", weight = 0.5 }",
        "\"poisson\"",
    ] {
        let text = format!("{signal}{npz}[train]\nloss = {loss}\n");
        let refused = plan_of(&text, &[]).unwrap_err().to_string();
        assert!(refused.contains("for values in 0..1"), "{refused}");
    }
    let ssim = format!("{signal}[train]\nloss = \"ssim\"\n");
    let refused = plan(&ssim).objective().unwrap_err().to_string();
    assert!(refused.contains("which is no image"), "{refused}");
}
