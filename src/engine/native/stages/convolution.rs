//! Every layer with a kernel: `Conv2D`, `Conv2DTranspose`, `Dense`, and a `Conv2D` after upsampling;
//! with the activation, and with a max-pooling that follows.

use std::ops::Range;

use super::Stage;
use super::pool::Starts;
use crate::engine::native::direct::Direct;
use crate::engine::native::fold::Fold;
use crate::engine::native::grid::{Edge, Field, Grid, Margin, Size};
use crate::engine::native::kernels::{Kernels, Real};
use crate::engine::native::memory::zeros;
use crate::engine::native::pass::Direction;
use crate::engine::native::team::{MULTIPLICATIONS_OF_A_VALUE, Means, Team};
use crate::engine::native::tiled::{Tiled, Tiling};
use crate::engine::native::window::Window;

/// What a convolution is made from.
#[derive(Debug, Clone)]
pub(in crate::engine::native) struct Options {
    pub window: Window,
    /// From input to output.
    pub direction: Direction,
    /// The upsampling before it, which its window includes, or that it is turned round.
    pub fold: Fold,
    /// Whether tiles take fewer multiplications.
    pub tiling: Option<Tiling>,
    /// Whether the stored kernel's first axis is the coarse grid's channels.
    pub coarse_first: bool,
    pub relu: bool,
    /// Height and width of a max-pooling after it, whose windows do not overlap.
    pub pool: Option<(usize, usize)>,
    /// Where its kernel and bias stand among the weights.
    pub kernel: Range<usize>,
    pub bias: Option<Range<usize>>,
    /// Of a kernel for more input channels, those that are convolved here.
    pub part: Option<Part>,
}

/// Some of the input channels of a kernel, which is stored as `(outputs, inputs, rows, columns)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine::native) struct Part {
    pub first: usize,
    pub channels: usize,
    /// Of the whole kernel.
    pub inputs: usize,
    pub outputs: usize,
}

impl Part {
    /// Of each output, where its values stand among those of the whole kernel, of so many values.
    fn rows(self, stored: usize) -> impl Iterator<Item = Range<usize>> {
        let row = stored / self.outputs;
        let taps = row / self.inputs;
        (0..self.outputs).map(move |output| {
            let start = output * row + self.first * taps;
            start..start + self.channels * taps
        })
    }

    fn take<T: Copy>(self, stored: &[T], own: &mut Vec<T>) {
        own.clear();
        self.rows(stored.len()).for_each(|row| own.extend_from_slice(&stored[row]));
    }

    fn add<T: Real>(self, own: &[T], stored: &mut [T]) {
        let mut own = own.iter();
        for row in self.rows(stored.len()) {
            stored[row].iter_mut().zip(&mut own).for_each(|(to, &from)| *to = *to + from);
        }
    }
}

impl Options {
    /// Values of a group's kernel as it is stored.
    fn stored(&self) -> usize {
        let all = self.kernel.len() / self.window.groups;
        self.part.map_or(all, |part| all / part.inputs * part.channels)
    }
}

/// A convolution with its buffers.
#[derive(Debug)]
pub(in crate::engine::native) struct Convolution<T: Real> {
    options: Options,
    kernels: &'static Kernels<T>,
    team: Team,
    arithmetic: Arithmetic<T>,
    /// The kernel of each group as the window sees it: taps, fine channels, coarse channels.
    kernel: Vec<T>,
    /// Of a part, its kernel as it is stored.
    own: Vec<T>,
    /// One tap of the kernel.
    tap: Vec<T>,
    bias_gradient: Vec<T>,
    pool: Option<Pool<T>>,
}

/// Either way of computing it.
#[derive(Debug)]
enum Arithmetic<T> {
    Direct(Box<Direct<T>>),
    Tiled(Box<Tiled<T>>),
}

/// Of the pooling.
#[derive(Debug)]
struct Pool<T> {
    size: (usize, usize),
    /// What the convolution gives: the rows under one row of pooled pixels, for each member of a team; or whole images.
    before: Vec<Field<T>>,
    /// Which pixel won, for each pooled value of each image.
    winners: Vec<u8>,
    /// The gradient before pooling, of the images that are taken at once.
    gradient: Field<T>,
}

impl<T: Real> Convolution<T> {
    /// For up to so many images at once.
    pub fn new(options: Options, kernels: &'static Kernels<T>, images: usize) -> Self {
        let (window, direction, lanes) = (options.window, options.direction, kernels.lanes);
        let output = match direction {
            Direction::Gather => window.coarse_size(),
            Direction::Scatter => window.fine_size(),
        };
        let arithmetic = if let Some(tiling) = options.tiling {
            Arithmetic::Tiled(Box::new(Tiled::new(tiling, window, direction, images, lanes)))
        } else {
            let pooled = options.pool.is_some();
            Arithmetic::Direct(Box::new(Direct::new(window, direction, pooled, lanes)))
        };
        let pool = options.pool.map(|size| {
            let pooled = output.height / size.0 * (output.width / size.1) * output.channels;
            let (before, at_once) = match &arithmetic {
                Arithmetic::Direct(_) => (Size { height: size.0, ..output }, 1),
                Arithmetic::Tiled(tiled) => (output, tiled.images()),
            };
            let margin = Self::margins(&options).1;
            Pool {
                size,
                before: vec![Field::new(Grid { size: before, margin: Margin::default() }, at_once)],
                winners: zeros(images * pooled),
                gradient: Field::new(Grid { size: output, margin }, at_once),
            }
        });
        Self {
            kernels,
            team: Team::alone(),
            arithmetic,
            kernel: zeros(window.groups * window.kernel()),
            own: Vec::new(),
            tap: zeros(window.fine * window.coarse),
            bias_gradient: zeros(output.channels),
            pool,
            options,
        }
    }

    /// Around the input's values, and around the gradient of what the convolution gives.
    fn margins(options: &Options) -> (Margin, Margin) {
        let window = &options.window;
        let (fine, coarse) = match options.tiling {
            Some(tiling) => tiling.margins(window),
            None => (window.fine_margin(), window.coarse_margin()),
        };
        match options.direction {
            Direction::Gather => (fine, coarse),
            Direction::Scatter => (coarse, fine),
        }
    }

    /// Images that are taken at once.
    fn at_once(&self, images: usize) -> usize {
        match &self.arithmetic {
            Arithmetic::Tiled(tiled) => tiled.images(),
            Arithmetic::Direct(direct) if direct.is_single() && self.pool.is_none() => images,
            Arithmetic::Direct(_) => 1,
        }
    }

    /// The convolution, then its maxima: the activation need only see these.
    fn forward_pooled(&mut self, input: &Field<T>, output: &mut Field<T>, images: usize) {
        let (means, at_once) = ((self.kernels, &self.team), self.at_once(images));
        let finish = finish(self.kernels, self.options.relu);
        let Some(pool) = &mut self.pool else { unreachable!("there is a pooling") };
        for first in (0..images).step_by(at_once) {
            match &mut self.arithmetic {
                Arithmetic::Direct(direct) => {
                    pool.forward_by_rows(means, direct, (input, first), output, finish);
                }
                Arithmetic::Tiled(tiled) => {
                    let count = at_once.min(images - first);
                    let before = (&mut pool.before[0], 0);
                    tiled.forward(means, (input, first), before, count, |_| {});
                    for place in 0..count {
                        pool.forward_image(means, place, (&mut *output, first + place), finish);
                    }
                }
            }
        }
    }
}

/// What is done with each row of results.
fn finish<T: Real>(kernels: &Kernels<T>, relu: bool) -> impl Fn(&mut [T]) + Sync + Copy {
    move |row| {
        if relu {
            kernels.relu(row);
        }
    }
}

impl<T: Real> Pool<T> {
    /// An image's maxima, each of whose rows is made as soon as there are the rows under it. The team has a band of
    /// rows for each of its members.
    fn forward_by_rows(
        &mut self,
        (kernels, team): Means<'_, T>,
        direct: &Direct<T>,
        (input, image): (&Field<T>, usize),
        output: &mut Field<T>,
        finish: impl Fn(&mut [T]) + Sync,
    ) {
        let members = team.members(direct.multiplications());
        while self.before.len() < members {
            self.before.push(self.before[0].clone());
        }
        let (height, candidates) = (self.size.0, self.candidates(output.grid.size));
        let mut rows: Vec<_> = pooled_rows((output, image), &mut self.winners).collect();
        let band = rows.len().div_ceil(members);
        let bands = rows.chunks_mut(band).zip(&mut self.before);
        team.share_out(direct.multiplications(), bands, |(rows, before)| {
            for (y, result, winners) in rows {
                for dy in 0..height {
                    let row = before.row_mut(0, dy);
                    direct.row(kernels, (input, image), *y * height + dy, row);
                }
                kernels.max_pool(before.tail(0), &candidates.get(), result, winners);
                finish(result);
            }
        });
    }

    /// The maxima of an image whose convolution is there, in the image at `place`.
    fn forward_image(
        &mut self,
        (kernels, team): Means<'_, T>,
        place: usize,
        output: (&mut Field<T>, usize),
        finish: impl Fn(&mut [T]) + Sync,
    ) {
        let (height, candidates) = (self.size.0, self.candidates(output.0.grid.size));
        let before = &self.before[0];
        let rows = pooled_rows(output, &mut self.winners);
        let work = MULTIPLICATIONS_OF_A_VALUE * before.grid.size.values();
        team.share_out(work, rows, |(y, result, winners)| {
            let start = before.grid.at((y * height) as isize, 0);
            let under = &before.tail(place)[start..];
            kernels.max_pool(under, &candidates.get(), result, winners);
            finish(result);
        });
    }

    /// Among what the convolution gives.
    fn candidates(&self, pooled: Size) -> Starts {
        Starts::new(self.size, self.before[0].grid.row_step(), pooled)
    }

    /// Spreads an image's pooled gradient over the pixels that won, in the image at `place`.
    fn spread(&mut self, kernels: &Kernels<T>, pooled: &Field<T>, image: usize, place: usize) {
        let size = pooled.grid.size;
        let candidates = Starts::new(self.size, self.gradient.grid.row_step(), size);
        let row_length = size.width * size.channels;
        let winners = self.winners[image * size.values()..].chunks_exact(row_length);
        for (y, winners) in (0..size.height).zip(winners) {
            let start = self.gradient.grid.at((y * self.size.0) as isize, 0);
            let target = &mut self.gradient.tail_mut(place)[start..];
            kernels.max_pool_gradient(pooled.row(image, y), winners, &candidates.get(), target);
        }
    }
}

impl<T: Real> Stage<T> for Convolution<T> {
    fn load(&mut self, weights: &[T]) {
        let Options { window, fold, coarse_first, .. } = &self.options;
        let stored = &weights[self.options.kernel.clone()];
        let stored = match self.options.part {
            Some(part) => {
                part.take(stored, &mut self.own);
                &self.own
            }
            None => stored,
        };
        let stored = stored.chunks_exact(self.options.stored());
        for (stored, kernel) in stored.zip(self.kernel.chunks_exact_mut(window.kernel())) {
            fold.kernel(window, *coarse_first, stored, &mut self.tap, kernel);
        }
        let bias = self.options.bias.clone().map(|range| &weights[range]);
        match &mut self.arithmetic {
            Arithmetic::Direct(direct) => direct.load(&self.kernel, bias),
            Arithmetic::Tiled(tiled) => tiled.load(self.kernels, &self.kernel, bias),
        }
    }

    fn join(&mut self, team: &Team) {
        self.team = team.clone();
    }

    fn forward(&mut self, input: &Field<T>, output: &mut Field<T>, images: usize) {
        if self.pool.is_some() {
            return self.forward_pooled(input, output, images);
        }
        let means = (self.kernels, &self.team);
        let finish = finish(self.kernels, self.options.relu);
        let at_once = self.at_once(images);
        match &mut self.arithmetic {
            Arithmetic::Direct(direct) => {
                direct.forward(means, (input, 0), (output, 0), images, finish);
            }
            Arithmetic::Tiled(tiled) => {
                for first in (0..images).step_by(at_once) {
                    let count = at_once.min(images - first);
                    let result = (&mut *output, first);
                    tiled.forward(means, (input, first), result, count, finish);
                }
            }
        }
    }

    fn backward(
        &mut self,
        input: &Field<T>,
        output: &mut Edge<T>,
        mut input_gradient: Option<&mut Field<T>>,
        images: usize,
    ) {
        let (kernels, Edge { values, gradient }) = (self.kernels, &mut *output);
        let means = (kernels, &self.team);
        let work = MULTIPLICATIONS_OF_A_VALUE * gradient.grid.size.values();
        for image in 0..images {
            if self.options.relu {
                let rows = gradient.rows_mut(image).enumerate();
                self.team.share_out(work, rows, |(y, gradient)| {
                    kernels.relu_gradient(values.row(image, y), gradient);
                });
            }
            if self.options.bias.is_some() {
                kernels.column_sums(&gradient.table(image), &mut self.bias_gradient);
            }
        }
        let at_once = self.at_once(images);
        for first in (0..images).step_by(at_once) {
            let count = at_once.min(images - first);
            let gradient = match &mut self.pool {
                Some(pool) => {
                    for place in 0..count {
                        pool.spread(kernels, &output.gradient, first + place, place);
                    }
                    (&pool.gradient, 0)
                }
                None => (&output.gradient, first),
            };
            let (input, result) =
                ((input, first), input_gradient.as_deref_mut().map(|result| (result, first)));
            match &mut self.arithmetic {
                Arithmetic::Direct(direct) => {
                    direct.backward(means, &self.kernel, input, gradient, result, count);
                }
                Arithmetic::Tiled(tiled) => {
                    tiled.backward(means, input, gradient, result, count);
                }
            }
        }
    }

    fn collect(&mut self, gradient: &mut [T]) {
        let Options { window, fold, coarse_first, .. } = &self.options;
        // The kernel has done its work in this step: its place takes the gradient.
        match &mut self.arithmetic {
            Arithmetic::Direct(direct) => direct.collect(&mut self.kernel, self.kernels.lanes),
            Arithmetic::Tiled(tiled) => tiled.collect(self.kernels, &mut self.kernel),
        }
        let stored = &mut gradient[self.options.kernel.clone()];
        let all: &mut [T] = if self.options.part.is_some() {
            self.own.fill(T::zero());
            &mut self.own
        } else {
            &mut *stored
        };
        let groups = all.chunks_exact_mut(self.options.stored());
        for (stored, kernel) in groups.zip(self.kernel.chunks_exact(window.kernel())) {
            fold.gradient(window, *coarse_first, kernel, &mut self.tap, stored);
        }
        if let Some(part) = self.options.part {
            part.add(&self.own, stored);
        }
        if let Some(bias) = self.options.bias.clone() {
            self.kernels.add_scaled(&mut gradient[bias], &self.bias_gradient, T::one());
        }
        self.bias_gradient.fill(T::zero());
    }

    fn input_margin(&self) -> Margin {
        Self::margins(&self.options).0
    }

    fn gradient_margin(&self) -> Margin {
        match self.pool {
            Some(_) => Margin::default(),
            None => Self::margins(&self.options).1,
        }
    }
}

/// An image's rows of pooled pixels: their numbers, their values, and which pixels won them.
fn pooled_rows<'a, T: Real>(
    (output, image): (&'a mut Field<T>, usize),
    winners: &'a mut [u8],
) -> impl ExactSizeIterator<Item = (usize, &'a mut [T], &'a mut [u8])> + Send {
    let size = output.grid.size;
    let winners = &mut winners[image * size.values()..];
    let winners = winners.chunks_exact_mut(size.width * size.channels);
    let rows = output.rows_mut(image).zip(winners).enumerate();
    rows.map(|(y, (values, winners))| (y, values, winners))
}
