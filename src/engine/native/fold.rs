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
    /// Factors of the upsampling, if there is one before the convolution.
    pub upsampling: Option<(usize, usize)>,
}

impl Fold {
    /// Each stored tap with each of the window's taps that it adds to.
    fn pairs(self, window: &Window) -> Vec<(usize, Vec<usize>)> {
        let (rows, columns) = (window.rows.taps, window.columns.taps);
        let Some((down, across)) = self.upsampling else {
            return (0..rows * columns).map(|tap| (tap, vec![tap])).collect();
        };
        let (height, width) = (rows + 1 - down, columns + 1 - across);
        let stored = (0..height * width).map(|tap| {
            let (ky, kx) = (height - 1 - tap / width, width - 1 - tap % width);
            let places = (0..down * across).map(|d| (ky + d / across) * columns + kx + d % across);
            (tap, places.collect())
        });
        stored.collect()
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
        kernel.fill(T::zero());
        let pairs = self.pairs(window);
        for (place, targets) in &pairs {
            let order = Order { window, coarse_first, taps: pairs.len(), tap: *place };
            order.for_each(|value, i| tap[value] = stored[i]);
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
        let pairs = self.pairs(window);
        for (place, sources) in &pairs {
            tap.fill(T::zero());
            for source in sources {
                let source = &kernel[source * tap.len()..][..tap.len()];
                tap.iter_mut().zip(source).for_each(|(sum, value)| *sum = *sum + *value);
            }
            let order = Order { window, coarse_first, taps: pairs.len(), tap: *place };
            order.for_each(|value, i| stored[i] = stored[i] + tap[value]);
        }
    }
}

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
        // In the order in which the kernel is stored.
        let ((slow, slow_step), (fast, fast_step)) = if self.coarse_first {
            ((coarse, 1), (fine, coarse))
        } else {
            ((fine, coarse), (coarse, 1))
        };
        for i in 0..slow {
            for j in 0..fast {
                visit(i * slow_step + j * fast_step, (i * fast + j) * self.taps + self.tap);
            }
        }
    }
}
