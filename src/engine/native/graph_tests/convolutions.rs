//! Convolutions that are dilated, grouped, depthwise or separable, and bilinear upsampling: each option of each
//! layer, as the first layer and as the last one.

use super::*;
use crate::nn::Loss;

/// Biases that do not start at 0, which would hide where they go.
const BIAS: &str = "bias_initializer = { name = \"RandomUniform\", minval = -0.5, maxval = 0.5 }";

/// Bare outputs may lie anywhere, where Keras's cross-entropy is flat or steep.
fn agrees_in_squares(graph: Builder) {
    let mut plan = graph.plan();
    plan.config.train.loss = Loss::MeanSquaredError.into();
    agrees(&plan);
}

/// A layer that keeps the image's shape, on both sides of another.
fn at_both_ends(input: impl Into<Vec<usize>>, toml: &str, between: &str) {
    let mut graph = Builder::new(input);
    let first = graph.layer(toml, Value::Input);
    let middle = graph.layer(between, first);
    graph.layer(toml, middle);
    agrees_in_squares(graph);
}

/// A layer that gives another shape, between a layer with weights and dense ones; and the same layer first of all.
fn changing_shape(input: &[usize], before: &str, toml: &str) {
    for first in [true, false] {
        let mut graph = Builder::new(input.to_vec());
        let mut value = Value::Input;
        if !first {
            value = graph.layer(before, value);
        }
        value = graph.layer(toml, value);
        value = graph.layer("layer = \"Flatten\"", value);
        let units: usize = input.iter().product();
        value = graph.layer(&format!("layer = \"Dense\", units = {units}"), value);
        graph.layer(&format!("layer = \"Reshape\", target_shape = {input:?}"), value);
        agrees_in_squares(graph);
    }
}

const TANH: &str = "layer = \"Activation\", activation = \"tanh\"";
const DENSE: &str = "layer = \"Dense\", units = 3, activation = \"tanh\"";

fn same(layer: &str, filters: usize, keys: &str) -> String {
    format!("layer = \"{layer}\", filters = {filters}, {keys}, padding = \"same\", {BIAS}")
}

#[test]
fn dilated_convolutions() {
    for layer in ["Conv2D", "Conv2DTranspose"] {
        for (channels, keys) in [
            (1, "kernel_size = 3, dilation_rate = 2"),
            (3, "kernel_size = [2, 3], dilation_rate = [3, 2], activation = \"relu\""),
            (3, "kernel_size = [3, 2], dilation_rate = [1, 4], use_bias = false"),
            (2, "kernel_size = [1, 4], dilation_rate = [5, 1]"),
            // The window is larger than the image.
            (1, "kernel_size = 3, dilation_rate = [7, 6]"),
        ] {
            at_both_ends([7, 6, channels], &same(layer, channels, keys), DENSE);
        }
        let keys = "kernel_size = [3, 2], dilation_rate = [2, 3]";
        changing_shape(&[4, 5, 2], &DENSE.replace('3', "17"), &same(layer, 19, keys));
        let valid = same(layer, 4, keys).replace("padding = \"same\"", "padding = \"valid\"");
        changing_shape(&[7, 8, 1], DENSE, &valid);
    }
}

/// Few channels from many: these are turned round.
#[test]
fn convolutions_to_few_channels() {
    let wide = "layer = \"Dense\", units = 9, activation = \"tanh\"";
    for padding in ["same", "causal", "valid"] {
        let layer = same("Conv1D", 2, "kernel_size = 3, activation = \"relu\"");
        changing_shape(&[7, 3], wide, &layer.replace("\"same\"", &format!("{padding:?}")));
    }
    for (filters, keys) in
        [(1, "kernel_size = [4, 2]"), (3, "kernel_size = 9"), (4, "kernel_size = [1, 3]")]
    {
        changing_shape(&[5, 6, 2], wide, &same("Conv2D", filters, keys));
    }
    // Of 5x6 pixels two, of which most would be multiplied for nothing: it stays as it is.
    let valid = same("Conv2D", 2, "kernel_size = 5").replace("same", "valid");
    changing_shape(&[5, 6, 2], wide, &valid);
}

#[test]
fn dilated_convolutions_of_signals() {
    for (layer, padding) in [
        ("Conv1D", "same"),
        ("Conv1D", "causal"),
        ("Conv1D", "valid"),
        ("Conv1DTranspose", "same"),
        ("Conv1DTranspose", "valid"),
    ] {
        for rate in [1, 2, 5] {
            let keys = format!("kernel_size = 3, padding = \"{padding}\", dilation_rate = {rate}");
            let toml = format!("layer = \"{layer}\", filters = 2, {keys}, {BIAS}");
            if padding == "valid" {
                changing_shape(&[12, 2], DENSE, &toml);
            } else {
                at_both_ends([12, 2], &toml, DENSE);
            }
        }
    }
}

#[test]
fn grouped_convolutions() {
    for (groups, channels, filters, keys) in [
        (2, 6, 6, "kernel_size = 3"),
        (3, 6, 6, "kernel_size = [2, 3], dilation_rate = [2, 3], activation = \"relu\""),
        (6, 6, 6, "kernel_size = [2, 3], dilation_rate = [2, 1]"),
        (3, 6, 9, "kernel_size = [3, 1], strides = [2, 3], use_bias = false"),
        (2, 34, 36, "kernel_size = 2, strides = 2"),
        (4, 4, 12, "kernel_size = 1, strides = 2"),
        (4, 4, 12, "kernel_size = 3"),
    ] {
        let toml = same("Conv2D", filters, &format!("{keys}, groups = {groups}"));
        let before = format!("layer = \"Dense\", units = {channels}, activation = \"tanh\"");
        if channels == filters && !keys.contains("strides") {
            at_both_ends([5, 6, channels], &toml, &before);
        } else {
            changing_shape(&[4, 5, channels], &before, &toml);
        }
    }
    at_both_ends([9, 4], &same("Conv1D", 4, "kernel_size = 3, groups = 2"), "layer = \"Identity\"");
}

#[test]
fn grouped_convolutions_around_poolings_and_upsamplings() {
    let mut graph = Builder::new([8, 6, 4]);
    let grouped = |filters| same("Conv2D", filters, "kernel_size = 3, groups = 2");
    let conv = graph.layer(&format!("{}, activation = \"relu\"", grouped(6)), Value::Input);
    let pooled = graph.pool(conv);
    let inner = graph.layer(&format!("{}, activation = \"tanh\"", grouped(34)), pooled);
    let up = graph.up(inner);
    let small = graph.layer(&grouped(4), up);
    let dilated = same("Conv2D", 6, "kernel_size = 3, dilation_rate = 2, activation = \"relu\"");
    let conv = graph.layer(&dilated, small);
    let pooled = graph.pool(conv);
    let up = graph.up(pooled);
    graph.layer(&same("Conv2D", 4, "kernel_size = 3, dilation_rate = 2"), up);
    agrees_in_squares(graph);
}

/// Images of one pixel are computed together.
#[test]
fn grouped_and_dilated_convolutions_that_give_one_pixel() {
    for keys in ["groups = 2", "dilation_rate = 2", "groups = 2, dilation_rate = 2"] {
        let conv = format!("layer = \"Conv2D\", filters = 6, kernel_size = 2, {keys}, {BIAS}");
        let side = if keys.contains("dilation") { 3 } else { 2 };
        changing_shape(&[side, side, 4], "layer = \"Dense\", units = 4", &conv);
    }
}

#[test]
fn depthwise_convolutions() {
    for (channels, keys) in [
        (1, "kernel_size = 3"),
        (3, "kernel_size = 3, use_bias = false"),
        (8, "kernel_size = [2, 3], dilation_rate = [2, 3], activation = \"relu\""),
        (17, "kernel_size = [3, 2]"),
        (35, "kernel_size = [1, 2], dilation_rate = 3"),
    ] {
        let toml = format!("layer = \"DepthwiseConv2D\", {keys}, padding = \"same\", {BIAS}");
        let between = format!("layer = \"Dense\", units = {channels}, activation = \"tanh\"");
        at_both_ends([4, 7, channels], &toml, &between);
    }
    for (channels, multiplier, keys) in [
        (3, 1, "kernel_size = 3"),
        (1, 5, "kernel_size = 3, padding = \"same\""),
        (17, 1, "kernel_size = [3, 2], strides = 2, padding = \"same\""),
        (2, 1, "kernel_size = 2, strides = 3"),
        (3, 2, "kernel_size = 3, strides = 2, dilation_rate = 2, padding = \"same\""),
        (5, 4, "kernel_size = 2, strides = 2, dilation_rate = 3"),
        (2, 1, "kernel_size = [1, 3], strides = 4, dilation_rate = [1, 6], padding = \"same\""),
    ] {
        let keys = format!("{keys}, depth_multiplier = {multiplier}, {BIAS}");
        let before = format!("layer = \"Dense\", units = {channels}, activation = \"tanh\"");
        let toml = format!("layer = \"DepthwiseConv2D\", {keys}");
        changing_shape(&[5, 6, channels], &before, &toml);
    }
}

#[test]
fn separable_convolutions() {
    for keys in [
        "kernel_size = 3, padding = \"same\"",
        "kernel_size = [3, 2], padding = \"same\", depth_multiplier = 2, activation = \"elu\"",
        "kernel_size = 2, padding = \"same\", dilation_rate = 3, use_bias = false",
    ] {
        for channels in [1, 4] {
            let toml = format!("layer = \"SeparableConv2D\", filters = {channels}, {keys}, {BIAS}");
            at_both_ends([6, 5, channels], &toml, DENSE);
        }
        let toml = format!("layer = \"SeparableConv2D\", filters = 9, {keys}, strides = 2, {BIAS}");
        if !keys.contains("dilation") {
            changing_shape(&[6, 5, 2], DENSE, &toml);
        }
    }
    let toml = format!("layer = \"SeparableConv1D\", filters = 3, kernel_size = 3, {BIAS}");
    at_both_ends([9, 3], &format!("{toml}, padding = \"same\", dilation_rate = 2"), DENSE);
    changing_shape(&[9, 3], DENSE, &format!("{toml}, strides = 2, depth_multiplier = 3"));
}

#[test]
fn kernels_of_all_kinds_that_are_there_twice() {
    for toml in [
        same("Conv2D", 4, "kernel_size = 3, groups = 2"),
        same("Conv2D", 4, "kernel_size = 3, dilation_rate = 2"),
        same("Conv2D", 4, "kernel_size = 3, groups = 4"),
        same("SeparableConv2D", 4, "kernel_size = 3, depth_multiplier = 2"),
    ] {
        let mut graph = Builder::new([6, 5, 4]);
        let first = graph.layer(&toml, Value::Input);
        let second = graph.again(first, first);
        let sum = graph.merge("Add", &[first, second]);
        graph.again(first, sum);
        agrees_in_squares(graph);
    }
}

#[test]
fn bilinear_upsampling_by_any_factors() {
    for ([down, across], [height, width, channels]) in [
        ([2, 2], [3, 4, 1]),
        ([1, 3], [2, 3, 3]),
        ([4, 1], [1, 2, 3]),
        ([3, 5], [4, 1, 17]),
        ([1, 1], [2, 3, 2]),
        ([2, 7], [1, 2, 1]),
    ] {
        let keys = format!("size = [{down}, {across}], interpolation = \"bilinear\"");
        let up = format!("layer = \"UpSampling2D\", {keys}");
        let before = format!("layer = \"Dense\", units = {channels}, activation = \"tanh\"");
        changing_shape(&[height, width, channels], &before, &up);
        let mut graph = Builder::new([height * down, width * across, channels]);
        let pool = format!("layer = \"AveragePooling2D\", pool_size = [{down}, {across}]");
        let dense = graph.layer(&before, Value::Input);
        let pooled = graph.layer(&pool, dense);
        graph.layer(&up, pooled);
        agrees_in_squares(graph);
    }
}

/// Convolutions of concatenated channels, of which none, one or two parts are enlarged, by several factors.
#[test]
fn convolutions_of_parts() {
    for (factors, conv) in [
        (
            [[2, 2], [1, 1]],
            "filters = 5, kernel_size = 3, padding = \"same\", activation = \"relu\"",
        ),
        ([[1, 1], [2, 2]], "filters = 20, kernel_size = 3, padding = \"same\", use_bias = false"),
        (
            [[2, 2], [2, 2]],
            "filters = 17, kernel_size = 3, padding = \"same\", activation = \"tanh\"",
        ),
        (
            [[3, 2], [1, 2]],
            "filters = 3, kernel_size = [2, 3], padding = \"same\", activation = \"relu\"",
        ),
        ([[2, 2], [1, 1]], "filters = 4, kernel_size = 1, activation = \"softmax\""),
        ([[2, 2], [1, 1]], "filters = 4, kernel_size = 3, strides = 2, padding = \"same\""),
        ([[2, 2], [1, 1]], "filters = 4, kernel_size = 3, dilation_rate = 2, padding = \"same\""),
        ([[2, 2], [1, 1]], "filters = 8, kernel_size = 3, groups = 2, padding = \"same\""),
    ] {
        let mut graph = Builder::new([6, 6, 18]);
        let mut parts = vec![graph.conv(3, "tanh", Value::Input)];
        for ([down, across], filters) in factors.into_iter().zip([16, 21]) {
            let size = format!("[{down}, {across}]");
            let pooled = graph
                .layer(&format!("layer = \"AveragePooling2D\", pool_size = {size}"), Value::Input);
            let value = graph.conv(filters, "tanh", pooled);
            parts.push(graph.layer(&format!("layer = \"UpSampling2D\", size = {size}"), value));
        }
        parts.rotate_left(usize::from(conv.contains("use_bias")));
        let joined = graph.merge("Concatenate", &parts);
        let value = graph.layer(&format!("layer = \"Conv2D\", {conv}"), joined);
        let flat = graph.layer("layer = \"GlobalAveragePooling2D\", keepdims = true", value);
        let wide = graph.conv(18, "tanh", flat);
        let up = graph.layer("layer = \"UpSampling2D\", size = 6", wide);
        graph.merge("Add", &[up, Value::Input]);
        agrees_in_squares(graph);
    }
}

/// How each convolution of a chain of layers is computed: from tiles, folded.
fn rewrites(layers: &[&str]) -> Vec<(bool, bool)> {
    let mut graph = Builder::new([12, 12, 32]);
    let mut value = Value::Input;
    for toml in layers {
        value = graph.layer(toml, value);
    }
    let plan = graph.plan();
    let (operations, _) =
        lower::lower(&section_of(&plan, Part::Whole), Some(Loss::MeanSquaredError)).unwrap();
    let rewritten = operations.iter().filter_map(|operation| match &operation.kind {
        lower::Kind::Convolution(options) => {
            Some((options.tiling.is_some(), options.fold.upsampling.is_some()))
        }
        _ => None,
    });
    rewritten.collect()
}

#[test]
fn neither_dilated_nor_grouped_convolutions_are_computed_from_tiles() {
    let conv = |keys: &str| same("Conv2D", 32, &format!("kernel_size = 3{keys}"));
    let (pool, up) = ("layer = \"MaxPooling2D\"", "layer = \"UpSampling2D\"");
    assert_eq!(rewrites(&[&conv("")]), [(true, false)]);
    assert_eq!(rewrites(&[pool, up, &conv("")]), [(true, true)]);
    for keys in [", dilation_rate = 2", ", dilation_rate = [1, 2]", ", dilation_rate = [2, 1]"] {
        assert_eq!(rewrites(&[&conv(keys)]), [(false, false)], "{keys}");
        assert_eq!(rewrites(&[pool, up, &conv(keys)]), [(false, false)], "{keys}");
        at_both_ends([3, 4, 17], &same("Conv2D", 17, &format!("kernel_size = 3{keys}")), TANH);
    }
    // The padding of a dilated kernel is that of a larger one: by it alone, tiles could be mistaken.
    let transposed = same("Conv2DTranspose", 32, "kernel_size = 3, dilation_rate = 2");
    assert_eq!(rewrites(&[&transposed]), [(false, false)]);
    assert_eq!(rewrites(&[&conv(", groups = 2")]), [(false, false)]);
    assert_eq!(rewrites(&[pool, up, &conv(", groups = 2")]), [(false, true)]);
    at_both_ends([3, 4, 34], &same("Conv2D", 34, "kernel_size = 3, groups = 2"), TANH);
}
