//! Files of codes: what is written is read again, and each malformation has its sentence.

use std::io::{Cursor, Write as _};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::npy::texts_to_bytes;
use super::*;
use crate::formats::npy::Header;

fn some() -> Codes {
    let mut codes = Codes::new(vec![2, 1, 3]);
    codes.push("a.png".to_owned(), &[0.0, -1.5, f32::MIN_POSITIVE, 3.0, 4.0, 1e30]);
    codes.push("katze/\u{e4}\u{1d11e}.png".to_owned(), &[1.0; 6]);
    codes
}

/// A zip file of these entries.
fn archive(method: CompressionMethod, entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        let options = SimpleFileOptions::default().compression_method(method);
        zip.start_file(*name, options).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn array(descr: &str, shape: &[usize], values: &[u8]) -> Vec<u8> {
    [Header::bytes(descr, shape).as_slice(), values].concat()
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn names(texts: &[&str]) -> Vec<u8> {
    let texts: Vec<String> = texts.iter().map(ToString::to_string).collect();
    let (descr, bytes) = texts_to_bytes(&texts);
    array(&descr, &[texts.len()], &bytes)
}

fn opened(bytes: &[u8]) -> Result<Codes, CodesError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("codes.npz");
    fs::write(&path, bytes).unwrap();
    Codes::open(&path)
}

fn read(entries: &[(&str, Vec<u8>)]) -> Result<Codes, CodesError> {
    opened(&archive(CompressionMethod::Stored, entries))
}

#[test]
fn both_formats_give_back_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["codes.npz", "codes.safetensors"] {
        let path = folder.path().join(name);
        some().save(&path).unwrap();
        assert_eq!(Codes::open(&path).unwrap(), some(), "{name}");
    }
    // By its content, whatever it is called.
    let odd = folder.path().join("codes.safetensors");
    fs::copy(folder.path().join("codes.npz"), &odd).unwrap();
    assert_eq!(Codes::open(&odd).unwrap(), some());
}

#[test]
fn equal_codes_are_equal_files() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["codes.npz", "codes.safetensors"] {
        let path = folder.path().join(name);
        let bytes = [(); 2].map(|()| {
            some().save(&path).unwrap();
            fs::read(&path).unwrap()
        });
        assert_eq!(bytes[0], bytes[1], "{name}");
    }
}

#[test]
fn an_array_starts_where_numpy_aligns_it() {
    for shape in [&[1_usize][..], &[60_000, 7, 7, 8], &[usize::MAX; 4]] {
        assert!(Header::bytes("<f4", shape).len().is_multiple_of(64), "{shape:?}");
    }
}

#[test]
fn a_packed_archive_in_float64_without_names_is_read() {
    let values: Vec<u8> = [0.5_f64, -2.0].iter().flat_map(|value| value.to_le_bytes()).collect();
    let entries = [("codes.npy", array("<f8", &[2, 1], &values))];
    let codes = opened(&archive(CompressionMethod::Deflated, &entries)).unwrap();
    assert_eq!(codes.values, [0.5, -2.0]);
    assert_eq!((codes.shape, codes.names), (vec![1], vec!["0".to_owned(), "1".to_owned()]));
}

#[test]
fn numbers_sort_as_they_count() {
    assert_eq!(numbers(11)[9..], ["09", "10"]);
    assert_eq!(number(3, 1000), "003");
    assert_eq!(number(0, 1), "0");
}

#[test]
fn each_malformation_has_its_sentence() {
    let codes = |file: Vec<u8>| read(&[("codes.npy", file)]);
    let good = array("<f4", &[2, 2], &floats(&[1.0; 4]));
    let cut = |length: usize| codes(good[..length].to_vec());
    let named = |texts: &[&str]| read(&[("codes.npy", good.clone()), ("names.npy", names(texts))]);
    let mut fortran = good.clone();
    let place = fortran.windows(5).position(|five| five == b"False").unwrap();
    fortran[place..place + 5].copy_from_slice(b"True ");
    for (found, words) in [
        (read(&[("x.npy", good.clone())]), "no array named `codes`"),
        (codes(b"pickle".to_vec()), "no header"),
        (cut(7), "no header"),
        (cut(9), "cut off"),
        (cut(40), "cut off"),
        (cut(good.len() - 1), "shorter or longer"),
        (codes([good.as_slice(), &[0]].concat()), "shorter or longer"),
        (codes(array("<f4", &[usize::MAX, 3], &[])), "shorter or longer"),
        (codes(array("<f4", &[1 << 40, 3], &[])), "shorter or longer"),
        (
            codes(good.iter().map(|&byte| if byte == b'2' { b'x' } else { byte }).collect()),
            "not NumPy's",
        ),
        (codes(fortran), "Fortran"),
        (codes(array("<i8", &[1, 1], &[0; 8])), "of type <i8"),
        (codes(array("|O", &[1, 1], &[0; 8])), "of type |O"),
        (codes(array("<f4", &[3], &floats(&[1.0; 3]))), "shape [3]"),
        (codes(array("<f4", &[], &floats(&[1.0]))), "shape []"),
        (codes(array("<f4", &[0, 3], &[])), "holds no code"),
        (codes(array("<f4", &[3, 0], &[])), "holds no code"),
        (codes(array("<f4", &[1, 2], &floats(&[0.0, f32::NAN]))), "not finite (of \"0\")"),
        (named(&["a"]), "1 names for 2 codes"),
        (named(&["a", "b", "c"]), "3 names for 2 codes"),
        (
            read(&[("codes.npy", good.clone()), ("names.npy", array("<i8", &[2], &[0; 16]))]),
            "no array of texts",
        ),
        (
            read(&[("codes.npy", good.clone()), ("names.npy", array("<U1", &[2], &[255; 8]))]),
            "no array of texts",
        ),
        (opened(b"PK\x03\x04 and so on"), "is damaged"),
        (opened(b"text"), "neither a `.npz` nor a `.safetensors`"),
    ] {
        let said = found.expect_err(words).to_string();
        assert!(said.contains(words) && said.contains("codes.npz"), "{said} lacks {words}");
    }
}

#[test]
fn any_number_of_codes_without_a_value_is_no_code_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    for count in [0, 1, 3, 10_000_000_000_000, isize::MAX as usize, usize::MAX] {
        for shape in [vec![count, 0], vec![0, count], vec![count, 0, 2], vec![count, 2, 0]] {
            for descr in ["<f4", "<f8"] {
                let said = read(&[("codes.npy", array(descr, &shape, &[]))]).unwrap_err();
                assert!(said.to_string().contains("holds no code"), "{shape:?}: {said}");
            }
            // No checkpoint has longer axes.
            let Ok(array) = Array::from_values::<f32>(&shape, &[]) else { continue };
            let checkpoint =
                Checkpoint { tensors: vec![(CODES.to_owned(), array)], ..Checkpoint::default() };
            for (name, words) in
                [("codes.safetensors", "holds no code;"), ("codes.pt", "no array named `codes`")]
            {
                let path = folder.path().join(name);
                save(&path, &checkpoint).unwrap();
                let said = Codes::open(&path).unwrap_err().to_string();
                assert!(said.contains(words), "{shape:?}: {said}");
            }
        }
    }
}

#[test]
fn a_flipped_bit_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("codes.npz");
    some().save(&path).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let value = 1e30_f32.to_le_bytes();
    let place = bytes.windows(4).position(|four| four == value).unwrap();
    bytes[place] ^= 1;
    let said = opened(&bytes).unwrap_err().to_string();
    assert!(said.contains("is damaged"), "{said}");
}

#[test]
fn what_is_no_file_or_has_no_format_is_usage_error() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().to_owned(), folder.path().join("gone.npz")] {
        assert!(Codes::open(&path).unwrap_err().is_usage_error(), "{}", path.display());
    }
    let error = some().save(&folder.path().join("codes.txt")).unwrap_err();
    assert!(error.is_usage_error() && error.to_string().contains(".safetensors"), "{error}");
    assert!(fs::read_dir(folder.path()).unwrap().next().is_none());
}
