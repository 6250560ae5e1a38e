//! The zip around a `.keras` file. Keras stores its entries as they are, and so the weights are read
//! in place; whoever packs such a file anew may compress them.

use std::io::{BufReader, Read};

use serde_json::Value;
use zip::read::{ArchiveOffset, Config};
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use super::error::Fault;
use super::json;
use crate::formats::checkpoint::shown;
use crate::formats::hdf5::{Hdf5Error, Reader, Source, most_bytes};

/// Where Keras keeps the weights.
const WEIGHTS: &str = "model.weights.h5";
/// Names of strangers that a message lists.
const LISTED: usize = 3;
/// Read at a time when a checksum is taken.
const PIECE: usize = 1 << 18;

/// An open zip file.
pub(super) struct Archive {
    source: Source,
    zip: ZipArchive<BufReader<Reader>>,
}

impl Archive {
    /// Reads the zip directory.
    pub(super) fn open(source: Source) -> Result<Self, Fault> {
        // Keras's files start at byte 0, so there is no prefix to search for.
        let config = Config { archive_offset: ArchiveOffset::Known(0) };
        let reader = BufReader::new(source.reader());
        let zip = ZipArchive::with_config(config, reader).map_err(zip_fault)?;
        if zip.has_duplicate_names() {
            return Err(Fault::damaged("two zip entries have one name"));
        }
        Ok(Self { source, zip })
    }

    /// A JSON document; `None` where there is no entry of that name.
    pub(super) fn json(&mut self, name: &str) -> Result<Option<Value>, Fault> {
        let Some(entry) = self.entry(name)? else { return Ok(None) };
        json::check_length(entry.len())?;
        json::parse(&entry.head(0, entry.len() as usize)?, name).map(Some)
    }

    /// The HDF5 file inside; `None` where there is none.
    pub(super) fn weights(&mut self) -> Result<Option<Source>, Fault> {
        self.entry(WEIGHTS)
    }

    /// The archive of something else, by the names of its first entries.
    pub(super) fn stranger(&self) -> Fault {
        let names = self.zip.file_names_raw().take(LISTED);
        let text = |name| format!("`{}`", shown(&String::from_utf8_lossy(name)));
        let names: Vec<String> = names.map(text).collect();
        Fault::OtherZip(if names.is_empty() { "nothing".to_owned() } else { names.join(", ") })
    }

    /// The content of an entry, checked against its checksum: a part of the file where it is stored
    /// as it is, else unpacked in memory.
    fn entry(&mut self, name: &str) -> Result<Option<Source>, Fault> {
        let Some(index) = self.zip.index_for_name(name) else { return Ok(None) };
        let entry = self.zip.by_index_raw(index).map_err(zip_fault)?;
        let (method, size, sum) = (entry.compression(), entry.size(), entry.crc32());
        if entry.encrypted() {
            return Err(Fault::Packed(shown(name)));
        }
        let content = match method {
            CompressionMethod::Stored => {
                let start = entry.data_start();
                let part = start.and_then(|start| self.source.part(start, size));
                let cut = || Fault::damaged(format!("the zip entry `{}` is cut", shown(name)));
                part.filter(|_| entry.compressed_size() == size).ok_or_else(cut)?
            }
            CompressionMethod::Deflated => {
                check_size(name, size, self.source.len())?;
                drop(entry);
                unpack(&mut self.zip, index, size)?
            }
            _ => return Err(Fault::Packed(shown(name))),
        };
        if checksum(&content)? != sum {
            let detail = format!("the checksum of the zip entry `{}` is wrong", shown(name));
            return Err(Fault::Damaged(detail));
        }
        Ok(Some(content))
    }
}

/// Refuses an entry that would be unpacked to many times the file.
fn check_size(name: &str, size: u64, file: u64) -> Result<(), Fault> {
    if size <= most_bytes(file) {
        return Ok(());
    }
    let detail = format!("`{}` of {size} bytes in {file}", shown(name));
    Err(Hdf5Error::TooLarge(detail).into())
}

fn unpack(
    zip: &mut ZipArchive<BufReader<Reader>>,
    index: usize,
    size: u64,
) -> Result<Source, Fault> {
    let entry = zip.by_index(index).map_err(zip_fault)?;
    let mut bytes = Vec::new();
    entry.take(size + 1).read_to_end(&mut bytes).map_err(|error| zip_fault(error.into()))?;
    if bytes.len() as u64 != size {
        return Err(Fault::damaged("a zip entry has another length than it says"));
    }
    Ok(Source::memory(bytes))
}

fn checksum(content: &Source) -> Result<u32, Fault> {
    let mut hasher = crc32fast::Hasher::new();
    let mut piece = vec![0; PIECE.min(content.len() as usize)];
    let mut reader = content.reader();
    loop {
        let count = reader.read(&mut piece)?;
        if count == 0 {
            return Ok(hasher.finalize());
        }
        hasher.update(&piece[..count]);
    }
}

/// What the zip library says, made fit to be shown.
fn zip_fault(error: ZipError) -> Fault {
    match error {
        ZipError::Io(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            Fault::Read(error)
        }
        error => Fault::Damaged(shown(&error.to_string())),
    }
}
