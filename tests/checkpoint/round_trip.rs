//! What is saved comes back, in both formats, and files that cannot be are refused when saving.
//! The random checkpoints hold odd names, shapes with zeros and bit patterns such as NaN.

use std::collections::BTreeMap;
use std::fs;

use convae::formats::checkpoint::{Array, Checkpoint, DType, check_name, load, save};
use proptest::prelude::*;

use crate::builder::{example, loaded, saved, scratch};

fn any_array() -> impl Strategy<Value = Array> {
    let dtype = prop_oneof![Just(DType::F32), Just(DType::F64), Just(DType::I64)];
    let shape = prop::collection::vec(0_usize..5, 0..5);
    (dtype, shape).prop_flat_map(|(dtype, shape)| {
        let bytes = shape.iter().product::<usize>() * dtype.size();
        prop::collection::vec(any::<u8>(), bytes)
            .prop_map(move |bytes| Array::new(dtype, shape.clone(), bytes).unwrap())
    })
}

fn any_checkpoint() -> impl Strategy<Value = Checkpoint> {
    let tensors = prop::collection::btree_map(".{0,12}", any_array(), 0..6);
    let records = prop::collection::btree_map("[^/\\\\\\p{Cc}]{1,12}", ".{0,40}", 0..3);
    let shuffled = tensors.prop_map(Vec::from_iter).prop_shuffle();
    (shuffled, records).prop_map(|(tensors, mut records): (_, BTreeMap<String, String>)| {
        for reserved in [".", "..", "format"] {
            records.remove(reserved);
        }
        Checkpoint { tensors, records }
    })
}

fn by_name(mut checkpoint: Checkpoint) -> Checkpoint {
    checkpoint.tensors.sort_by(|(left, _), (right, _)| left.cmp(right));
    checkpoint
}

proptest! {
    #[test]
    fn a_pt_file_gives_back_what_was_saved(checkpoint in any_checkpoint()) {
        prop_assert_eq!(loaded(&saved("pt", &checkpoint)).unwrap(), checkpoint);
    }

    #[test]
    fn a_safetensors_file_gives_back_what_was_saved_by_name(checkpoint in any_checkpoint()) {
        let found = loaded(&saved("safetensors", &checkpoint)).unwrap();
        prop_assert_eq!(found, by_name(checkpoint));
    }
}

#[test]
fn equal_checkpoints_make_equal_files() {
    let mut checkpoint = example();
    for index in 0..10 {
        checkpoint.records.insert(index.to_string(), index.to_string());
    }
    for extension in ["pt", "safetensors"] {
        assert_eq!(saved(extension, &checkpoint), saved(extension, &checkpoint));
    }
}

#[test]
fn storages_are_aligned_to_64_bytes() {
    let file = saved("pt", &example());
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(&file)).unwrap();
    for index in 0..5 {
        let entry = zip.by_name(&format!("archive/data/{index}")).unwrap();
        assert_eq!(entry.data_start().unwrap() % 64, 0);
    }
}

#[test]
fn a_file_is_read_by_its_content_not_its_name() {
    let (_folder, path) = scratch("misnamed.pt");
    fs::write(&path, saved("safetensors", &example())).unwrap();
    assert_eq!(load(&path).unwrap(), by_name(example()));
}

#[test]
fn a_tensor_is_found_by_its_name() {
    let checkpoint = example();
    assert_eq!(checkpoint.tensor("encoder.0.bias").unwrap().shape(), [2]);
    assert!(checkpoint.tensor("encoder.9.bias").is_none());
}

#[test]
fn a_checkpoint_without_anything_is_a_valid_file() {
    for extension in ["pt", "safetensors"] {
        let file = saved(extension, &Checkpoint::default());
        assert_eq!(loaded(&file).unwrap(), Checkpoint::default());
    }
}

#[test]
fn as_many_tensors_as_may_be_saved_can_be_loaded() {
    let array = Array::from_values(&[1; 64], &[1.0_f32]).unwrap();
    let mut checkpoint = Checkpoint::default();
    for index in 0..4096 {
        checkpoint.tensors.push((index.to_string(), array.clone()));
    }
    assert!(loaded(&saved("pt", &checkpoint)).unwrap() == checkpoint);
    checkpoint.tensors.push(("one more".to_owned(), array));
    assert!(save_refusal(&checkpoint).contains("4097 tensors, at most 4096"));
}

fn save_refusal(checkpoint: &Checkpoint) -> String {
    let (folder, path) = scratch("x.pt");
    let error = save(&path, checkpoint).unwrap_err();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    error.to_string()
}

#[test]
fn two_tensors_of_one_name_are_not_saved() {
    let mut checkpoint = example();
    let again = checkpoint.tensors[0].clone();
    checkpoint.tensors.push(again);
    assert!(save_refusal(&checkpoint).contains("two tensors named `encoder.0.weight`"));
}

#[test]
fn a_tensor_name_that_safetensors_reserves_is_not_saved() {
    let mut checkpoint = example();
    checkpoint.tensors[0].0 = "__metadata__".to_owned();
    assert!(save_refusal(&checkpoint).contains("a tensor named `__metadata__`"));
}

#[test]
fn an_overlong_tensor_name_is_not_saved() {
    let mut checkpoint = example();
    checkpoint.tensors[0].0 = "x".repeat(1001);
    assert!(save_refusal(&checkpoint).contains("at most 1000 bytes"));
}

#[test]
fn record_names_that_are_no_plain_file_names_are_not_saved() {
    for name in ["", ".", "..", "a/b", "a\\b", "a\nb", "format", &"x".repeat(201)] {
        let mut checkpoint = example();
        checkpoint.records.insert(name.to_owned(), String::new());
        assert!(save_refusal(&checkpoint).contains("cannot hold a record named"), "{name:?}");
    }
}

#[test]
fn another_ending_is_not_saved() {
    for name in ["x.onnx", "x.pt.bak", "x", ".pt"] {
        let (folder, path) = scratch(name);
        for error in [save(&path, &example()).unwrap_err(), check_name(&path).unwrap_err()] {
            let message = error.to_string();
            assert!(message.contains("neither `.pt` (PyTorch) nor `.safetensors`"), "{message}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_missing_folder_is_named_when_saving() {
    let (_folder, path) = scratch("missing/x.pt");
    let message = save(&path, &example()).unwrap_err().to_string();
    assert!(message.contains("missing/x.pt` cannot be written"), "{message}");
}
