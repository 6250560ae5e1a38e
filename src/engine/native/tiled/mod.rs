//! Convolutions with fewer multiplications: tiles of two by two pixels from planes.
//!
//! A convolution is bilinear in its kernel `w` and its source `x`. Along one side, the two pixels `y`
//! of a tile are `y = A^T [(G w) * (B x)]`, where `*` goes value by value and `B` and `A` only add and
//! subtract; for both sides each map is applied down and across. `G w` is computed when the weights
//! change. A pixel has channels, so each `*` is a product of a plane of all tiles' pixels with a matrix:
//! the number of planes is the number of multiplications for a tile.
//!
//! - [`Tiling::Winograd`], for three taps `w0 w1 w2`, is Winograd's F(2, 3): 4 planes a side where there were 6
//!   multiplications, 16 instead of 36 in all. From the pixels `a b c d` come
//!   `w0 (a - c)`, `(w0 + w1 + w2)/2 (b + c)`, `(w0 - w1 + w2)/2 (c - b)` and `w2 (d - b)`; of these, named
//!   `m0` to `m3`, `m0 + m1 + m2 = w0 a + w1 b + w2 c` and `m1 - m2 + m3 = w0 b + w1 c + w2 d`.
//!   The gradients are the transposes, both from the planes `A dy` of the output's gradient:
//!   `G^T [(B x) * (A dy)]` for the kernel, `B^T [(G w) * (A dy)]` for the source, whose tiles of four
//!   pixels overlap. A transposed convolution goes the other way: its output is `B^T [(G w) * (A x)]`. So
//!   whatever lies on the fine grid goes through `B`, and whatever lies on the coarse one through `A`.
//! - [`Tiling::Upsampling`], for three taps after upsampling by two, which see `a a b b c c` from the
//!   second `a` on: 3 planes a side where [`super::fold`] has 4 multiplications, 9 instead of 16 in all.
//!   `w0 (a - b)`, `(w0 + w1 + w2) b` and `w2 (c - b)` are `m0` to `m2`, of which
//!   `m0 + m1 = w0 a + (w1 + w2) b` and `m1 + m2 = (w0 + w1) b + w2 c`. The source's pixel `b` gets the
//!   gradient `w0 (d - b) + (w0 + w1 + w2) (b + c) + w2 (a - c)` if now `a b c d` are gradients, of its own
//!   two pixels `b c` and of their neighbours: planes that stand side by side as one pixel's channels
//!   make it a single product, and the same planes times the source are the kernel's gradient. The
//!   folded kernel has the taps `v = w2, w1 + w2, w0 + w1, w0`, so that the sum of all is `v1 + v3`.

mod planes;
mod tiling;
mod upsampling;
mod winograd;

pub(super) use tiling::Tiling;

use super::grid::{Field, Size};
use super::kernels::{Kernels, Outer, Packed, Product, Real};
use super::memory::zeros;
use super::pass::Direction;
use super::team::{MULTIPLICATIONS_OF_A_VALUE, Means, Team};
use super::window::Window;
use planes::Planes;
use upsampling::Upsampling;
use winograd::Winograd;

/// Pixels of a tile's side.
const TILE: usize = 2;
/// Tiles that fill the products' loops well; small images are put together until they have as many.
const ENOUGH_TILES: usize = 64;

/// Images from this one on.
type At<'a, T> = (&'a Field<T>, usize);
type AtMut<'a, T> = (&'a mut Field<T>, usize);

/// A convolution's arithmetic with its buffers.
#[derive(Debug)]
pub(super) struct Tiled<T> {
    tiling: Tiling,
    /// Values of one tap, or plane, of the kernel, and of a row of them.
    size: usize,
    coarse: usize,
    /// Images at once.
    images: usize,
    planes: Either<T>,
    /// `G w` down and across: planes, fine channels, coarse channels.
    kernel: Vec<T>,
    /// Sums of its gradient, whose rows are filled up to whole vectors.
    kernel_gradient: Vec<T>,
}

/// One for each [`Tiling`].
#[derive(Debug)]
enum Either<T> {
    Winograd(Winograd<T>),
    Upsampling(Upsampling<T>),
}

impl<T: Real> Tiled<T> {
    /// For up to `most` images at once.
    pub fn new(
        tiling: Tiling,
        window: Window,
        direction: Direction,
        most: usize,
        lanes: usize,
    ) -> Self {
        let tiles = tiles_of(match tiling {
            Tiling::Winograd => window.coarse_size(),
            Tiling::Upsampling => window.fine_size(),
        });
        let images = (ENOUGH_TILES / (tiles.0 * tiles.1)).clamp(1, most);
        let matrices = tiling.planes() * tiling.planes();
        let stride = Outer::<T>::stride(window.coarse, lanes);
        Self {
            tiling,
            size: window.fine * window.coarse,
            coarse: window.coarse,
            images,
            planes: match tiling {
                Tiling::Winograd => {
                    Either::Winograd(Winograd::new(&window, direction, images, lanes))
                }
                Tiling::Upsampling => Either::Upsampling(Upsampling::new(&window, images, lanes)),
            },
            kernel: zeros(matrices * window.fine * window.coarse),
            kernel_gradient: zeros(matrices * window.fine * stride),
        }
    }

    /// Images that are best taken at once, and the most that can be.
    pub fn images(&self) -> usize {
        self.images
    }

    /// Takes over a kernel as the window sees it, and the bias.
    pub fn load(&mut self, kernels: &Kernels<T>, kernel: &[T], bias: Option<&[T]>) {
        let size = self.size;
        self.kernel.fill(T::zero());
        self.tiling.for_each_share(|plane, tap, share| {
            let plane = &mut self.kernel[plane * size..][..size];
            kernels.add_scaled(plane, &kernel[tap * size..][..size], T::of(share));
        });
        match &mut self.planes {
            Either::Winograd(winograd) => winograd.pack(&self.kernel, bias),
            Either::Upsampling(upsampling) => upsampling.pack(&self.kernel, bias),
        }
    }

    /// Of at most [`Tiled::images`] images, from those named in source and result on; `finish` is called on each row.
    pub fn forward(
        &mut self,
        means: Means<'_, T>,
        source: At<'_, T>,
        result: AtMut<'_, T>,
        images: usize,
        finish: impl Fn(&mut [T]) + Sync,
    ) {
        match &mut self.planes {
            Either::Winograd(winograd) => winograd.forward(means, source, result, images, finish),
            Either::Upsampling(upsampling) => {
                upsampling.forward(means, source, result, images, finish);
            }
        }
    }

    /// Adds up the kernel's gradient, and computes the input's where it is wanted.
    pub fn backward(
        &mut self,
        means: Means<'_, T>,
        input: At<'_, T>,
        gradient: At<'_, T>,
        result: Option<AtMut<'_, T>>,
        images: usize,
    ) {
        let sums = &mut self.kernel_gradient;
        match &mut self.planes {
            Either::Winograd(winograd) => {
                winograd.backward(means, input, gradient, result, images, sums);
            }
            Either::Upsampling(upsampling) => {
                upsampling.take_gradient(means, gradient, images);
                upsampling.add_kernel_gradient(means, input, images, sums);
                if let Some(result) = result {
                    upsampling.input_gradient(means, result, images);
                }
            }
        }
    }

    /// Hands out the kernel's gradient, as the window sees it, and starts it anew.
    pub fn collect(&mut self, kernels: &Kernels<T>, kernel: &mut [T]) {
        let Self { size, coarse, .. } = *self;
        let stride = self.kernel_gradient.len() * coarse / self.kernel.len();
        let rows = self.kernel_gradient.chunks_exact(stride);
        // The kernel has done its work in this step: its place takes the gradient.
        for (sums, row) in rows.zip(self.kernel.chunks_exact_mut(coarse)) {
            row.copy_from_slice(&sums[..coarse]);
        }
        kernel.fill(T::zero());
        self.tiling.for_each_share(|plane, tap, share| {
            let tap = &mut kernel[tap * size..][..size];
            kernels.add_scaled(tap, &self.kernel[plane * size..][..size], T::of(share));
        });
        self.kernel_gradient.fill(T::zero());
    }
}

/// Calls `finish` on each row of some images.
fn finish_all<T: Real>(
    team: &Team,
    (result, to): AtMut<'_, T>,
    images: usize,
    finish: impl Fn(&mut [T]) + Sync,
) {
    let work = MULTIPLICATIONS_OF_A_VALUE * result.grid.size.values();
    for image in to..to + images {
        team.share_out(work, result.rows_mut(image), &finish);
    }
}

/// Rows of tiles, and tiles of a row, that cover images.
fn tiles_of(size: Size) -> (usize, usize) {
    (size.height.div_ceil(TILE), size.width.div_ceil(TILE))
}

/// One for each plane.
fn matrices<T: Real>(tiling: Tiling, rows: usize, columns: usize, lanes: usize) -> Vec<Packed<T>> {
    let matrix = |_| Packed::new(rows, columns, lanes);
    (0..tiling.planes() * tiling.planes()).map(matrix).collect()
}

/// A plane of one side times its matrix is that plane of the other, which stands in `result`.
fn multiply<T: Real>(
    kernels: &Kernels<T>,
    (plane, matrix): (usize, &Packed<T>),
    pixels: usize,
    (from, source): (Planes, &[T]),
    (to, result): (Planes, &mut [T]),
) {
    let product = Product {
        source: &source[plane * from.step..],
        source_step: from.channels,
        segments: 1,
        segment_step: 0,
        pieces: 1,
        piece_step: 0,
        piece_length: from.channels,
        matrix,
        pixels,
        result_step: to.channels,
    };
    kernels.product(&product, result);
}
