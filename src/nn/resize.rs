//! Layers that move, repeat or drop values and have nothing to learn.

use tch::nn::ModuleT;
use tch::{Device, Kind, Tensor};

use super::norm::wide;
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
    fn forward_t(&self, x: &Tensor, train: bool) -> Tensor {
        let (height, width) = size_of(x);
        let size = pair((height * self.size.0, width * self.size.1));
        // On GPUs the gradients of libtorch's own are added up in an order that changes from run to run.
        let on_gpu = train && x.device() != Device::Cpu;
        match self.interpolation {
            Interpolation::Nearest if on_gpu => repeated(x, pair(self.size)),
            Interpolation::Nearest => x.upsample_nearest2d(size, None, None),
            Interpolation::Bilinear if on_gpu => blended(x, self.size),
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

/// Each pixel as many times down and across, in memory as the pixels lie; its gradient is a sum over these.
fn repeated(x: &Tensor, [rows, columns]: [i64; 2]) -> Tensor {
    let [count, channels, height, width] = x.size()[..] else { unreachable!("images have 4 axes") };
    if lie_channels_last(x) {
        let repeated = channels_last(x)
            .view([count, height, 1, width, 1, channels])
            .expand([count, height, rows, width, columns, channels], false)
            .reshape([count, height * rows, width * columns, channels]);
        return channels_first(&repeated);
    }
    x.view([count, channels, height, 1, width, 1])
        .expand([count, channels, height, rows, width, columns], false)
        .reshape([count, channels, height * rows, width * columns])
}

/// Pixels between their neighbours, as two products: `A x B^T` for each channel.
fn blended(x: &Tensor, factors: (usize, usize)) -> Tensor {
    let (height, width) = size_of(x);
    // The shares of a pixel that are rounded to bfloat16 do not add up to 1.
    let kind = wide(x);
    let blend = |length, factor| blend(length, factor, x.device()).to_kind(kind);
    let (rows, columns) = (blend(height, factors.0), blend(width, factors.1));
    let blended = rows.matmul(&x.to_kind(kind).matmul(&columns.tr())).to_kind(x.kind());
    if lie_channels_last(x) { in_channels_last(&blended) } else { blended }
}

/// What each of `length * factor` pixels takes of each of `length`, with half-pixel centres: `(length * factor, length)`. A
/// pixel's share falls from 1 at its own place to 0 at its neighbours'.
fn blend(length: usize, factor: usize, device: Device) -> Tensor {
    let count = |count: usize| Tensor::arange(to_i64(count), (Kind::Double, device));
    let places = (count(length * factor) + 0.5) / factor as f64 - 0.5;
    let places = places.clamp(0.0, (length - 1) as f64).unsqueeze(1);
    let distances: Tensor = places - count(length);
    (1.0_f64 - distances.abs()).relu()
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

/// The same tensor, whose values lie channels last.
pub(crate) fn in_channels_last(x: &Tensor) -> Tensor {
    channels_first(&channels_last(x).contiguous())
}

/// The same tensor, whose values lie channels first. libtorch takes those of one channel for channels last or first by their
/// strides, although they lie alike.
pub(crate) fn in_channels_first(x: &Tensor) -> Tensor {
    x.contiguous().flatten(0, -1).view(x.size().as_slice())
}

/// Whether libtorch computes such images `(N, C, H, W)` channels last.
fn lie_channels_last(x: &Tensor) -> bool {
    x.size()[1] > 1 && x.stride()[1] == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::testing::output_and_gradient;

    #[test]
    fn values_stay_where_they_are_said_to_lie() {
        let x = Tensor::arange(2 * 3 * 5 * 4, (Kind::Float, Device::Cpu)).view([2, 3, 5, 4]);
        let last = in_channels_last(&x);
        assert_eq!((last.stride(), &last), (vec![60, 1, 12, 3], &x));
        let first = in_channels_first(&last);
        assert_eq!((first.stride(), &first), (vec![60, 20, 4, 1], &x));
        let grey = x.view([6, 5, 4, 1]).permute([0, 3, 1, 2]);
        assert_eq!(
            (grey.stride(), in_channels_first(&grey).stride()),
            (vec![20, 1, 4, 1], vec![20, 20, 4, 1])
        );
    }

    /// Output and gradient of what GPUs compute, beside libtorch's own.
    #[test]
    fn upsampling_on_gpus_is_libtorchs_own_in_a_fixed_order() {
        let x = (Tensor::arange(2 * 3 * 5 * 4, (Kind::Double, Device::Cpu)) * 0.7).sin();
        let x = x.view([2, 5, 4, 3]).permute([0, 3, 1, 2]);
        for (size, x) in [(2, 2), (3, 1), (1, 5), (4, 3)]
            .iter()
            .flat_map(|&size| [(size, in_channels_last(&x)), (size, in_channels_first(&x))])
        {
            let run = |compute: &dyn Fn(&Tensor) -> Tensor| output_and_gradient(&x, compute);
            for interpolation in [Interpolation::Nearest, Interpolation::Bilinear] {
                let layer = UpSampling2D { size, interpolation };
                let theirs = run(&|x| layer.forward_t(x, true));
                let ours = run(&|x| match interpolation {
                    Interpolation::Nearest => repeated(x, pair(size)),
                    Interpolation::Bilinear => blended(x, size),
                });
                assert_eq!(lie_channels_last(&ours[0]), lie_channels_last(&x));
                for (ours, theirs) in ours.iter().zip(&theirs) {
                    let apart = (ours - theirs).abs().max().double_value(&[]);
                    assert!(apart < 1e-12, "{size:?}, {interpolation:?}: {apart}");
                }
            }
        }
    }
}
