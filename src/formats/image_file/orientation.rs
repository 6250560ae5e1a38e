//! The eight ways in which an image can lie: as it is, mirrored, and turned by quarters.

use std::ops::Range;

pub use image::metadata::Orientation;

use super::{ImageFile, Samples};

/// Where the pixels of a turned image lie in the image itself, row by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Walk {
    /// Height and width of the turned image.
    pub size: [usize; 2],
    /// Place of its first pixel.
    first: isize,
    /// From a pixel to the one below it, and to the one right of it.
    steps: [isize; 2],
}

impl Walk {
    /// Over an image of that height and width.
    #[must_use]
    pub fn new(orientation: Orientation, [height, width]: [usize; 2]) -> Self {
        let (lower, right) = ((height as isize - 1) * width as isize, width as isize - 1);
        let row = width as isize;
        let (first, steps) = match orientation {
            Orientation::NoTransforms => (0, [row, 1]),
            Orientation::FlipHorizontal => (right, [row, -1]),
            Orientation::FlipVertical => (lower, [-row, 1]),
            Orientation::Rotate180 => (lower + right, [-row, -1]),
            Orientation::Rotate90 => (lower, [1, -row]),
            Orientation::Rotate270 => (right, [-1, row]),
            Orientation::Rotate90FlipH => (0, [1, row]),
            Orientation::Rotate270FlipH => (lower + right, [-1, -row]),
        };
        let size = if lies_down(orientation) { [width, height] } else { [height, width] };
        Self { size, first, steps }
    }

    /// The image's pixel that is the turned image's at (y, x).
    #[must_use]
    pub fn pixel(&self, y: usize, x: usize) -> usize {
        (self.first + y as isize * self.steps[0] + x as isize * self.steps[1]) as usize
    }

    /// All of them in the turned image's order, as ranges of an image's values.
    fn ranges(self, channels: usize) -> impl Iterator<Item = Range<usize>> {
        let pixels = (0..self.size[0]).flat_map(move |y| (0..self.size[1]).map(move |x| (y, x)));
        pixels.map(move |(y, x)| {
            let start = self.pixel(y, x) * channels;
            start..start + channels
        })
    }
}

/// Whether height and width change places.
#[must_use]
pub fn lies_down(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}

impl ImageFile {
    /// The image mirrored and turned.
    #[must_use]
    pub fn turned(self, orientation: Orientation) -> Self {
        if orientation == Orientation::NoTransforms {
            return self;
        }
        let [height, width, channels] = self.shape;
        let walk = Walk::new(orientation, [height, width]);
        let samples = self.samples.gathered(walk.ranges(channels));
        let lies_down = lies_down(orientation);
        let metadata = if lies_down { self.metadata.lying() } else { self.metadata };
        Self { shape: [walk.size[0], walk.size[1], channels], samples, metadata, ..self }
    }
}

impl Samples {
    /// The values of these ranges, one after the other.
    #[must_use]
    pub fn gathered(&self, ranges: impl Iterator<Item = Range<usize>>) -> Self {
        match self {
            Self::Eight(all) => Self::Eight(gathered(all, ranges)),
            Self::Sixteen(all) => Self::Sixteen(gathered(all, ranges)),
            Self::Float(all) => Self::Float(gathered(all, ranges)),
        }
    }
}

fn gathered<T: Copy>(all: &[T], ranges: impl Iterator<Item = Range<usize>>) -> Vec<T> {
    let mut found = Vec::new();
    for range in ranges {
        found.extend_from_slice(&all[range]);
    }
    found
}

#[cfg(test)]
mod tests {
    use image::{DynamicImage, RgbImage};

    use super::*;

    #[test]
    fn each_orientation_is_that_of_the_image_library() {
        let values: Vec<u8> = (0..3 * 5 * 3).collect();
        for number in 1..=8 {
            let orientation = Orientation::from_exif(number).unwrap();
            let image = ImageFile::new([3, 5, 3], Samples::Eight(values.clone())).unwrap();
            let turned = image.turned(orientation);
            let mut expected =
                DynamicImage::from(RgbImage::from_raw(5, 3, values.clone()).unwrap());
            expected.apply_orientation(orientation);
            let size = [expected.height() as usize, expected.width() as usize, 3];
            assert_eq!(
                (turned.shape, turned.samples),
                (size, Samples::Eight(expected.into_bytes()))
            );
        }
    }
}
