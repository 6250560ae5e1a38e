//! Filters of one channel each: a row of pixels forward, and the gradient of the filters. There is little to
//! multiply for what is read, so each value that is loaded serves as often as the registers allow.

use num_traits::Zero;

use super::Real;
use super::lanes::Lanes;

/// `result[pixel][c] = bias[c] + sum over taps of source[pixel][c] * factors[tap][c]`.
///
/// Whole vectors are read from where the channels of a pixel start, also beyond the last channel.
#[derive(Debug)]
pub(in crate::engine) struct Depthwise<'a, T> {
    /// From the first value of the first pixel's window on.
    pub source: &'a [T],
    pub taps: &'a [Tap],
    /// Distance in `source` between the windows of neighbouring pixels.
    pub source_step: usize,
    /// Rows of a factor for each channel.
    pub factors: &'a [T],
    /// One value a channel.
    pub bias: &'a [T],
    pub channels: usize,
    /// Number of pixels.
    pub pixels: usize,
    /// Distance between neighbouring pixels of the result.
    pub result_step: usize,
}

/// What meets under a tap of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct Tap {
    /// Where its pixel stands in the source, counted from the start of the window.
    pub source: usize,
    /// Where its row of factors starts; of the gradient, its row of sums.
    pub factors: usize,
}

/// `sums[tap][c] += sum over pixels of source[pixel][c] * gradient[pixel][c]`: the transpose of
/// [`Depthwise`] for the factors, with its words.
#[derive(Debug)]
pub(in crate::engine) struct DepthwiseGradient<'a, T> {
    pub source: &'a [T],
    pub taps: &'a [Tap],
    pub source_step: usize,
    /// From the first value of the first pixel on.
    pub gradient: &'a [T],
    /// Distance between its pixels.
    pub gradient_step: usize,
    pub channels: usize,
    pub pixels: usize,
}

/// The furthest value that whole vectors reach, from the first of each of some pixels on.
fn reach(pixels: usize, step: usize, channels: usize, lanes: usize) -> usize {
    (pixels - 1) * step + channels.next_multiple_of(lanes)
}

impl<T: Real> Depthwise<'_, T> {
    /// What the kernel relies on.
    ///
    /// # Panics
    /// When anything is too short for what is asked.
    pub(super) fn check(&self, result: &[T], lanes: usize) {
        let Self { source_step, channels, pixels, result_step, .. } = *self;
        assert!(pixels > 0);
        let (read, row) =
            (reach(pixels, source_step, channels, lanes), reach(1, 0, channels, lanes));
        for tap in self.taps {
            assert!(tap.source + read <= self.source.len());
            assert!(tap.factors + row <= self.factors.len());
        }
        assert!(row <= self.bias.len());
        assert!((pixels - 1) * result_step + channels <= result.len());
    }
}

impl<T: Real> DepthwiseGradient<'_, T> {
    /// What the kernel relies on.
    ///
    /// # Panics
    /// When anything is too short for what is asked.
    pub(super) fn check(&self, sums: &[T], lanes: usize) {
        let Self { source_step, gradient_step, channels, pixels, .. } = *self;
        assert!(pixels > 0);
        for tap in self.taps {
            let read = reach(pixels, source_step, channels, lanes);
            assert!(tap.source + read <= self.source.len());
            assert!(tap.factors + reach(1, 0, channels, lanes) <= sums.len());
        }
        assert!(reach(pixels, gradient_step, channels, lanes) <= self.gradient.len());
    }
}

/// Pixels whose sums are kept at once, and taps whose gradients are.
const MOST: usize = 5;

/// Calls `$tile::<V, N>` for `$size`, which is at most [`MOST`].
macro_rules! of_size {
    ($tile:ident, $size:expr, $($argument:expr),+) => {
        match $size {
            1 => $tile::<V, 1>($($argument),+),
            2 => $tile::<V, 2>($($argument),+),
            3 => $tile::<V, 3>($($argument),+),
            4 => $tile::<V, 4>($($argument),+),
            _ => $tile::<V, MOST>($($argument),+),
        }
    };
}

/// The first one and the size of parts of nearly one size.
#[inline(always)]
fn parts(count: usize) -> impl Iterator<Item = (usize, usize)> {
    let parts = count.div_ceil(MOST);
    let mut first = 0;
    (1..=parts).rev().map(move |rest| {
        let size = (count - first).div_ceil(rest);
        first += size;
        (first - size, size)
    })
}

/// # Safety
/// The CPU has the instructions of `V`, and `run.check(result, V::COUNT)` passes.
#[inline(always)]
pub(super) unsafe fn depthwise<V: Lanes>(run: &Depthwise<'_, V::Value>, result: &mut [V::Value]) {
    for (first, size) in parts(run.pixels) {
        for channel in (0..run.channels).step_by(V::COUNT) {
            // SAFETY: these are among the pixels and channels that were checked.
            unsafe { of_size!(pixels, size, run, result.as_mut_ptr(), first, channel) }
        }
    }
}

/// `N` pixels from `first` on, a vector of their channels.
///
/// # Safety
/// As [`depthwise`], for these.
#[inline(always)]
unsafe fn pixels<V: Lanes, const N: usize>(
    run: &Depthwise<'_, V::Value>,
    result: *mut V::Value,
    first: usize,
    channel: usize,
) {
    // SAFETY: `check` bounds all that is read and written.
    unsafe {
        let mut sums = [V::load(run.bias.as_ptr().add(channel)); N];
        for tap in run.taps {
            let factor = V::load(run.factors.as_ptr().add(tap.factors + channel));
            let start = tap.source + first * run.source_step + channel;
            for (n, sum) in sums.iter_mut().enumerate() {
                let value = V::load(run.source.as_ptr().add(start + n * run.source_step));
                *sum = value.mul_add(factor, *sum);
            }
        }
        let left = run.channels - channel;
        for (n, sum) in sums.iter().enumerate() {
            let target = result.add((first + n) * run.result_step + channel);
            if left >= V::COUNT {
                sum.store(target);
            } else {
                sum.store_first(target, left);
            }
        }
    }
}

/// # Safety
/// The CPU has the instructions of `V`, and `run.check(sums, V::COUNT)` passes.
#[inline(always)]
pub(super) unsafe fn depthwise_gradient<V: Lanes>(
    run: &DepthwiseGradient<'_, V::Value>,
    sums: &mut [V::Value],
) {
    for (first, size) in parts(run.taps.len()) {
        for channel in (0..run.channels).step_by(V::COUNT) {
            // SAFETY: these are among the taps and channels that were checked.
            unsafe { of_size!(taps, size, run, sums.as_mut_ptr(), first, channel) }
        }
    }
}

/// `N` taps from `first` on, a vector of their channels, over all pixels.
///
/// # Safety
/// As [`depthwise_gradient`], for these.
#[inline(always)]
unsafe fn taps<V: Lanes, const N: usize>(
    run: &DepthwiseGradient<'_, V::Value>,
    sums: *mut V::Value,
    first: usize,
    channel: usize,
) {
    // SAFETY: `check` bounds all that is read and written.
    unsafe {
        let taps = &run.taps[first..first + N];
        let mut own = [V::splat(V::Value::zero()); N];
        for pixel in 0..run.pixels {
            let at = pixel * run.source_step + channel;
            let slope = run.gradient.as_ptr().add(pixel * run.gradient_step + channel);
            let slope = V::load(slope);
            for (sum, tap) in own.iter_mut().zip(taps) {
                let value = V::load(run.source.as_ptr().add(tap.source + at));
                *sum = value.mul_add(slope, *sum);
            }
        }
        let left = run.channels - channel;
        for (sum, tap) in own.iter().zip(taps) {
            let target = sums.add(tap.factors + channel);
            let sum = V::load(target).add(*sum);
            // Beyond the channels stand sums of other pixels, where a row is shorter than others.
            if left >= V::COUNT {
                sum.store(target);
            } else {
                sum.store_first(target, left);
            }
        }
    }
}
