//! Event files: messages one after the other, each with its length and checksums around it
//! (TensorFlow's TFRecord).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;

use super::MARK;
use super::proto::{Event, Summary, Value};

/// The version of event files that TensorBoard reads.
const VERSION: &str = "brain.Event:2";
/// Castagnoli's polynomial, lowest bit first.
const POLYNOMIAL: u32 = 0x82f6_3b78;
/// TFRecord stores checksums turned and shifted, since a checksum of data that hold their own
/// checksums says little.
const MASK: u32 = 0xa282_ead8;

/// A file that grows by one event at a time; what was written before stays readable.
#[derive(Debug)]
pub(super) struct EventFile(File);

impl EventFile {
    /// A new file in `dir`, which is made where it is not there.
    pub(super) fn create(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let (seconds, process) = (now().floor(), std::process::id());
        // TensorBoard reads the files of a folder in the order of their names.
        let open = |attempt: u32| {
            let name = format!("events.out.{MARK}.{seconds:010}.convae.{process}.{attempt}");
            OpenOptions::new().append(true).create_new(true).open(dir.join(name))
        };
        let file = (0..100).map(open).find(|file| !is_taken(file));
        let mut events = Self(file.unwrap_or_else(|| Err(io::ErrorKind::AlreadyExists.into()))?);
        let version = Some(VERSION.to_owned());
        events.put(&Event { wall_time: now(), file_version: version, ..Event::default() })?;
        Ok(events)
    }

    /// Values of one step. They reach the file at once, so that TensorBoard can watch.
    pub(super) fn add(&mut self, step: i64, value: Vec<Value>) -> io::Result<()> {
        let summary = Some(Summary { value });
        self.put(&Event { wall_time: now(), step, summary, ..Event::default() })
    }

    fn put(&mut self, event: &Event) -> io::Result<()> {
        self.0.write_all(&framed(&event.encode_to_vec()))
    }
}

fn is_taken(file: &io::Result<File>) -> bool {
    matches!(file, Err(error) if error.kind() == io::ErrorKind::AlreadyExists)
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// Length, checksum of the length, data, checksum of the data.
fn framed(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let sums = [masked(&length), masked(data)].map(u32::to_le_bytes);
    [&length[..], &sums[0], data, &sums[1]].concat()
}

fn masked(data: &[u8]) -> u32 {
    crc32c(data).rotate_right(15).wrapping_add(MASK)
}

fn crc32c(data: &[u8]) -> u32 {
    !data.iter().fold(!0, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| (sum >> 1) ^ (POLYNOMIAL * (sum & 1)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_standard() {
        // RFC 3720, appendix B.4; and the check value of every catalogue of checksums.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn two_files_of_one_second_have_names_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..3 {
            EventFile::create(folder.path()).unwrap();
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }
}
