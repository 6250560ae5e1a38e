//! How weights start, and what is minimised, against Keras's definitions.

use convae::nn::{
    Activation, Conv2D, Conv2DTranspose, ConvOptions, Dense, DenseOptions, Distribution, FanMode,
    Fans, Initializer, Loss, Padding, Parameters,
};
use convae::system::random::{Purpose, Stream, stream};
use tch::{Device, Kind, Tensor};

/// Draws for statistics: four standard errors are then well under one percent.
const DRAWS: usize = 1_000_000;

/// Fans of a 3x3 convolution from 5 to 7 channels: none of the three counts is like another.
const FANS: Fans = Fans { r#in: 45, out: 63 };

/// scipy.stats.truncnorm.std(-2, 2), which Keras divides by.
const CUT: f64 = 0.879_625_661_034_239_8;

const UNIFORM: [Initializer; 3] =
    [Initializer::GLOROT_UNIFORM, Initializer::HE_UNIFORM, Initializer::LECUN_UNIFORM];
const NORMAL: [Initializer; 3] =
    [Initializer::GLOROT_NORMAL, Initializer::HE_NORMAL, Initializer::LECUN_NORMAL];

/// `scale / n` of Keras's `VarianceScaling`: glorot is 1 over the mean fan, he 2 over the fan in,
/// lecun 1 over the fan in.
fn variance(initializer: Initializer, fans: Fans) -> f64 {
    let (fan_in, fan_out) = (fans.r#in as f64, fans.out as f64);
    match initializer {
        Initializer::GLOROT_UNIFORM | Initializer::GLOROT_NORMAL => {
            1.0 / f64::midpoint(fan_in, fan_out)
        }
        Initializer::HE_UNIFORM | Initializer::HE_NORMAL => 2.0 / fan_in,
        Initializer::LECUN_UNIFORM | Initializer::LECUN_NORMAL => 1.0 / fan_in,
        _ => panic!("another one"),
    }
}

fn draws(initializer: Initializer) -> Vec<f64> {
    initializer.draw(DRAWS, FANS, &mut stream(1, Purpose::Weights, 0, 0))
}

/// The largest size among values.
fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |largest, value| largest.max(value.abs()))
}

/// The mean of a power of the values.
fn moment(values: &[f64], power: i32) -> f64 {
    values.iter().map(|value| value.powi(power)).sum::<f64>() / values.len() as f64
}

/// Mean 0 and variance as wanted, each within four standard errors.
fn check_moments(initializer: Initializer, values: &[f64], variance: f64) {
    let count = values.len() as f64;
    let mean = moment(values, 1);
    assert!(mean.abs() < 4.0 * (variance / count).sqrt(), "{initializer:?}: mean {mean}");
    let second = moment(values, 2);
    let error = ((moment(values, 4) - second * second) / count).sqrt();
    let off = (second - variance).abs();
    assert!(off < 4.0 * error, "{initializer:?}: variance {second}, not {variance}");
}

#[test]
fn uniform_initializers_fill_their_range_and_never_leave_it() {
    for initializer in UNIFORM {
        let values = draws(initializer);
        let limit = (3.0 * variance(initializer, FANS)).sqrt();
        assert!(largest(&values) <= limit, "{initializer:?}");
        // Of a million draws, none within 1e-4 of the limit has a chance of e^-100.
        assert!(largest(&values) > limit * (1.0 - 1e-4), "{initializer:?} stays short of {limit}");
    }
}

#[test]
fn uniform_initializers_have_the_mean_and_variance_of_their_range() {
    for initializer in UNIFORM {
        check_moments(initializer, &draws(initializer), variance(initializer, FANS));
    }
}

#[test]
fn uniform_initializers_are_flat() {
    const BINS: usize = 20;
    for initializer in UNIFORM {
        let limit = (3.0 * variance(initializer, FANS)).sqrt();
        let mut counts = [0_u32; BINS];
        for value in draws(initializer) {
            let place = f64::midpoint(value / limit, 1.0) * BINS as f64;
            counts[(place as usize).min(BINS - 1)] += 1;
        }
        let share = 1.0 / BINS as f64;
        let (expected, error) =
            (DRAWS as f64 * share, (DRAWS as f64 * share * (1.0 - share)).sqrt());
        for count in counts {
            // 60 bins in all, so five standard errors.
            assert!(
                (f64::from(count) - expected).abs() < 5.0 * error,
                "{initializer:?} {counts:?}"
            );
        }
    }
}

#[test]
fn glorot_uniform_has_the_limit_of_its_formula() {
    let limit = (6.0 / (FANS.r#in + FANS.out) as f64).sqrt();
    let values = draws(Initializer::GLOROT_UNIFORM);
    assert!(largest(&values) <= limit && largest(&values) > limit * (1.0 - 1e-4));
}

#[test]
fn normal_initializers_are_cut_at_two_standard_deviations_of_the_uncut_normal() {
    for initializer in NORMAL {
        let values = draws(initializer);
        let limit = 2.0 * variance(initializer, FANS).sqrt() / CUT;
        assert!(largest(&values) <= limit, "{initializer:?}");
        // 0.1 % of the limit holds 1e-4 of the draws, a hundred of them.
        assert!(largest(&values) > limit * (1.0 - 1e-3), "{initializer:?} stays short of {limit}");
    }
}

#[test]
fn normal_initializers_have_mean_zero_and_the_full_variance_after_the_cut() {
    for initializer in NORMAL {
        check_moments(initializer, &draws(initializer), variance(initializer, FANS));
    }
}

#[test]
fn normal_initializers_have_the_shape_of_a_cut_normal() {
    /// P(|z| < 1) / P(|z| < 2) of a standard normal number.
    const WITHIN_HALF: f64 = 0.682_689_492_137_086 / 0.954_499_736_103_642;
    for initializer in NORMAL {
        let values = draws(initializer);
        let half = variance(initializer, FANS).sqrt() / CUT;
        let within = values.iter().filter(|value| value.abs() < half).count() as f64;
        let share = within / values.len() as f64;
        let error = (WITHIN_HALF * (1.0 - WITHIN_HALF) / values.len() as f64).sqrt();
        assert!((share - WITHIN_HALF).abs() < 4.0 * error, "{initializer:?}: {share}");
    }
}

#[test]
fn zeros_and_ones_are_what_they_say() {
    let draw = |initializer: Initializer| initializer.draw(4, FANS, &mut weights_stream(1, 0));
    assert_eq!(draw(Initializer::ZEROS), [0.0; 4]);
    assert_eq!(draw(Initializer::ONES), [1.0; 4]);
    assert_eq!(draw(Initializer::Constant(-0.3)), [-0.3; 4]);
}

/// Each of the general ones, with mean, variance and bounds. All are far from those of others.
fn general() -> [(Initializer, f64, f64, Option<[f64; 2]>); 6] {
    let scaled =
        |scale, mode, distribution| Initializer::VarianceScaling { scale, mode, distribution };
    let wide = |variance: f64, scale: f64| Some([-scale, scale].map(|side| side * variance.sqrt()));
    let [fan_in, fan_out] = [FANS.r#in as f64, FANS.out as f64];
    let mean = f64::midpoint(fan_in, fan_out);
    [
        (Initializer::Normal { mean: 0.5, stddev: 2.0 }, 0.5, 4.0, None),
        (
            Initializer::TruncatedNormal { mean: -1.0, stddev: 0.5 },
            -1.0,
            (0.5 * CUT).powi(2),
            Some([-2.0, 0.0]),
        ),
        (
            Initializer::Uniform { low: -0.25, high: 1.0 },
            0.375,
            1.25_f64.powi(2) / 12.0,
            Some([-0.25, 1.0]),
        ),
        (
            scaled(3.0, FanMode::FanOut, Distribution::Uniform),
            0.0,
            3.0 / fan_out,
            wide(3.0 / fan_out, 3.0_f64.sqrt()),
        ),
        (
            scaled(0.5, FanMode::FanIn, Distribution::TruncatedNormal),
            0.0,
            0.5 / fan_in,
            wide(0.5 / fan_in, 2.0 / CUT),
        ),
        (scaled(2.0, FanMode::FanAvg, Distribution::UntruncatedNormal), 0.0, 2.0 / mean, None),
    ]
}

#[test]
fn general_initializers_have_the_mean_the_variance_and_the_bounds_of_their_options() {
    for (initializer, mean, variance, bounds) in general() {
        let values = draws(initializer);
        let centred: Vec<f64> = values.iter().map(|value| value - mean).collect();
        check_moments(initializer, &centred, variance);
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let Some([lowest, highest]) = bounds else {
            // The outermost of a million normal numbers.
            let far = largest(&centred) / variance.sqrt();
            assert!(4.0 < far && far < 7.0, "{initializer:?}: {far} deviations");
            continue;
        };
        let near = 1e-3 * (highest - lowest);
        assert!(lowest <= low && low < lowest + near, "{initializer:?}: {low}, not {lowest}");
        assert!(highest >= high && high > highest - near, "{initializer:?}: {high}, not {highest}");
    }
}

#[test]
fn fans_are_read_off_shapes_of_any_rank_and_glorot_is_one_of_variance_scaling() {
    let glorot = Initializer::VarianceScaling {
        scale: 1.0,
        mode: FanMode::FanAvg,
        distribution: Distribution::Uniform,
    };
    assert_eq!(glorot, Initializer::GLOROT_UNIFORM);
    assert_eq!(Fans::of(&[]), Fans { r#in: 1, out: 1 });
    assert_eq!(Fans::of(&[4]), Fans { r#in: 4, out: 4 });
    assert_eq!(Fans::of(&[2, 3, 5, 7]), compute_fans(&[2, 3, 5, 7]));
}

/// The Gram-Schmidt process of the columns of a matrix of rows: Q where the diagonal of R is positive.
fn gram_schmidt(rows: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let column = |at: usize| -> Vec<f64> { rows.iter().map(|row| row[at]).collect() };
    let product = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    let mut found: Vec<Vec<f64>> = Vec::new();
    for at in 0..rows[0].len() {
        let mut rest = column(at);
        for earlier in &found {
            let along = product(&rest, earlier);
            rest.iter_mut().zip(earlier).for_each(|(value, unit)| *value -= along * unit);
        }
        let length = product(&rest, &rest).sqrt();
        found.push(rest.iter().map(|value| value / length).collect());
    }
    found
}

#[test]
fn orthogonal_kernels_are_gram_schmidts_of_the_numbers_drawn() {
    let gain = 1.5;
    let unit_normal = Initializer::Normal { mean: 0.0, stddev: 1.0 };
    for (name, build, shape) in learned() {
        let stream = &mut weights_stream(8, 0);
        let [kernel, _] = built(build, Initializer::Orthogonal { gain }, stream, Kind::Double);
        // To Keras's layout: PyTorch's first two axes are Keras's last two in turn.
        let kernel = if shape.len() == 4 { kernel.permute([2, 3, 1, 0]) } else { kernel.tr() };
        let found = numbers(&kernel.contiguous());
        let columns = *shape.last().unwrap();
        let rows = found.len() / columns;
        let [tall, narrow] = [rows.max(columns), rows.min(columns)];
        let drawn = unit_normal.draw(tall * narrow, FANS, &mut weights_stream(8, 0));
        let drawn: Vec<Vec<f64>> = drawn.chunks(narrow).map(<[f64]>::to_vec).collect();
        let vectors = gram_schmidt(&drawn);
        for row in 0..rows {
            for column in 0..columns {
                let wanted =
                    if rows < columns { vectors[row][column] } else { vectors[column][row] };
                let found = found[row * columns + column];
                assert!((found - gain * wanted).abs() < 1e-12, "{name} at {row}, {column}");
            }
        }
    }
}

#[test]
fn an_identity_has_its_gain_on_the_diagonal() {
    let identity = Initializer::Identity { gain: 0.25 };
    let [kernel, _] = built(dense, identity, &mut weights_stream(1, 0), Kind::Double);
    let wanted = |at: usize| if at / CHANNELS == at % CHANNELS { 0.25 } else { 0.0 };
    let wanted: Vec<f64> = (0..CHANNELS * FILTERS).map(wanted).collect();
    assert_eq!(numbers(&kernel), wanted);
}

// The fans of each layer.

/// Keras's `compute_fans` of a kernel shape, for matrices and convolutions.
fn compute_fans(shape: &[usize]) -> Fans {
    let (window, [fan_in, fan_out]) = shape.split_last_chunk().expect("two axes at least");
    let receptive: usize = window.iter().product();
    Fans { r#in: fan_in * receptive, out: fan_out * receptive }
}

fn weights_stream(seed: u64, layer: u64) -> Stream {
    stream(seed, Purpose::Weights, 0, layer)
}

fn parameters(kind: Kind) -> Parameters {
    Parameters::new(Device::Cpu, kind)
}

const CHANNELS: usize = 5;
const FILTERS: usize = 7;
const KERNEL: (usize, usize) = (2, 3);

fn conv_options(kernel_initializer: Initializer) -> ConvOptions {
    ConvOptions {
        channels: CHANNELS,
        filters: FILTERS,
        kernel_size: KERNEL,
        strides: (1, 1),
        padding: Padding::Same,
        activation: Activation::Linear,
        bias_initializer: Some(Initializer::ZEROS),
        kernel_initializer,
        of_signals: false,
        dilation_rate: (1, 1),
        groups: 1,
    }
}

fn conv2d(parameters: &mut Parameters, initializer: Initializer, stream: &mut Stream) {
    let _ = Conv2D::new(parameters, conv_options(initializer), stream);
}

fn conv2d_transpose(parameters: &mut Parameters, initializer: Initializer, stream: &mut Stream) {
    let _ = Conv2DTranspose::new(parameters, conv_options(initializer), stream);
}

fn dense(parameters: &mut Parameters, kernel_initializer: Initializer, stream: &mut Stream) {
    let options = DenseOptions {
        inputs: CHANNELS,
        units: FILTERS,
        activation: Activation::Linear,
        bias_initializer: Some(Initializer::ZEROS),
        kernel_initializer,
    };
    let _ = Dense::new(parameters, options, stream);
}

type Build = fn(&mut Parameters, Initializer, &mut Stream);

/// Every layer that has a kernel, with the kernel's shape in Keras.
fn learned() -> [(&'static str, Build, Vec<usize>); 3] {
    [
        ("Conv2D", conv2d, vec![KERNEL.0, KERNEL.1, CHANNELS, FILTERS]),
        ("Conv2DTranspose", conv2d_transpose, vec![KERNEL.0, KERNEL.1, FILTERS, CHANNELS]),
        ("Dense", dense, vec![CHANNELS, FILTERS]),
    ]
}

/// Kernel and bias of a layer.
fn built(build: Build, initializer: Initializer, stream: &mut Stream, kind: Kind) -> [Tensor; 2] {
    let mut parameters = parameters(kind);
    build(&mut parameters, initializer, stream);
    parameters.trainable().try_into().expect("a kernel and a bias")
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    let tensor = tensor.detach().to_kind(Kind::Double).flatten(0, -1);
    Vec::try_from(tensor).expect("a vector")
}

#[test]
fn compute_fans_is_that_of_keras() {
    // keras.src.initializers.random_initializers.compute_fans((2, 3, 5, 7)) and ((5, 7))
    assert_eq!(compute_fans(&[2, 3, 5, 7]), Fans { r#in: 30, out: 42 });
    assert_eq!(compute_fans(&[5, 7]), Fans { r#in: 5, out: 7 });
}

#[test]
fn every_layer_draws_its_kernel_with_the_fans_that_keras_computes() {
    for (name, build, shape) in learned() {
        for initializer in UNIFORM.into_iter().chain(NORMAL) {
            let [kernel, _] = built(build, initializer, &mut weights_stream(3, 4), Kind::Double);
            let count = shape.iter().product();
            let expected = initializer.draw(count, compute_fans(&shape), &mut weights_stream(3, 4));
            assert_eq!(numbers(&kernel), expected, "{name} with {initializer:?}");
        }
    }
}

/// More values than are drawn at once, so a piece that starts anew or is left out shows.
#[test]
fn a_large_kernel_is_one_sequence_of_draws() {
    let (inputs, units) = (1_100, 2_000);
    let initializer = Initializer::GLOROT_NORMAL;
    let mut parameters = parameters(Kind::Double);
    let options = DenseOptions {
        inputs,
        units,
        activation: Activation::Linear,
        bias_initializer: None,
        kernel_initializer: initializer,
    };
    let _ = Dense::new(&mut parameters, options, &mut weights_stream(7, 0));
    let fans = compute_fans(&[inputs, units]);
    let expected = initializer.draw(inputs * units, fans, &mut weights_stream(7, 0));
    assert!(numbers(&parameters.trainable()[0]) == expected);
}

#[test]
fn biases_start_at_zero_whatever_the_kernel_does() {
    for (name, build, shape) in learned() {
        for initializer in [Initializer::GLOROT_UNIFORM, Initializer::ONES] {
            let [_, bias] = built(build, initializer, &mut weights_stream(1, 0), Kind::Double);
            assert_eq!(numbers(&bias), vec![0.0; FILTERS], "{name}, kernel {shape:?}");
        }
    }
}

#[test]
fn equal_seeds_give_equal_weights_and_other_seeds_and_layers_others() {
    for (name, build, _) in learned() {
        let kernel = |seed, layer| {
            let stream = &mut weights_stream(seed, layer);
            let [kernel, _] = built(build, Initializer::GLOROT_UNIFORM, stream, Kind::Double);
            numbers(&kernel)
        };
        assert_eq!(kernel(1, 2), kernel(1, 2), "{name}");
        assert_ne!(kernel(1, 2), kernel(2, 2), "{name}: another seed");
        assert_ne!(kernel(1, 2), kernel(1, 3), "{name}: another layer");
    }
}

#[test]
fn weights_in_float32_are_those_in_float64_rounded() {
    for (name, build, _) in learned() {
        for initializer in UNIFORM.into_iter().chain(NORMAL) {
            let kernel =
                |kind| numbers(&built(build, initializer, &mut weights_stream(5, 6), kind)[0]);
            let rounded: Vec<f64> =
                kernel(Kind::Double).iter().map(|&value| f64::from(value as f32)).collect();
            assert_eq!(kernel(Kind::Float), rounded, "{name} with {initializer:?}");
        }
    }
}

// Losses.

/// Keras's epsilon.
const EPSILON: f64 = 1e-7;

/// A log and a few additions in two formulations, relative; plus, absolute, the rounding of 1 - p,
/// which is 1e-16 where the loss itself is about 1e-7.
const RELATIVE: f64 = 1e-12;
const ABSOLUTE: f64 = 1e-15;

/// Keras's `binary_crossentropy` of one value.
fn crossentropy(output: f64, target: f64) -> f64 {
    let p = output.clamp(EPSILON, 1.0 - EPSILON);
    -(target * p.ln() + (1.0 - target) * (-p).ln_1p())
}

/// Loss of single values, and its slope by the output.
fn loss_and_slope(loss: Loss, output: f64, target: f64) -> (f64, f64) {
    let output = Tensor::from_slice(&[output]).set_requires_grad(true);
    let value = loss.of(&output, &Tensor::from_slice(&[target]));
    assert_eq!(value.dim(), 0, "a loss is a scalar");
    let slope = Tensor::run_backward(&[&value], &[&output], false, false);
    (value.double_value(&[]), slope[0].double_value(&[0]))
}

fn assert_near(what: &str, actual: f64, expected: f64) {
    let off = (actual - expected).abs();
    assert!(off <= RELATIVE * expected.abs() + ABSOLUTE, "{what} is {actual:e}, not {expected:e}");
}

const OUTPUTS: [f64; 11] =
    [0.0, 1e-12, 1e-8, 1e-6, 0.01, 0.3, 0.5, 0.9, 1.0 - 1e-6, 1.0 - 1e-8, 1.0];
const TARGETS: [f64; 6] = [0.0, 0.1, 0.25, 0.5, 0.9, 1.0];

#[test]
fn binary_crossentropy_is_that_of_the_clipped_probability() {
    for output in OUTPUTS {
        for target in TARGETS {
            let (loss, _) = loss_and_slope(Loss::BINARY_CROSSENTROPY, output, target);
            let what = format!("the loss of {output:e} for {target}");
            assert_near(&what, loss, crossentropy(output, target));
        }
    }
}

#[test]
fn binary_crossentropy_is_bounded_by_the_clip() {
    // -ln(1e-7); libtorch's own loss goes to 100.
    let worst = 16.118_095_650_958_32;
    for (output, target) in [(0.0, 1.0), (1e-8, 1.0), (1.0, 0.0), (1.0 - 1e-8, 0.0)] {
        let (loss, _) = loss_and_slope(Loss::BINARY_CROSSENTROPY, output, target);
        // 1 - (1 - 1e-7) is 1e-7 only to 6e-10, relative.
        assert!((loss - worst).abs() < 1e-9, "{loss} at {output:e}");
    }
}

#[test]
fn binary_crossentropy_has_no_slope_beyond_the_clip() {
    for output in [0.0, 1e-12, 1e-8, 1.0 - 1e-8, 1.0] {
        for target in TARGETS {
            let (_, slope) = loss_and_slope(Loss::BINARY_CROSSENTROPY, output, target);
            assert!(slope == 0.0, "slope {slope} at {output:e} for {target}");
        }
    }
}

#[test]
fn binary_crossentropy_has_the_slope_of_its_formula_within_the_clip() {
    for output in [2e-7, 1e-6, 0.01, 0.3, 0.5, 0.9, 1.0 - 1e-6] {
        for target in TARGETS {
            let (_, slope) = loss_and_slope(Loss::BINARY_CROSSENTROPY, output, target);
            let expected = (1.0 - target) / (1.0 - output) - target / output;
            let what = format!("the slope at {output:e} for {target}");
            assert_near(&what, slope, expected);
        }
    }
}

#[test]
fn squared_and_absolute_error_have_the_values_and_slopes_of_their_formulas() {
    for output in [-3.0, 0.0, 1e-9, 0.3, 1.0, 1e6] {
        for target in [0.0, 0.25, 1.0, -2.0] {
            let (difference, what) = (output - target, format!("of {output} for {target}"));
            let (loss, slope) = loss_and_slope(Loss::MeanSquaredError, output, target);
            assert_near(&format!("squared error {what}"), loss, difference * difference);
            assert_near(&format!("its slope {what}"), slope, 2.0 * difference);
            let (loss, slope) = loss_and_slope(Loss::MeanAbsoluteError, output, target);
            assert_near(&format!("absolute error {what}"), loss, difference.abs());
            // At a difference of 0 Keras's slope is 0.
            let sign = if difference == 0.0 { 0.0 } else { difference.signum() };
            assert_near(&format!("its slope {what}"), slope, sign);
        }
    }
}

#[test]
fn losses_are_the_mean_over_all_values_of_the_batch() {
    let outputs: Vec<f64> = (0..24).map(|i| (f64::from(i) + 0.5) / 24.0).collect();
    let targets: Vec<f64> = (0..24).map(|i| f64::from(i * 7 % 24) / 23.0).collect();
    let tensor = |values: &[f64]| Tensor::from_slice(values).view([2, 3, 2, 2]);
    let mean = |single: fn(f64, f64) -> f64| {
        outputs.iter().zip(&targets).map(|(&o, &t)| single(o, t)).sum::<f64>() / 24.0
    };
    for (loss, expected) in [
        (Loss::BINARY_CROSSENTROPY, mean(crossentropy)),
        (Loss::MeanSquaredError, mean(|output, target| (output - target).powi(2))),
        (Loss::MeanAbsoluteError, mean(|output, target| (output - target).abs())),
    ] {
        let actual = loss.of(&tensor(&outputs), &tensor(&targets)).double_value(&[]);
        assert_near(&format!("{loss:?}"), actual, expected);
    }
}

#[test]
fn binary_crossentropy_in_float32_clips_at_the_float32_values_of_the_bounds() {
    let loss = |output: f32, target: f32| {
        let (output, target) = (Tensor::from_slice(&[output]), Tensor::from_slice(&[target]));
        Loss::BINARY_CROSSENTROPY.of(&output, &target).double_value(&[])
    };
    // float32 holds 1e-7 to 8 digits, but 1 - 1e-7 only as 1 - 1.19e-7: half an ulp below 1.
    assert!((loss(0.0, 1.0) - 16.118_095_650_958).abs() < 1e-5);
    assert!((loss(1.0, 0.0) - 15.942_385_152_878).abs() < 1e-5);
}

/// When weights diverge, the loss must say so: the trainer then gives up with a remedy.
#[test]
fn the_loss_of_an_output_that_is_not_a_number_is_not_a_number() {
    let output = Tensor::from_slice(&[0.5, f64::NAN]);
    let target = Tensor::from_slice(&[0.0, 1.0]);
    for loss in [Loss::BINARY_CROSSENTROPY, Loss::MeanSquaredError, Loss::MeanAbsoluteError] {
        assert!(loss.of(&output, &target).double_value(&[]).is_nan(), "{loss:?}");
    }
}
