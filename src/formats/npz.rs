//! Archives of NumPy's arrays, as `numpy.savez` writes them: not compressed.

use std::io::{Cursor, Seek, Write};

use zip::result::ZipResult;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// From this many bytes on, an entry's length needs the zip64 form; with room for a header.
const ZIP64_FROM: usize = u32::MAX as usize - (1 << 16);

/// An array with its name: a header ([`super::npy::Header::bytes`]), and its values.
pub type Entry<'a> = (&'a str, Vec<u8>, Vec<u8>);

/// The bytes of an archive.
///
/// # Errors
/// When two arrays have one name.
pub fn to_bytes(entries: &[Entry<'_>]) -> ZipResult<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    entries.iter().try_for_each(|entry| add(&mut zip, entry))?;
    Ok(zip.finish()?.into_inner())
}

fn add<W: Write + Seek>(
    zip: &mut ZipWriter<W>,
    (name, header, values): &Entry<'_>,
) -> ZipResult<()> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .large_file(values.len() >= ZIP64_FROM);
    zip.start_file(format!("{name}.npy"), options)?;
    zip.write_all(header)?;
    Ok(zip.write_all(values)?)
}
