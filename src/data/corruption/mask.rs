//! Holes in an image: what is left to do is inpainting.

use std::ops::Range;

use rand::RngExt;

use crate::config::corruption::{Mask, MaskShape};
use crate::system::random::Stream;

impl Mask {
    pub(super) fn apply(&self, values: &mut [f32], shape: [usize; 3], stream: &mut Stream) {
        let value = self.value.draw(stream) as f32;
        match self.shape {
            MaskShape::Boxes => {
                for _ in 0..self.boxes.draw(stream) {
                    self.hide_box(values, shape, value, stream);
                }
            }
            MaskShape::Pixels => {
                let amount = self.amount.draw(stream);
                for pixel in values.chunks_exact_mut(shape[2]) {
                    if stream.random::<f64>() < amount {
                        pixel.fill(value);
                    }
                }
            }
        }
    }

    fn hide_box(
        &self,
        values: &mut [f32],
        [height, width, channels]: [usize; 3],
        value: f32,
        stream: &mut Stream,
    ) {
        let rows = self.extent(height, stream);
        let columns = self.extent(width, stream);
        for row in values.chunks_exact_mut(width * channels).take(rows.end).skip(rows.start) {
            row[columns.start * channels..columns.end * channels].fill(value);
        }
    }

    /// Where a box lies along a side: at least one pixel, each place equally likely.
    fn extent(&self, side: usize, stream: &mut Stream) -> Range<usize> {
        let length = (side as f64 * self.size.draw(stream)).round() as usize;
        let length = length.clamp(1, side);
        let start = stream.random_range(0..=side - length);
        start..start + length
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::corruption::{CorruptionKind, Drawn, Span};
    use crate::config::schema::Section;
    use crate::data::corruption::testing::{assert_moments, corrupted, random_image};

    const SHAPE: [usize; 3] = [20, 30, 3];

    fn boxes(boxes: usize, size: Span<f64>) -> Mask {
        Mask {
            shape: MaskShape::Boxes,
            boxes: Span::of(boxes),
            size,
            amount: Span::of(0.5),
            // No value of an image, so that hidden ones are known.
            value: Span::of(-1.0),
            drawn: Drawn::defaults(),
        }
    }

    /// Which pixels are hidden; all channels of a pixel are, and all else is as it was.
    fn hidden(mask: &Mask, shape: [usize; 3], index: u64) -> Vec<bool> {
        let clean = random_image(shape, index);
        let dirty = corrupted(&CorruptionKind::Mask(mask.clone()), &clean, shape, index);
        let pixels = clean.chunks(shape[2]).zip(dirty.chunks(shape[2]));
        pixels
            .map(|(clean, dirty)| {
                let hidden = dirty.iter().all(|&value| value < 0.0);
                assert!(hidden || dirty == clean);
                hidden
            })
            .collect()
    }

    /// First and last row and column with a hidden pixel.
    fn bounds(hidden: &[bool], width: usize) -> [usize; 4] {
        let places = || hidden.iter().enumerate().filter(|(_, hidden)| **hidden).map(|(i, _)| i);
        let (rows, columns) = (|| places().map(|i| i / width), || places().map(|i| i % width));
        [rows().min(), rows().max(), columns().min(), columns().max()].map(Option::unwrap)
    }

    #[test]
    fn one_box_is_a_full_rectangle_with_sides_from_its_span() {
        let mask = boxes(1, Span { low: 0.2, high: 0.5 });
        let mut sides = Vec::new();
        for index in 0..500 {
            let hidden = hidden(&mask, SHAPE, index);
            let [top, bottom, left, right] = bounds(&hidden, 30);
            let (height, width) = (bottom + 1 - top, right + 1 - left);
            assert_eq!(hidden.iter().filter(|&&hidden| hidden).count(), height * width);
            assert!((4..=10).contains(&height) && (6..=15).contains(&width), "{height}x{width}");
            sides.push((height, width));
        }
        for side in [(4, 15), (10, 6)] {
            assert!(sides.iter().any(|&(height, _)| height == side.0));
            assert!(sides.iter().any(|&(_, width)| width == side.1));
        }
    }

    /// Counted pixel by pixel over all places that a box can take.
    #[test]
    fn boxes_lie_everywhere_equally_often() {
        let mask = boxes(1, Span::of(0.5));
        let mut starts = [0.0; 5];
        for index in 0..5000 {
            let [top, bottom, left, right] = bounds(&hidden(&mask, [8, 8, 1], index), 8);
            assert_eq!((bottom - top, right - left), (3, 3));
            starts[top] += 1.0;
        }
        let error = (5000.0 * 0.2 * 0.8_f64).sqrt();
        assert!(
            starts.iter().all(|count: &f64| (count - 1000.0).abs() < 4.0 * error),
            "{starts:?}"
        );
    }

    #[test]
    fn several_boxes_hide_no_more_than_their_areas_together() {
        let mask = boxes(3, Span::of(0.2));
        let area = 4 * 6;
        let counts: Vec<usize> = (0..200)
            .map(|index| hidden(&mask, SHAPE, index).iter().filter(|&&hidden| hidden).count())
            .collect();
        assert!(counts.iter().all(|count| (area..=3 * area).contains(count)));
        assert!(counts.contains(&(3 * area)) && counts.iter().any(|&count| count < 3 * area));
    }

    #[test]
    fn a_box_has_at_least_one_pixel_and_at_most_all() {
        let tiny = hidden(&boxes(1, Span::of(1e-9)), SHAPE, 0);
        assert_eq!(tiny.iter().filter(|&&hidden| hidden).count(), 1);
        assert!(hidden(&boxes(1, Span::of(1.0)), SHAPE, 0).iter().all(|&hidden| hidden));
        assert_eq!(hidden(&boxes(5, Span::of(0.3)), [1, 1, 1], 0), [true]);
    }

    #[test]
    fn pixels_are_hidden_by_chance_and_independently() {
        let mask =
            Mask { shape: MaskShape::Pixels, amount: Span::of(0.3), ..boxes(1, Span::of(0.5)) };
        let numbers: Vec<f64> = (0..300)
            .flat_map(|index| hidden(&mask, SHAPE, index))
            .map(|hidden| f64::from(u8::from(hidden)))
            .collect();
        let variance = 0.3 * 0.7;
        assert_moments(&numbers, 0.3, variance, (1.0 - 6.0 * variance) / variance);
    }

    #[test]
    fn hidden_pixels_get_the_value_that_was_asked_for() {
        let mask = Mask { value: Span::of(0.5), ..boxes(1, Span::of(1.0)) };
        let dirty = corrupted(&CorruptionKind::Mask(mask), &random_image(SHAPE, 0), SHAPE, 0);
        assert_eq!(dirty, vec![0.5; 20 * 30 * 3]);
    }
}
