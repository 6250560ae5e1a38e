//! Losses beyond the mean errors: their formulas, both engines, sums, and what is refused.

use convae::config::{ConfigError, Source};
use convae::data::Batch;
use convae::engine::Step;
use convae::infer::metrics;
use convae::nn::{Loss, Losses};
use convae::plan::Plan;
use convae::train::Trainer;
use tch::{Device, Kind, Tensor};

/// A mean of some dozen values in another order.
const ROUNDING: f64 = 1e-12;

fn plan_of(loss: &str, engine: &str) -> Result<Plan, ConfigError> {
    let text = format!(
        "name = \"x\"\n[model]\ninput_shape = [9, 8, 1]\nlayers = [{{ layer = \"Dense\", units = 1 }}]\n\
         [train]\nloss = {loss}\ndtype = \"float64\"\ndevice = \"cpu\"\nengine = \"{engine}\"\n"
    );
    Plan::new(Source::parse(&text, "test.toml", &[])?)
}

/// Two images, with targets that lie near and far.
fn batch() -> Batch {
    let wave = |i: u16, step: f32| (f32::from(i) * step).sin() / 2.0 + 0.5;
    let input: Vec<f32> = (0..144).map(|i| wave(i, 0.7)).collect();
    let clean = Some((0..144).map(|i| 2.0 * wave(i, 1.3)).collect());
    Batch { len: 2, input, clean, ..Batch::default() }
}

fn step(loss: &str, engine: &str) -> (f64, Vec<f64>) {
    let mut trainer = Trainer::new(&plan_of(loss, engine).unwrap(), Device::Cpu).unwrap();
    let Step { loss, gradient } = trainer.train_step(&batch(), 1, 1);
    (loss.double_value(&[]), Vec::try_from(gradient).unwrap())
}

fn near(what: &str, found: f64, wanted: f64) {
    assert!(
        (found - wanted).abs() <= ROUNDING * wanted.abs().max(1.0),
        "{what}: {found}, {wanted}"
    );
}

#[test]
fn both_engines_have_the_losses_that_look_at_each_value_by_itself() {
    for loss in [
        "\"huber\"",
        "{ loss = \"huber\", delta = 0.25 }",
        "\"log_cosh\"",
        "\"charbonnier\"",
        "{ loss = \"charbonnier\", epsilon = 0.5 }",
    ] {
        let ((native, slopes), (libtorch, others)) = (step(loss, "native"), step(loss, "libtorch"));
        near(loss, native, libtorch);
        for (&one, &other) in slopes.iter().zip(&others) {
            near(loss, one, other);
        }
        assert!(slopes.iter().any(|slope| slope.abs() > 1e-3), "{loss} has no slope");
    }
}

#[test]
fn a_sum_is_that_of_its_losses_times_their_weights() {
    let sum = "[{ loss = \"ssim\", weight = 0.84 }, { loss = \"mae\", weight = 0.16 }]";
    let ((all, slopes), (ssim, first)) = (step(sum, "libtorch"), step("\"ssim\"", "libtorch"));
    let (mae, second) = step("\"mae\"", "libtorch");
    near("the loss", all, 0.84 * ssim + 0.16 * mae);
    for (slope, (one, two)) in slopes.iter().zip(first.iter().zip(&second)) {
        near("its slope", *slope, 0.84 * one + 0.16 * two);
    }
}

#[test]
fn charbonnier_has_the_values_and_slopes_of_its_formula() {
    let output = Tensor::from_slice(&[0.5, -2.0, 0.25]).set_requires_grad(true);
    let target = Tensor::from_slice(&[0.5, 1.0, 0.5]);
    let loss = Loss::Charbonnier { epsilon: 0.5 }.of(&output, &target);
    let roots = [0.5, 9.25_f64.sqrt(), 0.3125_f64.sqrt()];
    near("the loss", loss.double_value(&[]), roots.iter().sum::<f64>() / 3.0);
    let slopes = Tensor::run_backward(&[&loss], &[&output], false, false).remove(0);
    for (i, (error, root)) in [0.0, -3.0, -0.25].into_iter().zip(roots).enumerate() {
        near("a slope", slopes.double_value(&[i as i64]), error / root / 3.0);
    }
}

/// Of which `infer::metrics` holds the value to scikit-image's.
#[test]
fn ssim_is_one_less_the_similarity_that_evaluate_prints() {
    let shape = [9, 8, 3];
    let image = |step: f32| (0..216_u16).map(|i| (f32::from(i) * step).sin().abs()).collect();
    let (one, other): (Vec<f32>, Vec<f32>) = (image(0.37), image(0.41));
    let tensor = |values: &[f32]| {
        let all = Tensor::from_slice(values).to_kind(Kind::Double).view([1, 9, 8, 3]);
        all.permute([0, 3, 1, 2])
    };
    let loss = Loss::Ssim.of(&tensor(&one), &tensor(&other)).double_value(&[]);
    near("ssim", loss, 1.0 - metrics::ssim(shape, &one, &other).unwrap());
    near("equal images", Loss::Ssim.of(&tensor(&one), &tensor(&one)).double_value(&[]), 0.0);
}

#[test]
fn a_loss_reads_back_as_it_was_written() {
    for (loss, written) in [
        ("\"mse\"", "\"mean_squared_error\""),
        ("{ loss = \"huber\" }", "\"huber\""),
        ("{ loss = \"huber\", delta = 0.5 }", "{ loss = \"huber\", delta = 0.5, weight = 1.0 }"),
        ("[{ loss = \"ssim\", weight = 0.5 }, \"mae\"]", "\"mean_absolute_error\""),
    ] {
        let plan = plan_of(loss, "auto").unwrap();
        let text = plan.config.to_toml();
        assert!(text.contains(written), "{loss}: {text}");
        assert_eq!(
            Source::parse(&text, "again", &[]).unwrap().config.train.loss,
            plan.config.train.loss
        );
    }
    let sum = Losses(vec![(Loss::Ssim, 0.84), (Loss::MeanAbsoluteError, 0.16)]);
    assert_eq!(sum.name(), "0.84 ssim + 0.16 mean_absolute_error");
}

#[test]
fn what_is_no_loss_is_refused_with_the_value_and_the_remedy() {
    for (loss, words) in [
        ("\"hubber\"", ["`train.loss`", "\"hubber\"", "\"huber\""]),
        ("{ loss = \"huber\", delta = 0.0 }", ["`train.loss.delta`", "is 0", "above 0"]),
        ("{ loss = \"mse\", delta = 1.0 }", ["`train.loss.delta`", "is not a key", "weight"]),
        ("[]", ["`train.loss`", "a list", "\"mse\""]),
    ] {
        let error = plan_of(loss, "auto").unwrap_err().to_string();
        for word in words {
            assert!(error.contains(word), "{word}: {error}");
        }
    }
    let error = Trainer::new(&plan_of("\"ssim\"", "native").unwrap(), Device::Cpu).unwrap_err();
    assert!(error.to_string().contains("no stage for train.loss (ssim)"), "{error}");
    let text = "name = \"x\"\n[model]\ninput_shape = [6, 8, 1]\n\
                layers = [{ layer = \"Dense\", units = 1 }]\n[train]\nloss = \"ssim\"\n";
    let small = Plan::new(Source::parse(text, "test.toml", &[]).unwrap()).unwrap();
    let error = small.objective().unwrap_err().to_string();
    assert!(error.contains("images of 6x8") && error.contains("windows are 7x7"), "{error}");
}
