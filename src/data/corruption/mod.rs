//! What is done to an image before the model sees it: pure in (seed, epoch, image) and in the
//! place of each kind in the config's list, so that neither batches nor threads make a difference.
//!
//! Each kind has a file of its own; here is what they share.

mod blur;
mod downscale;
mod draw;
mod gaussian;
mod jpeg;
mod level;
mod mask;
mod poisson;
mod salt_and_pepper;
mod speckle;
mod taps;
#[cfg(test)]
mod testing;

pub(super) use downscale::shrink;
pub use jpeg::LARGEST_JPEG_SIDE;

use crate::config::corruption::{Corruption, CorruptionKind, Resample};
use crate::system::random::{Purpose, Stream, stream};

/// Which images are corrupted; the test set's noise is the same in every epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// Noise is drawn as often as [`Resample`] says.
    Train,
    /// Noise is drawn once, so that losses of different epochs compare.
    Test,
}

impl Corruption {
    /// Whether input and target differ.
    #[must_use]
    pub fn changes_images(&self) -> bool {
        self.0.iter().any(|kind| !matches!(kind, CorruptionKind::None(_)))
    }

    /// Whether the training inputs of this epoch are not those of the one before.
    #[must_use]
    pub fn changes_in(&self, epoch: u64) -> bool {
        let anew = self.0.iter().any(|kind| kind.resample() == Some(Resample::Epoch));
        anew || (epoch == 1 && self.changes_images())
    }

    /// How many times smaller an image is afterwards, in height and width: 1 but for a `downscale` that
    /// does not enlarge.
    #[must_use]
    pub fn shrinking(&self) -> usize {
        self.0.iter().map(CorruptionKind::shrinking).fold(1, usize::saturating_mul)
    }

    /// What of it makes images smaller, and nothing else; no corruption where none does.
    #[must_use]
    pub fn only_shrinking(&self) -> Self {
        let shrinks = |kind: &&CorruptionKind| kind.shrinking() > 1;
        let kinds: Vec<CorruptionKind> = self.0.iter().filter(shrinks).cloned().collect();
        if kinds.is_empty() { Self::none() } else { Self(kinds) }
    }

    /// Shape of an image afterwards.
    #[must_use]
    pub fn shape_of(&self, shape: [usize; 3]) -> [usize; 3] {
        self.0.iter().fold(shape, |shape, kind| kind.shape_of(shape))
    }

    /// Corrupts one image: `height * width * channels` values in 0..1, channels last; `epoch` counts from 1.
    /// Afterwards it has the shape that [`shape_of`](Self::shape_of) says.
    pub fn apply(
        &self,
        values: &mut Vec<f32>,
        mut shape: [usize; 3],
        seed: u64,
        split: Split,
        epoch: u64,
        index: u64,
    ) {
        for (place, kind) in (0..).zip(&self.0) {
            let mut stream = kind.stream(seed, split, epoch, index);
            // Kinds in one list draw numbers of their own; the first draws what it would draw alone.
            stream.set_stream(place);
            kind.apply(values, shape, &mut stream);
            shape = kind.shape_of(shape);
        }
    }
}

impl CorruptionKind {
    fn shrinking(&self) -> usize {
        match self {
            Self::Downscale(own) => own.shrinking(),
            _ => 1,
        }
    }

    fn shape_of(&self, shape: [usize; 3]) -> [usize; 3] {
        match self {
            Self::Downscale(own) => own.shape_of(shape),
            _ => shape,
        }
    }

    /// How often its random numbers are drawn; `None` where it has none.
    fn resample(&self) -> Option<Resample> {
        match self {
            Self::None(_) => None,
            Self::Gaussian(own) => Some(own.drawn.resample),
            Self::Poisson(own) => Some(own.drawn.resample),
            Self::Speckle(own) => Some(own.drawn.resample),
            Self::SaltAndPepper(own) => Some(own.drawn.resample),
            Self::Mask(own) => Some(own.drawn.resample),
            Self::Blur(own) => own.sigma.is_drawn().then_some(own.drawn.resample),
            Self::Downscale(own) => own.scale.is_drawn().then_some(own.drawn.resample),
            Self::Jpeg(own) => own.quality.is_drawn().then_some(own.drawn.resample),
        }
    }

    /// Noise that stays the same has epoch 0 in its coordinates.
    fn stream(&self, seed: u64, split: Split, epoch: u64, index: u64) -> Stream {
        match (split, self.resample()) {
            (Split::Test, _) => stream(seed, Purpose::TestCorruption, 0, index),
            (Split::Train, Some(Resample::Epoch)) => {
                stream(seed, Purpose::TrainCorruption, epoch, index)
            }
            (Split::Train, _) => stream(seed, Purpose::TrainCorruption, 0, index),
        }
    }

    fn apply(&self, values: &mut Vec<f32>, shape: [usize; 3], stream: &mut Stream) {
        match self {
            Self::None(_) => {}
            Self::Gaussian(own) => own.apply(values, stream),
            Self::Poisson(own) => own.apply(values, stream),
            Self::Speckle(own) => own.apply(values, stream),
            Self::SaltAndPepper(own) => own.apply(values, shape, stream),
            Self::Mask(own) => own.apply(values, shape, stream),
            Self::Blur(own) => own.apply(values, shape, stream),
            Self::Downscale(own) => own.apply(values, shape, stream),
            Self::Jpeg(own) => own.apply(values, shape, stream),
        }
    }
}

/// Brings every value back to 0..1 where `wanted`.
fn clip(values: &mut [f32], wanted: bool) {
    if wanted {
        for value in values {
            *value = value.clamp(0.0, 1.0);
        }
    }
}
