//! From strips and tiles to an image: one of 8 or 16 bits or of floats, grey or RGB, upright.

use std::io::{BufRead, Seek};

use tiff::TiffError;
use tiff::decoder::{Decoder, DecodingResult, Limits};

use super::form::{Alpha, Colours, Form};
use super::patched::Patched;
use super::strips::Strip;
use super::{Directory, Found, check_size, damaged, kind, orientation, strips, tags};
use crate::formats::image_file::decode::{OTHER_BYTES, cut};
use crate::formats::image_file::{ImageFile, ImageProblem, Samples, metadata};

/// Reads an image of at most `most` pixels.
///
/// # Errors
/// When it is damaged, larger, of a kind that is not read, or holds NaN or infinity.
pub(crate) fn decode(
    source: &mut (impl BufRead + Seek),
    Found { place, height, width, .. }: Found,
    most: u64,
) -> Result<ImageFile, ImageProblem> {
    check_size([height, width], most)?;
    let directory = Directory::at(source, place)?;
    let mut side = |tag| directory.number(source, tag, 0);
    if [side(tags::HEIGHT)?, side(tags::WIDTH)?] != [height, width].map(u64::from) {
        return Err(damaged("it has changed since it was first read"));
    }
    let form = Form::of(source, &directory, [height, width])?;
    let strips = strips::list(source, &directory, &form)?;
    strips::check(source, &directory, &form, &strips)?;
    let metadata = metadata::of_tiff(source, &directory)?;
    let orientation = orientation(source, &directory)?;
    let mut canvas = Canvas::new(&form);
    for strip in &strips {
        // Channels that are not needed are not unpacked.
        if strip.channel < form.needed() {
            canvas.put(strip, unpack(source, &directory, &form, strip)?)?;
        }
    }
    let samples = canvas.samples()?;
    let shape = [height as usize, width as usize, if form.is_grey() { 1 } else { 3 }];
    let alpha_dropped = form.alpha != Alpha::None;
    let image = ImageFile { alpha_dropped, metadata, ..ImageFile::new(shape, samples)? };
    Ok(image.turned(orientation))
}

/// The values of a strip or tile, in the file's type. To the decoder it is an image of its own, whose channels
/// have no meaning: of tiles that reach beyond an image, and of channels beside the colours, it would read
/// some wrongly.
fn unpack(
    source: &mut (impl BufRead + Seek),
    directory: &Directory,
    form: &Form,
    strip: &Strip,
) -> Result<DecodingResult, ImageProblem> {
    source.rewind().map_err(ImageProblem::Read)?;
    let [height, width] = strip.size;
    let tags = [
        (tags::WIDTH, Some(width)),
        (tags::HEIGHT, Some(height)),
        (tags::BITS, Some(form.bits)),
        (tags::SAMPLE_FORMAT, Some(form.format)),
        (tags::PHOTOMETRIC, Some(1)),
        (tags::SAMPLES, Some(form.packed() as u64)),
        (tags::PLANAR, Some(1)),
        (tags::EXTRA_SAMPLES, None),
        (tags::ROWS_PER_STRIP, Some(height)),
        (tags::STRIP_OFFSETS, Some(strip.place)),
        (tags::STRIP_BYTES, Some(strip.bytes)),
        (tags::TILE_OFFSETS, Some(strip.place)),
        (tags::TILE_BYTES, Some(strip.bytes)),
    ];
    let source = Patched::new(source, directory.patches(&tags));
    let mut decoder = Decoder::new(source).map_err(refused)?.with_limits(limits(form, strip));
    let mut values = DecodingResult::U8(Vec::new());
    decoder.read_image_to_buffer(&mut values).map_err(refused)?;
    Ok(values)
}

fn limits(form: &Form, strip: &Strip) -> Limits {
    let row = (strip.size[1] * form.packed() as u64 * form.bits).div_ceil(8);
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let mut limits = Limits::default();
    limits.decoding_buffer_size = size(row.saturating_mul(strip.size[0]));
    limits.intermediate_buffer_size =
        limits.decoding_buffer_size.saturating_add(OTHER_BYTES as usize);
    limits.ifd_value_size = OTHER_BYTES as usize;
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

/// An image in the making: its needed channels, as floats where the file has those, else of 8 bits where it has
/// no more, else of 16.
struct Canvas<'a> {
    form: &'a Form,
    samples: Samples,
}

/// White at 16 bits.
const WHITE: f64 = 65_535.0;

impl<'a> Canvas<'a> {
    fn new(form: &'a Form) -> Self {
        let count = form.height as usize * form.width as usize * form.needed();
        let samples = match (form.is_float(), form.bits) {
            (true, _) => Samples::Float(vec![0.0; count]),
            (false, ..=8) => Samples::Eight(vec![0; count]),
            (false, _) => Samples::Sixteen(vec![0; count]),
        };
        Self { form, samples }
    }

    /// Puts the values of a strip or tile in their places.
    fn put(&mut self, strip: &Strip, values: DecodingResult) -> Result<(), ImageProblem> {
        use DecodingResult::{F16, F32, F64, U8, U16, U32, U64};
        let part = |value: f64, white: f64| (value / white * WHITE).round() as u16;
        let form = self.form;
        match (values, &mut self.samples) {
            (U8(packed), Samples::Eight(to)) if form.bits < 8 => {
                copy(form, strip, &form.spread(&packed, strip), to, |value| value);
            }
            (U8(all), Samples::Eight(to)) => copy(form, strip, &all, to, |value| value),
            (U16(all), Samples::Sixteen(to)) => copy(form, strip, &all, to, |value| value),
            (U32(all), Samples::Sixteen(to)) => {
                let white = f64::from(u32::MAX);
                copy(form, strip, &all, to, |value| part(f64::from(value), white));
            }
            (U64(all), Samples::Sixteen(to)) => {
                copy(form, strip, &all, to, |value| part(value as f64, u64::MAX as f64));
            }
            (F16(all), Samples::Float(to)) => copy(form, strip, &all, to, f32::from),
            (F32(all), Samples::Float(to)) => copy(form, strip, &all, to, |value| value),
            (F64(all), Samples::Float(to)) => copy(form, strip, &all, to, |value| value as f32),
            _ => return Err(kind("its values are of another type than it says")),
        }
        Ok(())
    }

    /// Grey or RGB.
    fn samples(self) -> Result<Samples, ImageProblem> {
        Ok(match self.samples {
            Samples::Eight(values) => self.form.in_rgb_of_eight(values),
            Samples::Sixteen(values) => Samples::Sixteen(self.form.in_rgb(values, 65_535)),
            Samples::Float(values) => {
                self.form.check_finite(&values)?;
                Samples::Float(self.form.in_rgb_of_floats(values))
            }
        })
    }
}

/// Copies the needed channels of what lies within the image.
fn copy<T: Copy, S>(
    form: &Form,
    strip: &Strip,
    from: &[T],
    to: &mut [S],
    mut narrow: impl FnMut(T) -> S,
) {
    let (needed, packed) = (form.needed(), form.packed());
    let [height, width] = [form.height, form.width].map(|side| side as usize);
    let (top, left) = (strip.top as usize, strip.left as usize);
    let strip_width = strip.size[1] as usize;
    let [rows, columns] =
        [(height - top).min(strip.size[0] as usize), (width - left).min(strip_width)];
    let channels = if form.planar { strip.channel..strip.channel + 1 } else { 0..needed };
    for y in 0..rows {
        let row = &from[y * strip_width * packed..][..columns * packed];
        let target = &mut to[((top + y) * width + left) * needed..][..columns * needed];
        for (from, to) in row.chunks_exact(packed).zip(target.chunks_exact_mut(needed)) {
            for (&value, to) in from.iter().zip(&mut to[channels.clone()]) {
                *to = narrow(value);
            }
        }
    }
}

impl Form {
    /// Channels that lie together in a strip.
    pub(super) fn packed(&self) -> usize {
        if self.planar { 1 } else { self.samples }
    }

    /// Channels that are needed: the colours, and what they were multiplied by.
    fn needed(&self) -> usize {
        self.colours.count() + usize::from(self.alpha == Alpha::Multiplied)
    }

    fn is_grey(&self) -> bool {
        matches!(self.colours, Colours::Grey { .. })
    }

    /// Refuses NaN and infinity, with which no model can compute.
    fn check_finite(&self, values: &[f32]) -> Result<(), ImageProblem> {
        let Some(at) = values.iter().position(|value| !value.is_finite()) else { return Ok(()) };
        let (pixel, width) = (at / self.needed(), self.width as usize);
        Err(ImageProblem::NotFinite {
            value: values[at],
            row: pixel / width,
            column: pixel % width,
        })
    }

    /// Grey or RGB from the needed channels, of which alpha's white is 1.
    fn in_rgb_of_floats(&self, values: Vec<f32>) -> Vec<f32> {
        let count = self.colours.count();
        let values = if self.alpha == Alpha::Multiplied {
            let divided = |pixel: &[f32]| {
                let alpha = pixel[count];
                let whole = |&value: &f32| if alpha == 0.0 { 0.0 } else { value / alpha };
                pixel[..count].iter().map(whole).collect::<Vec<_>>()
            };
            values.chunks_exact(count + 1).flat_map(divided).collect()
        } else {
            values
        };
        match self.colours {
            Colours::Grey { inverted: true } => values.into_iter().map(|v| 1.0 - v).collect(),
            _ => values,
        }
    }

    /// Values of 1, 2 or 4 bits, whose rows begin at whole bytes; white is 255, but places in a palette stay.
    fn spread(&self, packed: &[u8], strip: &Strip) -> Vec<u8> {
        let (bits, width) = (self.bits as usize, strip.size[1] as usize);
        let white = (1_u8 << bits) - 1;
        let factor = if self.is_grey() { 255 / white } else { 1 };
        let row = |row: &[u8]| -> Vec<u8> {
            let value = |x: usize| {
                let at = x * bits;
                (row[at / 8] >> (8 - bits - at % 8) & white) * factor
            };
            (0..width).map(value).collect()
        };
        packed.chunks_exact((width * bits).div_ceil(8)).flat_map(row).collect()
    }

    /// Grey or RGB from the needed channels of 8 bits.
    fn in_rgb_of_eight(&self, values: Vec<u8>) -> Samples {
        let Colours::Palette = self.colours else {
            return Samples::Eight(self.in_rgb(values, 255));
        };
        let colour = |place: u8| {
            [0, 1, 2].map(|c| self.palette[c * self.palette.len() / 3 + usize::from(place)])
        };
        let rgb = values.into_iter().flat_map(colour);
        // Most palettes are of 8 bits, in one of three ways.
        let all = |is: fn(u16) -> bool| self.palette.iter().all(|&value| is(value));
        let eight: fn(u16) -> u16 = match () {
            () if all(|value| value % 257 == 0) => |value| value / 257,
            () if all(|value| value % 256 == 0) => |value| value / 256,
            () if all(|value| value < 256) => |value| value,
            () => return Samples::Sixteen(rgb.collect()),
        };
        Samples::Eight(rgb.map(|value| eight(value) as u8).collect())
    }

    /// Grey or RGB from the needed channels.
    fn in_rgb<T>(&self, values: Vec<T>, white: u32) -> Vec<T>
    where
        T: Copy + Default + Into<u32> + TryFrom<u32>,
    {
        let narrow = |value: u32| T::try_from(value.min(white)).unwrap_or_default();
        let count = self.colours.count();
        let values = if self.alpha == Alpha::Multiplied {
            let divided = |pixel: &[T]| {
                let alpha: u32 = pixel[count].into();
                let whole = |value: u32| nearest(u64::from(value) * u64::from(white), alpha.into());
                pixel[..count].iter().map(|&v| narrow(whole(v.into()))).collect::<Vec<_>>()
            };
            values.chunks_exact(count + 1).flat_map(divided).collect()
        } else {
            values
        };
        match self.colours {
            Colours::Grey { inverted: true } => {
                values.into_iter().map(|value| narrow(white - value.into())).collect()
            }
            Colours::Grey { .. } | Colours::Rgb | Colours::Palette => values,
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

/// A quotient rounded to nearest; of nothing, 0.
fn nearest(above: u64, below: u64) -> u32 {
    let value = (above + below / 2).checked_div(below).unwrap_or(0);
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// Source: JFIF 1.02, "Conversion to and from RGB".
fn from_ycbcr(y: f64, blue: f64, red: f64) -> [f64; 3] {
    let rgb = [y + 1.402 * red, y - 0.344_136 * blue - 0.714_136 * red, y + 1.772 * blue];
    rgb.map(|value| value.round().max(0.0))
}
