//! Reads files that real `torch.save` wrote: tests/fixtures/make_golden.py with torch 2.13.0.
//! Each number here was printed by Python from the same file.

use std::path::Path;

use convae::formats::checkpoint::{Array, Checkpoint, CheckpointError, load};

fn fixture(name: &str) -> Result<Checkpoint, CheckpointError> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    load(&folder.join(name))
}

fn refusal(name: &str) -> String {
    fixture(name).unwrap_err().to_string()
}

#[test]
fn a_state_dict_of_torch_is_read() {
    let floats = |shape: &[usize], values: &[f32]| Array::from_values(shape, values).unwrap();
    let int = |value: i64| Array::from_values(&[], &[value]).unwrap();
    let precise = Array::from_values(&[2, 1], &[1e300_f64, -0.25]).unwrap();
    let expected = [
        ("transposed", floats(&[3, 2], &[0.0, 3.0, 1.0, 4.0, 2.0, 5.0])),
        ("second_row", floats(&[3], &[3.0, 4.0, 5.0])),
        ("expanded", floats(&[2, 2], &[7.5; 4])),
        ("precise", precise),
        ("scalar", int(-3)),
        ("empty", floats(&[2, 0, 3], &[])),
        ("norm.weight", floats(&[2], &[1.0, 1.0])),
        ("norm.bias", floats(&[2], &[0.0, 0.0])),
        ("norm.running_mean", floats(&[2], &[0.0, 0.0])),
        ("norm.running_var", floats(&[2], &[1.0, 1.0])),
        ("norm.num_batches_tracked", int(0)),
        ("parameter", floats(&[2], &[0.5, -0.5])),
    ];
    let found = fixture("golden.pt").unwrap();
    assert!(found.records.is_empty());
    assert_eq!(found.tensors, expected.map(|(name, array)| (name.to_owned(), array)));
}

#[test]
fn a_file_from_before_the_zip_format_is_refused() {
    assert!(refusal("legacy.pt").contains("format from before 1.6"));
}

#[test]
fn a_dict_around_the_state_dict_is_refused_by_its_key() {
    let message = refusal("nested.pt");
    assert!(message.contains("holds a dict under the key `model`"), "{message}");
    assert!(message.ends_with("save the state_dict itself"), "{message}");
}

#[test]
fn a_torchscript_archive_is_refused() {
    let message = refusal("script.pt");
    assert!(message.contains("TorchScript"), "{message}");
}
