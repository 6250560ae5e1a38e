//! `convae apply`: a trained model on the user's images.

use std::collections::HashSet;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail, ensure};
use image::{DynamicImage, ImageReader};

use crate::cli::Apply;
use crate::exit::{self, Misuse};
use crate::output::{complain, note};
use crate::plan::Plan;
use crate::report::write_png;
use crate::saved_model::{open_model, restore};
use crate::showcase::pictures;
use crate::train::{Learner, choose_device};

/// Writes one PNG for each image; an image that fails does not stop the others.
///
/// # Errors
/// When the checkpoint is refused, or the folder cannot be made.
pub fn run(args: &Apply) -> anyhow::Result<u8> {
    let model = &args.model;
    let (plan, checkpoint) =
        open_model(&model.checkpoint, model.config.as_deref(), &model.overrides)?;
    let device = choose_device(&plan.config.train.device)?;
    let mut learner = restore(&model.checkpoint, &plan, &checkpoint, device)?;
    if args.out.exists() && !args.out.is_dir() {
        return Err(
            Misuse(format!("{} is a file; name a folder with --out", args.out.display())).into()
        );
    }
    std::fs::create_dir_all(&args.out).with_context(|| {
        format!("the folder {} cannot be made; name another one with --out", args.out.display())
    })?;

    let mut written = HashSet::new();
    let mut failures = 0;
    for image in &args.images {
        match apply_one(args, &plan, &mut learner, image, &mut written) {
            Ok(result) => note(format_args!("{} -> {}", image.display(), result.display())),
            Err(error) => {
                complain(format_args!("{}: {error:#}", image.display()));
                failures += 1;
            }
        }
    }
    if failures == 0 {
        return Ok(0);
    }
    complain(format_args!("{failures} of {} images failed", args.images.len()));
    Ok(exit::FAILED)
}

fn apply_one(
    args: &Apply,
    plan: &Plan,
    learner: &mut Learner,
    image: &Path,
    written: &mut HashSet<PathBuf>,
) -> anyhow::Result<PathBuf> {
    let stem = image.file_stem().context("it has no file name")?;
    let result = args.out.join(format!("{}.png", stem.to_string_lossy()));
    ensure!(
        !written.contains(&result),
        "another image has already given {}; rename one of them",
        result.display()
    );
    ensure!(
        !is_same_file(image, &result),
        "its result would replace it; name another folder with --out"
    );
    ensure!(
        args.overwrite || !result.exists(),
        "{} is already there; add --overwrite to replace it",
        result.display()
    );
    let values = read_image(image, plan.input_shape)?;
    let output = learner.predict(&values);
    for picture in pictures(&output, plan.input_shape) {
        write_png(&result, &picture)?;
    }
    written.insert(result.clone());
    Ok(result)
}

fn is_same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// The image's values in 0..1, channels last.
fn read_image(path: &Path, [height, width, channels]: [usize; 3]) -> anyhow::Result<Vec<f32>> {
    let bytes = std::fs::read(path).context("it cannot be read")?;
    // By its content alone: the name's ending may be wrong.
    let format = image::guess_format(&bytes)
        .map_err(|_| anyhow!("it is not an image; give PNG, JPEG, BMP, TIFF, WebP or PNM"))?;
    let reader = || ImageReader::with_format(Cursor::new(&bytes), format);
    let damaged = |error| anyhow!("it is damaged, or of a kind that we do not read ({error})");
    // The size is checked before memory is taken for the pixels.
    let (found_width, found_height) = reader().into_dimensions().map_err(damaged)?;
    ensure!(
        (found_height as usize, found_width as usize) == (height, width),
        "it is {found_width}x{found_height} pixels, the model takes {width}x{height}; resize it"
    );
    let image = reader().decode().map_err(damaged)?;
    match channels {
        1 if is_coloured(&image) => {
            bail!("it is coloured and the model is grey; convert it to grey")
        }
        1 => Ok(image.to_luma32f().into_raw()),
        _ => Ok(image.to_rgb32f().into_raw()),
    }
}

/// Whether some pixel is not grey; grey pictures are often stored as RGB.
fn is_coloured(image: &DynamicImage) -> bool {
    let grey = |pixel: &image::Rgb<u16>| pixel.0[0] == pixel.0[1] && pixel.0[1] == pixel.0[2];
    image.color().has_color() && !image.to_rgb16().pixels().all(grey)
}
