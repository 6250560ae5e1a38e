//! What regularizers add to the loss, of weights and of outputs, and what a Sampling adds, on both engines; what is
//! refused.

use convae::config::regularizers::{L1L2, OrthogonalRegularizer, Regularizer, Vectors};
use convae::config::{ConfigError, Source};
use convae::data::Batch;
use convae::engine::Step;
use convae::plan::Plan;
use convae::train::Trainer;
use tch::{Device, Kind, Tensor};

/// Sums of a few dozen terms in another order.
const ROUNDING: f64 = 1e-12;

const ENGINES: [&str; 2] = ["native", "libtorch"];

fn plan_of(layers: &str, engine: &str) -> Result<Plan, ConfigError> {
    let text = format!(
        "name = \"x\"\n[model]\ninput_shape = [3, 2, 1]\nlayers = [{layers}]\n\
         [train]\nloss = \"mse\"\ndtype = \"float64\"\ndevice = \"cpu\"\nengine = \"{engine}\"\n"
    );
    Plan::new(Source::parse(&text, "test.toml", &[])?)
}

fn trainer(layers: &str, engine: &str) -> Trainer {
    Trainer::new(&plan_of(layers, engine).unwrap(), Device::Cpu).unwrap()
}

/// Two images without a 0.
fn batch() -> Batch {
    Batch {
        len: 2,
        input: (0..12_u8).map(|i| f32::from(i) / 4.0 - 1.4).collect(),
        ..Batch::default()
    }
}

fn step(trainer: &mut Trainer) -> (f64, Tensor) {
    let Step { loss, gradient } = trainer.train_step(&batch(), 1, 1);
    (loss.double_value(&[]), gradient)
}

fn near(what: &str, found: f64, wanted: f64) {
    assert!(
        (found - wanted).abs() <= ROUNDING * wanted.abs().max(1.0),
        "{what}: {found}, {wanted}"
    );
}

/// Beside each other with these keys and without them: what the keys add to the loss and its gradient.
fn added(keys: &str, engine: &str) -> (f64, Tensor, Tensor) {
    let layers = |keys: &str| {
        format!(
            "{{ layer = \"Conv2D\", filters = 3, kernel_size = 2, padding = \"same\"{keys} }}, \
             {{ layer = \"Dense\", units = 1 }}"
        )
    };
    let mut plain = trainer(&layers(""), engine);
    let (without, plain_gradient) = step(&mut plain);
    let mut trainer = trainer(&layers(keys), engine);
    let kernel = trainer.predictor.parameters().trainable()[0].detach().copy();
    let (with, gradient) = step(&mut trainer);
    (with - without, gradient - plain_gradient, kernel)
}

#[test]
fn weights_add_their_penalty_to_the_loss_and_to_its_gradient_on_both_engines() {
    for engine in ENGINES {
        let keys = ", kernel_regularizer = { name = \"L1L2\", l1 = 0.25, l2 = 0.5 }";
        let (penalty, gradient, kernel) = added(keys, engine);
        let sums = kernel.abs() * 0.25 + kernel.square() * 0.5;
        near(engine, penalty, sums.sum(Kind::Double).double_value(&[]));
        let wanted: Tensor = kernel.sign() * 0.25 + &kernel * (2.0 * 0.5);
        let own = gradient.narrow(0, 0, wanted.numel() as i64);
        let off = (own - wanted.flatten(0, -1)).abs().max().double_value(&[]);
        assert!(off < ROUNDING, "{engine}: the kernel's gradient is {off} off");
        let rest = gradient.narrow(0, 12, gradient.numel() as i64 - 12).abs().max();
        assert!(rest.double_value(&[]) < ROUNDING, "{engine}: another weight has a penalty");
    }
}

#[test]
fn factors_offsets_and_slopes_start_and_add_what_their_keys_say() {
    let constant = "{ name = \"Constant\", value = -2.0 }";
    let l2 = "{ name = \"L2\", l2 = 0.5 }";
    // Of an image of 3 x 2 pixels and one channel.
    for (layer, weight, values) in [
        ("BatchNormalization", "gamma", 1),
        ("LayerNormalization", "beta", 1),
        ("GroupNormalization\", groups = 1, name = \"g", "gamma", 1),
        ("PReLU", "alpha", 6),
        ("PReLU\", shared_axes = [2], name = \"p", "alpha", 3),
    ] {
        let start = format!("layer = \"{layer}\", {weight}_initializer = {constant}");
        let keys = format!(", {weight}_regularizer = {l2}, {weight}_constraint = \"non_neg\"");
        let mut plain = trainer(&format!("{{ {start} }}"), "native");
        let mut with = trainer(&format!("{{ {start}{keys} }}"), "native");
        let penalty = step(&mut with).0 - step(&mut plain).0;
        near(layer, penalty, values as f64 * 0.5 * 4.0);
        let far_below = |trainer: &Trainer| {
            let trainable = trainer.predictor.parameters().trainable();
            trainable
                .iter()
                .map(|weight| weight.lt(-1.0).sum(Kind::Int64).int64_value(&[]))
                .sum::<i64>()
        };
        assert_eq!(far_below(&plain), values, "{layer} starts at -2");
        assert_eq!(far_below(&with), 0, "{layer} is held");
    }
}

#[test]
fn a_text_means_the_factor_that_keras_has_by_default() {
    let (penalty, _, kernel) = added(", kernel_regularizer = \"l2\"", "native");
    near("l2", penalty, 0.01 * kernel.square().sum(Kind::Double).double_value(&[]));
    let (penalty, _, kernel) = added(", kernel_regularizer = \"l1\"", "native");
    near("l1", penalty, 0.01 * kernel.abs().sum(Kind::Double).double_value(&[]));
}

#[test]
fn outputs_add_their_mean_over_the_batch_in_training_and_in_validation() {
    let regularized = "{ layer = \"ActivityRegularization\", l1 = 0.5, l2 = 0.25 }";
    let dense = "{ layer = \"Dense\", units = 1 }";
    let sum: f64 =
        batch().input.iter().map(|&x| f64::from(x)).map(|x| 0.5 * x.abs() + 0.25 * x * x).sum();
    for engine in ENGINES {
        let mut plain = trainer(dense, engine);
        let mut with = trainer(&format!("{regularized}, {dense}"), engine);
        // The weights of both come from their place in the model.
        let weights = plain.predictor.parameters().values();
        with.predictor.parameters().set_values(&weights);
        let [validated, without] = [&mut with, &mut plain]
            .map(|trainer| trainer.predictor.loss(&batch()).double_value(&[]));
        near(engine, validated - without, sum / 2.0);
        near(engine, step(&mut with).0 - step(&mut plain).0, sum / 2.0);
    }
}

#[test]
fn a_layer_that_is_used_twice_adds_its_weights_once_and_its_outputs_at_each_use() {
    let entries = |keys: &str| {
        format!(
            "{{ layer = \"Dense\", name = \"a\", units = 1, use_bias = false, activation = \"tanh\"{keys} }}, \
             {{ layer = \"Shared\", of = \"a\" }}"
        )
    };
    for engine in ENGINES {
        let loss = |keys: &str| {
            let mut trainer = trainer(&entries(keys), engine);
            let kernel = trainer.predictor.parameters().trainable()[0].double_value(&[0, 0]);
            (trainer.predictor.loss(&batch()).double_value(&[]), kernel)
        };
        let (plain, kernel) = loss("");
        let (weights, _) = loss(", kernel_regularizer = { name = \"L2\", l2 = 1.0 }");
        near(engine, weights - plain, kernel * kernel);
        let (outputs, _) = loss(", activity_regularizer = { name = \"L1\", l1 = 1.0 }");
        let first = batch().input.into_iter().map(|x| (f64::from(x) * kernel).tanh());
        let both = first.map(|x| x.abs() + (x * kernel).tanh().abs()).sum::<f64>();
        near(engine, outputs - plain, both / 2.0);
    }
}

/// The values are from Keras 3.15 on JAX.
#[test]
fn regularizers_have_the_values_of_keras() {
    let matrix = Tensor::from_slice(&[1.0, -2.0, 0.5, 0.25, 3.0, -1.0]).view([2, 3]);
    let orthogonal =
        |mode| Regularizer::OrthogonalRegularizer(OrthogonalRegularizer { factor: 0.5, mode });
    let value = |regularizer: Regularizer| regularizer.of(&matrix).double_value(&[]);
    near("rows", value(orthogonal(Vectors::Rows)), 0.429_949_475_306_318_6);
    near("columns", value(orthogonal(Vectors::Columns)), 0.257_590_788_588_413_4);
    near("l1 and l2", value(Regularizer::L1L2(L1L2 { l1: 0.1, l2: 0.2 })), 3.8375);
}

#[test]
fn a_pooling_after_a_watched_relu_leaves_its_penalty_as_it_is() {
    let entries = |keys: &str, pooling: &str| {
        format!(
            "{{ layer = \"Conv2D\", filters = 1, kernel_size = 1, use_bias = false, \
             activation = \"relu\"{keys} }}, {pooling}"
        )
    };
    let pooled = "{ layer = \"MaxPooling2D\" , padding = \"same\" }, { layer = \"UpSampling2D\" }, \
                  { layer = \"Cropping2D\", cropping = [[0, 1], [0, 0]] }";
    let linear = "{ layer = \"Activation\", activation = \"linear\" }";
    for engine in ENGINES {
        let penalty = |pooling: &str| {
            let loss = |keys: &str| {
                let mut trainer = trainer(&entries(keys, pooling), engine);
                trainer.predictor.loss(&batch()).double_value(&[])
            };
            loss(", activity_regularizer = \"l1\"") - loss("")
        };
        assert!(penalty(linear) > 1e-4);
        near(engine, penalty(pooled), penalty(linear));
    }
}

/// Mean and log-variance of two values a pixel.
fn variational(kl_weight: &str) -> String {
    let draw = "layer = \"Sampling\", name = \"z\", inputs = [\"mean\", \"log_var\"]";
    format!(
        "{{ layer = \"Dense\", name = \"mean\", units = 2 }}, \
         {{ layer = \"Dense\", name = \"log_var\", units = 2, inputs = [\"input\"] }}, \
         {{ {draw}{kl_weight} }}, {{ layer = \"Dense\", units = 1 }}"
    )
}

/// The divergence of the batch by plain loops, and its gradient for weights in the order of the model: of the
/// mean two factors and two biases, and as many of the log-variance.
fn divergence(weights: &[f64]) -> (f64, Vec<f64>) {
    let (mut value, mut gradient) = (0.0, vec![0.0; weights.len()]);
    for x in batch().input.iter().map(|&x| f64::from(x)) {
        for unit in 0..2 {
            let at = |first: usize| weights[first + unit] * x + weights[first + 2 + unit];
            let (mean, log_var) = (at(0), at(4));
            value += -0.5 * (1.0 + log_var - mean * mean - log_var.exp()) / 2.0;
            for (first, slope) in [(0, mean), (4, -0.5 * (1.0 - log_var.exp()))] {
                gradient[first + unit] += slope * x / 2.0;
                gradient[first + 2 + unit] += slope / 2.0;
            }
        }
    }
    (value, gradient)
}

#[test]
fn a_sampling_adds_the_divergence_of_its_draws_in_training_and_in_validation() {
    let weights: Vec<f64> = (0..11_u8).map(|i| f64::from(i % 5) / 4.0 - 0.45).collect();
    for engine in ENGINES {
        let figures = |kl_weight: &str| {
            let mut trainer = trainer(&variational(kl_weight), engine);
            trainer.predictor.parameters().set_values(&Tensor::from_slice(&weights));
            let validated = trainer.predictor.loss(&batch()).double_value(&[]);
            let (loss, gradient) = step(&mut trainer);
            (validated, loss, gradient)
        };
        // Both draw the same noise.
        let (plain, with) = (figures(""), figures(", kl_weight = 0.25"));
        let (value, gradient) = divergence(&weights);
        near("validation", with.0 - plain.0, 0.25 * value);
        near("training", with.1 - plain.1, 0.25 * value);
        for (index, wanted) in gradient.iter().enumerate() {
            let found = (&with.2 - &plain.2).double_value(&[index as i64]);
            near(&format!("{engine}, the gradient of weight {index}"), found, 0.25 * wanted);
        }
        let without = figures(", kl_weight = 0.0");
        assert_eq!((without.0, without.1), (plain.0, plain.1));
    }
}

#[test]
fn a_sampling_that_cannot_add_its_divergence_is_refused() {
    let error = plan_of(&variational(", kl_weight = -1.0"), "auto").unwrap_err().to_string();
    for words in ["kl_weight", "is -1", "from 0"] {
        assert!(error.contains(words), "{words}: {error}");
    }
}

#[test]
fn what_no_regularizer_can_be_is_refused_with_the_key_and_the_remedy() {
    let dense = |keys: &str| format!("{{ layer = \"Dense\", units = 1, {keys} }}");
    for (layers, words) in [
        (dense("kernel_regularizer = \"l3\""), ["kernel_regularizer", "\"l3\"", "l1, l2"]),
        (
            dense("kernel_regularizer = { name = \"L2\", l2 = -1.0 }"),
            ["kernel_regularizer.l2", "is -1", "from 0"],
        ),
        (
            dense("bias_regularizer = { name = \"L2\", l1 = 1.0 }"),
            ["bias_regularizer.l1", "is not a key", "l2"],
        ),
        (
            dense("kernel_regularizer = \"orthogonal_regularizer\""),
            ["kernel_regularizer = OrthogonalRegularizer", "[1, 1]", "use L1 or L2"],
        ),
    ] {
        let error = plan_of(&layers, "auto").unwrap_err().to_string();
        for word in words {
            assert!(error.contains(word), "{word}: {error}");
        }
    }
    let flat = "{ layer = \"Flatten\" }, { layer = \"Dense\", units = 6, \
                activity_regularizer = \"orthogonal_regularizer\" }, \
                { layer = \"Reshape\", target_shape = [3, 2, 1] }";
    let error = Trainer::new(&plan_of(flat, "native").unwrap(), Device::Cpu).unwrap_err();
    let reason = "no stage for dense (Dense, OrthogonalRegularizer of its outputs)";
    assert!(error.to_string().contains(reason), "{error}");
}

#[test]
fn a_config_with_regularizers_reads_back_as_itself() {
    let layers = "{ layer = \"Conv2D\", filters = 1, kernel_size = 1, kernel_regularizer = \"l2\", \
                  bias_regularizer = { name = \"L1L2\", l1 = 0.5 } }, \
                  { layer = \"BatchNormalization\", gamma_regularizer = \"l1\" }";
    let plan = plan_of(layers, "auto").unwrap();
    let written = plan.config.to_toml();
    assert!(written.contains("kernel_regularizer = \"l2\""), "{written}");
    assert!(written.contains("{ name = \"L1L2\", l1 = 0.5, l2 = 0.0 }"), "{written}");
    assert_eq!(Source::parse(&written, "again", &[]).unwrap().config, plan.config);
}

/// Keras compares no pairs then, and its loss is no number.
#[test]
fn outputs_of_a_batch_of_one_are_not_compared() {
    let refusal = |batch_size: usize, train: usize, test: usize, mode: &str| {
        let text = format!(
            "name = \"x\"\n[data]\ndir = \"tests/digits\"\ntrain_samples = {train}\ntest_samples = {test}\n\
             [model]\nlayers = [{{ layer = \"Flatten\" }}, {{ layer = \"Dense\", name = \"few\", units = 2, \
             activity_regularizer = {{ name = \"OrthogonalRegularizer\", mode = \"{mode}\" }} }}, \
             {{ layer = \"Dense\", units = 784 }}, {{ layer = \"Reshape\", target_shape = [28, 28, 1] }}]\n\
             [train]\nbatch_size = {batch_size}\nloss = \"mse\"\ndevice = \"cpu\"\n"
        );
        let plan = Plan::new(Source::parse(&text, "test.toml", &[]).unwrap()).unwrap();
        convae::train(&plan).err().map(|error| error.to_string())
    };
    for (batch_size, train, test) in [(8, 17, 8), (8, 16, 9), (1, 4, 4)] {
        let error = refusal(batch_size, train, test, "rows").expect("it is refused");
        for words in ["`train.batch_size`", "a batch of one", "of few (", "mode = \"columns\""] {
            assert!(error.contains(words), "{words}: {error}");
        }
    }
    assert_eq!(refusal(8, 18, 8, "rows"), None);
    assert_eq!(refusal(8, 17, 9, "columns"), None);
}
