//! Codes and names in arrays of NumPy's: which types they have, and how their bytes are told apart. Every
//! length is checked before it is believed.

use super::error::Fault;
use crate::formats::npy::Header;

/// Bytes of a letter.
const LETTER: usize = 4;

/// An array in memory.
#[derive(Debug, PartialEq)]
pub(super) struct Npy<'a> {
    pub header: Header,
    bytes: &'a [u8],
}

impl<'a> Npy<'a> {
    pub(super) fn parse(mut file: &'a [u8]) -> Result<Self, Fault> {
        let odd = |problem| damaged(&format!("an array {problem}"));
        let header = Header::read(&mut file).map_err(odd)?;
        Ok(Self { header, bytes: file })
    }

    /// The values of an array of floating-point numbers, in float32.
    pub(super) fn floats(&self) -> Result<Vec<f32>, Fault> {
        macro_rules! values {
            ($type:ty) => {{
                let (whole, _) = self.bytes_of(size_of::<$type>())?.as_chunks();
                let big = self.header.descr.starts_with('>');
                let of = if big { <$type>::from_be_bytes } else { <$type>::from_le_bytes };
                whole.iter().map(|&value| of(value) as f32).collect()
            }};
        }
        match self.header.descr.as_str() {
            "<f4" | ">f4" => Ok(values!(f32)),
            "<f8" | ">f8" => Ok(values!(f64)),
            other => Err(Fault::Elements(other.escape_debug().take(30).collect())),
        }
    }

    /// The texts of an array of texts.
    pub(super) fn texts(&self) -> Result<Vec<String>, Fault> {
        let odd = || damaged("its `names` are no array of texts");
        let width =
            self.header.descr.strip_prefix("<U").and_then(|width| width.parse::<usize>().ok());
        let width = width.and_then(|width| width.checked_mul(LETTER)).ok_or_else(odd)?;
        let bytes = self.bytes_of(width)?;
        if width == 0 {
            return Err(odd());
        }
        bytes.chunks_exact(width).map(|text| text_of(text).ok_or_else(odd)).collect()
    }

    /// All bytes, where there are `size` for each value.
    fn bytes_of(&self, size: usize) -> Result<&[u8], Fault> {
        let needed = self.header.shape.iter().try_fold(size, |all, &side| all.checked_mul(side));
        if needed == Some(self.bytes.len()) {
            return Ok(self.bytes);
        }
        Err(damaged("an array is shorter or longer than its header says"))
    }
}

/// Four bytes a letter, zeros behind the last one.
fn text_of(bytes: &[u8]) -> Option<String> {
    let (letters, _) = bytes.as_chunks::<LETTER>();
    let letters = letters.iter().map(|&letter| char::from_u32(u32::from_le_bytes(letter)));
    Some(letters.collect::<Option<String>>()?.trim_end_matches('\0').to_owned())
}

/// The bytes of texts of one width, and NumPy's name of their type.
pub(super) fn texts_to_bytes(texts: &[String]) -> (String, Vec<u8>) {
    // NumPy has no texts of no width.
    let width = texts.iter().map(|text| text.chars().count()).max().unwrap_or(0).max(1);
    let mut bytes = Vec::with_capacity(texts.len() * width * LETTER);
    for text in texts {
        let letters = text.chars().chain(std::iter::repeat('\0')).take(width);
        bytes.extend(letters.flat_map(|letter| u32::from(letter).to_le_bytes()));
    }
    (format!("<U{width}"), bytes)
}

fn damaged(problem: &str) -> Fault {
    Fault::Damaged(problem.to_owned())
}
