//! `convae summary`: the model as Keras would show it.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use crate::config::Source;
use crate::infer::model_file::open_model;
use crate::plan::Plan;
use crate::report::summary::summary;
use crate::system::terminal as output;

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

/// Prints the summary of a config's model, or of a checkpoint's.
///
/// # Errors
/// When the config or the checkpoint is refused.
pub fn run(args: &Summary) -> anyhow::Result<u8> {
    let plan = match (&args.config, &args.checkpoint) {
        (Some(config), _) => Plan::new(Source::open(config, &args.overrides)?)?,
        (None, Some(checkpoint)) => open_model(checkpoint, None, &args.overrides)?.0,
        (None, None) => {
            return Err(anyhow::anyhow!("neither a config nor a checkpoint")).context("bug");
        }
    };
    output::print(&summary(&plan))?;
    Ok(0)
}
