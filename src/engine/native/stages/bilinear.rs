//! Bilinear upsampling, as [`crate::nn::UpSampling2D`] has it: with half-pixel centres. Source: Keras
//! `layers/reshaping/up_sampling2d.py`.
//!
//! Pixel `i` of a side that is enlarged `s` times lies at `(i + 1/2) / s - 1/2` of the input, but not before its
//! first pixel: between pixel `p` and the next one, `t` away from `p`. It is `(1 - t) x[p] + t x[p + 1]`, where the
//! last pixel stands for the one that would follow it. The gradient is the transpose: `dx[p]` gains
//! `(1 - t) dy[i]`, and `dx[p + 1]` gains `t dy[i]`.
//!
//! Both sides are done one after the other, the columns where the rows are few.

use super::Stage;
use crate::engine::native::grid::{Edge, Field, Grid, Margin, Size};
use crate::engine::native::kernels::{Kernels, Real};

/// Where a new row or column takes its values from.
#[derive(Debug, Clone, Copy)]
struct Blend<T> {
    pixels: [usize; 2],
    shares: [T; 2],
}

/// For each new pixel of a side.
fn blends<T: Real>(length: usize, factor: usize) -> Vec<Blend<T>> {
    let blend = |i: usize| {
        // In parts of 1 / (2 * factor) of a pixel, so that nothing is rounded but the share.
        let (place, whole) = ((2 * i + 1).saturating_sub(factor), 2 * factor);
        let (pixel, share) = (place / whole, (place % whole) as f64 / whole as f64);
        let shares = [T::of(1.0 - share), T::of(share)];
        Blend { pixels: [pixel, (pixel + 1).min(length - 1)], shares }
    };
    (0..length * factor).map(blend).collect()
}

/// With its buffer.
#[derive(Debug)]
pub(in crate::engine::native) struct Bilinear<T: 'static> {
    kernels: &'static Kernels<T>,
    rows: Vec<Blend<T>>,
    columns: Vec<Blend<T>>,
    /// An image with the columns of the output and the rows of the input.
    wide: Field<T>,
}

impl<T: Real> Bilinear<T> {
    /// By these factors of height and width.
    pub fn new((down, across): (usize, usize), input: Size, kernels: &'static Kernels<T>) -> Self {
        let size = Size { width: input.width * across, ..input };
        Self {
            kernels,
            rows: blends(input.height, down),
            columns: blends(input.width, across),
            wide: Field::new(Grid { size, margin: Margin::default() }, 1),
        }
    }
}

impl<T: Real> Stage<T> for Bilinear<T> {
    fn forward(&mut self, input: &Field<T>, output: &mut Field<T>, images: usize) {
        let Self { kernels, rows, columns, wide } = self;
        let Size { height, channels, .. } = input.grid.size;
        for image in 0..images {
            for y in 0..height {
                let source = input.row(image, y);
                let pixels = wide.row_mut(0, y).chunks_exact_mut(channels);
                for (pixel, Blend { pixels, shares }) in pixels.zip(&*columns) {
                    let [a, b] = pixels.map(|x| &source[x * channels..][..channels]);
                    for ((to, &a), &b) in pixel.iter_mut().zip(a).zip(b) {
                        *to = a * shares[0] + b * shares[1];
                    }
                }
            }
            for (y, Blend { pixels, shares }) in rows.iter().enumerate() {
                let row = output.row_mut(image, y);
                row.fill(T::zero());
                for (&source, &share) in pixels.iter().zip(shares) {
                    kernels.add_scaled(row, wide.row(0, source), share);
                }
            }
        }
    }

    fn backward(
        &mut self,
        _input: &Field<T>,
        output: &mut Edge<T>,
        input_gradient: Option<&mut Field<T>>,
        images: usize,
    ) {
        let Some(result) = input_gradient else { return };
        let Self { kernels, rows, columns, wide } = self;
        let Size { height, channels, .. } = result.grid.size;
        for image in 0..images {
            (0..height).for_each(|y| wide.row_mut(0, y).fill(T::zero()));
            for (y, Blend { pixels, shares }) in rows.iter().enumerate() {
                for (&source, &share) in pixels.iter().zip(shares) {
                    let gradient = output.gradient.row(image, y);
                    kernels.add_scaled(wide.row_mut(0, source), gradient, share);
                }
            }
            for y in 0..height {
                let sums = result.row_mut(image, y);
                sums.fill(T::zero());
                let pixels = wide.row(0, y).chunks_exact(channels);
                for (pixel, Blend { pixels, shares }) in pixels.zip(&*columns) {
                    for (&x, &share) in pixels.iter().zip(shares) {
                        let sums = &mut sums[x * channels..][..channels];
                        sums.iter_mut().zip(pixel).for_each(|(sum, &dy)| *sum = *sum + dy * share);
                    }
                }
            }
        }
    }
}
