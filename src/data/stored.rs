//! Images that lie in memory one after the other, as IDX files and arrays hold them.

use std::path::PathBuf;

use crate::formats::image_file::{ImageFile, Samples, WHITE_8, WHITE_16};

/// Images of one shape, channels last.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// That they were read from.
    pub(super) file: PathBuf,
    /// Height, width and channels.
    pub(super) shape: [usize; 3],
    /// A whole number of images.
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

    /// The first value that is neither black, white nor between.
    pub(super) fn beyond(&self) -> Option<f32> {
        let Self::Float(values) = self else { return None };
        values.iter().find(|value| !(0.0..=1.0).contains(*value)).copied()
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

    /// Number of images.
    pub(super) fn len(&self) -> usize {
        self.pixels.len() / self.values()
    }

    /// The first `samples` images, or all.
    pub(super) fn first(mut self, samples: Option<usize>) -> Self {
        if let Some(samples) = samples.filter(|&samples| samples < self.len()) {
            drop(self.split_off(samples));
        }
        self
    }

    /// Takes off the images from `at` on.
    pub(super) fn split_off(&mut self, at: usize) -> Self {
        let values = self.values();
        let pixels = self.pixels.split_off(at * values);
        Self { file: self.file.clone(), shape: self.shape, pixels }
    }

    /// Of all values.
    pub(super) fn digest(&self) -> u32 {
        match &self.pixels {
            Pixels::Eight(all) => crc32fast::hash(all),
            Pixels::Sixteen(all) => digest_of(all, u16::to_le_bytes),
            Pixels::Float(all) => digest_of(all, f32::to_le_bytes),
        }
    }

    /// The same images, grey (1) or RGB (3), as [`ImageFile::with_channels`] makes them.
    pub(super) fn with_channels(self, channels: usize) -> Self {
        let [height, width, present] = self.shape;
        if present == channels {
            return self;
        }
        let (shape, count) = ([height, width, channels], self.len());
        let converted = |samples| {
            let all = ImageFile::new([count * height, width, present], samples);
            all.expect("their number follows from the shape").with_channels(channels).samples
        };
        let of = |samples| match samples {
            Samples::Eight(values) => Pixels::Eight(values),
            Samples::Sixteen(values) => Pixels::Sixteen(values),
        };
        let pixels = match (self.pixels, present, channels) {
            (Pixels::Eight(values), ..) => of(converted(Samples::Eight(values))),
            (Pixels::Sixteen(values), ..) => of(converted(Samples::Sixteen(values))),
            (Pixels::Float(values), 3, 1) => Pixels::Float(values.chunks(3).map(luma).collect()),
            (Pixels::Float(values), 1, 3) => {
                Pixels::Float(values.into_iter().flat_map(|value| [value; 3]).collect())
            }
            (same, ..) => same,
        };
        Self { file: self.file, shape, pixels }
    }

    /// Appends one image's values in 0..1; bytes are divided by 255 as the tutorial does.
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

fn digest_of<T: Copy, const N: usize>(all: &[T], bytes: impl Fn(T) -> [u8; N]) -> u32 {
    /// Values whose bytes lie side by side in memory of their own.
    const AT_ONCE: usize = 1 << 12;
    let mut hasher = crc32fast::Hasher::new();
    for part in all.chunks(AT_ONCE) {
        let part: Vec<u8> = part.iter().flat_map(|&value| bytes(value)).collect();
        hasher.update(&part);
    }
    hasher.finalize()
}

/// The grey of a pixel, by the weights that [`ImageFile::with_channels`] has.
fn luma(pixel: &[f32]) -> f32 {
    let shares = [19_595.0, 38_470.0, 7_471.0];
    let sum: f64 = pixel.iter().zip(shares).map(|(&value, share)| f64::from(value) * share).sum();
    (sum / 65_536.0) as f32
}

/// Where the test set begins when it is the last `fraction` of so many images; `None` where one
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
    fn each_depth_becomes_the_same_grey_and_grey_becomes_three_equal_channels() {
        let of = |shape: [usize; 3], pixels| Stored { file: PathBuf::new(), shape, pixels };
        // BT.601: 0.299, 0.587 and 0.114 of white.
        for (pixels, grey) in [
            (
                Pixels::Eight(vec![255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9]),
                Pixels::Eight(vec![76, 150, 29, 9]),
            ),
            (
                Pixels::Sixteen(vec![65_535, 0, 0, 0, 65_535, 0, 0, 0, 65_535, 9, 9, 9]),
                Pixels::Sixteen(vec![19_595, 38_469, 7_471, 9]),
            ),
        ] {
            assert_eq!(of([1, 2, 3], pixels).with_channels(1), of([1, 2, 1], grey));
        }
        let floats =
            Pixels::Float(vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.3, 0.3, 0.3]);
        let Pixels::Float(grey) = of([2, 1, 3], floats).with_channels(1).pixels else { panic!() };
        for (value, expected) in grey.iter().zip([0.299, 0.587, 0.114, 0.3]) {
            assert!((value - expected).abs() < 1e-5, "{grey:?}");
        }
        for grey in [Pixels::Eight(vec![1, 2]), Pixels::Sixteen(vec![1, 2])] {
            let three = of([2, 1, 1], grey.clone()).with_channels(3);
            assert_eq!((three.len(), three.shape), (1, [2, 1, 3]));
            assert_eq!(three.with_channels(1), of([2, 1, 1], grey));
        }
    }

    #[test]
    fn a_digest_is_that_of_the_values_bytes_and_each_of_them_counts() {
        let digest = |pixels| Stored { file: PathBuf::new(), shape: [1, 1, 1], pixels }.digest();
        let long: Vec<u16> = (0..10_000).map(|i| i * 6).collect();
        let bytes: Vec<u8> = long.iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(digest(Pixels::Sixteen(long.clone())), crc32fast::hash(&bytes));
        assert_eq!(digest(Pixels::Eight(bytes.clone())), crc32fast::hash(&bytes));
        let floats = |last| Pixels::Float([vec![0.5; 5_000], vec![last]].concat());
        assert_ne!(digest(floats(0.25)), digest(floats(0.250_000_03)));
    }

    #[test]
    fn each_depth_reaches_from_black_to_white() {
        for pixels in [
            Pixels::Eight(vec![0, 255]),
            Pixels::Sixteen(vec![0, 65_535]),
            Pixels::Float(vec![0.0, 1.0]),
        ] {
            let mut stored = Stored { file: PathBuf::new(), shape: [1, 1, 1], pixels };
            let (mut first, mut second) = (vec![], vec![]);
            stored.push(1, &mut second);
            let rest = stored.split_off(1);
            stored.push(0, &mut first);
            assert_eq!((stored.len(), rest.len()), (1, 1));
            assert_eq!((first, second), (vec![0.0], vec![1.0]));
        }
    }
}
