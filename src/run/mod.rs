//! Runs on disk: a run's folder and its lock, the checkpoints that a stopped run resumes from, the
//! comparison of finished runs, sweeps, which train many runs as processes, one run in several processes, and the choice of a training
//! for a folder.
//!
//! What a step of training does is in [`mod@crate::train`]; how a run is drawn is in [`crate::report`].

pub mod comparison;
pub mod folder;
pub mod lock;
pub mod processes;
pub mod resume;
pub mod sweep;
pub mod trial;
