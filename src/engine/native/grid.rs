//! Where the pixels of images stand in memory: channels last, with margins of zeros, so that
//! windows can reach over the edge.

use super::kernels::{Real, Table};
use super::memory::zeros;

/// Pixels that windows reach beyond the edges.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Margin {
    pub top: usize,
    pub bottom: usize,
    pub left: usize,
    pub right: usize,
}

impl Margin {
    /// What is enough for both.
    pub fn or(self, other: Self) -> Self {
        Self {
            top: self.top.max(other.top),
            bottom: self.bottom.max(other.bottom),
            left: self.left.max(other.left),
            right: self.right.max(other.right),
        }
    }
}

/// Height, width, channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub height: usize,
    pub width: usize,
    pub channels: usize,
}

impl Size {
    /// Of a shape `[values]`, `[steps, channels]` or `[height, width, channels]`; a row of values is one pixel,
    /// and a signal is an image of one row.
    pub fn of(shape: &[usize]) -> Self {
        match *shape {
            [height, width, channels] => Self { height, width, channels },
            [width, channels] => Self { height: 1, width, channels },
            _ => Self { height: 1, width: 1, channels: shape.iter().product() },
        }
    }

    pub fn values(self) -> usize {
        self.height * self.width * self.channels
    }
}

/// One image's layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grid {
    pub size: Size,
    pub margin: Margin,
}

impl Grid {
    /// Distance between rows.
    pub fn row_step(&self) -> usize {
        (self.margin.left + self.size.width + self.margin.right) * self.size.channels
    }

    /// Distance between images.
    pub fn image_step(&self) -> usize {
        (self.margin.top + self.size.height + self.margin.bottom) * self.row_step()
    }

    /// Where a pixel starts in its image; it may lie in the margin.
    pub fn at(&self, row: isize, column: isize) -> usize {
        let row = self.margin.top.checked_add_signed(row).expect("within the margin");
        let column = self.margin.left.checked_add_signed(column).expect("within the margin");
        row * self.row_step() + column * self.size.channels
    }

    /// Where the values of a row stand, without margins.
    pub fn row(&self, row: usize) -> std::ops::Range<usize> {
        let start = self.at(row as isize, 0);
        start..start + self.size.width * self.size.channels
    }

    /// So many rows, without the margins between them, of what starts with the first pixel of the first one.
    pub fn rows_of_strip<'a, T>(
        &self,
        strip: &'a mut [T],
        rows: usize,
    ) -> impl Iterator<Item = &'a mut [T]> + use<'a, T> {
        let length = self.size.width * self.size.channels;
        strip.chunks_mut(self.row_step()).take(rows).map(move |row| &mut row[..length])
    }
}

/// Values beyond the last image that whole vectors may read.
const SLACK: usize = 64;

/// Some images.
#[derive(Debug, Clone)]
pub(super) struct Field<T> {
    pub grid: Grid,
    values: Vec<T>,
}

impl<T: Real> Field<T> {
    /// Zeros.
    pub fn new(grid: Grid, images: usize) -> Self {
        Self { grid, values: zeros(images * grid.image_step() + SLACK) }
    }

    /// Of the same layout, but without a buffer.
    pub fn empty(grid: Grid) -> Self {
        Self { grid, values: Vec::new() }
    }

    /// Whether it has no buffer.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// From an image's first value (in its margin) to the end of all.
    pub fn tail(&self, image: usize) -> &[T] {
        &self.values[image * self.grid.image_step()..]
    }

    /// The same, to be changed.
    pub fn tail_mut(&mut self, image: usize) -> &mut [T] {
        &mut self.values[image * self.grid.image_step()..]
    }

    /// A row without its margins.
    pub fn row(&self, image: usize, row: usize) -> &[T] {
        &self.tail(image)[self.grid.row(row)]
    }

    /// The same, to be changed.
    pub fn row_mut(&mut self, image: usize, row: usize) -> &mut [T] {
        let range = self.grid.row(row);
        &mut self.tail_mut(image)[range]
    }

    /// An image's rows without their margins, each to be changed by itself.
    pub fn rows_mut(&mut self, image: usize) -> impl ExactSizeIterator<Item = &mut [T]> + Send {
        let Grid { size, margin } = self.grid;
        let (left, length) = (margin.left * size.channels, size.width * size.channels);
        let rows = self.grid.row_step();
        let rows = self.tail_mut(image).chunks_mut(rows).skip(margin.top).take(size.height);
        rows.map(move |row| &mut row[left..][..length])
    }

    /// Strips of so many rows, each to be changed by itself, from an image's first pixel on and beyond its last one.
    pub fn strips_mut(
        &mut self,
        image: usize,
        rows: usize,
    ) -> impl ExactSizeIterator<Item = &mut [T]> + Send {
        let (start, length) = (self.grid.at(0, 0), rows * self.grid.row_step());
        self.tail_mut(image)[start..].chunks_mut(length)
    }

    /// An image's rows without margins.
    pub fn table(&self, image: usize) -> Table<'_, T> {
        let Size { height, width, channels } = self.grid.size;
        Table {
            values: &self.tail(image)[self.grid.at(0, 0)..],
            rows: height,
            row_step: self.grid.row_step(),
            length: width * channels,
        }
    }

    /// Copies the images from `first` on, without margins, as many as `to` has room for.
    pub fn copy_images(&self, first: usize, to: &mut [T]) {
        let Size { height, width, channels } = self.grid.size;
        for (row, to) in to.chunks_exact_mut(width * channels).enumerate() {
            to.copy_from_slice(self.row(first + row / height, row % height));
        }
    }

    /// Takes over the values of one image.
    pub fn take_image(&mut self, image: usize, values: &[T]) {
        let Size { width, channels, .. } = self.grid.size;
        for (row, values) in values.chunks_exact(width * channels).enumerate() {
            self.row_mut(image, row).copy_from_slice(values);
        }
    }

    /// Calls `change` with each row of some images, and with the same row of `other`.
    pub fn zip_rows(
        &mut self,
        other: &Self,
        images: std::ops::Range<usize>,
        mut change: impl FnMut(&mut [T], &[T]),
    ) {
        for image in images {
            for row in 0..self.grid.size.height {
                change(self.row_mut(image, row), other.row(image, row));
            }
        }
    }

    /// The same with the rows of two others.
    pub fn zip_two_rows(
        &mut self,
        others: [&Self; 2],
        images: std::ops::Range<usize>,
        mut change: impl FnMut(&mut [T], &[T], &[T]),
    ) {
        for image in images {
            for row in 0..self.grid.size.height {
                let [one, other] = others.map(|field| field.row(image, row));
                change(self.row_mut(image, row), one, other);
            }
        }
    }
}

/// What one stage hands to the next, and what comes back; both hold buffers only while they are needed.
#[derive(Debug, Clone)]
pub(super) struct Edge<T> {
    pub values: Field<T>,
    /// Of the loss by the values.
    pub gradient: Field<T>,
}
