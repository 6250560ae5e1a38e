//! The layers that look at axes or put them elsewhere, with their options: as the first layer and as the last,
//! of images, signals and vectors, of one channel and many.

use super::*;
use crate::nn::Loss;

/// Of float32, how many times further off than libtorch's float32 a result may be: sums in other orders.
const TIMES: f64 = 3.0;
/// What libtorch may by luck be without.
const ROUNDING: f64 = 4.0 * f32::EPSILON as f64;

/// On both precisions, with a loss that any output has.
fn agree(mut plan: Plan) {
    plan.config.train.loss = Loss::MeanSquaredError.into();
    agrees(&plan);
    agrees_in_float32(&plan);
}

/// Outputs and gradient in float32 are about as near to those of float64 as libtorch's.
fn agrees_in_float32(plan: &Plan) {
    let mut random = ChaCha8Rng::seed_from_u64(9);
    let images = 5;
    let count = images * plan.input_shape.iter().product::<usize>();
    let mut values = || -> Vec<f32> { (0..count).map(|_| random.random_range(0.0..1.0)).collect() };
    let batch = Batch { len: images, input: values(), clean: Some(values()), ..Batch::default() };
    let results = |kind: Kind, engine: &mut dyn Engine| {
        let model = model_of(plan, kind);
        let step = engine.loss_and_gradient(&model, &batch, 0);
        let outputs = engine.outputs(&model, &batch.input);
        [step.gradient, outputs].map(|tensor| tensor.to_kind(Kind::Double).flatten(0, -1))
    };
    let libtorch = |kind| results(kind, &mut Libtorch::new(plan, Part::Whole, Device::Cpu, kind));
    let (exact, theirs) = (libtorch(Kind::Double), libtorch(Kind::Float));
    for kernels in f32::forms() {
        let section = section_of(plan, Part::Whole);
        let lowered = lower::lower(&section, loss::elementwise(&plan.config.train.loss)).unwrap();
        let mut native = Native::<f32>::assemble(plan, Part::Whole, lowered, 2, kernels);
        let ours = results(Kind::Float, &mut native);
        for (i, what) in ["gradient", "outputs"].into_iter().enumerate() {
            let bar = TIMES * distance(&theirs[i], &exact[i]) + ROUNDING;
            let found = distance(&ours[i], &exact[i]);
            let layers = plan.graph.nodes.iter().map(|node| format!("{:?}", node.layer));
            let layers = layers.collect::<Vec<_>>().join("\n");
            let (kernels, shape) = (kernels.name, &plan.input_shape);
            assert!(
                found <= bar,
                "{what}: {found:.1e}, more than {bar:.1e}, {kernels}, {shape:?}:\n{layers}"
            );
        }
    }
}

/// Input shapes of images, signals and vectors.
const SHAPES: [&[usize]; 6] = [&[5, 7, 3], &[4, 3, 1], &[3, 2, 24], &[9, 4], &[6, 1], &[10]];

/// The layer first and last of a model of the same shape, with one between that has weights. What these do to a
/// single value says nothing of it, or no more than its sign: there its own value is added.
fn first_and_last(toml: &str, shape: &[usize]) {
    let mut graph = Builder::new(shape);
    let channels = shape.last().unwrap();
    let first = graph.layer(toml, Value::Input);
    let value = graph.layer(&format!("layer = \"Dense\", units = {channels}"), first);
    let last = graph.layer(toml, value);
    let alone = shape.len() == 1 && toml.contains("groups = -1");
    if *channels == 1 || alone {
        graph.merge("Add", &[last, value, Value::Input]);
    }
    agree(graph.plan());
}

fn of_all_shapes(toml: &str) {
    for shape in SHAPES {
        first_and_last(toml, shape);
    }
}

#[test]
fn softmax_of_channels() {
    of_all_shapes("layer = \"Softmax\"");
    first_and_last("layer = \"Softmax\", axis = 3", &[5, 7, 3]);
    first_and_last("layer = \"Softmax\", axis = 2", &[9, 4]);
    first_and_last("layer = \"Softmax\", axis = 1", &[10]);
}

#[test]
fn softmax_as_an_activation() {
    let mut graph = Builder::new([6, 5, 3]);
    let alone = graph.layer("layer = \"Activation\", activation = \"softmax\"", Value::Input);
    let conv = graph.conv(17, "softmax", alone);
    let up = "kernel_size = 3, padding = \"same\", activation = \"softmax\"";
    let up = graph.layer(&format!("layer = \"Conv2DTranspose\", filters = 4, {up}"), conv);
    graph.layer("layer = \"Dense\", units = 3, activation = \"softmax\"", up);
    let plan = graph.plan();
    agrees(&plan);
    agree(plan);
}

#[test]
fn softmax_of_another_axis() {
    for axis in [1, 2] {
        first_and_last(&format!("layer = \"Softmax\", axis = {axis}"), &[5, 7, 3]);
    }
    first_and_last("layer = \"Softmax\", axis = 1", &[9, 4]);
}

#[test]
fn relu_with_all_options() {
    let max = ["", "max_value = 0.25", "max_value = 6.0", "max_value = 0.0"];
    let slope = ["", "negative_slope = 0.3"];
    let threshold = ["", "threshold = 0.1"];
    for (i, max) in max.iter().enumerate() {
        for (slope, threshold) in slope.iter().flat_map(|s| threshold.map(|t| (s, t))) {
            let keys = [*max, slope, threshold].into_iter().filter(|key| !key.is_empty());
            let keys = keys.fold(String::new(), |keys, key| format!("{keys}, {key}"));
            let toml = format!("layer = \"ReLU\"{keys}");
            let mut graph = Builder::new([5, 6, 2]);
            // Of what is learned, so that values lie on both sides of all limits; then of its own results, which
            // lie on them.
            let value = graph.conv(3, if i == 2 { "linear" } else { "tanh" }, Value::Input);
            let value = graph.layer("layer = \"Rescaling\", scale = 20.0", value);
            let once = graph.layer(&toml, value);
            let twice = graph.layer(&toml, once);
            let sum = graph.merge("Concatenate", &[once, twice, value]);
            let value = graph.conv(2, "linear", sum);
            let last = graph.layer(&toml, value);
            if max.contains("0.0") {
                graph.merge("Add", &[last, value]); // or nothing would come out
            }
            agree(graph.plan());
        }
    }
    of_all_shapes("layer = \"ReLU\", negative_slope = 0.2, max_value = 0.5, threshold = 0.125");
}

#[test]
fn prelu_with_all_shared_axes() {
    for shape in SHAPES {
        for shared in 0..1 << shape.len() {
            let axes: Vec<usize> = (0..shape.len()).filter(|i| shared >> i & 1 == 1).collect();
            let axes: Vec<usize> = axes.into_iter().map(|axis| axis + 1).collect();
            let start = "alpha_initializer = \"random_uniform\"";
            let mut graph = Builder::new(shape);
            let layer = format!("layer = \"PReLU\", shared_axes = {axes:?}, {start}");
            let moved =
                graph.layer("layer = \"Rescaling\", scale = 2.0, offset = -1.0", Value::Input);
            let value = graph.layer(&layer, moved);
            let units = shape.last().unwrap();
            let value = graph.layer(&format!("layer = \"Dense\", units = {units}"), value);
            let again = graph.layer(&layer, value);
            graph.again(again, again);
            agree(graph.plan());
        }
    }
    // Nothing learns from the gradient of the first layer's input.
    first_and_last("layer = \"PReLU\"", &[4, 5, 2]);
}

#[test]
fn normalizations_of_a_pixel_and_of_groups() {
    for keys in [
        "",
        ", center = false",
        ", scale = false, epsilon = 0.1",
        ", center = false, scale = false",
    ] {
        of_all_shapes(&format!("layer = \"LayerNormalization\"{keys}"));
        of_all_shapes(&format!("layer = \"GroupNormalization\", groups = -1{keys}"));
        of_all_shapes(&format!("layer = \"GroupNormalization\", groups = 1{keys}"));
        for groups in [2, 3, 8, 12] {
            let toml = format!("layer = \"GroupNormalization\", groups = {groups}{keys}");
            first_and_last(&toml, &[3, 2, 24]);
        }
    }
}

#[test]
fn unit_normalization() {
    of_all_shapes("layer = \"UnitNormalization\"");
    let mut graph = Builder::new([5, 6, 2]);
    // Some of whose pixels are zeros.
    let value = graph.conv(2, "relu", Value::Input);
    let value = graph.layer("layer = \"UnitNormalization\"", value);
    graph.conv(2, "sigmoid", value);
    agree(graph.plan());
}

#[test]
fn normalizations_that_are_there_twice() {
    for layer in [
        "LayerNormalization\"",
        "GroupNormalization\", groups = 3",
        "PReLU\", shared_axes = [1, 2]",
    ] {
        let mut graph = Builder::new([8, 6, 3]);
        let first = graph.layer(&format!("layer = \"{layer}"), Value::Input);
        let value = graph.conv(3, "tanh", first);
        let second = graph.again(first, value);
        let pooled = graph.pool(second);
        let third = graph.again(first, pooled);
        let up = graph.up(third);
        let sum = graph.merge("Add", &[first, up]);
        graph.conv(3, "sigmoid", sum);
        agree(graph.plan());
    }
}

#[test]
fn a_normalization_of_large_values_that_differ_little() {
    for layer in ["LayerNormalization\"", "GroupNormalization\", groups = 2"] {
        let mut graph = Builder::new([9, 11, 4]);
        let value = graph.layer("layer = \"Rescaling\", scale = 1.0, offset = 50.0", Value::Input);
        let value = graph.layer(&format!("layer = \"{layer}"), value);
        graph.conv(4, "sigmoid", value);
        let mut plan = graph.plan();
        plan.config.train.loss = Loss::MeanSquaredError.into();
        agrees_in_float32(&plan);
    }
}

#[test]
fn global_poolings() {
    for (kind, keepdims) in ["Average", "Max"].into_iter().flat_map(|k| [(k, false), (k, true)]) {
        for shape in &SHAPES[..5] {
            let (rank, channels) = (shape.len() - 1, shape.last().unwrap());
            let pool = format!("layer = \"Global{kind}Pooling{rank}D\", keepdims = {keepdims}");
            let mut graph = Builder::new(*shape);
            let first = graph.layer(&pool, Value::Input);
            let value =
                graph.layer("layer = \"Dense\", units = 9, activation = \"tanh\"", Value::Input);
            // Each value twice: equals share the gradient.
            let twice = if rank == 2 { "UpSampling2D" } else { "UpSampling1D" };
            let value = graph.layer(&format!("layer = \"{twice}\""), value);
            let value = graph.layer(&pool, value);
            let joined = graph.merge("Concatenate", &[first, value]);
            let units: usize = shape.iter().product();
            let value = graph.layer(&format!("layer = \"Dense\", units = {units}"), joined);
            let value =
                graph.layer(&format!("layer = \"Reshape\", target_shape = {shape:?}"), value);
            // And last, as images of one pixel.
            if keepdims {
                let value = graph.layer(&pool, value);
                graph.merge("Add", &[Value::Input, value]);
            } else {
                graph.layer(&format!("layer = \"Dense\", units = {channels}"), value);
            }
            agree(graph.plan());
        }
    }
    for kind in ["Average", "Max"] {
        let mut graph = Builder::new([1, 1, 5]);
        let value = graph.layer("layer = \"Dense\", units = 5", Value::Input);
        graph.layer(&format!("layer = \"Global{kind}Pooling2D\", keepdims = true"), value);
        agree(graph.plan());
    }
}

#[test]
fn axes_in_every_order() {
    let orders = ["[1, 2, 3]", "[1, 3, 2]", "[2, 1, 3]", "[2, 3, 1]", "[3, 1, 2]", "[3, 2, 1]"];
    for order in orders {
        let mut graph = Builder::new([4, 5, 3]);
        let permute = format!("layer = \"Permute\", dims = {order}");
        let first = graph.layer(&permute, Value::Input);
        let second = graph.conv(4, "tanh", Value::Input);
        let value = graph.layer(&permute, second);
        let rows = [first, value].map(|value| graph.layer("layer = \"Flatten\"", value));
        let joined = graph.merge("Concatenate", &rows);
        let value = graph.layer("layer = \"Dense\", units = 60", joined);
        let value = graph.layer("layer = \"Reshape\", target_shape = [4, 5, 3]", value);
        // The last order, back to the input's shape.
        let there = graph.layer(&permute, value);
        let back = (1..=3).map(|axis| {
            order.split(", ").position(|part| part.contains(&axis.to_string())).unwrap() + 1
        });
        let back: Vec<usize> = back.collect();
        graph.layer(&format!("layer = \"Permute\", dims = {back:?}"), there);
        agree(graph.plan());
    }
    let mut graph = Builder::new([9, 4]);
    let value = graph.layer("layer = \"Permute\", dims = [2, 1]", Value::Input);
    let value = graph.layer("layer = \"Dense\", units = 9", value);
    graph.layer("layer = \"Permute\", dims = [2, 1]", value);
    agree(graph.plan());
    first_and_last("layer = \"Permute\", dims = [1]", &[7]);
}

#[test]
fn vectors_as_signals() {
    let mut graph = Builder::new([4]);
    let first = graph.layer("layer = \"RepeatVector\", n = 6", Value::Input);
    let keys = "filters = 3, kernel_size = 3, padding = \"same\", activation = \"tanh\"";
    let value = graph.layer(&format!("layer = \"Conv1D\", {keys}"), first);
    let pooled = graph.layer("layer = \"GlobalMaxPooling1D\"", value);
    let value = graph.layer("layer = \"RepeatVector\", n = 2", pooled);
    let flat = graph.layer("layer = \"Flatten\"", value);
    graph.layer("layer = \"Dense\", units = 4", flat);
    agree(graph.plan());

    // And last.
    let mut graph = Builder::new([5, 3]);
    let pooled = graph.layer("layer = \"GlobalAveragePooling1D\"", Value::Input);
    let value = graph.layer("layer = \"Dense\", units = 3", pooled);
    graph.layer("layer = \"RepeatVector\", n = 5", value);
    agree(graph.plan());
}

#[test]
fn channels_as_pixels() {
    for (block, channels) in [(2, 1), (2, 5), (3, 2)] {
        let blocks = format!("layer = \"DepthToSpace\", block_size = {block}");
        let mut graph = Builder::new([6, 12, channels]);
        let keys = format!("kernel_size = {block}, strides = {block}, activation = \"tanh\"");
        let filters = channels * block * block;
        let value =
            graph.layer(&format!("layer = \"Conv2D\", filters = {filters}, {keys}"), Value::Input);
        graph.layer(&blocks, value);
        agree(graph.plan());
    }
    let mut graph = Builder::new([3, 4, 8]);
    let value = graph.layer("layer = \"DepthToSpace\", block_size = 2", Value::Input);
    let value = graph.pool(value);
    graph.layer("layer = \"Dense\", units = 8", value);
    agree(graph.plan());
}

#[test]
fn merges_of_sides_of_1() {
    for name in ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"] {
        for sides in [[1, 1, 3], [5, 1, 3], [1, 6, 3], [5, 6, 1], [1, 1, 1], [5, 1, 1], [1, 6, 1]] {
            let mut graph = Builder::new([5, 6, 3]);
            let large = graph.conv(3, "tanh", Value::Input);
            let [height, width, channels] = sides;
            let kernel = format!("kernel_size = [{}, {}]", 6 - height, 7 - width);
            let keys = format!("{kernel}, activation = \"tanh\"");
            let small = graph
                .layer(&format!("layer = \"Conv2D\", filters = {channels}, {keys}"), Value::Input);
            let one = graph.merge(name, &[large, small]);
            let two = graph.merge(name, &[small, large]);
            let value = graph.merge("Add", &[one, two]);
            // And last.
            graph.merge(name, &[value, small]);
            agree(graph.plan());
        }
    }
}

#[test]
fn merges_in_which_no_value_has_the_size_of_the_result() {
    for name in ["Add", "Multiply", "Average", "Maximum", "Minimum"] {
        let mut graph = Builder::new([5, 6, 2]);
        let rows = "layer = \"Conv2D\", filters = 3, kernel_size = [1, 6], activation = \"tanh\"";
        let rows = graph.layer(rows, Value::Input);
        let columns =
            "layer = \"Conv2D\", filters = 1, kernel_size = [5, 1], activation = \"tanh\"";
        let columns = graph.layer(columns, Value::Input);
        let pixel = graph.layer("layer = \"GlobalAveragePooling2D\", keepdims = true", rows);
        let value = graph.merge(name, &[rows, columns, pixel, columns]);
        graph.conv(2, "sigmoid", value);
        agree(graph.plan());
    }
    let mut graph = Builder::new([9, 4]);
    let pixel = graph.layer("layer = \"GlobalAveragePooling1D\", keepdims = true", Value::Input);
    let gate = graph.layer("layer = \"Dense\", units = 4, activation = \"sigmoid\"", pixel);
    graph.merge("Multiply", &[Value::Input, gate]);
    agree(graph.plan());
}

#[test]
fn values_side_by_side_along_every_axis() {
    for (axis, kernel, out) in
        [(1, "[2, 1]", [9, 6, 4]), (2, "[1, 3]", [5, 10, 4]), (3, "1", [5, 6, 8])]
    {
        for axis in [axis, axis - 4] {
            let mut graph = Builder::new([5, 6, 2]);
            let large = graph.conv(4, "tanh", Value::Input);
            let keys = format!("filters = 4, kernel_size = {kernel}");
            let small = graph.layer(&format!("layer = \"Conv2D\", {keys}"), Value::Input);
            let join = format!("layer = \"Concatenate\", axis = {axis}");
            let value = graph.add(layer(&join), &[small, large]);
            assert_eq!(graph.graph.shape(value).0, out);
            let value = graph.add(layer(&join), &[value, large, value]);
            let flat = graph.layer("layer = \"Flatten\"", value);
            let value = graph.layer("layer = \"Dense\", units = 30", flat);
            let value = graph.layer("layer = \"Reshape\", target_shape = [5, 3, 2]", value);
            graph.add(layer("layer = \"Concatenate\", axis = 2"), &[value, value]);
            agree(graph.plan());
        }
    }
    let mut graph = Builder::new([8, 3]);
    let half = "layer = \"Conv1D\", filters = 3, kernel_size = 5, activation = \"tanh\"";
    let half = graph.layer(half, Value::Input);
    graph.add(layer("layer = \"Concatenate\", axis = 1"), &[half, half]);
    agree(graph.plan());
}

#[test]
fn what_is_not_a_number_stays_so() {
    for toml in [
        "layer = \"Activation\", activation = \"relu6\"",
        "layer = \"Activation\", activation = \"hard_sigmoid\"",
        "layer = \"ReLU\", max_value = 6.0",
        "layer = \"ReLU\", max_value = 0.5, threshold = 0.25, negative_slope = 0.1",
        "layer = \"PReLU\"",
        "layer = \"Softmax\"",
        "layer = \"LayerNormalization\"",
        "layer = \"GroupNormalization\", groups = 1",
        "layer = \"UnitNormalization\"",
        "layer = \"GlobalMaxPooling2D\", keepdims = true",
        "layer = \"GlobalAveragePooling2D\", keepdims = true",
    ] {
        let mut graph = Builder::new([1, 1, 12]);
        graph.layer(toml, Value::Input);
        let plan = graph.plan();
        let model = Model::new(&plan, Device::Cpu, Kind::Float);
        let mut image = vec![0.5; 12];
        image[10] = f32::NAN;
        let output = Native::<f32>::new(&plan, Part::Whole, 1).unwrap().predict(&model, &image);
        assert!(output[10].is_nan(), "{toml}: {output:?}");
    }
}
