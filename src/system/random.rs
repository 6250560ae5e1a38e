//! Where all randomness comes from: streams that are named by what they are for.
//!
//! A stream is a pure function of its coordinates, so a run that is resumed, or cut into other
//! batches, draws the same numbers with no generator state to keep.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// A sequence of random numbers.
pub type Stream = ChaCha8Rng;

/// What a stream is for. The numbers are part of the format: changing one changes every run.
#[derive(Debug, Clone, Copy)]
pub enum Purpose {
    /// Starting weights; the index is the layer's.
    Weights = 1,
    /// The order of the training images.
    Order = 2,
    /// Corruption of a training image; the index is the image's.
    TrainCorruption = 3,
    /// Corruption of a test image; the index is the image's.
    TestCorruption = 4,
    /// Dropout and noise inside the model; the index is the step's.
    Layers = 5,
    /// Where a training image is cut, and how it is turned; the index is the sample's.
    TrainPatches = 16,
    /// Where a test image is cut; the index is the sample's.
    TestPatches = 17,
    /// Which pixels of a training image are masked, or paired; the index is the sample's.
    TrainMethod = 18,
    /// Which pixels of a test image are masked, or paired; the index is the sample's.
    TestMethod = 19,
    /// Codes of which images are drawn.
    Codes = 20,
}

/// The stream of (seed, purpose, epoch, index): the four are the cipher's key, so two streams
/// share nothing.
#[must_use]
pub fn stream(seed: u64, purpose: Purpose, epoch: u64, index: u64) -> Stream {
    let mut key = [0; 32];
    for (bytes, part) in key.chunks_exact_mut(8).zip([seed, purpose as u64, epoch, index]) {
        bytes.copy_from_slice(&part.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn equal_coordinates_give_equal_streams_and_others_differ() {
        let first = |seed, purpose, epoch, index| stream(seed, purpose, epoch, index).next_u64();
        let base = first(1, Purpose::Order, 2, 3);
        assert_eq!(base, first(1, Purpose::Order, 2, 3));
        for other in [
            first(2, Purpose::Order, 2, 3),
            first(1, Purpose::Weights, 2, 3),
            first(1, Purpose::Order, 3, 3),
            first(1, Purpose::Order, 2, 4),
            first(1, Purpose::Order, 3, 2),
        ] {
            assert_ne!(base, other);
        }
    }
}
