//! One test for each thing that can be wrong with what the program is given: the exit code, one
//! sentence with the key or file, the value received and the remedy, and nothing left behind.
//!
//! 2 is for what the user wrote (config, command line, a file that is not there), 1 for what
//! failed (damaged data, the disk, memory, divergence).

use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use assert_cmd::assert::Assert;
use convae::config::Source;
use convae::formats::checkpoint::{Array, load, save};
use convae::plan::Plan;
use flate2::Compression;
use flate2::write::GzEncoder;
use image::GrayImage;

use crate::common::{
    Convae, Folder, convae, convae_in, copy_bare_weights, digits, files_of, names, sentence,
    skipped, text, tiny, train,
};

/// What a run's folder holds before its first epoch.
const NOTHING_YET: [&str; 3] = ["checkpoints", "config.toml", "run.lock"];

// ---- the config ----

/// A training with this config is refused, and no folder is made.
fn refuses(config: impl AsRef<[u8]>, words: &[&str]) {
    let folder = Folder::new();
    let config = folder.write("wrong.toml", config);
    train(config).out(folder.at("out")).refused(words);
    assert_eq!(names(folder.path()), ["wrong.toml"]);
}

/// A good config with these changes from the command line is refused.
fn refuses_set(changes: &[&str], words: &[&str]) {
    let folder = Folder::new();
    let config = folder.write("tiny.toml", tiny());
    let call = train(config).out(folder.at("out"));
    changes.iter().fold(call, |call, change| call.set(change)).refused(words);
    assert_eq!(names(folder.path()), ["tiny.toml"]);
}

/// Variants of one mistake: a change, and words of its refusal. Starting the program takes its
/// time, so only the first variant goes all the way.
fn refuses_each<C: AsRef<str>, W: AsRef<str>, const N: usize>(
    variants: impl IntoIterator<Item = (C, [W; N])>,
) {
    let folder = Folder::new();
    let config = folder.write("tiny.toml", tiny());
    for (i, (change, words)) in variants.into_iter().enumerate() {
        let (change, words) = (change.as_ref(), words.each_ref().map(AsRef::as_ref));
        if i == 0 {
            refuses_set(&[change], &words);
        }
        let plan = Source::open(&config, &[change.to_owned()]).and_then(Plan::new);
        let said = plan.expect_err(change).to_string();
        assert!(words.iter().all(|word| said.contains(word)), "{said} lacks some of {words:?}");
    }
}

/// Layers in place of the good config's decoder, whose input is 7x7x2.
fn refuses_decoder(layers: &str, words: &[&str]) {
    refuses_set(&[&format!("model.decoder=[{layers}]")], words);
}

#[test]
fn a_config_that_is_missing() {
    let folder = Folder::new();
    let call = train("nowhere.toml").out(folder.at("out"));
    call.refused(&["nowhere.toml", "no such config", "configs/", "plain.toml", "denoise.toml"]);
    assert!(names(folder.path()).is_empty());
}

#[test]
fn a_folder_in_place_of_a_config() {
    train("configs").refused(&["configs: ", "plain.toml"]);
}

#[test]
fn a_config_that_is_not_text() {
    refuses(b"name = \"\xff\xfe\"", &["wrong.toml", "line 1 is not in UTF-8", "save it as text"]);
}

#[test]
fn an_empty_config() {
    refuses("", &["wrong.toml", "`name` is missing", "give a text in quotes"]);
}

#[test]
fn a_syntax_error_is_shown_with_its_line() {
    let config = tiny().replace("[model]", "[model");
    refuses(config, &["wrong.toml:5: ", "not TOML"]);
}

#[test]
fn a_key_written_twice() {
    refuses(tiny() + "name = 3\nname = 4\n", &["wrong.toml:13: ", "duplicate key"]);
}

#[test]
fn a_config_that_is_nested_without_end() {
    refuses(format!("name = {}", "[".repeat(200_000)), &["wrong.toml:1: ", "not TOML"]);
}

#[test]
fn an_unknown_key_is_shown_with_its_line_and_the_nearest_one() {
    let config = tiny() + "[train]\nepoch = 3\n";
    refuses(config, &["wrong.toml:13: ", "`train.epoch` is not a key", "3", "`epochs`"]);
}

#[test]
fn an_unknown_key_of_a_layer() {
    let config = tiny().replace("filters = 2", "filter = 2");
    let words = ["wrong.toml:7: ", "`model.encoder[0].filter` is not a key", "`filters`"];
    refuses(config, &words);
}

#[test]
fn an_unknown_section() {
    let config = tiny() + "[training]\nepochs = 3\n";
    refuses(config, &["wrong.toml:12: ", "`training` is not a key", "`train`"]);
}

#[test]
fn an_unknown_layer() {
    let config = tiny().replace("\"Conv2D\"", "\"Conv2d\"");
    let words = ["wrong.toml:7: ", "`model.encoder[0].layer`", "\"Conv2d\"", "`Conv2D`"];
    refuses(config, &words);
}

#[test]
fn an_unknown_option_of_each_kind() {
    refuses_each([
        ("train.loss=cross", ["`train.loss`", "\"cross\"", "binary_crossentropy"]),
        ("train.optimizer.name=adam", ["`train.optimizer.name`", "\"adam\"", "`Adam`"]),
        ("train.dtype=float16", ["`train.dtype`", "\"float16\"", "float"]),
        ("corruption.kind=salt", ["`corruption.kind`", "\"salt\"", "`salt_and_pepper`"]),
        ("model.encoder[0].activation=Relu", ["activation`", "\"Relu\"", "`relu`"]),
        ("model.encoder[0].padding=full", ["padding`", "\"full\"", "same"]),
    ]);
}

#[test]
fn a_value_of_another_type() {
    refuses_each([
        ("train.epochs=three", ["`train.epochs`", "\"three\"", "a whole number"]),
        ("train.epochs=1.5", ["`train.epochs`", "1.5", "a whole number"]),
        ("train.epochs=", ["`train.epochs`", "\"\"", "a whole number"]),
        ("train.epochs=2024-01-01", ["`train.epochs`", "2024-01-01", "a whole number"]),
        ("train.shuffle=1", ["`train.shuffle`", "1", "true or false"]),
        ("train=3", ["`train`", "3", "a table"]),
        ("model.encoder=3", ["`model.encoder`", "3", "a list"]),
        ("model.encoder[0]=3", ["`model.encoder[0]`", "3", "layer = "]),
        ("name=3", ["`name`", "3", "a text in quotes"]),
        ("data.dir=3", ["`data.dir`", "3", "a path in quotes"]),
    ]);
}

#[test]
fn a_key_that_must_be_given_is_missing() {
    for (part, words) in [
        ("filters = 2, ", ["`model.encoder[0].filters` is missing", "give a whole number"]),
        ("layer = \"Conv2D\", ", ["`model.encoder[0]` has no `layer`", "give a table like"]),
    ] {
        refuses(tiny().replace(part, ""), &words);
    }
    refuses("name = \"tiny\"\n", &["`model` is missing", "give "]);
    refuses("name = \"tiny\"\n[model]\nencoder = []\n", &["wrong.toml:2: ", "`model.decoder`"]);
}

#[test]
fn a_count_out_of_bounds() {
    let keys = ["train.epochs", "train.batch_size", "data.train_samples", "data.test_samples"];
    let values = ["0", "-1", "1000000000000", "99999999999999999999", "nan"];
    refuses_each(keys.iter().flat_map(|key| {
        values.map(|value| {
            let shown = value.replace("nan", "NaN");
            (format!("{key}={value}"), [format!("`{key}` is {shown}"), "from 1".to_owned()])
        })
    }));
}

#[test]
fn a_rate_out_of_bounds() {
    let rates = ["0", "-0.1", "1e9", "nan", "inf"];
    refuses_each(rates.into_iter().zip(["0", "-0.1", "1000000000", "NaN", "inf"]).map(
        |(rate, shown)| {
            let change = format!("train.optimizer={{ name = \"Adam\", learning_rate = {rate} }}");
            let problem = format!("`train.optimizer.learning_rate` is {shown}");
            (change, [problem, "above 0".to_owned()])
        },
    ));
}

#[test]
fn other_numbers_out_of_bounds() {
    refuses_each([
        ("seed=-1", ["`seed`", "-1"]),
        ("seed=1e3", ["`seed`", "1000"]),
        ("corruption={ kind = \"gaussian\", factor = -0.5 }", ["`corruption.factor`", "-0.5"]),
        ("corruption={ kind = \"gaussian\", factor = inf }", ["`corruption.factor`", "inf"]),
        ("model.encoder[0].filters=0", ["`model.encoder[0].filters`", "0"]),
        ("model.encoder[0].filters=10000000", ["`model.encoder[0].filters`", "10000000"]),
        ("model.encoder[0].kernel_size=[3,0]", ["`model.encoder[0].kernel_size[1]`", "0"]),
        ("model.encoder[0].kernel_size=[3,3,3]", ["`model.encoder[0].kernel_size`", "[3, 3, 3]"]),
        ("model.encoder[0].strides=0", ["`model.encoder[0].strides`", "0"]),
        ("output.grid_samples=0", ["`output.grid_samples`", "0"]),
    ]);
    refuses_decoder(r#"{ layer = "Dropout", rate = 1.5 }"#, &["decoder[0].rate` is 1.5", "to 1"]);
}

#[test]
fn a_window_larger_than_the_image() {
    refuses_decoder(
        r#"{ layer = "Conv2D", filters = 1, kernel_size = 9 }"#,
        &["`model.decoder[0]` (Conv2D)", "9x9", "7x7", "padding = \"same\""],
    );
    refuses_decoder(
        r#"{ layer = "MaxPooling2D", pool_size = [2, 8] }"#,
        &["`model.decoder[0]` (MaxPooling2D)", "2x8", "7x7"],
    );
}

#[test]
fn a_convolution_after_flatten() {
    refuses_decoder(
        r#"{ layer = "Flatten" }, { layer = "Conv2D", filters = 1, kernel_size = 3 }"#,
        &["`model.decoder[1]` (Conv2D)", "receives 98", "Reshape"],
    );
}

#[test]
fn a_reshape_to_another_number_of_values() {
    refuses_decoder(
        r#"{ layer = "Reshape", target_shape = [5, -1, 3] }"#,
        &["`model.decoder[0]` (Reshape)", "98 values", "product is 98"],
    );
}

#[test]
fn a_reshape_with_two_free_sides() {
    refuses_decoder(
        r#"{ layer = "Reshape", target_shape = [-1, -1, 2] }"#,
        &["`model.decoder[0].target_shape`", "[-1, -1, 2]", "one entry may be -1"],
    );
}

#[test]
fn cropping_that_leaves_nothing() {
    refuses_decoder(
        r#"{ layer = "Cropping2D", cropping = 4 }"#,
        &["`model.decoder[0]` (Cropping2D)", "7x7", "crop less"],
    );
}

#[test]
fn a_decoder_that_does_not_end_in_the_inputs_shape() {
    let words = ["`model.decoder`", "ends in 2 channels", "the images have 1", "change the layers"];
    refuses_set(&["model.decoder[0].filters=2"], &words);
}

#[test]
fn a_model_without_weights() {
    let changes = ["model.encoder=[]", r#"model.decoder=[{ layer = "ReLU" }]"#];
    refuses_set(&changes, &["nothing to learn", "add a layer with weights"]);
}

#[test]
fn a_model_too_large_to_compute() {
    refuses_decoder(
        r#"{ layer = "UpSampling2D", size = 1024 }, { layer = "UpSampling2D", size = 1024 }"#,
        &["`model.decoder[1]` (UpSampling2D)", "too large"],
    );
    let dense = r#"{ layer = "Dense", units = 16777216 }"#;
    refuses_decoder(
        &format!("{{ layer = \"Flatten\" }}, {dense}, {dense}"),
        &["`model.decoder[2]` (Dense)", "too large"],
    );
}

#[test]
fn inputs_of_other_axes_than_those_of_images_signals_and_vectors() {
    refuses_each(["[28, 28, -1]", "[28, -1]", "[28, 28, 1, 1]", "[]"].map(|shape| {
        let words = ["`model.input_shape`", shape, "[height, width, channels]"];
        (format!("model.input_shape={shape}"), words)
    }));
}

#[test]
fn two_kinds_of_clipping() {
    refuses_set(
        &[r#"train.optimizer={ name = "Adam", clipnorm = 1.0, clipvalue = 0.5 }"#],
        &["`train.optimizer`", "clipnorm", "clipvalue", "set one of them"],
    );
}

#[test]
fn a_name_that_would_lead_elsewhere() {
    let long = "x".repeat(101);
    refuses_each(["../x", "/tmp/x", "a b", "", ".hidden", "..", "\u{e4}", &long].map(|name| {
        let shown = format!("{name:?}");
        (format!("name={shown}"), ["`name`", &shown, "1 to 100 letters"].map(str::to_owned))
    }));
}

#[test]
fn a_device_that_we_do_not_know() {
    refuses_each(["gpu", "cuda", "cuda:", "cuda:-1", "CPU", ""].map(|device| {
        let shown = format!("{device:?}");
        (
            format!("train.device={shown}"),
            ["`train.device`", &shown, "\"cuda:0\""].map(str::to_owned),
        )
    }));
}

/// Also on a machine with a GPU, which the tests hide; what is said of those is tested with the choice.
#[test]
fn a_gpu_that_is_not_there() {
    refuses_set(&["train.device=cuda:7"], &["train.device", "cuda:7", "no GPU", "\"cpu\""]);
}

// ---- the command line ----

#[test]
fn a_set_without_an_equals_sign() {
    refuses_set(&["train.epochs"], &["--set train.epochs: ", "no `=`", "--set train.epochs=3"]);
}

#[test]
fn a_set_that_leads_nowhere() {
    refuses_each(
        [
            ("model.encoder[9].filters=3", "leads nowhere at `[9]`"),
            ("model.encoder.x.filters=3", "leads nowhere at `x`"),
            ("name.x=3", "leads nowhere at `x`"),
            ("=3", "`` is not a key"),
            ("train.x.y=3", "`train.x` is not a key"),
        ]
        .map(|(change, problem)| (change, ["--set ", change, problem])),
    );
}

#[test]
fn control_characters_are_not_echoed() {
    refuses_set(&["name=a\nb"], &["`name`", r"a\nb"]);
    refuses_set(&["name=\u{1b}[31mred"], &["`name`", r"\u{1b}[31mred"]);
    let folder = Folder::new();
    train(folder.at("no\n\u{1b}[31m.toml")).refused(&["no such config"]);
}

/// What clap refuses is shown in clap's words, with the usage.
fn misused(args: &[&str], word: &str) {
    let assert = convae().args(args).assert().code(2).stdout("");
    let stderr = text(&assert.get_output().stderr);
    assert!(stderr.starts_with("error: ") && stderr.contains(word), "{stderr}");
    assert!(stderr.contains("--help") && !stderr.contains("panicked"), "{stderr}");
}

#[test]
fn a_command_line_that_makes_no_sense() {
    misused(&["frobnicate"], "frobnicate");
    misused(&["--config", "plain.toml", "--epochs", "3"], "--epochs");
    misused(&["--overwrite"], "--config");
    misused(&["--config", "plain.toml", "--out", ""], "--out");
    misused(&["summary"], "--config");
    misused(&["summary", "--config", "plain.toml", "--checkpoint", "x.pt"], "--checkpoint");
    misused(&["apply", "--checkpoint", "x.pt", "--out", "x"], "IMAGE");
}

#[test]
fn a_summary_of_a_wrong_config() {
    let call = convae().args(["summary", "--config", "plain.toml", "--set", "seed=-1"]);
    call.refused(&["--set seed=-1", "`seed`"]);
}

#[test]
fn a_config_may_begin_with_a_byte_order_mark_and_have_the_line_ends_of_windows() {
    let windows = |text: &str| format!("\u{feff}{}", text.replace('\n', "\r\n"));
    let folder = Folder::new();
    let config = folder.write("tiny.toml", windows(&tiny()));
    let (source, plain) =
        (Source::open(&config, &[]).unwrap(), Source::parse(&tiny(), "tiny.toml", &[]).unwrap());
    assert_eq!(source.config, plain.config);
    // Its place is still counted from the first letter.
    refuses(windows("nome = \"tiny\"\n"), &["wrong.toml:1", "`nome` is not a key", "`name`"]);
    refuses(windows(&(tiny() + "odd = 1\n")), &["wrong.toml:12", "`model.odd` is not a key"]);
}

#[test]
fn a_config_in_another_encoding_is_named() {
    let utf16 =
        |to: fn(u16) -> [u8; 2]| -> Vec<u8> { tiny().encode_utf16().flat_map(to).collect() };
    for bytes in [
        utf16(u16::to_le_bytes),
        utf16(u16::to_be_bytes),
        [b"\xff\xfe".to_vec(), utf16(u16::to_le_bytes)].concat(),
    ] {
        refuses(bytes, &["wrong.toml", "cannot be read", "UTF-16", "save it as text in UTF-8"]);
    }
    let latin1 = [tiny().as_bytes(), b"# B\xfccher\n"].concat();
    refuses(latin1, &["wrong.toml", "line 12 is not in UTF-8", "save it as text in UTF-8"]);
}

// ---- the data ----

const TRAIN: &str = "train-images-idx3-ubyte";
const TEST: &str = "t10k-images-idx3-ubyte";
const IMAGES: u32 = 0x0803;
const LABELS: u32 = 0x0801;

/// An IDX file: magic number, sizes, and so many bytes of pixels.
fn idx(magic: u32, sizes: &[u32], pixels: usize) -> Vec<u8> {
    let header = [magic].into_iter().chain(sizes.iter().copied()).flat_map(u32::to_be_bytes);
    header.chain(std::iter::repeat_n(7, pixels)).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

/// Training on a folder where one of the two files is this one.
fn train_on(folder: &Folder, name: &str, bytes: &[u8]) -> Convae {
    let ending = if bytes.starts_with(&[0x1f, 0x8b]) { ".gz" } else { "" };
    folder.write(&format!("data/{name}{ending}"), bytes);
    let other = if name == TRAIN { TEST } else { TRAIN };
    folder.write(&format!("data/{other}"), idx(IMAGES, &[2, 28, 28], 2 * 28 * 28));
    let config = folder.write("tiny.toml", tiny());
    let data = format!("data.dir={}", folder.at("data").display());
    train(config).set(&data).out(folder.at("out"))
}

/// A damaged training set ends in a sentence before anything is begun.
fn damaged(bytes: &[u8], words: &[&str]) {
    let folder = Folder::new();
    let words: Vec<&str> = [TRAIN].iter().chain(words).copied().collect();
    train_on(&folder, TRAIN, bytes).fails(&words).stdout("");
    assert_eq!(names(folder.path()), ["data", "tiny.toml"]);
}

#[test]
fn data_that_is_missing() {
    let folder = Folder::new();
    let config = folder.write("tiny.toml", tiny());
    let call = train(config).set("data.dir=nowhere").out(folder.at("out"));
    call.refused(&["nowhere/train-images-idx3-ubyte", "scripts/setup.sh", "--set data.dir="]);
    assert_eq!(names(folder.path()), ["tiny.toml"]);
}

#[test]
fn a_test_set_that_is_missing() {
    let folder = Folder::new();
    let call = train_on(&folder, TRAIN, &idx(IMAGES, &[2, 28, 28], 2 * 28 * 28));
    fs::remove_file(folder.at("data").join(TEST)).unwrap();
    call.refused(&["t10k-images-idx3-ubyte", "is missing", "scripts/setup.sh"]);
}

#[test]
fn a_test_set_that_is_damaged_is_found_before_the_training() {
    let folder = Folder::new();
    train_on(&folder, TEST, b"").fails(&[TEST, "is damaged"]).stdout("");
    assert_eq!(names(folder.path()), ["data", "tiny.toml"]);
}

#[test]
fn data_without_a_byte() {
    damaged(b"", &["is damaged", "0 bytes", "delete it"]);
}

#[test]
fn data_that_ends_within_its_header() {
    damaged(&idx(IMAGES, &[2, 28], 3), &["is damaged", "15 bytes", "header"]);
}

#[test]
fn data_that_ends_within_a_image() {
    let short = idx(IMAGES, &[2, 28, 28], 2 * 28 * 28 - 1);
    damaged(&short, &["is damaged", "[2, 28, 28]", "1567", "scripts/setup.sh"]);
}

#[test]
fn data_with_more_than_its_header_says() {
    damaged(&idx(IMAGES, &[2, 28, 28], 2 * 28 * 28 + 1), &["is damaged", "[2, 28, 28]", "1569"]);
}

#[test]
fn data_whose_sizes_overflow() {
    let all = u32::MAX;
    for (magic, sizes) in [(IMAGES, &[all; 3][..]), (IMAGES + 1, &[all; 4]), (IMAGES, &[all, 1, 1])]
    {
        damaged(&idx(magic, sizes, 10), &["is damaged", "4294967295", "holds 10"]);
    }
}

#[test]
fn data_that_holds_no_images() {
    damaged(&idx(IMAGES, &[0, 28, 28], 0), &["is damaged", "no images", "[0, 28, 28]"]);
    damaged(&idx(IMAGES, &[2, 0, 28], 0), &["is damaged", "no images"]);
}

#[test]
fn data_of_another_format() {
    damaged(b"<!DOCTYPE html><html>", &["is damaged", "magic number", "2051"]);
    damaged(&idx(0x0d03, &[2, 28, 28], 8 * 28 * 28), &["magic number is 3331"]); // floats
}

#[test]
fn labels_in_place_of_images() {
    damaged(&idx(LABELS, &[100], 100), &["holds labels", "`images`"]);
    damaged(&gzip(&idx(LABELS, &[100], 100)), &["holds labels", "`images`"]);
}

#[test]
fn a_gzip_file_that_was_cut_short() {
    let packed = gzip(&idx(IMAGES, &[2, 28, 28], 2 * 28 * 28));
    for length in [5, packed.len() / 2, packed.len() - 3] {
        damaged(&packed[..length], &[".gz", "is damaged", "cannot be unpacked"]);
    }
}

#[test]
fn a_gzip_file_with_a_flipped_bit() {
    let mut packed = fs::read(digits().join(format!("{TEST}.gz"))).unwrap();
    let middle = packed.len() / 2;
    packed[middle] ^= 1;
    damaged(&packed, &[".gz", "is damaged"]);
}

#[test]
fn images_of_another_size_than_the_models() {
    let folder = Folder::new();
    let call = train_on(&folder, TRAIN, &idx(IMAGES, &[2, 32, 32], 2 * 32 * 32));
    call.refused(&[TRAIN, "[32, 32, 1]", "[28, 28, 1]", "model.input_shape"]);
    assert_eq!(names(folder.path()), ["data", "tiny.toml"]);
}

#[test]
fn bad_data_leaves_the_old_run_alone_even_with_overwrite() {
    let folder = Folder::new();
    let mut files = files_of("tiny");
    files.retain(|name| name != "checkpoints");
    for name in &files {
        folder.write(&format!("out/{name}"), "old");
    }
    train_on(&folder, TEST, b"").arg("--overwrite").fails(&["is damaged"]);
    assert_eq!(names(&folder.at("out")), files);
    assert!(files.iter().all(|name| fs::read(folder.at("out").join(name)).unwrap() == b"old"));
}

// ---- where the files go ----

#[test]
fn an_output_folder_that_is_a_file() {
    let folder = Folder::new();
    let config = folder.write("tiny.toml", tiny());
    let file = folder.write("file", "mine");
    train(config).out(&file).refused(&[file.to_str().unwrap(), "is a file", "--out"]);
    assert_eq!(fs::read_to_string(file).unwrap(), "mine");
}

#[test]
fn an_output_folder_that_cannot_be_made() {
    let folder = Folder::new();
    let config = folder.write("tiny.toml", tiny());
    let under_a_file = folder.write("file", "mine").join("run");
    for out in [under_a_file.as_path(), Path::new("/proc/convae")] {
        train(&config).out(out).fails(&[out.to_str().unwrap(), "--out"]).stdout("");
    }
}

#[test]
fn a_run_that_is_already_there() {
    for file in ["tiny.pt", "history.json"] {
        let folder = Folder::new();
        let config = folder.write("tiny.toml", tiny());
        folder.write(&format!("out/{file}"), "old");
        let words = ["already holds a run", "--overwrite", "--out"];
        train(config).out(folder.at("out")).refused(&words);
        assert_eq!(names(&folder.at("out")), [file]);
    }
}

#[test]
fn a_file_larger_than_the_system_allows() {
    let folder = Folder::new();
    // 8 KiB: the config has room, the weights have not.
    let limited = convae_in(r#"ulimit -f 8; exec "$0" "$@""#);
    limited.train("plain.toml").out(folder.path()).fails(&["normal-best.pt", "cannot be written"]);
    assert_eq!(names(folder.path()), NOTHING_YET);
}

/// What the program said on a disk that is too small, and what it left there and in TMPDIR.
struct SmallDisk {
    assert: Assert,
    left: Vec<String>,
    folder: Folder,
}

/// Trains on a file system with this limit, for the program's eyes alone.
fn on_a_small_disk(limit: &str) -> Option<SmallDisk> {
    /// "$1" is the mount point; its list of files lies beside it, where others see it too.
    const SCRIPT: &str = r#"exec unshare -rm bash -c '
        mount -t tmpfs -o "$2" none "$1" || exit
        TMPDIR=$1.tmp "${@:3}"; code=$?
        ls -A "$1" >"$1.left"; exit $code
    ' bash "$DISK" "$LIMIT" "$0" "$@""#;
    let folder = Folder::new();
    fs::create_dir(folder.at("disk")).unwrap();
    fs::create_dir(folder.at("disk.tmp")).unwrap();
    let script = format!("DISK='{}' LIMIT='{limit}'; {SCRIPT}", folder.at("disk").display());
    let assert = convae_in(&script).train("plain.toml").out(folder.at("disk")).assert();
    let Ok(left) = fs::read_to_string(folder.at("disk.left")) else {
        let reason = text(&assert.get_output().stderr);
        skipped(&format!("no disk could be mounted: {}", reason.trim()));
        return None;
    };
    let left = left.lines().map(str::to_owned).collect();
    Some(SmallDisk { assert, left, folder })
}

#[test]
fn a_disk_without_room_for_any_file() {
    let Some(disk) = on_a_small_disk("nr_inodes=1") else { return };
    let words = ["run.lock", "cannot be written", "free some space"];
    sentence(disk.assert.code(1).stdout(""), &words);
    assert!(disk.left.is_empty(), "{:?}", disk.left);
}

#[test]
fn a_disk_that_fills_up_with_the_weights_leaves_them_elsewhere() {
    let Some(disk) = on_a_small_disk("size=32k") else { return };
    let words = ["normal-best.pt", "cannot be written", "space", "the weights are in", "disk.tmp"];
    sentence(disk.assert.code(1), &words);
    assert_eq!(disk.left, NOTHING_YET);
    let rescued = names(&disk.folder.at("disk.tmp"));
    assert_eq!(rescued.len(), 1, "{rescued:?}");
    load(&disk.folder.at("disk.tmp").join(&rescued[0])).unwrap();
}

#[test]
fn a_disk_that_fills_up_with_the_images() {
    let Some(disk) = on_a_small_disk("size=312k") else { return };
    sentence(disk.assert.code(1), &["_normal.png", "space"]);
    let left = disk.left;
    for name in ["config.toml", "history.json", "normal.pt"] {
        assert!(left.iter().any(|kept| kept == name), "{name} is not in {left:?}");
    }
    let promised = files_of("normal");
    assert!(left.iter().all(|name| promised.contains(name)), "{left:?}");
    assert!(names(&disk.folder.at("disk.tmp")).is_empty());
}

// ---- checkpoints ----

/// The folder of a run that the tests below only read.
fn run() -> PathBuf {
    static RUN: OnceLock<Folder> = OnceLock::new();
    let run = RUN.get_or_init(|| {
        let folder = Folder::lasting();
        let config = folder.write("tiny.toml", tiny());
        train(config).out(folder.at("run")).succeeds();
        folder
    });
    run.at("run")
}

fn weights() -> PathBuf {
    run().join("tiny.pt")
}

/// The commands that open a checkpoint, each with it.
fn openings(checkpoint: &Path, out: &Path) -> [Convae; 3] {
    let open = |command| convae().args([command, "--checkpoint"]).arg(checkpoint);
    let picture = run().join("input_tiny.png");
    [open("summary"), open("evaluate"), open("apply").out(out).arg(picture)]
}

/// A file that is no checkpoint.
fn no_checkpoint(name: &str, bytes: &[u8], words: &[&str]) {
    let folder = Folder::new();
    let file = folder.write(name, bytes);
    let words: Vec<&str> = [name].iter().chain(words).copied().collect();
    let call = convae().args(["apply", "--checkpoint"]).arg(file).out(folder.at("out"));
    call.arg(run().join("input_tiny.png")).fails(&words).stdout("");
    assert_eq!(names(folder.path()), [name]);
}

#[test]
fn a_checkpoint_that_is_missing() {
    let folder = Folder::new();
    for call in openings(&folder.at("gone.pt"), &folder.at("out")) {
        call.refused(&["gone.pt", "does not exist", "train first"]);
    }
    assert!(names(folder.path()).is_empty());
}

#[test]
fn a_checkpoint_that_is_a_folder() {
    let folder = Folder::new();
    let call = convae().args(["evaluate", "--checkpoint"]).arg(folder.path());
    sentence(call.assert().failure().stdout(""), &["is a directory"]);
}

#[test]
fn a_checkpoint_without_a_byte() {
    no_checkpoint("empty.pt", b"", &["is empty", "train again"]);
}

#[test]
fn a_checkpoint_that_is_text() {
    no_checkpoint("text.pt", b"these are not the weights", &["is neither", "PyTorch"]);
}

#[test]
fn a_checkpoint_that_was_cut_short() {
    let bytes = fs::read(weights()).unwrap();
    for length in [20, bytes.len() / 2, bytes.len() - 1] {
        no_checkpoint("short.pt", &bytes[..length], &["train again or use another copy"]);
    }
}

#[test]
fn a_checkpoint_with_a_flipped_bit_in_its_weights() {
    let mut bytes = fs::read(weights()).unwrap();
    let (_, array) = &load(&weights()).unwrap().tensors[0];
    let place = bytes.windows(array.bytes().len()).position(|part| part == array.bytes());
    bytes[place.unwrap()] ^= 1;
    no_checkpoint("flipped.pt", &bytes, &["is damaged", "train again"]);
}

#[test]
fn a_checkpoint_of_another_model_than_the_config_that_was_named() {
    let folder = Folder::new();
    let call = convae().args(["apply", "--checkpoint"]).arg(weights()).out(folder.at("out"));
    let call = call.args(["--config", "plain.toml"]).arg(run().join("input_tiny.png"));
    call.refused(&["tiny.pt", "is of another model", "--config"]);
    assert!(names(folder.path()).is_empty());
}

#[test]
fn a_checkpoint_whose_model_was_changed_on_the_command_line() {
    let call = convae().args(["evaluate", "--checkpoint"]).arg(weights());
    let words = ["tiny.pt", "is of another model", "encoder.conv2d.weight", "[2, 1, 5, 5]"];
    call.set("model.encoder[0].kernel_size=5").refused(&words);
}

#[test]
fn weights_that_do_not_say_what_model_they_are_of() {
    let folder = Folder::new();
    let bare = folder.at("bare.pt");
    copy_bare_weights(&weights(), &bare);
    for call in openings(&bare, &folder.at("out")) {
        call.refused(&["bare.pt", "does not say what model", "--config"]);
    }
    assert_eq!(names(folder.path()), ["bare.pt"]);
}

#[test]
fn a_checkpoint_whose_own_config_is_damaged() {
    let folder = Folder::new();
    let mut checkpoint = load(&weights()).unwrap();
    checkpoint.records.insert("config.toml".to_owned(), "name = 3".to_owned());
    save(&folder.at("odd.pt"), &checkpoint).unwrap();
    let call = convae().args(["summary", "--checkpoint"]).arg(folder.at("odd.pt"));
    sentence(call.assert().failure().stdout(""), &["odd.pt", "config.toml", "`name` is 3"]);
}

/// A file of these weights, with one value replaced.
fn replaced(from: &Path, to: &Path, tensor: &str, value: f32) {
    let mut checkpoint = load(from).unwrap();
    let (_, array) =
        checkpoint.tensors.iter_mut().find(|(name, _)| name == tensor).expect("it is there");
    let mut values = array.to_values::<f32>().unwrap();
    *values.last_mut().unwrap() = value;
    *array = Array::from_values(array.shape(), &values).unwrap();
    save(to, &checkpoint).unwrap();
}

#[test]
fn weights_that_are_no_numbers_are_named_by_every_command() {
    let folder = Folder::new();
    let image = run().join("input_tiny.png");
    let codes = folder.at("codes.npz");
    let encode = |model: &Path, out: &Path| {
        convae().args(["encode", "--checkpoint"]).arg(model).out(out).arg(&image)
    };
    encode(&weights(), &codes).succeeds();
    for (file, tensor, value) in [
        ("odd.pt", "decoder.conv2d_transpose.weight", f32::NAN),
        ("odd.safetensors", "encoder.conv2d.bias", f32::INFINITY),
        ("bare.pt", "encoder.conv2d.weight", f32::NEG_INFINITY),
    ] {
        let model = folder.at(file);
        replaced(&weights(), &model, tensor, value);
        let config = run().join("config.toml");
        if file == "bare.pt" {
            copy_bare_weights(&model.clone(), &model);
        }
        let call = |command: &str| {
            let call = convae().args([command, "--checkpoint"]).arg(&model);
            call.arg_if(file == "bare.pt", "--config", &config)
        };
        let out = folder.at("out");
        for call in [
            call("apply").out(&out).arg(&image),
            call("evaluate"),
            call("encode").out(folder.at("out.npz")).arg(&image),
            call("decode").out(&out).arg("--codes").arg(&codes),
            call("neighbours").out(folder.at("out.png")),
            convae().arg("export").arg(&model).out(folder.at("out.onnx")).arg_if(
                file == "bare.pt",
                "--config",
                &config,
            ),
        ] {
            let holds = format!("its `{tensor}` holds {value}");
            call.fails(&[file, "cannot be used", &holds, "learning_rate"]).stdout("");
        }
        if file != "bare.pt" {
            let said = convae::Denoiser::open(&model).unwrap_err().to_string();
            assert!(said.contains(tensor) && said.contains(&value.to_string()), "{said}");
        }
        fs::remove_file(model).unwrap();
        assert_eq!(names(folder.path()), ["codes.npz"]);
    }
}

#[test]
fn a_variance_below_zero_is_refused_and_one_that_rounding_made_is_not() {
    let folder = Folder::new();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format-1/digits.pt");
    let (tensor, model) = ("encoder.batch_normalization.running_var", folder.at("odd.pt"));
    let evaluate = || convae().args(["evaluate", "--checkpoint"]).arg(&model);
    replaced(&from, &model, tensor, -1e-7);
    evaluate().succeeds();
    // Its epsilon is 0.001.
    replaced(&from, &model, tensor, -0.5);
    evaluate().fails(&["odd.pt", tensor, "holds -0.5", "no variance is negative"]).stdout("");
}

#[test]
fn a_weight_beyond_float32_is_refused_where_that_is_what_computes() {
    let folder = Folder::new();
    let mut checkpoint = load(&weights()).unwrap();
    for (_, array) in &mut checkpoint.tensors {
        let values = array.to_values::<f32>().unwrap();
        let doubles: Vec<f64> = values.iter().map(|&value| f64::from(value)).collect();
        *array = Array::from_values(array.shape(), &doubles).unwrap();
    }
    let (name, first) = &mut checkpoint.tensors[0];
    let mut values = first.to_values::<f64>().unwrap();
    values[0] = 1e39;
    *first = Array::from_values(first.shape(), &values).unwrap();
    let words =
        ["large.pt".to_owned(), format!("its `{name}` holds 1e39, which is beyond float32")];
    save(&folder.at("large.pt"), &checkpoint).unwrap();
    let call = || convae().args(["evaluate", "--checkpoint"]).arg(folder.at("large.pt"));
    call().fails(&words.each_ref().map(String::as_str)).stdout("");
    call().set("train.dtype=float64").set("train.engine=libtorch").succeeds();
}

#[test]
fn weights_that_are_whole_numbers() {
    let folder = Folder::new();
    let mut checkpoint = load(&weights()).unwrap();
    for (_, array) in &mut checkpoint.tensors {
        let zeros = vec![0_i64; array.element_count()];
        *array = Array::from_values(array.shape(), &zeros).unwrap();
    }
    save(&folder.at("whole.pt"), &checkpoint).unwrap();
    let call = convae().args(["evaluate", "--checkpoint"]).arg(folder.at("whole.pt"));
    sentence(call.assert().failure().stdout(""), &["whole.pt", "whole numbers"]);
}

#[test]
fn a_config_for_a_checkpoint_that_is_wrong_or_missing() {
    let evaluate = || convae().args(["evaluate", "--checkpoint"]).arg(weights());
    evaluate().args(["--config", "nowhere.toml"]).refused(&["nowhere.toml", "no such config"]);
    evaluate().set("train.batchsize=3").refused(&["`train.batchsize` is not a key"]);
}

#[test]
fn an_evaluation_without_data() {
    let call = convae().args(["evaluate", "--checkpoint"]).arg(weights());
    call.set("data.dir=nowhere").refused(&["nowhere/t10k-images-idx3-ubyte", "is missing"]);
}

// ---- images ----

fn apply(folder: &Folder) -> Convae {
    convae().args(["apply", "--checkpoint"]).arg(weights()).out(folder.at("out"))
}

/// An image that is not taken: one sentence about it, one that counts, exit code 1.
fn bad_image(folder: &Folder, image: &Path, words: &[&str]) {
    let assert = apply(folder).arg(image).assert().code(1).stdout("");
    let stderr = text(&assert.get_output().stderr);
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{stderr}");
    let first = lines[0];
    let file = image.file_name().unwrap().to_string_lossy();
    assert!(first.starts_with("convae: ") && first.contains(&*file), "{first}");
    assert!(words.iter().all(|word| first.contains(word)), "{first} lacks some of {words:?}");
    // A chain of causes that quote each other says everything twice.
    let said: Vec<&str> = first.split(": ").map(|part| part.trim_end_matches('.')).collect();
    assert!(!said.windows(2).any(|pair| pair[0] == pair[1]), "{first}");
    assert_eq!(lines[1], "convae: 1 of 1 images failed");
    assert!(names(&folder.at("out")).is_empty());
}

#[test]
fn an_image_that_is_missing() {
    let folder = Folder::new();
    bad_image(&folder, &folder.at("gone.png"), &["cannot be read", "No such file"]);
}

#[test]
fn an_image_that_is_a_folder() {
    let folder = Folder::new();
    fs::create_dir(folder.at("dir.png")).unwrap();
    bad_image(&folder, &folder.at("dir.png"), &["is a folder", "dir.png"]);
}

#[test]
fn an_image_that_is_not_an_image() {
    let folder = Folder::new();
    for name in ["text", "text.txt", "text.png"] {
        let image = folder.write(name, "this is text");
        bad_image(&folder, &image, &["it is not an image", "PNG, JPEG"]);
    }
}

#[test]
fn an_image_that_was_cut_short() {
    let folder = Folder::new();
    let bytes = fs::read(run().join("input_tiny.png")).unwrap();
    let image = folder.write("short.png", &bytes[..bytes.len() / 2]);
    bad_image(&folder, &image, &["it is damaged"]);
}

#[test]
fn an_image_that_claims_to_be_huge() {
    let folder = Folder::new();
    let mut bytes = fs::read(run().join("input_tiny.png")).unwrap();
    // Width and height follow the signature and the name of the first chunk; then its checksum.
    bytes[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
    let sum = crc32fast::hash(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&sum.to_be_bytes());
    bad_image(&folder, &folder.write("huge.png", bytes), &["it is 65536x65536 pixels", "in all"]);
}

#[test]
fn two_images_that_would_give_the_same_result() {
    let folder = Folder::new();
    for name in ["a/digit.png", "b/digit.png"] {
        fs::create_dir_all(folder.at(name).parent().unwrap()).unwrap();
        GrayImage::new(28, 28).save(folder.at(name)).unwrap();
    }
    for overwrite in [&[][..], &["--overwrite"]] {
        let call = apply(&folder).args(overwrite);
        let call = call.arg(folder.at("a/digit.png")).arg(folder.at("b/digit.png"));
        let assert = call.assert().code(1);
        let stderr = text(&assert.get_output().stderr);
        assert!(stderr.contains("b/digit.png: another image, ") && stderr.contains("rename one"));
        assert!(stderr.ends_with("convae: 1 of 2 images failed\n"), "{stderr}");
        assert_eq!(names(&folder.at("out")), ["digit.png"]);
        fs::remove_dir_all(folder.at("out")).unwrap();
    }
}

#[test]
fn a_result_that_is_already_there_is_kept() {
    let folder = Folder::new();
    GrayImage::new(28, 28).save(folder.at("digit.png")).unwrap();
    folder.write("out/digit.png", "old");
    let printed = apply(&folder).arg(folder.at("digit.png")).succeeds();
    assert!(
        printed.contains("already there, kept") && printed.contains("--overwrite"),
        "{printed}"
    );
    assert_eq!(fs::read_to_string(folder.at("out/digit.png")).unwrap(), "old");
}

#[test]
fn an_image_is_never_replaced_by_its_own_result() {
    let folder = Folder::new();
    GrayImage::new(28, 28).save(folder.at("digit.png")).unwrap();
    let before = fs::read(folder.at("digit.png")).unwrap();
    let call = convae().args(["apply", "--checkpoint"]).arg(weights()).arg("--overwrite");
    let call = call.out(folder.path()).arg(folder.at("digit.png"));
    call.assert().code(1).stdout("");
    assert_eq!(fs::read(folder.at("digit.png")).unwrap(), before);
}

#[test]
fn a_folder_for_results_that_is_a_file() {
    let folder = Folder::new();
    let file = folder.write("out", "mine");
    let call = apply(&folder).arg(run().join("input_tiny.png"));
    call.refused(&[file.to_str().unwrap(), "is a file", "--out"]);
    assert_eq!(fs::read_to_string(file).unwrap(), "mine");
}

#[test]
fn a_file_name_that_is_not_text() {
    let folder = Folder::new();
    let name = std::ffi::OsStr::from_bytes(b"gone-\xff.png");
    bad_image(&folder, &folder.path().join(name), &["cannot be read"]);
}

// ---- while it computes ----

/// A limit of 5 GB on addresses, which libtorch fits into and the models below do not.
const LITTLE_MEMORY: &str = r#"ulimit -v 5000000; exec "$0" "$@""#;

#[test]
fn too_little_memory_for_the_activations() {
    let folder = Folder::new();
    let call = convae_in(LITTLE_MEMORY).train("plain.toml").out(folder.at("out"));
    let call = call.set("train.engine=libtorch").set("train.batch_size=64");
    let call = call.set("model.encoder[0].filters=65536"); // 13 GB
    call.fails(&["not enough memory", "train.batch_size"]);
    assert_eq!(names(&folder.at("out")), NOTHING_YET);
}

#[test]
fn too_little_memory_for_the_native_engine() {
    let folder = Folder::new();
    let call = convae_in(LITTLE_MEMORY).train("plain.toml").out(folder.at("out"));
    let call = call.set("train.engine=native").set("train.threads=16");
    let call = call.set("model.encoder[0].filters=65536"); // 0.4 GB for each thread's image
    call.fails(&["not enough memory", "train.batch_size"]);
    assert_eq!(names(&folder.at("out")), NOTHING_YET);
}

#[test]
fn too_little_memory_for_the_weights() {
    let folder = Folder::new();
    let config = folder.write("tiny.toml", tiny());
    let call = convae_in(LITTLE_MEMORY).train(config).out(folder.at("out"));
    let units = |units: u32| format!("{{ layer = \"Dense\", units = {units} }}");
    let encoder = format!("model.encoder=[{{ layer = \"Flatten\" }}, {}]", units(2_000_000)); // 6 GB
    let reshape = r#"{ layer = "Reshape", target_shape = [28, 28, 1] }"#;
    let decoder = format!("model.decoder=[{}, {}, {reshape}]", units(1), units(784));
    call.set(&encoder)
        .set(&decoder)
        .fails(&["not enough memory", "make the model's layers or images smaller"]);
}

/// Ten layers that change nothing, until one step of SGD takes their weights from 1 to about -100
/// and so the output out of float32.
fn diverging(folder: &Folder, batch_size: usize) -> Convae {
    let layer =
        r#"{ layer = "Conv2D", filters = 1, kernel_size = 1, kernel_initializer = "ones" }, "#;
    let config = format!(
        "name = \"far\"\n[model]\nencoder = []\ndecoder = [{}]\n[corruption]\nkind = \"gaussian\"\n",
        layer.repeat(10)
    );
    let call = train(folder.write("far.toml", config)).out(folder.at("out"));
    let call = call.set("train.loss=mse").set(&format!("train.batch_size={batch_size}"));
    call.set("train.optimizer={ name = \"SGD\", learning_rate = 1000 }")
}

#[test]
fn a_learning_rate_that_makes_the_loss_infinite() {
    let folder = Folder::new();
    let words = ["the loss became ", "in epoch 1", "train.optimizer.learning_rate", "1000"];
    diverging(&folder, 32).fails(&words);
    assert_eq!(names(&folder.at("out")), NOTHING_YET);
}

#[test]
fn a_run_that_diverges_keeps_the_checkpoint_from_before() {
    let folder = Folder::new();
    let call = diverging(&folder, 16).set("train.checkpoint_every=1");
    call.fails(&["the loss became ", "in epoch 1", "train.optimizer.learning_rate"]);
    // The first step is large, but only the second one's loss is infinite.
    assert_eq!(names(&folder.at("out/checkpoints")), ["epoch-0001-step-000001.pt"]);
}

#[test]
fn a_last_step_that_only_the_validation_finds_to_be_ruinous() {
    let folder = Folder::new();
    let words = ["loss became ", "in epoch 1", "train.optimizer.learning_rate", "1000"];
    diverging(&folder, 64).fails(&words);
    assert_eq!(names(&folder.at("out")), NOTHING_YET);
}
