//! Bytes in and out: the files that other programs write and read, each parsed without trust.
//!
//! ```text
//! bytes -> checkpoint (.pt, .safetensors): named tensors and records
//!       -> hdf5 (.h5), keras_file (.keras, .h5, .json): trees of arrays, Keras's configs and weights
//!       -> codes, npy (.npz, .npy): arrays of numbers
//!       -> image_file (PNG, TIFF, JPEG, ...): one image
//! ```
//!
//! A format knows bytes and arrays. What they mean to a model or a data set is decided in the rooms above.

pub mod checkpoint;
pub mod codes;
pub mod hdf5;
pub mod image_file;
pub mod keras_file;
pub mod npy;
pub mod npz;
mod zip_sink;
