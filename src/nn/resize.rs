//! Layers that move, repeat or drop values and have nothing to learn.

use tch::nn::ModuleT;
use tch::{Kind, Tensor};

use super::window::{pair, size_of, to_i64};

/// How `UpSampling2D` fills in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interpolation {
    /// Repeats each pixel.
    Nearest,
    /// Blends neighbours, with half-pixel centres.
    Bilinear,
}

/// `(N, C, H, W)` to `(N, C, H * size.0, W * size.1)`. Source: Keras
/// `layers/reshaping/up_sampling2d.py`.
#[derive(Debug)]
pub struct UpSampling2D {
    /// Factors of height and width; at least 1.
    pub size: (usize, usize),
    /// Where the new pixels take their values from.
    pub interpolation: Interpolation,
}

impl ModuleT for UpSampling2D {
    fn forward_t(&self, x: &Tensor, _train: bool) -> Tensor {
        let (height, width) = size_of(x);
        let size = pair((height * self.size.0, width * self.size.1));
        match self.interpolation {
            Interpolation::Nearest => x.upsample_nearest2d(size, None, None),
            Interpolation::Bilinear => {
                // libtorch reckons in float32 which pixels it blends: by any but powers of two, that is
                // off by 1e-5 of a pixel a few hundred pixels from the edge.
                let exact =
                    [self.size.0, self.size.1].iter().all(|factor| factor.is_power_of_two());
                let kind = if exact { x.kind() } else { Kind::Double };
                x.to_kind(kind).upsample_bilinear2d(size, false, None, None).to_kind(x.kind())
            }
        }
    }
}

/// Adds zeros around: `(N, C, H, W)` to `(N, C, H + top + bottom, W + left + right)`.
#[derive(Debug)]
pub struct ZeroPadding2D {
    /// Rows at top and bottom.
    pub rows: (usize, usize),
    /// Columns at left and right.
    pub columns: (usize, usize),
}

impl ModuleT for ZeroPadding2D {
    fn forward_t(&self, x: &Tensor, _train: bool) -> Tensor {
        let [left, right] = pair(self.columns);
        let [top, bottom] = pair(self.rows);
        x.constant_pad_nd([left, right, top, bottom])
    }
}

/// Removes a margin: `(N, C, H, W)` to `(N, C, H - top - bottom, W - left - right)`.
#[derive(Debug)]
pub struct Cropping2D {
    /// Rows at top and bottom.
    pub rows: (usize, usize),
    /// Columns at left and right.
    pub columns: (usize, usize),
}

impl ModuleT for Cropping2D {
    fn forward_t(&self, x: &Tensor, _train: bool) -> Tensor {
        let (height, width) = size_of(x);
        let kept = |length: usize, (before, after): (usize, usize)| to_i64(length - before - after);
        x.narrow(2, to_i64(self.rows.0), kept(height, self.rows)).narrow(
            3,
            to_i64(self.columns.0),
            kept(width, self.columns),
        )
    }
}

/// `(N, C, H, W)` to `(N, H * W * C)`, in channels-last order as Keras counts.
#[derive(Debug)]
pub struct Flatten;

impl ModuleT for Flatten {
    fn forward_t(&self, x: &Tensor, _train: bool) -> Tensor {
        channels_last(x).flatten(1, -1)
    }
}

/// The same values in another shape, in channels-last order as Keras counts.
#[derive(Debug)]
pub struct Reshape {
    /// `[values]` or `[height, width, channels]`.
    pub shape: Vec<usize>,
}

impl ModuleT for Reshape {
    fn forward_t(&self, x: &Tensor, _train: bool) -> Tensor {
        let sides = self.shape.iter().map(|&side| to_i64(side));
        let shape: Vec<i64> = std::iter::once(x.size()[0]).chain(sides).collect();
        channels_first(&channels_last(x).reshape(shape))
    }
}

/// A vector `(N, F)` as every step of a signal, which is an image of one row: `(N, F, 1, n)`. Source: Keras
/// `layers/reshaping/repeat_vector.py`.
#[derive(Debug)]
pub struct RepeatVector {
    /// Number of steps.
    pub n: usize,
}

impl ModuleT for RepeatVector {
    fn forward_t(&self, x: &Tensor, _train: bool) -> Tensor {
        x.unsqueeze(-1).unsqueeze(-1).repeat([1, 1, 1, to_i64(self.n)])
    }
}

/// Each pixel's channels as a block of pixels, row by row: `(N, C, H, W)` to `(N, C / block^2, H * block, W *
/// block)`. Source: TensorFlow `tf.nn.depth_to_space`, of channels-last images.
#[derive(Debug)]
pub struct DepthToSpace {
    /// Rows and columns of a block.
    pub block_size: usize,
}

impl ModuleT for DepthToSpace {
    fn forward_t(&self, x: &Tensor, _train: bool) -> Tensor {
        let (height, width) = size_of(x);
        let [height, width] = pair((height, width));
        let (count, channels, block) = (x.size()[0], x.size()[1], to_i64(self.block_size));
        let fewer = channels / (block * block);
        let blocks = x.reshape([count, block, block, fewer, height, width]);
        let rows = blocks.permute([0, 3, 4, 1, 5, 2]);
        rows.reshape([count, fewer, height * block, width * block])
    }
}

/// Keras's axes in another order. Source: Keras `layers/reshaping/permute.py`.
#[derive(Debug)]
pub struct Permute {
    /// The input's axes, counted from 1, channels last.
    pub dims: Vec<usize>,
}

impl ModuleT for Permute {
    fn forward_t(&self, x: &Tensor, _train: bool) -> Tensor {
        match self.dims[..] {
            // A signal is an image of one row.
            [2, 1] => x.transpose(1, 3),
            [_, _, _] => {
                let axes: Vec<i64> =
                    std::iter::once(0).chain(self.dims.iter().map(|&axis| to_i64(axis))).collect();
                channels_first(&channels_last(x).permute(&axes))
            }
            _ => x.shallow_clone(),
        }
    }
}

/// `(N, C, H, W)` as `(N, H, W, C)`; `(N, F)` as it is.
pub(crate) fn channels_last(x: &Tensor) -> Tensor {
    if x.dim() == 4 { x.permute([0, 2, 3, 1]) } else { x.shallow_clone() }
}

/// `(N, H, W, C)` as `(N, C, H, W)`; `(N, F)` as it is.
pub(crate) fn channels_first(x: &Tensor) -> Tensor {
    if x.dim() == 4 { x.permute([0, 3, 1, 2]) } else { x.shallow_clone() }
}
