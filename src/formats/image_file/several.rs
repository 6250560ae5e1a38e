//! Files that hold more than one image without being a TIFF: animations, and PNMs behind each other. Only one
//! of the images would be read, so such a file is refused.

use image::ImageFormat;

use super::{ImageProblem, png_file};

/// Refuses an animation: a PNG of more than one frame, and any WebP, whose decoder takes memory for whatever
/// size a frame claims.
pub(super) fn check(file: &[u8], format: ImageFormat) -> Result<(), ImageProblem> {
    let (moves, images) = match format {
        ImageFormat::Png => (false, png_file::frames(file) as usize),
        ImageFormat::WebP => (webp_moves(file), webp_frames(file)),
        _ => (false, 1),
    };
    if images > 1 {
        let remedy = "save the frames of an animation as images of their own";
        return Err(ImageProblem::Several { images, remedy });
    }
    if moves {
        let (what, instead) = ("it is an animation".to_owned(), "an image that does not move");
        return Err(ImageProblem::Kind { what, instead });
    }
    Ok(())
}

/// Refuses a PNM that another one follows.
pub(super) fn check_behind(rest: &[u8]) -> Result<(), ImageProblem> {
    if let [b'P', b'1'..=b'7', end, ..] = rest.trim_ascii_start()
        && end.is_ascii_whitespace()
    {
        let remedy = "save each as a file of its own";
        return Err(ImageProblem::Several { images: 2, remedy });
    }
    Ok(())
}

/// Whether the header says that there is an animation.
///
/// Source: WebP Container Specification.
fn webp_moves(file: &[u8]) -> bool {
    file.get(12..16) == Some(b"VP8X") && file.get(20).is_some_and(|flags| flags & 2 != 0)
}

/// Chunks of frames.
fn webp_frames(file: &[u8]) -> usize {
    let mut rest = file.get(12..).unwrap_or_default();
    let mut frames = 0;
    while let [a, b, c, d, length @ ..] = rest
        && let Some((length, content)) = length.split_first_chunk()
    {
        frames += usize::from([*a, *b, *c, *d] == *b"ANMF");
        let length = u32::from_le_bytes(*length) as usize;
        rest = content.get(length.saturating_add(length & 1)..).unwrap_or_default();
    }
    frames
}
