//! From images to planes and back.

use std::ops::Range;

use super::{TILE, tiles_of};
use crate::engine::native::grid::{Field, Grid};
use crate::engine::native::kernels::{Kernels, Pixels, Real, Steps, TileMap, Transform};

/// How an image becomes tiles.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    /// Where the first tile starts.
    pub first: (isize, isize),
    /// Pixels from tile to tile.
    pub step: usize,
    /// Rows of tiles, tiles of a row.
    pub tiles: (usize, usize),
}

impl Cut {
    pub fn tiles(&self) -> usize {
        self.tiles.0 * self.tiles.1
    }

    /// So many of its rows of tiles, from this one on.
    pub fn rows(&self, top: usize, rows: usize) -> Self {
        let first = (self.first.0 + (top * self.step) as isize, self.first.1);
        Self { first, tiles: (rows, self.tiles.1), ..*self }
    }

    /// Where the tiles of an image stand.
    fn steps(&self, grid: Grid) -> Steps {
        let (down, across) = (grid.row_step(), grid.size.channels);
        Steps { rows: self.step * down, tiles: self.step * across, down, across }
    }
}

/// How the planes of some images stand in memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Planes {
    /// Of a side.
    pub count: usize,
    /// Values of a pixel.
    pub channels: usize,
    /// Pixels in a row, and of an image.
    pub row: usize,
    pub image: usize,
    /// Distance between planes, and between pixels of a plane.
    pub step: usize,
    pub pixel_step: usize,
}

impl Planes {
    /// One behind the other, for so many images.
    pub fn apart(count: usize, channels: usize, cut: &Cut, images: usize, lanes: usize) -> Self {
        // The gap keeps planes from falling on the same lines of the cache, and is room to read on.
        let step = cut.tiles() * images * channels + lanes;
        let (row, image) = (cut.tiles.1, cut.tiles());
        Self { count, channels, row, image, step, pixel_step: channels }
    }

    /// Side by side, as if each were some channels of a pixel.
    pub fn together(count: usize, channels: usize, cut: &Cut) -> Self {
        let (row, image) = (cut.tiles.1, cut.tiles());
        Self { count, channels, row, image, step: channels, pixel_step: count * count * channels }
    }

    /// Values of so many images' planes, and what is read beyond.
    pub fn room(&self, images: usize, lanes: usize) -> usize {
        let pixels = self.image * images * self.pixel_step;
        pixels.max(self.count * self.count * self.step) + lanes
    }

    /// The second plane down and across: what is added there comes to all four pixels of a tile.
    pub fn middle(&self) -> usize {
        self.count + 1
    }

    /// Where the planes of an image start.
    pub fn of_image<'a, T>(&self, image: usize, values: &'a [T]) -> &'a [T] {
        &values[image * self.image * self.pixel_step..]
    }

    /// From a row of tiles of an image on.
    pub fn of_row<'a, T>(&self, row: usize, values: &'a [T]) -> &'a [T] {
        &values[row * self.row * self.pixel_step..]
    }

    /// Of planes that stand one behind the other, each by itself.
    pub fn each<'a, T: Send>(
        &self,
        values: &'a mut [T],
    ) -> impl ExactSizeIterator<Item = &'a mut [T]> + Send + use<'a, T> {
        values.chunks_mut(self.step).take(self.count * self.count)
    }

    /// The pixels of one that stands by itself.
    pub fn in_a_row<'a, T>(&self, values: &'a [T]) -> Pixels<'a, T> {
        Pixels { values, row_step: 0, step: self.channels, length: self.channels }
    }

    /// Where their pixels stand.
    pub fn steps(&self) -> Steps {
        Steps {
            rows: self.row * self.pixel_step,
            tiles: self.pixel_step,
            down: self.count * self.step,
            across: self.step,
        }
    }

    /// From images to planes.
    pub fn take<T: Real>(
        &self,
        kernels: &Kernels<T>,
        (transform, cut): (Transform, &Cut),
        (source, from): (&Field<T>, usize),
        planes: &mut [T],
        images: usize,
    ) {
        for image in 0..images {
            let tiles = TileMap {
                transform,
                source: &source.tail(from + image)[source.grid.at(cut.first.0, cut.first.1)..],
                from: cut.steps(source.grid),
                to: self.steps(),
                rows: cut.tiles.0,
                tiles: cut.tiles.1,
                kept: (self.count, self.count),
                channels: self.channels,
            };
            kernels.tiles(&tiles, &mut planes[image * self.image * self.pixel_step..]);
        }
    }

    /// From planes to an image of this grid; `rows` are those of the tiles that the planes hold, and `result` starts
    /// with their first pixel.
    pub fn give<T: Real>(
        &self,
        kernels: &Kernels<T>,
        transform: Transform,
        planes: &[T],
        (grid, result): (Grid, &mut [T]),
        rows: Range<usize>,
    ) {
        let size = grid.size;
        let all = tiles_of(size);
        let cut = Cut { first: (0, 0), step: TILE, tiles: all };
        let last = if rows.end == all.0 { size.height - TILE * (all.0 - 1) } else { TILE };
        let tiles = TileMap {
            transform,
            source: planes,
            from: self.steps(),
            to: cut.steps(grid),
            rows: rows.len(),
            tiles: all.1,
            kept: (last, size.width - TILE * (all.1 - 1)),
            channels: self.channels,
        };
        kernels.tiles(&tiles, result);
    }
}
