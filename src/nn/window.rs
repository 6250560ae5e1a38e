//! Where a sliding window stands: Keras's `same` and `valid`, which libtorch lacks.

/// What happens at the borders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// Only windows that lie wholly inside.
    Valid,
    /// As many windows as strides fit, the missing pixels shared out, the odd one at the end.
    Same,
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
        Padding::Same => Some(length.div_ceil(stride)),
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
    let enlarged = length.checked_mul(stride)?;
    match padding {
        Padding::Same => Some(enlarged),
        Padding::Valid => enlarged.checked_add(kernel.saturating_sub(stride)),
    }
}

/// Pixels that `same` adds before and after a side, the extra one after.
#[must_use]
pub fn same_padding(length: usize, window: usize, stride: usize) -> (usize, usize) {
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
    if padding == Padding::Valid {
        return [0; 4];
    }
    let (top, bottom) = same_padding(size.0, window.0, strides.0);
    let (left, right) = same_padding(size.1, window.1, strides.1);
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
