//! How a config's weights start: in Keras's layout, for kernels and biases of every layer, and what is refused.

use convae::config::{ConfigError, Source};
use convae::plan::Plan;
use convae::train::Trainer;
use tch::{Device, Kind, Tensor};

/// The layer, and others after it that give its input's shape back.
fn plan_of(layer: &str, input_shape: &[i64]) -> Result<Plan, ConfigError> {
    let units: i64 = input_shape.iter().product();
    let text = format!(
        "name = \"x\"\n[model]\ninput_shape = {input_shape:?}\nlayers = [{{ {layer} }}, \
         {{ layer = \"Flatten\" }}, {{ layer = \"Dense\", units = {units} }}, \
         {{ layer = \"Reshape\", target_shape = {input_shape:?} }}]\n\
         [train]\nloss = \"mse\"\ndtype = \"float64\"\ndevice = \"cpu\"\n"
    );
    Plan::new(Source::parse(&text, "test.toml", &[])?)
}

/// The first layer's weights in Keras's layout.
fn weights(layer: &str, input_shape: &[i64]) -> Vec<Tensor> {
    let plan = plan_of(layer, input_shape).unwrap();
    let trainer = Trainer::new(&plan, Device::Cpu).unwrap();
    let tensors = trainer.predictor.parameters().trainable();
    let in_keras = |(tensor, axes): (&Tensor, &[usize])| {
        let place = |axis| axes.iter().position(|&each| each == axis).unwrap() as i64;
        tensor.detach().permute((0..axes.len()).map(place).collect::<Vec<_>>())
    };
    let axes = plan.graph.nodes[0].weights.iter().map(|weight| weight.keras_axes);
    tensors.iter().zip(axes).map(in_keras).collect()
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(tensor.contiguous().view(-1)).unwrap()
}

const IMAGE: &[i64] = &[4, 3, 2];
const SIGNAL: &[i64] = &[6, 4];
/// A kernel of each kind, tall and wide in Keras's layout, with the place of the kernel and the key of its start.
const KERNELS: [(&str, &[i64], usize, &str); 12] = [
    ("layer = \"Conv2D\", filters = 5, kernel_size = [2, 3]", IMAGE, 0, "kernel"),
    ("layer = \"Conv2D\", filters = 9, kernel_size = [2, 2]", IMAGE, 0, "kernel"),
    ("layer = \"Conv2D\", filters = 4, kernel_size = 2, groups = 2", IMAGE, 0, "kernel"),
    ("layer = \"Conv2DTranspose\", filters = 5, kernel_size = [2, 3]", IMAGE, 0, "kernel"),
    ("layer = \"Conv1D\", filters = 5, kernel_size = 3", SIGNAL, 0, "kernel"),
    ("layer = \"Conv1DTranspose\", filters = 5, kernel_size = 3", SIGNAL, 0, "kernel"),
    (
        "layer = \"DepthwiseConv2D\", kernel_size = [2, 3], depth_multiplier = 3",
        IMAGE,
        0,
        "depthwise",
    ),
    (
        "layer = \"SeparableConv2D\", filters = 3, kernel_size = 2, depth_multiplier = 2",
        IMAGE,
        0,
        "depthwise",
    ),
    (
        "layer = \"SeparableConv2D\", filters = 3, kernel_size = 2, depth_multiplier = 2",
        IMAGE,
        1,
        "pointwise",
    ),
    ("layer = \"Dense\", units = 5", IMAGE, 0, "kernel"),
    ("layer = \"SeparableConv1D\", filters = 3, kernel_size = 5", SIGNAL, 0, "depthwise"),
    ("layer = \"SeparableConv1D\", filters = 3, kernel_size = 5", SIGNAL, 1, "pointwise"),
];

#[test]
fn orthogonal_kernels_of_every_layer_have_orthogonal_vectors_in_keras_layout() {
    for (layer, shape, place, key) in KERNELS {
        let start = "{ name = \"Orthogonal\", gain = 2.0 }";
        let kernel = &weights(&format!("{layer}, {key}_initializer = {start}"), shape)[place];
        let matrix = kernel.contiguous().view([-1, *kernel.size().last().unwrap()]);
        let (rows, columns) = matrix.size2().unwrap();
        let products =
            if rows < columns { matrix.matmul(&matrix.tr()) } else { matrix.tr().matmul(&matrix) };
        let identity: Tensor = 4.0 * Tensor::eye(rows.min(columns), (Kind::Double, Device::Cpu));
        let worst = (products - identity).abs().max().double_value(&[]);
        assert!(worst < 1e-12, "{layer}, {key}: {rows} x {columns}, {worst}");
    }
}

#[test]
fn every_initializer_starts_every_kernel() {
    for (layer, shape, place, key) in KERNELS {
        for (start, lowest, highest) in [
            ("{ name = \"Constant\", value = 0.25 }", 0.25, 0.25),
            ("{ name = \"RandomUniform\", minval = 2.0, maxval = 3.0 }", 2.0, 3.0),
            ("{ name = \"TruncatedNormal\", mean = 5.0, stddev = 0.5 }", 4.0, 6.0),
            ("{ name = \"RandomNormal\", mean = 100.0, stddev = 0.5 }", 95.0, 105.0),
            (
                "{ name = \"VarianceScaling\", scale = 0.01, distribution = \"uniform\" }",
                -0.18,
                0.18,
            ),
        ] {
            let layer = format!("{layer}, {key}_initializer = {start}");
            let values = numbers(&weights(&layer, shape)[place]);
            let within = |value: &f64| (lowest..=highest).contains(value);
            assert!(values.iter().all(within), "{layer}: {values:?}");
            let first = values[0].to_bits();
            let alike = values.iter().all(|value| value.to_bits() == first);
            assert_eq!(alike, lowest.to_bits() == f64::to_bits(highest), "{layer}: {values:?}");
        }
    }
}

#[test]
fn biases_start_as_their_key_says_and_leave_the_kernel_as_it_was() {
    for (layer, shape, place, _) in KERNELS {
        let plain = weights(layer, shape);
        let layer = format!("{layer}, bias_initializer = {{ name = \"Constant\", value = -0.5 }}");
        let found = weights(&layer, shape);
        assert_eq!(numbers(&plain[place]), numbers(&found[place]), "{layer}");
        let bias = numbers(found.last().unwrap());
        assert!(!bias.is_empty() && bias.iter().all(|&value| value + 0.5 == 0.0), "{layer}");
        assert!(numbers(plain.last().unwrap()).iter().all(|&value| value == 0.0), "{layer}");
    }
    let drawn = "layer = \"Dense\", units = 50, bias_initializer = \"random_uniform\"";
    let bias = numbers(&weights(drawn, IMAGE)[1]);
    assert!(bias.iter().all(|value| value.abs() <= 0.05) && bias[0].to_bits() != bias[1].to_bits());
}

#[test]
fn the_identity_starts_a_dense_layer_as_one_that_changes_nothing() {
    let kernel =
        &weights("layer = \"Dense\", units = 3, kernel_initializer = \"identity\"", IMAGE)[0];
    assert_eq!(kernel.size(), [2, 3]);
    assert_eq!(numbers(kernel), [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
}

#[test]
fn what_cannot_start_a_weight_is_refused_with_the_key_and_the_remedy() {
    let conv = |keys: &str| format!("layer = \"Conv2D\", filters = 2, kernel_size = 1, {keys}");
    for (layer, words) in [
        (
            conv("kernel_initializer = \"identity\""),
            ["starts its kernel with Identity", "[1, 1, 2, 2]", "kernel of a Dense"],
        ),
        (
            conv("bias_initializer = \"orthogonal\""),
            ["starts its bias with Orthogonal", "shape [2]", "use another initializer"],
        ),
        (
            conv("kernel_initializer = \"random\""),
            ["kernel_initializer` is \"random\"", "did you mean", "`random_normal`"],
        ),
        (
            conv("kernel_initializer = { name = \"Constnt\", value = 1 }"),
            ["kernel_initializer.name", "\"Constnt\"", "did you mean `Constant`"],
        ),
        (
            conv("kernel_initializer = { name = \"VarianceScaling\", scale = 0.0 }"),
            ["kernel_initializer.scale", "is 0", "above 0"],
        ),
        (
            conv("kernel_initializer = { name = \"RandomNormal\", stddev = -1.0 }"),
            ["kernel_initializer.stddev", "is -1", "from 0"],
        ),
        (
            conv("kernel_initializer = { name = \"VarianceScaling\", mode = \"fan_inn\" }"),
            ["kernel_initializer.mode", "fan_inn", "did you mean `fan_in`"],
        ),
        (
            conv("kernel_initializer = { name = \"Zeros\", value = 1.0 }"),
            ["kernel_initializer.value", "is not a key", "takes no keys"],
        ),
    ] {
        let error = plan_of(&layer, IMAGE).unwrap_err().to_string();
        for word in words {
            assert!(error.contains(word), "{word}: {error}");
        }
    }
}

#[test]
fn a_config_with_initializers_reads_back_as_itself() {
    let layer = "layer = \"Conv2D\", filters = 1, kernel_size = 1, kernel_initializer = \
                 { name = \"VarianceScaling\", distribution = \"normal\", scale = 3 }, \
                 bias_initializer = { name = \"RandomNormal\" }";
    let plan = plan_of(layer, IMAGE).unwrap();
    let written = plan.config.to_toml();
    assert!(written.contains("bias_initializer = \"random_normal\""), "{written}");
    assert!(written.contains("distribution = \"truncated_normal\""), "{written}");
    assert_eq!(Source::parse(&written, "again", &[]).unwrap().config, plan.config);
}
