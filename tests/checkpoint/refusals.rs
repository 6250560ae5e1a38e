//! One malformation per test: each file is refused with a sentence that names what was found.
//! The valid file from which they all depart is the first test.

use std::fs;
use std::path::Path;

use convae::formats::checkpoint::{Array, load};

use crate::builder::{
    Tensor, dict, example, int, loaded, program, pt_file, refusal, saved, scratch, text, zip_file,
};

/// A file whose only tensor `w` has these arguments.
fn file_with(tensor: &Tensor) -> Vec<u8> {
    pt_file(&program(&dict(&[("w", tensor.pickle())])))
}

/// Why a file is refused that stands for one pickled value.
fn refusal_of(value: &[u8]) -> String {
    refusal(&pt_file(&program(value)))
}

#[track_caller]
fn assert_says(message: &str, part: &str) {
    assert!(message.contains(part), "{message}");
}

#[test]
fn the_file_from_which_the_others_depart_is_valid() {
    let found = loaded(&file_with(&Tensor::default())).unwrap();
    let expected = Array::from_values(&[2, 2], &[0.0_f32, 1.0, 2.0, 3.0]).unwrap();
    assert_eq!(found.tensors, [("w".to_owned(), expected)]);
}

#[test]
fn tensors_may_share_a_storage() {
    let transposed = Tensor { strides: vec![1, 2], ..Tensor::default() };
    let both = dict(&[("w", Tensor::default().pickle()), ("t", transposed.pickle())]);
    let found = loaded(&pt_file(&program(&both))).unwrap();
    let t = found.tensor("t").unwrap().to_values::<f32>().unwrap();
    assert_eq!(t, [0.0, 2.0, 1.0, 3.0]);
}

// The path and the first bytes.

#[test]
fn a_missing_file_is_told_apart() {
    let (_folder, path) = scratch("x.pt");
    let error = load(&path).unwrap_err();
    assert!(error.is_missing());
    assert_eq!(error.path(), path);
    assert_says(&error.to_string(), "x.pt` does not exist");
}

#[test]
fn a_directory_is_refused() {
    let (folder, _) = scratch("");
    let error = load(folder.path()).unwrap_err();
    assert!(!error.is_missing());
    assert_says(&error.to_string(), "is a directory");
}

#[test]
#[cfg(unix)]
fn a_device_is_refused_without_reading() {
    assert_says(&load(Path::new("/dev/zero")).unwrap_err().to_string(), "not a regular file");
}

#[test]
fn a_path_through_a_file_is_refused() {
    let (_folder, path) = scratch("x.pt");
    fs::write(&path, "").unwrap();
    assert_says(&load(&path.join("y.pt")).unwrap_err().to_string(), "cannot be read");
}

#[test]
fn an_empty_file_is_refused() {
    assert_says(&refusal(b""), "is empty");
}

#[test]
fn a_text_file_is_refused() {
    assert_says(&refusal(b"epoch,loss\n1,0.5\n"), "neither a PyTorch zip file nor");
    assert_says(&refusal(b"short"), "neither a PyTorch zip file nor");
    assert_says(&refusal(b"12345678{\"json\": true}"), "neither a PyTorch zip file nor");
}

#[test]
fn every_truncation_of_a_file_is_refused() {
    for extension in ["pt", "safetensors"] {
        let whole = saved(extension, &example());
        for end in 0..whole.len() {
            assert!(loaded(&whole[..end]).is_err(), "{extension} cut at {end}");
        }
        assert_says(&refusal(&whole[..whole.len() - 30]), "is truncated");
    }
}

// The zip file.

#[test]
fn a_zip_file_of_something_else_is_refused() {
    assert_says(&refusal(&zip_file(&[("a/readme.txt", b"hello")])), "without a `data.pkl`");
    assert_says(&refusal(&zip_file(&[])), "without a `data.pkl`");
}

#[test]
fn a_flipped_bit_in_a_storage_is_found() {
    let mut file = file_with(&Tensor::default());
    let three = 3.0_f32.to_le_bytes();
    let at = file.windows(4).position(|bytes| bytes == three).unwrap();
    file[at] ^= 1;
    assert_says(&refusal(&file), "checksum of the zip entry `data/0` is wrong");
}

#[test]
fn a_compressed_entry_is_refused() {
    let mut file = file_with(&Tensor::default());
    let entry = file.windows(4).rposition(|bytes| bytes == b"PK\x01\x02").unwrap();
    // The last entry of the directory is `version`; its method becomes 8, deflate.
    let first = file.windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap();
    assert!(first < entry);
    file[first + 10] = 8;
    assert_says(&refusal(&file), "packs its entry `data.pkl`");
}

#[test]
fn entries_that_claim_more_than_the_file_are_refused() {
    let mut file = file_with(&Tensor::default());
    let entry = file.windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap();
    file[entry + 20..entry + 28].copy_from_slice(&[0, 0, 0, 0x7f, 0, 0, 0, 0x7f]);
    assert_says(&refusal(&file), "claim more bytes than it has");
}

#[test]
fn a_missing_storage_is_refused_by_name() {
    let file = file_with(&Tensor { key: "7", ..Tensor::default() });
    assert_says(&refusal(&file), "entry `data/7` is missing");
}

#[test]
fn big_endian_numbers_are_refused() {
    let pickle = program(&dict(&[]));
    let file = zip_file(&[("a/data.pkl", &pickle), ("a/byteorder", b"big")]);
    assert_says(&refusal(&file), "big-endian");
}

#[test]
fn a_record_that_is_not_text_is_refused() {
    let pickle = program(&dict(&[]));
    let file = zip_file(&[("a/data.pkl", &pickle), ("a/extra/log", b"\xff")]);
    assert_says(&refusal(&file), "record `log` that is not UTF-8");
}

// What the pickle builds.

#[test]
fn a_function_of_the_system_is_refused_by_name() {
    let call = [&b"cos\nsystem\n("[..], &text("rm -rf /"), b"tR"].concat();
    let message = refusal_of(&call);
    assert_says(&message, "holds `os.system`, which is not a plain tensor; refused");
}

#[test]
fn a_whole_model_is_refused_by_its_class() {
    let message = refusal_of(b"ctorch.nn.modules.container\nSequential\n)\x81");
    assert_says(&message, "`torch.nn.modules.container.Sequential`");
    assert_says(&message, "save only the model's state_dict()");
}

#[test]
fn a_name_cannot_steer_the_terminal() {
    let message = refusal_of(b"cx\x1b[2J\ny\n");
    assert_says(&message, "`x\\u{1b}[2J.y`");
    let long = format!("c{}\ny\n", "x".repeat(1000));
    assert!(refusal_of(long.as_bytes()).len() < 300);
}

#[test]
fn half_precision_is_refused_by_its_type() {
    for storage_type in ["HalfStorage", "BFloat16Storage", "IntStorage", "UntypedStorage"] {
        let file = file_with(&Tensor { storage_type, ..Tensor::default() });
        assert_says(&refusal(&file), &format!("elements of `torch.{storage_type}`"));
    }
}

#[test]
fn a_lazy_negation_is_refused() {
    let mut tensor = Tensor::default().pickle();
    // A dict of flags before the end of the arguments.
    tensor.splice(tensor.len() - 2.., *b"}tR");
    assert_says(&refusal_of(&dict(&[("w", tensor)])), "a lazy conjugate or negation");
}

#[test]
fn something_other_than_a_dict_is_refused() {
    assert_says(&refusal_of(&Tensor::default().pickle()), "holds a tensor instead of");
    assert_says(&refusal_of(b"](K\x01K\x02e"), "holds a list instead of");
}

#[test]
fn a_value_that_is_no_tensor_is_refused_by_its_key() {
    let message = refusal_of(&dict(&[("w", Tensor::default().pickle()), ("epoch", int(3))]));
    assert_says(&message, "holds an int under the key `epoch`");
}

#[test]
fn a_nested_dict_is_named_before_other_values() {
    let message = refusal_of(&dict(&[("epoch", int(3)), ("model", dict(&[]))]));
    assert_says(&message, "holds a dict under the key `model`");
}

#[test]
fn a_key_that_is_no_name_is_refused() {
    let entry = [&b"}"[..], &int(1), &Tensor::default().pickle(), b"s"].concat();
    assert_says(&refusal_of(&entry), "has an int for a key");
}

#[test]
fn two_tensors_of_one_name_are_refused() {
    let tensor = || Tensor::default().pickle();
    let message = refusal_of(&dict(&[("w", tensor()), ("w", tensor())]));
    assert_says(&message, "two tensors named `w`");
}

#[test]
fn a_dict_that_contains_itself_is_refused() {
    let message = refusal_of(&[&b"}q\0"[..], &text("w"), b"h\0s"].concat());
    assert_says(&message, "holds a dict under the key `w`");
}

// What a tensor claims.

#[test]
fn a_storage_shorter_than_declared_is_refused() {
    let file = file_with(&Tensor { len: 1_000_000, ..Tensor::default() });
    assert_says(&refusal(&file), "`w` declares 1000000 elements of float32");
}

#[test]
fn a_shape_larger_than_its_storage_is_refused() {
    let file = file_with(&Tensor { shape: vec![2, 3], strides: vec![3, 1], ..Tensor::default() });
    assert_says(&refusal(&file), "reaches beyond its storage of 4 elements");
}

#[test]
fn an_offset_beyond_the_storage_is_refused() {
    let file = file_with(&Tensor { offset: 1, ..Tensor::default() });
    assert_says(&refusal(&file), "reaches beyond its storage");
}

#[test]
fn a_negative_size_is_refused() {
    let file = file_with(&Tensor { shape: vec![-2, 2], ..Tensor::default() });
    assert_says(&refusal(&file), "something other than a size");
}

#[test]
fn a_shape_beyond_all_machines_is_refused() {
    let file =
        file_with(&Tensor { shape: vec![i32::MAX; 3], strides: vec![0; 3], ..Tensor::default() });
    assert_says(&refusal(&file), "shape or strides are impossible");
}

#[test]
fn an_expansion_to_a_million_times_the_file_is_refused() {
    let file = file_with(&Tensor {
        shape: vec![1_000_000, 1_000_000],
        strides: vec![0, 0],
        ..Tensor::default()
    });
    assert_says(&refusal(&file), "4000000000000 bytes of tensors in a file of");
}

#[test]
fn more_tensors_than_we_would_write_are_refused() {
    let names: Vec<String> = (0..4097).map(|index| index.to_string()).collect();
    let entries: Vec<_> = names.iter().map(|name| (name.as_str(), b"N".to_vec())).collect();
    assert_says(&refusal_of(&dict(&entries)), "4097 entries");
}

// Safetensors.

fn safetensors_file(header: &str, data: &[u8]) -> Vec<u8> {
    let length = (header.len() as u64).to_le_bytes();
    [&length[..], header.as_bytes(), data].concat()
}

#[test]
fn a_plain_safetensors_file_is_read() {
    let header = r#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let found = loaded(&safetensors_file(header, &1.5_f32.to_le_bytes())).unwrap();
    assert_eq!(found.tensor("w").unwrap().to_values::<f32>().unwrap(), [1.5]);
}

#[test]
fn half_precision_in_safetensors_is_refused_by_its_type() {
    for dtype in ["F16", "BF16"] {
        let header = format!(r#"{{"w":{{"dtype":"{dtype}","shape":[1],"data_offsets":[0,2]}}}}"#);
        let message = refusal(&safetensors_file(&header, &[0, 0]));
        assert_says(&message, &format!("elements of `{dtype}`"));
    }
}

#[test]
fn a_safetensors_shape_larger_than_its_data_is_refused() {
    let header = r#"{"w":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4]}}"#;
    assert_says(&refusal(&safetensors_file(header, &[0; 4])), "is damaged");
}

#[test]
fn a_safetensors_file_cut_in_its_data_is_truncated() {
    let header = r#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    assert_says(&refusal(&safetensors_file(header, &[0; 4])), "is truncated");
}

#[test]
fn a_broken_safetensors_header_is_damaged() {
    assert_says(&refusal(&safetensors_file(r#"{"w":"#, &[])), "invalid JSON in header");
}

#[test]
fn a_safetensors_header_too_long_to_be_honest_is_refused() {
    let header = format!("{{{}}}", " ".repeat(16 << 20));
    assert_says(&refusal(&safetensors_file(&header, &[])), "a header of 16777218 bytes");
}

#[test]
fn a_long_shape_does_not_make_a_long_message() {
    let shape = vec!["0"; 10_000].join(",");
    let header = format!(r#"{{"w":{{"dtype":"F32","shape":[{shape}],"data_offsets":[0,0]}}}}"#);
    assert!(refusal(&safetensors_file(&header, &[])).len() < 300);
}
