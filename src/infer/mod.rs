//! Using a trained model: opening it, applying it to images, judging it, taking codes, exporting it.
//!
//! ```text
//! file -> model_file -> Predictor -> apply (tiles) | evaluation (metrics) | encode (gallery, nearest) | export
//! ```
//!
//! Nothing here changes a weight: that is the work of [`mod@crate::train`].

pub mod apply;
pub mod arrays;
mod encode;
pub mod evaluation;
pub mod export;
pub mod gallery;
pub mod latent;
pub mod metrics;
pub mod model_file;
pub mod nearest;
mod predictor;
mod running_loss;

pub use predictor::Predictor;
pub(crate) use predictor::VALUES_AT_ONCE;
pub use running_loss::{LossTotal, RunningLoss};
