//! The zip container around a PyTorch file: entries found by name, stored as they are, checksummed.
//! What the entries mean is decided in `pt`.

use std::io::Cursor;

use zip::read::{ArchiveOffset, Config};
use zip::{CompressionMethod, ZipArchive};

use super::error::{Fault, shown};

/// The signature of the record that ends every zip file.
const END_SIGNATURE: &[u8] = b"PK\x05\x06";
/// That record's largest distance from the end of the file: its 22 bytes and a 64 KiB comment.
const END_REACH: usize = 22 + (1 << 16);

/// A zip file in memory, whose entries lie in one folder.
pub(super) struct Archive<'a> {
    bytes: &'a [u8],
    zip: ZipArchive<Cursor<&'a [u8]>>,
    /// The folder of all entries with its slash, such as `archive/`. torch.save takes the name
    /// that the file had, in whatever encoding, so it tells nothing.
    folder: Vec<u8>,
}

impl<'a> Archive<'a> {
    /// Reads the zip directory.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, Fault> {
        let tail = &bytes[bytes.len().saturating_sub(END_REACH)..];
        let mut places = tail.windows(END_SIGNATURE.len());
        if !places.any(|place| place == END_SIGNATURE) {
            let detail = "the zip directory at its end is missing";
            return Err(Fault::Truncated(detail.to_owned()));
        }
        // PyTorch files start at byte 0, so there is no prefix to search for.
        let config = Config { archive_offset: ArchiveOffset::Known(0) };
        let zip = ZipArchive::with_config(config, Cursor::new(bytes)).map_err(zip_fault)?;
        if zip.has_duplicate_names() {
            return Err(Fault::damaged("two zip entries have one name"));
        }
        // A hostile directory may list the same bytes under many names.
        let entries = (0..zip.len()).filter_map(|index| zip.by_index_data(index).ok());
        let total = entries.fold(0, |sum: u64, entry| sum.saturating_add(entry.size()));
        if total > bytes.len() as u64 {
            let detail = "its zip entries claim more bytes than it has";
            return Err(Fault::damaged(detail));
        }
        let first = zip.file_names_raw().next().unwrap_or_default();
        let slash = first.iter().position(|&byte| byte == b'/');
        let folder = first[..slash.map_or(0, |at| at + 1)].to_vec();
        Ok(Self { bytes, zip, folder })
    }

    /// Whether there is an entry of that name, without the folder.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.index_of(name).is_some()
    }

    /// The content of an entry, checked against its checksum.
    pub(super) fn read(&mut self, name: &str) -> Result<&'a [u8], Fault> {
        let missing = || Fault::damaged(format!("the zip entry `{}` is missing", shown(name)));
        let index = self.index_of(name).ok_or_else(missing)?;
        let entry = self.zip.by_index_raw(index).map_err(zip_fault)?;
        if entry.compression() != CompressionMethod::Stored || entry.encrypted() {
            return Err(Fault::Packed(shown(name)));
        }
        let outside = || Fault::Truncated(format!("the zip entry `{}` is cut", shown(name)));
        let content = slice(self.bytes, entry.data_start(), entry.size()).ok_or_else(outside)?;
        if entry.compressed_size() != entry.size() || crc32fast::hash(content) != entry.crc32() {
            let detail = format!("the checksum of the zip entry `{}` is wrong", shown(name));
            return Err(Fault::Damaged(detail));
        }
        Ok(content)
    }

    /// The names that start with `prefix`, without folder and prefix, in the file's order.
    pub(super) fn names_under(&self, prefix: &str) -> Vec<String> {
        let start = self.path(prefix);
        let names = self.zip.file_names_raw();
        let found = names.filter_map(|name| name.strip_prefix(&*start));
        let text = |name| String::from_utf8_lossy(name).into_owned();
        found.map(text).collect()
    }

    fn index_of(&self, name: &str) -> Option<usize> {
        self.zip.index_for_name_raw(&self.path(name))
    }

    fn path(&self, name: &str) -> Vec<u8> {
        [&self.folder, name.as_bytes()].concat()
    }
}

fn slice(bytes: &[u8], start: Option<u64>, length: u64) -> Option<&[u8]> {
    let start = usize::try_from(start?).ok()?;
    bytes.get(start..)?.get(..usize::try_from(length).ok()?)
}

/// A zip error on bytes in memory is never the operating system's: the bytes are wrong.
fn zip_fault(error: zip::result::ZipError) -> Fault {
    Fault::damaged(shown(&error.to_string()))
}
