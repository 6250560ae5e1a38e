//! The header of an array as NumPy writes it, a Python dictionary: `.npy` files, and the entries of
//! `.npz` archives. Its length is checked before it is believed; the values are the reader's business.
//!
//! Source: `numpy.lib.format`, versions 1.0 to 3.0. The crate npyz multiplies a hostile shape without a
//! check, which is why this is ours.

use std::io::Read;

/// First bytes of every array.
pub const MAGIC: &[u8] = b"\x93NUMPY";
/// The version that we write, which every NumPy reads.
const VERSION: [u8; 2] = [1, 0];
/// Values start at a multiple of this many bytes.
const ALIGNMENT: usize = 64;
/// Longest header that is believed; NumPy itself refuses longer ones by default.
const LONGEST: usize = 10_000;

/// What the values are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// NumPy's name of their type, such as `<f4`.
    pub descr: String,
    /// Whether the first axis is the one whose values lie side by side.
    pub fortran: bool,
    /// Any number of axes, of any length.
    pub shape: Vec<usize>,
}

impl Header {
    /// Reads as far as the values.
    ///
    /// # Errors
    /// When there is no such header; the sentence lacks its subject, the array.
    pub fn read(file: &mut impl Read) -> Result<Self, &'static str> {
        const CUT: &str = "has a header that is cut off";
        let mut start = [0; 8];
        file.read_exact(&mut start).map_err(|_| "has no header")?;
        if !start.starts_with(MAGIC) {
            return Err("is not an array of NumPy");
        }
        let mut length = vec![0; if start[6] == 1 { 2 } else { 4 }];
        file.read_exact(&mut length).map_err(|_| CUT)?;
        let length = length.iter().rev().fold(0, |sum, &byte| (sum << 8) | usize::from(byte));
        if length > LONGEST {
            return Err("has a header that is too long");
        }
        let mut text = vec![0; length];
        file.read_exact(&mut text).map_err(|_| CUT)?;
        Self::parse(&String::from_utf8_lossy(&text)).ok_or("has a header that is not NumPy's")
    }

    /// `{'descr': '<f4', 'fortran_order': False, 'shape': (60000, 28, 28), }`
    fn parse(text: &str) -> Option<Self> {
        let after = |key: &str| Some(text.split_once(&format!("'{key}':"))?.1.trim_start());
        let descr = after("descr")?;
        // A structured type has a list there.
        let descr = descr.strip_prefix('\'').and_then(|rest| rest.split_once('\''));
        let fortran = after("fortran_order")?.starts_with("True");
        let sides = after("shape")?.strip_prefix('(')?.split_once(')')?.0;
        let sides = sides.split(',').map(str::trim).filter(|side| !side.is_empty());
        let shape = sides.map(str::parse).collect::<Result<_, _>>().ok()?;
        let descr = descr.map_or("a structured type", |(descr, _)| descr).to_owned();
        Some(Self { descr, fortran, shape })
    }

    /// All that comes before the values, row-major, of an array with so short a list of axes that the
    /// header's length fits two bytes.
    #[must_use]
    pub fn bytes(descr: &str, shape: &[usize]) -> Vec<u8> {
        // A tuple of one needs its comma.
        let sides: Vec<String> = shape.iter().map(|side| format!("{side},")).collect();
        let text = format!(
            "{{'descr': '{descr}', 'fortran_order': False, 'shape': ({}), }}",
            sides.join(" ")
        );
        let before = MAGIC.len() + VERSION.len() + size_of::<u16>();
        let padded = (before + text.len() + 1).next_multiple_of(ALIGNMENT) - before;
        let text = format!("{text:<width$}\n", width = padded - 1);
        [MAGIC, &VERSION, &(padded as u16).to_le_bytes(), text.as_bytes()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_it_was_written_and_leaves_the_values() {
        for shape in [vec![], vec![7], vec![60_000, 28, 28, 1]] {
            let file = [Header::bytes("<f4", &shape), vec![1, 2, 3]].concat();
            assert_eq!((file.len() - 3) % ALIGNMENT, 0);
            let mut rest = file.as_slice();
            let header = Header::read(&mut rest).unwrap();
            assert_eq!(header, Header { descr: "<f4".to_owned(), fortran: false, shape });
            assert_eq!(rest, [1, 2, 3]);
        }
    }
}
