//! A row of pixels times a matrix: the forward pass of every convolution, and the gradient of its
//! input.

use num_traits::Zero;

use super::lanes::Lanes;
use super::{Packed, Real};

/// For each of `pixels` pixels: the window of input values that belongs to it, times the packed
/// matrix, plus the bias.
#[derive(Debug)]
pub(in crate::engine) struct Product<'a, T> {
    /// From the first value of the first pixel's window on.
    pub source: &'a [T],
    /// Distance in `source` between the windows of neighbouring pixels.
    pub source_step: usize,
    /// Rows of a window.
    pub segments: usize,
    /// Distance in `source` between the rows of a window.
    pub segment_step: usize,
    /// Pieces of a row: one, unless there is something between its taps that does not count.
    pub pieces: usize,
    /// Distance in `source` between the pieces of a row.
    pub piece_step: usize,
    /// Values of a piece, which lie side by side.
    pub piece_length: usize,
    /// `segments * pieces * piece_length` rows by as many columns as a result pixel gets channels.
    pub matrix: &'a Packed<T>,
    /// Number of pixels.
    pub pixels: usize,
    /// Distance between neighbouring pixels of the result.
    pub result_step: usize,
}

impl<T: Real> Product<'_, T> {
    /// What the kernel relies on.
    ///
    /// # Panics
    /// When the source, the matrix or the result is too short for what is asked.
    pub(super) fn check(&self, result: &[T]) {
        let Self { source_step, segments, segment_step, pixels, .. } = *self;
        let Self { pieces, piece_step, piece_length, .. } = *self;
        assert!(pixels > 0 && self.matrix.depth() == segments * pieces * piece_length);
        let window = match segments * pieces {
            0 => 0,
            _ => (segments - 1) * segment_step + (pieces - 1) * piece_step + piece_length,
        };
        assert!((pixels - 1) * source_step + window <= self.source.len());
        assert!((pixels - 1) * self.result_step + self.matrix.columns() <= result.len());
    }
}

/// # Safety
/// The CPU has the instructions of `V`, `run.check(result)` passes, and the matrix was packed for
/// vectors of `V::COUNT`.
#[inline(always)]
pub(super) unsafe fn product<V: Lanes>(run: &Product<'_, V::Value>, result: &mut [V::Value]) {
    for panel in run.matrix.panels(V::COUNT) {
        let tiles = run.pixels.div_ceil(V::most(panel.width));
        let mut first = 0;
        for rest in (1..=tiles).rev() {
            // Tiles of nearly one size: 16 pixels are 8 + 8, not 14 + 2.
            let size = (run.pixels - first).div_ceil(rest);
            // SAFETY: the pixels from `first` to `first + size` are among the run's.
            unsafe {
                let source = run.source.as_ptr().add(first * run.source_step);
                let target = result.as_mut_ptr().add(first * run.result_step + panel.column);
                let place = Place {
                    source,
                    target,
                    bias: panel.bias,
                    weights: panel.weights,
                    width: panel.width,
                };
                tile_of_size::<V>(run, place, size);
            }
            first += size;
        }
    }
}

/// Where a tile reads and writes.
struct Place<T> {
    source: *const T,
    target: *mut T,
    bias: *const T,
    weights: *const T,
    /// Columns of the panel, at most two vectors' lanes.
    width: usize,
}

/// # Safety
/// As [`product`], for `size` pixels: at most `V::TILE`, or `V::TALL` of one vector.
#[inline(always)]
unsafe fn tile_of_size<V: Lanes>(run: &Product<'_, V::Value>, place: Place<V::Value>, size: usize) {
    let (two, half) = (place.width > V::COUNT, place.width <= <V::Half as Lanes>::COUNT);
    macro_rules! sizes {
        ($($size:literal)+) => {
            // SAFETY: passed on; half a vector's columns start where the whole one's do.
            match (size, two, half) {
                $(($size, true, _) if $size <= V::TILE => unsafe {
                    tile::<V, $size, 2>(run, place, 2 * V::COUNT);
                },
                ($size, false, true) if $size <= V::TALL => unsafe {
                    tile::<V::Half, $size, 1>(run, place, V::COUNT);
                },
                ($size, false, false) if $size <= V::TALL => unsafe {
                    tile::<V, $size, 1>(run, place, V::COUNT);
                },)+
                _ => unreachable!("a tile has 1 to TILE or TALL pixels"),
            }
        };
    }
    sizes!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
}

/// `R` pixels by `W` vectors of channels, all sums in registers. Rows of weights are `stride` apart.
///
/// # Safety
/// As [`product`], for `R` pixels.
#[inline(always)]
unsafe fn tile<V: Lanes, const R: usize, const W: usize>(
    run: &Product<'_, V::Value>,
    place: Place<V::Value>,
    stride: usize,
) {
    // SAFETY: `check` bounds all that is read and written; panels and biases are padded to lanes.
    unsafe {
        let mut bias = [V::splat(V::Value::zero()); W];
        for (w, bias) in bias.iter_mut().enumerate() {
            *bias = V::load(place.bias.add(w * V::COUNT));
        }
        let mut sums = [bias; R];
        let mut weights = place.weights;
        for segment in 0..run.segments {
            for piece in 0..run.pieces {
                let start = segment * run.segment_step + piece * run.piece_step;
                let mut source = place.source.add(start);
                for _ in 0..run.piece_length {
                    let mut factors = [V::splat(V::Value::zero()); W];
                    for (w, factor) in factors.iter_mut().enumerate() {
                        *factor = V::load(weights.add(w * V::COUNT));
                    }
                    for (r, row) in sums.iter_mut().enumerate() {
                        let value = V::splat(*source.add(r * run.source_step));
                        for (sum, factor) in row.iter_mut().zip(factors) {
                            *sum = value.mul_add(factor, *sum);
                        }
                    }
                    source = source.add(1);
                    weights = weights.add(stride);
                }
            }
        }
        if place.width == W * V::COUNT {
            for (r, row) in sums.iter().enumerate() {
                for (w, sum) in row.iter().enumerate() {
                    sum.store(place.target.add(r * run.result_step + w * V::COUNT));
                }
            }
            return;
        }
        for (r, row) in sums.iter().enumerate() {
            let target = place.target.add(r * run.result_step);
            for (w, sum) in row.iter().enumerate() {
                let left = place.width - w * V::COUNT;
                if left >= V::COUNT {
                    sum.store(target.add(w * V::COUNT));
                } else {
                    sum.store_first(target.add(w * V::COUNT), left);
                }
            }
        }
    }
}
