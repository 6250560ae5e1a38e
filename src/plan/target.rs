//! Which target fits a model: what it should give for an image, by the shapes of its input and its output, by
//! the kind of the data and by the corruption.

use super::Shape;
use super::loader::image_files;
use crate::config::corruption::CorruptionKind;
use crate::config::sections::Data;
use crate::config::{ConfigError, Source};
use crate::data::Target;

/// What keeps a model from being trained: at which key, what is wrong, and the remedy.
type Refusal = (&'static str, String, String);

/// The target that fits.
///
/// # Errors
/// When there is none: then the model can only predict.
pub(super) fn target(
    source: &Source,
    input: [usize; 3],
    output: [usize; 3],
) -> Result<Target, ConfigError> {
    let list = if source.config.model.layers.is_some() { "model.layers" } else { "model.decoder" };
    let of_shapes = || match &source.config.data {
        Data::Pairs(_) => of_pairs(source, list, input, output),
        _ => of_images(source, list, input, output),
    };
    let target =
        check_channels(&source.config.data, list, input, output).and_then(|()| of_shapes());
    let target =
        target.and_then(|target| check_turns(&source.config.data, &target).map(|()| target));
    target.map_err(|(path, problem, remedy)| source.error(path, problem, remedy))
}

/// Image files are grey or RGB, and nothing but these two becomes the other.
fn check_channels(
    data: &Data,
    list: &'static str,
    [.., seen]: [usize; 3],
    [.., given]: [usize; 3],
) -> Result<(), Refusal> {
    let is_image = |channels: usize| matches!(channels, 1 | 3);
    let of_files = matches!(data, Data::Images(_) | Data::Pairs(_));
    match () {
        () if of_files && !is_image(seen) => Err((
            "model.input_shape",
            format!("has {}, and image files have 1 (grey) or 3 (RGB)", count(seen)),
            "set 1 or 3, or give the images as an array with data.kind=\"npz\"".to_owned(),
        )),
        () if of_files && !is_image(given) => Err((
            list,
            format!("ends in {}, and image files have 1 (grey) or 3 (RGB)", count(given)),
            "change the last layer until it gives 1 or 3".to_owned(),
        )),
        () if seen != given && !(is_image(seen) && is_image(given)) => Err((
            list,
            format!("ends in {}, and the images have {seen}", count(given)),
            "change the layers until the output has as many channels, or has 1 where the images have 3, \
             or 3 where they have 1"
                .to_owned(),
        )),
        () => Ok(()),
    }
}

fn count(channels: usize) -> String {
    if channels == 1 { "1 channel".to_owned() } else { format!("{channels} channels") }
}

/// The noisy images have the input's shape, and the clean ones the output's; where the output is somewhat
/// smaller, as behind convolutions without padding, it is the middle of a clean image as large as the noisy one.
fn of_pairs(
    source: &Source,
    list: &'static str,
    input: [usize; 3],
    output: [usize; 3],
) -> Result<Target, Refusal> {
    if source.config.corruption.shrinking() > 1 {
        return Err((
            "corruption",
            "makes images smaller, and of pairs the noisy ones are small already".to_owned(),
            "set enlarge=true, or remove that downscale".to_owned(),
        ));
    }
    let clean = [input[0], input[1], output[2]];
    let target = Target { input, output, drawn: input, clean };
    let whole = |axis: usize| {
        let (seen, given) = (input[axis], output[axis]);
        given.is_multiple_of(seen) || seen.is_multiple_of(given)
    };
    match () {
        () if whole(0) && whole(1) => Ok(Target { clean: output, ..target }),
        () if is_middle(&target) => Ok(target),
        () => Err((
            list,
            misfit(input, output),
            "change the layers until each side of the output is the input's, or a whole number of times as \
             large or as small"
                .to_owned(),
        )),
    }
}

/// Input and output are made of the same image.
fn of_images(
    source: &Source,
    list: &'static str,
    input: [usize; 3],
    output: [usize; 3],
) -> Result<Target, Refusal> {
    check_shrinking(source)?;
    let factor = source.config.corruption.shrinking();
    let [height, width] = [input[0], input[1]].map(|side| side.saturating_mul(factor));
    let drawn = [height, width, input[2]];
    let target = Target { input, output, drawn, clean: [height, width, output[2]] };
    if is_middle(&target) {
        return Ok(target);
    }
    let times = |axis: usize| output[axis] / input[axis];
    let enlarges = output[0] == input[0] * times(0) && output[1] == input[1] * times(0);
    if enlarges && times(0) > 1 && factor == 1 {
        let remedy = format!(
            "let it see images that are {} times smaller, with {{ kind = \"downscale\", scale = {}, enlarge \
             = false }} in corruption, or give data.kind=\"pairs\"",
            times(0),
            times(0)
        );
        return Err((list, misfit(input, output), remedy));
    }
    if factor > 1 {
        let problem = format!(
            "makes images {factor} times smaller, but the model gives {} for {}",
            size(output),
            size(input)
        );
        let remedy = "set scale to how many times larger the output is, or enlarge=true".to_owned();
        return Err(("corruption", problem, remedy));
    }
    let remedy = "change the layers until the output has the input's shape, or somewhat less of its middle; \
                  or give what it should give with data.kind=\"pairs\"";
    Err((list, misfit(input, output), remedy.to_owned()))
}

/// The model's input has one size, so images do not become smaller by one factor and another.
fn check_shrinking(source: &Source) -> Result<(), Refusal> {
    let drawn = |kind: &CorruptionKind| matches!(kind, CorruptionKind::Downscale(own) if !own.enlarge && own.scale.is_drawn());
    if source.config.corruption.0.iter().any(drawn) {
        return Err((
            "corruption",
            "draws the scale of a downscale with enlarge=false, and the model sees images of one size"
                .to_owned(),
            "give one scale".to_owned(),
        ));
    }
    Ok(())
}

/// Whether the output is the middle of what is cut from the clean image: all of it, or more than half a side.
/// A model that gives less was hardly made for the middle.
fn is_middle(Target { clean, output, .. }: &Target) -> bool {
    [0, 1].into_iter().all(|axis| output[axis] <= clean[axis] && clean[axis] < 2 * output[axis])
}

/// Turned by a quarter, a patch that is no square has another shape.
fn check_turns(data: &Data, Target { drawn, clean, .. }: &Target) -> Result<(), Refusal> {
    let Some(files) = image_files(data) else { return Ok(()) };
    let turns = files.patches.as_ref().is_some_and(|patches| patches.rotations);
    if !turns || (drawn[0] == drawn[1] && clean[0] == clean[1]) {
        return Ok(());
    }
    Err((
        "data.patches.rotations",
        format!("is true, but the clean patches are {}", size(*clean)),
        "set data.patches.rotations=false".to_owned(),
    ))
}

fn misfit(input: [usize; 3], output: [usize; 3]) -> String {
    let [input, output] = [input, output].map(|shape| Shape(shape.to_vec()));
    format!("ends in {output}, but the images are {input}")
}

/// As people say it.
fn size([height, width, _]: [usize; 3]) -> String {
    format!("{width}x{height}")
}
