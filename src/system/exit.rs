//! How the program ends: exit codes, and which mistakes are the user's.

/// Something failed: a file, the disk, the machine.
pub const FAILED: u8 = 1;
/// What the user wrote is wrong.
pub const USAGE_ERROR: u8 = 2;
/// Stopped by Ctrl-C, after saving.
pub const INTERRUPTED: u8 = 130;

/// A mistake on the command line that only shows once the program looks at the world.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);
