//! Why an image was not read, written or found.

use std::io;
use std::path::PathBuf;

/// A file and what is wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct ImageError {
    /// The file, or the folder that cannot be searched.
    pub path: PathBuf,
    /// A sentence whose subject is the file.
    pub problem: ImageProblem,
}

/// What is wrong, whatever the file's name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageProblem {
    /// The system refused.
    #[error("it cannot be read ({0}); check its name and permissions")]
    Read(io::Error),
    /// Values that do not make an image.
    #[error(
        "{values} values do not make an image of {shape:?}; give height * width * channels of them, \
         with 1 channel (grey) or 3 (RGB)"
    )]
    Shape {
        /// Height, width and channels, as they were given.
        shape: [usize; 3],
        /// How many values came.
        values: usize,
    },
    /// No byte.
    #[error("it is empty; use another copy")]
    Empty,
    /// By its content, none of the formats.
    #[error("it is not an image that we read; give PNG, JPEG, BMP, TIFF, WebP or PNM")]
    NotAnImage,
    /// A part of it is missing, or makes no sense.
    #[error("it is damaged ({0}); use another copy")]
    Damaged(String),
    /// Sound perhaps, but of a kind that we do not read.
    #[error("{what}, which we do not read; save it as {instead}")]
    Kind {
        /// A clause about the file as "it".
        what: String,
        /// What we read in its place.
        instead: &'static str,
    },
    /// Floating-point values beyond 0..1 where nobody says how they become the model's. Nothing is guessed.
    #[error(
        "it has floats from {} to {}, and the model's config does not say how values beyond 0..1 become the \
         model's; train with data.scale, like data.scale=\"range\"", short(*low), short(*high)
    )]
    Range {
        /// The least.
        low: f32,
        /// The greatest.
        high: f32,
    },
    /// One value throughout, of which no scale can be measured.
    #[error(
        "all of its values are {0}, so there is no range to scale; leave it out, or set data.scale.per=\"set\""
    )]
    Constant(f32),
    /// A value that is no number.
    #[error(
        "it holds {value} in row {row}, column {column} (counted from 0); put numbers in place of NaN and \
         infinity"
    )]
    NotFinite {
        /// NaN or infinity.
        value: f32,
        /// As it lies in the file.
        row: usize,
        /// As it lies in the file.
        column: usize,
    },
    /// One image was asked for, and the file holds several.
    #[error("it holds {images} images; {remedy}")]
    Several {
        /// How many.
        images: usize,
        /// What to do with them.
        remedy: &'static str,
    },
    /// More pixels than the caller allows.
    #[error(
        "it is {width}x{height} pixels, more than the {most} that we take in all; make it smaller"
    )]
    TooLarge {
        /// As the file claims.
        width: u32,
        /// As the file claims.
        height: u32,
        /// Pixels allowed.
        most: u64,
    },
    /// The encoder refused.
    #[error("it cannot be encoded ({0}); give another format")]
    Encode(String),
    /// The system refused.
    #[error("it cannot be written ({0}); free some space, or name another folder")]
    Write(io::Error),
}

/// A number of few letters.
fn short(value: f32) -> String {
    if value == 0.0 || (1e-4..1e9).contains(&value.abs()) {
        value.to_string()
    } else {
        format!("{value:e}")
    }
}
