//! Sums of outer products over pixels: the gradient of every kernel.

use num_traits::Zero;

use super::Real;
use super::lanes::Lanes;

/// `sums[i, j] += sum over pixels of left[pixel][i] * right[pixel][j]`.
#[derive(Debug)]
pub(in crate::engine) struct Outer<'a, T> {
    /// From the first value of the first pixel on.
    pub left: Pixels<'a, T>,
    /// The same; at least a vector of values may be read from where each pixel starts.
    pub right: Pixels<'a, T>,
    /// Rows of pixels.
    pub rows: usize,
    /// Pixels in a row.
    pub pixels: usize,
}

/// Where values of pixels stand.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Pixels<'a, T> {
    pub values: &'a [T],
    /// Distance between neighbouring rows.
    pub row_step: usize,
    /// Distance between neighbouring pixels.
    pub step: usize,
    /// Values that count from each pixel on.
    pub length: usize,
}

/// Rows of sums that fill the loops well, at least.
const FEWEST_ROWS: usize = 8;

/// So many rows of sums divided by so many: how many there are in each part, but the last.
pub(in crate::engine) fn rows_of_sums(rows: usize, parts: usize) -> usize {
    rows.div_ceil(parts).max(FEWEST_ROWS)
}

impl<T: Real> Outer<'_, T> {
    /// Row length of the sums: the columns filled up to whole vectors.
    pub(in crate::engine) fn stride(columns: usize, lanes: usize) -> usize {
        columns.next_multiple_of(lanes)
    }

    /// What the kernel relies on.
    ///
    /// # Panics
    /// When a side or the sums are too short for what is asked.
    pub(super) fn check(&self, sums: &[T], lanes: usize) {
        let Self { rows, pixels, left, right } = self;
        assert!(*rows > 0 && *pixels > 0);
        let stride = Self::stride(right.length, lanes);
        for (side, length) in [(left, left.length), (right, stride)] {
            let last = (rows - 1) * side.row_step + (pixels - 1) * side.step;
            assert!(last + length <= side.values.len());
        }
        assert!(left.length * stride <= sums.len());
    }
}

/// # Safety
/// The CPU has the instructions of `V`, and `run.check(sums, V::COUNT)` passes.
#[inline(always)]
pub(super) unsafe fn outer<V: Lanes>(run: &Outer<'_, V::Value>, sums: &mut [V::Value]) {
    let stride = Outer::<V::Value>::stride(run.right.length, V::COUNT);
    for column in (0..stride).step_by(2 * V::COUNT) {
        let width = run.right.length - column;
        let tiles = run.left.length.div_ceil(V::most(width));
        let mut first = 0;
        for rest in (1..=tiles).rev() {
            let size = (run.left.length - first).div_ceil(rest);
            // SAFETY: the tile's rows and columns are among those that were checked.
            unsafe {
                let place = Place {
                    left: run.left.values.as_ptr().add(first),
                    right: run.right.values.as_ptr().add(column),
                    sums: sums.as_mut_ptr().add(first * stride + column),
                    stride,
                };
                tile_of_size::<V>(run, place, size, width);
            }
            first += size;
        }
    }
}

/// Where a tile reads and writes.
struct Place<T> {
    left: *const T,
    right: *const T,
    sums: *mut T,
    stride: usize,
}

/// # Safety
/// As [`outer`], for `size` rows of the sums: at most `V::TILE`, or `V::TALL` of one vector.
#[inline(always)]
unsafe fn tile_of_size<V: Lanes>(
    run: &Outer<'_, V::Value>,
    place: Place<V::Value>,
    size: usize,
    width: usize,
) {
    macro_rules! sizes {
        ($($size:literal)+) => {
            // SAFETY: passed on; half a vector's columns start where the whole one's do.
            match (size, width > V::COUNT, width <= <V::Half as Lanes>::COUNT) {
                $(($size, true, _) if $size <= V::TILE => unsafe {
                    tile::<V, $size, 2>(run, place);
                },
                ($size, false, true) if $size <= V::TALL => unsafe {
                    tile::<V::Half, $size, 1>(run, place);
                },
                ($size, false, false) if $size <= V::TALL => unsafe {
                    tile::<V, $size, 1>(run, place);
                },)+
                _ => unreachable!("a tile has 1 to TILE or TALL rows"),
            }
        };
    }
    sizes!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
}

/// `R` rows by `W` vectors of the sums, all in registers.
///
/// # Safety
/// As [`outer`], for `R` rows of the sums.
#[inline(always)]
unsafe fn tile<V: Lanes, const R: usize, const W: usize>(
    run: &Outer<'_, V::Value>,
    place: Place<V::Value>,
) {
    // SAFETY: `check` bounds all that is read and written.
    unsafe {
        let mut sums = [[V::splat(V::Value::zero()); W]; R];
        for row in 0..run.rows {
            let mut left = place.left.add(row * run.left.row_step);
            let mut right = place.right.add(row * run.right.row_step);
            for _ in 0..run.pixels {
                let mut factors = [V::splat(V::Value::zero()); W];
                for (w, factor) in factors.iter_mut().enumerate() {
                    *factor = V::load(right.add(w * V::COUNT));
                }
                for (r, row) in sums.iter_mut().enumerate() {
                    let value = V::splat(*left.add(r));
                    for (sum, factor) in row.iter_mut().zip(factors) {
                        *sum = value.mul_add(factor, *sum);
                    }
                }
                // Wrapping, as the step after the last pixel leads out of the slice.
                left = left.wrapping_add(run.left.step);
                right = right.wrapping_add(run.right.step);
            }
        }
        for (r, row) in sums.iter().enumerate() {
            for (w, sum) in row.iter().enumerate() {
                let target = place.sums.add(r * place.stride + w * V::COUNT);
                V::load(target).add(*sum).store(target);
            }
        }
    }
}
