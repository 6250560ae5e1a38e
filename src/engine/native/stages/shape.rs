//! Stages that move, repeat or drop values.

use super::Stage;
use crate::engine::native::grid::{Edge, Field};
use crate::engine::native::kernels::Real;

/// Nearest upsampling that no convolution takes over.
#[derive(Debug)]
pub(in crate::engine::native) struct Upsample {
    pub rows: usize,
    pub columns: usize,
}

impl<T: Real> Stage<T> for Upsample {
    fn forward(&mut self, input: &Field<T>, output: &mut Field<T>, images: usize) {
        let (channels, height) = (input.grid.size.channels, output.grid.size.height);
        for row in 0..images * height {
            let (image, y) = (row / height, row % height);
            let source = input.row(image, y / self.rows);
            let result = output.row_mut(image, y);
            for (x, pixel) in result.chunks_exact_mut(channels).enumerate() {
                pixel.copy_from_slice(&source[x / self.columns * channels..][..channels]);
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
        let (channels, height) = (result.grid.size.channels, output.gradient.grid.size.height);
        for row in 0..images * height {
            let (image, y) = (row / height, row % height);
            let sums = result.row_mut(image, y / self.rows);
            if y % self.rows == 0 {
                sums.fill(T::zero());
            }
            for (x, pixel) in output.gradient.row(image, y).chunks_exact(channels).enumerate() {
                let sums = &mut sums[x / self.columns * channels..];
                sums.iter_mut().zip(pixel).for_each(|(sum, value)| *sum = *sum + *value);
            }
        }
    }
}

/// `ZeroPadding2D` and `Cropping2D`: the image at another place in an image of another size.
#[derive(Debug)]
pub(in crate::engine::native) struct PadOrCrop {
    /// Where the input's first row and column come to lie; negative where they are cropped.
    pub down: isize,
    pub across: isize,
}

impl PadOrCrop {
    /// Copies what both have in common, with `source` moved by (`down`, `across`); the rest is 0.
    fn copy<T: Real>(
        source: &Field<T>,
        result: &mut Field<T>,
        (down, across): (isize, isize),
        images: usize,
    ) {
        let (from, to) = (source.grid.size, result.grid.size);
        let columns = across.max(0)..(from.width as isize + across).min(to.width as isize);
        for image in 0..images {
            for y in 0..to.height {
                let row = result.row_mut(image, y);
                row.fill(T::zero());
                let origin = y as isize - down;
                if (0..from.height as isize).contains(&origin) && !columns.is_empty() {
                    let source = source.row(image, origin as usize);
                    let start = (columns.start - across) as usize * from.channels;
                    let (first, last) = (columns.start as usize, columns.end as usize);
                    let target = &mut row[first * from.channels..last * from.channels];
                    target.copy_from_slice(&source[start..start + target.len()]);
                }
            }
        }
    }
}

impl<T: Real> Stage<T> for PadOrCrop {
    fn forward(&mut self, input: &Field<T>, output: &mut Field<T>, images: usize) {
        Self::copy(input, output, (self.down, self.across), images);
    }

    fn backward(
        &mut self,
        _input: &Field<T>,
        output: &mut Edge<T>,
        input_gradient: Option<&mut Field<T>>,
        images: usize,
    ) {
        if let Some(result) = input_gradient {
            Self::copy(&output.gradient, result, (-self.down, -self.across), images);
        }
    }
}

/// The same values in another shape, channels last: `Flatten` and `Reshape`.
#[derive(Debug)]
pub(in crate::engine::native) struct Reshape;

impl Reshape {
    fn copy<T: Real>(source: &Field<T>, result: &mut Field<T>, images: usize) {
        let rows = source.grid.size.height;
        for image in 0..images {
            let mut pieces = (0..rows).map(|row| source.row(image, row));
            let mut left: &[T] = &[];
            for row in 0..result.grid.size.height {
                let mut to = result.row_mut(image, row);
                while !to.is_empty() {
                    if left.is_empty() {
                        left = pieces.next().expect("both shapes have as many values");
                    }
                    let (now, later) = to.split_at_mut(left.len().min(to.len()));
                    now.copy_from_slice(&left[..now.len()]);
                    (to, left) = (later, &left[now.len()..]);
                }
            }
        }
    }
}

impl<T: Real> Stage<T> for Reshape {
    fn forward(&mut self, input: &Field<T>, output: &mut Field<T>, images: usize) {
        Self::copy(input, output, images);
    }

    fn backward(
        &mut self,
        _input: &Field<T>,
        output: &mut Edge<T>,
        input_gradient: Option<&mut Field<T>>,
        images: usize,
    ) {
        if let Some(result) = input_gradient {
            Self::copy(&output.gradient, result, images);
        }
    }
}
