//! The layers of the config language, in Keras's words and with Keras's defaults.
//!
//! What a layer does to a shape stands in `plan`, what it computes in `nn`.

use super::ConfigError;
use super::constraints::Constraint;
use super::node::{Node, Value};
use super::regularizers::{L1L2, Regularizer};
use super::schema::{Bounds, Field, choice, family, refuse, section};
use crate::nn::{Activation, Initializer, Interpolation, Padding};

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

choice!(Padding { Valid = "valid", Same = "same" });

choice!(Interpolation { Nearest = "nearest", Bilinear = "bilinear" });

choice!(Initializer {
    GlorotUniform = "glorot_uniform",
    GlorotNormal = "glorot_normal",
    HeUniform = "he_uniform",
    HeNormal = "he_normal",
    LecunUniform = "lecun_uniform",
    LecunNormal = "lecun_normal",
    Zeros = "zeros",
    Ones = "ones",
});

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
        "[values] or [height, width, channels], where one entry may be -1, the others".to_owned()
    }

    fn read(node: &Node, bounds: Option<Bounds>) -> Result<Self, ConfigError> {
        let refusal = || refuse(node, &super::schema::taking::<Self>(bounds));
        let Value::Array(items) = &node.value else { return Err(refusal()) };
        let shape = read_sides(items, bounds)?;
        let free = shape.iter().filter(|side| side.is_none()).count();
        if matches!(shape.len(), 1 | 3) && free <= 1 { Ok(Self(shape)) } else { Err(refusal()) }
    }

    fn write(&self) -> Option<toml::Value> {
        Some(write_sides(&self.0))
    }
}

/// What a model receives: height, width and channels. Height and width may be -1, which Keras writes as
/// `None`: any length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputShape(pub Vec<Option<usize>>);

impl Field for InputShape {
    fn takes() -> String {
        "[height, width, channels], where -1 is any height or width, else".to_owned()
    }

    fn read(node: &Node, bounds: Option<Bounds>) -> Result<Self, ConfigError> {
        let refusal = || refuse(node, &super::schema::taking::<Self>(bounds));
        let Value::Array(items) = &node.value else { return Err(refusal()) };
        let shape = read_sides(items, bounds)?;
        let open_channels = shape.last().is_none_or(Option::is_none);
        if shape.len() == 3 && !open_channels { Ok(Self(shape)) } else { Err(refusal()) }
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
        kernel_initializer: Initializer = Initializer::GlorotUniform;
        /// What the size of the kernel's values adds to the loss.
        kernel_regularizer: Option<Regularizer> = None;
        /// What each step holds the kernel to.
        kernel_constraint: Option<Constraint> = None;
    }
}

section! {
    /// What holds a layer's bias, and the values that it gives, in training.
    pub struct BiasOptions {
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
        flatten kernel: KernelOptions;
        flatten bias: BiasOptions;
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
    /// A layer without keys.
    pub struct Bare {}
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
    /// Normalises each channel over the batch; keeps moving statistics for inference.
    pub struct BatchNormalization {
        /// Share of the old moving statistics that a batch leaves.
        momentum: f64 = 0.99, in Bounds::closed(0.0, 1.0);
        /// Added to the variance.
        epsilon: f64 = 0.001, in Bounds::above(0.0, 1.0);
        /// Whether there is a learned offset (beta).
        center: bool = true;
        /// Whether there is a learned factor (gamma).
        scale: bool = true;
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
        Conv2D(Convolution) = "Conv2D",
        /// Transposed 2D convolution: enlarges by its strides.
        Conv2DTranspose(Convolution) = "Conv2DTranspose",
        /// Largest value of each window.
        MaxPooling2D(Pooling) = "MaxPooling2D",
        /// Mean of each window; padding does not count.
        AveragePooling2D(Pooling) = "AveragePooling2D",
        /// Enlarges height and width by whole factors.
        UpSampling2D(UpSampling2D) = "UpSampling2D",
        /// Weighted sums over the last axis.
        Dense(Dense) = "Dense",
        /// All values in one row, channels last.
        Flatten(Bare) = "Flatten",
        /// The same values in another shape, channels last.
        Reshape(Reshape) = "Reshape",
        /// Normalises each channel over the batch; keeps moving statistics for inference.
        BatchNormalization(BatchNormalization) = "BatchNormalization",
        /// While training, zeroes values at random and enlarges the others to keep the mean.
        Dropout(Dropout) = "Dropout",
        /// While training, adds Gaussian noise.
        GaussianNoise(GaussianNoise) = "GaussianNoise",
        /// Adds rows and columns of zeros.
        ZeroPadding2D(ZeroPadding2D) = "ZeroPadding2D",
        /// Removes rows and columns.
        Cropping2D(Cropping2D) = "Cropping2D",
        /// max(x, 0).
        ReLU(Bare) = "ReLU",
        /// x where positive, else a fraction of it.
        LeakyReLU(LeakyReLU) = "LeakyReLU",
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
        /// Its inputs side by side.
        Concatenate(Concatenate) = "Concatenate",
    }
}

/// What a layer does to height and width; the one place that says it for shapes and receptive fields.
#[derive(Debug, Clone, Copy)]
pub enum Geometry<'a> {
    /// Windows over the input: a filter each.
    Convolution(&'a Convolution),
    /// Windows over the output: a filter each.
    Transposed(&'a Convolution),
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

impl Layer {
    /// What the layer does to height and width.
    #[must_use]
    pub fn geometry(&self) -> Geometry<'_> {
        match self {
            Self::Conv2D(conv) => Geometry::Convolution(conv),
            Self::Conv2DTranspose(conv) => Geometry::Transposed(conv),
            Self::MaxPooling2D(pool) | Self::AveragePooling2D(pool) => Geometry::Pooling(pool),
            Self::UpSampling2D(up) => Geometry::UpSampling(up),
            Self::Dense(dense) => Geometry::Dense(dense),
            Self::Flatten(_) => Geometry::Flatten,
            Self::Reshape(reshape) => Geometry::Reshape(reshape),
            Self::ZeroPadding2D(pad) => Geometry::Padding(pad.padding),
            Self::Cropping2D(crop) => Geometry::Cropping(crop.cropping),
            Self::BatchNormalization(_)
            | Self::Dropout(_)
            | Self::GaussianNoise(_)
            | Self::ReLU(_)
            | Self::LeakyReLU(_)
            | Self::Activation(_)
            | Self::ActivityRegularization(_) => Geometry::Elementwise,
            Self::Add(_)
            | Self::Subtract(_)
            | Self::Multiply(_)
            | Self::Average(_)
            | Self::Maximum(_)
            | Self::Minimum(_) => Geometry::Merge,
            Self::Concatenate(concatenate) => Geometry::Concatenate(concatenate.axis),
        }
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
            Self::Dropout(_) | Self::GaussianNoise(_) => true,
            Self::Conv2D(_)
            | Self::Conv2DTranspose(_)
            | Self::MaxPooling2D(_)
            | Self::AveragePooling2D(_)
            | Self::UpSampling2D(_)
            | Self::Dense(_)
            | Self::Flatten(_)
            | Self::Reshape(_)
            | Self::BatchNormalization(_)
            | Self::ZeroPadding2D(_)
            | Self::Cropping2D(_)
            | Self::ReLU(_)
            | Self::LeakyReLU(_)
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

    /// What the weight that Keras calls so adds to the loss: `kernel_regularizer` of `kernel`.
    #[must_use]
    pub fn regularizer(&self, weight: &str) -> Option<&Regularizer> {
        self.option(&format!("{weight}_regularizer"))
    }

    /// What each step holds the weight to that Keras calls so.
    #[must_use]
    pub fn constraint(&self, weight: &str) -> Option<&Constraint> {
        self.option(&format!("{weight}_constraint"))
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
