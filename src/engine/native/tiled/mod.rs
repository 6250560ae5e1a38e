//! Convolutions with fewer multiplications: tiles of two by two pixels from planes.
//!
//! A convolution is bilinear in its kernel `w` and its source `x`. Along one side, the two pixels `y`
//! of a tile are `y = A^T [(G w) * (B x)]`, where `*` goes value by value and `B` and `A` only add and
//! subtract; for both sides each map is applied down and across. `G w` is computed when the weights
//! change. A pixel has channels, so each `*` is a product of a plane of all tiles' pixels with a matrix:
//! the number of planes is the number of multiplications for a tile.
//!
//! - [`Tiling::Winograd`], for three taps `w0 w1 w2`, is his F(2, 3): 4 planes a side where there were 6
//!   multiplications, 16 for 36 in all. From the pixels `a b c d` come
//!   `w0 (a - c)`, `(w0 + w1 + w2)/2 (b + c)`, `(w0 - w1 + w2)/2 (c - b)` and `w2 (d - b)`; of these, named
//!   `m0` to `m3`, `m0 + m1 + m2 = w0 a + w1 b + w2 c` and `m1 - m2 + m3 = w0 b + w1 c + w2 d`.
//!   The input's gradient is a convolution of the same kind, whose kernel is turned around: that
//!   exchanges `m0` with `m3`. The kernel's gradient is the transpose: `G^T [(B x) * (A dy)]`.
//! - [`Tiling::Upsampling`], for three taps after upsampling by two, which see `a a b b c c` from the
//!   second `a` on: 3 planes a side where [`super::fold`] has 4 multiplications, 9 for 16 in all.
//!   `w0 (a - b)`, `(w0 + w1 + w2) b` and `w2 (c - b)` are `m0` to `m2`, of which
//!   `m0 + m1 = w0 a + (w1 + w2) b` and `m1 + m2 = (w0 + w1) b + w2 c`. The source's pixel `b` gets the
//!   gradient `w0 (d - b) + (w0 + w1 + w2) (b + c) + w2 (a - c)` if now `a b c d` are gradients, of its own
//!   two pixels `b c` and of their neighbours: planes that stand side by side as one pixel's channels
//!   make it a single product, and the same planes times the source are the kernel's gradient. The
//!   folded kernel has the taps `v = w2, w1 + w2, w0 + w1, w0`, so that the sum of all is `v1 + v3`.

mod gradients;
mod planes;
mod sweep;
mod tiling;

pub(super) use tiling::Tiling;

use super::grid::Field;
use super::kernels::{Kernels, Outer, Real};
use super::memory::zeros;
use super::pass::Direction;
use super::window::Window;
use gradients::{Back, Upsampling, Winograd};
use planes::Planes;
use sweep::Sweep;

/// Pixels of a tile's side.
const TILE: usize = 2;
/// Tiles that fill the products' loops well; small pictures are put together until they have as many.
const ENOUGH_TILES: usize = 64;

/// A convolution's arithmetic with its buffers.
#[derive(Debug)]
pub(super) struct Tiled<T> {
    tiling: Tiling,
    window: Window,
    direction: Direction,
    /// Pictures at once.
    pictures: usize,
    forward: Sweep<T>,
    backward: Back<T>,
    /// `G w` down and across: planes, fine channels, coarse channels.
    kernel: Vec<T>,
    /// Sums of its gradient, whose rows are filled up to whole vectors.
    kernel_gradient: Vec<T>,
    /// Room for planes of one side and of the other.
    before: Vec<T>,
    after: Vec<T>,
}

impl<T: Real> Tiled<T> {
    /// For up to `most` pictures at once.
    pub fn new(
        tiling: Tiling,
        window: Window,
        direction: Direction,
        most: usize,
        lanes: usize,
    ) -> Self {
        let size = match direction {
            Direction::Gather => window.coarse_size(),
            Direction::Scatter => window.fine_size(),
        };
        let tiles = size.height.div_ceil(TILE) * size.width.div_ceil(TILE);
        let pictures = (ENOUGH_TILES / tiles).clamp(1, most);
        let forward = Sweep::new(tiling, &window, direction, pictures, lanes);
        let backward = Back::new(tiling, &window, direction, pictures, lanes);
        let room = |planes: &Planes| planes.room(pictures, lanes);
        let (mut before, mut after) = (room(&forward.source), room(&forward.result));
        match &backward {
            Back::Winograd(Winograd { input, planes, .. }) => {
                before = before.max(room(&input.source)).max(room(&planes.0));
                after = after.max(room(&input.result)).max(room(&planes.1));
            }
            Back::Upsampling(Upsampling { planes, .. }) => before = before.max(room(planes)),
        }
        let matrices = tiling.planes() * tiling.planes();
        let stride = Outer::<T>::stride(window.coarse, lanes);
        Self {
            tiling,
            window,
            direction,
            pictures,
            forward,
            backward,
            kernel: zeros(matrices * window.fine * window.coarse),
            kernel_gradient: zeros(matrices * window.fine * stride),
            before: zeros(before),
            after: zeros(after),
        }
    }

    /// Pictures that are best taken at once, and the most that can be.
    pub fn pictures(&self) -> usize {
        self.pictures
    }

    /// Takes over a kernel as the window sees it, and the bias.
    pub fn load(&mut self, kernel: &[T], bias: Option<&[T]>) {
        let size = self.window.fine * self.window.coarse;
        self.kernel.fill(T::zero());
        self.tiling.for_each_share(|plane, tap, share| {
            let plane = &mut self.kernel[plane * size..][..size];
            add_scaled(plane, &kernel[tap * size..][..size], T::of(share));
        });
        self.forward.pack(&self.kernel, bias);
        match &mut self.backward {
            Back::Winograd(back) => back.input.pack(&self.kernel, None),
            Back::Upsampling(back) => back.pack(&self.kernel),
        }
    }

    /// Of at most [`Tiled::pictures`] pictures, from those named in source and result on.
    pub fn forward(
        &mut self,
        kernels: &Kernels<T>,
        source: (&Field<T>, usize),
        result: (&mut Field<T>, usize),
        pictures: usize,
    ) {
        let room = (&mut self.before[..], &mut self.after[..]);
        self.forward.run(kernels, source, result, pictures, room);
    }

    /// Adds up the kernel's gradient, and computes the input's where it is wanted.
    pub fn backward(
        &mut self,
        kernels: &Kernels<T>,
        input: (&Field<T>, usize),
        gradient: (&Field<T>, usize),
        result: Option<(&mut Field<T>, usize)>,
        pictures: usize,
    ) {
        let Self { window, direction, backward, kernel_gradient, before, after, .. } = self;
        let Window { fine, coarse, .. } = *window;
        let room = (&mut before[..], &mut after[..]);
        match backward {
            Back::Winograd(back) => {
                let fields = match direction {
                    Direction::Gather => (input, gradient),
                    Direction::Scatter => (gradient, input),
                };
                let size = fine * Outer::<T>::stride(coarse, kernels.lanes);
                let sums = kernel_gradient.chunks_exact_mut(size);
                back.add_kernel_gradient(kernels, fields, pictures, (room.0, room.1), sums);
                if let Some(result) = result {
                    back.input.run(kernels, gradient, result, pictures, room);
                }
            }
            Back::Upsampling(back) => {
                back.take(kernels, gradient, pictures, room.0);
                back.add_kernel_gradient(kernels, input, pictures, room.0, kernel_gradient);
                if let Some(result) = result {
                    back.input_gradient(kernels, room.0, result, pictures);
                }
            }
        }
    }

    /// Hands out the kernel's gradient, as the window sees it, and starts it anew.
    pub fn collect(&mut self, kernel: &mut [T]) {
        let (coarse, size) = (self.window.coarse, self.window.fine * self.window.coarse);
        let stride = self.kernel_gradient.len() * coarse / self.kernel.len();
        let rows = self.kernel_gradient.chunks_exact(stride);
        // The kernel has done its work in this step: its place takes the gradient.
        for (sums, row) in rows.zip(self.kernel.chunks_exact_mut(coarse)) {
            row.copy_from_slice(&sums[..coarse]);
        }
        kernel.fill(T::zero());
        self.tiling.for_each_share(|plane, tap, share| {
            let tap = &mut kernel[tap * size..][..size];
            add_scaled(tap, &self.kernel[plane * size..][..size], T::of(share));
        });
        self.kernel_gradient.fill(T::zero());
    }
}

fn add_scaled<T: Real>(sums: &mut [T], terms: &[T], factor: T) {
    for (sum, &term) in sums.iter_mut().zip(terms) {
        *sum = *sum + term * factor;
    }
}
