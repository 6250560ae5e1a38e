//! How a run survives its process: checkpoints in its folder, from which `--resume` goes on as if
//! nothing had happened.
//!
//! The order and the noise of an epoch follow from its number, so a checkpoint holds no generator's
//! state and no place in the data but a count of steps.

mod changes;
mod checkpointer;
mod file;
mod folder;

pub use changes::{Change, Kind, changes, check};
pub use checkpointer::FolderKeeper;
pub use file::{Saved, read, write};
pub use folder::{Checkpoints, Place};
