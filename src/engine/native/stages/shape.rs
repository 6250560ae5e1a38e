//! Stages that move, repeat or drop values.

use super::Stage;
use crate::engine::native::grid::{Edge, Field};
use crate::engine::native::kernels::Real;

/// Nearest upsampling that no convolution takes over.
#[derive(Debug)]
pub(in crate::engine::native) struct Repeat {
    pub rows: usize,
    pub columns: usize,
}

impl<T: Real> Stage<T> for Repeat {
    fn forward(&mut self, input: &Field<T>, output: &mut Field<T>, pictures: usize) {
        let (channels, height) = (input.grid.size.channels, output.grid.size.height);
        for row in 0..pictures * height {
            let (picture, y) = (row / height, row % height);
            let source = input.row(picture, y / self.rows);
            let result = output.row_mut(picture, y);
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
        pictures: usize,
    ) {
        let Some(result) = input_gradient else { return };
        let (channels, height) = (result.grid.size.channels, output.gradient.grid.size.height);
        for row in 0..pictures * height {
            let (picture, y) = (row / height, row % height);
            let sums = result.row_mut(picture, y / self.rows);
            if y % self.rows == 0 {
                sums.fill(T::zero());
            }
            for (x, pixel) in output.gradient.row(picture, y).chunks_exact(channels).enumerate() {
                let sums = &mut sums[x / self.columns * channels..];
                sums.iter_mut().zip(pixel).for_each(|(sum, value)| *sum = *sum + *value);
            }
        }
    }
}

/// `ZeroPadding2D` and `Cropping2D`: the picture at another place in a picture of another size.
#[derive(Debug)]
pub(in crate::engine::native) struct Place {
    /// Where the input's first row and column come to lie; negative where they are cropped.
    pub down: isize,
    pub across: isize,
}

impl Place {
    /// Copies what both have in common, with `source` moved by (`down`, `across`); the rest is 0.
    fn copy<T: Real>(
        source: &Field<T>,
        result: &mut Field<T>,
        (down, across): (isize, isize),
        pictures: usize,
    ) {
        let (from, to) = (source.grid.size, result.grid.size);
        let columns = across.max(0)..(from.width as isize + across).min(to.width as isize);
        for picture in 0..pictures {
            for y in 0..to.height {
                let row = result.row_mut(picture, y);
                row.fill(T::zero());
                let origin = y as isize - down;
                if (0..from.height as isize).contains(&origin) && !columns.is_empty() {
                    let source = source.row(picture, origin as usize);
                    let start = (columns.start - across) as usize * from.channels;
                    let (first, last) = (columns.start as usize, columns.end as usize);
                    let target = &mut row[first * from.channels..last * from.channels];
                    target.copy_from_slice(&source[start..start + target.len()]);
                }
            }
        }
    }
}

impl<T: Real> Stage<T> for Place {
    fn forward(&mut self, input: &Field<T>, output: &mut Field<T>, pictures: usize) {
        Self::copy(input, output, (self.down, self.across), pictures);
    }

    fn backward(
        &mut self,
        _input: &Field<T>,
        output: &mut Edge<T>,
        input_gradient: Option<&mut Field<T>>,
        pictures: usize,
    ) {
        if let Some(result) = input_gradient {
            Self::copy(&output.gradient, result, (-self.down, -self.across), pictures);
        }
    }
}

/// The same values in another shape, channels last: `Flatten` and `Reshape`.
#[derive(Debug)]
pub(in crate::engine::native) struct Reshape;

impl Reshape {
    fn copy<T: Real>(source: &Field<T>, result: &mut Field<T>, pictures: usize) {
        for picture in 0..pictures {
            let mut values =
                (0..source.grid.size.height).flat_map(|row| source.row(picture, row)).copied();
            for row in 0..result.grid.size.height {
                for value in result.row_mut(picture, row) {
                    *value = values.next().expect("both shapes have as many values");
                }
            }
        }
    }
}

impl<T: Real> Stage<T> for Reshape {
    fn forward(&mut self, input: &Field<T>, output: &mut Field<T>, pictures: usize) {
        Self::copy(input, output, pictures);
    }

    fn backward(
        &mut self,
        _input: &Field<T>,
        output: &mut Edge<T>,
        input_gradient: Option<&mut Field<T>>,
        pictures: usize,
    ) {
        if let Some(result) = input_gradient {
            Self::copy(&output.gradient, result, pictures);
        }
    }
}
