//! The tags of a TIFF, before its decoder sees them: that one takes memory for as many values as a tag
//! claims, up to 256 MB, before it looks whether the file has them.
//!
//! Source: TIFF 6.0, section 2, and BigTIFF: a header leads to a list of tags, each with a type, a number of
//! values, and the values' place.

/// Whether no tag of the first image claims more bytes of values than the file has. Anything that is no TIFF,
/// or ends too early, is left to the decoder.
pub(super) fn fit(file: &[u8]) -> bool {
    let Some(layout) = Layout::of(file) else { return true };
    let Some(first) = layout.number(file, layout.first, layout.word) else { return true };
    let Some(count) = layout.number(file, first, layout.counted) else { return true };
    let tags = (0..count).map_while(|index| {
        // Behind the number of tags, so that a hostile place overflows nothing.
        let tag = index.checked_mul(layout.tag)?.checked_add(first)?.checked_add(layout.counted)?;
        let kind = layout.number(file, tag.checked_add(2)?, 2)?;
        let values = layout.number(file, tag.checked_add(4)?, layout.word)?;
        Some(values.saturating_mul(bytes_of(kind)))
    });
    tags.max().is_none_or(|most| most <= file.len())
}

/// Where the numbers of a file stand, and how they are written.
struct Layout {
    big_endian: bool,
    /// Place of the first list's place.
    first: usize,
    /// Bytes of a place, or of a number of values.
    word: usize,
    /// Bytes of a number of tags.
    counted: usize,
    /// Bytes of a tag.
    tag: usize,
}

impl Layout {
    fn of(file: &[u8]) -> Option<Self> {
        let big_endian = match file.get(..2)? {
            b"MM" => true,
            b"II" => false,
            _ => return None,
        };
        let classic = Self { big_endian, first: 4, word: 4, counted: 2, tag: 12 };
        match classic.number(file, 2, 2)? {
            42 => Some(classic),
            43 => Some(Self { first: 8, word: 8, counted: 8, tag: 20, ..classic }),
            _ => None,
        }
    }

    /// A number of 2, 4 or 8 bytes.
    fn number(&self, file: &[u8], at: usize, size: usize) -> Option<usize> {
        let bytes = file.get(at..at.checked_add(size)?)?;
        let join = |sum: usize, byte: &u8| (sum << 8) | usize::from(*byte);
        Some(if self.big_endian {
            bytes.iter().fold(0, join)
        } else {
            bytes.iter().rev().fold(0, join)
        })
    }
}

/// Bytes of a value of that type.
fn bytes_of(kind: usize) -> usize {
    match kind {
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16..=18 => 8,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of one tag: SampleFormat, of so many 16-bit values.
    fn classic(count: u32, big_endian: bool) -> Vec<u8> {
        let (two, four) = if big_endian {
            (u16::to_be_bytes as fn(u16) -> [u8; 2], u32::to_be_bytes as fn(u32) -> [u8; 4])
        } else {
            (u16::to_le_bytes as fn(u16) -> [u8; 2], u32::to_le_bytes as fn(u32) -> [u8; 4])
        };
        let order: &[u8] = if big_endian { b"MM" } else { b"II" };
        [order, &two(42), &four(8), &two(1), &two(339), &two(3), &four(count), &four(0), &four(0)]
            .concat()
    }

    #[test]
    fn a_tag_may_claim_as_much_as_the_file_has_and_no_more() {
        for big_endian in [false, true] {
            let length = classic(0, big_endian).len() as u32;
            assert!(fit(&classic(length / 2, big_endian)));
            for count in [length / 2 + 1, 5_000_000, u32::MAX] {
                assert!(!fit(&classic(count, big_endian)), "{count}");
            }
        }
    }

    #[test]
    fn a_file_of_the_larger_kind_is_read_too() {
        let tag = |count: u64| {
            let start = b"II\x2b\0\x08\0\0\0\x10\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x53\x01\x03\0";
            [&start[..], &count.to_le_bytes(), &[0; 8]].concat()
        };
        assert!(fit(&tag(3)));
        assert!(!fit(&tag(1 << 20)) && !fit(&tag(u64::MAX)));
    }

    #[test]
    fn what_is_cut_off_or_no_tiff_is_left_to_the_decoder() {
        let whole = classic(1, false);
        for end in 0..whole.len() {
            assert!(fit(&whole[..end]), "{end}");
        }
        assert!(fit(b"MM\0\x2a\xff\xff\xff\xff") && fit(b"\x89PNG"));
    }
}
