//! The marks of JPEG compression: blocks of 8x8 and rings at edges. The image is rounded to 8
//! bits on the way, as in every such file; colours are not subsampled.

use std::io::Cursor;

use image::codecs::jpeg::{JpegDecoder, JpegEncoder};
use image::{ExtendedColorType, ImageDecoder, ImageResult};

use crate::config::corruption::Jpeg;
use crate::formats::image_file::WHITE_8;
use crate::system::random::Stream;

/// Most pixels along a side that a JPEG file holds.
pub const LARGEST_JPEG_SIDE: usize = 65_535;

impl Jpeg {
    pub(super) fn apply(&self, values: &mut [f32], shape: [usize; 3], stream: &mut Stream) {
        let quality = self.quality.draw(stream) as u8;
        let mut bytes: Vec<u8> =
            values.iter().map(|value| (value.clamp(0.0, 1.0) * WHITE_8).round() as u8).collect();
        there_and_back(&mut bytes, shape, quality)
            .expect("the plan allows only images that a JPEG file holds");
        for (value, &byte) in values.iter_mut().zip(&bytes) {
            *value = f32::from(byte) / WHITE_8;
        }
    }
}

/// Encodes and decodes in memory.
fn there_and_back(
    bytes: &mut [u8],
    [height, width, channels]: [usize; 3],
    quality: u8,
) -> ImageResult<()> {
    let colour = if channels == 1 { ExtendedColorType::L8 } else { ExtendedColorType::Rgb8 };
    let mut file = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut file, quality);
    encoder.encode(bytes, width as u32, height as u32, colour)?;
    JpegDecoder::new(Cursor::new(file))?.read_image(bytes)
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use super::*;
    use crate::config::corruption::{CorruptionKind, Drawn, Span};
    use crate::config::schema::Section;
    use crate::data::corruption::testing::{assert_near, corrupted, random_image};

    /// Luminance at quality 50: ISO/IEC 10918-1, table K.1.
    const TABLE: [[u32; 8]; 8] = [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ];

    fn jpeg(quality: usize, original: &[f32], shape: [usize; 3]) -> Vec<f32> {
        let jpeg = Jpeg { quality: Span::of(quality), drawn: Drawn::defaults() };
        corrupted(&CorruptionKind::Jpeg(jpeg), original, shape, 0)
    }

    /// Waves of some steepness in an image of 16x24, whole bytes over 255.
    fn waves(channels: usize) -> Vec<f32> {
        let byte = |i: usize| {
            let (pixel, channel) = (i / channels, i % channels);
            let (y, x) = ((pixel / 24) as f32, (pixel % 24) as f32);
            127.5 + 100.0 * (y * 0.7 + channel as f32).sin() * (x * 0.4).cos()
        };
        (0..16 * 24 * channels).map(|i| byte(i).round() / 255.0).collect()
    }

    /// How far two images are apart, in root mean square.
    fn distance(a: &[f32], b: &[f32]) -> f32 {
        let squares = a.iter().zip(b).map(|(a, b)| (a - b).powi(2));
        (squares.sum::<f32>() / a.len() as f32).sqrt()
    }

    /// One block by the standard's formulas: cosines, division, rounding, and the way back.
    fn block_by_definition(block: &[[f64; 8]; 8], quality: u32) -> [[f64; 8]; 8] {
        let scale = if quality < 50 { 5000 / quality } else { 200 - 2 * quality };
        let wave = |u: usize, x: usize| {
            let norm = if u == 0 { 0.5_f64.sqrt() } else { 1.0 };
            norm / 2.0 * ((2.0 * x as f64 + 1.0) * u as f64 * PI / 16.0).cos()
        };
        let all = || (0..8).flat_map(|a| (0..8).map(move |b| (a, b)));
        let mut kept = [[0.0; 8]; 8];
        for (v, u) in all() {
            let sum: f64 =
                all().map(|(y, x)| (block[y][x] - 128.0) * wave(v, y) * wave(u, x)).sum();
            let step = f64::from(((TABLE[v][u] * scale + 50) / 100).clamp(1, 255));
            kept[v][u] = (sum / step).round() * step;
        }
        let mut back = [[0.0; 8]; 8];
        for (y, x) in all() {
            let sum: f64 = all().map(|(v, u)| kept[v][u] * wave(v, y) * wave(u, x)).sum();
            back[y][x] = (sum + 128.0).round().clamp(0.0, 255.0);
        }
        back
    }

    #[test]
    fn grey_images_come_back_as_the_standard_says() {
        let original = waves(1);
        for quality in [10, 30, 50] {
            let found = jpeg(quality, &original, [16, 24, 1]);
            let mut expected = vec![0.0; original.len()];
            for (top, left) in [0, 8].into_iter().flat_map(|y| [0, 8, 16].map(|x| (y, x))) {
                let at = |y: usize, x: usize| (top + y) * 24 + left + x;
                let block = std::array::from_fn(|y| {
                    std::array::from_fn(|x| f64::from(original[at(y, x)] * 255.0).round())
                });
                let back = block_by_definition(&block, quality as u32);
                for (y, x) in (0..8).flat_map(|y| (0..8).map(move |x| (y, x))) {
                    expected[at(y, x)] = (back[y][x] / 255.0) as f32;
                }
            }
            // The encoder's integer cosines differ by a byte or so, and may tip a coefficient that
            // lies between two steps; beyond that, the reference explains all that was lost.
            let (lost, unexplained) = (distance(&original, &found), distance(&expected, &found));
            assert!(unexplained < 1.0 / 255.0, "quality {quality}: {}", unexplained * 255.0);
            assert!(lost > 4.0 * unexplained, "quality {quality}: {lost}, {unexplained}");
        }
    }

    #[test]
    fn values_are_whole_bytes_and_closer_to_the_image_at_better_quality() {
        for channels in [1, 3] {
            let (original, shape) = (waves(channels), [16, 24, channels]);
            let distances = [5, 20, 50, 80, 100].map(|quality| {
                let found = jpeg(quality, &original, shape);
                assert!(found.iter().all(|value| (0.0..=1.0).contains(value)));
                let off = |value: &f32| (value * 255.0 - (value * 255.0).round()).abs();
                assert!(found.iter().all(|value| off(value) < 1e-4));
                distance(&original, &found)
            });
            assert!(distances.is_sorted_by(|a, b| a > b), "{distances:?}");
            assert!(distances[4] < 1.5 / 255.0, "{distances:?}");
        }
    }

    #[test]
    fn flat_images_of_any_size_stay_flat() {
        for (shape, value) in [([1, 1, 1], 0.0), ([3, 11, 1], 1.0), ([9, 17, 3], 0.4)] {
            let flat = vec![value; shape.iter().product()];
            assert_near(&jpeg(50, &flat, shape), &flat, 2.0 / 255.0);
        }
    }

    #[test]
    fn values_beyond_black_and_white_are_clipped_first() {
        let wild: Vec<f32> =
            random_image([8, 8, 1], 6).iter().map(|value| value * 4.0 - 2.0).collect();
        let tame: Vec<f32> = wild.iter().map(|value| value.clamp(0.0, 1.0)).collect();
        assert_eq!(jpeg(30, &wild, [8, 8, 1]), jpeg(30, &tame, [8, 8, 1]));
    }
}
