//! Every optimizer against Keras's formulas one number at a time, in float64; and its state, saved
//! and restored.

mod reference {
    pub mod optimizers;
}

use convae::config::schema::Section;
use convae::config::sections::{
    self, Adadelta, Adafactor, Adagrad, Adam, AdamMoments, AdamW, Adamax, Ftrl, Lamb, Lion,
    Moments, Muon, Nadam, OptimizerOptions, RmsProp, Sgd, WeightNames,
};
use convae::optim::{Optimizer, Variable};
use convae::system::random::Stream;
use rand::{RngExt, SeedableRng};
use reference::optimizers::{Keras, clipped};
use tch::nn::OptimizerConfig;
use tch::{Device, Kind, Tensor, nn};

/// Lengths of the weight tensors: a model's kernels and biases in small, but more than a pass over them takes together.
const LENGTHS: [usize; 4] = [52, 3, 1, 20];
const STEPS: usize = 50;

/// Weights start at sizes around 1, so 50 additions in another order of operations leave about
/// 50 * 1e-16; a wrong constant leaves 1e-6 and more.
const ROUNDING: f64 = 1e-12;

/// Numbers for every weight, tensor by tensor.
fn draw(mut number: impl FnMut() -> f64) -> Vec<Vec<f64>> {
    LENGTHS.iter().map(|&length| (0..length).map(|_| number()).collect()).collect()
}

fn weights(stream: &mut Stream) -> Vec<Vec<f64>> {
    draw(|| stream.random_range(0.5..1.5) * sign(stream))
}

/// Gradients of all the sizes that training meets, from where epsilon rules to where it is nothing.
fn gradients(stream: &mut Stream) -> Vec<Vec<f64>> {
    draw(|| 10_f64.powf(stream.random_range(-9.0..1.0)) * sign(stream))
}

fn sign(stream: &mut Stream) -> f64 {
    if stream.random() { 1.0 } else { -1.0 }
}

fn stream(seed: u64) -> Stream {
    Stream::seed_from_u64(seed)
}

/// The tensors one after the other, as the optimizer takes them.
fn flat(tensors: &[Vec<f64>]) -> Tensor {
    Tensor::from_slice(&tensors.concat())
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(tensor).expect("a vector of f64")
}

fn optimizer(options: &sections::Optimizer, weights: &Tensor) -> Optimizer {
    let variables = LENGTHS.map(|length| Variable::new("w", &[length as i64]));
    Optimizer::new(options, weights, variables.to_vec())
}

/// The largest difference, relative to the expected value or to 1 where that is larger.
fn difference(actual: &Tensor, expected: &[Vec<f64>]) -> f64 {
    let (actual, expected) = (numbers(actual), expected.concat());
    assert_eq!(actual.len(), expected.len());
    let pairs = actual.iter().zip(&expected);
    pairs.map(|(a, e)| (a - e).abs() / e.abs().max(1.0)).fold(0.0, f64::max)
}

/// Takes 50 steps with both, and holds the weights against each other after each.
fn follows_keras(options: impl Into<Options>) {
    let Options(options) = options.into();
    let mut stream = stream(11);
    let mut expected = weights(&mut stream);
    let mut actual = flat(&expected);
    let mut ours = optimizer(&options, &actual);
    let mut keras = Keras::new(options.clone(), &expected);
    for step in 1..=STEPS {
        if step == STEPS / 2 {
            // As a schedule would.
            ours.learning_rate *= 0.3;
            keras.learning_rate *= 0.3;
        }
        let gradients = gradients(&mut stream);
        ours.step(&mut actual, &flat(&gradients));
        keras.step(&mut expected, &gradients);
        let difference = difference(&actual, &expected);
        assert!(difference <= ROUNDING, "{options:?}: step {step} is {difference:e} off");
    }
    assert_eq!(ours.iterations(), STEPS as i32);
}

/// Any optimizer's options.
struct Options(sections::Optimizer);

macro_rules! options {
    ($($Kind:ident($Own:ident)),+) => {
        $(impl From<$Own> for Options {
            fn from(own: $Own) -> Self {
                Options(sections::Optimizer::$Kind(own))
            }
        })+
    };
}
options!(
    Adam(Adam),
    AdamW(AdamW),
    SGD(Sgd),
    RMSprop(RmsProp),
    Adadelta(Adadelta),
    Nadam(Nadam),
    Adamax(Adamax),
    Adagrad(Adagrad),
    Lion(Lion),
    Lamb(Lamb),
    Ftrl(Ftrl),
    Adafactor(Adafactor),
    Muon(Muon)
);

/// Adam that keeps a third buffer.
fn amsgrad() -> Adam {
    let moments = AdamMoments { amsgrad: true, ..AdamMoments::defaults() };
    Adam { moments, ..Adam::defaults() }
}

/// One of each kind, every buffer in use.
fn all() -> Vec<sections::Optimizer> {
    vec![
        sections::Optimizer::Adam(Adam::defaults()),
        sections::Optimizer::Adam(amsgrad()),
        sections::Optimizer::AdamW(AdamW::defaults()),
        sections::Optimizer::SGD(Sgd::defaults()),
        sections::Optimizer::SGD(Sgd { momentum: 0.9, nesterov: true, ..Sgd::defaults() }),
        sections::Optimizer::RMSprop(RmsProp::defaults()),
        sections::Optimizer::RMSprop(RmsProp {
            momentum: 0.9,
            centered: true,
            ..RmsProp::defaults()
        }),
        sections::Optimizer::Adadelta(Adadelta::defaults()),
        sections::Optimizer::Nadam(Nadam::defaults()),
        sections::Optimizer::Adamax(Adamax::defaults()),
        sections::Optimizer::Adagrad(Adagrad::defaults()),
        sections::Optimizer::Lion(Lion::defaults()),
        sections::Optimizer::Lamb(Lamb::defaults()),
        sections::Optimizer::Ftrl(Ftrl::defaults()),
        sections::Optimizer::Adafactor(Adafactor::defaults()),
        sections::Optimizer::Muon(Muon::defaults()),
        sections::Optimizer::SGD(Sgd {
            common: OptimizerOptions {
                use_ema: true,
                ema_overwrite_frequency: Some(1),
                ..OptimizerOptions::defaults()
            },
            ..Sgd::defaults()
        }),
        sections::Optimizer::Adam(Adam {
            common: OptimizerOptions {
                use_ema: true,
                ema_overwrite_frequency: Some(2),
                gradient_accumulation_steps: Some(3),
                ..OptimizerOptions::defaults()
            },
            ..Adam::defaults()
        }),
    ]
}

#[test]
fn adam_follows_keras() {
    follows_keras(Adam::defaults());
}

#[test]
fn adam_with_other_betas_and_epsilon_follows_keras() {
    let moments = AdamMoments { beta_1: 0.5, beta_2: 0.9, epsilon: 1e-3, amsgrad: false };
    follows_keras(Adam { learning_rate: 0.02, moments, ..Adam::defaults() });
}

#[test]
fn adam_with_amsgrad_follows_keras() {
    // A short memory, so that the largest second moment is often an old one.
    let moments = AdamMoments { amsgrad: true, beta_2: 0.5, ..AdamMoments::defaults() };
    follows_keras(Adam { moments, ..Adam::defaults() });
}

#[test]
fn adamw_follows_keras() {
    follows_keras(AdamW::defaults());
}

#[test]
fn adamw_with_amsgrad_and_other_betas_follows_keras() {
    let moments = AdamMoments { beta_1: 0.8, beta_2: 0.7, epsilon: 1e-4, amsgrad: true };
    follows_keras(AdamW { moments, ..AdamW::defaults() });
}

#[test]
fn nadam_adamax_and_lamb_follow_keras() {
    let moments = Moments { beta_1: 0.6, beta_2: 0.9, epsilon: 1e-3 };
    let common = OptimizerOptions { weight_decay: Some(0.1), ..OptimizerOptions::defaults() };
    follows_keras(Nadam::defaults());
    follows_keras(Nadam { moments: moments.clone(), ..Nadam::defaults() });
    follows_keras(Adamax::defaults());
    follows_keras(Adamax { moments: moments.clone(), ..Adamax::defaults() });
    follows_keras(Lamb::defaults());
    follows_keras(Lamb { moments, common, ..Lamb::defaults() });
}

#[test]
fn adagrad_and_lion_follow_keras() {
    follows_keras(Adagrad::defaults());
    follows_keras(Adagrad { initial_accumulator_value: 0.0, epsilon: 1e-3, ..Adagrad::defaults() });
    follows_keras(Lion::defaults());
    follows_keras(Lion { beta_1: 0.3, beta_2: 0.6, ..Lion::defaults() });
}

#[test]
fn ftrl_follows_keras() {
    follows_keras(Ftrl::defaults());
    follows_keras(Ftrl {
        learning_rate: 0.1,
        learning_rate_power: -0.3,
        l1_regularization_strength: 0.01,
        l2_regularization_strength: 0.2,
        l2_shrinkage_regularization_strength: 0.05,
        beta: 0.5,
        ..Ftrl::defaults()
    });
}

#[test]
fn adafactor_and_muon_of_what_is_no_matrix_follow_keras() {
    let common = OptimizerOptions { weight_decay: Some(0.1), ..OptimizerOptions::defaults() };
    follows_keras(Adafactor::defaults());
    follows_keras(Adafactor {
        learning_rate: 0.5,
        beta_2_decay: -0.5,
        epsilon_1: 1e-6,
        epsilon_2: 0.1,
        clip_threshold: 0.3,
        common: common.clone(),
        ..Adafactor::defaults()
    });
    follows_keras(Muon::defaults());
    follows_keras(Muon {
        adam_beta_1: 0.5,
        adam_beta_2: 0.9,
        adam_weight_decay: Some(0.5),
        epsilon: 1e-3,
        adam_lr_ratio: 2.0,
        common,
        ..Muon::defaults()
    });
}

/// The weights of Keras 3.15.1 on JAX after three steps of the rate 0.1, in float64: a matrix of sines, and gradients of
/// cosines.
#[test]
fn adafactor_and_muon_of_a_matrix_follow_keras() {
    let out = || WeightNames(vec!["out".to_owned()]);
    for (options, sides, wanted) in [
        (
            sections::Optimizer::Adafactor(Adafactor {
                clip_threshold: 0.5,
                ..Adafactor::defaults()
            }),
            [3, 2],
            [
                -0.051_073_010_435_258_55,
                0.891_723_799_437_284_9,
                1.006_791_869_295_418_3,
                0.204_354_108_404_349_92,
                -0.776_397_548_644_239_8,
                -1.072_187_503_949_902_3,
            ],
        ),
        (
            sections::Optimizer::Muon(Muon::defaults()),
            [3, 2],
            [
                -0.054_451_352_266_057_73,
                0.858_910_259_848_047_6,
                0.957_786_374_034_520_9,
                0.185_104_677_806_560_2,
                -0.742_708_187_018_790_2,
                -1.012_971_712_046_603_7,
            ],
        ),
        (
            sections::Optimizer::Muon(Muon { exclude_layers: out(), ..Muon::defaults() }),
            [3, 2],
            [
                -0.240_699_058_722_423_7,
                0.782_157_340_058_862,
                1.198_302_370_494_078_3,
                0.395_752_435_496_174_1,
                -0.660_825_765_521_158,
                -1.242_216_231_286_755,
            ],
        ),
        (
            sections::Optimizer::Muon(Muon { nesterov: false, rms_rate: 0.0, ..Muon::defaults() }),
            [2, 3],
            [
                -0.030_916_714_225_402_656,
                0.993_628_692_319_403_3,
                1.104_636_461_499_238_8,
                0.312_972_623_133_224_55,
                -0.575_733_152_696_006_9,
                -0.935_112_523_065_996_7,
            ],
        ),
    ] {
        let numbers =
            |of: fn(f64) -> f64, first: f64| (0..6).map(|i| of(f64::from(i) + first)).collect();
        let start: Vec<f64> = numbers(f64::sin, 0.0);
        let mut found = Tensor::from_slice(&start);
        let mut ours =
            Optimizer::new(&options, &found, vec![Variable::new("layer_out/kernel", &sides)]);
        ours.learning_rate = 0.1;
        for step in 0..3 {
            let slopes: Vec<f64> = numbers(f64::cos, f64::from(step));
            ours.step(&mut found, &Tensor::from_slice(&slopes));
        }
        let off = difference(&found, &[wanted.to_vec()]);
        assert!(off <= ROUNDING, "{options:?} is {off:e} off: {found:?}");
    }
}

/// Of a kernel, a bias and two matrices.
#[test]
fn adafactor_and_muon_go_on_from_a_saved_state_to_the_last_bit() {
    for options in [
        sections::Optimizer::Adafactor(Adafactor::defaults()),
        sections::Optimizer::Muon(Muon::defaults()),
    ] {
        let sides: [&[i64]; 4] = [&[2, 2, 13, 1], &[3], &[5, 2], &[1, 11]];
        let of = |sides: &&[i64]| Variable::new("layer/kernel", sides);
        let new =
            |weights: &Tensor| Optimizer::new(&options, weights, sides.iter().map(of).collect());
        let mut stream = stream(19);
        let mut weights = flat(&weights(&mut stream));
        let mut one = new(&weights);
        one.step(&mut weights, &flat(&gradients(&mut stream)));
        let mut copy = weights.copy();
        let mut other = new(&copy);
        let state: Vec<_> =
            one.state().into_iter().map(|(name, slot)| (name.to_owned(), slot)).collect();
        other.restore(one.iterations(), &state).unwrap();
        let slopes = flat(&gradients(&mut stream));
        one.step(&mut weights, &slopes);
        other.step(&mut copy, &slopes);
        assert_eq!(numbers(&weights), numbers(&copy), "{options:?}");
    }
}

#[test]
fn adamw_is_adam_with_a_weight_decay_of_its_own() {
    let decay = |options: sections::Optimizer| options.common().weight_decay;
    assert_eq!(decay(sections::Optimizer::AdamW(AdamW::defaults())), Some(0.004));
    assert_eq!(decay(sections::Optimizer::Adam(Adam::defaults())), None);
}

#[test]
fn sgd_follows_keras() {
    follows_keras(Sgd::defaults());
}

#[test]
fn sgd_with_momentum_follows_keras() {
    follows_keras(Sgd { momentum: 0.9, ..Sgd::defaults() });
}

#[test]
fn sgd_with_nesterov_momentum_follows_keras() {
    follows_keras(Sgd { momentum: 0.9, nesterov: true, ..Sgd::defaults() });
}

#[test]
fn sgd_with_nesterov_but_no_momentum_is_plain_in_keras() {
    follows_keras(Sgd { nesterov: true, ..Sgd::defaults() });
}

#[test]
fn rmsprop_follows_keras() {
    follows_keras(RmsProp::defaults());
}

#[test]
fn rmsprop_with_momentum_follows_keras() {
    follows_keras(RmsProp { momentum: 0.8, rho: 0.7, ..RmsProp::defaults() });
}

#[test]
fn centered_rmsprop_follows_keras() {
    follows_keras(RmsProp { centered: true, epsilon: 1e-5, ..RmsProp::defaults() });
}

#[test]
fn centered_rmsprop_with_momentum_follows_keras() {
    follows_keras(RmsProp { centered: true, momentum: 0.9, ..RmsProp::defaults() });
}

#[test]
fn adadelta_follows_keras() {
    follows_keras(Adadelta::defaults());
}

#[test]
fn adadelta_with_other_constants_follows_keras() {
    follows_keras(Adadelta { learning_rate: 1.0, rho: 0.5, epsilon: 1e-4, ..Adadelta::defaults() });
}

/// Every optimizer, with a change to the options that all of them share.
fn all_follow_keras(change: impl Fn(OptimizerOptions) -> OptimizerOptions) {
    follows_keras(Adam { common: change(Adam::defaults().common), ..Adam::defaults() });
    follows_keras(AdamW { common: change(AdamW::defaults().common), ..AdamW::defaults() });
    follows_keras(Sgd { common: change(Sgd::defaults().common), ..Sgd::defaults() });
    follows_keras(RmsProp { common: change(RmsProp::defaults().common), ..RmsProp::defaults() });
    follows_keras(Adadelta { common: change(Adadelta::defaults().common), ..Adadelta::defaults() });
}

#[test]
fn every_optimizer_decays_the_weights_as_keras_does() {
    let decayed = |common| OptimizerOptions { weight_decay: Some(0.5), ..common };
    all_follow_keras(decayed);
    let common = decayed(OptimizerOptions::defaults());
    follows_keras(Sgd { momentum: 0.9, common, ..Sgd::defaults() });
}

#[test]
fn every_optimizer_clips_each_tensors_norm_as_keras_does() {
    all_follow_keras(|common| OptimizerOptions { clipnorm: Some(1.0), ..common });
}

#[test]
fn every_optimizer_clips_the_whole_norm_as_keras_does() {
    all_follow_keras(|common| OptimizerOptions { global_clipnorm: Some(9.0), ..common });
}

#[test]
fn every_optimizer_clips_values_as_keras_does() {
    all_follow_keras(|common| OptimizerOptions { clipvalue: Some(0.1), ..common });
}

/// The limits above are of use only if some gradients exceed them and others do not.
#[test]
fn the_clipping_limits_of_these_tests_bite_on_some_steps_only() {
    for common in [
        OptimizerOptions { clipnorm: Some(1.0), ..OptimizerOptions::defaults() },
        OptimizerOptions { global_clipnorm: Some(9.0), ..OptimizerOptions::defaults() },
        OptimizerOptions { clipvalue: Some(0.1), ..OptimizerOptions::defaults() },
    ] {
        let mut stream = stream(11);
        let _ = weights(&mut stream);
        let (mut changed, mut left) = (0, 0);
        for _ in 0..STEPS {
            let before = gradients(&mut stream);
            for (before, after) in before.iter().zip(clipped(&common, &before)) {
                // Scaling by a factor of 1 may still round.
                let apart = before.iter().zip(&after).any(|(b, a)| (b - a).abs() > 1e-15 * b.abs());
                *(if apart { &mut changed } else { &mut left }) += 1;
            }
        }
        assert!(changed >= 10 && left >= 10, "{common:?}: {changed} changed, {left} left");
    }
}

#[test]
fn clipping_leaves_a_gradient_of_zeros_alone() {
    for common in [
        OptimizerOptions { clipnorm: Some(1.0), ..OptimizerOptions::defaults() },
        OptimizerOptions { global_clipnorm: Some(1.0), ..OptimizerOptions::defaults() },
        OptimizerOptions { clipvalue: Some(1.0), ..OptimizerOptions::defaults() },
    ] {
        let options = sections::Optimizer::SGD(Sgd { common, ..Sgd::defaults() });
        let mut actual = flat(&weights(&mut stream(12)));
        let before = actual.copy();
        optimizer(&options, &actual).step(&mut actual, &before.zeros_like());
        assert_eq!(actual, before, "{options:?}");
    }
}

/// Weights after ten steps of libtorch's own Adam, through tch, with these gradients.
fn torch_adam(start: &Tensor, gradients: &[Tensor]) -> Tensor {
    let store = nn::VarStore::new(Device::Cpu);
    let mut weights = store.root().zeros("w", &start.size());
    tch::no_grad(|| weights.set_data(&start.copy()));
    let mut optimizer = nn::Adam::default().build(&store, 0.001).expect("an optimizer");
    for gradient in gradients {
        // The gradient of sum(w * g) is g.
        optimizer.backward_step(&(&weights * gradient).sum(Kind::Double));
    }
    weights.detach().copy()
}

/// Keras and libtorch part where gradients are near epsilon. Were `Optimizer` libtorch's Adam, the
/// tests above would have to notice: here they do.
#[test]
fn adam_is_not_the_adam_of_libtorch() {
    /// Where Keras's epsilon, 1e-7 and not corrected for bias, is felt.
    const TINY: f64 = 1e-6;
    let mut stream = stream(13);
    let mut expected = weights(&mut stream);
    let start = flat(&expected);
    let gradients: Vec<Vec<Vec<f64>>> =
        (0..10).map(|_| draw(|| TINY * stream.random_range(0.5..1.5))).collect();

    let options = sections::Optimizer::Adam(Adam::defaults());
    let mut ours = start.copy();
    let mut optimizer = optimizer(&options, &ours);
    let mut keras = Keras::new(options, &expected);
    for gradient in &gradients {
        optimizer.step(&mut ours, &flat(gradient));
        keras.step(&mut expected, gradient);
    }
    let flats: Vec<Tensor> = gradients.iter().map(|gradient| flat(gradient)).collect();
    let torch = torch_adam(&start, &flats);

    let moved = |weights: &Tensor| weights - &start;
    let apart = ((moved(&ours) - moved(&torch)) / moved(&torch)).abs();
    assert!(apart.min().double_value(&[]) > 1e-4, "the two moved weights alike: {apart}");
    assert!(difference(&ours, &expected) <= ROUNDING);
    assert!(difference(&torch, &expected) > 1e6 * ROUNDING, "the check would not notice");
}

/// A copy of what there is to save.
fn saved(optimizer: &Optimizer) -> Vec<(String, Tensor)> {
    optimizer.state().into_iter().map(|(name, slot)| (name.to_owned(), slot.copy())).collect()
}

/// What the buffers hold.
fn contents(optimizer: &Optimizer) -> Vec<Vec<f64>> {
    optimizer.state().iter().map(|(_, slot)| numbers(slot)).collect()
}

/// Takes steps with the gradients of these seeds.
fn take_steps(optimizer: &mut Optimizer, weights: &mut Tensor, seeds: std::ops::Range<u64>) {
    for seed in seeds {
        optimizer.step(weights, &flat(&gradients(&mut stream(seed))));
    }
}

#[test]
fn a_restored_optimizer_goes_on_to_the_last_bit() {
    for options in all() {
        let mut straight = flat(&weights(&mut stream(14)));
        let mut first = optimizer(&options, &straight);
        take_steps(&mut first, &mut straight, 0..20);

        let mut resumed = straight.copy();
        let mut second = optimizer(&options, &resumed);
        second.restore(first.iterations(), &saved(&first)).expect("the state fits");
        take_steps(&mut first, &mut straight, 20..40);
        take_steps(&mut second, &mut resumed, 20..40);

        assert_eq!(straight, resumed, "{options:?}");
        assert_eq!(first.iterations(), second.iterations());
        assert_eq!(contents(&first), contents(&second), "{options:?}");
    }
}

#[test]
fn an_optimizer_that_keeps_buffers_and_is_not_restored_goes_elsewhere() {
    for options in all() {
        let mut straight = flat(&weights(&mut stream(14)));
        let mut first = optimizer(&options, &straight);
        take_steps(&mut first, &mut straight, 0..20);
        let mut forgetful = straight.copy();
        let mut second = optimizer(&options, &forgetful);
        take_steps(&mut first, &mut straight, 20..21);
        take_steps(&mut second, &mut forgetful, 20..21);
        let keeps_nothing = first.state().is_empty();
        assert_eq!(straight == forgetful, keeps_nothing, "{options:?}");
    }
}

#[test]
fn buffers_have_the_names_that_keras_gives_them() {
    let names = |options: &sections::Optimizer| {
        let optimizer = optimizer(options, &flat(&weights(&mut stream(15))));
        optimizer.state().into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    let expected: [&[&str]; 18] = [
        &["momentum", "velocity"],
        &["momentum", "velocity", "velocity_hat"],
        &["momentum", "velocity"],
        &[],
        &["momentum"],
        &["velocity"],
        &["velocity", "momentum", "average_gradient"],
        &["accumulated_grad", "accumulated_delta_var"],
        &["momentum", "velocity"],
        &["momentum", "norm"],
        &["accumulator"],
        &["momentum"],
        &["momentum", "velocity"],
        &["accumulator", "linear"],
        &["r", "c", "velocity"],
        &["momentum", "velocity"],
        &["average"],
        &["momentum", "velocity", "average", "gradient_accumulator"],
    ];
    for (options, expected) in all().iter().zip(expected) {
        assert_eq!(names(options), expected, "{options:?}");
    }
}

#[test]
fn restoring_refuses_a_state_without_one_of_the_buffers_and_names_it() {
    for options in all() {
        let weights = flat(&weights(&mut stream(16)));
        let mut optimizer = optimizer(&options, &weights);
        for missing in saved(&optimizer).iter().map(|(name, _)| name.clone()) {
            let mut state = saved(&optimizer);
            state.retain(|(name, _)| *name != missing);
            let refusal = optimizer.restore(3, &state).expect_err("a buffer is missing");
            assert_eq!(refusal, format!("{missing} is missing"));
            assert_eq!(optimizer.iterations(), 0, "a refused state must not be half taken");
        }
    }
}

#[test]
fn restoring_refuses_a_buffer_of_another_size_and_names_both_sizes() {
    for options in all() {
        let weights = flat(&weights(&mut stream(17)));
        let mut optimizer = optimizer(&options, &weights);
        for wrong in 0..saved(&optimizer).len() {
            let mut state = saved(&optimizer);
            let length = state[wrong].1.size()[0];
            state[wrong].1 = Tensor::zeros([length + 1], (Kind::Double, Device::Cpu));
            let refusal = optimizer.restore(3, &state).expect_err("a buffer is too long");
            assert!(refusal.contains(&state[wrong].0), "{refusal}");
            assert!(refusal.contains(&format!("{}", length + 1)), "{refusal}");
            assert!(refusal.contains(&format!("{length}")), "{refusal}");
            assert_eq!(optimizer.iterations(), 0, "a refused state must not be half taken");
        }
    }
}

#[test]
fn a_refused_state_leaves_every_buffer_as_it_was() {
    let options = sections::Optimizer::Adam(amsgrad());
    let mut weights = flat(&weights(&mut stream(18)));
    let mut optimizer = optimizer(&options, &weights);
    take_steps(&mut optimizer, &mut weights, 0..3);
    let before = contents(&optimizer);
    let mut state = saved(&optimizer);
    state[0].1 = state[0].1.ones_like();
    state.pop();
    optimizer.restore(9, &state).expect_err("a buffer is missing");
    assert_eq!(contents(&optimizer), before);
}
