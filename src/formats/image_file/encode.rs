//! Pixels to a file: PNG of 8 or 16 bits a channel, or TIFF of these or of floats; whole or not at all.

use std::io::{Cursor, Write as _};
use std::path::Path;

use super::metadata::Metadata;
use super::{ImageError, ImageFile, ImageProblem, TiffPages, png_file};
use crate::system::atomic;

/// The formats that we write; both keep every value, and a PNG has no floats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Compressed, quickly.
    Png,
    /// Not compressed.
    Tiff,
}

/// What a result has not that its image's file had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loss {
    /// The alpha channel.
    Alpha,
    /// The colours: the model is grey.
    Colour,
    /// What says which colours the values are.
    Profile,
    /// The size of a pixel.
    Resolution,
    /// Smaller copies of the images.
    Reduced,
    /// Masks of the images.
    Masks,
}

impl Loss {
    /// With `its`, or of several files with `their`.
    #[must_use]
    pub fn name(self, files: usize) -> &'static str {
        let one = files == 1;
        match self {
            Self::Alpha if one => "its alpha channel",
            Self::Alpha => "their alpha channels",
            Self::Colour if one => "its colours",
            Self::Colour => "their colours",
            Self::Profile if one => "its colour profile",
            Self::Profile => "their colour profiles",
            Self::Resolution if one => "its resolution",
            Self::Resolution => "their resolutions",
            Self::Reduced if one => "its thumbnails",
            Self::Reduced => "their thumbnails",
            Self::Masks if one => "its masks",
            Self::Masks => "their masks",
        }
    }
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
        match format {
            Format::Png => png_file::encode(self),
            Format::Tiff => {
                let mut bytes = Vec::new();
                TiffPages::new(Cursor::new(&mut bytes), self.bytes())?.add(self)?;
                Ok(bytes)
            }
        }
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

    /// What [`encode`](Self::encode) leaves out of what this image's file had.
    #[must_use]
    pub fn losses(&self, format: Format) -> Vec<Loss> {
        let Metadata { profile, chunks, .. } = &self.metadata;
        let profile = profile.is_some() && self.metadata.profile_for(self.shape[2]).is_none();
        // Without a profile that says the same, a PNG's chunks are lost on a TIFF.
        let chunks = !chunks.is_empty() && format == Format::Tiff;
        let mut losses = Vec::new();
        if self.alpha_dropped {
            losses.push(Loss::Alpha);
        }
        if profile || chunks && self.metadata.profile.is_none() {
            losses.push(Loss::Profile);
        }
        losses
    }

    /// What is left out where only the values are kept.
    #[must_use]
    pub fn all_losses(&self) -> Vec<Loss> {
        let Metadata { profile, density, chunks } = &self.metadata;
        let losses = [
            (Loss::Alpha, self.alpha_dropped),
            (Loss::Profile, profile.is_some() || !chunks.is_empty()),
            (Loss::Resolution, density.is_some()),
        ];
        losses.into_iter().filter(|(_, lost)| *lost).map(|(loss, _)| loss).collect()
    }

    /// The same image without what its file said of it beside the values.
    #[must_use]
    pub fn bare(mut self) -> Self {
        self.metadata = Metadata::default();
        self
    }
}
