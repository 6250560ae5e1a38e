//! Where a sliding window stands: Keras's `same` and `valid`, which libtorch lacks.

/// What happens at the borders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// Only windows that lie wholly inside.
    Valid,
    /// As many windows as strides fit, the missing pixels shared out, the odd one at the end.
    Same,
    /// As many windows as strides fit, all missing pixels before the first; of convolutions of signals alone.
    Causal,
}

impl Padding {
    /// Pixels that are added before and after a side of `length`. Source of `causal`: Keras
    /// `layers/convolutional/conv1d.py`, `_compute_causal_padding`.
    #[must_use]
    pub fn added(self, length: usize, window: usize, stride: usize) -> (usize, usize) {
        match self {
            Self::Valid => (0, 0),
            Self::Same => same_padding(length, window, stride),
            Self::Causal => (window - 1, 0),
        }
    }

    /// Pixels that a transposed convolution cuts off before and after what an unpadded one gives.
    ///
    /// # Panics
    /// When it is causal, which no config says of one.
    #[must_use]
    pub fn cut(self, window: usize, stride: usize) -> (usize, usize) {
        let overhang = window.saturating_sub(stride);
        match self {
            Self::Valid => (0, 0),
            Self::Same => (overhang / 2, overhang - overhang / 2),
            Self::Causal => unreachable!("a transposed convolution is not causal"),
        }
    }
}

/// Length of a kernel whose pixels are `rate` apart, from the first to the last.
#[must_use]
pub fn dilated(kernel: usize, rate: usize) -> usize {
    (kernel - 1) * rate + 1
}

/// Number of windows along a side of `length`; `None` where not one fits. Source: Keras
/// `ops/operation_utils.py`, `compute_conv_output_shape`.
#[must_use]
pub fn window_length(
    length: usize,
    window: usize,
    stride: usize,
    padding: Padding,
) -> Option<usize> {
    match padding {
        Padding::Same | Padding::Causal => Some(length.div_ceil(stride)),
        Padding::Valid => length.checked_sub(window).map(|rest| rest / stride + 1),
    }
}

/// Length of a side after a transposed convolution; `None` where it overflows. Source: Keras
/// `backend/common/backend_utils.py`, `compute_conv_transpose_output_shape`.
#[must_use]
pub fn conv_transpose_length(
    length: usize,
    kernel: usize,
    stride: usize,
    padding: Padding,
) -> Option<usize> {
    let (before, after) = padding.cut(kernel, stride);
    let unpadded = length.checked_mul(stride)?.checked_add(kernel.saturating_sub(stride))?;
    Some(unpadded - before - after)
}

/// Pixels that `same` adds before and after a side, the extra one after.
fn same_padding(length: usize, window: usize, stride: usize) -> (usize, usize) {
    let windows = length.div_ceil(stride);
    let total = ((windows - 1) * stride + window).saturating_sub(length);
    (total / 2, total - total / 2)
}

/// The padding of height and width, as libtorch's `pad` takes it: left, right, top, bottom.
pub(super) fn padding_of(
    size: (usize, usize),
    window: (usize, usize),
    strides: (usize, usize),
    padding: Padding,
) -> [i64; 4] {
    let (top, bottom) = padding.added(size.0, window.0, strides.0);
    let (left, right) = padding.added(size.1, window.1, strides.1);
    [left, right, top, bottom].map(to_i64)
}

/// Height and width of `(N, C, H, W)`.
pub(super) fn size_of(x: &tch::Tensor) -> (usize, usize) {
    let side = |axis: usize| usize::try_from(x.size()[axis]).expect("sizes are not negative");
    (side(2), side(3))
}

/// Sizes reach libtorch as `i64`; the config's bounds keep them far below its end.
pub(super) fn to_i64(size: usize) -> i64 {
    i64::try_from(size).expect("the plan bounds every size")
}

/// Height and width for libtorch.
pub(super) fn pair((height, width): (usize, usize)) -> [i64; 2] {
    [to_i64(height), to_i64(width)]
}
