//! Three taps: the way forward and both gradients, from planes of both grids.

use super::planes::{Cut, Planes};
use super::{At, AtMut, TILE, Tiling, matrices, tiles_of};
use crate::engine::native::kernels::{Kernels, Outer, Overlap, Packed, Pixels, Real, Transform};
use crate::engine::native::memory::zeros;
use crate::engine::native::pass::Direction;
use crate::engine::native::window::Window;

/// With its buffers.
#[derive(Debug)]
pub(super) struct Winograd<T> {
    /// From input to output.
    direction: Direction,
    /// Images at once: a group.
    images: usize,
    fine: Tiles<T>,
    coarse: Tiles<T>,
    /// For each plane, from fine to coarse and back: the transpose.
    gather: Vec<Packed<T>>,
    scatter: Vec<Packed<T>>,
    /// Of fine pixels, filled up to whole vectors.
    bias: Vec<T>,
}

/// The tiles of a grid and their planes: of each group for the input, whose planes the kernel's gradient
/// needs again, and of one group for the output.
#[derive(Debug)]
struct Tiles<T> {
    transform: Transform,
    cut: Cut,
    planes: Planes,
    groups: Vec<Vec<T>>,
}

impl<T: Real> Winograd<T> {
    /// For up to `most` images, so many at once.
    pub fn new(
        window: &Window,
        direction: Direction,
        (images, most): (usize, usize),
        lanes: usize,
    ) -> Self {
        let (count, tiles) = (Tiling::Winograd.planes(), tiles_of(window.coarse_size()));
        let grid = |transform, first, channels, is_input| {
            let cut = Cut { first, step: TILE, tiles };
            let planes = Planes::apart(count, channels, &cut, images, lanes);
            let groups = if is_input { most.div_ceil(images) } else { 1 };
            let group = || zeros(planes.room(images, lanes));
            Tiles { transform, cut, planes, groups: (0..groups).map(|_| group()).collect() }
        };
        let matrices = |rows, columns| matrices(Tiling::Winograd, rows, columns, lanes);
        let first = (-window.rows.offset, -window.columns.offset);
        let gathers = direction == Direction::Gather;
        Self {
            direction,
            images,
            fine: grid(Transform::WinogradSource, first, window.fine, gathers),
            coarse: grid(Transform::WinogradGradient, (0, 0), window.coarse, !gathers),
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
        result: AtMut<'_, T>,
        images: usize,
    ) {
        let (direction, group) = (self.direction, self.group(source.1));
        self.take(kernels, direction, source, group, images);
        for plane in 0..self.gather.len() {
            self.multiply(kernels, direction, plane, group, images);
        }
        self.give(kernels, direction, group, result, images);
    }

    /// Of the images from `first` on, which went forward last: adds up the gradient of the kernel's
    /// planes, and computes the input's where it is wanted, which takes the place of the input's planes.
    pub fn backward(
        &mut self,
        kernels: &Kernels<T>,
        first: usize,
        gradient: At<'_, T>,
        result: Option<AtMut<'_, T>>,
        images: usize,
        sums: &mut [T],
    ) {
        let (back, group) = (self.direction.reverse(), self.group(first));
        self.take(kernels, back, gradient, group, images);
        let (size, pixels) = (sums.len() / self.gather.len(), self.coarse.cut.tiles() * images);
        // Plane by plane, while it is in the cache.
        for (plane, sums) in sums.chunks_exact_mut(size).enumerate() {
            let (left, right) = (self.fine.pixels(plane, group), self.coarse.pixels(plane, group));
            kernels.outer(&Outer { left, right, rows: 1, pixels }, sums);
            if result.is_some() {
                self.multiply(kernels, back, plane, group, images);
            }
        }
        if let Some(result) = result {
            self.give(kernels, back, group, result, images);
        }
    }

    /// Which group begins with this image.
    fn group(&self, first: usize) -> usize {
        assert!(first.is_multiple_of(self.images), "a group begins elsewhere");
        first / self.images
    }

    /// Planes of the grid that `direction` leads from.
    fn take(
        &mut self,
        kernels: &Kernels<T>,
        direction: Direction,
        source: At<'_, T>,
        group: usize,
        images: usize,
    ) {
        let grid = match direction {
            Direction::Gather => &mut self.fine,
            Direction::Scatter => &mut self.coarse,
        };
        let (cut, planes) = (grid.cut, grid.planes);
        let map = (grid.transform, &cut);
        planes.take(kernels, map, source, grid.of_group_mut(group), images);
    }

    /// A plane of one grid times the kernel's takes the place of the other grid's.
    fn multiply(
        &mut self,
        kernels: &Kernels<T>,
        direction: Direction,
        plane: usize,
        group: usize,
        images: usize,
    ) {
        let pixels = self.coarse.cut.tiles() * images;
        let (from, to, matrices) = match direction {
            Direction::Gather => (&self.fine, &mut self.coarse, &self.gather),
            Direction::Scatter => (&self.coarse, &mut self.fine, &self.scatter),
        };
        let from = (from.planes, from.of_group(group));
        let to = (to.planes, to.of_group_mut(group));
        super::multiply(kernels, (plane, &matrices[plane]), pixels, from, to);
    }

    /// Images from the planes that `direction` leads to.
    fn give(
        &self,
        kernels: &Kernels<T>,
        direction: Direction,
        group: usize,
        (result, to): AtMut<'_, T>,
        images: usize,
    ) {
        if direction == Direction::Gather {
            let (planes, values) = (&self.coarse.planes, self.coarse.of_group(group));
            planes.give(kernels, Transform::WinogradResult, values, (result, to), images);
            return;
        }
        let (Tiles { cut, planes, .. }, grid) = (&self.fine, result.grid);
        for image in 0..images {
            let overlap = Overlap {
                planes: planes.of_image(image, self.fine.of_group(group)),
                from: planes.steps(),
                tiles: cut.tiles,
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
    fn of_group(&self, group: usize) -> &[T] {
        &self.groups[self.place(group)]
    }

    fn of_group_mut(&mut self, group: usize) -> &mut [T] {
        let place = self.place(group);
        &mut self.groups[place]
    }

    /// The output's groups all have the same place.
    fn place(&self, group: usize) -> usize {
        if self.groups.len() == 1 { 0 } else { group }
    }

    /// A plane's tiles, in one row.
    fn pixels(&self, plane: usize, group: usize) -> Pixels<'_, T> {
        let Planes { channels, step, .. } = self.planes;
        let values = &self.of_group(group)[plane * step..];
        Pixels { values, row_step: 0, step: channels, length: channels }
    }
}
