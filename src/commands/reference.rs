//! `convae reference`: every key of a config.

use crate::config::reference;
use crate::output;

/// Prints the reference as Markdown.
///
/// # Errors
/// When it cannot be printed.
pub fn run() -> anyhow::Result<u8> {
    output::print(&reference())?;
    Ok(0)
}
