//! Loops over rows of values, plain enough for the compiler to turn into vectors of whatever width
//! the calling form allows.

use num_traits::Zero;

use super::lanes::{LARGEST, Lanes};
use super::{Candidates, LogitLoss, Real, Table};

#[inline(always)]
pub(super) fn relu<T: Real>(values: &mut [T]) {
    for value in values {
        // What is not a number stays so, as in libtorch.
        *value = if *value < T::zero() { T::zero() } else { *value };
    }
}

/// Lets the gradient pass where the result is positive, or not a number.
#[inline(always)]
pub(super) fn relu_gradient<T: Real>(results: &[T], gradient: &mut [T]) {
    for (gradient, result) in gradient.iter_mut().zip(results) {
        *gradient = if *result <= T::zero() { T::zero() } else { *gradient };
    }
}

#[inline(always)]
pub(super) fn sigmoid<T: Real>(values: &mut [T]) {
    for value in values {
        *value = T::one() / (T::one() + (-*value).exponential());
    }
}

#[inline(always)]
pub(super) fn add<T: Real>(sums: &mut [T], terms: &[T]) {
    for (sum, term) in sums.iter_mut().zip(terms) {
        *sum = *sum + *term;
    }
}

#[inline(always)]
pub(super) fn add_scaled<T: Real>(sums: &mut [T], terms: &[T], factor: T) {
    for (sum, term) in sums.iter_mut().zip(terms) {
        *sum = *sum + *term * factor;
    }
}

/// Sums that the compiler takes together.
const LANES: usize = 8;

/// The sum of what `of` makes of each pair of values, in float64.
#[inline(always)]
pub(in crate::engine) fn sum_of<T: Real>(one: &[T], two: &[T], of: impl Fn(T, T) -> f64) -> f64 {
    let (ones, twos) = (one.chunks_exact(LANES), two.chunks_exact(LANES));
    let rest = ones.remainder().iter().zip(twos.remainder());
    let rest: f64 = rest.map(|(&a, &b)| of(a, b)).sum();
    let mut lanes = [0.0; LANES];
    for (ones, twos) in ones.zip(twos) {
        for (lane, (&a, &b)) in lanes.iter_mut().zip(ones.iter().zip(twos)) {
            *lane += of(a, b);
        }
    }
    lanes.iter().sum::<f64>() + rest
}

/// Vectors of sums that are kept in registers.
const VECTORS: usize = 4;

/// Adds up the pixels of a table by channels. Four vectors hold whole pixels where their channels
/// divide them, so that few channels fill vectors too.
///
/// # Safety
/// The CPU has the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn column_sums<V: Lanes>(table: &Table<'_, V::Value>, sums: &mut [V::Value]) {
    let (block, channels) = (VECTORS * V::COUNT, sums.len());
    let divides = block.is_multiple_of(channels);
    let mut columns = [V::splat(V::Value::zero()); VECTORS];
    let mut add_block = |values: &[V::Value]| {
        for (v, column) in columns.iter_mut().enumerate() {
            // SAFETY: a block holds so many vectors.
            *column = column.add(unsafe { V::load(values[v * V::COUNT..].as_ptr()) });
        }
    };
    for row in table.rows() {
        if !divides {
            row.chunks_exact(channels).for_each(|pixel| add(sums, pixel));
            continue;
        }
        let blocks = row.chunks_exact(block);
        let rest = blocks.remainder();
        blocks.for_each(&mut add_block);
        if !rest.is_empty() {
            let mut filled = [V::Value::zero(); VECTORS * LARGEST];
            filled[..rest.len()].copy_from_slice(rest);
            add_block(&filled);
        }
    }
    let mut lanes = [V::Value::zero(); VECTORS * LARGEST];
    for (v, column) in columns.iter().enumerate() {
        // SAFETY: no vector is longer than `LARGEST`.
        unsafe { column.store(lanes[v * V::COUNT..].as_mut_ptr()) }
    }
    if divides {
        lanes[..block].chunks_exact(channels).for_each(|pixel| add(sums, pixel));
    }
}

/// The largest of each pixel's candidates, and which it was; of equals the first.
#[inline(always)]
pub(super) fn max_pool<T: Real>(
    source: &[T],
    pool: &Candidates<'_>,
    result: &mut [T],
    winners: &mut [u8],
) {
    let Candidates { starts, step, channels } = *pool;
    let pixels = result.chunks_exact_mut(channels).zip(winners.chunks_exact_mut(channels));
    for (x, (best, winner)) in pixels.enumerate() {
        let candidate = |start: usize| &source[start + x * step..][..channels];
        if let [a, b, c, d] = *starts {
            let candidates = [candidate(a), candidate(b), candidate(c), candidate(d)];
            largest_of_four(candidates, best, winner);
            continue;
        }
        best.fill(T::neg_infinity());
        winner.fill(0);
        for (k, &start) in (0..).zip(starts) {
            for ((best, winner), &value) in
                best.iter_mut().zip(winner.iter_mut()).zip(candidate(start))
            {
                (*best, *winner) = larger((*best, *winner), (value, k));
            }
        }
    }
}

/// The second where it is larger, or not a number.
#[inline(always)]
fn larger<T: Real>(best: (T, u8), next: (T, u8)) -> (T, u8) {
    let larger = next.0 > best.0 || next.0.is_nan();
    (if larger { next.0 } else { best.0 }, if larger { next.1 } else { best.1 })
}

/// The usual pooling, 2x2, in one go: this saves half of the loads and stores.
#[inline(always)]
fn largest_of_four<T: Real>(candidates: [&[T]; 4], best: &mut [T], winner: &mut [u8]) {
    let [a, b, c, d] = candidates;
    let rest = a.iter().zip(b).zip(c).zip(d);
    for ((best, winner), (((&a, &b), &c), &d)) in best.iter_mut().zip(winner).zip(rest) {
        let first = larger((a, 0), (b, 1));
        (*best, *winner) = larger(larger(first, (c, 2)), (d, 3));
    }
}

/// The other way: each candidate gets its pixel's gradient if it was the largest, else 0.
#[inline(always)]
pub(super) fn max_pool_gradient<T: Real>(
    gradient: &[T],
    winners: &[u8],
    pool: &Candidates<'_>,
    result: &mut [T],
) {
    let Candidates { starts, step, channels } = *pool;
    let pixels = gradient.chunks_exact(channels).zip(winners.chunks_exact(channels));
    for (x, (gradient, winner)) in pixels.enumerate() {
        for (k, start) in starts.iter().enumerate() {
            let candidate = &mut result[start + x * step..][..channels];
            for ((value, &gradient), &winner) in candidate.iter_mut().zip(gradient).zip(winner) {
                *value = if winner == k as u8 { gradient } else { T::zero() };
            }
        }
    }
}

/// Values whose losses are computed before they are added up.
const CHUNK: usize = 64;
/// Sums that go on beside one another.
const SUMS: usize = 8;

/// Cross-entropy of `sigmoid(logits)` with the targets: `ln(1 + e^z) - t * z`, summed up, and its
/// gradient `p - t` times `scale` in place of the logits. Where Keras clips `p`, the gradient is 0.
#[inline(always)]
pub(super) fn logit_loss<T: Real>(loss: LogitLoss<T>, logits: &mut [T], targets: &[T]) -> f64 {
    let LogitLoss { smallest, largest, scale } = loss;
    let mut sums = [0.0; SUMS];
    let mut losses = [T::zero(); CHUNK];
    for (logits, targets) in logits.chunks_mut(CHUNK).zip(targets.chunks(CHUNK)) {
        for ((z, &t), loss) in logits.iter_mut().zip(targets).zip(&mut losses) {
            let low = if *z < smallest { smallest } else { *z };
            let clipped = if low > largest { largest } else { low };
            let inside = *z >= smallest && *z <= largest;
            // e^-|z| serves both the loss and p.
            let positive = clipped > T::zero();
            let small = (if positive { -clipped } else { clipped }).exponential();
            let p = if positive { T::one() } else { small } / (T::one() + small);
            let hinge = if positive { clipped } else { T::zero() };
            *loss = hinge + small.log_1p() - t * clipped;
            *z = if inside { (p - t) * scale } else { T::zero() };
        }
        for losses in losses[..logits.len()].chunks(SUMS) {
            for (sum, loss) in sums.iter_mut().zip(losses) {
                *sum += loss.wide();
            }
        }
    }
    sums.iter().sum()
}
