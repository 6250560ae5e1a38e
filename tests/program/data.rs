//! Images of the user's own: folders of images, pairs, arrays, and what a config may say of them;
//! every sample is held against the pixels that were written, by a slow way of its own.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use convae::config::Source;
use convae::data::corruption::Split;
use convae::data::{Batch, DataError, DataLoader, Dataset, Images};
use convae::plan::Plan;
use convae::plan::loader;
use flate2::Compression;
use flate2::write::GzEncoder;
use image::{GrayImage, ImageBuffer, Luma, Rgb, RgbImage};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::common::{Convae, Folder, convae, digits, names, python, text};

/// Height and width of the images.
const SIDE: usize = 8;

/// A config of 8x8 images; `data` is the section's lines.
fn config(data: &str, channels: usize) -> String {
    format!(
        r#"name = "own"
[data]
{data}
[model]
input_shape = [8, 8, {channels}]
encoder = [{{ layer = "Conv2D", filters = 2, kernel_size = 3, padding = "same", activation = "relu" }}]
decoder = [{{ layer = "Conv2D", filters = {channels}, kernel_size = 3, padding = "same", activation = "sigmoid" }}]
[train]
batch_size = 4
device = "cpu"
"#
    )
}

fn plan(data: &str, channels: usize) -> Plan {
    let config = config(data, channels);
    Plan::new(Source::parse(&config, "own.toml", &[]).unwrap()).unwrap()
}

fn open(data: &str, channels: usize) -> Result<Dataset, DataError> {
    let plan = plan(data, channels);
    Dataset::open(&plan.config.data, plan.input_shape)
}

/// The sentence of a refusal, with these words.
fn refuses(data: &str, words: &[&str]) -> DataError {
    let error = open(data, 1).expect_err("the data are refused");
    let said = error.to_string();
    assert!(words.iter().all(|word| said.contains(word)), "{said} lacks some of {words:?}");
    error
}

/// A grey image that is like no other: pixel (y, x) of image `which`.
fn pixel(which: usize, y: usize, x: usize) -> u8 {
    ((which * 31 + y * 17 + x * 7 + y * x * 3) % 256) as u8
}

fn grey(which: usize, height: usize, width: usize) -> GrayImage {
    GrayImage::from_fn(width as u32, height as u32, |x, y| {
        Luma([pixel(which, y as usize, x as usize)])
    })
}

fn save(image: &GrayImage, path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    image.save(path).unwrap();
}

/// A folder `images` of so many grey PNGs of this size, named by their number.
fn folder_of(count: usize, height: usize, width: usize) -> Folder {
    let folder = Folder::new();
    for which in 0..count {
        save(&grey(which, height, width), &folder.at(&format!("images/{which:03}.png")));
    }
    folder
}

/// The lines of `[data]` for that folder.
fn images(folder: &Folder, more: &str) -> String {
    format!("kind = \"images\"\ntrain = \"{}\"\n{more}\n", folder.at("images").display())
}

/// The values of an 8x8 part of image `which`, from (top, left).
fn part(which: usize, top: usize, left: usize) -> Vec<f32> {
    let place = |i: usize| (top + i / SIDE, left + i % SIDE);
    let value = |(y, x)| f32::from(pixel(which, y, x)) / 255.0;
    (0..SIDE * SIDE).map(|i| value(place(i))).collect()
}

/// All batches of an epoch, made ahead by as many threads as the config says.
fn epoch(plan: &Plan, data: &Dataset, epoch: u64) -> Vec<Batch> {
    let train: DataLoader<'_> = loader(plan, &data.train, Split::Train);
    let order = train.order(epoch, true);
    train.prefetch(epoch, &order, |batches| batches.collect::<Result<_, _>>()).unwrap()
}

// ---- folders of images ----

#[test]
fn a_folder_is_searched_recursively_in_the_order_of_paths_whatever_the_formats() {
    let folder = Folder::new();
    for (which, name) in ["b.png", "a/z.bmp", "c.pgm", "a/deep/q.tiff", "d.webp"].iter().enumerate()
    {
        save(&grey(which, SIDE, SIDE), &folder.at("images").join(name));
    }
    folder.write("images/notes.txt", "no image");
    let data = open(&images(&folder, "test_fraction = 0.2"), 1).unwrap();
    // By path: a/deep/q.tiff, a/z.bmp, b.png, c.pgm; the last of the five is the test set.
    assert_eq!((data.train.len(), data.test.len()), (4, 1));
    for (index, which) in [3, 1, 0, 2].into_iter().enumerate() {
        assert_eq!(data.train.clean(index).unwrap(), part(which, 0, 0), "image {index}");
    }
    assert_eq!(data.test.clean(0).unwrap(), part(4, 0, 0));
    assert_eq!(data.train.name(1).as_deref(), Some("a/z.bmp"));
}

#[test]
fn sixteen_bits_keep_their_precision() {
    let folder = Folder::new();
    let deep: ImageBuffer<Luma<u16>, Vec<u16>> =
        ImageBuffer::from_fn(8, 8, |x, y| Luma([(y * 8 + x) as u16 * 1001]));
    fs::create_dir_all(folder.at("images")).unwrap();
    for name in ["a.png", "b.tiff"] {
        deep.save(folder.at("images").join(name)).unwrap();
    }
    let data = open(&images(&folder, "test_fraction = 0.5"), 1).unwrap();
    let expected: Vec<f32> = (0..64_u16).map(|i| f32::from(i * 1001) / 65_535.0).collect();
    assert_eq!(data.train.clean(0).unwrap(), expected);
    assert_eq!(data.test.clean(0).unwrap(), expected);
}

#[test]
fn colour_becomes_grey_and_grey_becomes_colour_as_the_model_asks() {
    let folder = Folder::new();
    let colour = RgbImage::from_fn(8, 8, |x, y| Rgb([(x * 30) as u8, (y * 30) as u8, 200]));
    fs::create_dir_all(folder.at("images")).unwrap();
    colour.save(folder.at("images/a.png")).unwrap();
    save(&grey(1, SIDE, SIDE), &folder.at("images/b.png"));
    let lines = images(&folder, "test_fraction = 0.5");

    let as_grey = open(&lines, 1).unwrap().train.clean(0).unwrap();
    for (value, Rgb([r, g, b])) in as_grey.iter().zip(colour.pixels()) {
        // ITU-R BT.601, rounded to a byte.
        let luma = 0.299 * f32::from(*r) + 0.587 * f32::from(*g) + 0.114 * f32::from(*b);
        assert!((value * 255.0 - luma).abs() <= 0.51, "{value} is not {luma}");
    }
    let data = open(&lines, 3).unwrap();
    let expected: Vec<f32> =
        colour.as_raw().iter().map(|&value| f32::from(value) / 255.0).collect();
    assert_eq!(data.train.clean(0).unwrap(), expected);
    let repeated: Vec<f32> = part(1, 0, 0).iter().flat_map(|&value| [value; 3]).collect();
    assert_eq!(data.test.clean(0).unwrap(), repeated);
}

/// Colours, and their grey by ITU-R BT.601: 0.299, 0.587 and 0.114 of white.
const COLOURS: [([u8; 3], u8); 4] =
    [([255, 0, 0], 76), ([0, 255, 0], 150), ([0, 0, 255], 29), ([9, 9, 9], 9)];

#[test]
fn a_grey_model_sees_the_grey_of_coloured_images_and_says_how_many_there_are() {
    let folder = Folder::new();
    fs::create_dir_all(folder.at("images")).unwrap();
    // The last one is grey, though stored as RGB.
    for (which, (colour, _)) in COLOURS.into_iter().enumerate() {
        let image = RgbImage::from_pixel(8, 8, Rgb(colour));
        image.save(folder.at(&format!("images/{which}.png"))).unwrap();
    }
    let lines = images(&folder, "test_fraction = 0.5");
    let data = open(&lines, 1).unwrap();
    for (index, (_, grey)) in COLOURS.into_iter().enumerate() {
        let set = if index < 2 { &data.train } else { &data.test };
        assert_eq!(set.clean(index % 2).unwrap(), vec![f32::from(grey) / 255.0; 64]);
    }
    let said = |channels: usize| {
        let own = folder.write("own.toml", config(&lines, channels));
        let call = convae().arg("--config").arg(own).out(folder.at("out")).arg("--overwrite");
        text(&call.assert().success().get_output().stderr)
    };
    let grey = said(1);
    for (line, words) in grey.lines().zip(["2 of 2 training images", "1 of 2 test images"]) {
        assert!(line.contains(&format!("{words} are coloured; the model is grey")), "{line}");
        assert!(crate::common::is_sentence(line), "{line}");
    }
    assert_eq!((grey.lines().count(), said(3)), (2, String::new()));
}

#[test]
fn a_grey_model_sees_the_grey_of_coloured_arrays_too() {
    let folder = Folder::new();
    let pixels = |colour: [u8; 3]| -> Vec<u8> { (0..64).flat_map(|_| colour).collect() };
    let all: Vec<u8> = COLOURS.iter().flat_map(|(colour, _)| pixels(*colour)).collect();
    let header: Vec<u8> = [0x0804_u32, 4, 8, 8, 3].iter().flat_map(|w| w.to_be_bytes()).collect();
    let idx = folder.write("own.idx", [header, all.clone()].concat());
    let npy = folder.write("own.npy", npy(&[4, 8, 8, 3], &all));
    for (kind, key, file) in [("idx", "train", idx), ("npz", "file", npy)] {
        let file = file.display();
        let lines = format!("kind = \"{kind}\"\n{key} = \"{file}\"\ntest_fraction = 0.25");
        let data = open(&lines, 1).unwrap();
        let seen: Vec<Vec<f32>> = (0..3).map(|index| data.train.clean(index).unwrap()).collect();
        let grey = |(_, grey): ([u8; 3], u8)| vec![f32::from(grey) / 255.0; 64];
        assert_eq!(seen, COLOURS.map(grey)[..3], "{kind}");
        assert_eq!(data.test.clean(0).unwrap(), grey(COLOURS[3]), "{kind}");
        let own = folder.write("own.toml", config(&lines, 1));
        let call = convae().arg("--config").arg(own).out(folder.at(kind));
        let said = text(&call.assert().success().get_output().stderr);
        assert!(said.contains("its 4 images are in colour; the model is grey"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        // And a model of colour sees grey arrays repeated.
        assert_eq!(open(&lines, 3).unwrap().train.clean(0).unwrap()[..3], [1.0, 0.0, 0.0]);
    }
}

#[test]
fn the_test_set_is_the_last_part_a_folder_or_a_list() {
    let folder = folder_of(10, SIDE, SIDE);
    let lengths = |more: &str| {
        let data = open(&images(&folder, more), 1).unwrap();
        (data.train.len(), data.test.len())
    };
    assert_eq!(lengths(""), (9, 1));
    assert_eq!(lengths("test_fraction = 0.25"), (7, 3)); // floor(10 * 0.75)
    assert_eq!(lengths("test_fraction = 0.25\ntrain_samples = 2\ntest_samples = 1"), (2, 1));

    // A folder within the training folder, and the same through a link: not learned from.
    save(&grey(50, SIDE, SIDE), &folder.at("images/test/x.png"));
    let test = format!("test = \"{}\"", folder.at("images/test").display());
    assert_eq!(lengths(&test), (10, 1));

    let list = folder.write("list.txt", "003.png\n\n./001.png\n003.png\n");
    let data = open(&images(&folder, &format!("test = \"{}\"", list.display())), 1).unwrap();
    assert_eq!((data.train.len(), data.test.len()), (9, 2));
    assert_eq!(data.test.clean(0).unwrap(), part(3, 0, 0));
    assert_eq!(data.test.clean(1).unwrap(), part(1, 0, 0));
    let tested = [part(3, 0, 0), part(1, 0, 0)];
    assert!((0..9).all(|index| !tested.contains(&data.train.clean(index).unwrap())));
}

#[test]
fn a_list_may_begin_with_a_byte_order_mark_and_have_the_line_ends_of_windows() {
    let folder = folder_of(5, SIDE, SIDE);
    let list = folder.write("list.txt", "\u{feff}003.png\r\n001.png\r\n");
    let lines = images(&folder, &format!("test = \"{}\"", list.display()));
    let data = open(&lines, 1).unwrap();
    assert_eq!((data.train.len(), data.test.len()), (3, 2));
    assert_eq!(data.test.clean(0).unwrap(), part(3, 0, 0));
    assert_eq!(data.test.clean(1).unwrap(), part(1, 0, 0));

    let utf16: Vec<u8> = "\u{feff}003.png\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (other, words) in [(&utf16[..], "text in UTF-16"), (b"003.png\n\xe9.png", "line 2 is not")]
    {
        fs::write(&list, other).unwrap();
        assert!(refuses(&lines, &["list.txt", words, "save it as text in UTF-8"]).is_usage_error());
    }
}

#[test]
fn images_of_other_sizes_are_resized_by_the_rule_that_is_set() {
    let folder = Folder::new();
    let half = |x: u32| Luma([if x < 4 { 100 } else { 200 }]);
    for name in ["a.png", "b.png"] {
        save(&GrayImage::from_fn(16, 8, |x, _| half(x)), &folder.at("images").join(name));
    }
    let first_row = |how: &str| {
        let data = open(&images(&folder, &format!("resize = \"{how}\"")), 1);
        let picture = data.unwrap().train.clean(0).unwrap();
        // To tens: bicubic interpolation rings a little beside an edge.
        [0, 4, 7].map(|y| (picture[y * SIDE] * 25.5).round() as u8 * 10)
    };
    assert_eq!(first_row("exact"), [100, 100, 100]);
    assert_eq!(first_row("fit"), [0, 100, 0]);
    assert_eq!(first_row("fill"), [200, 200, 200]);
    let words = ["a.png", "16x8", "8x8", "data.resize", "data.patches"];
    assert!(refuses(&images(&folder, ""), &words).is_usage_error());
}

/// Pillow's bicubic is the same kernel, and so is its way of shrinking.
#[test]
fn resized_images_are_those_of_pillow() {
    let Some(python) = python() else { return };
    let folder = folder_of(2, 21, 33);
    let code = "from PIL import Image
image = Image.open('images/000.png').resize((8, 8), Image.BICUBIC)
print(*image.tobytes())";
    let run = Command::new(python).args(["-c", code]).current_dir(folder.path()).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let theirs: Vec<f32> =
        text(&run.stdout).split_whitespace().map(|value| value.parse().unwrap()).collect();
    let data = open(&images(&folder, "resize = \"exact\""), 1).unwrap();
    let ours = data.train.clean(0).unwrap();
    assert_eq!(theirs.len(), ours.len());
    for (ours, theirs) in ours.iter().zip(&theirs) {
        // Each rounds on its own between the two passes.
        assert!((ours * 255.0 - theirs).abs() < 1.5, "{} is not {theirs}", ours * 255.0);
    }
}

// ---- patches ----

#[test]
fn a_grid_of_patches_covers_the_images() {
    let folder = folder_of(4, 12, 20);
    let lines = images(&folder, "patches = { on = \"grid\" }\ntest_fraction = 0.25");
    let data = open(&lines, 1).unwrap();
    // 20 pixels need three patches, 12 need two; the last ones end where the image does.
    assert_eq!((data.train.len(), data.test.len()), (18, 6));
    let places = [(0, 0), (0, 8), (0, 12), (4, 0), (4, 8), (4, 12)];
    for index in 0..18 {
        let (top, left) = places[index % 6];
        assert_eq!(data.train.clean(index).unwrap(), part(index / 6, top, left), "patch {index}");
    }
    assert_eq!(data.train.name(7).as_deref(), Some("001.png#1"));
}

#[test]
fn a_single_image_has_patches_to_learn_from_and_patches_to_test_on_that_share_no_pixel() {
    let folder = folder_of(1, 40, 16);
    let lines = |patches: &str, more: &str| {
        images(&folder, &format!("patches = {patches}\ntest_fraction = 0.25\n{more}"))
    };
    // 30 rows to learn from, of which the last patches end where the part does, and 10 to test on.
    for memory in ["", "memory_mb = 0"] {
        let data = open(&lines("{ on = \"grid\" }", memory), 1).unwrap();
        assert_eq!((data.train.len(), data.test.len()), (8, 4));
        let places = |tops: &[usize]| -> Vec<Vec<f32>> {
            tops.iter().flat_map(|&top| [part(0, top, 0), part(0, top, 8)]).collect()
        };
        let seen = |images: &Images| -> Vec<Vec<f32>> {
            (0..images.len()).map(|index| images.clean(index).unwrap()).collect()
        };
        assert_eq!(seen(&data.train), places(&[0, 8, 16, 22]));
        assert_eq!(seen(&data.test), places(&[30, 32]));
        let plan = plan(&lines("{ on = \"grid\" }", memory), 1);
        let test = Dataset::open_test(&plan.config.data, plan.input_shape).unwrap();
        assert_eq!(seen(&test), seen(&data.test));
        // A training patch of the same file is another image than a test patch.
        assert_eq!((data.train.place(0), data.test.place(0)), (None, None));
    }
    let random = lines("{ on = \"random\", per_image = 50 }", "");
    let (plan, data) = (plan(&random, 1), open(&random, 1).unwrap());
    let order: Vec<usize> = (0..50).collect();
    for (split, images, tops) in
        [(Split::Train, &data.train, 0..23), (Split::Test, &data.test, 30..33)]
    {
        for patch in loader(&plan, images, split).batch(1, &order).unwrap().input.chunks(64) {
            let mut places = tops.clone().flat_map(|top| (0..=8).map(move |left| (top, left)));
            assert!(places.any(|(top, left)| part(0, top, left) == patch), "{split:?}");
        }
    }
    let own = folder.write("own.toml", config(&random, 1));
    let call = convae().arg("--config").arg(own).out(folder.at("out"));
    let said = text(&call.assert().success().get_output().stderr);
    assert!(said.contains("000.png is the only image"), "{said}");
    assert!(said.contains("its first 16x30 pixels, test patches from its last 16x10"), "{said}");
    assert!(crate::common::is_sentence(&said), "{said}");
}

#[test]
fn a_single_pair_is_divided_in_both_its_images() {
    let folder = pairs_of(1, 16, 40);
    let data =
        open(&pairs(&folder, "patches = { on = \"grid\" }\ntest_fraction = 0.2"), 1).unwrap();
    assert_eq!((data.train.len(), data.test.len()), (8, 2));
    assert_eq!(data.test.clean(0).unwrap(), part(0, 0, 32));
    let order = [0, 1];
    let plan = plan(&pairs(&folder, "patches = { on = \"grid\" }"), 1);
    let seen = loader(&plan, &data.test, Split::Test).batch(0, &order).unwrap();
    assert_eq!(seen.input, [part(100, 0, 32), part(100, 8, 32)].concat());
    assert_eq!(seen.clean.unwrap(), [part(0, 0, 32), part(0, 8, 32)].concat());
}

#[test]
fn a_single_image_that_cannot_be_divided_is_refused_with_a_remedy_that_works() {
    let folder = folder_of(1, 15, 12);
    let said = refuses(&images(&folder, "patches = { on = \"grid\" }"), &["share no pixel"]);
    assert!(said.is_usage_error());
    let words = ["000.png is the only image and 12x15 pixels", "--set data.test=PATH"];
    assert!(words.iter().all(|word| said.to_string().contains(word)), "{said}");
    save(&grey(1, SIDE, SIDE), &folder.at("test/a.png"));
    let test = format!("patches = {{ on = \"grid\" }}\ntest = \"{}\"", folder.at("test").display());
    assert_eq!(open(&images(&folder, &test), 1).unwrap().train.len(), 4);
    // Without patches there is nothing to divide.
    let whole = refuses(&images(&folder, "resize = \"fit\""), &["1 image(s)", "data.test=PATH"]);
    assert!(!whole.to_string().contains("--set data.test_fraction"), "{whole}");
}

#[test]
fn random_patches_are_parts_of_their_images_anew_in_each_epoch() {
    let folder = folder_of(6, 30, 40);
    let lines = images(&folder, "patches = { on = \"random\", per_image = 5 }");
    let (plan, data) = (plan(&lines, 1), open(&lines, 1).unwrap());
    assert_eq!((data.train.len(), data.test.len()), (25, 5));
    let order: Vec<usize> = (0..25).collect();
    let train = loader(&plan, &data.train, Split::Train);
    let seen = |epoch| train.batch(epoch, &order).unwrap().input;
    for (index, patch) in seen(1).chunks(SIDE * SIDE).enumerate() {
        let places = (0..=22).flat_map(|top| (0..=32).map(move |left| (top, left)));
        let found = places.into_iter().any(|(top, left)| part(index / 5, top, left) == patch);
        assert!(found, "patch {index} is no part of image {}", index / 5);
    }
    assert_eq!(seen(1), seen(1));
    assert_ne!(seen(1), seen(2));
    let test = loader(&plan, &data.test, Split::Test);
    assert_eq!(test.batch(1, &[0, 1]).unwrap(), test.batch(2, &[0, 1]).unwrap());
}

#[test]
fn batches_depend_neither_on_memory_nor_on_threads_nor_on_the_batch_size() {
    let folder = folder_of(9, 20, 20);
    let patches = "patches = { on = \"random\", per_image = 3, flips = true, rotations = true }";
    let seen = |more: &str| {
        let lines = images(&folder, &format!("{patches}\n{more}"));
        let plan = plan(&lines, 1);
        let data = Dataset::open(&plan.config.data, plan.input_shape).unwrap();
        epoch(&plan, &data, 3)
    };
    let base = seen("threads = 1");
    assert_eq!(base.len(), 6); // 24 patches
    for more in ["threads = 5", "memory_mb = 0\nthreads = 1", "memory_mb = 0\nthreads = 4", ""] {
        assert_eq!(seen(more), base, "{more}");
    }
    let lines = images(&folder, patches);
    let mut other = plan(&lines, 1);
    other.config.train.batch_size = 7;
    let data = Dataset::open(&other.config.data, other.input_shape).unwrap();
    let all = |batches: Vec<Batch>| batches.into_iter().flat_map(|b| b.input).collect::<Vec<_>>();
    assert_eq!(all(epoch(&other, &data, 3)), all(base));
}

#[test]
fn images_too_many_for_memory_are_told_when_each_would_be_decoded_many_times() {
    let folder = Folder::new();
    for which in 0..4 {
        save(&grey(which, 800, 800), &folder.at(&format!("images/{which}.png")));
    }
    let said = |more: &str| {
        let patches = "patches = { on = \"random\", per_image = 7 }";
        let lines = images(&folder, &format!("{patches}\ntest_fraction = 0.25\n{more}"));
        let own = folder.write("own.toml", config(&lines, 1));
        let call = convae().arg("--config").arg(own).out(folder.at("out")).arg("--overwrite");
        text(&call.assert().success().get_output().stderr)
    };
    // Three images of 0.64 MB.
    let hint = said("memory_mb = 1");
    for words in ["the training images take more than data.memory_mb = 1", "7 times", "raise it"] {
        assert!(hint.contains(words), "{hint}");
    }
    assert!(crate::common::is_sentence(&hint), "{hint}");
    assert_eq!(said("memory_mb = 3"), "");
    assert_eq!(said("memory_mb = 0"), ""); // asked for
}

// ---- pairs ----

/// Folders `noisy` and `clean` of so many pairs, whose endings differ.
fn pairs_of(count: usize, height: usize, width: usize) -> Folder {
    let folder = Folder::new();
    for which in 0..count {
        save(&grey(which + 100, height, width), &folder.at(&format!("noisy/{which}.png")));
        save(&grey(which, height, width), &folder.at(&format!("clean/{which}.bmp")));
    }
    folder
}

fn pairs(folder: &Folder, more: &str) -> String {
    let (noisy, clean) = (folder.at("noisy"), folder.at("clean"));
    let folders = format!("noisy = \"{}\"\nclean = \"{}\"", noisy.display(), clean.display());
    format!("kind = \"pairs\"\n{folders}\n{more}\n")
}

#[test]
fn pairs_are_matched_by_name_and_cut_alike() {
    let folder = pairs_of(4, 10, 14);
    let more =
        "patches = { on = \"random\", flips = true, rotations = true }\ntest_fraction = 0.25";
    let lines = pairs(&folder, more);
    let (plan, data) = (plan(&lines, 1), open(&lines, 1).unwrap());
    let batch = loader(&plan, &data.train, Split::Train).batch(1, &[0, 1, 2]).unwrap();
    // Wherever the patch is and however it is turned, the noisy pixel is 100 images further on.
    for (noisy, clean) in batch.input.iter().zip(batch.target()) {
        let (noisy, clean) = ((noisy * 255.0).round() as u32, (clean * 255.0).round() as u32);
        assert_eq!(noisy, (clean + 100 * 31) % 256);
    }
    assert!(batch.clean.is_some());
    assert_eq!(data.test.clean(0).unwrap().len(), SIDE * SIDE);
}

#[test]
fn files_without_a_partner_are_listed_and_left_out() {
    let folder = pairs_of(4, SIDE, SIDE);
    save(&grey(7, SIDE, SIDE), &folder.at("noisy/alone.png"));
    save(&grey(8, SIDE, SIDE), &folder.at("clean/lonely.png"));
    let own = folder.write("own.toml", config(&pairs(&folder, ""), 1));
    let run = convae().arg("--config").arg(own).out(folder.at("out")).assert().success();
    let said = text(&run.get_output().stderr);
    for words in ["noisy/alone.png has no clean partner", "clean/lonely.png has no noisy partner"] {
        assert!(said.contains(words), "{said}");
    }
    assert_eq!(said.lines().count(), 2, "{said}");
    let printed = text(&run.get_output().stdout);
    assert!(printed.contains("Training on 3 images, validating on 1"), "{printed}");
}

#[test]
fn pairs_may_have_a_test_folder_or_a_list() {
    let folder = pairs_of(4, SIDE, SIDE);
    save(&grey(60, SIDE, SIDE), &folder.at("held/noisy/t.png"));
    save(&grey(61, SIDE, SIDE), &folder.at("held/clean/t.png"));
    let test = |name: &str| format!("test = \"{}\"", folder.at(name).display());
    let data = open(&pairs(&folder, &test("held")), 1).unwrap();
    assert_eq!((data.train.len(), data.test.len()), (4, 1));
    assert_eq!(data.test.clean(0).unwrap(), part(61, 0, 0));
    folder.write("list.txt", "2.png\n");
    let data = open(&pairs(&folder, &test("list.txt")), 1).unwrap();
    assert_eq!((data.train.len(), data.test.len()), (3, 1));
    assert_eq!(data.test.clean(0).unwrap(), part(2, 0, 0));
    fs::remove_dir_all(folder.at("held/clean")).unwrap();
    refuses(&pairs(&folder, &test("held")), &["`data.test`", "held/clean", "no folder"]);
}

#[test]
fn pairs_that_do_not_fit_are_refused() {
    let folder = pairs_of(3, SIDE, SIDE);
    save(&grey(1, 9, 8), &folder.at("clean/1.bmp"));
    let resized = pairs(&folder, "patches = { on = \"grid\" }");
    let words = ["noisy/1.png", "8x8", "clean/1.bmp", "8x9", "same size", "data.on_error=skip"];
    assert!(refuses(&resized, &words).is_usage_error());
    save(&grey(1, SIDE, SIDE), &folder.at("clean/1.png"));
    let words = ["clean/1.bmp", "clean/1.png", "differ by their endings", "rename"];
    assert!(refuses(&pairs(&folder, ""), &words).is_usage_error());
    let apart = Folder::new();
    save(&grey(1, SIDE, SIDE), &apart.at("noisy/a.png"));
    save(&grey(1, SIDE, SIDE), &apart.at("clean/b.png"));
    assert!(
        refuses(&pairs(&apart, ""), &["no image in", "the name of one", "same names"])
            .is_usage_error()
    );
}

#[test]
fn pairs_that_would_be_cropped_to_different_parts_are_refused_before_they_are_resized() {
    let folder = pairs_of(3, 12, 16);
    for how in ["fit", "fill", "exact"] {
        let lines = pairs(&folder, &format!("resize = \"{how}\""));
        assert_eq!(open(&lines, 1).unwrap().train.len(), 2);
    }
    save(&grey(1, 16, 12), &folder.at("clean/1.bmp"));
    for how in ["fit", "fill", "exact"] {
        let lines = pairs(&folder, &format!("resize = \"{how}\""));
        refuses(&lines, &["noisy/1.png", "16x12", "clean/1.bmp", "12x16", "same size"]);
    }
}

// ---- arrays ----

/// A `.npy` of bytes.
fn npy(shape: &[usize], bytes: &[u8]) -> Vec<u8> {
    let sides: Vec<String> = shape.iter().map(|side| format!("{side},")).collect();
    let header =
        format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({}), }}\n", sides.concat());
    let length = u16::try_from(header.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), bytes].concat()
}

fn npz(path: &Path, method: CompressionMethod, arrays: &[(&str, Vec<u8>)]) {
    let mut writer = ZipWriter::new(fs::File::create(path).unwrap());
    for (name, array) in arrays {
        let options = SimpleFileOptions::default().compression_method(method);
        writer.start_file(format!("{name}.npy"), options).unwrap();
        writer.write_all(array).unwrap();
    }
    writer.finish().unwrap();
}

/// Bytes of so many images.
fn bytes_of(count: usize) -> Vec<u8> {
    let all = (0..count).flat_map(|which| (0..64).map(move |i| (which, i / SIDE, i % SIDE)));
    all.map(|(which, y, x)| pixel(which, y, x)).collect()
}

#[test]
fn archives_of_numpy_are_read_compressed_or_not() {
    let folder = Folder::new();
    let path = folder.at("own.npz");
    let lines = |more: &str| format!("kind = \"npz\"\nfile = \"{}\"\n{more}", path.display());
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let train = npy(&[5, 8, 8], &bytes_of(5));
        npz(&path, method, &[("x_train", train), ("x_test", npy(&[2, 8, 8, 1], &bytes_of(2)))]);
        let data = open(&lines(""), 1).unwrap();
        assert_eq!((data.train.len(), data.test.len()), (5, 2));
        assert_eq!(data.train.clean(4).unwrap(), part(4, 0, 0));
        let data = open(&lines("test_fraction = 0.4\ntrain_samples = 2"), 1).unwrap();
        assert_eq!((data.train.len(), data.test.len()), (2, 2));
        assert_eq!(data.test.clean(0).unwrap(), part(3, 0, 0));
        let data = open(&lines("train = \"x_test\"\ntest = \"x_train\""), 1).unwrap();
        assert_eq!((data.train.len(), data.test.len()), (2, 5));
    }
    refuses(&lines("train = \"photos\""), &["no array `photos`", "`x_train`", "data.train"]);
    let single = folder.write("own.npy", npy(&[10, 8, 8], &bytes_of(10)));
    let lines = format!("kind = \"npz\"\nfile = \"{}\"", single.display());
    let plan = plan(&lines, 1);
    let data = Dataset::open(&plan.config.data, plan.input_shape).unwrap();
    assert_eq!((data.train.len(), data.test.len()), (9, 1));
    let test = Dataset::open_test(&plan.config.data, plan.input_shape).unwrap();
    assert_eq!(test.clean(0).unwrap(), part(9, 0, 0));
}

#[test]
fn an_archive_of_test_images_alone_is_enough_to_test_on() {
    let folder = Folder::new();
    let path = folder.at("own.npz");
    npz(&path, CompressionMethod::Stored, &[("x_test", npy(&[2, 8, 8], &bytes_of(2)))]);
    let lines = |more: &str| format!("kind = \"npz\"\nfile = \"{}\"\n{more}", path.display());
    let test = |more: &str| {
        let plan = plan(&lines(more), 1);
        Dataset::open_test(&plan.config.data, plan.input_shape)
    };
    let whole = test("").unwrap();
    assert_eq!((whole.len(), whole.clean(1).unwrap()), (2, part(1, 0, 0)));
    assert_eq!(test("test_samples = 1").unwrap().len(), 1);
    refuses(&lines(""), &["no array `x_train`"]);
    assert!(test("test_fraction = 0.5").unwrap_err().to_string().contains("no array `x_train`"));
}

#[test]
fn what_numpy_writes_is_what_we_read() {
    let Some(python) = python() else { return };
    let folder = Folder::new();
    let code = "import numpy as np
a = np.arange(3 * 64).reshape(3, 8, 8)
np.savez_compressed('own.npz', x_train=a.astype(np.uint8), x_test=a.astype(np.uint16))
np.savez('floats.npz', x_train=(a / 191).astype(np.float32), x_test=a / 191)
np.savez('wrong.npz', x_train=a.astype(np.int32), x_test=np.asfortranarray(a.astype(np.uint8)))
";
    let run = Command::new(python).args(["-c", code]).current_dir(folder.path()).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let lines = |name: &str| format!("kind = \"npz\"\nfile = \"{}\"\n", folder.at(name).display());
    let data = open(&lines("own.npz"), 1).unwrap();
    let scaled = |white: f32| (128..192_u16).map(|i| f32::from(i) / white).collect::<Vec<f32>>();
    assert_eq!(data.train.clean(2).unwrap(), scaled(255.0));
    assert_eq!(data.test.clean(2).unwrap(), scaled(65_535.0));
    let data = open(&lines("floats.npz"), 1).unwrap();
    assert_eq!(data.train.clean(2).unwrap(), scaled(191.0));
    assert_eq!(data.test.len(), 3);
    refuses(&lines("wrong.npz"), &["`x_train`", "\"<i4\"", "uint8"]);
    let swapped = lines("wrong.npz") + "train = \"x_test\"";
    refuses(&swapped, &["`x_test`", "Fortran's order", "ascontiguousarray"]);
}

#[test]
fn arrays_that_are_no_images_are_refused() {
    let folder = Folder::new();
    let path = folder.at("own.npz");
    let lines = format!("kind = \"npz\"\nfile = \"{}\"\n", path.display());
    for (array, words) in [
        (npy(&[64], &bytes_of(1)), ["its `x_train` has shape [64]", "(N, height, width)"]),
        (npy(&[0, 8, 8], &[]), ["[0, 8, 8]", "no image"]),
        (npy(&[1, 16, 4], &bytes_of(1)), ["[16, 4, 1]", "model.input_shape"]),
    ] {
        npz(&path, CompressionMethod::Stored, &[("x_train", array)]);
        assert!(refuses(&lines, &words).is_usage_error());
    }
    let good = npy(&[2, 8, 8], &bytes_of(2));
    npz(&path, CompressionMethod::Deflated, &[("x_train", good[..good.len() - 1].to_vec())]);
    assert!(
        !refuses(&lines, &["is damaged", "shorter or longer", "another copy"]).is_usage_error()
    );
    npz(&path, CompressionMethod::Deflated, &[("x_train", good.clone())]);
    refuses(&lines, &["no array `x_test`"]);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert!(!refuses(&lines, &["own.npz is damaged", "another copy"]).is_usage_error());
    fs::write(&path, b"not at all").unwrap();
    refuses(&lines, &["neither a .npz nor a .npy", "numpy.savez"]);
    fs::remove_file(&path).unwrap();
    assert!(refuses(&lines, &["no such file", "data.file"]).is_usage_error());
}

/// A plan of a model of these layers, at the size of the data of these lines.
fn plan_for(shape: &str, layer: &str, data: &str) -> anyhow::Result<Plan> {
    let text = format!(
        "name = \"any\"\n[model]\ninput_shape = {shape}\nlayers = [{{ layer = {layer} }}]\n\
         [train]\nloss = \"mse\"\n[data]\n{data}\n"
    );
    Plan::new(Source::parse(&text, "any", &[])?)?.for_data()
}

#[test]
fn arrays_and_tables_are_taken_as_vectors_matrices_and_signals() {
    let folder = Folder::new();
    let file = |name: &str, bytes: Vec<u8>| {
        let path = folder.write(name, bytes);
        format!("kind = \"npz\"\nfile = \"{}\"\ntest_fraction = 0.5", path.display())
    };
    let bytes: Vec<u8> = (0..48).collect();
    let (rows, images) = (npy(&[4, 12], &bytes), npy(&[4, 6, 2], &bytes));
    let table = "a,b,c\n0,0.25,1\n1,0.5,0".as_bytes().to_vec();
    let (dense, conv) = ("\"Dense\", units = ", "\"Conv1D\", kernel_size = 1, filters = ");
    for (shape, layer, data, seen) in [
        ("[12]", format!("{dense}12"), file("rows.npy", rows), [1, 12, 1]),
        ("[12]", format!("{dense}12"), file("images.npy", images.clone()), [6, 2, 1]),
        ("[6, 2]", format!("{dense}2"), file("images.npy", images.clone()), [6, 2, 1]),
        ("[6, 2]", format!("{conv}2"), file("images.npy", images), [1, 6, 2]),
        ("[3]", format!("{dense}3"), file("table.csv", table.clone()), [1, 3, 1]),
    ] {
        let plan = plan_for(shape, &layer, &data).unwrap();
        assert_eq!((plan.input_shape, plan.output_shape()), (seen, seen), "{shape}, {layer}");
        let set = Dataset::open(&plan.config.data, plan.objective().unwrap().target).unwrap();
        let last = set.test.clean(set.test.len() - 1).unwrap();
        let expected: Vec<f32> = match seen {
            [1, 3, 1] => vec![1.0, 0.5, 0.0],
            _ => (36..48_u8).map(|value| f32::from(value) / 255.0).collect(),
        };
        assert_eq!(last, expected, "{shape}, {layer}");
    }
    let refused = |shape: &str, layer: &str, data: &str| {
        let plan = plan_for(shape, layer, data).unwrap();
        let target = plan.objective().unwrap().target;
        Dataset::open(&plan.config.data, target).unwrap_err().to_string()
    };
    let other = refused("[4]", &format!("{dense}4"), &file("table.csv", table));
    assert!(other.contains("[1, 3, 1]") && other.contains("[1, 4, 1]"), "{other}");
    let odd = file("odd.csv", b"a,b\n0,x\n".to_vec());
    let error = plan_for("[2]", &format!("{dense}2"), &odd).unwrap_err().to_string();
    assert!(error.contains("odd.csv: it has \"x\" in line 2"), "{error}");
}

#[test]
fn values_beyond_white_are_taken_where_the_config_says_so_and_nothing_clips_them() {
    let folder = Folder::new();
    let path = folder.write("sensor.csv", "a,b\n-3,250\n1,2\n");
    let lines = format!("kind = \"npz\"\nfile = \"{}\"\ntest_fraction = 0.5\n", path.display());
    let any = format!("{lines}any_values = true\n");
    let plan = |data: &str| plan_for("[2]", "\"Dense\", units = 2", data);
    let refused = |data: &str| plan(data).map(|_| ()).unwrap_err().to_string();
    let error = refused(&lines);
    assert!(error.contains("one is -3") && error.contains("data.any_values=true"), "{error}");
    let good = plan(&any).unwrap();
    let set = Dataset::open(&good.config.data, good.objective().unwrap().target).unwrap();
    assert_eq!(set.train.clean(0).unwrap(), [-3.0, 250.0]);
    for (more, words) in [
        ("[corruption]\nkind = \"gaussian\"", "`corruption` is gaussian, for values in 0..1"),
        ("[corruption]\nkind = \"poisson\"\nclip = false", "`corruption` is poisson"),
    ] {
        let error = refused(&format!("{any}{more}"));
        assert!(error.contains(words), "{error}");
    }
    assert!(plan(&format!("{any}[corruption]\nkind = \"gaussian\"\nclip = false")).is_ok());
}

#[test]
fn idx_files_may_have_any_name_and_the_test_set_may_be_their_last_part() {
    let folder = Folder::new();
    let header: Vec<u8> = [0x0803_u32, 10, 8, 8].iter().flat_map(|w| w.to_be_bytes()).collect();
    let path = folder.write("mine.idx", [header, bytes_of(10)].concat());
    let lines = |more: &str| format!("kind = \"idx\"\ntrain = \"{}\"\n{more}", path.display());
    let plan = plan(&lines("test_fraction = 0.3"), 1);
    let data = Dataset::open(&plan.config.data, plan.input_shape).unwrap();
    assert_eq!((data.train.len(), data.test.len()), (7, 3));
    let test = Dataset::open_test(&plan.config.data, plan.input_shape).unwrap();
    assert_eq!((test.len(), test.clean(0).unwrap()), (3, part(7, 0, 0)));
    let data = open(&lines(&format!("test = \"{}\"", path.display())), 1).unwrap();
    assert_eq!((data.train.len(), data.test.len()), (10, 10));
    refuses(&lines("test = \"nowhere.idx\""), &["nowhere.idx is missing", "name a file"]);
    fs::write(&path, [0; 100]).unwrap();
    refuses(&lines(""), &["mine.idx is damaged", "magic number", "another copy"]);
}

#[test]
fn a_gzip_file_of_several_members_is_read_whole_and_nothing_else_may_stand_behind_them() {
    let gzip = |bytes: &[u8]| {
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    };
    let folder = Folder::new();
    let header: Vec<u8> = [0x0803_u32, 10, 8, 8].iter().flat_map(|w| w.to_be_bytes()).collect();
    let raw = [header, bytes_of(10)].concat();
    // Within the header, and within an image; an empty one at the end, as bgzip writes it.
    let members = [gzip(&raw[..7]), gzip(&raw[7..300]), gzip(&raw[300..]), gzip(&[])].concat();
    let lines = format!("kind = \"idx\"\ntrain = \"{}\"", folder.at("mine.idx").display());
    for file in [&members, &[members.clone(), vec![0; 1024]].concat()] {
        folder.write("mine.idx.gz", file);
        let data = open(&lines, 1).unwrap();
        assert_eq!((data.train.len(), data.test.len()), (9, 1));
        assert_eq!(data.train.clean(8).unwrap(), part(8, 0, 0));
        assert_eq!(data.test.clean(0).unwrap(), part(9, 0, 0));
    }
    for (behind, words) in [
        (b"garbage".to_vec(), "behind its last gzip member are 7 other bytes"),
        (gzip(b"more"), "[10, 8, 8] bytes, it holds 641"),
        (gzip(b"more")[..9].to_vec(), "cannot be unpacked"),
    ] {
        folder.write("mine.idx.gz", [members.clone(), behind].concat());
        refuses(&lines, &["mine.idx.gz is damaged", words, "another copy"]);
    }
}

// ---- what can be wrong with a folder ----

#[test]
fn folders_that_are_missing_or_empty_are_named_with_their_key() {
    let folder = Folder::new();
    fs::create_dir_all(folder.at("images/deep")).unwrap();
    folder.write("images/deep/notes.txt", "no image");
    let words = ["images holds no image", "subfolders", "--set data.train="];
    assert!(refuses(&images(&folder, ""), &words).is_usage_error());
    let nowhere = "kind = \"images\"\ntrain = \"nowhere\"";
    assert!(refuses(nowhere, &["`data.train` is nowhere", "no folder"]).is_usage_error());
    save(&grey(0, SIDE, SIDE), &folder.at("images/a.png"));
    refuses(&images(&folder, ""), &["1 image(s)", "nothing to learn from", "test_fraction"]);
    save(&grey(1, SIDE, SIDE), &folder.at("images/b.png"));
    refuses(&images(&folder, "test = \"nowhere\""), &["`data.test` is nowhere"]);
    let list = folder.write("list.txt", "a.png\nc.png\n");
    let listed = images(&folder, &format!("test = \"{}\"", list.display()));
    refuses(&listed, &["list.txt:2", "\"c.png\"", "not among the images", "one a line"]);
    fs::write(&list, "a.png\nb.png").unwrap();
    refuses(&listed, &["nothing to learn from", "list.txt"]);
    fs::write(&list, "\n").unwrap();
    refuses(&listed, &["no test set", "list.txt"]);
}

#[test]
fn a_folder_that_is_all_test_set_is_counted_and_told_what_goes_with_its_keys() {
    let folder = folder_of(3, SIDE, SIDE);
    let list = folder.write("list.txt", "000.png\n001.png\n002.png\n");
    for test in [folder.at("images"), list] {
        let lines = images(&folder, &format!("test = \"{}\"", test.display()));
        let words = ["3 image(s)", "nothing to learn from", "--set data.test=PATH"];
        let said = refuses(&lines, &words).to_string();
        assert!(!said.contains("test_fraction"), "{said}");
    }
}

/// A folder of good images and broken ones of every kind.
fn broken_folder() -> Folder {
    let folder = folder_of(6, SIDE, SIDE);
    let whole = fs::read(folder.at("images/000.png")).unwrap();
    folder.write("images/001a.png", &whole[..whole.len() / 2]);
    folder.write("images/001b.png", "");
    folder.write("images/001c.jpg", "not an image at all");
    folder
}

#[test]
fn a_broken_image_stops_the_run_before_anything_is_written() {
    let folder = broken_folder();
    let own = folder.write("own.toml", config(&images(&folder, ""), 1));
    let call = convae().arg("--config").arg(&own).out(folder.at("out"));
    // The first by its path, however many threads look.
    call.fails(&["001a.png", "it is damaged", "--set data.on_error=skip"]).stdout("");
    assert_eq!(names(folder.path()), ["images", "own.toml"]);
}

#[test]
fn broken_images_are_named_skipped_and_counted_where_the_config_says_so() {
    let folder = broken_folder();
    save(&grey(9, 20, 20), &folder.at("images/002z.png"));
    let own = folder.write("own.toml", config(&images(&folder, "on_error = \"skip\""), 1));
    let run = convae().arg("--config").arg(&own).out(folder.at("out")).assert().success();
    let said = text(&run.get_output().stderr);
    for name in ["001a.png", "001b.png", "001c.jpg", "002z.png"] {
        let line = said.lines().find(|line| line.contains(name)).expect(name);
        assert!(line.ends_with("(skipped)"), "{line}");
    }
    assert_eq!(said.lines().count(), 4, "{said}");
    let history = history(&folder.at("out"));
    assert_eq!(history["skipped_files"], 4);
    let timings = fs::read_to_string(folder.at("out/timings.json")).unwrap();
    let timings: serde_json::Value = serde_json::from_str(&timings).unwrap();
    let waiting = timings["epochs"][0]["waiting"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&waiting), "{waiting}");
    assert!(text(&run.get_output().stdout).contains("slower (waits for data"));

    // The checkpoint knows its data.
    let weights = folder.at("out/own.pt");
    let printed = convae().arg("evaluate").arg("--checkpoint").arg(weights).succeeds();
    assert!(printed.starts_with("1 test images"), "{printed}");
}

fn history(out: &Path) -> serde_json::Value {
    serde_json::from_str(&fs::read_to_string(out.join("history.json")).unwrap()).unwrap()
}

#[test]
fn a_folder_without_a_usable_image_is_an_error_even_when_skipping() {
    let folder = Folder::new();
    for name in ["a.png", "b.png", "c.png"] {
        folder.write(&format!("images/{name}"), "not an image");
    }
    let words = ["none of the 2 image(s)", "training images", "a.png", "not an image"];
    assert!(!refuses(&images(&folder, "on_error = \"skip\""), &words).is_usage_error());
}

#[test]
fn a_decompression_bomb_is_refused_by_the_limit() {
    let folder = folder_of(3, SIDE, SIDE);
    let lines = images(&folder, "max_pixels = 63");
    refuses(&lines, &["000.png", "8x8 pixels, more than the 63", "data.on_error=skip"]);
    assert!(open(&images(&folder, "max_pixels = 64"), 1).is_ok());
}

#[test]
fn an_image_smaller_than_a_patch_is_named() {
    let folder = folder_of(3, SIDE, SIDE);
    save(&grey(0, 7, 30), &folder.at("images/000.png"));
    let lines = images(&folder, "patches = { on = \"random\" }");
    refuses(&lines, &["000.png", "30x7", "less than a patch of 8x8", "data.on_error=skip"]);
}

#[test]
fn what_is_skipped_is_not_told_how_to_be_skipped() {
    let said = |folder: &Folder, lines: &str| {
        let own = folder.write("own.toml", config(lines, 1));
        let run = convae().arg("--config").arg(own).out(folder.at("out")).assert().success();
        text(&run.get_output().stderr)
    };
    let small = folder_of(4, SIDE, SIDE);
    save(&grey(0, 7, 30), &small.at("images/000.png"));
    let more = "patches = { on = \"random\" }\non_error = \"skip\"";
    let pair = pairs_of(4, SIDE, SIDE);
    save(&grey(1, 9, 8), &pair.at("clean/1.bmp"));
    for (folder, lines) in [(&small, images(&small, more)), (&pair, pairs(&pair, more))] {
        let said = said(folder, &lines);
        assert!(said.ends_with("(skipped)\n") && !said.contains("on_error"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn an_image_of_another_size_than_before_is_no_misuse_and_asks_for_a_new_start() {
    let folder = folder_of(3, SIDE, SIDE);
    for more in ["", "patches = { on = \"grid\" }"] {
        for (height, width) in [(7, 30), (SIDE, 2 * SIDE)] {
            save(&grey(0, SIDE, SIDE), &folder.at("images/000.png"));
            let data = open(&images(&folder, &format!("memory_mb = 0\n{more}")), 1).unwrap();
            save(&grey(0, height, width), &folder.at("images/000.png"));
            let error = data.train.clean(0).unwrap_err();
            let said = error.to_string();
            assert!(said.contains("000.png has another size than when it was first"), "{said}");
            assert!(said.contains("start again") && !said.contains("resize"), "{said}");
            assert!(!error.is_usage_error());
        }
    }
}

#[test]
fn images_that_vanish_while_the_model_learns_do_not_take_along_what_it_learned() {
    let folder = folder_of(60, SIDE, SIDE);
    let lines = images(&folder, "memory_mb = 0");
    let own = folder.write("own.toml", config(&lines, 1) + "epochs = 100000\n");
    let call = convae().arg("--config").arg(&own).out(folder.at("out"));
    let mut child = call.command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.find(|line| line.as_ref().unwrap().starts_with("epoch 2/")).unwrap().unwrap();
    fs::remove_dir_all(folder.at("images")).unwrap();
    lines.for_each(|line| drop(line.unwrap()));
    let output = child.wait_with_output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(crate::common::is_sentence(&said), "{said}");
    for word in ["what was learned is saved in", "out", ".png", "cannot be read"] {
        assert!(said.contains(word), "{said} lacks {word}");
    }
    let left = [
        "checkpoints",
        "config.toml",
        "history.json",
        "own-best.pt",
        "own.pt",
        "run.lock",
        "timings.json",
    ];
    assert_eq!(names(&folder.at("out")), left);
    let history = history(&folder.at("out"));
    assert_eq!(history["interrupted"], true);
    assert!(!history["epochs"].as_array().unwrap().is_empty());
}

// ---- the config ----

#[test]
fn a_config_of_before_still_means_mnist_and_says_so_from_now_on() {
    let before = format!("dir = \"{}\"\ntrain_samples = 3\ntest_samples = 2", digits().display());
    let text = config(&before, 1).replace("input_shape = [8, 8, 1]", "input_shape = [28, 28, 1]");
    let source = Source::parse(&text, "old.toml", &[]).unwrap();
    let written = source.config.to_toml();
    assert!(written.contains("[data]\nkind = \"mnist\"\ndir = "), "{written}");
    assert_eq!(Source::parse(&written, "new.toml", &[]).unwrap().config, source.config);
    let plan = Plan::new(source).unwrap();
    let data = Dataset::open(&plan.config.data, plan.input_shape).unwrap();
    assert_eq!((data.train.len(), data.test.len()), (3, 2));
}

#[test]
fn every_kind_of_data_reads_back_as_it_was_written() {
    for data in [
        "",
        "kind = \"fashion-mnist\"",
        "kind = \"idx\"\ntrain = \"a\"\ntest = \"b\"",
        "kind = \"npz\"\nfile = \"a.npz\"\ntest_fraction = 0.2",
        "kind = \"images\"\ntrain = \"a\"\nresize = \"fill\"\non_error = \"skip\"",
        "kind = \"pairs\"\nnoisy = \"a\"\nclean = \"b\"\npatches = { on = \"random\", rotations = true }",
    ] {
        let config = plan(data, 1).config;
        let written = config.to_toml();
        assert_eq!(Source::parse(&written, "own.toml", &[]).unwrap().config, config, "{written}");
    }
}

#[test]
fn another_kind_from_the_command_line_leaves_the_files_paths_behind() {
    let text = config("dir = \"my/digits\"\ntrain_samples = 5", 1);
    let set = ["data.kind=fashion-mnist".to_owned()];
    let written = Source::parse(&text, "own.toml", &set).unwrap().config.to_toml();
    assert!(written.contains("dir = \"data/fashion-mnist\""), "{written}");
    assert!(written.contains("train_samples = 5"), "{written}");
}

#[test]
fn keys_that_do_not_go_together_are_refused_with_their_line() {
    let folders = "kind = \"images\"\ntrain = \"a\"";
    for (data, words) in [
        ("kind = \"photos\"", ["`data.kind`", "\"photos\"", "images"]),
        ("kind = \"images\"", ["`data.train` is missing", "a path", "own.toml:2"]),
        ("kind = \"images\"\ntrain = 3", ["`data.train`", "is 3", "a path"]),
        (&format!("{folders}\nfolder = \"x\""), ["`data.folder`", "not a key", "own.toml:5"]),
        (
            &format!("{folders}\ntest = \"b\"\ntest_fraction = 0.1"),
            ["`data.test_fraction`", "0.1", "one of"],
        ),
        (&format!("{folders}\ntest_fraction = 0"), ["`data.test_fraction`", "is 0", "above 0"]),
        (&format!("{folders}\ntest_fraction = 1"), ["`data.test_fraction`", "is 1", "0.99"]),
        (&format!("{folders}\nresize = \"crop\""), ["`data.resize`", "\"crop\"", "fill"]),
        (
            &format!("{folders}\nresize = \"fit\"\npatches = {{}}"),
            ["`data.resize`", "`data.patches`", "one of"],
        ),
        (
            &format!("{folders}\npatches = {{ on = \"random\", stride = 4 }}"),
            ["`data.patches.stride`", "4", "grid"],
        ),
        (
            &format!("{folders}\npatches = {{ per_image = 4 }}"),
            ["`data.patches.per_image`", "4", "random"],
        ),
        (
            &format!("{folders}\npatches = {{ on = \"edges\" }}"),
            ["`data.patches.on`", "\"edges\"", "grid"],
        ),
        (&format!("{folders}\non_error = \"ignore\""), ["`data.on_error`", "\"ignore\"", "skip"]),
        (&format!("{folders}\nmax_pixels = 0"), ["`data.max_pixels`", "is 0", "from 1"]),
        (&format!("{folders}\nmemory_mb = -1"), ["`data.memory_mb`", "is -1", "from 0"]),
        (&format!("{folders}\nthreads = 0"), ["`data.threads`", "is 0", "from 1"]),
    ] {
        let source = Source::parse(&config(data, 1), "own.toml", &[]);
        let said = source.and_then(Plan::new).expect_err(data).to_string();
        assert!(words.iter().all(|word| said.contains(word)), "{said} lacks some of {words:?}");
    }
    let wide = config(&format!("{folders}\npatches = {{ rotations = true }}"), 1);
    let wide = wide.replace("[8, 8, 1]", "[8, 16, 1]");
    let refused = Source::parse(&wide, "own.toml", &[]).and_then(Plan::new).unwrap_err();
    assert!(refused.to_string().contains("`data.patches.rotations` is true"), "{refused}");
}

#[test]
fn fashion_mnist_that_is_not_there_is_told_how_to_get() {
    let call = convae().args(["--config", "plain.toml", "--set", "data.kind=fashion-mnist"]);
    let call = call.set("data.dir=nowhere").out("unused");
    call.refused(&["nowhere/train-images-idx3-ubyte", "--only fashion-mnist", "data.dir="]);
}

// ---- the trace ----

#[test]
fn a_trace_carries_the_images_that_a_replay_cannot_read() {
    let folder = folder_of(8, 12, 12);
    let lines = images(&folder, "patches = { on = \"random\" }");
    let noise = "[corruption]\nkind = \"gaussian\"\n";
    let own = folder.write("own.toml", config(&lines, 1) + "epochs = 2\n" + noise);
    let trace = folder.at("trace");
    let call: Convae = convae().arg("--config").arg(&own).out(folder.at("out"));
    call.arg("--trace").arg(&trace).succeeds();
    let left: Vec<PathBuf> =
        ["train_inputs_1", "train_inputs_2", "train_targets_1", "train_targets_2"]
            .iter()
            .chain(&["test_inputs", "test_targets"])
            .map(|name| trace.join(format!("{name}.safetensors")))
            .collect();
    assert!(left.iter().all(|file| file.is_file()), "{:?}", names(&trace));
}
