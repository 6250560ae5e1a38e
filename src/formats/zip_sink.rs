//! Where a zip archive is written to: a file that may refuse a byte.

use std::io::{Error, Result, Seek, SeekFrom, Write};

/// Remembers the first refusal, swallows what comes after it, and tells of it at the end. What writes an archive
/// tries to complete it when it is dropped, and would say on the terminal that it cannot.
#[derive(Debug)]
pub(super) struct ZipSink<W> {
    inner: W,
    refusal: Option<Error>,
    /// Where the next byte goes, and where the last one went; the file itself does not know any more after a
    /// refusal.
    place: u64,
    end: u64,
}

impl<W> ZipSink<W> {
    /// Onto an empty file.
    pub(super) fn new(inner: W) -> Self {
        Self { inner, refusal: None, place: 0, end: 0 }
    }

    /// The file.
    ///
    /// # Errors
    /// The first refusal, if there was one.
    pub(super) fn finish(self) -> Result<W> {
        self.refusal.map_or(Ok(self.inner), Err)
    }

    fn unless_refused(&mut self, act: impl FnOnce(&mut W) -> Result<()>) {
        if self.refusal.is_none() {
            self.refusal = act(&mut self.inner).err();
        }
    }
}

impl<W: Write> Write for ZipSink<W> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.unless_refused(|inner| inner.write_all(bytes));
        self.place += bytes.len() as u64;
        self.end = self.end.max(self.place);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        self.unless_refused(Write::flush);
        Ok(())
    }
}

impl<W: Seek> Seek for ZipSink<W> {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::End(by) => self.end.checked_add_signed(by),
            SeekFrom::Current(by) => self.place.checked_add_signed(by),
        };
        self.place = place.ok_or_else(|| Error::other("a place before the start of the file"))?;
        let place = self.place;
        self.unless_refused(|inner| inner.seek(SeekFrom::Start(place)).map(drop));
        Ok(place)
    }
}
