//! HDF5 files as trees of groups with attributes and arrays of numbers; what Keras or others mean by
//! them is decided above.
//!
//! Reading is the crate hdf5-reader's work, made fit for hostile files here: it may read no more
//! than a multiple of the file, every size is held against the file's before memory is taken, and
//! its own buffers for values, which it fills with unsafe code, are not used. Writing is ours and
//! streams: the crates that write hold everything several times in memory.

mod attribute;
mod chunks;
mod elements;
mod error;
mod file;
mod source;
mod write;

#[cfg(test)]
mod tests;

pub use attribute::{Attributes, Value};
pub use error::Hdf5Error;
pub use file::{Dataset, File, Group, Members};
pub use source::{Reader, Source};
pub use write::{NewAttribute, NewGroup};

/// The first bytes of every HDF5 file, unless something lies before them.
pub const SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";

/// How many times the file's size what is unpacked from it may take. Trained weights hardly shrink
/// when they are compressed; only a hostile file grows a thousandfold.
const MAX_EXPANSION: u64 = 16;
/// As many bytes are allowed on top, so that a tiny file is not refused for its zeros.
const SLACK: u64 = 1 << 20;

/// The most bytes that may be made of a file of `length` bytes.
#[must_use]
pub const fn most_bytes(length: u64) -> u64 {
    length.saturating_mul(MAX_EXPANSION).saturating_add(SLACK)
}
