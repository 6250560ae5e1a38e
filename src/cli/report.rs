//! `convae report`: the page of a run that is over.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use crate::config::Source;
use crate::data::Dataset;
use crate::engine::choose_device;
use crate::infer::Predictor;
use crate::infer::model_file::open_model;
use crate::plan::{Part, Plan};
use crate::report::run_report::write_report;
use crate::run::folder::RunFolder;
use crate::system::exit::UsageError;
use crate::system::terminal::note;
use crate::system::text_file;

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

/// Writes `report.html` from what the run left.
///
/// # Errors
/// When the folder holds no run, or the run's weights or test images cannot be read.
pub fn run(args: &Report) -> anyhow::Result<u8> {
    let folder = finished(args)?;
    let weights = [folder.weights("pt"), folder.weights("safetensors")];
    let weights = weights.iter().find(|path| path.is_file());
    let weights = weights.ok_or_else(|| no_run(args, "it holds no weights"))?;
    let config = folder.config();
    let (plan, checkpoint) = open_model(weights, Some(&config), &args.overrides)?;
    let plan = plan.for_data()?;
    let device = choose_device(&plan.config.train.device)?;
    let mut predictor = Predictor::restore(weights, &plan, &checkpoint, Part::Whole, device)?;
    let test = Dataset::open_test(&plan.config.data, plan.target()?)?;
    write_report(&folder, &plan, &test, &mut predictor, Vec::new())?;
    note(format_args!("Saved {}", folder.report().display()));
    Ok(0)
}

/// The folder of a run that has ended, with the name that its config gives.
fn finished(args: &Report) -> anyhow::Result<RunFolder> {
    let unnamed = RunFolder::of(&args.run, "");
    if !unnamed.config().is_file() || !unnamed.history().is_file() {
        return Err(no_run(args, "config.toml or history.json is missing").into());
    }
    let text = text_file::read(&unnamed.config())
        .with_context(|| format!("{} cannot be read", unnamed.config().display()))?;
    let file = unnamed.config().display().to_string();
    // The files have the name of the run's own config, whatever is set now.
    let plan = Plan::new(Source::parse(&text, &file, &[])?)?;
    Ok(RunFolder::of(&args.run, &plan.config.name))
}

fn no_run(args: &Report, why: &str) -> UsageError {
    let run = args.run.display();
    UsageError(format!(
        "{run} is not the folder of a finished run: {why}; name one like runs/noise"
    ))
}
