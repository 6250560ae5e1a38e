//! What is done to a picture before the model sees it: pure in (seed, epoch, picture).

use rand_distr::{Distribution, StandardNormal};

use crate::config::sections::{Corruption, Gaussian, Resample};
use crate::random::{Purpose, Stream, stream};

/// Which pictures are corrupted; the test set's noise is the same in every epoch.
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
    pub fn changes_pictures(&self) -> bool {
        !matches!(self, Corruption::None(_))
    }

    /// Whether the training inputs of this epoch are not those of the one before.
    #[must_use]
    pub fn changes_in(&self, epoch: u64) -> bool {
        match self {
            Corruption::None(_) => false,
            Corruption::Gaussian(gaussian) => epoch == 1 || gaussian.resample == Resample::Epoch,
        }
    }

    /// Corrupts one picture in place; `values` are its pixels in 0..1, `epoch` counts from 1.
    pub fn apply(&self, values: &mut [f32], seed: u64, split: Split, epoch: u64, index: u64) {
        match self {
            Corruption::None(_) => {}
            Corruption::Gaussian(gaussian) => {
                gaussian.apply(values, &mut gaussian.stream(seed, split, epoch, index));
            }
        }
    }
}

impl Gaussian {
    /// Noise that stays the same has epoch 0 in its coordinates.
    fn stream(&self, seed: u64, split: Split, epoch: u64, index: u64) -> Stream {
        match (split, self.resample) {
            (Split::Test, _) => stream(seed, Purpose::TestCorruption, 0, index),
            (Split::Train, Resample::Never) => stream(seed, Purpose::TrainCorruption, 0, index),
            (Split::Train, Resample::Epoch) => stream(seed, Purpose::TrainCorruption, epoch, index),
        }
    }

    fn apply(&self, values: &mut [f32], stream: &mut Stream) {
        // The factor is small, and f32 is what Keras computes in.
        let factor = self.factor as f32;
        for value in values {
            let normal: f32 = StandardNormal.sample(stream);
            *value += factor * normal;
            if self.clip {
                *value = value.clamp(0.0, 1.0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTOR: f64 = 0.5;

    fn gaussian(clip: bool, resample: Resample) -> Corruption {
        Corruption::Gaussian(Gaussian { factor: FACTOR, clip, resample })
    }

    fn corrupted(corruption: &Corruption, split: Split, epoch: u64, index: u64) -> Vec<f32> {
        let mut values = vec![0.5; 784];
        corruption.apply(&mut values, 7, split, epoch, index);
        values
    }

    #[test]
    fn noise_has_the_mean_and_deviation_that_were_asked_for() {
        let corruption = gaussian(false, Resample::Never);
        let noise: Vec<f64> = (0..1000)
            .flat_map(|index| corrupted(&corruption, Split::Train, 1, index))
            .map(|value| f64::from(value) - 0.5)
            .collect();
        let count = noise.len() as f64;
        let mean = noise.iter().sum::<f64>() / count;
        let variance = noise.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
        // Four standard errors of each statistic.
        assert!(mean.abs() < 4.0 * FACTOR / count.sqrt(), "mean {mean}");
        let error = FACTOR * FACTOR * (2.0 / count).sqrt();
        assert!((variance - FACTOR * FACTOR).abs() < 4.0 * error, "variance {variance}");
    }

    #[test]
    fn clipping_keeps_values_within_black_and_white() {
        let values = corrupted(&gaussian(true, Resample::Never), Split::Train, 1, 0);
        assert!(values.iter().all(|value| (0.0..=1.0).contains(value)));
        assert!(values.contains(&0.0) && values.contains(&1.0));
        let free = corrupted(&gaussian(false, Resample::Never), Split::Train, 1, 0);
        assert!(free.iter().any(|&value| value < 0.0) && free.iter().any(|&value| value > 1.0));
    }

    #[test]
    fn noise_that_is_never_resampled_is_the_same_in_every_epoch() {
        let corruption = gaussian(true, Resample::Never);
        let noise = |epoch| corrupted(&corruption, Split::Train, epoch, 5);
        assert_eq!(noise(1), noise(2));
    }

    #[test]
    fn noise_that_is_resampled_differs_by_epoch_but_not_for_the_test_set() {
        let corruption = gaussian(true, Resample::Epoch);
        let noise = |split, epoch| corrupted(&corruption, split, epoch, 5);
        assert_ne!(noise(Split::Train, 1), noise(Split::Train, 2));
        assert_eq!(noise(Split::Test, 1), noise(Split::Test, 2));
    }

    #[test]
    fn each_picture_and_each_split_has_noise_of_its_own() {
        let corruption = gaussian(true, Resample::Never);
        let noise = |split, index| corrupted(&corruption, split, 1, index);
        assert_ne!(noise(Split::Train, 1), noise(Split::Train, 2));
        assert_ne!(noise(Split::Train, 1), noise(Split::Test, 1));
    }
}
