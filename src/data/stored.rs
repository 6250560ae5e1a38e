//! Pictures that lie in memory one after the other, as IDX files and arrays hold them.

use crate::image_file::{WHITE_8, WHITE_16};

/// Pictures of one shape, channels last.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Height, width and channels.
    pub(super) shape: [usize; 3],
    /// A whole number of pictures.
    pub(super) pixels: Pixels,
}

/// The values as the file has them.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Pixels {
    /// White is 255.
    Eight(Vec<u8>),
    /// White is 65535.
    Sixteen(Vec<u16>),
    /// White is 1.
    Float(Vec<f32>),
}

impl Pixels {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Eight(values) => values.len(),
            Self::Sixteen(values) => values.len(),
            Self::Float(values) => values.len(),
        }
    }

    fn split_off(&mut self, at: usize) -> Self {
        match self {
            Self::Eight(values) => Self::Eight(values.split_off(at)),
            Self::Sixteen(values) => Self::Sixteen(values.split_off(at)),
            Self::Float(values) => Self::Float(values.split_off(at)),
        }
    }
}

impl Stored {
    fn values(&self) -> usize {
        self.shape.iter().product()
    }

    /// Number of pictures.
    pub(super) fn len(&self) -> usize {
        self.pixels.len() / self.values()
    }

    /// The first `samples` pictures, or all.
    pub(super) fn first(mut self, samples: Option<usize>) -> Self {
        if let Some(samples) = samples.filter(|&samples| samples < self.len()) {
            drop(self.split_off(samples));
        }
        self
    }

    /// Takes off the pictures from `at` on.
    pub(super) fn split_off(&mut self, at: usize) -> Self {
        let values = self.values();
        Self { shape: self.shape, pixels: self.pixels.split_off(at * values) }
    }

    /// Appends one picture's values in 0..1; bytes are divided by 255 as the tutorial does.
    pub(super) fn push(&self, index: usize, to: &mut Vec<f32>) {
        let range = index * self.values()..(index + 1) * self.values();
        match &self.pixels {
            Pixels::Eight(all) => {
                to.extend(all[range].iter().map(|&value| f32::from(value) / WHITE_8));
            }
            Pixels::Sixteen(all) => {
                to.extend(all[range].iter().map(|&value| f32::from(value) / WHITE_16));
            }
            Pixels::Float(all) => to.extend_from_slice(&all[range]),
        }
    }
}

/// Where the test set begins when it is the last `fraction` of so many pictures; `None` where one
/// of the two sets would be empty.
///
/// Source: Keras, `trainers/data_adapters/array_slicing.py`, `train_validation_split`.
pub(super) fn split_at(count: usize, fraction: f64) -> Option<usize> {
    let at = (count as f64 * (1.0 - fraction)).floor() as usize;
    (0 < at && at < count).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_set_is_the_last_part_rounded_as_keras_does() {
        // Keras: int(math.floor(batch_dim * (1.0 - validation_split)))
        for (count, fraction, at) in [
            (10, 0.1, Some(9)),
            (10, 0.25, Some(7)),
            (60_000, 0.1, Some(54_000)),
            (3, 0.5, Some(1)),
            (10, 0.7, Some(3)),
            (2, 0.1, Some(1)),
            (1, 0.1, None),
            (10, 0.95, None),
        ] {
            assert_eq!(split_at(count, fraction), at, "{count} by {fraction}");
        }
    }

    #[test]
    fn each_depth_reaches_from_black_to_white() {
        for pixels in [
            Pixels::Eight(vec![0, 255]),
            Pixels::Sixteen(vec![0, 65_535]),
            Pixels::Float(vec![0.0, 1.0]),
        ] {
            let mut stored = Stored { shape: [1, 1, 1], pixels };
            let (mut first, mut second) = (vec![], vec![]);
            stored.push(1, &mut second);
            let rest = stored.split_off(1);
            stored.push(0, &mut first);
            assert_eq!((stored.len(), rest.len()), (1, 1));
            assert_eq!((first, second), (vec![0.0], vec![1.0]));
        }
    }
}
