//! What a trained model is used for beside `apply`: its figures on a test set, codes in and out, and
//! images that it takes for alike. Wrong input of each command is at the end.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use convae::formats::codes::Codes;
use convae::formats::npy::Header;
use image::{GrayImage, RgbImage, RgbaImage};
use serde_json::Value;

use crate::common::{
    Convae, Folder, convae, digits, is_sentence, names, python, sentence, text, tiny, train,
};

// ---- runs that many tests only read ----

/// plain.toml, trained on few digits.
fn plain() -> &'static Path {
    static RUN: OnceLock<Folder> = OnceLock::new();
    RUN.get_or_init(|| trained("plain.toml")).path()
}

/// denoise.toml, trained on few digits.
fn noise() -> &'static Path {
    static RUN: OnceLock<Folder> = OnceLock::new();
    RUN.get_or_init(|| trained("denoise.toml")).path()
}

/// blog-vae.toml, trained on few digits.
fn variational() -> &'static Path {
    static RUN: OnceLock<Folder> = OnceLock::new();
    RUN.get_or_init(|| trained("blog-vae.toml")).path()
}

/// A model whose code is ten values, in a row.
fn dense() -> &'static Path {
    static RUN: OnceLock<Folder> = OnceLock::new();
    let run = RUN.get_or_init(|| {
        let folder = Folder::lasting();
        let flat = "{ layer = \"Flatten\" }, { layer = \"Dense\", units = 10 }";
        let square = "{ layer = \"Dense\", units = 784, activation = \"sigmoid\" }, { layer = \"Reshape\", target_shape = [28, 28, 1] }";
        let config = format!(
            "name = \"dense\"\n[model]\nencoder = [{flat}]\ndecoder = [{square}]\n[train]\nepochs = 5\n"
        );
        let config = folder.write("dense.toml", config);
        train(config).out(folder.path()).succeeds();
        folder
    });
    run.path()
}

fn trained(config: &str) -> Folder {
    let folder = Folder::lasting();
    train(config).out(folder.path()).succeeds();
    folder
}

/// A model that learned from the images of one folder, and was tested on those of another.
fn trained_on(train: &Path, test: &Path, more: &str) -> Folder {
    let folder = Folder::new();
    let (train, test) = (train.display(), test.display());
    let data = format!("kind = \"images\"\ntrain = \"{train}\"\ntest = \"{test}\"\n{more}");
    let old = format!("dir = \"{}\"", digits().display());
    let config = folder.write("own.toml", tiny().replace(&old, &data));
    convae().arg("--config").arg(config).out(folder.at("run")).succeeds();
    folder
}

fn call(command: &str, checkpoint: impl AsRef<Path>) -> Convae {
    convae().args([command, "--checkpoint"]).arg(checkpoint.as_ref())
}

fn evaluate() -> Convae {
    call("evaluate", noise().join("noise.pt"))
}

fn encode(out: &Path) -> Convae {
    call("encode", plain().join("normal.pt")).out(out)
}

fn decode(codes: &Path, out: &Path) -> Convae {
    call("decode", plain().join("normal.pt")).arg("--codes").arg(codes).out(out)
}

fn neighbours(out: &Path) -> Convae {
    call("neighbours", plain().join("normal.pt")).out(out)
}

fn json(printed: &str) -> Value {
    serde_json::from_str(printed).unwrap()
}

fn grey(path: &Path) -> GrayImage {
    image::open(path).unwrap().into_luma8()
}

/// Largest difference of two images of one size.
fn difference(a: &GrayImage, b: &GrayImage) -> u8 {
    assert_eq!(a.dimensions(), b.dimensions());
    a.iter().zip(b.iter()).map(|(&a, &b)| a.abs_diff(b)).max().unwrap()
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// An image of stripes, none like another.
fn stripes(width: u32, height: u32, period: u32) -> GrayImage {
    GrayImage::from_fn(width, height, |x, y| {
        image::Luma([((x + 2 * y) % period * 255 / period) as u8])
    })
}

/// A folder with the stripes of three periods, one of them in a folder below.
fn stripe_folder(width: u32, height: u32) -> Folder {
    let folder = Folder::new();
    fs::create_dir(folder.at("below")).unwrap();
    for (name, period) in [("five.png", 5), ("below/nine.png", 9), ("six.png", 6)] {
        stripes(width, height, period).save(folder.at(name)).unwrap();
    }
    folder
}

// ---- evaluate ----

#[test]
fn evaluate_gives_the_loss_of_training_and_the_mean_of_the_images_as_json() {
    let history = json(&fs::read_to_string(noise().join("history.json")).unwrap());
    let report = json(&evaluate().args(["--json", "--per-file"]).succeeds());
    assert_eq!(report["pictures"], 20);
    assert_eq!(report["loss_function"], "binary_crossentropy");
    let result = &report["results"][0];
    assert_eq!(result["loss"], history["epochs"][0]["val_loss"]);
    let files = result["files"].as_array().unwrap();
    assert_eq!(files.len(), 20);
    assert_eq!((&files[0]["name"], &files[19]["name"]), (&"00".into(), &"19".into()));
    for part in ["input", "output"] {
        for figure in ["psnr", "ssim"] {
            let all = files.iter().map(|file| file[part][figure].as_f64().unwrap());
            let mean = all.sum::<f64>() / 20.0;
            let total = result[part][figure].as_f64().unwrap();
            assert!((mean - total).abs() < 1e-9, "{part} {figure}: {mean}, {total}");
        }
    }
}

#[test]
fn evaluate_leaves_single_images_and_the_input_of_a_plain_model_out_of_its_json() {
    let report = json(&call("evaluate", plain().join("normal.pt")).arg("--json").succeeds());
    let result = report["results"][0].as_object().unwrap();
    assert!(result["input"].is_null() && result["output"]["psnr"].as_f64().unwrap() > 5.0);
    assert!(!result.contains_key("files") && !result.contains_key("noise"));
}

#[test]
fn evaluate_lists_each_image_in_a_row() {
    let printed = evaluate().arg("--per-file").succeeds();
    assert!(printed.starts_with("20 test images\nloss (binary_crossentropy)  0."), "{printed}");
    let (_, table) = printed.split_once("\n\n").unwrap();
    let rows: Vec<Vec<&str>> =
        table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0][..3], ["image", "input", "PSNR"]);
    assert_eq!(rows.len(), 21);
    assert!(rows[1..].iter().all(|row| row.len() == 5), "{table}");
    assert_eq!((rows[1][0], rows[20][0]), ("00", "19"));
}

#[test]
fn evaluate_of_a_level_of_noise_is_that_of_a_config_with_this_noise() {
    let levels = json(&evaluate().args(["--noise", "0.1,0.3", "--json"]).succeeds());
    let levels = levels["results"].as_array().unwrap();
    assert_eq!(levels.len(), 2);
    for (level, noise) in levels.iter().zip([0.1, 0.3]) {
        assert_eq!(level["noise"], noise);
        let change = format!("corruption={{kind=\"gaussian\",factor={noise}}}");
        let same = json(&evaluate().set(&change).arg("--json").succeeds());
        for figure in ["loss", "input", "output"] {
            assert_eq!(level[figure], same["results"][0][figure], "{noise}, {figure}");
        }
    }
    let psnr = |i: usize| levels[i]["input"]["psnr"].as_f64().unwrap();
    // Clipping takes away about half of the noise on a digit's black and white.
    assert!((20.0..26.0).contains(&psnr(0)) && (11.0..16.0).contains(&psnr(1)));
}

#[test]
fn evaluate_prints_a_row_for_each_level_of_noise() {
    let printed = evaluate().args(["--noise", "0.1,0.2,0.25"]).succeeds();
    let rows: Vec<Vec<&str>> =
        printed.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0][..3], ["noise", "loss", "(binary_crossentropy)"]);
    assert_eq!(rows[1..].iter().map(|row| row[0]).collect::<Vec<_>>(), ["0.1", "0.2", "0.25"]);
    assert!(rows[1..].iter().all(|row| row.len() == 6), "{printed}");
    // Of a plain model too, whose own inputs are its targets.
    let plain = call("evaluate", plain().join("normal.pt")).args(["--noise=0.2", "--per-file"]);
    let printed = plain.succeeds();
    assert!(printed.contains("\nnoise 0.2\n") && !printed.contains(" - "), "{printed}");
}

// ---- encode and decode ----

#[test]
fn the_test_sets_codes_have_the_codes_shape_and_a_number_for_a_name() {
    let folder = Folder::new();
    let printed = encode(&folder.at("codes.npz")).succeeds();
    let shown = folder.at("codes.npz");
    assert_eq!(printed, format!("20 codes of 7x7x8 -> {}\n", shown.display()));
    let codes = Codes::open(&shown).unwrap();
    assert_eq!((codes.len(), codes.shape.as_slice()), (20, &[7, 7, 8][..]));
    assert_eq!((codes.names[0].as_str(), codes.names[19].as_str()), ("00", "19"));
    encode(&folder.at("codes.safetensors")).succeeds();
    assert_eq!(Codes::open(&folder.at("codes.safetensors")).unwrap(), codes);
}

#[test]
fn both_engines_give_the_same_codes_and_draw_the_same_images() {
    for checkpoint in [plain().join("normal.pt"), dense().join("dense.pt")] {
        let folder = Folder::new();
        for engine in ["native", "libtorch"] {
            let (codes, drawn) = (folder.at(&format!("{engine}.npz")), folder.at(engine));
            let engine = format!("train.engine={engine}");
            call("encode", &checkpoint).set(&engine).out(&codes).succeeds();
            let decode = call("decode", &checkpoint).set(&engine).arg("--codes").arg(&codes);
            decode.out(&drawn).succeeds();
        }
        let codes = |engine: &str| Codes::open(&folder.at(&format!("{engine}.npz"))).unwrap();
        let (native, libtorch) = (codes("native"), codes("libtorch"));
        let largest = libtorch.values.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
        assert!(distance(&native.values, &libtorch.values) <= 1e-5 * largest.max(1.0));
        assert_eq!(names(&folder.at("native")).len(), 20);
        for name in names(&folder.at("native")) {
            let [a, b] = ["native", "libtorch"].map(|engine| grey(&folder.at(engine).join(&name)));
            assert!(difference(&a, &b) <= 1, "{name}");
        }
    }
}

#[test]
fn decoding_what_was_encoded_draws_what_the_whole_model_gives() {
    for (run, name) in [(plain(), "normal"), (dense(), "dense"), (variational(), "blog-vae")] {
        let folder = Folder::new();
        let input = run.join(format!("input_{name}.png"));
        let checkpoint = run.join(format!("{name}.pt"));
        let codes = folder.at("codes.npz");
        call("encode", &checkpoint).out(&codes).arg(&input).succeeds();
        assert_eq!(Codes::open(&codes).unwrap().names, [format!("input_{name}.png")]);
        let decode = call("decode", &checkpoint).arg("--codes").arg(&codes);
        let printed = decode.out(folder.at("drawn")).succeeds();
        assert!(printed.starts_with("1 image -> "), "{printed}");
        let drawn = grey(&folder.at("drawn").join(format!("input_{name}.png")));
        assert!(difference(&drawn, &grey(&run.join(format!("output_{name}.png")))) <= 1);
    }
}

#[test]
fn an_image_has_the_code_of_the_same_image_in_the_test_set() {
    let folder = Folder::new();
    encode(&folder.at("set.npz")).succeeds();
    encode(&folder.at("file.npz")).arg(plain().join("input_normal.png")).succeeds();
    let [set, file] = ["set.npz", "file.npz"].map(|name| Codes::open(&folder.at(name)).unwrap());
    // A batch of another size may round differently.
    assert!(distance(&set.values[..set.length()], &file.values) <= 1e-5);
}

#[test]
fn folders_are_searched_and_names_and_folders_are_kept() {
    let (images, folder) = (stripe_folder(28, 28), Folder::new());
    encode(&folder.at("codes.npz")).arg(images.path()).succeeds();
    let codes = Codes::open(&folder.at("codes.npz")).unwrap();
    assert_eq!(codes.names, ["below/nine.png", "five.png", "six.png"]);
    let out = folder.at("drawn");
    decode(&folder.at("codes.npz"), &out).succeeds();
    assert_eq!(names(&out), ["below", "five.png", "six.png"]);
    assert_eq!(names(&out.join("below")), ["nine.png"]);
}

#[test]
fn a_convolutional_model_takes_images_of_another_size_there_and_back() {
    let (images, folder) = (stripe_folder(40, 32), Folder::new());
    let printed = encode(&folder.at("codes.npz")).arg(images.path()).succeeds();
    assert!(printed.starts_with("3 codes of 8x10x8 -> "), "{printed}");
    decode(&folder.at("codes.npz"), &folder.at("drawn")).succeeds();
    let apply = call("apply", plain().join("normal.pt")).out(folder.at("applied"));
    let apply = apply.set("model.input_shape=[32,40,1]").arg(images.at("five.png"));
    apply.succeeds();
    let [drawn, applied] = ["drawn", "applied"].map(|out| grey(&folder.at(out).join("five.png")));
    assert!(difference(&drawn, &applied) <= 1);
}

#[test]
fn an_image_that_fails_does_not_stop_the_others() {
    let (images, folder) = (stripe_folder(28, 28), Folder::new());
    images.write("a broken.png", "no image");
    stripes(28, 30, 5).save(images.at("high.png")).unwrap();
    let assert = encode(&folder.at("codes.npz")).arg(images.path()).assert().code(1);
    let stderr = text(&assert.get_output().stderr);
    let lines: Vec<&str> = stderr.lines().collect();
    assert!(lines[0].contains("a broken.png: it is not an image"), "{stderr}");
    assert!(lines[1].contains("high.png: it is 28x30 pixels, 28x28 are expected"), "{stderr}");
    assert_eq!(lines[2..], ["convae: 2 of 5 images failed"]);
    let codes = Codes::open(&folder.at("codes.npz")).unwrap();
    assert_eq!(codes.names, ["below/nine.png", "five.png", "six.png"]);
}

#[test]
fn a_grey_model_encodes_the_grey_of_coloured_images_and_says_how_many_there_are() {
    let folder = Folder::new();
    let red = RgbImage::from_fn(28, 28, |x, _| image::Rgb([x as u8 * 9, 0, 0]));
    red.save(folder.at("a red.png")).unwrap();
    // BT.601 in Pillow's integers.
    let luma = |x: u32| ((x * 9 * 19_595 + (1 << 15)) >> 16) as u8;
    let grey = GrayImage::from_fn(28, 28, |x, _| image::Luma([luma(x)]));
    grey.save(folder.at("grey.png")).unwrap();
    let call =
        encode(&folder.at("codes.npz")).args([folder.at("a red.png"), folder.at("grey.png")]);
    let said = text(&call.assert().success().get_output().stderr);
    assert!(is_sentence(&said), "{said}");
    assert!(said.contains("1 of 2 images are coloured; the model is grey"), "{said}");
    let codes = Codes::open(&folder.at("codes.npz")).unwrap();
    let (red, grey) = codes.values.split_at(codes.length());
    assert_eq!(red, grey);
    let call = neighbours(&folder.at("alike.png")).arg("--among").arg(folder.at("grey.png"));
    let said = text(&call.arg(folder.at("a red.png")).assert().success().get_output().stderr);
    assert!(said.contains("1 of 1 images are coloured"), "{said}");
}

#[test]
fn an_image_that_equals_its_target_is_left_out_of_the_mean_psnr_and_said() {
    let folder = Folder::new();
    fs::create_dir_all(folder.at("images")).unwrap();
    for (name, image) in [
        ("a.png", stripes(28, 28, 3)),
        ("b.png", stripes(28, 28, 5)),
        ("c.png", stripes(28, 28, 7)),
        ("black.png", GrayImage::new(28, 28)),
    ] {
        image.save(folder.at("images").join(name)).unwrap();
    }
    let (learned, images) = (stripe_folder(28, 28), folder.at("images"));
    // Noise in proportion to the values leaves black as it is.
    let trained = trained_on(learned.path(), &images, "\n[corruption]\nkind = \"speckle\"\n");
    let call = || call("evaluate", trained.at("run/tiny.pt"));
    let report = json(&call().args(["--json", "--per-file"]).succeeds());
    let found = &report["results"][0];
    let psnr = |file: &Value| file["input"]["psnr"].as_f64();
    let all: Vec<Option<f64>> = found["files"].as_array().unwrap().iter().map(psnr).collect();
    let finite: Vec<f64> = all.iter().copied().flatten().collect();
    assert_eq!((all.len(), finite.len()), (4, 3));
    let mean = finite.iter().sum::<f64>() / 3.0;
    assert!((found["input"]["psnr"].as_f64().unwrap() - mean).abs() < 1e-12, "{found}");
    assert_eq!(found["input"]["left_out"], 1);
    assert!(found["output"].get("left_out").is_none(), "{found}");
    let printed = call().succeeds();
    assert!(printed.contains(&format!("input:  PSNR {mean:.2} dB")), "{printed}");
    let said = "1 input equals its target, and the mean PSNR leaves it out\n";
    assert!(printed.ends_with(said), "{printed}");
    let page = fs::read_to_string(trained.at("run/report.html")).unwrap();
    assert!(page.contains("as trained: 1 input equals its target"), "the page is silent");
}

#[test]
fn transparency_is_dropped_and_said() {
    let folder = Folder::new();
    for (name, alpha) in [("a.png", 255), ("b.png", 0)] {
        let picture = RgbaImage::from_pixel(28, 28, image::Rgba([90, 90, 90, alpha]));
        picture.save(folder.at(name)).unwrap();
    }
    let call = encode(&folder.at("codes.npz")).args([folder.at("a.png"), folder.at("b.png")]);
    let said = "convae: 2 of 2 images have transparency, which is dropped\n";
    call.assert().success().stderr(said);
    let codes = Codes::open(&folder.at("codes.npz")).unwrap();
    let (a, b) = codes.values.split_at(codes.length());
    assert_eq!(a, b);
}

#[test]
fn images_of_a_folder_keep_their_names_in_evaluations_and_codes() {
    let (train, test) = (stripe_folder(28, 28), stripe_folder(28, 28));
    let folder = trained_on(train.path(), test.path(), "");
    let model = folder.at("run/tiny.pt");
    let expected = ["below/nine.png", "five.png", "six.png"];
    let report = json(&call("evaluate", &model).args(["--json", "--per-file"]).succeeds());
    let files = report["results"][0]["files"].as_array().unwrap().iter();
    assert_eq!(files.map(|file| file["name"].as_str().unwrap()).collect::<Vec<_>>(), expected);
    call("encode", &model).out(folder.at("set.npz")).succeeds();
    call("encode", &model).out(folder.at("files.npz")).arg(test.path()).succeeds();
    let [set, files] = ["set.npz", "files.npz"].map(|name| Codes::open(&folder.at(name)).unwrap());
    assert_eq!(set.names, expected);
    assert_eq!(set, files);
}

/// What numpy and safetensors read, and what numpy writes between two codes.
const PYTHON: &str = r#"
import numpy as np
from safetensors import safe_open
import json
ours = np.load("codes.npz", allow_pickle=False)
codes, names = ours["codes"], ours["names"]
assert codes.dtype == np.float32 and codes.shape == (3, 7, 7, 8), (codes.dtype, codes.shape)
assert names.tolist() == ["below/nine.png", "five.png", "six.png"], names
with safe_open("codes.safetensors", "np") as file:
    assert (file.get_tensor("codes") == codes).all()
    assert json.loads(file.metadata()["names"]) == names.tolist()
between = (codes[:1].astype(np.float64) + codes[1:2]) / 2
np.savez_compressed("between.npz", codes=between, names=np.array(["half \u00e4"]))
np.savez("bare.npz", codes=codes)
"#;

#[test]
fn python_reads_the_codes_and_writes_some_that_we_read() {
    let Some(python) = python() else { return };
    let (images, folder) = (stripe_folder(28, 28), Folder::new());
    for name in ["codes.npz", "codes.safetensors"] {
        encode(&folder.at(name)).arg(images.path()).succeeds();
    }
    let run =
        Command::new(python).args(["-c", PYTHON]).current_dir(folder.path()).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let [all, between] =
        ["codes.npz", "between.npz"].map(|name| Codes::open(&folder.at(name)).unwrap());
    let length = all.length();
    let half: Vec<f32> =
        (0..length).map(|i| f32::midpoint(all.values[i], all.values[length + i])).collect();
    assert!(distance(&between.values, &half) <= 1e-6);
    decode(&folder.at("between.npz"), &folder.at("drawn")).succeeds();
    assert_eq!(names(&folder.at("drawn")), ["half \u{e4}.png"]);
    decode(&folder.at("bare.npz"), &folder.at("bare")).succeeds();
    assert_eq!(names(&folder.at("bare")), ["0.png", "1.png", "2.png"]);
}

#[test]
fn colours_go_through_codes_and_grey_images_are_repeated() {
    let folder = Folder::new();
    fs::create_dir(folder.at("images")).unwrap();
    for (name, blue) in [("a.png", 0), ("b.png", 200)] {
        let picture =
            RgbImage::from_fn(28, 28, |x, y| image::Rgb([9 * x as u8, 9 * y as u8, blue]));
        picture.save(folder.at("images").join(name)).unwrap();
    }
    let old = format!("dir = \"{}\"\n\n[model]\n", digits().display());
    let data = format!(
        "kind = \"images\"\ntrain = {:?}\ntest_fraction = 0.5\n\n[model]\ninput_shape = [28, 28, 3]\n",
        folder.at("images")
    );
    let config = tiny().replace(&old, &data).replace("filters = 1", "filters = 3");
    let config = folder.write("own.toml", config);
    convae().arg("--config").arg(config).out(folder.at("run")).succeeds();
    let (model, codes) = (folder.at("run/tiny.pt"), folder.at("codes.npz"));
    stripes(28, 28, 5).save(folder.at("images/grey.png")).unwrap();
    call("encode", &model).out(&codes).arg(folder.at("images")).succeeds();
    call("decode", &model).arg("--codes").arg(&codes).out(folder.at("drawn")).succeeds();
    call("apply", &model).out(folder.at("applied")).arg(folder.at("images")).succeeds();
    for name in ["a.png", "b.png", "grey.png"] {
        let [drawn, applied] =
            ["drawn", "applied"].map(|out| image::open(folder.at(out).join(name)).unwrap());
        let (drawn, applied) = (drawn.as_rgb8().unwrap(), applied.as_rgb8().unwrap());
        let near = drawn.iter().zip(applied.iter()).all(|(a, b)| a.abs_diff(*b) <= 1);
        assert!(near, "{name}");
    }
}

// ---- neighbours ----

/// A square of a page of images of 28x28 pixels.
fn cell(page: &GrayImage, column: u32, row: u32) -> GrayImage {
    image::imageops::crop_imm(page, 28 * column, 28 * row, 28, 28).to_image()
}

#[test]
fn the_plane_of_a_variational_model_is_one_image_of_all_digits() {
    let folder = Folder::new();
    let draw = || call("decode", variational().join("blog-vae.pt"));
    let out = folder.at("plane.png");
    draw().args(["--grid", "3", "--scale", "2"]).out(&out).succeeds();
    let page = grey(&out);
    assert_eq!(page.dimensions(), (84, 84));
    // The upper left is (-2, 2), and the middle 0.
    let mut codes = Codes::new(vec![2]);
    codes.push("corner".to_owned(), &[-2.0, 2.0]);
    codes.push("middle".to_owned(), &[0.0, 0.0]);
    let file = folder.at("codes.npz");
    codes.save(&file).unwrap();
    draw().arg("--codes").arg(&file).out(folder.at("drawn")).succeeds();
    let drawn = |name: &str| grey(&folder.at("drawn").join(format!("{name}.png")));
    assert_eq!(cell(&page, 0, 0), drawn("corner"));
    assert_eq!(cell(&page, 1, 1), drawn("middle"));
    let walk = folder.at("walk.png");
    let walking = || draw().arg("--codes").arg(&file);
    walking().args(["--walk", "corner", "middle"]).out(&walk).succeeds();
    let page = grey(&walk);
    assert_eq!(page.dimensions(), (280, 28));
    assert_eq!(cell(&page, 0, 0), drawn("corner"));
    assert_eq!(cell(&page, 9, 0), drawn("middle"));
    let said = ["\"center\", which no code is called", "corner, middle"];
    walking().args(["--walk", "center", "middle"]).out(folder.at("no.png")).refused(&said);
    draw().args(["--samples", "12"]).out(folder.at("some.png")).succeeds();
    assert_eq!(grey(&folder.at("some.png")).dimensions(), (280, 56));
    draw().args(["--grid", "3"]).out(&out).refused(&["already there", "--overwrite"]);
    draw().args(["--grid", "3"]).out(folder.at("a.jpg")).refused(&["another ending than .png"]);
    let call = draw().args(["--grid", "3", "--scale=-1"]).out(folder.at("no.png"));
    call.refused(&["--scale is -1", "above 0"]);
    let flat = call_dense("decode").args(["--grid", "3"]).out(folder.at("no.png"));
    flat.refused(&["--grid is for codes of two values, and the model's are 10", "--samples"]);
}

#[test]
fn the_report_of_a_variational_model_shows_its_plane_a_walk_and_random_codes() {
    let page = fs::read_to_string(variational().join("report.html")).unwrap();
    assert!(page.contains("Images of codes"), "no section");
    for alt in
        ["grid over the plane of the codes", "walk between two codes", "images of random codes"]
    {
        assert!(page.contains(alt), "{alt}");
    }
    assert!(!fs::read_to_string(plain().join("report.html")).unwrap().contains("Images of codes"));
}

#[test]
fn neighbours_of_signals_are_drawn_as_curves() {
    let folder = Folder::new();
    let values: Vec<u8> =
        (0..40 * 32).flat_map(|i| ((i * i % 97) as f32 / 97.0).to_le_bytes()).collect();
    folder.write("signals.npy", [Header::bytes("<f4", &[40, 16, 2]), values].concat());
    let text = format!(
        "name = \"signal\"\n[data]\nkind = \"npz\"\nfile = {:?}\n[model]\ninput_shape = [16, 2]\n\
         encoder = [{{ layer = \"Conv1D\", filters = 1, kernel_size = 3, padding = \"same\" }}]\n\
         decoder = [{{ layer = \"Conv1D\", filters = 2, kernel_size = 3, padding = \"same\" }}]\n\
         [train]\nepochs = 1\n",
        folder.at("signals.npy")
    );
    let config = folder.write("signal.toml", text);
    convae().arg("--config").arg(config).out(folder.at("run")).succeeds();
    let out = folder.at("alike.png");
    call("neighbours", folder.at("run/signal.pt")).args(["--count", "2"]).out(&out).succeeds();
    // Each row is as high as a drawing of a signal, 64 pixels, and not as an image of one row.
    let page = grey(&out);
    assert!(page.height() > 400 && page.width() > 3 * 96, "{:?}", page.dimensions());
}

#[test]
fn neighbours_of_the_test_images_are_drawn_from_the_training_set() {
    let folder = Folder::new();
    let out = folder.at("alike.png");
    let printed = neighbours(&out).args(["--count", "3"]).succeeds();
    assert_eq!(printed, format!("the nearest of 64 images to 10 -> {}\n", out.display()));
    let page = grey(&out);
    assert!(page.width() > 4 * 112 && page.height() > 10 * 112, "{:?}", page.dimensions());
}

/// An image of 28x28 in the first row. The query stands 16 from the left and 52 from the top,
/// enlarged four times; then comes the nearest, 6 + 40 further on, and the next, 6 further on.
fn first_row(page: &GrayImage, column: usize) -> Vec<u8> {
    let left = [16, 16 + 112 + 46, 16 + 112 + 46 + 118][column];
    let spots = (0..28).flat_map(|y| (0..28).map(move |x| (x, y)));
    spots.map(|(x, y)| page.get_pixel(left + 4 * x + 2, 52 + 4 * y + 2).0[0]).collect()
}

#[test]
fn a_image_is_not_its_own_neighbour_but_its_copy_is_the_nearest() {
    let (images, folder) = (stripe_folder(28, 28), Folder::new());
    fs::copy(images.at("five.png"), images.at("a copy.png")).unwrap();
    let out = folder.at("alike.png");
    let call = neighbours(&out).arg("--among").arg(images.path()).args(["--count", "2"]);
    let printed = call.arg(images.at("five.png")).succeeds();
    assert!(printed.starts_with("the nearest of 4 images to 1 -> "), "{printed}");
    let page = grey(&out);
    let [query, nearest, next] = [0, 1, 2].map(|column| first_row(&page, column));
    assert_eq!(query, stripes(28, 28, 5).into_raw());
    assert_eq!(nearest, query);
    assert!(next != query && next.iter().any(|&value| value != 255));
}

#[test]
fn neighbours_of_another_size_are_looked_for_in_a_folder() {
    let (images, folder) = (stripe_folder(40, 32), Folder::new());
    let call = neighbours(&folder.at("alike.png")).arg(images.at("five.png"));
    call.arg("--among").arg(images.path()).succeeds();
    let call = neighbours(&folder.at("more.png")).arg(images.at("five.png"));
    call.refused(&["40x32", "training set", "28x28", "--among"]);
    assert_eq!(names(folder.path()), ["alike.png"]);
}

#[test]
fn a_training_image_is_not_its_own_neighbour() {
    let (train, test) = (stripe_folder(28, 28), stripe_folder(28, 28));
    let folder = trained_on(train.path(), test.path(), "");
    let (out, model) = (folder.at("alike.png"), folder.at("run/tiny.pt"));
    let query = train.at("five.png");
    call("neighbours", &model).out(&out).args(["--count", "1"]).arg(query).succeeds();
    let page = grey(&out);
    assert_eq!(first_row(&page, 0), stripes(28, 28, 5).into_raw());
    assert_ne!(first_row(&page, 1), first_row(&page, 0));
}

#[test]
fn neighbours_say_once_that_a_test_image_is_left_out() {
    let (train, test) = (stripe_folder(28, 28), stripe_folder(28, 28));
    let folder = trained_on(train.path(), test.path(), "on_error = \"skip\"");
    test.write("broken.png", "no image");
    let call = call("neighbours", folder.at("run/tiny.pt")).out(folder.at("alike.png"));
    let stderr = text(&call.assert().success().get_output().stderr);
    assert_eq!(stderr.matches("broken.png").count(), 1, "{stderr}");
}

// ---- wrong input ----

#[test]
fn a_level_of_noise_that_is_none() {
    for level in ["much", "-1", "nan", "inf", "101", "0.1,,0.2", ""] {
        let call = evaluate().arg(format!("--noise={level}"));
        call.refused(&["--noise has \"", "0 to 100", "0.1,0.2,0.3"]);
    }
}

#[test]
fn noise_on_top_of_pairs() {
    let (noisy, clean, folder) = (stripe_folder(28, 28), stripe_folder(28, 28), Folder::new());
    let pairs = format!("kind = \"pairs\"\nnoisy = {:?}\nclean = {:?}", noisy.path(), clean.path());
    let old = format!("dir = \"{}\"", digits().display());
    let config = folder.write("own.toml", tiny().replace(&old, &pairs));
    convae().arg("--config").arg(config).out(folder.at("run")).succeeds();
    let evaluate = || call("evaluate", folder.at("run/tiny.pt"));
    assert!(evaluate().succeeds().contains("\ninput:  PSNR inf dB"));
    assert!(json(&evaluate().arg("--json").succeeds())["results"][0]["input"]["psnr"].is_null());
    evaluate().args(["--noise", "0.1"]).refused(&["--noise", "the data are pairs", "leave it out"]);
}

#[test]
fn a_file_for_results_that_could_not_be_written() {
    let folder = Folder::new();
    let there = folder.write("there.npz", "old");
    let picture = folder.write("there.png", "old");
    let remedy = "with --out FILE";
    encode(&folder.at("codes.txt")).refused(&["codes.txt", ".npz or .safetensors", remedy]);
    neighbours(&folder.at("alike.jpg")).refused(&["alike.jpg", ".png", remedy]);
    encode(&folder.at("no/codes.npz")).refused(&["codes.npz", "no folder", "make it first"]);
    encode(folder.path()).refused(&["is a folder", "--out FILE"]);
    encode(&there).refused(&["there.npz", "already there", "--overwrite"]);
    neighbours(&picture).refused(&["there.png", "already there", "--overwrite"]);
    encode(Path::new("/proc/codes.npz")).fails(&["/proc/codes.npz", "cannot be written", "--out"]);
    assert_eq!(names(folder.path()), ["there.npz", "there.png"]);
    assert_eq!(fs::read_to_string(&there).unwrap(), "old");
    encode(&there).arg("--overwrite").succeeds();
    assert_eq!(Codes::open(&there).unwrap().len(), 20);
}

#[test]
fn images_that_are_none() {
    let folder = Folder::new();
    let (empty, out) = (folder.at("empty"), folder.at("codes.npz"));
    fs::create_dir(&empty).unwrap();
    encode(&out).arg(&empty).refused(&["no image is in", "empty", "PNG"]);
    let call = neighbours(&folder.at("alike.png")).arg("--among").arg(&empty);
    call.refused(&["no image is in", "empty"]);
    for image in [folder.at("gone.png"), folder.write("text.png", "text")] {
        let assert = encode(&out).arg(&image).assert().code(1).stdout("");
        let stderr = text(&assert.get_output().stderr);
        assert!(stderr.contains(&image.display().to_string()), "{stderr}");
        assert!(stderr.ends_with("1 of 1 images failed\n"), "{stderr}");
    }
    assert_eq!(names(folder.path()), ["empty", "text.png"]);
}

#[test]
fn images_whose_codes_would_have_one_name() {
    let (a, b, folder) = (stripe_folder(28, 28), stripe_folder(28, 28), Folder::new());
    let out = folder.at("codes.npz");
    let files = [a.at("six.png"), b.at("six.png")].map(|path| path.display().to_string());
    let call = || encode(&out).args([&a.at("six.png"), &b.at("six.png")]);
    call().refused(&[&files[0], &files[1], "\"six.png\"", "a folder that both are in"]);
    let call = encode(&out).args([a.path(), &a.at("six.png")]);
    call.refused(&[&files[0], "is named twice; name it once"]);
    assert!(names(folder.path()).is_empty());
}

#[test]
fn images_of_a_size_that_the_model_does_not_take() {
    let folder = Folder::new();
    stripes(30, 28, 5).save(folder.at("wide.png")).unwrap();
    let call = || encode(&folder.at("codes.npz")).arg(folder.at("wide.png"));
    call().refused(&["30x28 pixels", "do not lead back to the input's size", "resize"]);
    let call = call_dense("encode").out(folder.at("codes.npz")).arg(folder.at("wide.png"));
    call.refused(&["30x28 pixels", "28x28 pixels only", "flatten"]);
    assert_eq!(names(folder.path()), ["wide.png"]);
}

fn call_dense(command: &str) -> Convae {
    call(command, dense().join("dense.pt"))
}

/// A file of codes by these names, of the plain model's shape.
fn codes_named(folder: &Folder, names: &[&str]) -> PathBuf {
    let mut codes = Codes::new(vec![7, 7, 8]);
    for name in names {
        codes.push((*name).to_owned(), &[0.5; 392]);
    }
    let path = folder.at("codes.npz");
    codes.save(&path).unwrap();
    path
}

#[test]
fn codes_that_are_none() {
    let folder = Folder::new();
    let out = folder.at("out");
    decode(&folder.at("gone.npz"), &out).refused(&["gone.npz", "is no file", "convae encode"]);
    decode(folder.path(), &out).refused(&["is no file"]);
    let text = folder.write("text.npz", "text");
    decode(&text, &out).fails(&["text.npz", "neither"]);
    let model = plain().join("normal.pt");
    decode(&model, &out).fails(&["normal.pt", "no array named `codes`", "convae encode"]);
    let codes = codes_named(&folder, &["a"]);
    let bytes = fs::read(&codes).unwrap();
    fs::write(&codes, &bytes[..bytes.len() / 2]).unwrap();
    decode(&codes, &out).fails(&["codes.npz", "is damaged", "encode the images again"]);
    assert_eq!(names(folder.path()), ["codes.npz", "text.npz"]);
}

#[test]
fn codes_of_another_model() {
    let folder = Folder::new();
    let codes = folder.at("codes.npz");
    call_dense("encode").out(&codes).succeeds();
    decode(&codes, &folder.at("out")).refused(&["codes.npz", "codes of 10", "are 7x7x8"]);
    let codes = codes_named(&folder, &["a"]);
    let call = call_dense("decode").arg("--codes").arg(&codes).out(folder.at("out"));
    call.refused(&["codes of 7x7x8", "are 10"]);
    assert_eq!(names(folder.path()), ["codes.npz"]);
}

#[test]
fn names_that_lead_out_of_the_folder_or_to_one_file() {
    let folder = Folder::new();
    let out = folder.at("out");
    for name in ["../escaped", "/tmp/escaped.png", ""] {
        let codes = codes_named(&folder, &["fine", name]);
        decode(&codes, &out).refused(&["codes.npz", &format!("{name:?}"), "below the folder"]);
    }
    let codes = codes_named(&folder, &["a.png", "b", "a.png"]);
    decode(&codes, &out).refused(&["\"a.png\" and \"a.png\"", "other names"]);
    assert_eq!(names(folder.path()), ["codes.npz"]);
}

#[test]
fn images_that_are_already_there() {
    let folder = Folder::new();
    let codes = codes_named(&folder, &["a", "b"]);
    let old = folder.write("out/b.png", "old");
    decode(&codes, &folder.at("out")).refused(&["b.png", "already there", "--overwrite"]);
    assert_eq!(fs::read_to_string(&old).unwrap(), "old");
    assert_eq!(names(&folder.at("out")), ["b.png"]);
    decode(&codes, &folder.at("out")).arg("--overwrite").succeeds();
    assert_eq!(grey(&old).dimensions(), (28, 28));
    decode(&codes, &codes).refused(&["codes.npz is a file", "--out"]);
}

#[test]
fn a_count_of_neighbours_that_no_page_holds() {
    let folder = Folder::new();
    for count in ["0", "51", "many"] {
        let call = neighbours(&folder.at("alike.png")).args(["--count", count]);
        let stderr = text(&call.assert().code(2).stdout("").get_output().stderr);
        assert!(stderr.contains("--count") && stderr.contains(count), "{stderr}");
    }
    assert!(names(folder.path()).is_empty());
}

#[test]
fn more_queries_than_a_page_holds() {
    let (images, folder) = (Folder::new(), Folder::new());
    for index in 0..103 {
        stripes(28, 28, 5).save(images.at(&format!("{index}.png"))).unwrap();
    }
    // That it is said before anything is encoded: this one would be complained about.
    images.write("broken.png", "no image");
    let out = folder.at("alike.png");
    neighbours(&out).arg(images.path()).refused(&["104 queries", "28x28", "102 images at most"]);
    stripes(400, 400, 5).save(folder.at("large.png")).unwrap();
    let call = neighbours(&out).arg(folder.at("large.png")).args(["--count", "50"]);
    call.arg("--among").arg(large_folder().path()).refused(&["400x400", "50 nearest", "--count"]);
    assert_eq!(names(folder.path()), ["large.png"]);
}

/// Fifty large images.
fn large_folder() -> Folder {
    let folder = Folder::new();
    for index in 0..50 {
        stripes(400, 400, 5).save(folder.at(&format!("{index}.png"))).unwrap();
    }
    folder
}

#[test]
fn neighbours_without_data_or_without_a_readable_query() {
    let folder = Folder::new();
    let out = folder.at("alike.png");
    neighbours(&out).set("data.dir=nowhere").refused(&["nowhere", "is missing"]);
    let broken = folder.write("broken.png", "no image");
    let call = neighbours(&out).arg(&broken).assert().code(1).stdout("");
    let stderr = text(&call.get_output().stderr);
    assert!(stderr.contains("broken.png: it is not an image"), "{stderr}");
    assert!(stderr.ends_with("no query can be read; name other images\n"), "{stderr}");
    assert_eq!(names(folder.path()), ["broken.png"]);
}

#[test]
fn codes_that_are_not_finite_are_not_drawn() {
    let folder = Folder::new();
    let mut codes = Codes::new(vec![7, 7, 8]);
    codes.push("odd".to_owned(), &[f32::INFINITY; 392]);
    codes.save(&folder.at("codes.npz")).unwrap();
    let call = decode(&folder.at("codes.npz"), &folder.at("out"));
    call.fails(&["codes.npz", "not finite", "\"odd\""]);
    assert_eq!(names(folder.path()), ["codes.npz"]);
}

#[test]
fn a_checkpoint_that_is_missing_is_refused_by_every_command() {
    let folder = Folder::new();
    let (gone, codes) = (folder.at("gone.pt"), codes_named(&folder, &["a"]));
    for call in [
        call("evaluate", &gone),
        call("encode", &gone).out(folder.at("new.npz")),
        call("decode", &gone).arg("--codes").arg(&codes).out(folder.at("out")),
        call("neighbours", &gone).out(folder.at("alike.png")),
    ] {
        call.refused(&["gone.pt", "does not exist"]);
    }
    assert_eq!(names(folder.path()), ["codes.npz"]);
}

#[test]
fn an_engine_that_cannot_run_the_model_is_refused() {
    let folder = Folder::new();
    let compared = "encoder = [\n  { layer = \"Flatten\" }, { layer = \"Dense\", units = 4, activity_regularizer = \
                    { name = \"OrthogonalRegularizer\", mode = \"columns\" } },\n  { layer = \"Dense\", units = 784 }, \
                    { layer = \"Reshape\", target_shape = [28, 28, 1] },";
    let config = folder.write("tiny.toml", tiny().replace("encoder = [", compared));
    train(config).out(folder.at("run")).succeeds();
    let data = format!("data.dir={}", digits().display());
    let call = call("encode", folder.at("run/tiny.pt")).out(folder.at("codes.npz")).set(&data);
    sentence(
        call.set("train.engine=native").assert().code(2).stdout(""),
        &["native", "OrthogonalRegularizer of its outputs", "libtorch"],
    );
    assert_eq!(names(folder.path()), ["run", "tiny.toml"]);
}

#[test]
fn images_whose_names_differ_in_their_endings_are_all_drawn() {
    let folder = Folder::new();
    for (name, period) in [("cat.png", 5), ("cat.bmp", 9)] {
        stripes(28, 28, period).save(folder.at(name)).unwrap();
    }
    let codes = folder.at("codes.npz");
    encode(&codes).arg(folder.at("cat.png")).arg(folder.at("cat.bmp")).succeeds();
    decode(&codes, &folder.at("drawn")).succeeds();
    assert_eq!(names(&folder.at("drawn")), ["cat.bmp.png", "cat.png"]);
    // In whatever order.
    let back = folder.at("back.npz");
    encode(&back).arg(folder.at("cat.bmp")).arg(folder.at("cat.png")).succeeds();
    decode(&back, &folder.at("back")).succeeds();
    for name in ["cat.bmp.png", "cat.png"] {
        let drawn = ["drawn", "back"].map(|out| fs::read(folder.at(out).join(name)).unwrap());
        assert_eq!(drawn[0], drawn[1], "{name}");
    }
    // Two codes of the very same name are still refused.
    let mut twice = Codes::open(&codes).unwrap();
    twice.names = vec!["cat.png".to_owned(); 2];
    twice.save(&codes).unwrap();
    let words = ["codes named \"cat.png\" and \"cat.png\"", "give them other names"];
    decode(&codes, &folder.at("again")).refused(&words);
}

#[test]
fn a_file_that_holds_no_codes_is_told_which_files_do() {
    let folder = Folder::new();
    let file = folder.write("codes.txt", "these are no codes");
    decode(&file, &folder.at("out")).fails(&["codes.txt", "`.npz`", "`.safetensors`", "encode"]);
}
