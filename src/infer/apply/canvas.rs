//! Tiles out of an image, and their outputs into its result. Beyond its last row and column an image
//! goes on as in a mirror.

use super::tiles::{Part, Side};
use crate::formats::image_file::{ImageFile, Walk};

/// A tile of an image, or of one that is seen turned.
#[derive(Debug, Clone, Copy)]
pub struct Tile<'a> {
    /// Along the height: all tiles' length and this one's place.
    pub rows: (&'a Side, &'a Part),
    /// Along the width.
    pub columns: (&'a Side, &'a Part),
    /// The channel that goes in alone, or all of them.
    pub plane: Option<usize>,
}

/// Index of position `i` of an image that goes on mirrored: 0 1 2 | 1 0 1 2 ...
fn mirrored(i: usize, length: usize) -> usize {
    let turn = (2 * (length - 1)).max(1);
    let i = i % turn;
    i.min(turn - i)
}

/// The values of an image that goes on as in a mirror to a height and width that are no smaller.
pub fn mirrored_image(
    values: &[f32],
    [height, width, channels]: [usize; 3],
    [rows, columns]: [usize; 2],
) -> Vec<f32> {
    let mut all = Vec::with_capacity(rows * columns * channels);
    for y in (0..rows).map(|y| mirrored(y, height)) {
        for x in (0..columns).map(|x| mirrored(x, width)) {
            all.extend_from_slice(&values[(y * width + x) * channels..][..channels]);
        }
    }
    all
}

impl Tile<'_> {
    /// First channel and number of channels.
    fn channels(&self, all: usize) -> (usize, usize) {
        self.plane.map_or((0, all), |plane| (plane, 1))
    }

    /// Appends the tile's values in units of white, channels last; `seen` is how the image lies.
    pub fn read(&self, image: &ImageFile, seen: Walk, values: &mut Vec<f32>) {
        let all = image.shape[2];
        let (first, count) = self.channels(all);
        let [height, width] = seen.size;
        let columns: Vec<usize> = (self.columns.1.origin..)
            .take(self.columns.0.tile)
            .map(|x| mirrored(x, width))
            .collect();
        for y in (self.rows.1.origin..).take(self.rows.0.tile) {
            let y = mirrored(y, height);
            for &x in &columns {
                let start = seen.pixel(y, x) * all + first;
                image.samples.push_scaled(start..start + count, values);
            }
        }
    }

    /// Puts what is kept of the tile's output in its place among the values of a result of `all` channels.
    pub fn write(&self, output: &[f32], all: usize, seen: Walk, mut put: impl FnMut(usize, f32)) {
        let (first, count) = self.channels(all);
        for y in self.rows.1.keep.clone() {
            let row = (y - self.rows.1.start) * self.columns.0.given;
            for x in self.columns.1.keep.clone() {
                let source = (row + x - self.columns.1.start) * count;
                let target = seen.pixel(y, x) * all + first;
                for channel in 0..count {
                    put(target + channel, output[source + channel]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::image_file::{Orientation, Samples};

    #[test]
    fn a_mirror_does_not_repeat_the_edge_and_never_ends() {
        let seen: Vec<usize> = (0..9).map(|i| mirrored(i, 3)).collect();
        assert_eq!(seen, [0, 1, 2, 1, 0, 1, 2, 1, 0]); // numpy.pad(mode="reflect")
        assert_eq!((0..4).map(|i| mirrored(i, 2)).collect::<Vec<_>>(), [0, 1, 0, 1]);
        assert!((0..9).all(|i| mirrored(i, 1) == 0));
    }

    #[test]
    fn tiles_that_are_put_together_are_the_image() {
        let samples = Samples::Sixteen((0..7 * 5 * 3).map(|value| value * 600).collect());
        let image = ImageFile::new([7, 5, 3], samples).unwrap();
        let part = |origin, keep| Part { origin, start: origin, keep };
        let rows = Side { tile: 4, given: 4, result: 7, parts: vec![part(0, 0..3), part(3, 3..7)] };
        let columns = Side { tile: 8, given: 8, result: 5, parts: vec![part(0, 0..5)] };
        for planes in [vec![None], vec![Some(0), Some(1), Some(2)]] {
            let mut result = ImageFile { samples: image.samples.zeros(7 * 5 * 3), ..image.clone() };
            for row in &rows.parts {
                for &plane in &planes {
                    let columns = (&columns, &columns.parts[0]);
                    let tile = Tile { rows: (&rows, row), columns, plane };
                    let mut values = Vec::new();
                    let seen = Walk::new(Orientation::NoTransforms, [7, 5]);
                    tile.read(&image, seen, &mut values);
                    assert_eq!(values.len(), 4 * 8 * plane.map_or(3, |_| 1));
                    tile.write(&values, 3, seen, |place, value| {
                        result.samples.set_scaled(place, value);
                    });
                }
            }
            assert_eq!(result, image);
        }
    }
}
