//! Normalisations of each pixel by itself. Source: Keras `layers/normalization/layer_normalization.py`,
//! `layers/normalization/unit_normalization.py` with `ops/nn.py`, `_normalize`.
//!
//! ```text
//! LayerNormalization   z = (x - mean) / sqrt(variance + epsilon)      y = gamma * z + beta
//!     with g = gamma * dy     dx = (g - mean(g) - z * mean(g * z)) / sqrt(variance + epsilon)
//!                             dgamma = sum dy * z        dbeta = sum dy, over images and pixels
//! UnitNormalization    y = x * r with r = 1 / max(|x|, 1e-12)
//!                             dx = r * (dy - y * sum dy * y); below the smallest norm dx = r * dy
//! ```
//!
//! Means are those of a pixel's channels, and the variance is the biased one.

use std::ops::Range;

use super::Stage;
use super::learned::Learned;
use crate::engine::native::grid::{Edge, Field, Size};
use crate::engine::native::kernels::{Real, sum_of};
use crate::engine::native::memory::zeros;
use crate::nn::SMALLEST_NORM;

/// What a normalisation is made from.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::engine::native) struct NormOptions {
    /// Where the factors of the channels stand among the weights, if they are learned.
    pub gamma: Option<Range<usize>>,
    /// And the offsets.
    pub beta: Option<Range<usize>>,
    /// Added to the variance.
    pub epsilon: f64,
}

/// To the same shape.
#[derive(Debug)]
pub(in crate::engine::native) struct LayerNorm<T> {
    gamma: Learned<T>,
    beta: Learned<T>,
    epsilon: f64,
    /// Mean, and one over the standard deviation, of each pixel of the images that went forward.
    means: Vec<T>,
    factors: Vec<T>,
    /// `z` and `g` of one pixel.
    normal: Vec<T>,
    scaled: Vec<T>,
}

impl<T: Real> LayerNorm<T> {
    /// For up to so many images at once.
    pub fn new(options: NormOptions, input: Size, images: usize) -> Self {
        let NormOptions { gamma, beta, epsilon } = options;
        let Size { height, width, channels } = input;
        let pixels = images * height * width;
        Self {
            gamma: Learned::new(gamma, channels, T::one()),
            beta: Learned::new(beta, channels, T::zero()),
            epsilon,
            means: zeros(pixels),
            factors: zeros(pixels),
            normal: zeros(channels),
            scaled: zeros(channels),
        }
    }

    /// Mean, and one over the standard deviation.
    fn statistics(&self, x: &[T]) -> (T, T) {
        let count = x.len() as f64;
        let mean = sum_of(x, x, |x, _| x.wide()) / count;
        let squares = sum_of(x, x, |x, _| (x.wide() - mean) * (x.wide() - mean));
        (T::of(mean), T::of(1.0 / (squares / count + self.epsilon).sqrt()))
    }

    /// What a pixel's gradient adds to gamma's and beta's; leaves `z` and `g`.
    fn learn(&mut self, x: &[T], dy: &[T], (mean, factor): (T, T)) {
        for (normal, &x) in self.normal.iter_mut().zip(x) {
            *normal = (x - mean) * factor;
        }
        let Self { gamma, beta, normal, scaled, .. } = self;
        for ((scaled, &dy), &gamma) in scaled.iter_mut().zip(dy).zip(&gamma.values) {
            *scaled = gamma * dy;
        }
        if gamma.is_there() {
            for ((sum, &dy), &z) in gamma.gradient.iter_mut().zip(dy).zip(&*normal) {
                *sum += (dy * z).wide();
            }
        }
        if beta.is_there() {
            beta.gradient.iter_mut().zip(dy).for_each(|(sum, dy)| *sum += dy.wide());
        }
    }
}

impl<T: Real> Stage<T> for LayerNorm<T> {
    fn load(&mut self, weights: &[T]) {
        self.gamma.load(weights);
        self.beta.load(weights);
    }

    fn forward(&mut self, input: &Field<T>, output: &mut Field<T>, images: usize) {
        let channels = input.grid.size.channels;
        let mut pixel = 0;
        output.zip_rows(input, 0..images, |output, input| {
            for (y, x) in output.chunks_exact_mut(channels).zip(input.chunks_exact(channels)) {
                let (mean, factor) = self.statistics(x);
                (self.means[pixel], self.factors[pixel]) = (mean, factor);
                pixel += 1;
                let learned = self.gamma.values.iter().zip(&self.beta.values);
                for ((y, &x), (&gamma, &beta)) in y.iter_mut().zip(x).zip(learned) {
                    *y = (x - mean) * factor * gamma + beta;
                }
            }
        });
    }

    fn backward(
        &mut self,
        input: &Field<T>,
        output: &mut Edge<T>,
        mut input_gradient: Option<&mut Field<T>>,
        images: usize,
    ) {
        let Size { height, width, channels } = input.grid.size;
        let count = channels as f64;
        for row in 0..images * height {
            let (image, y) = (row / height, row % height);
            let (x, dy) = (input.row(image, y), output.gradient.row(image, y));
            for column in 0..width {
                let place = column * channels..(column + 1) * channels;
                let pixel = row * width + column;
                let (mean, factor) = (self.means[pixel], self.factors[pixel]);
                self.learn(&x[place.clone()], &dy[place.clone()], (mean, factor));
                let Some(result) = input_gradient.as_deref_mut() else { continue };
                let (z, g) = (&self.normal, &self.scaled);
                let mean = T::of(sum_of(g, g, |g, _| g.wide()) / count);
                let along = T::of(sum_of(g, z, |g, z| g.wide() * z.wide()) / count);
                let pixel = &mut result.row_mut(image, y)[place];
                for ((dx, &z), &g) in pixel.iter_mut().zip(z).zip(g) {
                    *dx = factor * (g - mean - z * along);
                }
            }
        }
    }

    fn collect(&mut self, gradient: &mut [T]) {
        self.gamma.collect(gradient);
        self.beta.collect(gradient);
    }
}

/// To the same shape.
#[derive(Debug)]
pub(in crate::engine::native) struct UnitNorm;

/// One over the norm, and whether that is the smallest one instead of the pixel's own.
fn factor<T: Real>(x: &[T]) -> (T, bool) {
    let (squares, least) =
        (sum_of(x, x, |x, _| x.wide() * x.wide()), SMALLEST_NORM * SMALLEST_NORM);
    // What is not a number stays so, and is told.
    let is_small = squares < least;
    (T::of(1.0 / if is_small { least } else { squares }.sqrt()), is_small)
}

impl<T: Real> Stage<T> for UnitNorm {
    fn forward(&mut self, input: &Field<T>, output: &mut Field<T>, images: usize) {
        let channels = input.grid.size.channels;
        output.zip_rows(input, 0..images, |output, input| {
            for (y, x) in output.chunks_exact_mut(channels).zip(input.chunks_exact(channels)) {
                let (factor, _) = factor(x);
                y.iter_mut().zip(x).for_each(|(y, &x)| *y = x * factor);
            }
        });
    }

    fn backward(
        &mut self,
        input: &Field<T>,
        output: &mut Edge<T>,
        input_gradient: Option<&mut Field<T>>,
        images: usize,
    ) {
        let Some(result) = input_gradient else { return };
        let channels = input.grid.size.channels;
        output.gradient.zip_rows(input, 0..images, |gradient, input| {
            for (dy, x) in gradient.chunks_exact_mut(channels).zip(input.chunks_exact(channels)) {
                let (factor, is_small) = factor(x);
                let along =
                    if is_small { 0.0 } else { sum_of(dy, x, |dy, x| dy.wide() * x.wide()) };
                let along = T::of(along) * factor * factor;
                dy.iter_mut().zip(x).for_each(|(dy, &x)| *dy = factor * (*dy - x * along));
            }
        });
        result.zip_rows(&output.gradient, 0..images, |dx, dy| dx.copy_from_slice(dy));
    }
}
