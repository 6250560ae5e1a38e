//! The kernel of a convolution after nearest upsampling, as the small image sees it.
//!
//! Upsampling by `s` gives `u[j] = x[j / s]`, the convolution `y[i] = sum_k w[k] u[i + k - p]`. Pixel
//! `q` of `x` is `u` at `q * s + d` for `d` in `0..s`, and reaches `y` at `i = q * s + d + p - k`. So
//! `y` is a transposed convolution of `x` with stride `s`, offset `n - 1 - p` and the kernel
//! `v[m] = sum of w[k] over all d, k with d + n - 1 - k = m`, which has `n + s - 1` taps. The gradient
//! of `w` is the transpose of that sum. For 3x3 after 2x2 this takes 16 multiplications where the
//! layers one by one take 36.

use super::kernels::Real;
use super::window::Window;

/// From a kernel as it is stored to the one that a [`Window`] computes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fold {
    /// Factors of the upsampling, if there is one before the convolution; of a convolution that is merely turned round,
    /// whose taps are reversed, 1 and 1.
    pub upsampling: Option<(usize, usize)>,
}

impl Fold {
    /// Behind an upsampling by these factors, each stored tap with each of the window's taps that it adds to.
    fn pairs((down, across): (usize, usize), window: &Window) -> Vec<(usize, Vec<usize>)> {
        let (rows, columns) = (window.rows.taps, window.columns.taps);
        let (height, width) = (rows + 1 - down, columns + 1 - across);
        let stored = (0..height * width).map(|tap| {
            let (ky, kx) = (height - 1 - tap / width, width - 1 - tap % width);
            let places = (0..down * across).map(|d| (ky + d / across) * columns + kx + d % across);
            (tap, places.collect())
        });
        stored.collect()
    }

    /// Whether the kernel is stored as the window computes with it.
    fn is_identity(self, window: &Window, coarse_first: bool) -> bool {
        self.upsampling.is_none() && !coarse_first && window.taps() == 1
    }

    /// From `(coarse, fine, rows, columns)` (or fine first) to `(rows, columns, fine, coarse)`.
    /// `tap` is room for one tap.
    pub fn kernel<T: Real>(
        self,
        window: &Window,
        coarse_first: bool,
        stored: &[T],
        tap: &mut [T],
        kernel: &mut [T],
    ) {
        if self.is_identity(window, coarse_first) {
            return kernel.copy_from_slice(stored);
        }
        let order = |taps, tap| Order { window, coarse_first, taps, tap };
        let Some(factors) = self.upsampling else {
            for (place, target) in kernel.chunks_exact_mut(tap.len()).enumerate() {
                order(window.taps(), place).for_each(|value, i| target[value] = stored[i]);
            }
            return;
        };
        kernel.fill(T::zero());
        let pairs = Self::pairs(factors, window);
        for (place, targets) in &pairs {
            order(pairs.len(), *place).for_each(|value, i| tap[value] = stored[i]);
            for target in targets {
                let target = &mut kernel[target * tap.len()..][..tap.len()];
                target.iter_mut().zip(&*tap).for_each(|(sum, value)| *sum = *sum + *value);
            }
        }
    }

    /// The transpose of [`Fold::kernel`], for the gradient, which is added to what is stored.
    pub fn gradient<T: Real>(
        self,
        window: &Window,
        coarse_first: bool,
        kernel: &[T],
        tap: &mut [T],
        stored: &mut [T],
    ) {
        if self.is_identity(window, coarse_first) {
            return stored.iter_mut().zip(kernel).for_each(|(to, &from)| *to = *to + from);
        }
        let order = |taps, tap| Order { window, coarse_first, taps, tap };
        let Some(factors) = self.upsampling else {
            for (place, source) in kernel.chunks_exact(tap.len()).enumerate() {
                let order = order(window.taps(), place);
                order.for_each(|value, i| stored[i] = stored[i] + source[value]);
            }
            return;
        };
        let pairs = Self::pairs(factors, window);
        for (place, sources) in &pairs {
            tap.fill(T::zero());
            for source in sources {
                let source = &kernel[source * tap.len()..][..tap.len()];
                tap.iter_mut().zip(source).for_each(|(sum, value)| *sum = *sum + *value);
            }
            order(pairs.len(), *place).for_each(|value, i| stored[i] = stored[i] + tap[value]);
        }
    }
}

/// Columns of a matrix that are transposed together: of numbers of four bytes a line of the cache.
const COLUMNS: usize = 16;

/// Where the values of one tap stand in the stored kernel.
struct Order<'a> {
    window: &'a Window,
    coarse_first: bool,
    taps: usize,
    tap: usize,
}

impl Order<'_> {
    /// Calls `visit` with each value's place in the tap, fine channels before coarse ones, and with
    /// its place in the stored kernel.
    fn for_each(&self, mut visit: impl FnMut(usize, usize)) {
        let Window { fine, coarse, .. } = *self.window;
        let stored = |place: usize| place * self.taps + self.tap;
        if !self.coarse_first {
            (0..fine * coarse).for_each(|place| visit(place, stored(place)));
            return;
        }
        // A transpose: some columns at a time, so that what is read and what is written stay in the cache.
        for first in (0..coarse).step_by(COLUMNS) {
            let columns = first..(first + COLUMNS).min(coarse);
            for i in 0..fine {
                columns.clone().for_each(|j| visit(i * coarse + j, stored(j * fine + i)));
            }
        }
    }
}
