//! `convae decode`: draws what a model makes of codes.

use std::collections::{HashMap, HashSet};
use std::path::{Component, Path, PathBuf};

use anyhow::Context;
use clap::Args;

use super::CheckpointArgs;
use crate::data::Scaling;
use crate::engine::choose_device;
use crate::formats::codes::Codes;
use crate::infer::Predictor;
use crate::plan::{Part, Plan, Shape};
use crate::report::range_of;
use crate::report::showcase::{pictures, rasters};
use crate::report::write_png_of_many;
use crate::system::exit::UsageError;
use crate::system::output_folder;
use crate::system::terminal::note;

/// Draws images from codes.
#[derive(Debug, Args)]
pub struct Decode {
    /// The model whose decoder to use.
    #[command(flatten)]
    pub model: CheckpointArgs,
    /// The layer that gives the code, by its name, instead of the last one of the encoder.
    #[arg(long, value_name = "LAYER")]
    pub code: Option<String>,
    /// Codes of this model: .npz or .safetensors, as `convae encode` writes them.
    #[arg(long, value_name = "FILE")]
    pub codes: PathBuf,
    /// Folder for the images, which have their codes' names, as PNG.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Replaces images that are already there.
    #[arg(long)]
    pub overwrite: bool,
}

/// Writes one PNG for each code, by its name.
///
/// # Errors
/// When the codes or the checkpoint are refused, or an image cannot be written.
pub fn run(args: &Decode) -> anyhow::Result<u8> {
    let codes = Codes::open(&args.codes)?;
    let model = &args.model;
    let (plan, checkpoint) = model.open_with_code(args.code.as_deref())?;
    let plan = fitting(args, &plan, &codes)?;
    let device = choose_device(&plan.config.train.device)?;
    let mut decoder =
        Predictor::restore(&model.checkpoint, &plan, &checkpoint, Part::Decoder, device)?;
    let files = files(args, &codes)?;
    let scaling = Scaling::of_trained(&plan.config.data)?;
    output_folder::make(&args.out)?;

    let step = decoder.at_once();
    let inputs = codes.values.chunks(step * codes.length());
    for (input, files) in inputs.zip(files.chunks(step)) {
        let mut output = decoder.predict(input);
        scaling.show(&mut output);
        let is_image = plan.graph.shape(plan.graph.output).0.len() == 3;
        let drawn = if is_image {
            rasters(&output, plan.output_shape())
        } else {
            pictures(&output, plan.output_shape(), range_of(&[&output]))
        };
        for (picture, file) in drawn.iter().zip(files) {
            let folder = file.parent().unwrap_or(&args.out);
            output_folder::make_inside(&args.out, folder).with_context(|| {
                format!("{} cannot be written; name another folder with --out", file.display())
            })?;
            write_png_of_many(file, picture)?;
        }
    }
    let plural = if codes.len() == 1 { "" } else { "s" };
    note(format_args!("{} image{plural} -> {}", codes.len(), args.out.display()));
    Ok(0)
}

/// The model for images whose codes these could be.
fn fitting(args: &Decode, plan: &Plan, codes: &Codes) -> Result<Plan, UsageError> {
    let shape = Shape(codes.shape.clone());
    plan.for_code(&shape).ok_or_else(|| {
        UsageError(format!(
            "{} holds codes of {shape}, the model's are {}; name codes of this model, or the model \
             of these codes",
            args.codes.display(),
            plan.code_shape()
        ))
    })
}

/// Where each image goes: below the folder, by its name, which is not trusted. Where cat.png and
/// cat.jpg would both give cat.png, that is cat.png's, whichever comes first, and cat.jpg gives
/// cat.jpg.png.
fn files(args: &Decode, codes: &Codes) -> Result<Vec<PathBuf>, UsageError> {
    output_folder::check(&args.out)?;
    let plain = codes.names.iter().map(|name| {
        relative(name).ok_or_else(|| {
            UsageError(format!("{} names a code {name:?}; {NAMING}", args.codes.display()))
        })
    });
    let plain: Vec<PathBuf> = plain.collect::<Result<_, _>>()?;
    let mut alike: HashMap<&Path, HashSet<&str>> = HashMap::new();
    for (file, name) in plain.iter().zip(&codes.names) {
        alike.entry(file).or_default().insert(name);
    }
    let mut taken = HashMap::new();
    let mut files = Vec::with_capacity(codes.len());
    for (plain, name) in plain.iter().zip(&codes.names) {
        let contested = plain != Path::new(name) && alike[plain.as_path()].len() > 1;
        let long = || PathBuf::from(name.clone() + ENDING);
        let file = args.out.join(if contested { long() } else { plain.clone() });
        if let Some(first) = taken.insert(file.clone(), name) {
            return Err(UsageError(format!(
                "the codes named {first:?} and {name:?} would both give {}; give them other names",
                file.display()
            )));
        }
        if file.exists() && !args.overwrite {
            return Err(UsageError(format!(
                "{} is already there; add --overwrite to replace it",
                file.display()
            )));
        }
        files.push(file);
    }
    Ok(files)
}

/// Of what is drawn.
const ENDING: &str = ".png";
/// What a name has to be.
const NAMING: &str = "names are paths below the folder for the results, such as cats/1.png";

/// The name with the ending of what is drawn; `None` where it leads out of the folder.
fn relative(name: &str) -> Option<PathBuf> {
    let path = Path::new(name);
    let inside = path.components().all(|part| matches!(part, Component::Normal(_)));
    // Only what follows a name is its ending: `0.5` would lose its last digit.
    let kind = path.extension().and_then(image::ImageFormat::from_extension);
    let stem = if kind.is_some() { path.file_stem()? } else { path.file_name()? };
    let mut file = stem.to_owned();
    file.push(ENDING);
    (inside && !name.contains('\0')).then(|| path.with_file_name(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_folders_and_gets_the_ending_of_a_png() {
        for (name, file) in [
            ("cat.jpg", "cat.png"),
            ("a/b/cat.TIFF", "a/b/cat.png"),
            ("0003", "0003.png"),
            ("between 0.5", "between 0.5.png"),
        ] {
            assert_eq!(relative(name), Some(PathBuf::from(file)), "{name}");
        }
    }

    #[test]
    fn a_name_that_leads_out_of_the_folder_is_none() {
        for name in ["", "/etc/cat.png", "../cat.png", "a/../../cat.png", "..", "a\0b"] {
            assert_eq!(relative(name), None, "{name:?}");
        }
    }
}
