//! `x` where positive, else a learned fraction of it. Source: Keras `layers/activations/prelu.py`.
//!
//! ```text
//! y = max(x, 0) + alpha * min(x, 0)        dx = dy where x > 0, alpha * dy where x < 0, 0 where x = 0
//!                                          dalpha = sum dy * min(x, 0), over the images and shared axes
//! ```

use std::ops::Range;

use super::Stage;
use super::learned::hand_out;
use crate::engine::native::grid::{Edge, Field, Size};
use crate::engine::native::kernels::Real;
use crate::engine::native::memory::zeros;

/// What a PReLU is made from.
#[derive(Debug, Clone)]
pub(in crate::engine::native) struct PReluOptions {
    /// Sides of alpha, 1 where an axis is shared.
    pub sides: Size,
    /// Where alpha stands, channels first as in PyTorch.
    pub alpha: Range<usize>,
}

/// To the same shape.
#[derive(Debug)]
pub(in crate::engine::native) struct PRelu<T> {
    options: PReluOptions,
    /// Width and channels of the images.
    width: usize,
    channels: usize,
    /// Alpha of each value of a row, so that rows are gone through without a step: `(rows, W * C)`, one row
    /// where all share it.
    alpha: Vec<T>,
    /// The same of its gradient.
    gradient: Vec<f64>,
    /// The gradient as alpha is stored.
    stored: Vec<f64>,
}

impl<T: Real> PRelu<T> {
    pub fn new(options: PReluOptions, input: Size) -> Self {
        let Size { width, channels, .. } = input;
        let (count, stored) = (options.sides.height * width * channels, options.sides.values());
        let (alpha, gradient, stored) = (zeros(count), zeros(count), zeros(stored));
        Self { options, width, channels, alpha, gradient, stored }
    }

    /// Values of a row.
    fn row(&self) -> usize {
        self.width * self.channels
    }

    /// Where alpha is stored of each of its rows' values.
    fn places(sides: Size, width: usize, channels: usize) -> impl Iterator<Item = usize> {
        let values = move |y| (0..width * channels).map(move |i| (y, i / channels, i % channels));
        (0..sides.height).flat_map(values).map(move |(y, x, c)| {
            // A shared axis has one place for all.
            let (x, c) = (x.min(sides.width - 1), c.min(sides.channels - 1));
            (c * sides.height + y) * sides.width + x
        })
    }

    /// Where the row of alpha starts that belongs to a row of an image.
    fn start(&self, y: usize) -> usize {
        if self.options.sides.height == 1 { 0 } else { y * self.row() }
    }
}

impl<T: Real> Stage<T> for PRelu<T> {
    fn load(&mut self, weights: &[T]) {
        let stored = &weights[self.options.alpha.clone()];
        let places = Self::places(self.options.sides, self.width, self.channels);
        self.alpha.iter_mut().zip(places).for_each(|(alpha, place)| *alpha = stored[place]);
    }

    fn forward(&mut self, input: &Field<T>, output: &mut Field<T>, images: usize) {
        let zero = T::zero();
        for image in 0..images {
            for y in 0..input.grid.size.height {
                let alpha = &self.alpha[self.start(y)..];
                let values = output.row_mut(image, y).iter_mut().zip(input.row(image, y));
                for ((y, &x), &alpha) in values.zip(alpha) {
                    *y = if x > zero { x } else { alpha * x };
                }
            }
        }
    }

    fn backward(
        &mut self,
        input: &Field<T>,
        output: &mut Edge<T>,
        mut input_gradient: Option<&mut Field<T>>,
        images: usize,
    ) {
        let (zero, one) = (T::zero(), T::one());
        for image in 0..images {
            for y in 0..input.grid.size.height {
                let start = self.start(y);
                let (x, dy) = (input.row(image, y), output.gradient.row(image, y));
                let sums = self.gradient[start..].iter_mut().zip(x.iter().zip(dy));
                for (sum, (&x, &dy)) in sums {
                    *sum += if x < zero { (x * dy).wide() } else { 0.0 };
                }
                let Some(result) = input_gradient.as_deref_mut() else { continue };
                let values = result.row_mut(image, y).iter_mut().zip(x.iter().zip(dy));
                for ((dx, (&x, &dy)), &alpha) in values.zip(&self.alpha[start..]) {
                    let below = if x < zero { alpha } else { zero };
                    *dx = dy * if x > zero { one } else { below };
                }
            }
        }
    }

    fn collect(&mut self, gradient: &mut [T]) {
        let places = Self::places(self.options.sides, self.width, self.channels);
        for (sum, place) in self.gradient.iter_mut().zip(places) {
            self.stored[place] += *sum;
            *sum = 0.0;
        }
        hand_out(&mut gradient[self.options.alpha.clone()], &mut self.stored);
    }
}
