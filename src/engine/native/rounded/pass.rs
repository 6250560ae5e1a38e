//! One direction: each result pixel from a window of source pixels.

use super::{At, AtMut, with_lines};
use crate::engine::native::grid::Grid;
use crate::engine::native::kernels::{Bfloat16, Given, LINE, Line, Real, Row, SIDE, Tall, Tile};
use crate::engine::native::pass::Direction;
use crate::engine::native::team::{MULTIPLICATIONS_OF_A_VALUE, Team};
use crate::engine::native::window::{Phase, Window};

/// Rows of results that are computed with the same channels of the kernel before the next ones are taken: these stay in
/// the first-level cache.
const STRIP: usize = 8;

/// The kernel, packed for it.
#[derive(Debug)]
pub(super) struct Pass<T: Real> {
    form: &'static Bfloat16<T>,
    direction: Direction,
    window: Window,
    /// Of stride 1: all pixels of the result have windows alike.
    rows: Phase,
    columns: Phase,
    /// Channels of the source, and of the result.
    from: usize,
    to: usize,
    /// For each 16 channels of the result 16 lines for each step: of each tap, each 32 channels of the source.
    kernel: Vec<Line>,
    /// Of whole tiles.
    bias: Vec<[f32; SIDE]>,
    /// One tap, transposed.
    tap: Vec<T>,
}

/// What all tiles of an image have in common.
struct Job<'a> {
    /// The source with its margin, pixel by pixel.
    image: &'a [Line],
    /// Lines from row to row.
    row_step: usize,
    /// Of the window's steps, lines from its first one.
    offsets: Vec<usize>,
    /// Of the first window, its first line.
    first: usize,
}

impl<T: Real> Pass<T> {
    pub fn new(form: &'static Bfloat16<T>, window: &Window, direction: Direction) -> Self {
        let Window { fine, coarse, .. } = *window;
        let (rows, columns, from, to) = match direction {
            Direction::Gather => (window.rows.gather(), window.columns.gather(), fine, coarse),
            Direction::Scatter => (window.rows.scatter(), window.columns.scatter(), coarse, fine),
        };
        let alike = |mut phases: Vec<Phase>| phases.pop().expect("a stride of 1 has one phase");
        let (steps, blocks) = (window.taps() * from.div_ceil(LINE), to.div_ceil(SIDE));
        Self {
            form,
            direction,
            window: *window,
            rows: alike(rows),
            columns: alike(columns),
            from,
            to,
            kernel: vec![Line::ZERO; blocks * steps * SIDE],
            bias: vec![[0.0; SIDE]; blocks],
            tap: Vec::new(),
        }
    }

    /// Lines of a source pixel.
    fn lines(&self) -> usize {
        self.from.div_ceil(LINE)
    }

    fn steps(&self) -> usize {
        self.window.taps() * self.lines()
    }

    /// Takes over a kernel, and the bias where the result gets one.
    pub fn pack(&mut self, kernel: &[T], bias: Option<&[T]>) {
        let size = self.from * self.to;
        let (lines, steps) = (self.lines(), self.steps());
        let across = self.window.columns.taps;
        let taps = self
            .rows
            .taps
            .iter()
            .flat_map(|row| self.columns.taps.iter().map(move |column| row * across + column));
        for (place, tap) in taps.enumerate() {
            let tap = &kernel[tap * size..][..size];
            let tap = match self.direction {
                Direction::Gather => tap,
                Direction::Scatter => transpose(tap, self.from, &mut self.tap),
            };
            for (block, kernel) in self.kernel.chunks_exact_mut(steps * SIDE).enumerate() {
                let kernel = &mut kernel[place * lines * SIDE..][..lines * SIDE];
                for (line, kernel) in kernel.chunks_exact_mut(SIDE).enumerate() {
                    let row = Row {
                        values: &tap[line * LINE * self.to + block * SIDE..],
                        step: self.to,
                        channels: SIDE.min(self.to - block * SIDE),
                        pixels: LINE.min(self.from - line * LINE),
                    };
                    self.form.pair(&row, kernel);
                }
            }
        }
        if let Some(bias) = bias {
            let to = self.bias.as_flattened_mut().iter_mut().zip(bias);
            to.for_each(|(to, bias)| *to = bias.wide() as f32);
        }
    }

    /// The whole result of an image; `finish` is called on each of its rows. The rows are divided among the team.
    pub fn run(
        &self,
        team: &Team,
        (source, from): At<'_, T>,
        (result, to): AtMut<'_, T>,
        finish: &(impl Fn(&mut [T]) + Sync),
    ) {
        let (grid, lines) = (source.grid, self.lines());
        let row_step = grid.row_step() / self.from * lines;
        let rows = grid.image_step() / grid.row_step();
        // The last tile of a row may reach beyond it.
        let count = rows * row_step + SIDE * lines;
        with_lines([count], |[image]| {
            let values = source.tail(from).chunks(grid.row_step());
            let taken = image.chunks_mut(row_step).zip(values).take(rows);
            team.share_out(
                MULTIPLICATIONS_OF_A_VALUE * grid.image_step(),
                taken,
                |(image, values)| {
                    let pixels = row_step / lines;
                    let row = Row { values, step: self.from, channels: self.from, pixels };
                    self.form.round(&row, image);
                },
            );
            let job = self.job(&grid, image, row_step);
            let (height, grid) = (result.grid.size.height, result.grid);
            let strips = result.strips_mut(to, STRIP).take(height.div_ceil(STRIP)).enumerate();
            team.share_out(self.window.multiplications(), strips, |(strip, values)| {
                let rows = STRIP.min(height - strip * STRIP);
                self.strip(&job, strip * STRIP, rows, grid.row_step(), values);
                for row in values.chunks_mut(grid.row_step()).take(rows) {
                    finish(&mut row[..grid.size.width * self.to]);
                }
            });
        });
    }

    fn job<'a>(&self, grid: &Grid, image: &'a [Line], row_step: usize) -> Job<'a> {
        let lines = self.lines();
        let first = grid.at(self.rows.window, self.columns.window) / self.from * lines;
        let mut offsets = Vec::with_capacity(self.steps());
        for row in 0..self.rows.taps.len() {
            for column in 0..self.columns.taps.len() {
                let pixel = column * self.columns.tap_step * lines;
                let tap = row * self.rows.tap_step * row_step + pixel;
                offsets.extend(tap..tap + lines);
            }
        }
        Job { image, row_step, offsets, first }
    }

    /// So many rows of results from `top` on.
    fn strip(&self, job: &Job<'_>, top: usize, rows: usize, result_step: usize, result: &mut [T]) {
        let (width, lines) = (self.columns.count, self.lines());
        let places: Vec<(usize, usize)> = (0..rows)
            .flat_map(|row| (0..width).step_by(SIDE).map(move |column| (row, column)))
            .collect();
        let mut sums = [Tile::ZERO; 4];
        let kernels = self.kernel.chunks_exact(self.steps() * SIDE);
        for ((block, kernel), bias) in kernels.enumerate().zip(&self.bias) {
            let channels = SIDE.min(self.to - block * SIDE);
            for places in places.chunks(4) {
                let start = |(row, column): (usize, usize)| {
                    job.first + (top + row) * job.row_step + column * lines
                };
                // Where fewer are left, the first one stands for those that are missing.
                let place = |i| places.get(i).copied().unwrap_or(places[0]);
                let run = Tall {
                    left: job.image,
                    starts: std::array::from_fn(|i| start(place(i))),
                    row_step: lines,
                    offsets: &job.offsets,
                    right: kernel,
                };
                self.form.tall(&run, &mut sums);
                for (&(row, column), sums) in places.iter().zip(&sums) {
                    let first = row * result_step + column * self.to + block * SIDE;
                    let pixels = SIDE.min(width - column);
                    let given = Given { sums, bias, step: self.to, channels, pixels };
                    self.form.give(&given, &mut result[first..]);
                }
            }
        }
    }
}

/// A matrix of so many columns.
fn transpose<'a, T: Real>(matrix: &[T], columns: usize, result: &'a mut Vec<T>) -> &'a [T] {
    let rows = matrix.len() / columns;
    result.clear();
    for column in 0..columns {
        result.extend((0..rows).map(|row| matrix[row * columns + column]));
    }
    result
}
