//! What kind of image a directory describes, and whether it is one that is read.

use std::io::{BufRead, Seek};

use super::{Directory, kind, tags};
use crate::formats::image_file::ImageProblem;

/// How the values of an image are to be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Form {
    /// In pixels, as it lies in the file.
    pub height: u32,
    pub width: u32,
    pub colours: Colours,
    /// Values of a pixel, alpha among them.
    pub samples: usize,
    pub alpha: Alpha,
    pub bits: u64,
    /// As SampleFormat says it: 1 is whole, 3 is floating.
    pub format: u64,
    pub compression: u64,
    /// Whether each channel lies by itself.
    pub planar: bool,
    /// All reds, greens and blues of 16 bits, where the values are places in it.
    pub palette: Vec<u16>,
}

/// What the values of a pixel mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colours {
    Grey {
        /// Whether white is 0.
        inverted: bool,
    },
    Rgb,
    /// Places in a list of colours.
    Palette,
    /// Inks.
    Cmyk,
    /// Luma and two differences, as in a JPEG.
    YCbCr,
}

/// A channel beside the colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alpha {
    None,
    /// The colours are as they are.
    Beside,
    /// The colours have been multiplied by it.
    Multiplied,
}

impl Colours {
    /// Values of a pixel.
    pub fn count(self) -> usize {
        match self {
            Self::Grey { .. } | Self::Palette => 1,
            Self::Rgb | Self::YCbCr => 3,
            Self::Cmyk => 4,
        }
    }

    /// With the article, for messages.
    fn name(self) -> &'static str {
        match self {
            Self::Grey { .. } => "grey",
            Self::Palette => "palette",
            Self::Rgb => "RGB",
            Self::Cmyk => "CMYK",
            Self::YCbCr => "YCbCr",
        }
    }
}

/// Schemes of compression.
pub(super) mod schemes {
    pub const NONE: u64 = 1;
    pub const GROUP_4: u64 = 4;
    pub const JPEG: u64 = 7;
    pub const READ: [u64; 7] = [NONE, GROUP_4, 5, JPEG, 8, 32_773, 32_946];
}

/// As SampleFormat says it.
pub(super) const FLOAT: u64 = 3;
/// Widest tile, in pixels.
const WIDEST_TILE: u64 = 1 << 16;
/// Bytes of a tile of an image that has fewer, unpacked.
const SMALL_TILE: u64 = 16 << 20;

impl Form {
    /// Whether its values are floats.
    pub fn is_float(&self) -> bool {
        self.format == FLOAT
    }

    /// The form of an image.
    ///
    /// # Errors
    /// When it is of a kind that is not read.
    pub fn of(
        source: &mut (impl BufRead + Seek),
        directory: &Directory,
        [height, width]: [u32; 2],
    ) -> Result<Self, ImageProblem> {
        if directory.has(tags::DNG_VERSION) {
            return Err(kind("it is a camera's raw file"));
        }
        let list = |source: &mut _, tag| directory.numbers(source, tag);
        let mut number = |tag, default| directory.number(source, tag, default);
        let compression = number(tags::COMPRESSION, schemes::NONE)?;
        let photometric = number(tags::PHOTOMETRIC, u64::MAX)?;
        let samples = number(tags::SAMPLES, 1)?;
        let planar = number(tags::PLANAR, 1)? == 2;
        if number(tags::FILL_ORDER, 1)? == 2 {
            return Err(kind("its bytes are filled from their lowest bit (FillOrder 2)"));
        }
        if number(tags::DEPTH, 1)? > 1 {
            return Err(kind("it is a volume (ImageDepth)"));
        }
        if !schemes::READ.contains(&compression) {
            return Err(kind(format!("it is compressed with {}", scheme(compression))));
        }
        let bits = list(source, tags::BITS)?.unwrap_or_else(|| vec![1]);
        let formats = list(source, tags::SAMPLE_FORMAT)?.unwrap_or_else(|| vec![1]);
        let extra = list(source, tags::EXTRA_SAMPLES)?.unwrap_or_default();
        let colours = colours(photometric, compression)?;
        let alpha = alpha(colours, samples, &extra)?;
        let (bits, format) = depth(colours, &bits, &formats)?;
        if bits < 8 && samples > 1 {
            return Err(kind(format!("it is grey of {bits} bits with alpha")));
        }
        if colours == Colours::YCbCr {
            check_ycbcr(source, directory)?;
        }
        check_tiles(source, directory, [height, width], samples * bits)?;
        let samples = samples as usize; // 5 at most
        let palette = palette(source, directory, colours, bits)?;
        let planar = planar && samples > 1;
        Ok(Self {
            height,
            width,
            colours,
            samples,
            alpha,
            bits,
            format,
            compression,
            planar,
            palette,
        })
    }
}

fn colours(photometric: u64, compression: u64) -> Result<Colours, ImageProblem> {
    let what = match (photometric, compression) {
        (0 | 1, _) => return Ok(Colours::Grey { inverted: photometric == 0 }),
        (2, _) => return Ok(Colours::Rgb),
        (5, schemes::JPEG) => "its colours are CMYK in JPEG compression",
        (5, _) => return Ok(Colours::Cmyk),
        (6, schemes::JPEG) => return Ok(Colours::YCbCr),
        (6, _) => "its colours are YCbCr without JPEG compression",
        (3, schemes::JPEG) => "its pixels are places in a palette in JPEG compression",
        (3, _) => return Ok(Colours::Palette),
        (8..=10, _) => "its colours are L*a*b*",
        (32_803 | 34_892, _) => "it is a camera's raw file",
        (32_844 | 32_845, _) => "its colours are logarithms (LogLuv)",
        (u64::MAX, _) => "it does not say what its values mean (PhotometricInterpretation)",
        (other, _) => {
            return Err(kind(format!("its values mean {other} (PhotometricInterpretation)")));
        }
    };
    Err(kind(what))
}

fn alpha(colours: Colours, samples: u64, extra: &[u64]) -> Result<Alpha, ImageProblem> {
    let (name, count) = (colours.name(), colours.count() as u64);
    match (samples.checked_sub(count), extra) {
        (Some(0), []) => Ok(Alpha::None),
        (Some(1), [1]) if colours == (Colours::Grey { inverted: true }) => {
            Err(kind("it is grey from white to black, multiplied by alpha"))
        }
        (Some(1), _) if colours == Colours::YCbCr => Err(kind("its colours are YCbCr with alpha")),
        (Some(1), [1]) => Ok(Alpha::Multiplied),
        // Old writers have no word for the channel that they add.
        (Some(1), [] | [2]) => Ok(Alpha::Beside),
        (Some(0) | None, _) => Err(super::damaged(format!(
            "{name} of {samples} channel(s) with {} beside makes no sense",
            extra.len()
        ))),
        (Some(1), _) => Err(kind(format!("it has a channel beside {name} that is no alpha"))),
        (Some(more), _) => Err(kind(format!("it has {more} channels beside {name}"))),
    }
}

/// Bits of a value, and their format.
fn depth(colours: Colours, bits: &[u64], formats: &[u64]) -> Result<(u64, u64), ImageProblem> {
    let (Some(&first), Some(&format)) = (bits.first(), formats.first()) else {
        return Err(super::damaged("it does not say how long its values are"));
    };
    if bits.iter().any(|&other| other != first) {
        let (least, most) =
            (bits.iter().min().unwrap_or(&first), bits.iter().max().unwrap_or(&first));
        return Err(kind(format!("its channels have {least} to {most} bits")));
    }
    if formats.iter().any(|&other| other != format) {
        return Err(kind("some of its channels are whole numbers, some are not"));
    }
    let read: &[u64] = match (format, colours) {
        (1, Colours::Grey { .. }) => &[1, 2, 4, 8, 16, 32, 64],
        (1, Colours::Palette) => &[1, 2, 4, 8],
        (1, Colours::Rgb) => &[8, 16, 32, 64],
        (1, Colours::Cmyk) => &[8, 16],
        (1, Colours::YCbCr) => &[8],
        (FLOAT, Colours::Grey { .. } | Colours::Rgb) => &[16, 32, 64],
        _ => &[],
    };
    let words = match format {
        1 => "integers",
        2 => "signed integers",
        3 => "floats",
        4 => "undefined values",
        5 | 6 => "complex numbers",
        _ => "values of an unknown type",
    };
    if read.contains(&first) {
        return Ok((first, format));
    }
    Err(kind(format!("its values are {}, {words} of {first} bits", colours.name())))
}

/// The colours of a palette; nothing where there is none.
fn palette(
    source: &mut (impl BufRead + Seek),
    directory: &Directory,
    colours: Colours,
    bits: u64,
) -> Result<Vec<u16>, ImageProblem> {
    if colours != Colours::Palette {
        return Ok(Vec::new());
    }
    let palette = directory.numbers(source, tags::PALETTE)?.unwrap_or_default();
    if palette.len() != 3 << bits {
        return Err(super::damaged("its palette has not as many colours as it needs"));
    }
    Ok(palette.into_iter().map(|value| value.min(0xffff) as u16).collect())
}

/// Refuses tiles that are far larger than the image, which would take the memory of a larger one.
fn check_tiles(
    source: &mut (impl BufRead + Seek),
    directory: &Directory,
    [height, width]: [u32; 2],
    pixel_bits: u64,
) -> Result<(), ImageProblem> {
    let mut side = |tag| directory.number(source, tag, 1);
    let (length, across) = (side(tags::TILE_LENGTH)?, side(tags::TILE_WIDTH)?);
    let bytes = |pixels: u64| pixels.saturating_mul(pixel_bits) / 8;
    let most = bytes(2 * u64::from(height) * u64::from(width)).max(SMALL_TILE);
    if across > WIDEST_TILE || bytes(length.saturating_mul(across)) > most {
        return Err(kind(format!("its tiles are {across}x{length} pixels")));
    }
    Ok(())
}

/// Only what JPEG itself has: the weights of ITU-R BT.601, and the whole range.
fn check_ycbcr(
    source: &mut (impl BufRead + Seek),
    directory: &Directory,
) -> Result<(), ImageProblem> {
    let usual = |found: Vec<[u32; 2]>, usual: &[f64]| {
        let value = |[above, below]: &[u32; 2]| f64::from(*above) / f64::from(*below);
        found.is_empty()
            || found.len() == usual.len()
                && found.iter().zip(usual).all(|(f, u)| (value(f) - u).abs() < 1e-3)
    };
    let weights = directory.fractions(source, tags::YCBCR_COEFFICIENTS)?;
    let range = directory.fractions(source, tags::REFERENCE_BLACK_WHITE)?;
    if usual(weights, &[0.299, 0.587, 0.114])
        && usual(range, &[0.0, 255.0, 128.0, 255.0, 128.0, 255.0])
    {
        return Ok(());
    }
    Err(kind("its colours are YCbCr with weights or a range of their own"))
}

fn scheme(compression: u64) -> String {
    let name = match compression {
        2 | 3 | 32_771 => "CCITT Group 3",
        6 => "old-style JPEG",
        34_712 | 33_003..=33_005 => "JPEG 2000",
        34_887 => "LERC",
        34_925 => "LZMA",
        50_000 => "ZSTD",
        50_001 => "WebP",
        50_002 | 52_546 => "JPEG XL",
        other => return format!("scheme {other}"),
    };
    name.to_owned()
}
