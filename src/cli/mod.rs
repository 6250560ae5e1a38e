//! The command line: what can be typed, and how the program ends. No behaviour of its own.

mod apply;
mod compare;
mod corrupt;
mod decode;
mod encode;
mod evaluate;
mod export;
mod import;
mod neighbours;
mod processes;
mod reference;
mod report;
mod resume;
mod summary;
mod sweep;
mod train;
mod trial;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::config::ConfigError;
use crate::data::DataError;
use crate::formats::checkpoint::Checkpoint;
use crate::formats::codes::CodesError;
use crate::infer::model_file::{OpenError, open_model};
use crate::keras::KerasError;
use crate::plan::Plan;
use crate::system::exit;
use crate::system::failure;
use crate::system::interrupt;
use crate::system::plain_text::one_line;
use crate::system::terminal as output;
use apply::Apply;
use compare::Compare;
use corrupt::Corrupt;
use decode::Decode;
use encode::Encode;
use evaluate::Evaluate;
use export::Export;
use import::Import;
use neighbours::Neighbours;
use reference::Reference;
use report::Report;
use summary::Summary;
use sweep::Sweep;
use train::Train;
use trial::Try;

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
  convae try scans/ --minutes 10              learn from noisy images alone
  convae evaluate --checkpoint runs/noise/noise.pt
  convae apply --checkpoint runs/noise/noise.pt --out cleaned IMAGE...
  convae neighbours --checkpoint runs/noise/noise.pt --out alike.png
  convae export runs/noise/noise.pt --out noise.onnx
  convae import model.keras --out mine        a model of Keras's, to apply and to train on
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
    Import(Import),
    Neighbours(Neighbours),
    Summary(Summary),
    Sweep(Sweep),
    Try(Try),
    Report(Report),
    Reference(Reference),
}

impl Command {
    /// Its name, where it writes or takes long and is no work for several processes: each would do the whole of it.
    fn of_one_process(&self) -> Option<&'static str> {
        match self {
            Self::Corrupt(_) => Some("corrupt"),
            Self::Encode(_) => Some("encode"),
            Self::Decode(_) => Some("decode"),
            Self::Export(_) => Some("export"),
            Self::Import(_) => Some("import"),
            Self::Neighbours(_) => Some("neighbours"),
            Self::Sweep(_) => Some("sweep"),
            Self::Try(_) => Some("try"),
            Self::Report(_) => Some("report"),
            Self::Apply(_)
            | Self::Compare(_)
            | Self::Evaluate(_)
            | Self::Summary(_)
            | Self::Reference(_) => None,
        }
    }
}

/// A trained model.
#[derive(Debug, Args)]
pub struct CheckpointArgs {
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

impl CheckpointArgs {
    /// The model's plan, and its weights.
    fn open(&self) -> Result<(Plan, Checkpoint), OpenError> {
        open_model(&self.checkpoint, self.config.as_deref(), &self.overrides)
    }

    /// The same for what needs the model's code, which the layer of this name gives where one is named.
    fn open_with_code(&self, code: Option<&str>) -> anyhow::Result<(Plan, Checkpoint)> {
        let (plan, checkpoint) = self.open()?;
        let plan = match code {
            Some(name) => plan.with_code(name)?,
            None => plan,
        };
        plan.require_code()?;
        Ok((plan, checkpoint))
    }
}

/// The number of orientations that an image can be seen in.
fn one_of_orientations(text: &str) -> Result<u32, String> {
    match text {
        "1" => Ok(1),
        "4" => Ok(4),
        "8" => Ok(8),
        _ => Err("give 1, 4 or 8".to_owned()),
    }
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let outcome = match parsed(std::env::args_os()) {
        _ if std::env::args_os().len() <= 1 => output::print(FIRST_STEPS).map(|()| 0),
        Ok(cli) => failure::caught(|| run(cli)),
        Err(error) if error.use_stderr() => {
            explain(&error);
            return ExitCode::from(exit::USAGE_ERROR);
        }
        Err(help) => {
            let _ = help.print();
            return ExitCode::SUCCESS;
        }
    };
    ExitCode::from(outcome.unwrap_or_else(|error| {
        complain(&error);
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
    if let Some(name) = cli.command.as_ref().and_then(Command::of_one_process) {
        processes::alone(name)?;
    }
    match (cli.command, cli.train) {
        (Some(Command::Apply(args)), _) => apply::run(&args),
        (Some(Command::Compare(args)), _) => compare::run(&args),
        (Some(Command::Corrupt(args)), _) => corrupt::run(&args),
        (Some(Command::Evaluate(args)), _) => evaluate::run(&args),
        (Some(Command::Encode(args)), _) => encode::run(&args),
        (Some(Command::Decode(args)), _) => decode::run(&args),
        (Some(Command::Export(args)), _) => export::run(&args),
        (Some(Command::Import(args)), _) => import::run(&args),
        (Some(Command::Neighbours(args)), _) => neighbours::run(&args),
        (Some(Command::Summary(args)), _) => summary::run(&args),
        (Some(Command::Sweep(args)), _) => sweep::run(&args),
        (Some(Command::Try(args)), _) => trial::run(&args),
        (Some(Command::Report(args)), _) => report::run(&args),
        (Some(Command::Reference(args)), _) => reference::run(&args),
        (None, Some(args)) => train::run(&args),
        (None, None) => {
            Err(exit::UsageError("name a config: --config denoise.toml".to_owned()).into())
        }
    }
}

/// Says what went wrong; of a Keras file all that is refused, a line each.
fn complain(error: &anyhow::Error) {
    match error.downcast_ref() {
        Some(KerasError::Refused { path, refusals }) => {
            let (path, lines) = (path.display(), refusals.lines());
            match lines.as_slice() {
                [one] => output::complain(format_args!("{path} cannot be opened here: {one}")),
                all => output::complain_of_all(
                    format_args!("{path} cannot be opened here, for these reasons:"),
                    all,
                ),
            }
        }
        _ => output::complain(format_args!("{error:#}")),
    }
}

/// The exit code for an error.
fn code_of(error: &anyhow::Error) -> u8 {
    let usage_error = error.chain().any(|cause| {
        cause.is::<exit::UsageError>()
            || cause.is::<ConfigError>()
            || cause.downcast_ref::<DataError>().is_some_and(DataError::is_usage_error)
            || cause.downcast_ref::<OpenError>().is_some_and(OpenError::is_usage_error)
            || cause.downcast_ref::<KerasError>().is_some_and(KerasError::is_usage_error)
            || cause.downcast_ref::<CodesError>().is_some_and(CodesError::is_usage_error)
    });
    if usage_error { exit::USAGE_ERROR } else { exit::FAILED }
}
