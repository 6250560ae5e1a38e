//! Loops over the pixels of a row with numbers of their own for each channel: what normalising by channels is made of.
//! Sums and numbers are of float64, whatever the values are.

use super::Real;

/// For each channel a line, `y = (x - mean) factor + offset`.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Lines<'a> {
    pub means: &'a [f64],
    pub factors: &'a [f64],
    pub offsets: &'a [f64],
}

/// For each channel `dx = dy factor - (x - mean) by_distance - offset`.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Slopes<'a> {
    pub means: &'a [f64],
    pub factors: &'a [f64],
    pub by_distance: &'a [f64],
    pub offsets: &'a [f64],
}

/// Two sums for each channel.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::engine) struct Sums(pub [Vec<f64>; 2]);

impl Sums {
    /// Zeros.
    pub fn new(channels: usize) -> Self {
        Self([vec![0.0; channels], vec![0.0; channels]])
    }

    /// Starts anew.
    pub fn clear(&mut self) {
        self.0.iter_mut().for_each(|sums| sums.fill(0.0));
    }

    /// Adds those of another.
    pub fn add(&mut self, [first, second]: [&[f64]; 2]) {
        for (sums, others) in self.0.iter_mut().zip([first, second]) {
            sums.iter_mut().zip(others).for_each(|(sum, other)| *sum += other);
        }
    }
}

/// Adds each value's distance from its channel's number, and the distance's square.
#[inline(always)]
pub(super) fn moments<T: Real>(values: &[T], from: &[f64], Sums([sums, squares]): &mut Sums) {
    for pixel in values.chunks_exact(from.len()) {
        let places = sums.iter_mut().zip(squares.iter_mut()).zip(from);
        for (value, ((sum, square), from)) in pixel.iter().zip(places) {
            let distance = value.wide() - from;
            *sum += distance;
            *square += distance * distance;
        }
    }
}

/// The lines of a row of pixels.
#[inline(always)]
pub(super) fn lines<T: Real>(lines: &Lines<'_>, values: &[T], results: &mut [T]) {
    let Lines { means, factors, offsets } = *lines;
    let channels = means.len();
    for (result, pixel) in results.chunks_exact_mut(channels).zip(values.chunks_exact(channels)) {
        let places = means.iter().zip(factors).zip(offsets);
        for ((y, x), ((mean, factor), offset)) in result.iter_mut().zip(pixel).zip(places) {
            *y = T::of((x.wide() - mean) * factor + offset);
        }
    }
}

/// Adds each gradient, and its product with the value's distance from its channel's mean.
#[inline(always)]
pub(super) fn products<T: Real>(
    gradient: &[T],
    values: &[T],
    means: &[f64],
    Sums([sums, products]): &mut Sums,
) {
    let channels = means.len();
    for (gradient, pixel) in gradient.chunks_exact(channels).zip(values.chunks_exact(channels)) {
        let places = sums.iter_mut().zip(products.iter_mut()).zip(means);
        for ((dy, x), ((sum, product), mean)) in gradient.iter().zip(pixel).zip(places) {
            let dy = dy.wide();
            *sum += dy;
            *product += dy * (x.wide() - mean);
        }
    }
}

/// The gradients of a row of pixels.
#[inline(always)]
pub(super) fn slopes<T: Real>(
    slopes: &Slopes<'_>,
    gradient: &[T],
    values: &[T],
    results: &mut [T],
) {
    let Slopes { means, factors, by_distance, offsets } = *slopes;
    let channels = means.len();
    let pixels = gradient.chunks_exact(channels).zip(values.chunks_exact(channels));
    for (result, (gradient, pixel)) in results.chunks_exact_mut(channels).zip(pixels) {
        let numbers = means.iter().zip(factors).zip(by_distance).zip(offsets);
        let places = result.iter_mut().zip(gradient).zip(pixel).zip(numbers);
        for (((dx, dy), x), (((mean, factor), slope), offset)) in places {
            *dx = T::of(factor * dy.wide() - (x.wide() - mean) * slope - offset);
        }
    }
}
