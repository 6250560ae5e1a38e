//! The values of a tensor in the processor's memory as a slice: to be read where they lie, or changed in one pass over
//! them where libtorch would make a pass, and a tensor, of each operation.

#![allow(unsafe_code)]

use std::ptr::NonNull;

use tch::kind::Element;
use tch::{Device, Tensor};

/// `None` where the tensor is of another type, on another device, or not in one row.
pub(crate) fn values<T: Element>(tensor: &Tensor) -> Option<&[T]> {
    // SAFETY: `row` found so many values of this type there; they live as long as the tensor.
    row(tensor).map(|(first, count)| unsafe { std::slice::from_raw_parts(first, count) })
}

/// The same, to be changed.
pub(crate) fn values_mut<T: Element>(tensor: &mut Tensor) -> Option<&mut [T]> {
    // SAFETY: as above; other tensors may share the memory, but none is read while the slice lives.
    row(tensor).map(|(first, count)| unsafe { std::slice::from_raw_parts_mut(first, count) })
}

fn row<T: Element>(tensor: &Tensor) -> Option<(*mut T, usize)> {
    let here = tensor.device() == Device::Cpu && tensor.is_contiguous();
    let first = || match tensor.numel() {
        0 => NonNull::dangling().as_ptr(),
        _ => tensor.data_ptr().cast(),
    };
    (here && tensor.kind() == T::KIND).then(|| (first(), tensor.numel()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slice_has_the_tensors_values_and_writes_through() {
        let mut tensor = Tensor::from_slice(&[1.0_f32, 2.0, 3.0]);
        assert_eq!(values::<f32>(&tensor), Some(&[1.0, 2.0, 3.0][..]));
        values_mut::<f32>(&mut tensor).unwrap()[1] = 5.0;
        assert_eq!(Vec::<f32>::try_from(&tensor).unwrap(), [1.0, 5.0, 3.0]);
    }

    #[test]
    fn another_type_and_a_gap_between_values_give_no_slice() {
        let tensor = Tensor::from_slice(&[1.0_f32, 2.0, 3.0, 4.0]);
        assert!(values::<f64>(&tensor).is_none());
        assert!(values::<f32>(&tensor.slice(0, None, None, 2)).is_none());
        assert_eq!(values::<f32>(&tensor.narrow(0, 0, 0)), Some(&[][..]));
        assert!(values::<f32>(&tensor.narrow(0, 1, 2)).is_some());
    }
}
