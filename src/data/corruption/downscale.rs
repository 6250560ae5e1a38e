//! Loss of resolution: the mean of areas on the way down, bicubic interpolation on the way back, if there
//! is one.
//!
//! Bicubic is Keys' kernel with a = -0.5 on half-pixel centres; at the borders the weights that
//! remain are scaled to a sum of 1. That is Pillow's `BICUBIC`, and `BOX` for whole factors.

use super::clip;
use super::taps::{Taps, map_image};
use crate::config::corruption::Downscale;
use crate::system::random::Stream;

impl Downscale {
    pub(super) fn apply(&self, values: &mut Vec<f32>, shape: [usize; 3], stream: &mut Stream) {
        let scale = self.scale.draw(stream);
        let small = shrink(values, shape, scale);
        if !self.enlarge {
            *values = small;
            return;
        }
        let [height, width, channels] = shape;
        let (low, narrow) = (shrunk(height, scale), shrunk(width, scale));
        let large = map_image(&small, channels, &cubic(low, height), &cubic(narrow, width));
        values.copy_from_slice(&large);
        clip(values, self.clip);
    }

    /// How many times smaller an image stays. The plan allows one scale only where it does.
    pub(super) fn shrinking(&self) -> usize {
        if self.enlarge { 1 } else { self.scale.high }
    }

    pub(super) fn shape_of(&self, [height, width, channels]: [usize; 3]) -> [usize; 3] {
        let side = |side: usize| if self.enlarge { side } else { shrunk(side, self.scale.high) };
        [side(height), side(width), channels]
    }
}

/// The image with its height and width divided by the scale.
pub(in crate::data) fn shrink(
    values: &[f32],
    [height, width, channels]: [usize; 3],
    scale: usize,
) -> Vec<f32> {
    let (low, narrow) = (shrunk(height, scale), shrunk(width, scale));
    map_image(values, channels, &means(height, low), &means(width, narrow))
}

/// A side divided by the scale, to the nearest whole number but at least 1.
fn shrunk(side: usize, scale: usize) -> usize {
    ((side + scale / 2) / scale).max(1)
}

/// Each new value is the mean of what it covers, pixels that it covers in part counting in part.
fn means(from: usize, to: usize) -> Taps {
    // In units in which both lines have whole numbers: a pixel is `to` long, a new value `from`.
    let cover = |new: usize| {
        let (start, end) = (new * from, (new + 1) * from);
        let covered = |old: usize| end.min((old + 1) * to) - start.max(old * to);
        let pixels = start / to..end.div_ceil(to);
        pixels.map(|old| (old, covered(old) as f64 / from as f64)).collect()
    };
    Taps::new(from, (0..to).map(cover))
}

/// Each new value is Keys' sum of the four old values around it.
fn cubic(from: usize, to: usize) -> Taps {
    let around = |new: usize| {
        let place = (new as f64 + 0.5) * from as f64 / to as f64 - 0.5;
        let first = place.floor() as i64 - 1;
        let inside = (first..first + 4).filter(|old| (0..from as i64).contains(old));
        let taps: Vec<(usize, f64)> =
            inside.map(|old| (old as usize, keys(place - old as f64))).collect();
        let total: f64 = taps.iter().map(|(_, weight)| weight).sum();
        taps.into_iter().map(|(old, weight)| (old, weight / total)).collect()
    };
    Taps::new(from, (0..to).map(around))
}

/// Keys' cubic convolution kernel with a = -0.5.
fn keys(distance: f64) -> f64 {
    const A: f64 = -0.5;
    let x = distance.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::corruption::{Corruption, CorruptionKind, Drawn, Span};
    use crate::config::schema::Section;
    use crate::data::corruption::testing::{assert_near, corrupted, random_image};

    /// Rounding to f32 four times, with weights whose absolute values sum to 1.25 a direction.
    const ROUNDING: f32 = 1e-6;

    fn downscaled(scale: usize, clip: bool, image: &[f32], shape: [usize; 3]) -> Vec<f32> {
        let downscale =
            Downscale { scale: Span::of(scale), enlarge: true, clip, drawn: Drawn::defaults() };
        corrupted(&CorruptionKind::Downscale(downscale), image, shape, 0)
    }

    /// Rows and columns of all pixels.
    fn places([height, width]: [usize; 2]) -> impl Iterator<Item = (usize, usize)> {
        (0..height * width).map(move |i| (i / width, i % width))
    }

    /// The mean over an area of the image, by cutting every pixel into 60x60 crumbs: all sides
    /// below divide 60 times the old side.
    fn shrunk_by_definition(image: &[f32], shape: [usize; 3], to: [usize; 2]) -> Vec<f32> {
        const CRUMBS: usize = 60;
        let [height, width, channels] = shape;
        let (tall, wide) = (height * CRUMBS / to[0], width * CRUMBS / to[1]);
        let mut result = Vec::new();
        for (new_row, new_column) in places(to) {
            for channel in 0..channels {
                let mut sum = 0.0;
                for (down, along) in places([tall, wide]) {
                    let row = (new_row * tall + down) / CRUMBS;
                    let column = (new_column * wide + along) / CRUMBS;
                    sum += f64::from(image[(row * width + column) * channels + channel]);
                }
                result.push((sum / (tall * wide) as f64) as f32);
            }
        }
        result
    }

    /// A weighted mean over all old pixels, with weights of two dimensions.
    fn enlarged_by_definition(small: &[f32], shape: [usize; 3], to: [usize; 2]) -> Vec<f32> {
        /// Written out as in Keys (1981), equation 15.
        fn weight(distance: f64) -> f64 {
            match distance.abs() {
                s if s <= 1.0 => 1.5 * s.powi(3) - 2.5 * s.powi(2) + 1.0,
                s if s <= 2.0 => -0.5 * s.powi(3) + 2.5 * s.powi(2) - 4.0 * s + 2.0,
                _ => 0.0,
            }
        }
        let [height, width, channels] = shape;
        let place =
            |new: usize, from: usize, to: usize| (new as f64 + 0.5) / to as f64 * from as f64 - 0.5;
        let mut result = Vec::new();
        for (new_row, new_column) in places(to) {
            for channel in 0..channels {
                let (mut sum, mut weights) = (0.0, 0.0);
                for (row, column) in places([height, width]) {
                    let down = place(new_row, height, to[0]) - row as f64;
                    let along = place(new_column, width, to[1]) - column as f64;
                    let weight = weight(down) * weight(along);
                    sum += weight * f64::from(small[(row * width + column) * channels + channel]);
                    weights += weight;
                }
                result.push((sum / weights) as f32);
            }
        }
        result
    }

    #[test]
    fn it_is_the_mean_of_areas_and_keys_interpolation() {
        // Whole factors, sides that do not divide, colour, and images smaller than the scale.
        for (shape, scale, small) in [
            ([8, 12, 1], 2, [4, 6]),
            ([9, 6, 3], 3, [3, 2]),
            ([7, 9, 1], 2, [4, 5]),
            ([10, 5, 3], 4, [3, 1]),
            ([2, 3, 1], 64, [1, 1]),
        ] {
            let image = random_image(shape, 4);
            let [height, width, channels] = shape;
            let shrunk = shrunk_by_definition(&image, shape, small);
            let small = [small[0], small[1], channels];
            let expected = enlarged_by_definition(&shrunk, small, [height, width]);
            assert_near(&downscaled(scale, false, &image, shape), &expected, ROUNDING);
        }
    }

    #[test]
    fn without_enlarging_the_means_of_areas_are_left() {
        let kind = |scale| {
            CorruptionKind::Downscale(Downscale {
                scale: Span::of(scale),
                enlarge: false,
                clip: true,
                drawn: Drawn::defaults(),
            })
        };
        let image = random_image([6, 9, 3], 4);
        let expected = shrunk_by_definition(&image, [6, 9, 3], [2, 3]);
        assert_near(&corrupted(&kind(3), &image, [6, 9, 3], 0), &expected, ROUNDING);
        let twice = Corruption(vec![kind(2), kind(3)]);
        assert_eq!((twice.shrinking(), twice.shape_of([12, 18, 1])), (6, [2, 3, 1]));
        assert_eq!(twice.only_shrinking(), twice);
    }

    #[test]
    fn a_scale_of_one_changes_nothing() {
        let image = random_image([5, 7, 3], 5);
        assert_eq!(downscaled(1, true, &image, [5, 7, 3]), image);
    }

    #[test]
    fn the_overshoot_of_bicubic_interpolation_is_clipped_if_asked_for() {
        let edge: Vec<f32> = (0..256).map(|i| f32::from(u8::from(i % 16 >= 8))).collect();
        let free = downscaled(2, false, &edge, [16, 16, 1]);
        assert!(free.iter().any(|&value| value > 1.02) && free.iter().any(|&value| value < -0.02));
        let clipped: Vec<f32> = free.iter().map(|value| value.clamp(0.0, 1.0)).collect();
        assert_eq!(downscaled(2, true, &edge, [16, 16, 1]), clipped);
    }
}
