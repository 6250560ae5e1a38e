//! A file of which some bytes are read as others, so that its decoder sees one strip of one page as an image.

use std::io::{self, Read, Seek, SeekFrom};

/// Bytes that stand for those at a place.
pub(in crate::formats::image_file) type Patch = (u64, Vec<u8>);

/// The file, which stands at its beginning.
pub(super) struct Patched<R> {
    source: R,
    /// Where the next byte comes from.
    at: u64,
    patches: Vec<Patch>,
}

impl<R> Patched<R> {
    pub fn new(source: R, patches: Vec<Patch>) -> Self {
        Self { source, at: 0, patches }
    }
}

impl<R: Read> Read for Patched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        let end = self.at + count as u64;
        for (place, bytes) in &self.patches {
            for (place, &byte) in (*place..end).zip(bytes).filter(|(place, _)| *place >= self.at) {
                buffer[(place - self.at) as usize] = byte;
            }
        }
        self.at = end;
        Ok(count)
    }
}

impl<R: Seek> Seek for Patched<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = self.source.seek(to)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn bytes_are_replaced_wherever_reading_begins_and_ends() {
        let patches = vec![(2, b"XY".to_vec()), (5, b"Z".to_vec())];
        for step in 1..8 {
            let mut file = Patched::new(Cursor::new(b"abcdefgh"), patches.clone());
            let (mut all, mut part) = (Vec::<u8>::new(), vec![0; step]);
            loop {
                match file.read(&mut part).unwrap() {
                    0 => break,
                    count => all.extend(&part[..count]),
                }
            }
            assert_eq!(all, b"abXYeZgh", "{step}");
        }
        let mut file = Patched::new(Cursor::new(b"abcdefgh"), patches);
        file.seek(SeekFrom::Start(3)).unwrap();
        let mut part = [0; 3];
        file.read_exact(&mut part).unwrap();
        assert_eq!(&part, b"YeZ");
    }
}
