//! Groups of channels, normalised over all pixels of an image. Source: Keras
//! `layers/normalization/group_normalization.py`.
//!
//! ```text
//! z = (x - mean) / sqrt(variance + epsilon)      y = gamma * z + beta
//!     with g = gamma * dy     dx = (g - mean(g) - z * mean(g * z)) / sqrt(variance + epsilon)
//!                             dgamma = sum dy * z        dbeta = sum dy, over images and pixels
//! ```
//!
//! Means are those of a group's channels and all pixels, and the variance is the biased one. Whole rows are gone
//! through, with a factor for each of their values: a few channels would not fill vectors.

use super::Stage;
use super::layer_norm::NormOptions;
use super::learned::{Learned, repeat, sum_pixels};
use crate::engine::native::grid::{Edge, Field, Size};
use crate::engine::native::kernels::Real;
use crate::engine::native::memory::zeros;

/// To the same shape.
#[derive(Debug)]
pub(in crate::engine::native) struct GroupNorm<T> {
    gamma: Learned<T>,
    beta: Learned<T>,
    epsilon: f64,
    /// Channels of a group.
    each: usize,
    /// Mean, and one over the standard deviation, of each channel's group in the images that went forward.
    means: Vec<T>,
    factors: Vec<T>,
    /// Sums for each value of a row, and for each channel.
    row_sums: [Vec<f64>; 2],
    sums: [Vec<f64>; 2],
    /// What is the same for all rows of an image: a value for each of a row's, and for each channel.
    rows: [Vec<T>; 5],
    pixel: Vec<T>,
}

impl<T: Real> GroupNorm<T> {
    /// For up to so many images at once.
    pub fn new(groups: usize, options: NormOptions, input: Size, images: usize) -> Self {
        let NormOptions { gamma, beta, epsilon } = options;
        let Size { width, channels, .. } = input;
        let (row, all) = (width * channels, images * channels);
        Self {
            gamma: Learned::new(gamma, channels, T::one()),
            beta: Learned::new(beta, channels, T::zero()),
            epsilon,
            each: channels / groups,
            means: zeros(all),
            factors: zeros(all),
            row_sums: [zeros(row), zeros(row)],
            sums: [zeros(channels), zeros(channels)],
            rows: std::array::from_fn(|_| zeros(row)),
            pixel: zeros(channels),
        }
    }

    /// The statistics of an image.
    fn measure(&mut self, input: &Field<T>, image: usize) {
        let Size { height, width, channels } = input.grid.size;
        let count = (height * width * self.each) as f64;
        let Self { means, factors, row_sums: [row, _], sums: [sums, _], rows, .. } = self;
        let place = image * channels..(image + 1) * channels;
        let (means, factors) = (&mut means[place.clone()], &mut factors[place]);
        row.fill(0.0);
        for y in 0..height {
            row.iter_mut().zip(input.row(image, y)).for_each(|(sum, x)| *sum += x.wide());
        }
        for_each_group(row, sums, self.each, means, |sum| sum / count);
        repeat(means, &mut rows[0]);
        row.fill(0.0);
        for y in 0..height {
            for ((sum, x), mean) in row.iter_mut().zip(input.row(image, y)).zip(&rows[0]) {
                let distance = x.wide() - mean.wide();
                *sum += distance * distance;
            }
        }
        let epsilon = self.epsilon;
        for_each_group(row, sums, self.each, factors, |squares| {
            1.0 / (squares / count + epsilon).sqrt()
        });
    }

    /// Writes `of` each channel of an image to a row: of its place among the channels and among the statistics.
    fn lay_out(&mut self, row: usize, image: usize, of: impl Fn(&Self, usize, usize) -> T) {
        let channels = self.pixel.len();
        for c in 0..channels {
            self.pixel[c] = of(self, c, image * channels + c);
        }
        repeat(&self.pixel, &mut self.rows[row]);
    }

    /// Adds up an image's `dy` and `dy * z` by channels, to gamma's and beta's gradient too.
    fn learn(&mut self, input: &Field<T>, gradient: &Field<T>, image: usize) {
        let Self { row_sums: [sums, products], rows: [means, factors, ..], .. } = self;
        sums.fill(0.0);
        products.fill(0.0);
        for y in 0..input.grid.size.height {
            let dy = gradient.row(image, y);
            sums.iter_mut().zip(dy).for_each(|(sum, dy)| *sum += dy.wide());
            let values = input.row(image, y).iter().zip(dy);
            let scales = means.iter().zip(&*factors);
            for ((sum, (&x, dy)), (&mean, &factor)) in products.iter_mut().zip(values).zip(scales) {
                *sum += dy.wide() * ((x - mean) * factor).wide();
            }
        }
        let learned = [&mut self.beta, &mut self.gamma];
        let sums = self.row_sums.iter().zip(&mut self.sums);
        for ((row, sums), learned) in sums.zip(learned) {
            sum_pixels(row, sums);
            if learned.is_there() {
                learned.gradient.iter_mut().zip(&*sums).for_each(|(all, sum)| *all += sum);
            }
        }
    }

    /// Turns the sums into `mean(g)` and `mean(g * z)` of each channel's group, over so many values.
    fn average(&mut self, count: f64) {
        for sums in &mut self.sums {
            for (sum, gamma) in sums.iter_mut().zip(&self.gamma.values) {
                *sum *= gamma.wide();
            }
            for group in sums.chunks_exact_mut(self.each) {
                let mean = group.iter().sum::<f64>() / count;
                group.fill(mean);
            }
        }
    }
}

/// Sums up a row by groups, and writes `of` each sum to the group's channels; `sums` is room for a pixel.
fn for_each_group<T: Real>(
    row: &[f64],
    sums: &mut [f64],
    each: usize,
    result: &mut [T],
    of: impl Fn(f64) -> f64,
) {
    sum_pixels(row, sums);
    for (group, sums) in result.chunks_exact_mut(each).zip(sums.chunks_exact(each)) {
        group.fill(T::of(of(sums.iter().sum())));
    }
}

impl<T: Real> Stage<T> for GroupNorm<T> {
    fn load(&mut self, weights: &[T]) {
        self.gamma.load(weights);
        self.beta.load(weights);
    }

    fn forward(&mut self, input: &Field<T>, output: &mut Field<T>, images: usize) {
        for image in 0..images {
            self.measure(input, image);
            self.lay_out(1, image, |own, c, i| own.factors[i] * own.gamma.values[c]);
            self.lay_out(2, image, |own, c, _| own.beta.values[c]);
            let [means, factors, offsets, ..] = &self.rows;
            output.zip_rows(input, image..image + 1, |output, input| {
                let scales = means.iter().zip(factors).zip(offsets);
                for ((y, &x), ((&mean, &factor), &offset)) in
                    output.iter_mut().zip(input).zip(scales)
                {
                    *y = (x - mean) * factor + offset;
                }
            });
        }
    }

    fn backward(
        &mut self,
        input: &Field<T>,
        output: &mut Edge<T>,
        mut input_gradient: Option<&mut Field<T>>,
        images: usize,
    ) {
        let Size { height, width, .. } = input.grid.size;
        let count = (height * width * self.each) as f64;
        for image in 0..images {
            self.lay_out(0, image, |own, _, i| own.means[i]);
            self.lay_out(1, image, |own, _, i| own.factors[i]);
            self.learn(input, &output.gradient, image);
            let Some(result) = input_gradient.as_deref_mut() else { continue };
            self.average(count);
            // With what is the same for all pixels of a channel put together; where a group is one value, both
            // terms of the difference are the same to the last digit.
            self.lay_out(2, image, |own, c, _| own.gamma.values[c]);
            self.lay_out(3, image, |own, c, _| T::of(own.sums[0][c]));
            self.lay_out(4, image, |own, c, i| T::of(own.sums[1][c]) * own.factors[i]);
            let [means, factors, gammas, averages, slopes] = &self.rows;
            for y in 0..height {
                let values = input.row(image, y).iter().zip(output.gradient.row(image, y));
                let own = means.iter().zip(factors).zip(gammas);
                let scales = own.zip(averages.iter().zip(slopes));
                let places = result.row_mut(image, y).iter_mut().zip(values).zip(scales);
                for ((dx, (&x, &dy)), (((&mean, &factor), &gamma), (&average, &slope))) in places {
                    *dx = factor * (gamma * dy - average - (x - mean) * slope);
                }
            }
        }
    }

    fn collect(&mut self, gradient: &mut [T]) {
        self.gamma.collect(gradient);
        self.beta.collect(gradient);
    }
}
