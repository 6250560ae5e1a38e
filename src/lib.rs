//! Trains Keras-equivalent convolutional autoencoders, plain and denoising, on libtorch or kernels of its own.
//!
//! The data flow:
//!
//! ```text
//! TOML -> config -> plan (graph) -> data: batches(seed, epoch) -> engine: loss, gradient
//!      -> optim -> train: history, checkpoints -> report
//! file -> infer: Predictor -> apply, evaluate, encode, decode, export
//! ```
//!
//! # Rooms
//!
//! Each folder is a room. A room uses the rooms below it in this table and none above;
//! `tests/architecture.rs` reads the imports and holds them to it.
//!
//! | room | |
//! |---|---|
//! | [`cli`] | arguments, a file for each command, exit codes |
//! | [`report`] | images, charts, the page of a run |
//! | [`run`] | a run's folder, its lock, resuming; comparing runs; sweeps |
//! | [`mod@train`] | the epoch loop, Keras's callbacks (`policies`), what observes it |
//! | [`infer`] | using a trained model: apply, evaluate, encode, decode, export |
//! | [`keras`] | Keras's model files in convae's words |
//! | [`engine`] | what computes: libtorch with autograd, or our own kernels |
//! | [`optim`] | optimizers with Keras's formulas |
//! | [`plan`] | a config that was found to make sense, its model as a graph |
//! | [`data`] | images to batches, and what is done to them |
//! | [`config`] | TOML, typed, every value with its line |
//! | [`nn`] | layers, initializers and losses with Keras's formulas |
//! | [`formats`] | bytes in and out: checkpoints, arrays, image files |
//! | [`system`] | files written whole, signals, memory, randomness |
//!
//! # As a library
//!
//! What other programs build on is at the top: [`Plan`] from a config, [`train()`], [`open_model`],
//! [`Denoiser`] for [`ImageFile`]s, and [`Exporter`] with [`ExportFormat`]. These keep their names
//! and meanings within a minor version; the rooms serve the program and may change.
//! `examples/denoise.rs` is a whole program of twenty lines.

pub mod cli;
pub mod config;
pub mod data;
pub mod engine;
pub mod formats;
pub mod infer;
pub mod keras;
pub mod nn;
pub mod optim;
pub mod plan;
pub mod report;
pub mod run;
pub mod system;
pub mod train;

pub use config::Source;
pub use formats::image_file::{self, ImageFile};
pub use infer::export::{Exporter, Format as ExportFormat};
pub use infer::model_file::open_model;
pub use plan::Plan;
pub use train::library::{Denoiser, TrainingResult, train};
