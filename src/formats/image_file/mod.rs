//! One image, as a file holds it: read from any format that we take, written as PNG or TIFF, and
//! found in folders. What a model or a data set makes of it is for others to say.

mod album;
mod decode;
mod encode;
mod error;
mod find;
mod jpeg;
mod metadata;
mod orientation;
mod png_file;
mod several;
#[cfg(test)]
mod tests;
mod tiff;

use std::io;
use std::ops::Range;
use std::path::Path;

pub use album::{
    Album, ImagePlace, Opened, Page, Readable, decode, decode_bytes, dimensions, measure,
};
pub use encode::{Format, Loss};
pub use error::{ImageError, ImageProblem};
pub use find::{Found, FoundImage, find, find_images, is_called_an_image};
pub use metadata::{Density, Metadata, Unit};
pub use orientation::{Orientation, Walk, lies_down};
pub use tiff::TiffPages;

use crate::system::atomic;

/// Pixels that an image may have where nothing else is said: 2^28, as 16,384x16,384. Files of a few
/// kilobytes can claim more, and memory would end before they do.
pub const MOST_PIXELS: u64 = 1 << 28;

/// An image of 8 or 16 bits a channel or of floats, upright, without alpha.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageFile {
    /// Height, width and channels: 1 is grey, 3 is RGB.
    pub shape: [usize; 3],
    /// Row by row, channels last.
    pub samples: Samples,
    /// Whether the file had an alpha channel, which was left out.
    pub alpha_dropped: bool,
    /// What the file said of the image beside its values.
    pub metadata: Metadata,
}

/// The values of an image, `height * width * channels` of them.
#[derive(Debug, Clone, PartialEq)]
pub enum Samples {
    /// White is 255.
    Eight(Vec<u8>),
    /// White is 65,535.
    Sixteen(Vec<u16>),
    /// White is 1, or whatever their owner says: they are taken and given as they are.
    Float(Vec<f32>),
}

impl Samples {
    /// Refuses floats beyond 0..1.
    ///
    /// # Errors
    /// With the range that they have.
    pub fn check_unit(&self) -> Result<(), ImageProblem> {
        let Self::Float(_) = self else { return Ok(()) };
        let [low, high] = self.range();
        if low < 0.0 || high > 1.0 {
            return Err(ImageProblem::Range { low, high });
        }
        Ok(())
    }

    /// The least and the greatest value in units of white.
    #[must_use]
    pub fn range(&self) -> [f32; 2] {
        fn ends<T: Copy + Ord + Into<f32>>(values: &[T], white: f32) -> [f32; 2] {
            let [low, high] = [values.iter().copied().min(), values.iter().copied().max()];
            [low, high].map(|end| end.map_or(0.0, |end| end.into() / white))
        }
        match self {
            Self::Eight(all) => ends(all, WHITE_8),
            Self::Sixteen(all) => ends(all, WHITE_16),
            Self::Float(all) => {
                let widened =
                    |[low, high]: [f32; 2], &value: &f32| [low.min(value), high.max(value)];
                all.iter().fold([f32::INFINITY, f32::NEG_INFINITY], widened)
            }
        }
    }

    /// Appends a part of the values in units of white.
    pub fn push_scaled(&self, range: Range<usize>, to: &mut Vec<f32>) {
        match self {
            Self::Eight(all) => to.extend(all[range].iter().map(|&v| f32::from(v) / WHITE_8)),
            Self::Sixteen(all) => to.extend(all[range].iter().map(|&v| f32::from(v) / WHITE_16)),
            Self::Float(all) => to.extend_from_slice(&all[range]),
        }
    }

    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Eight(values) => values.len(),
            Self::Sixteen(values) => values.len(),
            Self::Float(values) => values.len(),
        }
    }

    /// Whether there is no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Value `index` in units of white: in 0..1, but for floats.
    #[must_use]
    pub fn scaled(&self, index: usize) -> f32 {
        match self {
            Self::Eight(values) => f32::from(values[index]) / WHITE_8,
            Self::Sixteen(values) => f32::from(values[index]) / WHITE_16,
            Self::Float(values) => values[index],
        }
    }

    /// Sets value `index` to the nearest to `value`, which is first brought into 0..1, with 0 for NaN; a float
    /// is set to `value` itself.
    pub fn set_scaled(&mut self, index: usize, value: f32) {
        // `as` sends NaN, which `clamp` lets through, to 0.
        let bent = |white: f32| (value.clamp(0.0, 1.0) * white).round();
        match self {
            Self::Eight(values) => values[index] = bent(WHITE_8) as u8,
            Self::Sixteen(values) => values[index] = bent(WHITE_16) as u16,
            Self::Float(values) => values[index] = value,
        }
    }

    /// Bytes of a value.
    #[must_use]
    pub fn value_bytes(&self) -> usize {
        match self {
            Self::Eight(_) => size_of::<u8>(),
            Self::Sixteen(_) => size_of::<u16>(),
            Self::Float(_) => size_of::<f32>(),
        }
    }

    /// As many zeros as asked for, of the same depth.
    #[must_use]
    pub fn zeros(&self, count: usize) -> Self {
        match self {
            Self::Eight(_) => Self::Eight(vec![0; count]),
            Self::Sixteen(_) => Self::Sixteen(vec![0; count]),
            Self::Float(_) => Self::Float(vec![0.0; count]),
        }
    }
}

/// White at 8 bits.
pub(crate) const WHITE_8: f32 = 255.0;
/// White at 16 bits.
pub(crate) const WHITE_16: f32 = 65_535.0;

impl ImageFile {
    /// An image of these values, row by row, channels last.
    ///
    /// # Errors
    /// When the shape is empty, has other than 1 or 3 channels, or asks for another number of values.
    pub fn new(shape: [usize; 3], samples: Samples) -> Result<Self, ImageProblem> {
        let [height, width, channels] = shape;
        let asked = height.checked_mul(width).and_then(|pixels| pixels.checked_mul(channels));
        if !matches!(channels, 1 | 3) || samples.is_empty() || asked != Some(samples.len()) {
            return Err(ImageProblem::Shape { shape, values: samples.len() });
        }
        Ok(Self { shape, samples, alpha_dropped: false, metadata: Metadata::default() })
    }

    /// An image of the same shape and depth of which the same file can be said, black.
    #[must_use]
    pub fn blank(&self) -> Self {
        let Self { shape, ref samples, alpha_dropped, ref metadata } = *self;
        let samples = samples.zeros(samples.len());
        Self { shape, samples, alpha_dropped, metadata: metadata.clone() }
    }

    /// The same of another shape.
    #[must_use]
    pub fn blank_of(&self, shape: [usize; 3]) -> Self {
        let samples = self.samples.zeros(shape.iter().product());
        Self { shape, samples, alpha_dropped: self.alpha_dropped, metadata: self.metadata.clone() }
    }

    /// Reads a file of any format that we take; its content decides which it is.
    ///
    /// # Errors
    /// As [`decode`], with [`MOST_PIXELS`]; a TIFF of several pages is for [`open_pages`](Self::open_pages).
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ImageError> {
        decode(path.as_ref(), MOST_PIXELS)
    }

    /// Reads all images of a file: the pages of a TIFF, or the one of any other format.
    ///
    /// # Errors
    /// As [`decode`], with [`MOST_PIXELS`] for each.
    pub fn open_pages(path: impl AsRef<Path>) -> Result<Vec<Self>, ImageError> {
        let path = path.as_ref();
        let read = || -> Result<Vec<Self>, ImageProblem> {
            let mut album = Album::open(path)?;
            (0..album.len()).map(|index| album.decode(index, MOST_PIXELS)).collect()
        };
        read().map_err(|problem| ImageError { path: path.to_owned(), problem })
    }

    /// Writes a TIFF of a page for each image; whole or not at all.
    ///
    /// # Errors
    /// As [`ImageFile::write`].
    pub fn save_pages(path: impl AsRef<Path>, images: &[Self]) -> Result<(), ImageError> {
        let path = path.as_ref();
        let bytes = images.iter().map(ImageFile::bytes).sum();
        let mut problem = None;
        let written = atomic::write(path, |file| {
            let pages = TiffPages::new(file, bytes)
                .and_then(|mut pages| images.iter().try_for_each(|image| pages.add(image)));
            pages.map_err(|found| {
                let error = io::Error::other(found.to_string());
                problem = Some(found);
                error
            })
        });
        written.map_err(|error| {
            let problem = problem.unwrap_or(ImageProblem::Write(error));
            ImageError { path: path.to_owned(), problem }
        })
    }

    /// Writes a TIFF where the name asks for one, else a PNG; whole or not at all.
    ///
    /// # Errors
    /// As [`ImageFile::write`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), ImageError> {
        self.write(path.as_ref(), Format::for_result_of(path.as_ref()))
    }

    /// All values in units of white: in 0..1, but for floats.
    #[must_use]
    pub fn scaled(&self) -> Vec<f32> {
        let mut values = Vec::with_capacity(self.samples.len());
        self.samples.push_scaled(0..self.samples.len(), &mut values);
        values
    }

    /// Bytes of its values.
    fn bytes(&self) -> u64 {
        (self.samples.len() * self.samples.value_bytes()) as u64
    }

    /// The same image, grey (1) or RGB (3): grey is repeated, RGB becomes its luma by the weights of
    /// ITU-R BT.601, in the integers that Pillow, and so Keras, computes with.
    ///
    /// # Panics
    /// When asked for another number of channels.
    #[must_use]
    pub fn with_channels(self, channels: usize) -> Self {
        assert!(channels == 1 || channels == 3, "an image is grey or RGB, not of {channels}");
        let [height, width, present] = self.shape;
        let samples = match (present, channels, self.samples) {
            (3, 1, Samples::Eight(values)) => Samples::Eight(lumas(&values, |luma| luma as u8)),
            (3, 1, Samples::Sixteen(values)) => {
                Samples::Sixteen(lumas(&values, |luma| luma as u16))
            }
            (1, 3, Samples::Eight(values)) => Samples::Eight(repeated(&values)),
            (3, 1, Samples::Float(values)) => {
                Samples::Float(values.chunks_exact(3).map(luma_of_floats).collect())
            }
            (1, 3, Samples::Sixteen(values)) => Samples::Sixteen(repeated(&values)),
            (1, 3, Samples::Float(values)) => Samples::Float(repeated(&values)),
            (_, _, same) => same,
        };
        Self { shape: [height, width, channels], samples, ..self }
    }

    /// Whether some pixel is not grey; grey images are often stored as RGB.
    #[must_use]
    pub fn is_coloured(&self) -> bool {
        self.shape[2] == 3
            && match &self.samples {
                Samples::Eight(values) => values.chunks_exact(3).any(differs),
                Samples::Sixteen(values) => values.chunks_exact(3).any(differs),
                Samples::Float(values) => values.chunks_exact(3).any(differs),
            }
    }
}

fn differs<T: PartialEq>(pixel: &[T]) -> bool {
    pixel[0] != pixel[1] || pixel[1] != pixel[2]
}

fn repeated<T: Copy>(values: &[T]) -> Vec<T> {
    values.iter().flat_map(|&value| [value; 3]).collect()
}

/// Shares of red, green and blue in 65,536: they add up to it, so that grey stays what it is.
const LUMA: [u64; 3] = [19_595, 38_470, 7_471];

fn lumas<T: Copy + Into<u64>>(values: &[T], narrow: impl Fn(u64) -> T) -> Vec<T> {
    let luma = |pixel: &[T]| {
        let sum: u64 = pixel.iter().zip(LUMA).map(|(&value, share)| value.into() * share).sum();
        narrow((sum + (1 << 15)) >> 16) // rounded to nearest
    };
    values.chunks_exact(3).map(luma).collect()
}

/// The grey of a pixel of floats, by the same weights.
fn luma_of_floats(pixel: &[f32]) -> f32 {
    let weighted = pixel.iter().zip(LUMA).map(|(&value, share)| f64::from(value) * share as f64);
    (weighted.sum::<f64>() / 65_536.0) as f32
}
