//! `convae reference`: every key of a config.

use crate::config::reference;

/// Prints the reference as Markdown.
///
/// # Errors
/// None; the signature is that of all commands.
pub fn run() -> anyhow::Result<u8> {
    print!("{}", reference());
    Ok(0)
}
