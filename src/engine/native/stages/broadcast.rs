//! A value whose sides of 1 are made as long as those of another one that it meets in a merge.
//!
//! ```text
//! y[i, j, c] = x[i or 0, j or 0, c or 0]        dx = sum of dy over the sides that were 1
//! ```

use super::Stage;
use crate::engine::native::grid::{Edge, Field, Size};
use crate::engine::native::kernels::Real;
use crate::engine::native::memory::zeros;

/// Each side of the input is the output's, or 1.
#[derive(Debug)]
pub(in crate::engine::native) struct Broadcast {
    /// A sum for each value of the input: in float32 a large image's would lose digits.
    sums: Vec<f64>,
}

impl Broadcast {
    pub fn new(input: Size) -> Self {
        Self { sums: zeros(input.values()) }
    }
}

/// Where a place along a side lies along the same side of the input.
fn within(place: usize, side: usize) -> usize {
    if side == 1 { 0 } else { place }
}

/// Fills a row of pixels of so many channels from a row of sides of 1.
fn spread<T: Real>(from: &[T], own: Size, to: &mut [T], channels: usize) {
    for (x, pixel) in to.chunks_exact_mut(channels).enumerate() {
        let from = &from[within(x, own.width) * own.channels..][..own.channels];
        match *from {
            [value] => pixel.fill(value),
            _ => pixel.copy_from_slice(from),
        }
    }
}

/// Adds a row of pixels of so many channels to a row of sides of 1.
fn gather<T: Real>(from: &[T], channels: usize, sums: &mut [f64], own: Size) {
    for (x, pixel) in from.chunks_exact(channels).enumerate() {
        let sums = &mut sums[within(x, own.width) * own.channels..][..own.channels];
        match sums {
            [sum] => *sum += pixel.iter().map(|value| value.wide()).sum::<f64>(),
            _ => sums.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += value.wide()),
        }
    }
}

impl<T: Real> Stage<T> for Broadcast {
    fn forward(&mut self, input: &Field<T>, output: &mut Field<T>, images: usize) {
        let (own, Size { height, channels, .. }) = (input.grid.size, output.grid.size);
        for image in 0..images {
            for y in 0..height {
                let from = input.row(image, within(y, own.height));
                spread(from, own, output.row_mut(image, y), channels);
            }
        }
    }

    fn backward(
        &mut self,
        _input: &Field<T>,
        output: &mut Edge<T>,
        input_gradient: Option<&mut Field<T>>,
        images: usize,
    ) {
        let Some(result) = input_gradient else { return };
        let (own, Size { height, channels, .. }) = (result.grid.size, output.gradient.grid.size);
        let row = own.width * own.channels;
        for image in 0..images {
            self.sums.fill(0.0);
            for y in 0..height {
                let sums = &mut self.sums[within(y, own.height) * row..][..row];
                gather(output.gradient.row(image, y), channels, sums, own);
            }
            for (y, sums) in self.sums.chunks_exact(row).enumerate() {
                let places = result.row_mut(image, y).iter_mut().zip(sums);
                places.for_each(|(to, &sum)| *to = T::of(sum));
            }
        }
    }
}
