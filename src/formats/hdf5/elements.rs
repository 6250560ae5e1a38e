//! The numbers that HDF5 files hold, and how each becomes one of the types that an [`Array`] has:
//! shorter floating-point numbers float32, whole numbers and truth values int64.
//!
//! [`Array`]: crate::formats::checkpoint::Array

use hdf5_reader::{ByteOrder, Datatype};

use crate::formats::checkpoint::DType;

/// A type of numbers as a file stores it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Elements {
    kind: Kind,
    big_endian: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Float16,
    BFloat16,
    Float32,
    Float64,
    /// Of 1, 2, 4 or 8 bytes.
    Signed(usize),
    Unsigned(usize),
}

impl Elements {
    /// Keras's bfloat16, which it stores as two bytes without a meaning.
    pub(super) const BFLOAT16: Self = Self { kind: Kind::BFloat16, big_endian: false };

    /// The numbers of this type; `None` when it has none that we read.
    pub(super) fn of(datatype: &Datatype) -> Option<Self> {
        let number =
            |kind, order| Some(Self { kind, big_endian: matches!(order, ByteOrder::BigEndian) });
        match *datatype {
            Datatype::FloatingPoint { size: 2, byte_order } => number(Kind::Float16, byte_order),
            Datatype::FloatingPoint { size: 4, byte_order } => number(Kind::Float32, byte_order),
            Datatype::FloatingPoint { size: 8, byte_order } => number(Kind::Float64, byte_order),
            Datatype::FixedPoint { size: size @ (1 | 2 | 4 | 8), signed, byte_order } => {
                let size = usize::from(size);
                let kind = if signed { Kind::Signed(size) } else { Kind::Unsigned(size) };
                number(kind, byte_order)
            }
            Datatype::Bitfield { size: 1, byte_order } => number(Kind::Unsigned(1), byte_order),
            // NumPy's truth values.
            Datatype::Enum { ref base, .. } if matches!(**base, Datatype::FixedPoint { .. }) => {
                Self::of(base)
            }
            _ => None,
        }
    }

    /// As stated by the file itself, where two bytes may be either kind of floating point.
    pub(super) fn with_exponent_bits(mut self, bits: u8) -> Option<Self> {
        if self.kind == Kind::Float16 {
            self.kind = match bits {
                5 => Kind::Float16,
                8 => Kind::BFloat16,
                _ => return None,
            };
        }
        Some(self)
    }

    /// Bytes per element in the file.
    pub(super) const fn size(self) -> usize {
        match self.kind {
            Kind::Float16 | Kind::BFloat16 => 2,
            Kind::Float32 => 4,
            Kind::Float64 => 8,
            Kind::Signed(size) | Kind::Unsigned(size) => size,
        }
    }

    /// What they become.
    pub(super) const fn dtype(self) -> DType {
        match self.kind {
            Kind::Float16 | Kind::BFloat16 | Kind::Float32 => DType::F32,
            Kind::Float64 => DType::F64,
            Kind::Signed(_) | Kind::Unsigned(_) => DType::I64,
        }
    }

    /// Appends whole elements of the file to `out` as little-endian [`Self::dtype`]; `None` when a
    /// whole number is too large for it.
    pub(super) fn convert(self, bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
        if matches!(self.kind, Kind::Float32 | Kind::Float64 | Kind::Signed(8)) && !self.big_endian
        {
            out.extend_from_slice(bytes);
            return Some(());
        }
        for element in bytes.chunks_exact(self.size()) {
            let mut little = [0; 8];
            little[..element.len()].copy_from_slice(element);
            if self.big_endian {
                little[..element.len()].reverse();
            }
            self.append(little, out)?;
        }
        Some(())
    }

    /// Appends one element, whose bytes come lowest first.
    fn append(self, little: [u8; 8], out: &mut Vec<u8>) -> Option<()> {
        let bits = u64::from_le_bytes(little);
        match self.kind {
            Kind::Float16 => out.extend(float16(bits as u16).to_le_bytes()),
            Kind::BFloat16 => out.extend((bits as u32 * 0x1_0000).to_le_bytes()),
            Kind::Float32 => out.extend(&little[..4]),
            Kind::Float64 => out.extend(little),
            Kind::Signed(size) => {
                let unused = 64 - 8 * size;
                out.extend(((bits << unused) as i64 >> unused).to_le_bytes());
            }
            Kind::Unsigned(_) => out.extend(i64::try_from(bits).ok()?.to_le_bytes()),
        }
        Some(())
    }
}

/// A number of IEEE's binary16: 1 bit of sign, 5 of exponent, 10 of fraction.
fn float16(bits: u16) -> f32 {
    /// The exponent field stands for a power of two lower by this.
    const BIAS: i32 = 15;
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f32::from(bits & 0x3ff));
    let magnitude = match exponent {
        0 => fraction * 2_f32.powi(-24),
        0x1f if fraction == 0.0 => f32::INFINITY,
        0x1f => f32::NAN,
        _ => (1.0 + fraction / 1024.0) * 2_f32.powi(exponent - BIAS),
    };
    if bits >> 15 == 1 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_is_what_numpy_says() {
        // numpy.float16(...).view('uint16')
        let known = [
            (0x0000, 0.0),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0001, 5.960_464_5e-8),
            (0x03ff, 6.097_555e-5),
            (0x3555, 0.333_251_95),
            (0xfc00, f32::NEG_INFINITY),
        ];
        for (bits, value) in known {
            assert_eq!(float16(bits).to_bits(), f32::to_bits(value), "{bits:#x}");
        }
        assert!(float16(0x7e00).is_nan());
    }

    #[test]
    fn whole_numbers_keep_their_sign_and_too_large_ones_are_none() {
        let of = |kind, big_endian, bytes: &[u8]| {
            let mut out = Vec::new();
            let elements = Elements { kind, big_endian };
            elements.convert(bytes, &mut out)?;
            Some(out.chunks(8).map(|one| i64::from_le_bytes(one.try_into().unwrap())).collect())
        };
        let integers: Vec<i64> = vec![-2, 256];
        assert_eq!(of(Kind::Signed(2), true, &[0xff, 0xfe, 1, 0]), Some(integers));
        assert_eq!(of(Kind::Unsigned(1), false, &[0xff, 0]), Some(vec![255, 0]));
        assert_eq!(of(Kind::Unsigned(8), false, &[0xff; 8]), None::<Vec<i64>>);
    }
}
