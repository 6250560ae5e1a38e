//! Puts the chunks of a dataset together. A chunk is a box of the dataset's own rank, stored whole
//! even where it reaches beyond the edge.

use hdf5_reader::DatasetChunk;

use super::error::Hdf5Error;

/// The chunks so far, as one row-major array of the file's elements.
pub(super) struct Assembly {
    shape: Vec<usize>,
    /// Bytes per element.
    size: usize,
    bytes: Vec<u8>,
    /// How many bytes of chunks may still come.
    left: u64,
}

impl Assembly {
    /// Filled with `fill`, an element; `length` is what the shape takes, and `most` a limit to the
    /// bytes of all chunks.
    pub(super) fn new(shape: &[usize], fill: &[u8], length: usize, most: u64) -> Self {
        let bytes = if fill.iter().all(|&byte| byte == 0) {
            vec![0; length]
        } else {
            fill.iter().copied().cycle().take(length).collect()
        };
        Self { shape: shape.to_vec(), size: fill.len(), bytes, left: most }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Copies a chunk to its place.
    pub(super) fn place(&mut self, chunk: &DatasetChunk) -> Result<(), Hdf5Error> {
        let length = chunk.bytes().len() as u64;
        self.left = self.left.checked_sub(length).ok_or_else(|| {
            Hdf5Error::TooLarge("its chunks take many times what they hold".to_owned())
        })?;
        self.copy(chunk).ok_or_else(|| Hdf5Error::damaged("a chunk does not fit its dataset"))
    }

    /// Copies row by row; `None` when the chunk is not a box of this rank within the dataset.
    fn copy(&mut self, chunk: &DatasetChunk) -> Option<()> {
        let start: Vec<usize> = whole(chunk.offsets())?;
        let sides: Vec<usize> = whole(chunk.shape())?;
        let rank = self.shape.len();
        if rank == 0 || start.len() != rank || sides.len() != rank {
            return None;
        }
        let inside: Vec<usize> = (0..rank)
            .map(|axis| Some(self.shape[axis].checked_sub(start[axis])?.min(sides[axis])))
            .collect::<Option<_>>()?;
        if inside.contains(&0) {
            return None;
        }
        let row = inside[rank - 1] * self.size;
        let mut index = vec![0; rank - 1];
        loop {
            let (mut from, mut to) = (0_usize, 0_usize);
            for axis in 0..rank {
                let at = index.get(axis).copied().unwrap_or(0);
                from = from.checked_mul(sides[axis])?.checked_add(at)?;
                to = to.checked_mul(self.shape[axis])?.checked_add(start[axis] + at)?;
            }
            let (from, to) = (from.checked_mul(self.size)?, to.checked_mul(self.size)?);
            let source = chunk.bytes().get(from..)?.get(..row)?;
            self.bytes.get_mut(to..)?.get_mut(..row)?.copy_from_slice(source);
            if !next(&mut index, &inside) {
                return Some(());
            }
        }
    }
}

/// Counts up, the last axis fastest; false after the last index.
fn next(index: &mut [usize], sides: &[usize]) -> bool {
    for (at, &side) in index.iter_mut().zip(sides).rev() {
        *at += 1;
        if *at < side {
            return true;
        }
        *at = 0;
    }
    false
}

fn whole(numbers: &[u64]) -> Option<Vec<usize>> {
    numbers.iter().map(|&number| usize::try_from(number).ok()).collect()
}
