//! Graphs that fork and merge, built by hand: the native engine against libtorch's autograd, on the same
//! weights and images.

mod axes;
mod convolutions;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind};

use super::*;
use crate::config::Source;
use crate::config::layers::Layer;
use crate::engine::libtorch::Libtorch;
use crate::plan::testing::layer;
use crate::plan::{Graph, Shape, Value};

/// Sums of some thousand terms in another order.
const FLOAT64: f64 = 1e-12;

/// A graph under construction, all of it in the encoder but what follows [`Builder::code`].
pub(super) struct Builder {
    graph: Graph,
    part: Part,
}

impl Builder {
    pub(super) fn new(input: impl Into<Vec<usize>>) -> Self {
        Self { graph: Graph::new(Shape(input.into())), part: Part::Encoder }
    }

    pub(super) fn add(&mut self, layer: Layer, inputs: &[Value]) -> Value {
        let name = format!("node_{}", self.graph.nodes.len());
        self.graph.add(name, self.part, layer, inputs.to_vec()).unwrap()
    }

    pub(super) fn merge(&mut self, name: &str, inputs: &[Value]) -> Value {
        self.add(layer(&format!("layer = \"{name}\"")), inputs)
    }

    /// The layer of a value once more.
    pub(super) fn again(&mut self, of: Value, input: Value) -> Value {
        let Value::Node(of) = of else { panic!("the input is no layer") };
        let name = format!("node_{}", self.graph.nodes.len());
        self.graph.add_shared(name, self.part, of, vec![input]).unwrap()
    }

    /// A layer as a config writes it.
    pub(super) fn layer(&mut self, toml: &str, input: Value) -> Value {
        self.add(layer(toml), &[input])
    }

    pub(super) fn conv(&mut self, filters: usize, activation: &str, input: Value) -> Value {
        let keys = format!("kernel_size = 3, padding = \"same\", activation = \"{activation}\"");
        self.layer(&format!("layer = \"Conv2D\", filters = {filters}, {keys}"), input)
    }

    fn pool(&mut self, input: Value) -> Value {
        self.layer("layer = \"MaxPooling2D\"", input)
    }

    fn up(&mut self, input: Value) -> Value {
        self.layer("layer = \"UpSampling2D\"", input)
    }

    /// What follows is the decoder's.
    fn code(&mut self, code: Value) -> Value {
        (self.graph.code, self.part) = (code, Part::Decoder);
        code
    }

    /// The plan of a config whose model is this graph.
    pub(super) fn plan(self) -> Plan {
        let input = self.graph.input.0.clone();
        let config = format!(
            "name = \"graph\"\n[model]\ninput_shape = {input:?}\nencoder = []\ndecoder = [{{ layer = \"Dense\", units = {} }}]\n",
            self.graph.input.channels()
        );
        let mut plan = Plan::new(Source::parse(&config, "graph", &[]).unwrap()).unwrap();
        assert_eq!(self.graph.shape(self.graph.output), &self.graph.input);
        plan.graph = self.graph;
        plan
    }
}

/// Norm of the difference, relative to the norm of the second.
pub(super) fn distance(ours: &Tensor, theirs: &Tensor) -> f64 {
    let norm = theirs.norm().double_value(&[]);
    assert!(norm > 0.0, "there is nothing to compare with");
    (ours - theirs).norm().double_value(&[]) / norm
}

/// A plan's model; whose weights are moved from where they start: zeros would hide where they go.
pub(super) fn model_of(plan: &Plan, kind: Kind) -> Model {
    let model = Model::new(plan, Device::Cpu, kind);
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let shifts: Vec<f32> =
        (0..model.weights.numel()).map(|_| random.random_range(-0.1..0.1)).collect();
    tch::no_grad(|| {
        let moved = &model.weights + Tensor::from_slice(&shifts);
        // What float32 holds, so that models of both precisions have the same ones.
        model.weights.shallow_clone().copy_(&moved.to_kind(Kind::Float));
    });
    model
}

/// The whole model on both engines in float64: outputs, loss and gradient.
fn agrees(plan: &Plan) {
    for (threads, images) in [(1, 1), (2, 5), (3, 37)] {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let count = images * plan.input_shape.iter().product::<usize>();
        let mut values =
            || -> Vec<f32> { (0..count).map(|_| random.random_range(0.0..1.0)).collect() };
        let batch =
            Batch { len: images, input: values(), clean: Some(values()), ..Batch::default() };
        let model = model_of(plan, Kind::Double);
        let mut libtorch = Libtorch::new(plan, Part::Whole, Device::Cpu, Kind::Double);
        let exact = libtorch.loss_and_gradient(&model, &batch, 0);
        let outputs = libtorch.outputs(&model, &batch.input);
        for kernels in f64::forms() {
            let lowered = lower::lower(
                &section_of(plan, Part::Whole),
                loss::elementwise(&plan.config.train.loss),
            )
            .unwrap();
            let mut native = Native::<f64>::assemble(plan, Part::Whole, lowered, threads, kernels);
            // Twice: what a step leaves in the buffers must not show in the next.
            for _ in 0..2 {
                let step = native.loss_and_gradient(&model, &batch, 0);
                let loss = native.loss(&model, &batch);
                for (what, ours, theirs) in [
                    ("loss", &step.loss, &exact.loss),
                    ("loss without learning", &loss, &exact.loss),
                    ("gradient", &step.gradient, &exact.gradient),
                    ("outputs", &native.outputs(&model, &batch.input), &outputs),
                ] {
                    let distance = distance(ours, theirs);
                    assert!(distance <= FLOAT64, "{what}: {distance:.1e}, {}", kernels.name);
                }
            }
        }
    }
}

/// Every layer of signals, and a merge of two of them along their steps.
fn signals() -> Plan {
    let mut graph = Builder::new([12, 3]);
    let padded = graph.layer("layer = \"ZeroPadding1D\", padding = [1, 2]", Value::Input);
    let cropped = graph.layer("layer = \"Cropping1D\", cropping = [2, 1]", padded);
    let keys = "kernel_size = 3, padding = \"same\", activation = \"relu\"";
    let conv = graph.layer(&format!("layer = \"Conv1D\", filters = 5, {keys}"), cropped);
    let largest = graph.layer("layer = \"MaxPooling1D\"", conv);
    let mean = graph.layer("layer = \"AveragePooling1D\"", conv);
    let joined = graph.merge("Concatenate", &[largest, mean]);
    let up = graph.layer("layer = \"UpSampling1D\"", joined);
    let down = "filters = 4, kernel_size = 5, strides = 2, padding = \"same\"";
    let down = graph.layer(&format!("layer = \"Conv1D\", {down}"), up);
    let code = graph.layer("layer = \"Dense\", units = 2, activation = \"tanh\"", down);
    graph.code(code);
    let flat = graph.layer("layer = \"Flatten\"", code);
    let row = graph.layer("layer = \"Dense\", units = 8", flat);
    let signal = graph.layer("layer = \"Reshape\", target_shape = [4, 2]", row);
    let long = "filters = 3, kernel_size = 4, strides = 3, padding = \"same\"";
    graph.layer(&format!("layer = \"Conv1DTranspose\", {long}, activation = \"sigmoid\""), signal);
    graph.plan()
}

/// `x + f(x)`, twice, with the ReLU behind the sum.
fn residual() -> Plan {
    let mut graph = Builder::new([7, 6, 1]);
    let mut value = graph.conv(5, "relu", Value::Input);
    for _ in 0..2 {
        let inner = graph.conv(5, "relu", value);
        let inner = graph.conv(5, "linear", inner);
        let sum = graph.merge("Add", &[value, inner]);
        value = graph.layer("layer = \"ReLU\"", sum);
    }
    graph.conv(1, "sigmoid", value);
    graph.plan()
}

/// A U-Net of two levels: what is pooled goes past the code, to be concatenated behind the upsampling.
pub(super) fn u_net() -> Plan {
    let mut graph = Builder::new([8, 12, 3]);
    let first = graph.conv(17, "relu", Value::Input);
    let pooled = graph.pool(first);
    let second = graph.conv(18, "relu", pooled);
    let pooled = graph.pool(second);
    let code = graph.conv(16, "relu", pooled);
    graph.code(code);
    let up = graph.up(code);
    let joined = graph.merge("Concatenate", &[up, second]);
    let value = graph.conv(18, "relu", joined);
    let up = graph.up(value);
    let joined = graph.merge("Concatenate", &[first, up]);
    let value = graph.conv(17, "tanh", joined);
    graph.conv(3, "sigmoid", value);
    graph.plan()
}

#[test]
fn residual_blocks() {
    agrees(&residual());
}

#[test]
fn layers_of_signals() {
    agrees(&signals());
}

#[test]
fn a_u_net() {
    let plan = u_net();
    agrees(&plan);
    // What is enlarged is convolved as it was before, and nothing is copied side by side.
    let (operations, _) = lower::lower(&section_of(&plan, Part::Whole), None).unwrap();
    let count =
        |is: fn(&lower::Kind) -> bool| operations.iter().filter(|own| is(&own.kind)).count();
    assert_eq!(count(|kind| matches!(kind, lower::Kind::Parted(_))), 2);
    let copies = |kind: &_| matches!(kind, lower::Kind::Concatenate(_) | lower::Kind::Upsample(..));
    assert_eq!(count(copies), 0);
}

#[test]
fn an_image_that_is_read_three_times_and_a_sum_of_three() {
    let mut graph = Builder::new([6, 5, 1]);
    let one = graph.conv(1, "tanh", Value::Input);
    let two = graph.conv(1, "linear", Value::Input);
    let sum = graph.merge("Add", &[one, Value::Input, two]);
    let joined = graph.merge("Concatenate", &[sum, Value::Input]);
    graph.conv(1, "sigmoid", joined);
    agrees(&graph.plan());
}

#[test]
fn the_difference_from_the_image_as_the_output() {
    let mut graph = Builder::new([6, 5, 1]);
    let hidden = graph.conv(4, "relu", Value::Input);
    let noise = graph.conv(1, "linear", hidden);
    graph.merge("Add", &[Value::Input, noise]);
    let mut plan = graph.plan();
    // Keras's cross-entropy of bare outputs is as steep as 1 / output.
    plan.config.train.loss = crate::nn::Loss::MeanSquaredError.into();
    agrees(&plan);
}

#[test]
fn every_merge_of_two_values_and_of_three() {
    for name in ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"] {
        let mut graph = Builder::new([5, 6, 2]);
        let one = graph.conv(3, "tanh", Value::Input);
        let two = graph.conv(3, "relu", Value::Input);
        let three = graph.conv(3, "relu", one);
        let pair = graph.merge(name, &[two, three]);
        // Zeros of two relus are equal: each takes half of the gradient.
        let merged = match name {
            "Subtract" => pair,
            _ => graph.merge(name, &[two, one, three]),
        };
        let joined = graph.merge("Concatenate", &[pair, merged]);
        graph.conv(2, "sigmoid", joined);
        agrees(&graph.plan());
    }
}

#[test]
fn layers_that_are_there_twice_learn_from_both_places() {
    let mut graph = Builder::new([8, 6, 3]);
    let first = graph.conv(3, "tanh", Value::Input);
    let second = graph.again(first, first);
    let third = graph.again(first, second);
    let sum = graph.merge("Add", &[first, third]);
    let dense = graph.layer("layer = \"Dense\", units = 3, activation = \"tanh\"", sum);
    let pooled = graph.pool(dense);
    let again = graph.again(dense, pooled);
    let up = graph.up(again);
    graph.conv(3, "sigmoid", up);
    let plan = graph.plan();
    assert_eq!(plan.trainable(), (3 * 9 * 3 + 3) + (3 * 3 + 3) + (3 * 9 * 3 + 3));
    agrees(&plan);
}

/// Nothing but the weights of the first one is on the way to the output.
#[test]
fn a_layer_whose_weights_are_those_of_one_beside_the_way() {
    let mut graph = Builder::new([6, 5, 2]);
    let beside = graph.conv(2, "tanh", Value::Input);
    graph.code(beside);
    let half = graph.layer("layer = \"Rescaling\", scale = 0.5", Value::Input);
    graph.again(beside, half);
    agrees(&graph.plan());
}

#[test]
fn one_value_that_a_merge_reads_twice() {
    let mut graph = Builder::new([4, 4, 1]);
    let value = graph.conv(3, "tanh", Value::Input);
    let twice = graph.merge("Add", &[value, value]);
    let joined = graph.merge("Concatenate", &[twice, twice]);
    graph.conv(1, "sigmoid", joined);
    agrees(&graph.plan());
}

#[test]
fn merges_of_rows_of_values() {
    let mut graph = Builder::new([4, 3, 1]);
    let flat = graph.layer("layer = \"Flatten\"", Value::Input);
    let one = graph.layer("layer = \"Dense\", units = 7, activation = \"relu\"", flat);
    let two = graph.layer("layer = \"Dense\", units = 7", flat);
    let sum = graph.merge("Add", &[one, two]);
    let joined = graph.merge("Concatenate", &[sum, flat]);
    let value = graph.layer("layer = \"Dense\", units = 12, activation = \"sigmoid\"", joined);
    graph.layer("layer = \"Reshape\", target_shape = [4, 3, 1]", value);
    agrees(&graph.plan());
}

#[test]
fn the_halves_of_a_graph_that_meet_in_the_code_alone() {
    let mut graph = Builder::new([8, 8, 1]);
    let value = graph.conv(6, "relu", Value::Input);
    let inner = graph.conv(6, "linear", value);
    let sum = graph.merge("Add", &[value, inner]);
    let code = graph.pool(sum);
    graph.code(code);
    let one = graph.conv(4, "relu", code);
    let joined = graph.merge("Concatenate", &[one, code]);
    let up = graph.up(joined);
    graph.conv(1, "sigmoid", up);
    let plan = graph.plan();
    agrees(&plan);

    let model = Model::new(&plan, Device::Cpu, Kind::Double);
    let image: Vec<f32> = (0..64).map(|i| i as f32 / 64.0).collect();
    let whole = Native::<f64>::new(&plan, Part::Whole, 1).unwrap().predict(&model, &image);
    let mut through: Vec<Vec<f32>> = Vec::new();
    for part in [Part::Encoder, Part::Decoder] {
        let input = through.last().unwrap_or(&image).clone();
        let ours = Native::<f64>::new(&plan, part, 1).unwrap().outputs(&model, &input);
        let theirs = Libtorch::new(&plan, part, Device::Cpu, Kind::Double).outputs(&model, &input);
        assert_eq!(ours.size(), theirs.size());
        assert!(distance(&ours, &theirs) <= FLOAT64);
        through.push(crate::engine::values_of(&ours));
    }
    // The codes were rounded to float32 on their way.
    let apart = through[1].iter().zip(&whole).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(apart <= 1e-6, "{apart}");
}

#[test]
fn the_decoder_of_a_u_net_is_refused_by_the_names_of_both_ends() {
    let plan = u_net();
    assert!(plan.graph.section(Part::Encoder).is_ok());
    let refused = plan.graph.section(Part::Decoder).unwrap_err().to_string();
    assert_eq!(refused, "`node_9` reads `node_0` past the code");
}

/// So wide that a few rows of tiles fill the cache: convolutions and their transposes go through the image in parts, the
/// last of which is cut.
#[test]
fn tiles_that_come_in_several_parts() {
    let mut graph = Builder::new([9, 38, 2]);
    let wide = graph.conv(44, "relu", Value::Input);
    let keys = "filters = 40, kernel_size = 3, padding = \"same\", activation = \"tanh\"";
    let up = graph.layer(&format!("layer = \"Conv2DTranspose\", {keys}"), wide);
    let wide = graph.conv(44, "relu", up);
    graph.conv(2, "sigmoid", wide);
    agrees(&graph.plan());
}
