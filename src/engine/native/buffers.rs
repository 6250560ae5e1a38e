//! Which fields share memory: each holds a buffer only from when it is written until its last reader is done, and what
//! it then leaves is the next one's of the same layout.
//!
//! In training values are kept for the way back, and two or three gradients are held at a time; in inference each value
//! is let go as soon as the next one is there. A worker's memory thus grows with what has to be kept, and not with the
//! number of its operations; and what is written next is still in the cache.

use super::grid::{Field, Grid};
use super::kernels::Real;

/// Fields that nobody holds.
#[derive(Debug)]
pub(super) struct Buffers<T> {
    /// For which each field has room.
    images: usize,
    free: Vec<Field<T>>,
}

impl<T: Real> Buffers<T> {
    /// Of fields for so many images.
    pub fn new(images: usize) -> Self {
        Self { images, free: Vec::new() }
    }

    /// Gives a field that holds no buffer one: its margins are zeros, its values anything.
    pub fn fill(&mut self, field: &mut Field<T>) {
        if !field.is_empty() {
            return;
        }
        *field = self.take(field.grid);
    }

    /// Takes a field's buffer, if it holds one.
    pub fn empty(&mut self, field: &mut Field<T>) {
        if field.is_empty() {
            return;
        }
        let empty = Field::empty(field.grid);
        let left = std::mem::replace(field, empty);
        #[cfg(test)]
        let left = spoiled(left, self.images);
        self.free.push(left);
    }

    /// The one that was let go last is the likeliest to be in the cache.
    fn take(&mut self, grid: Grid) -> Field<T> {
        let found = self.free.iter().rposition(|field| field.grid == grid);
        found.map_or_else(|| Field::new(grid, self.images), |place| self.free.remove(place))
    }
}

/// Whoever reads what nobody has written since shall be found out, and whoever has written into a margin.
#[cfg(test)]
fn spoiled<T: Real>(mut field: Field<T>, images: usize) -> Field<T> {
    let Grid { size, margin } = field.grid;
    let sides = (margin.left * size.channels, margin.right * size.channels);
    let zeros = |values: &[T]| assert!(values.iter().all(T::is_zero), "{:?}", field.grid);
    for image in 0..images {
        let all = &field.tail(image)[..field.grid.image_step()];
        for (y, row) in all.chunks_exact(field.grid.row_step().max(1)).enumerate() {
            if (margin.top..margin.top + size.height).contains(&y) {
                zeros(&row[..sides.0]);
                zeros(&row[row.len() - sides.1..]);
            } else {
                zeros(row);
            }
        }
    }
    for image in 0..images {
        for row in 0..field.grid.size.height {
            field.row_mut(image, row).fill(T::nan());
        }
    }
    field
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::native::grid::{Margin, Size};

    #[test]
    fn a_buffer_goes_to_the_next_field_of_its_layout() {
        let grid = |channels| {
            let size = Size { height: 2, width: 3, channels };
            Grid { size, margin: Margin { top: 1, ..Margin::default() } }
        };
        let mut buffers: Buffers<f32> = Buffers::new(2);
        let [mut first, mut second, mut other] =
            [4, 4, 5].map(|channels| Field::empty(grid(channels)));
        buffers.fill(&mut first);
        let address = first.tail(0).as_ptr();
        buffers.fill(&mut first);
        assert_eq!(first.tail(0).as_ptr(), address, "what it holds it keeps");
        buffers.empty(&mut first);
        buffers.fill(&mut other);
        buffers.fill(&mut second);
        assert!(first.is_empty());
        assert_eq!(second.tail(0).as_ptr(), address);
        assert!(second.tail(1)[..grid(4).at(0, 0)].iter().all(|&margin| margin == 0.0));
        assert_ne!(other.tail(0).as_ptr(), address, "its layout is another");
    }
}
