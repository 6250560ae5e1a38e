//! Three taps after an upsampling by two: the way forward, and both gradients from the same planes.

use super::planes::{Cut, Planes};
use super::{At, AtMut, TILE, Tiling, matrices, multiply};
use crate::engine::native::kernels::{
    Outer, Packed, Pixels, Product, Real, Transform, rows_of_sums,
};
use crate::engine::native::memory::zeros;
use crate::engine::native::team::Means;
use crate::engine::native::window::Window;

/// With its buffers.
#[derive(Debug)]
pub(super) struct Upsampling<T> {
    forward: Forward<T>,
    backward: Backward<T>,
    /// Room for the planes of coarse images, or of the gradient; and for what comes of the former.
    before: Vec<T>,
    after: Vec<T>,
}

#[derive(Debug)]
struct Forward<T> {
    cut: Cut,
    source: Planes,
    result: Planes,
    /// One for each plane.
    matrices: Vec<Packed<T>>,
}

#[derive(Debug)]
struct Backward<T> {
    cut: Cut,
    planes: Planes,
    /// For all planes.
    matrix: Packed<T>,
}

impl<T: Real> Upsampling<T> {
    /// For up to so many images at once.
    pub fn new(window: &Window, images: usize, lanes: usize) -> Self {
        let (fine, coarse) = (window.fine, window.coarse);
        let size = window.coarse_size();
        let (tiles, count) = ((size.height, size.width), Tiling::Upsampling.planes());
        let cut = |step| Cut { first: (-1, -1), step, tiles };
        let planes = |channels| Planes::apart(count, channels, &cut(1), images, lanes);
        let forward = Forward {
            cut: cut(1),
            source: planes(coarse),
            result: planes(fine),
            matrices: matrices(Tiling::Upsampling, coarse, fine, lanes),
        };
        let planes = Planes::together(count, fine, &cut(TILE));
        let matrix = Packed::new(planes.pixel_step, coarse, lanes);
        let backward = Backward { cut: cut(TILE), planes, matrix };
        let room = |planes: &Planes| planes.room(images, lanes);
        Self {
            before: zeros(room(&forward.source).max(room(&planes))),
            after: zeros(room(&forward.result)),
            forward,
            backward,
        }
    }

    /// Takes over the planes of a kernel, and the bias.
    pub fn pack(&mut self, kernel: &[T], bias: Option<&[T]>) {
        let Self { forward, backward, .. } = self;
        let (fine, coarse) = (forward.result.channels, forward.source.channels);
        for (matrix, kernel) in forward.matrices.iter_mut().zip(kernel.chunks_exact(fine * coarse))
        {
            matrix.set_rows(0, coarse, kernel, 1, coarse);
        }
        if let Some(bias) = bias {
            forward.matrices[forward.result.middle()].set_bias(bias);
        }
        backward.matrix.set_rows(0, backward.planes.pixel_step, kernel, coarse, 1);
    }

    pub fn forward(
        &mut self,
        (kernels, team): Means<'_, T>,
        source: At<'_, T>,
        (result, to): AtMut<'_, T>,
        images: usize,
        finish: impl Fn(&mut [T]) + Sync,
    ) {
        let multiplications = self.multiplications();
        let Self { forward: Forward { cut, source: planes, result: results, matrices }, .. } = self;
        let (before, after) = (&mut self.before[..], &mut self.after[..]);
        planes.take(kernels, (Transform::UpsamplingSource, cut), source, before, images);
        let pixels = cut.tiles() * images;
        let work = matrices.iter().enumerate().zip(results.each(after));
        team.share_out(images * multiplications, work, |(matrix, after)| {
            multiply(kernels, matrix, pixels, (*planes, before), (*results, after));
        });
        let (tiles, grid) = (cut.tiles.0, result.grid);
        for image in 0..images {
            let after = results.of_image(image, after);
            let rows = (0..tiles).zip(result.strips_mut(to + image, TILE));
            team.share_out(multiplications, rows, |(y, strip)| {
                let (transform, row) = (Transform::UpsamplingResult, results.of_row(y, after));
                results.give(kernels, transform, row, (grid, &mut *strip), y..y + 1);
                let rows = TILE.min(grid.size.height - TILE * y);
                grid.rows_of_strip(strip, rows).for_each(&finish);
            });
        }
    }

    /// Of all planes of an image with their matrices.
    fn multiplications(&self) -> usize {
        let Forward { cut, source, result, matrices } = &self.forward;
        cut.tiles() * matrices.len() * source.channels * result.channels
    }

    /// From the output's gradient to its planes.
    pub fn take_gradient(
        &mut self,
        (kernels, team): Means<'_, T>,
        (gradient, from): At<'_, T>,
        images: usize,
    ) {
        let multiplications = self.multiplications();
        let Backward { cut, planes, .. } = &self.backward;
        let height = cut.tiles.0;
        let rows = self.before.chunks_mut(planes.row * planes.pixel_step).take(images * height);
        team.share_out(images * multiplications, rows.enumerate(), |(row, before)| {
            let map = (Transform::UpsamplingGradient, &cut.rows(row % height, 1));
            planes.take(kernels, map, (gradient, from + row / height), before, 1);
        });
    }

    /// Adds to the gradient of the kernel's planes, from those of the output's gradient. The rows of sums are divided
    /// among the team.
    pub fn add_kernel_gradient(
        &self,
        (kernels, team): Means<'_, T>,
        (input, from): At<'_, T>,
        images: usize,
        sums: &mut [T],
    ) {
        let Backward { cut, planes, .. } = &self.backward;
        let Planes { row, pixel_step, .. } = *planes;
        let (rows, pixels) = cut.tiles;
        let coarse = input.grid.size.channels;
        let stride = Outer::<T>::stride(coarse, kernels.lanes);
        let multiplications = images * self.multiplications();
        let rows_of_sums = rows_of_sums(pixel_step, team.members(multiplications));
        let parts = sums.chunks_mut(rows_of_sums * stride).enumerate();
        team.share_out(multiplications, parts, |(part, sums)| {
            for place in 0..images {
                let left = Pixels {
                    values: &planes.of_image(place, &self.before)[part * rows_of_sums..],
                    row_step: row * pixel_step,
                    step: pixel_step,
                    length: sums.len() / stride,
                };
                let right = Pixels {
                    values: &input.tail(from + place)[input.grid.at(0, 0)..],
                    row_step: input.grid.row_step(),
                    step: coarse,
                    length: coarse,
                };
                kernels.outer(&Outer { left, right, rows, pixels }, sums);
            }
        });
    }

    /// The input's gradient, from the planes of the output's.
    pub fn input_gradient(
        &self,
        (kernels, team): Means<'_, T>,
        (result, to): AtMut<'_, T>,
        images: usize,
    ) {
        let Backward { cut, planes, matrix } = &self.backward;
        let Planes { row, pixel_step, .. } = *planes;
        let multiplications = self.multiplications();
        for image in 0..images {
            let rows = result.rows_mut(to + image).enumerate();
            team.share_out(multiplications, rows, |(y, result)| {
                let y = image * cut.tiles.0 + y;
                let product = Product {
                    source: &self.before[y * row * pixel_step..],
                    source_step: pixel_step,
                    segments: 1,
                    segment_step: 0,
                    pieces: 1,
                    piece_step: 0,
                    piece_length: pixel_step,
                    matrix,
                    pixels: row,
                    result_step: matrix.columns(),
                };
                kernels.product(&product, result);
            });
        }
    }
}
