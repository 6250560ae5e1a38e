//! Activations as stages of their own, value by value.

use super::Stage;
use crate::engine::native::grid::{Edge, Field};
use crate::engine::native::kernels::{Activate, Kernels, Real};

/// A function of every value.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine::native) struct Pointwise<T: 'static> {
    kernels: &'static Kernels<T>,
    function: Activate,
}

impl<T: Real> Pointwise<T> {
    pub fn new(kernels: &'static Kernels<T>, function: Activate) -> Self {
        Self { kernels, function }
    }
}

impl<T: Real> Stage<T> for Pointwise<T> {
    fn forward(&mut self, input: &Field<T>, output: &mut Field<T>, images: usize) {
        output.zip_rows(input, 0..images, |output, input| {
            self.kernels.activate(self.function, input, output);
        });
    }

    fn backward(
        &mut self,
        input: &Field<T>,
        output: &mut Edge<T>,
        input_gradient: Option<&mut Field<T>>,
        images: usize,
    ) {
        let Some(result) = input_gradient else { return };
        result.zip_two_rows([input, &output.gradient], 0..images, |result, values, gradient| {
            self.kernels.activate_gradient(self.function, values, gradient, result);
        });
    }
}
