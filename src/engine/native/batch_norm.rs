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
use super::kernels::Real;
use super::stages::{NormOptions, hand_out};
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
}

/// A batch normalisation with its buffers.
#[derive(Debug)]
pub(super) struct BatchNorm {
    options: BatchNormOptions,
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

/// Two sums for each channel.
#[derive(Debug, Clone)]
struct Sums([Vec<f64>; 2]);

impl Sums {
    fn new(channels: usize) -> Self {
        Self([vec![0.0; channels], vec![0.0; channels]])
    }

    fn clear(&mut self) {
        self.0.iter_mut().for_each(|sums| sums.fill(0.0));
    }

    fn add(&mut self, [first, second]: [&[f64]; 2]) {
        for (sums, others) in self.0.iter_mut().zip([first, second]) {
            sums.iter_mut().zip(others).for_each(|(sum, other)| *sum += other);
        }
    }
}

impl Statistics {
    /// The deviation's reciprocal of each channel.
    fn scales(&self, epsilon: f64) -> impl Iterator<Item = f64> {
        self.variance.iter().map(move |variance| (variance + epsilon).sqrt().recip())
    }
}

impl BatchNorm {
    pub fn new(options: BatchNormOptions) -> Self {
        let channels = options.channels;
        Self {
            options,
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

    pub fn load<T: Real>(&mut self, weights: &Weights<T>) {
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
    pub fn forward<T: Real>(
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
        output.zip_rows(input, 0..images, |output, input| {
            for (output, input) in pixels(output, input, factors.len()) {
                let places = factors.iter().zip(&statistics.mean).zip(&self.beta);
                for ((y, &x), ((factor, mean), beta)) in output.iter_mut().zip(input).zip(places) {
                    *y = T::of((x.wide() - mean) * factor + beta);
                }
            }
        });
    }

    /// Takes over the statistics of the whole batch: from each worker's own the common ones (Chan, Golub and LeVeque,
    /// "Updating formulae and a pairwise algorithm for computing sample variances", 1979).
    fn meet<T: Real>(&mut self, input: &Field<T>, images: usize, training: Training<'_>) {
        let channels = self.options.channels;
        let (count, own) = own_statistics(input, images, channels);
        let brought = [count].into_iter().chain(own.mean).chain(own.variance);
        let (mut all, Statistics { mean, variance }) = (0.0, &mut self.batch);
        let Training { worker, meeting, .. } = training;
        meeting.exchange(2 * self.options.number, worker, brought, |brought| {
            let (count, before) = (brought[0], all);
            all += count;
            let (means, squares) = brought[1..].split_at(channels);
            for (c, (mean, square)) in mean.iter_mut().zip(variance.iter_mut()).enumerate() {
                if before == 0.0 {
                    (*mean, *square) = (means[c], squares[c]);
                    continue;
                }
                let apart = means[c] - *mean;
                *mean += apart * count / all;
                *square += squares[c] + apart * apart * before * count / all;
            }
        });
        for square in variance {
            *square /= all;
        }
    }

    /// From the output's gradient to the input's, where it is wanted.
    pub fn backward<T: Real>(
        &mut self,
        input: &Field<T>,
        output: &mut Edge<T>,
        input_gradient: Option<&mut Field<T>>,
        images: usize,
        training: Training<'_>,
    ) {
        let channels = self.options.channels;
        let scales: Vec<f64> = self.batch.scales(self.options.norm.epsilon).collect();
        let mean = &self.batch.mean;
        self.slopes.clear();
        let [sums, products] = &mut self.slopes.0;
        output.gradient.zip_rows(input, 0..images, |gradient, input| {
            for (gradient, input) in pixels(gradient, input, channels) {
                let places = sums.iter_mut().zip(products.iter_mut()).zip(mean);
                for ((dy, &x), ((sum, product), mean)) in gradient.iter().zip(input).zip(places) {
                    let dy = dy.wide();
                    *sum += dy;
                    *product += dy * (x.wide() - mean);
                }
            }
        });
        products.iter_mut().zip(&scales).for_each(|(product, scale)| *product *= scale);
        self.learned.add([&self.slopes.0[0], &self.slopes.0[1]]);
        let brought = self.slopes.0.iter().flatten().copied();
        let mut all = Sums::new(channels);
        let Training { worker, meeting, .. } = training;
        meeting.exchange(2 * self.options.number + 1, worker, brought, |brought| {
            let (sums, products) = brought.split_at(channels);
            all.add([sums, products]);
        });
        let Some(result) = input_gradient else { return };
        let pixels_of_image = input.grid.size.height * input.grid.size.width;
        let count = (training.batch * pixels_of_image) as f64;
        let [sums, products] = &all.0;
        // dx = factor dy - (x - mean) slope - offset
        let each = |c: usize| {
            let factor = scales[c] * self.gamma[c];
            (factor, factor * scales[c] * products[c] / count, factor * sums[c] / count)
        };
        let (factors, (slopes, offsets)): (Vec<f64>, (Vec<f64>, Vec<f64>)) = (0..channels)
            .map(each)
            .map(|(factor, slope, offset)| (factor, (slope, offset)))
            .unzip();
        for image in 0..images {
            for row in 0..input.grid.size.height {
                let (gradient, values) = (output.gradient.row(image, row), input.row(image, row));
                let result = result.row_mut(image, row);
                let all = result.chunks_exact_mut(channels).zip(gradient.chunks_exact(channels));
                for ((dx, dy), x) in all.zip(values.chunks_exact(channels)) {
                    let places = factors.iter().zip(&slopes).zip(&offsets).zip(mean);
                    let values = dx.iter_mut().zip(dy).zip(x).zip(places);
                    for (((dx, dy), x), (((factor, slope), offset), mean)) in values {
                        *dx = T::of(factor * dy.wide() - (x.wide() - mean) * slope - offset);
                    }
                }
            }
        }
    }

    /// Adds the gradients of gamma and beta to those at their places, and starts them anew.
    pub fn collect<T: Real>(&mut self, gradient: &mut [T]) {
        let NormOptions { gamma, beta, .. } = &self.options.norm;
        for (place, sums) in [beta, gamma].into_iter().zip(&mut self.learned.0) {
            if let Some(place) = place {
                hand_out(&mut gradient[place.clone()], sums);
            }
        }
    }
}

/// The channels of each pixel of two rows.
fn pixels<'a, T>(
    one: &'a mut [T],
    other: &'a [T],
    channels: usize,
) -> impl Iterator<Item = (&'a mut [T], &'a [T])> {
    one.chunks_exact_mut(channels).zip(other.chunks_exact(channels))
}

/// The number of values of each channel, their means, and the sums of their squared distances from these.
fn own_statistics<T: Real>(field: &Field<T>, images: usize, channels: usize) -> (f64, Statistics) {
    let size = field.grid.size;
    // Distances from a value of about the right size: squares of the values themselves would lose a small variance.
    let start: Vec<f64> = field.row(0, 0)[..channels].iter().map(|value| value.wide()).collect();
    let [mut sums, mut squares] = [vec![0.0; channels], vec![0.0; channels]];
    for (image, row) in (0..images).flat_map(|image| (0..size.height).map(move |y| (image, y))) {
        for pixel in field.row(image, row).chunks_exact(channels) {
            let places = sums.iter_mut().zip(squares.iter_mut()).zip(&start);
            for (value, ((sum, square), start)) in pixel.iter().zip(places) {
                let distance = value.wide() - start;
                *sum += distance;
                *square += distance * distance;
            }
        }
    }
    let count = (images * size.height * size.width) as f64;
    let centred = |(square, sum): (&f64, &f64)| (square - sum * sum / count).max(0.0);
    let variance = squares.iter().zip(&sums).map(centred).collect();
    let mean = sums.iter().zip(&start).map(|(sum, start)| start + sum / count).collect();
    (count, Statistics { mean, variance })
}
