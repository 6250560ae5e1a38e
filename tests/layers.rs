//! Every layer of the config language against a slow, obvious reference in Keras's own terms:
//! values, gradients by the input and gradients by the weights, in float64.
//!
//! The references are under tests/reference/ and share nothing with `convae::nn`. Random cases come
//! from proptest with fixed seeds, so that a failure names a small case and comes back.

mod reference {
    pub mod activations;
    pub mod image_batch;
    pub mod linear;
    pub mod normalization;
}

use std::sync::{Mutex, MutexGuard};

use convae::nn::{
    Activate, Activation, AveragePooling2D, BatchNormalization, Conv2D, Conv2DTranspose,
    ConvOptions, Cropping2D, Dense, DenseOptions, Dropout, Flatten, GaussianNoise, Initializer,
    Interpolation, LeakyReLU, MaxPooling2D, NormOptions, Padding, Parameters, PoolOptions, Reshape,
    UpSampling2D, WholeBatch, ZeroPadding2D,
};
use convae::system::random::Stream;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use reference::activations;
use reference::image_batch::{ImageBatch, assert_close, normals, numbers};
use reference::linear::{self, Linear, Margins, Window};
use reference::normalization::Norm;
use tch::nn::ModuleT;
use tch::{Device, Kind, Tensor, no_grad};

/// Sums of up to 5 * 5 * 4 terms of order 1 in another order: 100 roundings of 1e-16, twice over for
/// the upstream gradient, leave 1e-13; a wrong term leaves 1e-1.
const ROUNDING: f64 = 1e-12;

/// Fixed cases: the same ones in every run.
fn cases(count: u32) -> ProptestConfig {
    ProptestConfig {
        cases: count,
        rng_seed: RngSeed::Fixed(20_240_607),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn stream(seed: u64) -> Stream {
    Stream::seed_from_u64(seed)
}

/// Weights in float64 on the CPU.
fn parameters() -> Parameters {
    Parameters::new(Device::Cpu, Kind::Double)
}

/// Gives every weight, biases too, a random value.
fn randomise(parameters: &Parameters, stream: &mut Stream) {
    for entry in parameters.iter() {
        let values = Tensor::from_slice(&normals(entry.tensor.numel(), stream));
        no_grad(|| entry.tensor.shallow_clone().copy_(&values.view_as(&entry.tensor)));
    }
}

/// The weight whose name ends in `name`.
fn weight(parameters: &Parameters, name: &str) -> Option<Tensor> {
    let mut entries = parameters.iter();
    let entry = entries.find(|entry| entry.name.ends_with(&format!(".{name}")));
    entry.map(|entry| entry.tensor.shallow_clone())
}

/// A kernel of PyTorch's layout in Keras's: `(a, b, rows, columns)` is `(rows, columns, b, a)`, and
/// `(units, in)` is `(in, units)`.
fn keras_layout(kernel: &Tensor) -> Vec<f64> {
    if kernel.dim() == 4 {
        numbers(&kernel.permute([2, 3, 1, 0]))
    } else {
        numbers(&kernel.transpose(0, 1))
    }
}

/// Output for `x`, and the gradients of `sum(output * upstream)` by `x` and by `weights`.
fn backward(
    layer: &impl ModuleT,
    x: &Tensor,
    upstream: &Tensor,
    weights: &[Tensor],
) -> (Tensor, Vec<Tensor>) {
    let x = x.detach().set_requires_grad(true);
    let output = layer.forward_t(&x, true);
    assert_eq!(output.size(), upstream.size(), "shape of the output");
    let sum = (&output * upstream).sum(Kind::Double);
    let inputs: Vec<Tensor> =
        std::iter::once(x).chain(weights.iter().map(Tensor::shallow_clone)).collect();
    (output, Tensor::run_backward(&[sum], &inputs, false, false))
}

/// Holds a layer that learns nothing against its reference.
fn check_fixed(layer: &impl ModuleT, x: &ImageBatch, reference: &Linear, stream: &mut Stream) {
    let upstream = ImageBatch::drawn(reference.output, stream);
    let (output, gradients) = backward(layer, &x.tensor(), &upstream.tensor(), &[]);
    let expected = reference.forward(x).values;
    assert_close("output", &ImageBatch::of(&output).values, &expected, ROUNDING);
    let expected = reference.input_gradient(&upstream).values;
    assert_close("gradient", &ImageBatch::of(&gradients[0]).values, &expected, ROUNDING);
}

/// Holds a layer with a kernel, and perhaps a bias, against the reference that `describe` makes of
/// its kernel in Keras's layout.
fn check_learned(
    layer: &impl ModuleT,
    parameters: &Parameters,
    x: &ImageBatch,
    describe: impl Fn(&[f64]) -> Linear,
    stream: &mut Stream,
) {
    let (kernel, bias) = (weight(parameters, "weight").unwrap(), weight(parameters, "bias"));
    let reference = describe(&keras_layout(&kernel));
    let mut expected = reference.forward(x);
    if let Some(bias) = &bias {
        linear::add_bias(&mut expected, &numbers(bias));
    }
    let upstream = ImageBatch::drawn(reference.output, stream);
    let weights = parameters.trainable();
    let (output, gradients) = backward(layer, &x.tensor(), &upstream.tensor(), &weights);
    assert_close("output", &ImageBatch::of(&output).values, &expected.values, ROUNDING);
    let expected = reference.input_gradient(&upstream).values;
    assert_close("input gradient", &ImageBatch::of(&gradients[0]).values, &expected, ROUNDING);
    let expected = reference.factor_gradient(x, &upstream);
    assert_close("kernel gradient", &keras_layout(&gradients[1]), &expected, ROUNDING);
    if bias.is_some() {
        let expected = linear::by_channel(&upstream);
        assert_close("bias gradient", &numbers(&gradients[2]), &expected, ROUNDING);
    }
}

/// A batch of images: 1 to 3 of 1 to 12 pixels a side with 1 to 4 channels.
fn batches() -> impl Strategy<Value = [usize; 4]> {
    (1..=3_usize, 1..=12_usize, 1..=12_usize, 1..=4_usize)
        .prop_map(|(n, height, width, channels)| [n, height, width, channels])
}

/// Batches with windows that fit: a `valid` window is at most as large as the image.
fn windowed() -> impl Strategy<Value = ([usize; 4], Window)> {
    let window = ((1..=5_usize, 1..=5_usize), (1..=3_usize, 1..=3_usize), any::<bool>());
    (batches(), window).prop_map(|(batch, (size, strides, same))| {
        let within = |length: usize, size: usize| if same { size } else { size.min(length) };
        let size = (within(batch[1], size.0), within(batch[2], size.1));
        (batch, Window { size, strides, same })
    })
}

fn padding(window: Window) -> Padding {
    if window.same { Padding::Same } else { Padding::Valid }
}

fn conv_options(channels: usize, filters: usize, window: Window, use_bias: bool) -> ConvOptions {
    ConvOptions {
        channels,
        filters,
        kernel_size: window.size,
        strides: window.strides,
        padding: padding(window),
        activation: Activation::Linear,
        bias_initializer: use_bias.then_some(Initializer::ZEROS),
        kernel_initializer: Initializer::GLOROT_UNIFORM,
        of_signals: false,
        dilation_rate: (1, 1),
        groups: 1,
    }
}

fn pool_options(window: Window) -> PoolOptions {
    PoolOptions { pool_size: window.size, strides: window.strides, padding: padding(window) }
}

// Convolution and dense layers.

proptest! {
    #![proptest_config(cases(120))]

    #[test]
    fn conv2d_and_its_gradients_are_those_of_the_reference(
        (batch, window) in windowed(), filters in 1..=4_usize, use_bias: bool, seed: u64,
    ) {
        let mut stream = stream(seed);
        let mut parameters = parameters();
        let options = conv_options(batch[3], filters, window, use_bias);
        let layer = Conv2D::new(&mut parameters, options, &mut stream);
        randomise(&parameters, &mut stream);
        let x = ImageBatch::drawn(batch, &mut stream);
        let describe = |kernel: &[f64]| linear::conv2d(batch, window, filters, kernel);
        check_learned(&layer, &parameters, &x, describe, &mut stream);
    }

    #[test]
    fn conv2d_transpose_and_its_gradients_are_those_of_the_reference(
        batch in batches(), size in (1..=5_usize, 1..=5_usize),
        strides in (1..=3_usize, 1..=3_usize), same: bool, filters in 1..=4_usize, use_bias: bool, seed: u64,
    ) {
        let mut stream = stream(seed);
        let mut parameters = parameters();
        let window = Window { size, strides, same };
        let options = conv_options(batch[3], filters, window, use_bias);
        let layer = Conv2DTranspose::new(&mut parameters, options, &mut stream);
        randomise(&parameters, &mut stream);
        let x = ImageBatch::drawn(batch, &mut stream);
        let describe = |kernel: &[f64]| linear::conv2d_transpose(batch, window, filters, kernel);
        check_learned(&layer, &parameters, &x, describe, &mut stream);
    }

    #[test]
    fn dense_on_images_sums_over_the_channels_of_each_pixel(
        batch in batches(), units in 1..=4_usize, use_bias: bool, seed: u64,
    ) {
        let mut stream = stream(seed);
        let mut parameters = parameters();
        let options = dense_options(batch[3], units, use_bias);
        let layer = Dense::new(&mut parameters, options, &mut stream);
        randomise(&parameters, &mut stream);
        let x = ImageBatch::drawn(batch, &mut stream);
        let describe = |kernel: &[f64]| linear::dense(batch, units, kernel);
        check_learned(&layer, &parameters, &x, describe, &mut stream);
    }

    #[test]
    fn dense_on_vectors_sums_over_all_values(
        images in 1..=3_usize, inputs in 1..=12_usize, units in 1..=12_usize, use_bias: bool,
        seed: u64,
    ) {
        let mut stream = stream(seed);
        let mut parameters = parameters();
        let options = dense_options(inputs, units, use_bias);
        let layer = Dense::new(&mut parameters, options, &mut stream);
        randomise(&parameters, &mut stream);
        let x = ImageBatch::drawn([images, 1, 1, inputs], &mut stream);
        let describe = |kernel: &[f64]| linear::dense(x.shape, units, kernel);
        check_learned(&OnVectors(layer), &parameters, &x, describe, &mut stream);
    }
}

fn dense_options(inputs: usize, units: usize, use_bias: bool) -> DenseOptions {
    DenseOptions {
        inputs,
        units,
        activation: Activation::Linear,
        bias_initializer: use_bias.then_some(Initializer::ZEROS),
        kernel_initializer: Initializer::GLOROT_UNIFORM,
    }
}

/// Shows a layer vectors, `(N, F)`, where the check hands it images of one pixel.
#[derive(Debug)]
struct OnVectors<L>(L);

impl<L: ModuleT> ModuleT for OnVectors<L> {
    fn forward_t(&self, x: &Tensor, train: bool) -> Tensor {
        let y = self.0.forward_t(&x.flatten(1, -1), train);
        assert_eq!(y.dim(), 2, "vectors in, vectors out");
        y.unsqueeze(2).unsqueeze(3)
    }
}

#[test]
fn layers_with_weights_apply_their_activation_to_the_sum() {
    let window = Window { size: (3, 2), strides: (2, 1), same: true };
    let x = ImageBatch::drawn([2, 5, 4, 3], &mut stream(1)).tensor();
    let both = |make: &dyn Fn(Activation) -> Box<dyn ModuleT>, activation: Activation| {
        let activated = make(activation).forward_t(&x, true);
        let plain = make(Activation::Linear).forward_t(&x, true);
        assert_eq!(activated, activation.apply(&plain), "{activation:?}");
        assert_ne!(activated, plain, "{activation:?}");
    };
    for activation in [Activation::Softmax, Activation::Relu, Activation::Sigmoid] {
        let options = |activation| ConvOptions { activation, ..conv_options(3, 4, window, true) };
        both(
            &|activation| {
                Box::new(Conv2D::new(&mut parameters(), options(activation), &mut stream(2)))
            },
            activation,
        );
        both(
            &|activation| {
                Box::new(Conv2DTranspose::new(
                    &mut parameters(),
                    options(activation),
                    &mut stream(2),
                ))
            },
            activation,
        );
        both(
            &|activation| {
                let options = DenseOptions { activation, ..dense_options(3, 4, true) };
                Box::new(Dense::new(&mut parameters(), options, &mut stream(2)))
            },
            activation,
        );
    }
}

// Pooling and resizing.

/// All different, at least 1/2 apart, so that each window has one largest value.
fn distinct(shape: [usize; 4], stream: &mut Stream) -> ImageBatch {
    let count: usize = shape.iter().product();
    let mut values: Vec<f64> = (0..count).map(|i| (i as f64 - count as f64) / 2.0).collect();
    values.shuffle(stream);
    ImageBatch { shape, values }
}

proptest! {
    #![proptest_config(cases(80))]

    // All values are negative, so a padding of zeros would win.
    #[test]
    fn max_pooling_gives_the_largest_real_pixel_and_sends_the_gradient_there(
        (batch, window) in windowed(), seed: u64,
    ) {
        let mut stream = stream(seed);
        let x = distinct(batch, &mut stream);
        let reference = linear::max_pooling(&x, window);
        check_fixed(&MaxPooling2D(pool_options(window)), &x, &reference, &mut stream);
    }

    #[test]
    fn average_pooling_counts_real_pixels_only((batch, window) in windowed(), seed: u64) {
        let mut stream = stream(seed);
        let x = ImageBatch::drawn(batch, &mut stream);
        let reference = linear::average_pooling(batch, window);
        check_fixed(&AveragePooling2D(pool_options(window)), &x, &reference, &mut stream);
    }

    #[test]
    fn nearest_upsampling_repeats_pixels(
        batch in batches(), size in (1..=4_usize, 1..=4_usize), seed: u64,
    ) {
        let mut stream = stream(seed);
        let x = ImageBatch::drawn(batch, &mut stream);
        let layer = UpSampling2D { size, interpolation: Interpolation::Nearest };
        let reference = linear::upsampling_nearest(batch, size);
        check_fixed(&layer, &x, &reference, &mut stream);
    }

    #[test]
    fn bilinear_upsampling_blends_around_half_pixel_centres(
        batch in batches(), size in (1..=4_usize, 1..=4_usize), seed: u64,
    ) {
        let mut stream = stream(seed);
        let x = ImageBatch::drawn(batch, &mut stream);
        let layer = UpSampling2D { size, interpolation: Interpolation::Bilinear };
        let reference = linear::upsampling_bilinear(batch, size);
        check_fixed(&layer, &x, &reference, &mut stream);
    }

    #[test]
    fn zero_padding_adds_to_each_side_its_own_margin(
        batch in batches(), rows in (0..=3_usize, 0..=3_usize),
        columns in (0..=3_usize, 0..=3_usize), seed: u64,
    ) {
        let mut stream = stream(seed);
        let x = ImageBatch::drawn(batch, &mut stream);
        let reference = linear::zero_padding(batch, margins(rows, columns));
        check_fixed(&ZeroPadding2D { rows, columns }, &x, &reference, &mut stream);
    }

    #[test]
    fn cropping_takes_from_each_side_its_own_margin(
        batch in batches(), rows in (0..=3_usize, 0..=3_usize),
        columns in (0..=3_usize, 0..=3_usize), seed: u64,
    ) {
        let mut stream = stream(seed);
        // Something has to be left.
        let [n, height, width, channels] = batch;
        let batch = [n, height + rows.0 + rows.1, width + columns.0 + columns.1, channels];
        let x = ImageBatch::drawn(batch, &mut stream);
        let reference = linear::cropping(batch, margins(rows, columns));
        check_fixed(&Cropping2D { rows, columns }, &x, &reference, &mut stream);
    }

    #[test]
    fn flatten_and_reshape_count_channels_last(batch in batches(), seed: u64) {
        let x = ImageBatch::drawn(batch, &mut stream(seed));
        let [_, height, width, channels] = batch;
        let flat = Flatten.forward_t(&x.tensor(), true);
        prop_assert_eq!(flat.size(), [batch[0] as i64, (height * width * channels) as i64]);
        prop_assert_eq!(numbers(&flat), x.values.clone());
        let turned = Reshape { shape: vec![channels, height, width] }.forward_t(&x.tensor(), true);
        prop_assert_eq!(turned.size(), [batch[0], width, channels, height].map(|side| side as i64));
        prop_assert_eq!(ImageBatch::of(&turned).values, x.values.clone());
        let back = Reshape { shape: vec![height, width, channels] }.forward_t(&flat, true);
        prop_assert_eq!(ImageBatch::of(&back), x.clone());
        let row = Reshape { shape: vec![height * width * channels] }.forward_t(&x.tensor(), true);
        prop_assert_eq!(row, flat);
    }
}

fn margins(rows: (usize, usize), columns: (usize, usize)) -> Margins {
    Margins { top: rows.0, bottom: rows.1, left: columns.0, right: columns.1 }
}

// Batch normalisation.

/// What a layer and its reference are made from.
fn norm(
    parameters: &mut Parameters,
    options: NormOptions,
    stream: &mut Stream,
) -> (BatchNormalization, Norm) {
    let layer = BatchNormalization::new(parameters, options, stream);
    let mut reference = Norm::new(options.channels, options.momentum, options.epsilon);
    for (name, values) in [("weight", &mut reference.gamma), ("bias", &mut reference.beta)] {
        if let Some(weight) = weight(parameters, name) {
            *values = normals(options.channels, stream);
            no_grad(|| weight.shallow_clone().copy_(&Tensor::from_slice(values)));
        }
    }
    (layer, reference)
}

/// The gradient of `sum(f(x) * upstream)` by each value of `x`, by central differences of fourth
/// order.
fn differences(
    f: impl Fn(&ImageBatch) -> ImageBatch,
    x: &ImageBatch,
    upstream: &ImageBatch,
) -> Vec<f64> {
    /// Small against the scale on which a normalisation bends, the root of its epsilon (0.03 at
    /// least): the error of the formula is (h / 0.03)^4 = 1e-10, that of rounding 1e-16 / h = 1e-12.
    const H: f64 = 1e-4;
    let along = |i: usize, steps: f64| {
        let mut moved = x.clone();
        moved.values[i] += steps * H;
        let y = f(&moved).values;
        y.iter().zip(&upstream.values).map(|(y, g)| y * g).sum::<f64>()
    };
    let slope = |i: usize| {
        let (near, far) = (along(i, 1.0) - along(i, -1.0), along(i, 2.0) - along(i, -2.0));
        (8.0 * near - far) / (12.0 * H)
    };
    (0..x.values.len()).map(slope).collect()
}

fn norms() -> impl Strategy<Value = NormOptions> {
    (1..=4_usize, 0.0..=1.0, 1e-3..=0.1, any::<bool>(), any::<bool>()).prop_map(
        |(channels, momentum, epsilon, center, scale)| NormOptions {
            channels,
            momentum,
            epsilon,
            beta: center.then_some(Initializer::Constant(0.0)),
            gamma: scale.then_some(Initializer::Constant(1.0)),
        },
    )
}

/// Some batches of different sizes, none of them large.
fn sizes() -> impl Strategy<Value = Vec<[usize; 3]>> {
    prop::collection::vec(
        (1..=3_usize, 1..=4_usize, 1..=4_usize).prop_map(<[usize; 3]>::from),
        1..=5,
    )
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn batch_normalization_follows_the_reference_over_several_batches(
        options in norms(), sizes in sizes(), seed: u64,
    ) {
        let mut stream = stream(seed);
        let mut parameters = parameters();
        let (layer, mut reference) = norm(&mut parameters, options, &mut stream);
        for [n, height, width] in sizes {
            let shape = [n, height, width, options.channels];
            let x = ImageBatch::drawn(shape, &mut stream);
            let trained = layer.forward_t(&x.tensor(), true);
            let (found, expected) = (ImageBatch::of(&trained), reference.train(&x));
            assert_close("training", &found.values, &expected.values, ROUNDING);
            reference.follow(&x);
            let moving = |name: &str| numbers(&weight(&parameters, name).unwrap());
            assert_close("moving mean", &moving("running_mean"), &reference.moving_mean, ROUNDING);
            let expected = &reference.moving_variance;
            assert_close("moving variance", &moving("running_var"), expected, ROUNDING);
            let inferred = layer.forward_t(&x.tensor(), false);
            let (found, expected) = (ImageBatch::of(&inferred), reference.infer(&x));
            assert_close("inference", &found.values, &expected.values, ROUNDING);
            assert_close("untouched", &moving("running_mean"), &reference.moving_mean, ROUNDING);
        }
    }

    #[test]
    fn batch_normalization_has_the_gradients_of_the_reference(
        options in norms(), n in 1..=3_usize, height in 1..=4_usize, width in 1..=4_usize, seed: u64,
    ) {
        /// What the differences leave (see there), with room for values of order 10.
        const TOLERANCE: f64 = 1e-8;
        let mut stream = stream(seed);
        let mut parameters = parameters();
        let (layer, reference) = norm(&mut parameters, options, &mut stream);
        let shape = [n, height, width, options.channels];
        let x = ImageBatch::drawn(shape, &mut stream);
        let upstream = ImageBatch::drawn(shape, &mut stream);
        let weights = parameters.trainable();
        let (_, gradients) = backward(&layer, &x.tensor(), &upstream.tensor(), &weights);
        let expected = differences(|x| reference.train(x), &x, &upstream);
        assert_close("input gradient", &ImageBatch::of(&gradients[0]).values, &expected, TOLERANCE);
        let mut learned = gradients[1..].iter();
        if options.gamma.is_some() {
            // gamma multiplies what the layer would give with gamma 1 and beta 0.
            let (gamma, beta) = (vec![1.0; options.channels], vec![0.0; options.channels]);
            let plain = Norm { gamma, beta, ..reference };
            let mut product = plain.train(&x);
            product.values.iter_mut().zip(&upstream.values).for_each(|(y, g)| *y *= g);
            let expected = linear::by_channel(&product);
            assert_close("gamma", &numbers(learned.next().unwrap()), &expected, ROUNDING);
        }
        if options.beta.is_some() {
            let expected = linear::by_channel(&upstream);
            assert_close("beta", &numbers(learned.next().unwrap()), &expected, ROUNDING);
        }
        prop_assert!(learned.next().is_none());
    }
}

#[test]
fn batch_normalization_of_vectors_is_that_of_one_pixel_images() {
    let mut stream = stream(3);
    let mut parameters = parameters();
    let options = NormOptions {
        channels: 5,
        momentum: 0.9,
        epsilon: 1e-3,
        beta: Some(Initializer::Constant(0.0)),
        gamma: Some(Initializer::Constant(1.0)),
    };
    let (layer, mut reference) = norm(&mut parameters, options, &mut stream);
    let x = ImageBatch::drawn([7, 1, 1, 5], &mut stream);
    let trained = layer.forward_t(&x.vectors(), true);
    assert_eq!(trained.size(), [7, 5]);
    assert_close("training", &numbers(&trained), &reference.train(&x).values, ROUNDING);
    reference.follow(&x);
    let inferred = layer.forward_t(&x.vectors(), false);
    assert_close("inference", &numbers(&inferred), &reference.infer(&x).values, ROUNDING);
}

#[test]
fn batch_normalization_starts_as_keras_starts_it_with_only_the_moving_statistics_fixed() {
    let mut parameters = parameters();
    let options = NormOptions {
        channels: 2,
        momentum: 0.99,
        epsilon: 1e-3,
        beta: Some(Initializer::Constant(0.0)),
        gamma: Some(Initializer::Constant(1.0)),
    };
    let _ = BatchNormalization::new(&mut parameters, options, &mut stream(3));
    let all: Vec<(Vec<f64>, bool)> =
        parameters.iter().map(|entry| (numbers(&entry.tensor), entry.trainable)).collect();
    // gamma, beta, moving mean, moving variance: Keras's order of weights.
    let expected = [([1.0; 2], true), ([0.0; 2], true), ([0.0; 2], false), ([1.0; 2], false)];
    assert_eq!(all, expected.map(|(values, trainable)| (values.to_vec(), trainable)));
}

// Activations.

/// Relative error of one evaluation by another formula; libtorch's vectorised exp, tanh and log are
/// good to a few units in the last place, and a formula has up to five of them.
const FORMULA: f64 = 1e-12;

/// Sizes from the smallest number that matters to where exp overflows; none is a kink.
const SIZES: [f64; 22] = [
    1e-300, 1e-30, 1e-8, 1e-3, 0.1, 0.5, 1.0, 2.0, 2.9, 3.1, 5.9, 6.1, 10.0, 19.9, 20.1, 30.0,
    36.7, 40.0, 100.0, 700.0, 745.0, 1e4,
];

fn both_signs() -> Vec<f64> {
    SIZES.iter().flat_map(|&size| [size, -size]).collect()
}

/// An absolute error that a value cannot avoid in float64. libtorch, like TensorFlow, computes gelu as
/// x * (1 + erf) / 2, and hard_sigmoid is (x + 3) / 6 to some: both cancel near -3 and below.
fn unavoidable_in_value(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Gelu | Activation::HardSigmoid => 1e-15 * x.abs().min(40.0),
        // Below the normal numbers, vectorised exp gives 0.
        _ => f64::MIN_POSITIVE,
    }
}

/// The same for a slope: those that autograd makes of y, as y (1 - y) or 1 - y^2, cancel where y is
/// near 1.
fn unavoidable_in_slope(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Sigmoid | Activation::Tanh | Activation::Mish => 1e-15,
        _ => unavoidable_in_value(activation, x),
    }
}

/// Whether two numbers are as near as two formulas come, given an `unavoidable` absolute error.
fn agree(actual: f64, expected: f64, unavoidable: f64) -> bool {
    // Covers two infinities of one sign.
    let same = actual.total_cmp(&expected).is_eq();
    same || (actual - expected).abs() <= FORMULA * expected.abs() + unavoidable
}

/// Value and slope of an activation at each x, by libtorch.
fn value_and_slope(activation: Activation, xs: &[f64]) -> (Vec<f64>, Vec<f64>) {
    // A column, as axis 1 is the channels'.
    let x = Tensor::from_slice(xs).unsqueeze(1).set_requires_grad(true);
    let y = Activate(activation).forward_t(&x, true);
    let slope = Tensor::run_backward(&[y.sum(Kind::Double)], &[&x], false, false);
    (numbers(&y), numbers(&slope[0]))
}

#[test]
fn the_reference_knows_the_normal_distribution() {
    // From Abramowitz and Stegun, table 26.1 and 26.2, and mpmath.
    for (x, above) in [
        (0.0, 0.5),
        (1.0, 0.158_655_253_931_457_05),
        (2.9, 1.865_813_300_384_037_5e-3),
        (4.0, 3.167_124_183_311_992_4e-5),
        (10.0, 7.619_853_024_160_526e-24),
    ] {
        let error = (activations::normal_above(x) - above).abs();
        assert!(error < 1e-13 * above, "at {x} the error is {error:e}");
    }
}

/// Holds every activation against a formula, at many x, and shows all that differs at once.
fn check_activations(
    what: &str,
    of_activation: fn(Activation, &[f64]) -> Vec<f64>,
    formula: fn(Activation, f64) -> f64,
    unavoidable: fn(Activation, f64) -> f64,
) {
    let xs = both_signs();
    let mut wrong = Vec::new();
    for activation in activations::ELEMENTWISE {
        let found = of_activation(activation, &xs);
        for (&x, &found) in xs.iter().zip(&found) {
            let expected = formula(activation, x);
            if !agree(found, expected, unavoidable(activation, x)) {
                wrong.push(format!(
                    "{activation:?} has {what} {found:e} at {x:e}, not {expected:e}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn activations_have_the_values_of_their_formulas_also_for_large_inputs() {
    check_activations(
        "value",
        |activation, xs| value_and_slope(activation, xs).0,
        activations::value,
        unavoidable_in_value,
    );
}

#[test]
fn activations_have_the_slopes_of_their_formulas_also_for_large_inputs() {
    check_activations(
        "slope",
        |activation, xs| value_and_slope(activation, xs).1,
        activations::slope,
        unavoidable_in_slope,
    );
}

/// A black pixel under a convolution whose bias is still 0 gives exactly 0, so in the first steps on
/// MNIST the slope there moves weights. The figures are those of `jax.grad` of keras.activations
/// (Keras 3.15.1 on JAX 0.10.2, float64); PyTorch and TensorFlow agree but for leaky_relu, where they
/// give the negative slope, and selu, where TensorFlow gives 1.0507.
#[test]
fn activations_have_the_slopes_of_keras_on_jax_at_their_kinks() {
    let wrong: Vec<String> = [
        (Activation::Relu, 0.0, 0.0),
        (Activation::Relu6, 0.0, 0.0),
        (Activation::Relu6, 6.0, 0.0),
        (Activation::LeakyRelu, 0.0, 1.0),
        (Activation::Elu, 0.0, 1.0),
        (Activation::Selu, 0.0, 1.758_099_340_847_376_6),
        (Activation::HardSigmoid, -3.0, 0.0),
        (Activation::HardSigmoid, 3.0, 0.0),
        (Activation::Softsign, 0.0, 1.0),
    ]
    .into_iter()
    .map(|(activation, x, expected)| {
        (activation, x, value_and_slope(activation, &[x]).1[0], expected)
    })
    .filter(|&(_, _, found, expected)| !agree(found, expected, 0.0))
    .map(|(activation, x, found, expected)| {
        format!("{activation:?} at {x}: {found}, not {expected}")
    })
    .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn leaky_relu_of_zero_has_the_slope_of_keras_on_jax() {
    let x = Tensor::from_slice(&[0.0]).set_requires_grad(true);
    let y = LeakyReLU { negative_slope: 0.3 }.forward_t(&x, true);
    let slope = Tensor::run_backward(&[y.sum(Kind::Double)], &[&x], false, false);
    // TensorFlow and PyTorch give 0.3; no backend gives anything else.
    assert_close("slope", &numbers(&slope[0]), &[1.0], FORMULA);
}

#[test]
fn leaky_relu_multiplies_negative_values_by_its_slope() {
    for slope in [0.0, 0.01, 0.3, 1.0, 2.5] {
        let xs = both_signs();
        let x = Tensor::from_slice(&xs).set_requires_grad(true);
        let y = LeakyReLU { negative_slope: slope }.forward_t(&x, false);
        let gradient = Tensor::run_backward(&[y.sum(Kind::Double)], &[&x], false, false);
        let values: Vec<f64> = xs.iter().map(|&x| activations::leaky_relu(x, slope)).collect();
        let slopes: Vec<f64> =
            xs.iter().map(|&x| activations::leaky_relu_slope(x, slope)).collect();
        assert_eq!(numbers(&y), values);
        assert_eq!(numbers(&gradient[0]), slopes);
    }
}

/// Softmax of each pixel of an image, by the reference.
fn softmaxed(x: &ImageBatch) -> ImageBatch {
    let pixels = x.values.chunks(x.shape[3]);
    ImageBatch { shape: x.shape, values: pixels.flat_map(activations::softmax).collect() }
}

proptest! {
    #![proptest_config(cases(40))]

    #[test]
    fn softmax_shares_out_each_pixel_among_its_channels(
        batch in batches(), size in prop_oneof![Just(1.0), Just(1000.0)], seed: u64,
    ) {
        let mut stream = stream(seed);
        let mut x = ImageBatch::drawn(batch, &mut stream);
        x.values.iter_mut().for_each(|value| *value *= size);
        let upstream = ImageBatch::drawn(batch, &mut stream);
        let layer = Activate(Activation::Softmax);
        let (y, gradients) = backward(&layer, &x.tensor(), &upstream.tensor(), &[]);
        let expected = softmaxed(&x);
        assert_close("softmax", &ImageBatch::of(&y).values, &expected.values, FORMULA);
        // dL/dx_i = y_i (g_i - sum_j g_j y_j)
        let channels = batch[3];
        let slopes = expected.values.chunks(channels).zip(upstream.values.chunks(channels));
        let slopes: Vec<f64> = slopes
            .flat_map(|(y, g)| {
                let mean: f64 = y.iter().zip(g).map(|(y, g)| y * g).sum();
                y.iter().zip(g).map(|(y, g)| y * (g - mean)).collect::<Vec<f64>>()
            })
            .collect();
        assert_close("gradient", &ImageBatch::of(&gradients[0]).values, &slopes, FORMULA);
    }
}

#[test]
fn softmax_of_vectors_is_over_their_values() {
    let x = ImageBatch::drawn([3, 1, 1, 6], &mut stream(4));
    let y = Activation::Softmax.apply(&x.vectors());
    assert_close("softmax", &numbers(&y), &softmaxed(&x).values, FORMULA);
}

// Layers that draw random numbers.

/// Numbers drawn, so that four standard errors are a few thousandths.
const DRAWS: usize = 1_000_000;

/// libtorch has one generator for all threads, so these tests take turns and seed it.
fn generator(seed: i64) -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    tch::manual_seed(seed);
    turn
}

fn dropout(rate: f64) -> Dropout {
    Dropout { rate, batch: WholeBatch::default() }
}

fn gaussian_noise(stddev: f64) -> GaussianNoise {
    GaussianNoise { stddev, batch: WholeBatch::default() }
}

#[test]
fn dropout_zeroes_its_share_and_enlarges_the_rest() {
    let _turn = generator(1);
    let mut stream = stream(5);
    let x: Vec<f64> = (0..DRAWS).map(|_| stream.random_range(1.0..2.0)).collect();
    for rate in [0.1, 0.25, 0.5, 0.9] {
        let layer = dropout(rate);
        let input = Tensor::from_slice(&x).set_requires_grad(true);
        let y = layer.forward_t(&input, true);
        let gradient = Tensor::run_backward(&[y.sum(Kind::Double)], &[&input], false, false);
        let (y, gradient) = (numbers(&y), numbers(&gradient[0]));
        let factor = 1.0 / (1.0 - rate);
        for ((x, y), slope) in x.iter().zip(&y).zip(&gradient) {
            // Multiplied by the inverse or divided: two roundings apart.
            let kept = *y > 0.0;
            assert!(!kept || (y - x * factor).abs() < 1e-15 * y * 4.0, "{x} became {y}");
            let expected = if kept { factor } else { 0.0 };
            assert!((slope - expected).abs() < 1e-14 * factor, "slope {slope}");
        }
        let zeroed = y.iter().filter(|&&value| value <= 0.0).count() as f64 / DRAWS as f64;
        let error = (rate * (1.0 - rate) / DRAWS as f64).sqrt();
        assert!((zeroed - rate).abs() < 4.0 * error, "rate {rate} zeroed {zeroed}");
    }
}

#[test]
fn dropout_at_its_ends_zeroes_all_or_nothing() {
    let _turn = generator(2);
    let x = ImageBatch::drawn([2, 3, 3, 2], &mut stream(6)).tensor();
    assert_eq!(dropout(0.0).forward_t(&x, true), x);
    assert_eq!(dropout(1.0).forward_t(&x, true), x.zeros_like());
}

#[test]
fn gaussian_noise_has_its_deviation_and_leaves_the_gradient_alone() {
    let _turn = generator(3);
    for stddev in [0.1, 1.0, 3.0] {
        let layer = gaussian_noise(stddev);
        let x = Tensor::full([DRAWS as i64], 5.0, (Kind::Double, Device::Cpu));
        let (y, gradients) = backward(&layer, &x, &x.ones_like(), &[]);
        assert_eq!(gradients[0], x.ones_like());
        let noise: Vec<f64> = numbers(&y).iter().map(|value| (value - 5.0) / stddev).collect();
        let count = DRAWS as f64;
        let moment = |power: i32| noise.iter().map(|value| value.powi(power)).sum::<f64>() / count;
        // Four standard errors of the first four moments of a standard normal number, whose
        // moments are 0, 1, 0, 3 and have variances 1, 2, 15, 96.
        for (power, expected, variance) in
            [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)]
        {
            let (error, found) = (f64::sqrt(variance / count), moment(power));
            assert!((found - expected).abs() < 4.0 * error, "moment {power} is {found}");
        }
    }
}

#[test]
fn random_layers_draw_anew_each_time_and_again_the_same_after_the_same_seed() {
    let x = Tensor::ones([1, 2, 20, 20], (Kind::Double, Device::Cpu));
    let layers: [Box<dyn ModuleT>; 2] = [Box::new(dropout(0.5)), Box::new(gaussian_noise(1.0))];
    for layer in &layers {
        let twice = || {
            let _turn = generator(4);
            (layer.forward_t(&x, true), layer.forward_t(&x, true))
        };
        let (first, second) = twice();
        assert_ne!(first, second);
        assert_eq!((first, second), twice());
    }
}

#[test]
fn random_layers_change_nothing_in_inference() {
    let x = ImageBatch::drawn([2, 4, 3, 2], &mut stream(7)).tensor();
    assert_eq!(dropout(0.9).forward_t(&x, false), x);
    assert_eq!(gaussian_noise(2.0).forward_t(&x, false), x);
}
