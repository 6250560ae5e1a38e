//! `convae decode`: draws what a model makes of codes.

use std::collections::{HashMap, HashSet};
use std::path::{Component, Path, PathBuf};

use anyhow::Context;
use clap::{ArgGroup, Args};

use super::CheckpointArgs;
use crate::engine::choose_device;
use crate::formats::codes::Codes;
use crate::infer::Predictor;
use crate::infer::latent;
use crate::plan::{Part, Plan, Shape};
use crate::report::showcase::{decoded, drawn_size};
use crate::report::{MOST_SIDE, Raster, write_png, write_png_of_many};
use crate::system::exit::UsageError;
use crate::system::output_file;
use crate::system::output_folder;
use crate::system::terminal::note;

/// Draws images from codes.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["codes", "grid", "samples"]))]
pub struct Decode {
    /// The model whose decoder to use.
    #[command(flatten)]
    pub model: CheckpointArgs,
    /// The layer that gives the code, by its name, instead of the last one of the encoder.
    #[arg(long, value_name = "LAYER")]
    pub code: Option<String>,
    /// Codes of this model: .npz or .safetensors, as `convae encode` writes them.
    #[arg(long, value_name = "FILE")]
    pub codes: Option<PathBuf>,
    /// Draws the plane of a code of two values: N x N images of the codes of a grid, as one PNG.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(2..=200))]
    pub grid: Option<u16>,
    /// How far the grid reaches from 0, to both sides.
    #[arg(long, value_name = "LENGTH", default_value_t = latent::SCALE, requires = "grid")]
    pub scale: f32,
    /// Draws N images of random codes, from the standard normal distribution and the model's seed, as one PNG.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub samples: Option<u16>,
    /// Draws a walk in ten steps between two codes of --codes, by their names, as one PNG.
    #[arg(long, num_args = 2, value_names = ["FROM", "TO"], requires = "codes")]
    pub walk: Option<Vec<String>>,
    /// Folder for the images, which have their codes' names, as PNG; for --grid, --samples and --walk the PNG.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Replaces images that are already there.
    #[arg(long)]
    pub overwrite: bool,
}

/// Writes one PNG for each code, by its name, or one of many.
///
/// # Errors
/// When the codes or the checkpoint are refused, or an image cannot be written.
pub fn run(args: &Decode) -> anyhow::Result<u8> {
    let codes = match &args.codes {
        Some(file) => Some((file.as_path(), Codes::open(file)?)),
        None => None,
    };
    let model = &args.model;
    let (plan, checkpoint) = model.open_with_code(args.code.as_deref())?;
    let plan = match &codes {
        Some((file, codes)) => fitting(file, &plan, codes)?,
        None => plan,
    };
    let device = choose_device(&plan.config.train.device)?;
    let decoder =
        || Predictor::restore(&model.checkpoint, &plan, &checkpoint, Part::Decoder, device);
    match codes {
        Some((file, codes)) if args.walk.is_none() => {
            let files = files(args, file, &codes)?;
            draw_each(args, &plan, &mut decoder()?, &codes, &files)?;
        }
        codes => {
            output_file::check(&args.out, &["png"], args.overwrite)?;
            let (points, columns) = points(args, &plan, codes.as_ref().map(|(_, codes)| codes))?;
            check_page(&plan, points.len() / plan.code_shape().values(), columns)?;
            let images = drawn(&plan, &mut decoder()?, &points);
            write_png(&args.out, &Raster::mosaic(&images, columns))?;
            note(format_args!("{} images -> {}", images.len(), args.out.display()));
        }
    }
    Ok(0)
}

fn draw_each(
    args: &Decode,
    plan: &Plan,
    decoder: &mut Predictor,
    codes: &Codes,
    files: &[PathBuf],
) -> anyhow::Result<()> {
    output_folder::make(&args.out)?;
    let step = decoder.at_once();
    let inputs = codes.values.chunks(step * codes.length());
    for (input, files) in inputs.zip(files.chunks(step)) {
        for (picture, file) in drawn(plan, decoder, input).iter().zip(files) {
            let folder = file.parent().unwrap_or(&args.out);
            output_folder::make_inside(&args.out, folder).with_context(|| {
                format!("{} cannot be written; name another folder with --out", file.display())
            })?;
            write_png_of_many(file, picture)?;
        }
    }
    let plural = if codes.len() == 1 { "" } else { "s" };
    note(format_args!("{} image{plural} -> {}", codes.len(), args.out.display()));
    Ok(())
}

/// All on one scale.
fn drawn(plan: &Plan, decoder: &mut Predictor, codes: &[f32]) -> Vec<Raster> {
    decoded(plan, &decoder.predict_all(codes))
}

/// The codes of one page, and how many stand side by side.
fn points(
    args: &Decode,
    plan: &Plan,
    codes: Option<&Codes>,
) -> Result<(Vec<f32>, usize), UsageError> {
    let shape = plan.code_shape();
    if let (Some(names), Some(codes)) = (&args.walk, codes) {
        let [from, to] = [&names[0], &names[1]].map(|name| code_named(codes, name));
        return Ok((latent::walk([from?, to?]), latent::STEPS));
    }
    if let Some(count) = args.samples {
        let codes = latent::draws(count.into(), shape.values(), plan.seed());
        return Ok((codes, latent::STEPS.min(count.into())));
    }
    let side = usize::from(args.grid.unwrap_or(2));
    if shape.0[..] != [2] {
        return Err(UsageError(format!(
            "--grid is for codes of two values, and the model's are {shape}; draw random codes with --samples"
        )));
    }
    if !(args.scale.is_finite() && args.scale > 0.0) {
        return Err(UsageError(format!("--scale is {}; give a number above 0", args.scale)));
    }
    Ok((latent::plane(side, args.scale), side))
}

fn code_named<'a>(codes: &'a Codes, name: &str) -> Result<&'a [f32], UsageError> {
    let Some(index) = codes.names.iter().position(|known| known == name) else {
        let names: Vec<&str> = codes.names.iter().map(String::as_str).collect();
        let remedy = crate::config::schema::suggest(name, &names[..names.len().min(NAMES_SHOWN)]);
        return Err(UsageError(format!(
            "--walk names {name:?}, which no code is called; {remedy}"
        )));
    };
    Ok(&codes.values[index * codes.length()..][..codes.length()])
}

/// Refuses what no page would hold, before it is computed.
fn check_page(plan: &Plan, count: usize, columns: usize) -> Result<(), UsageError> {
    let [height, width] = drawn_size(plan.output_shape());
    let sides = [height.saturating_mul(count.div_ceil(columns)), width.saturating_mul(columns)];
    if sides.iter().all(|&side| side <= MOST_SIDE) {
        return Ok(());
    }
    Err(UsageError(format!(
        "the page would be {}x{} pixels, more than {MOST_SIDE} in a side; ask for fewer images",
        sides[1], sides[0]
    )))
}

/// The model for images whose codes these could be.
fn fitting(file: &Path, plan: &Plan, codes: &Codes) -> Result<Plan, UsageError> {
    let shape = Shape(codes.shape.clone());
    plan.for_code(&shape).ok_or_else(|| {
        UsageError(format!(
            "{} holds codes of {shape}, the model's are {}; name codes of this model, or the model \
             of these codes",
            file.display(),
            plan.code_shape()
        ))
    })
}

/// Where each image goes: below the folder, by its name, which is not trusted. Where cat.png and
/// cat.jpg would both give cat.png, that is cat.png's, whichever comes first, and cat.jpg gives
/// cat.jpg.png.
fn files(args: &Decode, of: &Path, codes: &Codes) -> Result<Vec<PathBuf>, UsageError> {
    output_folder::check(&args.out)?;
    let plain = codes.names.iter().map(|name| {
        relative(name)
            .ok_or_else(|| UsageError(format!("{} names a code {name:?}; {NAMING}", of.display())))
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

/// Names that are listed where another one is asked for.
const NAMES_SHOWN: usize = 8;
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
