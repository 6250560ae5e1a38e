//! The gradient of the kernel: for each tap, the fine pixels that lie under it times the coarse ones.

use super::{At, with_lines};
use crate::engine::native::grid::{Field, Grid};
use crate::engine::native::kernels::{Bfloat16, LINE, Line, Real, Row, SIDE, Square, Tile};
use crate::engine::native::team::{MULTIPLICATIONS_OF_A_VALUE, Team};
use crate::engine::native::window::Window;

/// Steps of 32 pixels that are added up at once: what they read stays in the second-level cache.
const STEPS: usize = 32;

/// With its sums.
#[derive(Debug)]
pub(super) struct Outer<T: Real> {
    form: &'static Bfloat16<T>,
    window: Window,
    /// A tap and the first of up to 16 fine channels: what a tile's columns are.
    columns: Vec<Column>,
    /// For each 32 coarse channels, each two of the columns: four tiles, whose rows are the coarse channels.
    sums: Vec<[Tile; 4]>,
}

#[derive(Debug, Clone, Copy)]
struct Column {
    row: usize,
    column: usize,
    block: usize,
}

/// How the fine pixels stand: for each 16 channels two layouts, in pairs from the first pixel on and from the second one
/// on; in each all rows.
#[derive(Debug, Clone, Copy)]
struct Pairs {
    grid: Grid,
    rows: usize,
    /// Lines of a row.
    row_step: usize,
}

impl Pairs {
    fn new(grid: Grid) -> Self {
        let pixels = grid.row_step() / grid.size.channels;
        let rows = grid.image_step() / grid.row_step();
        Self { grid, rows, row_step: pixels.div_ceil(2) }
    }

    /// Of a layout.
    fn lines(&self) -> usize {
        self.rows * self.row_step
    }

    fn layouts(&self) -> usize {
        2 * self.grid.size.channels.div_ceil(SIDE)
    }

    /// Rounds a layout of an image.
    fn take<T: Real>(
        &self,
        form: &Bfloat16<T>,
        (fine, image): At<'_, T>,
        layout: usize,
        lines: &mut [Line],
    ) {
        let (step, parity) = (self.grid.size.channels, layout % 2);
        let first = layout / 2 * SIDE;
        let pixels = self.grid.row_step() / step - parity;
        for (row, lines) in lines.chunks_exact_mut(self.row_step).enumerate() {
            let values = &fine.tail(image)[row * self.grid.row_step() + parity * step + first..];
            form.pair(&Row { values, step, channels: SIDE.min(step - first), pixels }, lines);
            // They are multiplied with zeros.
            lines[pixels.div_ceil(2)..].fill(Line::ZERO);
        }
    }
}

/// How the coarse pixels stand: for each 16 channels, tiles of 32 pixels of a row.
#[derive(Debug, Clone, Copy)]
struct Turned {
    grid: Grid,
    /// Tiles of a row.
    tiles: usize,
}

impl Turned {
    fn new(grid: Grid) -> Self {
        Self { grid, tiles: grid.size.width.div_ceil(LINE) }
    }

    /// Of a layout.
    fn lines(&self) -> usize {
        self.grid.size.height * self.tiles * SIDE
    }

    fn layouts(&self) -> usize {
        self.grid.size.channels.div_ceil(SIDE)
    }

    /// Rounds a layout of an image.
    fn take<T: Real>(
        &self,
        form: &Bfloat16<T>,
        (coarse, image): At<'_, T>,
        layout: usize,
        lines: &mut [Line],
    ) {
        let (step, first) = (self.grid.size.channels, layout * SIDE);
        for (place, lines) in lines.chunks_exact_mut(SIDE).enumerate() {
            let (row, column) = (place / self.tiles, place % self.tiles * LINE);
            let pixels = LINE.min(self.grid.size.width - column);
            let values = &coarse.row(image, row)[column * step + first..];
            form.turn(&Row { values, step, channels: SIDE.min(step - first), pixels }, lines);
        }
    }
}

impl<T: Real> Outer<T> {
    pub fn new(form: &'static Bfloat16<T>, window: &Window) -> Self {
        let Window { rows, columns, fine, coarse, .. } = window;
        let mut found = Vec::new();
        for block in 0..fine.div_ceil(SIDE) {
            for row in 0..rows.taps {
                found.extend((0..columns.taps).map(|column| Column { row, column, block }));
            }
        }
        let count = coarse.div_ceil(2 * SIDE) * found.len().div_ceil(2);
        Self { form, window: *window, columns: found, sums: vec![[Tile::ZERO; 4]; count] }
    }

    /// Adds one image's share.
    pub fn add(&mut self, team: &Team, fine: At<'_, T>, coarse: At<'_, T>) {
        let (pairs, turned) = (Pairs::new(fine.0.grid), Turned::new(coarse.0.grid));
        let form = self.form;
        // The last pixels' tiles reach beyond the last row; what is there is multiplied with zeros.
        let slack = SIDE;
        let counts = [pairs.layouts() * pairs.lines() + slack, turned.layouts() * turned.lines()];
        with_lines(counts, |[right, left]| {
            let (layouts, rest) = right.split_at_mut(counts[0] - slack);
            rest.fill(Line::ZERO);
            let work = |field: &Field<T>| MULTIPLICATIONS_OF_A_VALUE * field.grid.image_step();
            let parts = layouts.chunks_exact_mut(pairs.lines()).enumerate();
            team.share_out(2 * work(fine.0), parts, |(layout, lines)| {
                pairs.take(form, fine, layout, lines);
            });
            let parts = left.chunks_exact_mut(turned.lines()).enumerate();
            team.share_out(work(coarse.0), parts, |(layout, lines)| {
                turned.take(form, coarse, layout, lines);
            });
            self.multiply(team, (turned, left), (pairs, right));
        });
    }

    /// The tiles of sums are divided among the team.
    fn multiply(
        &mut self,
        team: &Team,
        (turned, left): (Turned, &[Line]),
        right: (Pairs, &[Line]),
    ) {
        let Self { form, window, columns, sums } = self;
        let (pairs, right) = right;
        let offsets: Vec<usize> = (0..turned.grid.size.height)
            .flat_map(|row| {
                (0..turned.tiles).map(move |tile| row * pairs.row_step + tile * LINE / 2)
            })
            .collect();
        let start = |&Column { row, column, block }: &Column| {
            let margin = pairs.grid.margin;
            let shifted =
                |margin: usize, place| margin.checked_add_signed(place).expect("within the margin");
            let row = shifted(margin.top, window.rows.place(row));
            let column = shifted(margin.left, window.columns.place(column));
            let layout = 2 * block + column % 2;
            layout * pairs.lines() + row * pairs.row_step + column / 2
        };
        let starts: Vec<usize> = columns.iter().map(start).collect();
        let twos = starts.len().div_ceil(2);
        let work = window.multiplications();
        let each = twos.div_ceil(team.members(work));
        let parts: Vec<_> = (sums.chunks_mut(twos).enumerate())
            .flat_map(|(rows, sums)| {
                let parts = sums.chunks_mut(each).zip(starts.chunks(2 * each));
                parts.map(move |(sums, starts)| (rows, sums, starts))
            })
            .collect();
        team.share_out(work, parts.into_iter(), |(rows, sums, starts)| {
            for (first, offsets) in (0..).step_by(STEPS).zip(offsets.chunks(STEPS)) {
                // Where there is one alone, it stands for the other as well.
                let left_of = |block: usize| {
                    let layout = (2 * rows + block).min(turned.layouts() - 1);
                    layout * turned.lines() + first * SIDE
                };
                for (sums, starts) in sums.iter_mut().zip(starts.chunks(2)) {
                    let rights = [starts[0], *starts.get(1).unwrap_or(&starts[0])];
                    let lefts = [left_of(0), left_of(1)];
                    form.square(&Square { left, lefts, right, rights, offsets }, sums);
                }
            }
        });
    }

    /// Hands out the sums, as the window sees the kernel, and starts them anew.
    pub fn collect(&mut self, kernel: &mut [T]) {
        let Window { fine, coarse, columns, .. } = self.window;
        let twos = self.columns.len().div_ceil(2);
        for (place, sums) in self.sums.iter_mut().enumerate() {
            let (rows, two) = (place / twos * 2 * SIDE, place % twos * 2);
            for (i, tile) in sums.iter().enumerate() {
                let Some(Column { row, column, block }) = self.columns.get(two + i % 2) else {
                    continue;
                };
                let tap = row * columns.taps + column;
                let (first_coarse, first_fine) = (rows + i / 2 * SIDE, block * SIDE);
                for to in first_coarse..coarse.min(first_coarse + SIDE) {
                    let sums = &tile.0[(to - first_coarse) * SIDE..][..SIDE];
                    for (from, &sum) in (first_fine..fine).zip(sums) {
                        kernel[(tap * fine + from) * coarse + to] = T::of(f64::from(sum));
                    }
                }
            }
            *sums = [Tile::ZERO; 4];
        }
    }
}
