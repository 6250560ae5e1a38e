//! From strips and tiles to an image: one of 8 or 16 bits, grey or RGB, upright.

use std::io::{self, BufRead, Read, Seek, SeekFrom};

use tiff::TiffError;
use tiff::decoder::{Decoder, DecodingResult, Limits};

use super::form::{Alpha, Colours, Form};
use super::{Directory, Found, check_size, damaged, kind, orientation, strips, tags};
use crate::image_file::decode::{OTHER_BYTES, PIXEL_BYTES, cut, turned};
use crate::image_file::{ImageFile, ImageProblem, Samples, metadata};

/// Reads an image of at most `most` pixels.
///
/// # Errors
/// When it is damaged, larger, of a kind that is not read, or of floats beyond 0..1.
pub(crate) fn decode(
    source: &mut (impl BufRead + Seek),
    Found { place, height, width }: Found,
    most: u64,
) -> Result<ImageFile, ImageProblem> {
    check_size([height, width], most)?;
    let directory = Directory::at(source, place)?;
    let mut side = |tag| directory.number(source, tag, 0);
    if [side(tags::HEIGHT)?, side(tags::WIDTH)?] != [height, width].map(u64::from) {
        return Err(damaged("it has changed since it was first read"));
    }
    let form = Form::of(source, &directory, [height, width])?;
    strips::check(source, &directory, &form)?;
    let metadata = metadata::of_tiff(source, &directory)?;
    let orientation = orientation(source, &directory)?;
    let values = unpack(source, &directory, &form)?;
    let samples = form.samples_of(values)?;
    let channels = if form.colours == Colours::Grey { 1 } else { 3 };
    let shape = [height as usize, width as usize, channels];
    let image = ImageFile::new(shape, samples)?;
    let alpha_dropped = form.alpha != Alpha::None;
    Ok(turned(ImageFile { alpha_dropped, metadata, ..image }, orientation))
}

/// All values in the file's type, channel by channel where they lie so.
fn unpack(
    source: &mut (impl BufRead + Seek),
    directory: &Directory,
    form: &Form,
) -> Result<DecodingResult, ImageProblem> {
    source.rewind().map_err(ImageProblem::Read)?;
    let (start, leading) = directory.layout.leading_to(directory.place);
    let source = Leading { source, at: 0, start, leading };
    let mut decoder = Decoder::new(source).map_err(refused)?.with_limits(limits(form));
    let mut values = DecodingResult::U8(Vec::new());
    let layout = decoder.read_image_to_buffer(&mut values).map_err(refused)?;
    let planes = if form.planar { form.samples } else { 1 };
    if layout.planes != planes || values.as_buffer(0).byte_len() < layout.complete_len {
        return Err(damaged("its channels lie otherwise than it says"));
    }
    Ok(values)
}

fn limits(form: &Form) -> Limits {
    let pixels = u64::from(form.height) * u64::from(form.width);
    let row = (u64::from(form.width) * form.samples as u64 * form.bits).div_ceil(8);
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let mut limits = Limits::default();
    limits.decoding_buffer_size = size(row * u64::from(form.height));
    limits.intermediate_buffer_size = size(pixels.saturating_mul(PIXEL_BYTES) + OTHER_BYTES);
    limits.ifd_value_size = limits.intermediate_buffer_size;
    limits
}

fn refused(error: TiffError) -> ImageProblem {
    match error {
        TiffError::UnsupportedError(what) => kind(format!("it is of a rare kind ({what})")),
        TiffError::LimitsExceeded | TiffError::IntSizeError => {
            kind("it has strips or lists larger than its image")
        }
        TiffError::IoError(error) => damaged(cut(error.to_string())),
        error @ (TiffError::FormatError(_) | TiffError::UsageError(_)) => {
            damaged(cut(error.to_string()))
        }
    }
}

/// A file that begins with another of its directories, as its decoder begins with the first.
struct Leading<R> {
    source: R,
    /// Where the next byte comes from.
    at: u64,
    /// The place of the first directory's place, and what is to stand there.
    start: u64,
    leading: Vec<u8>,
}

impl<R: Read> Read for Leading<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        for (place, &byte) in (self.start..).zip(&self.leading) {
            let within = place.checked_sub(self.at).filter(|&within| within < count as u64);
            if let Some(within) = within {
                buffer[within as usize] = byte;
            }
        }
        self.at += count as u64;
        Ok(count)
    }
}

impl<R: Seek> Seek for Leading<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = self.source.seek(to)?;
        Ok(self.at)
    }
}

// ---- values ----

impl Form {
    /// Grey or RGB, of 8 bits where the file has no more, else of 16.
    fn samples_of(&self, values: DecodingResult) -> Result<Samples, ImageProblem> {
        use DecodingResult::{F16, F32, F64, U8, U16, U32, U64};
        let part = |value: f64, white: f64| (value / white * WHITE).round() as u16;
        let samples = match values {
            U8(packed) if self.bits < 8 => return Ok(Samples::Eight(self.spread(&packed))),
            U8(all) => Samples::Eight(self.kept(all, |value| value)),
            U16(all) => Samples::Sixteen(self.kept(all, |value| value)),
            U32(all) => {
                let white = f64::from(u32::MAX);
                Samples::Sixteen(self.kept(all, |value| part(f64::from(value), white)))
            }
            U64(all) => {
                let white = u64::MAX as f64;
                Samples::Sixteen(self.kept(all, |value| part(value as f64, white)))
            }
            F16(all) => Samples::Sixteen(unit(self.kept(all, |value| value.to_f64()))?),
            F32(all) => Samples::Sixteen(unit(self.kept(all, |value| value))?),
            F64(all) => Samples::Sixteen(unit(self.kept(all, |value| value))?),
            _ => return Err(kind("its values are of another type than it says")),
        };
        Ok(match samples {
            Samples::Eight(values) => Samples::Eight(self.in_rgb(values, 255)),
            Samples::Sixteen(values) => Samples::Sixteen(self.in_rgb(values, 65_535)),
        })
    }

    /// Channels that are needed: the colours, and what they were multiplied by.
    fn needed(&self) -> usize {
        self.colours.count() + usize::from(self.alpha == Alpha::Multiplied)
    }

    /// The needed channels, pixel by pixel.
    fn kept<T: Copy, S>(&self, all: Vec<T>, narrow: impl Fn(T) -> S) -> Vec<S> {
        let needed = self.needed();
        if self.samples == needed && (!self.planar || needed == 1) {
            return all.into_iter().map(narrow).collect();
        }
        let pixels = all.len() / self.samples;
        let (step, plane) = if self.planar { (1, pixels) } else { (self.samples, 1) };
        let mut kept = Vec::with_capacity(pixels * needed);
        for pixel in 0..pixels {
            kept.extend((0..needed).map(|channel| narrow(all[pixel * step + channel * plane])));
        }
        kept
    }

    /// Values of 1, 2 or 4 bits, whose rows begin at whole bytes; white is 255.
    fn spread(&self, packed: &[u8]) -> Vec<u8> {
        let (bits, width) = (self.bits as usize, self.width as usize);
        let white = (1_u8 << bits) - 1;
        let row = |row: &[u8]| -> Vec<u8> {
            let value = |x: usize| {
                let at = x * bits;
                (row[at / 8] >> (8 - bits - at % 8) & white) * (255 / white)
            };
            (0..width).map(value).collect()
        };
        packed.chunks_exact((width * bits).div_ceil(8)).flat_map(row).collect()
    }

    /// Grey or RGB from the needed channels.
    fn in_rgb<T>(&self, values: Vec<T>, white: u32) -> Vec<T>
    where
        T: Copy + Into<u32> + TryFrom<u32>,
    {
        let narrow = |value: u32| T::try_from(value.min(white)).unwrap_or(values[0]);
        let count = self.colours.count();
        if self.alpha == Alpha::Multiplied {
            let divided = |pixel: &[T]| {
                let alpha: u32 = pixel[count].into();
                let whole = |value: u64| narrow(nearest(value * u64::from(white), alpha.into()));
                pixel[..count].iter().map(|&v| whole(v.into().into())).collect::<Vec<_>>()
            };
            let form = Self { alpha: Alpha::None, ..*self };
            let values = values.chunks_exact(count + 1).flat_map(divided).collect();
            return form.in_rgb(values, white);
        }
        match self.colours {
            Colours::Grey | Colours::Rgb => values,
            Colours::Cmyk => {
                let rgb = |pixel: &[T]| {
                    let light = |ink: T| u64::from(white - ink.into());
                    let key = light(pixel[3]);
                    [0, 1, 2].map(|i| narrow(nearest(light(pixel[i]) * key, white.into())))
                };
                values.chunks_exact(4).flat_map(rgb).collect()
            }
            Colours::YCbCr => {
                let rgb = |pixel: &[T]| {
                    let [y, blue, red] = [0, 1, 2].map(|i| f64::from(pixel[i].into()));
                    from_ycbcr(y, blue - 128.0, red - 128.0).map(|value| narrow(value as u32))
                };
                values.chunks_exact(3).flat_map(rgb).collect()
            }
        }
    }
}

/// White at 16 bits.
const WHITE: f64 = 65_535.0;

/// A quotient rounded to nearest; of nothing, 0.
fn nearest(above: u64, below: u64) -> u32 {
    (above + below / 2)
        .checked_div(below)
        .map_or(0, |value| u32::try_from(value).unwrap_or(u32::MAX))
}

/// Source: JFIF 1.02, "Conversion to and from RGB".
fn from_ycbcr(y: f64, blue: f64, red: f64) -> [f64; 3] {
    let rgb = [y + 1.402 * red, y - 0.344_136 * blue - 0.714_136 * red, y + 1.772 * blue];
    rgb.map(|value| value.round().max(0.0))
}

/// Floats in 0..1 as 16 bits.
fn unit<T: Copy + Into<f64>>(values: Vec<T>) -> Result<Vec<u16>, ImageProblem> {
    let (mut low, mut high, mut nan) = (f64::INFINITY, f64::NEG_INFINITY, false);
    for value in &values {
        let value = (*value).into();
        nan |= value.is_nan();
        (low, high) = (low.min(value), high.max(value)); // NaN changes neither
    }
    if nan || low < 0.0 || high > 1.0 {
        return Err(ImageProblem::Range { low, high, nan });
    }
    Ok(values.into_iter().map(|value| (value.into() * WHITE).round() as u16).collect())
}
