//! Softmax over the channels of each pixel.

use super::Stage;
use crate::engine::native::grid::{Edge, Field};
use crate::engine::native::kernels::{Kernels, Real};

/// To the same shape.
#[derive(Debug)]
pub(in crate::engine::native) struct Softmax<T: 'static> {
    kernels: &'static Kernels<T>,
}

impl<T: Real> Softmax<T> {
    pub fn new(kernels: &'static Kernels<T>) -> Self {
        Self { kernels }
    }
}

impl<T: Real> Stage<T> for Softmax<T> {
    fn forward(&mut self, input: &Field<T>, output: &mut Field<T>, images: usize) {
        let channels = input.grid.size.channels;
        output.zip_rows(input, 0..images, |output, input| {
            self.kernels.softmax(input, output, channels);
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
        let channels = result.grid.size.channels;
        result.zip_two_rows([&output.values, &output.gradient], 0..images, |dx, y, dy| {
            self.kernels.softmax_gradient(y, dy, dx, channels);
        });
    }
}
