//! A config that was found to make sense: every layer fits the one before, every option goes with
//! the others. Only a [`Plan`] reaches the trainer.

mod build;
mod data;
mod graph;
mod loader;
mod method;
mod names;
mod objective;
mod policies;
mod processes;
mod receptive_field;
mod regularizers;
mod resize;
mod scale;
mod shapes;
mod target;
#[cfg(test)]
pub(crate) mod testing;
mod view;
mod weights;

pub(crate) use build::name_refusal;
pub use graph::{Graph, Node, Part, Section, SkipConnection, Value};
pub use loader::{loader, method_loader};
pub(crate) use names::Names;
pub use objective::Objective;
pub use receptive_field::Axis;
pub(crate) use resize::LARGEST_PERIOD;
pub use scale::Scale;
pub use shapes::{Shape, ShapeError};
pub(crate) use shapes::{axis_of, channels_first_axis};
pub use weights::Weight;

use std::sync::Arc;

use crate::config::sections::Config;
use crate::config::{ConfigError, Source};
use crate::data::corruption::LARGEST_JPEG_SIDE;
use crate::system::exit::UsageError;

/// A validated experiment.
#[derive(Debug, Clone)]
pub struct Plan {
    /// As read, defaults filled in.
    pub config: Config,
    /// Height, width and channels of the images that the model is trained on; of a model of open size these are
    /// one size of many. A vector, a matrix or a signal is seen as an image; [`Graph::input`] has its own shape.
    pub input_shape: [usize; 3],
    /// The same of what it gives.
    output_shape: [usize; 3],
    /// Whether the model takes images of any height, and of any width.
    pub open: [bool; 2],
    /// The model.
    pub graph: Graph,
    /// Whether the config says which value is the code.
    pub has_code: bool,
    /// How long outputs are, in height and width.
    scales: [Option<Scale>; 2],
    /// Knows the lines of the config's values.
    source: Arc<Source>,
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
        let build::Built { graph, has_code, open } = build::build(&source)?;
        let input_shape = view::of_input(&source, &graph)?;
        data::check(&source, &graph, input_shape)?;
        check_jpeg(&source, input_shape)?;
        let (config, scales) = (source.config.clone(), [None; 2]);
        let source = Arc::new(source);
        let output_shape = input_shape;
        let plan =
            Self { config, input_shape, output_shape, open, graph, has_code, scales, source };
        Ok(plan.seen_as(input_shape))
    }

    /// Refuses a model of which the config does not say what is its code.
    ///
    /// # Errors
    /// With the remedy.
    pub fn require_code(&self) -> Result<(), UsageError> {
        if self.has_code {
            return Ok(());
        }
        Err(UsageError(
            "the model's config says of no layer that it gives the code; name one with --code LAYER"
                .to_owned(),
        ))
    }

    /// The same model with the code where the layer of this name gives it.
    ///
    /// # Errors
    /// When there is no such layer.
    pub fn with_code(mut self, name: &str) -> Result<Self, UsageError> {
        let names: Vec<&str> = self.graph.nodes.iter().map(|node| node.name.as_str()).collect();
        let Some(index) = names.iter().position(|&known| known == name) else {
            let remedy = crate::config::schema::suggest(name, &names);
            return Err(UsageError(format!("--code is {name:?}, which is no layer; {remedy}")));
        };
        (self.graph.code, self.has_code) = (Value::Node(index), true);
        Ok(self)
    }

    /// Height, width and channels of what the model gives, seen as an image.
    #[must_use]
    pub fn output_shape(&self) -> [usize; 3] {
        self.output_shape
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

/// A JPEG file does not hold every image that a model may take.
fn check_jpeg(source: &Source, [height, width, channels]: [usize; 3]) -> Result<(), ConfigError> {
    let times = source.config.corruption.shrinking();
    let [height, width] = [height, width].map(|side| side.saturating_mul(times));
    let has_jpeg = source.config.corruption.0.iter().any(|kind| kind.name() == "jpeg");
    if has_jpeg && !matches!(channels, 1 | 3) {
        let problem = format!("has the kind jpeg, and the samples have {channels} channels");
        return Err(source.error("corruption", problem, "take another kind: JPEG has 1 or 3"));
    }
    if !has_jpeg || height.max(width) <= LARGEST_JPEG_SIDE {
        return Ok(());
    }
    let problem = format!("has the kind jpeg, but the images are {height}x{width}");
    let remedy = format!("keep both sides of model.input_shape within {LARGEST_JPEG_SIDE}");
    Err(source.error("corruption", problem, remedy))
}
