//! What every room stands on: files that are written whole or not at all, signals, memory, randomness,
//! the terminal, exit codes, the processes that train together.
//!
//! Nothing here knows images, models or configs, and nothing here imports from another room.

pub mod atomic;
pub mod child;
pub mod cuda;
pub mod exit;
pub mod failure;
pub mod interrupt;
pub mod memory;
pub mod output_file;
pub mod output_folder;
pub mod plain_text;
pub mod random;
pub mod ranks;
pub(crate) mod regular_file;
pub mod terminal;
pub mod text_file;
pub mod torch_ext;
