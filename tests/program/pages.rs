//! Image files that hold more, or other, than the pixels of one image: TIFFs of several pages, floats,
//! profiles, JPEGs that break off, formats that are not read. Every command that takes images has to treat
//! them alike.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use convae::Denoiser;
use convae::config::Source;
use convae::data::Dataset;
use convae::formats::codes::Codes;
use convae::formats::image_file;
use convae::formats::image_file::{
    Density, Format, ImageFile, MOST_PIXELS, Metadata, Samples, Unit, decode, decode_bytes,
};
use convae::plan::Plan;
use tiff::encoder::TiffEncoder;
use tiff::encoder::colortype::{Gray8, Gray32Float, RGB32Float};
use tiff::tags::Tag;

use crate::common::{Convae, Folder, convae, names, text, tiny, train};

/// A trained model of grey digits.
fn model() -> &'static Path {
    static RUN: OnceLock<(Folder, PathBuf)> = OnceLock::new();
    let (_, weights) = RUN.get_or_init(|| {
        let folder = Folder::lasting();
        let config = folder.write("tiny.toml", tiny());
        train(config).out(folder.at("run")).set("train.epochs=1").succeeds();
        let weights = folder.at("run/tiny.pt");
        (folder, weights)
    });
    weights
}

fn call(command: &str) -> Convae {
    convae().arg(command).arg("--checkpoint").arg(model())
}

/// A grey image that is like no other.
fn grey(which: usize, height: usize, width: usize) -> ImageFile {
    let value = |i: usize| ((which * 31 + i * 7 + i * i / 5) % 256) as u8;
    ImageFile::new([height, width, 1], Samples::Eight((0..height * width).map(value).collect()))
        .unwrap()
}

fn read(path: &Path) -> ImageFile {
    decode(path, MOST_PIXELS).unwrap()
}

/// A TIFF of so many grey images of 28x28 pixels.
fn stack(folder: &Folder, name: &str, first: usize, count: usize) -> PathBuf {
    let path = folder.at(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let images: Vec<_> = (first..first + count).map(|which| grey(which, 28, 28)).collect();
    ImageFile::save_pages(&path, &images).unwrap();
    path
}

/// A TIFF of one image of floats.
fn floats(folder: &Folder, name: &str, values: &[f32]) -> PathBuf {
    let path = folder.at(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = fs::File::create(&path).unwrap();
    let all: Vec<f32> = values.iter().copied().cycle().take(28 * 28).collect();
    TiffEncoder::new(&mut file).unwrap().write_image::<Gray32Float>(28, 28, &all).unwrap();
    path
}

// ---- pages ----

#[test]
fn each_page_becomes_a_page_of_the_result() {
    let folder = Folder::new();
    let sizes = [(28, 28), (40, 36), (31, 50)];
    let images: Vec<_> =
        sizes.iter().enumerate().map(|(i, &(height, width))| grey(i, height, width)).collect();
    ImageFile::save_pages(folder.at("a.tif"), &images).unwrap();
    let printed = call("apply").out(folder.at("out")).arg(folder.at("a.tif")).succeeds();
    assert!(printed.contains("a.tif (3 pages)\n"), "{printed}");
    assert!(printed.contains("1 image (3 pages in TIFFs of several) in"), "{printed}");
    let results = ImageFile::open_pages(folder.at("out/a.tif")).unwrap();
    assert_eq!(names(&folder.at("out")), ["a.tif"]);
    assert_eq!(results.len(), 3);
    for (index, (image, result)) in images.iter().zip(&results).enumerate() {
        let alone = folder.at(&format!("{index}.tif"));
        image.save(&alone).unwrap();
        call("apply").out(folder.at("alone")).arg(&alone).succeeds();
        assert_eq!(&read(&folder.at(&format!("alone/{index}.tif"))), result);
    }
}

#[test]
fn pages_from_stdin_go_to_stdout() {
    let folder = Folder::new();
    let path = stack(&folder, "a.tif", 0, 3);
    call("apply").out(folder.at("out")).arg(&path).succeeds();
    let mut command = call("apply").arg("-").command();
    let output = command.stdin(fs::File::open(&path).unwrap()).output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    assert_eq!(output.stdout, fs::read(folder.at("out/a.tif")).unwrap());
}

#[test]
fn many_pages_are_more_than_are_in_memory_at_once_and_come_out_in_order() {
    let folder = Folder::new();
    let path = stack(&folder, "a.tif", 0, 300);
    call("apply").out(folder.at("out")).arg(&path).succeeds();
    let results = ImageFile::open_pages(folder.at("out/a.tif")).unwrap();
    let mut denoiser = Denoiser::open(model()).unwrap();
    assert_eq!(results.len(), 300);
    for which in [0, 1, 63, 64, 65, 299] {
        assert_eq!(denoiser.denoise(grey(which, 28, 28)).unwrap(), results[which], "{which}");
    }
}

/// Makes a page's values signed, which is not read: tag 339 of the list of tags that is its own.
fn sign(tiff: &mut [u8], page: usize) {
    let number = |tiff: &[u8], at: usize, bytes: usize| {
        tiff[at..at + bytes].iter().rev().fold(0, |sum, &byte| sum << 8 | usize::from(byte))
    };
    let mut list = number(tiff, 4, 4);
    for _ in 0..page {
        list = number(tiff, list + 2 + 12 * number(tiff, list, 2), 4);
    }
    let mut tags = (0..number(tiff, list, 2)).map(|index| list + 2 + 12 * index);
    let format = tags.find(|&tag| number(tiff, tag, 2) == 339).expect("its format is written");
    tiff[format + 8] = 2;
}

#[test]
fn a_page_that_fails_leaves_no_half_of_its_file() {
    let folder = Folder::new();
    fs::create_dir(folder.at("in")).unwrap();
    let path = stack(&folder, "in/a.tif", 0, 3);
    let whole = fs::read(&path).unwrap();
    let mut damaged = whole.clone();
    sign(&mut damaged, 1);
    fs::write(&path, damaged).unwrap();
    grey(1, 28, 28).save(folder.at("in/b.png")).unwrap();
    stack(&folder, "in/c.tif", 0, 2);
    let assert = call("apply").out(folder.at("out")).arg(folder.at("in")).assert().code(1);
    let stderr = text(&assert.get_output().stderr);
    assert!(stderr.contains("a.tif[1]: ") && stderr.contains("signed integers"), "{stderr}");
    assert!(stderr.contains("1 of 3 images failed"), "{stderr}");
    assert_eq!(names(&folder.at("out")), ["b.png", "c.tif"]);
    fs::write(&path, whole).unwrap();
    call("apply").out(folder.at("out")).arg(folder.at("in")).assert().success();
    assert_eq!(ImageFile::open_pages(folder.at("out/a.tif")).unwrap().len(), 3);
}

#[test]
fn a_coloured_page_is_grey_to_a_grey_model_and_keeps_its_colours_channel_by_channel() {
    let folder = Folder::new();
    let colour =
        ImageFile::new([28, 28, 3], Samples::Eight((0..28 * 28 * 3).map(|i| i as u8).collect()));
    let images = [grey(0, 28, 28), colour.unwrap()];
    fs::create_dir(folder.at("in")).unwrap();
    ImageFile::save_pages(folder.at("in/a.tif"), &images).unwrap();
    let apply = || call("apply").out(folder.at("out")).arg(folder.at("in")).arg("--overwrite");
    let printed = apply().succeeds();
    assert!(printed.contains("(2 pages; without its colours)"), "{printed}");
    assert_eq!(ImageFile::open_pages(folder.at("out/a.tif")).unwrap()[1].shape, [28, 28, 1]);
    apply().arg("--per-channel").succeeds();
    assert_eq!(ImageFile::open_pages(folder.at("out/a.tif")).unwrap()[1].shape, [28, 28, 3]);
}

#[test]
fn pages_that_no_png_can_hold() {
    let folder = Folder::new();
    let path = stack(&folder, "a.tif", 0, 2);
    let compared = call("apply").out(folder.at("out")).arg("--compare").arg(&path);
    let stderr = text(&compared.assert().code(1).get_output().stderr);
    assert!(stderr.contains("it has 2 pages and its result is a PNG"), "{stderr}");
    fs::copy(&path, folder.at("a.scan")).unwrap();
    let stderr = call("apply").out(folder.at("out")).arg(folder.at("a.scan")).assert().code(1);
    assert!(text(&stderr.get_output().stderr).contains("name it .tif"));
    let mut command = call("apply").arg("-").arg("--compare").command();
    let output = command.stdin(fs::File::open(&path).unwrap()).output().unwrap();
    assert_eq!((output.status.code(), output.stdout), (Some(1), vec![]));
    assert!(text(&output.stderr).contains("stdin: it has 2 pages"));
}

/// A TIFF with a small copy in front of its image.
fn with_thumbnail(folder: &Folder, name: &str) -> PathBuf {
    let path = folder.at(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = fs::File::create(&path).unwrap();
    let mut encoder = TiffEncoder::new(&mut file).unwrap();
    let mut small = encoder.new_image::<Gray8>(2, 2).unwrap();
    small.encoder().write_tag(Tag::NewSubfileType, 1_u32).unwrap();
    small.write_data(&[9; 4]).unwrap();
    let Samples::Eight(values) = grey(5, 28, 28).samples else { unreachable!() };
    encoder.write_image::<Gray8>(28, 28, &values).unwrap();
    path
}

#[test]
fn a_thumbnail_is_left_out_and_that_is_said() {
    let folder = Folder::new();
    let path = with_thumbnail(&folder, "in/a.tif");
    let printed = call("apply").out(folder.at("out")).arg(&path).succeeds();
    assert!(
        printed.contains("(without its thumbnails)")
            && printed.contains("; 1 without its thumbnails")
    );
    let result = ImageFile::open_pages(folder.at("out/a.tif")).unwrap();
    assert_eq!(result, [Denoiser::open(model()).unwrap().denoise(grey(5, 28, 28)).unwrap()]);
    let assert = call("encode").out(folder.at("codes.npz")).arg(&path).assert().success();
    let said = "convae: 1 thumbnail(s) or other smaller copies in 1 TIFF file(s) are left out\n";
    assert_eq!(text(&assert.get_output().stderr), said);
    assert_eq!(Codes::open(&folder.at("codes.npz")).unwrap().names, ["a.tif"]);
}

#[test]
fn each_page_has_a_code_and_neighbours() {
    let folder = Folder::new();
    let path = stack(&folder, "in/a.tif", 0, 3);
    grey(1, 28, 28).save(folder.at("in/b.png")).unwrap();
    call("encode").out(folder.at("codes.npz")).arg(folder.at("in")).succeeds();
    let codes = Codes::open(&folder.at("codes.npz")).unwrap();
    assert_eq!(codes.names, ["a.tif[0]", "a.tif[1]", "a.tif[2]", "b.png"]);
    let code = |index: usize| &codes.values[index * codes.length()..][..codes.length()];
    assert_eq!(code(1), code(3), "the second page is the image of b.png");
    assert_ne!(code(0), code(1));
    // A page is not its own neighbour; its twin in another file is.
    let out = folder.at("near.png");
    let among = call("neighbours").out(&out).arg(&path).arg("--among").arg(folder.at("in"));
    let printed = among.args(["--count", "3"]).succeeds();
    assert!(printed.starts_with("the nearest of 4 images to 3 -> "), "{printed}");
    let decoded = folder.at("drawn");
    convae()
        .args(["decode", "--checkpoint"])
        .arg(model())
        .arg("--codes")
        .arg(folder.at("codes.npz"))
        .out(&decoded)
        .succeeds();
    assert_eq!(names(&decoded), ["a.tif[0].png", "a.tif[1].png", "a.tif[2].png", "b.png"]);
}

fn plan(data: &str) -> Plan {
    let config = format!(
        r#"name = "own"
[data]
{data}
[model]
input_shape = [28, 28, 1]
encoder = [{{ layer = "Conv2D", filters = 1, kernel_size = 3, padding = "same" }}]
decoder = [{{ layer = "Conv2D", filters = 1, kernel_size = 3, padding = "same" }}]
"#
    );
    Plan::new(Source::parse(&config, "own.toml", &[]).unwrap()).unwrap()
}

#[test]
fn a_file_whose_first_page_is_left_out_is_known_again_by_its_bytes() {
    let folder = Folder::new();
    fs::create_dir(folder.at("in")).unwrap();
    let data = format!("kind = \"images\"\ntrain = \"{}\"", folder.at("in").display());
    let data = data + "\non_error = \"skip\"\ntest_fraction = 0.3";
    let digests = |last: usize| {
        // The first page is too small to be learned from.
        let pages = [grey(0, 20, 20), grey(1, 28, 28), grey(2, 28, 28), grey(last, 28, 28)];
        ImageFile::save_pages(folder.at("in/a.tif"), &pages).unwrap();
        dataset(&data).unwrap().digests()
    };
    let before = digests(3);
    assert_ne!(before.train[0], 0);
    assert_eq!(digests(3), before);
    assert_ne!(digests(4).train, before.train);
}

fn dataset(data: &str) -> Result<Dataset, convae::data::DataError> {
    let plan = plan(data);
    Dataset::open(&plan.config.data, plan.input_shape)
}

fn named(images: &convae::data::Images) -> Vec<String> {
    (0..images.len()).map(|index| images.name(index).unwrap()).collect()
}

#[test]
fn a_data_set_has_every_page() {
    let folder = Folder::new();
    for name in 0..4 {
        stack(&folder, &format!("images/{name}.tif"), 50 * name, 50);
    }
    let train = format!("kind = \"images\"\ntrain = {:?}\n", folder.at("images"));
    for more in ["", "memory_mb = 0\n"] {
        let data = dataset(&format!("{train}{more}")).unwrap();
        assert_eq!((data.train.len(), data.test.len()), (180, 20));
        assert_eq!(named(&data.train)[123], "2.tif[23]");
        assert_eq!(data.train.clean(123).unwrap(), grey(123, 28, 28).scaled());
        assert_eq!(data.test.clean(19).unwrap(), grey(199, 28, 28).scaled());
    }
}

#[test]
fn a_test_list_names_files_of_pages_or_single_pages() {
    let folder = Folder::new();
    stack(&folder, "images/a.tif", 0, 3);
    stack(&folder, "images/b.tif", 10, 2);
    let list = folder.write("list", "b.tif\na.tif[1]\nb.tif[0]\n");
    let data = format!("kind = \"images\"\ntrain = {:?}\ntest = {list:?}", folder.at("images"));
    let data = dataset(&data).unwrap();
    assert_eq!(named(&data.test), ["b.tif[0]", "b.tif[1]", "a.tif[1]"]);
    assert_eq!(named(&data.train), ["a.tif[0]", "a.tif[2]"]);
}

#[test]
fn pages_of_a_test_file_are_not_learned_from() {
    let folder = Folder::new();
    stack(&folder, "images/a.tif", 0, 3);
    stack(&folder, "images/test/b.tif", 10, 2);
    let (train, test) = (folder.at("images"), folder.at("images/test"));
    let data = dataset(&format!("kind = \"images\"\ntrain = {train:?}\ntest = {test:?}")).unwrap();
    assert_eq!(named(&data.train), ["a.tif[0]", "a.tif[1]", "a.tif[2]"]);
    assert_eq!(named(&data.test), ["b.tif[0]", "b.tif[1]"]);
}

#[test]
fn pages_of_two_files_are_pairs() {
    let folder = Folder::new();
    stack(&folder, "noisy/a.tif", 0, 4);
    stack(&folder, "clean/a.tif", 20, 3);
    let (noisy, clean) = (folder.at("noisy"), folder.at("clean"));
    let data = dataset(&format!("kind = \"pairs\"\nnoisy = {noisy:?}\nclean = {clean:?}")).unwrap();
    assert_eq!((data.train.len(), data.test.len()), (2, 1)); // the fourth has no partner
    assert_eq!(data.train.clean(1).unwrap(), grey(21, 28, 28).scaled());
    assert_eq!(data.test.clean(0).unwrap(), grey(22, 28, 28).scaled());
}

// ---- values ----

#[test]
fn floats_beyond_0_to_1_are_refused_wherever_images_are_taken() {
    let folder = Folder::new();
    let words = "it has floats from 0 to 255, and the model's config does not say";
    let path = floats(&folder, "in/a.tif", &[0.0, 100.0, 255.0]);
    let says = |call: Convae| {
        let stderr = text(&call.assert().code(1).get_output().stderr);
        assert!(stderr.contains(words), "{stderr}");
    };
    says(call("apply").out(folder.at("out")).arg(&path));
    says(call("encode").out(folder.at("codes.npz")).arg(&path));
    says(call("neighbours").out(folder.at("near.png")).arg(&path));
    let mut command = call("apply").arg("-").command();
    let output = command.stdin(fs::File::open(&path).unwrap()).output().unwrap();
    assert!(text(&output.stderr).contains(words) && output.stdout.is_empty());
    floats(&folder, "in/b.tif", &[0.5]);
    let data = format!("kind = \"images\"\ntrain = {:?}\n", folder.at("in"));
    assert!(dataset(&data).unwrap_err().to_string().contains(words));
    floats(&folder, "in/c.tif", &[0.25]);
    let skipping = dataset(&format!("{data}on_error = \"skip\"\ntest_fraction = 0.3\n")).unwrap();
    assert_eq!((skipping.train.len(), skipping.train.skipped()), (1, 1));
    assert_eq!(skipping.train.clean(0).unwrap()[0].to_bits(), 0.5_f32.to_bits());
}

#[test]
fn floats_stay_floats_page_by_page_and_nothing_is_clipped() {
    let folder = Folder::new();
    let page = |factor: f32| {
        let values = (0..28 * 28).map(|i| i as f32 / 784.0 * factor).collect();
        ImageFile::new([28, 28, 1], Samples::Float(values)).unwrap()
    };
    let path = folder.at("a.tif");
    ImageFile::save_pages(&path, &[page(1.0), page(0.001)]).unwrap();
    assert_eq!(ImageFile::open_pages(&path).unwrap(), [page(1.0), page(0.001)]);
    call("apply").out(folder.at("out")).arg(&path).succeeds();
    let results = ImageFile::open_pages(folder.at("out/a.tif")).unwrap();
    for result in &results {
        let Samples::Float(values) = &result.samples else { panic!("floats stay floats") };
        // Those of 16 bits would all be multiples of this.
        let steps = values.iter().map(|value| f64::from(*value) * 65_535.0);
        assert!(steps.into_iter().any(|step| (step - step.round()).abs() > 0.1));
    }
    assert_eq!(results.len(), 2);
}

#[test]
fn colour_of_floats_that_are_no_numbers_is_refused() {
    let folder = Folder::new();
    let path = folder.at("a.tif");
    let mut file = fs::File::create(&path).unwrap();
    let values = [0.5, f32::NAN, 1.0];
    TiffEncoder::new(&mut file).unwrap().write_image::<RGB32Float>(1, 1, &values).unwrap();
    let refused = ImageFile::open(&path).unwrap_err().to_string();
    assert!(refused.contains("it holds NaN in row 0, column 0"), "{refused}");
}

#[test]
fn a_jpeg_that_breaks_off_is_left_out_of_training_and_refused_elsewhere() {
    let folder = Folder::new();
    let Samples::Eight(values) = grey(3, 28, 28).samples else { unreachable!() };
    let image = image::GrayImage::from_raw(28, 28, values).unwrap();
    let mut whole = Cursor::new(Vec::new());
    image.write_to(&mut whole, image::ImageFormat::Jpeg).unwrap();
    let whole = whole.into_inner();
    let half = &whole[..whole.len() - 300];
    let film = b"\0\0\0\x18ftypmp42 a film with its own bytes \xff\xd9";
    for behind in [&whole[..], film] {
        let broken = folder.write("in/a.jpg", [half, behind].concat());
        let stderr = call("apply").out(folder.at("out")).arg(&broken).assert().code(1);
        assert!(text(&stderr.get_output().stderr).contains("a.jpg: it is damaged"));
        for which in 0..3 {
            grey(which, 28, 28).save(folder.at(&format!("in/b{which}.png"))).unwrap();
        }
        let data = format!("kind = \"images\"\ntrain = {:?}\n", folder.at("in"));
        assert!(dataset(&data).unwrap_err().to_string().contains("a.jpg: it is damaged"));
        let data = dataset(&format!("{data}on_error = \"skip\"\n")).unwrap();
        assert_eq!(data.train.len() + data.test.len(), 3);
        assert_eq!(data.train.skipped() + data.test.skipped(), 1);
    }
    // What follows a whole image is no part of it.
    let moving = folder.write("moving.jpg", [&whole[..], film].concat());
    assert_eq!(read(&moving), decode_bytes(&whole, MOST_PIXELS).unwrap());
}

// ---- beside the values ----

/// An ICC profile as far as its kind can be told.
fn profile(space: [u8; 4]) -> Vec<u8> {
    let mut profile = vec![7; 40];
    profile[16..20].copy_from_slice(&space);
    profile
}

fn with_profile(image: ImageFile, space: [u8; 4]) -> ImageFile {
    let mut metadata = Metadata::default();
    metadata.profile = Some(profile(space).into());
    metadata.density = Some(Density { x: [300, 1], y: [300, 1], unit: Unit::Inch });
    ImageFile { metadata, ..image }
}

#[test]
fn profile_and_resolution_are_kept_in_the_result() {
    let folder = Folder::new();
    let colour = || {
        let values = (0..28 * 28 * 3).map(|i| (i % 251) as u8).collect();
        ImageFile::new([28, 28, 3], Samples::Eight(values)).unwrap()
    };
    let cases = [
        ("grey.png", with_profile(grey(1, 28, 28), *b"GRAY"), *b"GRAY"),
        ("grey.tif", with_profile(grey(1, 28, 28), *b"GRAY"), *b"GRAY"),
        ("colour.png", with_profile(colour(), *b"RGB "), *b"RGB "),
        ("colour.tif", with_profile(colour(), *b"RGB "), *b"RGB "),
    ];
    for (name, image, space) in cases {
        let path = folder.at(name);
        image.save(&path).unwrap();
        let printed =
            call("apply").out(folder.at("out")).arg("--per-channel").arg(&path).succeeds();
        assert!(!printed.contains("without"), "{printed}");
        let result = read(&folder.at("out").join(name)).metadata;
        assert_eq!(result.profile.as_deref(), Some(profile(space).as_slice()), "{name}");
        let density = result.density.unwrap();
        let expected =
            if name.ends_with("png") { ([11_811, 1], Unit::Metre) } else { ([300, 1], Unit::Inch) };
        assert_eq!((density.x, density.unit), expected, "{name}");
    }
}

#[test]
fn a_profile_that_the_result_cannot_have_is_said_once() {
    let folder = Folder::new();
    // Grey in RGB, as many scanners write it.
    let repeated = |which| with_profile(grey(which, 28, 28).with_channels(3), *b"RGB ");
    for which in 0..3 {
        fs::create_dir_all(folder.at("in")).unwrap();
        repeated(which).write(&folder.at(&format!("in/{which}.png")), Format::Png).unwrap();
    }
    let printed = call("apply").out(folder.at("out")).arg(folder.at("in")).succeeds();
    assert!(printed.ends_with("; 3 without their colour profiles\n"), "{printed}");
    assert_eq!(read(&folder.at("out/0.png")).metadata.profile, None);
    let compared = call("apply").out(folder.at("compared")).arg("--compare").arg(folder.at("in"));
    let printed = compared.succeeds();
    assert!(
        printed.contains("3 without their colour profiles; 3 without their resolutions"),
        "{printed}"
    );
}

// ---- formats that are not read ----

#[test]
fn images_of_other_formats_are_counted_and_named_once() {
    let folder = Folder::new();
    for which in 0..4 {
        fs::create_dir_all(folder.at("in")).unwrap();
        grey(which, 28, 28).save(folder.at(&format!("in/{which}.png"))).unwrap();
    }
    folder.write("in/a.gif", "GIF89a");
    folder.write("in/b.HEIC", "");
    folder.write("in/c.json", "{}");
    let said = format!(
        "convae: 2 image(s) in {} are of formats that we do not read, and are left out (a.gif, b.HEIC); \
         save them as PNG or TIFF\n",
        folder.at("in").display()
    );
    let says = |call: Convae| {
        let assert = call.assert().success();
        assert_eq!(text(&assert.get_output().stderr), said);
    };
    says(call("apply").out(folder.at("out")).arg(folder.at("in")));
    says(call("encode").out(folder.at("codes.npz")).arg(folder.at("in")));
    says(
        call("neighbours")
            .out(folder.at("near.png"))
            .arg("--among")
            .arg(folder.at("in"))
            .arg(folder.at("in")),
    );
    let data = format!("dir = \"{}\"", crate::common::digits().display());
    let own = format!("kind = \"images\"\ntrain = {:?}", folder.at("in"));
    let config = folder.write("own.toml", tiny().replace(&data, &own));
    let run = convae().arg("--config").arg(config).out(folder.at("run")).set("train.epochs=1");
    says(run);
}

#[test]
fn a_kind_that_is_not_read_is_named_with_what_to_save_it_as() {
    let folder = Folder::new();
    let values = vec![-5_i16; 4];
    let path = folder.at("a.tif");
    let mut file = fs::File::create(&path).unwrap();
    let image = TiffEncoder::new(&mut file).unwrap();
    let mut image = image;
    image.write_image::<tiff::encoder::colortype::GrayI16>(2, 2, &values).unwrap();
    let words = ["a.tif: its values are grey, signed integers of 16 bits", "save it as"];
    let stderr = call("apply").out(folder.at("out")).arg(&path).assert().code(1);
    let stderr = text(&stderr.get_output().stderr);
    assert!(words.iter().all(|word| stderr.contains(word)), "{stderr}");
    assert!(matches!(
        ImageFile::open(&path).unwrap_err().problem,
        image_file::ImageProblem::Kind { .. }
    ));
}
