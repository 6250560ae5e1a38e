//! Layouts of weights: Keras's axis for each of PyTorch's. `keras.transpose(axes)` has PyTorch's layout.

/// Conv2D `(h, w, in, out)` is `(out, in, h, w)`; Conv2DTranspose `(h, w, out, in)` is `(in, out, h, w)`.
pub const CONVOLUTION: &[usize] = &[3, 2, 0, 1];
/// Conv1D `(k, in, out)` is `(out, in, k)`; Conv1DTranspose `(k, out, in)` is `(in, out, k)`.
pub const CONVOLUTION_1D: &[usize] = &[2, 1, 0];
/// DepthwiseConv2D `(h, w, in, each)` is `(in, each, h, w)`: with one filter for each channel what PyTorch has for
/// a convolution of as many groups as channels.
pub const DEPTHWISE: &[usize] = &[2, 3, 0, 1];
/// That of signals, `(k, in, each)`.
pub const DEPTHWISE_1D: &[usize] = &[1, 2, 0];
/// A sample of 1, 2 or 3 axes with its channels first.
pub const CHANNELS_FIRST: [&[usize]; 3] = [&[0], &[1, 0], &[2, 0, 1]];
/// Dense `(in, out)` is `(out, in)`.
pub const DENSE: &[usize] = &[1, 0];
/// A bias or another vector is the same in both.
pub const VECTOR: &[usize] = &[0];

/// The shape in Keras's layout of a weight that has `shape` in PyTorch's.
#[must_use]
pub fn in_keras(shape: &[usize], keras_axes: &[usize]) -> Vec<usize> {
    let mut sides = vec![0; shape.len()];
    keras_axes.iter().zip(shape).for_each(|(&axis, &side)| sides[axis] = side);
    sides
}
