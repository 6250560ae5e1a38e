//! Losses beyond the mean errors: their formulas, both engines, sums, and what is refused.

use convae::config::{ConfigError, Source};
use convae::data::Batch;
use convae::engine::Step;
use convae::infer::metrics;
use convae::nn::{Axes, Labels, Loss, Losses, Reduction, Term};
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
fn both_engines_have_the_same_losses() {
    for loss in [
        "\"huber\"",
        "{ loss = \"huber\", delta = 0.25 }",
        "\"log_cosh\"",
        "\"charbonnier\"",
        "{ loss = \"charbonnier\", epsilon = 0.5 }",
        "{ loss = \"clipped_gaussian\", stddev = 0.2 }",
        "{ loss = \"bce\", from_logits = true }",
        "{ loss = \"bce\", label_smoothing = 0.25 }",
        "{ loss = \"bce\", from_logits = true, label_smoothing = 0.25 }",
        "{ loss = \"mse\", reduction = \"sum\" }",
        "\"poisson\"",
        "\"kl_divergence\"",
        "{ loss = \"cosine_similarity\", axis = 1 }",
        "\"dice\"",
        "{ loss = \"tversky\", axis = [1, 2] }",
        "\"ssim\"",
        "[{ loss = \"ssim\", weight = 0.84 }, { loss = \"mae\", weight = 0.16 }]",
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

/// Means of two million draws, of which the deviation is at most 0.0003, and a closed form: half of the noise at white
/// is cut off, and the other half has a mean of `stddev / sqrt(2 pi)` below it.
#[test]
fn clipped_gaussian_expects_what_noise_that_is_cut_off_has_on_average() {
    let stddev = 0.4;
    let noise = Tensor::randn([2_000_000], (Kind::Double, tch::Device::Cpu)) * stddev;
    for value in [-0.5, 0.0, 0.1, 0.7, 1.0, 1.4] {
        let drawn = (&noise + value).clamp(0.0, 1.0).mean(None);
        let output = Tensor::from_slice(&[value]).set_requires_grad(true);
        let loss = Loss::ClippedGaussian { stddev }.of(&output, &drawn.view([1]));
        assert!(loss.double_value(&[]).sqrt() < 1.5e-3, "{value}: {loss}");
    }
    let stddev = 0.1; // ten of which lead to black: nothing is cut off there
    let below = stddev / (2.0 * std::f64::consts::PI).sqrt();
    let loss = Loss::ClippedGaussian { stddev }
        .of(&Tensor::from_slice(&[1.0]), &Tensor::from_slice(&[1.0]));
    near("white", loss.double_value(&[]), below * below);
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

/// Batch, height, width and channels.
const SIDES: [usize; 4] = [2, 4, 2, 3];

/// Values strictly within 0..1, by Keras's indices, channels last.
fn values(step: f64) -> Vec<f64> {
    (0..48).map(|i| 0.5 + 0.45 * (f64::from(i) * step).sin()).collect()
}

/// As a model gives them to its loss.
fn channels_first(values: &[f64]) -> Tensor {
    let [batch, height, width, channels] = SIDES.map(|side| side as i64);
    Tensor::from_slice(values).view([batch, height, width, channels]).permute([0, 3, 1, 2])
}

/// Sums of some axes, by their place in Keras's order, of values `at(index)`; one for each place in the others.
fn sums(axes: &[usize], at: impl Fn(usize) -> f64) -> Vec<f64> {
    let mut found = std::collections::BTreeMap::new();
    for index in 0..48 {
        let mut rest = index;
        let mut place = [0; 4];
        for (axis, side) in SIDES.into_iter().enumerate().rev() {
            place[axis] = if axes.contains(&axis) { 0 } else { rest % side };
            rest /= side;
        }
        *found.entry(place).or_insert(0.0) += at(index);
    }
    found.into_values().collect()
}

fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.into_iter().collect();
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn cross_entropies_of_classes_have_the_values_of_their_formula() {
    let (p, t) = (values(0.7), values(1.3));
    let (output, target) = (channels_first(&p), channels_first(&t));
    let labels = Labels { from_logits: false, label_smoothing: 0.25 };
    for (axis, place) in [(-1, 3), (1, 1), (-2, 2), (0, 0)] {
        let totals = sums(&[place], |index| p[index]);
        let total = |index: usize| {
            let own = sums(&[place], |other| if other == index { 1.0 } else { 0.0 });
            totals[own.iter().position(|&own| own > 0.0).unwrap()]
        };
        let wanted = mean(sums(&[place], |index| {
            let smooth = t[index] * 0.75 + 0.25 / 3.0;
            -smooth * (p[index] / total(index)).ln()
        }));
        let loss = Loss::CategoricalCrossentropy { labels, axis };
        near("categorical", loss.of(&output, &target).double_value(&[]), wanted);
    }
    let classes: Vec<f64> = (0..16).map(|pixel| f64::from(pixel % 3)).collect();
    let wanted = mean(classes.iter().enumerate().map(|(pixel, &class)| {
        let own = &p[3 * pixel..3 * pixel + 3];
        own.iter().map(|logit| logit.exp()).sum::<f64>().ln() - own[class as usize]
    }));
    let classes = Tensor::from_slice(&classes).view([2, 1, 4, 2]);
    let loss = Loss::SparseCategoricalCrossentropy { from_logits: true };
    near("sparse", loss.of(&output, &classes).double_value(&[]), wanted);
}

#[test]
fn focal_cross_entropy_has_the_values_of_its_formula() {
    let (p, t) = (values(0.7), values(1.3));
    let labels = Labels { from_logits: false, label_smoothing: 0.5 };
    let loss = Loss::BinaryFocalCrossentropy {
        labels,
        apply_class_balancing: true,
        alpha: 0.75,
        gamma: 1.5,
    };
    let wanted = mean(p.iter().zip(&t).map(|(p, t)| {
        let t = t * 0.5 + 0.25;
        let crossentropy = -(t * p.ln() + (1.0 - t) * (1.0 - p).ln());
        let right = t * p + (1.0 - t) * (1.0 - p);
        (t * 0.75 + (1.0 - t) * 0.25) * (1.0 - right).powf(1.5) * crossentropy
    }));
    let found = loss.of(&channels_first(&p), &channels_first(&t));
    near("focal", found.double_value(&[]), wanted);
}

#[test]
fn dice_and_tversky_sum_over_the_axes_that_keras_counts() {
    let (p, t) = (values(0.7), values(1.3));
    let (output, target) = (channels_first(&p), channels_first(&t));
    for (axes, places) in [
        (&[][..], &[0, 1, 2, 3][..]),
        (&[-1], &[3]),
        (&[1, 2], &[1, 2]),
        (&[-3], &[1]),
        (&[0, -2], &[0, 2]),
    ] {
        let sum = |at: &dyn Fn(f64, f64) -> f64| sums(places, |index| at(p[index], t[index]));
        let both = sum(&|p, t| p * t);
        let of_all = |parts: Vec<f64>, of: &dyn Fn(f64, f64) -> f64| {
            mean(both.iter().zip(parts).map(|(&both, part)| of(both, part)))
        };
        let axis = Axes::new(axes);
        let wanted = of_all(sum(&|p, t| p + t), &|both, all| 1.0 - 2.0 * both / (all + 1e-7));
        near("dice", Loss::Dice { axis }.of(&output, &target).double_value(&[]), wanted);
        let misses = sum(&|p, t| 0.25 * t * (1.0 - p) + 2.0 * p * (1.0 - t));
        let wanted = of_all(misses, &|both, misses| 1.0 - both / (both + misses + 1e-7));
        let loss = Loss::Tversky { alpha: 0.25, beta: 2.0, axis };
        near("tversky", loss.of(&output, &target).double_value(&[]), wanted);
        // One value for each place that is left.
        let sum = Losses(vec![Term { reduction: Reduction::Sum, ..loss.into() }]);
        let wanted = wanted * both.len() as f64;
        near("its sum", sum.of(&output, &target).double_value(&[]), wanted);
    }
}

#[test]
fn a_sum_over_the_batch_is_that_of_one_value_for_each_pixel() {
    let (output, target) = (channels_first(&values(0.7)), channels_first(&values(1.3)));
    for loss in [Loss::MeanSquaredError, Loss::KlDivergence, Loss::CosineSimilarity { axis: -1 }] {
        let sum = Losses(vec![Term { reduction: Reduction::Sum, ..loss.into() }]);
        let mean = loss.of(&output, &target).double_value(&[]);
        near("the sum", sum.of(&output, &target).double_value(&[]), 16.0 * mean);
    }
}

/// Of signals, which are computed on as images of one row.
#[test]
fn the_axes_of_a_loss_of_signals_are_those_of_its_batch() {
    let signals = Tensor::from_slice(&values(0.7)).view([2, 8, 3]);
    let targets = Tensor::from_slice(&values(1.3)).view([2, 8, 3]);
    let image = |signals: &Tensor| signals.unsqueeze(1).permute([0, 3, 1, 2]);
    for (axis, along) in [(-1, 2), (2, 2), (1, 1), (-2, 1), (0, 0), (-3, 0)] {
        let unit = |values: &Tensor| {
            values / values.square().sum_dim_intlist([along].as_slice(), true, Kind::Double).sqrt()
        };
        let cosines = unit(&signals) * unit(&targets);
        let cosines = cosines.sum_dim_intlist([along].as_slice(), false, Kind::Double);
        let loss = Losses::from(Loss::CosineSimilarity { axis }).of_signals();
        let found = loss.of(&image(&signals), &image(&targets));
        near("cosine", found.double_value(&[]), -cosines.mean(None).double_value(&[]));
    }
}

/// TensorFlow's `tf.image.ssim_multiscale` in float32, of the same images of 161x170 with two channels.
#[test]
fn ms_ssim_is_one_less_that_of_tensorflow() {
    const TENSORFLOW: f64 = 0.772_679_805_755_615_2;
    let count = 161 * 170 * 2;
    let a: Vec<f64> = (0..count).map(|i| (f64::from(i) * 0.37).sin().abs()).collect();
    let near_a = |(i, a): (i32, &f64)| (a + 0.3 * (f64::from(i) * 0.41).sin()).clamp(0.0, 1.0);
    let b: Vec<f64> = (0..count).zip(&a).map(near_a).collect();
    let image =
        |values: &[f64]| Tensor::from_slice(values).view([1, 161, 170, 2]).permute([0, 3, 1, 2]);
    let output = image(&b).set_requires_grad(true);
    let loss = Loss::MsSsim.of(&output, &image(&a));
    let found = loss.double_value(&[]);
    assert!((found - (1.0 - TENSORFLOW)).abs() < 1e-5, "{found}, {}", 1.0 - TENSORFLOW);
    near("equal images", Loss::MsSsim.of(&image(&a), &image(&a)).double_value(&[]), 0.0);
    // Its slope is that of its value.
    let slope = Tensor::run_backward(&[&loss], &[&output], false, false).remove(0);
    let nudge = image(&a) - 0.5;
    let at = |step: f64| Loss::MsSsim.of(&(output.detach() + &nudge * step), &image(&a));
    let by_values = (at(1e-6) - at(-1e-6)).double_value(&[]) / 2e-6;
    let by_slope = (slope * &nudge).sum(Kind::Double).double_value(&[]);
    assert!((by_values / by_slope - 1.0).abs() < 1e-6, "{by_values}, {by_slope}");
    // Whose contrasts are opposed: nothing is alike, and nothing says which way is better.
    let inverse: Vec<f64> = a.iter().map(|a| 1.0 - a).collect();
    let negative = image(&inverse).set_requires_grad(true);
    let loss = Loss::MsSsim.of(&negative, &image(&a));
    near("a negative", loss.double_value(&[]), 1.0);
    let slope = Tensor::run_backward(&[&loss], &[&negative], false, false).remove(0);
    near("its slope", slope.abs().max().double_value(&[]), 0.0);
}

#[test]
fn a_loss_reads_back_as_it_was_written() {
    for (loss, written) in [
        ("\"mse\"", "\"mean_squared_error\""),
        ("{ loss = \"huber\" }", "\"huber\""),
        (
            "{ loss = \"huber\", delta = 0.5 }",
            "{ loss = \"huber\", delta = 0.5, reduction = \"sum_over_batch_size\", weight = 1.0 }",
        ),
        ("{ loss = \"mse\", reduction = \"mean\" }", "loss = \"mean_squared_error\""),
        (
            "{ loss = \"dice\", axis = [1, 2] }",
            "{ loss = \"dice\", axis = [1, 2], reduction = \"sum_over_batch_size\", weight = 1.0 }",
        ),
        ("{ loss = \"tversky\", axis = -1 }", "axis = -1"),
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
    let part = |loss: Loss, weight| Term { weight, ..loss.into() };
    let sum = Losses(vec![part(Loss::Ssim, 0.84), part(Loss::MeanAbsoluteError, 0.16)]);
    assert_eq!(sum.name(), "0.84 ssim + 0.16 mean_absolute_error");
    let sum = Term { reduction: Reduction::Sum, ..Loss::MeanSquaredError.into() };
    assert_eq!(Losses(vec![sum]).name(), "sum of mean_squared_error");
}

#[test]
fn what_is_no_loss_is_refused_with_the_value_and_the_remedy() {
    for (loss, words) in [
        ("\"hubber\"", ["`train.loss`", "\"hubber\"", "`huber`"]),
        ("{ loss = \"huber\", delta = 0.0 }", ["`train.loss.delta`", "is 0", "above 0"]),
        ("{ loss = \"mse\", delta = 1.0 }", ["`train.loss.delta`", "is not a key", "weight"]),
        ("[]", ["`train.loss`", "a list", "\"mse\""]),
        ("{ loss = \"dice\", axis = [] }", ["`train.loss.axis`", "is []", "a list of axes"]),
        ("{ loss = \"dice\", axis = 4 }", ["`train.loss.axis`", "is 4", "from -4 to 3"]),
        ("{ loss = \"mse\", reduction = \"none\" }", ["`train.loss.reduction`", "\"none\"", "sum"]),
        (
            "{ loss = \"ssim\", reduction = \"sum\" }",
            ["`train.loss.reduction`", "not a key", "weight"],
        ),
    ] {
        let error = plan_of(loss, "auto").unwrap_err().to_string();
        for word in words {
            assert!(error.contains(word), "{word}: {error}");
        }
    }
    for (loss, words) in [
        (
            "\"sparse_categorical_crossentropy\"",
            ["numbers of classes", "take categorical_crossentropy"],
        ),
        (
            "[\"sparse_categorical_crossentropy\", \"mse\"]",
            ["have other targets", "take one of them"],
        ),
        ("\"ms_ssim\"", ["images of 9x8", "161x161 pixels at least"]),
        (
            "{ loss = \"dice\", axis = [1, 2, -3] }",
            ["axis -3 is named twice in [1, 2, -3]", "name each axis once"],
        ),
    ] {
        let error = plan_of(loss, "auto").unwrap().objective().unwrap_err().to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    }
    let vectors = "name = \"x\"\n[model]\ninput_shape = [8]\nlayers = [{ layer = \"Dense\", units = 8 }]\n\
                   [train]\nloss = { loss = \"cosine_similarity\", axis = -3 }\n";
    let plan = Plan::new(Source::parse(vectors, "test.toml", &[]).unwrap()).unwrap();
    let error = plan.objective().unwrap_err().to_string();
    assert!(error.contains("its axis is -3, but a batch of 8 has 2 axes"), "{error}");
    let text = "name = \"x\"\n[model]\ninput_shape = [6, 8, 1]\n\
                layers = [{ layer = \"Dense\", units = 1 }]\n[train]\nloss = \"ssim\"\n";
    let small = Plan::new(Source::parse(text, "test.toml", &[]).unwrap()).unwrap();
    let error = small.objective().unwrap_err().to_string();
    assert!(error.contains("images of 6x8") && error.contains("7x7 pixels at least"), "{error}");
}

#[test]
fn clipped_gaussian_is_for_targets_with_noise_that_is_cut_off_at_0_and_1() {
    let refusal = |more: &str| {
        let text = format!(
            "name = \"x\"\n[model]\ninput_shape = [28, 28, 1]\nlayers = [{{ layer = \"Dense\", units = 1 }}]\n\
             [train]\nloss = {{ loss = \"clipped_gaussian\", stddev = 0.2 }}\n{more}"
        );
        let plan = Source::parse(&text, "test.toml", &[]).and_then(Plan::new);
        plan.err().map(|error| error.to_string())
    };
    assert_eq!(refusal(""), None);
    let clean = refusal("[corruption]\nkind = \"gaussian\"\n").unwrap();
    assert!(
        clean.contains("`train.loss` is \"clipped_gaussian\"") && clean.contains("clean ones; set"),
        "{clean}"
    );
    let images = "[data]\nkind = \"images\"\ntrain = \"a\"\ntest = \"b\"\nscale = \"percentile\"\n";
    let scaled = refusal(images).unwrap();
    assert!(scaled.contains("clipped_gaussian") && scaled.contains("data.scale"), "{scaled}");
}
