//! Bytes to pixels, for all formats but TIFF. The size is checked before memory is taken for the pixels; and
//! what the file says about its orientation is done.

use std::io::{BufRead, Cursor, Seek};
use std::panic::{UnwindSafe, catch_unwind};

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use super::{ImageFile, ImageProblem, Samples, jpeg, lies_down, metadata, several};

/// Bytes that a decoder may take for each pixel: RGBA of 16 bits, and as much again to work with.
const PIXEL_BYTES: u64 = 16;
/// Bytes that it may take beside: tables, colour profiles.
pub(super) const OTHER_BYTES: u64 = 64 << 20;

/// Reads an image of at most `most` pixels.
///
/// # Errors
/// When it is damaged, larger, of a kind that is not read, or one of several.
pub(super) fn decode(
    bytes: &[u8],
    format: ImageFormat,
    most: u64,
) -> Result<ImageFile, ImageProblem> {
    several::check(bytes, format)?;
    if format == ImageFormat::Jpeg {
        jpeg::check(bytes, most)?;
    }
    let mut source = Cursor::new(bytes);
    let (mut decoder, orientation) = open(&mut source, format, most)?;
    let metadata = metadata::of(&mut decoder, bytes, format);
    let (width, height) = decoder.dimensions();
    let most = u64::from(width) * u64::from(height) * PIXEL_BYTES + OTHER_BYTES;
    decoder.set_limits(limits(most)).map_err(refused)?;
    let image = without_alpha(DynamicImage::from_decoder(decoder).map_err(refused)?);
    if format == ImageFormat::Pnm {
        several::check_behind(&bytes[(source.position() as usize).min(bytes.len())..])?;
    }
    Ok(ImageFile { metadata, ..image }.turned(orientation))
}

/// Height and width of the image, upright, from the file's first bytes.
///
/// # Errors
/// When it is damaged or larger.
pub(super) fn measure(
    bytes: impl BufRead + Seek,
    format: ImageFormat,
    most: u64,
) -> Result<(usize, usize), ImageProblem> {
    let (decoder, orientation) = open(bytes, format, most)?;
    let (width, height) = decoder.dimensions();
    let (height, width) = (height as usize, width as usize);
    Ok(if lies_down(orientation) { (width, height) } else { (height, width) })
}

/// The decoders are other people's, and so are the files.
pub(super) fn caught<T>(
    decode: impl FnOnce() -> Result<T, ImageProblem> + UnwindSafe,
) -> Result<T, ImageProblem> {
    catch_unwind(decode)
        .unwrap_or_else(|_| Err(ImageProblem::Damaged("its decoder failed".to_owned())))
}

/// The format of a file, by its first bytes.
pub(super) fn format_of(bytes: &[u8]) -> Result<ImageFormat, ImageProblem> {
    use ImageFormat::{Bmp, Jpeg, Png, Pnm, Tiff, WebP};
    if bytes.starts_with(b"II\x2b\0") || bytes.starts_with(b"MM\0\x2b") {
        return Ok(Tiff); // BigTIFF, which the library does not know
    }
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
    let mut decoder = reader.into_decoder().map_err(refused)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > most {
        return Err(ImageProblem::TooLarge { width, height, most });
    }
    if width == 0 || height == 0 {
        return Err(ImageProblem::Damaged(format!("it is {width}x{height} pixels")));
    }
    decoder
        .set_limits(limits(decoder.total_bytes().saturating_add(OTHER_BYTES)))
        .map_err(refused)?;
    // An orientation that cannot be read is no reason to refuse the pixels.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    Ok((decoder, orientation))
}

fn limits(bytes: u64) -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(bytes);
    limits
}

fn refused(error: image::ImageError) -> ImageProblem {
    let words = cut(error.to_string());
    match error {
        image::ImageError::Unsupported(_) => ImageProblem::Kind {
            what: format!("it is of a rare kind ({words})"),
            instead: "PNG or TIFF of 8 or 16 bits a channel",
        },
        _ => ImageProblem::Damaged(words),
    }
}

/// Letters of a decoder's own words that a message repeats: it may list a hundred values.
const MOST_WORDS: usize = 200;

pub(super) fn cut(words: String) -> String {
    match words.char_indices().nth(MOST_WORDS) {
        Some((end, _)) => format!("{}...", &words[..end]),
        None => words,
    }
}

/// Grey or RGB, at the depth that the file has.
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
    let shape = [height, width, channels];
    ImageFile {
        shape,
        samples,
        alpha_dropped: colour.has_alpha(),
        metadata: metadata::Metadata::default(),
    }
}
