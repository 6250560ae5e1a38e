//! Methods that learn from noisy images alone: what a config may ask for, and that models learn to denoise
//! without having seen a clean image.

use std::fs;
use std::path::Path;

use convae::data::corruption::Split;
use convae::data::{Dataset, Supervision};
use convae::engine::Model;
use convae::formats::image_file::{ImageFile, Samples};
use convae::infer::evaluation::{mean_loss, measure};
use convae::plan::{loader, method_loader};
use convae::train::Trainer;
use convae::{Plan, Source};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::nn::ModuleT;
use tch::{Device, Kind, Tensor};
use tempfile::TempDir;

const CONV: &str =
    r#"{ layer = "Conv2D", filters = 8, kernel_size = 3, padding = "same", activation = "relu" }"#;

/// A config of a small model for the folder, which is trained by that method.
fn config(folder: &Path, method: &str, more: &str) -> String {
    format!(
        r#"name = "methods"
[data]
kind = "pairs"
noisy = "{0}/noisy"
clean = "{0}/clean"
test_fraction = 0.25
patches = {{ on = "random", size = 16, per_image = 8 }}
[model]
input_shape = [-1, -1, 1]
layers = [
  {CONV},
  {CONV},
  {{ layer = "Conv2D", filters = 1, kernel_size = 3, padding = "same" }},
]
[train]
batch_size = 4
device = "cpu"
loss = "mean_squared_error"
method = {method}
{more}
"#,
        folder.display()
    )
}

fn source(text: &str, overrides: &[&str]) -> Source {
    let overrides: Vec<String> = overrides.iter().map(|&set| set.to_owned()).collect();
    Source::parse(text, "methods.toml", &overrides).unwrap()
}

fn plan(text: &str) -> Plan {
    Plan::new(source(text, &[])).unwrap()
}

/// Smooth images of 32x32, and the same with independent noise of a standard deviation of 0.1, in 16 bits.
fn folder() -> TempDir {
    let dir = TempDir::new().unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(5);
    for which in 0..8 {
        let clean: Vec<f32> = (0..32 * 32)
            .map(|place| {
                let (row, column) = ((place / 32) as f32, (place % 32) as f32);
                0.5 + 0.2 * ((row + which as f32) / 5.0).sin() * (column / 6.0).cos()
            })
            .collect();
        // The sum of twelve uniform numbers is nearly normal.
        let mut normal = || (0..12).map(|_| random.random::<f32>()).sum::<f32>() - 6.0;
        let noisy: Vec<f32> = clean.iter().map(|value| value + 0.1 * normal()).collect();
        for (kind, values) in [("clean", clean), ("noisy", noisy)] {
            let bits = values.iter().map(|value| (value * 65_535.0).clamp(0.0, 65_535.0) as u16);
            let image = ImageFile::new([32, 32, 1], Samples::Sixteen(bits.collect())).unwrap();
            fs::create_dir_all(dir.path().join(kind)).unwrap();
            image.save(dir.path().join(kind).join(format!("{which}.png"))).unwrap();
        }
    }
    dir
}

const NOISE2VOID: &str = r#""noise2void""#;
const NEIGHBOR2NEIGHBOR: &str = r#""neighbor2neighbor""#;

/// PSNR of the test patches before and after training for so many epochs.
fn learned(text: &str, epochs: u64) -> (f64, f64) {
    let plan = plan(text);
    let data = Dataset::open(&plan.config.data, plan.objective().unwrap().target).unwrap();
    let mut trainer = Trainer::new(&plan, Device::Cpu).unwrap();
    let train = method_loader(&plan, &data.train, Split::Train);
    for epoch in 1..=epochs {
        let order = train.order(epoch, true);
        for (step, batch) in train.batches(epoch, &order).enumerate() {
            trainer.train_step(&batch.unwrap(), epoch, step as u64 + 1);
        }
    }
    let found = measure(&plan, &data.test, &mut trainer.predictor, None).unwrap();
    (found.input.unwrap().psnr, found.output.psnr)
}

#[test]
fn models_learn_to_denoise_without_a_clean_image() {
    let dir = folder();
    let more = "epochs = 60\noptimizer = { name = \"Adam\", learning_rate = 0.003 }";
    for method in [NOISE2VOID, NEIGHBOR2NEIGHBOR] {
        let (input, output) = learned(&config(dir.path(), method, more), 60);
        assert!((19.5..20.5).contains(&input), "{input}");
        assert!(output > input + 5.0, "{method}: {input:.2} to {output:.2} dB");
    }
}

#[test]
fn targets_are_the_noisy_images_and_evaluation_keeps_the_clean_ones() {
    let dir = folder();
    let text = config(dir.path(), NOISE2VOID, "");
    let plan = plan(&text);
    let data = Dataset::open(&plan.config.data, plan.objective().unwrap().target).unwrap();
    let whole = loader(&plan, &data.train, Split::Train).batch(1, &[0, 9]).unwrap();
    let masked = method_loader(&plan, &data.train, Split::Train).batch(1, &[0, 9]).unwrap();
    assert_eq!(masked.target(), whole.input);
    assert_ne!(whole.target(), whole.input);
    let Supervision::Masked(places) = &masked.supervision else { panic!("masked") };
    // Cells of 7.07 pixels.
    assert_eq!(places.len(), 2 * 2 * 2);
    let changed = |image: usize| {
        let values = image * 256..(image + 1) * 256;
        let pairs = masked.input[values.clone()].iter().zip(&whole.input[values]);
        pairs
            .enumerate()
            .filter(|(_, (a, b))| a.to_bits() != b.to_bits())
            .map(|(place, _)| place as u32)
    };
    for image in 0..2 {
        let mut places = places[image * 4..(image + 1) * 4].to_vec();
        places.sort_unstable();
        assert_eq!(changed(image).collect::<Vec<_>>(), places);
    }
}

#[test]
fn samples_depend_on_the_seed_the_epoch_and_the_image_alone() {
    let dir = folder();
    for method in [NOISE2VOID, NEIGHBOR2NEIGHBOR] {
        let plan = plan(&config(dir.path(), method, ""));
        let data = Dataset::open(&plan.config.data, plan.objective().unwrap().target).unwrap();
        let train = method_loader(&plan, &data.train, Split::Train);
        let (one, two) = (train.batch(1, &[3]).unwrap(), train.batch(1, &[5]).unwrap());
        let both = train.batch(1, &[3, 5]).unwrap();
        assert_eq!(both.input, [one.input.clone(), two.input.clone()].concat());
        assert_eq!(both.target(), [one.target(), two.target()].concat());
        assert_ne!(train.batch(2, &[3]).unwrap().input, one.input);
        let test = method_loader(&plan, &data.test, Split::Test);
        assert_eq!(test.batch(1, &[2]).unwrap(), test.batch(9, &[2]).unwrap());
    }
}

/// Both parts of the loss by themselves, with autograd. Targets are float32, so that the gradient is too.
#[test]
fn the_step_of_neighbor2neighbor_is_that_of_the_paper_s_two_terms() {
    let dir = folder();
    let method = "{ name = \"neighbor2neighbor\", gamma = 1.5 }";
    for engine in ["native", "libtorch"] {
        let more = format!("epochs = 3\ndtype = \"float64\"\nengine = \"{engine}\"");
        let plan = plan(&config(dir.path(), method, &more));
        let data = Dataset::open(&plan.config.data, plan.objective().unwrap().target).unwrap();
        let batch = method_loader(&plan, &data.train, Split::Train).batch(2, &[1, 7, 4]).unwrap();
        let Supervision::Neighbors(neighbors) = &batch.supervision else { panic!("neighbors") };
        let model = Model::new(&plan, Device::Cpu, Kind::Double);
        let images = |values: &[f32], side: i64| {
            Tensor::from_slice(values).to_kind(Kind::Double).view([3, 1, side, side])
        };
        let whole = tch::no_grad(|| model.forward_t(&images(&neighbors.whole, 16), false));
        let [first, second] = neighbors.pick(&Vec::<f32>::try_from(whole.flatten(0, -1)).unwrap());
        let constant = images(&first, 8) - images(&second, 8);
        let error = model.forward_t(&images(&batch.input, 8), true) - images(batch.target(), 8);
        let gamma = 1.5 * 2.0 / 3.0;
        let loss = error.square().mean(None) + (&error - constant).square().mean(None) * gamma;
        let gradients = Tensor::run_backward(&[&loss], &model.trainable, false, false);
        let rows: Vec<Tensor> = gradients.iter().map(|tensor| tensor.flatten(0, -1)).collect();
        let gradient = Tensor::cat(&rows, 0);

        let mut trainer = Trainer::new(&plan, Device::Cpu).unwrap();
        let step = trainer.train_step(&batch, 2, 1);
        let far = |a: &Tensor, b: &Tensor| ((a - b).abs().max() / b.abs().max()).double_value(&[]);
        assert!(far(&step.loss, &loss) < 1e-6, "{engine}: {:?} for {loss:?}", step.loss);
        assert!(far(&step.gradient, &gradient) < 1e-6, "{engine}");
    }
}

/// A validation loss that moved with the regularizer's factor would compare no epochs.
#[test]
fn the_validation_loss_of_neighbor2neighbor_is_without_the_regularizer() {
    let dir = folder();
    let losses = [0.0, 2.0].map(|gamma| {
        let method = format!("{{ name = \"neighbor2neighbor\", gamma = {gamma} }}");
        let plan = plan(&config(dir.path(), &method, ""));
        let data = Dataset::open(&plan.config.data, plan.objective().unwrap().target).unwrap();
        let mut trainer = Trainer::new(&plan, Device::Cpu).unwrap();
        mean_loss(&plan, &data.test, &mut trainer.predictor).unwrap()
    });
    assert_eq!(losses[0].to_bits(), losses[1].to_bits());
}

#[test]
fn what_does_not_go_together_is_refused_with_its_key() {
    let dir = folder();
    let masked = |keys: &str| format!("{{ name = \"noise2void\", {keys} }}");
    let cases: &[(&str, &[&str], &str)] = &[
        (&masked("window = 4"), &[], "`train.method.window` is 4; give an odd number"),
        (&masked("hidden = [3, 5]"), &[], "`train.method.window` is 3, and all of that is hidden"),
        (&masked("hidden = [2, 1]"), &[], "`train.method.hidden` is [2, 1]"),
        (&masked("hidden = [-1, -1]"), &[], "`train.method.hidden` is [-1, -1]"),
        (
            &masked("hidden = [9, 9], window = 11"),
            &[],
            "`train.method.hidden` may hide all of an image of 16x16; make it smaller, or mask fewer",
        ),
        (
            &masked("hidden = [1, -1]"),
            &["data.patches.rotations=true"],
            "`train.method.hidden` is no square, and data.patches.rotations turns the noise",
        ),
        (
            NOISE2VOID,
            &["train.loss=ssim"],
            "`train.loss` is ssim, and noise2void's is a mean of single pixels; take mean_squared_error",
        ),
        (
            &masked("masked = 0.25, hidden = [15, 1]"),
            &[],
            "`train.method.hidden` may hide all of an image of 16x16",
        ),
        (
            NEIGHBOR2NEIGHBOR,
            &["model.layers[0].activity_regularizer=\"l2\""],
            "`train.method` is neighbor2neighbor, and `conv2d` adds to the loss by what it gives",
        ),
        (
            NEIGHBOR2NEIGHBOR,
            &["train.loss=mae"],
            "`train.loss` is mean_absolute_error, for which the regularizer has no formula",
        ),
        (
            NEIGHBOR2NEIGHBOR,
            &["data.patches.size=15"],
            "`train.method` is neighbor2neighbor, and the images are 15x15; take images or patches of even",
        ),
        (
            NEIGHBOR2NEIGHBOR,
            &["model.input_shape=[16, 16, 1]"],
            "`train.method` is neighbor2neighbor, which trains on halves of 16x16; set -1 for height",
        ),
        ("\"noise2voids\"", &[], "`train.method` is \"noise2voids\"; did you mean `noise2void`?"),
    ];
    for (method, overrides, sentence) in cases {
        let text = config(dir.path(), method, "");
        let overrides: Vec<String> = overrides.iter().map(|&set| set.to_owned()).collect();
        let error = Source::parse(&text, "methods.toml", &overrides)
            .and_then(Plan::new)
            .and_then(|plan| plan.objective().map(drop))
            .expect_err(method);
        assert!(error.to_string().contains(sentence), "{error}\n{sentence}");
    }
}

/// Images of one value each, by their paths below the folder.
fn shots(paths: &[(&str, u8)]) -> TempDir {
    let dir = TempDir::new().unwrap();
    for (path, value) in paths {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let image = ImageFile::new([8, 8, 1], Samples::Eight(vec![*value; 64])).unwrap();
        image.save(path).unwrap();
    }
    dir
}

/// First values of inputs and targets of the training and the test set, in 255ths.
fn of_bursts(dir: &TempDir, data: &str) -> Result<[Vec<(u8, u8)>; 2], String> {
    let text = format!(
        "name = \"bursts\"\n[data]\nkind = \"images\"\ntrain = \"{}\"\nbursts = true\n{data}\n[model]\n\
         input_shape = [8, 8, 1]\nlayers = [{CONV}, {}]\n",
        dir.path().display(),
        CONV.replace("filters = 8", "filters = 1")
    );
    let plan = plan(&text);
    let target = plan.objective().unwrap().target;
    let data = Dataset::open(&plan.config.data, target).map_err(|error| error.to_string())?;
    let alone = Dataset::open_test(&plan.config.data, target).unwrap();
    assert_eq!(alone.len(), data.test.len());
    Ok([(&data.train, Split::Train), (&data.test, Split::Test)].map(|(images, split)| {
        let all: Vec<usize> = (0..images.len()).collect();
        let batch = loader(&plan, images, split).batch(1, &all).unwrap();
        let value = |values: &[f32], image: usize| (values[image * 64] * 255.0).round() as u8;
        all.iter().map(|&i| (value(&batch.input, i), value(batch.target(), i))).collect()
    }))
}

#[test]
fn any_two_shots_of_a_burst_are_a_sample_and_no_burst_is_in_both_sets() {
    let dir = shots(&[
        ("a/1.png", 10),
        ("a/2.png", 11),
        ("a/3.png", 12),
        ("b/1.png", 20),
        ("b/2.png", 21),
        ("c/1.png", 30),
        ("c/2.png", 31),
        ("alone/1.png", 40),
    ]);
    let [train, test] = of_bursts(&dir, "test_fraction = 0.3").unwrap();
    let a = [(10, 11), (10, 12), (11, 10), (11, 12), (12, 10), (12, 11)];
    assert_eq!(train, [a.as_slice(), &[(20, 21), (21, 20)]].concat());
    assert_eq!(test, [(30, 31), (31, 30)]);

    let tested = shots(&[("d/1.png", 50), ("d/2.png", 51)]);
    let [train, test] =
        of_bursts(&dir, &format!("test = \"{}\"", tested.path().display())).unwrap();
    assert_eq!((train.len(), test), (10, vec![(50, 51), (51, 50)]));
}

#[test]
fn bursts_that_are_none_are_refused() {
    let dir = shots(&[("a/1.png", 10), ("b/1.png", 20)]);
    let error = of_bursts(&dir, "").unwrap_err();
    assert!(
        error.contains("has no burst: no folder in it, and no TIFF, holds two images"),
        "{error}"
    );
    let dir = shots(&[("a/1.png", 10), ("a/2.png", 20)]);
    let list = dir.path().join("list.txt");
    fs::write(&list, "a/1.png\n").unwrap();
    let error = of_bursts(&dir, &format!("test = \"{}\"", list.display())).unwrap_err();
    assert!(error.contains("data.bursts needs a folder of bursts"), "{error}");
}
