//! The arrays that checkpoint files hold: element types, shapes and little-endian bytes.
//! No tensor library and no file format appears here.

use std::fmt;

use thiserror::Error;

/// The most axes that an array may have; PyTorch's own operations stop at the same number.
pub(super) const MAX_RANK: usize = 64;

/// The element types that our files hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DType {
    /// 32-bit floating point, `torch.float32`.
    F32,
    /// 64-bit floating point, `torch.float64`.
    F64,
    /// 64-bit signed integer, `torch.int64`.
    I64,
}

impl DType {
    /// Every element type.
    pub const ALL: [Self; 3] = [Self::F32, Self::F64, Self::I64];

    /// Bytes per element.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F64 | Self::I64 => 8,
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "float32",
            Self::F64 => "float64",
            Self::I64 => "int64",
        })
    }
}

/// A Rust type that an [`Array`] can hold; implemented for `f32`, `f64` and `i64`.
pub trait Element: Copy {
    /// The element type that files name.
    const DTYPE: DType;
    /// Appends `values` to `bytes`, little-endian.
    fn encode(values: &[Self], bytes: &mut Vec<u8>);
    /// Reads whole little-endian elements; an incomplete last one is left out.
    fn decode(bytes: &[u8]) -> Vec<Self>;
}

macro_rules! element {
    ($type:ty, $dtype:expr) => {
        impl Element for $type {
            const DTYPE: DType = $dtype;

            fn encode(values: &[Self], bytes: &mut Vec<u8>) {
                bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            }

            fn decode(bytes: &[u8]) -> Vec<Self> {
                let (whole, _) = bytes.as_chunks::<{ size_of::<$type>() }>();
                whole.iter().map(|&one| Self::from_le_bytes(one)).collect()
            }
        }
    };
}

element!(f32, DType::F32);
element!(f64, DType::F64);
element!(i64, DType::I64);

/// Why a shape, an element type and bytes do not make an array.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ArrayError {
    /// The shape, of this element type, does not take this number of bytes.
    #[error("shape {0:?} of {1} does not take {2} bytes")]
    Length(Vec<usize>, DType, usize),
    /// The shape has too many axes, or more bytes than a machine can address.
    #[error("shape {0:?} is beyond what a tensor can have")]
    Shape(Vec<usize>),
    /// The values were asked for as the first type, and the array holds the second.
    #[error("the values are {1}, not {0}")]
    DType(DType, DType),
}

/// A dense, row-major array as files hold it; its bytes always fill its shape exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Array {
    dtype: DType,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Array {
    /// Makes an array from little-endian, row-major `bytes`. The shape `[]` is a scalar, and a
    /// shape with a zero is an array without elements.
    ///
    /// # Errors
    /// [`ArrayError::Length`] when `bytes` do not fill `shape`, [`ArrayError::Shape`] when no
    /// tensor can have that shape.
    pub fn new(dtype: DType, shape: Vec<usize>, bytes: Vec<u8>) -> Result<Self, ArrayError> {
        match byte_len(dtype, &shape) {
            Some(length) if length == bytes.len() => Ok(Self { dtype, shape, bytes }),
            Some(_) => Err(ArrayError::Length(shape, dtype, bytes.len())),
            None => Err(ArrayError::Shape(shape)),
        }
    }

    /// Makes an array from row-major `values`.
    ///
    /// # Errors
    /// As [`Array::new`].
    pub fn from_values<T: Element>(shape: &[usize], values: &[T]) -> Result<Self, ArrayError> {
        let mut bytes = Vec::with_capacity(size_of_val(values));
        T::encode(values, &mut bytes);
        Self::new(T::DTYPE, shape.to_vec(), bytes)
    }

    /// The values in row-major order.
    ///
    /// # Errors
    /// [`ArrayError::DType`] when the array holds another type than `T`; nothing is converted.
    pub fn to_values<T: Element>(&self) -> Result<Vec<T>, ArrayError> {
        if self.dtype != T::DTYPE {
            return Err(ArrayError::DType(T::DTYPE, self.dtype));
        }
        Ok(T::decode(&self.bytes))
    }

    /// The same values with the old axis `axes[i]` as the new axis i: NumPy's `transpose`.
    ///
    /// # Panics
    /// When `axes` does not name each axis once.
    #[must_use]
    pub fn transposed(&self, axes: &[usize]) -> Self {
        let strides = contiguous_strides(&self.shape);
        let of_axes = |of: &[usize]| -> Vec<usize> { axes.iter().map(|&axis| of[axis]).collect() };
        let (shape, strides) = (of_axes(&self.shape), of_axes(&strides));
        let bytes = gather(&self.bytes, self.dtype, 0, &shape, &strides);
        Self::new(self.dtype, shape, bytes).expect("each axis is named once")
    }

    /// The same values in another shape.
    ///
    /// # Panics
    /// When the shape has another number of values.
    #[must_use]
    pub fn reshaped(self, shape: &[usize]) -> Self {
        Self::new(self.dtype, shape.to_vec(), self.bytes).expect("it has as many values")
    }

    /// The element type.
    #[must_use]
    pub const fn dtype(&self) -> DType {
        self.dtype
    }

    /// The length of each axis, outermost first.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements, little-endian and row-major.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The first floating-point number that is `odd`; none of whole numbers.
    #[must_use]
    pub fn find(&self, odd: impl Fn(f64) -> bool) -> Option<f64> {
        match self.dtype {
            DType::F32 => f32::decode(&self.bytes).into_iter().map(f64::from).find(|&v| odd(v)),
            DType::F64 => f64::decode(&self.bytes).into_iter().find(|&v| odd(v)),
            DType::I64 => None,
        }
    }

    /// How many elements there are; 1 for a scalar.
    #[must_use]
    pub fn element_count(&self) -> usize {
        self.bytes.len() / self.dtype.size()
    }
}

/// The bytes that `shape` takes, or `None` when no tensor can have it. An axis of length 0 counts
/// as 1 towards that limit, because the strides of the other axes must be sound all the same.
pub(super) fn byte_len(dtype: DType, shape: &[usize]) -> Option<usize> {
    if shape.len() > MAX_RANK {
        return None;
    }
    let limit =
        shape.iter().try_fold(dtype.size(), |bytes, &axis| bytes.checked_mul(axis.max(1)))?;
    // Files and PyTorch count in signed 64-bit numbers, and Rust allocates at most isize::MAX.
    isize::try_from(limit).ok()?;
    Some(if shape.contains(&0) { 0 } else { limit })
}

/// The strides, in elements, of a row-major array: what PyTorch calls contiguous. The shape must be
/// one that [`byte_len`] accepts.
pub(super) fn contiguous_strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis].max(1);
    }
    strides
}

/// Copies elements out of `bytes` in the row-major order of `shape`, from the element at `offset` on and `strides`
/// elements apart along each axis; all of them must lie within. There may be none.
pub(super) fn gather(
    bytes: &[u8],
    dtype: DType,
    offset: usize,
    shape: &[usize],
    strides: &[usize],
) -> Vec<u8> {
    let (size, length) = (dtype.size(), byte_len(dtype, shape).unwrap_or(0));
    let mut out = Vec::with_capacity(length);
    let (mut index, mut at) = (vec![0; shape.len()], offset);
    while out.len() < length {
        out.extend_from_slice(&bytes[at * size..][..size]);
        step(&mut index, &mut at, shape, strides);
    }
    out
}

/// Moves to the next element in row-major order, as an odometer turns.
fn step(index: &mut [usize], at: &mut usize, shape: &[usize], strides: &[usize]) {
    for axis in (0..index.len()).rev() {
        index[axis] += 1;
        *at += strides[axis];
        if index[axis] < shape[axis] {
            return;
        }
        *at -= strides[axis] * shape[axis];
        index[axis] = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_change_places_as_numpy_has_it() {
        // numpy.arange(24.).reshape(2, 3, 4).transpose(2, 0, 1)
        let values: Vec<f32> = (0..24_u8).map(f32::from).collect();
        let array = Array::from_values(&[2, 3, 4], &values).unwrap();
        let turned = array.transposed(&[2, 0, 1]);
        assert_eq!(turned.shape(), [4, 2, 3]);
        let expected: Vec<f32> =
            (0..24_u8).map(|i| f32::from(i % 6 / 3 * 12 + i % 3 * 4 + i / 6)).collect();
        assert_eq!(turned.to_values::<f32>().unwrap(), expected);
        let scalar = Array::from_values(&[], &[1.0_f32]).unwrap();
        assert_eq!(scalar.transposed(&[]), scalar);
    }

    #[test]
    fn values_survive_the_way_to_bytes_and_back() {
        let floats = [0.0_f32, -1.5, f32::MIN_POSITIVE, f32::INFINITY];
        let array = Array::from_values(&[2, 2], &floats).unwrap();
        assert_eq!(array.to_values::<f32>().unwrap(), floats);
        let integers = [i64::MIN, -1, 0, i64::MAX];
        let array = Array::from_values(&[4], &integers).unwrap();
        assert_eq!(array.to_values::<i64>().unwrap(), integers);
    }

    #[test]
    fn a_scalar_holds_one_element() {
        let scalar = Array::from_values(&[], &[7.0_f64]).unwrap();
        assert_eq!(scalar.element_count(), 1);
    }

    #[test]
    fn a_zero_axis_holds_no_element() {
        let empty = Array::from_values::<f32>(&[3, 0], &[]).unwrap();
        assert_eq!(empty.element_count(), 0);
    }

    #[test]
    fn bytes_that_do_not_fill_the_shape_are_refused() {
        let error = Array::new(DType::F32, vec![2, 3], vec![0; 23]).unwrap_err();
        assert_eq!(error.to_string(), "shape [2, 3] of float32 does not take 23 bytes");
    }

    #[test]
    fn a_shape_whose_size_overflows_is_refused() {
        for shape in [vec![usize::MAX, 2], vec![0, usize::MAX], vec![1 << 62, 2]] {
            let error = Array::new(DType::F32, shape.clone(), Vec::new()).unwrap_err();
            assert_eq!(error, ArrayError::Shape(shape));
        }
    }

    #[test]
    fn too_many_axes_are_refused() {
        assert!(Array::new(DType::F32, vec![1; MAX_RANK], vec![0; 4]).is_ok());
        assert!(Array::new(DType::F32, vec![1; MAX_RANK + 1], vec![0; 4]).is_err());
    }

    #[test]
    fn values_of_another_type_are_refused() {
        let array = Array::from_values(&[1], &[1.0_f32]).unwrap();
        let error = array.to_values::<i64>().unwrap_err();
        assert_eq!(error.to_string(), "the values are float32, not int64");
    }

    #[test]
    fn strides_are_those_of_torch() {
        // torch.empty(2, 3, 4).stride(), torch.empty(2, 0, 3).stride(), torch.empty(()).stride()
        assert_eq!(contiguous_strides(&[2, 3, 4]), [12, 4, 1]);
        assert_eq!(contiguous_strides(&[2, 0, 3]), [3, 3, 1]);
        assert!(contiguous_strides(&[]).is_empty());
    }
}
