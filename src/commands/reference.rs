//! `convae reference`: every key of a config.

use crate::cli::Reference;
use crate::config::{reference, reference_json};
use crate::output;

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
