//! Gzip files of any number of members, one behind the other, as `bgzip` and `cat a.gz b.gz` make
//! them; zeros between and behind them are padding, as for Python's gzip, and anything else is not.

use std::io::{Error, ErrorKind, Read, Result};

use flate2::bufread::GzDecoder;

/// First bytes of every member.
pub(super) const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The content of all members, in their order.
pub(super) struct Gzip<'a>(Option<GzDecoder<&'a [u8]>>);

impl<'a> Gzip<'a> {
    /// Of a file that begins with [`MAGIC`].
    pub(super) fn new(packed: &'a [u8]) -> Self {
        Self(Some(GzDecoder::new(packed)))
    }
}

impl Read for Gzip<'_> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        while let Some(member) = &mut self.0 {
            let count = member.read(into)?;
            if count > 0 || into.is_empty() {
                return Ok(count);
            }
            // Its checksum was right.
            self.0 = next(self.0.take().map_or(&[], GzDecoder::into_inner))?.map(GzDecoder::new);
        }
        Ok(0)
    }
}

/// The next member, if there is one.
fn next(rest: &[u8]) -> Result<Option<&[u8]>> {
    let padding = rest.iter().take_while(|&&byte| byte == 0).count();
    match &rest[padding..] {
        [] => Ok(None),
        member if member.starts_with(&MAGIC) => Ok(Some(member)),
        other => {
            let problem = format!("behind its last gzip member are {} other bytes", other.len());
            Err(Error::new(ErrorKind::InvalidData, problem))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn member(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn unpacked(file: &[u8]) -> Result<Vec<u8>> {
        let mut content = Vec::new();
        Gzip::new(file).read_to_end(&mut content)?;
        Ok(content)
    }

    #[test]
    fn members_follow_one_another_and_zeros_are_padding() {
        // bgzip ends each file with an empty member, tapes with zeros.
        let file = [member(b"one "), member(b""), vec![0; 700], member(b"two"), vec![0; 512]];
        assert_eq!(unpacked(&file.concat()).unwrap(), b"one two");
    }

    #[test]
    fn other_bytes_behind_a_member_are_counted() {
        for garbage in [b"garbage".to_vec(), [vec![0; 5], b"garbage".to_vec()].concat()] {
            let error = unpacked(&[member(b"one"), garbage].concat()).unwrap_err();
            assert!(error.to_string().contains("are 7 other bytes"), "{error}");
        }
    }

    #[test]
    fn a_member_that_is_cut_off_or_damaged_is_an_error_wherever_it_stands() {
        let (first, second) = (member(b"one"), member(b"two"));
        for cut in 0..second.len() {
            // Less than its magic number is garbage.
            let error = unpacked(&[first.as_slice(), &second[..cut]].concat());
            assert_eq!(error.is_err(), cut > 0, "cut at {cut}");
        }
        for place in 0..first.len() {
            let mut damaged = [first.as_slice(), &second].concat();
            damaged[place] ^= 0x40;
            // Some bits mean nothing: in the header when and where the file was packed.
            let content = unpacked(&damaged).unwrap_or(b"onetwo".to_vec());
            assert_eq!(content, b"onetwo", "{place}");
        }
    }
}
