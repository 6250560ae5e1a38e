//! The strength of an image's noise, from its flattest blocks: the estimator of Ponomarenko et al. as analysed by
//! Colom and Buades ("Analysis and Extension of the Ponomarenko et al. Method, Estimating a Noise Curve from a
//! Single Image", IPOL 2013). Blocks of 8x8 pixels are ranked by their low frequencies, where images live; the
//! noise is read from the high frequencies of the flattest. Of independent noise both are independent, so that
//! the ranking does not bias the reading.

use std::f64::consts::PI;
use std::sync::LazyLock;

use super::plane::Plane;

/// Side of a block, in pixels.
const SIDE: usize = 8;
/// From one block to the next, in pixels.
const STRIDE: usize = 4;
/// A frequency whose two indices add up to this is a high one: 21 of the 64 are.
const HIGH: usize = 9;
const HIGH_COUNT: f64 = 21.0;
/// The median of a mean of 21 squares, where their expectation is 1 (Wilson and Hilferty 1931).
const MEDIAN: f64 = 0.9686;
/// Share of an image's blocks that are read, and the fewest.
const FLATTEST: f64 = 0.02;
const FEWEST: usize = 12;
/// Groups by brightness, in each of which the flattest are read for the curve.
const SHADES: usize = 6;
/// A block with a larger share of pixels at an end of the range tells nothing.
const SATURATED: f64 = 0.75;
/// One with a larger share than this, and no more than that, is partly clipped.
const PARTLY: f64 = 0.1;
/// One with a smaller share is as good as unclipped.
const UNCLIPPED: f64 = 0.01;

/// What one image tells.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Strength {
    /// Standard deviation of the noise, as if it were independent from pixel to pixel.
    pub deviation: f64,
    /// Share of the blocks in which a part of the pixels lies at an end of the range.
    pub clipped: f64,
    /// Groups of flat, unclipped blocks, by brightness.
    pub shades: Vec<Shade>,
}

/// The flattest blocks of about one brightness.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shade {
    pub mean: f64,
    /// Of independent noise.
    pub variance: f64,
    /// Of all that is in the blocks, at all frequencies.
    pub total: f64,
}

#[derive(Debug, Clone, Copy)]
struct Block {
    mean: f64,
    /// Energy of the low frequencies, and mean energy of the high ones.
    low: f64,
    high: f64,
    clipped: f64,
}

/// The noise of a plane; `None` where no block tells anything.
pub(super) fn strength(plane: &Plane) -> Option<Strength> {
    let mut blocks = blocks(plane);
    blocks.retain(|block| block.clipped <= SATURATED);
    if blocks.len() < FEWEST {
        return None;
    }
    let flat = flattest(&mut blocks);
    let variances = flat.iter().map(|block| block.high / clipped_variance(block.clipped));
    let deviation = (median(variances.collect()) / MEDIAN).sqrt();
    let partly = blocks.iter().filter(|block| block.clipped > PARTLY).count();
    let clipped = partly as f64 / blocks.len() as f64;
    blocks.retain(|block| block.clipped <= UNCLIPPED);
    Some(Strength { deviation, clipped, shades: shades(blocks) })
}

/// Mean brightness and variance of the flattest blocks of each shade.
fn shades(mut blocks: Vec<Block>) -> Vec<Shade> {
    blocks.sort_by(|a, b| a.mean.total_cmp(&b.mean));
    let group = blocks.len().div_ceil(SHADES).max(FEWEST);
    let shade = |group: &mut [Block]| {
        let flat = flattest(group);
        let mean = flat.iter().map(|block| block.mean).sum::<f64>() / flat.len() as f64;
        let variance = median(flat.iter().map(|block| block.high).collect()) / MEDIAN;
        let energy = |block: &Block| block.low + block.high * HIGH_COUNT;
        let total = median(flat.iter().map(energy).collect()) / (SIDE * SIDE - 1) as f64;
        Shade { mean, variance, total }
    };
    blocks.chunks_mut(group).filter(|group| group.len() >= FEWEST).map(shade).collect()
}

/// The blocks with the weakest low frequencies.
fn flattest(blocks: &mut [Block]) -> &[Block] {
    let count = ((blocks.len() as f64 * FLATTEST) as usize).max(FEWEST).min(blocks.len());
    blocks.sort_by(|a, b| a.low.total_cmp(&b.low));
    &blocks[..count]
}

fn blocks(plane: &Plane) -> Vec<Block> {
    let [low, high] = plane.ends();
    let at = |size: usize| (0..=size.saturating_sub(SIDE)).step_by(STRIDE);
    let mut blocks = Vec::new();
    if plane.height < SIDE || plane.width < SIDE {
        return blocks;
    }
    for (y, x) in at(plane.height).flat_map(|y| at(plane.width).map(move |x| (y, x))) {
        let mut values = [[0.0; SIDE]; SIDE];
        let mut clipped = 0;
        for (row, line) in values.iter_mut().enumerate() {
            for (value, &pixel) in line.iter_mut().zip(&plane.row(y + row)[x..]) {
                *value = pixel;
                clipped += usize::from(pixel <= low || pixel >= high);
            }
        }
        blocks.push(block(&values, clipped as f64 / (SIDE * SIDE) as f64));
    }
    blocks
}

fn block(values: &[[f32; SIDE]; SIDE], clipped: f64) -> Block {
    let frequencies = transformed(&transformed(values)); // transposed twice
    let (mut low, mut high) = (0.0, 0.0);
    for (i, j) in (0..SIDE).flat_map(|i| (0..SIDE).map(move |j| (i, j))).skip(1) {
        let energy = f64::from(frequencies[i][j]).powi(2);
        if i + j < HIGH {
            low += energy;
        } else {
            high += energy;
        }
    }
    let mean = f64::from(frequencies[0][0]) / SIDE as f64;
    Block { mean, low, high: high / HIGH_COUNT, clipped }
}

/// The orthonormal cosine transform (DCT-II) of each row, transposed.
fn transformed(values: &[[f32; SIDE]; SIDE]) -> [[f32; SIDE]; SIDE] {
    static BASIS: LazyLock<[[f32; SIDE]; SIDE]> = LazyLock::new(|| {
        std::array::from_fn(|k| {
            let scale = (if k == 0 { 1.0 } else { 2.0 } / SIDE as f64).sqrt();
            let wave = |n: usize| (PI * (n as f64 + 0.5) * k as f64 / SIDE as f64).cos();
            std::array::from_fn(|n| (scale * wave(n)) as f32)
        })
    });
    let product = |row: &[f32; SIDE], wave: &[f32; SIDE]| {
        row.iter().zip(wave).map(|(value, factor)| value * factor).sum()
    };
    std::array::from_fn(|k| std::array::from_fn(|row| product(&values[row], &BASIS[k])))
}

/// What clipping leaves of the variance of normal noise of which it takes this share at one end (Foi, "Clipped noisy
/// images: heteroskedastic modeling and practical denoising", Signal Processing 2009): the variance of
/// `min(Z, a)`, where `a` is exceeded with probability `share`.
fn clipped_variance(share: f64) -> f64 {
    if share <= UNCLIPPED {
        return 1.0;
    }
    let a = upper_quantile(share);
    let density = (-a * a / 2.0).exp() / (2.0 * PI).sqrt();
    let mean = a * share - density;
    let square = (1.0 - share) - a * density + a * a * share;
    square - mean * mean
}

/// What a standard normal number exceeds with this probability, found by bisection.
fn upper_quantile(share: f64) -> f64 {
    let (mut low, mut high) = (-8.0, 8.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if 0.5 * libm::erfc(middle / std::f64::consts::SQRT_2) > share {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// Of an even number of values the upper one of the two in the middle; 0 of none.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
