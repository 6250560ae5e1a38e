//! Forward, and the input's gradient of [`Tiling::Winograd`].

use super::planes::{Cut, Planes};
use super::{TILE, Tiling};
use crate::engine::native::grid::Field;
use crate::engine::native::kernels::{Kernels, Packed, Product, Real, Transform};
use crate::engine::native::pass::Direction;
use crate::engine::native::window::{Side, Window};

/// One direction: from pictures to planes, times a matrix for each plane, to pictures again.
#[derive(Debug)]
pub(super) struct Sweep<T> {
    cut: Cut,
    maps: (Transform, Transform),
    pub source: Planes,
    pub result: Planes,
    direction: Direction,
    /// Whether the window stands the other way round.
    turned: bool,
    matrices: Vec<Packed<T>>,
}

impl<T: Real> Sweep<T> {
    pub fn new(
        tiling: Tiling,
        window: &Window,
        direction: Direction,
        pictures: usize,
        lanes: usize,
    ) -> Self {
        let (source, result) = match direction {
            Direction::Gather => (window.fine_size(), window.coarse_size()),
            Direction::Scatter => (window.coarse_size(), window.fine_size()),
        };
        let (maps, step, first) = match tiling {
            Tiling::Winograd => {
                let first = |side: &Side| match direction {
                    Direction::Gather => -side.offset,
                    Direction::Scatter => side.offset - 2,
                };
                let first = (first(&window.rows), first(&window.columns));
                ((Transform::WinogradSource, Transform::WinogradResult), TILE, first)
            }
            Tiling::Upsampling => {
                ((Transform::UpsamplingSource, Transform::UpsamplingResult), 1, (-1, -1))
            }
        };
        let tiles = (result.height.div_ceil(TILE), result.width.div_ceil(TILE));
        let cut = Cut { first, step, tiles };
        let count = tiling.planes();
        let planes = |channels| Planes::apart(count, channels, &cut, pictures, lanes);
        let matrix = || Packed::new(source.channels, result.channels, lanes);
        Self {
            cut,
            maps,
            source: planes(source.channels),
            result: planes(result.channels),
            direction,
            turned: tiling == Tiling::Winograd && direction == Direction::Scatter,
            matrices: (0..count * count).map(|_| matrix()).collect(),
        }
    }

    /// Takes over the planes of a kernel, and a bias: what is added in the middle comes to all four
    /// pixels of a tile.
    pub fn pack(&mut self, kernel: &[T], bias: Option<&[T]>) {
        let (count, last) = (self.source.count, self.source.count - 1);
        let (rows, columns) = (self.source.channels, self.result.channels);
        let (row_step, column_step) = match self.direction {
            Direction::Gather => (columns, 1),
            Direction::Scatter => (1, rows),
        };
        let turned = |plane: usize| self.turned && (plane == 0 || plane == last);
        let turn = |plane: usize| if turned(plane) { last - plane } else { plane };
        for (plane, matrix) in self.matrices.iter_mut().enumerate() {
            let place = turn(plane / count) * count + turn(plane % count);
            let kernel = &kernel[place * rows * columns..][..rows * columns];
            matrix.set_rows(0, rows, kernel, row_step, column_step);
        }
        if let Some(bias) = bias {
            self.matrices[count + 1].set_bias(bias);
        }
    }

    pub fn run(
        &self,
        kernels: &Kernels<T>,
        source: (&Field<T>, usize),
        result: (&mut Field<T>, usize),
        pictures: usize,
        (before, after): (&mut [T], &mut [T]),
    ) {
        self.source.take(kernels, (self.maps.0, &self.cut), source, before, pictures);
        for (plane, matrix) in self.matrices.iter().enumerate() {
            let product = Product {
                source: &before[plane * self.source.step..],
                source_step: self.source.channels,
                segments: 1,
                segment_step: 0,
                segment_length: self.source.channels,
                matrix,
                pixels: self.cut.tiles() * pictures,
                result_step: self.result.channels,
            };
            kernels.product(&product, &mut after[plane * self.result.step..]);
        }
        self.result.give(kernels, self.maps.1, after, result, pictures);
    }
}
