//! Noise2Void: pixels that the model does not see and has to give. As it cannot know their noise, the
//! best that it can give is what the pixels around them say: the clean value.

use std::ops::Range;

use rand::RngExt;

use crate::config::method::{Noise2Void, Replacement};
use crate::system::random::Stream;

impl Noise2Void {
    /// Rows and columns of the cells that an image is divided into; one pixel of each is masked, or, along
    /// a whole row or column, one row or column. Sides of a cell are as equal as they can be.
    #[must_use]
    pub fn cells(&self, [height, width]: [usize; 2]) -> [usize; 2] {
        let side = self.masked.sqrt().recip();
        let count = |axis: usize, length: usize| match self.hidden.0[axis] {
            None => 1,
            Some(_) => ((length as f64 / side).round() as usize).clamp(1, length),
        };
        [count(0, height), count(1, width)]
    }

    /// What the model sees of an image, and the places of the values that it should give.
    pub(super) fn mask(
        &self,
        image: &[f32],
        shape @ [height, width, channels]: [usize; 3],
        stream: &mut Stream,
    ) -> (Vec<f32>, Vec<u32>) {
        let blocks = self.blocks([height, width], stream);
        let mut hidden = vec![false; height * width];
        let mut places = Vec::new();
        for Masked { judged, block } in &blocks {
            for pixel in pixels(block, width) {
                hidden[pixel] = true;
            }
            places.extend(
                pixels(judged, width)
                    .flat_map(|pixel| pixel * channels..(pixel + 1) * channels)
                    .map(|place| place as u32),
            );
        }
        let mut input = image.to_vec();
        for pixel in (0..hidden.len()).filter(|&pixel| hidden[pixel]) {
            let seen = self.seen_around(pixel, shape, &hidden);
            let to = &mut input[pixel * channels..(pixel + 1) * channels];
            match self.replacement {
                Replacement::Median => {
                    for (channel, value) in to.iter_mut().enumerate() {
                        *value = median(seen.iter().map(|&near| image[near * channels + channel]));
                    }
                }
                Replacement::Uniform => {
                    let near = seen[stream.random_range(0..seen.len())];
                    to.copy_from_slice(&image[near * channels..(near + 1) * channels]);
                }
            }
        }
        (input, places)
    }

    /// One masked pixel in each cell, anywhere in it, with what is hidden around it.
    fn blocks(&self, size: [usize; 2], stream: &mut Stream) -> Vec<Masked> {
        let [rows, columns] = self.cells(size);
        let mut blocks = Vec::with_capacity(rows * columns);
        for row in 0..rows {
            for column in 0..columns {
                let [down, across] = [(row, rows), (column, columns)];
                let (judged, block): (Vec<_>, Vec<_>) = [(0, down), (1, across)]
                    .map(|(axis, cell)| self.along(axis, cell, size, stream))
                    .into_iter()
                    .unzip();
                let pair = |sides: Vec<Range<usize>>| [sides[0].clone(), sides[1].clone()];
                blocks.push(Masked { judged: pair(judged), block: pair(block) });
            }
        }
        blocks
    }

    /// What is masked, and what hidden, of cell `number` of `count` along an axis.
    fn along(
        &self,
        axis: usize,
        (number, count): (usize, usize),
        size: [usize; 2],
        stream: &mut Stream,
    ) -> (Range<usize>, Range<usize>) {
        let length = size[axis];
        let Some(hidden) = self.hidden.0[axis] else { return (0..length, 0..length) };
        let at = stream.random_range(number * length / count..(number + 1) * length / count);
        (at..at + 1, at.saturating_sub(hidden / 2)..(at + hidden / 2 + 1).min(length))
    }

    /// The pixels that are not hidden in the window around one; in the next larger one that has any.
    fn seen_around(&self, pixel: usize, shape: [usize; 3], hidden: &[bool]) -> Vec<usize> {
        let [height, width, _] = shape;
        let (row, column) = (pixel / width, pixel % width);
        let around = |at: usize, reach: usize, length: usize| {
            at.saturating_sub(reach)..(at + reach + 1).min(length)
        };
        let longest = height.max(width);
        ((self.window / 2).min(longest - 1)..longest)
            .map(|reach| {
                let square = [around(row, reach, height), around(column, reach, width)];
                pixels(&square, width).filter(|&near| !hidden[near]).collect::<Vec<_>>()
            })
            .find(|seen| !seen.is_empty())
            .expect("blocks that hide a whole image are refused")
    }
}

/// Rows and columns of the pixels that the model should give, and of those that it does not see.
struct Masked {
    judged: [Range<usize>; 2],
    block: [Range<usize>; 2],
}

/// The pixels of a rectangle, in an image of that width.
fn pixels([rows, columns]: &[Range<usize>; 2], width: usize) -> impl Iterator<Item = usize> {
    let columns = columns.clone();
    rows.clone().flat_map(move |row| columns.clone().map(move |column| row * width + column))
}

/// Of an even number of values the mean of the two in the middle.
fn median(values: impl Iterator<Item = f32>) -> f32 {
    let mut values: Vec<f32> = values.collect();
    values.sort_unstable_by(f32::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        f32::midpoint(values[middle - 1], values[middle])
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // values are copied, not computed
mod tests {
    use super::*;
    use crate::config::method::Block;
    use crate::config::schema::Section;
    use crate::system::random::{Purpose, stream};

    fn method(replacement: Replacement, hidden: [Option<usize>; 2]) -> Noise2Void {
        Noise2Void { replacement, hidden: Block(hidden), ..Noise2Void::defaults() }
    }

    /// Each value is another one, and tells its place.
    fn distinct([height, width, channels]: [usize; 3]) -> Vec<f32> {
        (0..height * width * channels).map(|place| place as f32).collect()
    }

    fn masked(method: &Noise2Void, shape: [usize; 3], index: u64) -> (Vec<f32>, Vec<u32>) {
        method.mask(&distinct(shape), shape, &mut stream(7, Purpose::TrainMethod, 1, index))
    }

    const ONE: [Option<usize>; 2] = [Some(1), Some(1)];

    #[test]
    fn one_pixel_of_each_cell_is_masked_in_all_channels_and_nothing_else_changes() {
        let shape = [28, 35, 3];
        let method = method(Replacement::Uniform, ONE);
        assert_eq!(method.cells([28, 35]), [4, 5]);
        let (input, places) = masked(&method, shape, 0);
        assert_eq!(places.len(), 4 * 5 * 3);
        let changed: Vec<u32> = (0..input.len() as u32)
            .filter(|&place| input[place as usize] != place as f32)
            .collect();
        let mut sorted = places.clone();
        sorted.sort_unstable();
        assert_eq!(changed, sorted);
        for pixel in places.chunks(3) {
            assert_eq!([pixel[0] + 1, pixel[0] + 2], [pixel[1], pixel[2]]);
            assert_eq!(pixel[0] % 3, 0);
        }
    }

    #[test]
    fn every_pixel_of_a_cell_is_masked_equally_often() {
        let method = method(Replacement::Uniform, ONE);
        let mut counts = [0.0; 49];
        for index in 0..4900 {
            let (_, places) = masked(&method, [7, 7, 1], index);
            counts[places[0] as usize] += 1.0;
        }
        let error = (100.0_f64 * 48.0 / 49.0).sqrt();
        assert!(counts.iter().all(|count: &f64| (count - 100.0).abs() < 4.5 * error), "{counts:?}");
    }

    #[test]
    fn the_median_is_of_the_eight_pixels_around_and_of_fewer_at_the_border() {
        let method = method(Replacement::Median, ONE);
        let mut seen = [false; 2];
        for index in 0..200 {
            let (input, places) = masked(&method, [7, 7, 1], index);
            let place = places[0] as usize;
            let (row, column) = (place / 7, place % 7);
            if (1..6).contains(&row) && (1..6).contains(&column) {
                // Of a plane, that is the pixel itself: the values to both sides of it lie as far away.
                assert!((input[place] - place as f32).abs() < 1e-6);
                seen[0] = true;
            } else if place == 0 {
                assert!((input[0] - 7.0).abs() < 1e-6, "of 1, 7 and 8");
                seen[1] = true;
            }
        }
        assert_eq!(seen, [true; 2]);
    }

    #[test]
    fn a_uniform_replacement_is_any_pixel_of_the_window_but_the_masked_one() {
        let method = Noise2Void { window: 5, ..method(Replacement::Uniform, ONE) };
        let mut found = std::collections::BTreeSet::new();
        for index in 0..20_000 {
            let (input, places) = masked(&method, [7, 7, 1], index);
            if places == [24] {
                found.insert(input[24] as usize);
            }
        }
        let window = (1..6).flat_map(|row| (1..6).map(move |column| row * 7 + column));
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            window.filter(|&p| p != 24).collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_block_is_hidden_with_the_pixel_and_its_middle_alone_is_judged() {
        let method = method(Replacement::Uniform, [Some(1), Some(5)]);
        let shape = [21, 21, 1];
        for index in 0..50 {
            let (input, places) = masked(&method, shape, index);
            assert_eq!(places.len(), 9);
            let hidden: Vec<bool> =
                input.iter().enumerate().map(|(place, &value)| value != place as f32).collect();
            let mut wanted = vec![false; hidden.len()];
            for &place in &places {
                let (row, column) = (place as usize / 21, place as usize % 21);
                for near in column.saturating_sub(2)..(column + 3).min(21) {
                    wanted[row * 21 + near] = true;
                }
            }
            assert_eq!(hidden, wanted);
            // Nothing that is hidden is told by its replacement elsewhere.
            assert!(input.iter().all(|&value| !(wanted[value as usize])));
        }
    }

    #[test]
    fn whole_rows_are_hidden_and_judged_with_what_is_above_and_below_in_their_place() {
        let method = method(Replacement::Median, [Some(1), None]);
        let (input, places) = masked(&method, [14, 10, 1], 3);
        let rows: std::collections::BTreeSet<u32> = places.iter().map(|place| place / 10).collect();
        assert_eq!((rows.len(), places.len()), (2, 20));
        for place in 0..140_u32 {
            let changed = input[place as usize] != place as f32;
            // The median of the rows above and below, where both are seen, is the row itself.
            assert!(!changed || rows.contains(&(place / 10)));
        }
    }

    #[test]
    fn a_window_may_be_larger_than_the_image() {
        let method = Noise2Void { window: 57, ..method(Replacement::Median, ONE) };
        let (input, _) = masked(&method, [7, 7, 1], 0);
        assert!(input.iter().all(|value| value.is_finite()));
    }

    #[test]
    fn a_median_of_even_counts_is_the_mean_of_the_middle() {
        assert!((median([3.0, 1.0, 2.0].into_iter()) - 2.0).abs() < 1e-9);
        assert!((median([4.0, 1.0, 2.0, 3.0].into_iter()) - 2.5).abs() < 1e-9);
    }
}
