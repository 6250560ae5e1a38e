//! Steps whose values add to the loss: layers with an `activity_regularizer`, and `Sampling`. Keras divides what a
//! sample's values add by the batch's size.
//!
//! ```text
//! penalty     y = x                            l1 sum |x| + l2 sum x^2
//!             dx = dy + (l1 sign x + 2 l2 x) / N
//! Sampling    y = m + exp(v / 2) z             -w/2 sum (1 + v - m^2 - exp v)
//!             dm = dy + w m / N                dv = dy exp(v / 2) z / 2 + w (exp v - 1) / 2N
//! ```
//!
//! `m` is a mean and `v` the logarithm of a variance; `z` is of the standard normal distribution in training; in inference `y = m`; `N` is the number of samples of the whole batch, `w` is `kl_weight`. Sources: Keras
//! `layers/layer.py`, and the variational autoencoder among its examples.

use rand::RngExt;
use rand_distr::StandardNormal;

use super::call::{Call, Training};
use super::grid::{Edge, Field, Size};
use super::kernels::Real;
use super::memory::zeros;
use super::step::rows;
use crate::system::random::{Purpose, stream};

/// Factors of the sums of sizes and of squares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Penalty {
    pub l1: f64,
    pub l2: f64,
}

impl Penalty {
    /// Copies the values; what they add, before it is divided by the batch's size.
    pub fn forward<T: Real>(self, input: &Field<T>, output: &mut Field<T>, images: usize) -> f64 {
        let mut added = 0.0;
        output.zip_rows(input, 0..images, |output, input| {
            output.copy_from_slice(input);
            let each = |x: &T| {
                let x = x.wide();
                self.l1 * x.abs() + self.l2 * x * x
            };
            added += input.iter().map(each).sum::<f64>();
        });
        added
    }

    pub fn backward<T: Real>(
        self,
        input: &Field<T>,
        output: &Edge<T>,
        result: &mut Field<T>,
        images: usize,
        batch: usize,
    ) {
        let count = batch as f64;
        let (size, double) = (T::of(self.l1 / count), T::of(2.0 * self.l2 / count));
        for (image, row) in rows(input.grid.size, images) {
            let (dy, x) = (output.gradient.row(image, row), input.row(image, row));
            for (dx, (&dy, &x)) in result.row_mut(image, row).iter_mut().zip(dy.iter().zip(x)) {
                let sign = if x == T::zero() { x } else { x.signum() };
                *dx = dy + size * sign + double * x;
            }
        }
    }
}

/// What a `Sampling` is made from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct SamplingOptions {
    /// Of the Kullback-Leibler divergence in the loss.
    pub kl_weight: f64,
    /// Its number among the layers that draw.
    pub number: usize,
}

/// A draw with its buffer.
#[derive(Debug)]
pub(super) struct Sampling<T> {
    options: SamplingOptions,
    /// What was drawn for each value.
    noise: Vec<T>,
    values: usize,
}

impl<T: Real> Sampling<T> {
    /// For up to so many images.
    pub fn new(options: SamplingOptions, size: Size, images: usize) -> Self {
        let values = size.values();
        Self { options, noise: zeros(images * values), values }
    }

    /// Whether something is drawn: only in training.
    fn draw(&mut self, images: usize, call: Call<'_>) -> bool {
        let Call::Training(Training { seed, first, .. }) = call else { return false };
        for (image, noise) in self.noise.chunks_exact_mut(self.values).take(images).enumerate() {
            let (number, place) = (self.options.number as u64, (first + image) as u64);
            let mut stream = stream(seed, Purpose::Layers, number, place);
            noise.fill_with(|| T::of(stream.sample::<f64, _>(StandardNormal)));
        }
        true
    }

    /// From the edges of means and logarithms; what these add, before it is divided by the batch's size.
    pub fn forward(
        &mut self,
        edges: &mut [Edge<T>],
        (mean, log_variance): (usize, usize),
        output: usize,
        images: usize,
        call: Call<'_>,
    ) -> f64 {
        let draws = self.draw(images, call);
        let [mean, log_variance, output] =
            edges.get_disjoint_mut([mean, log_variance, output]).expect("they are not the same");
        let size = output.values.grid.size;
        let (adds, mut sum, half) = (self.options.kl_weight > 0.0, 0.0, T::of(0.5));
        let noise = self.noise.chunks_exact(size.width * size.channels);
        for ((image, row), z) in rows(size, images).zip(noise) {
            let values =
                mean.values.row(image, row).iter().zip(log_variance.values.row(image, row));
            let y = output.values.row_mut(image, row);
            for ((y, &z), (&m, &v)) in y.iter_mut().zip(z).zip(values) {
                // A variance beyond all numbers must not show where nothing is drawn or added.
                *y = if draws { m + (half * v).exp() * z } else { m };
                if adds {
                    let (m, v) = (m.wide(), v.wide());
                    sum += 1.0 + v - m * m - v.exp();
                }
            }
        }
        -0.5 * self.options.kl_weight * sum
    }

    pub fn backward(
        &self,
        edges: &mut [Edge<T>],
        (mean, log_variance): (usize, usize),
        output: usize,
        images: usize,
        batch: usize,
    ) {
        let [mean, log_variance, output] =
            edges.get_disjoint_mut([mean, log_variance, output]).expect("they are not the same");
        let (gradient, size) = (&output.gradient, output.gradient.grid.size);
        let (weight, half) = (T::of(self.options.kl_weight / batch as f64), T::of(0.5));
        let adds = self.options.kl_weight > 0.0;
        let noise = self.noise.chunks_exact(size.width * size.channels);
        for ((image, row), z) in rows(size, images).zip(noise) {
            let (dy, m) = (gradient.row(image, row), mean.values.row(image, row));
            for (dm, (&dy, &m)) in
                mean.gradient.row_mut(image, row).iter_mut().zip(dy.iter().zip(m))
            {
                *dm = dy + weight * m;
            }
            let v = log_variance.values.row(image, row);
            let dv = log_variance.gradient.row_mut(image, row);
            for ((dv, &v), (&dy, &z)) in dv.iter_mut().zip(v).zip(dy.iter().zip(z)) {
                let deviation = (half * v).exp();
                let more =
                    if adds { weight * (deviation * deviation - T::one()) } else { T::zero() };
                *dv = half * (dy * deviation * z + more);
            }
        }
    }
}
