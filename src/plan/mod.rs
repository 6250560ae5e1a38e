//! A config that was found to make sense: every layer fits the one before, every option goes with
//! the others. Only a [`Plan`] reaches the trainer.

mod data;
mod graph;
mod loader;
mod policies;
mod receptive_field;
mod resize;
mod shapes;
mod weights;

pub use graph::{Graph, Node, Op, Part, Section, SkipConnection, Value};
pub use loader::loader;
pub use receptive_field::Axis;
pub use shapes::{Shape, ShapeError};
pub use weights::Weight;

use crate::config::sections::Config;
use crate::config::{ConfigError, Source};
use crate::data::corruption::LARGEST_JPEG_SIDE;

/// Beyond this many values (weights, or one image's activations) a model is taken for a typing
/// error: 2^31, or 8 GB in float32.
const LARGEST_MODEL: usize = 1 << 31;

/// A validated experiment.
#[derive(Debug, Clone)]
pub struct Plan {
    /// As read, defaults filled in.
    pub config: Config,
    /// Height, width and channels of an image.
    pub input_shape: [usize; 3],
    /// The model: the encoder's layers, then the decoder's.
    pub graph: Graph,
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
        let graph = graph_of(&source, input_shape)?;
        Ok(Self { config: source.config, input_shape, graph })
    }

    /// Shape of the code.
    #[must_use]
    pub fn code_shape(&self) -> &Shape {
        self.graph.shape(self.graph.code)
    }

    /// Number of values that the optimizer changes.
    #[must_use]
    pub fn trainable(&self) -> usize {
        self.graph.weights_before(self.graph.nodes.len())
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

/// A JPEG file does not hold every image that a model may take.
fn check_jpeg(source: &Source, [height, width, _]: [usize; 3]) -> Result<(), ConfigError> {
    let has_jpeg = source.config.corruption.0.iter().any(|kind| kind.name() == "jpeg");
    if !has_jpeg || height.max(width) <= LARGEST_JPEG_SIDE {
        return Ok(());
    }
    let problem = format!("has the kind jpeg, but the images are {height}x{width}");
    let remedy = format!("keep both sides of model.input_shape within {LARGEST_JPEG_SIDE}");
    Err(source.error("corruption", problem, remedy))
}

/// The graph of two lists: each layer reads the one before.
fn graph_of(source: &Source, input: [usize; 3]) -> Result<Graph, ConfigError> {
    let model = &source.config.model;
    let mut names = Names::default();
    let mut graph = Graph::new(Shape(input.to_vec()));
    let mut weights = 0_usize;
    for (part, list) in [(Part::Encoder, &model.encoder), (Part::Decoder, &model.decoder)] {
        for (i, layer) in list.iter().enumerate() {
            let path = format!("model.{}[{i}]", part.name());
            let refuse = |ShapeError { problem, remedy }| {
                let problem = format!("({}) {problem}", layer.name());
                source.error(&path, problem, remedy)
            };
            let (name, before) = (names.next(layer.name()), graph.output);
            let op = Op::Layer(layer.clone());
            let value = graph.add(name, part, op, vec![before]).map_err(refuse)?;
            weights =
                weights.saturating_add(graph.nodes.last().expect("one was added").trainable());
            if weights > LARGEST_MODEL || graph.shape(value).values() > LARGEST_MODEL {
                let problem = "makes the model too large to compute".to_owned();
                let remedy = format!("keep weights and layer outputs below {LARGEST_MODEL} values");
                return Err(refuse(ShapeError { problem, remedy }));
            }
        }
        if part == Part::Encoder {
            graph.code = graph.output;
        }
    }
    check_closes(source, graph.shape(graph.output), input, weights)?;
    Ok(graph)
}

/// An autoencoder gives back what it was given, and has something to learn.
fn check_closes(
    source: &Source,
    output: &Shape,
    input: [usize; 3],
    weights: usize,
) -> Result<(), ConfigError> {
    if output.0 != input {
        let problem = format!("ends in {output}, but the images are {}", Shape(input.to_vec()));
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
