//! `convae encode`: the codes of pictures, with their names, as a file.

use std::collections::HashMap;

use crate::cli::Encode;
use crate::coder::Coder;
use crate::codes::{Codes, ENDINGS};
use crate::data::Dataset;
use crate::exit::{self, Misuse};
use crate::gallery::{Gallery, found, size_of};
use crate::image_file::FoundImage;
use crate::output::{complain, note};
use crate::output_file;
use crate::plan::{Part, Plan, Shape};
use crate::saved_model::{open_model, restore_part};
use crate::train::choose_device;

/// Writes the codes of the named images, or of the test set; an image that fails does not stop the
/// others.
///
/// # Errors
/// When the checkpoint or the data is refused, no image can be read, or the file cannot be written.
pub fn run(args: &Encode) -> anyhow::Result<u8> {
    output_file::check(&args.out, &ENDINGS, args.overwrite)?;
    let model = &args.model;
    let (plan, checkpoint) =
        open_model(&model.checkpoint, model.config.as_deref(), &model.overrides)?;
    let device = choose_device(&plan.config.train.device)?;
    let (plan, gallery) = if args.images.is_empty() {
        let test = Dataset::open_test(&plan.config.data, plan.input_shape)?;
        (plan, Gallery::of_set(test, None))
    } else {
        let files = found(&args.images)?;
        check_names(&files)?;
        sized(&plan, files)?
    };
    let mut encoder = restore_part(&model.checkpoint, &plan, &checkpoint, Part::Encoder, device)?;

    let (codes, failures) = encode(&plan, &gallery, &mut encoder);
    if !codes.is_empty() {
        codes.save(&args.out)?;
        note(format_args!("{} -> {}", count(&codes), args.out.display()));
    }
    if failures == 0 {
        return Ok(0);
    }
    complain(format_args!("{failures} of {} images failed", gallery.len()));
    Ok(exit::FAILED)
}

/// Refuses two codes of one name, which could neither be told apart nor be decoded.
fn check_names(files: &[FoundImage]) -> Result<(), Misuse> {
    let mut taken: HashMap<String, &FoundImage> = HashMap::new();
    for file in files {
        let name = file.name();
        if let Some(first) = taken.insert(name.clone(), file) {
            return Err(Misuse(doubled(&name, first, file)));
        }
    }
    Ok(())
}

fn doubled(name: &str, first: &FoundImage, second: &FoundImage) -> String {
    let (first, second) = (&first.place, &second.place);
    let place = first.canonicalize();
    if place.is_some() && place == second.canonicalize() {
        return format!("{second} is named twice; name it once");
    }
    format!(
        "the codes of {first} and {second} would both be named {name:?}; name a folder that both are \
         in, or rename one of them"
    )
}

/// Files of one size, which is the first one's, and the model for that size.
///
/// # Errors
/// When the model takes no pictures of that size.
pub fn sized(plan: &Plan, files: Vec<FoundImage>) -> anyhow::Result<(Plan, Gallery)> {
    let [own_height, own_width, channels] = plan.input_shape;
    let (height, width) = size_of(&files).unwrap_or((own_height, own_width));
    let plan = plan.for_size(height, width).map_err(|reason| {
        Misuse(format!(
            "the model does not take pictures of {width}x{height} pixels: {reason}; resize them"
        ))
    })?;
    Ok((plan, Gallery::of_files(files, [height, width, channels])))
}

fn encode(plan: &Plan, gallery: &Gallery, encoder: &mut Coder) -> (Codes, usize) {
    let mut codes = Codes::new(plan.code_shape().0);
    let failures = encoder.encode_each(gallery, |index, code| {
        codes.push(gallery.name(index), code);
    });
    (codes, failures)
}

/// `200 codes of 7x7x8`.
fn count(codes: &Codes) -> String {
    let plural = if codes.len() == 1 { "" } else { "s" };
    format!("{} code{plural} of {}", codes.len(), Shape(codes.shape.clone()))
}
