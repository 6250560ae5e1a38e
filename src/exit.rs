//! How the program ends: exit codes, and which mistakes are the user's.

use crate::config::ConfigError;
use crate::data::DataError;
use crate::saved_model::SavedModelError;

/// Something failed: a file, the disk, the machine.
pub const FAILED: u8 = 1;
/// What the user wrote is wrong.
pub const MISUSED: u8 = 2;
/// Stopped by Ctrl-C, after saving.
pub const INTERRUPTED: u8 = 130;

/// A mistake on the command line that only shows once the program looks at the world.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Misuse(pub String);

/// The exit code for an error.
#[must_use]
pub fn code_of(error: &anyhow::Error) -> u8 {
    let misused = error.chain().any(|cause| {
        cause.is::<Misuse>()
            || cause.is::<ConfigError>()
            || cause.downcast_ref::<DataError>().is_some_and(DataError::is_misuse)
            || cause.downcast_ref::<SavedModelError>().is_some_and(SavedModelError::is_misuse)
    });
    if misused { MISUSED } else { FAILED }
}
