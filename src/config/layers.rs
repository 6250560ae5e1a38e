//! The layers of the config language, in Keras's words and with Keras's defaults.
//!
//! What a layer does to a shape stands in `plan`, what it computes in `nn`.

use super::ConfigError;
use super::constraints::Constraint;
use super::initializers::Initializer;
use super::node::{Node, Value};
use super::regularizers::{L1L2, Regularizer};
use super::schema::{Bounds, Field, choice, family, refuse, section};
use crate::nn::{Activation, Interpolation, Padding, dilated};

/// Largest number of channels, units or pixels along a side that a config may ask for.
pub const LARGEST_SIDE: f64 = 65_536.0;
/// Largest kernel, pool, stride or enlargement.
const LARGEST_WINDOW: f64 = 1_024.0;

const SIDE: Bounds = Bounds::closed(1.0, LARGEST_SIDE);
const WINDOW: Bounds = Bounds::closed(1.0, LARGEST_WINDOW);
const MARGIN: Bounds = Bounds::closed(0.0, LARGEST_SIDE);

choice!(Activation {
    Linear = "linear",
    Relu = "relu",
    Relu6 = "relu6",
    LeakyRelu = "leaky_relu",
    Elu = "elu",
    Selu = "selu",
    Gelu = "gelu",
    Silu = "silu" | "swish",
    Mish = "mish",
    Sigmoid = "sigmoid",
    HardSigmoid = "hard_sigmoid",
    Tanh = "tanh",
    Softplus = "softplus",
    Softsign = "softsign",
    Softmax = "softmax",
    Exponential = "exponential",
});

choice!(Padding { Valid = "valid", Same = "same" } unwritten { Causal = "causal" });

/// What happens at the ends of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignalPadding {
    /// As of images.
    Valid,
    /// As of images.
    Same,
    /// All before the first step, so that no output reads a later one.
    Causal,
}

choice!(SignalPadding { Valid = "valid", Same = "same", Causal = "causal" });

impl SignalPadding {
    /// The same of an image of one row.
    fn in_2d(self) -> Padding {
        match self {
            Self::Valid => Padding::Valid,
            Self::Same => Padding::Same,
            Self::Causal => Padding::Causal,
        }
    }
}

choice!(Interpolation { Nearest = "nearest", Bilinear = "bilinear" });

/// Height and width; one number in the config means both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair(pub usize, pub usize);

impl Field for Pair {
    fn takes() -> String {
        "a whole number, or [height, width], each".to_owned()
    }

    fn read(node: &Node, bounds: Option<Bounds>) -> Result<Self, ConfigError> {
        let side = |node| usize::read(node, bounds);
        match &node.value {
            Value::Integer(_) => side(node).map(|both| Pair(both, both)),
            Value::Array(items) if items.len() == 2 => Ok(Pair(side(&items[0])?, side(&items[1])?)),
            _ => Err(refuse(node, &super::schema::taking::<Self>(bounds))),
        }
    }

    fn write(&self) -> Option<toml::Value> {
        if self.0 == self.1 { self.0.write() } else { vec![self.0, self.1].write() }
    }
}

/// A length along a signal; Keras writes it as a list of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Single(pub usize);

impl Single {
    /// The same of an image of one row.
    fn in_2d(self) -> Pair {
        Pair(1, self.0)
    }
}

impl Field for Single {
    fn takes() -> String {
        usize::takes()
    }

    fn read(node: &Node, bounds: Option<Bounds>) -> Result<Self, ConfigError> {
        let one = match &node.value {
            Value::Array(items) if items.len() == 1 => &items[0],
            _ => node,
        };
        usize::read(one, bounds).map(Self)
    }

    fn write(&self) -> Option<toml::Value> {
        self.0.write()
    }
}

/// Steps at both ends of a signal: one number, or `[before, after]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// At its begin.
    pub before: usize,
    /// At its end.
    pub after: usize,
}

impl Ends {
    /// The same of an image of one row.
    fn in_2d(self) -> Sides {
        Sides { top: 0, bottom: 0, left: self.before, right: self.after }
    }
}

impl Field for Ends {
    fn takes() -> String {
        "a whole number, or [before, after], each".to_owned()
    }

    fn read(node: &Node, bounds: Option<Bounds>) -> Result<Self, ConfigError> {
        let refused = |_| refuse(node, &super::schema::taking::<Self>(bounds));
        let Pair(before, after) = Pair::read(node, bounds).map_err(refused)?;
        Ok(Self { before, after })
    }

    fn write(&self) -> Option<toml::Value> {
        vec![self.before, self.after].write()
    }
}

/// Rows and columns at the four sides: one number, `[height, width]`, or
/// `[[top, bottom], [left, right]]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sides {
    /// Rows at the upper edge.
    pub top: usize,
    /// Rows at the lower edge.
    pub bottom: usize,
    /// Columns at the left edge.
    pub left: usize,
    /// Columns at the right edge.
    pub right: usize,
}

impl Field for Sides {
    fn takes() -> String {
        "a whole number, [height, width], or [[top, bottom], [left, right]], each".to_owned()
    }

    fn read(node: &Node, bounds: Option<Bounds>) -> Result<Self, ConfigError> {
        let (height, width) = match &node.value {
            Value::Array(items) if items.len() == 2 => (&items[0], &items[1]),
            Value::Integer(_) => (node, node),
            _ => return Err(refuse(node, &super::schema::taking::<Self>(bounds))),
        };
        let Pair(top, bottom) = Pair::read(height, bounds)?;
        let Pair(left, right) = Pair::read(width, bounds)?;
        Ok(Self { top, bottom, left, right })
    }

    fn write(&self) -> Option<toml::Value> {
        vec![vec![self.top, self.bottom], vec![self.left, self.right]].write()
    }
}

/// The shape that a `Reshape` asks for; one entry may be -1, which stands for what is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetShape(pub Vec<Option<usize>>);

impl Field for TargetShape {
    fn takes() -> String {
        "[values], [steps, channels] or [height, width, channels], where one entry may be -1, the others"
            .to_owned()
    }

    fn read(node: &Node, bounds: Option<Bounds>) -> Result<Self, ConfigError> {
        let refusal = || refuse(node, &super::schema::taking::<Self>(bounds));
        let Value::Array(items) = &node.value else { return Err(refusal()) };
        let shape = read_sides(items, bounds)?;
        let free = shape.iter().filter(|side| side.is_none()).count();
        if matches!(shape.len(), 1..=3) && free <= 1 { Ok(Self(shape)) } else { Err(refusal()) }
    }

    fn write(&self) -> Option<toml::Value> {
        Some(write_sides(&self.0))
    }
}

/// What a model receives, as in Keras: the values of a vector, steps and channels of a signal (or height and
/// width of a matrix), or height, width and channels of an image. An image's height and width and a signal's steps
/// may be -1, which Keras writes as `None`: any length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputShape(pub Vec<Option<usize>>);

impl Field for InputShape {
    fn takes() -> String {
        "[height, width, channels] or [steps, channels], where -1 is any height, width or number of steps, \
         [height, width] or [values], else"
            .to_owned()
    }

    fn read(node: &Node, bounds: Option<Bounds>) -> Result<Self, ConfigError> {
        let refusal = || refuse(node, &super::schema::taking::<Self>(bounds));
        let Value::Array(items) = &node.value else { return Err(refusal()) };
        let shape = read_sides(items, bounds)?;
        let is_taken = match shape[..] {
            [.., last] if shape.len() <= 3 => last.is_some(),
            _ => false,
        };
        if is_taken { Ok(Self(shape)) } else { Err(refusal()) }
    }

    fn write(&self) -> Option<toml::Value> {
        Some(write_sides(&self.0))
    }
}

/// Sides of which -1 is none in particular.
fn read_sides(items: &[Node], bounds: Option<Bounds>) -> Result<Vec<Option<usize>>, ConfigError> {
    let side = |item: &Node| match item.value {
        Value::Integer(-1) => Ok(None),
        _ => usize::read(item, bounds).map(Some),
    };
    items.iter().map(side).collect()
}

fn write_sides(sides: &[Option<usize>]) -> toml::Value {
    let side = |side: &Option<usize>| side.map_or(-1, |side| side as i64).into();
    toml::Value::Array(sides.iter().map(side).collect())
}

section! {
    /// How a layer's kernel starts, and what holds it in training.
    pub struct KernelOptions {
        /// How the kernel starts.
        kernel_initializer: Initializer = Initializer::GlorotUniform(Bare {});
        /// What the size of the kernel's values adds to the loss.
        kernel_regularizer: Option<Regularizer> = None;
        /// What each step holds the kernel to.
        kernel_constraint: Option<Constraint> = None;
    }
}

section! {
    /// How a layer's bias starts, and what holds it, and the values that it gives, in training.
    pub struct BiasOptions {
        /// How the bias starts.
        bias_initializer: Initializer = Initializer::Zeros(Bare {});
        /// What the size of the bias adds to the loss.
        bias_regularizer: Option<Regularizer> = None;
        /// What each step holds the bias to.
        bias_constraint: Option<Constraint> = None;
        /// What the size of the layer's output adds to the loss, as a mean over the batch.
        activity_regularizer: Option<Regularizer> = None;
    }
}

section! {
    /// Keys of both kinds of convolution.
    pub struct Convolution {
        /// Output channels.
        filters: usize, in SIDE;
        /// Height and width of the kernel.
        kernel_size: Pair, in WINDOW;
        /// Step of the kernel; transposed: enlargement.
        strides: Pair = Pair(1, 1), in WINDOW;
        /// `same`: side / stride, rounded up, transposed side * stride; `valid`: only whole
        /// windows, transposed all that the kernel reaches.
        padding: Padding = Padding::Valid;
        /// Applied to the result.
        activation: Activation = Activation::Linear;
        /// Whether a bias is added to each output channel.
        use_bias: bool = true;
        /// Distance of the kernel's pixels from each other; above 1 only where the strides are 1.
        dilation_rate: Pair = Pair(1, 1), in WINDOW;
        flatten kernel: KernelOptions;
        flatten bias: BiasOptions;
    }
}

section! {
    /// 2D convolution.
    pub struct Conv2D {
        /// Into how many parts the input's channels are divided, each with its share of the filters.
        groups: usize = 1, in SIDE;
        flatten conv: Convolution;
    }
}

section! {
    /// Keys of layers that filter each channel by itself.
    pub struct Depthwise {
        /// Filters of each input channel.
        depth_multiplier: usize = 1, in SIDE;
        /// Applied to the result.
        activation: Activation = Activation::Linear;
        /// Whether a bias is added to each output channel.
        use_bias: bool = true;
        /// How the kernel starts.
        depthwise_initializer: Initializer = Initializer::GlorotUniform(Bare {});
        /// What the size of the kernel's values adds to the loss.
        depthwise_regularizer: Option<Regularizer> = None;
        /// What each step holds the kernel to.
        depthwise_constraint: Option<Constraint> = None;
        flatten bias: BiasOptions;
    }
}

section! {
    /// Filters of one input channel each, without a sum over the channels.
    pub struct DepthwiseConv2D {
        /// Height and width of the kernel.
        kernel_size: Pair, in WINDOW;
        /// Step of the kernel.
        strides: Pair = Pair(1, 1), in WINDOW;
        /// `same`: side / stride, rounded up; `valid`: only whole windows.
        padding: Padding = Padding::Valid;
        /// Distance of the kernel's pixels from each other.
        dilation_rate: Pair = Pair(1, 1), in WINDOW;
        flatten each: Depthwise;
    }
}

section! {
    /// Keys of the sums over the channels.
    pub struct Pointwise {
        /// Output channels.
        filters: usize, in SIDE;
        /// How the second kernel, that of the sums, starts.
        pointwise_initializer: Initializer = Initializer::GlorotUniform(Bare {});
        /// What the size of that kernel's values adds to the loss.
        pointwise_regularizer: Option<Regularizer> = None;
        /// What each step holds that kernel to.
        pointwise_constraint: Option<Constraint> = None;
    }
}

section! {
    /// A `DepthwiseConv2D`, whose channels are then summed up pixel by pixel.
    pub struct SeparableConv2D {
        flatten pointwise: Pointwise;
        flatten depthwise: DepthwiseConv2D;
    }
}

section! {
    /// Keys of both kinds of pooling.
    pub struct Pooling {
        /// Height and width of the window.
        pool_size: Pair = Pair(2, 2), in WINDOW;
        /// Step of the window; the pool size where not set.
        strides: Option<Pair> = None, in WINDOW;
        /// `same`: side / stride, rounded up; `valid`: only whole windows.
        padding: Padding = Padding::Valid;
    }
}

section! {
    /// Keys of both kinds of convolution of signals.
    pub struct Convolution1D {
        /// Output channels.
        filters: usize, in SIDE;
        /// Length of the kernel.
        kernel_size: Single, in WINDOW;
        /// Step of the kernel; transposed: enlargement.
        strides: Single = Single(1), in WINDOW;
        /// Applied to the result.
        activation: Activation = Activation::Linear;
        /// Whether a bias is added to each output channel.
        use_bias: bool = true;
        /// Distance of the kernel's steps from each other; above 1 only where the strides are 1.
        dilation_rate: Single = Single(1), in WINDOW;
        flatten kernel: KernelOptions;
        flatten bias: BiasOptions;
    }
}

section! {
    /// 1D convolution.
    pub struct Conv1D {
        /// `same`: steps / stride, rounded up; `causal`: the same number, each of its own and earlier steps; `valid`:
        /// only whole windows.
        padding: SignalPadding = SignalPadding::Valid;
        /// Into how many parts the input's channels are divided, each with its share of the filters.
        groups: usize = 1, in SIDE;
        flatten conv: Convolution1D;
    }
}

section! {
    /// Transposed 1D convolution.
    pub struct Conv1DTranspose {
        /// `same`: steps * stride; `valid`: all that the kernel reaches.
        padding: Padding = Padding::Valid;
        flatten conv: Convolution1D;
    }
}

section! {
    /// Filters of one channel each, whose channels are then summed up step by step.
    pub struct SeparableConv1D {
        /// Length of the kernel.
        kernel_size: Single, in WINDOW;
        /// Step of the kernel.
        strides: Single = Single(1), in WINDOW;
        /// `same`: steps / stride, rounded up; `valid`: only whole windows.
        padding: Padding = Padding::Valid;
        /// Distance of the kernel's steps from each other.
        dilation_rate: Single = Single(1), in WINDOW;
        flatten pointwise: Pointwise;
        flatten each: Depthwise;
    }
}

section! {
    /// Keys of both kinds of pooling of signals.
    pub struct Pooling1D {
        /// Length of the window.
        pool_size: Single = Single(2), in WINDOW;
        /// Step of the window; the pool size where not set.
        strides: Option<Single> = None, in WINDOW;
        /// `same`: steps / stride, rounded up; `valid`: only whole windows.
        padding: Padding = Padding::Valid;
    }
}

section! {
    /// Repeats each step of a signal.
    pub struct UpSampling1D {
        /// How many times.
        size: Single = Single(2), in WINDOW;
    }
}

section! {
    /// Adds steps of zeros at both ends of a signal.
    pub struct ZeroPadding1D {
        /// How many, at each end.
        padding: Ends = Ends { before: 1, after: 1 }, in MARGIN;
    }
}

section! {
    /// Removes steps at both ends of a signal.
    pub struct Cropping1D {
        /// How many, at each end.
        cropping: Ends = Ends { before: 1, after: 1 }, in MARGIN;
    }
}

section! {
    /// A vector as every step of a signal.
    pub struct RepeatVector {
        /// Number of steps.
        n: usize, in SIDE;
    }
}

section! {
    /// A layer without keys.
    pub struct Bare {}
}

section! {
    /// Of a mean and the logarithm of a variance: a draw while training, else the mean.
    pub struct Sampling {
        /// What the loss gains for each unit of the draw's Kullback-Leibler divergence from the standard normal
        /// distribution: the sum over a sample's values, as a mean over the batch.
        kl_weight: f64 = 0.0, in Bounds::closed(0.0, 1e9);
    }
}

section! {
    /// Enlarges height and width by whole factors.
    pub struct UpSampling2D {
        /// Factors for height and width.
        size: Pair = Pair(2, 2), in WINDOW;
        /// `nearest` repeats pixels, `bilinear` blends them (half-pixel centres).
        interpolation: Interpolation = Interpolation::Nearest;
    }
}

section! {
    /// Weighted sums over the last axis.
    pub struct Dense {
        /// Output values.
        units: usize, in Bounds::closed(1.0, 16_777_216.0);
        /// Applied to the result.
        activation: Activation = Activation::Linear;
        /// Whether a bias is added.
        use_bias: bool = true;
        flatten kernel: KernelOptions;
        flatten bias: BiasOptions;
    }
}

section! {
    /// The same values in another shape, channels last.
    pub struct Reshape {
        /// The shape without the batch.
        target_shape: TargetShape, in SIDE;
    }
}

section! {
    /// The learned factor and offset of each channel.
    pub struct ScaleAndOffset {
        /// Whether there is a learned offset (beta).
        center: bool = true;
        /// Whether there is a learned factor (gamma).
        scale: bool = true;
        /// How the offset starts.
        beta_initializer: Initializer = Initializer::Zeros(Bare {});
        /// How the factor starts.
        gamma_initializer: Initializer = Initializer::Ones(Bare {});
        /// What the size of the offset adds to the loss.
        beta_regularizer: Option<Regularizer> = None;
        /// What the size of the factor adds to the loss.
        gamma_regularizer: Option<Regularizer> = None;
        /// What each step holds the offset to.
        beta_constraint: Option<Constraint> = None;
        /// What each step holds the factor to.
        gamma_constraint: Option<Constraint> = None;
    }
}

section! {
    /// Normalises each channel over the batch; keeps moving statistics for inference.
    pub struct BatchNormalization {
        /// Share of the old moving statistics that a batch leaves.
        momentum: f64 = 0.99, in Bounds::closed(0.0, 1.0);
        /// Added to the variance.
        epsilon: f64 = 0.001, in Bounds::above(0.0, 1.0);
        flatten learned: ScaleAndOffset;
    }
}

section! {
    /// While training, zeroes values at random and enlarges the others to keep the mean.
    pub struct Dropout {
        /// Share of the values that is zeroed.
        rate: f64, in Bounds::closed(0.0, 1.0);
    }
}

section! {
    /// While training, adds Gaussian noise.
    pub struct GaussianNoise {
        /// Standard deviation of the noise.
        stddev: f64, in Bounds::closed(0.0, 1.0);
    }
}

section! {
    /// While training, multiplies by Gaussian noise of mean 1.
    pub struct GaussianDropout {
        /// Its standard deviation is sqrt(rate / (1 - rate)).
        rate: f64, in Bounds::below(0.0, 1.0);
    }
}

section! {
    /// While training, sets values to SELU's lower limit at random, and keeps mean and variance.
    pub struct AlphaDropout {
        /// Share of the values that is set.
        rate: f64, in Bounds::below(0.0, 1.0);
    }
}

section! {
    /// While training, zeroes whole channels at random and enlarges the others to keep the mean.
    pub struct SpatialDropout2D {
        /// Share of the channels that is zeroed.
        rate: f64, in Bounds::closed(0.0, 1.0);
    }
}

section! {
    /// Normalises the channels of each position by themselves.
    pub struct LayerNormalization {
        /// Added to the variance.
        epsilon: f64 = 0.001, in Bounds::above(0.0, 1.0);
        flatten learned: ScaleAndOffset;
    }
}

section! {
    /// Normalises groups of channels over all positions of each image.
    pub struct GroupNormalization {
        /// Number of groups; -1 is one for each channel.
        groups: i64 = 32, in Bounds::closed(-1.0, LARGEST_SIDE);
        flatten norm: LayerNormalization;
    }
}

section! {
    /// A whole image as one value a channel.
    pub struct GlobalPooling {
        /// Whether the result is an image of one pixel, instead of a row of values.
        keepdims: bool = false;
    }
}

section! {
    /// Channels as pixels: each pixel becomes a block of pixels, row by row.
    pub struct DepthToSpace {
        /// Rows and columns of a block; its square divides the channels.
        block_size: usize, in Bounds::closed(2.0, LARGEST_WINDOW);
    }
}

section! {
    /// Axes in another order.
    pub struct Permute {
        /// The input's axes in the order in which they come out, counted from 1: [2, 1, 3] turns an image over.
        dims: Vec<usize>, in Bounds::closed(1.0, 3.0);
    }
}

section! {
    /// x * scale + offset.
    pub struct Rescaling {
        /// The factor.
        scale: f64, in Bounds::closed(-1e9, 1e9);
        /// Added after that.
        offset: f64 = 0.0, in Bounds::closed(-1e9, 1e9);
    }
}

section! {
    /// Adds rows and columns of zeros.
    pub struct ZeroPadding2D {
        /// How many, at each side.
        padding: Sides = Sides { top: 1, bottom: 1, left: 1, right: 1 }, in MARGIN;
    }
}

section! {
    /// Removes rows and columns.
    pub struct Cropping2D {
        /// How many, at each side.
        cropping: Sides = Sides { top: 0, bottom: 0, left: 0, right: 0 }, in MARGIN;
    }
}

section! {
    /// x where positive, else a fraction of it.
    pub struct LeakyReLU {
        /// That fraction.
        negative_slope: f64 = 0.3, in Bounds::closed(0.0, 1e6);
    }
}

section! {
    /// max(x, 0), or what its options make of that.
    pub struct ReLU {
        /// The largest value; none where not set.
        max_value: Option<f64> = None, in Bounds::closed(0.0, 1e9);
        /// Slope below the threshold.
        negative_slope: f64 = 0.0, in Bounds::closed(0.0, 1e6);
        /// Values up to it count as negative.
        threshold: f64 = 0.0, in Bounds::closed(0.0, 1e9);
    }
}

section! {
    /// x where positive, else alpha * (exp(x) - 1).
    pub struct Elu {
        /// The limit of large negative values is -alpha.
        alpha: f64 = 1.0, in Bounds::closed(-1e6, 1e6);
    }
}

section! {
    /// exp(x) / sum(exp(x)) along one axis.
    pub struct Softmax {
        /// Keras's axis, counted with the batch: -1 or 3 are an image's channels, 1 its height, 2 its width.
        axis: i64 = -1, in Bounds::closed(-3.0, 3.0);
    }
}

section! {
    /// x where positive, else a learned fraction of it.
    pub struct PReLU {
        /// Axes along which all positions have one fraction, counted from 1 as in Keras; of an image 1 is the
        /// height and 2 the width. Where it lacks one of these, the model takes images of one size only.
        shared_axes: Vec<usize> = Vec::new(), in Bounds::closed(1.0, 3.0);
        /// How the fractions start.
        alpha_initializer: Initializer = Initializer::Zeros(Bare {});
        /// What the size of the fractions adds to the loss.
        alpha_regularizer: Option<Regularizer> = None;
        /// What each step holds the fractions to.
        alpha_constraint: Option<Constraint> = None;
    }
}

section! {
    /// An activation as a layer of its own.
    pub struct ActivationLayer {
        /// Which one.
        activation: Activation;
    }
}

section! {
    /// Its inputs side by side along one axis.
    pub struct Concatenate {
        /// Keras's axis, counted with the batch: -1 or 3 are an image's channels, 1 its height, 2 its width.
        axis: i64 = -1, in Bounds::closed(-3.0, 3.0);
    }
}

family! {
    /// A layer as the config asks for it.
    pub enum Layer by "layer", like "{ layer = \"Conv2D\", filters = 32, kernel_size = 3 }" {
        /// 2D convolution.
        Conv2D(Conv2D) = "Conv2D",
        /// Transposed 2D convolution: enlarges by its strides.
        Conv2DTranspose(Convolution) = "Conv2DTranspose",
        /// Filters of one input channel each, without a sum over the channels.
        DepthwiseConv2D(DepthwiseConv2D) = "DepthwiseConv2D",
        /// A `DepthwiseConv2D`, whose channels are then summed up pixel by pixel.
        SeparableConv2D(SeparableConv2D) = "SeparableConv2D",
        /// Largest value of each window.
        MaxPooling2D(Pooling) = "MaxPooling2D",
        /// Mean of each window; padding does not count.
        AveragePooling2D(Pooling) = "AveragePooling2D",
        /// Enlarges height and width by whole factors.
        UpSampling2D(UpSampling2D) = "UpSampling2D",
        /// 1D convolution, of a signal.
        Conv1D(Conv1D) = "Conv1D",
        /// Transposed 1D convolution: lengthens a signal by its strides.
        Conv1DTranspose(Conv1DTranspose) = "Conv1DTranspose",
        /// Filters of one channel of a signal each, whose channels are then summed up step by step.
        SeparableConv1D(SeparableConv1D) = "SeparableConv1D",
        /// Largest value of each window of a signal.
        MaxPooling1D(Pooling1D) = "MaxPooling1D",
        /// Mean of each window of a signal; padding does not count.
        AveragePooling1D(Pooling1D) = "AveragePooling1D",
        /// Repeats each step of a signal.
        UpSampling1D(UpSampling1D) = "UpSampling1D",
        /// Adds steps of zeros at both ends of a signal.
        ZeroPadding1D(ZeroPadding1D) = "ZeroPadding1D",
        /// Removes steps at both ends of a signal.
        Cropping1D(Cropping1D) = "Cropping1D",
        /// Mean of each channel of a signal.
        GlobalAveragePooling1D(GlobalPooling) = "GlobalAveragePooling1D",
        /// Largest value of each channel of a signal.
        GlobalMaxPooling1D(GlobalPooling) = "GlobalMaxPooling1D",
        /// While training, zeroes whole channels of a signal and enlarges the others to keep the mean.
        SpatialDropout1D(SpatialDropout2D) = "SpatialDropout1D",
        /// Weighted sums over the last axis.
        Dense(Dense) = "Dense",
        /// All values in one row, channels last.
        Flatten(Bare) = "Flatten",
        /// The same values in another shape, channels last.
        Reshape(Reshape) = "Reshape",
        /// A vector as every step of a signal.
        RepeatVector(RepeatVector) = "RepeatVector",
        /// Normalises each channel over the batch; keeps moving statistics for inference.
        BatchNormalization(BatchNormalization) = "BatchNormalization",
        /// While training, zeroes values at random and enlarges the others to keep the mean.
        Dropout(Dropout) = "Dropout",
        /// While training, adds Gaussian noise.
        GaussianNoise(GaussianNoise) = "GaussianNoise",
        /// While training, multiplies by Gaussian noise of mean 1.
        GaussianDropout(GaussianDropout) = "GaussianDropout",
        /// While training, sets values to SELU's lower limit at random, and keeps mean and variance.
        AlphaDropout(AlphaDropout) = "AlphaDropout",
        /// While training, zeroes whole channels at random and enlarges the others to keep the mean.
        SpatialDropout2D(SpatialDropout2D) = "SpatialDropout2D",
        /// Normalises the channels of each position by themselves.
        LayerNormalization(LayerNormalization) = "LayerNormalization",
        /// Normalises groups of channels over all positions of each image.
        GroupNormalization(GroupNormalization) = "GroupNormalization",
        /// Divides the channels of each position by their Euclidean norm.
        UnitNormalization(Bare) = "UnitNormalization",
        /// Mean of each channel over the whole image.
        GlobalAveragePooling2D(GlobalPooling) = "GlobalAveragePooling2D",
        /// Largest value of each channel over the whole image.
        GlobalMaxPooling2D(GlobalPooling) = "GlobalMaxPooling2D",
        /// Channels as pixels: each pixel becomes a block of pixels, as in TensorFlow's `depth_to_space`.
        DepthToSpace(DepthToSpace) = "DepthToSpace",
        /// Axes in another order.
        Permute(Permute) = "Permute",
        /// x * scale + offset.
        Rescaling(Rescaling) = "Rescaling",
        /// The value itself.
        Identity(Bare) = "Identity",
        /// Adds rows and columns of zeros.
        ZeroPadding2D(ZeroPadding2D) = "ZeroPadding2D",
        /// Removes rows and columns.
        Cropping2D(Cropping2D) = "Cropping2D",
        /// max(x, 0), or what its options make of that.
        ReLU(ReLU) = "ReLU",
        /// x where positive, else alpha * (exp(x) - 1).
        ELU(Elu) = "ELU",
        /// exp(x) / sum(exp(x)) along one axis.
        Softmax(Softmax) = "Softmax",
        /// x where positive, else a fraction of it.
        LeakyReLU(LeakyReLU) = "LeakyReLU",
        /// x where positive, else a learned fraction of it.
        PReLU(PReLU) = "PReLU",
        /// An activation as a layer of its own.
        Activation(ActivationLayer) = "Activation",
        /// Its input; what the size of the values adds to the loss, as a mean over the batch.
        ActivityRegularization(L1L2) = "ActivityRegularization",
        /// Sum of its inputs. As in all merges but Concatenate, a side of 1 meets any length.
        Add(Bare) = "Add",
        /// The first of two inputs less the second.
        Subtract(Bare) = "Subtract",
        /// Product of its inputs.
        Multiply(Bare) = "Multiply",
        /// Mean of its inputs.
        Average(Bare) = "Average",
        /// Largest of its inputs, value by value.
        Maximum(Bare) = "Maximum",
        /// Smallest of its inputs, value by value.
        Minimum(Bare) = "Minimum",
        /// Of a mean and the logarithm of a variance: a draw while training, else the mean.
        Sampling(Sampling) = "Sampling",
        /// Its inputs side by side.
        Concatenate(Concatenate) = "Concatenate",
    }
}

/// Windows that stand on an image.
#[derive(Debug, Clone, Copy)]
pub struct Windows {
    /// Height and width, from the first pixel of a dilated kernel to its last.
    pub size: Pair,
    /// Step down and across.
    pub strides: Pair,
    /// What happens at the border.
    pub padding: Padding,
}

/// How many channels a layer gives.
#[derive(Debug, Clone, Copy)]
pub enum Channels {
    /// So many.
    Count(usize),
    /// So many for each of the input's.
    Each(usize),
}

impl Convolution {
    /// The windows of its kernel.
    #[must_use]
    pub fn windows(&self) -> Windows {
        windows(self.kernel_size, self.dilation_rate, self.strides, self.padding)
    }
}

impl DepthwiseConv2D {
    /// The windows of its kernels.
    #[must_use]
    pub fn windows(&self) -> Windows {
        windows(self.kernel_size, self.dilation_rate, self.strides, self.padding)
    }
}

fn windows(kernel: Pair, dilation: Pair, strides: Pair, padding: Padding) -> Windows {
    let size = Pair(dilated(kernel.0, dilation.0), dilated(kernel.1, dilation.1));
    Windows { size, strides, padding }
}

/// What a layer does to height and width; the one place that says it for shapes and receptive fields.
#[derive(Debug, Clone, Copy)]
pub enum Geometry<'a> {
    /// Windows over the input: a filter each.
    Convolution(&'a Convolution),
    /// Windows over the output: a filter each.
    Transposed(&'a Convolution),
    /// Of a signal: what the layer of [`Layer::in_2d`] does to an image of one row.
    Signal,
    /// Windows over the input, channel by channel at first.
    Depthwise(Windows, Channels),
    /// Windows over the input, channel by channel.
    Pooling(&'a Pooling),
    /// Enlargement.
    UpSampling(&'a UpSampling2D),
    /// The last axis alone.
    Dense(&'a Dense),
    /// All values in one row.
    Flatten,
    /// Another shape.
    Reshape(&'a Reshape),
    /// A vector that many times.
    Repeat(usize),
    /// Each channel of the whole image as one value, which is an image of one pixel or not.
    Global(bool),
    /// Channels as blocks of pixels of that side.
    DepthToSpace(usize),
    /// Axes in this order, counted from 1.
    Permute(&'a [usize]),
    /// Rows and columns are added.
    Padding(Sides),
    /// Rows and columns are removed.
    Cropping(Sides),
    /// Every position by itself: the shape stays.
    Elementwise,
    /// The same position of several inputs.
    Merge,
    /// Several inputs side by side along this axis of Keras's, counted with the batch.
    Concatenate(i64),
}

/// The layers of signals, as a pattern: a match on what [`Layer::in_2d`] gives meets none.
macro_rules! of_signals {
    () => {
        Layer::Conv1D(_)
            | Layer::Conv1DTranspose(_)
            | Layer::SeparableConv1D(_)
            | Layer::MaxPooling1D(_)
            | Layer::AveragePooling1D(_)
            | Layer::UpSampling1D(_)
            | Layer::ZeroPadding1D(_)
            | Layer::Cropping1D(_)
            | Layer::GlobalAveragePooling1D(_)
            | Layer::GlobalMaxPooling1D(_)
            | Layer::SpatialDropout1D(_)
    };
}
pub(crate) use of_signals;

impl Convolution1D {
    fn in_2d(&self, padding: Padding) -> Convolution {
        Convolution {
            filters: self.filters,
            kernel_size: self.kernel_size.in_2d(),
            strides: self.strides.in_2d(),
            padding,
            activation: self.activation,
            use_bias: self.use_bias,
            kernel: self.kernel.clone(),
            bias: self.bias.clone(),
            dilation_rate: self.dilation_rate.in_2d(),
        }
    }
}

impl SeparableConv1D {
    fn in_2d(&self) -> SeparableConv2D {
        let depthwise = DepthwiseConv2D {
            kernel_size: self.kernel_size.in_2d(),
            strides: self.strides.in_2d(),
            padding: self.padding,
            dilation_rate: self.dilation_rate.in_2d(),
            each: self.each.clone(),
        };
        SeparableConv2D { pointwise: self.pointwise.clone(), depthwise }
    }
}

impl Pooling1D {
    fn in_2d(&self) -> Pooling {
        Pooling {
            pool_size: self.pool_size.in_2d(),
            strides: self.strides.map(Single::in_2d),
            padding: self.padding,
        }
    }
}

impl Layer {
    /// What the layer does to height and width.
    #[must_use]
    pub fn geometry(&self) -> Geometry<'_> {
        match self {
            Self::Conv2D(Conv2D { conv, .. }) => Geometry::Convolution(conv),
            Self::Conv2DTranspose(conv) => Geometry::Transposed(conv),
            Self::DepthwiseConv2D(conv) => {
                Geometry::Depthwise(conv.windows(), Channels::Each(conv.each.depth_multiplier))
            }
            Self::SeparableConv2D(conv) => Geometry::Depthwise(
                conv.depthwise.windows(),
                Channels::Count(conv.pointwise.filters),
            ),
            Self::MaxPooling2D(pool) | Self::AveragePooling2D(pool) => Geometry::Pooling(pool),
            Self::UpSampling2D(up) => Geometry::UpSampling(up),
            of_signals!() => Geometry::Signal,
            Self::Dense(dense) => Geometry::Dense(dense),
            Self::Flatten(_) => Geometry::Flatten,
            Self::Reshape(reshape) => Geometry::Reshape(reshape),
            Self::RepeatVector(repeat) => Geometry::Repeat(repeat.n),
            Self::GlobalAveragePooling2D(pool) | Self::GlobalMaxPooling2D(pool) => {
                Geometry::Global(pool.keepdims)
            }
            Self::DepthToSpace(layer) => Geometry::DepthToSpace(layer.block_size),
            Self::Permute(permute) => Geometry::Permute(&permute.dims),
            Self::ZeroPadding2D(pad) => Geometry::Padding(pad.padding),
            Self::Cropping2D(crop) => Geometry::Cropping(crop.cropping),
            Self::BatchNormalization(_)
            | Self::Dropout(_)
            | Self::GaussianNoise(_)
            | Self::GaussianDropout(_)
            | Self::AlphaDropout(_)
            | Self::SpatialDropout2D(_)
            | Self::LayerNormalization(_)
            | Self::GroupNormalization(_)
            | Self::UnitNormalization(_)
            | Self::Rescaling(_)
            | Self::Identity(_)
            | Self::ELU(_)
            | Self::Softmax(_)
            | Self::ReLU(_)
            | Self::LeakyReLU(_)
            | Self::PReLU(_)
            | Self::Activation(_)
            | Self::ActivityRegularization(_) => Geometry::Elementwise,
            Self::Add(_)
            | Self::Subtract(_)
            | Self::Multiply(_)
            | Self::Average(_)
            | Self::Maximum(_)
            | Self::Minimum(_)
            | Self::Sampling(_) => Geometry::Merge,
            Self::Concatenate(concatenate) => Geometry::Concatenate(concatenate.axis),
        }
    }

    /// Of a layer of signals: the layer that does the same to an image of one row, on which everything is
    /// computed. `None` of all others.
    #[must_use]
    pub fn in_2d(&self) -> Option<Self> {
        Some(match self {
            Self::Conv1D(Conv1D { padding, groups, conv }) => {
                Self::Conv2D(Conv2D { groups: *groups, conv: conv.in_2d(padding.in_2d()) })
            }
            Self::Conv1DTranspose(Conv1DTranspose { padding, conv }) => {
                Self::Conv2DTranspose(conv.in_2d(*padding))
            }
            Self::SeparableConv1D(conv) => Self::SeparableConv2D(conv.in_2d()),
            Self::MaxPooling1D(pool) => Self::MaxPooling2D(pool.in_2d()),
            Self::AveragePooling1D(pool) => Self::AveragePooling2D(pool.in_2d()),
            Self::UpSampling1D(up) => Self::UpSampling2D(UpSampling2D {
                size: up.size.in_2d(),
                interpolation: Interpolation::Nearest,
            }),
            Self::ZeroPadding1D(pad) => {
                Self::ZeroPadding2D(ZeroPadding2D { padding: pad.padding.in_2d() })
            }
            Self::Cropping1D(crop) => {
                Self::Cropping2D(Cropping2D { cropping: crop.cropping.in_2d() })
            }
            Self::GlobalAveragePooling1D(pool) => Self::GlobalAveragePooling2D(pool.clone()),
            Self::GlobalMaxPooling1D(pool) => Self::GlobalMaxPooling2D(pool.clone()),
            Self::SpatialDropout1D(dropout) => Self::SpatialDropout2D(dropout.clone()),
            _ => return None,
        })
    }

    /// Whether it reads several values.
    #[must_use]
    pub fn is_merge(&self) -> bool {
        matches!(self.geometry(), Geometry::Merge | Geometry::Concatenate(_))
    }

    /// Whether it draws random numbers in training.
    #[must_use]
    pub fn draws(&self) -> bool {
        match self {
            Self::Dropout(_)
            | Self::GaussianNoise(_)
            | Self::GaussianDropout(_)
            | Self::AlphaDropout(_)
            | Self::SpatialDropout2D(_)
            | Self::Sampling(_) => true,
            of_signals!() => self.in_2d().is_some_and(|layer| layer.draws()),
            Self::Conv2D(_)
            | Self::Conv2DTranspose(_)
            | Self::DepthwiseConv2D(_)
            | Self::SeparableConv2D(_)
            | Self::MaxPooling2D(_)
            | Self::AveragePooling2D(_)
            | Self::UpSampling2D(_)
            | Self::Dense(_)
            | Self::Flatten(_)
            | Self::Reshape(_)
            | Self::RepeatVector(_)
            | Self::BatchNormalization(_)
            | Self::LayerNormalization(_)
            | Self::GroupNormalization(_)
            | Self::UnitNormalization(_)
            | Self::GlobalAveragePooling2D(_)
            | Self::GlobalMaxPooling2D(_)
            | Self::DepthToSpace(_)
            | Self::Permute(_)
            | Self::Rescaling(_)
            | Self::Identity(_)
            | Self::ELU(_)
            | Self::Softmax(_)
            | Self::ZeroPadding2D(_)
            | Self::Cropping2D(_)
            | Self::ReLU(_)
            | Self::LeakyReLU(_)
            | Self::PReLU(_)
            | Self::Activation(_)
            | Self::ActivityRegularization(_)
            | Self::Add(_)
            | Self::Subtract(_)
            | Self::Multiply(_)
            | Self::Average(_)
            | Self::Maximum(_)
            | Self::Minimum(_)
            | Self::Concatenate(_) => false,
        }
    }

    /// How the weight starts that Keras calls so, where a key says it.
    #[must_use]
    pub fn initializer(&self, weight: &str) -> Option<&Initializer> {
        self.value_of(&format!("{}_initializer", self.stem(weight)))?.downcast_ref()
    }

    /// What the weight that Keras calls so adds to the loss: `kernel_regularizer` of `kernel`,
    /// `pointwise_regularizer` of `pointwise_kernel`.
    #[must_use]
    pub fn regularizer(&self, weight: &str) -> Option<&Regularizer> {
        self.option(&format!("{}_regularizer", self.stem(weight)))
    }

    /// What each step holds the weight to that Keras calls so.
    #[must_use]
    pub fn constraint(&self, weight: &str) -> Option<&Constraint> {
        self.option(&format!("{}_constraint", self.stem(weight)))
    }

    /// What the keys of a weight begin with: `pointwise` of `pointwise_kernel`.
    #[must_use]
    pub fn stem<'a>(&self, weight: &'a str) -> &'a str {
        match self {
            Self::DepthwiseConv2D(_) if weight == "kernel" => "depthwise",
            _ => weight.strip_suffix("_kernel").unwrap_or(weight),
        }
    }

    /// What the layer's output adds to the loss.
    #[must_use]
    pub fn activity_regularizer(&self) -> Option<Regularizer> {
        match self {
            Self::ActivityRegularization(factors) => Some(Regularizer::L1L2(factors.clone())),
            _ => self.option("activity_regularizer").cloned(),
        }
    }

    /// The value of a key that may be left out.
    fn option<T: 'static>(&self, key: &str) -> Option<&T> {
        self.value_of(key)?.downcast_ref::<Option<T>>()?.as_ref()
    }
}

impl GroupNormalization {
    /// Number of groups for so many channels; `None` where there is none.
    #[must_use]
    pub fn groups_of(&self, channels: usize) -> Option<usize> {
        let groups =
            if self.groups == -1 { channels } else { usize::try_from(self.groups).ok()? };
        (groups > 0 && channels.is_multiple_of(groups)).then_some(groups)
    }
}
