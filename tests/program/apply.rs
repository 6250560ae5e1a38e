//! `convae apply`: images of any size, in files, folders and streams, and what it does with those that
//! it cannot take. The whole image is the reference for its tiles.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use convae::config::Source;
use convae::formats::checkpoint::{Checkpoint, save};
use convae::formats::image_file::{
    Format, ImageFile, MOST_PIXELS, Orientation, Samples, decode, decode_bytes,
};
use convae::formats::npy::Header;
use convae::infer::Predictor;
use convae::infer::apply::{Engines, Fit, TiledPredictor};
use convae::infer::model_file::array_of;
use convae::plan::{Part, Plan};
use convae::train::Trainer;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::Device;

use crate::common::{Convae, Folder, convae, convae_in, names, sentence, text};

/// A trained denoiser of digits; its layers are the shipped ones.
fn trained() -> &'static Path {
    static RUN: OnceLock<(Folder, PathBuf)> = OnceLock::new();
    let (_, weights) = RUN.get_or_init(|| {
        let folder = Folder::lasting();
        let call = crate::common::train("denoise.toml").out(folder.at("run")).samples(640, 20);
        call.set("train.epochs=3").set("train.optimizer.learning_rate=0.003").succeeds();
        let weights = folder.at("run/noise.pt");
        (folder, weights)
    });
    weights
}

fn config(shape: [usize; 3], encoder: &str, decoder: &str) -> String {
    format!(
        "name = \"case\"\n[model]\ninput_shape = {shape:?}\nencoder = [{encoder}]\ndecoder = [{decoder}]\n"
    )
}

/// A checkpoint of a model that has not learned anything, but gives images with some contrast.
fn untrained(config: &str) -> (Plan, Checkpoint) {
    let plan = Plan::new(Source::parse(config, "case", &[]).unwrap()).expect(config);
    let trainer = Trainer::new(&plan, Device::Cpu).unwrap();
    let parameters = trainer.predictor.parameters().iter();
    let tensors = parameters.map(|p| (p.name.clone(), array_of(&p.tensor))).collect();
    let records = BTreeMap::from([("config.toml".to_owned(), plan.config.to_toml())]);
    (plan, Checkpoint { tensors, records })
}

/// The same in a folder, as a file.
fn saved(folder: &Folder, config: &str) -> PathBuf {
    let path = folder.at("model.pt");
    save(&path, &untrained(config).1).unwrap();
    path
}

fn noise(shape: [usize; 3]) -> ImageFile {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let values = (0..shape.iter().product()).map(|_| random.random()).collect();
    ImageFile::new(shape, Samples::Sixteen(values)).unwrap()
}

fn eight(shape: [usize; 3]) -> ImageFile {
    let Samples::Sixteen(values) = noise(shape).samples else { unreachable!("16 bits") };
    let values = values.into_iter().map(|value| (value >> 8) as u8).collect();
    ImageFile::new(shape, Samples::Eight(values)).unwrap()
}

fn write(folder: &Folder, name: &str, image: &ImageFile) -> PathBuf {
    let path = folder.at(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    image.write(&path, Format::for_result_of(&path)).unwrap();
    path
}

fn read(path: &Path) -> ImageFile {
    decode(path, MOST_PIXELS).unwrap()
}

fn apply(model: &Path) -> Convae {
    convae().args(["apply", "--checkpoint"]).arg(model)
}

/// Largest difference between two images, in steps of their own depth.
fn distance(a: &ImageFile, b: &ImageFile) -> u16 {
    assert_eq!(a.shape, b.shape);
    match (&a.samples, &b.samples) {
        (Samples::Eight(a), Samples::Eight(b)) => {
            a.iter().zip(b).map(|(a, b)| u16::from(a.abs_diff(*b))).max().unwrap()
        }
        (Samples::Sixteen(a), Samples::Sixteen(b)) => {
            a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
        }
        _ => panic!("the depths differ"),
    }
}

// ---- tiles ----

fn output(
    plan: &Plan,
    checkpoint: &Checkpoint,
    tile: Option<usize>,
    image: &ImageFile,
) -> ImageFile {
    let fit = Fit::new(plan, tile).unwrap();
    let engines = Engines::new(Path::new("x.pt"), plan, checkpoint, Device::Cpu).unwrap();
    let mut predictor = TiledPredictor::new(plan, fit, engines, true).unwrap();
    predictor.outputs(vec![image.clone()]).remove(0).unwrap().1
}

/// At 16 bits, of which 257 steps are one of 8 bits, the tiles give what the whole gives.
fn leaves_no_seam(shape: [usize; 3], encoder: &str, decoder: &str, tile: usize) {
    let (plan, checkpoint) = untrained(&config(shape, encoder, decoder));
    let image = noise([203, 150, shape[2]]); // below the tiles that are made unasked
    let whole = output(&plan, &checkpoint, None, &image);
    let Samples::Sixteen(values) = &whole.samples else { panic!("16 bits stay 16 bits") };
    let spread = values.iter().max().unwrap() - values.iter().min().unwrap();
    assert!(spread > 2000, "an image of {spread} steps would hide its seams");
    let tiled = output(&plan, &checkpoint, Some(tile), &image);
    let distance = distance(&whole, &tiled);
    assert!(distance <= 2, "{distance} steps: {encoder} {decoder}");
}

fn layer(kind: &str, keys: &str) -> String {
    format!("{{ layer = \"{kind}\"{keys} }}, ")
}

fn conv(filters: usize, keys: &str) -> String {
    layer(
        "Conv2D",
        &format!(
            ", filters = {filters}, kernel_size = 3, activation = \"relu\", kernel_initializer = \"he_normal\"{keys}"
        ),
    )
}

const SAME: &str = ", padding = \"same\"";

fn last(channels: usize) -> String {
    layer(
        "Conv2D",
        &format!(
            ", filters = {channels}, kernel_size = 3, padding = \"same\", kernel_initializer = \"he_normal\", activation = \"sigmoid\""
        ),
    )
}

#[test]
fn the_shipped_layers_leave_no_seam() {
    let (pool, up) = (layer("MaxPooling2D", ""), layer("UpSampling2D", ""));
    let encoder = [conv(8, SAME), pool.clone(), conv(4, SAME), pool, conv(4, SAME)].concat();
    let decoder = [conv(4, SAME), up.clone(), conv(8, SAME), up, last(1)].concat();
    leaves_no_seam([28, 28, 1], &encoder, &decoder, 64);
    leaves_no_seam([28, 28, 1], &encoder, &decoder, 100);
    leaves_no_seam([32, 16, 3], &encoder, &decoder.replace("filters = 1,", "filters = 3,"), 64);
}

#[test]
fn poolings_of_odd_lengths_and_a_valid_convolution_leave_no_seam() {
    let (pool, up) = (layer("MaxPooling2D", SAME), layer("UpSampling2D", ""));
    let encoder =
        [conv(8, SAME), pool.clone(), conv(4, SAME), pool.clone(), conv(4, SAME), pool].concat();
    let decoder = [
        conv(4, SAME),
        up.clone(),
        conv(4, SAME),
        up.clone(),
        conv(8, ""), // valid: 16 to 14
        up,
        last(1),
    ];
    leaves_no_seam([28, 28, 1], &encoder, &decoder.concat(), 100);
}

#[test]
fn strided_and_transposed_convolutions_leave_no_seam() {
    let strided = |stride: usize| conv(4, &format!(", strides = {stride}, padding = \"same\""));
    for (kernel, stride) in [(3, 2), (4, 2), (5, 3), (2, 4)] {
        let decoder = [transposed(kernel, stride, "same"), last(1)].concat();
        leaves_no_seam([24, 24, 1], &strided(stride), &decoder, 60);
    }
    let valid = layer(
        "Conv2D",
        ", filters = 4, kernel_size = 4, strides = 2, kernel_initializer = \"he_normal\"",
    );
    leaves_no_seam([24, 24, 1], &valid, &[transposed(4, 2, "valid"), last(1)].concat(), 60);
}

#[test]
fn every_other_layer_leaves_no_seam() {
    let average = layer("AveragePooling2D", ", pool_size = 3, strides = 2, padding = \"same\"");
    let blend = layer("UpSampling2D", ", interpolation = \"bilinear\"");
    let decoder = [layer("BatchNormalization", ""), blend, last(1)].concat();
    leaves_no_seam([24, 24, 1], &[conv(4, SAME), average].concat(), &decoder, 60);

    let margins = [
        layer("ZeroPadding2D", ", padding = [[2, 1], [0, 3]]"),
        conv(4, SAME),
        layer("Cropping2D", ", cropping = [[2, 1], [3, 0]]"),
        layer("LeakyReLU", ""),
        conv(4, SAME),
        layer("Dense", ", units = 6, activation = \"tanh\""),
        layer("Dropout", ", rate = 0.5"),
    ];
    leaves_no_seam([24, 24, 1], &margins.concat(), &last(1), 50);

    let larger = [layer("UpSampling2D", ""), conv(4, SAME), layer("MaxPooling2D", "")].concat();
    leaves_no_seam([24, 24, 1], &larger, &last(1), 50);
}

#[test]
fn dilated_grouped_and_separable_convolutions_leave_no_seam() {
    let draw = ", depthwise_initializer = \"he_normal\"";
    let dilated = [
        conv(4, ", dilation_rate = [2, 3], groups = 1, padding = \"same\""),
        conv(4, ", dilation_rate = 2, groups = 2, padding = \"same\""),
        layer("PReLU", ", shared_axes = [1, 2], alpha_initializer = \"ones\""),
    ];
    leaves_no_seam([24, 24, 1], &dilated.concat(), &last(1), 50);
    let enlarged = "Conv2DTranspose";
    let keys = ", filters = 4, kernel_size = 3, dilation_rate = 2, padding = \"same\"";
    leaves_no_seam([24, 24, 1], &layer(enlarged, keys), &last(1), 50);
    let depthwise =
        layer("DepthwiseConv2D", &format!(", kernel_size = 3, strides = 2{SAME}{draw}"));
    let separable = layer(
        "SeparableConv2D",
        &format!(", filters = 4, kernel_size = 3, dilation_rate = 2{SAME}{draw}"),
    );
    let decoder = [separable, layer("DepthToSpace", ", block_size = 2"), last(1)];
    leaves_no_seam([24, 24, 1], &[conv(4, SAME), depthwise].concat(), &decoder.concat(), 60);
}

#[test]
fn a_trained_model_gives_the_same_from_tiles_as_from_the_whole() {
    let folder = Folder::new();
    let image = write(&folder, "page.png", &eight([190, 230, 1]));
    apply(trained()).out(folder.at("whole")).arg(&image).succeeds();
    apply(trained()).out(folder.at("tiled")).args(["--tile", "64"]).arg(&image).succeeds();
    let (whole, tiled) = (read(&folder.at("whole/page.png")), read(&folder.at("tiled/page.png")));
    assert!(distance(&whole, &read(&image)) > 50, "the model does something");
    assert!(distance(&whole, &tiled) <= 1);
}

// ---- any size gives what the model gives ----

/// The plan for images of that height and width, computed by libtorch; `None` where the model does not
/// give back this size.
fn resized(config: &str, [height, width]: [usize; 2], channels: usize) -> Option<Plan> {
    let changes = [
        format!("model.input_shape=[{height}, {width}, {channels}]"),
        "train.engine=libtorch".to_owned(),
    ];
    let plan = Plan::new(Source::parse(config, "case", &changes).unwrap()).ok()?;
    (plan.output_shape() == plan.input_shape).then_some(plan)
}

/// What libtorch makes of the whole image. Where the model does not give back its size, the image goes
/// on as in a mirror, to the right and below, to the next side that it does.
fn models_own(config: &str, checkpoint: &Checkpoint, image: &ImageFile) -> ImageFile {
    let [height, width, channels] = image.shape;
    let [own_height, own_width] = own_sides(config);
    let rows = (height..height + 1000)
        .find(|&side| resized(config, [side, own_width], channels).is_some());
    let columns =
        (width..width + 1000).find(|&side| resized(config, [own_height, side], channels).is_some());
    let [rows, columns] = [rows.unwrap(), columns.unwrap()];
    let plan = resized(config, [rows, columns], channels).unwrap();
    let values = image.scaled();
    let mut input = Vec::new();
    for y in 0..rows {
        for x in 0..columns {
            let pixel = mirrored(y, height) * width + mirrored(x, width);
            input.extend_from_slice(&values[pixel * channels..][..channels]);
        }
    }
    let output = Predictor::restore(Path::new("x.pt"), &plan, checkpoint, Part::Whole, Device::Cpu)
        .unwrap()
        .predict(&input);
    let mut result = ImageFile { samples: image.samples.zeros(values.len()), ..image.clone() };
    for (i, row) in output.chunks_exact(columns * channels).take(height).enumerate() {
        for (j, &value) in row[..width * channels].iter().enumerate() {
            result.samples.set_scaled(i * width * channels + j, value);
        }
    }
    result
}

fn own_sides(config: &str) -> [usize; 2] {
    let [height, width, _] =
        Plan::new(Source::parse(config, "case", &[]).unwrap()).unwrap().input_shape;
    [height, width]
}

/// 0 1 2 | 1 0 1 2 ...
fn mirrored(i: usize, length: usize) -> usize {
    let there_and_back: Vec<usize> = (0..length).chain((1..length.max(2) - 1).rev()).collect();
    there_and_back[i % there_and_back.len()]
}

/// At 16 bits, of which 257 steps are one of 8 bits: images of random sizes give what the whole image
/// gives, with tiles and without.
fn gives_the_models_own(shape: [usize; 3], encoder: &str, decoder: &str, tile: usize) {
    let config = config(shape, encoder, decoder);
    let (plan, checkpoint) = untrained(&config);
    let mut random = ChaCha8Rng::seed_from_u64(4);
    let mut sizes: Vec<[usize; 2]> =
        (0..16).map(|_| [random.random_range(1..120), random.random_range(1..120)]).collect();
    sizes.extend([[1, 1], [tile, tile + 1], [2 * tile - 1, 2 * tile + 3]]);
    for [height, width] in sizes {
        let image = noise([height, width, shape[2]]);
        let wanted = models_own(&config, &checkpoint, &image);
        let Samples::Sixteen(values) = &wanted.samples else { panic!("16 bits stay 16 bits") };
        let spread = values.iter().max().unwrap() - values.iter().min().unwrap();
        assert!(height * width < 100 || spread > 2000, "{spread} steps hide differences: {config}");
        for tile in [None, Some(tile)] {
            let found = output(&plan, &checkpoint, tile, &image);
            let distance = distance(&wanted, &found);
            let tiles = tile.map_or("whole".to_owned(), |tile| format!("tiles of {tile}"));
            assert!(distance <= 2, "{height}x{width}, {tiles}: {distance} steps; {config}");
        }
    }
}

fn transposed(kernel: usize, stride: usize, padding: &str) -> String {
    layer(
        "Conv2DTranspose",
        &format!(
            ", filters = 4, kernel_size = {kernel}, strides = {stride}, padding = \"{padding}\", kernel_initializer = \"he_normal\", activation = \"relu\""
        ),
    )
}

#[test]
fn the_shipped_layers_give_the_models_own_output_at_every_size() {
    let (pool, up) = (layer("MaxPooling2D", ""), layer("UpSampling2D", ""));
    let encoder = [conv(8, SAME), pool.clone(), conv(4, SAME), pool, conv(4, SAME)].concat();
    let decoder = [conv(4, SAME), up.clone(), conv(8, SAME), up, last(1)].concat();
    gives_the_models_own([28, 28, 1], &encoder, &decoder, 50);
    gives_the_models_own(
        [32, 16, 3],
        &encoder,
        &decoder.replace("filters = 1,", "filters = 3,"),
        64,
    );
}

#[test]
fn a_model_without_strides_is_never_padded() {
    gives_the_models_own([16, 16, 1], &[conv(4, SAME), conv(4, SAME)].concat(), &last(1), 31);
    // Valid convolutions, whose margin comes back: the smallest side that they take is 7.
    let decoder = [transposed(5, 1, "valid"), transposed(3, 1, "valid"), last(1)].concat();
    let valid = conv(4, "").replace("kernel_size = 3", "kernel_size = [5, 5]");
    gives_the_models_own([16, 16, 1], &[valid, conv(4, "")].concat(), &decoder, 40);
}

#[test]
fn strides_give_the_models_own_output_at_every_size() {
    let strided = |stride: usize| conv(4, &format!(", strides = {stride}, padding = \"same\""));
    for (kernel, stride) in [(3, 2), (5, 3), (2, 4)] {
        let decoder = [transposed(kernel, stride, "same"), last(1)].concat();
        gives_the_models_own([24, 24, 1], &strided(stride), &decoder, 55);
    }
    // 24, 22, 20 ... lose nothing to a window of 4 with strides of 2.
    let valid = conv(4, ", strides = 2").replace("kernel_size = 3", "kernel_size = 4");
    gives_the_models_own([24, 24, 1], &valid, &[transposed(4, 2, "valid"), last(1)].concat(), 51);
}

/// These give back odd sides alone, at which `same` begins its windows elsewhere than at even ones.
#[test]
fn odd_sides_give_the_models_own_output() {
    let longer = layer("ZeroPadding2D", ", padding = [[0, 1], [0, 1]]");
    let shorter = layer("Cropping2D", ", cropping = [[0, 1], [0, 1]]");
    let strided = conv(4, ", strides = 2, padding = \"same\"");
    gives_the_models_own(
        [29, 29, 1],
        &[conv(4, SAME), strided].concat(),
        &[transposed(3, 2, "same"), shorter.clone(), last(1)].concat(),
        40,
    );
    let (pool, up) = (layer("MaxPooling2D", ""), layer("UpSampling2D", ""));
    gives_the_models_own(
        [29, 29, 1],
        &[conv(4, SAME), pool].concat(),
        &[up, longer, last(1)].concat(),
        40,
    );
    let same = layer("MaxPooling2D", ", pool_size = 3, strides = 2, padding = \"same\"");
    let blend = layer("UpSampling2D", ", interpolation = \"bilinear\"");
    gives_the_models_own(
        [31, 29, 1],
        &[conv(4, SAME), same].concat(),
        &[blend, shorter, last(1)].concat(),
        37,
    );
}

#[test]
fn every_other_layer_gives_the_models_own_output_at_every_size() {
    let average = layer("AveragePooling2D", ", pool_size = 3, strides = 2, padding = \"same\"");
    let blend = layer("UpSampling2D", ", interpolation = \"bilinear\"");
    let decoder = [layer("BatchNormalization", ""), blend, last(1)].concat();
    gives_the_models_own([24, 24, 1], &[conv(4, SAME), average].concat(), &decoder, 60);
    let different = [
        conv(4, ", strides = [2, 3], padding = \"same\""),
        layer("UpSampling2D", ", size = [2, 3]"),
    ];
    gives_the_models_own([24, 24, 1], &different.concat(), &last(1), 44);
    let larger = [layer("UpSampling2D", ""), conv(4, SAME), layer("MaxPooling2D", "")].concat();
    gives_the_models_own([24, 24, 1], &larger, &last(1), 45);
}

#[test]
fn tiles_that_are_made_unasked_give_the_models_own_output() {
    let config = config(
        [16, 16, 1],
        &[conv(2, SAME), layer("MaxPooling2D", "")].concat(),
        &[layer("UpSampling2D", ""), last(1)].concat(),
    );
    let (plan, checkpoint) = untrained(&config);
    for size in [[255, 257], [258, 519], [1001, 40]] {
        let image = noise([size[0], size[1], 1]);
        let wanted = models_own(&config, &checkpoint, &image);
        let distance = distance(&wanted, &output(&plan, &checkpoint, None, &image));
        assert!(distance <= 2, "{size:?}: {distance} steps");
    }
}

// ---- sizes, depths, colours ----

#[test]
fn images_of_any_size_come_back_in_it() {
    let folder = Folder::new();
    for (height, width) in [(1, 1), (2, 3), (28, 28), (33, 57), (300, 20)] {
        write(&folder, &format!("in/{height}x{width}.png"), &eight([height, width, 1]));
    }
    let printed = apply(trained()).out(folder.at("out")).arg(folder.at("in")).succeeds();
    assert_eq!(printed.lines().count(), 6, "{printed}");
    assert!(printed.lines().last().unwrap().starts_with("5 images in "), "{printed}");
    for name in names(&folder.at("in")) {
        let (image, result) = (folder.at("in").join(&name), folder.at("out").join(&name));
        assert_eq!(read(&image).shape, read(&result).shape, "{name}");
    }
}

#[test]
fn an_images_result_does_not_depend_on_the_images_beside_it() {
    let folder = Folder::new();
    for i in 0..5 {
        write(&folder, &format!("in/{i}.png"), &eight([40 + i, 50, 1]));
        write(&folder, &format!("in/{i}b.png"), &eight([40, 50, 1]));
    }
    apply(trained()).out(folder.at("all")).arg(folder.at("in")).succeeds();
    for name in names(&folder.at("in")) {
        apply(trained()).out(folder.at("one")).arg(folder.at("in").join(&name)).succeeds();
        let (all, one) = (folder.at("all").join(&name), folder.at("one").join(&name));
        assert!(distance(&read(&all), &read(&one)) <= 1, "{name}");
    }
}

#[test]
fn sixteen_bits_stay_sixteen_tiff_stays_tiff_and_jpeg_becomes_png() {
    let folder = Folder::new();
    write(&folder, "in/a.tif", &noise([20, 30, 1]));
    write(&folder, "in/b.png", &noise([20, 30, 1]));
    write(&folder, "in/c.TIFF", &eight([20, 30, 1]));
    let grey = image::GrayImage::from_pixel(30, 20, image::Luma([90]));
    grey.save(folder.at("in/d.jpg")).unwrap();
    apply(trained()).out(folder.at("out")).arg(folder.at("in")).succeeds();
    assert_eq!(names(&folder.at("out")), ["a.tif", "b.png", "c.TIFF", "d.png"]);
    let depth =
        |name: &str| matches!(read(&folder.at("out").join(name)).samples, Samples::Sixteen(_));
    assert_eq!(["a.tif", "b.png", "c.TIFF", "d.png"].map(depth), [true, true, false, false]);
    let magic = |name: &str| fs::read(folder.at("out").join(name)).unwrap()[..2].to_vec();
    assert!(magic("a.tif") == b"II" || magic("a.tif") == b"MM");
    // What 16 bits add is there: the values are not those of 8 bits repeated.
    let Samples::Sixteen(values) = read(&folder.at("out/a.tif")).samples else { panic!() };
    assert!(values.iter().any(|value| value % 257 != 0));
    assert!(distance(&read(&folder.at("out/a.tif")), &read(&folder.at("out/b.png"))) == 0);
}

#[test]
#[cfg(unix)]
fn a_pipe_that_is_called_as_an_image_keeps_nobody_waiting() {
    let folder = Folder::new();
    let image = write(&folder, "p.png", &eight([28, 28, 1]));
    let jpeg = folder.at("p.jpg");
    image::open(&image).unwrap().save(&jpeg).unwrap();
    std::fs::remove_file(&image).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&image).status().unwrap().success());
    apply(trained()).out(folder.at("out")).arg(&jpeg).succeeds();
    assert_eq!(names(&folder.at("out")), ["p.png"]);
}

#[test]
fn a_grey_model_takes_the_channels_one_by_one_when_asked() {
    let folder = Folder::new();
    let colour = eight([30, 40, 3]);
    let Samples::Eight(values) = &colour.samples else { panic!() };
    let image = write(&folder, "colour.png", &colour);
    let call = || apply(trained()).out(folder.at("out"));
    // Without it the model sees, and gives, their grey.
    let printed = call().arg(&image).succeeds();
    assert!(printed.contains("colour.png (without its colours)"), "{printed}");
    assert!(
        printed.contains("1 without its colours (the model is grey; --per-channel keeps"),
        "{printed}"
    );
    call().arg(write(&folder, "luma.png", &colour.clone().with_channels(1))).succeeds();
    let grey = read(&folder.at("out/colour.png"));
    assert_eq!((grey.shape, &grey), ([30, 40, 1], &read(&folder.at("out/luma.png"))));
    call().arg("--per-channel").arg("--overwrite").arg(&image).succeeds();
    let result = read(&folder.at("out/colour.png"));
    assert_eq!(result.shape, [30, 40, 3]);
    for channel in 0..3 {
        let plane = values.iter().skip(channel).step_by(3).copied().collect();
        let plane =
            ImageFile { shape: [30, 40, 1], samples: Samples::Eight(plane), ..colour.clone() };
        call().arg(write(&folder, &format!("{channel}.png"), &plane)).succeeds();
        let Samples::Eight(alone) = read(&folder.at(&format!("out/{channel}.png"))).samples else {
            panic!()
        };
        let Samples::Eight(together) = &result.samples else { panic!() };
        let pairs = alone.iter().zip(together.iter().skip(channel).step_by(3));
        assert!(pairs.into_iter().all(|(a, b)| a.abs_diff(*b) <= 1), "channel {channel}");
    }
}

#[test]
fn a_colour_model_takes_grey_images_repeated() {
    let folder = Folder::new();
    let model = saved(&folder, &config([16, 16, 3], &conv(4, SAME), &last(3)));
    let grey = eight([20, 18, 1]);
    write(&folder, "in/colour.png", &grey.clone().with_channels(3));
    write(&folder, "in/grey.png", &grey);
    apply(&model).out(folder.at("out")).arg(folder.at("in")).succeeds();
    let results = ["colour", "grey"].map(|name| read(&folder.at(&format!("out/{name}.png"))));
    assert_eq!(results[0].shape, [20, 18, 3]);
    assert_eq!(results[0], results[1]);
}

#[test]
fn alpha_is_left_out_and_said() {
    let folder = Folder::new();
    let image = image::GrayAlphaImage::from_pixel(9, 8, image::LumaA([200, 10]));
    image.save(folder.at("soft.png")).unwrap();
    let printed = apply(trained()).out(folder.at("out")).arg(folder.at("soft.png")).succeeds();
    assert!(printed.contains("(without its alpha channel)"), "{printed}");
    assert!(printed.ends_with("; 1 without its alpha channel\n"), "{printed}");
    assert_eq!(read(&folder.at("out/soft.png")).shape, [8, 9, 1]);
}

#[test]
fn a_photo_that_lies_on_its_side_is_set_upright() {
    let folder = Folder::new();
    let mut jpeg = Vec::new();
    let lying =
        image::GrayImage::from_fn(40, 24, |x, _| image::Luma([if x < 20 { 250 } else { 5 }]));
    image::codecs::jpeg::JpegEncoder::new(&mut jpeg).encode_image(&lying).unwrap();
    let exif =
        b"\xff\xe1\0\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let photo = [&jpeg[..2], &exif[..], &jpeg[2..]].concat();
    let model =
        saved(&folder, &config([16, 16, 1], &conv(1, SAME).replace("he_normal", "ones"), ""));
    apply(&model).out(folder.at("out")).arg(folder.write("photo.jpg", photo)).succeeds();
    let result = read(&folder.at("out/photo.png"));
    assert_eq!(result.shape, [40, 24, 1]);
    let Samples::Eight(values) = &result.samples else { panic!() };
    let mean =
        |values: &[u8]| values.iter().map(|&v| u64::from(v)).sum::<u64>() / values.len() as u64;
    assert!(mean(&values[..480]) > mean(&values[480..]) + 100, "the bright half is on top");
}

#[test]
fn a_model_of_one_size_says_so_and_takes_tiles_of_it() {
    let folder = Folder::new();
    let encoder = [layer("Flatten", ""), layer("Dense", ", units = 8")].concat();
    let decoder = [
        layer("Dense", ", units = 256, activation = \"sigmoid\""),
        layer("Reshape", ", target_shape = [16, 16, 1]"),
    ];
    let model = saved(&folder, &config([16, 16, 1], &encoder, &decoder.concat()));
    let small = write(&folder, "small.png", &eight([15, 16, 1]));
    let large = write(&folder, "large.png", &eight([40, 50, 1]));
    let own = write(&folder, "own.png", &eight([16, 16, 1]));
    let call = || apply(&model).out(folder.at("out"));
    let assert = call().args([&small, &large, &own]).assert().code(1);
    let stderr = text(&assert.get_output().stderr);
    let lines: Vec<&str> = stderr.lines().collect();
    assert!(
        lines[0].contains("small.png: it is 16x15 pixels, the model takes 16x16 only"),
        "{stderr}"
    );
    assert!(lines[0].contains("Flatten") && lines[0].ends_with("resize it"), "{stderr}");
    assert!(lines[1].contains("large.png") && lines[1].contains("--tile"), "{stderr}");
    assert_eq!(lines[2..], ["convae: 2 of 3 images failed"]);
    assert_eq!(names(&folder.at("out")), ["own.png"]);

    call().args(["--tile", "16"]).arg(&large).succeeds();
    assert_eq!(read(&folder.at("out/large.png")).shape, [40, 50, 1]);
    call().args(["--tile", "20"]).arg(&large).refused(&["--tile is 20", "Flatten", "16x16"]);
}

#[test]
fn a_tile_too_small_for_the_model() {
    let folder = Folder::new();
    let image = write(&folder, "a.png", &eight([40, 50, 1]));
    let call = apply(trained()).out(folder.at("out")).args(["--tile", "20"]).arg(&image);
    call.refused(&["--tile is 20", "pixels a side", "give that or more"]);
    assert_eq!(names(folder.path()), ["a.png"]);
    let call = apply(trained()).out(folder.at("out")).args(["--tile", "0"]).arg(&image);
    let stderr = text(&call.assert().code(2).stdout("").get_output().stderr);
    assert!(stderr.starts_with("error: ") && stderr.contains("--tile"), "{stderr}");
}

// ---- files and folders ----

#[test]
fn folders_keep_their_structure_and_results_are_no_images() {
    let folder = Folder::new();
    for name in ["in/b/deep/x.png", "in/a.png", "in/b/a.png"] {
        write(&folder, name, &eight([8, 8, 1]));
    }
    folder.write("in/notes.txt", "no image");
    let out = folder.at("in/cleaned");
    let call = || apply(trained()).out(&out).arg(folder.at("in"));
    let printed = call().succeeds();
    let sources: Vec<&str> = printed.lines().filter_map(|line| line.split(" -> ").nth(1)).collect();
    let expected =
        ["a.png", "b/a.png", "b/deep/x.png"].map(|name| out.join(name).display().to_string());
    assert_eq!(sources, expected); // in order
    let again = call().succeeds();
    assert_eq!(again.matches("already there, kept").count(), 3, "{again}");
    let last = again.lines().last().unwrap();
    assert!(
        last.starts_with("0 images in ") && last.contains("3 kept") && last.contains("--overwrite")
    );
}

#[test]
fn a_result_without_a_byte_is_made_anew() {
    let folder = Folder::new();
    let image = write(&folder, "a.png", &eight([8, 8, 1]));
    folder.write("out/a.png", "");
    let printed = apply(trained()).out(folder.at("out")).arg(image).succeeds();
    assert!(printed.contains(" -> ") && !printed.contains("kept"), "{printed}");
    assert_eq!(read(&folder.at("out/a.png")).shape, [8, 8, 1]);
}

#[test]
fn what_fails_among_many_is_told_in_order_and_stops_nothing() {
    let folder = Folder::new();
    for i in 0..150 {
        let name = format!("in/{i:03}.png");
        match i {
            7 | 80 => drop(folder.write(&name, "not an image")),
            _ => drop(write(&folder, &name, &eight([8 + i % 3, 9, 1]))),
        }
    }
    let assert = apply(trained()).out(folder.at("out")).arg(folder.at("in")).assert().code(1);
    let output = assert.get_output();
    let stdout = text(&output.stdout);
    let told: Vec<&str> = stdout.lines().filter_map(|line| line.split(" -> ").next()).collect();
    assert!(told.len() == 149 && told[..148].is_sorted(), "{stdout}");
    let stderr = text(&output.stderr);
    let places = ["007.png: it is not", "080.png: it is not", "2 of 150 images failed"];
    assert!(places.map(|words| stderr.find(words).unwrap()).is_sorted(), "{stderr}");
    assert_eq!(names(&folder.at("out")).len(), 148);
}

#[test]
fn a_result_that_would_replace_another_image() {
    let folder = Folder::new();
    write(&folder, "a.tif", &eight([8, 8, 1]));
    write(&folder, "b/a.tif", &eight([9, 9, 1]));
    let call = apply(trained()).out(folder.path()).arg("--overwrite");
    let assert = call.arg(folder.at("b/a.tif")).arg(folder.at("a.tif")).assert().code(1);
    let stderr = text(&assert.get_output().stderr);
    assert!(stderr.contains("b/a.tif: its result would replace another image"), "{stderr}");
    assert_eq!(read(&folder.at("a.tif")).shape, [8, 8, 1]);
}

/// Those of a call, by their images' names.
fn results(printed: &str) -> BTreeMap<String, String> {
    let name = |path: &str| Path::new(path).file_name().unwrap().to_str().unwrap().to_owned();
    let lines = printed.lines().filter_map(|line| line.split_once(" -> "));
    lines.map(|(image, result)| (name(image), name(result))).collect()
}

#[test]
fn images_of_one_name_and_several_formats_give_a_result_each_in_any_order() {
    let folder = Folder::new();
    let inputs = ["a.png", "a.bmp", "a.tif", "b.bmp", "c.PNG", "c.png"];
    for (i, name) in inputs.iter().enumerate() {
        let image = eight([8 + i, 8, 1]);
        let Samples::Eight(values) = &image.samples else { panic!() };
        fs::create_dir_all(folder.at("in")).unwrap();
        let image = image::GrayImage::from_raw(8, 8 + i as u32, values.clone()).unwrap();
        image.save(folder.at("in").join(name)).unwrap();
    }
    let expected = BTreeMap::from(
        [
            ("a.png", "a.png"),
            ("a.bmp", "a.bmp.png"),
            ("a.tif", "a.tif"),
            ("b.bmp", "b.png"),
            ("c.PNG", "c.PNG.png"),
            ("c.png", "c.png"),
        ]
        .map(|(image, result)| (image.to_owned(), result.to_owned())),
    );
    let files: Vec<PathBuf> = inputs.iter().map(|name| folder.at("in").join(name)).collect();
    let call = |out: &str| apply(trained()).out(folder.at(out));
    assert_eq!(results(&call("folder").arg(folder.at("in")).succeeds()), expected);
    assert_eq!(results(&call("files").args(&files).succeeds()), expected);
    assert_eq!(results(&call("back").args(files.iter().rev()).succeeds()), expected);
    for (i, name) in inputs.iter().enumerate() {
        assert_eq!(read(&folder.at("back").join(&expected[*name])).shape, [8 + i, 8, 1], "{name}");
        // Each by itself; what is there by then is not taken for its result.
        let one = results(&call("single").arg(&files[i]).succeeds());
        assert_eq!(one, BTreeMap::from([((*name).to_owned(), expected[*name].clone())]));
    }
    let again = call("back").arg(folder.at("in")).succeeds();
    assert_eq!(again.matches("already there, kept").count(), inputs.len(), "{again}");
}

#[test]
fn what_is_no_image_takes_no_name() {
    let folder = Folder::new();
    let image = eight([8, 9, 1]);
    write(&folder, "in/a.png", &image);
    let Samples::Eight(values) = &image.samples else { panic!() };
    let jpeg = |name: &str| {
        let image = image::GrayImage::from_raw(9, 8, values.clone()).unwrap();
        image.save(folder.at(name)).unwrap();
    };
    jpeg("in/b.jpg");
    jpeg("in/d.jpg");
    for (name, bytes) in [
        ("in/a.json", &b"{}"[..]),
        ("in/a.gif", b"GIF89a......"),
        ("in/b.CR3", b"\0\0\0\x18ftypcrx "), // a raw photograph
        ("in/d.png", b"a note under an image's name"),
        ("in/a.png.xmp", b"<x:xmpmeta/>"),
    ] {
        folder.write(name, bytes);
    }
    let mut files = ["a.json", "a.gif", "a.png.xmp", "a.png", "b.CR3", "b.jpg", "d.png", "d.jpg"]
        .map(|name| folder.at("in").join(name));
    for out in ["forwards", "backwards"] {
        let assert = apply(trained()).out(folder.at(out)).args(&files).assert().code(1);
        let expected = [("a.png", "a.png"), ("b.jpg", "b.png"), ("d.jpg", "d.png")];
        let expected = expected.map(|(image, result)| (image.to_owned(), result.to_owned()));
        assert_eq!(results(&text(&assert.get_output().stdout)), BTreeMap::from(expected));
        let stderr = text(&assert.get_output().stderr);
        assert!(stderr.ends_with("5 of 8 images failed\n"), "{stderr}");
        files.reverse();
    }
    assert_eq!(read(&folder.at("forwards/a.png")).shape, [8, 9, 1]);
}

#[test]
fn a_name_of_two_images_goes_to_the_first_that_is_one() {
    let folder = Folder::new();
    write(&folder, "in/real/a.png", &eight([8, 9, 1]));
    folder.write("in/false/a.png", "no image");
    let paths = ["in/false/a.png", "in/real/a.png"].map(|name| folder.at(name));
    for (out, paths) in [("x", [&paths[0], &paths[1]]), ("y", [&paths[1], &paths[0]])] {
        let assert = apply(trained()).out(folder.at(out)).args(paths).assert().code(1);
        let stderr = text(&assert.get_output().stderr);
        assert!(stderr.contains("false/a.png: it is not an image"), "{stderr}");
        assert_eq!(read(&folder.at(out).join("a.png")).shape, [8, 9, 1]);
    }
}

#[test]
fn a_folder_without_an_image() {
    let folder = Folder::new();
    fs::create_dir(folder.at("empty")).unwrap();
    let call = apply(trained()).out(folder.at("out")).arg(folder.at("empty"));
    let stderr = text(&call.assert().code(1).stdout("").get_output().stderr);
    assert!(stderr.contains("empty: it is a folder without an image"), "{stderr}");
}

#[test]
fn an_image_without_a_byte() {
    let folder = Folder::new();
    let call = apply(trained()).out(folder.at("out")).arg(folder.write("void.png", ""));
    let stderr = text(&call.assert().code(1).stdout("").get_output().stderr);
    assert!(stderr.contains("void.png: it is empty"), "{stderr}");
    assert!(names(&folder.at("out")).is_empty());
}

#[test]
fn a_folder_for_results_that_cannot_be_written_to() {
    let image = Folder::new();
    let image = write(&image, "a.png", &eight([8, 8, 1]));
    apply(trained()).out("/proc").arg(&image).fails(&["/proc", "cannot be written to", "--out"]);
    apply(trained()).out("/proc/x").arg(&image).fails(&["/proc/x", "cannot be made", "--out"]);
}

#[test]
fn a_result_whose_place_is_taken_by_a_file() {
    let folder = Folder::new();
    write(&folder, "in/sub/a.png", &eight([8, 8, 1]));
    write(&folder, "in/z.png", &eight([8, 8, 1]));
    folder.write("out/sub", "a file in the way");
    let assert = apply(trained()).out(folder.at("out")).arg(folder.at("in")).assert().code(1);
    let stderr = text(&assert.get_output().stderr);
    assert!(stderr.contains("in/sub/a.png: its result ") && stderr.contains("cannot be written"));
    assert_eq!(names(&folder.at("out")), ["sub", "z.png"]);
}

#[test]
fn results_without_a_folder() {
    let words = ["no folder for the results", "--out"];
    apply(trained()).arg("a.png").refused(&words);
}

#[test]
fn ctrl_c_ends_it_after_the_images_at_hand_with_nothing_half_written() {
    let folder = Folder::new();
    for i in 0..3000 {
        write(&folder, &format!("in/{i:04}.png"), &eight([40, 40, 1]));
    }
    let mut command = apply(trained()).out(folder.at("out")).arg(folder.at("in")).command();
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    while fs::read_dir(folder.at("out")).map_or(0, Iterator::count) < 3 {
        assert!(started.elapsed() < Duration::from_secs(60), "nothing is written");
        std::thread::sleep(Duration::from_millis(2));
    }
    let kill = std::process::Command::new("kill").arg("-INT").arg(child.id().to_string()).status();
    assert!(kill.unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let stderr = text(&output.stderr);
    assert!(stderr.starts_with("convae: stopped; ") && stderr.contains("goes on with"), "{stderr}");
    let results = names(&folder.at("out"));
    assert!(results.len() < 3000, "it had ended by then");
    for name in results {
        assert_eq!(read(&folder.at("out").join(name)).shape, [40, 40, 1]);
    }
}

// ---- streams and comparisons ----

#[test]
fn stdin_goes_to_stdout_and_nothing_else_does() {
    let folder = Folder::new();
    for (name, image) in [("a.png", eight([20, 30, 1])), ("b.tif", noise([20, 30, 1]))] {
        let path = write(&folder, name, &image);
        apply(trained()).out(folder.at("out")).arg(&path).succeeds();
        let mut command = apply(trained()).arg("-").command();
        let output = command.stdin(fs::File::open(&path).unwrap()).output().unwrap();
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
        assert_eq!(output.stdout, fs::read(folder.at("out").join(name)).unwrap());
        assert_eq!(decode_bytes(&output.stdout, MOST_PIXELS).unwrap().samples.len(), 600);
    }
}

#[test]
fn stdin_that_is_empty_or_no_image() {
    let apply_to = |file: &str| {
        let mut command = apply(trained()).arg("-").command();
        let output = command.stdin(fs::File::open(file).unwrap()).output().unwrap();
        assert_eq!((output.status.code(), output.stdout), (Some(1), vec![]));
        text(&output.stderr)
    };
    assert!(apply_to("/dev/null").starts_with("convae: stdin: it is empty"));
    assert!(apply_to("Cargo.toml").starts_with("convae: stdin: it is not an image"));
}

#[test]
fn a_reader_of_stdout_that_has_gone() {
    let folder = Folder::new();
    let image = write(&folder, "a.png", &eight([300, 300, 1]));
    let script = format!("\"$0\" \"$@\" < {} | true; exit ${{PIPESTATUS[0]}}", image.display());
    let call = convae_in(&script).args(["apply", "--checkpoint"]).arg(trained()).arg("-");
    sentence(call.assert().code(1), &["whoever read the output stopped"]);
}

#[test]
fn stdin_beside_other_images_or_a_folder_for_results() {
    apply(trained()).args(["-", "a.png"]).refused(&["`-` (stdin) is one image"]);
    apply(trained()).args(["a.png", "-"]).out("x").refused(&["`-` (stdin) is one image"]);
    apply(trained()).arg("-").out("x").refused(&["leave --out away"]);
}

#[test]
fn a_comparison_shows_input_output_and_difference() {
    let folder = Folder::new();
    let image = eight([28, 28, 1]);
    let path = write(&folder, "a.tif", &image);
    apply(trained()).out(folder.at("out")).arg("--compare").arg(&path).succeeds();
    assert_eq!(names(&folder.at("out")), ["a.png"]);
    let page = image::open(folder.at("out/a.png")).unwrap().into_rgb8();
    assert_eq!(page.dimensions(), (3 * 128 + 8, 24 + 112 + 8));
    let Samples::Eight(values) = &image.samples else { panic!() };
    // The input's upper left pixel, four times enlarged, under its label.
    assert_eq!(page.get_pixel(8 + 4, 24).0, [values[0]; 3]);
    apply(trained()).out(folder.at("plain")).arg(&path).succeeds();
    let Samples::Eight(output) = read(&folder.at("plain/a.tif")).samples else { panic!() };
    assert_eq!(page.get_pixel(8 + 128 + 4, 24).0, [output[0]; 3]);
}

/// A `.npy` of float32.
fn array(shape: &[usize], values: &[f32]) -> Vec<u8> {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    [Header::bytes("<f4", shape), bytes].concat()
}

/// An array of a `.npz`, as a `.npy`.
fn entry(archive: &[u8], name: &str) -> Vec<u8> {
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(archive)).unwrap();
    let mut bytes = Vec::new();
    zip.by_name(&format!("{name}.npy")).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_model_of_open_size_takes_arrays_of_every_size() {
    let folder = Folder::new();
    let layers = |kind: &str| {
        format!(
            "layers = [{{ layer = \"{kind}\", filters = 2, kernel_size = 3, padding = \"same\" }}]\n"
        )
    };
    for (kind, open, sizes, channels) in [
        ("Conv1D", "[-1, 1]", vec![vec![5], vec![9]], 1),
        ("Conv2D", "[-1, -1, 1]", vec![vec![4, 6], vec![7, 3]], 1),
    ] {
        let text = |shape: &str| {
            format!("name = \"case\"\n[model]\ninput_shape = {shape}\n{}", layers(kind))
        };
        let weights = saved(&folder, &text(open));
        let call = convae().arg("apply").arg("--checkpoint").arg(&weights);
        let mut call = call.out(folder.at(kind));
        for size in &sizes {
            let shape = [&[2], &size[..], &[channels]].concat();
            let values: Vec<f32> = (0..shape.iter().product()).map(|i| i as f32 / 7.0).collect();
            call = call.arg(folder.write(&format!("{}.npy", size[0]), array(&shape, &values)));
        }
        call.succeeds();
        for size in &sizes {
            let shape = [&[2], &size[..], &[channels]].concat();
            let values: Vec<f32> = (0..shape.iter().product()).map(|i| i as f32 / 7.0).collect();
            let (plan, _) = untrained(&text(&format!("{:?}", &shape[1..])));
            let (_, checkpoint) = untrained(&text(open));
            let mut fixed =
                Predictor::restore(&weights, &plan, &checkpoint, Part::Whole, Device::Cpu).unwrap();
            let expected = array(&[&[2], &size[..], &[2]].concat(), &fixed.predict(&values));
            let found = fs::read(folder.at(kind).join(format!("{}.npy", size[0]))).unwrap();
            assert_eq!(found, expected, "{kind} {size:?}");
        }
        let odd = folder.write("odd.npy", array(&[1, 2, 2, 2], &[0.0; 8]));
        let call = convae().arg("apply").arg("--checkpoint").arg(&weights).out(folder.at("no"));
        call.arg(&odd).fails(&["odd.npy: it holds samples of 2x2x2, and the model takes"]);
    }
}

#[test]
fn arrays_and_tables_become_arrays_of_what_the_model_gives() {
    let folder = Folder::new();
    let config = "name = \"case\"\n[model]\ninput_shape = [4, 1]\nlayers = [\n\
                  { layer = \"Conv1D\", filters = 3, kernel_size = 1 },\n{ layer = \"UpSampling1D\" }]\n";
    let weights = saved(&folder, config);
    let (plan, checkpoint) = untrained(config);
    let mut predictor =
        Predictor::restore(&weights, &plan, &checkpoint, Part::Whole, Device::Cpu).unwrap();
    let values = [0.5, -2.0, 700.0, 1.0, 0.0, 0.25, 3.0, 4.0];
    let signals = folder.write("signals.npy", array(&[2, 4, 1], &values));
    let table = folder.write("table.csv", "a,b,c,d\n0.5,-2,700,1\n0,0.25,3,4\n");
    let apply =
        |out: &str| convae().arg("apply").arg("--checkpoint").arg(&weights).out(folder.at(out));
    let expected = array(&[2, 8, 3], &predictor.predict(&values));
    let said = apply("out").arg(&signals).arg(&table).succeeds();
    assert!(said.contains("2 samples"), "{said}");
    assert_eq!(names(&folder.at("out")), ["signals.npy", "table.npy"]);
    for name in ["signals.npy", "table.npy"] {
        assert_eq!(fs::read(folder.at("out").join(name)).unwrap(), expected, "{name}");
    }
    fs::write(folder.at("out/table.npy"), "kept").unwrap();
    assert!(apply("out").arg(&table).succeeds().contains("--overwrite"));
    assert_eq!(fs::read(folder.at("out/table.npy")).unwrap(), b"kept");
    let call = apply("out").arg(&signals).arg(folder.at("a.png"));
    call.refused(&["arrays and images are named together"]);
    for (out, names) in
        [("one.npy", None), ("one.npz", Some("signals")), ("both.npz", Some("table"))]
    {
        let call = apply(out).arg(&signals);
        if out.starts_with("both") { call.arg(&table) } else { call }.succeeds();
        let file = fs::read(folder.at(out)).unwrap();
        match names {
            None => assert_eq!(file, expected),
            Some(name) => assert_eq!(entry(&file, name), expected, "{out}"),
        }
    }
    apply("one.npy").arg(&signals).refused(&["one.npy is already there", "--overwrite"]);
    apply("new.npy").arg(&signals).arg(&table).refused(&["of one array, and 2 are named", ".npz"]);
    apply("new.csv").arg(&signals).refused(&["new.csv has another ending than .npy or .npz"]);
    apply("new.npz")
        .arg(folder.at("a.png"))
        .refused(&["new.npz is a file for the results of arrays"]);
    apply("out").arg(&signals).arg("--compare").refused(&["--compare is for images"]);
    let other = folder.write("other.npy", array(&[2, 3], &values[..6]));
    apply("out").arg(&other).fails(&["holds samples of 3, and the model takes 4x1"]);
    let archive = folder.write("several.npz", b"PK");
    apply("out").arg(&archive).fails(&["several.npz: it is an archive", "numpy.save"]);
    let itself = convae().arg("apply").arg("--checkpoint").arg(&weights).out(folder.path());
    itself.arg("--overwrite").arg(&signals).fails(&["would be replaced by its result"]);
}

// ---- augment ----

/// What the model gives for an image on one way to see it, turned back, as floats.
fn seen(
    (plan, checkpoint): &(Plan, Checkpoint),
    image: &ImageFile,
    [there, back]: [Orientation; 2],
) -> Vec<f32> {
    let floats = ImageFile::new(image.shape, Samples::Float(image.scaled())).unwrap();
    let fit = Fit::new(plan, None).unwrap();
    let engines = Engines::new(Path::new("case"), plan, checkpoint, Device::Cpu).unwrap();
    let mut predictor = TiledPredictor::new(plan, fit, engines, false).unwrap();
    let output = predictor.outputs(vec![floats.turned(there)]).pop().unwrap().unwrap().1;
    output.turned(back).scaled()
}

#[test]
fn augmented_results_are_the_mean_of_those_on_flips_and_turns_each_turned_back() {
    use Orientation::{
        FlipHorizontal, FlipVertical, NoTransforms, Rotate90, Rotate90FlipH, Rotate180, Rotate270,
        Rotate270FlipH,
    };
    let turns = [
        [NoTransforms; 2],
        [Rotate90, Rotate270],
        [Rotate180; 2],
        [Rotate270, Rotate90],
        [FlipHorizontal; 2],
        [FlipVertical; 2],
        [Rotate90FlipH; 2],
        [Rotate270FlipH; 2],
    ];
    let up = layer("UpSampling2D", "");
    for (shape, decoder, tile) in [
        ([16, 16, 1], conv(4, SAME) + &last(1), 20),
        ([16, 16, 3], conv(4, SAME) + &up + &last(3), 20),
    ] {
        let folder = Folder::new();
        let config = config(shape, "", &decoder);
        let model = saved(&folder, &config);
        let image = noise([37, 52, shape[2]]);
        let path = write(&folder, "a.tif", &image);
        let page = write(&folder, "b.tif", &image);
        ImageFile::save_pages(&page, &[image.clone(), image.clone()]).unwrap();
        for count in [4, 8] {
            let outputs: Vec<Vec<f32>> = turns[..count]
                .iter()
                .map(|&turn| seen(&untrained(&config), &image, turn))
                .collect();
            let out = folder.at(&format!("out{count}"));
            apply(&model)
                .out(&out)
                .args(["--augment", &count.to_string()])
                .arg("--tile")
                .arg(tile.to_string())
                .arg(&path)
                .arg(&page)
                .assert()
                .success();
            let result = read(&out.join("a.tif"));
            let Samples::Sixteen(values) = &result.samples else { panic!("16 bits stay 16") };
            for (i, &value) in values.iter().enumerate() {
                let mean = outputs.iter().map(|output| f64::from(output[i])).sum::<f64>();
                let expected = (mean / count as f64).clamp(0.0, 1.0) * 65_535.0;
                assert!((f64::from(value) - expected).abs() < 1.5, "{i}: {value}, {expected}");
            }
            let pages = ImageFile::open_pages(out.join("b.tif")).unwrap();
            assert_eq!(pages, [result.clone(), result]);
        }
    }
}

#[test]
fn a_model_that_commutes_with_turns_gives_its_plain_result() {
    let folder = Folder::new();
    let point = layer("Conv2D", ", filters = 1, kernel_size = 1, activation = \"sigmoid\"");
    let model = saved(&folder, &config([16, 16, 1], "", &point));
    let images = folder.at("in");
    write(&folder, "in/a.png", &eight([30, 41, 1]));
    write(&folder, "in/b.png", &eight([9, 5, 3]));
    for (out, count) in [("one", "1"), ("eight", "8"), ("four", "4")] {
        apply(&model)
            .out(folder.at(out))
            .args(["--augment", count, "--per-channel"])
            .arg(&images)
            .succeeds();
        for name in ["a.png", "b.png"] {
            let path = format!("{out}/{name}");
            assert_eq!(read(&folder.at(&path)), read(&folder.at(&format!("one/{name}"))));
        }
    }
}

#[test]
fn a_model_of_one_size_that_is_no_square_takes_flips_alone() {
    let folder = Folder::new();
    let fixed = layer("Reshape", ", target_shape = [8, 12, 1]");
    let model = saved(&folder, &config([8, 12, 1], "", &(conv(2, SAME) + &last(1) + &fixed)));
    let path = write(&folder, "a.png", &eight([8, 12, 1]));
    apply(&model).out(folder.at("out")).args(["--augment", "4"]).arg(&path).succeeds();
    let refused = apply(&model).out(folder.at("out")).args(["--augment", "8"]).arg(&path).assert();
    sentence(refused.code(2), &["--augment is 8", "turned by a quarter", "--augment 4"]);
    let odd = apply(&model).out(folder.at("out")).args(["--augment", "3"]).arg(&path).assert();
    assert!(text(&odd.code(2).get_output().stderr).contains("give 1, 4 or 8"));
}

#[test]
fn results_that_would_not_lie_on_one_another_are_refused() {
    let folder = Folder::new();
    let even = layer("Conv2D", ", filters = 1, kernel_size = 2, padding = \"valid\"");
    let model = saved(&folder, &config([16, 16, 1], "", &even));
    let path = write(&folder, "a.png", &eight([15, 16, 1]));
    let refused = apply(&model).out(folder.at("out")).args(["--augment", "8"]).arg(&path).assert();
    sentence(refused.code(2), &["1 pixels less than it takes", "leave --augment away"]);
    let half = conv(2, SAME) + &layer("MaxPooling2D", "") + &last(1);
    let model = saved(&folder, &config([16, 16, 1], "", &half));
    let refused = apply(&model).out(folder.at("out")).args(["--augment", "4"]).arg(&path).assert();
    let stderr = text(&refused.code(1).get_output().stderr);
    assert!(stderr.contains("a.png: it is 16x15 pixels, and --augment needs"), "{stderr}");
}
