//! Neighbor2Neighbor: of each square of 2x2 pixels two that touch make two images of half the sides. They
//! show nearly the same, and their noise is independent where neighbouring pixels' is.
//!
//! Source: Huang et al., "Neighbor2Neighbor: Self-Supervised Denoising from Single Noisy Images", 2021.

use rand::RngExt;

use crate::system::random::Stream;

/// First and second of two pixels that touch, as places in a square: 0 and 1 above, 2 and 3 below.
const PAIRS: [[usize; 2]; 8] = [[0, 1], [1, 0], [0, 2], [2, 0], [1, 3], [3, 1], [2, 3], [3, 2]];

/// What the regularizer needs beside the two images.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbors {
    /// Height, width and channels of the whole images.
    pub shape: [usize; 3],
    /// The images that the pairs are drawn from, one after the other.
    pub whole: Vec<f32>,
    /// Which pair of each square, for all images.
    pairs: Vec<u8>,
}

impl Neighbors {
    pub(super) fn new(shape: [usize; 3]) -> Self {
        Self { shape, whole: Vec::new(), pairs: Vec::new() }
    }

    pub(super) fn push(&mut self, image: &[f32], pairs: &[u8]) {
        self.whole.extend_from_slice(image);
        self.pairs.extend_from_slice(pairs);
    }

    /// The same pixels of other images of that shape, one image after the other.
    #[must_use]
    pub fn pick(&self, images: &[f32]) -> [Vec<f32>; 2] {
        let values = self.shape.iter().product::<usize>();
        let squares = squares(self.shape);
        let mut both = [Vec::new(), Vec::new()];
        for (image, pairs) in images.chunks_exact(values).zip(self.pairs.chunks_exact(squares)) {
            let [first, second] = pick(image, self.shape, pairs);
            both[0].extend(first);
            both[1].extend(second);
        }
        both
    }
}

fn squares([height, width, _]: [usize; 3]) -> usize {
    (height / 2) * (width / 2)
}

/// One of the eight for each square.
pub(super) fn draw_pairs(shape: [usize; 3], stream: &mut Stream) -> Vec<u8> {
    (0..squares(shape)).map(|_| stream.random_range(0..PAIRS.len() as u8)).collect()
}

/// The two images that the pairs make of an image of even sides.
pub(super) fn pick(image: &[f32], [_, width, channels]: [usize; 3], pairs: &[u8]) -> [Vec<f32>; 2] {
    let half = width / 2;
    [0, 1].map(|which| {
        let pixel = |(square, &pair): (usize, &u8)| {
            let place = PAIRS[usize::from(pair)][which];
            let (row, column) = (square / half * 2 + place / 2, square % half * 2 + place % 2);
            let start = (row * width + column) * channels;
            &image[start..start + channels]
        };
        pairs.iter().enumerate().flat_map(pixel).copied().collect()
    })
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // values are copied, not computed
mod tests {
    use super::*;
    use crate::system::random::{Purpose, stream};

    #[test]
    fn the_two_images_hold_pixels_of_the_same_squares_that_touch() {
        let shape = [6, 8, 3];
        let image: Vec<f32> = (0..6 * 8 * 3).map(|value| value as f32).collect();
        let pairs = draw_pairs(shape, &mut stream(1, Purpose::TrainMethod, 1, 0));
        let [first, second] = pick(&image, shape, &pairs);
        assert_eq!((first.len(), second.len()), (3 * 4 * 3, 3 * 4 * 3));
        let place = |value: f32| {
            let pixel = value as usize / 3;
            (pixel / 8, pixel % 8)
        };
        for square in 0..12 {
            let [a, b] = [&first, &second].map(|image| place(image[square * 3]));
            let corner = (square / 4 * 2, square % 4 * 2);
            for (row, column) in [a, b] {
                assert!((corner.0..corner.0 + 2).contains(&row));
                assert!((corner.1..corner.1 + 2).contains(&column));
            }
            assert_eq!(a.0.abs_diff(b.0) + a.1.abs_diff(b.1), 1);
            let pixel = &first[square * 3..square * 3 + 3];
            assert_eq!([pixel[0] + 1.0, pixel[0] + 2.0], [pixel[1], pixel[2]]);
        }
    }

    #[test]
    fn all_eight_pairs_are_drawn_equally_often() {
        let pairs = draw_pairs([160, 160, 1], &mut stream(1, Purpose::TrainMethod, 1, 0));
        let count =
            |pair: u8| pairs.iter().map(|&drawn| f64::from(u8::from(drawn == pair))).sum::<f64>();
        let error = (6400.0_f64 / 8.0 * 7.0 / 8.0).sqrt();
        assert!((0..8).all(|pair| (count(pair) - 800.0).abs() < 4.0 * error));
    }

    #[test]
    fn what_is_picked_of_a_batch_is_what_is_picked_of_each_image() {
        let shape = [4, 4, 1];
        let images: Vec<Vec<f32>> =
            (0..3).map(|i| (0..16).map(|v| (i * 16 + v) as f32).collect()).collect();
        let mut all = Neighbors::new(shape);
        let mut wanted = [Vec::new(), Vec::new()];
        for (index, image) in images.iter().enumerate() {
            let pairs = draw_pairs(shape, &mut stream(2, Purpose::TestMethod, 0, index as u64));
            all.push(image, &pairs);
            let [first, second] = pick(image, shape, &pairs);
            wanted[0].extend(first);
            wanted[1].extend(second);
        }
        assert_eq!(all.pick(&images.concat()), wanted);
        assert_eq!(all.whole, images.concat());
    }
}
