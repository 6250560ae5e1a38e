//! One array as NumPy writes it: a header that is a Python dictionary, then the values. Every
//! length is checked before it is believed.
//!
//! Source: `numpy.lib.format`, versions 1.0 to 3.0. The crate npyz multiplies a hostile shape
//! without a check, which is why this is ours.

use super::error::Fault;

const MAGIC: &[u8] = b"\x93NUMPY";
/// The version that we write, which every NumPy reads.
const VERSION: [u8; 2] = [1, 0];
/// Values start at a multiple of this many bytes.
const ALIGNMENT: usize = 64;
/// Bytes of a letter.
const LETTER: usize = 4;

/// An array in memory; its bytes fill its shape exactly.
#[derive(Debug, PartialEq)]
pub(super) struct Npy<'a> {
    /// NumPy's name of the type, such as `<f4`.
    pub descr: &'a str,
    pub fortran: bool,
    pub shape: Vec<usize>,
    bytes: &'a [u8],
}

/// What comes before the values.
pub(super) fn header(descr: &str, shape: &[usize]) -> Vec<u8> {
    // A tuple of one needs its comma.
    let sides: Vec<String> = shape.iter().map(|side| format!("{side},")).collect();
    let text =
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({}), }}", sides.join(" "));
    let before = MAGIC.len() + VERSION.len() + size_of::<u16>();
    let padded = (before + text.len() + 1).next_multiple_of(ALIGNMENT) - before;
    let length = padded as u16; // a few axes of at most twenty digits
    let text = format!("{text:<width$}\n", width = padded - 1);
    [MAGIC, &VERSION, &length.to_le_bytes(), text.as_bytes()].concat()
}

impl<'a> Npy<'a> {
    pub(super) fn parse(file: &'a [u8]) -> Result<Self, Fault> {
        let cut = || damaged("an array is cut short");
        let rest = file.strip_prefix(MAGIC).ok_or_else(|| damaged("an array has no header"))?;
        let (&[major, _], rest) = rest.split_first_chunk().ok_or_else(cut)?;
        let (length, rest) = if major == 1 {
            let (length, rest) = rest.split_first_chunk().ok_or_else(cut)?;
            (usize::from(u16::from_le_bytes(*length)), rest)
        } else {
            let (length, rest) = rest.split_first_chunk().ok_or_else(cut)?;
            (u32::from_le_bytes(*length) as usize, rest)
        };
        let (text, bytes) = rest.split_at_checked(length).ok_or_else(cut)?;
        let text = std::str::from_utf8(text).ok().and_then(Self::read_header);
        let (descr, fortran, shape) = text.ok_or_else(|| damaged("an array's header is odd"))?;
        Ok(Self { descr, fortran, shape, bytes })
    }

    /// `{'descr': '<f4', 'fortran_order': False, 'shape': (200, 7, 7, 8), }`
    fn read_header(text: &'a str) -> Option<(&'a str, bool, Vec<usize>)> {
        let after = |key: &str| Some(text.split_once(&format!("'{key}':"))?.1.trim_start());
        let descr = after("descr")?;
        // A structured type has a list there.
        let descr = descr.strip_prefix('\'').and_then(|rest| rest.split_once('\''));
        let fortran = after("fortran_order")?.starts_with("True");
        let sides = after("shape")?.strip_prefix('(')?.split_once(')')?.0;
        let sides = sides.split(',').map(str::trim).filter(|side| !side.is_empty());
        let shape = sides.map(str::parse).collect::<Result<_, _>>().ok()?;
        Some((descr.map_or("a structured type", |(descr, _)| descr), fortran, shape))
    }

    /// The values of an array of floating-point numbers, in float32.
    pub(super) fn floats(&self) -> Result<Vec<f32>, Fault> {
        macro_rules! values {
            ($type:ty) => {{
                let (whole, _) = self.bytes_of(size_of::<$type>())?.as_chunks();
                let big = self.descr.starts_with('>');
                let of = if big { <$type>::from_be_bytes } else { <$type>::from_le_bytes };
                whole.iter().map(|&value| of(value) as f32).collect()
            }};
        }
        match self.descr {
            "<f4" | ">f4" => Ok(values!(f32)),
            "<f8" | ">f8" => Ok(values!(f64)),
            other => Err(Fault::Elements(other.escape_debug().take(30).collect())),
        }
    }

    /// The texts of an array of texts.
    pub(super) fn texts(&self) -> Result<Vec<String>, Fault> {
        let odd = || damaged("its `names` are no array of texts");
        let width = self.descr.strip_prefix("<U").and_then(|width| width.parse::<usize>().ok());
        let width = width.and_then(|width| width.checked_mul(LETTER)).ok_or_else(odd)?;
        let bytes = self.bytes_of(width)?;
        if width == 0 {
            return Err(odd());
        }
        bytes.chunks_exact(width).map(|text| text_of(text).ok_or_else(odd)).collect()
    }

    /// All bytes, where there are `size` for each value.
    fn bytes_of(&self, size: usize) -> Result<&[u8], Fault> {
        let needed = self.shape.iter().try_fold(size, |all, &side| all.checked_mul(side));
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
