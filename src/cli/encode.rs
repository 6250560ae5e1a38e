//! `convae encode`: the codes of images, with their names, as a file.

use std::collections::HashMap;
use std::path::PathBuf;

use clap::Args;

use super::CheckpointArgs;
use crate::data::{Dataset, Scaling};
use crate::engine::choose_device;
use crate::formats::codes::{Codes, ENDINGS};
use crate::formats::image_file::FoundImage;
use crate::infer::Predictor;
use crate::infer::gallery::{Gallery, found, size_of};
use crate::plan::{Part, Plan, Shape};
use crate::system::exit::{self, UsageError};
use crate::system::output_file;
use crate::system::terminal::{complain, note};

/// Writes the codes of images to a file.
#[derive(Debug, Args)]
pub struct Encode {
    /// The model whose encoder to use.
    #[command(flatten)]
    pub model: CheckpointArgs,
    /// The layer that gives the code, by its name, instead of the last one of the encoder.
    #[arg(long, value_name = "LAYER")]
    pub code: Option<String>,
    /// File for the codes and the names of their images: .npz or .safetensors.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Replaces the file if it is already there.
    #[arg(long)]
    pub overwrite: bool,
    /// Images, or folders of them, of one size; the test set, not corrupted, where none is named.
    #[arg(value_name = "IMAGE")]
    pub images: Vec<PathBuf>,
}

/// Writes the codes of the named images, or of the test set; an image that fails does not stop the
/// others.
///
/// # Errors
/// When the checkpoint or the data is refused, no image can be read, or the file cannot be written.
pub fn run(args: &Encode) -> anyhow::Result<u8> {
    output_file::check(&args.out, &ENDINGS, args.overwrite)?;
    let model = &args.model;
    let (plan, checkpoint) = model.open_with_code(args.code.as_deref())?;
    let device = choose_device(&plan.config.train.device)?;
    let (plan, gallery) = if args.images.is_empty() {
        let plan = plan.for_data()?;
        let test = Dataset::open_test(&plan.config.data, plan.seen())?;
        (plan, Gallery::of_set(test, None))
    } else {
        let files = found(&args.images)?;
        check_names(&files)?;
        sized(&plan, files)?
    };
    let mut encoder =
        Predictor::restore(&model.checkpoint, &plan, &checkpoint, Part::Encoder, device)?;

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
fn check_names(files: &[FoundImage]) -> Result<(), UsageError> {
    let mut taken: HashMap<String, &FoundImage> = HashMap::new();
    for file in files {
        let name = file.name();
        if let Some(first) = taken.insert(name.clone(), file) {
            return Err(UsageError(doubled(&name, first, file)));
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
/// When the model takes no images of that size.
pub fn sized(plan: &Plan, files: Vec<FoundImage>) -> anyhow::Result<(Plan, Gallery)> {
    let [own_height, own_width, channels] = plan.input_shape;
    let (height, width) = size_of(&files).unwrap_or((own_height, own_width));
    let plan = plan.for_size(height, width).map_err(|reason| {
        UsageError(format!(
            "the model does not take images of {width}x{height} pixels: {reason}; resize them"
        ))
    })?;
    let scaling = Scaling::of_trained(&plan.config.data)?;
    Ok((plan, Gallery::of_files(files, [height, width, channels], scaling)))
}

fn encode(plan: &Plan, gallery: &Gallery, encoder: &mut Predictor) -> (Codes, usize) {
    let mut codes = Codes::new(plan.code_shape().0.clone());
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
