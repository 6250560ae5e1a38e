//! Images of any size brought to the model's: stretched, fitted into black, or cropped to fill.
//! Values are interpolated bicubically (Catmull-Rom), over a wider window where the image shrinks.

use image::imageops::{FilterType, resize, rotate90, rotate270};
use image::{ImageBuffer, Luma, Pixel, Rgb};

use crate::config::data::Resize;
use crate::formats::image_file::{ImageFile, Samples};

/// The image with a height and width of `size`; one that has it is left as it is.
pub(super) fn resized(image: ImageFile, size: [usize; 2], how: Resize) -> ImageFile {
    if image.shape[..2] == size {
        return image;
    }
    let ratios = [0, 1].map(|axis| size[axis] as f64 / image.shape[axis] as f64);
    match how {
        Resize::Exact => scaled(image, size),
        Resize::Fit => fitted(image, size, ratios[0].min(ratios[1])),
        Resize::Fill => filled(image, size, ratios[0].max(ratios[1])),
    }
}

fn fitted(image: ImageFile, size: [usize; 2], scale: f64) -> ImageFile {
    let nearest = |axis: usize| (image.shape[axis] as f64 * scale).round() as usize;
    let near = [0, 1].map(|axis| nearest(axis).clamp(1, size[axis]));
    centred(&scaled(image, near), size)
}

/// What will not be seen is cut off first: a sliver would become many times the result.
fn filled(mut image: ImageFile, size: [usize; 2], scale: f64) -> ImageFile {
    let part = [0, 1].map(|axis| seen(image.shape[axis], size[axis], scale));
    if part != image.shape[..2] {
        image = centred(&image, part);
    }
    // An even number of pixels beyond the result, so that its middle is the image's.
    let beyond = |axis: usize| part[axis] as f64 * scale - size[axis] as f64;
    let near = [0, 1].map(|axis| size[axis] + 2 * (beyond(axis) / 2.0).round() as usize);
    centred(&scaled(image, near), size)
}

/// How much of a side decides on `most` pixels in the middle of its result: what they cover, and
/// what the interpolation looks at beside. The same is left out at either end.
fn seen(length: usize, most: usize, scale: f64) -> usize {
    /// Pixels that Catmull-Rom reaches, of the image or of the result, whichever are larger.
    const REACH: f64 = 2.0;
    let needed = most as f64 / scale + 2.0 * REACH / scale.min(1.0);
    length - length.saturating_sub(needed.ceil() as usize) / 2 * 2
}

fn scaled(image: ImageFile, size: [usize; 2]) -> ImageFile {
    let [height, width, channels] = image.shape;
    let from = [height, width];
    let samples = match (image.samples, channels) {
        (Samples::Eight(all), 1) => Samples::Eight(resample::<Luma<u8>>(all, from, size)),
        (Samples::Eight(all), _) => Samples::Eight(resample::<Rgb<u8>>(all, from, size)),
        (Samples::Sixteen(all), 1) => Samples::Sixteen(resample::<Luma<u16>>(all, from, size)),
        (Samples::Sixteen(all), _) => Samples::Sixteen(resample::<Rgb<u16>>(all, from, size)),
        (Samples::Float(all), 1) => {
            Samples::Float(within(all, |all| resample::<Luma<f32>>(all, from, size)))
        }
        (Samples::Float(all), _) => {
            Samples::Float(within(all, |all| resample::<Rgb<f32>>(all, from, size)))
        }
    };
    ImageFile { shape: [size[0], size[1], channels], samples, ..image }
}

/// Floats of any range, brought to the middle third of 0..1 for the work: the library holds what it
/// interpolates to 0..1, and Catmull-Rom overshoots.
fn within(mut values: Vec<f32>, work: impl FnOnce(Vec<f32>) -> Vec<f32>) -> Vec<f32> {
    let widened = |[low, high]: [f32; 2], &value: &f32| [low.min(value), high.max(value)];
    let [low, high] = values.iter().fold([f32::INFINITY, f32::NEG_INFINITY], widened);
    let third = f64::from(high) - f64::from(low);
    if third == 0.0 {
        return work(vec![0.5; values.len()]).into_iter().map(|_| low).collect();
    }
    let low = f64::from(low) - third;
    for value in &mut values {
        *value = ((f64::from(*value) - low) / (3.0 * third)) as f32;
    }
    let back = |value: f32| (f64::from(value) * 3.0 * third + low) as f32;
    work(values).into_iter().map(back).collect()
}

fn resample<P: Pixel + 'static>(
    values: Vec<P::Subpixel>,
    [height, width]: [usize; 2],
    size: [usize; 2],
) -> Vec<P::Subpixel> {
    // The decoder's sides are 32 bits, and the plan's are bounded; `filled` is a few times those.
    let image: ImageBuffer<P, _> = ImageBuffer::from_raw(width as u32, height as u32, values)
        .expect("an image has as many values as its shape says");
    let [rows, columns] = size.map(|side| side as u32);
    if lies_too_long([height, width], size) {
        let upright = rotate90(&image);
        drop(image);
        return rotate270(&resize(&upright, rows, columns, FilterType::CatmullRom)).into_raw();
    }
    resize(&image, columns, rows, FilterType::CatmullRom).into_raw()
}

/// Whether it is the columns that have to be brought to their length first. The library starts with the
/// rows, and keeps that half of the work in 16 bytes a pixel: of a lying sliver, gigabytes.
fn lies_too_long([height, width]: [usize; 2], size: [usize; 2]) -> bool {
    /// Pixels, 256 MB of them: below, nothing changes a bit of what it always gave.
    const MANY: usize = 1 << 24;
    let rows_first = size[0].saturating_mul(width);
    rows_first > MANY && rows_first > size[1].saturating_mul(height)
}

/// The middle of the image, or the image in the middle of black, side by side.
fn centred(image: &ImageFile, size: [usize; 2]) -> ImageFile {
    let [height, width, channels] = image.shape;
    let cropped = |length: usize, most: usize| length.saturating_sub(most) / 2;
    let padded = |length: usize, most: usize| most.saturating_sub(length) / 2;
    let mut samples = image.samples.zeros(size[0] * size[1] * channels);
    for y in 0..height.min(size[0]) {
        let from = (y + cropped(height, size[0])) * width + cropped(width, size[1]);
        let to = (y + padded(height, size[0])) * size[1] + padded(width, size[1]);
        let length = width.min(size[1]) * channels;
        let (from, to) = (from * channels, to * channels);
        match (&image.samples, &mut samples) {
            (Samples::Eight(all), Samples::Eight(result)) => {
                result[to..to + length].copy_from_slice(&all[from..from + length]);
            }
            (Samples::Sixteen(all), Samples::Sixteen(result)) => {
                result[to..to + length].copy_from_slice(&all[from..from + length]);
            }
            (Samples::Float(all), Samples::Float(result)) => {
                result[to..to + length].copy_from_slice(&all[from..from + length]);
            }
            _ => unreachable!("both have the depth of the image"),
        }
    }
    let shape = [size[0], size[1], channels];
    ImageFile {
        shape,
        samples,
        alpha_dropped: image.alpha_dropped,
        metadata: image.metadata.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Grey, with value `f(y, x)`.
    fn grey(height: usize, width: usize, f: impl Fn(usize, usize) -> u8) -> ImageFile {
        let all = (0..height).flat_map(|y| (0..width).map(move |x| (y, x)));
        let values = all.map(|(y, x)| f(y, x)).collect();
        ImageFile::new([height, width, 1], Samples::Eight(values)).unwrap()
    }

    fn rows(image: &ImageFile) -> Vec<Vec<u8>> {
        let Samples::Eight(values) = &image.samples else { panic!("8 bits stay 8 bits") };
        values.chunks(image.shape[1]).map(<[u8]>::to_vec).collect()
    }

    #[test]
    fn an_image_of_the_right_size_is_left_as_it_is() {
        let image = grey(3, 5, |y, x| (y * 50 + x) as u8);
        for how in [Resize::Exact, Resize::Fit, Resize::Fill] {
            assert_eq!(resized(image.clone(), [3, 5], how), image);
        }
    }

    #[test]
    fn exact_stretches_fit_pads_with_black_and_fill_crops_the_middle() {
        // Twice as wide as high, with a darker stripe on the left.
        let image = grey(8, 16, |_, x| if x < 4 { 100 } else { 200 });
        // To tens: bicubic interpolation rings a little beside the edge.
        let sides = |how| -> Vec<(u8, u8)> {
            let near = |value: u8| (value + 5) / 10 * 10;
            let rows = rows(&resized(image.clone(), [8, 8], how));
            rows.iter().map(|row| (near(row[0]), near(row[7]))).collect()
        };
        assert_eq!(sides(Resize::Exact), [(100, 200); 8]);
        let (black, inside) = ([(0, 0); 2], [(100, 200); 4]);
        assert_eq!(sides(Resize::Fit), [&black[..], &inside, &black].concat());
        assert_eq!(sides(Resize::Fill), [(200, 200); 8]);
    }

    #[test]
    fn a_sliver_keeps_at_least_one_row() {
        let image = grey(1, 100, |_, _| 255);
        let fit = rows(&resized(image.clone(), [10, 10], Resize::Fit));
        assert_eq!(fit.iter().filter(|row| row.iter().all(|&value| value == 255)).count(), 1);
        assert_eq!(resized(image, [10, 10], Resize::Fill).shape, [10, 10, 1]);
    }

    #[test]
    fn a_sliver_fills_with_its_middle_whatever_its_length() {
        for length in [10_000, 20_000_000] {
            let middle = length / 2 - 4..length / 2 + 4;
            let lying = grey(1, length, |_, x| if middle.contains(&x) { 200 } else { 0 });
            let upright = grey(length, 1, |y, _| if middle.contains(&y) { 200 } else { 0 });
            for image in [lying, upright] {
                let filled = rows(&resized(image, [224, 224], Resize::Fill));
                assert_eq!(filled, vec![vec![200; 224]; 224]);
            }
        }
    }

    #[test]
    fn a_sliver_is_stretched_whatever_its_length() {
        for length in [10_000, 20_000_000] {
            // From dark to bright, along its length.
            let grade = |at: usize| (at * 200 / length) as u8;
            let lying = grey(1, length, |_, x| grade(x));
            let upright = grey(length, 1, |y, _| grade(y));
            let lying = rows(&resized(lying, [224, 224], Resize::Exact));
            let upright = rows(&resized(upright, [224, 224], Resize::Exact));
            assert!(lying.iter().all(|row| row == &lying[0]));
            assert!(lying[0].is_sorted() && lying[0][0] == 0 && lying[0][223] == 199);
            let turned: Vec<u8> = upright.iter().map(|row| row[0]).collect();
            assert!(lying[0].iter().zip(&turned).all(|(a, b)| a.abs_diff(*b) <= 1));
        }
    }

    #[test]
    fn a_sliver_fits_whatever_its_length() {
        let line = [vec![vec![0; 224]; 111], vec![vec![200; 224]], vec![vec![0; 224]; 112]];
        let image = grey(1, 1_000_000, |_, _| 200);
        assert_eq!(rows(&resized(image, [224, 224], Resize::Fit)), line.concat());
    }

    /// Smooth, and like none of its mirror images.
    fn waves(height: usize, width: usize, value: impl Fn(usize, usize) -> [usize; 2]) -> ImageFile {
        let wave = |x: usize| 30.0 * (x as f64 * 0.1 + 1.0).sin();
        grey(height, width, |y, x| {
            let [y, x] = value(y, x);
            (128.0 + wave(y) + wave(x)).round() as u8
        })
    }

    fn are_near(a: &[Vec<u8>], b: &[Vec<u8>], most: u8) -> bool {
        a.concat().iter().zip(b.concat()).all(|(a, b)| a.abs_diff(b) <= most)
    }

    #[test]
    fn filling_gives_what_cutting_the_whole_image_after_scaling_it_would() {
        for (height, width, side) in [(60, 100, 16), (33, 91, 48), (7, 40, 28), (9, 9, 4)] {
            let image = waves(height, width, |y, x| [y, x]);
            let scale = side as f64 / height as f64;
            let near = (width as f64 * scale).round() as usize;
            let whole = scaled(image.clone(), [side, near]);
            let late = rows(&centred(&whole, [side, side]));
            let early = rows(&resized(image, [side, side], Resize::Fill));
            assert!(are_near(&early, &late, 12), "{height}x{width}: {early:?}, {late:?}");
        }
    }

    #[test]
    fn filling_cuts_off_as_much_on_either_side() {
        for (height, width, side) in [(60, 100, 16), (60, 65, 16), (33, 91, 48), (40, 7, 28)] {
            let image = waves(height, width, |y, x| [y, x]);
            let turned = waves(height, width, |y, x| [height - 1 - y, width - 1 - x]);
            let [image, turned] =
                [image, turned].map(|image| resized(image, [side; 2], Resize::Fill));
            let mut back = rows(&turned);
            back.reverse();
            for row in &mut back {
                row.reverse();
            }
            assert!(are_near(&rows(&image), &back, 1), "{height}x{width}");
        }
    }

    #[test]
    fn shrinking_averages_instead_of_leaving_out() {
        let image = grey(64, 64, |y, x| if (x + y) % 2 == 0 { 0 } else { 200 });
        let small = rows(&resized(image, [8, 8], Resize::Exact));
        assert!(small.iter().flatten().all(|&value| (90..=110).contains(&value)), "{small:?}");
    }
}
