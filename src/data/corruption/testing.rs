//! What the tests of the kinds share: images, streams and bars in standard errors.

use rand::RngExt;

use crate::config::corruption::{Corruption, CorruptionKind};
use crate::data::corruption::Split;
use crate::system::random::{Purpose, Stream, stream};

/// How far a statistic may be off, in standard errors.
const BAR: f64 = 4.0;

/// The stream of an image.
pub(super) fn some_stream(index: u64) -> Stream {
    stream(11, Purpose::TrainCorruption, 0, index)
}

/// An image whose values are drawn from 0..1.
pub(super) fn random_image(shape: [usize; 3], index: u64) -> Vec<f32> {
    let mut stream = stream(12, Purpose::Weights, 0, index);
    (0..shape.iter().product()).map(|_| stream.random()).collect()
}

/// One image, corrupted by one kind.
pub(super) fn corrupted(
    kind: &CorruptionKind,
    image: &[f32],
    shape: [usize; 3],
    index: u64,
) -> Vec<f32> {
    let mut values = image.to_vec();
    let corruption = Corruption(vec![kind.clone()]);
    corruption.apply(&mut values, shape, 7, Split::Train, 1, index);
    values
}

/// What becomes of `count` images of 28x28 that have this value everywhere.
pub(super) fn corrupted_flats(kind: &CorruptionKind, value: f32, count: u64) -> Vec<f64> {
    let flat = vec![value; 28 * 28];
    let images = (0..count).map(|index| corrupted(kind, &flat, [28, 28, 1], index));
    images.flatten().map(f64::from).collect()
}

/// The mean of independent numbers of this deviation is what it should be.
pub(super) fn assert_mean(numbers: &[f64], expected: f64, deviation: f64) {
    let count = numbers.len() as f64;
    let off = (numbers.iter().sum::<f64>() / count - expected) / (deviation / count.sqrt());
    assert!(off.abs() < BAR, "the mean is {off:.1} standard errors from {expected}");
}

/// Numbers of a distribution with this mean, variance and excess kurtosis: the first two moments
/// are as they should be, and neighbours have nothing in common.
pub(super) fn assert_moments(numbers: &[f64], mean: f64, variance: f64, kurtosis: f64) {
    assert_mean(numbers, mean, variance.sqrt());
    let squares: Vec<f64> = numbers.iter().map(|number| (number - mean).powi(2)).collect();
    assert_mean(&squares, variance, variance * (kurtosis + 2.0).sqrt());
    let products: Vec<f64> =
        numbers.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).collect();
    assert_mean(&products, 0.0, variance);
}

/// Two images are the same to this much a value.
pub(super) fn assert_near(found: &[f32], expected: &[f32], bar: f32) {
    assert_eq!(found.len(), expected.len());
    let differences = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    let worst = differences.fold(0.0, f32::max);
    assert!(worst <= bar, "{worst} apart, {bar} allowed");
}
