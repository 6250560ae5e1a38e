//! `convae reference`: every key of a config.

use clap::Args;

use crate::config::{reference, reference_json};
use crate::system::terminal as output;

/// Prints every section, key and layer of a config, as Markdown.
#[derive(Debug, Args)]
pub struct Reference {
    /// Prints them as JSON, for programs.
    #[arg(long)]
    pub json: bool,
}

/// Prints the reference as Markdown, or as JSON.
///
/// # Errors
/// When it cannot be printed.
pub fn run(args: &Reference) -> anyhow::Result<u8> {
    let page = if args.json {
        serde_json::to_string_pretty(&reference_json())? + "\n"
    } else {
        reference()
    };
    output::print(&page)?;
    Ok(0)
}
