//! A vector of weights that a stage learns, and sums that stay exact where they are long.

use std::ops::Range;

use crate::engine::native::kernels::Real;
use crate::engine::native::memory::zeros;

/// Adds sums to a gradient, and starts them anew.
pub(in crate::engine::native) fn hand_out<T: Real>(gradient: &mut [T], sums: &mut [f64]) {
    for (to, sum) in gradient.iter_mut().zip(sums) {
        *to = T::of(to.wide() + *sum);
        *sum = 0.0;
    }
}

/// A value for each channel, with its gradient since the last step.
#[derive(Debug)]
pub(super) struct Learned<T> {
    /// Where they stand among all of the model's weights.
    place: Option<Range<usize>>,
    /// `(C)`; constants where there is nothing to learn.
    pub values: Vec<T>,
    /// `(C)`. In float32 a sum over a million pixels would lose a third of its digits.
    pub gradient: Vec<f64>,
}

impl<T: Real> Learned<T> {
    /// As many values as there are channels, which are `constant` where there is no weight.
    pub fn new(place: Option<Range<usize>>, channels: usize, constant: T) -> Self {
        let mut values = zeros(channels);
        values.fill(constant);
        Self { place, values, gradient: zeros(channels) }
    }

    /// Whether there is a weight.
    pub fn is_there(&self) -> bool {
        self.place.is_some()
    }

    pub fn load(&mut self, weights: &[T]) {
        if let Some(place) = &self.place {
            self.values.copy_from_slice(&weights[place.clone()]);
        }
    }

    pub fn collect(&mut self, gradient: &mut [T]) {
        if let Some(place) = &self.place {
            hand_out(&mut gradient[place.clone()], &mut self.gradient);
        }
    }
}

/// A pixel's values for each pixel of a row.
pub(super) fn repeat<V: Copy>(pixel: &[V], row: &mut [V]) {
    row.chunks_exact_mut(pixel.len()).for_each(|to| to.copy_from_slice(pixel));
}

/// Sums over the pixels of a row, channel by channel.
pub(super) fn sum_pixels(row: &[f64], pixel: &mut [f64]) {
    pixel.fill(0.0);
    for values in row.chunks_exact(pixel.len()) {
        pixel.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
    }
}
