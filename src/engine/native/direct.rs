//! A convolution's arithmetic as it stands: each result pixel from its window.

use super::grid::Field;
use super::kernels::{Kernels, Outer, Pixels, Real};
use super::memory::zeros;
use super::pass::{Col2Im, Direction, Pass};
use super::window::Window;

/// With its buffers.
#[derive(Debug)]
pub(super) struct Direct<T> {
    window: Window,
    direction: Direction,
    forward: Either<T>,
    backward: Either<T>,
    /// Sums of the kernel's gradient: taps and fine channels by coarse channels, filled up to whole
    /// vectors.
    kernel_gradient: Vec<T>,
}

/// Either way of computing a direction.
#[derive(Debug)]
enum Either<T> {
    Pass(Pass<T>),
    Col2Im(Col2Im<T>),
}

impl<T: Real> Either<T> {
    fn new(window: Window, direction: Direction, lanes: usize) -> Self {
        let sparse = direction == Direction::Scatter && window.fine * 4 <= lanes;
        if sparse && window.taps() * window.fine <= 8 * lanes {
            Self::Col2Im(Col2Im::new(window, lanes))
        } else {
            Self::Pass(Pass::new(window, direction, lanes))
        }
    }

    fn pack(&mut self, kernel: &[T], bias: Option<&[T]>) {
        match self {
            Self::Pass(pass) => pass.pack(kernel, bias),
            Self::Col2Im(spread) => spread.pack(kernel, bias),
        }
    }

    fn run(
        &mut self,
        kernels: &Kernels<T>,
        source: (&Field<T>, usize),
        result: (&mut Field<T>, usize),
        images: usize,
        finish: impl Fn(&mut [T]),
    ) {
        match self {
            Self::Pass(pass) => pass.run(kernels, source, result, images, finish),
            Self::Col2Im(spread) => spread.run(kernels, source, result, images, finish),
        }
    }
}

impl<T: Real> Direct<T> {
    /// A pooled one must make its rows one by one.
    pub fn new(window: Window, direction: Direction, pooled: bool, lanes: usize) -> Self {
        let stride = Outer::<T>::stride(window.coarse, lanes);
        Self {
            window,
            direction,
            forward: if pooled {
                Either::Pass(Pass::new(window, direction, lanes))
            } else {
                Either::new(window, direction, lanes)
            },
            backward: Either::new(window, direction.reverse(), lanes),
            kernel_gradient: zeros(window.taps() * window.fine * stride),
        }
    }

    /// Whether all images are best taken at once: those that give one pixel each.
    pub fn is_single(&self) -> bool {
        self.window.rows.coarse * self.window.columns.coarse == 1
    }

    /// Takes over a kernel as the window sees it, and the bias.
    pub fn load(&mut self, kernel: &[T], bias: Option<&[T]>) {
        self.forward.pack(kernel, bias);
        self.backward.pack(kernel, None);
    }

    /// Row `y` of an image that will be pooled.
    pub fn row(
        &self,
        kernels: &Kernels<T>,
        source: (&Field<T>, usize),
        y: usize,
        result: &mut [T],
    ) {
        let Either::Pass(pass) = &self.forward else {
            unreachable!("a pooled convolution makes a pass")
        };
        pass.row(kernels, source.0, source.1, y, result);
    }

    /// `finish` is called on each row while it is in the cache.
    pub fn forward(
        &mut self,
        kernels: &Kernels<T>,
        source: (&Field<T>, usize),
        result: (&mut Field<T>, usize),
        images: usize,
        finish: impl Fn(&mut [T]),
    ) {
        self.forward.run(kernels, source, result, images, finish);
    }

    /// Adds up the kernel's gradient, and computes the input's where it is wanted; of one image,
    /// or of all if they are single pixels.
    pub fn backward(
        &mut self,
        kernels: &Kernels<T>,
        input: (&Field<T>, usize),
        gradient: (&Field<T>, usize),
        result: Option<(&mut Field<T>, usize)>,
        images: usize,
    ) {
        let (fine, coarse) = match self.direction {
            Direction::Gather => (input, gradient),
            Direction::Scatter => (gradient, input),
        };
        let sums = &mut self.kernel_gradient;
        let (fields, places) = ((fine.0, coarse.0), (fine.1, coarse.1));
        Self::add_kernel_gradient(&self.window, kernels, sums, fields, places, images);
        if let Some(result) = result {
            self.backward.run(kernels, gradient, result, images, |_| {});
        }
    }

    /// Hands out the kernel's gradient, as the window sees it, and starts it anew.
    pub fn collect(&mut self, kernel: &mut [T], lanes: usize) {
        let stride = Outer::<T>::stride(self.window.coarse, lanes);
        let rows = self.kernel_gradient.chunks_exact(stride);
        for (sums, row) in rows.zip(kernel.chunks_exact_mut(self.window.coarse)) {
            row.copy_from_slice(&sums[..self.window.coarse]);
        }
        self.kernel_gradient.fill(T::zero());
    }

    /// Adds one image's share to the kernel's gradient; a coarse grid of one pixel takes all
    /// images at once.
    fn add_kernel_gradient(
        window: &Window,
        kernels: &Kernels<T>,
        sums: &mut [T],
        (fine, coarse): (&Field<T>, &Field<T>),
        (fine_image, coarse_image): (usize, usize),
        images: usize,
    ) {
        let single = window.rows.coarse * window.columns.coarse == 1;
        let length = window.columns.taps * window.fine;
        let sums = sums.chunks_exact_mut(length * Outer::<T>::stride(window.coarse, kernels.lanes));
        for (ky, sums) in (0..).zip(sums) {
            let start = fine.grid.at(ky - window.rows.offset, -window.columns.offset);
            let left = Pixels {
                values: &fine.tail(fine_image)[start..],
                row_step: window.rows.stride * fine.grid.row_step(),
                step: if single {
                    fine.grid.image_step()
                } else {
                    window.columns.stride * window.fine
                },
                length,
            };
            let right = Pixels {
                values: &coarse.tail(coarse_image)[coarse.grid.at(0, 0)..],
                row_step: coarse.grid.row_step(),
                step: if single { coarse.grid.image_step() } else { window.coarse },
                length: window.coarse,
            };
            let pixels = if single { images } else { window.columns.coarse };
            kernels.outer(&Outer { left, right, rows: window.rows.coarse, pixels }, sums);
        }
    }
}
