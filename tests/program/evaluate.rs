//! `convae evaluate`: what it measures on which test set, and what it refuses to measure. The layers of most models
//! here keep pixels apart, so that what should come out is known.

use std::fs;
use std::path::PathBuf;

use convae::formats::image_file::{ImageFile, Samples};
use convae::formats::npy::Header;
use serde_json::Value;

use crate::common::{Convae, Folder, convae};

const SAME: &str =
    "{ layer = \"Conv2D\", filters = 1, kernel_size = 1, kernel_initializer = \"ones\" }";

/// The config of a model that hardly learns.
fn config(folder: &Folder, data: &str, shape: &str, layer: &str) -> PathBuf {
    let text = format!(
        "name = \"same\"\n[data]\n{data}\n[model]\ninput_shape = {shape}\nlayers = [{layer}]\n\
         [train]\nloss = \"mean_squared_error\"\n\
         optimizer = {{ name = \"SGD\", learning_rate = 1e-12 }}\n[output]\nreport = false\n"
    );
    folder.write("same.toml", text)
}

/// One that takes images of any size, those in `in`.
fn of_images(folder: &Folder, more: &str) -> PathBuf {
    let train = folder.at("in");
    let train = train.display();
    let data = format!("kind = \"images\"\ntrain = \"{train}\"\ntest_fraction = 0.5\n{more}");
    config(folder, &data, "[-1, -1, 1]", SAME)
}

fn save(folder: &Folder, name: &str, [height, width]: [usize; 2], factor: f32) {
    let count = height * width;
    let values = (0..count).map(|i| (i * 7 % count) as f32 * factor / (count - 1) as f32).collect();
    let path = folder.at(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    ImageFile::new([height, width, 1], Samples::Float(values)).unwrap().save(&path).unwrap();
}

/// Images of one size, from 0 to `factor`.
fn save_all(folder: &Folder, size: [usize; 2], factor: f32) {
    for i in 0..4 {
        save(folder, &format!("in/{i}.tif"), size, factor);
    }
}

fn train(folder: &Folder) -> Convae {
    convae().arg("--config").arg(folder.at("same.toml")).out(folder.at("run"))
}

fn evaluate(folder: &Folder) -> Convae {
    convae().arg("evaluate").arg("--checkpoint").arg(folder.at("run/same.pt"))
}

fn loss(call: Convae) -> f64 {
    let printed: Value = serde_json::from_str(&call.arg("--json").succeeds()).unwrap();
    printed["results"][0]["loss"].as_f64().unwrap()
}

#[test]
fn noise_that_would_clip_the_test_images_is_refused() {
    let folder = Folder::new();
    save_all(&folder, [8, 8], 100.0);
    of_images(&folder, "scale = \"range\"");
    train(&folder).succeeds();
    assert!(loss(evaluate(&folder)) < 1e-9);
    evaluate(&folder).args(["--noise", "0.1,0.2"]).refused(&[
        "--noise is clipped to 0..1",
        "values beyond",
        "clip=false",
    ]);
    let noisy = |clip: bool| {
        let kind = format!("corruption=[{{kind=\"gaussian\",factor=10,clip={clip}}}]");
        evaluate(&folder).set(&kind)
    };
    noisy(true).refused(&["corruption", "values beyond", "clip=false"]);
    // A tenth of the range.
    assert!((loss(noisy(false)) - 0.01).abs() < 3e-3);
}

#[test]
fn a_loss_that_the_test_images_have_no_values_for_is_refused() {
    let folder = Folder::new();
    save_all(&folder, [5, 5], 1.0);
    of_images(&folder, "");
    train(&folder).succeeds();
    let by = |loss: &str| evaluate(&folder).set(&format!("train.loss=\"{loss}\""));
    by("ssim").refused(&["tif", "train.loss", "images of 5x5", "7x7 pixels at least"]);
    by("sparse_categorical_crossentropy").refused(&["train.loss", "numbers of classes"]);
}

#[test]
fn a_model_of_open_size_is_trained_by_ms_ssim_where_its_images_are_large_enough() {
    let folder = Folder::new();
    save_all(&folder, [162, 165], 1.0);
    of_images(&folder, "");
    train(&folder).set("train.loss=\"ms_ssim\"").succeeds();
    assert!(loss(evaluate(&folder)) < 1e-6);
    save_all(&folder, [160, 165], 1.0);
    let small = train(&folder).set("train.loss=\"ms_ssim\"").arg("--overwrite");
    small.refused(&["train.loss", "images of 160x165", "161x161 pixels at least"]);
}

/// Of a model whose output is the same however its input is mirrored, so that the mean over flips is its output.
fn check_flips(data: &[usize], shape: &str, layer: &str, axis: i64, count: &str) -> Folder {
    let folder = Folder::new();
    let sides = [&[6], data].concat();
    let values = (0..sides.iter().product()).map(|i: usize| (i * 37 % 101) as f32 / 101.0);
    let bytes: Vec<u8> = values.flat_map(f32::to_le_bytes).collect();
    let file = folder.write("a.npy", [Header::bytes("<f4", &sides), bytes].concat());
    let data = format!("kind = \"npz\"\nfile = \"{}\"", file.display());
    config(&folder, &data, shape, layer);
    let loss_of = format!("train.loss={{loss=\"cosine_similarity\",axis={axis}}}");
    train(&folder).set(&loss_of).set("data.test_fraction=0.5").succeeds();
    let plain = loss(evaluate(&folder));
    let augmented = loss(evaluate(&folder).args(["--augment", count]));
    assert!((plain - augmented).abs() < 1e-6, "{shape}, axis {axis}: {plain}, {augmented}");
    assert!((-0.99..-0.1).contains(&plain), "{shape}, axis {axis}: {plain}");
    folder
}

#[test]
fn the_loss_over_flips_of_signals_and_vectors_is_along_their_own_axes() {
    let conv =
        "{ layer = \"Conv1D\", filters = 2, kernel_size = 1, kernel_initializer = \"ones\" }";
    for (shape, axis) in [("[8, 2]", 1), ("[8, 2]", 2), ("[-1, 2]", 1)] {
        let folder = check_flips(&[8, 2], shape, conv, axis, "4");
        evaluate(&folder).args(["--augment", "8"]).refused(&["--augment is 8", "--augment 4"]);
    }
    let dense = "{ layer = \"Dense\", units = 16, kernel_initializer = \"ones\" }";
    check_flips(&[4, 4], "[16]", dense, 1, "8");
}

/// Pairs of 8x8 pixels, from 0 to these values.
fn pairs(folder: &Folder, noisy: f32, clean: f32, more: &str) {
    for i in 0..4 {
        save(folder, &format!("noisy/{i}.tif"), [8, 8], noisy);
        save(folder, &format!("clean/{i}.tif"), [8, 8], clean);
    }
    let [noisy, clean] = ["noisy", "clean"].map(|name| folder.at(name));
    let data = format!(
        "kind = \"pairs\"\nnoisy = \"{}\"\nclean = \"{}\"\ntest_fraction = 0.5\n{more}",
        noisy.display(),
        clean.display()
    );
    config(folder, &data, "[-1, -1, 1]", SAME);
}

#[test]
fn a_loss_of_0_to_1_is_refused_where_the_scale_leads_targets_beyond() {
    let folder = Folder::new();
    let by = |loss: &str| train(&folder).arg("--overwrite").set(&format!("train.loss=\"{loss}\""));
    let refused = |loss: &str| {
        by(loss).refused(&[
            "train.loss",
            loss,
            "`data.scale` leads training targets beyond",
            "mean_squared_error",
        ]);
    };
    save_all(&folder, [8, 8], 100.0);
    of_images(&folder, "scale = { kind = \"range\", offset = 0, factor = 50 }");
    refused("binary_crossentropy");
    by("mean_squared_error").succeeds();
    of_images(&folder, "scale = \"range\"");
    by("binary_crossentropy").succeeds();
    // The range is that of the training images, the first two.
    save(&folder, "in/3.tif", [8, 8], 101.0);
    let said = by("binary_crossentropy").assert().success();
    let evaluated = evaluate(&folder).assert().success();
    for output in [said.get_output(), evaluated.get_output()] {
        let stderr = crate::common::text(&output.stderr);
        assert!(stderr.contains("leads test targets beyond 0..1"), "{stderr}");
        assert!(stderr.contains("binary_crossentropy"), "{stderr}");
    }
    for scale in ["\"range\"", "{ kind = \"range\", per = \"image\" }"] {
        pairs(&folder, 10.0, 11.0, &format!("scale = {scale}"));
        refused("dice");
        pairs(&folder, 11.0, 10.0, &format!("scale = {scale}"));
        by("dice").succeeds();
    }
}

#[test]
fn a_corruption_that_would_clip_the_noisy_images_alone_is_refused() {
    let folder = Folder::new();
    let noisy = |clip: bool| {
        let kind = format!("corruption=[{{kind=\"gaussian\",factor=0.1,clip={clip}}}]");
        train(&folder).arg("--overwrite").set(&kind)
    };
    pairs(&folder, 1.5, 1.0, "scale = \"unit\"");
    noisy(true).refused(&["corruption", "values beyond", "clip=false"]);
    noisy(false).succeeds();
    // The clean images are not corrupted.
    pairs(&folder, 1.0, 1.5, "scale = \"unit\"");
    noisy(true).succeeds();
}

#[test]
fn patches_are_said_and_a_table_in_place_of_the_data_measures_whole_pairs() {
    let folder = Folder::new();
    save_all(&folder, [8, 12], 1.0);
    of_images(&folder, "patches = { size = 4 }");
    train(&folder).succeeds();
    let printed = evaluate(&folder).succeeds();
    assert!(printed.starts_with("12 patches of 4x4 of the test images\n"), "{printed}");
    let printed: Value = serde_json::from_str(&evaluate(&folder).arg("--json").succeeds()).unwrap();
    assert_eq!(printed["patches"], serde_json::json!([4, 4]));
    for i in 0..3 {
        save(&folder, &format!("pairs/noisy/{i}.tif"), [8, 12], 1.0);
        save(&folder, &format!("pairs/clean/{i}.tif"), [8, 12], 0.5);
    }
    let pairs = folder.at("pairs");
    let [noisy, clean] = ["noisy", "clean"].map(|name| pairs.join(name));
    let [pairs, noisy, clean] = [&pairs, &noisy, &clean].map(|path| path.display());
    let data = format!(
        "data={{ kind = \"pairs\", noisy = \"{noisy}\", clean = \"{clean}\", test = \"{pairs}\" }}"
    );
    let printed = evaluate(&folder).set(&data).succeeds();
    assert!(printed.starts_with("3 test images\n"), "{printed}");
}
