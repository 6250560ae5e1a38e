//! A PNG's chunks, and PNGs made of values.

use std::borrow::Cow;

use png::chunk::ChunkType;
use png::{
    BitDepth, ColorType, Compression, Encoder, EncodingError, Filter, Info, PixelDimensions, Unit,
};

use super::{ImageFile, ImageProblem, Samples};

/// The chunks of a file up to its pixels: the name and the content of each.
pub(super) fn chunks(file: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let mut rest = file.get(8..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (length, behind) = rest.split_first_chunk()?;
        let (name, behind) = behind.split_first_chunk::<4>()?;
        let length = u32::from_be_bytes(*length) as usize;
        let content = behind.get(..length)?;
        rest = behind.get(length..)?.get(4..)?; // its sum
        (name != b"IDAT").then_some((*name, content))
    })
}

/// Frames of the file, which are more than one where it is an animation.
pub(super) fn frames(file: &[u8]) -> u32 {
    let count = |(name, content): ([u8; 4], &[u8])| {
        let frames = content.first_chunk().filter(|_| &name == b"acTL")?;
        Some(u32::from_be_bytes(*frames))
    };
    chunks(file).find_map(count).unwrap_or(1)
}

/// A file, compressed quickly.
pub(super) fn encode(image: &ImageFile) -> Result<Vec<u8>, ImageProblem> {
    if matches!(image.samples, Samples::Float(_)) {
        return Err(ImageProblem::Encode("a PNG holds no floats".to_owned()));
    }
    let mut bytes = Vec::new();
    write(image, &mut bytes).map_err(|error| ImageProblem::Encode(error.to_string()))?;
    Ok(bytes)
}

fn write(image: &ImageFile, bytes: &mut Vec<u8>) -> Result<(), EncodingError> {
    let [height, width, channels] = image.shape;
    let side = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    let mut info = Info::with_size(side(width), side(height));
    info.icc_profile = image.metadata.profile_for(channels).map(Cow::Borrowed);
    info.pixel_dims = image.metadata.density.map(|density| {
        let (unit, [xppu, yppu]) = match density.per_metre() {
            Some(both) => (Unit::Meter, both),
            None => (Unit::Unspecified, density.ratio()),
        };
        PixelDimensions { xppu, yppu, unit }
    });
    let mut encoder = Encoder::with_info(bytes, info)?;
    encoder.set_color(if channels == 1 { ColorType::Grayscale } else { ColorType::Rgb });
    encoder.set_compression(Compression::Fast);
    encoder.set_filter(Filter::Adaptive);
    let depth = match image.samples {
        Samples::Eight(_) => BitDepth::Eight,
        Samples::Sixteen(_) | Samples::Float(_) => BitDepth::Sixteen,
    };
    encoder.set_depth(depth);
    let mut writer = encoder.write_header()?;
    for (name, content) in &image.metadata.chunks {
        writer.write_chunk(ChunkType(*name), content)?;
    }
    match &image.samples {
        Samples::Eight(values) => writer.write_image_data(values)?,
        Samples::Sixteen(values) => {
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_be_bytes()).collect();
            writer.write_image_data(&bytes)?;
        }
        Samples::Float(_) => unreachable!("`encode` has refused them"),
    }
    writer.finish()
}
