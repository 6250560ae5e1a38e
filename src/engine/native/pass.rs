//! One direction of a convolution: each result pixel from a window of source pixels.

use super::grid::{Field, Grid, Size};
use super::kernels::{Kernels, Packed, Product, Real};
use super::memory::zeros;
use super::team::Means;
use super::window::{Phase, Window};

/// Which grid the result is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// Coarse pixels from fine ones.
    Gather,
    /// Fine pixels from coarse ones.
    Scatter,
}

impl Direction {
    /// Of the gradient.
    pub fn reverse(self) -> Self {
        match self {
            Self::Gather => Self::Scatter,
            Self::Scatter => Self::Gather,
        }
    }
}

/// Where a value of a kernel stands: taps row by row, then fine channels, then coarse channels.
fn tap_of<'a, T>(kernel: &'a [T], window: &Window, row: usize, column: usize) -> &'a [T] {
    let size = window.fine * window.coarse;
    &kernel[(row * window.columns.taps + column) * size..][..size]
}

/// Products of windows with matrices, one matrix for each phase of rows and of columns: of one group of
/// channels.
#[derive(Debug, Clone)]
pub(super) struct Pass<T> {
    direction: Direction,
    window: Window,
    rows: Vec<Phase>,
    columns: Vec<Phase>,
    matrices: Vec<Packed<T>>,
    source: Channels,
    result: Channels,
}

/// Those of a group among all of a pixel.
#[derive(Debug, Clone, Copy)]
struct Channels {
    first: usize,
    count: usize,
    all: usize,
}

impl Channels {
    /// Of a window's fine and coarse grids.
    fn of(window: &Window, group: usize) -> (Self, Self) {
        let channels = |count| Self { first: group * count, count, all: window.groups * count };
        (channels(window.fine), channels(window.coarse))
    }
}

impl<T: Real> Pass<T> {
    pub fn new(window: Window, group: usize, direction: Direction, lanes: usize) -> Self {
        let (fine, coarse) = Channels::of(&window, group);
        let (rows, columns, source, result) = match direction {
            Direction::Gather => (window.rows.gather(), window.columns.gather(), fine, coarse),
            Direction::Scatter => (window.rows.scatter(), window.columns.scatter(), coarse, fine),
        };
        let mut matrices = Vec::new();
        for row in &rows {
            for column in &columns {
                let depth = row.taps.len() * column.taps.len() * source.count;
                matrices.push(Packed::new(depth, result.count, lanes));
            }
        }
        Self { direction, window, rows, columns, matrices, source, result }
    }

    /// Takes over the group's kernel, and its bias where the result gets one.
    pub fn pack(&mut self, kernel: &[T], bias: Option<&[T]>) {
        let Window { fine, coarse, .. } = self.window;
        let (rows, row_step, column_step) = match self.direction {
            Direction::Gather => (fine, coarse, 1),
            Direction::Scatter => (coarse, 1, coarse),
        };
        let mut matrices = self.matrices.iter_mut();
        for (down, across) in pairs(&self.rows, &self.columns) {
            let matrix = matrices.next().expect("one for each pair of phases");
            let taps = pairs(&down.taps, &across.taps);
            for (place, (&row, &column)) in taps.enumerate() {
                let tap = tap_of(kernel, &self.window, row, column);
                matrix.set_rows(place * rows, rows, tap, row_step, column_step);
            }
            if let Some(bias) = bias {
                matrix.set_bias(bias);
            }
        }
    }

    /// Row `y` of an image's result, pixel beside pixel.
    pub fn row(
        &self,
        kernels: &Kernels<T>,
        source: &Field<T>,
        image: usize,
        y: usize,
        result: &mut [T],
    ) {
        let phase = y % self.rows.len();
        let down = &self.rows[phase];
        let row = down.window + (y / down.step * down.window_step) as isize;
        let matrices = &self.matrices[phase * self.columns.len()..];
        for (across, matrix) in self.columns.iter().zip(matrices) {
            let step = across.window_step * self.source.all;
            // Where no tap falls, the bias stands alone.
            let (values, source_step) = if matrix.depth() == 0 {
                (&[][..], 0)
            } else {
                let start = source.grid.at(row, across.window) + self.source.first;
                (&source.tail(image)[start..], step)
            };
            let product = Product {
                source_step,
                pixels: across.count,
                result_step: across.step * self.result.all,
                ..self.product((down, across), values, source.grid.row_step(), matrix)
            };
            let first = across.first * self.result.all + self.result.first;
            kernels.product(&product, &mut result[first..]);
        }
    }

    /// The windows of two phases; of how many pixels, and how far apart, is the caller's.
    fn product<'a>(
        &self,
        (down, across): (&Phase, &Phase),
        source: &'a [T],
        row_step: usize,
        matrix: &'a Packed<T>,
    ) -> Product<'a, T> {
        let Channels { count, all, .. } = self.source;
        let taps = across.taps.len();
        // Taps side by side, with all channels of their pixels, are one piece.
        let (pieces, piece_length) = match (across.tap_step, count == all) {
            (1, true) => (1, taps * count),
            _ => (taps, count),
        };
        Product {
            source,
            source_step: 0,
            segments: if matrix.depth() == 0 { 0 } else { down.taps.len() },
            segment_step: down.tap_step * row_step,
            pieces,
            piece_step: across.tap_step * all,
            piece_length,
            matrix,
            pixels: 1,
            result_step: 0,
        }
    }

    /// The whole result of `images` images, from those named in source and result on; `finish` is
    /// called on each row while it is in the cache. The rows are divided among the team.
    pub fn run(
        &self,
        (kernels, team): Means<'_, T>,
        (source, from): (&Field<T>, usize),
        (result, to): (&mut Field<T>, usize),
        images: usize,
        finish: impl Fn(&mut [T]) + Sync,
    ) {
        if result.grid.size.height * result.grid.size.width == 1 && self.matrices.len() == 1 {
            self.run_as_pixels(kernels, (source, from), (result, to), images);
            (0..images).for_each(|image| finish(result.row_mut(to + image, 0)));
            return;
        }
        for image in 0..images {
            let rows = result.rows_mut(to + image).enumerate();
            team.share_out(self.window.multiplications(), rows, |(y, row)| {
                self.row(kernels, source, from + image, y, row);
                finish(row);
            });
        }
    }

    /// Images that give one pixel each are computed as the pixels of one row.
    fn run_as_pixels(
        &self,
        kernels: &Kernels<T>,
        (source, from): (&Field<T>, usize),
        (result, to): (&mut Field<T>, usize),
        images: usize,
    ) {
        let (down, across, matrix) = (&self.rows[0], &self.columns[0], &self.matrices[0]);
        let start = source.grid.at(down.window, across.window) + self.source.first;
        let values = &source.tail(from)[start..];
        let product = Product {
            source_step: source.grid.image_step(),
            pixels: images,
            result_step: result.grid.image_step(),
            ..self.product((down, across), values, source.grid.row_step(), matrix)
        };
        let start = result.grid.at(0, 0) + self.result.first;
        kernels.product(&product, &mut result.tail_mut(to)[start..]);
    }
}

fn pairs<'a, A, B>(first: &'a [A], second: &'a [B]) -> impl Iterator<Item = (&'a A, &'a B)> {
    first.iter().flat_map(move |a| second.iter().map(move |b| (a, b)))
}

/// The same as a scattering [`Pass`], for results of few channels, which would leave most lanes
/// empty: each coarse pixel is multiplied with the whole kernel at once, then each fine pixel adds up
/// the taps that fall on it.
#[derive(Debug, Clone)]
pub(super) struct Col2Im<T> {
    window: Window,
    rows: Vec<Phase>,
    columns: Vec<Phase>,
    source: Channels,
    result: Channels,
    matrix: Packed<T>,
    bias: Vec<T>,
    /// An image's coarse pixels with all taps of all fine channels; the margin stays zero.
    taps: Field<T>,
    /// For each phase of rows and of columns, where the taps of its first pixel stand, counted from the
    /// first pixel of its window.
    places: Vec<Vec<usize>>,
}

impl<T: Real> Col2Im<T> {
    pub fn new(window: Window, group: usize, lanes: usize) -> Self {
        let (result, source) = Channels::of(&window, group);
        let columns = window.taps() * window.fine;
        let size = Size { channels: columns, ..window.coarse_size() };
        let grid = Grid { size, margin: window.coarse_margin() };
        let (rows, columns) = (window.rows.scatter(), window.columns.scatter());
        let places = pairs(&rows, &columns).map(|(down, across)| {
            let taps = down.taps.iter().enumerate().flat_map(|(r, ky)| {
                let taps = across.taps.iter().enumerate();
                taps.map(move |(c, kx)| (r, c, ky * window.columns.taps + kx))
            });
            let place = |(r, c, tap)| {
                let (row, column) = (r * down.tap_step, c * across.tap_step);
                row * grid.row_step() + column * size.channels + tap * window.fine
            };
            taps.map(place).collect()
        });
        Self {
            window,
            places: places.collect(),
            matrix: Packed::new(window.coarse, size.channels, lanes),
            bias: zeros(window.fine),
            taps: Field::new(grid, 1),
            rows,
            columns,
            source,
            result,
        }
    }

    pub fn pack(&mut self, kernel: &[T], bias: Option<&[T]>) {
        self.matrix.set_rows(0, self.window.coarse, kernel, 1, self.window.coarse);
        if let Some(bias) = bias {
            self.bias.copy_from_slice(bias);
        }
    }

    pub fn run(
        &mut self,
        (kernels, team): Means<'_, T>,
        (source, from): (&Field<T>, usize),
        (result, to): (&mut Field<T>, usize),
        images: usize,
        finish: impl Fn(&mut [T]) + Sync,
    ) {
        let work = self.window.taps() * result.grid.size.values();
        for image in 0..images {
            self.multiply((kernels, team), source, from + image);
            let rows = result.rows_mut(to + image).enumerate();
            team.share_out(work, rows, |(y, row)| {
                self.add_up(y, row);
                finish(row);
            });
        }
    }

    /// An image's coarse pixels with the kernel.
    fn multiply(&mut self, (kernels, team): Means<'_, T>, source: &Field<T>, image: usize) {
        let Self { window, matrix, taps, source: channels, .. } = self;
        let rows = taps.rows_mut(0).enumerate();
        team.share_out(window.multiplications(), rows, |(y, row)| {
            let product = Product {
                source: &source.row(image, y)[channels.first..],
                source_step: channels.all,
                segments: 1,
                segment_step: 0,
                pieces: 1,
                piece_step: 0,
                piece_length: channels.count,
                matrix,
                pixels: window.columns.coarse,
                result_step: matrix.columns(),
            };
            kernels.product(&product, row);
        });
    }

    /// Row `y` of the result: each pixel's bias and its taps.
    fn add_up(&self, y: usize, result: &mut [T]) {
        let phase = y % self.rows.len();
        let down = &self.rows[phase];
        let top = down.window + (y / down.step) as isize;
        let (channels, step) = (self.result.all, self.taps.grid.size.channels);
        let places = self.places[phase * self.columns.len()..].iter();
        for (across, places) in self.columns.iter().zip(places) {
            let window = &self.taps.tail(0)[self.taps.grid.at(top, across.window)..];
            let result_step = across.step * channels;
            for (channel, &bias) in self.bias.iter().enumerate() {
                let first = across.first * channels + self.result.first;
                let sums = &mut result[first + channel..];
                let taps = |place: usize| &window[place + channel..];
                if let Ok(places) = <[usize; 4]>::try_from(&places[..]) {
                    // The usual case, upsampling by two before a window of three, in one go.
                    let taps = places.map(taps);
                    for x in 0..across.count {
                        let sum = taps.iter().fold(bias, |sum, taps| sum + taps[x * step]);
                        sums[x * result_step] = sum;
                    }
                    continue;
                }
                let last = (across.count - 1) * result_step;
                let sums = &mut sums[..=last];
                sums.iter_mut().step_by(result_step).for_each(|sum| *sum = bias);
                for &place in places {
                    let taps = taps(place).iter().step_by(step);
                    let sums = sums.iter_mut().step_by(result_step).zip(taps);
                    sums.for_each(|(sum, &tap)| *sum = *sum + tap);
                }
            }
        }
    }
}
