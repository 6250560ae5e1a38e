//! Images as Keras has them, `(N, H, W, C)` in f64, and the way to libtorch's `(N, C, H, W)` and
//! back. No layer lives here.

#![allow(dead_code)] // each test program uses its own part

use convae::system::random::Stream;
use rand_distr::{Distribution, StandardNormal};
use tch::{Kind, Tensor};

/// Values of some images in Keras's order; a vector is an image of one pixel.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageBatch {
    /// Images, rows, columns, channels.
    pub shape: [usize; 4],
    pub values: Vec<f64>,
}

impl ImageBatch {
    pub fn zeros(shape: [usize; 4]) -> Self {
        Self { shape, values: vec![0.0; shape.iter().product()] }
    }

    /// Standard normal values.
    pub fn drawn(shape: [usize; 4], stream: &mut Stream) -> Self {
        Self { shape, values: normals(shape.iter().product(), stream) }
    }

    /// Where pixel (y, x) of image n has channel c.
    pub fn at(&self, n: usize, y: usize, x: usize, c: usize) -> usize {
        position(self.shape, n, y, x, c)
    }

    /// `(N, C, H, W)`.
    pub fn tensor(&self) -> Tensor {
        let sides = self.shape.map(|side| side as i64);
        Tensor::from_slice(&self.values).view(sides).permute([0, 3, 1, 2]).contiguous()
    }

    /// `(N, F)`; for vectors.
    pub fn vectors(&self) -> Tensor {
        Tensor::from_slice(&self.values).view([self.shape[0] as i64, -1])
    }

    /// From `(N, C, H, W)` or `(N, F)`.
    pub fn of(tensor: &Tensor) -> Self {
        let last = if tensor.dim() == 4 {
            tensor.permute([0, 2, 3, 1])
        } else {
            tensor.view([tensor.size()[0], 1, 1, -1])
        };
        let sides: Vec<usize> = last.size().iter().map(|&side| side as usize).collect();
        let shape = sides.try_into().expect("four axes");
        Self { shape, values: numbers(&last) }
    }
}

/// Where pixel (y, x) of image n has channel c, in row-major order.
pub fn position(shape: [usize; 4], n: usize, y: usize, x: usize, c: usize) -> usize {
    let [_, height, width, channels] = shape;
    ((n * height + y) * width + x) * channels + c
}

/// A tensor's values in row-major order.
pub fn numbers(tensor: &Tensor) -> Vec<f64> {
    assert_eq!(tensor.kind(), Kind::Double, "these checks compute in float64");
    Vec::try_from(tensor.detach().contiguous().view(-1)).expect("a vector of f64")
}

pub fn normals(count: usize, stream: &mut Stream) -> Vec<f64> {
    (0..count).map(|_| StandardNormal.sample(stream)).collect()
}

/// Equal to within `tolerance` of the largest value expected (at least 1): a sum's rounding grows
/// with its terms, which are of that size, and not with what cancellation leaves of them.
pub fn assert_close(what: &str, actual: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(actual.len(), expected.len(), "{what}: number of values");
    let scale = expected.iter().fold(1.0_f64, |largest, value| largest.max(value.abs()));
    for (i, (actual, expected)) in actual.iter().zip(expected).enumerate() {
        assert!(
            (actual - expected).abs() <= tolerance * scale,
            "{what}: value {i} is {actual:e}, the reference gives {expected:e}"
        );
    }
}
