//! Bytes to pixels. The content decides on the format, not the name; the size is checked before
//! memory is taken for the pixels; and what the file says about its orientation is done.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Cursor, Seek};
use std::panic::{UnwindSafe, catch_unwind};
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use super::{ImageError, ImageFile, ImageProblem, Samples, tiff_tags};

/// Bytes that a decoder may take for each pixel: RGBA of 16 bits, and as much again to work with.
const PIXEL_BYTES: u64 = 16;
/// Bytes that it may take beside: tables, colour profiles.
const OTHER_BYTES: u64 = 64 << 20;

/// Reads an image of at most `max_pixels`.
///
/// # Errors
/// When the file cannot be read, is none of the formats, is damaged, or is larger.
pub fn decode(path: &Path, max_pixels: u64) -> Result<ImageFile, ImageError> {
    let read = || decode_bytes(&fs::read(path).map_err(ImageProblem::Read)?, max_pixels);
    read().map_err(|problem| ImageError { path: path.to_owned(), problem })
}

/// The same from memory.
///
/// # Errors
/// As [`decode`], without a name.
pub fn decode_bytes(bytes: &[u8], max_pixels: u64) -> Result<ImageFile, ImageProblem> {
    let format = format_of(bytes)?;
    if format == ImageFormat::Jpeg && ends_early(bytes) {
        return Err(ImageProblem::Damaged("its end is missing".to_owned()));
    }
    check_tags(bytes)?;
    let pixels = || {
        let (mut decoder, orientation) = open(Cursor::new(bytes), format, max_pixels)?;
        let (width, height) = decoder.dimensions();
        let most = u64::from(width) * u64::from(height) * PIXEL_BYTES + OTHER_BYTES;
        decoder.set_limits(limits(most)).map_err(damaged)?;
        let mut image = DynamicImage::from_decoder(decoder).map_err(damaged)?;
        image.apply_orientation(orientation);
        Ok(image)
    };
    Ok(without_alpha(caught(pixels)?))
}

/// Height and width of the image, upright, from the file's first bytes.
///
/// # Errors
/// When the file cannot be read or is none of the formats.
pub fn dimensions(path: &Path) -> Result<(usize, usize), ImageError> {
    let read = || {
        let mut file = BufReader::new(File::open(path).map_err(ImageProblem::Read)?);
        let format = format_of(file.fill_buf().map_err(ImageProblem::Read)?)?;
        match format {
            // Its tags may stand anywhere.
            ImageFormat::Tiff => measure(&fs::read(path).map_err(ImageProblem::Read)?, u64::MAX),
            _ => upright(file, format, u64::MAX),
        }
    };
    read().map_err(|problem| ImageError { path: path.to_owned(), problem })
}

/// The same of a file in memory, of at most `max_pixels`.
///
/// # Errors
/// When it is none of the formats, or larger.
pub fn measure(bytes: &[u8], max_pixels: u64) -> Result<(usize, usize), ImageProblem> {
    let format = format_of(bytes)?;
    check_tags(bytes)?;
    upright(Cursor::new(bytes), format, max_pixels)
}

fn check_tags(bytes: &[u8]) -> Result<(), ImageProblem> {
    if tiff_tags::fit(bytes) {
        return Ok(());
    }
    Err(ImageProblem::Damaged("one of its tags claims more than the file has".to_owned()))
}

pub(super) fn upright(
    bytes: impl BufRead + Seek + UnwindSafe,
    format: ImageFormat,
    most: u64,
) -> Result<(usize, usize), ImageProblem> {
    caught(move || {
        let (decoder, orientation) = open(bytes, format, most)?;
        let (width, height) = decoder.dimensions();
        let (height, width) = (height as usize, width as usize);
        Ok(if lies_down(orientation) { (width, height) } else { (height, width) })
    })
}

/// The decoders are other people's, and so are the files.
fn caught<T>(
    decode: impl FnOnce() -> Result<T, ImageProblem> + UnwindSafe,
) -> Result<T, ImageProblem> {
    catch_unwind(decode)
        .unwrap_or_else(|_| Err(ImageProblem::Damaged("its decoder failed".to_owned())))
}

/// Whether the bytes say that they are a TIFF.
#[must_use]
pub fn is_tiff(bytes: &[u8]) -> bool {
    matches!(format_of(bytes), Ok(ImageFormat::Tiff))
}

fn format_of(bytes: &[u8]) -> Result<ImageFormat, ImageProblem> {
    use ImageFormat::{Bmp, Jpeg, Png, Pnm, Tiff, WebP};
    match image::guess_format(bytes) {
        Ok(format @ (Png | Jpeg | Bmp | Tiff | WebP | Pnm)) => Ok(format),
        _ if bytes.is_empty() => Err(ImageProblem::Empty),
        _ => Err(ImageProblem::NotAnImage),
    }
}

/// A decoder that has read the header, and how the image has to be turned.
fn open<'a>(
    bytes: impl BufRead + Seek + 'a,
    format: ImageFormat,
    most: u64,
) -> Result<(impl ImageDecoder + 'a, Orientation), ImageProblem> {
    let mut reader = ImageReader::with_format(bytes, format);
    reader.limits(limits(OTHER_BYTES)); // for what comes before the pixels
    let mut decoder = reader.into_decoder().map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > most {
        return Err(ImageProblem::TooLarge { width, height, most });
    }
    if width == 0 || height == 0 {
        return Err(ImageProblem::Damaged(format!("it is {width}x{height} pixels")));
    }
    // The size counts too, or a TIFF would have nothing left for its tags; without any limit, a tag could
    // claim all memory.
    decoder
        .set_limits(limits(decoder.total_bytes().saturating_add(OTHER_BYTES)))
        .map_err(damaged)?;
    // An orientation that cannot be read is no reason to refuse the pixels.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    Ok((decoder, orientation))
}

fn limits(bytes: u64) -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(bytes);
    limits
}

fn damaged(error: image::ImageError) -> ImageProblem {
    // A TIFF's decoder may list a hundred values.
    ImageProblem::Damaged(cut(error.to_string()))
}

/// Letters of a decoder's own words that a message repeats.
const MOST_WORDS: usize = 200;

fn cut(words: String) -> String {
    match words.char_indices().nth(MOST_WORDS) {
        Some((end, _)) => format!("{}...", &words[..end]),
        None => words,
    }
}

/// Whether a JPEG's scans have no end; the decoder would make up the rest. The marker cannot occur
/// within a scan; what comes behind it is no part of the image, as the film of a moving photograph.
fn ends_early(bytes: &[u8]) -> bool {
    let ends = |scans: &[u8]| scans.windows(2).rev().any(|pair| pair == [0xff, 0xd9]);
    scans(bytes).is_none_or(|scans| !ends(scans))
}

/// A JPEG from its first scan on. Segments are passed over whole, as a thumbnail in them has scans
/// of its own.
fn scans(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        let [0xff, marker, behind @ ..] = rest else {
            rest = rest.get(1..)?; // filling, which decoders pass over too
            continue;
        };
        rest = match marker {
            0xda => return Some(behind),
            0x00 | 0x01 | 0xd0..=0xd9 => behind, // they stand alone
            0xff => &rest[1..],
            _ => behind.get(usize::from(u16::from_be_bytes(*behind.first_chunk()?))..)?,
        };
    }
}

/// Whether height and width change places.
fn lies_down(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}

/// Grey or RGB, at the depth that the file has; floating point becomes 16 bits.
fn without_alpha(image: DynamicImage) -> ImageFile {
    let (height, width) = (image.height() as usize, image.width() as usize);
    let colour = image.color();
    let channels = if colour.has_color() { 3 } else { 1 };
    let eight = colour.bytes_per_pixel() == colour.channel_count();
    let samples = match (eight, channels) {
        (true, 1) => Samples::Eight(image.into_luma8().into_raw()),
        (true, _) => Samples::Eight(image.into_rgb8().into_raw()),
        (false, 1) => Samples::Sixteen(image.into_luma16().into_raw()),
        (false, _) => Samples::Sixteen(image.into_rgb16().into_raw()),
    };
    ImageFile { shape: [height, width, channels], samples, alpha_dropped: colour.has_alpha() }
}
