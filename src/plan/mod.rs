//! A config that was found to make sense: every layer fits the one before, every option goes with
//! the others. Only this type reaches the trainer.

mod data;
mod policies;
mod reach;
mod resize;
mod trace;

pub use reach::Axis;
pub use trace::{Shape, TraceError};

use crate::config::layers::Layer;
use crate::config::sections::{Config, Optimizer};
use crate::config::{ConfigError, Source};
use crate::corruption::LARGEST_JPEG_SIDE;

/// Beyond this many values (weights, or one picture's activations) a model is taken for a typing
/// error: 2^31, or 8 GB in float32.
const LARGEST_MODEL: usize = 1 << 31;

/// A validated experiment.
#[derive(Debug, Clone)]
pub struct Plan {
    /// As read, defaults filled in.
    pub config: Config,
    /// Height, width and channels of a picture.
    pub input_shape: [usize; 3],
    /// The encoder's, then the decoder's; each receives what the one before gives.
    pub layers: Vec<PlannedLayer>,
    /// How many of the layers are the encoder's.
    encoder_length: usize,
}

/// A layer with its place in the model.
#[derive(Debug, Clone)]
pub struct PlannedLayer {
    /// Keras's name for it: `conv2d_1`.
    pub name: String,
    /// As the config asks for it.
    pub layer: Layer,
    /// Of one picture or row of values, as it comes in.
    pub input: Shape,
    /// The same, as it goes out.
    pub output: Shape,
    /// Weights that the optimizer moves.
    pub trainable: usize,
    /// Weights that follow the data: moving statistics.
    pub moving: usize,
}

/// What of a model is to be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// From picture to picture.
    Whole,
    /// From picture to code.
    Encoder,
    /// From code to picture.
    Decoder,
}

/// Layers that follow each other.
#[derive(Debug, Clone)]
pub struct Section<'a> {
    /// May be none: a code can be the picture itself.
    pub layers: &'a [PlannedLayer],
    /// What the first one receives.
    pub input: Shape,
    /// What the last one gives.
    pub output: Shape,
    /// Learned weights of the model's layers before these.
    pub weights_before: usize,
}

impl Plan {
    /// Validates a config.
    ///
    /// # Errors
    /// For the first thing that does not fit, naming its line and the remedy.
    pub fn new(source: Source) -> Result<Self, ConfigError> {
        check_name(&source)?;
        check_device(&source)?;
        check_clipping(&source)?;
        policies::check(&source)?;
        let input_shape = input_shape(&source)?;
        data::check(&source, input_shape)?;
        check_jpeg(&source, input_shape)?;
        let layers = trace_model(&source, input_shape)?;
        let encoder_length = source.config.model.encoder.len();
        Ok(Self { config: source.config, input_shape, layers, encoder_length })
    }

    /// The layers from picture to code.
    #[must_use]
    pub fn encoder(&self) -> &[PlannedLayer] {
        &self.layers[..self.encoder_length]
    }

    /// The layers from code to picture.
    #[must_use]
    pub fn decoder(&self) -> &[PlannedLayer] {
        &self.layers[self.encoder_length..]
    }

    /// Shape of the code.
    #[must_use]
    pub fn code_shape(&self) -> Shape {
        self.encoder().last().map_or(Shape(self.input_shape.to_vec()), |layer| layer.output.clone())
    }

    /// Some of the layers, by what they are for.
    #[must_use]
    pub fn section(&self, part: Part) -> Section<'_> {
        let (picture, code) = (Shape(self.input_shape.to_vec()), self.code_shape());
        let (layers, input, output) = match part {
            Part::Whole => (self.layers.as_slice(), picture.clone(), picture),
            Part::Encoder => (self.encoder(), picture, code),
            Part::Decoder => (self.decoder(), code, picture),
        };
        let before = if part == Part::Decoder { self.encoder() } else { &[] };
        let weights_before = before.iter().map(|layer| layer.trainable).sum();
        Section { layers, input, output, weights_before }
    }

    /// The seed of all randomness.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.config.seed as u64
    }
}

/// The name becomes part of file names.
fn check_name(source: &Source) -> Result<(), ConfigError> {
    let name = &source.config.name;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if !name.is_empty() && name.len() <= 100 && name.chars().all(allowed) && !name.starts_with('.')
    {
        return Ok(());
    }
    let remedy = "give 1 to 100 letters, digits, `-`, `_` or `.`, not starting with a dot";
    Err(source.error("name", format!("is {name:?}"), remedy))
}

fn check_device(source: &Source) -> Result<(), ConfigError> {
    let device = &source.config.train.device;
    let number = device.strip_prefix("cuda:").map(str::parse::<usize>);
    if matches!(device.as_str(), "auto" | "cpu") || matches!(number, Some(Ok(_))) {
        return Ok(());
    }
    let remedy = r#"give "auto", "cpu", or a GPU like "cuda:0""#;
    Err(source.error("train.device", format!("is {device:?}"), remedy))
}

/// Keras takes at most one kind of clipping (`optimizers/base_optimizer.py`).
fn check_clipping(source: &Source) -> Result<(), ConfigError> {
    let common = source.config.train.optimizer.common();
    let kinds = [common.clipnorm, common.clipvalue, common.global_clipnorm];
    if kinds.iter().flatten().count() <= 1 {
        return Ok(());
    }
    let problem = format!(
        "has clipnorm = {:?}, clipvalue = {:?} and global_clipnorm = {:?}",
        common.clipnorm, common.clipvalue, common.global_clipnorm
    );
    Err(source.error("train.optimizer", problem, "set one of them"))
}

fn input_shape(source: &Source) -> Result<[usize; 3], ConfigError> {
    let shape = &source.config.model.input_shape;
    if let [height, width, channels @ (1 | 3)] = *shape.as_slice() {
        return Ok([height, width, channels]);
    }
    let remedy = "give [height, width, channels] with 1 channel (grey) or 3 (RGB)";
    Err(source.error("model.input_shape", format!("is {shape:?}"), remedy))
}

/// A JPEG file does not hold every picture that a model may take.
fn check_jpeg(source: &Source, [height, width, _]: [usize; 3]) -> Result<(), ConfigError> {
    let has_jpeg = source.config.corruption.0.iter().any(|kind| kind.name() == "jpeg");
    if !has_jpeg || height.max(width) <= LARGEST_JPEG_SIDE {
        return Ok(());
    }
    let problem = format!("has the kind jpeg, but the pictures are {height}x{width}");
    let remedy = format!("keep both sides of model.input_shape within {LARGEST_JPEG_SIDE}");
    Err(source.error("corruption", problem, remedy))
}

/// Follows the shape through all layers.
fn trace_model(source: &Source, input: [usize; 3]) -> Result<Vec<PlannedLayer>, ConfigError> {
    let model = &source.config.model;
    let mut names = Names::default();
    let mut shape = Shape(input.to_vec());
    let mut layers = Vec::new();
    let mut weights = 0_usize;
    for (part, list) in [("encoder", &model.encoder), ("decoder", &model.decoder)] {
        for (i, layer) in list.iter().enumerate() {
            let path = format!("model.{part}[{i}]");
            let refuse = |TraceError { problem, remedy }| {
                let problem = format!("({}) {problem}", layer.name());
                source.error(&path, problem, remedy)
            };
            let traced = trace::trace(layer, &shape).map_err(refuse)?;
            weights = weights.saturating_add(traced.trainable);
            if weights > LARGEST_MODEL || traced.output.values() > LARGEST_MODEL {
                let problem = "makes the model too large to compute".to_owned();
                let remedy = format!("keep weights and layer outputs below {LARGEST_MODEL} values");
                return Err(refuse(TraceError { problem, remedy }));
            }
            layers.push(PlannedLayer {
                name: names.next(layer.name()),
                layer: layer.clone(),
                input: std::mem::replace(&mut shape, traced.output.clone()),
                output: traced.output,
                trainable: traced.trainable,
                moving: traced.moving,
            });
        }
    }
    check_closes(source, &shape, input, weights)?;
    Ok(layers)
}

/// An autoencoder gives back what it was given, and has something to learn.
fn check_closes(
    source: &Source,
    output: &Shape,
    input: [usize; 3],
    weights: usize,
) -> Result<(), ConfigError> {
    if output.0 != input {
        let problem = format!("ends in {output}, but the pictures are {}", Shape(input.to_vec()));
        let remedy = "change the layers until the output has the input's shape";
        return Err(source.error("model.decoder", problem, remedy));
    }
    if weights == 0 {
        let remedy = "add a layer with weights, like Conv2D";
        return Err(source.error("model.encoder", "and the decoder have nothing to learn", remedy));
    }
    Ok(())
}

/// Counts instances as Keras does: `conv2d`, `conv2d_1`, …
#[derive(Default)]
struct Names(std::collections::HashMap<String, usize>);

impl Names {
    fn next(&mut self, kind: &str) -> String {
        let stem = snake_case(kind);
        let count = self.0.entry(stem.clone()).or_default();
        *count += 1;
        if *count == 1 { stem } else { format!("{stem}_{}", *count - 1) }
    }
}

/// Keras's `to_snake_case`: `MaxPooling2D` is `max_pooling2d`, `LeakyReLU` is `leaky_re_lu`.
fn snake_case(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut snake = String::new();
    for (i, &letter) in letters.iter().enumerate() {
        let after_lower = i > 0 && letters[i - 1].is_ascii_lowercase();
        let before_lower = letters.get(i + 1).is_some_and(char::is_ascii_lowercase);
        if letter.is_ascii_uppercase() && i > 0 && (after_lower || before_lower) {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// What Keras gives to every optimizer (`optimizers/base_optimizer.py`).
#[derive(Debug, Clone, Copy)]
pub struct CommonOptions {
    /// Length of a step; above 0.
    pub learning_rate: f64,
    /// Decoupled: each step takes this share, times the learning rate, off every weight.
    pub weight_decay: Option<f64>,
    /// Largest norm of one weight tensor's gradient; of the three limits at most one is set.
    pub clipnorm: Option<f64>,
    /// Largest absolute value in the gradient.
    pub clipvalue: Option<f64>,
    /// Largest norm of the whole gradient.
    pub global_clipnorm: Option<f64>,
    /// Whether a moving average of the weights is kept.
    pub use_ema: bool,
    /// Share of the old average that stays in each step.
    pub ema_momentum: f64,
    /// Updates after which the average takes the weights' place; only with `use_ema`.
    pub ema_overwrite_frequency: Option<usize>,
    /// Steps whose gradients make one update; at least 2.
    pub gradient_accumulation_steps: Option<usize>,
}

impl Optimizer {
    /// The options that all optimizers share.
    #[must_use]
    pub fn common(&self) -> CommonOptions {
        macro_rules! common {
            ($($Kind:ident),+) => {
                match self {
                    $(Optimizer::$Kind(own) => CommonOptions {
                        learning_rate: own.learning_rate,
                        weight_decay: own.weight_decay,
                        clipnorm: own.clipnorm,
                        clipvalue: own.clipvalue,
                        global_clipnorm: own.global_clipnorm,
                        use_ema: own.use_ema,
                        ema_momentum: own.ema_momentum,
                        ema_overwrite_frequency: own.ema_overwrite_frequency,
                        gradient_accumulation_steps: own.gradient_accumulation_steps,
                    },)+
                }
            };
        }
        common!(Adam, AdamW, SGD, RMSprop, Adadelta)
    }
}
