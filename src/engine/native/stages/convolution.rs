//! Every layer with a kernel: `Conv2D`, `Conv2DTranspose`, `Dense`, and a `Conv2D` after upsampling;
//! with the activation, and with a max-pooling that follows.

use std::ops::Range;

use super::Stage;
use crate::engine::native::fold::Fold;
use crate::engine::native::grid::{Edge, Field, Grid, Margin, Size};
use crate::engine::native::kernels::{Candidates, Kernels, Outer, Pixels, Real};
use crate::engine::native::memory::zeros;
use crate::engine::native::pass::{Direction, Pass, Spread};
use crate::engine::native::window::Window;

/// What a convolution is made from.
#[derive(Debug, Clone)]
pub(in crate::engine::native) struct Options {
    pub window: Window,
    /// From input to output.
    pub direction: Direction,
    /// The upsampling before it, which its window includes.
    pub fold: Fold,
    /// Whether the stored kernel's first axis is the coarse grid's channels.
    pub coarse_first: bool,
    pub relu: bool,
    /// Height and width of a max-pooling after it, whose windows do not overlap.
    pub pool: Option<(usize, usize)>,
    /// Where its kernel and bias stand among the weights.
    pub kernel: Range<usize>,
    pub bias: Option<Range<usize>>,
}

/// A convolution with its buffers.
#[derive(Debug)]
pub(in crate::engine::native) struct Convolution<T: Real> {
    options: Options,
    kernels: &'static Kernels<T>,
    forward: Either<T>,
    backward: Either<T>,
    /// The kernel as the window sees it: taps, fine channels, coarse channels.
    kernel: Vec<T>,
    /// Sums of its gradient: taps and fine channels by coarse channels, filled up to whole vectors.
    kernel_gradient: Vec<T>,
    /// One tap of the kernel.
    tap: Vec<T>,
    bias_gradient: Vec<T>,
    pool: Option<Pool<T>>,
}

/// Either way of computing a direction.
#[derive(Debug)]
enum Either<T> {
    Pass(Pass<T>),
    Spread(Spread<T>),
}

/// Of the pooling.
#[derive(Debug)]
struct Pool<T> {
    size: (usize, usize),
    /// The convolution's rows under one row of pooled pixels.
    rows: Vec<T>,
    /// Which pixel won, for each pooled value of each picture.
    winners: Vec<u8>,
    /// The gradient before pooling, of one picture.
    gradient: Field<T>,
}

impl<T: Real> Either<T> {
    fn new(window: Window, direction: Direction, lanes: usize) -> Self {
        let sparse = direction == Direction::Scatter && window.fine * 4 <= lanes;
        if sparse && window.taps() * window.fine <= 8 * lanes {
            Self::Spread(Spread::new(window, lanes))
        } else {
            Self::Pass(Pass::new(window, direction, lanes))
        }
    }

    fn pack(&mut self, kernel: &[T], bias: Option<&[T]>) {
        match self {
            Self::Pass(pass) => pass.pack(kernel, bias),
            Self::Spread(spread) => spread.pack(kernel, bias),
        }
    }

    fn run(
        &mut self,
        kernels: &Kernels<T>,
        source: (&Field<T>, usize),
        result: (&mut Field<T>, usize),
        pictures: usize,
        finish: impl Fn(&mut [T]),
    ) {
        match self {
            Self::Pass(pass) => pass.run(kernels, source, result, pictures, finish),
            Self::Spread(spread) => spread.run(kernels, source, result, pictures, finish),
        }
    }
}

impl<T: Real> Convolution<T> {
    /// For up to so many pictures at once.
    pub fn new(options: Options, kernels: &'static Kernels<T>, pictures: usize) -> Self {
        let (window, lanes) = (options.window, kernels.lanes);
        let (forward, backward, output) = match options.direction {
            Direction::Gather => (Direction::Gather, Direction::Scatter, window.coarse_size()),
            Direction::Scatter => (Direction::Scatter, Direction::Gather, window.fine_size()),
        };
        let forward = match options.pool {
            Some(_) => Either::Pass(Pass::new(window, forward, lanes)),
            None => Either::new(window, forward, lanes),
        };
        let stride = Outer::<T>::stride(window.coarse, lanes);
        let pool = options.pool.map(|size| {
            let pooled = output.height / size.0 * (output.width / size.1) * output.channels;
            let margin = Self::margins(&window, options.direction).1;
            Pool {
                size,
                rows: zeros(size.0 * output.width * output.channels),
                winners: zeros(pictures * pooled),
                gradient: Field::new(Grid { size: output, margin }, 1),
            }
        });
        Self {
            kernels,
            forward,
            backward: Either::new(window, backward, lanes),
            kernel: zeros(window.taps() * window.fine * window.coarse),
            kernel_gradient: zeros(window.taps() * window.fine * stride),
            tap: zeros(window.fine * window.coarse),
            bias_gradient: zeros(output.channels),
            pool,
            options,
        }
    }

    /// Around the input's values, and around the gradient of what the convolution gives.
    fn margins(window: &Window, direction: Direction) -> (Margin, Margin) {
        match direction {
            Direction::Gather => (window.fine_margin(), window.coarse_margin()),
            Direction::Scatter => (window.coarse_margin(), window.fine_margin()),
        }
    }

    /// Rows of the convolution, then their maxima: the activation need only see these.
    fn forward_pooled(&mut self, input: &Field<T>, output: &mut Field<T>, pictures: usize) {
        let (Either::Pass(pass), Some(pool)) = (&self.forward, &mut self.pool) else {
            unreachable!("a pooled convolution makes a pass")
        };
        let row_length = pool.rows.len() / pool.size.0;
        let candidates = Starts::new(pool.size, row_length, output.grid.size);
        let height = output.grid.size.height;
        let winners = pool.winners.chunks_exact_mut(output.grid.size.values() / height);
        for (row, winners) in (0..pictures * height).zip(winners) {
            let (picture, y) = (row / height, row % height);
            for (dy, row) in pool.rows.chunks_exact_mut(row_length).enumerate() {
                pass.row(self.kernels, input, picture, y * pool.size.0 + dy, row);
            }
            let result = output.row_mut(picture, y);
            self.kernels.max_pool(&pool.rows, &candidates.get(), result, winners);
            if self.options.relu {
                self.kernels.relu(result);
            }
        }
    }

    /// Adds one picture's share to the kernel's gradient; a coarse grid of one pixel takes all
    /// pictures at once.
    fn add_kernel_gradient(
        window: &Window,
        kernels: &Kernels<T>,
        sums: &mut [T],
        (fine, coarse): (&Field<T>, &Field<T>),
        (fine_picture, coarse_picture): (usize, usize),
        pictures: usize,
    ) {
        let single = window.rows.coarse * window.columns.coarse == 1;
        let length = window.columns.taps * window.fine;
        let sums = sums.chunks_exact_mut(length * Outer::<T>::stride(window.coarse, kernels.lanes));
        for (ky, sums) in (0..).zip(sums) {
            let start = fine.grid.at(ky - window.rows.offset, -window.columns.offset);
            let left = Pixels {
                values: &fine.tail(fine_picture)[start..],
                row_step: window.rows.stride * fine.grid.row_step(),
                step: if single {
                    fine.grid.picture_step()
                } else {
                    window.columns.stride * window.fine
                },
                length,
            };
            let right = Pixels {
                values: &coarse.tail(coarse_picture)[coarse.grid.at(0, 0)..],
                row_step: coarse.grid.row_step(),
                step: if single { coarse.grid.picture_step() } else { window.coarse },
                length: window.coarse,
            };
            let pixels = if single { pictures } else { window.columns.coarse };
            kernels.outer(&Outer { left, right, rows: window.rows.coarse, pixels }, sums);
        }
    }
}

/// Where the candidates of a pooled row start.
struct Starts {
    first: Vec<usize>,
    step: usize,
    channels: usize,
}

impl Starts {
    fn new((height, width): (usize, usize), row_step: usize, pooled: Size) -> Self {
        let channels = pooled.channels;
        let starts = (0..height * width).map(|k| k / width * row_step + k % width * channels);
        Self { first: starts.collect(), step: width * channels, channels }
    }

    fn get(&self) -> Candidates<'_> {
        Candidates { starts: &self.first, step: self.step, channels: self.channels }
    }
}

impl<T: Real> Pool<T> {
    /// Spreads a picture's pooled gradient over the pixels that won.
    fn spread(&mut self, kernels: &Kernels<T>, pooled: &Field<T>, picture: usize) {
        let size = pooled.grid.size;
        let candidates = Starts::new(self.size, self.gradient.grid.row_step(), size);
        let row_length = size.width * size.channels;
        let winners = self.winners[picture * size.values()..].chunks_exact(row_length);
        for (y, winners) in (0..size.height).zip(winners) {
            let start = self.gradient.grid.at((y * self.size.0) as isize, 0);
            let target = &mut self.gradient.tail_mut(0)[start..];
            kernels.max_pool_gradient(pooled.row(picture, y), winners, &candidates.get(), target);
        }
    }
}

impl<T: Real> Stage<T> for Convolution<T> {
    fn load(&mut self, weights: &[T]) {
        let Options { window, fold, coarse_first, .. } = &self.options;
        let stored = &weights[self.options.kernel.clone()];
        fold.kernel(window, *coarse_first, stored, &mut self.tap, &mut self.kernel);
        let bias = self.options.bias.clone().map(|range| &weights[range]);
        self.forward.pack(&self.kernel, bias);
        self.backward.pack(&self.kernel, None);
    }

    fn forward(&mut self, input: &Field<T>, output: &mut Field<T>, pictures: usize) {
        if self.pool.is_some() {
            return self.forward_pooled(input, output, pictures);
        }
        let (kernels, relu) = (self.kernels, self.options.relu);
        let finish = |row: &mut [T]| {
            if relu {
                kernels.relu(row);
            }
        };
        self.forward.run(kernels, (input, 0), (output, 0), pictures, finish);
    }

    fn backward(
        &mut self,
        input: &Field<T>,
        output: &mut Edge<T>,
        mut input_gradient: Option<&mut Field<T>>,
        pictures: usize,
    ) {
        let kernels = self.kernels;
        if self.options.relu {
            let relu_gradient =
                |gradient: &mut [T], result: &[T]| kernels.relu_gradient(result, gradient);
            output.gradient.zip_rows(&output.values, pictures, relu_gradient);
        }
        for picture in 0..pictures {
            kernels.column_sums(&output.gradient.table(picture), &mut self.bias_gradient);
        }
        let window = &self.options.window;
        let single = window.rows.coarse * window.columns.coarse == 1 && self.pool.is_none();
        let at_once = if single { pictures } else { 1 };
        for picture in (0..pictures).step_by(at_once) {
            let (gradient, place) = match &mut self.pool {
                Some(pool) => {
                    pool.spread(kernels, &output.gradient, picture);
                    (&pool.gradient, 0)
                }
                None => (&output.gradient, picture),
            };
            let (fields, places) = match self.options.direction {
                Direction::Gather => ((input, gradient), (picture, place)),
                Direction::Scatter => ((gradient, input), (place, picture)),
            };
            let sums = &mut self.kernel_gradient;
            Self::add_kernel_gradient(window, kernels, sums, fields, places, at_once);
            if let Some(result) = input_gradient.as_deref_mut() {
                self.backward.run(kernels, (gradient, place), (result, picture), at_once, |_| {});
            }
        }
    }

    fn collect(&mut self, gradient: &mut [T]) {
        let Options { window, fold, coarse_first, .. } = &self.options;
        let stride = Outer::<T>::stride(window.coarse, self.kernels.lanes);
        let rows = self
            .kernel_gradient
            .chunks_exact(stride)
            .zip(self.kernel.chunks_exact_mut(window.coarse));
        // The kernel has done its work in this step: its place takes the gradient.
        rows.for_each(|(sums, row)| row.copy_from_slice(&sums[..window.coarse]));
        let stored = &mut gradient[self.options.kernel.clone()];
        fold.gradient(window, *coarse_first, &self.kernel, &mut self.tap, stored);
        self.kernel_gradient.fill(T::zero());
        if let Some(bias) = self.options.bias.clone() {
            gradient[bias].copy_from_slice(&self.bias_gradient);
        }
        self.bias_gradient.fill(T::zero());
    }

    fn input_margin(&self) -> Margin {
        Self::margins(&self.options.window, self.options.direction).0
    }

    fn gradient_margin(&self) -> Margin {
        match self.pool {
            Some(_) => Margin::default(),
            None => Self::margins(&self.options.window, self.options.direction).1,
        }
    }
}
