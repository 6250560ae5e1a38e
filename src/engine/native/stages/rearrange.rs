//! Stages that put values at other places: axes in another order, channels as pixels.

use super::Stage;
use crate::engine::native::grid::{Edge, Field, Grid};
use crate::engine::native::kernels::Real;

/// Axes in another order. Source: Keras `layers/reshaping/permute.py`.
#[derive(Debug)]
pub(in crate::engine::native) struct Permute {
    /// Of each of the output's axes, height, width and channels: which one of the input's it is.
    pub axes: [usize; 3],
}

impl Permute {
    /// How far apart the input's values are along each of the output's axes.
    fn steps(&self, input: &Grid) -> [usize; 3] {
        let steps = [input.row_step(), input.size.channels, 1];
        self.axes.map(|axis| steps[axis])
    }
}

impl<T: Real> Stage<T> for Permute {
    fn forward(&mut self, input: &Field<T>, output: &mut Field<T>, images: usize) {
        let ([down, across, deep], size) = (self.steps(&input.grid), output.grid.size);
        let origin = input.grid.at(0, 0);
        for image in 0..images {
            let source = &input.tail(image)[origin..];
            for y in 0..size.height {
                let pixels = output.row_mut(image, y).chunks_exact_mut(size.channels);
                for (x, pixel) in pixels.enumerate() {
                    let from = source[y * down + x * across..].iter().step_by(deep);
                    pixel.iter_mut().zip(from).for_each(|(to, &from)| *to = from);
                }
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
        let ([down, across, deep], size) = (self.steps(&result.grid), output.gradient.grid.size);
        let origin = result.grid.at(0, 0);
        for image in 0..images {
            let target = &mut result.tail_mut(image)[origin..];
            for y in 0..size.height {
                let pixels = output.gradient.row(image, y).chunks_exact(size.channels);
                for (x, pixel) in pixels.enumerate() {
                    let to = target[y * down + x * across..].iter_mut().step_by(deep);
                    to.zip(pixel).for_each(|(to, &from)| *to = from);
                }
            }
        }
    }
}

/// Each pixel's channels as a block of pixels, row by row: `(H, W, C)` to `(H * block, W * block, C / block^2)`.
/// Source: TensorFlow `tf.nn.depth_to_space`, of channels-last images.
#[derive(Debug)]
pub(in crate::engine::native) struct DepthToSpace {
    pub block_size: usize,
}

impl DepthToSpace {
    /// Calls `copy` with the input's row, the output's, and the lengths of a pixel and of its part in that row.
    fn for_each_row(&self, input: &Grid, images: usize, mut copy: impl FnMut(Rows)) {
        let (block, size) = (self.block_size, input.size);
        for image in 0..images {
            for row in 0..size.height * block {
                let (deep, part) = (size.channels, size.channels / block);
                copy(Rows {
                    image,
                    deep: row / block,
                    shallow: row,
                    pixel: deep,
                    part,
                    first: row % block * part,
                });
            }
        }
    }
}

/// A row of blocks, and one of the rows of pixels that it becomes.
struct Rows {
    image: usize,
    /// The row of the input, and that of the output.
    deep: usize,
    shallow: usize,
    /// Channels of the input, how many of them come to the row, and from which one on.
    pixel: usize,
    part: usize,
    first: usize,
}

impl<T: Real> Stage<T> for DepthToSpace {
    fn forward(&mut self, input: &Field<T>, output: &mut Field<T>, images: usize) {
        self.for_each_row(&input.grid, images, |rows| {
            let source = input.row(rows.image, rows.deep).chunks_exact(rows.pixel);
            let target = output.row_mut(rows.image, rows.shallow).chunks_exact_mut(rows.part);
            for (to, from) in target.zip(source) {
                to.copy_from_slice(&from[rows.first..][..rows.part]);
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
        let grid = result.grid;
        self.for_each_row(&grid, images, |rows| {
            let source = output.gradient.row(rows.image, rows.shallow).chunks_exact(rows.part);
            let target = result.row_mut(rows.image, rows.deep).chunks_exact_mut(rows.pixel);
            for (to, from) in target.zip(source) {
                to[rows.first..][..rows.part].copy_from_slice(from);
            }
        });
    }
}
