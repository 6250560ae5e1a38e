//! The IDX format of MNIST: unsigned bytes behind a big-endian header. Every length is checked
//! before it is believed.
//!
//! Source: the format's description on the MNIST page (magic 0x0000 08 dd, then dd sizes).

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

/// Magic number of unsigned bytes in three dimensions: pictures.
const IMAGES: u32 = 0x0803;
/// The same in four dimensions: pictures with channels last.
const COLOUR_IMAGES: u32 = 0x0804;
/// Magic number of unsigned bytes in one dimension: labels.
const LABELS: u32 = 0x0801;
/// First bytes of a gzipped file.
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// Bytes of the longer header, that of pictures with channels.
const LONGEST_HEADER: u64 = 20;

/// Why a data set cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// Neither the raw file nor its `.gz` is there.
    #[error(
        "{} is missing; get MNIST with scripts/setup.sh, or name another folder with \
         --set data.dir=FOLDER", path.display())]
    Missing {
        /// Where the raw file was looked for, with its `.gz` beside it.
        path: PathBuf,
    },
    /// The system refused to read the file.
    #[error("{} cannot be read: {error}; check the file, or get it again with scripts/setup.sh", path.display())]
    Unreadable {
        /// Raw or `.gz`.
        path: PathBuf,
        /// The system's reason.
        error: std::io::Error,
    },
    /// The file does not unpack, or its header does not fit its length.
    #[error("{} is damaged: {problem}; delete it and get it again with scripts/setup.sh", path.display())]
    Damaged {
        /// Raw or `.gz`.
        path: PathBuf,
        /// A sentence about the file as "it".
        problem: String,
    },
    /// The magic number is that of labels.
    #[error(
        "{} holds labels, not pictures (magic number {LABELS}); put the file whose name has \
         `images` in it there", path.display())]
    Labels {
        /// Raw or `.gz`.
        path: PathBuf,
    },
    /// The pictures do not fit `model.input_shape`.
    #[error(
        "{} holds pictures of {found:?} (height, width, channels), the model takes {expected:?}; \
         name other data, or a model.input_shape that fits it (1 channel or 3)", path.display())]
    Shape {
        /// Raw or `.gz`.
        path: PathBuf,
        /// The file's height, width and channels.
        found: [usize; 3],
        /// The model's height, width and channels.
        expected: [usize; 3],
    },
}

impl DataError {
    /// Whether the user named the wrong data, rather than a file being damaged.
    #[must_use]
    pub fn is_misuse(&self) -> bool {
        matches!(self, Self::Missing { .. } | Self::Shape { .. })
    }
}

/// Pictures of one shape, one byte a value, channels last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    shape: [usize; 3],
    bytes: Vec<u8>,
}

impl Images {
    /// Reads a raw or gzipped IDX file, or its first `samples` pictures.
    ///
    /// # Errors
    /// When the file cannot be read, or is not what its header says.
    pub fn open(path: &Path, samples: Option<usize>) -> Result<Self, DataError> {
        let mut bytes = read(path)?;
        let header = Header::parse(&bytes).map_err(|problem| match problem {
            Problem::Labels => DataError::Labels { path: path.to_owned() },
            Problem::Other(problem) => DataError::Damaged { path: path.to_owned(), problem },
        })?;
        let count = samples.map_or(header.count, |samples| samples.min(header.count));
        let [height, width, channels] = header.shape;
        bytes.truncate(header.length + count * height * width * channels);
        bytes.drain(..header.length);
        Ok(Self { shape: header.shape, bytes })
    }

    /// Height, width and channels.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Values of one picture.
    #[must_use]
    pub fn values(&self) -> usize {
        self.shape.iter().product()
    }

    /// Number of pictures.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() / self.values()
    }

    /// Only where none was asked for: a file without pictures is refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Appends one picture's values, scaled to 0..1 by dividing by 255 as the tutorial does.
    ///
    /// # Panics
    /// When there is no such picture.
    pub fn push_scaled(&self, index: usize, values: &mut Vec<f32>) {
        let picture = &self.bytes[index * self.values()..][..self.values()];
        values.extend(picture.iter().map(|&byte| f32::from(byte) / 255.0));
    }
}

/// What the file's first bytes promise, already held against the file's length.
struct Header {
    count: usize,
    shape: [usize; 3],
    length: usize,
}

enum Problem {
    Labels,
    Other(String),
}

impl Header {
    fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        let other = |problem: String| Err(Problem::Other(problem));
        match word(bytes, 0) {
            Some(IMAGES | COLOUR_IMAGES) => {}
            Some(LABELS) => return Err(Problem::Labels),
            Some(magic) => {
                return other(format!("its magic number is {magic}, pictures have {IMAGES}"));
            }
            None => return other(format!("it has {} bytes, too few for a header", bytes.len())),
        }
        let Some((sizes, length)) = sizes(bytes) else {
            return other(format!("it has {} bytes, too few for a header", bytes.len()));
        };
        let found = bytes.len() - length;
        match product(&sizes) {
            Some(0) => other(format!("its header promises no pictures (sizes {sizes:?})")),
            Some(promised) if promised == found => {
                let shape = [sizes[1], sizes[2], sizes.get(3).copied().unwrap_or(1)];
                Ok(Self { count: sizes[0], shape, length })
            }
            _ => other(format!("its header promises {sizes:?} bytes, it holds {found}")),
        }
    }
}

/// The sizes in the header of pictures, and the header's length in bytes.
fn sizes(bytes: &[u8]) -> Option<(Vec<usize>, usize)> {
    let dimensions = match word(bytes, 0)? {
        IMAGES => 3,
        COLOUR_IMAGES => 4,
        _ => return None,
    };
    let sizes: Option<Vec<usize>> =
        (1..=dimensions).map(|i| word(bytes, i).map(|size| size as usize)).collect();
    Some((sizes?, 4 * (1 + dimensions)))
}

fn product(sizes: &[usize]) -> Option<usize> {
    sizes.iter().try_fold(1_usize, |all, &size| all.checked_mul(size))
}

/// The big-endian word at `index`.
fn word(bytes: &[u8], index: usize) -> Option<u32> {
    let word = bytes.get(4 * index..4 * (index + 1))?;
    Some(u32::from_be_bytes(word.try_into().ok()?))
}

/// The whole file, unpacked if it is gzipped.
fn read(path: &Path) -> Result<Vec<u8>, DataError> {
    let unreadable = |error| DataError::Unreadable { path: path.to_owned(), error };
    let damaged = |problem: String| DataError::Damaged { path: path.to_owned(), problem };
    let bytes = std::fs::read(path).map_err(unreadable)?;
    if !bytes.starts_with(&GZIP) {
        return Ok(bytes);
    }
    unpack(&bytes).map_err(|error| damaged(format!("it cannot be unpacked ({error})")))
}

/// Unpacks no more than the header promises, and one byte that shows when there is more: a small
/// file can unpack to fill all memory.
fn unpack(packed: &[u8]) -> io::Result<Vec<u8>> {
    let mut decoder = GzDecoder::new(packed);
    let mut bytes = Vec::new();
    decoder.by_ref().take(LONGEST_HEADER).read_to_end(&mut bytes)?;
    let promised = sizes(&bytes).and_then(|(sizes, length)| product(&sizes)?.checked_add(length));
    let rest = promised.map_or(0, |promised| (promised as u64).saturating_add(1));
    decoder.take(rest.saturating_sub(bytes.len() as u64)).read_to_end(&mut bytes)?;
    Ok(bytes)
}
