//! One image on several threads: the same bits as on one.

use tch::Kind;

use super::graph_tests::{Builder, model_of, u_net};
use super::training_tests::{batch, with_norm};
use super::*;
use crate::plan::Value;

/// What an engine gives, as bits.
type Bits = Vec<Vec<u64>>;

fn bits(tensor: &Tensor) -> Vec<u64> {
    let values = Vec::<f64>::try_from(tensor.to_kind(Kind::Double).flatten(0, -1)).unwrap();
    assert!(values.iter().all(|value| value.is_finite()));
    values.into_iter().map(f64::to_bits).collect()
}

/// Losses, gradients and outputs of two steps: what the first one leaves must not show in the second.
fn results<T: Real>(
    plan: &Plan,
    images: usize,
    threads: usize,
    kernels: &'static Kernels<T>,
) -> Bits {
    let (model, batch) = (model_of(plan, T::KIND), batch(plan, images));
    let loss = loss::elementwise(&plan.config.train.loss);
    let lowered = lower::lower(&section_of(plan, Part::Whole), loss).unwrap();
    let mut native = Native::<T>::assemble(plan, Part::Whole, lowered, threads, kernels);
    let mut results = Vec::new();
    for _ in 0..2 {
        let step = native.loss_and_gradient(&model, &batch, 0);
        let (loss, outputs) = (native.loss(&model, &batch), native.outputs(&model, &batch.input));
        results.extend([step.loss, step.gradient, loss, outputs].iter().map(bits));
    }
    results
}

fn are_the_same_bits_in<T: Real>(plan: &Plan) {
    for kernels in T::forms() {
        let alone = results::<T>(plan, 1, 1, kernels);
        for threads in [2, 3, 5] {
            let together = results::<T>(plan, 1, threads, kernels);
            assert!(together == alone, "{}, {:?}, {threads} threads", kernels.name, T::KIND);
        }
    }
}

fn are_the_same_bits(graph: Builder) {
    let plan = graph.plan();
    are_the_same_bits_in::<f32>(&plan);
    are_the_same_bits_in::<f64>(&plan);
}

#[test]
fn direct_convolutions() {
    let mut graph = Builder::new([12, 10, 3]);
    let value = graph.conv(7, "relu", Value::Input);
    let mut layer = |value, name: &str, filters: usize, size: usize, keys: &str| {
        let keys = format!("kernel_size = {size}, padding = \"same\", activation = \"relu\"{keys}");
        graph.layer(&format!("layer = \"{name}\", filters = {filters}, {keys}"), value)
    };
    let value = layer(value, "Conv2D", 18, 5, "");
    let value = layer(value, "Conv2D", 24, 3, ", groups = 2");
    let value = layer(value, "Conv2D", 10, 3, ", dilation_rate = 2");
    let value = layer(value, "Conv2D", 40, 3, ", strides = 2");
    let value = layer(value, "Conv2DTranspose", 20, 3, ", strides = 2");
    graph.conv(3, "sigmoid", value);
    are_the_same_bits(graph);
}

/// The tiles of the wide ones come in several parts, those of the deep ones in one.
#[test]
fn tiled_convolutions_and_their_transposes() {
    let keys = "filters = 40, kernel_size = 3, padding = \"same\", activation = \"tanh\"";
    let transpose = format!("layer = \"Conv2DTranspose\", {keys}");
    for shape in [[9, 78, 2], [6, 5, 2]] {
        let mut graph = Builder::new(shape);
        let value = graph.conv(44, "relu", Value::Input);
        let value = graph.layer(&transpose, value);
        let value = graph.conv(44, "relu", value);
        let value = graph.layer(&transpose, value);
        graph.conv(2, "sigmoid", value);
        are_the_same_bits(graph);
    }
}

#[test]
fn convolutions_before_a_pooling_and_after_an_upsampling() {
    let mut graph = Builder::new([12, 20, 3]);
    let mut value = Value::Input;
    for filters in [9, 33] {
        value = graph.conv(filters, "relu", value);
        value = graph.layer("layer = \"MaxPooling2D\"", value);
    }
    for filters in [20, 17] {
        value = graph.layer("layer = \"UpSampling2D\"", value);
        value = graph.conv(filters, "relu", value);
    }
    graph.conv(3, "sigmoid", value);
    are_the_same_bits(graph);
}

#[test]
fn convolutions_of_concatenated_channels() {
    let plan = u_net();
    are_the_same_bits_in::<f32>(&plan);
    are_the_same_bits_in::<f64>(&plan);
}

/// Two workers with helpers, three for the one and two for the other, meet in the batch normalisations.
#[test]
fn workers_with_helpers_that_look_at_the_whole_batch() {
    let plan = with_norm("");
    let kernels = f64::forms()[0];
    let unhelped = results::<f64>(&plan, 2, 2, kernels);
    for _ in 0..2 {
        assert!(results::<f64>(&plan, 2, 5, kernels) == unhelped);
    }
    let (model, batch) = (model_of(&plan, Kind::Double), batch(&plan, 2));
    let mut native = Native::<f64>::new(&plan, Part::Whole, 5).unwrap();
    for _ in 0..200 {
        let step = native.loss_and_gradient(&model, &batch, 0);
        assert!([bits(&step.loss), bits(&step.gradient)] == unhelped[..2]);
    }
}

/// Threads are divided anew whenever the number of images changes.
#[test]
fn batches_of_changing_sizes() {
    let plan = u_net();
    let model = model_of(&plan, Kind::Float);
    let mut native = Native::<f32>::new(&plan, Part::Whole, 4).unwrap();
    for images in [1, 2, 4, 9, 3, 1] {
        let batch = batch(&plan, images);
        let step = native.loss_and_gradient(&model, &batch, 0);
        let mut fresh = Native::<f32>::new(&plan, Part::Whole, 4).unwrap();
        let expected = fresh.loss_and_gradient(&model, &batch, 0);
        assert!(bits(&step.gradient) == bits(&expected.gradient), "{images} images");
    }
}
