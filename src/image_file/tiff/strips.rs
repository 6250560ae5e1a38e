//! The strips and tiles of an image, before they are unpacked: whether each is all there. The decoder would
//! make up what is missing, from zeros or from whatever follows in the file.

use std::io::{BufRead, Seek};

use super::directory::bytes;
use super::form::{Form, schemes};
use super::{Directory, damaged, kind, tags};
use crate::image_file::{ImageProblem, jpeg};

/// Looks through the strips or tiles of a scheme that needs it.
///
/// # Errors
/// When one is cut short.
pub(super) fn check(
    source: &mut (impl BufRead + Seek),
    directory: &Directory,
    form: &Form,
) -> Result<(), ImageProblem> {
    if !matches!(form.compression, schemes::NONE | schemes::JPEG) {
        return Ok(()); // these know themselves where they end
    }
    let tiled = directory.has(tags::TILE_OFFSETS);
    let [places, counts] = match tiled {
        true => [tags::TILE_OFFSETS, tags::TILE_BYTES],
        false => [tags::STRIP_OFFSETS, tags::STRIP_BYTES],
    };
    let places = directory.numbers(source, places)?.unwrap_or_default();
    let counts = directory.numbers(source, counts)?.unwrap_or_default();
    let tables = directory.bytes_of(source, tags::JPEG_TABLES)?;
    let size = [u64::from(form.height), u64::from(form.width)];
    let chunk = if tiled {
        let mut side = |tag| directory.number(source, tag, 0);
        [side(tags::TILE_LENGTH)?, side(tags::TILE_WIDTH)?]
    } else {
        let rows = directory.number(source, tags::ROWS_PER_STRIP, size[0])?;
        [rows.min(size[0]), size[1]]
    };
    if chunk.contains(&0) {
        return Err(damaged("its strips or tiles are empty"));
    }
    let [down, across] = [0, 1].map(|axis| size[axis].div_ceil(chunk[axis]));
    for (index, (place, count)) in (0..).zip(places.into_iter().zip(counts)) {
        // Only the last strip may be shorter; tiles are filled up.
        let row = index / across % down;
        let rows = if tiled { chunk[0] } else { chunk[0].min(size[0] - row * chunk[0]) };
        if form.compression == schemes::NONE {
            let samples = if form.planar { 1 } else { form.samples as u64 };
            let row = (chunk[1] * samples * form.bits).div_ceil(8);
            if count < row * rows {
                return Err(damaged("a strip or tile has too few bytes"));
            }
        } else {
            let packed = bytes(source, directory.layout.length(), place, count)?;
            check_jpeg(&with_tables(tables.as_deref(), packed), [rows, chunk[0]], chunk[1], form)?;
        }
    }
    Ok(())
}

/// Tables and strip as one JPEG, as the decoder puts them together.
fn with_tables(tables: Option<&[u8]>, packed: Vec<u8>) -> Vec<u8> {
    match tables {
        Some([tables @ .., _, _]) => [tables, packed.get(2..).unwrap_or_default()].concat(),
        _ => packed,
    }
}

/// `rows` at least and at most.
fn check_jpeg(file: &[u8], rows: [u64; 2], width: u64, form: &Form) -> Result<(), ImageProblem> {
    let image = jpeg::check(file, rows[1].saturating_mul(width))?;
    let [height, found] = image.size.map(u64::from);
    if found != width || height < rows[0] || height > rows[1] {
        return Err(damaged("a strip or tile is a JPEG of another size"));
    }
    let samples = if form.planar { 1 } else { form.samples };
    if image.components != samples {
        return Err(kind("its strips or tiles are JPEGs of other channels"));
    }
    Ok(())
}
