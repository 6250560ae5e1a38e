//! From images to planes and back.

use std::ops::Range;

use super::{TILE, tiles_of};
use crate::engine::native::grid::Field;
use crate::engine::native::kernels::{Kernels, Real, Steps, TileMap, Transform};

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

    /// Where the tiles of a field stand.
    fn steps<T: Real>(&self, field: &Field<T>) -> Steps {
        let (down, across) = (field.grid.row_step(), field.grid.size.channels);
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
                from: cut.steps(source),
                to: self.steps(),
                rows: cut.tiles.0,
                tiles: cut.tiles.1,
                kept: (self.count, self.count),
                channels: self.channels,
            };
            kernels.tiles(&tiles, &mut planes[image * self.image * self.pixel_step..]);
        }
    }

    /// From planes to images; `rows` are those of the tiles that the planes hold.
    pub fn give<T: Real>(
        &self,
        kernels: &Kernels<T>,
        transform: Transform,
        planes: &[T],
        (result, to): (&mut Field<T>, usize),
        (rows, images): (Range<usize>, usize),
    ) {
        let size = result.grid.size;
        let all = tiles_of(size);
        let cut = Cut { first: (0, 0), step: TILE, tiles: all };
        let last = if rows.end == all.0 { size.height - TILE * (all.0 - 1) } else { TILE };
        for image in 0..images {
            let tiles = TileMap {
                transform,
                source: self.of_image(image, planes),
                from: self.steps(),
                to: cut.steps(result),
                rows: rows.len(),
                tiles: all.1,
                kept: (last, size.width - TILE * (all.1 - 1)),
                channels: self.channels,
            };
            let start = result.grid.at((TILE * rows.start) as isize, 0);
            kernels.tiles(&tiles, &mut result.tail_mut(to + image)[start..]);
        }
    }
}
