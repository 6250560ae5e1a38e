//! The command line: what can be typed, and how the program ends. No behaviour of its own.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::RangedU64ValueParser;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::codes::CodesError;
use crate::config::ConfigError;
use crate::data::DataError;
use crate::plain_text::one_line;
use crate::saved_model::SavedModelError;
use crate::{commands, exit, export, failure, interrupt, output};

/// What is printed where nothing was asked for.
const FIRST_STEPS: &str = "\
convae trains Keras-equivalent convolutional autoencoders.

Try (where you have the sources, `cargo run --` stands for `convae`):
  convae --config plain.toml                  train an autoencoder on MNIST
  convae --config denoise.toml                train one that removes noise
  convae summary --config denoise.toml        look at the model first
  convae corrupt --config denoise.toml --out looks     and at what it will see
  convae --config denoise.toml --set train.epochs=3 --out runs/longer
  convae --config denoise.toml --set train.epochs=3 --out runs/longer --resume
  convae evaluate --checkpoint runs/noise/noise.pt
  convae apply --checkpoint runs/noise/noise.pt --out cleaned IMAGE...
  convae neighbours --checkpoint runs/noise/noise.pt --out alike.png
  convae export runs/noise/noise.pt --out noise.onnx
  convae sweep --config plain.toml --grid train.batch_size=32,128 --grid seed=1,2
  convae compare runs/normal runs/longer
  convae report runs/noise                    make a run's page anew
  convae reference                            every key of a config
  convae --help                               every option
";

/// Trains Keras-equivalent convolutional autoencoders, plain and denoising, on libtorch.
#[derive(Debug, Parser)]
#[command(name = "convae", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    train: Option<Train>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Apply(Apply),
    Compare(Compare),
    Corrupt(Corrupt),
    Evaluate(Evaluate),
    Encode(Encode),
    Decode(Decode),
    Export(Export),
    Neighbours(Neighbours),
    Summary(Summary),
    Sweep(Sweep),
    Report(Report),
    Reference(Reference),
}

/// Trains the model that a config describes.
#[derive(Debug, Args)]
pub struct Train {
    /// The experiment, looked for here and then under configs/.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Sets a key of the config, like train.epochs=3; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
    /// Folder for the run's files, instead of runs/NAME.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Replaces the run that the folder already holds.
    #[arg(long)]
    pub overwrite: bool,
    /// Goes on with the run that the folder holds, from its last checkpoint.
    #[arg(long)]
    pub resume: bool,
    /// Also writes all that a replay in Keras needs, to an empty folder.
    #[arg(long, value_name = "DIR")]
    pub trace: Option<PathBuf>,
    /// Stops, as by Ctrl-C, when standard input ends: for a sweep's runs, whose sweep holds it open.
    #[arg(long, hide = true)]
    pub attended: bool,
}

/// Trains a config once for every combination of some values, and compares the runs.
///
/// The same call again goes on where it stopped, however it was stopped; with more values it adds
/// their runs.
#[derive(Debug, Args)]
pub struct Sweep {
    /// The experiment, looked for here and then under configs/.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Values of a key, like train.batch_size=32,64; repeated, every combination is trained. Commas
    /// within brackets and quotes belong to a value.
    #[arg(long, required = true, value_name = "KEY=VALUE,...")]
    pub grid: Vec<String>,
    /// Sets a key of the config for all runs, like train.epochs=3; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
    /// Runs at once; these share the cores.
    #[arg(long, value_name = "COUNT", default_value_t = 1,
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=256))]
    pub jobs: usize,
    /// Folder for the runs' folders and their comparison, instead of runs/NAME-sweep.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Prints what differs between runs in config and figures, and draws their curves together.
#[derive(Debug, Args)]
pub struct Compare {
    /// Folders of runs, like runs/noise, or of sweeps.
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// The picture to draw, .png [default: compare.png, unless it is there or --json is given].
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Replaces the picture if it is already there.
    #[arg(long)]
    pub overwrite: bool,
    /// Prints one JSON document instead of the table.
    #[arg(long)]
    pub json: bool,
}

/// Reconstructs or denoises images, of any size where the model's layers allow it.
#[derive(Debug, Args)]
pub struct Apply {
    /// The model to apply.
    #[command(flatten)]
    pub model: SavedModel,
    /// Folder for the results, which keep their images' names and subfolders: PNG, of TIFF a TIFF of as
    /// many pages. Where a.png lies beside a.jpg, they give a.png and a.jpg.png.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Replaces results that are already there; without it they are kept.
    #[arg(long)]
    pub overwrite: bool,
    /// Largest side of the tiles that large images are cut into [default: 256, or what the model
    /// needs].
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(1..))]
    pub tile: Option<u32>,
    /// Lets a grey model take the channels of coloured images one by one; without it, it sees their grey
    /// and gives grey results.
    #[arg(long)]
    pub per_channel: bool,
    /// Writes input, output and their difference side by side, in place of the output.
    #[arg(long)]
    pub compare: bool,
    /// Images (PNG, JPEG, BMP, TIFF, WebP or PNM), folders of them, or `-`: stdin to stdout.
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<PathBuf>,
}

/// Draws what a config does to the data before the model sees it.
#[derive(Debug, Args)]
pub struct Corrupt {
    /// The experiment, looked for here and then under configs/.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Sets a key of the config, like corruption.factor=0.2; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
    /// Folder for the picture, corrupt_NAME.png.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Replaces a picture that is already there.
    #[arg(long)]
    pub overwrite: bool,
}

/// Prints loss, PSNR and SSIM of a trained model on the test set.
#[derive(Debug, Args)]
pub struct Evaluate {
    /// The model to judge.
    #[command(flatten)]
    pub model: SavedModel,
    /// Gaussian noise of these standard deviations, clipped to 0..1, in place of the config's
    /// corruption.
    #[arg(long, value_name = "LEVEL,...", value_delimiter = ',')]
    pub noise: Vec<String>,
    /// Also prints PSNR and SSIM of each picture.
    #[arg(long)]
    pub per_file: bool,
    /// Prints one JSON document instead.
    #[arg(long)]
    pub json: bool,
}

/// Writes the codes of pictures to a file.
#[derive(Debug, Args)]
pub struct Encode {
    /// The model whose encoder to use.
    #[command(flatten)]
    pub model: SavedModel,
    /// File for the codes and the names of their pictures: .npz or .safetensors.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Replaces the file if it is already there.
    #[arg(long)]
    pub overwrite: bool,
    /// Images, or folders of them, of one size; the test set, not corrupted, where none is named.
    #[arg(value_name = "IMAGE")]
    pub images: Vec<PathBuf>,
}

/// Draws pictures from codes.
#[derive(Debug, Args)]
pub struct Decode {
    /// The model whose decoder to use.
    #[command(flatten)]
    pub model: SavedModel,
    /// Codes of this model: .npz or .safetensors, as `convae encode` writes them.
    #[arg(long, value_name = "FILE")]
    pub codes: PathBuf,
    /// Folder for the pictures, which have their codes' names, as PNG.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Replaces pictures that are already there.
    #[arg(long)]
    pub overwrite: bool,
}

/// Writes a trained model as a file that other tools open.
#[derive(Debug, Args)]
pub struct Export {
    /// Weights, as a run left them: .pt or .safetensors.
    #[arg(value_name = "WEIGHTS")]
    pub weights: PathBuf,
    /// What to write; may be left out where the name of --out ends in .onnx, .safetensors or .keras.
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<export::Format>,
    /// The file to write: .onnx, .safetensors, .keras, or .pt for TorchScript.
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
    /// A Python that has Keras, for --format keras [default: $CONVAE_PYTHON, .venv/bin/python or
    /// python3].
    #[arg(long, value_name = "FILE")]
    pub python: Option<PathBuf>,
}

/// Draws pictures beside those whose codes are nearest, by Euclidean distance.
#[derive(Debug, Args)]
pub struct Neighbours {
    /// The model whose encoder to use.
    #[command(flatten)]
    pub model: SavedModel,
    /// The picture to draw: .png.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Replaces the file if it is already there.
    #[arg(long)]
    pub overwrite: bool,
    /// Neighbours of each picture, 1 to 50.
    #[arg(long, value_name = "COUNT", default_value_t = 8,
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=50))]
    pub count: usize,
    /// A folder of images, or one image, to look for neighbours in, instead of the training set.
    #[arg(long, value_name = "FOLDER")]
    pub among: Option<PathBuf>,
    /// Images, or folders of them, of one size; the first ten test pictures where none is named.
    #[arg(value_name = "IMAGE")]
    pub images: Vec<PathBuf>,
}

/// Prints the layers, their output shapes and their parameters.
#[derive(Debug, Args)]
pub struct Summary {
    /// The config to summarise.
    #[arg(long, value_name = "FILE", required_unless_present = "checkpoint")]
    pub config: Option<PathBuf>,
    /// The trained model to summarise.
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    pub checkpoint: Option<PathBuf>,
    /// Sets a key of the config; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
}

/// Prints every section, key and layer of a config, as Markdown.
#[derive(Debug, Args)]
pub struct Reference {
    /// Prints them as JSON, for programs.
    #[arg(long)]
    pub json: bool,
}

/// Makes the page report.html of a finished run anew.
#[derive(Debug, Args)]
pub struct Report {
    /// The run's folder, like runs/noise.
    #[arg(value_name = "RUN_FOLDER")]
    pub run: PathBuf,
    /// Sets a key of the run's config, like data.dir=FOLDER; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
}

/// A trained model.
#[derive(Debug, Args)]
pub struct SavedModel {
    /// Weights, as a run left them: .pt or .safetensors.
    #[arg(long, value_name = "FILE")]
    pub checkpoint: PathBuf,
    /// The model's config, for weights that were not saved by convae.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Sets a key of the config, like data.dir=FOLDER; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let outcome = match parsed(std::env::args_os()) {
        _ if std::env::args_os().len() <= 1 => output::print(FIRST_STEPS).map(|()| 0),
        Ok(cli) => failure::caught(|| run(cli)),
        Err(error) if error.use_stderr() => {
            explain(&error);
            return ExitCode::from(exit::MISUSED);
        }
        Err(help) => {
            let _ = help.print();
            return ExitCode::SUCCESS;
        }
    };
    ExitCode::from(outcome.unwrap_or_else(|error| {
        output::complain(format_args!("{error:#}"));
        code_of(&error)
    }))
}

fn parsed<A: Into<OsString> + Clone>(args: impl Iterator<Item = A>) -> Result<Cli, clap::Error> {
    Cli::command().try_get_matches_from(args).and_then(|matches| Cli::from_arg_matches(&matches))
}

/// Says what is wrong with the command line, of which it repeats a part: without what steers a
/// terminal.
fn explain(error: &clap::Error) {
    let plain = std::env::args_os().map(|arg| one_line(&arg.to_string_lossy()));
    let _ = match parsed(plain) {
        Err(the_same) => the_same.print(),
        Ok(_) => return output::complain(format_args!("{}", error.kind())),
    };
}

fn run(cli: Cli) -> anyhow::Result<u8> {
    interrupt::survive_size_limits()?;
    match (cli.command, cli.train) {
        (Some(Command::Apply(args)), _) => commands::apply::run(&args),
        (Some(Command::Compare(args)), _) => commands::compare::run(&args),
        (Some(Command::Corrupt(args)), _) => commands::corrupt::run(&args),
        (Some(Command::Evaluate(args)), _) => commands::evaluate::run(&args),
        (Some(Command::Encode(args)), _) => commands::encode::run(&args),
        (Some(Command::Decode(args)), _) => commands::decode::run(&args),
        (Some(Command::Export(args)), _) => commands::export::run(&args),
        (Some(Command::Neighbours(args)), _) => commands::neighbours::run(&args),
        (Some(Command::Summary(args)), _) => commands::summary::run(&args),
        (Some(Command::Sweep(args)), _) => commands::sweep::run(&args),
        (Some(Command::Report(args)), _) => commands::report::run(&args),
        (Some(Command::Reference(args)), _) => commands::reference::run(&args),
        (None, Some(args)) => commands::train::run(&args),
        (None, None) => Err(exit::Misuse("name a config: --config denoise.toml".to_owned()).into()),
    }
}

/// The exit code for an error.
fn code_of(error: &anyhow::Error) -> u8 {
    let misused = error.chain().any(|cause| {
        cause.is::<exit::Misuse>()
            || cause.is::<ConfigError>()
            || cause.downcast_ref::<DataError>().is_some_and(DataError::is_misuse)
            || cause.downcast_ref::<SavedModelError>().is_some_and(SavedModelError::is_misuse)
            || cause.downcast_ref::<CodesError>().is_some_and(CodesError::is_misuse)
    });
    if misused { exit::MISUSED } else { exit::FAILED }
}
