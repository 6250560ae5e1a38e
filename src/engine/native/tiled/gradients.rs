//! How the gradients are computed.

use std::slice::ChunksExactMut;

use super::planes::{Cut, Planes};
use super::sweep::Sweep;
use super::{TILE, Tiling};
use crate::engine::native::grid::Field;
use crate::engine::native::kernels::{Kernels, Outer, Packed, Pixels, Product, Real, Transform};
use crate::engine::native::pass::Direction;
use crate::engine::native::window::Window;

/// Pictures from this one on.
type At<'a, T> = (&'a Field<T>, usize);

/// One for each [`Tiling`].
#[derive(Debug)]
pub(super) enum Back<T> {
    Winograd(Winograd<T>),
    Upsampling(Upsampling<T>),
}

/// The kernel's gradient from planes of both grids; the input's like the way forward.
#[derive(Debug)]
pub(super) struct Winograd<T> {
    pub input: Sweep<T>,
    /// Of the fine and the coarse grid.
    cuts: (Cut, Cut),
    pub planes: (Planes, Planes),
}

/// Both gradients from the same planes.
#[derive(Debug)]
pub(super) struct Upsampling<T> {
    cut: Cut,
    /// Of the output's gradient.
    pub planes: Planes,
    matrix: Packed<T>,
}

impl<T: Real> Back<T> {
    pub fn new(
        tiling: Tiling,
        window: &Window,
        direction: Direction,
        pictures: usize,
        lanes: usize,
    ) -> Self {
        let coarse = window.coarse_size();
        if tiling == Tiling::Upsampling {
            let tiles = (coarse.height, coarse.width);
            let cut = Cut { first: (-1, -1), step: TILE, tiles };
            let planes = Planes::together(tiling.planes(), window.fine, &cut);
            let matrix = Packed::new(planes.pixel_step, window.coarse, lanes);
            return Self::Upsampling(Upsampling { cut, planes, matrix });
        }
        let other = match direction {
            Direction::Gather => Direction::Scatter,
            Direction::Scatter => Direction::Gather,
        };
        let tiles = (coarse.height.div_ceil(TILE), coarse.width.div_ceil(TILE));
        let cut = |first| Cut { first, step: TILE, tiles };
        let cuts = (cut((-window.rows.offset, -window.columns.offset)), cut((0, 0)));
        let planes = |channels| Planes::apart(tiling.planes(), channels, &cuts.0, pictures, lanes);
        Self::Winograd(Winograd {
            input: Sweep::new(tiling, window, other, pictures, lanes),
            cuts,
            planes: (planes(window.fine), planes(window.coarse)),
        })
    }
}

impl<T: Real> Winograd<T> {
    /// `sums` has a part for each plane.
    pub fn add_kernel_gradient(
        &self,
        kernels: &Kernels<T>,
        (fine, coarse): (At<'_, T>, At<'_, T>),
        pictures: usize,
        (before, after): (&mut [T], &mut [T]),
        sums: ChunksExactMut<'_, T>,
    ) {
        let Self { cuts, planes, .. } = self;
        let maps = (Transform::WinogradSource, Transform::WinogradGradient);
        planes.0.take(kernels, (maps.0, &cuts.0), fine, before, pictures);
        planes.1.take(kernels, (maps.1, &cuts.1), coarse, after, pictures);
        for (plane, sums) in sums.enumerate() {
            let outer = Outer {
                left: pixels(&planes.0, plane, before),
                right: pixels(&planes.1, plane, after),
                rows: 1,
                pixels: cuts.0.tiles() * pictures,
            };
            kernels.outer(&outer, sums);
        }
    }
}

fn pixels<'a, T>(planes: &Planes, plane: usize, values: &'a [T]) -> Pixels<'a, T> {
    Pixels {
        values: &values[plane * planes.step..],
        row_step: 0,
        step: planes.channels,
        length: planes.channels,
    }
}

impl<T: Real> Upsampling<T> {
    /// Takes over the planes of a kernel.
    pub fn pack(&mut self, kernel: &[T]) {
        let coarse = self.matrix.columns();
        self.matrix.set_rows(0, self.planes.pixel_step, kernel, coarse, 1);
    }

    /// From the output's gradient to its planes.
    pub fn take(
        &self,
        kernels: &Kernels<T>,
        gradient: (&Field<T>, usize),
        pictures: usize,
        planes: &mut [T],
    ) {
        let map = (Transform::UpsamplingGradient, &self.cut);
        self.planes.take(kernels, map, gradient, planes, pictures);
    }

    pub fn add_kernel_gradient(
        &self,
        kernels: &Kernels<T>,
        (input, from): (&Field<T>, usize),
        pictures: usize,
        planes: &[T],
        sums: &mut [T],
    ) {
        let Planes { row, picture, pixel_step, .. } = self.planes;
        for place in 0..pictures {
            let left = Pixels {
                values: &planes[place * picture * pixel_step..],
                row_step: row * pixel_step,
                step: pixel_step,
                length: pixel_step,
            };
            let coarse = input.grid.size.channels;
            let right = Pixels {
                values: &input.tail(from + place)[input.grid.at(0, 0)..],
                row_step: input.grid.row_step(),
                step: coarse,
                length: coarse,
            };
            let (rows, pixels) = self.cut.tiles;
            kernels.outer(&Outer { left, right, rows, pixels }, sums);
        }
    }

    pub fn input_gradient(
        &self,
        kernels: &Kernels<T>,
        planes: &[T],
        (result, to): (&mut Field<T>, usize),
        pictures: usize,
    ) {
        let Planes { row, pixel_step, .. } = self.planes;
        let height = self.cut.tiles.0;
        for y in 0..pictures * height {
            let product = Product {
                source: &planes[y * row * pixel_step..],
                source_step: pixel_step,
                segments: 1,
                segment_step: 0,
                segment_length: pixel_step,
                matrix: &self.matrix,
                pixels: row,
                result_step: self.matrix.columns(),
            };
            kernels.product(&product, result.row_mut(to + y / height, y % height));
        }
    }
}
