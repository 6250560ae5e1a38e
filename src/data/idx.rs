//! The IDX format of MNIST: unsigned bytes behind a big-endian header. Every length is checked
//! before it is believed.
//!
//! Source: the format's description on the MNIST page (magic 0x0000 08 dd, then dd sizes).

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::error::{DataError, Supply};
use super::gzip::{Gzip, MAGIC};
use super::stored::{Pixels, Stored};

/// Magic number of unsigned bytes in three dimensions: images.
const IMAGES: u32 = 0x0803;
/// The same in four dimensions: images with channels last.
const COLOUR_IMAGES: u32 = 0x0804;
/// Magic number of unsigned bytes in one dimension: labels.
const LABELS: u32 = 0x0801;
/// Bytes of the longer header, that of images with channels.
const LONGEST_HEADER: u64 = 20;
/// Bytes of a file that hold its header, packed too.
const START: u64 = 1 << 16;

/// Reads a raw or gzipped IDX file, or its first `samples` images.
pub(super) fn open(
    path: &Path,
    samples: Option<usize>,
    supply: Supply,
) -> Result<Stored, DataError> {
    let mut bytes = read(path, supply)?;
    let header = Header::parse(&bytes).map_err(|problem| match problem {
        Problem::Labels => DataError::Labels { path: path.to_owned(), magic: LABELS },
        Problem::Other(problem) => DataError::Damaged { path: path.to_owned(), problem, supply },
    })?;
    let count = samples.map_or(header.count, |samples| samples.min(header.count));
    let [height, width, channels] = header.shape;
    bytes.truncate(header.length + count * height * width * channels);
    bytes.drain(..header.length);
    Ok(Stored { file: path.to_owned(), shape: header.shape, pixels: Pixels::Eight(bytes) })
}

/// Height, width and channels of a file's images, by its header.
pub(super) fn shape(path: &Path, supply: Supply) -> Result<[usize; 3], DataError> {
    let unreadable = |error| DataError::Unreadable { path: path.to_owned(), error };
    let file = File::open(path).map_err(unreadable)?;
    let mut start = Vec::new();
    file.take(START).read_to_end(&mut start).map_err(unreadable)?;
    if start.starts_with(&MAGIC) {
        let (packed, mut unpacked) = (start, Vec::new());
        // What comes out before the start is at its end is enough.
        let _ = Gzip::new(&packed).take(LONGEST_HEADER).read_to_end(&mut unpacked);
        start = unpacked;
    }
    match sizes(&start) {
        Some((sizes, _)) => Ok([sizes[1], sizes[2], sizes.get(3).copied().unwrap_or(1)]),
        // What is wrong with it is found where all of it is read.
        None => open(path, None, supply).map(|stored| stored.shape),
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
                return other(format!("its magic number is {magic}, images have {IMAGES}"));
            }
            None => return other(format!("it has {} bytes, too few for a header", bytes.len())),
        }
        let Some((sizes, length)) = sizes(bytes) else {
            return other(format!("it has {} bytes, too few for a header", bytes.len()));
        };
        let found = bytes.len() - length;
        match product(&sizes) {
            Some(0) => other(format!("its header promises no images (sizes {sizes:?})")),
            Some(promised) if promised == found => {
                let shape = [sizes[1], sizes[2], sizes.get(3).copied().unwrap_or(1)];
                Ok(Self { count: sizes[0], shape, length })
            }
            _ => other(format!("its header promises {sizes:?} bytes, it holds {found}")),
        }
    }
}

/// The sizes in the header of images, and the header's length in bytes.
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
fn read(path: &Path, supply: Supply) -> Result<Vec<u8>, DataError> {
    let unreadable = |error| DataError::Unreadable { path: path.to_owned(), error };
    let damaged = |problem: String| DataError::Damaged { path: path.to_owned(), problem, supply };
    let bytes = std::fs::read(path).map_err(unreadable)?;
    if !bytes.starts_with(&MAGIC) {
        return Ok(bytes);
    }
    unpack(&bytes).map_err(|error| damaged(format!("it cannot be unpacked ({error})")))
}

/// Unpacks no more than the header promises, and one byte that shows when there is more: a small
/// file can unpack to fill all memory.
fn unpack(packed: &[u8]) -> io::Result<Vec<u8>> {
    let mut decoder = Gzip::new(packed);
    let mut bytes = Vec::new();
    decoder.by_ref().take(LONGEST_HEADER).read_to_end(&mut bytes)?;
    let promised = sizes(&bytes).and_then(|(sizes, length)| product(&sizes)?.checked_add(length));
    let rest = promised.map_or(0, |promised| (promised as u64).saturating_add(1));
    decoder.take(rest.saturating_sub(bytes.len() as u64)).read_to_end(&mut bytes)?;
    Ok(bytes)
}
