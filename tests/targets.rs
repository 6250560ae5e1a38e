//! What a model should give where that has another shape than what it sees: exact values of inputs and targets,
//! and training with each kind of target.

use std::fs;
use std::path::Path;

use convae::data::corruption::Split;
use convae::data::{Batch, Dataset, Target};
use convae::formats::image_file::{ImageFile, Samples};
use convae::plan::loader;
use convae::train::Trainer;
use convae::{Plan, Source};
use tch::Device;
use tempfile::TempDir;

const CONV: &str = r#"{ layer = "Conv2D", filters = 2, kernel_size = 3, padding = "same" }"#;
const VALID: &str = r#"{ layer = "Conv2D", filters = 2, kernel_size = 3 }"#;
const UP: &str = r#"{ layer = "UpSampling2D" }"#;

/// A config of a model with these layers in front of its last convolution.
fn config(data: &str, shape: &str, layers: &[&str], channels: usize, corruption: &str) -> String {
    format!(
        r#"name = "targets"
corruption = {corruption}
[data]
{data}
[model]
input_shape = {shape}
layers = [
  {},
  {{ layer = "Conv2D", filters = {channels}, kernel_size = 1, activation = "sigmoid" }},
]
[train]
epochs = 1
batch_size = 4
device = "cpu"
"#,
        layers.join(",\n  ")
    )
}

fn plan(config: &str) -> Plan {
    Plan::new(Source::parse(config, "targets.toml", &[]).unwrap()).unwrap()
}

const NONE: &str = r#"{ kind = "none" }"#;
const SMALL: &str = r#"{ kind = "downscale", scale = 2, enlarge = false }"#;

/// An image that is like no other.
fn picture(which: usize, [height, width, channels]: [usize; 3]) -> ImageFile {
    let value = |i: usize| (which * 89 + i * 37 + i * i * 5) % 256;
    let values = (0..height * width * channels).map(|i| value(i) as u8).collect();
    ImageFile::new([height, width, channels], Samples::Eight(values)).unwrap()
}

fn save(folder: &Path, name: &str, image: &ImageFile) {
    fs::create_dir_all(folder).unwrap();
    image.clone().save(folder.join(name)).unwrap();
}

/// A folder of images of that shape.
fn folder(shape: [usize; 3]) -> TempDir {
    let dir = TempDir::new().unwrap();
    for which in 0..5 {
        save(dir.path(), &format!("{which}.png"), &picture(which, shape));
    }
    dir
}

fn images(dir: &TempDir) -> String {
    format!("kind = \"images\"\ntrain = \"{}\"\ntest_fraction = 0.2", dir.path().display())
}

fn batch(config: &str) -> (Target, Batch) {
    let plan = plan(config);
    let target = plan.target().unwrap();
    let data = Dataset::open(&plan.config.data, target).unwrap();
    let all: Vec<usize> = (0..data.train.len()).collect();
    let batch = loader(&plan, &data.train, Split::Train).batch(1, &all).unwrap();
    let values = |shape: [usize; 3]| shape.iter().product::<usize>() * batch.len;
    assert_eq!(batch.input.len(), values(target.input));
    assert_eq!(batch.target().len(), values(target.output));
    (target, batch)
}

/// All values of some images.
fn all(images: impl Iterator<Item = ImageFile>) -> Vec<f32> {
    images.flat_map(|image| image.scaled()).collect()
}

#[test]
fn colour_is_learned_from_the_grey_of_the_same_image() {
    let dir = folder([8, 8, 3]);
    let (_, batch) = batch(&config(&images(&dir), "[8, 8, 1]", &[CONV], 3, NONE));
    let pictures = || (0..4).map(|which| picture(which, [8, 8, 3]));
    assert_eq!(batch.input, all(pictures().map(|image| image.with_channels(1))));
    assert_eq!(batch.target(), all(pictures()));
}

#[test]
fn grey_is_learned_from_colour() {
    let dir = folder([8, 8, 3]);
    let (_, batch) = batch(&config(&images(&dir), "[8, 8, 3]", &[CONV], 1, NONE));
    let pictures = || (0..4).map(|which| picture(which, [8, 8, 3]));
    assert_eq!(batch.input, all(pictures()));
    assert_eq!(batch.target(), all(pictures().map(|image| image.with_channels(1))));
}

#[test]
fn images_are_made_grey_before_they_are_corrupted() {
    let dir = folder([8, 8, 3]);
    let noise = r#"{ kind = "gaussian", factor = 0.1, clip = false }"#;
    let coloured = batch(&config(&images(&dir), "[8, 8, 1]", &[CONV], 3, noise)).1;
    let grey = batch(&config(&images(&dir), "[8, 8, 1]", &[CONV], 1, noise)).1;
    assert_eq!(coloured.input, grey.input);
}

/// The rows and columns of an image from `start` on, as many as `size` says.
fn part(image: &ImageFile, [top, left]: [usize; 2], [height, width]: [usize; 2]) -> Vec<f32> {
    let ([_, whole, channels], values) = (image.shape, image.scaled());
    let row = |y: usize| &values[(y * whole + left) * channels..][..width * channels];
    (top..top + height).flat_map(|y| row(y).to_vec()).collect()
}

#[test]
fn convolutions_without_padding_learn_the_middle() {
    let dir = folder([9, 10, 1]);
    let (target, batch) = batch(&config(&images(&dir), "[9, 10, 1]", &[VALID, VALID], 1, NONE));
    assert_eq!(target.output, [5, 6, 1]);
    let middles = (0..4).flat_map(|which| part(&picture(which, [9, 10, 1]), [2, 2], [5, 6]));
    assert_eq!(batch.target(), middles.collect::<Vec<_>>());
    assert_eq!(batch.input, all((0..4).map(|which| picture(which, [9, 10, 1]))));
}

#[test]
fn of_an_odd_border_the_lower_right_has_one_pixel_more() {
    let dir = folder([8, 8, 1]);
    let even = r#"{ layer = "Conv2D", filters = 2, kernel_size = 4 }"#;
    let (_, batch) = batch(&config(&images(&dir), "[8, 8, 1]", &[even], 1, NONE));
    let middles = (0..4).flat_map(|which| part(&picture(which, [8, 8, 1]), [1, 1], [5, 5]));
    assert_eq!(batch.target(), middles.collect::<Vec<_>>());
}

#[test]
fn super_resolution_sees_the_means_of_areas_and_learns_the_whole_image() {
    let dir = folder([8, 12, 3]);
    let (target, batch) = batch(&config(&images(&dir), "[4, 6, 3]", &[CONV, UP], 3, SMALL));
    assert_eq!((target.drawn, target.output), ([8, 12, 3], [8, 12, 3]));
    assert_eq!(batch.target(), all((0..4).map(|which| picture(which, [8, 12, 3]))));
    let (image, small) = (&batch.target()[..8 * 12 * 3], &batch.input[..4 * 6 * 3]);
    for (y, x, c) in (0..4 * 6 * 3).map(|i| (i / 18, i / 3 % 6, i % 3)) {
        let at = |y: usize, x: usize| image[(y * 12 + x) * 3 + c];
        let (top, left) = (2 * y, 2 * x);
        let mean = [at(top, left), at(top, left + 1), at(top + 1, left), at(top + 1, left + 1)]
            .iter()
            .sum::<f32>()
            / 4.0;
        assert!((small[(y * 6 + x) * 3 + c] - mean).abs() < 1e-6);
    }
}

#[test]
fn colour_and_resolution_are_learned_together_from_patches() {
    let dir = folder([20, 24, 3]);
    let data = images(&dir) + "\npatches = { on = \"random\", per_image = 3, flips = true }";
    let (target, batch) = batch(&config(&data, "[4, 4, 1]", &[CONV, UP], 3, SMALL));
    assert_eq!((target.drawn, target.clean), ([8, 8, 1], [8, 8, 3]));
    assert_eq!(batch.len, 12);
    let luma = |pixel: &[f32]| pixel[0] * 0.299 + pixel[1] * 0.587 + pixel[2] * 0.114;
    for (input, output) in batch.input.chunks(16).zip(batch.target().chunks(192)) {
        for (place, value) in input.iter().enumerate() {
            let (top, left) = (place / 4 * 2, place % 4 * 2);
            let places = [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(y, x)| (top + y) * 8 + left + x);
            let mean = places.map(|i| luma(&output[i * 3..i * 3 + 3])).iter().sum::<f32>() / 4.0;
            assert!((value - mean).abs() < 2.5 / 255.0, "{value} {mean}");
        }
    }
}

/// Pairs of which the clean image is a function of the noisy one.
fn pairs(shape: [usize; 3], clean: impl Fn(&ImageFile) -> ImageFile) -> TempDir {
    let dir = TempDir::new().unwrap();
    for which in 0..5 {
        let noisy = picture(which, shape);
        save(&dir.path().join("noisy"), &format!("{which}.png"), &noisy);
        save(&dir.path().join("clean"), &format!("{which}.png"), &clean(&noisy));
    }
    dir
}

fn of_pairs(dir: &TempDir, more: &str) -> String {
    let path = |name: &str| dir.path().join(name);
    format!(
        "kind = \"pairs\"\nnoisy = \"{}\"\nclean = \"{}\"\ntest_fraction = 0.2\n{more}",
        path("noisy").display(),
        path("clean").display()
    )
}

/// Each pixel `times` as high and as wide.
fn enlarged(image: &ImageFile, times: usize) -> ImageFile {
    resampled(image, [image.shape[0] * times, image.shape[1] * times], |y, x| {
        (y / times, x / times)
    })
}

/// Every second pixel.
fn halved(image: &ImageFile) -> ImageFile {
    resampled(image, [image.shape[0] / 2, image.shape[1] / 2], |y, x| (2 * y, 2 * x))
}

fn resampled(
    image: &ImageFile,
    [height, width]: [usize; 2],
    from: impl Fn(usize, usize) -> (usize, usize),
) -> ImageFile {
    let Samples::Eight(values) = &image.samples else { panic!("8 bits") };
    let [_, whole, channels] = image.shape;
    let pixel = |i: usize| {
        let (y, x) = from(i / width, i % width);
        values[(y * whole + x) * channels..][..channels].to_vec()
    };
    let pixels = (0..height * width).flat_map(pixel).collect();
    ImageFile::new([height, width, channels], Samples::Eight(pixels)).unwrap()
}

/// The values of some images of a size, each pixel `times` as high and wide.
fn grown(values: &[f32], side: usize, times: usize) -> Vec<f32> {
    let large = side * times;
    let image = |image: &[f32]| {
        let at = |i: usize| image[i / large / times * side + i % large / times];
        (0..large * large).map(at).collect::<Vec<_>>()
    };
    values.chunks(side * side).flat_map(image).collect()
}

const EVERY: &str = r#"patches = { on = "random", per_image = 4, flips = true, rotations = true }"#;

#[test]
fn patches_of_a_larger_partner_are_cut_mirrored_and_turned_at_the_same_place() {
    let dir = pairs([10, 13, 1], |noisy| enlarged(noisy, 3));
    let three = r#"{ layer = "UpSampling2D", size = 3 }"#;
    let (target, batch) =
        batch(&config(&of_pairs(&dir, EVERY), "[4, 4, 1]", &[CONV, three], 1, NONE));
    assert_eq!((target.output, batch.len), ([12, 12, 1], 16));
    assert_eq!(batch.target(), grown(&batch.input, 4, 3));
}

#[test]
fn patches_of_a_smaller_partner_begin_where_it_has_a_pixel() {
    // Pixels in twos, so that every second one is what a mirrored patch has too.
    let dir = TempDir::new().unwrap();
    for which in 0..5 {
        let clean = picture(which, [7, 9, 1]);
        save(&dir.path().join("clean"), &format!("{which}.png"), &clean);
        save(&dir.path().join("noisy"), &format!("{which}.png"), &enlarged(&clean, 2));
    }
    let half = r#"{ layer = "MaxPooling2D" }"#;
    for on in [EVERY, "patches = { on = \"grid\", stride = 3 }"] {
        let config = config(&of_pairs(&dir, on), "[4, 4, 1]", &[CONV, half], 1, NONE);
        let (target, batch) = batch(&config);
        assert_eq!(target.output, [2, 2, 1]);
        assert_eq!(batch.input, grown(batch.target(), 2, 2));
    }
}

#[test]
fn a_pair_has_channels_of_its_own_and_may_be_resized() {
    let dir = pairs([8, 8, 3], |noisy| noisy.clone().with_channels(1));
    let (_, whole) = batch(&config(&of_pairs(&dir, ""), "[8, 8, 3]", &[CONV], 1, NONE));
    assert_eq!(whole.input, all((0..4).map(|which| picture(which, [8, 8, 3]))));
    let grey = (0..4).map(|which| picture(which, [8, 8, 3]).with_channels(1));
    assert_eq!(whole.target(), all(grey));
    let data = of_pairs(&dir, "resize = \"exact\"");
    let (target, small) = batch(&config(&data, "[4, 4, 3]", &[CONV], 1, NONE));
    assert_eq!((target.output, small.len), ([4, 4, 1], 4));
}

#[test]
fn a_pairs_clean_image_is_as_large_as_the_noisy_one_or_the_middle_already() {
    let layers = &[VALID];
    let same = pairs([8, 8, 1], Clone::clone);
    let middle = pairs([8, 8, 1], |noisy| resampled(noisy, [6, 6], |y, x| (y + 1, x + 1)));
    let [same, middle] = [same, middle]
        .map(|dir| batch(&config(&of_pairs(&dir, ""), "[8, 8, 1]", layers, 1, NONE)).1);
    assert_eq!(same, middle);
}

/// Two halves of the digits, and what a model makes of them.
fn digits(shape: &str, layers: &[&str], channels: usize, corruption: &str) -> String {
    let data = "dir = \"tests/digits\"\ntrain_samples = 64\ntest_samples = 32";
    config(data, shape, layers, channels, corruption)
}

#[test]
fn both_engines_learn_the_same_of_every_kind_of_target() {
    let grey_from_colour = folder([16, 16, 3]);
    let twice = pairs([8, 8, 1], |noisy| enlarged(noisy, 2));
    let half = pairs([16, 16, 1], halved);
    let pool = r#"{ layer = "MaxPooling2D" }"#;
    for config in [
        digits("[28, 28, 1]", &[VALID, VALID], 1, NONE),
        digits("[28, 28, 1]", &[CONV], 3, r#"{ kind = "gaussian", factor = 0.1 }"#),
        digits("[14, 14, 1]", &[CONV, UP], 1, SMALL),
        digits("[14, 14, 1]", &[VALID, UP], 3, SMALL),
        config(&images(&grey_from_colour), "[16, 16, 1]", &[CONV], 3, NONE),
        config(&of_pairs(&twice, ""), "[8, 8, 1]", &[CONV, UP], 1, NONE),
        config(&of_pairs(&half, ""), "[16, 16, 1]", &[CONV, pool], 1, NONE),
    ] {
        let losses = ["native", "libtorch"].map(|engine| {
            let sets = [format!("train.engine={engine:?}"), "train.dtype=\"float64\"".to_owned()];
            let source = Source::parse(&config, "targets.toml", &sets).unwrap();
            let trained = convae::train(&Plan::new(source).unwrap()).unwrap();
            let epoch = &trained.history.epochs[0];
            [epoch.loss, epoch.val_loss]
        });
        let near = |a: f64, b: f64| (a - b).abs() < 1e-6;
        assert!(near(losses[0][0], losses[1][0]) && near(losses[0][1], losses[1][1]), "{losses:?}");
    }
}

#[test]
fn a_model_of_open_size_is_trained_at_the_size_of_its_data_and_stays_open() {
    let pool = r#"{ layer = "MaxPooling2D" }"#;
    let config = digits("[-1, -1, 1]", &[CONV, pool, UP], 1, NONE);
    let trained = convae::train(&plan(&config)).unwrap();
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("open.pt");
    trained.save(&file).unwrap();
    let (opened, _) = convae::open_model(&file, None, &[]).unwrap();
    assert_eq!(opened.open, [true; 2]);
    let sized = opened.for_data().unwrap();
    assert_eq!((sized.input_shape, sized.open), ([28, 28, 1], [true; 2]));
    let mut denoiser = convae::Denoiser::open(&file).unwrap();
    for shape in [[65, 33, 1], [1, 1, 1], [300, 28, 1]] {
        assert_eq!(denoiser.denoise(picture(0, shape)).unwrap().shape, shape);
    }
}

#[test]
fn an_array_has_any_number_of_channels() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("five.npy");
    let values: Vec<u8> = (0..6 * 8 * 8 * 5).map(|i| (i * 7 % 256) as u8).collect();
    let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (6, 8, 8, 5), }\n";
    let length = u16::try_from(header.len()).unwrap().to_le_bytes();
    let bytes = [b"\x93NUMPY\x01\x00".as_slice(), &length, header.as_bytes(), &values].concat();
    fs::write(&file, bytes).unwrap();
    let data = format!("kind = \"npz\"\nfile = {file:?}\ntest_fraction = 0.5");
    for shape in ["[8, 8, 5]", "[-1, -1, 5]"] {
        let config = config(&data, shape, &[CONV], 5, NONE);
        assert!(convae::train(&plan(&config)).unwrap().history.epochs[0].loss.is_finite());
    }
    let config = config(&data, "[8, 8, 5]", &[CONV], 5, NONE);
    let expected: Vec<f32> = values[..3 * 320].iter().map(|&v| f32::from(v) / 255.0).collect();
    assert_eq!(batch(&config).1.input, expected);
}

/// The sentence of why a plan has no target, or its data are refused.
fn refusal(config: &str) -> String {
    let plan = plan(config);
    match plan.objective() {
        Err(error) => error.to_string(),
        Ok(objective) => {
            Dataset::open(&plan.config.data, objective.target).expect_err("refused").to_string()
        }
    }
}

#[test]
fn what_fits_no_target_is_refused_with_a_remedy() {
    let (eight, pool) = (folder([8, 8, 3]), r#"{ layer = "MaxPooling2D" }"#);
    let uneven = pairs([8, 8, 1], |noisy| resampled(noisy, [12, 16], |y, x| (y / 2, x / 2)));
    let scales = r#"{ kind = "downscale", scale = [2, 3], enlarge = false }"#;
    let lower = r#"{ layer = "Cropping2D", cropping = [[0, 4], [0, 4]] }"#;
    for (config, words) in [
        (
            digits("[28, 28, 1]", &[CONV, pool], 1, NONE),
            ["targets.toml:", "ends in 14x14x1, but the images are 28x28x1", "pairs"],
        ),
        (
            digits("[28, 28, 1]", &[CONV, UP], 1, NONE),
            ["ends in 56x56x1", "2 times smaller", "enlarge = false"],
        ),
        (
            digits("[28, 28, 1]", &[CONV], 1, SMALL),
            ["`corruption` makes images 2 times smaller", "28x28", "enlarge=true"],
        ),
        (
            digits("[14, 14, 1]", &[CONV, UP], 1, scales),
            ["draws the scale", "one size", "give one scale"],
        ),
        (
            digits("[28, 28, 1]", &[CONV], 2, NONE),
            ["ends in 2 channels", "the images have 1", "change the layers"],
        ),
        (
            digits("[29, 29, 1]", &[CONV, pool, UP], 1, NONE),
            ["`model.input_shape` has a side of 29", "leave as 28", "make it 30"],
        ),
        (
            digits("[28, 28, 1]", &[CONV, lower], 1, NONE),
            ["gives 24 of 28 pixels", "not those in the middle", "both ends alike"],
        ),
        (
            config(&images(&eight), "[8, 8, 4]", &[CONV], 4, NONE),
            ["has 4 channels", "1 (grey) or 3 (RGB)", "npz"],
        ),
        (
            config(&of_pairs(&uneven, ""), "[8, 8, 1]", &[CONV, UP], 1, NONE),
            ["8x8 pixels", "is 16x12", "2 times as wide and 2 times as high"],
        ),
        (
            config(&of_pairs(&uneven, ""), "[8, 8, 1]", &[CONV, UP], 1, SMALL),
            ["`corruption`", "noisy ones are small already", "enlarge=true"],
        ),
        (
            config(&images(&eight), "[4, 8, 1]", &[CONV, UP], 1, SMALL),
            ["8x8 pixels, the model takes", "16x8", "data.patches"],
        ),
    ] {
        let said = refusal(&config);
        assert!(words.iter().all(|word| said.contains(word)), "{said} lacks some of {words:?}");
    }
}

#[test]
fn a_model_of_open_size_says_what_it_lacks() {
    let dir = folder([9, 9, 1]);
    let pool = r#"{ layer = "MaxPooling2D" }"#;
    for (more, words) in [
        ("", ["9x9 pixels, which the model does not take", "lead back", "data.patches.size"]),
        ("resize = \"fit\"", ["`data.resize`", "which size", "input_shape"]),
        ("patches = {}", ["`data.patches.size`", "which size", "data.patches.size=64"]),
    ] {
        let data = images(&dir) + "\n" + more;
        let plan = plan(&config(&data, "[-1, -1, 1]", &[CONV, pool, UP], 1, NONE));
        let said = plan.for_data().expect_err("refused").to_string();
        assert!(words.iter().all(|word| said.contains(word)), "{said} lacks some of {words:?}");
    }
    let data = images(&dir) + "\npatches = { size = 4 }";
    let plan = plan(&config(&data, "[-1, -1, 1]", &[CONV, pool, UP], 1, NONE));
    assert_eq!(plan.for_data().unwrap().input_shape, [4, 4, 1]);
}

/// Without corruption the target is what the model sees, in the sides of what it gives.
#[test]
fn an_output_of_another_rank_has_the_same_loss_on_both_engines() {
    let flat = r#"{ layer = "Flatten" }, { layer = "Dense", units = 36 }"#;
    let image = r#"{ layer = "Reshape", target_shape = [6, 6, 1] },
        { layer = "Conv2D", filters = 1, kernel_size = 3, padding = "same" }"#;
    let signal = r#"{ layer = "Reshape", target_shape = [6, 6] },
        { layer = "Conv1D", filters = 6, kernel_size = 3, padding = "same" }"#;
    for (shape, layers) in [
        ("[6, 6, 1]", flat),
        ("[6, 6]", image),
        ("[36]", image),
        ("[36]", signal),
        ("[6, 6]", flat),
    ] {
        let loss = |engine: &str| {
            let text = format!(
                "name = \"x\"\n[model]\ninput_shape = {shape}\nlayers = [{layers}]\n[train]\nloss = \"mse\"\n\
                 dtype = \"float64\"\ndevice = \"cpu\"\nengine = \"{engine}\"\n"
            );
            let plan = Plan::new(Source::parse(&text, "test.toml", &[]).unwrap()).unwrap();
            let mut trainer = Trainer::new(&plan, Device::Cpu).unwrap();
            let input = (0..72_u8).map(|i| f32::from(i % 11) / 11.0).collect();
            let step = trainer.train_step(&Batch { len: 2, input, ..Batch::default() }, 1, 1);
            step.loss.double_value(&[])
        };
        let [native, libtorch] = ["native", "libtorch"].map(loss);
        assert!((native - libtorch).abs() < 1e-12, "{shape}: {native} and {libtorch}");
    }
}
