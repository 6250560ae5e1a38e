//! `convae export`: a trained model as a file that other tools open.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::infer::export::{Exporter, Format};
use crate::system::exit::UsageError;
use crate::system::output_file;
use crate::system::terminal::note;

/// Writes a trained model as a file that other tools open.
#[derive(Debug, Args)]
pub struct Export {
    /// Weights, as a run left them: .pt or .safetensors.
    #[arg(value_name = "WEIGHTS")]
    pub weights: PathBuf,
    /// What to write; may be left out where the name of --out ends in .onnx, .safetensors, .keras or .h5.
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<crate::infer::export::Format>,
    /// The file to write: .onnx, .safetensors, .keras, .h5 for Keras's load_weights, or .pt for TorchScript.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Replaces the file if it is already there.
    #[arg(long)]
    pub overwrite: bool,
    /// The model's config, for weights that were not saved by convae.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Sets a key of the config, like train.dtype=float32; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
}

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
        return Err(UsageError(sentence).into());
    }
    let mut model = Exporter::open(checkpoint, args.config.as_deref(), &args.overrides)?;
    model.export(format, &args.out)?;
    note(format_args!(
        "{} -> {} ({})",
        checkpoint.display(),
        args.out.display(),
        model.sizes_in(format)
    ));
    for sentence in model.scaled(format).into_iter().chain(model.left_out(format)) {
        note(format_args!("{sentence}"));
    }
    Ok(0)
}

/// The format that was named, or the one that the file's name tells.
fn choose(args: &Export) -> Result<Format, UsageError> {
    if let Some(format) = args.format.or_else(|| Format::told_by(&args.out)) {
        return Ok(format);
    }
    let shown = args.out.display();
    Err(UsageError(if args.out.extension().is_some_and(|ending| ending == "pt") {
        format!(
            "{shown} could be TorchScript or weights alone; say --format torchscript for the former"
        )
    } else {
        format!(
            "{shown} does not tell a format; give it one of the endings .onnx, .safetensors, .keras and .h5, \
             or .pt with --format torchscript"
        )
    }))
}

fn is_same(one: &Path, other: &Path) -> bool {
    let there = one.canonicalize().ok();
    there.is_some() && there == other.canonicalize().ok()
}
