//! Pixels to a file: PNG or TIFF, 8 or 16 bits a channel, whole or not at all.

use std::io::{Cursor, Write as _};
use std::path::Path;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::codecs::tiff::TiffEncoder;
use image::{ExtendedColorType, ImageEncoder};

use super::{ImageError, ImageFile, ImageProblem, Samples};
use crate::atomic;

/// The formats that we write; both keep every value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Compressed, quickly.
    Png,
    /// Not compressed.
    Tiff,
}

impl Format {
    /// The format for a result of a file of that name: TIFF stays TIFF, everything else is PNG.
    #[must_use]
    pub fn for_result_of(path: &Path) -> Self {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        match ending.as_deref() {
            Some("tif" | "tiff") => Self::Tiff,
            _ => Self::Png,
        }
    }
}

impl ImageFile {
    /// The bytes of a file.
    ///
    /// # Errors
    /// When the format has no room for the image.
    pub fn encode(&self, format: Format) -> Result<Vec<u8>, ImageProblem> {
        let mut bytes = Vec::new();
        let written = match format {
            Format::Png => self.put(PngEncoder::new_with_quality(
                &mut bytes,
                CompressionType::Fast,
                FilterType::Adaptive,
            )),
            Format::Tiff => self.put(TiffEncoder::new(Cursor::new(&mut bytes))),
        };
        written.map_err(|error| ImageProblem::Encode(error.to_string()))?;
        Ok(bytes)
    }

    /// Writes the file.
    ///
    /// # Errors
    /// As [`ImageFile::encode`], and when the system refuses.
    pub fn write(&self, path: &Path, format: Format) -> Result<(), ImageError> {
        let write = || {
            let bytes = self.encode(format)?;
            atomic::write(path, |file| file.write_all(&bytes)).map_err(ImageProblem::Write)
        };
        write().map_err(|problem| ImageError { path: path.to_owned(), problem })
    }

    fn put(&self, encoder: impl ImageEncoder) -> image::ImageResult<()> {
        let [height, width, channels] = self.shape;
        let side = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let (width, height) = (side(width), side(height));
        match (&self.samples, channels) {
            (Samples::Eight(values), 1) => {
                encoder.write_image(values, width, height, ExtendedColorType::L8)
            }
            (Samples::Eight(values), _) => {
                encoder.write_image(values, width, height, ExtendedColorType::Rgb8)
            }
            (Samples::Sixteen(values), channels) => {
                // The encoders turn the machine's order of bytes into the file's.
                let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_ne_bytes()).collect();
                let colour =
                    if channels == 1 { ExtendedColorType::L16 } else { ExtendedColorType::Rgb16 };
                encoder.write_image(&bytes, width, height, colour)
            }
        }
    }
}
