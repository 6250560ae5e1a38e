//! `convae apply`: a trained model on the user's images.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use image::{DynamicImage, ImageReader};

use crate::cli::Apply;
use crate::exit;
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
    let learner = restore(&model.checkpoint, &plan, &checkpoint, device)?;
    std::fs::create_dir_all(&args.out).with_context(|| {
        format!("the folder {} cannot be made; name another one with --out", args.out.display())
    })?;

    let mut written = HashSet::new();
    let mut failures = 0;
    for image in &args.images {
        match apply_one(args, &plan, &learner, image, &mut written) {
            Ok(result) => println!("{} -> {}", image.display(), result.display()),
            Err(error) => {
                eprintln!("convae: {}: {error:#}", image.display());
                failures += 1;
            }
        }
    }
    if failures == 0 {
        return Ok(0);
    }
    eprintln!("convae: {failures} of {} images failed", args.images.len());
    Ok(exit::FAILED)
}

fn apply_one(
    args: &Apply,
    plan: &Plan,
    learner: &Learner,
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

/// The image's values in 0..1, channels last.
fn read_image(path: &Path, [height, width, channels]: [usize; 3]) -> anyhow::Result<Vec<f32>> {
    let reader = ImageReader::open(path).context("it cannot be opened")?;
    let reader = reader.with_guessed_format().context("it cannot be read")?;
    if reader.format().is_none() {
        bail!("it is not an image; give PNG, JPEG, BMP, TIFF, WebP or PNM");
    }
    let image = reader.decode().context("it is damaged, or of a kind that we do not read")?;
    let (found_height, found_width) = (image.height() as usize, image.width() as usize);
    ensure!(
        (found_height, found_width) == (height, width),
        "it is {found_width}x{found_height} pixels, the model takes {width}x{height}; resize it"
    );
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
