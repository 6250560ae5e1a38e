//! A PyTorch tensor before its elements are read: a window with strides into a shared storage.
//! The window is checked when it is made, so that gathering its elements cannot go wrong.

use std::rc::Rc;

use super::array::{DType, byte_len, contiguous_strides, gather};
use super::error::Fault;

/// A run of elements in the zip entry `data/<key>`, which tensors may share.
#[derive(Clone, Debug)]
pub(super) struct Storage {
    pub(super) key: Rc<str>,
    pub(super) dtype: DType,
    /// Elements, as the pickle declares them.
    pub(super) len: usize,
}

/// A window that lies within its storage's declared length.
#[derive(Debug)]
pub(super) struct Strided {
    storage: Storage,
    /// The first element's place in the storage.
    offset: usize,
    shape: Vec<usize>,
    /// Elements to skip per step along each axis; 0 along axes without a second step.
    strides: Vec<usize>,
    byte_len: usize,
}

impl Strided {
    /// Checks that every element lies within the storage.
    pub(super) fn new(
        storage: Storage,
        offset: usize,
        shape: Vec<usize>,
        mut strides: Vec<usize>,
    ) -> Result<Self, Fault> {
        let byte_len = byte_len(storage.dtype, &shape)
            .filter(|_| shape.len() == strides.len())
            .ok_or_else(|| Fault::damaged("a tensor's shape or strides are impossible"))?;
        for (stride, axis) in strides.iter_mut().zip(&shape) {
            if *axis <= 1 {
                *stride = 0;
            }
        }
        let last = last_element(offset, &shape, &strides);
        if byte_len > 0 && last.is_none_or(|at| at >= storage.len) {
            return Err(Fault::damaged(format!(
                "a tensor of shape {shape:?} reaches beyond its storage of {} elements",
                storage.len
            )));
        }
        Ok(Self { storage, offset, shape, strides, byte_len })
    }

    pub(super) fn storage(&self) -> &Storage {
        &self.storage
    }

    pub(super) fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The bytes that [`Strided::gather`] returns.
    pub(super) fn byte_len(&self) -> usize {
        self.byte_len
    }

    /// Copies the elements out of the storage's bytes in row-major order. `bytes` must hold the
    /// storage's declared length.
    pub(super) fn gather(&self, bytes: &[u8]) -> Vec<u8> {
        let size = self.storage.dtype.size();
        if self.byte_len == 0 {
            return Vec::new();
        }
        if self.is_contiguous() {
            return bytes[self.offset * size..][..self.byte_len].to_vec();
        }
        gather(bytes, self.storage.dtype, self.offset, &self.shape, &self.strides)
    }

    fn is_contiguous(&self) -> bool {
        let dense = contiguous_strides(&self.shape);
        let mut axes = self.shape.iter().zip(self.strides.iter().zip(&dense));
        axes.all(|(&axis, (stride, dense))| axis <= 1 || stride == dense)
    }
}

/// The storage index of the last element of a window that has at least one.
fn last_element(offset: usize, shape: &[usize], strides: &[usize]) -> Option<usize> {
    let mut axes = shape.iter().zip(strides);
    axes.try_fold(offset, |at, (&axis, &stride)| {
        at.checked_add(axis.checked_sub(1)?.checked_mul(stride)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(
        len: usize,
        offset: usize,
        shape: &[usize],
        strides: &[usize],
    ) -> Result<Strided, Fault> {
        let storage = Storage { key: "0".into(), dtype: DType::I64, len };
        Strided::new(storage, offset, shape.to_vec(), strides.to_vec())
    }

    /// Gathers from a storage that holds 0, 1, 2, ...
    fn gathered(window: &Strided) -> Vec<i64> {
        use crate::formats::checkpoint::Element;
        let mut bytes = Vec::new();
        i64::encode(&(0..window.storage().len as i64).collect::<Vec<_>>(), &mut bytes);
        i64::decode(&window.gather(&bytes))
    }

    #[test]
    fn a_contiguous_window_is_copied_from_its_offset() {
        let dense = window(10, 4, &[2, 3], &[3, 1]).unwrap();
        assert_eq!(gathered(&dense), [4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn a_transposed_window_becomes_row_major() {
        let transposed = window(6, 0, &[3, 2], &[1, 3]).unwrap();
        assert_eq!(gathered(&transposed), [0, 3, 1, 4, 2, 5]);
    }

    #[test]
    fn an_expanded_axis_repeats_its_elements() {
        let expanded = window(2, 0, &[2, 3], &[1, 0]).unwrap();
        assert_eq!(gathered(&expanded), [0, 0, 0, 1, 1, 1]);
    }

    #[test]
    fn a_stride_that_is_never_stepped_may_be_anything() {
        let single = window(3, 1, &[1, 2], &[usize::MAX, 1]).unwrap();
        assert_eq!(gathered(&single), [1, 2]);
    }

    #[test]
    fn an_empty_window_may_lie_anywhere() {
        let empty = window(0, usize::MAX, &[0, 3], &[3, 1]).unwrap();
        assert!(gathered(&empty).is_empty());
    }

    #[test]
    fn a_window_beyond_its_storage_is_refused() {
        assert!(window(6, 1, &[2, 3], &[3, 1]).is_err());
        assert!(window(0, 0, &[], &[]).is_err());
        assert!(window(6, usize::MAX, &[2], &[1]).is_err());
        assert!(window(6, 0, &[3], &[usize::MAX / 2 + 1]).is_err());
    }

    #[test]
    fn strides_must_match_the_axes() {
        assert!(window(6, 0, &[2, 3], &[1]).is_err());
    }
}
