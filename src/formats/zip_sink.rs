//! Where a zip archive is written to: a file that may refuse a byte.

use std::io::{Result, Seek, SeekFrom, Write};

/// Passes everything on until the first refusal, and swallows the rest. What writes an archive tries to complete it
/// when it is dropped, and would tell the terminal of a second refusal; the first one has been returned by then.
#[derive(Debug)]
pub(super) struct ZipSink<W> {
    inner: W,
    refused: bool,
}

impl<W> ZipSink<W> {
    pub(super) fn new(inner: W) -> Self {
        Self { inner, refused: false }
    }

    pub(super) fn into_inner(self) -> W {
        self.inner
    }

    fn unless_refused<T>(
        &mut self,
        instead: T,
        act: impl FnOnce(&mut W) -> Result<T>,
    ) -> Result<T> {
        if self.refused {
            return Ok(instead);
        }
        let result = act(&mut self.inner);
        self.refused = result.is_err();
        result
    }
}

impl<W: Write> Write for ZipSink<W> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.unless_refused(bytes.len(), |inner| inner.write(bytes))
    }

    fn flush(&mut self) -> Result<()> {
        self.unless_refused((), Write::flush)
    }
}

impl<W: Seek> Seek for ZipSink<W> {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        self.unless_refused(0, |inner| inner.seek(to))
    }
}
