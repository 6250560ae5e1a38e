//! One image: its shape, its values and the rule that turns them into 8-bit pixels.
//! Where an image lands on a page is the grid's business.

use std::path::Path;

use image::ExtendedColorType;

use super::canvas::{Rgb, encode_png};
use super::{Problem, ReportError, deliver};
use crate::system::atomic::write_one_of_many;

/// Channels of a grey image.
const GREY: usize = 1;
/// Channels of a colour image.
const RGB: usize = 3;

/// An image in memory, `(height, width, channels)`, row-major and channels last.
///
/// Values are meant to lie in `0.0..=1.0`. They are kept as given and only bent when written:
/// see [`Raster::to_bytes`].
#[derive(Debug, Clone, PartialEq)]
pub struct Raster {
    height: usize,
    width: usize,
    channels: usize,
    pixels: Vec<f32>,
}

/// Sizes and values that do not make an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RasterError {
    /// Neither grey nor RGB.
    #[error("an image has 1 (grey) or 3 (RGB) channels. Received: {0}")]
    Channels(usize),
    /// A side of no pixels.
    #[error("an image has at least one pixel. Received: {height}x{width}")]
    Empty {
        /// Rows asked for.
        height: usize,
        /// Columns asked for.
        width: usize,
    },
    /// Values that do not fill the shape.
    #[error("an image of {height}x{width}x{channels} has that many values. Received: {received}")]
    Length {
        /// Rows asked for.
        height: usize,
        /// Columns asked for.
        width: usize,
        /// Channels asked for.
        channels: usize,
        /// Values given.
        received: usize,
    },
}

impl Raster {
    /// An image of `height * width * channels` values.
    ///
    /// # Errors
    /// Channels other than 1 or 3, a side of zero, or a number of values other than the product.
    pub fn new(
        height: usize,
        width: usize,
        channels: usize,
        pixels: Vec<f32>,
    ) -> Result<Self, RasterError> {
        if channels != GREY && channels != RGB {
            return Err(RasterError::Channels(channels));
        }
        if height == 0 || width == 0 {
            return Err(RasterError::Empty { height, width });
        }
        let needed = height.checked_mul(width).and_then(|area| area.checked_mul(channels));
        if needed != Some(pixels.len()) {
            let received = pixels.len();
            return Err(RasterError::Length { height, width, channels, received });
        }
        Ok(Self { height, width, channels, pixels })
    }

    /// Images of one size side by side, row after row, without space between; white where the last row is short.
    ///
    /// # Panics
    /// When there is none, or one has another size.
    #[must_use]
    pub fn mosaic(images: &[Self], columns: usize) -> Self {
        let [first, ..] = images else { panic!("a mosaic has an image") };
        let (height, channels) = (first.height, first.channels);
        let (row, whole) = (first.width * channels, first.width * channels * columns);
        let rows = images.len().div_ceil(columns);
        let mut pixels = vec![1.0; rows * height * whole];
        for (index, image) in images.iter().enumerate() {
            let start = index / columns * height * whole + index % columns * row;
            for (line, values) in image.pixels.chunks_exact(row).enumerate() {
                pixels[start + line * whole..][..row].copy_from_slice(values);
            }
        }
        Self { height: rows * height, width: first.width * columns, channels, pixels }
    }

    /// Rows.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// Columns.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// 1 for grey, 3 for RGB.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// The values as given, `(height, width, channels)`.
    #[must_use]
    pub fn pixels(&self) -> &[f32] {
        &self.pixels
    }

    /// The bytes of a PNG.
    pub(super) fn to_png(&self) -> Result<Vec<u8>, Problem> {
        let grey = self.channels == GREY;
        let colour = if grey { ExtendedColorType::L8 } else { ExtendedColorType::Rgb8 };
        encode_png(&self.to_bytes(), (self.width, self.height), colour)
    }

    /// The image reduced so that no side is longer than `side`; `None` where none is.
    pub(super) fn within(&self, side: usize) -> Option<Self> {
        let longest = self.width.max(self.height);
        if longest <= side {
            return None;
        }
        let reduced = |length: usize| (length * side / longest).max(1);
        let (height, width) = (reduced(self.height), reduced(self.width));
        // Each new pixel is the mean of those that it stands for.
        let span =
            |at: usize, new: usize, old: usize| at * old / new..((at + 1) * old).div_ceil(new);
        let mut pixels = Vec::with_capacity(height * width * self.channels);
        for (row, column) in (0..height).flat_map(|row| (0..width).map(move |column| (row, column)))
        {
            let rows = span(row, height, self.height);
            let columns = span(column, width, self.width);
            for channel in 0..self.channels {
                let all = rows.clone().flat_map(|y| columns.clone().map(move |x| (y, x)));
                let values =
                    all.map(|(y, x)| self.pixels[(y * self.width + x) * self.channels + channel]);
                pixels.push(values.sum::<f32>() / (rows.len() * columns.len()) as f32);
            }
        }
        Some(Self { height, width, channels: self.channels, pixels })
    }

    /// The 8-bit pixels, in the same order as [`Raster::pixels`].
    ///
    /// Values are clamped to `0.0..=1.0`, multiplied by 255 and rounded to nearest, halves up, so
    /// that a byte `b` read as `b / 255.0` comes back as `b`. NaN becomes 0: black, never white
    /// noise, since the losses already tell that a run broke.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.pixels.iter().map(|&value| to_byte(value)).collect()
    }

    /// One pixel as 8-bit RGB; grey is repeated.
    pub(super) fn rgb(&self, row: usize, column: usize) -> Rgb {
        let start = (row * self.width + column) * self.channels;
        // Channel 0, 1, 2 of a colour image; 0, 0, 0 of a grey one.
        std::array::from_fn(|channel| to_byte(self.pixels[start + channel.min(self.channels - 1)]))
    }
}

/// The rule of [`Raster::to_bytes`].
fn to_byte(value: f32) -> u8 {
    // `as` sends NaN, which `clamp` lets through, to 0.
    (value.clamp(0.0, 1.0) * 255.0).round() as u8
}

/// Writes one image at exactly its own size: 8 bits a channel, grey or RGB.
///
/// [`Raster::to_bytes`] tells how values become bytes.
///
/// # Errors
/// [`ReportError`] naming the file, when it cannot be encoded or written.
pub fn write_png(path: &Path, raster: &Raster) -> Result<(), ReportError> {
    deliver(path, || raster.to_png())
}

/// The same for one of thousands, which does not wait for the disk: see
/// [`write_one_of_many`](crate::system::atomic::write_one_of_many).
///
/// # Errors
/// As [`write_png`].
pub fn write_png_of_many(path: &Path, raster: &Raster) -> Result<(), ReportError> {
    let written = raster.to_png().and_then(|png| Ok(write_one_of_many(path, &png)?));
    written.map_err(|problem| ReportError { path: path.to_path_buf(), problem })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(raster: &Raster) -> image::DynamicImage {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("one.png");
        write_png(&path, raster).unwrap();
        image::open(&path).unwrap()
    }

    #[test]
    fn a_mosaic_has_its_images_row_after_row() {
        let image = |value: f32| Raster::new(1, 2, 1, vec![value, value + 0.1]).unwrap();
        let mosaic = Raster::mosaic(&[image(0.0), image(0.2), image(0.4)], 2);
        assert_eq!((mosaic.height(), mosaic.width()), (2, 4));
        assert_eq!(mosaic.pixels(), [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 1.0, 1.0]);
    }

    #[test]
    fn every_byte_survives_the_way_to_unit_range_and_back() {
        let pixels = (0..=u8::MAX).map(|byte| f32::from(byte) / 255.0).collect();
        let raster = Raster::new(16, 16, 1, pixels).unwrap();
        let bytes: Vec<u8> = (0..=u8::MAX).collect();
        assert_eq!(raster.to_bytes(), bytes);
        assert_eq!(written(&raster).into_luma8().into_raw(), bytes);
    }

    #[test]
    fn values_outside_the_range_are_clamped_and_nan_is_black() {
        let pixels = vec![-0.1, 1.1, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 0.5];
        let raster = Raster::new(2, 3, 1, pixels).unwrap();
        assert_eq!(raster.to_bytes(), [0, 255, 255, 0, 0, 128]); // 127.5 rounds up
    }

    #[test]
    fn a_grey_image_is_written_as_l8_at_its_own_size() {
        let image = written(&Raster::new(2, 3, 1, vec![0.5; 6]).unwrap());
        assert_eq!((image.width(), image.height()), (3, 2));
        assert_eq!(image.color(), image::ColorType::L8);
    }

    #[test]
    fn a_colour_image_is_written_as_rgb8_with_its_channels_in_order() {
        let image = written(&Raster::new(1, 2, 3, vec![1.0, 0.0, 0.2, 0.0, 1.0, 0.4]).unwrap());
        assert_eq!(image.color(), image::ColorType::Rgb8);
        assert_eq!(image.into_rgb8().into_raw(), [255, 0, 51, 0, 255, 102]);
    }

    #[test]
    fn a_large_image_is_reduced_to_means() {
        let pixels: Vec<f32> = (0..4 * 6 * 3).map(|i| (i % 3) as f32 / 2.0).collect();
        let reduced = Raster::new(4, 6, 3, pixels).unwrap().within(3).unwrap();
        assert_eq!((reduced.height, reduced.width, reduced.channels), (2, 3, 3));
        assert_eq!(reduced.pixels, [0.0, 0.5, 1.0].repeat(6));
        let steps = Raster::new(1, 4, 1, vec![0.0, 0.5, 0.5, 1.0]).unwrap();
        assert_eq!(steps.within(2).unwrap().pixels, [0.25, 0.75]);
        assert_eq!(steps.within(4), None);
    }

    #[test]
    fn two_channels_are_refused() {
        assert_eq!(Raster::new(1, 1, 2, vec![0.0; 2]), Err(RasterError::Channels(2)));
    }

    #[test]
    fn a_side_of_zero_is_refused() {
        let refused = Raster::new(0, 4, 1, vec![]);
        assert_eq!(refused, Err(RasterError::Empty { height: 0, width: 4 }));
    }

    #[test]
    fn a_wrong_number_of_values_is_refused_with_the_number() {
        let refused = Raster::new(2, 2, 1, vec![0.0; 5]).unwrap_err();
        assert!(refused.to_string().ends_with("Received: 5"), "{refused}");
    }

    #[test]
    fn sides_whose_product_overflows_are_refused() {
        let refused = Raster::new(usize::MAX, 2, 3, vec![0.0; 2]);
        assert!(matches!(refused, Err(RasterError::Length { .. })));
    }

    #[test]
    fn an_unwritable_place_is_named_in_the_error() {
        let raster = Raster::new(1, 1, 1, vec![0.0]).unwrap();
        let refused = write_png(Path::new("/nowhere/at/all.png"), &raster).unwrap_err();
        assert!(refused.to_string().contains("/nowhere/at/all.png"), "{refused}");
        assert!(matches!(refused.problem, Problem::Write(_)));
    }
}
