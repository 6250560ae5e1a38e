//! Which keys of `[data]` go with one another.

use super::{Graph, Plan, Value};
use crate::config::corruption::CorruptionKind;
use crate::config::data::{ImageFiles, Measured, Per, Place, Scale};
use crate::config::layers::Layer;
use crate::config::method::Method;
use crate::config::sections::Data;
use crate::config::{ConfigError, Source};
use crate::data::corruption::Split;
use crate::data::{Dataset, Images, Measure, Scaling};
use crate::nn::{Activation, Loss, Term};
use crate::system::terminal::complain;

/// Refuses keys of which one would be passed over in silence.
pub(super) fn check(source: &Source, graph: &Graph, input: [usize; 3]) -> Result<(), ConfigError> {
    check_scale(source, graph)?;
    check_clipped(source)?;
    let (test, fraction) = match &source.config.data {
        Data::Idx(idx) => (&idx.test, idx.test_fraction),
        Data::Images(images) => (&images.test, images.files.test_fraction),
        Data::Pairs(pairs) => (&pairs.test, pairs.files.test_fraction),
        Data::Mnist(_) | Data::FashionMnist(_) | Data::Npz(_) => (&None, None),
    };
    if let (Some(test), Some(fraction)) = (test, fraction) {
        let problem = format!("is {fraction}, but `data.test` names {}", test.display());
        return Err(source.error("data.test_fraction", problem, "set one of the two"));
    }
    match &source.config.data {
        Data::Npz(npz) if npz.any_values => check_any_values(source),
        Data::Images(images) => check_size(source, &images.files, input),
        Data::Pairs(pairs) => check_size(source, &pairs.files, input),
        _ => Ok(()),
    }
}

/// What takes values for shades would change those beyond black and white in silence.
fn check_any_values(source: &Source) -> Result<(), ConfigError> {
    let why = "`data.any_values` is set";
    check_corruption(source, why).and_then(|()| check_loss(source, why))
}

/// Targets without noise have no mean that cutting off has changed.
fn check_clipped(source: &Source) -> Result<(), ConfigError> {
    let train = &source.config.train;
    let is_clipped = |term: &Term| matches!(term.loss, Loss::ClippedGaussian { .. });
    let is_clean = |kind: &CorruptionKind| matches!(kind, CorruptionKind::None(_));
    let supervised = matches!(train.method, Method::Supervised(_));
    if !supervised
        || source.config.corruption.0.iter().all(is_clean)
        || !train.loss.0.iter().any(is_clipped)
    {
        return Ok(());
    }
    let problem = "is \"clipped_gaussian\", for targets with noise, but `corruption` makes noise of clean ones";
    Err(source.error("train.loss", problem, "set mean_squared_error, for one"))
}

fn check_corruption(source: &Source, why: &str) -> Result<(), ConfigError> {
    let keeps = |kind: &CorruptionKind| match kind {
        CorruptionKind::Gaussian(gaussian) => !gaussian.clip,
        CorruptionKind::Speckle(speckle) => !speckle.clip,
        CorruptionKind::Downscale(downscale) => !downscale.clip,
        CorruptionKind::None(_) | CorruptionKind::Mask(_) | CorruptionKind::Blur(_) => true,
        CorruptionKind::Poisson(_) | CorruptionKind::SaltAndPepper(_) | CorruptionKind::Jpeg(_) => {
            false
        }
    };
    let Some(kind) = source.config.corruption.0.iter().find(|kind| !keeps(kind)) else {
        return Ok(());
    };
    let problem = format!("is {}, for values in 0..1, but {why}", kind.name());
    let remedy = "set clip=false where the kind has it, or take another kind";
    Err(source.error("corruption", problem, remedy))
}

fn check_loss(source: &Source, why: &str) -> Result<(), ConfigError> {
    let Some(loss) = loss_of_unit(source) else { return Ok(()) };
    let problem = format!("is {:?}, for values in 0..1, but {why}", loss.name());
    Err(source.error("train.loss", problem, "set mean_squared_error, for one"))
}

/// The first loss that is for targets in 0..1.
fn loss_of_unit(source: &Source) -> Option<Loss> {
    let of_unit = |loss: &Loss| {
        matches!(
            loss,
            Loss::BinaryCrossentropy(_)
                | Loss::BinaryFocalCrossentropy { .. }
                | Loss::Poisson
                | Loss::ClippedGaussian { .. }
                | Loss::Dice { .. }
                | Loss::Tversky { .. }
                | Loss::Ssim
                | Loss::MsSsim
        )
    };
    source.config.train.loss.0.iter().map(|term| term.loss).find(of_unit)
}

/// Refuses a scale whose numbers contradict one another, or whose values the model cannot give.
fn check_scale(source: &Source, graph: &Graph) -> Result<(), ConfigError> {
    let Some(scale) = source.config.data.scale() else { return Ok(()) };
    if let Some(Measured { per, offset, factor }) = scale.measured() {
        if offset.is_some() != factor.is_some() {
            let (set, other) = match offset {
                Some(_) => ("offset", "factor"),
                None => ("factor", "offset"),
            };
            let problem = format!("is set, and `data.scale.{other}` is not");
            return Err(source.error(
                &format!("data.scale.{set}"),
                problem,
                "set both, or neither",
            ));
        }
        if *per == Per::Image && offset.is_some() {
            let problem = "is \"image\", but `data.scale.offset` is set for all images";
            return Err(source.error(
                "data.scale.per",
                problem,
                "set per=\"set\", or remove the numbers",
            ));
        }
    }
    if let Scale::Range(_) | Scale::Unit(_) = scale {
        return Ok(());
    }
    let name = scale.name();
    check_loss(source, &format!("`data.scale` is {name:?}, which leads beyond them"))?;
    let Some(activation) = last_activation(graph).filter(|activation| stays_above_0(*activation))
    else {
        return Ok(());
    };
    let problem = format!(
        "is {name:?}, which makes values below 0, but the last activation is {:?}, which gives none",
        activation.name()
    );
    let remedy = "end the model in activation=\"linear\", or set data.scale=\"range\"";
    Err(source.error("data.scale", problem, remedy))
}

/// The function that gives the model's output, where it is one.
fn last_activation(graph: &Graph) -> Option<Activation> {
    let Value::Node(last) = graph.output else { return None };
    match &graph.nodes[last].layer {
        Layer::ReLU(_) => Some(Activation::Relu),
        Layer::Softmax(_) => Some(Activation::Softmax),
        layer => layer.value_of("activation")?.downcast_ref().copied(),
    }
}

fn stays_above_0(activation: Activation) -> bool {
    match activation {
        Activation::Relu
        | Activation::Relu6
        | Activation::Sigmoid
        | Activation::HardSigmoid
        | Activation::Softplus
        | Activation::Softmax
        | Activation::Exponential => true,
        Activation::Linear
        | Activation::LeakyRelu
        | Activation::Elu
        | Activation::Selu
        | Activation::Gelu
        | Activation::Silu
        | Activation::Mish
        | Activation::Tanh
        | Activation::Softsign => false,
    }
}

impl Plan {
    /// Keeps the scale that was measured on the training images.
    ///
    /// # Errors
    /// As [`check_values`](Self::check_values).
    pub fn with_scale_of(mut self, data: &Dataset) -> Result<Self, ConfigError> {
        self.check_values(&data.train, Split::Train)?;
        self.check_values(&data.test, Split::Test)?;
        if let Scaling::Set(_, affine) = data.train.scaling() {
            self.config.data.keep_measured(affine.offset, affine.factor);
        }
        Ok(self)
    }

    /// Whether the corruption and the loss are made for the values of these images. Test images may go beyond the
    /// range of those that the scale was measured on, which is said where the loss is not made for them.
    ///
    /// # Errors
    /// When they go beyond 0..1, where the corruption would clip them, or the loss is for 0..1.
    pub fn check_values(&self, images: &Images, split: Split) -> Result<(), ConfigError> {
        let why = "the images have values beyond them";
        if images.go_beyond() {
            check_corruption(&self.source, why)?;
        }
        if !images.targets_go_beyond() {
            return Ok(());
        }
        match (images.scaling().measure(), split) {
            (Measure::Unit, _) => check_loss(&self.source, why),
            (_, Split::Train) => {
                check_loss(&self.source, "`data.scale` leads training targets beyond them")
            }
            (_, Split::Test) => {
                if let Some(loss) = loss_of_unit(&self.source) {
                    complain(format_args!(
                        "`data.scale` leads test targets beyond 0..1, and train.loss is {:?}, which is not made for \
                         them: judge by PSNR and SSIM",
                        loss.name()
                    ));
                }
                Ok(())
            }
        }
    }
}

fn check_size(
    source: &Source,
    files: &ImageFiles,
    [height, width, _]: [usize; 3],
) -> Result<(), ConfigError> {
    let Some(patches) = &files.patches else { return Ok(()) };
    if let Some(resize) = files.resize {
        let problem = format!("is {:?}, but `data.patches` is set", resize.name());
        return Err(source.error("data.resize", problem, "set one of the two"));
    }
    let on = patches.on.name();
    match (patches.on, patches.stride, patches.per_image) {
        (Place::Random, Some(stride), _) => {
            let problem = format!("is {stride}, but `data.patches.on` is {on:?}");
            let remedy = "remove it, or set data.patches.on=\"grid\"";
            return Err(source.error("data.patches.stride", problem, remedy));
        }
        (Place::Grid, _, Some(count)) => {
            let problem = format!("is {count}, but `data.patches.on` is {on:?}");
            let remedy = "remove it, or set data.patches.on=\"random\"";
            return Err(source.error("data.patches.per_image", problem, remedy));
        }
        _ => {}
    }
    if patches.rotations && height != width {
        let problem = format!("is true, but the model's images are {width}x{height}");
        let remedy = "make model.input_shape a square, or set data.patches.rotations=false";
        return Err(source.error("data.patches.rotations", problem, remedy));
    }
    Ok(())
}
