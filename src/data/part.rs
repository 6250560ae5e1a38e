//! Which part of an image a set takes: where there is a single image to learn from and to test on, each
//! set has an end of it, and they share no pixel.

use crate::formats::image_file::{ImageFile, Samples};

/// What of each image is used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Part {
    /// All of it.
    Whole,
    /// All but the last part, which is this share of it.
    First(f64),
    /// The last part, this share of it.
    Last(f64),
}

impl Part {
    /// The part of an image from which patches of that height and width will be cut; `None` where it
    /// has no room for one at either end.
    pub(super) fn of(self, image: ImageFile, patch: [usize; 2]) -> Option<ImageFile> {
        let size = [image.shape[0], image.shape[1]];
        let (first, share) = match self {
            Self::Whole => return Some(image),
            Self::First(share) => (true, share),
            Self::Last(share) => (false, share),
        };
        // Along the side that holds more patches.
        let axis = usize::from(size[0] * patch[1] < size[1] * patch[0]);
        let length = size[axis];
        let most = length.checked_sub(patch[axis]).filter(|&most| most >= patch[axis])?;
        let at = (length as f64 * (1.0 - share)).floor() as usize;
        let at = at.clamp(patch[axis], most);
        let (mut start, mut end) = ([0, 0], size);
        if first {
            end[axis] = at;
        } else {
            start[axis] = at;
        }
        Some(cropped(image, start, end))
    }
}

/// The rectangle from `start` (row, column) up to `end`.
fn cropped(image: ImageFile, start: [usize; 2], end: [usize; 2]) -> ImageFile {
    let [_, width, channels] = image.shape;
    let line = |y: usize| {
        let at = |x: usize| (y * width + x) * channels;
        at(start[1])..at(end[1])
    };
    let rows = start[0]..end[0];
    let samples = match &image.samples {
        Samples::Eight(all) => Samples::Eight(rows.flat_map(|y| all[line(y)].to_vec()).collect()),
        Samples::Sixteen(all) => {
            Samples::Sixteen(rows.flat_map(|y| all[line(y)].to_vec()).collect())
        }
    };
    ImageFile { shape: [end[0] - start[0], end[1] - start[1], channels], samples, ..image }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each pixel of the first channel is its place.
    fn image(height: usize, width: usize, channels: usize) -> ImageFile {
        let values = (0..height * width * channels).map(|i| i as u16).collect();
        ImageFile::new([height, width, channels], Samples::Sixteen(values)).unwrap()
    }

    fn values(image: &ImageFile) -> Vec<u16> {
        let Samples::Sixteen(values) = &image.samples else { panic!("16 bits stay 16") };
        values.clone()
    }

    #[test]
    fn the_two_ends_have_every_pixel_once() {
        for (height, width, channels) in [(20, 8, 1), (8, 20, 3)] {
            let all = image(height, width, channels);
            let [first, last] = [Part::First(0.3), Part::Last(0.3)]
                .map(|part| part.of(all.clone(), [4, 4]).unwrap());
            let long = |image: &ImageFile| image.shape[0].max(image.shape[1]);
            assert_eq!((long(&first), last.shape[0].min(last.shape[1])), (14, 6));
            let mut both = [values(&first), values(&last)].concat();
            both.sort_unstable();
            assert_eq!(both, values(&all));
        }
        let last = Part::Last(0.5).of(image(2, 4, 1), [1, 1]).unwrap();
        assert_eq!((last.shape, values(&last)), ([2, 2, 1], vec![2, 3, 6, 7]));
    }

    #[test]
    fn either_end_has_room_for_a_patch_or_there_is_no_part() {
        let lengths = |share: f64| {
            [Part::First(share), Part::Last(share)]
                .map(|part| part.of(image(30, 10, 1), [10, 10]).unwrap().shape[0])
        };
        assert_eq!((lengths(0.01), lengths(0.5), lengths(0.99)), ([20, 10], [15, 15], [10, 20]));
        // A patch that is high and narrow divides a square from left to right.
        assert_eq!(Part::Last(0.1).of(image(10, 10, 1), [8, 4]).unwrap().shape, [10, 4, 1]);
        assert_eq!(Part::Last(0.1).of(image(19, 19, 1), [10, 10]), None);
        assert_eq!(Part::Whole.of(image(1, 1, 1), [10, 10]).unwrap().shape, [1, 1, 1]);
    }
}
