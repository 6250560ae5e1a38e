//! Gaussian blur as `scipy.ndimage.gaussian_filter` does it by default: the kernel ends at four
//! standard deviations, and the image is reflected at its borders (`d c b a | a b c d | d c b a`).

use super::taps::{Taps, map_image};
use crate::config::corruption::Blur;
use crate::system::random::Stream;

/// Standard deviations from the middle of the kernel to its end.
const TRUNCATE: f64 = 4.0;

impl Blur {
    pub(super) fn apply(
        &self,
        values: &mut [f32],
        [height, width, channels]: [usize; 3],
        stream: &mut Stream,
    ) {
        let kernel = kernel(self.sigma.draw(stream));
        // A kernel of one weight changes nothing.
        if kernel.len() > 1 {
            let (columns, rows) = (taps(height, &kernel), taps(width, &kernel));
            values.copy_from_slice(&map_image(values, channels, &columns, &rows));
        }
    }
}

/// The weights, whose sum is 1; of a sigma of 0 the only one.
fn kernel(sigma: f64) -> Vec<f64> {
    let radius = (TRUNCATE * sigma + 0.5) as i64;
    if radius == 0 {
        return vec![1.0];
    }
    let bell = |distance: i64| (-0.5 * (distance as f64 / sigma).powi(2)).exp();
    let weights: Vec<f64> = (-radius..=radius).map(bell).collect();
    let total: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / total).collect()
}

fn taps(length: usize, kernel: &[f64]) -> Taps {
    let radius = (kernel.len() / 2) as i64;
    let at = |middle: i64| {
        let places = (middle - radius..).map(|place| reflected(place, length));
        places.zip(kernel.iter().copied()).collect()
    };
    Taps::new(length, (0..length as i64).map(at))
}

/// The place within a line that a place outside mirrors, however far away that is.
fn reflected(place: i64, length: usize) -> usize {
    let length = length as i64;
    let place = place.rem_euclid(2 * length);
    place.min(2 * length - 1 - place) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::corruption::{CorruptionKind, Drawn, Span};
    use crate::config::schema::Section;
    use crate::data::corruption::testing::{assert_near, corrupted, random_image};

    /// Rounding to f32 once a direction.
    const ROUNDING: f32 = 3e-7;

    fn blurred(sigma: f64, image: &[f32], shape: [usize; 3]) -> Vec<f32> {
        let blur = Blur { sigma: Span::of(sigma), drawn: Drawn::defaults() };
        corrupted(&CorruptionKind::Blur(blur), image, shape, 0)
    }

    /// The definition: every pixel is the weighted mean of a square of an endlessly reflected
    /// image, with weights of two dimensions.
    fn by_definition(sigma: f64, image: &[f32], shape: [usize; 3]) -> Vec<f32> {
        let [height, width, channels] = shape;
        let reach = (4.0 * sigma + 0.5).floor() as i64;
        let mirror = |place: i64, length: usize| {
            let mut place = place;
            loop {
                if place < 0 {
                    place = -1 - place;
                } else if place >= length as i64 {
                    place = 2 * length as i64 - 1 - place;
                } else {
                    return place as usize;
                }
            }
        };
        let mut result = Vec::new();
        for value in 0..image.len() {
            let (pixel, channel) = (value / channels, value % channels);
            let (row, column) = ((pixel / width) as i64, (pixel % width) as i64);
            let (mut sum, mut weights) = (0.0, 0.0);
            for dy in -reach..=reach {
                for dx in -reach..=reach {
                    let weight = (-((dy * dy + dx * dx) as f64) / (2.0 * sigma * sigma)).exp();
                    let (y, x) = (mirror(row + dy, height), mirror(column + dx, width));
                    sum += weight * f64::from(image[(y * width + x) * channels + channel]);
                    weights += weight;
                }
            }
            result.push((sum / weights) as f32);
        }
        result
    }

    #[test]
    fn the_blur_is_the_weighted_mean_of_a_reflected_image() {
        // Grey and colour; the last kernels reach over images smaller than they are.
        for (shape, sigma) in [
            ([9, 12, 1], 0.8),
            ([7, 6, 3], 1.5),
            ([5, 3, 1], 4.0),
            ([1, 4, 3], 2.0),
            ([1, 1, 1], 9.0),
        ] {
            let image = random_image(shape, 3);
            let expected = by_definition(sigma, &image, shape);
            assert_near(&blurred(sigma, &image, shape), &expected, ROUNDING);
        }
    }

    #[test]
    fn a_sigma_too_small_for_a_second_weight_changes_nothing() {
        let image = random_image([6, 6, 1], 0);
        for sigma in [0.0, 0.124] {
            assert_eq!(blurred(sigma, &image, [6, 6, 1]), image);
        }
        assert_ne!(blurred(0.3, &image, [6, 6, 1]), image);
    }

    #[test]
    fn flat_images_stay_flat_and_the_mean_stays() {
        assert_near(&blurred(2.0, &[0.7; 64], [8, 8, 1]), &[0.7; 64], ROUNDING);
        let image = random_image([16, 16, 1], 1);
        let mean = |values: &[f32]| values.iter().sum::<f32>() / 256.0;
        // Reflection gives back what leaves the image.
        assert!((mean(&blurred(3.0, &image, [16, 16, 1])) - mean(&image)).abs() < 1e-5);
    }
}
