//! Builds the autoencoder that a plan describes, as two `nn::SequentialT` of layers.

use tch::nn::{ModuleT, SequentialT, seq_t};
use tch::{Device, Kind, Tensor};

use crate::config::layers::{Convolution, Layer, Pair, Pooling, Sides};
use crate::nn::{
    Activate, Activation, AveragePooling2D, BatchNormalization, Conv2D, Conv2DTranspose,
    ConvOptions, Cropping2D, Dense, DenseOptions, Dropout, Flatten, GaussianNoise, LeakyReLU,
    MaxPooling2D, NormOptions, Parameters, PoolOptions, Reshape, UpSampling2D, ZeroPadding2D,
};
use crate::plan::{Plan, PlannedLayer};
use crate::random::{Purpose, stream};

/// An encoder, a decoder, and their weights.
#[derive(Debug)]
pub struct Autoencoder {
    encoder: SequentialT,
    decoder: SequentialT,
    /// Of the encoder, then the decoder; the layers share these tensors.
    pub parameters: Parameters,
}

impl Autoencoder {
    /// Builds the model with weights drawn from the plan's seed.
    #[must_use]
    pub fn new(plan: &Plan, device: Device, kind: Kind) -> Self {
        let mut parameters = Parameters::new(device, kind);
        let mut build = |part: &str, layers: &[PlannedLayer], first: usize| {
            let mut sequence = seq_t();
            // max relu(x) = relu(max x), as relu does not decrease: after the pooling it is cheaper.
            let postponed = |i: usize| is_relu_before_pooling(&layers[i..]);
            for (i, layer) in layers.iter().enumerate() {
                parameters.enter(format!("{part}.{}", layer.name));
                let layer = if postponed(i) { &without_activation(layer) } else { layer };
                sequence = append(sequence, layer, plan.seed(), first + i, &mut parameters);
                if i > 0 && postponed(i - 1) {
                    sequence = sequence.add(Activate(Activation::Relu));
                }
            }
            sequence
        };
        let encoder = build("encoder", plan.encoder(), 0);
        let decoder = build("decoder", plan.decoder(), plan.encoder().len());
        Self { encoder, decoder, parameters }
    }

    /// Pictures `(N, C, H, W)` to codes.
    pub fn encode(&self, pictures: &Tensor, train: bool) -> Tensor {
        self.encoder.forward_t(pictures, train)
    }

    /// Codes to pictures `(N, C, H, W)`.
    pub fn decode(&self, codes: &Tensor, train: bool) -> Tensor {
        self.decoder.forward_t(codes, train)
    }
}

impl ModuleT for Autoencoder {
    fn forward_t(&self, pictures: &Tensor, train: bool) -> Tensor {
        self.decode(&self.encode(pictures, train), train)
    }
}

/// Whether these layers begin with a convolution with relu and a max-pooling.
fn is_relu_before_pooling(layers: &[PlannedLayer]) -> bool {
    let [first, second, ..] = layers else { return false };
    let relu = match &first.layer {
        Layer::Conv2D(conv) | Layer::Conv2DTranspose(conv) => conv.activation == Activation::Relu,
        _ => false,
    };
    relu && matches!(second.layer, Layer::MaxPooling2D(_))
}

fn without_activation(planned: &PlannedLayer) -> PlannedLayer {
    let mut planned = planned.clone();
    if let Layer::Conv2D(conv) | Layer::Conv2DTranspose(conv) = &mut planned.layer {
        conv.activation = Activation::Linear;
    }
    planned
}

/// Appends the layer that the plan asks for; its weights come from the stream of its `index`.
fn append(
    sequence: SequentialT,
    planned: &PlannedLayer,
    seed: u64,
    index: usize,
    parameters: &mut Parameters,
) -> SequentialT {
    let channels = planned.input.0.last().copied().unwrap_or(1);
    let mut stream = stream(seed, Purpose::Weights, 0, index as u64);
    match &planned.layer {
        Layer::Conv2D(conv) => {
            sequence.add(Conv2D::new(parameters, conv_options(conv, channels), &mut stream))
        }
        Layer::Conv2DTranspose(conv) => sequence.add(Conv2DTranspose::new(
            parameters,
            conv_options(conv, channels),
            &mut stream,
        )),
        Layer::MaxPooling2D(pool) => sequence.add(MaxPooling2D(pool_options(pool))),
        Layer::AveragePooling2D(pool) => sequence.add(AveragePooling2D(pool_options(pool))),
        Layer::UpSampling2D(up) => {
            sequence.add(UpSampling2D { size: tuple(up.size), interpolation: up.interpolation })
        }
        Layer::Dense(dense) => {
            let options = DenseOptions {
                inputs: channels,
                units: dense.units,
                activation: dense.activation,
                use_bias: dense.use_bias,
                kernel_initializer: dense.kernel_initializer,
            };
            sequence.add(Dense::new(parameters, options, &mut stream))
        }
        Layer::Flatten(_) => sequence.add(Flatten),
        Layer::Reshape(_) => sequence.add(Reshape { shape: planned.output.0.clone() }),
        Layer::BatchNormalization(norm) => {
            let options = NormOptions {
                channels,
                momentum: norm.momentum,
                epsilon: norm.epsilon,
                center: norm.center,
                scale: norm.scale,
            };
            sequence.add(BatchNormalization::new(parameters, options))
        }
        Layer::Dropout(dropout) => sequence.add(Dropout { rate: dropout.rate }),
        Layer::GaussianNoise(noise) => sequence.add(GaussianNoise { stddev: noise.stddev }),
        Layer::ZeroPadding2D(pad) => {
            let Sides { top, bottom, left, right } = pad.padding;
            sequence.add(ZeroPadding2D { rows: (top, bottom), columns: (left, right) })
        }
        Layer::Cropping2D(crop) => {
            let Sides { top, bottom, left, right } = crop.cropping;
            sequence.add(Cropping2D { rows: (top, bottom), columns: (left, right) })
        }
        Layer::ReLU(_) => sequence.add(Activate(Activation::Relu)),
        Layer::LeakyReLU(leaky) => sequence.add(LeakyReLU { negative_slope: leaky.negative_slope }),
        Layer::Activation(layer) => sequence.add(Activate(layer.activation)),
    }
}

fn conv_options(conv: &Convolution, channels: usize) -> ConvOptions {
    ConvOptions {
        channels,
        filters: conv.filters,
        kernel_size: tuple(conv.kernel_size),
        strides: tuple(conv.strides),
        padding: conv.padding,
        activation: conv.activation,
        use_bias: conv.use_bias,
        kernel_initializer: conv.kernel_initializer,
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
