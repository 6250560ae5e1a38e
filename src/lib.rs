//! Trains Keras-equivalent convolutional autoencoders on libtorch, plain and denoising.
//!
//! The data flow, which the modules follow:
//!
//! ```text
//! TOML -> config -> plan -> dataset -> batches(seed, epoch) -> corruption -> model -> loss
//!      -> optimizer -> history -> checkpoint, pictures
//! ```
//!
//! A [`plan::Plan`] is a config that was found to make sense; only it reaches the trainer. What
//! Keras computes is in [`nn`] and [`optim`]; files go in and out through [`checkpoint`],
//! [`saved_model`], [`image_file`], [`report`] and, last of all, [`atomic`]. What a run goes on from when
//! it was stopped is in [`resume`]. A trained model reaches
//! the user's own images through [`apply`]; it is judged by [`evaluation`]. Half of one, a [`coder`],
//! makes [`codes`] of a [`gallery`] of pictures, or pictures of codes. A [`sweep`] trains many, each in
//! a process of its own, and ends in their [`comparison`].
//!
//! # As a library
//!
//! What other programs build on is at the top: [`Plan`] from a config, [`train()`], [`open_model`],
//! [`Denoiser`] for [`ImageFile`]s, and [`TrainedModel`] with [`ExportFormat`]. These keep their names
//! and meanings within a minor version; the modules below serve the program and may change.
//! `examples/denoise.rs` is a whole program of twenty lines.

pub mod apply;
pub mod atomic;
pub mod checkpoint;
pub mod cli;
pub mod coder;
pub mod codes;
pub mod commands;
pub mod comparison;
pub mod config;
pub mod corruption;
pub mod data;
pub mod engine;
pub mod evaluation;
pub mod exit;
pub mod export;
pub mod failure;
pub mod gallery;
pub mod history_csv;
pub mod image_file;
pub mod interrupt;
mod library;
pub mod memory;
pub mod metrics;
pub mod model;
pub mod nearest;
pub mod nn;
pub mod npy;
pub mod optim;
pub mod output;
pub mod output_file;
pub mod output_folder;
pub mod plain_text;
pub mod plan;
pub mod random;
pub mod report;
pub mod resume;
pub mod run_folder;
pub mod run_lock;
pub mod run_report;
pub mod saved_model;
pub mod showcase;
pub mod summary;
pub mod sweep;
pub mod tensorboard;
pub mod text_file;
pub mod trace;
pub mod train;

pub use config::Source;
pub use export::{Format as ExportFormat, TrainedModel};
pub use image_file::ImageFile;
pub use library::{Denoiser, Trained, train};
pub use plan::Plan;
pub use saved_model::open_model;
