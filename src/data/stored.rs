//! Images that lie in memory one after the other, as IDX files and arrays hold them.

use std::path::PathBuf;

use super::error::DataError;
use super::scale::{Affine, Constant, Scaling, Statistics, sampled_of_each};
use crate::formats::image_file::ImageFile;
pub(super) use crate::formats::image_file::Samples as Pixels;

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

/// The first value that is neither black, white nor between.
pub(super) fn beyond(pixels: &Pixels) -> Option<f32> {
    let Pixels::Float(values) = pixels else { return None };
    values.iter().find(|value| !(0.0..=1.0).contains(*value)).copied()
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
        let at = at * self.values();
        let pixels = match &mut self.pixels {
            Pixels::Eight(values) => Pixels::Eight(values.split_off(at)),
            Pixels::Sixteen(values) => Pixels::Sixteen(values.split_off(at)),
            Pixels::Float(values) => Pixels::Float(values.split_off(at)),
        };
        Self { file: self.file.clone(), shape: self.shape, pixels }
    }

    /// The scale, measured where it has to be, and that of each image where each has its own.
    pub(super) fn measured(&self, scaling: Scaling) -> Result<(Scaling, Vec<Affine>), DataError> {
        let refuse = |what: String, value: f32| DataError::Array {
            path: self.file.clone(),
            problem: format!("all values of {what} are {value}, so there is no range to scale"),
            remedy: "leave it out, or set data.scale.offset and data.scale.factor".to_owned(),
        };
        match scaling {
            Scaling::Unmeasured(measure) => {
                let found = Statistics::of(measure, &self.pixels, sampled_of_each(1)).affine();
                let found =
                    found.map_err(|Constant(value)| refuse("its images".to_owned(), value))?;
                Ok((Scaling::Set(measure, found), Vec::new()))
            }
            Scaling::EachImage(measure) => {
                let of_one = |index: usize| {
                    let mut values = Vec::with_capacity(self.values());
                    self.push(index, &mut values);
                    let values = Pixels::Float(values);
                    let found = Statistics::of(measure, &values, sampled_of_each(1)).affine();
                    found.map_err(|Constant(value)| refuse(format!("its image {index}"), value))
                };
                Ok((scaling, (0..self.len()).map(of_one).collect::<Result<_, _>>()?))
            }
            known => Ok((known, Vec::new())),
        }
    }

    /// The least and the greatest value of image `index`.
    pub(super) fn range(&self, index: usize) -> [f32; 2] {
        let mut values = Vec::with_capacity(self.values());
        self.push(index, &mut values);
        Pixels::Float(values).range()
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
        let all = ImageFile::new([self.len() * height, width, present], self.pixels)
            .expect("their number follows from the shape");
        let pixels = all.with_channels(channels).samples;
        Self { file: self.file, shape: [height, width, channels], pixels }
    }

    /// Appends one image's values in units of white; bytes are divided by 255 as the tutorial does.
    pub(super) fn push(&self, index: usize, to: &mut Vec<f32>) {
        self.pixels.push_scaled(index * self.values()..(index + 1) * self.values(), to);
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
