//! Which part of an image a set takes: where there is a single image to learn from and to test on, each
//! set has an end of it, and they share no pixel.

use super::target::Target;
use crate::formats::image_file::ImageFile;

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

/// Rows and columns where a rectangle begins, and where it ends.
type Rectangle = [[usize; 2]; 2];

impl Part {
    /// The part of an image from which patches of that height and width will be cut, and the part of its
    /// clean partner; `None` where it has no room for a patch at either end.
    pub(super) fn of(
        self,
        image: ImageFile,
        clean: Option<ImageFile>,
        target: &Target,
    ) -> Option<(ImageFile, Option<ImageFile>)> {
        let (size, patch) = ([image.shape[0], image.shape[1]], [target.drawn[0], target.drawn[1]]);
        let part = self.rectangle(size, patch, target.steps())?;
        let partner = part.map(|[y, x]| [target.on_clean(0, y), target.on_clean(1, x)]);
        Some((cropped(image, part), clean.map(|clean| cropped(clean, partner))))
    }

    fn rectangle(
        self,
        size: [usize; 2],
        patch: [usize; 2],
        steps: [usize; 2],
    ) -> Option<Rectangle> {
        let (first, share) = match self {
            Self::Whole => return Some([[0, 0], size]),
            Self::First(share) => (true, share),
            Self::Last(share) => (false, share),
        };
        // Along the side that holds more patches.
        let axis = usize::from(size[0] * patch[1] < size[1] * patch[0]);
        let length = size[axis];
        let most = length.checked_sub(patch[axis]).filter(|&most| most >= patch[axis])?;
        let at = (length as f64 * (1.0 - share)).floor() as usize;
        let at = at.clamp(patch[axis], most) / steps[axis] * steps[axis];
        let (mut start, mut end) = ([0, 0], size);
        if first {
            end[axis] = at;
        } else {
            start[axis] = at;
        }
        Some([start, end])
    }
}

fn cropped(image: ImageFile, [start, end]: Rectangle) -> ImageFile {
    let [height, width, channels] = image.shape;
    if [start, end] == [[0, 0], [height, width]] {
        return image;
    }
    let line = |y: usize| {
        let at = |x: usize| (y * width + x) * channels;
        at(start[1])..at(end[1])
    };
    let rows = start[0]..end[0];
    let samples = image.samples.gathered(rows.map(line));
    ImageFile { shape: [end[0] - start[0], end[1] - start[1], channels], samples, ..image }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::image_file::Samples;

    /// Each pixel of the first channel is its place.
    fn image(height: usize, width: usize, channels: usize) -> ImageFile {
        let values = (0..height * width * channels).map(|i| i as u16).collect();
        ImageFile::new([height, width, channels], Samples::Sixteen(values)).unwrap()
    }

    fn values(image: &ImageFile) -> Vec<u16> {
        let Samples::Sixteen(values) = &image.samples else { panic!("16 bits stay 16") };
        values.clone()
    }

    fn of(part: Part, image: ImageFile, [height, width]: [usize; 2]) -> Option<ImageFile> {
        part.of(image, None, &Target::from([height, width, 1])).map(|(part, _)| part)
    }

    #[test]
    fn the_two_ends_have_every_pixel_once() {
        for (height, width, channels) in [(20, 8, 1), (8, 20, 3)] {
            let all = image(height, width, channels);
            let [first, last] = [Part::First(0.3), Part::Last(0.3)]
                .map(|part| of(part, all.clone(), [4, 4]).unwrap());
            let long = |image: &ImageFile| image.shape[0].max(image.shape[1]);
            assert_eq!((long(&first), last.shape[0].min(last.shape[1])), (14, 6));
            let mut both = [values(&first), values(&last)].concat();
            both.sort_unstable();
            assert_eq!(both, values(&all));
        }
        let last = of(Part::Last(0.5), image(2, 4, 1), [1, 1]).unwrap();
        assert_eq!((last.shape, values(&last)), ([2, 2, 1], vec![2, 3, 6, 7]));
    }

    #[test]
    fn either_end_has_room_for_a_patch_or_there_is_no_part() {
        let lengths = |share: f64| {
            [Part::First(share), Part::Last(share)]
                .map(|part| of(part, image(30, 10, 1), [10, 10]).unwrap().shape[0])
        };
        assert_eq!((lengths(0.01), lengths(0.5), lengths(0.99)), ([20, 10], [15, 15], [10, 20]));
        // A patch that is high and narrow divides a square from left to right.
        assert_eq!(of(Part::Last(0.1), image(10, 10, 1), [8, 4]).unwrap().shape, [10, 4, 1]);
        assert_eq!(of(Part::Last(0.1), image(19, 19, 1), [10, 10]), None);
        assert_eq!(of(Part::Whole, image(1, 1, 1), [10, 10]).unwrap().shape, [1, 1, 1]);
    }

    #[test]
    fn a_clean_partner_of_another_size_is_divided_at_the_same_place() {
        let twice = Target { clean: [4, 4, 1], output: [4, 4, 1], ..Target::from([2, 2, 1]) };
        let pair = |part: Part, target: &Target, [noisy, clean]: [usize; 2]| {
            let (noisy, clean) = (image(2, noisy, 1), Some(image(4, clean, 1)));
            let (noisy, clean) = part.of(noisy, clean, target).unwrap();
            [noisy.shape[1], clean.unwrap().shape[1]]
        };
        assert_eq!(pair(Part::First(0.3), &twice, [11, 22]), [7, 14]);
        assert_eq!(pair(Part::Last(0.3), &twice, [11, 22]), [4, 8]);
        // A clean image of half the size has a pixel at every other place only.
        let half = Target { clean: [1, 1, 1], output: [1, 1, 1], ..Target::from([2, 2, 1]) };
        assert_eq!(pair(Part::First(0.3), &half, [10, 5]), [6, 3]);
    }
}
