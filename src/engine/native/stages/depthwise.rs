//! `DepthwiseConv2D`, a `Conv2D` with as many groups as channels, and the first half of a `SeparableConv2D`.
//! Source: Keras `layers/convolutional/base_depthwise_conv.py`.
//!
//! With `c` a channel and `j` one of its filters,
//!
//! ```text
//! y[v, u][c, j]  = bias[c, j] + sum over taps of kernel[c, j][tap] * x[fine pixel of v, u and tap][c]
//! dx[y, x][c]    = sum over taps and j of kernel[c, j][tap] * dy[coarse pixel of y, x and tap][c, j]
//! dkernel[c, j]  = for each tap, the sum over v, u of x[fine pixel of v, u and tap][c] * dy[v, u][c, j]
//! ```
//!
//! Several filters a channel are one each of an input in which each channel stands as often: what is computed
//! then always has the output's channels, side by side.

use std::ops::Range;

use super::Stage;
use crate::engine::native::grid::{Edge, Field, Grid, Margin, Size};
use crate::engine::native::kernels::{Depthwise as Row, DepthwiseGradient, Kernels, Real, Tap};
use crate::engine::native::memory::zeros;
use crate::engine::native::window::{Phase, Side, Window, common_divisor};

/// What a depthwise convolution is made from.
#[derive(Debug, Clone)]
pub(in crate::engine::native) struct Options {
    /// A group for each channel of the input, with its filters as coarse channels.
    pub window: Window,
    /// Where its kernel `(channels, filters, rows, columns)` and its bias stand among the weights.
    pub kernel: Range<usize>,
    pub bias: Option<Range<usize>>,
}

impl Options {
    /// For weights from `first` on.
    pub fn new(window: Window, use_bias: bool, first: usize) -> Self {
        let end = first + window.groups * window.kernel();
        let bias = use_bias.then(|| end..end + window.coarse_size().channels);
        Self { window, kernel: first..end, bias }
    }
}

/// With its buffers.
#[derive(Debug)]
pub(in crate::engine::native) struct Depthwise<T: Real> {
    options: Options,
    kernels: &'static Kernels<T>,
    rows: Rows,
    forward: Pass,
    backward: Pass,
    /// For each tap a row of factors; the gradient's sums stand likewise.
    factors: Vec<T>,
    sums: Vec<T>,
    bias: Vec<T>,
    no_bias: Vec<T>,
    bias_gradient: Vec<T>,
    repeated: Option<Repeated<T>>,
}

/// How the rows of factors stand. So that few channels fill vectors too, a row has the factors of some pixels
/// where these stand side by side on both grids.
#[derive(Debug, Clone, Copy)]
struct Rows {
    /// Channels of the output.
    channels: usize,
    /// Pixels that a row has factors for.
    pixels: usize,
    /// Values of a row, filled up to whole vectors.
    step: usize,
}

/// Values of a row that has factors of several pixels.
const LONGEST_ROW: usize = 1024;

impl Rows {
    fn new(window: &Window, lanes: usize) -> Self {
        let channels = window.coarse_size().channels;
        // So many fill whole vectors.
        let pixels = lanes / common_divisor(lanes, channels);
        let together = window.columns.stride == 1 && pixels * channels <= LONGEST_ROW;
        let pixels = if together { pixels } else { 1 };
        Self { channels, pixels, step: (pixels * channels).next_multiple_of(lanes) }
    }

    /// A row's pixels as so many of so many channels, `pixels` times as long, and then what is left of them.
    /// Calls `run` with their first pixel, their number and their channels.
    fn for_each(self, pixels: usize, mut run: impl FnMut(usize, usize, usize)) {
        let (long, rest) = (pixels / self.pixels, pixels % self.pixels);
        if long > 0 {
            run(0, long, self.pixels * self.channels);
        }
        if rest > 0 {
            run(long * self.pixels, 1, rest * self.channels);
        }
    }
}

/// One direction: the taps that each pair of phases meets.
#[derive(Debug)]
struct Pass {
    rows: Vec<Phase>,
    columns: Vec<Phase>,
    taps: Vec<Vec<Tap>>,
}

impl Pass {
    /// From a source that lies so; a tap's row of factors is the window's.
    fn new(
        rows: Vec<Phase>,
        columns: Vec<Phase>,
        source: Grid,
        window: &Window,
        step: usize,
    ) -> Self {
        let taps_of = |down: &Phase, across: &Phase| {
            let mut taps = Vec::with_capacity(down.taps.len() * across.taps.len());
            for (y, ky) in down.taps.iter().enumerate() {
                for (x, kx) in across.taps.iter().enumerate() {
                    let row = y * down.tap_step * source.row_step();
                    taps.push(Tap {
                        source: row + x * across.tap_step * source.size.channels,
                        factors: (ky * window.columns.taps + kx) * step,
                    });
                }
            }
            taps
        };
        let taps = rows.iter().flat_map(|down| columns.iter().map(|across| taps_of(down, across)));
        Self { taps: taps.collect(), rows, columns }
    }

    /// The phases of row `y` with their taps, and its window's row in the source.
    fn row(&self, y: usize) -> (isize, impl Iterator<Item = (&Phase, &[Tap])>) {
        let phase = y % self.rows.len();
        let down = &self.rows[phase];
        let row = down.window + (y / down.step * down.window_step) as isize;
        let taps = self.taps[phase * self.columns.len()..].iter().map(Vec::as_slice);
        (row, self.columns.iter().zip(taps))
    }

    /// The result of one image.
    fn run<T: Real>(
        &self,
        kernels: &Kernels<T>,
        rows: Rows,
        (factors, bias): (&[T], &[T]),
        (source, from): (&Field<T>, usize),
        (result, to): (&mut Field<T>, usize),
    ) {
        for y in 0..result.grid.size.height {
            let (row, phases) = self.row(y);
            let target = result.row_mut(to, y);
            for (across, taps) in phases {
                let start = match taps {
                    // Nothing is read, and there may be nothing there.
                    [] => 0,
                    _ => source.grid.at(row, across.window),
                };
                rows.for_each(across.count, |first, pixels, channels| {
                    let step = channels * across.window_step;
                    let result_step = channels * across.step;
                    let run = Row {
                        source: &source.tail(from)[start + first * rows.channels..],
                        taps,
                        source_step: step,
                        factors,
                        bias,
                        channels,
                        pixels,
                        result_step,
                    };
                    let place = (across.first + first) * rows.channels;
                    kernels.depthwise(&run, &mut target[place..]);
                });
            }
        }
    }
}

/// Room for an image in which each channel stands as often as it has filters, and for its gradient.
#[derive(Debug)]
struct Repeated<T> {
    times: usize,
    values: Field<T>,
    gradient: Field<T>,
}

impl<T: Real> Repeated<T> {
    fn new(window: &Window) -> Self {
        let size = Size { channels: window.coarse_size().channels, ..window.fine_size() };
        let field = |margin| Field::new(Grid { size, margin }, 1);
        Self {
            times: window.coarse,
            values: field(window.fine_margin()),
            gradient: field(Margin::default()),
        }
    }

    fn take(&mut self, input: &Field<T>, image: usize) {
        for row in 0..input.grid.size.height {
            let repeated = self.values.row_mut(0, row).chunks_exact_mut(self.times);
            repeated.zip(input.row(image, row)).for_each(|(all, &value)| all.fill(value));
        }
    }

    /// Adds up the gradients of what stands for one value.
    fn give(&self, gradient: &mut Field<T>, image: usize) {
        for row in 0..gradient.grid.size.height {
            let repeated = self.gradient.row(0, row).chunks_exact(self.times);
            for (sum, all) in gradient.row_mut(image, row).iter_mut().zip(repeated) {
                *sum = all.iter().fold(T::zero(), |sum, &value| sum + value);
            }
        }
    }
}

impl<T: Real> Depthwise<T> {
    pub fn new(options: Options, kernels: &'static Kernels<T>) -> Self {
        let window = options.window;
        let rows = Rows::new(&window, kernels.lanes);
        let size = Size { channels: rows.channels, ..window.fine_size() };
        let fine = Grid { size, margin: window.fine_margin() };
        let coarse = Grid { size: window.coarse_size(), margin: window.coarse_margin() };
        let pass = |phases: fn(&Side) -> Vec<Phase>, grid| {
            Pass::new(phases(&window.rows), phases(&window.columns), grid, &window, rows.step)
        };
        Self {
            kernels,
            forward: pass(Side::gather, fine),
            backward: pass(Side::scatter, coarse),
            factors: zeros(window.taps() * rows.step),
            sums: zeros(window.taps() * rows.step),
            bias: zeros(rows.step),
            no_bias: zeros(rows.step),
            bias_gradient: zeros(rows.channels),
            repeated: (window.coarse > 1).then(|| Repeated::new(&window)),
            rows,
            options,
        }
    }

    /// Adds one image's share to the sums of the kernel's gradient.
    fn add_kernel_gradient(
        &mut self,
        (input, from): (&Field<T>, usize),
        (gradient, image): (&Field<T>, usize),
    ) {
        let (rows, sums) = (self.rows, &mut self.sums);
        for y in 0..gradient.grid.size.height {
            let (row, phases) = self.forward.row(y);
            let slopes = &gradient.tail(image)[gradient.grid.at(y as isize, 0)..];
            for (across, taps) in phases {
                let start = input.grid.at(row, across.window);
                rows.for_each(across.count, |first, pixels, channels| {
                    let first = first * rows.channels;
                    let run = DepthwiseGradient {
                        source: &input.tail(from)[start + first..],
                        taps,
                        source_step: channels * across.window_step,
                        gradient: &slopes[first..],
                        gradient_step: channels,
                        channels,
                        pixels,
                    };
                    self.kernels.depthwise_gradient(&run, sums);
                });
            }
        }
    }
}

impl<T: Real> Stage<T> for Depthwise<T> {
    fn load(&mut self, weights: &[T]) {
        let Rows { channels, pixels, step } = self.rows;
        let filters = weights[self.options.kernel.clone()].chunks_exact(self.options.window.taps());
        for (channel, filter) in filters.enumerate() {
            for (row, &factor) in self.factors.chunks_exact_mut(step).zip(filter) {
                (0..pixels).for_each(|pixel| row[pixel * channels + channel] = factor);
            }
        }
        if let Some(bias) = self.options.bias.clone() {
            let pixels = self.bias[..pixels * channels].chunks_exact_mut(channels);
            pixels.for_each(|pixel| pixel.copy_from_slice(&weights[bias.clone()]));
        }
    }

    fn forward(&mut self, input: &Field<T>, output: &mut Field<T>, images: usize) {
        for image in 0..images {
            let source = match &mut self.repeated {
                Some(repeated) => {
                    repeated.take(input, image);
                    (&repeated.values, 0)
                }
                None => (input, image),
            };
            let learned = (&self.factors[..], &self.bias[..]);
            self.forward.run(self.kernels, self.rows, learned, source, (&mut *output, image));
        }
    }

    fn backward(
        &mut self,
        input: &Field<T>,
        output: &mut Edge<T>,
        mut input_gradient: Option<&mut Field<T>>,
        images: usize,
    ) {
        let gradient = &output.gradient;
        let mut repeated = self.repeated.take();
        for image in 0..images {
            self.kernels.column_sums(&gradient.table(image), &mut self.bias_gradient);
            let source = match &mut repeated {
                Some(repeated) => {
                    repeated.take(input, image);
                    (&repeated.values, 0)
                }
                None => (input, image),
            };
            self.add_kernel_gradient(source, (gradient, image));
            let Some(result) = input_gradient.as_deref_mut() else { continue };
            let learned = (&self.factors[..], &self.no_bias[..]);
            let target = match &mut repeated {
                Some(repeated) => (&mut repeated.gradient, 0),
                None => (&mut *result, image),
            };
            self.backward.run(self.kernels, self.rows, learned, (gradient, image), target);
            if let Some(repeated) = &repeated {
                repeated.give(result, image);
            }
        }
        self.repeated = repeated;
    }

    fn collect(&mut self, gradient: &mut [T]) {
        let Rows { channels, pixels, step } = self.rows;
        let stored = &mut gradient[self.options.kernel.clone()];
        for (channel, filter) in stored.chunks_exact_mut(self.options.window.taps()).enumerate() {
            for (slope, sums) in filter.iter_mut().zip(self.sums.chunks_exact(step)) {
                let sums = sums[channel..].iter().step_by(channels).take(pixels);
                *slope = sums.fold(*slope, |all, &sum| all + sum);
            }
        }
        self.sums.fill(T::zero());
        if let Some(bias) = self.options.bias.clone() {
            self.kernels.add_scaled(&mut gradient[bias], &self.bias_gradient, T::one());
        }
        self.bias_gradient.fill(T::zero());
    }

    fn input_margin(&self) -> Margin {
        match self.repeated {
            Some(_) => Margin::default(),
            None => self.options.window.fine_margin(),
        }
    }

    fn gradient_margin(&self) -> Margin {
        self.options.window.coarse_margin()
    }
}
