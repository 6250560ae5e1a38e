//! Softmax over the channels of each pixel. Source: Keras `activations/activations.py`, `softmax`.
//!
//! ```text
//! y_c = exp(x_c - max x) / sum_k exp(x_k - max x)        dx_c = y_c * (dy_c - sum_k dy_k * y_k)
//! ```

use super::Stage;
use super::learned::sum_of;
use crate::engine::native::grid::{Edge, Field};
use crate::engine::native::kernels::Real;

/// To the same shape.
#[derive(Debug)]
pub(in crate::engine::native) struct Softmax;

/// What is not a number is left out; it shows in the sum.
fn largest<T: Real>(values: &[T]) -> T {
    const LANES: usize = 8;
    let larger = |a: T, b: T| if b > a { b } else { a };
    let chunks = values.chunks_exact(LANES);
    let rest = chunks.remainder().iter().copied().fold(T::neg_infinity(), larger);
    let mut lanes = [rest; LANES];
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, &value)| *lane = larger(*lane, value));
    }
    lanes.into_iter().fold(rest, larger)
}

impl<T: Real> Stage<T> for Softmax {
    fn forward(&mut self, input: &Field<T>, output: &mut Field<T>, images: usize) {
        let channels = input.grid.size.channels;
        output.zip_rows(input, 0..images, |output, input| {
            let pixels = output.chunks_exact_mut(channels).zip(input.chunks_exact(channels));
            for (y, x) in pixels {
                let largest = largest(x);
                for (y, &x) in y.iter_mut().zip(x) {
                    *y = (x - largest).exponential();
                }
                let sum = T::of(sum_of(y, y, |y, _| y.wide()));
                for y in y {
                    *y = *y / sum;
                }
            }
        });
    }

    fn backward(
        &mut self,
        _input: &Field<T>,
        output: &mut Edge<T>,
        input_gradient: Option<&mut Field<T>>,
        images: usize,
    ) {
        let Some(result) = input_gradient else { return };
        let Edge { values, gradient } = output;
        let channels = values.grid.size.channels;
        gradient.zip_rows(values, 0..images, |dy, y| {
            for (dy, y) in dy.chunks_exact_mut(channels).zip(y.chunks_exact(channels)) {
                let mean = T::of(sum_of(dy, y, |dy, y| dy.wide() * y.wide()));
                dy.iter_mut().zip(y).for_each(|(dy, &y)| *dy = y * (*dy - mean));
            }
        });
        result.zip_rows(gradient, 0..images, |dx, dy| dx.copy_from_slice(dy));
    }
}
