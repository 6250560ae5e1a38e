//! Layers that draw random numbers while training, and let everything through after. An image's numbers depend on
//! the step's seed, the layer and the image's place in the batch alone: how images are divided among threads decides
//! nothing.
//!
//! ```text
//! Dropout, SpatialDropout2D    y = x k / (1 - rate)                      dx = dy k / (1 - rate)
//! GaussianNoise                y = x + stddev z                          dx = dy
//! GaussianDropout              y = x (1 + sqrt(rate / (1 - rate)) z)     dx = dy (1 + ...)
//! AlphaDropout                 y = a (x k + limit (1 - k)) + b           dx = a k dy
//! ```
//!
//! `k` is 1 with a probability of `1 - rate`, else 0; `z` is of the standard normal distribution. Sources: Keras
//! `layers/regularization/`, as in `crate::nn`.

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::call::{Call, Training};
use super::grid::{Edge, Field, Size};
use super::kernels::Real;
use super::memory::zeros;
use crate::nn::{SELU_LIMIT, alpha_dropout_line};
use crate::system::random::{Purpose, Stream, stream};

/// What is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Draw {
    /// This share of the values is zeroed.
    Dropout(f64),
    /// This share of the channels is.
    SpatialDropout(f64),
    /// Noise of this standard deviation is added.
    GaussianNoise(f64),
    /// Values are multiplied by noise of mean 1 with this rate.
    GaussianDropout(f64),
    /// This share of the values becomes SELU's lower limit.
    AlphaDropout(f64),
}

/// A layer with its buffers.
#[derive(Debug)]
pub(super) struct Chance<T> {
    draw: Draw,
    /// Its number among the layers of chance.
    number: usize,
    /// What each value's gradient is multiplied by, image by image.
    slopes: Vec<T>,
    values: usize,
    /// What an AlphaDropout multiplies by and adds.
    line: (f64, f64),
}

impl<T: Real> Chance<T> {
    pub fn new(draw: Draw, number: usize, size: Size, images: usize) -> Self {
        let values = size.values();
        let line = match draw {
            Draw::AlphaDropout(rate) => alpha_dropout_line(rate),
            _ => (1.0, 0.0),
        };
        Self { draw, number, slopes: zeros(images * values), values, line }
    }

    pub fn forward(
        &mut self,
        input: &Field<T>,
        output: &mut Field<T>,
        images: usize,
        call: Call<'_>,
    ) {
        output.zip_rows(input, 0..images, |output, input| output.copy_from_slice(input));
        let Call::Training(Training { seed, first, .. }) = call else { return };
        let Size { width, channels, .. } = input.grid.size;
        for image in 0..images {
            let place = (first + image) as u64;
            let mut stream = stream(seed, Purpose::Layers, self.number as u64, place);
            let slopes = &mut self.slopes[image * self.values..][..self.values];
            let rows = slopes.chunks_exact_mut(width * channels).enumerate();
            match self.draw {
                Draw::SpatialDropout(rate) => {
                    let kept: Vec<T> = (0..channels).map(|_| kept(rate, &mut stream)).collect();
                    rows.for_each(|(row, slopes)| {
                        let output = output.row_mut(image, row);
                        for (place, (y, slope)) in output.iter_mut().zip(slopes).enumerate() {
                            *slope = kept[place % channels];
                            *y = *y * *slope;
                        }
                    });
                }
                Draw::Dropout(rate) => {
                    let mut bytes = vec![0; BYTES * width * channels];
                    let (limit, kept) = (limit(rate), T::of(1.0 / (1.0 - rate)));
                    rows.for_each(|(row, slopes)| {
                        stream.fill_bytes(&mut bytes);
                        let drawn = bytes.chunks_exact(BYTES).map(number);
                        let output = output.row_mut(image, row).iter_mut();
                        for ((y, slope), drawn) in output.zip(slopes).zip(drawn) {
                            *slope = if u64::from(drawn) >= limit { kept } else { T::zero() };
                            *y = *y * *slope;
                        }
                    });
                }
                draw => rows.for_each(|(row, slopes)| {
                    let output = output.row_mut(image, row);
                    for (y, slope) in output.iter_mut().zip(slopes) {
                        (*y, *slope) = drawn(draw, self.line, *y, &mut stream);
                    }
                }),
            }
        }
    }

    pub fn backward(
        &mut self,
        output: &Edge<T>,
        input_gradient: Option<&mut Field<T>>,
        images: usize,
    ) {
        let Some(result) = input_gradient else { return };
        let Size { width, channels, .. } = result.grid.size;
        let mut slopes = self.slopes.chunks_exact(width * channels);
        result.zip_rows(&output.gradient, 0..images, |result, gradient| {
            let slopes = slopes.next().expect("as many rows as went forward");
            for ((dx, &dy), &slope) in result.iter_mut().zip(gradient).zip(slopes) {
                *dx = dy * slope;
            }
        });
    }
}

/// One value and its derivative.
fn drawn<T: Real>(draw: Draw, (a, b): (f64, f64), x: T, stream: &mut Stream) -> (T, T) {
    let mut normal = || stream.sample::<f64, _>(StandardNormal);
    match draw {
        Draw::Dropout(_) | Draw::SpatialDropout(_) => unreachable!("drawn by rows and by channels"),
        Draw::GaussianNoise(stddev) => (x + T::of(stddev * normal()), T::one()),
        Draw::GaussianDropout(rate) => {
            let factor = T::of(1.0 + (rate / (1.0 - rate)).sqrt() * normal());
            (x * factor, factor)
        }
        Draw::AlphaDropout(rate) => {
            if is_kept(rate, stream) {
                (T::of(a) * x + T::of(b), T::of(a))
            } else {
                (T::of(a * SELU_LIMIT + b), T::zero())
            }
        }
    }
}

/// 0, or what enlarges the rest to keep the mean; of a rate of 1 nothing is kept.
fn kept<T: Real>(rate: f64, stream: &mut Stream) -> T {
    if is_kept(rate, stream) { T::of(1.0 / (1.0 - rate)) } else { T::zero() }
}

fn is_kept(rate: f64, stream: &mut Stream) -> bool {
    u64::from(stream.random::<u32>()) >= limit(rate)
}

/// Numbers of 32 bits below it are that share of all: a rate is met to within 2^-32.
fn limit(rate: f64) -> u64 {
    (rate * 4_294_967_296.0).ceil() as u64
}

/// Of a number that is drawn.
const BYTES: usize = 4;

/// As `random::<u32>` makes it of the stream's bytes.
fn number(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(bytes.try_into().expect("so many bytes"))
}
