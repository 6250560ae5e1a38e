//! Each channel of a whole image as one value. Source: Keras `layers/pooling/base_global_pooling.py`.
//!
//! ```text
//! mean      y = sum x / n        dx = dy / n
//! largest   y = max x            dx = dy / (number of equals) where x = y, as on JAX and PyTorch; else 0
//! ```

use super::Stage;
use super::learned::{repeat, sum_pixels};
use crate::engine::native::grid::{Edge, Field, Size};
use crate::engine::native::kernels::Real;
use crate::engine::native::memory::zeros;

/// `(H, W, C)` to one pixel.
#[derive(Debug)]
pub(in crate::engine::native) struct GlobalPool<T> {
    /// Whether it is the largest value, instead of the mean.
    largest: bool,
    /// A sum for each value of a row: in float32 a large image's would lose digits.
    row_sums: Vec<f64>,
    sums: Vec<f64>,
    /// The largest value of each column and channel, or of the channel.
    row: Vec<T>,
    /// What each value of a row takes of the gradient.
    shares: Vec<T>,
    pixel: Vec<T>,
}

impl<T: Real> GlobalPool<T> {
    pub fn new(largest: bool, input: Size) -> Self {
        let Size { width, channels, .. } = input;
        let row = width * channels;
        Self {
            largest,
            row_sums: zeros(row),
            sums: zeros(channels),
            row: zeros(row),
            shares: zeros(row),
            pixel: zeros(channels),
        }
    }

    fn mean(&mut self, input: &Field<T>, image: usize, output: &mut [T]) {
        let Size { height, width, .. } = input.grid.size;
        self.row_sums.fill(0.0);
        for y in 0..height {
            let values = self.row_sums.iter_mut().zip(input.row(image, y));
            values.for_each(|(sum, value)| *sum += value.wide());
        }
        sum_pixels(&self.row_sums, &mut self.sums);
        let count = (height * width) as f64;
        output.iter_mut().zip(&self.sums).for_each(|(mean, sum)| *mean = T::of(sum / count));
    }

    fn maximum(&mut self, input: &Field<T>, image: usize, output: &mut [T]) {
        self.row.fill(T::neg_infinity());
        for y in 0..input.grid.size.height {
            take_larger(&mut self.row, input.row(image, y));
        }
        output.fill(T::neg_infinity());
        self.row.chunks_exact(output.len()).for_each(|pixel| take_larger(output, pixel));
    }

    /// How many values of each channel are the largest, to the sums.
    fn count_equals(&mut self, input: &Field<T>, image: usize, largest: &[T]) {
        repeat(largest, &mut self.row);
        self.row_sums.fill(0.0);
        for y in 0..input.grid.size.height {
            let values = input.row(image, y).iter().zip(&self.row);
            for (count, (x, largest)) in self.row_sums.iter_mut().zip(values) {
                *count += if x == largest { 1.0 } else { 0.0 };
            }
        }
        sum_pixels(&self.row_sums, &mut self.sums);
    }
}

/// What is not a number stays, so that a run that has diverged is told.
fn take_larger<T: Real>(best: &mut [T], values: &[T]) {
    for (best, &value) in best.iter_mut().zip(values) {
        *best = if value > *best || value.is_nan() { value } else { *best };
    }
}

impl<T: Real> Stage<T> for GlobalPool<T> {
    fn forward(&mut self, input: &Field<T>, output: &mut Field<T>, images: usize) {
        for image in 0..images {
            let pixel = output.row_mut(image, 0);
            if self.largest {
                self.maximum(input, image, pixel);
            } else {
                self.mean(input, image, pixel);
            }
        }
    }

    fn backward(
        &mut self,
        input: &Field<T>,
        output: &mut Edge<T>,
        input_gradient: Option<&mut Field<T>>,
        images: usize,
    ) {
        let Some(result) = input_gradient else { return };
        let Size { height, width, .. } = input.grid.size;
        for image in 0..images {
            if self.largest {
                self.count_equals(input, image, output.values.row(image, 0));
            } else {
                self.sums.fill((height * width) as f64);
            }
            let values = output.gradient.row(image, 0).iter().zip(&self.sums);
            for (share, (dy, count)) in self.pixel.iter_mut().zip(values) {
                *share = T::of(dy.wide() / count);
            }
            repeat(&self.pixel, &mut self.shares);
            for y in 0..height {
                let row = result.row_mut(image, y);
                if !self.largest {
                    row.copy_from_slice(&self.shares);
                    continue;
                }
                let values = input.row(image, y).iter().zip(&self.row).zip(&self.shares);
                for (dx, ((x, largest), &share)) in row.iter_mut().zip(values) {
                    *dx = if x == largest { share } else { T::zero() };
                }
            }
        }
    }
}
