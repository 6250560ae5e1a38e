//! What a config may do to its images: how it is written and refused, that it depends on seed,
//! epoch and image alone, what other libraries make of the same, and `convae corrupt`.
//!
//! What each kind computes is held to references beside its code, in `src/data/corruption`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use convae::config::Source;
use convae::config::corruption::{Corruption, CorruptionKind};
use convae::data::Dataset;
use convae::data::corruption::Split;
use convae::formats::checkpoint::{Array, Checkpoint, save};
use convae::plan::Plan;
use convae::plan::loader;
use image::GrayImage;

use crate::common::{Convae, Folder, convae, digits, names, python, root, tiny, train};

/// Every kind, with spans wherever there can be one.
const KINDS: [&str; 10] = [
    r#"{ kind = "none" }"#,
    r#"{ kind = "gaussian", factor = [0.1, 0.5], clip = false, resample = "epoch" }"#,
    r#"{ kind = "poisson", peak = [2.0, 50.0], clip = true, resample = "epoch" }"#,
    r#"{ kind = "speckle", factor = [0.1, 0.5], clip = true, resample = "epoch" }"#,
    r#"{ kind = "salt_and_pepper", amount = [0.1, 0.4], salt = [0.2, 0.8], resample = "epoch" }"#,
    r#"{ kind = "mask", shape = "boxes", boxes = [1, 4], size = [0.1, 0.5], value = [0.0, 1.0], resample = "epoch" }"#,
    r#"{ kind = "mask", shape = "pixels", amount = [0.2, 0.6], resample = "epoch" }"#,
    r#"{ kind = "blur", sigma = [0.5, 2.5], resample = "epoch" }"#,
    r#"{ kind = "downscale", scale = [2, 4], resample = "epoch" }"#,
    r#"{ kind = "jpeg", quality = [5, 60], resample = "epoch" }"#,
];

/// The plan of a tiny model with this corruption.
fn plan(corruption: &str) -> Plan {
    let change = format!("corruption={corruption}");
    Plan::new(Source::parse(&tiny(), "tiny.toml", &[change]).unwrap()).unwrap()
}

fn read(corruption: &str) -> Corruption {
    plan(corruption).config.corruption
}

/// All kinds but `none`, one after the other.
fn everything() -> String {
    format!("[{}]", KINDS[1..].join(", "))
}

// ---- how it is written ----

#[test]
fn the_list_above_has_every_kind() {
    let used: Vec<String> = KINDS.iter().map(|table| read(table).0[0].name().to_owned()).collect();
    for name in CorruptionKind::NAMES {
        assert!(used.iter().any(|used| used == name), "this test lacks {name}");
    }
}

#[test]
fn every_kind_and_a_list_of_all_read_back_as_themselves() {
    for corruption in KINDS.iter().map(|&table| table.to_owned()).chain([everything()]) {
        let config = plan(&corruption).config;
        let written = config.to_toml();
        assert_eq!(Source::parse(&written, "written.toml", &[]).unwrap().config, config);
    }
}

/// As a checkpoint of an older version holds it.
#[test]
fn a_single_table_is_written_as_it_always_was() {
    let table = r#"{ kind = "gaussian", factor = 0.25, clip = true, resample = "never" }"#;
    let written = plan(table).config.to_toml();
    let section =
        "\n[corruption]\nkind = \"gaussian\"\nfactor = 0.25\nclip = true\nresample = \"never\"\n";
    assert!(written.contains(section), "{written}");
}

#[test]
fn a_list_can_be_written_as_tables_too() {
    let config = format!(
        "{}[[corruption]]\nkind = \"blur\"\n[[corruption]]\nkind = \"jpeg\"\nquality = 7\n",
        tiny()
    );
    let source = Source::parse(&config, "tables.toml", &[]).unwrap();
    let inline = read(r#"[{ kind = "blur" }, { kind = "jpeg", quality = 7 }]"#);
    assert_eq!(source.config.corruption, inline);
}

#[test]
fn set_changes_one_key_of_one_kind_of_a_list() {
    let base = format!("corruption = [{}, {}]\n{}", KINDS[1], KINDS[9], tiny());
    let changes = ["corruption[1].quality=3".to_owned(), "corruption[0].kind=none".to_owned()];
    let read_back = Source::parse(&base, "list.toml", &changes).unwrap().config.corruption;
    let jpeg = r#"{ kind = "jpeg", quality = 3, resample = "epoch" }"#;
    assert_eq!(read_back, read(&format!("[{}, {jpeg}]", KINDS[0])));
}

#[test]
fn set_turns_the_corruption_of_a_config_off_or_changes_its_kind() {
    let open = |changes: &[&str]| {
        let changes: Vec<String> = changes.iter().map(|&change| change.to_owned()).collect();
        Source::open(Path::new("denoise.toml"), &changes).unwrap().config.corruption
    };
    assert_eq!(open(&["corruption.kind=none"]), Corruption::none());
    let changed = open(&["corruption.kind=speckle", "corruption.factor=0.2"]);
    assert_eq!(changed, read(r#"{ kind = "speckle", factor = 0.2 }"#));
    for kind in CorruptionKind::NAMES {
        assert_eq!(open(&[&format!("corruption.kind={kind}")]).0[0].name(), *kind);
    }
}

/// A change of a good config, and words of its refusal.
#[test]
fn what_is_no_corruption_is_refused_with_its_key_value_and_remedy() {
    for (corruption, words) in [
        ("3", ["`corruption` is 3", "a list of such tables"]),
        ("gaussian", ["`corruption` is \"gaussian\"", "kind = "]),
        ("[]", ["`corruption` is []", "a list of such tables"]),
        ("{ factor = 0.5 }", ["`corruption` has no `kind`", "kind = "]),
        ("[{ kind = \"blur\" }, { sigma = 1 }]", ["`corruption[1]` has no `kind`", "kind = "]),
        ("[{ kind = \"blurr\" }]", ["`corruption[0].kind` is \"blurr\"", "`blur`"]),
        ("{ kind = \"none\", factor = 1 }", ["`corruption.factor` is not a key", "takes no keys"]),
        ("{ kind = \"downscale\", factor = 2 }", ["`corruption.factor` is not a key", "scale"]),
        ("{ kind = \"gaussian\", factor = [0.5, 0.1] }", ["factor` is [0.5, 0.1]", "lower end"]),
        ("{ kind = \"gaussian\", factor = [0.1] }", ["factor` is [0.1]", "or [low, high]"]),
        ("{ kind = \"gaussian\", factor = [0, 101] }", ["factor[1]` is 101", "from 0 to 100"]),
        ("{ kind = \"gaussian\", factor = nan }", ["factor` is NaN", "from 0 to 100"]),
        ("{ kind = \"gaussian\", resample = \"always\" }", ["resample` is \"always\"", "never"]),
        ("{ kind = \"poisson\", peak = 0 }", ["peak` is 0", "above 0"]),
        ("{ kind = \"speckle\", factor = true }", ["factor` is true", "or [low, high]"]),
        ("{ kind = \"salt_and_pepper\", amount = 1.5 }", ["amount` is 1.5", "from 0 to 1"]),
        ("{ kind = \"salt_and_pepper\", salt = -1 }", ["salt` is -1", "from 0 to 1"]),
        ("{ kind = \"mask\", shape = \"circle\" }", ["shape` is \"circle\"", "boxes"]),
        ("{ kind = \"mask\", boxes = 0 }", ["boxes` is 0", "from 1 to 1000"]),
        ("{ kind = \"mask\", boxes = 1.5 }", ["boxes` is 1.5", "a whole number"]),
        ("{ kind = \"mask\", boxes = [1, 2.5] }", ["boxes[1]` is 2.5", "a whole number"]),
        ("{ kind = \"mask\", size = 0 }", ["size` is 0", "above 0"]),
        ("{ kind = \"blur\", sigma = -1 }", ["sigma` is -1", "from 0 to 100"]),
        ("{ kind = \"downscale\", scale = 0 }", ["scale` is 0", "from 1 to 256"]),
        ("{ kind = \"jpeg\", quality = 101 }", ["quality` is 101", "from 1 to 100"]),
    ] {
        let source = Source::parse(&tiny(), "tiny.toml", &[format!("corruption={corruption}")]);
        let said = source.expect_err(corruption).to_string();
        assert!(words.iter().all(|word| said.contains(word)), "{said} lacks some of {words:?}");
    }
}

#[test]
fn a_wrong_value_ends_the_program_with_one_sentence_and_no_folder() {
    let folder = Folder::new();
    let call = train("plain.toml").out(folder.at("out"));
    let words = ["--set corruption=", "`corruption[1].sigma` is -1", "give a number from 0 to 100"];
    call.set(r#"corruption=[{ kind = "poisson" }, { kind = "blur", sigma = -1 }]"#).refused(&words);
    let call = train("plain.toml").out(folder.at("out")).set(r#"corruption=[{ kind = "blur" }]"#);
    let words = ["corruption.kind", "leads nowhere"];
    call.set("corruption.kind=none").refused(&words);
    assert!(names(folder.path()).is_empty());
}

#[test]
fn images_too_wide_for_a_jpeg_file_are_refused_before_anything_is_read() {
    let call = train("plain.toml").set("corruption.kind=jpeg").set("model.input_shape=[4,65536,1]");
    call.refused(&["`corruption` has the kind jpeg", "4x65536", "within 65535"]);
}

// ---- what it depends on ----

/// An image with some of everything.
fn picture(index: u64) -> Vec<f32> {
    (0..12 * 10 * 3).map(|i| ((i * 37 + index * 11) % 256) as f32 / 255.0).collect()
}

fn apply(corruption: &Corruption, split: Split, epoch: u64, index: u64) -> Vec<f32> {
    let mut values = picture(index);
    corruption.apply(&mut values, [12, 10, 3], 5, split, epoch, index);
    values
}

#[test]
fn what_becomes_of_a_image_depends_on_neither_order_nor_threads() {
    for corruption in KINDS.iter().map(|table| read(table)).chain([read(&everything())]) {
        let once: Vec<_> = (0..20).map(|i| apply(&corruption, Split::Train, 2, i)).collect();
        let (corruption, once) = (&corruption, &once);
        thread::scope(|scope| {
            for offset in 0..4 {
                scope.spawn(move || {
                    for index in (0..20).rev().map(|i| (i * 7 + offset) % 20) {
                        let again = apply(corruption, Split::Train, 2, index);
                        assert_eq!(again, once[index as usize]);
                    }
                });
            }
        });
    }
}

#[test]
fn batches_of_any_size_hold_the_same_images() {
    for table in KINDS.iter().map(|&table| table.to_owned()).chain([everything()]) {
        let plan = plan(&table);
        let data = Dataset::open(&plan.config.data, plan.input_shape).unwrap();
        let feed = loader(&plan, &data.train, Split::Train);
        let all: Vec<usize> = (0..23).collect();
        let base = feed.batch(2, &all).unwrap().input;
        for size in [1, 5, 22] {
            let pieces = all.chunks(size).flat_map(|indices| feed.batch(2, indices).unwrap().input);
            assert_eq!(pieces.collect::<Vec<f32>>(), base, "{table}");
        }
    }
}

#[test]
fn each_kind_draws_anew_for_each_image_seed_and_split_and_by_epoch_if_asked_to() {
    for table in &KINDS[1..] {
        let (epoch, never) = (read(table), read(&table.replace("\"epoch\"", "\"never\"")));
        let seen = |corruption: &Corruption, split, epoch, first, seed| -> Vec<Vec<f32>> {
            // One image for all, so that only what was drawn tells them apart; several draws,
            // since two scales of three may be the same.
            let draw = |index| {
                let mut values = picture(0);
                corruption.apply(&mut values, [12, 10, 3], seed, split, epoch, index);
                values
            };
            (first..first + 9).map(draw).collect()
        };
        let base = seen(&epoch, Split::Train, 1, 0, 5);
        assert!(base != seen(&epoch, Split::Train, 2, 0, 5), "{table}");
        assert!(base != seen(&epoch, Split::Train, 1, 1, 5), "{table}");
        assert!(base != seen(&epoch, Split::Train, 1, 0, 6), "{table}");
        assert!(base != seen(&epoch, Split::Test, 1, 0, 5), "{table}");
        let test = |epoch_number| seen(&epoch, Split::Test, epoch_number, 0, 5);
        assert!(test(1) == test(2), "{table}");
        let train = |epoch_number| seen(&never, Split::Train, epoch_number, 0, 5);
        assert!(train(1) == train(2), "{table}");
        assert!(epoch.changes_in(2) && !never.changes_in(2) && never.changes_in(1), "{table}");
    }
}

#[test]
fn kinds_without_a_span_or_noise_are_the_same_in_each_epoch_whatever_resample_says() {
    for table in [
        r#"{ kind = "blur", resample = "epoch" }"#,
        r#"{ kind = "downscale", resample = "epoch" }"#,
        r#"{ kind = "jpeg", resample = "epoch" }"#,
    ] {
        let fixed = read(table);
        assert!(fixed.changes_images() && fixed.changes_in(1) && !fixed.changes_in(2));
        let seen = |epoch| apply(&fixed, Split::Train, epoch, 0);
        assert_eq!(seen(1), seen(2));
    }
    let none = Corruption::none();
    assert!(!none.changes_images() && !none.changes_in(1) && !none.changes_in(2));
}

#[test]
fn a_list_is_applied_in_order_and_its_kinds_draw_numbers_of_their_own() {
    let (gaussian, blur) = (r#"{ kind = "gaussian", clip = false }"#, r#"{ kind = "blur" }"#);
    let [noisy, then_blurred, blurred_first, twice] = [
        gaussian.to_owned(),
        format!("[{gaussian}, {blur}]"),
        format!("[{blur}, {gaussian}]"),
        format!("[{gaussian}, {gaussian}]"),
    ]
    .map(|corruption| apply(&read(&corruption), Split::Train, 1, 3));
    let mut by_hand = noisy.clone();
    read(blur).apply(&mut by_hand, [12, 10, 3], 5, Split::Train, 1, 3);
    assert_eq!(then_blurred, by_hand);
    assert_ne!(then_blurred, blurred_first);
    // The second noise is not the first one again, which would double each difference.
    let clean = picture(3);
    let doubled = (clean.iter().zip(&noisy).zip(&twice))
        .filter(|((clean, once), twice)| ((*twice - *clean) - 2.0 * (*once - *clean)).abs() < 1e-4)
        .count();
    assert!(doubled < 10, "{doubled}");
}

// ---- training ----

#[test]
fn every_kind_and_a_list_train_and_are_judged_beside_their_input() {
    let folder = Folder::new();
    let config = folder.write("tiny.toml", tiny());
    for (i, table) in KINDS[1..].iter().map(|&t| t.to_owned()).chain([everything()]).enumerate() {
        let out = folder.at(&format!("run-{i}"));
        let call = train(&config).out(&out).set(&format!("corruption={table}"));
        call.set("train.epochs=2").succeeds();
        let call = convae().args(["evaluate", "--checkpoint"]).arg(out.join("tiny.pt"));
        assert!(call.succeeds().contains("\ninput:  PSNR "), "{table}");
    }
}

// ---- other libraries ----

/// Blurs and shrinks by libraries that others use, and prints how far from ours they are.
const COMPARISON: &str = r#"
import numpy as np
from PIL import Image
from safetensors.numpy import load_file
from scipy.ndimage import gaussian_filter
from skimage.transform import downscale_local_mean

ours = load_file("ours.safetensors")
image = ours["image"].astype(np.float64)
worst = lambda a, b: np.abs(a - b).max()
blurred = {s: gaussian_filter(image, (s, s, 0)) for s in (0.7, 2.0, 9.0)}
print(max(worst(blurred[s], ours[f"blur {s}"]) for s in blurred))

def there_and_back(scale):
    small = downscale_local_mean(image, (scale, scale, 1)).astype(np.float32)
    height, width, channels = image.shape
    enlarge = lambda plane: Image.fromarray(plane).resize((width, height), Image.Resampling.BICUBIC)
    return np.stack([np.asarray(enlarge(small[..., c])) for c in range(channels)], -1)

print(max(worst(there_and_back(s), ours[f"downscale {s}"]) for s in (2, 3, 6)))
"#;

#[test]
fn blur_is_scipys_and_downscale_is_scikit_images_mean_and_pillows_bicubic() {
    /// Rounding to float32, which Pillow's sums do as well.
    const ROUNDING: f64 = 1e-6;
    let Some(python) = python() else { return };
    let shape = [24, 36, 3];
    let picture: Vec<f32> =
        (0..24 * 36 * 3_u64).map(|i| (i * i * 2_654_435_761 % 1021) as f32 / 1020.0).collect();
    let mut tensors = vec![("image".to_owned(), picture.clone())];
    let blurs = ["0.7", "2.0", "9.0"].map(|sigma| ("blur", "sigma", sigma));
    let scales = ["2", "3", "6"].map(|scale| ("downscale", "clip = false, scale", scale));
    for (kind, key, value) in blurs.into_iter().chain(scales) {
        let corruption = read(&format!("{{ kind = \"{kind}\", {key} = {value} }}"));
        let mut values = picture.clone();
        corruption.apply(&mut values, shape, 0, Split::Train, 1, 0);
        tensors.push((format!("{kind} {value}"), values));
    }
    let folder = Folder::new();
    let array = |values: Vec<f32>| Array::from_values(&shape, &values).unwrap();
    let tensors = tensors.into_iter().map(|(name, values)| (name, array(values))).collect();
    save(&folder.at("ours.safetensors"), &Checkpoint { tensors, ..Checkpoint::default() }).unwrap();

    let run = Command::new(python).args(["-c", COMPARISON]).current_dir(folder.path()).output();
    let run = run.unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let printed = String::from_utf8_lossy(&run.stdout);
    let differences: Vec<f64> = printed.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(differences.len(), 2);
    assert!(differences.iter().all(|&difference| difference <= ROUNDING), "{differences:?}");
}

// ---- convae corrupt ----

/// An image of 28x28 on a page is four times as large; between rows are 6 pixels, around all 16.
const SIDE: u32 = 4 * 28;
const GAP: u32 = 6;
const MARGIN: u32 = 16;

fn corrupt(config: &Path, out: &Path) -> Convae {
    convae().args(["corrupt", "--config"]).arg(config).out(out)
}

fn tiny_config(folder: &Folder) -> PathBuf {
    folder.write("tiny.toml", tiny())
}

fn page(file: &Path) -> GrayImage {
    image::open(file).unwrap().into_luma8()
}

/// Rows of a page.
fn rows(page: &GrayImage) -> u32 {
    (page.height() - 2 * MARGIN + GAP) / (SIDE + GAP)
}

/// The bytes of one of ten images in a row.
fn cell(page: &GrayImage, row: u32, column: u32) -> Vec<u8> {
    let left = page.width() - MARGIN - (10 - column) * (SIDE + GAP) + GAP;
    let top = MARGIN + row * (SIDE + GAP);
    let pixel = |i: u32| page.get_pixel(left + 4 * (i % 28) + 1, top + 4 * (i / 28) + 1).0[0];
    (0..28 * 28).map(pixel).collect()
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().map(|value| (value.clamp(0.0, 1.0) * 255.0).round() as u8).collect()
}

#[test]
fn it_draws_clean_digits_over_what_training_will_see_and_nothing_else() {
    let folder = Folder::new();
    let table = r#"[{ kind = "gaussian", factor = 0.3 }, { kind = "jpeg", quality = [5, 30] }]"#;
    let (config, out) = (tiny_config(&folder), folder.at("looks"));
    let printed = corrupt(&config, &out).set(&format!("corruption={table}")).succeeds();
    let file = out.join("corrupt_tiny.png");
    assert_eq!(printed, format!("Drawn in {}: gaussian, then jpeg\n", file.display()));
    assert_eq!(names(&out), ["corrupt_tiny.png"]);
    assert_eq!(names(folder.path()), ["looks", "tiny.toml"]);

    let plan = plan(table);
    let data = Dataset::open(&plan.config.data, plan.input_shape).unwrap();
    let batch =
        loader(&plan, &data.train, Split::Train).batch(1, &(0..10).collect::<Vec<_>>()).unwrap();
    let page = page(&file);
    assert_eq!(rows(&page), 3);
    for column in 0..10 {
        let at = column as usize * 784..(column as usize + 1) * 784;
        assert_eq!(cell(&page, 0, column), bytes(&batch.target()[at.clone()]));
        assert_eq!(cell(&page, 2, column), bytes(&batch.input[at]));
        assert_ne!(cell(&page, 1, column), cell(&page, 2, column));
    }
}

#[test]
fn what_is_drawn_anew_is_shown_for_several_epochs() {
    let folder = Folder::new();
    let config = tiny_config(&folder);
    let shown = |table: &str| {
        let call = corrupt(&config, &folder.at("out")).arg("--overwrite");
        call.set(&format!("corruption={table}")).succeeds();
        page(&folder.at("out/corrupt_tiny.png"))
    };
    assert_eq!(rows(&shown(r#"{ kind = "poisson" }"#)), 2);
    assert_eq!(rows(&shown(r#"{ kind = "none" }"#)), 1);
    let page = shown(r#"{ kind = "mask", value = 0.5, resample = "epoch" }"#);
    assert_eq!(rows(&page), 4);
    let epochs = [1, 2, 3].map(|row| cell(&page, row, 0));
    assert!(epochs[0] != epochs[1] && epochs[1] != epochs[2] && epochs[0] != epochs[2]);
}

#[test]
fn it_shows_as_many_images_as_the_config_asks_for_and_the_data_has() {
    let folder = Folder::new();
    let width = |changes: &[&str]| {
        let call = corrupt(&tiny_config(&folder), &folder.at("out")).arg("--overwrite");
        changes.iter().fold(call, |call, change| call.set(change)).succeeds();
        page(&folder.at("out/corrupt_tiny.png")).width()
    };
    let (ten, three) = (width(&[]), width(&["output.grid_samples=3"]));
    assert_eq!(ten - three, 7 * (SIDE + GAP));
    assert_eq!(width(&["data.train_samples=3"]), three);
}

#[test]
fn every_shipped_config_can_be_looked_at() {
    let folder = Folder::new();
    let data = format!("data.dir={}", digits().display());
    for name in
        ["plain", "denoise", "blog-conv", "blog-simple", "blog-denoise", "superres", "inpaint"]
    {
        let config = root().join(format!("configs/{name}.toml"));
        corrupt(&config, folder.path()).set(&data).succeeds();
    }
    assert_eq!(names(folder.path()).len(), 7);
}

#[test]
fn a_image_that_is_there_is_replaced_only_when_told_to() {
    let folder = Folder::new();
    let (config, old) = (tiny_config(&folder), folder.write("out/corrupt_tiny.png", "old"));
    let call = || corrupt(&config, &folder.at("out"));
    call().refused(&["corrupt_tiny.png", "already there", "--overwrite", "--out"]);
    assert_eq!(fs::read_to_string(&old).unwrap(), "old");
    call().arg("--overwrite").succeeds();
    assert_eq!(rows(&page(&old)), 1);
    assert_eq!(names(&folder.at("out")), ["corrupt_tiny.png"]);
}

#[test]
fn a_folder_that_cannot_be_one_is_refused() {
    let folder = Folder::new();
    let (config, file) = (tiny_config(&folder), folder.write("file", "mine"));
    corrupt(&config, &file).refused(&["is a file", "--out"]);
    corrupt(&config, &file.join("below")).fails(&["cannot be made", "--out"]).stdout("");
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    assert_eq!(names(folder.path()), ["file", "tiny.toml"]);
}

#[test]
fn a_config_or_data_that_is_wrong_or_missing_leaves_no_folder() {
    let folder = Folder::new();
    let out = folder.at("out");
    corrupt(&folder.at("gone.toml"), &out).refused(&["gone.toml", "no such config"]);
    let config = tiny_config(&folder);
    let words = ["`corruption.kind` is \"haze\"", "gaussian"];
    corrupt(&config, &out).set("corruption.kind=haze").refused(&words);
    let data = format!("data.dir={}", folder.at("nowhere").display());
    corrupt(&config, &out).set(&data).refused(&["train-images", "missing"]);
    assert_eq!(names(folder.path()), ["tiny.toml"]);
}

#[test]
fn options_that_are_missing_are_asked_for() {
    let folder = Folder::new();
    for args in
        [&["corrupt"][..], &["corrupt", "--config", "plain.toml"], &["corrupt", "--out", "x"]]
    {
        let assert = convae().within(folder.path()).args(args).assert().code(2).stdout("");
        let said = crate::common::text(&assert.get_output().stderr);
        assert!(said.contains("required arguments") && said.contains("Usage: convae corrupt"));
    }
    assert!(names(folder.path()).is_empty());
}
