//! Structural similarity of values in 0..1, at one scale and at several.

use tch::{Kind, Tensor};

/// Side of the windows of [`super::Loss::Ssim`], as of the figure that `convae evaluate` prints.
pub const SSIM_WINDOW: usize = 7;
/// Least side of images of [`super::Loss::MsSsim`]: halved four times, rounded up, the window fits.
pub const MS_SSIM_SIDE: usize = 10 * 16 + 1;

/// Constants of values in 0..1: (0.01 * 1)^2 and (0.03 * 1)^2.
const C: [f64; 2] = [1e-4, 9e-4];
/// Side and deviation of the Gaussian window of several scales.
const GAUSSIAN: (i64, f64) = (11, 1.5);
/// What each scale counts, the finest first. Source: Wang, Simoncelli, Bovik, "Multi-scale structural similarity
/// for image quality assessment", 2003, section 3.2.
const SCALES: [f64; 5] = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333];

/// Mean structural similarity of images `(N, C, H, W)`.
pub(super) fn ssim(a: &Tensor, b: &Tensor) -> Tensor {
    let side = SSIM_WINDOW as i64;
    let mean = |values: &Tensor| values.avg_pool2d([side, side], [1, 1], [0, 0], false, true, None);
    // Of a sample: one value less counts.
    let sample = (side * side) as f64 / (side * side - 1) as f64;
    let [luminance, structure] = compared(a, b, mean, sample);
    (luminance * structure).mean(None)
}

/// Mean similarity of images `(N, C, H, W)` at five scales, as TensorFlow's `tf.image.ssim_multiscale` has it: the
/// product of each channel's contrast and structure at all scales and its luminance at the coarsest, none below 0.
pub(super) fn multiscale(a: &Tensor, b: &Tensor) -> Tensor {
    let (mut a, mut b) = (a.shallow_clone(), b.shallow_clone());
    let window = gaussian(&a);
    let mean = |values: &Tensor| {
        let options = ([1, 1], [0, 0], [1, 1], values.size()[1]);
        values.conv2d(&window, None::<Tensor>, options.0, options.1, options.2, options.3)
    };
    let coarsest = SCALES.len() - 1;
    let mut product = None::<Tensor>;
    for (scale, share) in SCALES.into_iter().enumerate() {
        let [luminance, structure] = compared(&a, &b, mean, 1.0);
        let found = if scale == coarsest { luminance * structure } else { structure };
        let part = power(&found.mean_dim([2, 3].as_slice(), false, found.kind()), share);
        product = Some(product.map_or_else(|| part.shallow_clone(), |product| product * &part));
        // A last row or column without a neighbour stays as it is.
        let half = |values: &Tensor| values.avg_pool2d([2, 2], [2, 2], [0, 0], true, false, None);
        if scale < coarsest {
            (a, b) = (half(&a), half(&b));
        }
    }
    product.expect("there are five scales").mean(None)
}

/// Luminance, and contrast with structure, of each window over which `mean` is taken.
fn compared(a: &Tensor, b: &Tensor, mean: impl Fn(&Tensor) -> Tensor, sample: f64) -> [Tensor; 2] {
    let (mean_a, mean_b) = (mean(a), mean(b));
    let covariance = |x: &Tensor, y: &Tensor, mean_x: &Tensor, mean_y: &Tensor| {
        (mean(&(x * y)) - mean_x * mean_y) * sample
    };
    let variances = covariance(a, a, &mean_a, &mean_a) + covariance(b, b, &mean_b, &mean_b);
    let both: Tensor = covariance(a, b, &mean_a, &mean_b) * 2.0 + C[1];
    let means: Tensor = &mean_a * &mean_b * 2.0 + C[0];
    [means / (mean_a.square() + mean_b.square() + C[0]), both / (variances + C[1])]
}

/// The power of what is above 0, else 0 without a slope.
fn power(values: &Tensor, exponent: f64) -> Tensor {
    let above = values.gt(0.0);
    let power = values.where_self(&above, &values.ones_like()).pow_tensor_scalar(exponent);
    power * above.to_kind(values.kind())
}

/// The window for each of the channels, whose sum is 1.
fn gaussian(values: &Tensor) -> Tensor {
    let (side, deviation) = GAUSSIAN;
    let offsets = Tensor::arange(side, (Kind::Double, values.device())) - (side / 2) as f64;
    let line = (offsets.square() * (-0.5 / (deviation * deviation))).exp();
    let window = line.outer(&line);
    let window: Tensor = &window / window.sum(Kind::Double);
    window.to_kind(values.kind()).expand([values.size()[1], 1, side, side], false)
}
