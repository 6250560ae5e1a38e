//! Bytes that can be read from any place: a file, a part of one, or memory. Nothing is read before
//! it is asked for, and nothing beyond the end.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hdf5_reader::error::{Error, Result};
use hdf5_reader::{Storage, StorageBuffer};

/// The bytes of a file, of a part of a file such as a zip entry, or in memory.
#[derive(Clone, Debug)]
pub struct Source {
    place: Place,
    start: u64,
    len: u64,
}

#[derive(Clone, Debug)]
enum Place {
    File(Arc<Mutex<File>>),
    Memory(Arc<Vec<u8>>),
}

impl Source {
    /// The whole of an open, regular file.
    ///
    /// # Errors
    /// When the system does not tell its length.
    pub fn file(file: File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        Ok(Self { place: Place::File(Arc::new(Mutex::new(file))), start: 0, len })
    }

    /// Bytes in memory.
    #[must_use]
    pub fn memory(bytes: Vec<u8>) -> Self {
        let len = bytes.len() as u64;
        Self { place: Place::Memory(Arc::new(bytes)), start: 0, len }
    }

    /// How many bytes there are.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are no bytes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A part as a source of its own; `None` when it reaches beyond the end.
    #[must_use]
    pub fn part(&self, start: u64, len: u64) -> Option<Self> {
        if start.checked_add(len)? > self.len {
            return None;
        }
        Some(Self { place: self.place.clone(), start: self.start + start, len })
    }

    /// Fills `into` with the bytes from `start` on.
    ///
    /// # Errors
    /// When there are fewer, and when the system refuses.
    pub fn read_at(&self, start: u64, into: &mut [u8]) -> io::Result<()> {
        let part = self.part(start, into.len() as u64).ok_or(io::ErrorKind::UnexpectedEof)?;
        match &part.place {
            Place::Memory(bytes) => {
                let start = part.start as usize;
                into.copy_from_slice(&bytes[start..start + into.len()]);
                Ok(())
            }
            Place::File(file) => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                file.seek(SeekFrom::Start(part.start))?;
                file.read_exact(into)
            }
        }
    }

    /// The bytes from `start` on, at most `most`.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn head(&self, start: u64, most: usize) -> io::Result<Vec<u8>> {
        let start = start.min(self.len);
        let mut bytes = vec![0; (self.len - start).min(most as u64) as usize];
        self.read_at(start, &mut bytes)?;
        Ok(bytes)
    }

    /// To read from the first byte to the last.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader { source: self.clone(), at: 0 }
    }

    /// The bytes for the crate: of memory a view, of a file a copy.
    fn view(&self, start: u64, len: usize) -> Result<StorageBuffer> {
        let available = self.len.saturating_sub(start);
        let part = self.part(start, len as u64).ok_or(Error::UnexpectedEof {
            offset: start,
            needed: len as u64,
            available,
        })?;
        if let Place::Memory(bytes) = part.place {
            return StorageBuffer::from_shared_owner(bytes, part.start as usize, len);
        }
        let mut bytes = vec![0; len];
        self.read_at(start, &mut bytes)?;
        Ok(StorageBuffer::from_vec(bytes))
    }
}

/// Reads a [`Source`] in order, or from where it is sent.
#[derive(Clone, Debug)]
pub struct Reader {
    source: Source,
    at: u64,
}

impl Read for Reader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.source.len.saturating_sub(self.at);
        let count = left.min(into.len() as u64) as usize;
        self.source.read_at(self.at.min(self.source.len), &mut into[..count])?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.source.len.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// What the HDF5 crate reads from, with a limit: a hostile file may refer to the same bytes over and
/// over, and all that the crate builds is made of bytes that it has read.
#[derive(Debug)]
pub(super) struct Metered {
    source: Source,
    left: AtomicU64,
}

impl Metered {
    /// At most so many bytes will be read, over and over included.
    pub(super) const fn new(source: Source, most: u64) -> Self {
        Self { source, left: AtomicU64::new(most) }
    }

    pub(super) const fn source(&self) -> &Source {
        &self.source
    }

    /// Does a piece of work that may read so many bytes, whatever was read before.
    pub(super) fn within<T>(&self, most: u64, work: impl FnOnce() -> T) -> T {
        let before = self.left.swap(most, Ordering::Relaxed);
        let result = work();
        self.left.store(before, Ordering::Relaxed);
        result
    }
}

impl Storage for Metered {
    fn len(&self) -> u64 {
        self.source.len()
    }

    fn read_range(&self, offset: u64, len: usize) -> Result<StorageBuffer> {
        let take = |left: u64| left.checked_sub(len as u64);
        if self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_err() {
            let detail = "the same bytes are referred to too often";
            return Err(Error::ResourceLimit(detail.to_owned()));
        }
        self.source.view(offset, len)
    }
}
