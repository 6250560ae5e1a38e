//! Normalising each channel over the whole batch, of which each worker holds some images.
//!
//! With the mean and the biased variance of a channel over the `m` values of a batch, `r = 1 / sqrt(variance + epsilon)`
//! and `n = (x - mean) r`:
//!
//! ```text
//! y = gamma n + beta
//! dbeta = sum dy          dgamma = sum dy n          dx = gamma r (dy - dbeta / m - n dgamma / m)
//! ```
//!
//! In inference mean and variance are the moving ones. Source: Keras
//! `layers/normalization/batch_normalization.py`. All of it is computed in float64: in float32 the sums over a large
//! batch would lose what the outputs need.

use std::ops::Range;

use super::call::{Call, Training};
use super::grid::{Edge, Field};
use super::kernels::{Kernels, Lines, Real, Slopes, Sums};
use super::stages::{NormOptions, hand_out};
use super::step::rows;
use super::worker::Weights;

/// Which weights it has, and how it uses them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct BatchNormOptions {
    pub channels: usize,
    /// Gamma and beta, and what is added to the variance.
    pub norm: NormOptions,
    /// Share of the old moving statistics that a batch leaves.
    pub momentum: f64,
    /// The number of the moving mean among the moving statistics; the moving variance is the next one.
    pub moving: usize,
    /// Its number among the batch normalisations of the model, each of which meets twice in a step.
    pub number: usize,
    /// Whether a relu follows.
    pub relu: bool,
}

/// A batch normalisation with its buffers.
#[derive(Debug)]
pub(super) struct BatchNorm<T: 'static> {
    options: BatchNormOptions,
    kernels: &'static Kernels<T>,
    gamma: Vec<f64>,
    beta: Vec<f64>,
    moving: Statistics,
    /// Of the batch that went forward last.
    batch: Statistics,
    /// Sums of the gradient, and of its products with the normalised values: this worker's own.
    slopes: Sums,
    /// The gradients of gamma and beta, until they are collected.
    learned: Sums,
}

/// Mean and biased variance of each channel.
#[derive(Debug, Clone, Default)]
pub(super) struct Statistics {
    pub mean: Vec<f64>,
    pub variance: Vec<f64>,
}

impl Statistics {
    /// The deviation's reciprocal of each channel.
    fn scales(&self, epsilon: f64) -> impl Iterator<Item = f64> {
        self.variance.iter().map(move |variance| (variance + epsilon).sqrt().recip())
    }
}

impl<T: Real> BatchNorm<T> {
    pub fn new(options: BatchNormOptions, kernels: &'static Kernels<T>) -> Self {
        let channels = options.channels;
        Self {
            options,
            kernels,
            gamma: vec![1.0; channels],
            beta: vec![0.0; channels],
            moving: Statistics::default(),
            batch: Statistics { mean: vec![0.0; channels], variance: vec![0.0; channels] },
            slopes: Sums::new(channels),
            learned: Sums::new(channels),
        }
    }

    pub fn options(&self) -> &BatchNormOptions {
        &self.options
    }

    /// Mean and variance of the batch that went forward last.
    pub fn statistics(&self) -> &Statistics {
        &self.batch
    }

    pub fn load(&mut self, weights: &Weights<T>) {
        let wide = |values: &[T]| values.iter().map(|value| value.wide()).collect();
        let own = |range: &Range<usize>| wide(&weights.values[range.clone()]);
        if let Some(range) = &self.options.norm.gamma {
            self.gamma = own(range);
        }
        if let Some(range) = &self.options.norm.beta {
            self.beta = own(range);
        }
        let [mean, variance] = [0, 1].map(|next| wide(&weights.moving[self.options.moving + next]));
        self.moving = Statistics { mean, variance };
    }

    /// Of the first `images` of a field; in training these are all that this worker has of the batch.
    pub fn forward(
        &mut self,
        input: &Field<T>,
        output: &mut Field<T>,
        images: usize,
        call: Call<'_>,
    ) {
        let statistics = match call {
            Call::Inference => &self.moving,
            Call::Training(training) => {
                self.meet(input, images, training);
                &self.batch
            }
        };
        let scales = statistics.scales(self.options.norm.epsilon).zip(&self.gamma);
        let factors: Vec<f64> = scales.map(|(scale, gamma)| scale * gamma).collect();
        let lines = Lines { means: &statistics.mean, factors: &factors, offsets: &self.beta };
        output.zip_rows(input, 0..images, |output, input| {
            self.kernels.lines(&lines, input, output);
            if self.options.relu {
                self.kernels.relu(output);
            }
        });
    }

    /// Takes over the statistics of the whole batch: from each worker's own the common ones (Chan, Golub and LeVeque,
    /// "Updating formulae and a pairwise algorithm for computing sample variances", 1979).
    fn meet(&mut self, input: &Field<T>, images: usize, training: Training<'_>) {
        let channels = self.options.channels;
        let (count, own) = own_statistics(self.kernels, input, images);
        let brought = [count].into_iter().chain(own.mean).chain(own.variance);
        let Training { worker, meeting, .. } = training;
        let all = meeting.exchange(2 * self.options.number, worker, brought, |all, next| {
            let (before, count) = (all[0], next[0]);
            all[0] += count;
            let (sum, (mean, square)) = (all[0], all[1..].split_at_mut(channels));
            let (means, squares) = next[1..].split_at(channels);
            for (c, (mean, square)) in mean.iter_mut().zip(square).enumerate() {
                let apart = means[c] - *mean;
                *mean += apart * count / sum;
                *square += squares[c] + apart * apart * before * count / sum;
            }
        });
        let (means, squares) = all[1..].split_at(channels);
        self.batch.mean = means.to_vec();
        self.batch.variance = squares.iter().map(|square| square / all[0]).collect();
    }

    /// From the output's gradient to the input's, where it is wanted.
    pub fn backward(
        &mut self,
        input: &Field<T>,
        output: &mut Edge<T>,
        input_gradient: Option<&mut Field<T>>,
        images: usize,
        training: Training<'_>,
    ) {
        let channels = self.options.channels;
        let scales: Vec<f64> = self.batch.scales(self.options.norm.epsilon).collect();
        let means = &self.batch.mean;
        self.slopes.clear();
        for (image, row) in rows(input.grid.size, images) {
            let gradient = output.gradient.row_mut(image, row);
            if self.options.relu {
                self.kernels.relu_gradient(output.values.row(image, row), gradient);
            }
            self.kernels.products(gradient, input.row(image, row), means, &mut self.slopes);
        }
        let [_, products] = &mut self.slopes.0;
        products.iter_mut().zip(&scales).for_each(|(product, scale)| *product *= scale);
        self.learned.add([&self.slopes.0[0], &self.slopes.0[1]]);
        let brought = self.slopes.0.iter().flatten().copied();
        let Training { worker, meeting, .. } = training;
        let all = meeting.exchange(2 * self.options.number + 1, worker, brought, |all, next| {
            all.iter_mut().zip(next).for_each(|(sum, next)| *sum += next);
        });
        let Some(result) = input_gradient else { return };
        let pixels_of_image = input.grid.size.height * input.grid.size.width;
        let count = (training.meeting.images() * pixels_of_image) as f64;
        let (sums, products) = all.split_at(channels);
        let factors: Vec<f64> =
            (scales.iter().zip(&self.gamma)).map(|(scale, gamma)| scale * gamma).collect();
        let shares =
            |sums: &[f64]| factors.iter().zip(sums).map(|(f, sum)| f * sum / count).collect();
        let offsets: Vec<f64> = shares(sums);
        let mut slopes: Vec<f64> = shares(products);
        slopes.iter_mut().zip(&scales).for_each(|(slope, scale)| *slope *= scale);
        let each = Slopes { means, factors: &factors, by_distance: &slopes, offsets: &offsets };
        for (image, row) in rows(input.grid.size, images) {
            let (gradient, values) = (output.gradient.row(image, row), input.row(image, row));
            self.kernels.slopes(&each, gradient, values, result.row_mut(image, row));
        }
    }

    /// Adds the gradients of gamma and beta to those at their places, and starts them anew.
    pub fn collect(&mut self, gradient: &mut [T]) {
        let NormOptions { gamma, beta, .. } = &self.options.norm;
        for (place, sums) in [beta, gamma].into_iter().zip(&mut self.learned.0) {
            if let Some(place) = place {
                hand_out(&mut gradient[place.clone()], sums);
            }
        }
    }
}

/// The number of values of each channel, their means, and the sums of their squared distances from these.
fn own_statistics<T: Real>(
    kernels: &Kernels<T>,
    field: &Field<T>,
    images: usize,
) -> (f64, Statistics) {
    let size = field.grid.size;
    // Distances from a value of about the right size: squares of the values themselves would lose a small variance.
    let start: Vec<f64> =
        field.row(0, 0)[..size.channels].iter().map(|value| value.wide()).collect();
    let mut all = Sums::new(size.channels);
    for (image, row) in rows(size, images) {
        kernels.moments(field.row(image, row), &start, &mut all);
    }
    let Sums([sums, squares]) = all;
    let count = (images * size.height * size.width) as f64;
    let centred = |(square, sum): (&f64, &f64)| (square - sum * sum / count).max(0.0);
    let variance = squares.iter().zip(&sums).map(centred).collect();
    let mean = sums.iter().zip(&start).map(|(sum, start)| start + sum / count).collect();
    (count, Statistics { mean, variance })
}
