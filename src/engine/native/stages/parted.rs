//! A convolution of concatenated channels, part by part: a part that an upsampling has enlarged is convolved as it was
//! before, which takes fewer multiplications, and nothing is copied side by side.
//!
//! ```text
//! y = conv(x, concatenate(a, b)) = conv(kernel of a's channels, a) + conv(kernel of b's channels, b)
//! ```

use super::Stage;
use super::convolution::{Convolution, Options};
use crate::engine::native::grid::{Edge, Field, Grid, Margin, Size};
use crate::engine::native::kernels::{Kernels, Real};
use crate::engine::native::step::{pair, rows};
use crate::engine::native::team::Team;

/// One convolution for each part; the first one has the bias.
#[derive(Debug, Clone)]
pub(in crate::engine::native) struct PartedOptions {
    pub parts: Vec<Options>,
    pub relu: bool,
}

/// With its buffers.
#[derive(Debug)]
pub(in crate::engine::native) struct Parted<T: Real> {
    kernels: &'static Kernels<T>,
    parts: Vec<Convolution<T>>,
    relu: bool,
    /// What a part gives that is added to those before it.
    more: Field<T>,
}

impl<T: Real> Parted<T> {
    /// For up to so many images at once.
    pub fn new(
        options: PartedOptions,
        output: Size,
        kernels: &'static Kernels<T>,
        images: usize,
    ) -> Self {
        let PartedOptions { parts, relu } = options;
        let parts = parts.into_iter().map(|part| Convolution::new(part, kernels, images));
        let grid = Grid { size: output, margin: Margin::default() };
        Self { kernels, parts: parts.collect(), relu, more: Field::new(grid, images) }
    }

    pub fn load(&mut self, weights: &[T]) {
        self.parts.iter_mut().for_each(|part| part.load(weights));
    }

    pub fn join(&mut self, team: &Team) {
        self.parts.iter_mut().for_each(|part| part.join(team));
    }

    /// From the edges of the parts to that of the output.
    pub fn forward(
        &mut self,
        edges: &mut [Edge<T>],
        inputs: &[usize],
        output: usize,
        images: usize,
    ) {
        for (place, (part, &input)) in self.parts.iter_mut().zip(inputs).enumerate() {
            let (input, output) = pair(edges, input, output);
            if place == 0 {
                part.forward(&input.values, &mut output.values, images);
                continue;
            }
            part.forward(&input.values, &mut self.more, images);
            output.values.zip_rows(&self.more, 0..images, |sums, more| {
                self.kernels.add_scaled(sums, more, T::one());
            });
        }
        if self.relu {
            let values = &mut edges[output].values;
            for (image, row) in rows(values.grid.size, images) {
                self.kernels.relu(values.row_mut(image, row));
            }
        }
    }

    /// And back, to the parts' gradients where they are wanted.
    pub fn backward(
        &mut self,
        edges: &mut [Edge<T>],
        inputs: &[usize],
        output: usize,
        images: usize,
        wanted: bool,
    ) {
        if self.relu {
            let Edge { values, gradient } = &mut edges[output];
            gradient.zip_rows(values, 0..images, |gradient, result| {
                self.kernels.relu_gradient(result, gradient);
            });
        }
        for (part, &input) in self.parts.iter_mut().zip(inputs) {
            let (Edge { values, gradient }, output) = pair(edges, input, output);
            part.backward(values, output, wanted.then_some(gradient), images);
        }
    }

    pub fn collect(&mut self, gradient: &mut [T]) {
        self.parts.iter_mut().for_each(|part| part.collect(gradient));
    }

    /// What each part reads around its input.
    pub fn input_margins(&self) -> impl Iterator<Item = Margin> {
        self.parts.iter().map(Stage::input_margin)
    }

    /// What all of them read around the output's gradient.
    pub fn gradient_margin(&self) -> Margin {
        let margins = self.parts.iter().map(Stage::gradient_margin);
        margins.fold(Margin::default(), Margin::or)
    }
}
