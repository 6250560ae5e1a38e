//! A matrix in the order in which the kernels read it.

use super::Real;
use crate::engine::native::memory::zeros;

/// Panels of up to two vectors' columns, each row by row, zeros beyond the last column.
#[derive(Debug, Clone)]
pub(in crate::engine) struct Packed<T> {
    depth: usize,
    columns: usize,
    lanes: usize,
    values: Vec<T>,
    /// Added to every result; as long as the columns with their zeros.
    bias: Vec<T>,
}

/// One panel, for the kernels.
pub(super) struct Panel<T> {
    /// The first column.
    pub column: usize,
    /// Columns that count.
    pub width: usize,
    pub weights: *const T,
    pub bias: *const T,
}

impl<T: Real> Packed<T> {
    /// Zeros, for vectors of so many lanes.
    pub(in crate::engine) fn new(depth: usize, columns: usize, lanes: usize) -> Self {
        let padded = columns.next_multiple_of(lanes);
        Self { depth, columns, lanes, values: zeros(depth * padded), bias: zeros(padded) }
    }

    pub(in crate::engine) fn depth(&self) -> usize {
        self.depth
    }

    pub(in crate::engine) fn columns(&self) -> usize {
        self.columns
    }

    pub(super) fn lanes(&self) -> usize {
        self.lanes
    }

    /// One value a column.
    pub(in crate::engine) fn set_bias(&mut self, bias: &[T]) {
        self.bias[..self.columns].copy_from_slice(bias);
    }

    /// Takes over the rows from `first_row` on: the value in row `r`, column `c` stands in `source`
    /// at `r * row_step + c * column_step`.
    pub(in crate::engine) fn set_rows(
        &mut self,
        first_row: usize,
        rows: usize,
        source: &[T],
        row_step: usize,
        column_step: usize,
    ) {
        for start in (0..self.columns).step_by(2 * self.lanes) {
            let width = (self.columns - start).min(2 * self.lanes);
            let stride = width.next_multiple_of(self.lanes);
            let panel = start * self.depth + first_row * stride;
            let panel = &mut self.values[panel..panel + rows * stride];
            for (r, row) in panel.chunks_exact_mut(stride).enumerate() {
                let source = &source[r * row_step + start * column_step..];
                if column_step == 1 {
                    row[..width].copy_from_slice(&source[..width]);
                } else {
                    for (c, value) in row[..width].iter_mut().enumerate() {
                        *value = source[c * column_step];
                    }
                }
            }
        }
    }

    pub(super) fn panels(&self, lanes: usize) -> impl Iterator<Item = Panel<T>> {
        (0..self.columns).step_by(2 * lanes).map(move |column| Panel {
            column,
            width: (self.columns - column).min(2 * lanes),
            weights: self.values[column * self.depth..].as_ptr(),
            bias: self.bias[column..].as_ptr(),
        })
    }
}
