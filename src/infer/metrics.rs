//! How close two images are: PSNR and SSIM, equal to scikit-image's for a data range of 1.
//! Images come as plain slices, row-major and channels last, so that a batch needs no copying.

/// Side of the square window that SSIM looks through, scikit-image's default.
pub const WINDOW: usize = 7;

/// Largest minus smallest possible value of a pixel.
const DATA_RANGE: f64 = 1.0;
/// Stabilizes the comparison of means where both are near zero: `(K1 * range)^2`, K1 = 0.01.
const C1: f64 = (0.01 * DATA_RANGE) * (0.01 * DATA_RANGE);
/// Stabilizes the comparison of variances: `(K2 * range)^2`, K2 = 0.03.
const C2: f64 = (0.03 * DATA_RANGE) * (0.03 * DATA_RANGE);
/// Pixels of one channel in a window.
const WINDOW_PIXELS: f64 = (WINDOW * WINDOW) as f64;
/// From the mean square about the mean to the sample variance.
const SAMPLE: f64 = WINDOW_PIXELS / (WINDOW_PIXELS - 1.0);
/// Sums that SSIM needs of a window: of `a`, `b`, `a * a`, `b * b` and `a * b`.
const SUMS: usize = 5;

/// Images that cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricError {
    /// Two images of different sizes.
    #[error("images are compared value by value. Received: {a} values and {b} values")]
    Unequal {
        /// Values of the first image.
        a: usize,
        /// Values of the second image.
        b: usize,
    },
    /// Images without a single value.
    #[error("there is nothing to compare in an image of no values")]
    Empty,
    /// Values that do not fill the shape.
    #[error("{shape:?} does not fit. Received: {received} values")]
    Length {
        /// The shape asked for.
        shape: [usize; 3],
        /// Values given.
        received: usize,
    },
    /// A side shorter than the window.
    #[error("SSIM looks through windows of {WINDOW}x{WINDOW} pixels. Received: {height}x{width}")]
    TooSmall {
        /// Rows given.
        height: usize,
        /// Columns given.
        width: usize,
    },
}

/// Peak signal-to-noise ratio in decibels, `10 * log10(1 / mse)`; infinite for equal images.
///
/// Equal to scikit-image's `peak_signal_noise_ratio(a, b, data_range=1.0)` on `float64` arrays.
/// NaN in an image makes the result NaN.
///
/// # Errors
/// Images of different sizes or of none.
pub fn psnr(a: &[f32], b: &[f32]) -> Result<f64, MetricError> {
    check_pair(a, b)?;
    let squares = a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2));
    let mse = squares.sum::<f64>() / a.len() as f64;
    Ok(10.0 * (DATA_RANGE * DATA_RANGE / mse).log10())
}

/// Mean structural similarity, 1 for equal images and about -1 for opposite ones.
///
/// Equal to scikit-image's `structural_similarity(a, b, data_range=1.0, channel_axis=-1)` on
/// `float64` arrays: uniform windows of 7x7, sample covariance, K1 = 0.01, K2 = 0.03, and the mean
/// over all windows that lie wholly inside, over all channels. NaN in an image makes it NaN.
///
/// # Errors
/// Values that do not fill `shape`, no channels, or a side below [`WINDOW`].
pub fn ssim(shape: [usize; 3], a: &[f32], b: &[f32]) -> Result<f64, MetricError> {
    check_pair(a, b)?;
    let [height, width, channels] = shape;
    let needed = height.checked_mul(width).and_then(|area| area.checked_mul(channels));
    if needed != Some(a.len()) {
        return Err(MetricError::Length { shape, received: a.len() });
    }
    if height.min(width) < WINDOW {
        return Err(MetricError::TooSmall { height, width });
    }

    let line = width * channels; // (width, channels) side by side: one row of the image
    let windows = (width - WINDOW + 1) * channels; // windows side by side, all channels
    let rows = height - WINDOW + 1;
    let mut columns = vec![[0.0; SUMS]; line];
    let mut total = 0.0;
    for top in 0..rows {
        let part = top * line..(top + WINDOW) * line;
        sum_columns(&mut columns, &a[part.clone()], &b[part]);
        // The windows of one channel take every `channels`-th column.
        let sums = |left: usize| sum_window(columns[left..].iter().step_by(channels));
        total += (0..windows).map(|left| similarity(sums(left))).sum::<f64>();
    }
    Ok(total / (rows * windows) as f64)
}

fn check_pair(a: &[f32], b: &[f32]) -> Result<(), MetricError> {
    if a.len() != b.len() {
        return Err(MetricError::Unequal { a: a.len(), b: b.len() });
    }
    if a.is_empty() { Err(MetricError::Empty) } else { Ok(()) }
}

/// The sums down each column of `WINDOW` rows, `(width * channels, SUMS)`.
///
/// They are added up afresh for every row of windows. Sums that slide down the image would save
/// little, and would carry rounding errors, or one NaN, to all that follows.
fn sum_columns(columns: &mut [[f64; SUMS]], a: &[f32], b: &[f32]) {
    columns.fill([0.0; SUMS]);
    let line = columns.len();
    for (a, b) in a.chunks_exact(line).zip(b.chunks_exact(line)) {
        for (sums, (&a, &b)) in columns.iter_mut().zip(a.iter().zip(b)) {
            let (a, b) = (f64::from(a), f64::from(b));
            let terms = [a, b, a * a, b * b, a * b];
            sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
        }
    }
}

/// The sums of the first `WINDOW` columns.
fn sum_window<'a>(columns: impl Iterator<Item = &'a [f64; SUMS]>) -> [f64; SUMS] {
    columns
        .take(WINDOW)
        .fold([0.0; SUMS], |sums, column| std::array::from_fn(|index| sums[index] + column[index]))
}

/// SSIM of one window.
fn similarity(sums: [f64; SUMS]) -> f64 {
    let [mean_a, mean_b, aa, bb, ab] = sums.map(|sum| sum / WINDOW_PIXELS);
    let variance_a = SAMPLE * (aa - mean_a * mean_a);
    let variance_b = SAMPLE * (bb - mean_b * mean_b);
    let covariance = SAMPLE * (ab - mean_a * mean_b);
    let means = (2.0 * mean_a * mean_b + C1) / (mean_a * mean_a + mean_b * mean_b + C1);
    let structure = (2.0 * covariance + C2) / (variance_a + variance_b + C2);
    means * structure
}

#[cfg(test)]
#[allow(clippy::unreadable_literal)] // golden values stand as scikit-image gave them
mod tests {
    use super::*;

    type Shape = [usize; 3];

    /// scikit-image and we add the same numbers in another order; 1e-6 is what we promise, and
    /// this is what `f64` allows with room to spare.
    const TOLERANCE: f64 = 1e-10;

    /// `natural()` of scripts/golden_metrics.py.
    const PHOTO: Shape = [17, 23, 1];
    const PHOTO_HEX: &str = "\
        2d233e463b542f201f1a1216222a1a1a1f2aa9bacbd0ce1e3c2e413752283f271c12151621201a1a194498bec6cf\
        27571e423e2e5b2b3a301817171f1826191b1c3c8ec6cc41272d3e453b47443d3b1e1e161d1a18161a17183b81c5\
        383b3d28252332413d42201c16161d1d171516181653ae142125662d305a29414b25231716161c151312201b2ab8\
        17174a202a30223e31312d1c1c14211f21181213141c3a141017251d39303a373b28262f22322a1a18130d0c111d\
        16131b1913233d344d382220212d26342412111417111314141213151f402a2223131426281c181c17161524141b\
        1b1c1015182123303c321e17221c211e15121416101d1c150d0e12231a17291f22211c1b3c251f181613141d2622\
        0c0c090e161a2d493e5f5335272320212b201d21393233070809090c1429395074846a3c29282d302c263947985f\
        120c0a0a15325d757b8a929778533f3b45353472bdac7c1b191b24597f817e84929ca5a2948a47443b384bbbcdd1\
        281b203677868b88898b9bacaca79c754b423aa1d1d1d4";

    // The patterns of scripts/golden_metrics.py, bit for bit.

    fn noise(shape: Shape, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32
        };
        (0..shape.iter().product()).map(|_| next()).collect()
    }

    /// A value for each `(y, x, channel)`.
    fn pattern(shape: Shape, value: impl Fn(usize, usize, usize) -> f32) -> Vec<f32> {
        let [height, width, channels] = shape;
        let split =
            |index: usize| (index / channels / width, index / channels % width, index % channels);
        let values = (0..height * width * channels).map(split);
        values.map(|(y, x, channel)| value(y, x, channel)).collect()
    }

    fn waves(shape: Shape) -> Vec<f32> {
        let value = |y, x, c| (x * x * 3 + y * y * 5 + x * y * 7 + 31 * c) % 256;
        pattern(shape, |y, x, c| value(y, x, c) as f32 / 255.0)
    }

    fn ring(shape: Shape) -> Vec<f32> {
        let [height, width, _] = shape;
        let distance = |y: usize, x: usize| {
            (2 * x + 1).abs_diff(width).pow(2) + (2 * y + 1).abs_diff(height).pow(2)
        };
        pattern(shape, |y, x, _| f32::from((150..400).contains(&distance(y, x))))
    }

    fn noisy(shape: Shape, image: &[f32], seed: u32) -> Vec<f32> {
        let noise = noise(shape, seed);
        image.iter().zip(noise).map(|(p, n)| (p + (n - 0.5)).clamp(0.0, 1.0)).collect()
    }

    fn photo() -> Vec<f32> {
        let byte = |at| u8::from_str_radix(&PHOTO_HEX[at..at + 2], 16).unwrap();
        (0..PHOTO_HEX.len()).step_by(2).map(|at| f32::from(byte(at)) / 255.0).collect()
    }

    fn shape(height: usize, width: usize, channels: usize) -> Shape {
        [height, width, channels]
    }

    /// SSIM as written in the paper: two passes over each window, no running sums.
    fn slow_ssim(shape: Shape, a: &[f32], b: &[f32]) -> f64 {
        let [height, width, channels] = shape;
        let mut values = vec![];
        for channel in 0..channels {
            for top in 0..=height - WINDOW {
                for left in 0..=width - WINDOW {
                    let window = |image: &[f32]| -> Vec<f64> {
                        let at = |y, x| (y * width + x) * channels + channel;
                        let rows = top..top + WINDOW;
                        rows.flat_map(|y| (left..left + WINDOW).map(move |x| at(y, x)))
                            .map(|index| f64::from(image[index]))
                            .collect()
                    };
                    values.push(slow_window(&window(a), &window(b)));
                }
            }
        }
        values.iter().sum::<f64>() / values.len() as f64
    }

    fn slow_window(a: &[f64], b: &[f64]) -> f64 {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / 49.0;
        let (mean_a, mean_b) = (mean(a), mean(b));
        let covariance = |a: &[f64], mean_a: f64, b: &[f64], mean_b: f64| {
            a.iter().zip(b).map(|(a, b)| (a - mean_a) * (b - mean_b)).sum::<f64>() / 48.0
        };
        let (c1, c2) = (0.0001, 0.0009);
        (2.0 * mean_a * mean_b + c1) * (2.0 * covariance(a, mean_a, b, mean_b) + c2)
            / (mean_a.powi(2) + mean_b.powi(2) + c1)
            / (covariance(a, mean_a, a, mean_a) + covariance(b, mean_b, b, mean_b) + c2)
    }

    fn assert_golden(shape: Shape, a: &[f32], b: &[f32], golden_psnr: f64, golden_ssim: f64) {
        let (psnr, ssim) = (psnr(a, b).unwrap(), ssim(shape, a, b).unwrap());
        assert!((psnr - golden_psnr).abs() < TOLERANCE, "psnr {psnr}, golden {golden_psnr}");
        assert!((ssim - golden_ssim).abs() < TOLERANCE, "ssim {ssim}, golden {golden_ssim}");
    }

    // Golden values: scripts/golden_metrics.py with scikit-image 0.26.0 and numpy 2.4.6.

    #[test]
    fn a_noisy_photo_agrees_with_scikit_image() {
        let noisy = noisy(PHOTO, &photo(), 1);
        assert_golden(PHOTO, &photo(), &noisy, 12.731528949822506, 0.2366338600191484);
    }

    #[test]
    fn a_noisy_digit_on_a_flat_ground_agrees_with_scikit_image() {
        let shape = shape(28, 28, 1);
        let noisy = noisy(shape, &ring(shape), 2);
        assert_golden(shape, &ring(shape), &noisy, 13.572209134267395, 0.7818463183362462);
    }

    #[test]
    fn a_colour_image_agrees_with_scikit_image() {
        let shape = shape(12, 16, 3);
        let noisy = noisy(shape, &waves(shape), 3);
        assert_golden(shape, &waves(shape), &noisy, 12.201150550410276, 0.6829186961675336);
    }

    #[test]
    fn odd_sides_agree_with_scikit_image() {
        let shape = shape(7, 41, 1);
        let noisy = noisy(shape, &waves(shape), 4);
        assert_golden(shape, &waves(shape), &noisy, 11.922333266232625, 0.6878096833566854);
    }

    #[test]
    fn the_smallest_image_agrees_with_scikit_image() {
        let shape = shape(7, 7, 1);
        let noise = noise(shape, 5);
        assert_golden(shape, &waves(shape), &noise, 8.45693507571226, 0.1399142697124162);
    }

    #[test]
    fn a_negative_agrees_with_scikit_image() {
        let shape = shape(13, 9, 1);
        let negative: Vec<f32> = waves(shape).iter().map(|value| 1.0 - value).collect();
        assert_golden(shape, &waves(shape), &negative, 4.600432842167507, -0.9763418323675316);
    }

    #[test]
    fn two_constants_agree_with_scikit_image() {
        let (a, b) = (vec![0.25; 72], vec![0.75; 72]);
        assert_golden(shape(8, 9, 1), &a, &b, 6.020599913279624, 0.6000639897616381);
    }

    #[test]
    fn a_constant_beside_noise_agrees_with_scikit_image() {
        let shape = shape(10, 10, 1);
        let noise = noise(shape, 6);
        assert_golden(shape, &[0.5; 100], &noise, 10.613164663328721, 0.010401328929428303);
    }

    #[test]
    fn equal_images_have_infinite_psnr_and_an_ssim_of_one() {
        assert_eq!(psnr(&photo(), &photo()), Ok(f64::INFINITY));
        assert!((ssim(PHOTO, &photo(), &photo()).unwrap() - 1.0).abs() < TOLERANCE);
    }

    #[test]
    fn summing_columns_equals_the_slow_reference_at_many_sizes() {
        for (height, width, channels) in
            [(7, 8, 1), (8, 7, 2), (9, 30, 3), (31, 10, 1), (64, 64, 4)]
        {
            let shape = shape(height, width, channels);
            let (a, b) = (noise(shape, 7), noise(shape, 8));
            let (fast, slow) = (ssim(shape, &a, &b).unwrap(), slow_ssim(shape, &a, &b));
            assert!((fast - slow).abs() < TOLERANCE, "{shape:?}: {fast} {slow}");
        }
    }

    #[test]
    fn a_faint_texture_on_white_survives_cancellation() {
        let shape = shape(40, 40, 1);
        let faint = |seed| noise(shape, seed).iter().map(|n| 1.0 - n * 1e-4).collect::<Vec<_>>();
        let (a, b) = (faint(9), faint(10));
        let (fast, slow) = (ssim(shape, &a, &b).unwrap(), slow_ssim(shape, &a, &b));
        assert!((fast - slow).abs() < TOLERANCE, "{fast} {slow}");
    }

    #[test]
    fn nan_in_a_image_is_not_hidden() {
        let mut broken = photo();
        broken[100] = f32::NAN;
        assert!(psnr(&photo(), &broken).unwrap().is_nan());
        assert!(ssim(PHOTO, &photo(), &broken).unwrap().is_nan());
    }

    #[test]
    fn a_side_below_seven_is_refused_as_scikit_image_refuses_it() {
        let refused = ssim(shape(6, 7, 1), &[0.0; 42], &[0.0; 42]);
        assert_eq!(refused, Err(MetricError::TooSmall { height: 6, width: 7 }));
    }

    #[test]
    fn images_of_different_sizes_are_refused() {
        assert_eq!(psnr(&[0.0; 3], &[0.0; 4]), Err(MetricError::Unequal { a: 3, b: 4 }));
        let refused = ssim(shape(7, 7, 1), &[0.0; 49], &[0.0; 50]);
        assert_eq!(refused, Err(MetricError::Unequal { a: 49, b: 50 }));
    }

    #[test]
    fn images_of_nothing_are_refused() {
        assert_eq!(psnr(&[], &[]), Err(MetricError::Empty));
        assert_eq!(ssim(shape(8, 8, 0), &[], &[]), Err(MetricError::Empty));
    }

    #[test]
    fn values_that_do_not_fill_the_shape_are_refused() {
        for shape in [shape(7, 7, 2), shape(usize::MAX, 2, 2)] {
            let refused = ssim(shape, &[0.0; 49], &[0.0; 49]);
            assert_eq!(refused, Err(MetricError::Length { shape, received: 49 }));
        }
    }
}
