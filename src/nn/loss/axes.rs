//! Axes in Keras's order, channels last, and where they are in tensors with channels first.

use tch::Tensor;

/// Most axes of a batch: of one of images.
const MOST: usize = 4;

/// Axes that a loss sums over, counted as Keras counts them: one at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Axes([Option<i64>; MOST]);

impl Axes {
    /// None where there is none, or more than a batch has.
    #[must_use]
    pub fn new(axes: &[i64]) -> Option<Self> {
        axes.first()?;
        let mut kept = [None; MOST];
        for (index, &axis) in axes.iter().enumerate() {
            *kept.get_mut(index)? = Some(axis);
        }
        Some(Self(kept))
    }

    /// Those that are named.
    pub fn iter(&self) -> impl Iterator<Item = i64> + '_ {
        self.0.iter().copied().flatten()
    }

    /// The same axes of signals that are computed on as images of one row.
    pub(super) fn of_signals(self) -> Self {
        Self(self.0.map(|axis| axis.map(of_signal)))
    }

    /// Where they are in such values.
    pub(super) fn dimensions(&self, values: &Tensor) -> Vec<i64> {
        self.iter().map(|axis| dimension(axis, values)).collect()
    }
}

/// An axis of a batch of signals, `(N, steps, channels)`, in that of images of one row.
pub(super) fn of_signal(axis: i64) -> i64 {
    match axis {
        1 | 2 => axis + 1,
        -3 => 0,
        _ => axis,
    }
}

/// Where Keras's axis is in `(N, C, H, W)`, or in `(N, F)`.
pub(super) fn dimension(axis: i64, values: &Tensor) -> i64 {
    let rank = values.dim() as i64;
    match (rank, axis.rem_euclid(rank)) {
        (4, 3) => 1,
        (4, axis @ (1 | 2)) => axis + 1,
        (_, axis) => axis,
    }
}
