//! The directories of a TIFF, before its decoder sees them: that one takes memory for as many values as a tag
//! claims, before it looks whether the file has them, and knows the first directory only.
//!
//! Source: TIFF 6.0, section 2, and BigTIFF: a header leads to a chain of directories, one for each image: a
//! list of tags, each with a type, a number of values, and the values or their place.

use std::collections::HashSet;
use std::io::{Read, Seek, SeekFrom};

use super::damaged;
use super::patched::Patch;
use crate::formats::image_file::ImageProblem;

/// A tag that means nothing.
const UNUSED: u16 = 65_535;

/// Where the numbers of a file stand, and how they are written.
#[derive(Debug, Clone, Copy)]
pub(in crate::formats::image_file) struct Layout {
    big_endian: bool,
    /// Bytes of a place, or of a number of values: 4, and 8 in a BigTIFF.
    word: u64,
    /// Of the file.
    length: u64,
}

/// One directory.
#[derive(Debug, Clone)]
pub(in crate::formats::image_file) struct Directory {
    pub layout: Layout,
    /// Its own place.
    pub place: u64,
    tags: Vec<Tag>,
    /// Of the next one; 0 at the end.
    next: u64,
}

/// A tag and where its values are.
#[derive(Debug, Clone, Copy)]
struct Tag {
    number: u16,
    kind: u16,
    count: u64,
    /// Where they stand.
    place: u64,
}

/// All directories of the chain, in its order.
pub(super) fn chain(source: &mut (impl Read + Seek)) -> Result<Vec<Directory>, ImageProblem> {
    let (layout, mut next) = Layout::read(source)?;
    let (mut directories, mut seen) = (Vec::new(), HashSet::new());
    // Directories that lie within each other could be many times the file.
    let mut left = layout.length;
    while next != 0 {
        if !seen.insert(next) {
            return Err(damaged("its chain of images bites its own tail"));
        }
        let directory = Directory::read(source, layout, next)?;
        let size = directory.tags.len() as u64 * layout.tag() + layout.counted();
        left = left.checked_sub(size).ok_or_else(|| damaged("its images overlap"))?;
        next = directory.next;
        directories.push(directory);
    }
    if directories.is_empty() { Err(damaged("it has no image")) } else { Ok(directories) }
}

impl Layout {
    /// The layout of a file, and the place of its first directory.
    fn read(source: &mut (impl Read + Seek)) -> Result<(Self, u64), ImageProblem> {
        let length = source.seek(SeekFrom::End(0)).map_err(ImageProblem::Read)?;
        let start = bytes(source, length, 0, 8)?;
        let classic = Self { big_endian: start[0] == b'M', word: 4, length };
        match (&start[..2], classic.number(&start[2..4])) {
            (b"II" | b"MM", 42) => Ok((classic, classic.number(&start[4..8]))),
            (b"II" | b"MM", 43) if classic.number(&start[4..6]) == 8 => {
                let layout = Self { word: 8, ..classic };
                Ok((layout, layout.number(&bytes(source, length, 8, 8)?)))
            }
            _ => Err(damaged("its header makes no sense")),
        }
    }

    /// Bytes of a number of tags.
    fn counted(self) -> u64 {
        if self.word == 8 { 8 } else { 2 }
    }

    /// Bytes of a tag.
    fn tag(self) -> u64 {
        4 + 2 * self.word
    }

    /// A number of up to 8 bytes.
    fn number(self, bytes: &[u8]) -> u64 {
        let join = |sum: u64, byte: &u8| (sum << 8) | u64::from(*byte);
        if self.big_endian { bytes.iter().fold(0, join) } else { bytes.iter().rev().fold(0, join) }
    }

    /// The bytes of a number.
    fn bytes(self, number: u64, size: u64) -> Vec<u8> {
        let size = size as usize;
        if self.big_endian {
            number.to_be_bytes()[8 - size..].to_vec()
        } else {
            number.to_le_bytes()[..size].to_vec()
        }
    }

    pub fn length(self) -> u64 {
        self.length
    }
}

/// Bytes of a file, or word that it ends before them.
pub(super) fn bytes(
    source: &mut (impl Read + Seek),
    length: u64,
    place: u64,
    count: u64,
) -> Result<Vec<u8>, ImageProblem> {
    if place.checked_add(count).is_none_or(|end| end > length) {
        return Err(damaged("it ends before its list of tags does"));
    }
    source.seek(SeekFrom::Start(place)).map_err(ImageProblem::Read)?;
    let mut bytes = vec![0; count as usize];
    source.read_exact(&mut bytes).map_err(ImageProblem::Read)?;
    Ok(bytes)
}

impl Directory {
    /// The first directory of a file, whose chain is not followed.
    pub fn first(source: &mut (impl Read + Seek)) -> Result<Self, ImageProblem> {
        let (layout, place) = Layout::read(source)?;
        Self::read(source, layout, place)
    }

    /// The directory at that place of a file.
    pub fn at(source: &mut (impl Read + Seek), place: u64) -> Result<Self, ImageProblem> {
        let (layout, _) = Layout::read(source)?;
        Self::read(source, layout, place)
    }

    fn read(
        source: &mut (impl Read + Seek),
        layout: Layout,
        place: u64,
    ) -> Result<Self, ImageProblem> {
        let counted = layout.counted();
        let count = layout.number(&bytes(source, layout.length, place, counted)?);
        let size = count.saturating_mul(layout.tag()).saturating_add(layout.word);
        let start = place.saturating_add(counted);
        let all = bytes(source, layout.length, start, size)?;
        let (list, next) = all.split_at(all.len() - layout.word as usize);
        let length = layout.tag() as usize;
        let read = |(index, bytes): (usize, &[u8])| {
            let here = start + index as u64 * layout.tag() + 4 + layout.word;
            Tag::read(layout, here, bytes)
        };
        let tags = list.chunks_exact(length).enumerate().map(read).collect::<Option<_>>();
        let tags = tags.ok_or_else(|| damaged("one of its tags claims more than the file has"))?;
        Ok(Self { layout, place, tags, next: layout.number(next) })
    }

    fn tag(&self, number: u16) -> Option<Tag> {
        self.tags.iter().copied().find(|tag| tag.number == number)
    }

    pub fn has(&self, number: u16) -> bool {
        self.tag(number).is_some()
    }

    /// The bytes of a tag's values as they stand in the file; `None` without such a tag.
    pub fn bytes_of(
        &self,
        source: &mut (impl Read + Seek),
        number: u16,
    ) -> Result<Option<Vec<u8>>, ImageProblem> {
        let Some(Tag { kind, count, place, .. }) = self.tag(number) else { return Ok(None) };
        bytes(source, self.layout.length, place, count * size_of_kind(kind)).map(Some)
    }

    /// The values of a tag of whole numbers without sign; `None` without such a tag.
    pub fn numbers(
        &self,
        source: &mut (impl Read + Seek),
        number: u16,
    ) -> Result<Option<Vec<u64>>, ImageProblem> {
        let Some(tag) = self.tag(number).filter(|tag| matches!(tag.kind, 1 | 3 | 4 | 13 | 16 | 18))
        else {
            return Ok(None);
        };
        let bytes = self.bytes_of(source, number)?.unwrap_or_default();
        let values = bytes.chunks_exact(size_of_kind(tag.kind) as usize);
        Ok(Some(values.map(|value| self.layout.number(value)).collect()))
    }

    /// The first of a tag's values; `default` without such a tag.
    pub fn number(
        &self,
        source: &mut (impl Read + Seek),
        number: u16,
        default: u64,
    ) -> Result<u64, ImageProblem> {
        let values = self.numbers(source, number)?;
        Ok(values.and_then(|values| values.first().copied()).unwrap_or(default))
    }

    /// What makes a file begin with this directory, and each tag that is there a single number, or none.
    pub fn patches(&self, values: &[(u16, Option<u64>)]) -> Vec<Patch> {
        let Layout { word, .. } = self.layout;
        let first = if word == 8 { 8 } else { 4 };
        let mut patches = vec![(first, self.layout.bytes(self.place, word))];
        for (index, tag) in (0..).zip(&self.tags) {
            let wanted = values.iter().find(|(number, _)| *number == tag.number);
            let Some((number, value)) = wanted else { continue };
            let place = self.place + self.layout.counted() + index * self.layout.tag();
            let bytes = match value {
                Some(value) => {
                    let kind = if word == 8 { 16 } else { 4 };
                    let [number, kind] =
                        [*number, kind].map(|two| self.layout.bytes(two.into(), 2));
                    let [count, value] = [1, *value].map(|n| self.layout.bytes(n, word));
                    [number, kind, count, value].concat()
                }
                None => self.layout.bytes(UNUSED.into(), 2),
            };
            patches.push((place, bytes));
        }
        patches
    }

    /// The values of a tag of fractions, as numerator and denominator.
    pub fn fractions(
        &self,
        source: &mut (impl Read + Seek),
        number: u16,
    ) -> Result<Vec<[u32; 2]>, ImageProblem> {
        if self.tag(number).is_none_or(|tag| tag.kind != 5) {
            return Ok(Vec::new());
        }
        let bytes = self.bytes_of(source, number)?.unwrap_or_default();
        let part = |bytes: &[u8]| self.layout.number(bytes) as u32;
        Ok(bytes.chunks_exact(8).map(|both| [part(&both[..4]), part(&both[4..])]).collect())
    }
}

impl Tag {
    /// `None` where its values would not lie in the file.
    fn read(layout: Layout, here: u64, bytes: &[u8]) -> Option<Self> {
        let word = layout.word as usize;
        let [number, kind] = [&bytes[..2], &bytes[2..4]].map(|two| layout.number(two) as u16);
        let count = layout.number(&bytes[4..4 + word]);
        let size = count.checked_mul(size_of_kind(kind)).filter(|&size| size <= layout.length)?;
        let place =
            if size <= layout.word { here } else { layout.number(&bytes[4 + word..4 + 2 * word]) };
        Some(Self { number, kind, count, place })
    }
}

/// Bytes of a value of that type.
fn size_of_kind(kind: u16) -> u64 {
    match kind {
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16..=18 => 8,
        _ => 1,
    }
}
