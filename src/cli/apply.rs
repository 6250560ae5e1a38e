//! `convae apply`: a trained model on the user's images.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Cursor, IsTerminal, Read, Seek, stdin, stdout};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::Args;
use sha2::{Digest, Sha256};

use super::{CheckpointArgs, one_of_orientations, processes};
use crate::config::sections::Precision;
use crate::data::{Affine, Measure, Scaling};
use crate::engine::choose_device_of;
use crate::formats::image_file::{
    Album, Format, ImageFile, ImageProblem, Loss, MOST_PIXELS, TiffPages,
};
use crate::infer::apply::{
    Engines, Fit, Job, Jobs, Rendering, Report, TiledPredictor, orientations, run as work_off,
};
use crate::infer::arrays::{
    ArrayPredictor, Outputs, check_place, is_array, result_of, write_archive,
};
use crate::plan::{Axis, Plan, Scale};
use crate::report::{Raster, side_by_side};
use crate::system::exit::{self, UsageError};
use crate::system::interrupt;
use crate::system::output_file;
use crate::system::output_folder;
use crate::system::ranks::{Apart, Share, share_cores};
use crate::system::terminal::{complain, note, print_bytes, speak_as};

/// Reconstructs or denoises images, of any size where the model's layers allow it.
#[derive(Debug, Args)]
pub struct Apply {
    /// The model to apply.
    #[command(flatten)]
    pub model: CheckpointArgs,
    /// Folder for the results, which keep their images' names and subfolders: PNG, of TIFF a TIFF of as
    /// many pages. Where a.png lies beside a.jpg, they give a.png and a.jpg.png. Of arrays, a file too: .npy for the
    /// result of one, .npz for those of all by their names.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Replaces results that are already there; without it they are kept.
    #[arg(long)]
    pub overwrite: bool,
    /// Largest side of the tiles that large images are cut into [default: 384, or what the model
    /// needs].
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(1..))]
    pub tile: Option<u32>,
    /// Lets a grey model take the channels of coloured images one by one; without it, it sees their grey
    /// and gives grey results.
    #[arg(long)]
    pub per_channel: bool,
    /// Gives the mean of the model's outputs on 4 quarter turns of an image, or on all 8 flips and turns, each
    /// turned back: better results in 4 or 8 times the time.
    #[arg(long, value_name = "COUNT", default_value = "1", value_parser = one_of_orientations)]
    pub augment: u32,
    /// Computes in `float32`, or in `bfloat16`, which keeps 8 significant bits of every value within the model and needs
    /// a GPU, or a processor with AVX-512 BF16 or AMX; without it, in the precision of the training.
    #[arg(long, value_name = "NAME", value_parser = precision)]
    pub precision: Option<Precision>,
    /// Writes input, output and their difference side by side, in place of the output.
    #[arg(long)]
    pub compare: bool,
    /// Images (PNG, JPEG, BMP, TIFF, WebP or PNM), folders of them, or `-`: stdin to stdout. Or arrays (.npy, .csv)
    /// of samples, whose results are .npy or go into one .npz.
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<PathBuf>,
}

fn precision(name: &str) -> Result<Precision, String> {
    match name {
        "float32" => Ok(Precision::Float32),
        "bfloat16" => Ok(Precision::MixedBfloat16),
        _ => Err("give float32 or bfloat16".to_owned()),
    }
}

/// What stands for stdin among the images.
const STDIN: &str = "-";

/// Writes a result for each image; an image that fails does not stop the others.
///
/// # Errors
/// When the checkpoint is refused, or the folder cannot be made.
pub fn run(args: &Apply) -> anyhow::Result<u8> {
    let stream = check_stream(args)?;
    let arrays = check_arrays(args)?;
    let model = &args.model;
    let (mut plan, checkpoint) = model.open()?;
    if let Some(precision) = args.precision {
        plan.config.train.dtype = precision;
    }
    let place = Apart::of_environment();
    share_cores(place.map_or(1, |own| own.local_size));
    if stream || arrays {
        processes::alone("apply to arrays or to stdin")?;
    }
    let device =
        choose_device_of(&plan.config.train.device, place.map_or(0, |own| own.local_rank))?;
    if arrays {
        let model = ArrayPredictor::new(&model.checkpoint, plan, &checkpoint, device)?;
        return apply_to_arrays(args, model);
    }
    let fit = Fit::new(&plan, args.tile.map(|side| side as usize))?;
    let engines = Engines::new(&model.checkpoint, &plan, &checkpoint, device)?;
    let orientations = orientations(&plan, args.augment)?;
    let mut predictor =
        TiledPredictor::new(&plan, fit, engines, args.per_channel)?.averaged_over(orientations);
    if let Some(sentence) = other_size(&plan) {
        complain(format_args!("{sentence}"));
    }
    if stream {
        return apply_to_stdin(args, &mut predictor);
    }
    let out = open_folder(args.out.as_deref())?;
    if place.is_some() {
        check_apart(&args.images, out)?;
    }
    interrupt::install()?;
    let format = args.compare.then_some(Format::Png);
    let jobs = Jobs { out, overwrite: args.overwrite, format }.list(&args.images);
    let jobs = own_share(jobs, place);
    let mut report = Report::new(jobs.len(), place.is_none());
    work_off(&jobs, out, &mut predictor, rendering(args), &mut report);
    report.end();
    Ok(match report {
        _ if report.left() > 0 => exit::INTERRUPTED,
        _ if report.failed() > 0 => exit::FAILED,
        _ => 0,
    })
}

/// What this process does of what several do, which need not meet for it: each image is one process's by its name, as lists
/// that are made while others already write may differ.
fn own_share(mut jobs: Vec<Job>, place: Option<Apart>) -> Vec<Job> {
    let Some(Apart { share: Share { rank, of }, .. }) = place else { return jobs };
    if rank > 0 {
        speak_as(rank);
    }
    let all = jobs.len();
    jobs.retain(|job| owner(&job.image, of) == rank);
    note(format_args!("rank {rank} of {of}: {} of {all} images", jobs.len()));
    jobs
}

/// Which of so many processes an image is for, by its name alone. (A CRC would not do: of names that differ in one digit it
/// is even for all, or odd.)
fn owner(image: &Path, processes: usize) -> usize {
    let digest = Sha256::digest(image.as_os_str().as_encoded_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    (u64::from_le_bytes(first) % processes as u64) as usize
}

/// Refuses results among the images that are looked for, where another process would take them for images.
fn check_apart(images: &[PathBuf], out: &Path) -> Result<(), UsageError> {
    let same = |folder: &&PathBuf| {
        folder.is_dir() && folder.canonicalize().ok() == out.canonicalize().ok()
    };
    match images.iter().find(same) {
        None => Ok(()),
        Some(folder) => Err(UsageError(format!(
            "--out {} is the folder of the images, where several processes would take results for images; name another one",
            folder.display()
        ))),
    }
}

/// Whether arrays are named, which go through the model as they are.
fn check_arrays(args: &Apply) -> Result<bool, UsageError> {
    let count = args.images.iter().filter(|path| is_array(path)).count();
    let of_images = [
        ("--tile", args.tile.is_some()),
        ("--per-channel", args.per_channel),
        ("--augment", args.augment > 1),
        ("--compare", args.compare),
    ];
    let option = of_images.into_iter().find(|(_, given)| *given);
    match (count, option) {
        (0, _) => match array_file(args) {
            Some(out) => Err(UsageError(format!(
                "--out {} is a file for the results of arrays, and images are named; name a folder",
                out.display()
            ))),
            None => Ok(false),
        },
        (count, _) if count < args.images.len() => Err(UsageError(
            "arrays and images are named together; apply the model to each kind by itself"
                .to_owned(),
        )),
        (_, Some((option, _))) => {
            Err(UsageError(format!("{option} is for images, and arrays are named; leave it out")))
        }
        _ => Ok(true),
    }
}

/// The file that arrays' results go to, where `--out` names one: by its ending.
fn array_file(args: &Apply) -> Option<&Path> {
    let out = args.out.as_deref()?;
    (!out.is_dir() && is_array(out)).then_some(out)
}

fn apply_to_arrays(args: &Apply, model: ArrayPredictor<'_>) -> anyhow::Result<u8> {
    match array_file(args) {
        Some(out) => apply_into_file(args, model, out),
        None => apply_into_folder(args, model),
    }
}

/// An array that fails does not stop the others.
fn apply_into_folder(args: &Apply, mut model: ArrayPredictor<'_>) -> anyhow::Result<u8> {
    check_names(args)?;
    let folder = open_folder(args.out.as_deref())?;
    let mut failed = 0;
    for array in &args.images {
        let out = result_of(array, folder);
        if out.exists() && !args.overwrite {
            let to = out.display();
            note(format_args!("{to} is there already and is kept; --overwrite replaces it"));
            continue;
        }
        let done = check_place(array, &out).and_then(|()| {
            let outputs = model.outputs(array)?;
            outputs.write(&out)?;
            Ok(outputs)
        });
        match done {
            Ok(outputs) => tell(array, &out, &outputs),
            Err(error) => {
                complain(format_args!("{error:#}"));
                failed += 1;
            }
        }
    }
    Ok(if failed > 0 { exit::FAILED } else { 0 })
}

/// All results, or none.
fn apply_into_file(args: &Apply, mut model: ArrayPredictor<'_>, out: &Path) -> anyhow::Result<u8> {
    output_file::check(out, &["npy", "npz"], args.overwrite)?;
    check_names(args)?;
    let is_archive = out.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npz"));
    if !is_archive && args.images.len() > 1 {
        let out = out.display();
        return Err(UsageError(format!(
            "--out {out} holds the result of one array, and {} are named; name a .npz or a folder",
            args.images.len()
        ))
        .into());
    }
    let mut all = Vec::new();
    for array in &args.images {
        check_place(array, out)?;
        all.push((array.as_path(), model.outputs(array)?));
    }
    match &all[..] {
        [(_, outputs)] if !is_archive => outputs.write(out)?,
        all => write_archive(out, all)?,
    }
    for (array, outputs) in &all {
        tell(array, out, outputs);
    }
    Ok(0)
}

fn tell(array: &Path, out: &Path, outputs: &Outputs) {
    let (from, to) = (array.display(), out.display());
    note(format_args!("{from} -> {to}: {} samples", outputs.shape[0]));
}

/// Every array's result has a name of its own.
fn check_names(args: &Apply) -> Result<(), UsageError> {
    let mut results = HashMap::new();
    for array in &args.images {
        if let Some(other) = results.insert(result_of(array, Path::new("")), array) {
            let [array, other] = [array, other].map(|path| path.display());
            return Err(UsageError(format!(
                "the results of {other} and {array} would have one name; apply the model to each by itself"
            )));
        }
    }
    Ok(())
}

/// What becomes of sizes, where a result has another than its image.
fn other_size(plan: &Plan) -> Option<String> {
    let becomes = |axis: Axis, side: &str| {
        let Scale { fine, coarse, lost } = plan.scale(axis)?;
        let times = match (fine, coarse) {
            (1, 1) => String::new(),
            (fine, 1) => format!(" times {fine}"),
            (1, coarse) => format!(" divided by {coarse}"),
            (fine, coarse) => format!(" times {fine}/{coarse}"),
        };
        let less = if lost > 0 { format!(" less {lost}") } else { String::new() };
        let same = times.is_empty() && less.is_empty();
        (!same).then(|| format!("its {side}{times}{less}"))
    };
    let sides = [becomes(Axis::Columns, "width"), becomes(Axis::Rows, "height")];
    let sides: Vec<String> = sides.into_iter().flatten().collect();
    (!sides.is_empty()).then(|| format!("an image becomes one of {}", sides.join(" and ")))
}

/// Whether stdin is to be read, which allows nothing else.
fn check_stream(args: &Apply) -> Result<bool, UsageError> {
    let streams = args.images.iter().any(|image| image == Path::new(STDIN));
    let problem = match &args.out {
        None if !streams => "there is no folder for the results; name one with --out DIR",
        _ if streams && args.images.len() > 1 => {
            "`-` (stdin) is one image; give it alone, or give files and folders with --out DIR"
        }
        Some(_) if streams => "`-` writes its result to stdout; leave --out away",
        None if stdout().is_terminal() => {
            "the result of `-` is an image, not text for a terminal; send it to a file: > out.png"
        }
        _ => return Ok(streams),
    };
    Err(UsageError(problem.to_owned()))
}

/// Makes the folder, and finds out whether it can be written to.
fn open_folder(out: Option<&Path>) -> anyhow::Result<&Path> {
    let out = out.unwrap_or(Path::new(".")); // `check_stream` has asked for one
    output_folder::check(out)?;
    output_folder::make(out)?;
    let shown = out.display();
    tempfile::tempfile_in(out).with_context(|| {
        format!("the folder {shown} cannot be written to; name another one with --out")
    })?;
    Ok(out)
}

fn apply_to_stdin(args: &Apply, predictor: &mut TiledPredictor<'_>) -> anyhow::Result<u8> {
    let mut bytes = Vec::new();
    stdin().lock().read_to_end(&mut bytes).context("stdin cannot be read")?;
    let bad = |problem: String| anyhow!("stdin: {problem}");
    let refused = |problem: ImageProblem| bad(problem.to_string());
    let mut album = Album::of(Cursor::new(bytes)).map_err(refused)?;
    let mut losses: Vec<Loss> = album
        .left_out()
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(loss, _)| loss)
        .collect();
    let format = if album.is_tiff() && !args.compare { Format::Tiff } else { Format::Png };
    let pages = album.len();
    if pages > 1 && format == Format::Png {
        return Err(bad(format!("it has {pages} pages; leave --compare out")));
    }
    // Pages go to a file one by one, as all of them may be more than the memory.
    let mut stack = if pages > 1 {
        Some(Spool::new(album.most_bytes().saturating_mul(predictor.growth()))?)
    } else {
        None
    };
    for page in 0..pages {
        let bad = |problem: String| match pages {
            1 => anyhow!("stdin: {problem}"),
            _ => anyhow!("stdin[{page}]: {problem}"),
        };
        let image = album.decode(page, MOST_PIXELS).map_err(|problem| bad(problem.to_string()))?;
        if predictor.loses_colour(&image) {
            losses.push(Loss::Colour);
        }
        let outputs = predictor.outputs(vec![image]);
        for output in outputs {
            let (image, output) = output.map_err(bad)?;
            if let Some(spool) = &mut stack {
                losses.extend(output.losses(format));
                spool.pages.add(&output).map_err(refused)?;
                continue;
            }
            let (bytes, lost) = rendering(args)(&image, output, format).map_err(bad)?;
            losses.extend(lost);
            print_bytes(&bytes)?;
        }
    }
    if let Some(spool) = stack {
        spool.print()?;
    }
    losses.sort();
    losses.dedup();
    if !losses.is_empty() {
        let names: Vec<_> = losses.iter().map(|loss| loss.name(1)).collect();
        let remedy = if losses.contains(&Loss::Colour) {
            "; the model is grey, and --per-channel keeps colours"
        } else {
            ""
        };
        complain(format_args!("stdin: the result is without {}{remedy}", names.join(" and ")));
    }
    Ok(0)
}

/// A TIFF on its way to stdout.
struct Spool {
    file: File,
    pages: TiffPages<File>,
}

impl Spool {
    fn new(bytes: u64) -> anyhow::Result<Self> {
        let spool = || -> io::Result<_> {
            let file = tempfile::tempfile()?;
            Ok((file.try_clone()?, file))
        };
        let (file, writer) = spool().context("a temporary file cannot be made; set TMPDIR")?;
        Ok(Self { file, pages: TiffPages::new(writer, bytes)? })
    }

    fn print(self) -> anyhow::Result<()> {
        let Self { mut file, pages } = self;
        drop(pages);
        file.rewind()?;
        let mut part = vec![0; 1 << 20];
        loop {
            match file.read(&mut part)? {
                0 => return Ok(()),
                count => print_bytes(&part[..count])?,
            }
        }
    }
}

/// What is written of an image.
fn rendering(args: &Apply) -> Rendering {
    if args.compare {
        |image, output, _| {
            let shown = shown_of(image);
            let drawn = side_by_side(&raster_of(image, shown), &raster_of(&output, shown));
            Ok((drawn.map_err(|e| e.to_string())?, output.all_losses()))
        }
    } else {
        |_, output, format| {
            let bytes = output.encode(format).map_err(|problem| problem.to_string())?;
            Ok((bytes, output.losses(format)))
        }
    }
}

/// What of an image is drawn as black and white: of floats beyond 0..1 all but a few odd pixels.
fn shown_of(image: &ImageFile) -> Affine {
    if image.samples.check_unit().is_ok() {
        return Affine::UNIT;
    }
    let most = Scaling::EachImage(Measure::Percentile([0.1, 99.9]));
    most.of_image(&image.samples).unwrap_or(Affine::UNIT)
}

fn raster_of(image: &ImageFile, shown: Affine) -> Raster {
    let [height, width, channels] = image.shape;
    let mut values = image.scaled();
    shown.apply(&mut values);
    Raster::new(height, width, channels, values).expect("an image file has a shape")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_about_evenly_shared_out_by_name() {
        for processes in [2, 3, 8] {
            let mut shares = vec![0; processes];
            for number in 0..1000 {
                shares[owner(Path::new(&format!("images/{number}.png")), processes)] += 1;
            }
            let even = 1000.0 / processes as f64;
            let spread = 4.0 * even.sqrt();
            assert!(
                shares.iter().all(|&share| (f64::from(share) - even).abs() < spread),
                "{shares:?}"
            );
        }
    }
}
