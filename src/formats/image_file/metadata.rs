//! What a file says of its image beside the values: which colours they stand for, and how large a pixel is.

use std::io::{BufRead, Cursor, Seek};
use std::sync::Arc;

use image::{ImageDecoder, ImageFormat};

use super::ImageProblem;
use super::png_file::chunks;
use super::tiff::{Directory, tags};

/// What a result keeps of its image's file, where its format has room for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// An ICC profile.
    pub profile: Option<Arc<[u8]>>,
    /// Pixels per unit of length.
    pub density: Option<Density>,
    /// Chunks of a PNG that say the same as a profile does, by their names.
    pub(super) chunks: Vec<([u8; 4], Vec<u8>)>,
}

/// Pixels per unit of length, as fractions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Density {
    /// From left to right: numerator and denominator, neither of them 0.
    pub x: [u32; 2],
    /// Downwards.
    pub y: [u32; 2],
    /// The length.
    pub unit: Unit,
}

/// A length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// 2.54 cm.
    Inch,
    /// 1 cm.
    Centimetre,
    /// 100 cm.
    Metre,
    /// Not said; the two numbers are a pixel's height and width to each other.
    Unknown,
}

impl Metadata {
    /// Whether the profile describes grey values (1 channel) or RGB (3), whichever the image has. A profile of
    /// another kind, as a grey image made of RGB has, or one of inks, would make a wrong image of a right one.
    pub(super) fn profile_for(&self, channels: usize) -> Option<&[u8]> {
        let space: &[u8] = if channels == 1 { b"GRAY" } else { b"RGB " };
        self.profile.as_deref().filter(|profile| profile.get(16..20) == Some(space))
    }

    /// With height and width changing places.
    pub(super) fn lying(mut self) -> Self {
        if let Some(density) = &mut self.density {
            (density.x, density.y) = (density.y, density.x);
        }
        self
    }
}

impl Density {
    /// `None` where it says nothing.
    pub(super) fn new(x: [u32; 2], y: [u32; 2], unit: Unit) -> Option<Self> {
        let says = !x.contains(&0) && !y.contains(&0) && (unit != Unit::Unknown || x != y);
        says.then_some(Self { x, y, unit })
    }

    /// Pixels per metre, as PNG counts them, from left to right and downwards; `None` where no length is known.
    pub(super) fn per_metre(self) -> Option<[u32; 2]> {
        let factor = match self.unit {
            Unit::Inch => 1.0 / 0.0254,
            Unit::Centimetre => 100.0,
            Unit::Metre => 1.0,
            Unit::Unknown => return None,
        };
        let whole = |[above, below]: [u32; 2]| f64::from(above) / f64::from(below) * factor;
        Some([self.x, self.y].map(|fraction| whole(fraction).round() as u32))
    }

    /// The two numbers to each other, for where no length is known.
    pub(super) fn ratio(self) -> [u32; 2] {
        let both = [self.x[0].checked_mul(self.y[1]), self.y[0].checked_mul(self.x[1])];
        both.map(|number| number.unwrap_or(1))
    }

    /// The same in a unit that TIFF knows.
    pub(super) fn for_tiff(self) -> Self {
        let hundredth = |[above, below]: [u32; 2]| match below.checked_mul(100) {
            Some(below) => [above, below],
            None => [above / 100, below],
        };
        match self.unit {
            Unit::Metre => {
                Self { x: hundredth(self.x), y: hundredth(self.y), unit: Unit::Centimetre }
            }
            _ => self,
        }
    }
}

/// Of an image of a TIFF.
pub(super) fn of_tiff(
    source: &mut (impl BufRead + Seek),
    directory: &Directory,
) -> Result<Metadata, ImageProblem> {
    let profile = directory.bytes_of(source, tags::PROFILE)?.map(Arc::from);
    Ok(Metadata { profile, density: tiff_density(source, directory)?, chunks: Vec::new() })
}

fn tiff_density(
    source: &mut (impl BufRead + Seek),
    directory: &Directory,
) -> Result<Option<Density>, ImageProblem> {
    let unit = match directory.number(source, tags::RESOLUTION_UNIT, 2)? {
        2 => Unit::Inch,
        3 => Unit::Centimetre,
        _ => Unit::Unknown,
    };
    let x = directory.fractions(source, tags::X_RESOLUTION)?;
    let y = directory.fractions(source, tags::Y_RESOLUTION)?;
    Ok(x.first().zip(y.first()).and_then(|(&x, &y)| Density::new(x, y, unit)))
}

/// Of a file of any other format. What cannot be read of it is no reason to refuse the pixels.
pub(super) fn of(decoder: &mut impl ImageDecoder, file: &[u8], format: ImageFormat) -> Metadata {
    let profile = decoder.icc_profile().ok().flatten().map(Arc::from);
    let mut metadata = Metadata { profile, ..Metadata::default() };
    let exif = || exif_density(&decoder.exif_metadata().ok().flatten()?);
    match format {
        ImageFormat::Png => {
            metadata.density = chunks(file).find_map(|(name, data)| png_density(name, data));
            let colour = |(name, data): &([u8; 4], &[u8])| {
                COLOUR_CHUNKS.iter().any(|(known, length)| *known == name && *length == data.len())
            };
            metadata.chunks =
                chunks(file).filter(colour).map(|(name, data)| (name, data.to_vec())).collect();
        }
        ImageFormat::Jpeg => metadata.density = jfif_density(file).or_else(exif),
        ImageFormat::WebP => metadata.density = { exif }(),
        ImageFormat::Bmp => {
            metadata.density = bmp_density(file);
            metadata.profile = bmp_profile(file).map(Arc::from);
        }
        _ => {}
    }
    metadata
}

/// Chunks of a PNG that say which colours its values are, and their lengths.
const COLOUR_CHUNKS: [(&[u8; 4], usize); 4] =
    [(b"gAMA", 4), (b"cHRM", 32), (b"sRGB", 1), (b"cICP", 4)];

fn png_density(name: [u8; 4], data: &[u8]) -> Option<Density> {
    let (b"pHYs", [x, y]) = (&name, data.as_chunks::<4>().0) else { return None };
    let unit = if data.get(8) == Some(&1) { Unit::Metre } else { Unit::Unknown };
    let [x, y] = [x, y].map(|number| [u32::from_be_bytes(*number), 1]);
    Density::new(x, y, unit)
}

/// Of the segment that a JFIF file begins with.
fn jfif_density(file: &[u8]) -> Option<Density> {
    let start = file.strip_prefix(b"\xff\xd8\xff\xe0")?.get(2..)?.strip_prefix(b"JFIF\0")?;
    let [_, _, unit, x1, x0, y1, y0, ..] = start else { return None };
    let unit = match unit {
        1 => Unit::Inch,
        2 => Unit::Centimetre,
        _ => Unit::Unknown,
    };
    let [x, y] = [[*x1, *x0], [*y1, *y0]].map(|both| [u32::from(u16::from_be_bytes(both)), 1]);
    Density::new(x, y, unit)
}

/// EXIF is a TIFF without an image.
fn exif_density(exif: &[u8]) -> Option<Density> {
    let mut source = Cursor::new(exif);
    let directory = Directory::first(&mut source).ok()?;
    tiff_density(&mut source, &directory).ok()?
}

/// Bytes of a BMP's first header, which the second follows, with its length in front.
const BMP_HEADER: usize = 14;

fn bmp_number(file: &[u8], place: usize) -> Option<u32> {
    let bytes = file.get(BMP_HEADER + place..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

fn bmp_density(file: &[u8]) -> Option<Density> {
    if bmp_number(file, 0)? < 40 {
        return None;
    }
    let [x, y] = [bmp_number(file, 24)?, bmp_number(file, 28)?];
    // A number with sign, and what has one makes no sense.
    let sound = [x, y].iter().all(|&number| i32::try_from(number).is_ok());
    Density::new([x, 1], [y, 1], Unit::Metre).filter(|_| sound)
}

fn bmp_profile(file: &[u8]) -> Option<&[u8]> {
    let embedded = bmp_number(file, 0)? >= 124 && bmp_number(file, 56)? == 0x4d42_4544; // "MBED"
    let (place, length) = (bmp_number(file, 112)? as usize, bmp_number(file, 116)? as usize);
    let profile = file.get(BMP_HEADER..)?.get(place..)?.get(..length)?;
    (embedded && !profile.is_empty()).then_some(profile)
}
