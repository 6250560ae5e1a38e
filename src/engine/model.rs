//! The model that a plan's graph describes, as libtorch computes it, and its weights in one buffer.

use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard};

use tch::nn::{ModuleT, SequentialT, seq_t};
use tch::{Device, Kind, Tensor, no_grad};

use crate::config::layers::{
    self, BiasOptions, Convolution, Layer, Pair, Pooling, ScaleAndOffset, Sides, of_signals,
};
use crate::config::regularizers::Regularizer;
use crate::nn::{
    self, Activate, Activation, AveragePooling2D, BatchNormalization, Conv2D, Conv2DTranspose,
    ConvOptions, Cropping2D, Dense, DenseOptions, DepthwiseConv2D, DepthwiseOptions, Dropout,
    Flatten, GaussianNoise, LeakyReLU, MaxPooling2D, NormOptions, PReLU, Parameters, PoolOptions,
    Reshape, SeparableConv2D, UpSampling2D, WholeBatch, ZeroPadding2D,
};
use crate::plan::{Graph, Node, Part, Plan, Shape, Value, channels_first_axis};
use crate::system::random::{Purpose, Stream, stream};

/// Layers and their weights.
#[derive(Debug)]
pub struct Model {
    pub(super) layers: Layers,
    /// All trainable weights, `(P,)`; the layers' tensors are views of it.
    pub weights: Tensor,
}

/// Layers, with each weight in a tensor of its own.
#[derive(Debug)]
pub struct Layers {
    network: Network,
    /// In the order of the nodes; the layers share these tensors, on the model's device.
    pub parameters: Parameters,
    /// Of these tensors those that are trainable.
    pub trainable: Vec<Tensor>,
    /// What the layers' values added to the loss when they were computed last.
    pub activity: ActivityPenalty,
}

impl Deref for Model {
    type Target = Layers;

    fn deref(&self) -> &Layers {
        &self.layers
    }
}

#[derive(Debug)]
enum Network {
    /// Each layer reads the one before.
    Chain { encoder: SequentialT, decoder: SequentialT },
    /// One module for each node; merges have none, nor nodes that use another one's weights.
    Graph { graph: Graph, modules: Vec<Option<Module>> },
}

/// A layer of any type.
#[derive(Debug)]
struct Module(Box<dyn ModuleT>);

impl ModuleT for Module {
    fn forward_t(&self, xs: &Tensor, train: bool) -> Tensor {
        self.0.forward_t(xs, train)
    }
}

/// The penalties of layers' outputs, and of what a Sampling reads, which Keras adds up as it calls the layers
/// (`layers/layer.py`, `__call__`, `add_loss`): a layer that is used twice adds two. (Keras on JAX forgets those
/// before its last call.)
#[derive(Debug, Clone, Default)]
pub struct ActivityPenalty(Arc<Mutex<Option<Tensor>>>);

/// A layer whose output is watched.
#[derive(Debug)]
struct Watched {
    module: Module,
    regularizer: Regularizer,
    penalty: ActivityPenalty,
}

impl ModuleT for Watched {
    fn forward_t(&self, xs: &Tensor, train: bool) -> Tensor {
        let output = self.module.forward_t(xs, train);
        self.penalty.add(self.regularizer.of(&output) / output.size()[0] as f64);
        output
    }
}

impl ActivityPenalty {
    /// The layer, and with a regularizer what its outputs add.
    fn watch(&self, module: Module, regularizer: Option<Regularizer>) -> Module {
        match regularizer {
            Some(regularizer) => {
                Module(Box::new(Watched { module, regularizer, penalty: self.clone() }))
            }
            None => module,
        }
    }

    fn held(&self) -> MutexGuard<'_, Option<Tensor>> {
        self.0.lock().expect("nobody panics while adding")
    }

    fn add(&self, penalty: Tensor) {
        let mut held = self.held();
        *held = Some(match held.take() {
            Some(sum) => sum + penalty,
            None => penalty,
        });
    }

    /// All since it was asked last.
    pub fn take(&self) -> Option<Tensor> {
        self.held().take()
    }
}

impl Model {
    /// With weights drawn from the plan's seed.
    #[must_use]
    pub fn new(plan: &Plan, device: Device, kind: Kind) -> Self {
        Self::of(Layers::new(plan, Parameters::new(device, kind)))
    }

    /// With zeros, for a checkpoint's weights to be copied into.
    #[must_use]
    pub fn without_values(plan: &Plan, device: Device, kind: Kind) -> Self {
        Self::of(Layers::new(plan, Parameters::without_values(device, kind)))
    }

    fn of(layers: Layers) -> Self {
        let weights = layers.parameters.flatten();
        Self { layers, weights }
    }
}

impl Layers {
    /// Those of a plan, with such weights.
    pub(super) fn new(plan: &Plan, mut parameters: Parameters) -> Self {
        let (graph, seed) = (&plan.graph, plan.seed());
        let activity = ActivityPenalty::default();
        let modules = (graph.nodes.iter().enumerate())
            .map(|(index, node)| {
                parameters.enter(node.path());
                let mut stream = stream(seed, Purpose::Weights, 0, index as u64);
                let module = module(graph, index, node, &mut stream, &mut parameters)?;
                Some(activity.watch(module, node.layer.activity_regularizer()))
            })
            .collect();
        let network = match graph.chain() {
            Some(encoder) => Network::chain(encoder, modules),
            None => Network::Graph { graph: graph.clone(), modules },
        };
        let trainable = parameters.trainable();
        Self { network, parameters, trainable, activity }
    }

    /// Takes over the weights of the same layers in another precision, rounded to their own; moving statistics are
    /// shared from then on.
    pub(super) fn take_over(&self, other: &Self) {
        no_grad(|| {
            for (own, given) in self.trainable.iter().zip(&other.trainable) {
                own.shallow_clone().copy_(given);
            }
        });
        let (own, given) = (&self.parameters, &other.parameters);
        for (mut own, given) in own.moving_statistics().into_iter().zip(given.moving_statistics()) {
            own.set_data(&given);
        }
    }

    /// Images `(N, C, H, W)`, signals as images of one row, or vectors `(N, F)`, to codes.
    pub fn encode(&self, images: &Tensor, train: bool) -> Tensor {
        self.run(Part::Encoder, images, train)
    }

    /// Codes to such images or vectors.
    ///
    /// # Panics
    /// When a connection leads past the code; [`Graph::section`] tells.
    pub fn decode(&self, codes: &Tensor, train: bool) -> Tensor {
        self.run(Part::Decoder, codes, train)
    }

    fn run(&self, part: Part, input: &Tensor, train: bool) -> Tensor {
        match (&self.network, part) {
            (Network::Chain { encoder, .. }, Part::Encoder) => encoder.forward_t(input, train),
            (Network::Chain { decoder, .. }, Part::Decoder) => decoder.forward_t(input, train),
            (Network::Chain { encoder, decoder }, Part::Whole) => {
                decoder.forward_t(&encoder.forward_t(input, train), train)
            }
            (Network::Graph { graph, modules }, _) => {
                let context = (&self.activity, &self.parameters.batch);
                run_graph(graph, modules, part, input, train, context)
            }
        }
    }
}

impl ModuleT for Layers {
    fn forward_t(&self, images: &Tensor, train: bool) -> Tensor {
        self.run(Part::Whole, images, train)
    }
}

impl Network {
    /// The first modules, as many as `encoder` says, lead to the code.
    fn chain(encoder: usize, mut modules: Vec<Option<Module>>) -> Self {
        let decoder = modules.split_off(encoder);
        let join = |modules: Vec<Option<Module>>| {
            modules.into_iter().flatten().fold(seq_t(), SequentialT::add)
        };
        Self::Chain { encoder: join(modules), decoder: join(decoder) }
    }
}

/// Every value is let go as soon as its last reader has it.
fn run_graph(
    graph: &Graph,
    modules: &[Option<Module>],
    part: Part,
    input: &Tensor,
    train: bool,
    (activity, batch): (&ActivityPenalty, &WholeBatch),
) -> Tensor {
    let section = graph.section(part).expect("who asks for a part has found that it stands alone");
    let place = |value: Value| match value {
        _ if value == section.input => 0,
        Value::Input => unreachable!("only a section's own input is read"),
        Value::Node(index) => index + 1,
    };
    let mut values: Vec<Option<Tensor>> = (0..=graph.nodes.len()).map(|_| None).collect();
    let mut left: Vec<usize> = vec![0; values.len()];
    for (_, node) in section.nodes() {
        node.inputs.iter().for_each(|&value| left[place(value)] += 1);
    }
    values[0] = Some(input.shallow_clone());
    for (index, node) in section.nodes() {
        let inputs: Vec<Tensor> = (node.inputs.iter())
            .map(|&value| {
                let place = place(value);
                left[place] -= 1;
                let held = if left[place] == 0 {
                    values[place].take()
                } else {
                    values[place].as_ref().map(Tensor::shallow_clone)
                };
                held.expect("nodes stand behind what they read")
            })
            .collect();
        let output = match modules[index].as_ref().or(modules[graph.owner(index)].as_ref()) {
            Some(module) => module.forward_t(&inputs[0], train),
            None => merge(node, &inputs, train, (activity, batch)),
        };
        values[index + 1] = Some(output);
    }
    values[place(section.output)].take().expect("the output has no reader within the section")
}

/// Keras's formulas (`layers/merging`), from the first input to the last.
fn merge(
    node: &Node,
    inputs: &[Tensor],
    train: bool,
    (activity, batch): (&ActivityPenalty, &WholeBatch),
) -> Tensor {
    let (first, others) = inputs.split_first().expect("a merge has inputs");
    let fold = |step: fn(&Tensor, &Tensor) -> Tensor| {
        others.iter().fold(first.shallow_clone(), |all, one| step(&all, one))
    };
    match &node.layer {
        Layer::Add(_) => fold(|a, b| a + b),
        Layer::Subtract(_) => fold(|a, b| a - b),
        Layer::Multiply(_) => fold(|a, b| a * b),
        Layer::Average(_) => fold(|a, b| a + b) / inputs.len() as f64,
        Layer::Maximum(_) => fold(Tensor::maximum),
        Layer::Minimum(_) => fold(Tensor::minimum),
        Layer::Concatenate(concatenate) => {
            Tensor::cat(inputs, channels_first_axis(&node.output, concatenate.axis) as i64)
        }
        Layer::Sampling(layers::Sampling { kl_weight }) => {
            if *kl_weight > 0.0 {
                activity.add(nn::kl_divergence_from_normal(first, &others[0]) * *kl_weight);
            }
            nn::sampled(first, &others[0], train, batch)
        }
        layer => unreachable!("{} has a module", layer.name()),
    }
}

/// The module of a node; a merge has none, nor a node that uses another one's weights. Where there are none to
/// share, it has its own: a Reshape knows the shape of its place. Its weights come from the stream of its index.
fn module(
    graph: &Graph,
    index: usize,
    node: &Node,
    stream: &mut Stream,
    parameters: &mut Parameters,
) -> Option<Module> {
    let layer = &node.layer;
    let has_weights = !graph.nodes[graph.owner(index)].weights.is_empty();
    if layer.is_merge() || (node.shares.is_some() && has_weights) {
        return None;
    }
    let input = graph.input_of(node);
    // max relu(x) = relu(max x), as relu does not decrease: after the pooling it is cheaper.
    if is_relu_before_pooling(graph, Value::Node(index)) {
        let layer = without_activation(layer);
        return Some(layer_module(&layer, node, input, stream, parameters));
    }
    let module = layer_module(layer, node, input, stream, parameters);
    if is_relu_before_pooling(graph, node.inputs[0]) {
        let both = seq_t().add(module).add(Activate(Activation::Relu));
        return Some(Module(Box::new(both)));
    }
    Some(module)
}

/// Whether a value is a convolution's with relu, which a max-pooling reads and nothing else, and both stand in
/// the same half and are there once.
fn is_relu_before_pooling(graph: &Graph, value: Value) -> bool {
    let Value::Node(index) = value else { return false };
    let node = &graph.nodes[index];
    let relu = match &node.layer {
        Layer::Conv2D(layers::Conv2D { conv, .. }) | Layer::Conv2DTranspose(conv) => {
            conv.activation == Activation::Relu
        }
        _ => false,
    };
    // Which looks at the values before the pooling.
    let watched = node.layer.activity_regularizer().is_some();
    let shared = |index: usize| graph.nodes.iter().any(|node| node.shares == Some(index));
    if node.shares.is_some() || shared(index) || watched {
        return false;
    }
    let mut readers =
        graph.nodes.iter().enumerate().filter(|(_, reader)| reader.inputs.contains(&value));
    let pooled = readers.next().is_some_and(|(index, reader)| {
        reader.part == node.part
            && reader.shares.is_none()
            && !shared(index)
            && matches!(reader.layer, Layer::MaxPooling2D(_))
    });
    let elsewhere = readers.next().is_some() || value == graph.code || value == graph.output;
    relu && pooled && !elsewhere
}

fn without_activation(layer: &Layer) -> Layer {
    let mut layer = layer.clone();
    if let Layer::Conv2D(layers::Conv2D { conv, .. }) | Layer::Conv2DTranspose(conv) = &mut layer {
        conv.activation = Activation::Linear;
    }
    layer
}

/// The layer that the plan asks for at a node; its weights are drawn from `stream`.
#[allow(clippy::too_many_lines)] // a table: an arm for each layer
fn layer_module(
    layer: &Layer,
    node: &Node,
    input: &Shape,
    stream: &mut Stream,
    parameters: &mut Parameters,
) -> Module {
    let channels = input.channels();
    let in_2d = layer.in_2d();
    let of_signals = in_2d.is_some();
    let batch = parameters.batch.clone();
    let conv_options =
        |conv: &Convolution, groups: usize| conv_options(conv, channels, groups, of_signals);
    let module: Box<dyn ModuleT> = match in_2d.as_ref().unwrap_or(layer) {
        Layer::Conv2D(layers::Conv2D { conv, groups }) => {
            Box::new(Conv2D::new(parameters, conv_options(conv, *groups), stream))
        }
        Layer::Conv2DTranspose(conv) => {
            Box::new(Conv2DTranspose::new(parameters, conv_options(conv, 1), stream))
        }
        Layer::DepthwiseConv2D(conv) => {
            let options = depthwise_options(conv, channels, of_signals);
            Box::new(DepthwiseConv2D::new(parameters, options, stream))
        }
        Layer::SeparableConv2D(conv) => {
            let options = depthwise_options(&conv.depthwise, channels, of_signals);
            let pointwise = &conv.pointwise;
            let pointwise = (pointwise.filters, (&pointwise.pointwise_initializer).into());
            Box::new(SeparableConv2D::new(parameters, options, pointwise, stream))
        }
        Layer::PReLU(layer) => {
            let shape = &node.weights[0].shape;
            Box::new(PReLU::new(parameters, shape, (&layer.alpha_initializer).into(), stream))
        }
        Layer::MaxPooling2D(pool) => Box::new(MaxPooling2D(pool_options(pool))),
        Layer::AveragePooling2D(pool) => Box::new(AveragePooling2D(pool_options(pool))),
        Layer::UpSampling2D(up) => {
            Box::new(UpSampling2D { size: tuple(up.size), interpolation: up.interpolation })
        }
        Layer::Dense(dense) => {
            let options = DenseOptions {
                inputs: channels,
                units: dense.units,
                activation: dense.activation,
                bias_initializer: bias_initializer(dense.use_bias, &dense.bias),
                kernel_initializer: (&dense.kernel.kernel_initializer).into(),
            };
            Box::new(Dense::new(parameters, options, stream))
        }
        Layer::Flatten(_) => Box::new(Flatten),
        Layer::Reshape(_) => Box::new(Reshape { shape: node.output.computed().0 }),
        Layer::RepeatVector(layer) => Box::new(nn::RepeatVector { n: layer.n }),
        Layer::BatchNormalization(norm) => {
            let options = NormOptions {
                channels,
                momentum: norm.momentum,
                epsilon: norm.epsilon,
                beta: norm.learned.beta(),
                gamma: norm.learned.gamma(),
            };
            Box::new(BatchNormalization::new(parameters, options, stream))
        }
        Layer::LayerNormalization(norm) => {
            Box::new(nn::LayerNormalization::new(parameters, sample_norm(norm, channels), stream))
        }
        Layer::GroupNormalization(layer) => {
            let groups = layer.groups_of(channels).expect("the plan has checked it");
            let options = sample_norm(&layer.norm, channels);
            Box::new(nn::GroupNormalization::new(parameters, groups, options, stream))
        }
        Layer::UnitNormalization(_) => Box::new(nn::UnitNormalization),
        Layer::GlobalAveragePooling2D(pool) => {
            Box::new(nn::GlobalPooling { largest: false, keepdims: pool.keepdims })
        }
        Layer::GlobalMaxPooling2D(pool) => {
            Box::new(nn::GlobalPooling { largest: true, keepdims: pool.keepdims })
        }
        Layer::DepthToSpace(layer) => Box::new(nn::DepthToSpace { block_size: layer.block_size }),
        Layer::Permute(permute) => Box::new(nn::Permute { dims: permute.dims.clone() }),
        Layer::Rescaling(layer) => {
            Box::new(nn::Rescaling { scale: layer.scale, offset: layer.offset })
        }
        Layer::Identity(_) | Layer::ActivityRegularization(_) => {
            Box::new(Activate(Activation::Linear))
        }
        Layer::GaussianDropout(layer) => Box::new(nn::GaussianDropout { rate: layer.rate, batch }),
        Layer::AlphaDropout(layer) => Box::new(nn::AlphaDropout { rate: layer.rate, batch }),
        Layer::SpatialDropout2D(layer) => {
            Box::new(nn::SpatialDropout2D { rate: layer.rate, batch })
        }
        Layer::Dropout(dropout) => Box::new(Dropout { rate: dropout.rate, batch }),
        Layer::GaussianNoise(noise) => Box::new(GaussianNoise { stddev: noise.stddev, batch }),
        Layer::ZeroPadding2D(pad) => {
            let Sides { top, bottom, left, right } = pad.padding;
            Box::new(ZeroPadding2D { rows: (top, bottom), columns: (left, right) })
        }
        Layer::Cropping2D(crop) => {
            let Sides { top, bottom, left, right } = crop.cropping;
            Box::new(Cropping2D { rows: (top, bottom), columns: (left, right) })
        }
        Layer::ReLU(relu) => Box::new(nn::ReLU {
            max_value: relu.max_value,
            negative_slope: relu.negative_slope,
            threshold: relu.threshold,
        }),
        Layer::ELU(elu) => Box::new(nn::Elu { alpha: elu.alpha }),
        Layer::Softmax(softmax) => {
            let axis = channels_first_axis(&node.output, softmax.axis) as i64;
            Box::new(nn::Softmax { axis })
        }
        Layer::LeakyReLU(leaky) => Box::new(LeakyReLU { negative_slope: leaky.negative_slope }),
        Layer::Activation(layer) => Box::new(Activate(layer.activation)),
        Layer::Add(_)
        | Layer::Subtract(_)
        | Layer::Multiply(_)
        | Layer::Average(_)
        | Layer::Maximum(_)
        | Layer::Minimum(_)
        | Layer::Sampling(_)
        | Layer::Concatenate(_) => unreachable!("a merge needs no module"),
        of_signals!() => unreachable!("a layer of signals is that of images on one row"),
    };
    Module(module)
}

fn conv_options(
    conv: &Convolution,
    channels: usize,
    groups: usize,
    of_signals: bool,
) -> ConvOptions {
    ConvOptions {
        channels,
        filters: conv.filters,
        kernel_size: tuple(conv.kernel_size),
        strides: tuple(conv.strides),
        padding: conv.padding,
        activation: conv.activation,
        bias_initializer: bias_initializer(conv.use_bias, &conv.bias),
        kernel_initializer: (&conv.kernel.kernel_initializer).into(),
        of_signals,
        dilation_rate: tuple(conv.dilation_rate),
        groups,
    }
}

fn depthwise_options(
    conv: &layers::DepthwiseConv2D,
    channels: usize,
    of_signals: bool,
) -> DepthwiseOptions {
    let each = &conv.each;
    DepthwiseOptions {
        channels,
        depth_multiplier: each.depth_multiplier,
        kernel_size: tuple(conv.kernel_size),
        strides: tuple(conv.strides),
        padding: conv.padding,
        dilation_rate: tuple(conv.dilation_rate),
        of_signals,
        initializer: (&each.depthwise_initializer).into(),
        bias_initializer: bias_initializer(each.use_bias, &each.bias),
        activation: each.activation,
    }
}

fn bias_initializer(use_bias: bool, bias: &BiasOptions) -> Option<nn::Initializer> {
    use_bias.then(|| (&bias.bias_initializer).into())
}

fn sample_norm(norm: &layers::LayerNormalization, channels: usize) -> nn::SampleNormOptions {
    nn::SampleNormOptions {
        channels,
        epsilon: norm.epsilon,
        beta: norm.learned.beta(),
        gamma: norm.learned.gamma(),
    }
}

impl ScaleAndOffset {
    /// How beta starts, where there is one.
    fn beta(&self) -> Option<nn::Initializer> {
        self.center.then(|| (&self.beta_initializer).into())
    }

    /// How gamma starts, where there is one.
    fn gamma(&self) -> Option<nn::Initializer> {
        self.scale.then(|| (&self.gamma_initializer).into())
    }
}

fn pool_options(pool: &Pooling) -> PoolOptions {
    PoolOptions {
        pool_size: tuple(pool.pool_size),
        strides: tuple(pool.strides.unwrap_or(pool.pool_size)),
        padding: pool.padding,
    }
}

fn tuple(Pair(height, width): Pair) -> (usize, usize) {
    (height, width)
}
