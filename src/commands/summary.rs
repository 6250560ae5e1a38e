//! `convae summary`: the model as Keras would show it.

use anyhow::Context;

use crate::cli::Summary;
use crate::config::Source;
use crate::output;
use crate::plan::Plan;
use crate::saved_model::open_model;
use crate::summary::summary;

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
