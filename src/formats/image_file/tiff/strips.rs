//! The strips and tiles of an image: where each lies in the file and in the image, and whether it is all
//! there. The decoder would make up what is missing, from zeros or from whatever follows in the file.

use std::io::{BufRead, Seek};

use super::directory::bytes;
use super::form::{Form, schemes};
use super::{Directory, damaged, kind, tags};
use crate::formats::image_file::{ImageProblem, jpeg};

/// A strip or a tile.
#[derive(Debug, Clone, Copy)]
pub(super) struct Strip {
    /// In the file.
    pub place: u64,
    pub bytes: u64,
    /// Height and width as packed; a tile may reach beyond the image.
    pub size: [u64; 2],
    /// Its upper left pixel.
    pub top: u64,
    pub left: u64,
    /// The channel that it holds alone, or 0.
    pub channel: usize,
}

/// All strips or tiles of an image.
///
/// # Errors
/// When there are not as many as the image needs.
pub(super) fn list(
    source: &mut (impl BufRead + Seek),
    directory: &Directory,
    form: &Form,
) -> Result<Vec<Strip>, ImageProblem> {
    let tiled = directory.has(tags::TILE_OFFSETS);
    if tiled == directory.has(tags::STRIP_OFFSETS) {
        return Err(damaged("it has neither strips nor tiles, or both"));
    }
    let numbers = if tiled {
        [tags::TILE_OFFSETS, tags::TILE_BYTES]
    } else {
        [tags::STRIP_OFFSETS, tags::STRIP_BYTES]
    };
    let places = directory.numbers(source, numbers[0])?.unwrap_or_default();
    let counts = directory.numbers(source, numbers[1])?.unwrap_or_default();
    let image = [u64::from(form.height), u64::from(form.width)];
    let mut number = |tag, default| directory.number(source, tag, default);
    let size = if tiled {
        [number(tags::TILE_LENGTH, 0)?, number(tags::TILE_WIDTH, 0)?]
    } else {
        [number(tags::ROWS_PER_STRIP, image[0])?.min(image[0]), image[1]]
    };
    if size.contains(&0) {
        return Err(damaged("its strips or tiles are empty"));
    }
    let [down, across] = [0, 1].map(|axis| image[axis].div_ceil(size[axis]));
    let channels = if form.planar { form.samples as u64 } else { 1 };
    let needed = down.saturating_mul(across).saturating_mul(channels);
    if places.len() as u64 != needed || counts.len() as u64 != needed {
        return Err(damaged("it has other than the strips or tiles that it needs"));
    }
    let strip = |(index, (place, bytes)): (u64, (u64, u64))| {
        let (row, column) = (index / across % down, index % across);
        let (top, left) = (row * size[0], column * size[1]);
        // Only the last strip may be shorter; tiles are filled up.
        let height = if tiled { size[0] } else { size[0].min(image[0] - top) };
        let channel = (index / across / down) as usize;
        Strip { place, bytes, size: [height, size[1]], top, left, channel }
    };
    Ok((0..).zip(places.into_iter().zip(counts)).map(strip).collect())
}

/// Looks through the strips of a scheme that needs it: others know themselves where they end.
///
/// # Errors
/// When one is cut short.
pub(super) fn check(
    source: &mut (impl BufRead + Seek),
    directory: &Directory,
    form: &Form,
    strips: &[Strip],
) -> Result<(), ImageProblem> {
    let tables = match form.compression {
        schemes::JPEG => directory.bytes_of(source, tags::JPEG_TABLES)?,
        schemes::NONE => None,
        _ => return Ok(()),
    };
    for strip in strips {
        if form.compression == schemes::NONE {
            let row = (strip.size[1] * form.packed() as u64 * form.bits).div_ceil(8);
            if strip.bytes < row * strip.size[0] {
                return Err(damaged("a strip or tile has too few bytes"));
            }
        } else {
            let packed = bytes(source, directory.layout.length(), strip.place, strip.bytes)?;
            check_jpeg(&with_tables(tables.as_deref(), packed), strip, form)?;
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

/// The last strip may hold as many rows as the others.
fn check_jpeg(file: &[u8], strip: &Strip, form: &Form) -> Result<(), ImageProblem> {
    let most = u64::from(form.height).max(strip.size[0]);
    let other = || damaged("a strip or tile is a JPEG of another size");
    let image = match jpeg::check(file, most.saturating_mul(strip.size[1])) {
        Err(ImageProblem::TooLarge { .. }) => return Err(other()),
        checked => checked?,
    };
    let [height, width] = image.size.map(u64::from);
    if width != strip.size[1] || height < strip.size[0] || height > most {
        return Err(other());
    }
    if image.components != form.packed() {
        return Err(kind("its strips or tiles are JPEGs of other channels"));
    }
    Ok(())
}
