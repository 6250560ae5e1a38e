//! Images in an array of NumPy's: the types that we take, and the rule for their values. Every length
//! is checked before it is believed.

use std::io::Read;

use super::stored::{Pixels, beyond};
use crate::formats::npy::Header;

/// Why an array is not taken; each sentence lacks its subject, the array.
#[derive(Debug, PartialEq)]
pub(super) enum Refusal {
    /// The file is not what it says it is.
    Damaged(String),
    /// A problem, and what to do about it.
    Unfit(String, &'static str),
}

fn damaged(problem: &str) -> Refusal {
    Refusal::Damaged(problem.to_owned())
}

/// The element types that we take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Element {
    U8,
    U16,
    F32,
    F64,
}

/// Reads an array: its shape and its values.
pub(super) fn read(mut file: impl Read) -> Result<(Vec<usize>, Pixels), Refusal> {
    let failed = |error: std::io::Error| damaged(&format!("cannot be read ({error})"));
    let Header { descr, fortran, shape } = Header::read(&mut file).map_err(damaged)?;
    let element = element(&descr)?;
    if fortran && shape.len() > 1 {
        let problem = "has its values in Fortran's order".to_owned();
        return Err(Refusal::Unfit(problem, "save numpy.ascontiguousarray of it"));
    }
    let size = match element {
        Element::U8 => 1,
        Element::U16 => 2,
        Element::F32 => 4,
        Element::F64 => 8,
    };
    let count = shape.iter().try_fold(1_usize, |all, &side| all.checked_mul(side));
    let promised = count.and_then(|count| count.checked_mul(size));
    let promised = promised.ok_or_else(|| damaged("has a shape beyond any memory"))?;
    let mut bytes = Vec::new();
    // Memory grows with what is there, not with what is promised.
    file.take(promised as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() != promised {
        return Err(damaged("is shorter or longer than its header says"));
    }
    Ok((shape, pixels(bytes, element, descr.starts_with('>'))?))
}

fn element(descr: &str) -> Result<Element, Refusal> {
    match descr.trim_start_matches(['<', '>', '|', '=']) {
        "u1" => Ok(Element::U8),
        "u2" => Ok(Element::U16),
        "f4" => Ok(Element::F32),
        "f8" => Ok(Element::F64),
        _ => {
            let problem = format!("has values of type {descr:?}");
            let remedy = "save it as uint8, uint16, float32 or float64";
            Err(Refusal::Unfit(problem, remedy))
        }
    }
}

fn pixels(bytes: Vec<u8>, element: Element, big_endian: bool) -> Result<Pixels, Refusal> {
    macro_rules! values {
        ($type:ty) => {{
            let (whole, _) = bytes.as_chunks::<{ size_of::<$type>() }>();
            let from = if big_endian { <$type>::from_be_bytes } else { <$type>::from_le_bytes };
            whole.iter().map(move |&value| from(value))
        }};
    }
    match element {
        Element::U8 => Ok(Pixels::Eight(bytes)),
        Element::U16 => Ok(Pixels::Sixteen(values!(u16).collect())),
        Element::F32 => floats(values!(f32).collect()),
        Element::F64 => floats(values!(f64).map(|value| value as f32).collect()),
    }
}

fn floats(values: Vec<f32>) -> Result<Pixels, Refusal> {
    match values.iter().find(|value| !value.is_finite()) {
        None => Ok(Pixels::Float(values)),
        Some(value) => {
            let problem = format!("has values that are no numbers (one is {value})");
            Err(Refusal::Unfit(problem, "leave those samples out"))
        }
    }
}

/// Nothing is guessed: values beyond 0..1 have a scale that only their owner knows.
pub(super) fn within(
    (shape, pixels): (Vec<usize>, Pixels),
    any_values: bool,
) -> Result<(Vec<usize>, Pixels), Refusal> {
    match beyond(&pixels).filter(|_| !any_values) {
        None => Ok((shape, pixels)),
        Some(value) => Err(Refusal::Unfit(
            format!("has values beyond 0..1 (one is {value})"),
            "divide them by the value of white before saving, or set data.any_values=true where they have \
             no black and white",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::npy::MAGIC;

    fn npy(descr: &str, order: &str, shape: &str, values: &[u8]) -> Vec<u8> {
        let header =
            format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
        let length = u16::try_from(header.len()).unwrap().to_le_bytes();
        [MAGIC, &[1, 0], &length, header.as_bytes(), values].concat()
    }

    #[test]
    fn every_type_that_we_take_is_read_as_it_was_written() {
        let floats: Vec<u8> = [0.0_f32, 0.25, 1.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        let doubles: Vec<u8> = [0.0_f64, 0.25, 1.0].iter().flat_map(|v| v.to_be_bytes()).collect();
        for (descr, bytes, expected) in [
            ("|u1", vec![0, 7, 255], Pixels::Eight(vec![0, 7, 255])),
            ("<u2", vec![0, 1, 2, 0, 255, 255], Pixels::Sixteen(vec![256, 2, 65_535])),
            (">u2", vec![0, 1, 2, 0, 255, 255], Pixels::Sixteen(vec![1, 512, 65_535])),
            ("<f4", floats, Pixels::Float(vec![0.0, 0.25, 1.0])),
            (">f8", doubles, Pixels::Float(vec![0.0, 0.25, 1.0])),
        ] {
            let file = npy(descr, "False", "(3, 1, 1)", &bytes);
            assert_eq!(read(file.as_slice()), Ok((vec![3, 1, 1], expected)), "{descr}");
        }
    }

    #[test]
    fn values_beyond_white_are_taken_only_where_that_is_said() {
        let read = || (vec![2], Pixels::Float(vec![1.0, 2.5]));
        assert_eq!(within(read(), true), Ok(read()));
        let Err(Refusal::Unfit(problem, remedy)) = within(read(), false) else { panic!() };
        assert!(problem.contains("one is 2.5") && remedy.contains("data.any_values=true"));
        assert!(within((vec![1], Pixels::Eight(vec![255])), false).is_ok());
    }

    #[test]
    fn each_malformation_has_its_sentence() {
        let good = npy("|u1", "False", "(2, 2)", &[1; 4]);
        for (file, words) in [
            (vec![], "no header"),
            (b"PNG and so on".to_vec(), "not an array of NumPy"),
            (good[..9].to_vec(), "cut off"),
            (good[..30].to_vec(), "cut off"),
            (good[..good.len() - 1].to_vec(), "shorter or longer"),
            ([good.as_slice(), &[1]].concat(), "shorter or longer"),
            (npy("|u1", "False", "(2, -2)", &[1; 4]), "header that is not NumPy's"),
            (npy("|u1", "False", "(9999999999999, 9999999999999)", &[]), "beyond any memory"),
            (npy("|u1", "False", "(9999999999999,)", &[]), "shorter or longer"),
            (npy("<i8", "False", "(1,)", &[0; 8]), "\"<i8\""),
            (npy("|O", "False", "(1,)", &[0; 8]), "\"|O\""),
            (npy("|u1", "True", "(2, 2)", &[1; 4]), "Fortran"),
            (npy("<f4", "False", "(1,)", &f32::NAN.to_le_bytes()), "one is NaN"),
            ([MAGIC, &[2, 0], &[255; 4]].concat(), "too long"),
        ] {
            let refusal = read(file.as_slice()).expect_err(words);
            let (Refusal::Damaged(problem) | Refusal::Unfit(problem, _)) = refusal;
            assert!(problem.contains(words), "{problem} lacks {words}");
        }
    }
}
