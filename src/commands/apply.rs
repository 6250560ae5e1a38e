//! `convae apply`: a trained model on the user's images.

use std::io::{IsTerminal, Read, stdin, stdout};
use std::path::Path;

use anyhow::{Context, anyhow};

use crate::apply::{Applier, Fit, Jobs, Models, Rendering, Report, run as work_off};
use crate::cli::Apply;
use crate::exit::{self, Misuse};
use crate::image_file::{Format, ImageFile, MOST_PIXELS, decode_bytes, is_tiff};
use crate::interrupt;
use crate::output::{complain, print_bytes};
use crate::output_folder;
use crate::report::{Picture, side_by_side};
use crate::saved_model::open_model;
use crate::train::choose_device;

/// What stands for stdin among the images.
const STDIN: &str = "-";

/// Writes a result for each image; an image that fails does not stop the others.
///
/// # Errors
/// When the checkpoint is refused, or the folder cannot be made.
pub fn run(args: &Apply) -> anyhow::Result<u8> {
    let stream = check_stream(args)?;
    let model = &args.model;
    let (plan, checkpoint) =
        open_model(&model.checkpoint, model.config.as_deref(), &model.overrides)?;
    let device = choose_device(&plan.config.train.device)?;
    let mut applier = Applier {
        fit: Fit::new(&plan, args.tile.map(|side| side as usize))?,
        models: Models::new(&model.checkpoint, &plan, &checkpoint, device)?,
        channels: plan.input_shape[2],
        per_channel: args.per_channel,
    };
    if stream {
        return apply_to_stdin(args, &mut applier);
    }
    let out = open_folder(args.out.as_deref())?;
    interrupt::install()?;
    let format = args.compare.then_some(Format::Png);
    let jobs = Jobs { out, overwrite: args.overwrite, format }.list(&args.images);
    let mut report = Report::new(jobs.len());
    work_off(&jobs, out, &mut applier, rendering(args), &mut report);
    report.end();
    Ok(match report {
        _ if report.left() > 0 => exit::INTERRUPTED,
        _ if report.failed() > 0 => exit::FAILED,
        _ => 0,
    })
}

/// Whether stdin is to be read, which allows nothing else.
fn check_stream(args: &Apply) -> Result<bool, Misuse> {
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
    Err(Misuse(problem.to_owned()))
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

fn apply_to_stdin(args: &Apply, applier: &mut Applier<'_>) -> anyhow::Result<u8> {
    let mut bytes = Vec::new();
    stdin().lock().read_to_end(&mut bytes).context("stdin cannot be read")?;
    let bad = |problem: String| anyhow!("stdin: {problem}");
    let image = decode_bytes(&bytes, MOST_PIXELS).map_err(|problem| bad(problem.to_string()))?;
    let format = if is_tiff(&bytes) && !args.compare { Format::Tiff } else { Format::Png };
    drop(bytes);
    if applier.loses_colour(&image) {
        complain(format_args!(
            "stdin: it is coloured and the model is grey, so the result is grey; --per-channel keeps \
             colours"
        ));
    }
    for output in applier.outputs(vec![image]) {
        let (image, output) = output.map_err(bad)?;
        if output.alpha_dropped {
            complain(format_args!("stdin: its alpha channel is left out"));
        }
        print_bytes(&rendering(args)(&image, output, format).map_err(bad)?)?;
    }
    Ok(0)
}

/// What is written of an image.
fn rendering(args: &Apply) -> Rendering {
    if args.compare {
        |image, output, _| {
            side_by_side(&picture(image), &picture(&output)).map_err(|e| e.to_string())
        }
    } else {
        |_, output, format| output.encode(format).map_err(|problem| problem.to_string())
    }
}

fn picture(image: &ImageFile) -> Picture {
    let [height, width, channels] = image.shape;
    Picture::new(height, width, channels, image.scaled()).expect("an image file has a shape")
}
