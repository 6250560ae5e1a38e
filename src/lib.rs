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
//! [`saved_model`], [`image_file`], [`report`] and, last of all, [`atomic`]. A trained model reaches
//! the user's own images through [`apply`]; it is judged by [`evaluation`]. Half of one, a [`coder`],
//! makes [`codes`] of a [`gallery`] of pictures, or pictures of codes.

pub mod apply;
pub mod atomic;
pub mod checkpoint;
pub mod cli;
pub mod coder;
pub mod codes;
pub mod commands;
pub mod config;
pub mod corruption;
pub mod data;
pub mod engine;
pub mod evaluation;
pub mod exit;
pub mod failure;
pub mod gallery;
pub mod image_file;
pub mod interrupt;
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
pub mod plan;
pub mod random;
pub mod report;
pub mod run_folder;
pub mod saved_model;
pub mod showcase;
pub mod summary;
pub mod trace;
pub mod train;
