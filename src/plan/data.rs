//! Which keys of `[data]` go with one another.

use crate::config::corruption::CorruptionKind;
use crate::config::data::{ImageFiles, Place};
use crate::config::sections::Data;
use crate::config::{ConfigError, Source};
use crate::nn::Loss;

/// Refuses keys of which one would be passed over in silence.
pub(super) fn check(source: &Source, input: [usize; 3]) -> Result<(), ConfigError> {
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
    let keeps = |kind: &CorruptionKind| match kind {
        CorruptionKind::Gaussian(gaussian) => !gaussian.clip,
        CorruptionKind::Speckle(speckle) => !speckle.clip,
        CorruptionKind::Downscale(downscale) => !downscale.clip,
        CorruptionKind::None(_) | CorruptionKind::Mask(_) | CorruptionKind::Blur(_) => true,
        CorruptionKind::Poisson(_) | CorruptionKind::SaltAndPepper(_) | CorruptionKind::Jpeg(_) => {
            false
        }
    };
    if let Some(kind) = source.config.corruption.0.iter().find(|kind| !keeps(kind)) {
        let problem =
            format!("is {}, for values in 0..1, but `data.any_values` is set", kind.name());
        let remedy = "set clip=false where the kind has it, or take another kind";
        return Err(source.error("corruption", problem, remedy));
    }
    let of_unit = |loss: &Loss| {
        matches!(
            loss,
            Loss::BinaryCrossentropy(_)
                | Loss::BinaryFocalCrossentropy { .. }
                | Loss::Poisson
                | Loss::Dice { .. }
                | Loss::Tversky { .. }
                | Loss::Ssim
                | Loss::MsSsim
        )
    };
    let mut losses = source.config.train.loss.0.iter().map(|term| term.loss);
    if let Some(loss) = losses.find(of_unit) {
        let name = loss.name();
        let problem = format!("is {name:?}, for values in 0..1, but `data.any_values` is set");
        return Err(source.error("train.loss", problem, "set mean_squared_error, for one"));
    }
    Ok(())
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
