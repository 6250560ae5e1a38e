//! Pooling with Keras's padding.

use tch::nn::ModuleT;
use tch::{Device, Kind, Tensor};

use super::Padding;
use super::window::{padding_of, pair, size_of, to_i64};

/// What both kinds of pooling are made from. Source: Keras `layers/pooling/base_pooling.py`.
#[derive(Debug, Clone, Copy)]
pub struct PoolOptions {
    /// Height, width.
    pub pool_size: (usize, usize),
    /// Down, across; at least 1.
    pub strides: (usize, usize),
    /// Settles H' and W': see [`super::window_length`].
    pub padding: Padding,
}

/// Largest value of each window: `(N, C, H, W)` to `(N, C, H', W')`.
#[derive(Debug)]
pub struct MaxPooling2D(pub PoolOptions);

impl ModuleT for MaxPooling2D {
    fn forward_t(&self, x: &Tensor, train: bool) -> Tensor {
        let PoolOptions { pool_size, strides, padding } = self.0;
        let pad = padding_of(size_of(x), pool_size, strides, padding);
        let overlap = strides.0 < pool_size.0 || strides.1 < pool_size.1;
        // Of windows that overlap GPUs would add the gradients up in an order that changes from run to run.
        let on_gpu = train && overlap && x.device() != Device::Cpu;
        let pool = |x: &Tensor| {
            if on_gpu {
                return largest(x, pool_size, strides);
            }
            x.max_pool2d(pair(pool_size), pair(strides), [0, 0], [1, 1], false)
        };
        // Minus infinity, so that the padding never wins.
        if pad == [0; 4] { pool(x) } else { pool(&x.pad(pad, "constant", f64::NEG_INFINITY)) }
    }
}

/// The same as libtorch's own, the first of equal values too; the gradient is added up in the order of a window's pixels.
fn largest(x: &Tensor, pool_size: (usize, usize), strides: (usize, usize)) -> Tensor {
    let [pool, strides] = [pair(pool_size), pair(strides)];
    let sides: [i64; 2] = [x.size()[2], x.size()[3]];
    // The pixels at one place of all windows.
    let pixels = |x: &Tensor, axis: usize, place: i64| {
        let windows = (sides[axis] - pool[axis]) / strides[axis];
        x.slice(axis as i64 + 2, place, place + windows * strides[axis] + 1, strides[axis])
    };
    let each: Vec<Tensor> = (0..pool[0] * pool[1])
        .map(|place| pixels(&pixels(x, 0, place / pool[1]), 1, place % pool[1]))
        .collect();
    Tensor::stack(&each, 0).max_dim(0, false).0
}

/// Pixels from which on a window counts as large.
const LARGE_WINDOW: usize = 64;

/// Mean of each window over the pixels that exist: `(N, C, H, W)` to `(N, C, H', W')`.
#[derive(Debug)]
pub struct AveragePooling2D(pub PoolOptions);

impl AveragePooling2D {
    /// libtorch sums a window up pixel by pixel, which costs a large one digits in float32.
    fn pool(&self, x: &Tensor, divisor: Option<i64>) -> Tensor {
        let PoolOptions { pool_size, strides, .. } = self.0;
        let large = pool_size.0 * pool_size.1 > LARGE_WINDOW;
        let exact = if large { x.to_kind(Kind::Double) } else { x.shallow_clone() };
        exact
            .avg_pool2d(pair(pool_size), pair(strides), [0, 0], false, true, divisor)
            .to_kind(x.kind())
    }
}

impl ModuleT for AveragePooling2D {
    fn forward_t(&self, x: &Tensor, _train: bool) -> Tensor {
        let (height, width) = size_of(x);
        let PoolOptions { pool_size, strides, padding } = self.0;
        let pad = padding_of((height, width), pool_size, strides, padding);
        if pad == [0; 4] {
            return self.pool(x, None);
        }
        // Padding counts neither in the sum nor in the number of pixels.
        let ones = Tensor::ones([1, 1, to_i64(height), to_i64(width)], (x.kind(), x.device()));
        let sum = |x: &Tensor| self.pool(&x.constant_pad_nd(pad), Some(1));
        sum(x) / sum(&ones)
    }
}

/// Each channel of the whole image as one value.
#[derive(Debug)]
pub struct GlobalPooling {
    /// Whether it is the largest value, instead of the mean.
    pub largest: bool,
    /// Whether `(N, C, 1, 1)` comes out, instead of `(N, C)`.
    pub keepdims: bool,
}

/// Source: Keras `layers/pooling/base_global_pooling.py`.
impl ModuleT for GlobalPooling {
    fn forward_t(&self, x: &Tensor, _train: bool) -> Tensor {
        if self.largest {
            return x.amax([2, 3], self.keepdims);
        }
        // A plain sum of float32 over a large image loses digits.
        let mean = x.to_kind(Kind::Double).mean_dim([2_i64, 3].as_slice(), self.keepdims, None);
        mean.to_kind(x.kind())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::testing::output_and_gradient;

    #[test]
    fn overlapping_windows_on_gpus_are_libtorchs_own_in_a_fixed_order() {
        // Many values are equal: the first of them has the gradient.
        let x = (Tensor::arange(2 * 3 * 9 * 8, (Kind::Double, Device::Cpu)) * 5.0).remainder(7.0);
        let x = x.view([2, 3, 9, 8]);
        for (pool_size, strides) in
            [((3, 3), (2, 2)), ((2, 3), (1, 2)), ((4, 1), (3, 1)), ((3, 2), (4, 1))]
        {
            let run = |compute: &dyn Fn(&Tensor) -> Tensor| output_and_gradient(&x, compute);
            let layer = MaxPooling2D(PoolOptions { pool_size, strides, padding: Padding::Valid });
            let [output, gradient] = run(&|x| largest(x, pool_size, strides));
            let [theirs, theirs_gradient] = run(&|x| layer.forward_t(x, true));
            assert_eq!(output, theirs);
            let apart = (gradient - theirs_gradient).abs().max().double_value(&[]);
            assert!(apart < 1e-12, "{pool_size:?}, {strides:?}: {apart}");
        }
    }
}
