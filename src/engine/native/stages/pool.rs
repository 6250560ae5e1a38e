//! Pooling in all its shapes; the common one is fused into the convolution before it.

use super::Stage;
use crate::engine::native::grid::{Edge, Field, Size};
use crate::engine::native::kernels::{Candidates, Kernels, Real};
use crate::engine::native::memory::zeros;
use crate::engine::native::step::rows;
use crate::nn::PoolOptions;

/// Which source pixels each result pixel looks at.
#[derive(Debug, Clone)]
struct Windows {
    /// For each result row (column): the source rows (columns) from first to last.
    rows: Vec<std::ops::Range<usize>>,
    columns: Vec<std::ops::Range<usize>>,
    channels: usize,
}

/// Height and width of windows that lie side by side and cover the input: the usual case, which is computed in rows.
fn side_by_side(options: PoolOptions, input: Size, output: Size) -> Option<(usize, usize)> {
    let (height, width) = options.pool_size;
    let covers = (output.height * height, output.width * width) == (input.height, input.width);
    (options.strides == options.pool_size && covers).then_some((height, width))
}

/// Where the candidates of a pooled row start.
pub(super) struct Starts {
    first: Vec<usize>,
    step: usize,
    channels: usize,
}

impl Starts {
    /// Under a row of pooled pixels, each from height x width pixels; `row_step` is the distance between their rows.
    pub fn new((height, width): (usize, usize), row_step: usize, pooled: Size) -> Self {
        let channels = pooled.channels;
        let starts = (0..height * width).map(|k| k / width * row_step + k % width * channels);
        Self { first: starts.collect(), step: width * channels, channels }
    }

    pub fn get(&self) -> Candidates<'_> {
        Candidates { starts: &self.first, step: self.step, channels: self.channels }
    }
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

/// A pooling tells its candidates apart by a byte.
pub(in crate::engine::native) const MOST_CANDIDATES: usize = 256;

/// Largest value of each window; of equals the first.
#[derive(Debug)]
pub(in crate::engine::native) struct MaxPool<T: 'static> {
    kernels: &'static Kernels<T>,
    windows: Windows,
    /// Height and width of windows that lie side by side, and which pixel won, for each pooled value of each image.
    side_by_side: Option<((usize, usize), Vec<u8>)>,
    /// What each channel of a window has to give to its largest value, until that is found.
    left: Vec<T>,
}

impl<T: Real> MaxPool<T> {
    /// For up to so many images.
    pub fn new(
        options: PoolOptions,
        (input, output): (Size, Size),
        kernels: &'static Kernels<T>,
        images: usize,
    ) -> Self {
        let sides = side_by_side(options, input, output);
        let sides = sides.filter(|(height, width)| height * width <= MOST_CANDIDATES);
        Self {
            kernels,
            windows: Windows::new(options, input, output),
            side_by_side: sides.map(|sides| (sides, zeros(images * output.values()))),
            left: vec![T::zero(); input.channels],
        }
    }

    fn spread(&mut self, input: &Field<T>, output: &Edge<T>, result: &mut Field<T>, image: usize) {
        let channels = self.windows.channels;
        let left = &mut self.left;
        clear(result, image);
        self.windows.for_each(|(row, start), pixels| {
            let gradient = &output.gradient.row(image, row)[start..start + channels];
            let best = &output.values.row(image, row)[start..start + channels];
            left.copy_from_slice(gradient);
            for (row, start) in pixels {
                let values = &input.row(image, row)[start..start + channels];
                let result = &mut result.row_mut(image, row)[start..start + channels];
                let places = result.iter_mut().zip(left.iter_mut());
                // Without branches, so that the channels become vectors.
                for ((sum, left), (value, best)) in places.zip(values.iter().zip(best)) {
                    let found = value == best;
                    *sum = *sum + if found { *left } else { T::zero() };
                    *left = if found { T::zero() } else { *left };
                }
            }
        });
    }
}

impl<T: Real> Stage<T> for MaxPool<T> {
    fn forward(&mut self, input: &Field<T>, output: &mut Field<T>, images: usize) {
        if let Some((sides, winners)) = &mut self.side_by_side {
            let size = output.grid.size;
            let candidates = Starts::new(*sides, input.grid.row_step(), size);
            let rows = rows(size, images).zip(winners.chunks_exact_mut(size.width * size.channels));
            for ((image, y), winners) in rows {
                let under = &input.tail(image)[input.grid.at((y * sides.0) as isize, 0)..];
                self.kernels.max_pool(under, &candidates.get(), output.row_mut(image, y), winners);
            }
            return;
        }
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
        let Some((sides, winners)) = &self.side_by_side else {
            return (0..images).for_each(|image| self.spread(input, output, result, image));
        };
        let size = output.gradient.grid.size;
        let candidates = Starts::new(*sides, result.grid.row_step(), size);
        let rows = rows(size, images).zip(winners.chunks_exact(size.width * size.channels));
        for ((image, y), winners) in rows {
            let start = result.grid.at((y * sides.0) as isize, 0);
            let (gradient, under) =
                (output.gradient.row(image, y), &mut result.tail_mut(image)[start..]);
            self.kernels.max_pool_gradient(gradient, winners, &candidates.get(), under);
        }
    }
}

/// Mean of each window over the pixels that exist.
#[derive(Debug)]
pub(in crate::engine::native) struct AveragePool {
    windows: Windows,
    /// Height and width of windows that lie side by side.
    side_by_side: Option<(usize, usize)>,
}

impl AveragePool {
    pub fn new(options: PoolOptions, input: Size, output: Size) -> Self {
        let side_by_side = side_by_side(options, input, output);
        Self { windows: Windows::new(options, input, output), side_by_side }
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
        if let Some((height, width)) = self.side_by_side {
            let share = self.share::<T>(0, 0);
            for (image, y) in rows(output.grid.size, images) {
                let result = output.row_mut(image, y);
                result.fill(T::zero());
                for row in y * height..(y + 1) * height {
                    let under = input.row(image, row).chunks_exact(width * channels);
                    for (sums, under) in result.chunks_exact_mut(channels).zip(under) {
                        under.chunks_exact(channels).for_each(|pixel| add(sums, pixel));
                    }
                }
                for sum in result {
                    *sum = *sum * share;
                }
            }
            return;
        }
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
        if let Some((height, width)) = self.side_by_side {
            let share = self.share::<T>(0, 0);
            for (image, row) in rows(result.grid.size, images) {
                let under = result.row_mut(image, row).chunks_exact_mut(width * channels);
                let gradient = output.gradient.row(image, row / height).chunks_exact(channels);
                for (under, gradient) in under.zip(gradient) {
                    for pixel in under.chunks_exact_mut(channels) {
                        let values = pixel.iter_mut().zip(gradient);
                        values.for_each(|(value, &gradient)| *value = gradient * share);
                    }
                }
            }
            return;
        }
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

fn add<T: Real>(sums: &mut [T], terms: &[T]) {
    sums.iter_mut().zip(terms).for_each(|(sum, &term)| *sum = *sum + term);
}
