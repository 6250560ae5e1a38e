//! TIFFs of every kind, byte by byte.

use std::io::Cursor;

use image::DynamicImage;
use image::codecs::jpeg::JpegEncoder;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tiff::encoder::colortype::Gray16;
use tiff::encoder::{Compression, DeflateLevel, TiffEncoder};

use super::{Directory, tags};
use crate::formats::image_file::{
    Album, Format, ImageFile, ImageProblem, Loss, MOST_PIXELS, Metadata, Samples, decode_bytes,
    measure,
};

/// Types of values.
const BYTE: u16 = 1;
const ASCII: u16 = 2;
const SHORT: u16 = 3;
const LONG: u16 = 4;
const RATIONAL: u16 = 5;

/// Whole numbers, floats and the sign, as SampleFormat says them.
const UINT: u64 = 1;
const INT: u64 = 2;
const FLOAT: u64 = 3;

/// One page: its tags, and its strip or tiles.
#[derive(Clone, Default)]
struct Sheet {
    tags: Vec<(u16, u16, Vec<u64>)>,
    strips: Vec<Vec<u8>>,
    tiled: bool,
}

impl Sheet {
    /// Of `samples` values a pixel, each of `bits`; RGB from three on.
    fn new([height, width]: [u64; 2], samples: u64, bits: u64, data: Vec<u8>) -> Self {
        let sheet = Self { strips: vec![data], ..Self::default() };
        sheet
            .with(tags::WIDTH, LONG, vec![width])
            .with(tags::HEIGHT, LONG, vec![height])
            .with(tags::BITS, SHORT, vec![bits; samples as usize])
            .with(tags::COMPRESSION, SHORT, vec![1])
            .with(tags::PHOTOMETRIC, SHORT, vec![if samples >= 3 { 2 } else { 1 }])
            .with(tags::SAMPLES, SHORT, vec![samples])
            .with(tags::ROWS_PER_STRIP, LONG, vec![height])
    }

    fn with(mut self, tag: u16, kind: u16, values: Vec<u64>) -> Self {
        self.tags.retain(|(known, ..)| *known != tag);
        self.tags.push((tag, kind, values));
        self
    }

    fn format(self, format: u64, samples: u64) -> Self {
        self.with(tags::SAMPLE_FORMAT, SHORT, vec![format; samples as usize])
    }
}

/// How a file writes its numbers.
#[derive(Clone, Copy, Debug)]
struct Style {
    big_endian: bool,
    big: bool,
}

const STYLES: [Style; 4] = [
    Style { big_endian: false, big: false },
    Style { big_endian: true, big: false },
    Style { big_endian: false, big: true },
    Style { big_endian: true, big: true },
];
const PLAIN: Style = STYLES[0];

impl Style {
    fn number(self, value: u64, size: usize) -> Vec<u8> {
        if self.big_endian {
            value.to_be_bytes()[8 - size..].to_vec()
        } else {
            value.to_le_bytes()[..size].to_vec()
        }
    }

    fn file(self, sheets: &[Sheet]) -> Vec<u8> {
        let word = if self.big { 8 } else { 4 };
        let mut file = if self.big_endian { b"MM".to_vec() } else { b"II".to_vec() };
        if self.big {
            file.extend([43, 8, 0].iter().flat_map(|&number| self.number(number, 2)));
        } else {
            file.extend(self.number(42, 2));
        }
        let mut link = file.len();
        file.extend(self.number(0, word));
        for sheet in sheets {
            let mut tags = sheet.tags.clone();
            let mut places = Vec::new();
            for strip in &sheet.strips {
                places.push(file.len() as u64);
                file.extend(strip);
            }
            let counts = sheet.strips.iter().map(|strip| strip.len() as u64).collect();
            let numbers = if sheet.tiled {
                [tags::TILE_OFFSETS, tags::TILE_BYTES]
            } else {
                [tags::STRIP_OFFSETS, tags::STRIP_BYTES]
            };
            tags.push((numbers[0], LONG, places));
            if !tags.iter().any(|(tag, ..)| *tag == numbers[1]) {
                tags.push((numbers[1], LONG, counts));
            }
            tags.sort();
            let mut list = self.number(tags.len() as u64, if self.big { 8 } else { 2 });
            for (tag, kind, values) in tags {
                let size = match kind {
                    SHORT => 2,
                    LONG | RATIONAL => 4,
                    _ => 1,
                };
                let mut bytes: Vec<u8> =
                    values.iter().flat_map(|&value| self.number(value, size)).collect();
                let count = values.len() as u64 / if kind == RATIONAL { 2 } else { 1 };
                list.extend(self.number(tag.into(), 2));
                list.extend(self.number(kind.into(), 2));
                list.extend(self.number(count, word));
                if bytes.len() > word {
                    list.extend(self.number(file.len() as u64, word));
                    file.append(&mut bytes);
                } else {
                    bytes.resize(word, 0);
                    list.extend(bytes);
                }
            }
            let place = self.number(file.len() as u64, word);
            file[link..link + word].copy_from_slice(&place);
            file.extend(list);
            link = file.len();
            file.extend(self.number(0, word));
        }
        file
    }
}

fn read(sheet: &Sheet) -> Result<ImageFile, ImageProblem> {
    decode_bytes(&PLAIN.file(std::slice::from_ref(sheet)), MOST_PIXELS)
}

fn samples(sheet: &Sheet) -> Samples {
    read(sheet).unwrap().samples
}

fn refusal(sheet: &Sheet) -> String {
    read(sheet).unwrap_err().to_string()
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

// ---- whole numbers ----

#[test]
fn integers_of_32_bits_have_their_white_at_their_largest() {
    // 2,000,000,000 of 4,294,967,295 is 30517.1 of 65,535.
    let value = |style: Style, value| style.number(value, 4);
    for style in STYLES {
        for (samples, format) in [(3, None), (3, Some(UINT)), (4, None), (1, None)] {
            let data = value(style, 2_000_000_000).repeat(samples as usize);
            let mut sheet = Sheet::new([1, 1], samples, 32, data);
            if let Some(format) = format {
                sheet = sheet.format(format, samples);
            }
            if samples == 4 {
                sheet = sheet.with(tags::EXTRA_SAMPLES, SHORT, vec![2]);
            }
            let image = decode_bytes(&style.file(&[sheet]), MOST_PIXELS).unwrap();
            let channels = samples.min(3) as usize;
            assert_eq!(image.samples, Samples::Sixteen(vec![30_517; channels]), "{style:?}");
            assert_eq!(image.alpha_dropped, samples == 4);
        }
    }
    let ends = [0, u32::MAX].iter().flat_map(|value| value.to_le_bytes()).collect();
    assert_eq!(samples(&Sheet::new([1, 2], 1, 32, ends)), Samples::Sixteen(vec![0, 65_535]));
}

#[test]
fn integers_of_64_bits_have_their_white_at_their_largest() {
    let values = [0, u64::MAX / 2, u64::MAX];
    let data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let expected = Samples::Sixteen(vec![0, 32_768, 65_535]);
    assert_eq!(samples(&Sheet::new([1, 3], 1, 64, data)), expected);
}

#[test]
fn both_orders_of_bytes_and_the_large_kind_give_the_same_image() {
    for style in STYLES {
        let data: Vec<u8> = [1, 500, 65_535, 7].iter().flat_map(|&v| style.number(v, 2)).collect();
        let file = style.file(&[Sheet::new([2, 2], 1, 16, data)]);
        let image = decode_bytes(&file, MOST_PIXELS).unwrap();
        assert_eq!(image.shape, [2, 2, 1], "{style:?}");
        assert_eq!(image.samples, Samples::Sixteen(vec![1, 500, 65_535, 7]), "{style:?}");
        assert_eq!(measure(&file, MOST_PIXELS).unwrap(), (2, 2));
    }
}

#[test]
fn few_bits_reach_from_black_to_white() {
    let bits = |bits, data: u8| samples(&Sheet::new([1, 2], 1, bits, vec![data]));
    assert_eq!(bits(1, 0b0100_0000), Samples::Eight(vec![0, 255]));
    assert_eq!(bits(2, 0b0110_0000), Samples::Eight(vec![85, 170]));
    assert_eq!(bits(4, 0x1f), Samples::Eight(vec![17, 255]));
    // Rows begin at whole bytes.
    let sheet = Sheet::new([2, 3], 1, 2, vec![0b0001_1000, 0b1111_0000]);
    assert_eq!(samples(&sheet), Samples::Eight(vec![0, 85, 170, 255, 255, 0]));
}

#[test]
fn white_is_zero_where_the_file_says_so() {
    let inverted = |bits, data| {
        let sheet = Sheet::new([1, 1], 1, bits, data).with(tags::PHOTOMETRIC, SHORT, vec![0]);
        samples(&sheet)
    };
    assert_eq!(inverted(8, vec![55]), Samples::Eight(vec![200]));
    assert_eq!(inverted(16, vec![1, 0]), Samples::Sixteen(vec![65_534]));
    assert_eq!(inverted(4, vec![0x10]), Samples::Eight(vec![238]));
    assert_eq!(inverted(32, vec![255; 4]), Samples::Sixteen(vec![0]));
}

// ---- floats ----

#[test]
fn floats_are_read_as_they_are_and_those_beyond_0_to_1_have_their_range_said() {
    for samples in [1, 3] {
        let sheet = |values: [f32; 3]| {
            let data = floats(&values.repeat(samples as usize));
            Sheet::new([3, 1], samples, 32, data).format(FLOAT, samples)
        };
        let image = read(&sheet([0.0, 0.5, 1.0])).unwrap();
        assert!(image.samples.check_unit().is_ok());
        for (values, range) in [
            ([0.0, 100.0, 255.0], "from 0 to 255,"),
            ([-0.5, 0.0, 1.0], "from -0.5 to 1,"),
            ([-1e38, 0.0, 1.0], "from -1e38 to 1,"),
        ] {
            let image = read(&sheet(values)).unwrap();
            assert_eq!(image.samples, Samples::Float(values.repeat(samples as usize)));
            let words = image.samples.check_unit().unwrap_err().to_string();
            assert!(words.contains(range) && words.contains("data.scale"), "{words}");
        }
        for (odd, name) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf")] {
            let words = refusal(&sheet([0.0, odd, 1.0]));
            let place = format!("{name} in row {}, column 0", 1 / samples);
            assert!(words.contains(&place), "{words}");
        }
    }
}

#[test]
fn floats_of_16_and_64_bits_are_read_and_what_alpha_holds_is_of_no_account() {
    let half = Sheet::new([1, 2], 1, 16, vec![0, 0x38, 0, 0x3c]).format(FLOAT, 1); // 0.5 and 1
    assert_eq!(samples(&half), Samples::Float(vec![0.5, 1.0]));
    let data = [0.25_f64, 1.0].iter().flat_map(|value| value.to_le_bytes()).collect();
    let double = Sheet::new([1, 2], 1, 64, data).format(FLOAT, 1);
    assert_eq!(samples(&double), Samples::Float(vec![0.25, 1.0]));
    let rgba = Sheet::new([1, 1], 4, 32, floats(&[0.0, 0.5, 1.0, 77.0])).format(FLOAT, 4);
    let rgba = rgba.with(tags::EXTRA_SAMPLES, SHORT, vec![2]);
    assert_eq!(samples(&rgba), Samples::Float(vec![0.0, 0.5, 1.0]));
    let multiplied = Sheet::new([1, 2], 2, 32, floats(&[10.0, 0.5, 0.0, 0.0])).format(FLOAT, 2);
    let multiplied = multiplied.with(tags::EXTRA_SAMPLES, SHORT, vec![1]);
    assert_eq!(samples(&multiplied), Samples::Float(vec![20.0, 0.0]));
}

#[test]
fn floats_are_written_as_they_are_and_no_png_takes_them() {
    for channels in [1, 3] {
        let values = [-3.5, 0.0, 1e-20, 4000.25, 7.0, 1e30].repeat(channels);
        let image = ImageFile::new([2, 3, channels], Samples::Float(values)).unwrap();
        let file = image.encode(Format::Tiff).unwrap();
        assert_eq!(decode_bytes(&file, MOST_PIXELS).unwrap().samples, image.samples);
        let refused = image.encode(Format::Png).unwrap_err().to_string();
        assert!(refused.contains("a PNG holds no floats"), "{refused}");
    }
}

// ---- channels ----

#[test]
fn grey_with_alpha_is_grey() {
    let sheet = Sheet::new([1, 2], 2, 8, vec![10, 99, 20, 0]);
    for sheet in [sheet.clone(), sheet.with(tags::EXTRA_SAMPLES, SHORT, vec![2])] {
        let image = read(&sheet).unwrap();
        assert_eq!((image.shape, image.alpha_dropped), ([1, 2, 1], true));
        assert_eq!(image.samples, Samples::Eight(vec![10, 20]));
    }
}

#[test]
fn white_is_zero_with_alpha_too() {
    let sheet =
        Sheet::new([1, 2], 2, 8, vec![10, 99, 255, 0]).with(tags::PHOTOMETRIC, SHORT, vec![0]);
    assert_eq!(samples(&sheet), Samples::Eight(vec![245, 0]));
}

#[test]
fn places_in_a_palette_become_its_colours() {
    let palette = |factor: u64| -> Vec<u64> {
        let mut all = vec![0; 3 * 4];
        for (place, colour) in [[0, 0, 0], [255, 0, 9], [1, 2, 3], [7, 8, 255]].iter().enumerate() {
            for (channel, value) in colour.iter().enumerate() {
                all[channel * 4 + place] = value * factor;
            }
        }
        all
    };
    let sheet =
        |factor| {
            Sheet::new([1, 3], 1, 2, vec![0b0111_1000])
                .with(tags::PHOTOMETRIC, SHORT, vec![3])
                .with(tags::PALETTE, SHORT, palette(factor))
        };
    let expected = vec![255, 0, 9, 7, 8, 255, 1, 2, 3];
    for factor in [257, 256, 1] {
        assert_eq!(samples(&sheet(factor)), Samples::Eight(expected.clone()));
    }
    let fine = expected.iter().map(|&value: &u8| u16::from(value) * 100).collect();
    assert_eq!(samples(&sheet(100)), Samples::Sixteen(fine));
    let short = sheet(1).with(tags::PALETTE, SHORT, vec![0; 9]);
    assert!(refusal(&short).contains("palette"));
}

#[test]
fn colours_that_were_multiplied_by_alpha_are_divided_by_it() {
    let pixels = vec![50, 100, 25, 128, 9, 9, 9, 0, 1, 2, 3, 255];
    let sheet = Sheet::new([1, 3], 4, 8, pixels).with(tags::EXTRA_SAMPLES, SHORT, vec![1]);
    let image = read(&sheet).unwrap();
    assert_eq!(image.samples, Samples::Eight(vec![100, 199, 50, 0, 0, 0, 1, 2, 3]));
    assert!(image.alpha_dropped);
    let grey = Sheet::new([1, 1], 2, 8, vec![30, 60]).with(tags::EXTRA_SAMPLES, SHORT, vec![1]);
    assert_eq!(samples(&grey), Samples::Eight(vec![128]));
}

#[test]
fn inks_become_light() {
    let inks = vec![0, 0, 0, 0, 255, 0, 0, 0, 0, 100, 0, 128];
    let sheet = Sheet::new([1, 3], 4, 8, inks).with(tags::PHOTOMETRIC, SHORT, vec![5]);
    // (255 - ink) * (255 - black) / 255
    let expected = vec![255, 255, 255, 0, 255, 255, 127, 77, 127];
    assert_eq!(samples(&sheet), Samples::Eight(expected));
}

#[test]
fn channels_may_lie_one_behind_the_other() {
    let planes = [vec![1, 2], vec![3, 4], vec![5, 6]];
    let mut sheet = Sheet::new([1, 2], 3, 8, vec![]).with(tags::PLANAR, SHORT, vec![2]);
    sheet.strips = planes.to_vec();
    assert_eq!(samples(&sheet), Samples::Eight(vec![1, 3, 5, 2, 4, 6]));
    let mut with_alpha = Sheet::new([1, 2], 4, 8, vec![]).with(tags::PLANAR, SHORT, vec![2]);
    with_alpha = with_alpha.with(tags::EXTRA_SAMPLES, SHORT, vec![2]);
    with_alpha.strips = [&planes[..], &[vec![7, 8]]].concat();
    assert_eq!(samples(&with_alpha), Samples::Eight(vec![1, 3, 5, 2, 4, 6]));
    let mut grey = Sheet::new([1, 2], 2, 8, vec![]).with(tags::PLANAR, SHORT, vec![2]);
    grey.strips = vec![vec![1, 2], vec![3, 4]];
    assert_eq!(samples(&grey), Samples::Eight(vec![1, 2]));
    let mut cmyk = Sheet::new([1, 1], 4, 8, vec![]).with(tags::PLANAR, SHORT, vec![2]);
    cmyk = cmyk.with(tags::PHOTOMETRIC, SHORT, vec![5]);
    cmyk.strips = vec![vec![255], vec![0], vec![55], vec![0]];
    assert_eq!(samples(&cmyk), Samples::Eight(vec![0, 255, 200]));
}

/// An image of 20x18 pixels in tiles of 16x16, filled up with 255s.
fn tiled(samples: u64, bytes: usize, big_endian: bool) -> Sheet {
    let tile = |top: usize, left: usize| -> Vec<u8> {
        let value = |y: usize, x: usize, channel: usize| {
            let value = if y < 18 && x < 20 { y * 20 + x + 50 * channel } else { 0xffff };
            let style = Style { big_endian, big: false };
            style.number(if bytes == 1 { value as u64 & 0xff } else { value as u64 }, bytes)
        };
        let places = (top..top + 16).flat_map(|y| (left..left + 16).map(move |x| (y, x)));
        places.flat_map(|(y, x)| (0..samples as usize).flat_map(move |c| value(y, x, c))).collect()
    };
    let mut sheet = Sheet::new([18, 20], samples, 8 * bytes as u64, vec![])
        .with(tags::TILE_WIDTH, SHORT, vec![16])
        .with(tags::TILE_LENGTH, SHORT, vec![16]);
    sheet.tags.retain(|(tag, ..)| *tag != tags::ROWS_PER_STRIP);
    sheet.tiled = true;
    sheet.strips = vec![tile(0, 0), tile(0, 16), tile(16, 0), tile(16, 16)];
    sheet
}

#[test]
fn tiles_are_put_together_and_their_filling_is_left_out() {
    for big_endian in [false, true] {
        let file =
            |sheet: &Sheet| Style { big_endian, big: false }.file(std::slice::from_ref(sheet));
        for samples in [1, 2, 3] {
            let image = decode_bytes(&file(&tiled(samples, 2, big_endian)), MOST_PIXELS).unwrap();
            let channels = if samples == 3 { 3 } else { 1 };
            let expected = (0..18 * 20).flat_map(|i| (0..channels).map(move |c| i + 50 * c));
            assert_eq!(image.samples, Samples::Sixteen(expected.collect()), "{samples}");
        }
        let image = decode_bytes(&file(&tiled(1, 1, big_endian)), MOST_PIXELS).unwrap();
        let expected = (0..18 * 20).map(|i| i as u8).collect();
        assert_eq!(image.samples, Samples::Eight(expected));
    }
}

/// The bytes of an image's strips as a library packs them.
fn packed(width: u32, values: &[u16], how: Compression) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut file).unwrap().with_compression(how);
    let height = values.len() as u32 / width;
    encoder.write_image::<Gray16>(width, height, values).unwrap();
    let directory = Directory::first(&mut file).unwrap();
    let mut numbers = |tag| directory.numbers(&mut file, tag).unwrap().unwrap();
    let strips = numbers(tags::STRIP_OFFSETS).into_iter().zip(numbers(tags::STRIP_BYTES));
    let file = file.into_inner();
    strips.flat_map(|(place, count)| file[place as usize..][..count as usize].to_vec()).collect()
}

#[test]
fn packed_tiles_of_noise_are_unpacked_whole() {
    // Its decoder, asked for one row of a tile after the other, finds no end of some LZW streams.
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let (height, width, tall, wide) = (37, 53, 16, 32);
    let schemes = [
        (5, Compression::Lzw),
        (32_773, Compression::Packbits),
        (8, Compression::Deflate(DeflateLevel::Fast)),
    ];
    for (number, how) in schemes {
        let mut expected = vec![0_u16; height * width];
        let mut sheet = Sheet::new([height as u64, width as u64], 1, 16, vec![])
            .with(tags::COMPRESSION, SHORT, vec![number])
            .with(tags::TILE_WIDTH, SHORT, vec![wide as u64])
            .with(tags::TILE_LENGTH, SHORT, vec![tall as u64]);
        sheet.tiled = true;
        sheet.strips.clear();
        for (top, left) in
            (0..height).step_by(tall).flat_map(|y| (0..width).step_by(wide).map(move |x| (y, x)))
        {
            let tile: Vec<u16> = (0..tall * wide).map(|_| random.random()).collect();
            for (i, &value) in tile.iter().enumerate() {
                let (y, x) = (top + i / wide, left + i % wide);
                if y < height && x < width {
                    expected[y * width + x] = value;
                }
            }
            sheet.strips.push(packed(wide as u32, &tile, how));
        }
        assert_eq!(samples(&sheet), Samples::Sixteen(expected), "{number}");
    }
}

// ---- JPEGs within ----

/// A JPEG of 16x8 pixels as a strip.
fn strip_of(image: &DynamicImage) -> (Sheet, Vec<u8>) {
    let mut jpeg = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut jpeg, 100);
    let colour = image.color().into();
    encoder.encode(image.as_bytes(), 16, 8, colour).unwrap();
    let samples = u64::from(image.color().channel_count());
    let sheet = Sheet::new([8, 16], samples, 8, jpeg.clone());
    (sheet.with(tags::COMPRESSION, SHORT, vec![7]), jpeg)
}

#[test]
fn strips_in_jpeg_are_read_and_one_that_breaks_off_is_damaged() {
    let smooth = image::GrayImage::from_fn(16, 8, |x, y| image::Luma([(8 * x + 4 * y) as u8]));
    let (sheet, jpeg) = strip_of(&smooth.clone().into());
    let Samples::Eight(values) = samples(&sheet) else { panic!("a JPEG has 8 bits") };
    assert!(values.iter().zip(smooth.as_raw()).all(|(&a, &b)| a.abs_diff(b) <= 2));
    for behind in [&b""[..], &[0xff, 0xd9], &jpeg] {
        let mut broken = sheet.clone();
        broken.strips = vec![[&jpeg[..jpeg.len() - 20], behind].concat()];
        assert!(refusal(&broken).contains("damaged"));
    }
    let other = sheet.clone().with(tags::WIDTH, LONG, vec![15]);
    assert!(refusal(&other).contains("another size"));
    let three = Sheet { strips: sheet.strips.clone(), ..Sheet::new([8, 16], 3, 8, vec![]) };
    assert!(refusal(&three.with(tags::COMPRESSION, SHORT, vec![7])).contains("other channels"));
}

#[test]
fn luma_and_differences_become_colours() {
    let smooth =
        image::RgbImage::from_fn(16, 8, |x, y| image::Rgb([(8 * x) as u8, (20 * y) as u8, 90]));
    let (sheet, _) = strip_of(&smooth.clone().into());
    let sheet = sheet.with(tags::PHOTOMETRIC, SHORT, vec![6]);
    let Samples::Eight(values) = samples(&sheet) else { panic!("a JPEG has 8 bits") };
    assert!(values.iter().zip(smooth.as_raw()).all(|(&a, &b)| a.abs_diff(b) <= 12), "{values:?}");
    let own = sheet.with(
        tags::YCBCR_COEFFICIENTS,
        RATIONAL,
        vec![2126, 10_000, 7152, 10_000, 722, 10_000],
    );
    assert!(refusal(&own).contains("weights or a range of their own"));
}

// ---- kinds that are refused ----

#[test]
fn what_is_not_read_is_named_and_never_called_damaged() {
    let grey = Sheet::new([1, 1], 1, 8, vec![0; 16]);
    let rgb = Sheet::new([1, 1], 3, 8, vec![0; 16]);
    let photometric = |value| grey.clone().with(tags::PHOTOMETRIC, SHORT, vec![value]);
    let compression = |value| grey.clone().with(tags::COMPRESSION, SHORT, vec![value]);
    let more = |count: u64, extra: Vec<u64>| {
        let samples = 3 + count;
        Sheet::new([1, 1], samples, 8, vec![0; 16]).with(tags::EXTRA_SAMPLES, SHORT, extra)
    };
    let cases = [
        (photometric(3).with(tags::COMPRESSION, SHORT, vec![7]), "palette in JPEG"),
        (photometric(8), "L*a*b*"),
        (rgb.clone().with(tags::PHOTOMETRIC, SHORT, vec![6]), "YCbCr without JPEG"),
        (photometric(32_803), "raw file"),
        (photometric(99), "99"),
        (compression(3), "Group 3"),
        (compression(6), "old-style JPEG"),
        (compression(50_000), "ZSTD"),
        (compression(34_925), "LZMA"),
        (compression(77), "scheme 77"),
        (grey.clone().format(INT, 1), "signed integers of 8 bits"),
        (Sheet::new([1, 1], 1, 12, vec![0; 4]), "integers of 12 bits"),
        (Sheet::new([1, 1], 1, 24, vec![0; 4]).format(FLOAT, 1), "floats of 24 bits"),
        (grey.clone().format(4, 1), "undefined values"),
        (grey.clone().format(6, 1), "complex numbers"),
        (rgb.clone().with(tags::BITS, SHORT, vec![5, 6, 5]), "5 to 6 bits"),
        (rgb.clone().with(tags::SAMPLE_FORMAT, SHORT, vec![1, 1, 3]), "whole numbers"),
        (grey.clone().with(tags::FILL_ORDER, SHORT, vec![2]), "FillOrder 2"),
        (grey.clone().with(tags::DEPTH, LONG, vec![5]), "volume"),
        (
            grey.clone().with(tags::TILE_WIDTH, LONG, vec![1 << 14]).with(
                tags::TILE_LENGTH,
                LONG,
                vec![1 << 14],
            ),
            "tiles are 16384x16384",
        ),
        (grey.clone().with(tags::DNG_VERSION, BYTE, vec![1, 4, 0, 0]), "raw file"),
        (more(1, vec![0]), "no alpha"),
        (more(2, vec![2, 0]), "2 channels beside RGB"),
        (Sheet::new([1, 1], 2, 4, vec![0; 4]), "4 bits with alpha"),
        (
            Sheet::new([1, 1], 2, 8, vec![0; 4]).with(tags::PHOTOMETRIC, SHORT, vec![0]).with(
                tags::EXTRA_SAMPLES,
                SHORT,
                vec![1],
            ),
            "white to black, multiplied by alpha",
        ),
        (grey.clone().with(tags::NEW_SUBFILE_TYPE, LONG, vec![1]), "smaller copy"),
    ];
    for (sheet, words) in cases {
        let refused = read(&sheet).unwrap_err();
        assert!(matches!(refused, ImageProblem::Kind { .. }), "{words}: {refused}");
        let text = refused.to_string();
        assert!(text.contains(words) && text.contains("save it as"), "{text}");
        assert!(!text.contains("damaged") && !text.contains("another copy"), "{text}");
    }
}

#[test]
fn a_strip_that_is_too_short_is_not_filled_from_what_follows() {
    let whole = Sheet::new([2, 3], 1, 8, vec![1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(samples(&whole), Samples::Eight(vec![1, 2, 3, 4, 5, 6]));
    let short = whole.with(tags::STRIP_BYTES, LONG, vec![5]);
    assert!(refusal(&short).contains("too few bytes"));
}

// ---- pages ----

fn page(value: u8) -> Sheet {
    Sheet::new([1, 2], 1, 8, vec![value, value + 1])
}

#[test]
fn every_page_is_an_image_and_thumbnails_and_masks_are_none() {
    let small = Sheet::new([1, 1], 1, 8, vec![7]);
    let reduced = small.clone().with(tags::NEW_SUBFILE_TYPE, LONG, vec![1]);
    let old_reduced = small.clone().with(tags::SUBFILE_TYPE, SHORT, vec![2]);
    let mask = small.clone().with(tags::NEW_SUBFILE_TYPE, LONG, vec![4]);
    let other_mask = small.with(tags::PHOTOMETRIC, SHORT, vec![4]);
    let part = page(50).with(tags::NEW_SUBFILE_TYPE, LONG, vec![2]);
    let sheets = [reduced, page(10), mask, old_reduced, part, other_mask, page(90)];
    for style in STYLES {
        let file = style.file(&sheets);
        let mut album = Album::of(Cursor::new(&file)).unwrap();
        assert_eq!(album.len(), 3);
        assert_eq!(album.left_out(), [(Loss::Reduced, 2), (Loss::Masks, 2)]);
        for (index, value) in [10, 50, 90].into_iter().enumerate() {
            assert_eq!(album.measure(index, MOST_PIXELS).unwrap(), (1, 2));
            let image = album.decode(index, MOST_PIXELS).unwrap();
            assert_eq!(image.samples, Samples::Eight(vec![value, value + 1]), "{style:?}");
        }
        let refused = decode_bytes(&file, MOST_PIXELS).unwrap_err();
        assert!(matches!(refused, ImageProblem::Several { images: 3, .. }), "{refused}");
    }
}

#[test]
fn a_thumbnail_before_the_image_is_not_taken_for_it() {
    let thumbnail = Sheet::new([1, 1], 1, 8, vec![7]).with(tags::NEW_SUBFILE_TYPE, LONG, vec![1]);
    let file = PLAIN.file(&[thumbnail, page(10)]);
    let image = decode_bytes(&file, MOST_PIXELS).unwrap();
    assert_eq!(image.samples, Samples::Eight(vec![10, 11]));
}

#[test]
fn a_chain_that_breaks_off_or_turns_back_is_damaged() {
    let whole = PLAIN.file(&[page(10), page(20)]);
    let damaged = |file: &[u8]| {
        let refused = Album::of(Cursor::new(file)).unwrap_err();
        assert!(matches!(refused, ImageProblem::Damaged(_)), "{refused}");
        refused.to_string()
    };
    damaged(&whole[..whole.len() - 20]);
    let mut circle = whole.clone();
    let (first, end) = (whole[4..8].to_vec(), whole.len() - 4);
    circle[end..].copy_from_slice(&first);
    assert!(damaged(&circle).contains("tail"));
    let mut lost = whole;
    lost[end..].copy_from_slice(&[0xff, 0xff, 0xff, 0x7f]);
    assert!(damaged(&lost).contains("ends before"));
}

#[test]
fn a_file_that_says_of_images_without_pages_is_refused() {
    let says = |text: &str| {
        let text = text.bytes().map(u64::from).collect();
        PLAIN.file(&[page(10).with(tags::DESCRIPTION, ASCII, text), page(20)])
    };
    for text in
        ["ImageJ=1.53t\nimages=50\nslices=50\n\0", "{\"shape\": [5, 1, 2], \"truncated\": true}\0"]
    {
        let refused = Album::of(Cursor::new(says(text))).unwrap_err();
        assert!(matches!(refused, ImageProblem::Kind { .. }), "{refused}");
    }
    for text in ["ImageJ=1.53t\nimages=2\n\0", "images=50\0", "{\"shape\": [2, 1, 2]}\0"] {
        assert_eq!(Album::of(Cursor::new(says(text))).unwrap().len(), 2, "{text}");
    }
}

#[test]
fn a_tag_may_claim_as_much_as_the_file_has_and_no_more() {
    let sheet = page(1).with(tags::DESCRIPTION, ASCII, vec![65; 100]);
    for style in STYLES {
        let file = style.file(&[sheet.clone(), page(2)]);
        assert_eq!(Album::of(Cursor::new(&file)).unwrap().len(), 2);
        let word = if style.big { 8 } else { 4 };
        let entry =
            [style.number(tags::DESCRIPTION.into(), 2), style.number(ASCII.into(), 2)].concat();
        let count = style.number(100, word);
        let at = file.windows(4).position(|bytes| bytes == entry).unwrap() + 4;
        assert_eq!(file[at..at + word], count);
        for claimed in [file.len() as u64 + 1, 1 << 31, (1 << 32) - 1] {
            let mut file = file.clone();
            file[at..at + word].copy_from_slice(&style.number(claimed, word));
            let refused = Album::of(Cursor::new(&file)).unwrap_err();
            assert!(refused.to_string().contains("claims more"), "{style:?}: {refused}");
        }
    }
}

#[test]
fn what_is_cut_off_anywhere_is_refused_without_a_panic() {
    for style in STYLES {
        let whole = style.file(&[page(1).with(tags::DESCRIPTION, ASCII, vec![65; 30])]);
        for end in 0..whole.len() {
            assert!(decode_bytes(&whole[..end], MOST_PIXELS).is_err(), "{style:?}, {end}");
        }
        assert!(decode_bytes(&whole, MOST_PIXELS).is_ok());
    }
}

// ---- beside the values ----

#[test]
fn a_page_is_turned_as_its_tag_says_and_its_resolution_with_it() {
    let sheet = Sheet::new([1, 2], 1, 8, vec![1, 2])
        .with(tags::ORIENTATION, SHORT, vec![6])
        .with(tags::X_RESOLUTION, RATIONAL, vec![300, 1])
        .with(tags::Y_RESOLUTION, RATIONAL, vec![150, 1]);
    let image = read(&sheet).unwrap();
    assert_eq!((image.shape, image.samples), ([2, 1, 1], Samples::Eight(vec![1, 2])));
    let density = image.metadata.density.unwrap();
    assert_eq!((density.x, density.y), ([150, 1], [300, 1]));
    let file = PLAIN.file(&[sheet]);
    assert_eq!(measure(&file, MOST_PIXELS).unwrap(), (2, 1));
}

#[test]
fn a_file_without_metadata_has_none() {
    assert_eq!(read(&page(1)).unwrap().metadata, Metadata::default());
}
