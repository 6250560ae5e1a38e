//! Three taps: the way forward and both gradients, from planes of both grids. A few rows of tiles go all the way at
//! once, so that their planes stay in the cache: written to memory and read again, they would take longer than
//! what is computed with them.

use std::ops::Range;

use super::planes::{Cut, Planes};
use super::{At, AtMut, TILE, Tiling, matrices, tiles_of};
use crate::engine::native::kernels::{Kernels, Outer, Overlap, Packed, Pixels, Real, Transform};
use crate::engine::native::memory::zeros;
use crate::engine::native::pass::Direction;
use crate::engine::native::window::Window;

/// What the planes of both grids may take of the second-level cache, in bytes.
const CACHE: usize = 512 << 10;

/// With its buffers.
#[derive(Debug)]
pub(super) struct Winograd<T> {
    /// From input to output.
    direction: Direction,
    /// Rows of tiles in an image, and those at once.
    rows: usize,
    at_once: usize,
    fine: Tiles<T>,
    coarse: Tiles<T>,
    /// For each plane, from fine to coarse and back: the transpose.
    gather: Vec<Packed<T>>,
    scatter: Vec<Packed<T>>,
    /// Of fine pixels, filled up to whole vectors.
    bias: Vec<T>,
}

/// The tiles of a grid, and the planes of some of them.
#[derive(Debug)]
struct Tiles<T> {
    transform: Transform,
    /// All tiles of an image.
    cut: Cut,
    planes: Planes,
    values: Vec<T>,
}

/// Some rows of tiles of some images.
type Part = (Range<usize>, usize);

impl<T: Real> Winograd<T> {
    /// For up to so many images at once.
    pub fn new(window: &Window, direction: Direction, images: usize, lanes: usize) -> Self {
        let (count, tiles) = (Tiling::Winograd.planes(), tiles_of(window.coarse_size()));
        let row = count * count * tiles.1 * (window.fine + window.coarse) * size_of::<T>();
        // Several images are small ones, of which all rows fit.
        let at_once = if images > 1 { tiles.0 } else { (CACHE / row).clamp(1, tiles.0) };
        let grid = |transform, first, channels| {
            let cut = Cut { first, step: TILE, tiles };
            let planes = Planes::apart(count, channels, &cut.rows(0, at_once), images, lanes);
            Tiles { transform, cut, planes, values: zeros(planes.room(images, lanes)) }
        };
        let matrices = |rows, columns| matrices(Tiling::Winograd, rows, columns, lanes);
        let first = (-window.rows.offset, -window.columns.offset);
        Self {
            direction,
            rows: tiles.0,
            at_once,
            fine: grid(Transform::WinogradSource, first, window.fine),
            coarse: grid(Transform::WinogradGradient, (0, 0), window.coarse),
            gather: matrices(window.fine, window.coarse),
            scatter: matrices(window.coarse, window.fine),
            bias: zeros(window.fine.next_multiple_of(lanes)),
        }
    }

    /// Takes over the planes of a kernel, and the bias.
    pub fn pack(&mut self, kernel: &[T], bias: Option<&[T]>) {
        let (fine, coarse) = (self.fine.planes.channels, self.coarse.planes.channels);
        let matrices = self.gather.iter_mut().zip(&mut self.scatter);
        for ((gather, scatter), kernel) in matrices.zip(kernel.chunks_exact(fine * coarse)) {
            gather.set_rows(0, fine, kernel, coarse, 1);
            scatter.set_rows(0, coarse, kernel, 1, coarse);
        }
        match (bias, self.direction) {
            (Some(bias), Direction::Gather) => {
                self.gather[self.coarse.planes.middle()].set_bias(bias);
            }
            (Some(bias), Direction::Scatter) => self.bias[..fine].copy_from_slice(bias),
            (None, _) => {}
        }
    }

    pub fn forward(
        &mut self,
        kernels: &Kernels<T>,
        source: At<'_, T>,
        (result, to): AtMut<'_, T>,
        images: usize,
    ) {
        let direction = self.direction;
        for rows in self.parts() {
            let part = (rows, images);
            self.take(kernels, direction, source, &part);
            for plane in 0..self.gather.len() {
                self.multiply(kernels, direction, plane, &part);
            }
            self.give(kernels, direction, (&mut *result, to), part);
        }
    }

    /// Adds up the gradient of the kernel's planes, and computes the input's where it is wanted.
    pub fn backward(
        &mut self,
        kernels: &Kernels<T>,
        input: At<'_, T>,
        gradient: At<'_, T>,
        mut result: Option<AtMut<'_, T>>,
        images: usize,
        sums: &mut [T],
    ) {
        let back = self.direction.reverse();
        let size = sums.len() / self.gather.len();
        for rows in self.parts() {
            let part = (rows, images);
            self.take(kernels, self.direction, input, &part);
            self.take(kernels, back, gradient, &part);
            let pixels = self.pixels(&part);
            // Plane by plane: the input's give way to those of its gradient.
            for (plane, sums) in sums.chunks_exact_mut(size).enumerate() {
                let (left, right) = (self.fine.plane(plane), self.coarse.plane(plane));
                kernels.outer(&Outer { left, right, rows: 1, pixels }, sums);
                if result.is_some() {
                    self.multiply(kernels, back, plane, &part);
                }
            }
            if let Some((result, to)) = &mut result {
                self.give(kernels, back, (&mut **result, *to), part);
            }
        }
    }

    /// The rows of tiles, as many at a time as their planes have room for.
    fn parts(&self) -> impl Iterator<Item = Range<usize>> + use<T> {
        let (rows, at_once) = (self.rows, self.at_once);
        (0..rows).step_by(at_once).map(move |top| top..(top + at_once).min(rows))
    }

    /// Tiles of a part: pixels of a plane.
    fn pixels(&self, (rows, images): &Part) -> usize {
        rows.len() * self.coarse.cut.tiles.1 * images
    }

    /// Planes of the grid that `direction` leads from.
    fn take(
        &mut self,
        kernels: &Kernels<T>,
        direction: Direction,
        source: At<'_, T>,
        (rows, images): &Part,
    ) {
        let Tiles { transform, cut, planes, values } = match direction {
            Direction::Gather => &mut self.fine,
            Direction::Scatter => &mut self.coarse,
        };
        let map = (*transform, &cut.rows(rows.start, rows.len()));
        planes.take(kernels, map, source, values, *images);
    }

    /// A plane of one grid times the kernel's takes the place of the other grid's.
    fn multiply(&mut self, kernels: &Kernels<T>, direction: Direction, plane: usize, part: &Part) {
        let pixels = self.pixels(part);
        let (from, to, matrices) = match direction {
            Direction::Gather => (&self.fine, &mut self.coarse, &self.gather),
            Direction::Scatter => (&self.coarse, &mut self.fine, &self.scatter),
        };
        let from = (from.planes, from.values.as_slice());
        let to = (to.planes, to.values.as_mut_slice());
        super::multiply(kernels, (plane, &matrices[plane]), pixels, from, to);
    }

    /// Images from the planes that `direction` leads to.
    fn give(
        &self,
        kernels: &Kernels<T>,
        direction: Direction,
        (result, to): AtMut<'_, T>,
        (rows, images): Part,
    ) {
        if direction == Direction::Gather {
            let Tiles { planes, values, .. } = &self.coarse;
            let part = (rows, images);
            planes.give(kernels, Transform::WinogradResult, values, (result, to), part);
            return;
        }
        let (Tiles { cut, planes, values, .. }, grid) = (&self.fine, result.grid);
        for image in 0..images {
            let overlap = Overlap {
                planes: planes.of_image(image, values),
                from: planes.steps(),
                tiles: (rows.len(), cut.tiles.1),
                above: rows.start,
                below: cut.tiles.0 - rows.end,
                first: cut.first,
                size: (grid.size.height, grid.size.width),
                row_step: grid.row_step(),
                channels: planes.channels,
                bias: &self.bias,
            };
            kernels.overlap(&overlap, &mut result.tail_mut(to + image)[grid.at(0, 0)..]);
        }
    }
}

impl<T: Real> Tiles<T> {
    /// A plane's tiles, in one row.
    fn plane(&self, plane: usize) -> Pixels<'_, T> {
        let Planes { channels, step, .. } = self.planes;
        let values = &self.values[plane * step..];
        Pixels { values, row_step: 0, step: channels, length: channels }
    }
}
