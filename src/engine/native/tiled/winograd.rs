//! Three taps: the way forward and both gradients, from planes of both grids. A few rows of tiles go all the way at
//! once, so that their planes stay in the cache: written to memory and read again, they would take longer than
//! what is computed with them. A team takes several such parts at a time.

use std::ops::Range;

use super::planes::{Cut, Planes};
use super::{At, AtMut, TILE, Tiling, finish_all, matrices, tiles_of};
use crate::engine::native::kernels::{Kernels, Outer, Overlap, Packed, Real, Transform};
use crate::engine::native::memory::zeros;
use crate::engine::native::pass::Direction;
use crate::engine::native::team::{Means, Team};
use crate::engine::native::window::Window;

/// What the planes of both grids may take of the second-level cache, in bytes.
const CACHE: usize = 512 << 10;

/// With its buffers.
#[derive(Debug)]
pub(super) struct Winograd<T> {
    maps: Maps<T>,
    /// For as many parts as have ever been worked on at the same time.
    rooms: Vec<Room<T>>,
    /// Images that a room is for.
    images: usize,
    lanes: usize,
}

/// What is done, whatever the images.
#[derive(Debug)]
struct Maps<T> {
    /// From input to output.
    direction: Direction,
    /// Rows of tiles in an image, and those at once.
    rows: usize,
    at_once: usize,
    fine: Tiles,
    coarse: Tiles,
    /// For each plane, from fine to coarse and back: the transpose.
    gather: Vec<Packed<T>>,
    scatter: Vec<Packed<T>>,
    /// Of fine pixels, filled up to whole vectors.
    bias: Vec<T>,
}

/// The tiles of a grid, and how the planes of some of them stand.
#[derive(Debug)]
struct Tiles {
    transform: Transform,
    /// All tiles of an image.
    cut: Cut,
    planes: Planes,
}

/// Room for a part's planes of both grids.
#[derive(Debug)]
struct Room<T> {
    fine: Vec<T>,
    coarse: Vec<T>,
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
            Tiles { transform, cut, planes }
        };
        let matrices = |rows, columns| matrices(Tiling::Winograd, rows, columns, lanes);
        let first = (-window.rows.offset, -window.columns.offset);
        let maps = Maps {
            direction,
            rows: tiles.0,
            at_once,
            fine: grid(Transform::WinogradSource, first, window.fine),
            coarse: grid(Transform::WinogradGradient, (0, 0), window.coarse),
            gather: matrices(window.fine, window.coarse),
            scatter: matrices(window.coarse, window.fine),
            bias: zeros(window.fine.next_multiple_of(lanes)),
        };
        let mut winograd = Self { maps, rooms: Vec::new(), images, lanes };
        winograd.make_rooms(1);
        winograd
    }

    /// Takes over the planes of a kernel, and the bias.
    pub fn pack(&mut self, kernel: &[T], bias: Option<&[T]>) {
        let maps = &mut self.maps;
        let (fine, coarse) = (maps.fine.planes.channels, maps.coarse.planes.channels);
        let matrices = maps.gather.iter_mut().zip(&mut maps.scatter);
        for ((gather, scatter), kernel) in matrices.zip(kernel.chunks_exact(fine * coarse)) {
            gather.set_rows(0, fine, kernel, coarse, 1);
            scatter.set_rows(0, coarse, kernel, 1, coarse);
        }
        match (bias, maps.direction) {
            (Some(bias), Direction::Gather) => {
                maps.gather[maps.coarse.planes.middle()].set_bias(bias);
            }
            (Some(bias), Direction::Scatter) => maps.bias[..fine].copy_from_slice(bias),
            (None, _) => {}
        }
    }

    /// `finish` is called on each row, as soon as it can be while it is in the cache.
    pub fn forward(
        &mut self,
        (kernels, team): Means<'_, T>,
        source: At<'_, T>,
        (result, to): AtMut<'_, T>,
        images: usize,
        finish: impl Fn(&mut [T]) + Sync,
    ) {
        let parts = self.parts(images);
        let count = self.make_rooms(team.members(self.maps.multiplications(&parts)));
        let Self { maps, rooms, .. } = self;
        let direction = maps.direction;
        // Where all tiles are one part, the team shares its planes.
        let alone = &Team::alone();
        let within = if count == 1 { team } else { alone };
        for parts in parts.chunks(count) {
            let own = parts.iter().zip(&mut *rooms);
            team.share_out(maps.multiplications(parts), own, |(part, room)| {
                maps.take(kernels, direction, source, part, room);
                maps.multiply((kernels, within), part, room);
            });
            maps.give((kernels, team), direction, (&mut *result, to), parts, rooms, &finish);
        }
        if direction == Direction::Scatter {
            finish_all(team, (result, to), images, finish);
        }
    }

    /// Adds up the gradient of the kernel's planes, and computes the input's where it is wanted.
    pub fn backward(
        &mut self,
        (kernels, team): Means<'_, T>,
        input: At<'_, T>,
        gradient: At<'_, T>,
        mut result: Option<AtMut<'_, T>>,
        images: usize,
        sums: &mut [T],
    ) {
        let parts = self.parts(images);
        let count = self.make_rooms(team.members(self.maps.multiplications(&parts)));
        let Self { maps, rooms, .. } = self;
        let (direction, back) = (maps.direction, maps.direction.reverse());
        for parts in parts.chunks(count) {
            let own = parts.iter().zip(&mut *rooms);
            team.share_out(maps.multiplications(parts), own, |(part, room)| {
                maps.take(kernels, direction, input, part, room);
                maps.take(kernels, back, gradient, part, room);
            });
            maps.go_back((kernels, team), parts, rooms, sums, result.is_some());
            if let Some((result, to)) = &mut result {
                let result = (&mut **result, *to);
                maps.give((kernels, team), back, result, parts, rooms, |_| {});
            }
        }
    }

    /// All rows of tiles of so many images, as many at a time as their planes have room for.
    fn parts(&self, images: usize) -> Vec<Part> {
        let Maps { rows, at_once, .. } = self.maps;
        let tops = (0..rows).step_by(at_once);
        tops.map(|top| (top..(top + at_once).min(rows), images)).collect()
    }

    /// Sees to it that there are so many rooms, or one for each part of an image if these are fewer. Returns their
    /// number.
    fn make_rooms(&mut self, most: usize) -> usize {
        let Self { maps, rooms, images, lanes } = self;
        let count = most.min(maps.rows.div_ceil(maps.at_once));
        let room = |tiles: &Tiles| zeros(tiles.planes.room(*images, *lanes));
        while rooms.len() < count {
            rooms.push(Room { fine: room(&maps.fine), coarse: room(&maps.coarse) });
        }
        count
    }
}

impl<T: Real> Maps<T> {
    /// Tiles of a part: pixels of a plane.
    fn pixels(&self, (rows, images): &Part) -> usize {
        rows.len() * self.coarse.cut.tiles.1 * images
    }

    /// Of all planes of some parts with their matrices.
    fn multiplications(&self, parts: &[Part]) -> usize {
        let pixels: usize = parts.iter().map(|part| self.pixels(part)).sum();
        pixels * self.gather.len() * self.fine.planes.channels * self.coarse.planes.channels
    }

    /// The grid that `direction` leads from, and the one that it leads to.
    fn grids(&self, direction: Direction) -> (&Tiles, &Tiles) {
        match direction {
            Direction::Gather => (&self.fine, &self.coarse),
            Direction::Scatter => (&self.coarse, &self.fine),
        }
    }

    /// The kernel's planes.
    fn matrices(&self, direction: Direction) -> &[Packed<T>] {
        match direction {
            Direction::Gather => &self.gather,
            Direction::Scatter => &self.scatter,
        }
    }

    /// Planes of the grid that `direction` leads from.
    fn take(
        &self,
        kernels: &Kernels<T>,
        direction: Direction,
        source: At<'_, T>,
        (rows, images): &Part,
        room: &mut Room<T>,
    ) {
        let Tiles { transform, cut, planes } = self.grids(direction).0;
        let values = match direction {
            Direction::Gather => &mut room.fine,
            Direction::Scatter => &mut room.coarse,
        };
        let map = (*transform, &cut.rows(rows.start, rows.len()));
        planes.take(kernels, map, source, values, *images);
    }

    /// The planes of one grid times the kernel's take the places of the other grid's.
    fn multiply(&self, (kernels, team): Means<'_, T>, part: &Part, room: &mut Room<T>) {
        let (from, to) = self.grids(self.direction);
        let (from, to) = (from.planes, to.planes);
        let (source, results) = room.sides(self.direction);
        let matrices = self.matrices(self.direction).iter().enumerate();
        let planes = matrices.zip(to.each(results));
        let multiplications = self.multiplications(std::slice::from_ref(part));
        team.share_out(multiplications, planes, |(matrix, result)| {
            let pixels = self.pixels(part);
            super::multiply(kernels, matrix, pixels, (from, source), (to, result));
        });
    }

    /// From the planes of the input and of the output's gradient to the sums of the kernel's gradient. Where the
    /// input's gradient is wanted, its planes take the places of the input's.
    fn go_back(
        &self,
        (kernels, team): Means<'_, T>,
        parts: &[Part],
        rooms: &mut [Room<T>],
        sums: &mut [T],
        wanted: bool,
    ) {
        let back = self.direction.reverse();
        let (from, to) = self.grids(back);
        let (from, to) = (from.planes, to.planes);
        let mut sides: Vec<_> = (parts.iter().zip(rooms))
            .map(|(part, room)| {
                let (gradients, inputs) = room.sides(back);
                (self.pixels(part), gradients, to.each(inputs))
            })
            .collect();
        // Of each plane all parts in their order, in which its sums are always added up.
        let mut planes = Vec::with_capacity(self.gather.len() * parts.len());
        for _ in &self.gather {
            planes.extend(sides.iter_mut().filter_map(|(pixels, gradients, inputs)| {
                Some((*pixels, *gradients, inputs.next()?))
            }));
        }
        let size = sums.len() / self.gather.len();
        let work = (self.matrices(back).iter().enumerate())
            .zip(planes.chunks_exact_mut(parts.len()))
            .zip(sums.chunks_exact_mut(size));
        let multiplications = (1 + usize::from(wanted)) * self.multiplications(parts);
        team.share_out(multiplications, work, |((matrix, parts), sums)| {
            for (pixels, gradients, input) in parts {
                let pixels = *pixels;
                let gradient = from.in_a_row(&gradients[matrix.0 * from.step..]);
                let (left, right) = match back {
                    Direction::Gather => (gradient, to.in_a_row(input)),
                    Direction::Scatter => (to.in_a_row(input), gradient),
                };
                kernels.outer(&Outer { left, right, rows: 1, pixels }, sums);
                if wanted {
                    super::multiply(kernels, matrix, pixels, (from, gradients), (to, input));
                }
            }
        });
    }

    /// Images from the planes that `direction` leads to. `finish` is called on each row of coarse ones: of fine ones, which
    /// neighbouring parts add to, the caller has to do it.
    fn give(
        &self,
        (kernels, team): Means<'_, T>,
        direction: Direction,
        (result, to): AtMut<'_, T>,
        parts: &[Part],
        rooms: &[Room<T>],
        finish: impl Fn(&mut [T]) + Sync,
    ) {
        if direction == Direction::Scatter {
            // Tiles of neighbouring parts overlap.
            for (part, room) in parts.iter().zip(rooms) {
                self.overlap(kernels, (&mut *result, to), part, &room.fine);
            }
            return;
        }
        let (planes, grid) = (self.coarse.planes, result.grid);
        let (first, images) = &parts[0];
        for image in 0..*images {
            let strips = result.strips_mut(to + image, TILE * self.at_once);
            let own = parts.iter().zip(rooms).zip(strips.skip(first.start / self.at_once));
            team.share_out(self.multiplications(parts), own, |(((rows, _), room), strip)| {
                let values = planes.of_image(image, &room.coarse);
                let transform = Transform::WinogradResult;
                planes.give(kernels, transform, values, (grid, &mut *strip), rows.clone());
                let rows = TILE * rows.start..grid.size.height.min(TILE * rows.end);
                grid.rows_of_strip(strip, rows.len()).for_each(&finish);
            });
        }
    }

    /// Goes on with fine images, from the planes of a part: the rows of tiles come in order.
    fn overlap(
        &self,
        kernels: &Kernels<T>,
        (result, to): AtMut<'_, T>,
        (rows, images): &Part,
        values: &[T],
    ) {
        let (Tiles { cut, planes, .. }, grid) = (&self.fine, result.grid);
        for image in 0..*images {
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

impl<T> Room<T> {
    /// The planes that `direction` leads from, and those that it leads to.
    fn sides(&mut self, direction: Direction) -> (&[T], &mut [T]) {
        match direction {
            Direction::Gather => (&self.fine, &mut self.coarse),
            Direction::Scatter => (&self.coarse, &mut self.fine),
        }
    }
}
