//! Files that h5py wrote (`scripts/make_keras_files.py`), files of our own, and what is wrong with
//! damaged ones.

use std::fs;
use std::path::PathBuf;

use hdf5_reader::checksum::jenkins_lookup3;

use super::*;
use crate::formats::checkpoint::{Array, DType};

/// The oldest and the newest layout that h5py writes.
const LAYOUTS: [&str; 2] = ["kinds_earliest.h5", "kinds_latest.h5"];

fn bytes(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/keras");
    fs::read(folder.join(name)).unwrap()
}

fn root(bytes: Vec<u8>) -> Group {
    File::open(Source::memory(bytes)).unwrap().root().unwrap()
}

fn read(group: &Group, path: &str) -> Result<Array, Hdf5Error> {
    group.dataset(path).unwrap().unwrap_or_else(|| panic!("no {path}")).read()
}

fn floats(array: &Array) -> Vec<f32> {
    array.to_values().unwrap()
}

/// start, start + 1/8, ...
fn ramp(count: usize) -> Vec<f32> {
    (0..count).map(|i| i as f32 / 8.0).collect()
}

// ---- what h5py writes ----

#[test]
fn numbers_of_every_type_become_one_of_three() {
    let types = [
        ("little_f2", DType::F32),
        ("little_f4", DType::F32),
        ("big_f4", DType::F32),
        ("little_f8", DType::F64),
        ("big_f8", DType::F64),
        ("u1", DType::I64),
        ("i1", DType::I64),
        ("little_u2", DType::I64),
        ("big_i2", DType::I64),
        ("little_i4", DType::I64),
        ("little_i8", DType::I64),
        ("big_u8", DType::I64),
    ];
    for file in LAYOUTS {
        let group = root(bytes(file)).group("types").unwrap().unwrap();
        for (name, dtype) in types {
            let array = read(&group, name).unwrap();
            assert_eq!((array.dtype(), array.shape()), (dtype, &[2, 3][..]), "{file} {name}");
            let values = [0_i8, 1, 2, 3, 4, 100];
            match dtype {
                DType::F32 => assert_eq!(floats(&array), values.map(f32::from), "{name}"),
                DType::F64 => assert_eq!(array.to_values::<f64>().unwrap(), values.map(f64::from)),
                DType::I64 => assert_eq!(array.to_values::<i64>().unwrap(), values.map(i64::from)),
            }
        }
    }
}

#[test]
fn truth_values_scalars_empty_arrays_and_bfloat16_are_read() {
    for file in LAYOUTS {
        let group = root(bytes(file)).group("types").unwrap().unwrap();
        assert_eq!(read(&group, "bool").unwrap().to_values::<i64>().unwrap(), [1, 0]);
        let scalar = read(&group, "scalar").unwrap();
        assert_eq!((scalar.shape(), floats(&scalar)), (&[][..], vec![2.5]));
        assert_eq!(read(&group, "empty").unwrap().shape(), [0, 3]);
        assert_eq!(floats(&read(&group, "bfloat16").unwrap()), [1.5, -2.0]);
    }
}

#[test]
fn a_text_is_no_array_and_is_refused_by_its_path() {
    let dataset = root(bytes(LAYOUTS[0])).dataset("types/text").unwrap().unwrap();
    assert_eq!((dataset.dtype(), dataset.byte_len()), (None, None));
    let sentence = "holds `types/text` of elements that are not plain numbers: save it as float32";
    assert_eq!(dataset.read().unwrap_err().to_string(), sentence);
}

#[test]
fn values_come_back_from_every_layout() {
    for file in LAYOUTS {
        let group = root(bytes(file)).group("layouts").unwrap().unwrap();
        let datasets = group.members().unwrap().datasets;
        assert!(datasets.len() >= 5, "{datasets:?}");
        for dataset in &datasets {
            let name = dataset.name();
            let wanted = match name {
                "lzf" => continue,
                "partly" => [&ramp(14)[..], &[-1.0; 21]].concat(),
                "unwritten" => vec![-1.0; 35],
                _ => ramp(35),
            };
            let array = dataset.read().unwrap_or_else(|error| panic!("{name} {error}"));
            assert_eq!((array.shape(), floats(&array)), (&[5, 7][..], wanted), "{file} {name}");
        }
    }
}

#[test]
fn another_compression_is_refused_with_a_way_out() {
    let error = read(&root(bytes(LAYOUTS[1])), "layouts/lzf").unwrap_err().to_string();
    let said = "is stored in a way that is not read here (unsupported filter: filter id 32000): ";
    assert!(error.starts_with(said), "{error}");
    assert!(error.ends_with("copy its groups into a new file without compression"), "{error}");
}

#[test]
fn texts_are_read_however_they_are_stored() {
    for file in LAYOUTS {
        let group = root(bytes(file)).group("texts").unwrap().unwrap();
        let texts = group.attributes().unwrap();
        assert_eq!(texts.text("text").unwrap().unwrap(), "h\u{e9}llo");
        assert_eq!(texts.text("fixed").unwrap().unwrap(), "fixed");
        assert_eq!(texts.texts("list").unwrap().unwrap(), ["first", "second one"]);
        assert_eq!(texts.texts("variable").unwrap().unwrap(), ["first", "", "second one"]);
        assert_eq!(texts.texts("none").unwrap().unwrap(), [""; 0]);
        assert_eq!(texts.text("long").unwrap().unwrap(), "x".repeat(5000));
        assert_eq!(texts.text("absent").unwrap(), None);
        let Some(Value::Numbers(numbers)) = texts.get("number_3").unwrap() else { panic!() };
        assert_eq!(numbers.to_values::<i64>().unwrap(), [0, 1, 2]);
        let error = texts.text("number_3").unwrap_err().to_string();
        assert!(error.contains("`number_3` is not a text"), "{error}");
        assert_eq!(texts.names().count(), 18);
    }
}

#[test]
fn many_names_are_all_there() {
    for file in LAYOUTS {
        let group = root(bytes(file)).group("many").unwrap().unwrap();
        assert_eq!(group.members().unwrap().datasets.len(), 12);
        for i in 0..12 {
            assert_eq!(floats(&read(&group, &format!("array_{i}")).unwrap()), [i as f32]);
        }
        assert!(group.dataset("array_12").unwrap().is_none());
        assert!(group.group("array_1").unwrap().is_none());
        assert!(group.dataset("array_1/x").unwrap().is_none());
    }
}

// ---- where the bytes are ----

#[test]
fn a_file_on_disk_a_part_of_it_and_one_behind_a_block_read_alike() {
    let content = bytes(LAYOUTS[1]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    let mut whole = b"not a part of it".to_vec();
    whole.extend(&content);
    fs::write(&path, &whole).unwrap();
    let source = Source::file(fs::File::open(&path).unwrap()).unwrap();
    let part = source.part(16, content.len() as u64).unwrap();
    let behind = Source::memory([&[7; 512][..], &content].concat());
    for source in [part, behind] {
        let root = File::open(source).unwrap().root().unwrap();
        assert_eq!(floats(&read(&root, "layouts/chunks").unwrap()), ramp(35));
        assert_eq!(floats(&read(&root, "types/little_f4").unwrap())[5..], [100.0]);
    }
    for (start, length) in [(16, content.len() as u64 + 1), (u64::MAX, 1), (u64::MAX - 20, 4)] {
        assert!(source.part(start, length).is_none());
        assert!(source.part(8, 8).unwrap().part(start, length).is_none());
    }
}

// ---- what is wrong ----

#[test]
fn a_cut_file_is_damaged() {
    for file in LAYOUTS {
        let content = bytes(file);
        let error = File::open(Source::memory(content[..content.len() - 1].to_vec())).unwrap_err();
        let said = format!("(it has {} bytes of {})", content.len() - 1, content.len());
        assert!(error.to_string().contains(&said), "{error}");
    }
}

#[test]
fn a_small_file_that_claims_a_huge_array_is_refused_before_memory_is_taken() {
    let array = Array::from_values(&[12, 34], &[1.0_f32; 408]).unwrap();
    let mut file = NewGroup::default();
    file.add("a", &array).unwrap();
    let mut bytes = Vec::new();
    file.write(&mut bytes).unwrap();
    let sides = [12_u64.to_le_bytes(), 34_u64.to_le_bytes()].concat();
    let at = bytes.windows(16).position(|place| place == sides).unwrap();
    for (sides, said) in [
        ([1 << 20, 1 << 20], "claims too much for its size (`a` of shape [1048576, 1048576] in "),
        ([u64::MAX, u64::MAX], "claims too much for its size ("),
        ([12, 35], "is damaged (`a` reaches beyond its end)"),
    ] {
        bytes[at..at + 16].copy_from_slice(sides.map(u64::to_le_bytes).as_flattened());
        reseal(&mut bytes);
        let error = read(&root(bytes.clone()), "a").unwrap_err().to_string();
        assert!(error.starts_with(said), "{error}");
    }
}

/// Makes the checksums of all headers right again.
fn reseal(bytes: &mut [u8]) {
    let headers = bytes.windows(4).enumerate().filter(|(_, place)| place == b"OHDR");
    let starts: Vec<usize> = headers.map(|(at, _)| at).collect();
    for start in starts {
        let length = u32::from_le_bytes(bytes[start + 6..start + 10].try_into().unwrap());
        let end = start + 10 + length as usize;
        let sum = jenkins_lookup3(&bytes[start..end]);
        bytes[end..end + 4].copy_from_slice(&sum.to_le_bytes());
    }
}

// ---- what we write ----

#[test]
fn a_tree_comes_back_as_it_was() {
    let kernel = Array::from_values(&[2, 3], &[0.0_f32, 1.5, -2.0, f32::MIN, 4.0, 5.0]).unwrap();
    let step = Array::from_values(&[], &[-7_i64]).unwrap();
    let wide = Array::from_values(&[2], &[1e300, f64::INFINITY]).unwrap();
    let empty = Array::from_values::<f32>(&[0, 3], &[]).unwrap();
    let mut file = NewGroup::default();
    let arrays = [("a/b/kernel:0", &kernel), ("a/step", &step), ("wide", &wide), ("empty", &empty)];
    for (path, array) in arrays {
        file.add(path, array).unwrap();
    }
    let texts = ["first", "", "caf\u{e9}"].map(str::to_owned).to_vec();
    file.set("texts", NewAttribute::Texts(texts.clone()));
    file.group("a/none").unwrap().set("texts", NewAttribute::Texts(Vec::new()));
    file.group("a").unwrap().set("text", NewAttribute::Text("x".repeat(60_000)));
    let mut bytes = Vec::new();
    file.write(&mut bytes).unwrap();
    assert_eq!(bytes.len() as u64, file.byte_len().unwrap());
    let root = root(bytes);
    for (path, array) in arrays {
        assert_eq!(read(&root, path).unwrap(), *array, "{path}");
    }
    assert_eq!(root.attributes().unwrap().texts("texts").unwrap().unwrap(), texts);
    let group = root.group("a").unwrap().unwrap();
    assert_eq!(group.attributes().unwrap().text("text").unwrap().unwrap().len(), 60_000);
    let groups = group.members().unwrap().groups;
    assert_eq!([groups[0].name(), groups[1].path()], ["b", "a/none"]);
    let none = group.group("none").unwrap().unwrap();
    assert_eq!(none.attributes().unwrap().texts("texts").unwrap().unwrap(), [""; 0]);
}

#[test]
fn a_name_that_is_taken_is_given_back() {
    let array = Array::from_values(&[], &[1.0_f32]).unwrap();
    let mut file = NewGroup::default();
    file.add("a/b", &array).unwrap();
    for path in ["a/b", "a", "a/b/c", "", "a/"] {
        assert_eq!(file.add(path, &array).unwrap_err(), path);
    }
}

#[test]
fn an_attribute_that_is_too_long_is_an_error() {
    let mut file = NewGroup::default();
    file.set("text", NewAttribute::Text("x".repeat(70_000)));
    assert!(file.write(&mut Vec::new()).is_err() && file.byte_len().is_err());
}
