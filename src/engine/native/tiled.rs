//! Convolutions with fewer multiplications: tiles of two by two pixels from planes.
//!
//! A convolution is bilinear in its kernel `w` and its source `x`. Along one side, the two pixels `y`
//! of a tile are `y = A^T [(G w) * (B x)]`, where `*` goes value by value and `B` and `A` only add and
//! subtract; for both sides each map is applied down and across. `G w` is computed when the weights
//! change. A pixel has channels, so each `*` is a product of a plane of all tiles' pixels with a matrix:
//! the number of planes is the number of multiplications for a tile.
//!
//! - [`Tiling::Winograd`], for three taps `w0 w1 w2`, is his F(2, 3): 4 planes a side where there were 6
//!   multiplications, 16 for 36 in all. From the pixels `a b c d` come
//!   `w0 (a - c)`, `(w0 + w1 + w2)/2 (b + c)`, `(w0 - w1 + w2)/2 (c - b)` and `w2 (d - b)`; of these, named
//!   `m0` to `m3`, `m0 + m1 + m2 = w0 a + w1 b + w2 c` and `m1 - m2 + m3 = w0 b + w1 c + w2 d`.
//!   The input's gradient is a convolution of the same kind, whose kernel is turned around: that
//!   exchanges `m0` with `m3`. The kernel's gradient is the transpose: `G^T [(B x) * (A dy)]`.
//! - [`Tiling::Upsampling`], for three taps after upsampling by two, which see `a a b b c c` from the
//!   second `a` on: 3 planes a side where [`super::fold`] has 4 multiplications, 9 for 16 in all.
//!   `w0 (a - b)`, `(w0 + w1 + w2) b` and `w2 (c - b)` are `m0` to `m2`, of which
//!   `m0 + m1 = w0 a + (w1 + w2) b` and `m1 + m2 = (w0 + w1) b + w2 c`. The source's pixel `b` gets the
//!   gradient `w0 (d - b) + (w0 + w1 + w2) (b + c) + w2 (a - c)` if now `a b c d` are gradients, of its own
//!   two pixels `b c` and of their neighbours: planes that stand side by side as one pixel's channels
//!   make it a single product, and the same planes times the source are the kernel's gradient. The
//!   folded kernel has the taps `v = w2, w1 + w2, w0 + w1, w0`, so that the sum of all is `v1 + v3`.

use super::fold::Fold;
use super::grid::{Field, Margin};
use super::kernels::{Kernels, Outer, Packed, Pixels, Product, Real, Steps, Tiles, Transform};
use super::memory::zeros;
use super::pass::Direction;
use super::window::{Side, Window};

/// Which algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tiling {
    Winograd,
    Upsampling,
}

/// Fewer channels than these leave too little to multiply for what is added and subtracted.
const FEWEST_CHANNELS: usize = 8;
/// Pixels of a tile's side.
const TILE: usize = 2;
/// Tiles that fill the products' loops well; small pictures are put together until they have as many.
const ENOUGH_TILES: usize = 64;

impl Tiling {
    /// What suits a convolution, if anything does.
    pub fn of(window: &Window, fold: Fold) -> Option<Self> {
        let both = |suits: fn(&Side) -> bool| suits(&window.rows) && suits(&window.columns);
        let tiling = if fold.upsampling == Some((2, 2)) {
            let twice =
                |side: &Side| (side.taps, side.offset) == (4, 1) && side.fine == 2 * side.coarse;
            both(twice).then_some(Self::Upsampling)
        } else {
            let fits = |side: &Side| (side.taps, side.stride) == (3, 1);
            both(fits).then_some(Self::Winograd)
        };
        tiling.filter(|_| window.fine.min(window.coarse) >= FEWEST_CHANNELS)
    }

    /// `G`: a row for each plane of a side, a column for each of the window's taps.
    fn kernel_map(self) -> &'static [&'static [f64]] {
        match self {
            Self::Winograd => {
                &[&[1.0, 0.0, 0.0], &[0.5, 0.5, 0.5], &[0.5, -0.5, 0.5], &[0.0, 0.0, 1.0]]
            }
            Self::Upsampling => {
                &[&[0.0, 0.0, 0.0, 1.0], &[0.0, 1.0, 0.0, 1.0], &[1.0, 0.0, 0.0, 0.0]]
            }
        }
    }

    /// Planes of a side.
    fn planes(self) -> usize {
        self.kernel_map().len()
    }

    /// Calls `visit` with each plane, each tap that it has a share of, and that share.
    fn for_each_share(self, mut visit: impl FnMut(usize, usize, f64)) {
        let map = self.kernel_map();
        let (planes, taps) = (map.len(), map[0].len());
        for plane in 0..planes * planes {
            for tap in 0..taps * taps {
                let share = map[plane / planes][tap / taps] * map[plane % planes][tap % taps];
                if share != 0.0 {
                    visit(plane, tap, share);
                }
            }
        }
    }

    /// Zeros that the fine and the coarse grid need around them.
    pub fn margins(self, window: &Window) -> (Margin, Margin) {
        let side = |side: &Side| match self {
            Self::Upsampling => ((1, 1), (1, 1)),
            Self::Winograd => {
                let reach = |source: usize, result: usize, offset: isize| {
                    let end = TILE * result.div_ceil(TILE) + 2;
                    let after = end as isize - offset - source as isize;
                    (offset.max(0) as usize, after.max(0) as usize)
                };
                let fine = reach(side.fine, side.coarse, side.offset);
                let coarse = reach(side.coarse, side.fine, 2 - side.offset);
                // The kernel's gradient takes whole tiles.
                (fine, (coarse.0, coarse.1.max(side.coarse % TILE)))
            }
        };
        let (rows, columns) = (side(&window.rows), side(&window.columns));
        let margin = |(top, bottom), (left, right)| Margin { top, bottom, left, right };
        (margin(rows.0, columns.0), margin(rows.1, columns.1))
    }
}

/// How a picture becomes tiles.
#[derive(Debug, Clone, Copy)]
struct Cut {
    /// Where the first tile starts.
    first: (isize, isize),
    /// Pixels from tile to tile.
    step: usize,
    /// Rows of tiles, tiles of a row.
    tiles: (usize, usize),
}

impl Cut {
    fn tiles(&self) -> usize {
        self.tiles.0 * self.tiles.1
    }

    /// Where the tiles of a field stand.
    fn steps<T: Real>(&self, field: &Field<T>) -> Steps {
        let (down, across) = (field.grid.row_step(), field.grid.size.channels);
        Steps { rows: self.step * down, tiles: self.step * across, down, across }
    }
}

/// How the planes of some pictures stand in memory.
#[derive(Debug, Clone, Copy)]
struct Planes {
    /// Of a side.
    count: usize,
    /// Values of a pixel.
    channels: usize,
    /// Pixels in a row, and of a picture.
    row: usize,
    picture: usize,
    /// Distance between planes, and between pixels of a plane.
    step: usize,
    pixel_step: usize,
}

impl Planes {
    /// One behind the other, for so many pictures.
    fn apart(count: usize, channels: usize, cut: &Cut, pictures: usize, lanes: usize) -> Self {
        // The gap keeps planes from falling on the same lines of the cache, and is room to read on.
        let step = cut.tiles() * pictures * channels + lanes;
        let (row, picture) = (cut.tiles.1, cut.tiles());
        Self { count, channels, row, picture, step, pixel_step: channels }
    }

    /// Side by side, as if each were some channels of a pixel.
    fn together(count: usize, channels: usize, cut: &Cut) -> Self {
        let (row, picture) = (cut.tiles.1, cut.tiles());
        Self { count, channels, row, picture, step: channels, pixel_step: count * count * channels }
    }

    /// Values of so many pictures' planes, and what is read beyond.
    fn room(&self, pictures: usize, lanes: usize) -> usize {
        let pixels = self.picture * pictures * self.pixel_step;
        pixels.max(self.count * self.count * self.step) + lanes
    }

    fn steps(&self) -> Steps {
        Steps {
            rows: self.row * self.pixel_step,
            tiles: self.pixel_step,
            down: self.count * self.step,
            across: self.step,
        }
    }

    /// From pictures to planes.
    fn take<T: Real>(
        &self,
        kernels: &Kernels<T>,
        (transform, cut): (Transform, &Cut),
        (source, from): (&Field<T>, usize),
        planes: &mut [T],
        pictures: usize,
    ) {
        for picture in 0..pictures {
            let tiles = Tiles {
                transform,
                source: &source.tail(from + picture)[source.grid.at(cut.first.0, cut.first.1)..],
                from: cut.steps(source),
                to: self.steps(),
                rows: cut.tiles.0,
                tiles: cut.tiles.1,
                kept: (self.count, self.count),
                channels: self.channels,
            };
            kernels.tiles(&tiles, &mut planes[picture * self.picture * self.pixel_step..]);
        }
    }

    /// From planes to pictures.
    fn give<T: Real>(
        &self,
        kernels: &Kernels<T>,
        transform: Transform,
        planes: &[T],
        (result, to): (&mut Field<T>, usize),
        pictures: usize,
    ) {
        let size = result.grid.size;
        let tiles = (size.height.div_ceil(TILE), size.width.div_ceil(TILE));
        let cut = Cut { first: (0, 0), step: TILE, tiles };
        for picture in 0..pictures {
            let tiles = Tiles {
                transform,
                source: &planes[picture * self.picture * self.pixel_step..],
                from: self.steps(),
                to: cut.steps(result),
                rows: tiles.0,
                tiles: tiles.1,
                kept: (size.height - TILE * (tiles.0 - 1), size.width - TILE * (tiles.1 - 1)),
                channels: self.channels,
            };
            let start = result.grid.at(0, 0);
            kernels.tiles(&tiles, &mut result.tail_mut(to + picture)[start..]);
        }
    }
}

/// One direction: from pictures to planes, times a matrix for each plane, to pictures again.
#[derive(Debug)]
struct Sweep<T> {
    cut: Cut,
    maps: (Transform, Transform),
    source: Planes,
    result: Planes,
    direction: Direction,
    /// Whether the window stands the other way round.
    turned: bool,
    matrices: Vec<Packed<T>>,
}

impl<T: Real> Sweep<T> {
    fn new(
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
    fn pack(&mut self, kernel: &[T], bias: Option<&[T]>) {
        let (count, last) = (self.source.count, self.source.count - 1);
        let (rows, columns) = (self.source.channels, self.result.channels);
        let (row_step, column_step) = match self.direction {
            Direction::Gather => (columns, 1),
            Direction::Scatter => (1, rows),
        };
        let turn = |plane: usize| match self.turned {
            true if plane == 0 || plane == last => last - plane,
            _ => plane,
        };
        for (plane, matrix) in self.matrices.iter_mut().enumerate() {
            let place = turn(plane / count) * count + turn(plane % count);
            let kernel = &kernel[place * rows * columns..][..rows * columns];
            matrix.set_rows(0, rows, kernel, row_step, column_step);
        }
        if let Some(bias) = bias {
            self.matrices[count + 1].set_bias(bias);
        }
    }

    fn run(
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

/// A convolution's arithmetic with its buffers.
#[derive(Debug)]
pub(super) struct Tiled<T> {
    tiling: Tiling,
    window: Window,
    direction: Direction,
    /// Pictures at once.
    pictures: usize,
    forward: Sweep<T>,
    backward: Back<T>,
    /// `G w` down and across: planes, fine channels, coarse channels.
    kernel: Vec<T>,
    /// Sums of its gradient, whose rows are filled up to whole vectors.
    kernel_gradient: Vec<T>,
    /// Room for planes of one side and of the other.
    before: Vec<T>,
    after: Vec<T>,
}

/// How the gradients are computed.
#[derive(Debug)]
enum Back<T> {
    Winograd {
        input: Sweep<T>,
        /// How the fine and the coarse grid are cut for the kernel's gradient.
        cuts: (Cut, Cut),
        planes: (Planes, Planes),
    },
    Upsampling {
        cut: Cut,
        /// Of the output's gradient.
        planes: Planes,
        matrix: Packed<T>,
    },
}

impl<T: Real> Back<T> {
    fn new(
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
            return Self::Upsampling {
                cut,
                planes,
                matrix: Packed::new(planes.pixel_step, window.coarse, lanes),
            };
        }
        let other = match direction {
            Direction::Gather => Direction::Scatter,
            Direction::Scatter => Direction::Gather,
        };
        let tiles = (coarse.height.div_ceil(TILE), coarse.width.div_ceil(TILE));
        let cut = |first| Cut { first, step: TILE, tiles };
        let cuts = (cut((-window.rows.offset, -window.columns.offset)), cut((0, 0)));
        let planes = |channels| Planes::apart(tiling.planes(), channels, &cuts.0, pictures, lanes);
        Self::Winograd {
            input: Sweep::new(tiling, window, other, pictures, lanes),
            cuts,
            planes: (planes(window.fine), planes(window.coarse)),
        }
    }
}

impl<T: Real> Tiled<T> {
    /// For up to `most` pictures at once.
    pub fn new(
        tiling: Tiling,
        window: Window,
        direction: Direction,
        most: usize,
        lanes: usize,
    ) -> Self {
        let size = match direction {
            Direction::Gather => window.coarse_size(),
            Direction::Scatter => window.fine_size(),
        };
        let tiles = size.height.div_ceil(TILE) * size.width.div_ceil(TILE);
        let pictures = (ENOUGH_TILES / tiles).clamp(1, most);
        let forward = Sweep::new(tiling, &window, direction, pictures, lanes);
        let backward = Back::new(tiling, &window, direction, pictures, lanes);
        let room = |planes: &Planes| planes.room(pictures, lanes);
        let (mut before, mut after) = (room(&forward.source), room(&forward.result));
        match &backward {
            Back::Winograd { input, planes, .. } => {
                before = before.max(room(&input.source)).max(room(&planes.0));
                after = after.max(room(&input.result)).max(room(&planes.1));
            }
            Back::Upsampling { planes, .. } => before = before.max(room(planes)),
        }
        let matrices = tiling.planes() * tiling.planes();
        let stride = Outer::<T>::stride(window.coarse, lanes);
        Self {
            tiling,
            window,
            direction,
            pictures,
            forward,
            backward,
            kernel: zeros(matrices * window.fine * window.coarse),
            kernel_gradient: zeros(matrices * window.fine * stride),
            before: zeros(before),
            after: zeros(after),
        }
    }

    /// Pictures that are best taken at once, and the most that can be.
    pub fn pictures(&self) -> usize {
        self.pictures
    }

    /// Takes over a kernel as the window sees it, and the bias.
    pub fn load(&mut self, kernel: &[T], bias: Option<&[T]>) {
        let size = self.window.fine * self.window.coarse;
        self.kernel.fill(T::zero());
        self.tiling.for_each_share(|plane, tap, share| {
            let plane = &mut self.kernel[plane * size..][..size];
            add_scaled(plane, &kernel[tap * size..][..size], T::of(share));
        });
        self.forward.pack(&self.kernel, bias);
        match &mut self.backward {
            Back::Winograd { input, .. } => input.pack(&self.kernel, None),
            Back::Upsampling { matrix, planes, .. } => {
                let coarse = self.window.coarse;
                matrix.set_rows(0, planes.pixel_step, &self.kernel, coarse, 1);
            }
        }
    }

    /// Of at most [`Tiled::pictures`] pictures, from those named in source and result on.
    pub fn forward(
        &mut self,
        kernels: &Kernels<T>,
        source: (&Field<T>, usize),
        result: (&mut Field<T>, usize),
        pictures: usize,
    ) {
        let room = (&mut self.before[..], &mut self.after[..]);
        self.forward.run(kernels, source, result, pictures, room);
    }

    /// Adds up the kernel's gradient, and computes the input's where it is wanted.
    pub fn backward(
        &mut self,
        kernels: &Kernels<T>,
        input: (&Field<T>, usize),
        gradient: (&Field<T>, usize),
        result: Option<(&mut Field<T>, usize)>,
        pictures: usize,
    ) {
        let (before, after) = (&mut self.before[..], &mut self.after[..]);
        let Window { fine, coarse, .. } = self.window;
        match &self.backward {
            Back::Winograd { input: back, cuts, planes } => {
                let (fine_field, coarse_field) = match self.direction {
                    Direction::Gather => (input, gradient),
                    Direction::Scatter => (gradient, input),
                };
                let (left, right) = (Transform::WinogradSource, Transform::WinogradGradient);
                planes.0.take(kernels, (left, &cuts.0), fine_field, before, pictures);
                planes.1.take(kernels, (right, &cuts.1), coarse_field, after, pictures);
                let size = fine * Outer::<T>::stride(coarse, kernels.lanes);
                for (plane, sums) in self.kernel_gradient.chunks_exact_mut(size).enumerate() {
                    let pixels = |planes: &Planes, values| Pixels {
                        values,
                        row_step: 0,
                        step: planes.channels,
                        length: planes.channels,
                    };
                    let outer = Outer {
                        left: pixels(&planes.0, &before[plane * planes.0.step..]),
                        right: pixels(&planes.1, &after[plane * planes.1.step..]),
                        rows: 1,
                        pixels: cuts.0.tiles() * pictures,
                    };
                    kernels.outer(&outer, sums);
                }
                if let Some(result) = result {
                    back.run(kernels, gradient, result, pictures, (before, after));
                }
            }
            Back::Upsampling { cut, planes, matrix } => {
                let map = (Transform::UpsamplingGradient, cut);
                planes.take(kernels, map, gradient, before, pictures);
                let picture_step = planes.picture * planes.pixel_step;
                for picture in 0..pictures {
                    let (field, place) = (input.0, input.1 + picture);
                    let left = Pixels {
                        values: &before[picture * picture_step..],
                        row_step: planes.row * planes.pixel_step,
                        step: planes.pixel_step,
                        length: planes.pixel_step,
                    };
                    let right = Pixels {
                        values: &field.tail(place)[field.grid.at(0, 0)..],
                        row_step: field.grid.row_step(),
                        step: coarse,
                        length: coarse,
                    };
                    let (rows, pixels) = cut.tiles;
                    kernels.outer(&Outer { left, right, rows, pixels }, &mut self.kernel_gradient);
                }
                let Some((result, to)) = result else { return };
                for row in 0..pictures * cut.tiles.0 {
                    let product = Product {
                        source: &before[row * planes.row * planes.pixel_step..],
                        source_step: planes.pixel_step,
                        segments: 1,
                        segment_step: 0,
                        segment_length: planes.pixel_step,
                        matrix,
                        pixels: planes.row,
                        result_step: coarse,
                    };
                    let (picture, y) = (row / cut.tiles.0, row % cut.tiles.0);
                    kernels.product(&product, result.row_mut(to + picture, y));
                }
            }
        }
    }

    /// Hands out the kernel's gradient, as the window sees it, and starts it anew.
    pub fn collect(&mut self, kernel: &mut [T]) {
        let (coarse, size) = (self.window.coarse, self.window.fine * self.window.coarse);
        let stride = self.kernel_gradient.len() * coarse / self.kernel.len();
        let rows = self.kernel_gradient.chunks_exact(stride);
        // The kernel has done its work in this step: its place takes the gradient.
        for (sums, row) in rows.zip(self.kernel.chunks_exact_mut(coarse)) {
            row.copy_from_slice(&sums[..coarse]);
        }
        kernel.fill(T::zero());
        self.tiling.for_each_share(|plane, tap, share| {
            let tap = &mut kernel[tap * size..][..size];
            add_scaled(tap, &self.kernel[plane * size..][..size], T::of(share));
        });
        self.kernel_gradient.fill(T::zero());
    }
}

fn add_scaled<T: Real>(sums: &mut [T], terms: &[T], factor: T) {
    for (sum, &term) in sums.iter_mut().zip(terms) {
        *sum = *sum + term * factor;
    }
}
