//! From planes back to the pixels they were made of: the transpose of [`Transform::WinogradSource`] gives
//! tiles of four by four pixels, which stand two pixels apart and are added up where they overlap.

use num_traits::Zero;

use super::Real;
#[cfg(doc)]
use super::Transform;
use super::lanes::Lanes;
use super::tiles::{Steps, WinogradOverlap, mapped};

/// Pixels of a tile's side, and from tile to tile.
const SIDE: usize = 4;
const STEP: usize = 2;

/// Makes one image, or goes on with it.
#[derive(Debug)]
pub(in crate::engine) struct Overlap<'a, T> {
    /// From the first value of the tile row `above` on; at least a vector of values may be read from where each
    /// pixel starts.
    pub planes: &'a [T],
    pub from: Steps,
    /// Rows of tiles, tiles in a row: of the planes.
    pub tiles: (usize, usize),
    /// Rows of tiles that the image has already, and those that follow.
    pub above: usize,
    pub below: usize,
    /// Row and column of the image where the first tile starts: 0, or up to half a tile before.
    pub first: (isize, isize),
    /// Rows and columns of the image, all of them under tiles.
    pub size: (usize, usize),
    /// Distance between rows of the image.
    pub row_step: usize,
    /// Values of a pixel.
    pub channels: usize,
    /// Added to each pixel; filled up to whole vectors.
    pub bias: &'a [T],
}

impl<T: Real> Overlap<'_, T> {
    /// Whether so many tiles reach each of a side's pixels, the first of them from `first` on: 0, or up to
    /// half a tile before.
    pub(in crate::engine) fn covers(tiles: usize, first: isize, pixels: usize) -> bool {
        let end = first + (tiles * STEP + SIDE - STEP) as isize;
        (-(STEP as isize)..=0).contains(&first) && end >= pixels as isize
    }

    /// What the kernel relies on.
    ///
    /// # Panics
    /// When the planes, the bias or the image are too short for what is asked, or when there are
    /// pixels that no tile covers.
    pub(super) fn check(&self, target: &[T], lanes: usize) {
        let Self { planes, from, tiles, above, below, first, size, row_step, channels, bias } =
            *self;
        let whole = channels.next_multiple_of(lanes);
        assert!(tiles.0 > 0 && tiles.1 > 0 && size.0 > 0 && size.1 > 0 && channels > 0);
        let all = above + tiles.0 + below;
        assert!(Self::covers(all, first.0, size.0) && Self::covers(tiles.1, first.1, size.1));
        let last = (tiles.0 - 1) * from.rows + (tiles.1 - 1) * from.tiles;
        assert!(last + (SIDE - 1) * (from.down + from.across) + whole <= planes.len());
        let last = (size.0 - 1) * row_step + (size.1 - 1) * channels;
        assert!(last + whole <= target.len() && whole <= bias.len());
    }
}

/// # Safety
/// The CPU has the instructions of `V`, and `run.check(target, V::COUNT)` passes.
#[inline(always)]
pub(super) unsafe fn overlap<V: Lanes>(run: &Overlap<'_, V::Value>, target: &mut [V::Value]) {
    let target = target.as_mut_ptr();
    for row in 0..run.tiles.0 {
        for channel in (0..run.channels).step_by(V::COUNT) {
            // Rows come in order, as each adds to what the one before has left.
            // SAFETY: the caller's.
            unsafe {
                if run.above + row == 0 {
                    row_of_tiles::<V, false>(run, row, channel, target);
                } else {
                    row_of_tiles::<V, true>(run, row, channel, target);
                }
            }
        }
    }
}

/// A row of tiles, one vector of its channels. With `BEGUN`, the row of tiles above has left its share
/// in the upper half.
///
/// # Safety
/// As [`overlap`].
#[inline(always)]
unsafe fn row_of_tiles<V: Lanes, const BEGUN: bool>(
    run: &Overlap<'_, V::Value>,
    row: usize,
    channel: usize,
    target: *mut V::Value,
) {
    let zero = V::splat(V::Value::zero());
    // SAFETY: `check` bounds the bias.
    let bias = unsafe { V::load(run.bias.as_ptr().add(channel)) };
    let first_row = run.first.0 + ((run.above + row) * STEP) as isize;
    let rows = inside(first_row, SIDE, run.size.0);
    let count = (run.channels - channel).min(V::COUNT);
    let (all_rows, whole) = (rows.len() == SIDE, count == V::COUNT);
    let mut planes = run.planes.as_ptr().wrapping_add(row * run.from.rows + channel);
    // Wrapping, as the first tile may start before the image.
    let top = first_row.wrapping_mul(run.row_step as isize);
    let mut pixel = target.wrapping_offset(top).wrapping_add(channel);
    pixel = pixel.wrapping_offset(run.first.1 * run.channels as isize);
    // The right half of the tile before, by columns.
    let mut overlapping = [[zero; SIDE]; STEP];
    for tile in 0..=run.tiles.1 {
        let mut columns = overlapping;
        if tile < run.tiles.1 {
            // SAFETY: `check` bounds what is read.
            let [a, b, c, d] = unsafe { mapped::<V, WinogradOverlap, 4, 4>(planes, &run.from) };
            for (sums, half) in columns.iter_mut().zip([a, b]) {
                for (sum, value) in sums.iter_mut().zip(half) {
                    *sum = sum.add(value);
                }
            }
            overlapping = [c, d];
        }
        let inside = inside(run.first.1 + (tile * STEP) as isize, STEP, run.size.1);
        for (x, column) in columns.iter().enumerate() {
            let mut to = pixel;
            for (y, sum) in column.iter().enumerate() {
                if inside.contains(&x) && (all_rows || rows.contains(&y)) {
                    // SAFETY: the pixel is inside the image, whose end `check` knows.
                    unsafe {
                        let begun = if BEGUN && y < STEP { V::load(to) } else { bias };
                        let sum = sum.add(begun);
                        if whole { sum.store(to) } else { sum.store_first(to, count) }
                    }
                }
                to = to.wrapping_add(run.row_step);
            }
            pixel = pixel.wrapping_add(run.channels);
        }
        planes = planes.wrapping_add(run.from.tiles);
    }
}

/// Which of `count` places from `first` on are among so many pixels.
#[inline(always)]
fn inside(first: isize, count: usize, pixels: usize) -> std::ops::Range<usize> {
    let before = first.min(0).unsigned_abs();
    before..count.min(pixels.saturating_add_signed(-first))
}
