//! Keras's model files in convae's words: layers, connections and training settings from the JSON that every
//! Keras since 1.2 wrote, and weights laid out as PyTorch has them. What has no word here is refused by the
//! user's own names, all of it at once; nothing of a file is ever run.
//!
//! Bytes are read in [`crate::formats`]; what a model computes is said in [`crate::plan`].

mod activation;
mod blocks;
mod code;
mod dialect;
mod graph;
mod import;
mod json;
mod layers;
mod matching;
mod member;
mod mixed_state;
mod names;
mod notes;
mod operations;
mod optimizer_state;
mod order;
mod references;
mod refusal;
mod stated;
#[cfg(test)]
mod tests;
mod training;
mod translate;
mod version;
mod weights;

pub use import::{Imported, Options, import, import_open};
pub use optimizer_state::State;
pub(crate) use order::containers;
pub use refusal::{KerasError, Refusal, Refusals};
