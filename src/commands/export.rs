//! `convae export`: a trained model as a file that other tools open.

use std::path::Path;

use crate::cli::Export;
use crate::exit::Misuse;
use crate::export::{Format, KerasJob, Python, TrainedModel, write_keras_files};
use crate::output::note;
use crate::output_file;

/// Writes the file.
///
/// # Errors
/// When the checkpoint or the name is refused, the format cannot hold the model, or the file cannot
/// be written.
pub fn run(args: &Export) -> anyhow::Result<u8> {
    let format = choose(args)?;
    output_file::check(&args.out, &[format.ending()], args.overwrite)?;
    let checkpoint = &args.weights;
    if is_same(checkpoint, &args.out) {
        let shown = args.out.display();
        let sentence = format!("{shown} is the model itself; name another file with --out FILE");
        return Err(Misuse(sentence).into());
    }
    let mut model = TrainedModel::open(checkpoint, args.config.as_deref(), &args.overrides)?;
    match format {
        Format::Keras => {
            let job = KerasJob { model: &model, path: &args.out };
            write_keras_files(&[job], &Python::find(args.python.as_deref()))?;
        }
        _ => model.export(format, &args.out)?,
    }
    note(format_args!("{} -> {} ({})", checkpoint.display(), args.out.display(), model.sizes()));
    Ok(0)
}

/// The format that was named, or the one that the file's name tells.
fn choose(args: &Export) -> Result<Format, Misuse> {
    if let Some(format) = args.format.or_else(|| Format::told_by(&args.out)) {
        if args.python.is_some() && format != Format::Keras {
            let sentence = "--python is for --format keras only; leave it away";
            return Err(Misuse(sentence.to_owned()));
        }
        return Ok(format);
    }
    let shown = args.out.display();
    Err(Misuse(if args.out.extension().is_some_and(|ending| ending == "pt") {
        format!(
            "{shown} could be TorchScript or weights alone; say --format torchscript for the former"
        )
    } else {
        format!(
            "{shown} does not tell a format; give it one of the endings .onnx, .safetensors and .keras, \
             or .pt with --format torchscript"
        )
    }))
}

fn is_same(one: &Path, other: &Path) -> bool {
    let there = one.canonicalize().ok();
    there.is_some() && there == other.canonicalize().ok()
}
