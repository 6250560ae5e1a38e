//! A trained model as a file that says what it is: weights, config and history in one checkpoint.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;
use tch::{Device, Kind, Tensor, no_grad};

use crate::config::layers::Layer;
use crate::config::{ConfigError, Source};
use crate::engine::{Model, kind_of};
use crate::formats::checkpoint::{Array, Checkpoint, CheckpointError, DType, Element, load, save};
use crate::infer::Predictor;
use crate::nn::{Parameter, Parameters};
use crate::plan::Plan;
use crate::system::exit::UsageError;
use crate::system::terminal::complain;

/// Names of the records beside the weights.
pub(crate) const CONFIG: &str = "config.toml";
pub(crate) const HISTORY: &str = "history.json";
const FORMAT: &str = "convae.json";
/// What the names of tensors begin with that are the training's, not the model's.
pub const OPTIMIZER: &str = "optimizer.";
/// Of these the one that counts the updates of the weights, of a checkpoint that came from elsewhere.
pub const ITERATIONS: &str = "iterations";
/// The same of what the policies remember.
pub const POLICIES: &str = "policies.";
const BESIDE: [&str; 2] = [OPTIMIZER, POLICIES];
/// What the weights expect and how the file is to be read; grows by new keys only.
const FORMAT_RECORD: &str = r#"{
  "format": 1,
  "preprocessing": "values / 255, so that 0 is black and 1 is white",
  "tensors": "PyTorch layouts: Conv2d (out, in, h, w), ConvTranspose2d (in, out, h, w), both in 1d without h, Linear (out, in); pictures (N, C, H, W), signals (N, steps, channels), vectors (N, values)",
  "names": "encoder. or decoder., the layer's name in Keras, then weight, bias, running_mean or running_var"
}
"#;

/// The newest format that is read; what each number means stands in docs/formats.md.
const NEWEST: u64 = 1;

/// Why a checkpoint does not fit.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no file, or it is no checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The named config, or the one in the file, is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The file holds no config, and none was named.
    #[error(
        "{} does not say what model it holds; name the model's config with --config FILE",
        path.display())]
    Nameless {
        /// The checkpoint.
        path: PathBuf,
    },
    /// A later release wrote it, and not as we read.
    #[error(
        "{} has format {format}, and this convae ({}) reads none above {NEWEST}; use a newer one",
        path.display(), env!("CARGO_PKG_VERSION"))]
    Newer {
        /// The checkpoint.
        path: PathBuf,
        /// The number that it gives.
        format: u64,
    },
    /// The config asks for an engine that cannot run the model.
    #[error("{0}")]
    Refused(String),
    /// One of its weights is no number that a model can compute with.
    #[error(
        "{} cannot be used: {problem}; train again with a lower train.optimizer.learning_rate, or use \
         another checkpoint", path.display())]
    NoNumber {
        /// The checkpoint.
        path: PathBuf,
        /// The first such weight, and its value.
        problem: String,
    },
    /// Its weights have other names, shapes or types than the plan's.
    #[error("{} is of another model: {problem}; name its own config with --config FILE", path.display())]
    OtherModel {
        /// The checkpoint.
        path: PathBuf,
        /// The first weight that does not fit, and why.
        problem: String,
    },
}

impl From<UsageError> for OpenError {
    fn from(UsageError(sentence): UsageError) -> Self {
        Self::Refused(sentence)
    }
}

impl OpenError {
    /// Whether the user named the wrong file or config, rather than a file being damaged.
    #[must_use]
    pub fn is_usage_error(&self) -> bool {
        match self {
            Self::Checkpoint(error) => error.is_missing(),
            Self::Newer { .. } | Self::NoNumber { .. } => false,
            Self::Config(_)
            | Self::Nameless { .. }
            | Self::Refused(_)
            | Self::OtherModel { .. } => true,
        }
    }
}

/// Writes the model to `path`, which ends in `.pt` or `.safetensors`.
///
/// # Errors
/// When the file cannot be written.
pub fn save_model(
    path: &Path,
    plan: &Plan,
    predictor: &Predictor,
    history: &impl Serialize,
) -> anyhow::Result<()> {
    Ok(save(path, &described_with_history(plan, predictor.parameters(), history)?)?)
}

/// Saves to the folder for temporary files what found no room in its own: hours may be in these
/// weights. Gives the file, or nothing where there is no room either.
pub fn rescued(plan: &Plan, save: impl FnOnce(&Path) -> anyhow::Result<()>) -> Option<PathBuf> {
    let file = format!("{}-rescued-{}.pt", plan.config.name, std::process::id());
    let path = std::env::temp_dir().join(file);
    save(&path).ok().map(|()| path)
}

/// The weights with the records that say what they are of and how they came about.
///
/// # Errors
/// When the history holds a number that JSON cannot.
pub fn described_with_history(
    plan: &Plan,
    parameters: &Parameters,
    history: &impl Serialize,
) -> anyhow::Result<Checkpoint> {
    let mut checkpoint = described(plan, parameters);
    let history = serde_json::to_string_pretty(history).context("the history is not JSON")?;
    checkpoint.records.insert(HISTORY.to_owned(), history);
    Ok(checkpoint)
}

/// The weights with the records that say what they are of; there is no history among them yet.
#[must_use]
pub fn described(plan: &Plan, parameters: &Parameters) -> Checkpoint {
    let weights = parameters.iter();
    describe(
        plan,
        weights.map(|Parameter { name, tensor, .. }| (name.clone(), array_of(tensor))).collect(),
    )
}

/// The same of weights that are in no tensor library.
#[must_use]
pub fn describe(plan: &Plan, tensors: Vec<(String, Array)>) -> Checkpoint {
    let records = [(CONFIG, plan.config.to_toml()), (FORMAT, FORMAT_RECORD.to_owned())];
    let records = records.into_iter().map(|(name, text)| (name.to_owned(), text)).collect();
    Checkpoint { tensors, records }
}

/// Copies what one checkpoint says of its training to another.
pub fn carry_history(from: &Checkpoint, to: &mut Checkpoint) {
    if let Some(history) = from.records.get(HISTORY) {
        to.records.insert(HISTORY.to_owned(), history.clone());
    }
}

/// Opens a model: the plan from the file itself, or from `config` where one is named; `overrides` are
/// `key=value`, as after `--set`.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let file = folder.path().join("noise.pt");
/// # let few = ["data.dir=tests/digits", "data.train_samples=32", "data.test_samples=32"];
/// # let few: Vec<String> = few.map(str::to_owned).into();
/// # let config = convae::Source::open("denoise.toml".as_ref(), &few)?;
/// # convae::train(&convae::Plan::new(config)?)?.save(&file)?;
/// let (plan, weights) = convae::open_model(&file, None, &[])?;
/// assert_eq!(plan.input_shape, [28, 28, 1]);
/// let kernel = weights.tensor("encoder.conv2d.weight").unwrap();
/// assert_eq!(kernel.shape(), [32, 1, 3, 3]); // out, in, height, width
/// # anyhow::Ok(())
/// ```
///
/// # Errors
/// When the file is no checkpoint, does not say what it holds, or holds another model.
pub fn open_model(
    path: &Path,
    config: Option<&Path>,
    overrides: &[String],
) -> Result<(Plan, Checkpoint), OpenError> {
    let mut checkpoint = load(path)?;
    if let Some(wrappers) = checkpoint.unwrap_names() {
        let shown = path.display();
        complain(format_args!("{shown}: the names of its weights have {wrappers}, left out"));
    }
    match format_of(&checkpoint) {
        Some(format) if format > NEWEST => {
            return Err(OpenError::Newer { path: path.to_owned(), format });
        }
        _ => {}
    }
    let source = match (config, checkpoint.records.get(CONFIG)) {
        (Some(config), _) => Source::open(config, overrides)?,
        (None, Some(text)) => {
            Source::parse(text, &format!("{} (its {CONFIG})", path.display()), overrides)?
        }
        (None, None) => return Err(OpenError::Nameless { path: path.to_owned() }),
    };
    let plan = Plan::new(source)?;
    match negative_variance(&plan, &checkpoint) {
        Some(problem) => Err(OpenError::NoNumber { path: path.to_owned(), problem }),
        None => Ok((plan, checkpoint)),
    }
}

/// The number that the file gives its format; one of another program's gives none.
fn format_of(checkpoint: &Checkpoint) -> Option<u64> {
    let record: serde_json::Value = serde_json::from_str(checkpoint.records.get(FORMAT)?).ok()?;
    record.get("format")?.as_u64()
}

/// The model with the checkpoint's weights, and nothing to train or run it with; none are drawn.
///
/// # Errors
/// When the weights are not those of the plan's model.
pub(crate) fn restore_model(
    path: &Path,
    plan: &Plan,
    checkpoint: &Checkpoint,
    device: Device,
) -> Result<Model, OpenError> {
    check_size(path, plan, checkpoint)?;
    let model = Model::without_values(plan, device, kind_of(plan.config.train.dtype));
    fill(path, &model.parameters, checkpoint)?;
    Ok(model)
}

/// Refuses a file that claims a model of gigabytes and does not hold it, before memory is taken for the
/// model. Of smaller differences [`fill`] has more to tell.
pub(super) fn check_size(
    path: &Path,
    plan: &Plan,
    checkpoint: &Checkpoint,
) -> Result<(), OpenError> {
    /// Weights that may be missing, in any case.
    const FEW: usize = 1 << 20;
    let nodes = plan.graph.nodes.iter();
    let counts = nodes.map(|node| node.trainable().saturating_add(node.non_trainable()));
    let wanted = counts.fold(0, usize::saturating_add);
    let held: usize = checkpoint.tensors.iter().map(|(_, array)| array.element_count()).sum();
    if wanted <= held.saturating_mul(2).saturating_add(FEW) {
        return Ok(());
    }
    let problem = format!("it holds {held} weights, this model has {wanted}");
    Err(OpenError::OtherModel { path: path.to_owned(), problem })
}

/// Copies the weights of a checkpoint to those of their names.
///
/// # Errors
/// When they are another model's, or no numbers.
pub(crate) fn fill(
    path: &Path,
    parameters: &Parameters,
    checkpoint: &Checkpoint,
) -> Result<(), OpenError> {
    copy_weights(parameters, checkpoint).map_err(|misfit| {
        let path = path.to_owned();
        match misfit {
            Misfit::Other(problem) => OpenError::OtherModel { path, problem },
            Misfit::NoNumber(problem) => OpenError::NoNumber { path, problem },
        }
    })
}

/// Why a checkpoint's tensors cannot be a model's weights; a sentence about the checkpoint as "it".
#[derive(Debug, thiserror::Error)]
pub enum Misfit {
    /// They are another model's.
    #[error("{0}")]
    Other(String),
    /// One of them holds NaN, infinity, or what comes to the same.
    #[error("{0}")]
    NoNumber(String),
}

/// Copies every tensor into the weight of its name.
///
/// # Errors
/// Says of the first tensor that is missing, left over, of another shape, or not finite, what is wrong
/// with it.
pub fn copy_weights(parameters: &Parameters, checkpoint: &Checkpoint) -> Result<(), Misfit> {
    let other = |problem: String| Misfit::Other(problem);
    for Parameter { name, tensor, .. } in parameters.iter() {
        let array = checkpoint.tensor(name).ok_or_else(|| other(format!("it has no `{name}`")))?;
        let shape = tensor.size();
        let found: Vec<i64> = array.shape().iter().map(|&side| side as i64).collect();
        if found != shape {
            let problem = format!("its `{name}` has shape {found:?}, this model's has {shape:?}");
            return Err(other(problem));
        }
        let values = tensor_of(array);
        let values = values.ok_or_else(|| other(format!("its `{name}` holds whole numbers")))?;
        check_finite(name, array, tensor.kind())?;
        no_grad(|| tensor.shallow_clone().copy_(&values));
    }
    let known = |name: &str| parameters.iter().any(|parameter| parameter.name == name);
    match checkpoint.tensors.iter().find(|(name, _)| !known(name) && !is_beside(name)) {
        Some((name, _)) => Err(other(format!("this model has no `{name}`"))),
        None => Ok(()),
    }
}

/// A model with one such weight would give images of nothing but black.
fn check_finite(name: &str, array: &Array, kind: Kind) -> Result<(), Misfit> {
    let kept = |value: f64| if kind == Kind::Float { f64::from(value as f32) } else { value };
    match array.find(|value| !kept(value).is_finite()) {
        Some(value) if value.is_finite() => {
            let problem = format!("its `{name}` holds {value:e}, which is beyond float32");
            Err(Misfit::NoNumber(problem))
        }
        Some(value) => Err(Misfit::NoNumber(format!("its `{name}` holds {value}"))),
        None => Ok(()),
    }
}

/// Of a variance below `-epsilon` there is no root. One that is a little below 0 is rounding's, as of a
/// mean of squares less the square of a mean.
fn negative_variance(plan: &Plan, checkpoint: &Checkpoint) -> Option<String> {
    plan.graph.nodes.iter().find_map(|node| {
        let Layer::BatchNormalization(norm) = &node.layer else { return None };
        let name = format!("{}.running_var", node.path());
        let value = checkpoint.tensor(&name)?.find(|value| value + norm.epsilon <= 0.0)?;
        Some(format!("its `{name}` holds {value}, and no variance is negative"))
    })
}

/// Whether a model's outputs do not depend on the tensor: PyTorch's batch normalisation counts its
/// batches, its `AveragedModel` the models, and a training's checkpoint holds what the training goes on
/// from.
fn is_beside(name: &str) -> bool {
    name.ends_with(".num_batches_tracked")
        || name == "n_averaged"
        || BESIDE.iter().any(|prefix| name.starts_with(prefix))
}

/// The first tensor of a training's state that holds no number. An optimizer's sums of squares may be
/// infinite, which only makes its steps 0.
#[must_use]
pub fn not_a_number(state: &Checkpoint) -> Option<(&str, f64)> {
    let of = |(name, array): &'_ (String, Array)| {
        let infinite = !name.starts_with(OPTIMIZER);
        array.find(|value| value.is_nan() || (infinite && value.is_infinite()))
    };
    state.tensors.iter().find_map(|entry| Some((entry.0.as_str(), of(entry)?)))
}

/// An array of floating-point numbers as a tensor in the CPU's memory; `None` of whole numbers.
#[must_use]
pub fn tensor_of(array: &Array) -> Option<Tensor> {
    let shape: Vec<i64> = array.shape().iter().map(|&side| side as i64).collect();
    let flat = match array.dtype() {
        DType::F32 => Tensor::from_slice(&array.to_values::<f32>().ok()?),
        DType::F64 => Tensor::from_slice(&array.to_values::<f64>().ok()?),
        DType::I64 => return None,
    };
    Some(flat.view(shape.as_slice()))
}

/// A tensor of any layout and device as an array in float32 or float64.
#[must_use]
pub fn array_of(tensor: &Tensor) -> Array {
    let shape: Vec<usize> = tensor.size().iter().map(|&side| side as usize).collect();
    let flat = tensor.detach().to_device(Device::Cpu).contiguous().flatten(0, -1);
    match flat.kind() {
        Kind::Double => filled::<f64>(&shape, &flat),
        _ => filled::<f32>(&shape, &flat.to_kind(Kind::Float)),
    }
}

/// `flat` holds as many values as `shape` asks for.
fn filled<T: Element + tch::kind::Element + Default>(shape: &[usize], flat: &Tensor) -> Array {
    let mut values = vec![T::default(); flat.numel()];
    flat.copy_data(&mut values, flat.numel());
    Array::from_values(shape, &values).expect("a tensor has as many values as its shape says")
}
