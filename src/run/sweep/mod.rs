//! One config trained with many values: which runs there are, what has become of them, and the
//! processes that train them.
//!
//! ```text
//! --grid -> combinations -> plans (all, before anything runs) -> record -> children -> comparison
//! ```
//!
//! Each run is a process of its own, so that one that crashes or runs out of memory takes no other
//! along. The sweep holds the other end of its runs' standard input: when the sweep is gone, even by
//! `kill -9`, they save what they learned, and end.

mod base;
mod child;
mod grid;
mod name;
mod progress;
mod record;
mod supervise;

pub use base::{Base, change_in_words};
pub use grid::{Combination, Grid};
pub use record::{Record, RunRecord, State};
pub use supervise::{Job, Outcome, supervise};
