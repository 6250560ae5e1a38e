//! PyTorch's `.pt` files: a zip file with one pickle that describes the tensors, one entry per
//! storage, and text records of ours under `extra/`, which `torch.load` ignores.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Cursor, Seek, Write};
use std::rc::Rc;

use zip::result::ZipResult;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::archive::Archive;
use super::array::Array;
use super::error::{Fault, shown};
use super::strided::{Storage, Strided};
use super::{Checkpoint, is_record_name, pickle, seal, state_dict};
use crate::formats::zip_sink::ZipSink;

/// The folder inside the zip file, which torch.save too uses when it writes to no named file. A
/// fixed name makes equal checkpoints equal files, whatever they are called.
const FOLDER: &str = "archive";
/// The version of the container that torch.save has written since PyTorch 1.6.
const VERSION: &[u8] = b"3\n";
/// PyTorch aligns storages so that `torch.load(mmap=True)` can use them in place.
const ALIGNMENT: u16 = 64;
/// From this many bytes on, an entry's length needs the zip64 form.
const ZIP64_FROM: usize = u32::MAX as usize;
/// How many times the file's size its tensors may take: tied weights share a storage and take it
/// several times, a hostile file would take it a million times.
const MAX_EXPANSION: usize = 8;

/// Writes a checkpoint as a `.pt` file, one tensor after the other, so that no second copy of them is in memory.
///
/// `.format_version` is left out on purpose: it would promise PyTorch a layout, byte for byte, that
/// only its own zip writer has.
pub(super) fn write(file: impl Write + Seek, checkpoint: &Checkpoint) -> io::Result<()> {
    Ok(write_zip(file, checkpoint, None).map(drop)?)
}

/// The same in memory, with a checksum over all of it, which [`seal::check`] looks for.
pub(super) fn to_sealed_bytes(checkpoint: &Checkpoint) -> Result<Vec<u8>, Fault> {
    let bytes = write_zip(Cursor::new(Vec::new()), checkpoint, Some(seal::blank()));
    // The zip writer only ever fails on entries that no `Checkpoint` can make.
    let mut bytes = bytes.map_err(|error| Fault::Write(error.into()))?.into_inner();
    seal::close(&mut bytes);
    Ok(bytes)
}

fn write_zip<W: Write + Seek>(
    file: W,
    checkpoint: &Checkpoint,
    comment: Option<String>,
) -> ZipResult<W> {
    let mut zip = ZipWriter::new(ZipSink::new(file));
    if let Some(comment) = comment {
        zip.set_comment(comment)?;
    }
    let pickle = pickle::state_dict(&checkpoint.tensors);
    add(&mut zip, "data.pkl", &pickle)?;
    add(&mut zip, "byteorder", b"little")?;
    for (index, (_, array)) in checkpoint.tensors.iter().enumerate() {
        add(&mut zip, &format!("data/{index}"), array.bytes())?;
    }
    add(&mut zip, "version", VERSION)?;
    for (name, text) in &checkpoint.records {
        add(&mut zip, &format!("extra/{name}"), text.as_bytes())?;
    }
    Ok(zip.finish()?.finish()?)
}

pub(super) fn add<W: Write + Seek>(
    zip: &mut ZipWriter<W>,
    name: &str,
    content: &[u8],
) -> ZipResult<()> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .with_alignment(ALIGNMENT)
        .large_file(content.len() >= ZIP64_FROM);
    zip.start_file(format!("{FOLDER}/{name}"), options)?;
    Ok(zip.write_all(content)?)
}

/// Reads what [`write()`] or `torch.save(model.state_dict(), path)` wrote.
pub(super) fn from_bytes(bytes: &[u8]) -> Result<Checkpoint, Fault> {
    let mut archive = Archive::open(bytes)?;
    check_kind(&mut archive)?;
    let windows = state_dict::read(archive.read("data.pkl")?)?;
    check_size(&windows, bytes.len())?;
    Ok(Checkpoint { tensors: gather(&mut archive, windows)?, records: records(&mut archive)? })
}

/// Refuses zip files that are no state_dict of ours to read.
fn check_kind(archive: &mut Archive) -> Result<(), Fault> {
    if archive.contains("constants.pkl") {
        return Err(Fault::TorchScript);
    }
    if !archive.contains("data.pkl") {
        return Err(Fault::OtherZip);
    }
    // Old versions of PyTorch wrote no byte order, and little-endian numbers.
    if archive.contains("byteorder") && archive.read("byteorder")? != b"little" {
        return Err(Fault::BigEndian);
    }
    Ok(())
}

/// Bounds the memory before any is taken.
fn check_size(windows: &[(String, Strided)], file: usize) -> Result<(), Fault> {
    let sizes = windows.iter().map(|(_, window)| window.byte_len());
    let total = sizes.fold(0, usize::saturating_add);
    if total <= file.saturating_mul(MAX_EXPANSION) {
        return Ok(());
    }
    let detail = format!("{total} bytes of tensors in a file of {file}");
    Err(Fault::TooLarge(detail))
}

fn gather(
    archive: &mut Archive,
    windows: Vec<(String, Strided)>,
) -> Result<Vec<(String, Array)>, Fault> {
    // Each storage is checked once, however many tensors share it.
    let mut checked = HashMap::new();
    let mut tensors = Vec::with_capacity(windows.len());
    for (name, window) in windows {
        let Storage { key, dtype, len } = window.storage();
        let bytes: &[u8] = match checked.get(key) {
            Some(&bytes) => bytes,
            None => archive.read(&format!("data/{key}"))?,
        };
        checked.insert(Rc::clone(key), bytes);
        if len.checked_mul(dtype.size()) != Some(bytes.len()) {
            let (name, found) = (shown(&name), bytes.len());
            return Err(Fault::damaged(format!(
                "`{name}` declares {len} elements of {dtype}, its storage has {found} bytes"
            )));
        }
        let array = Array::new(*dtype, window.shape().to_vec(), window.gather(bytes))?;
        tensors.push((name, array));
    }
    Ok(tensors)
}

fn records(archive: &mut Archive) -> Result<BTreeMap<String, String>, Fault> {
    let mut records = BTreeMap::new();
    // Whoever packs a file anew, as `zip -0r` does, also packs its folders.
    for name in archive.names_under("extra/").into_iter().filter(|name| !is_folder(name)) {
        // It is never a path of ours to write to, nor of whoever unpacks a copy that we save.
        if !is_record_name(&name) {
            let detail = format!("its record `{}` has no plain file's name", shown(&name));
            return Err(Fault::Damaged(detail));
        }
        let bytes = archive.read(&format!("extra/{name}"))?;
        let text = str::from_utf8(bytes).map_err(|_| Fault::RecordText(shown(&name)))?;
        records.insert(name, text.to_owned());
    }
    Ok(records)
}

fn is_folder(name: &str) -> bool {
    name.is_empty() || name.ends_with('/')
}
