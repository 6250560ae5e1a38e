//! Files of earlier releases, `tests/fixtures/format-N`: each opens, and gives what it gave the release
//! that wrote it. What the formats are is in `docs/formats.md`.

use std::fs;
use std::path::PathBuf;

use convae::config::Source;
use convae::formats::checkpoint::{load, save};
use convae::formats::codes::Codes;
use convae::plan::Plan;
use convae::train::History;
use serde_json::Value;

use crate::common::{Folder, convae, root, text};

/// Weights of `format-1/digits.*`, with the CRC-32 of their bytes.
const WEIGHTS: [(&str, &[usize], u32); 12] = [
    ("decoder.conv2d_2.bias", &[1], 0x08ce_18c3),
    ("decoder.conv2d_2.weight", &[1, 4, 3, 3], 0xae28_17b6),
    ("decoder.conv2d_transpose.bias", &[4], 0x37b8_19a8),
    ("decoder.conv2d_transpose.weight", &[3, 4, 3, 3], 0x8a6f_dc7c),
    ("encoder.batch_normalization.bias", &[4], 0x730e_5d77),
    ("encoder.batch_normalization.running_mean", &[4], 0x6621_4d62),
    ("encoder.batch_normalization.running_var", &[4], 0x9899_1164),
    ("encoder.batch_normalization.weight", &[4], 0xfe1c_3c36),
    ("encoder.conv2d.bias", &[4], 0x1cdc_3206),
    ("encoder.conv2d.weight", &[4, 1, 3, 3], 0x69b2_391f),
    ("encoder.conv2d_1.bias", &[3], 0x136f_5746),
    ("encoder.conv2d_1.weight", &[3, 4, 3, 3], 0x3b8f_e7d6),
];

/// Figures of another processor's rounding; those of another model differ a thousand times as much.
const ROUNDING: f64 = 1e-5;

fn first(name: &str) -> PathBuf {
    root().join("tests/fixtures/format-1").join(name)
}

const CHECKPOINTS: [&str; 2] = ["digits.pt", "digits.safetensors"];

#[test]
fn the_weights_of_format_1_are_read_to_the_last_bit() {
    for file in CHECKPOINTS {
        let checkpoint = load(&first(file)).unwrap();
        assert_eq!(checkpoint.tensors.len(), WEIGHTS.len());
        for (name, shape, sum) in WEIGHTS {
            let array = checkpoint.tensor(name).unwrap();
            assert_eq!((array.shape(), crc32fast::hash(array.bytes())), (shape, sum), "{name}");
        }
    }
}

#[test]
fn the_records_of_format_1_are_those_of_its_run() {
    for file in CHECKPOINTS {
        let records = load(&first(file)).unwrap().records;
        for name in ["config.toml", "history.json"] {
            assert_eq!(records[name], fs::read_to_string(first(name)).unwrap(), "{file}");
        }
        let format: Value = serde_json::from_str(&records["convae.json"]).unwrap();
        assert_eq!(format["format"], 1);
    }
}

/// Whether the later table says all that the earlier one does; it may say more.
fn says_as_much(later: &toml::Value, earlier: &toml::Value) -> bool {
    use toml::Value::{Array, Table};
    match (later, earlier) {
        (Table(later), Table(earlier)) => earlier
            .iter()
            .all(|(key, value)| later.get(key).is_some_and(|found| says_as_much(found, value))),
        (Array(later), Array(earlier)) => {
            later.len() == earlier.len()
                && later.iter().zip(earlier).all(|(a, b)| says_as_much(a, b))
        }
        _ => later == earlier,
    }
}

#[test]
fn a_config_of_the_first_release_means_what_it_meant() {
    let resolved: toml::Value =
        fs::read_to_string(first("config.toml")).unwrap().parse::<toml::Table>().unwrap().into();
    // As it was written, every default of it, and as the release wrote it out.
    for name in ["digits.toml", "config.toml"] {
        let plan = Plan::new(Source::open(&first(name), &[]).unwrap()).unwrap();
        let written = plan.config.to_toml();
        let now: toml::Value = written.parse::<toml::Table>().unwrap().into();
        assert!(says_as_much(&now, &resolved), "{name} is now {written}");
    }
}

#[test]
fn a_history_of_the_first_release_is_read() {
    let history = fs::read_to_string(first("history.json")).unwrap();
    let history: History = serde_json::from_str(&history).unwrap();
    let losses: Vec<f64> = history.epochs.iter().map(|epoch| epoch.loss).collect();
    assert!(losses.len() == 3 && losses.is_sorted_by(|a, b| a > b));
}

/// Every number of the earlier document, which the later one may differ from by rounding.
fn agrees(later: &Value, earlier: &Value) -> bool {
    match (later, earlier) {
        (Value::Object(later), Value::Object(earlier)) => (earlier.iter())
            .all(|(key, value)| later.get(key).is_some_and(|found| agrees(found, value))),
        (Value::Array(later), Value::Array(earlier)) => {
            later.len() == earlier.len() && later.iter().zip(earlier).all(|(a, b)| agrees(a, b))
        }
        (Value::Number(later), Value::Number(earlier)) => {
            (later.as_f64().unwrap() - earlier.as_f64().unwrap()).abs() <= ROUNDING
        }
        (Value::String(_), Value::String(_)) => true, // paths
        _ => later == earlier,
    }
}

#[test]
fn a_model_of_format_1_is_judged_as_it_was() {
    let expected: Value =
        serde_json::from_str(&fs::read_to_string(first("evaluate.json")).unwrap()).unwrap();
    for file in CHECKPOINTS {
        let call = convae().args(["evaluate", "--json", "--checkpoint"]).arg(first(file));
        let found: Value = serde_json::from_str(&call.succeeds()).unwrap();
        assert!(agrees(&found, &expected), "{file}: {found}");
    }
}

#[test]
fn a_model_of_format_1_draws_what_it_drew() {
    let expected = image::open(first("output.png")).unwrap().into_luma8();
    for file in CHECKPOINTS {
        let folder = Folder::new();
        let call = convae().args(["apply", "--checkpoint"]).arg(first(file)).out(folder.path());
        call.arg(first("input.png")).succeeds();
        let found = image::open(folder.at("input.png")).unwrap().into_luma8();
        let near = |(a, b): (&u8, &u8)| a.abs_diff(*b) <= 1;
        assert!(found.iter().zip(expected.iter()).all(near), "{file}");
    }
}

#[test]
fn codes_of_the_first_release_are_read_and_drawn() {
    let codes = ["codes.npz", "codes.safetensors"].map(|file| Codes::open(&first(file)).unwrap());
    assert_eq!(codes[0], codes[1]);
    assert_eq!(
        (codes[0].names.as_slice(), codes[0].shape.as_slice()),
        (&["input.png".to_owned()][..], &[7, 7, 3][..])
    );
    let folder = Folder::new();
    let checkpoint = first("digits.pt");
    let encode = convae().args(["encode", "--checkpoint"]).arg(&checkpoint);
    encode.out(folder.at("codes.npz")).arg(first("input.png")).succeeds();
    let now = Codes::open(&folder.at("codes.npz")).unwrap();
    let near = |(a, b): (&f32, &f32)| f64::from(a - b).abs() <= ROUNDING;
    assert!(now.values.iter().zip(&codes[0].values).all(near));
    let decode = convae().args(["decode", "--checkpoint"]).arg(&checkpoint).arg("--codes");
    decode.arg(first("codes.npz")).out(folder.at("drawn")).succeeds();
    let drawn = image::open(folder.at("drawn/input.png")).unwrap().into_luma8();
    let expected = image::open(first("output.png")).unwrap().into_luma8();
    let near = |(a, b): (&u8, &u8)| a.abs_diff(*b) <= 1;
    assert!(drawn.iter().zip(expected.iter()).all(near));
}

#[test]
fn a_record_that_a_later_release_may_add_is_passed_over() {
    let folder = Folder::new();
    let mut checkpoint = load(&first("digits.pt")).unwrap();
    checkpoint.records.insert("later.json".to_owned(), "{}".to_owned());
    let more = r#"{ "format": 1, "later": [1, 2] }"#;
    checkpoint.records.insert("convae.json".to_owned(), more.to_owned());
    save(&folder.at("more.pt"), &checkpoint).unwrap();
    convae().args(["summary", "--checkpoint"]).arg(folder.at("more.pt")).succeeds();
}

#[test]
fn a_format_that_only_a_later_release_can_read_is_refused() {
    let folder = Folder::new();
    let mut checkpoint = load(&first("digits.pt")).unwrap();
    checkpoint.records.insert("convae.json".to_owned(), r#"{ "format": 2 }"#.to_owned());
    save(&folder.at("new.pt"), &checkpoint).unwrap();
    for command in ["summary", "evaluate"] {
        let call = convae().args([command, "--checkpoint"]).arg(folder.at("new.pt"));
        let assert = call.fails(&["new.pt", "has format 2", "none above 1", "use a newer one"]);
        assert_eq!(text(&assert.get_output().stdout), "");
    }
}
