//! Loops over rows of values, plain enough for the compiler to turn into vectors of whatever width
//! the calling form allows.

use super::{Candidates, LogitLoss, Real};

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

/// Adds up the rows of a table of pixels by channels.
#[inline(always)]
pub(super) fn column_sums<T: Real>(values: &[T], sums: &mut [T]) {
    for pixel in values.chunks_exact(sums.len()) {
        add(sums, pixel);
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
        for (k, start) in starts.iter().enumerate() {
            let candidate = &source[start + x * step..][..channels];
            if k == 0 {
                best.copy_from_slice(candidate);
                winner.fill(0);
                continue;
            }
            for ((best, winner), &value) in best.iter_mut().zip(winner.iter_mut()).zip(candidate) {
                let larger = value > *best || value.is_nan();
                *best = if larger { value } else { *best };
                *winner = if larger { k as u8 } else { *winner };
            }
        }
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
