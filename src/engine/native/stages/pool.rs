//! Pooling in all its shapes; the common one is fused into the convolution before it.

use super::Stage;
use crate::engine::native::grid::{Edge, Field, Size};
use crate::engine::native::kernels::Real;
use crate::nn::PoolOptions;

/// Which source pixels each result pixel looks at.
#[derive(Debug, Clone)]
struct Windows {
    /// For each result row (column): the source rows (columns) from first to last.
    rows: Vec<std::ops::Range<usize>>,
    columns: Vec<std::ops::Range<usize>>,
    channels: usize,
}

impl Windows {
    /// Padding holds no pixels, so windows are cut at the edges.
    fn new(options: PoolOptions, input: Size, output: Size) -> Self {
        let side = |length: usize, windows: usize, window: usize, stride: usize| {
            let before = options.padding.added(length, window, stride).0;
            let cut = |place: usize| place.saturating_sub(before).min(length);
            (0..windows).map(|i| cut(i * stride)..cut(i * stride + window)).collect()
        };
        let PoolOptions { pool_size, strides, .. } = options;
        Self {
            rows: side(input.height, output.height, pool_size.0, strides.0),
            columns: side(input.width, output.width, pool_size.1, strides.1),
            channels: input.channels,
        }
    }

    /// Calls `visit` for each result pixel with its row and where it starts in that row, and with each
    /// source pixel's row and start, in order.
    fn for_each(
        &self,
        mut visit: impl FnMut((usize, usize), &mut dyn Iterator<Item = (usize, usize)>),
    ) {
        for (y, rows) in self.rows.iter().enumerate() {
            for (x, columns) in self.columns.iter().enumerate() {
                let channels = self.channels;
                let mut pixels = rows
                    .clone()
                    .flat_map(|row| columns.clone().map(move |column| (row, column * channels)));
                visit((y, x * channels), &mut pixels);
            }
        }
    }
}

/// Largest value of each window; of equals the first.
#[derive(Debug)]
pub(in crate::engine::native) struct MaxPool {
    windows: Windows,
}

impl MaxPool {
    pub fn new(options: PoolOptions, input: Size, output: Size) -> Self {
        Self { windows: Windows::new(options, input, output) }
    }
}

impl<T: Real> Stage<T> for MaxPool {
    fn forward(&mut self, input: &Field<T>, output: &mut Field<T>, images: usize) {
        let channels = self.windows.channels;
        for image in 0..images {
            self.windows.for_each(|(row, start), pixels| {
                let result = &mut output.row_mut(image, row)[start..start + channels];
                result.fill(T::neg_infinity());
                for (row, start) in pixels {
                    for (best, &value) in result.iter_mut().zip(&input.row(image, row)[start..]) {
                        *best = if value > *best || value.is_nan() { value } else { *best };
                    }
                }
            });
        }
    }

    fn backward(
        &mut self,
        input: &Field<T>,
        output: &mut Edge<T>,
        input_gradient: Option<&mut Field<T>>,
        images: usize,
    ) {
        let Some(result) = input_gradient else { return };
        let channels = self.windows.channels;
        for image in 0..images {
            clear(result, image);
            self.windows.for_each(|(row, start), pixels| {
                let gradient = &output.gradient.row(image, row)[start..start + channels];
                let best = &output.values.row(image, row)[start..];
                let mut waiting: Vec<bool> = vec![true; channels];
                for (row, start) in pixels {
                    let values = &input.row(image, row)[start..];
                    let result = &mut result.row_mut(image, row)[start..];
                    for c in 0..channels {
                        if waiting[c] && values[c] == best[c] {
                            result[c] = result[c] + gradient[c];
                            waiting[c] = false;
                        }
                    }
                }
            });
        }
    }
}

/// Mean of each window over the pixels that exist.
#[derive(Debug)]
pub(in crate::engine::native) struct AveragePool {
    windows: Windows,
}

impl AveragePool {
    pub fn new(options: PoolOptions, input: Size, output: Size) -> Self {
        Self { windows: Windows::new(options, input, output) }
    }

    /// One over the number of pixels in a result pixel's window.
    fn share<T: Real>(&self, row: usize, start: usize) -> T {
        let rows = self.windows.rows[row].len();
        T::one() / T::of((rows * self.windows.columns[start / self.windows.channels].len()) as f64)
    }
}

impl<T: Real> Stage<T> for AveragePool {
    fn forward(&mut self, input: &Field<T>, output: &mut Field<T>, images: usize) {
        let channels = self.windows.channels;
        for image in 0..images {
            self.windows.for_each(|(row, start), pixels| {
                let share = self.share::<T>(row, start);
                let result = &mut output.row_mut(image, row)[start..start + channels];
                result.fill(T::zero());
                for (row, start) in pixels {
                    for (sum, &value) in result.iter_mut().zip(&input.row(image, row)[start..]) {
                        *sum = *sum + value;
                    }
                }
                for sum in result {
                    *sum = *sum * share;
                }
            });
        }
    }

    fn backward(
        &mut self,
        _input: &Field<T>,
        output: &mut Edge<T>,
        input_gradient: Option<&mut Field<T>>,
        images: usize,
    ) {
        let Some(result) = input_gradient else { return };
        let channels = self.windows.channels;
        for image in 0..images {
            clear(result, image);
            self.windows.for_each(|(row, start), pixels| {
                let share = self.share::<T>(row, start);
                let gradient = &output.gradient.row(image, row)[start..start + channels];
                for (row, start) in pixels {
                    let result = &mut result.row_mut(image, row)[start..];
                    for (sum, &gradient) in result.iter_mut().zip(gradient) {
                        *sum = *sum + gradient * share;
                    }
                }
            });
        }
    }
}

fn clear<T: Real>(field: &mut Field<T>, image: usize) {
    for row in 0..field.grid.size.height {
        field.row_mut(image, row).fill(T::zero());
    }
}
