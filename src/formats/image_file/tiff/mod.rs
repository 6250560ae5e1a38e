//! TIFF: every page of a file is an image of its own. The `tiff` crate unpacks strips and tiles; what it
//! would read wrongly, or not at all, is refused here in words that say what kind it is.

mod directory;
mod form;
mod patched;
mod pixels;
mod strips;
#[cfg(test)]
mod tests;
mod write;

use std::io::{BufRead, Seek};

use image::metadata::Orientation;

pub(super) use directory::Directory;
use directory::chain;
pub(super) use pixels::decode;
pub use write::TiffPages;

use super::ImageProblem;

/// Numbers of tags: of TIFF 6.0, its supplements, and those that others registered.
pub(super) mod tags {
    pub const NEW_SUBFILE_TYPE: u16 = 254;
    pub const SUBFILE_TYPE: u16 = 255;
    pub const WIDTH: u16 = 256;
    pub const HEIGHT: u16 = 257;
    pub const BITS: u16 = 258;
    pub const COMPRESSION: u16 = 259;
    pub const PHOTOMETRIC: u16 = 262;
    pub const FILL_ORDER: u16 = 266;
    pub const DESCRIPTION: u16 = 270;
    pub const STRIP_OFFSETS: u16 = 273;
    pub const ORIENTATION: u16 = 274;
    pub const SAMPLES: u16 = 277;
    pub const ROWS_PER_STRIP: u16 = 278;
    pub const STRIP_BYTES: u16 = 279;
    pub const X_RESOLUTION: u16 = 282;
    pub const Y_RESOLUTION: u16 = 283;
    pub const PLANAR: u16 = 284;
    pub const RESOLUTION_UNIT: u16 = 296;
    pub const PALETTE: u16 = 320;
    pub const TILE_WIDTH: u16 = 322;
    pub const TILE_LENGTH: u16 = 323;
    pub const TILE_OFFSETS: u16 = 324;
    pub const TILE_BYTES: u16 = 325;
    pub const EXTRA_SAMPLES: u16 = 338;
    pub const SAMPLE_FORMAT: u16 = 339;
    pub const JPEG_TABLES: u16 = 347;
    pub const YCBCR_COEFFICIENTS: u16 = 529;
    pub const REFERENCE_BLACK_WHITE: u16 = 532;
    pub const DEPTH: u16 = 32_997;
    pub const PROFILE: u16 = 34_675;
    pub const DNG_VERSION: u16 = 50_706;
}

/// One image of a TIFF, as its directory tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Found {
    /// Place of its directory.
    pub place: u64,
    /// In pixels, as it lies in the file; 0 where it does not say.
    pub height: u32,
    pub width: u32,
    /// Of a value of its result: 2, or 4 of floats.
    pub value_bytes: u8,
}

/// What a TIFF holds.
#[derive(Debug, Clone, Default)]
pub(super) struct Contents {
    /// In the order of their pages.
    pub images: Vec<Found>,
    /// Smaller copies of others, which are left out.
    pub reduced: usize,
    /// Masks of others, which are left out.
    pub masks: usize,
}

/// The images of a file.
///
/// # Errors
/// When the chain of pages is damaged, or the file says that it holds more images than it has pages.
pub(super) fn contents(source: &mut (impl BufRead + Seek)) -> Result<Contents, ImageProblem> {
    let mut contents = Contents::default();
    let pages = chain(source)?;
    for page in &pages {
        let mut number = |tag, default| page.number(source, tag, default);
        let (flags, old) = (number(tags::NEW_SUBFILE_TYPE, 0)?, number(tags::SUBFILE_TYPE, 0)?);
        if flags & 4 != 0 || number(tags::PHOTOMETRIC, 1)? == 4 {
            contents.masks += 1;
        } else if flags & 1 != 0 || old == 2 {
            contents.reduced += 1;
        } else {
            let [height, width] = [number(tags::HEIGHT, 0)?, number(tags::WIDTH, 0)?]
                .map(|side| u32::try_from(side).unwrap_or(u32::MAX));
            let value_bytes = if number(tags::SAMPLE_FORMAT, 1)? == form::FLOAT { 4 } else { 2 };
            contents.images.push(Found { place: page.place, height, width, value_bytes });
        }
    }
    if contents.images.is_empty() {
        let what =
            "its only image is marked as a smaller copy of another, as in a camera's raw file";
        return Err(kind(what));
    }
    check_count(source, &pages[0], contents.images.len())?;
    Ok(contents)
}

/// Refuses a file that says how many images it holds, but has pages for fewer: ImageJ, beyond 4 GB, and
/// others that save space leave the further ones without.
fn check_count(
    source: &mut (impl BufRead + Seek),
    first: &Directory,
    pages: usize,
) -> Result<(), ImageProblem> {
    let text = first.bytes_of(source, tags::DESCRIPTION)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let count =
        |line: &str| line.strip_prefix("images=")?.trim_end_matches(['\0', ' ']).parse().ok();
    let said: usize = match text.starts_with("ImageJ=") {
        true => text.lines().find_map(count).unwrap_or(pages),
        false if text.contains("\"truncated\": true") => pages + 1, // tifffile
        false => pages,
    };
    if said > pages {
        let what = format!("it has {pages} page(s) and at least {said} images");
        let instead = "a TIFF with a page for each image, such as OME-TIFF";
        return Err(ImageProblem::Kind { what, instead });
    }
    Ok(())
}

/// Height and width of an image, upright.
pub(super) fn measure(
    source: &mut (impl BufRead + Seek),
    image: Found,
    most: u64,
) -> Result<(usize, usize), ImageProblem> {
    let Found { place, height, width, .. } = image;
    check_size([height, width], most)?;
    let directory = Directory::at(source, place)?;
    let orientation = orientation(source, &directory)?;
    let (height, width) = (height as usize, width as usize);
    Ok(if super::lies_down(orientation) { (width, height) } else { (height, width) })
}

fn check_size([height, width]: [u32; 2], most: u64) -> Result<(), ImageProblem> {
    if height == 0 || width == 0 {
        return Err(ImageProblem::Damaged(format!("it is {width}x{height} pixels")));
    }
    if u64::from(height) * u64::from(width) > most {
        return Err(ImageProblem::TooLarge { width, height, most });
    }
    Ok(())
}

/// How the image has to be turned; one that cannot be understood is no reason to refuse the pixels.
fn orientation(
    source: &mut (impl BufRead + Seek),
    directory: &Directory,
) -> Result<Orientation, ImageProblem> {
    let number = directory.number(source, tags::ORIENTATION, 1)?;
    let known = u8::try_from(number).ok().and_then(Orientation::from_exif);
    Ok(known.unwrap_or(Orientation::NoTransforms))
}

const INSTEAD: &str = "PNG, or as a TIFF of 8 or 16 bits or of floats, grey or RGB";

fn kind(what: impl Into<String>) -> ImageProblem {
    ImageProblem::Kind { what: what.into(), instead: INSTEAD }
}

fn damaged(problem: impl Into<String>) -> ImageProblem {
    ImageProblem::Damaged(problem.into())
}
