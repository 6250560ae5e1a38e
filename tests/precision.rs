//! What mixed_bfloat16 rounds, and what not.
//!
//! And what float32 gives on the CPU at a million values a channel, against float64: forward and gradients,
//! on the memory that layers get, which is channels-last. libtorch's own sums are plain ones in places,
//! and lose digits with every value that they add.
//!
//! All numbers are positive, weights and upstream gradients too, so that no sum is small by cancelling:
//! the distances are relative to the sums of absolute terms.

use convae::config::Source;
use convae::config::schema::Section;
use convae::config::sections::{Optimizer as Options, OptimizerOptions, Sgd};
use convae::formats::checkpoint::load;
use convae::infer::Predictor;
use convae::nn::{
    Activation, AveragePooling2D, BatchNormalization, Conv2D, Conv2DTranspose, ConvOptions, Dense,
    DenseOptions, Initializer, Interpolation, Loss, NormOptions, Padding, Parameters, PoolOptions,
    UpSampling2D,
};
use convae::optim::{Optimizer, Variable};
use convae::plan::Plan;
use convae::system::random::Stream;
use rand::{RngExt, SeedableRng};
use tch::nn::ModuleT;
use tch::{Device, Kind, Tensor};

/// A value that is computed in float64 and rounded once; the sums over its distances leave half of it.
const ROUNDED_ONCE: f64 = f32::EPSILON as f64;
/// Pairwise sums of a million terms are 20 roundings deep, which as a random walk make two units; sums of
/// a few thousand terms that are added up by parts lose as much. One plain sum of a million loses 40 and
/// more.
const PAIRWISE: f64 = 4.0 * ROUNDED_ONCE;

/// Two images of half a million pixels.
const MILLION: [i64; 3] = [2, 512, 1024];

/// Of 0..1, in float64 but exact in float32; channels last in memory, `(N, C, H, W)`.
fn drawn([images, height, width]: [i64; 3], channels: i64) -> Tensor {
    uniform(images * height * width * channels)
        .view([images, height, width, channels])
        .permute([0, 3, 1, 2])
}

fn uniform(count: i64) -> Tensor {
    let mut stream = Stream::seed_from_u64(count as u64);
    let values: Vec<f32> = (0..count).map(|_| stream.random()).collect();
    Tensor::from_slice(&values).to_kind(Kind::Double)
}

/// Norm of the difference, relative to the norm of the second.
fn distance(single: &Tensor, double: &Tensor) -> f64 {
    let double = double.detach();
    let difference = (single.detach().to_kind(Kind::Double) - &double).square().sum(Kind::Double);
    (difference / double.square().sum(Kind::Double)).sqrt().double_value(&[])
}

/// How far float32 is from float64: the output, the gradients by the input and by each learned weight,
/// and the moving statistics.
fn apart<L: ModuleT>(make: impl Fn(&mut Parameters) -> L, x: &Tensor) -> Vec<f64> {
    let run = |kind: Kind| {
        let mut parameters = Parameters::new(Device::Cpu, kind);
        let layer = make(&mut parameters);
        let count: usize = parameters.iter().map(|entry| entry.tensor.numel()).sum();
        parameters.set_values(&uniform(count as i64).to_kind(kind));
        let x = x.to_kind(kind).set_requires_grad(true);
        let output = layer.forward_t(&x, true);
        let upstream = match *output.size() {
            [images, channels, height, width] => drawn([images, height, width], channels),
            _ => uniform(output.numel() as i64).view_as(&output),
        };
        let mut inputs = vec![x];
        inputs.extend(parameters.trainable());
        let sum = (&output * upstream.to_kind(kind)).sum(kind);
        let gradients = Tensor::run_backward(&[sum], &inputs, false, false);
        let moving = parameters.iter().filter(|entry| !entry.trainable);
        let moving: Vec<Tensor> = moving.map(|entry| entry.tensor.shallow_clone()).collect();
        [output].into_iter().chain(gradients).chain(moving).collect::<Vec<_>>()
    };
    let (single, double) = (run(Kind::Float), run(Kind::Double));
    single.iter().zip(&double).map(|(single, double)| distance(single, double)).collect()
}

#[track_caller]
fn within(distances: &[f64], bar: f64) {
    let shown: Vec<String> = distances.iter().map(|distance| format!("{distance:.1e}")).collect();
    println!("{shown:?}, at most {bar:.1e}");
    assert!(distances.iter().all(|&distance| distance <= bar), "{shown:?}, more than {bar:.1e}");
}

fn norm(channels: usize) -> impl Fn(&mut Parameters) -> BatchNormalization {
    let options = NormOptions {
        channels,
        momentum: 0.9,
        epsilon: 1e-3,
        beta: Some(Initializer::Constant(0.0)),
        gamma: Some(Initializer::Constant(1.0)),
    };
    move |parameters| BatchNormalization::new(parameters, options, &mut Stream::seed_from_u64(0))
}

#[test]
fn batch_normalization_its_gradients_and_its_moving_statistics() {
    within(&apart(norm(3), &drawn(MILLION, 3)), ROUNDED_ONCE);
    within(&apart(norm(1), &drawn(MILLION, 1)), ROUNDED_ONCE);
}

#[test]
fn batch_normalization_of_a_million_rows() {
    within(&apart(norm(3), &uniform(3 << 20).view([-1, 3])), ROUNDED_ONCE);
}

fn average(
    height: usize,
    width: usize,
    padding: Padding,
) -> impl Fn(&mut Parameters) -> AveragePooling2D {
    let pool_size = (height, width);
    move |_| AveragePooling2D(PoolOptions { pool_size, strides: pool_size, padding })
}

#[test]
fn average_pooling_by_small_windows_and_by_whole_images() {
    let x = drawn(MILLION, 3);
    within(&apart(average(2, 2, Padding::Valid), &x), PAIRWISE);
    within(&apart(average(8, 8, Padding::Valid), &x), PAIRWISE);
    within(&apart(average(512, 1024, Padding::Valid), &x), ROUNDED_ONCE);
    within(&apart(average(300, 700, Padding::Same), &x), ROUNDED_ONCE);
}

fn up(
    size: (usize, usize),
    interpolation: Interpolation,
) -> impl Fn(&mut Parameters) -> UpSampling2D {
    move |_| UpSampling2D { size, interpolation }
}

#[test]
fn upsampling_by_any_factor() {
    let x = drawn([2, 171, 342], 3);
    within(&apart(up((3, 3), Interpolation::Nearest), &x), PAIRWISE);
    within(&apart(up((2, 4), Interpolation::Bilinear), &x), PAIRWISE);
    within(&apart(up((3, 3), Interpolation::Bilinear), &x), ROUNDED_ONCE);
    within(&apart(up((2, 5), Interpolation::Bilinear), &x), ROUNDED_ONCE);
}

#[test]
fn dense_layers_of_every_pixel_and_of_a_million_rows() {
    let dense = |parameters: &mut Parameters| {
        let options = DenseOptions {
            inputs: 4,
            units: 5,
            activation: Activation::Linear,
            bias_initializer: Some(Initializer::ZEROS),
            kernel_initializer: Initializer::ZEROS,
        };
        Dense::new(parameters, options, &mut Stream::seed_from_u64(1))
    };
    within(&apart(dense, &drawn(MILLION, 4)), PAIRWISE);
    within(&apart(dense, &uniform(4 << 20).view([-1, 4])), PAIRWISE);
    // Not a whole number of parts.
    within(&apart(dense, &uniform(4 * 1_000_003).view([-1, 4])), PAIRWISE);
}

/// The kernels' gradients are libtorch's own sums: 1e-5 over a million values a channel, of which no
/// cheap division into parts makes less.
#[test]
fn the_outputs_of_convolutions_and_the_gradients_of_their_inputs_and_biases() {
    let options = ConvOptions {
        channels: 3,
        filters: 2,
        kernel_size: (3, 3),
        strides: (1, 1),
        padding: Padding::Same,
        activation: Activation::Linear,
        bias_initializer: Some(Initializer::ZEROS),
        kernel_initializer: Initializer::ZEROS,
        of_signals: false,
        dilation_rate: (1, 1),
        groups: 1,
    };
    let stream = || Stream::seed_from_u64(1);
    let x = drawn(MILLION, 3);
    for distances in [
        apart(|parameters| Conv2D::new(parameters, options, &mut stream()), &x),
        apart(|parameters| Conv2DTranspose::new(parameters, options, &mut stream()), &x),
    ] {
        let [output, input, _, bias] = distances[..] else { panic!("{distances:?}") };
        within(&[output, input, bias], PAIRWISE);
    }
}

#[test]
fn losses_and_their_gradients() {
    let (output, target) = (drawn(MILLION, 3), drawn(MILLION, 3).flip([2]));
    for loss in [Loss::BINARY_CROSSENTROPY, Loss::MeanSquaredError, Loss::MeanAbsoluteError] {
        let run = |kind: Kind| {
            // Away from 0 and 1, where a cross-entropy's slope hangs on the last bit of its clip.
            let output = (&output * 0.98 + 0.01).to_kind(Kind::Float).to_kind(kind);
            let output = output.set_requires_grad(true);
            let value = loss.of(&output, &target.to_kind(kind));
            let gradient = Tensor::run_backward(&[&value], &[&output], false, false);
            [value, gradient[0].shallow_clone()]
        };
        let (single, double) = (run(Kind::Float), run(Kind::Double));
        within(&[0, 1].map(|i| distance(&single[i], &double[i])), PAIRWISE);
    }
}

#[test]
fn the_norm_to_which_a_gradient_is_clipped() {
    let gradient = uniform(12_000_000);
    let count = gradient.numel() as i64;
    for clip in [
        OptimizerOptions { clipnorm: Some(1.0), ..OptimizerOptions::defaults() },
        OptimizerOptions { global_clipnorm: Some(1.0), ..OptimizerOptions::defaults() },
    ] {
        let sgd = Sgd { learning_rate: 1.0, common: clip, ..Sgd::defaults() };
        let mut weights = Tensor::zeros([count], (Kind::Float, Device::Cpu));
        let mut optimizer =
            Optimizer::new(&Options::SGD(sgd), &weights, vec![Variable::new("w", &[count])]);
        optimizer.step(&mut weights, &gradient.to_kind(Kind::Float));
        let norm = gradient.square().sum(Kind::Double).sqrt();
        within(&[distance(&weights, &(-&gradient / norm))], PAIRWISE);
    }
}

/// A model whose layers are listed, which trains in mixed precision; in software where it must be.
fn mixed(layers: &str) -> Plan {
    let text = format!(
        "name = \"mixed\"\n[data]\nkind = \"mnist\"\ndir = \"tests/digits\"\ntrain_samples = 64\ntest_samples = 32\n\
         [model]\nlayers = [{layers}]\n\
         [train]\nepochs = 1\ndtype = \"mixed_bfloat16\"\nengine = \"libtorch\"\nloss = \"mean_squared_error\"\n"
    );
    Plan::new(Source::parse(&text, "mixed", &[]).unwrap()).unwrap()
}

fn rounded(values: &Tensor) -> Tensor {
    values.to_kind(Kind::BFloat16).to_kind(Kind::Double)
}

/// By parts that float64 holds exactly: 8 bits times 8 bits, 784 times.
#[test]
fn a_layer_in_mixed_precision_rounds_what_it_reads_its_weights_and_what_it_gives() {
    let plan = mixed(
        "{ layer = \"Flatten\" }, { layer = \"Dense\", units = 784, use_bias = false }, \
         { layer = \"Reshape\", target_shape = [28, 28, 1] }",
    );
    let mut predictor = Predictor::drawn(&plan, Device::Cpu).unwrap();
    let images = uniform(2 * 784).to_kind(Kind::Float);
    let mut values = vec![0.0; 2 * 784];
    images.copy_data(&mut values, 2 * 784);
    let given = Tensor::from_slice(&predictor.predict(&values)).to_kind(Kind::Double);
    let kernel = &predictor.parameters().iter().next().unwrap().tensor;
    assert_eq!(kernel.kind(), Kind::Float);
    let wanted = rounded(&images.view([2, 784])).matmul(&rounded(&kernel.detach()).tr());
    // Sums of either order may lie on either side of the middle between two values of 8 bits.
    let apart = (&given - rounded(&wanted).view(-1)).abs() / wanted.view(-1).abs();
    assert!(apart.max().double_value(&[]) < 2.0_f64.powi(-7));
    assert!(apart.mean(Kind::Double).double_value(&[]) < 1e-4);
    assert!(rounded(&given).equal(&given), "8 bits each");
}

#[test]
fn mixed_precision_trains_float32_weights_and_the_moving_statistics_of_batches() {
    let plan = mixed(
        "{ layer = \"Conv2D\", filters = 4, kernel_size = 3, padding = \"same\" }, { layer = \"BatchNormalization\" }, \
         { layer = \"LayerNormalization\" }, { layer = \"GroupNormalization\", groups = 2 }, { layer = \"UnitNormalization\" }, \
         { layer = \"Conv2D\", filters = 1, kernel_size = 3, padding = \"same\", activation = \"sigmoid\" }",
    );
    let before = Predictor::drawn(&plan, Device::Cpu).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mixed.pt");
    convae::train(&plan).unwrap().save(&file).unwrap();
    let checkpoint = load(&file).unwrap();
    for parameter in before.parameters().iter() {
        let after = checkpoint.tensor(&parameter.name).unwrap().to_values::<f32>().unwrap();
        let after = Tensor::from_slice(&after).to_kind(Kind::Double);
        let moved = distance(&parameter.tensor.view(-1), &after);
        assert!(moved > 1e-4 && moved < 10.0, "{}: {moved}", parameter.name);
        assert!(distance(&rounded(&after), &after) > 1e-5, "{} was rounded", parameter.name);
    }
}
