//! The kernels with unsafe code against loops that anyone can read, on random shapes, in every form
//! that this CPU can run. Every buffer is exactly as long as the kernel's check asks for, on the heap:
//! `scripts/test.sh` runs these tests under valgrind too, which tells of each value read or written
//! beyond an end.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::nn::Activation;

/// Shapes that are tried in each form.
const CASES: usize = 60;

/// Sums of some hundred products of numbers below 1, in another order and with fused roundings.
fn bar<T: Real>() -> f64 {
    256.0 * T::epsilon().wide()
}

fn values<T: Real>(random: &mut impl Rng, count: usize) -> Vec<T> {
    (0..count).map(|_| T::of(random.random_range(-1.0..1.0))).collect()
}

fn close<T: Real>(ours: &[T], plain: &[f64], what: &str) {
    assert_eq!(ours.len(), plain.len(), "{what}");
    for (i, (ours, plain)) in ours.iter().zip(plain).enumerate() {
        let difference = (ours.wide() - plain).abs();
        assert!(difference <= bar::<T>(), "{what}: value {i} is {ours:?}, not {plain}");
    }
}

fn product_on_random_shapes<T: Real>() {
    for kernels in T::forms() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..CASES {
            let (pixels, columns) = (random.random_range(1..40), random.random_range(1..70));
            let (segments, length) = (random.random_range(1..5), random.random_range(1..30));
            let (pieces, piece_step) =
                (random.random_range(1..4), length + random.random_range(0..9));
            let row = (pieces - 1) * piece_step + length;
            let source_step = random.random_range(0..2 * length);
            let segment_step = random.random_range(row..2 * row + 1);
            let result_step = columns + random.random_range(0..5);
            let depth = segments * pieces * length;

            let window = (segments - 1) * segment_step + row;
            let source: Vec<T> = values(&mut random, (pixels - 1) * source_step + window);
            let weights: Vec<T> = values(&mut random, depth * columns);
            let bias: Vec<T> = values(&mut random, columns);
            let mut matrix = Packed::new(depth, columns, kernels.lanes);
            matrix.set_rows(0, depth, &weights, columns, 1);
            matrix.set_bias(&bias);
            // What lies between the pixels must stay.
            let before: Vec<T> = values(&mut random, (pixels - 1) * result_step + columns);
            let mut result = before.clone();
            let run = Product {
                source: &source,
                source_step,
                segments,
                segment_step,
                pieces,
                piece_step,
                piece_length: length,
                matrix: &matrix,
                pixels,
                result_step,
            };
            kernels.product(&run, &mut result);

            let mut plain: Vec<f64> = before.iter().map(|value| value.wide()).collect();
            for pixel in 0..pixels {
                for column in 0..columns {
                    let term = |row: usize| {
                        let (segment, piece) = (row / length / pieces, row / length % pieces);
                        let start = segment * segment_step + piece * piece_step;
                        let at = pixel * source_step + start + row % length;
                        source[at].wide() * weights[row * columns + column].wide()
                    };
                    let sum: f64 = (0..depth).map(term).sum();
                    plain[pixel * result_step + column] = sum + bias[column].wide();
                }
            }
            close(&result, &plain, &format!("{} {run:?}", kernels.name));
        }
    }
}

#[test]
fn a_row_of_pixels_times_a_matrix() {
    product_on_random_shapes::<f32>();
    product_on_random_shapes::<f64>();
}

fn outer_on_random_shapes<T: Real>() {
    for kernels in T::forms() {
        let mut random = ChaCha8Rng::seed_from_u64(2);
        for _ in 0..CASES {
            let (rows, pixels) = (random.random_range(1..5), random.random_range(1..20));
            let (left, right) = (random.random_range(1..40), random.random_range(1..70));
            let stride = Outer::<T>::stride(right, kernels.lanes);
            let mut side = |length: usize, read: usize| {
                let (row_step, step) = (random.random_range(0..99), random.random_range(0..50));
                let count = (rows - 1) * row_step + (pixels - 1) * step + read;
                (values::<T>(&mut random, count), row_step, step, length)
            };
            let sides = [side(left, left), side(right, stride)];
            let before: Vec<T> = values(&mut random, left * stride);
            let mut sums = before.clone();
            let [left, right] = sides.each_ref().map(|(values, row_step, step, length)| Pixels {
                values,
                row_step: *row_step,
                step: *step,
                length: *length,
            });
            kernels.outer(&Outer { left, right, rows, pixels }, &mut sums);

            let term = |i: usize, j: usize| -> f64 {
                let pixel = |side: &Pixels<'_, T>, row: usize, pixel: usize, value: usize| {
                    side.values[row * side.row_step + pixel * side.step + value].wide()
                };
                (0..rows * pixels)
                    .map(|k| (k / pixels, k % pixels))
                    .map(|(y, x)| pixel(&left, y, x, i) * pixel(&right, y, x, j))
                    .sum()
            };
            // The columns that fill up a row to whole vectors hold whatever was read there.
            for i in 0..left.length {
                let range = i * stride..i * stride + right.length;
                let plain: Vec<f64> =
                    (0..right.length).map(|j| before[i * stride + j].wide() + term(i, j)).collect();
                let what = format!("{} {rows} rows of {pixels}, sum {i}", kernels.name);
                close(&sums[range], &plain, &what);
            }
        }
    }
}

#[test]
fn sums_of_outer_products() {
    outer_on_random_shapes::<f32>();
    outer_on_random_shapes::<f64>();
}

/// Some taps: where their pixels and their factors start.
fn random_taps(random: &mut impl Rng, count: usize, row: usize) -> Vec<Tap> {
    let taps = (0..count).map(|tap| Tap { source: random.random_range(0..60), factors: tap * row });
    taps.collect()
}

fn depthwise_on_random_shapes<T: Real>() {
    for kernels in T::forms() {
        let mut random = ChaCha8Rng::seed_from_u64(12);
        for _ in 0..CASES {
            let (pixels, channels): (usize, usize) =
                (random.random_range(1..24), random.random_range(1..40));
            let row = channels.next_multiple_of(kernels.lanes);
            let count = random.random_range(0..12);
            let taps = random_taps(&mut random, count, row);
            let (source_step, result_step) =
                (random.random_range(0..50), channels + random.random_range(0..5));
            let furthest = taps.iter().map(|tap| tap.source).max();
            let read = furthest.map_or(0, |start| start + (pixels - 1) * source_step + row);
            let source: Vec<T> = values(&mut random, read);
            let factors: Vec<T> = values(&mut random, count * row);
            let bias: Vec<T> = values(&mut random, row);
            // What lies between the pixels must stay.
            let before: Vec<T> = values(&mut random, (pixels - 1) * result_step + channels);
            let mut result = before.clone();
            let run = Depthwise {
                source: &source,
                taps: &taps,
                source_step,
                factors: &factors,
                bias: &bias,
                channels,
                pixels,
                result_step,
            };
            kernels.depthwise(&run, &mut result);

            let mut plain: Vec<f64> = before.iter().map(|value| value.wide()).collect();
            for pixel in 0..pixels {
                for c in 0..channels {
                    let term = |tap: &Tap| {
                        let value = source[tap.source + pixel * source_step + c].wide();
                        value * factors[tap.factors + c].wide()
                    };
                    let sum: f64 = taps.iter().map(term).sum();
                    plain[pixel * result_step + c] = sum + bias[c].wide();
                }
            }
            close(&result, &plain, &format!("{} {run:?}", kernels.name));
        }
    }
}

fn depthwise_gradient_on_random_shapes<T: Real>() {
    for kernels in T::forms() {
        let mut random = ChaCha8Rng::seed_from_u64(13);
        for _ in 0..CASES {
            let (pixels, channels): (usize, usize) =
                (random.random_range(1..24), random.random_range(1..40));
            let row = channels.next_multiple_of(kernels.lanes);
            let count = random.random_range(1..12);
            let taps = random_taps(&mut random, count, row);
            let (source_step, gradient_step) =
                (random.random_range(0..50), random.random_range(0..50));
            let start = taps.iter().map(|tap| tap.source).max().unwrap();
            let source: Vec<T> = values(&mut random, start + (pixels - 1) * source_step + row);
            let gradient: Vec<T> = values(&mut random, (pixels - 1) * gradient_step + row);
            let before: Vec<T> = values(&mut random, count * row);
            let mut sums = before.clone();
            let run = DepthwiseGradient {
                source: &source,
                taps: &taps,
                source_step,
                gradient: &gradient,
                gradient_step,
                channels,
                pixels,
            };
            kernels.depthwise_gradient(&run, &mut sums);

            // What fills up a row to whole vectors must stay.
            for tap in &taps {
                let sum = |c: usize| -> f64 {
                    let term = |pixel: usize| {
                        let value = source[tap.source + pixel * source_step + c].wide();
                        value * gradient[pixel * gradient_step + c].wide()
                    };
                    let pixels = if c < channels { pixels } else { 0 };
                    before[tap.factors + c].wide() + (0..pixels).map(term).sum::<f64>()
                };
                let plain: Vec<f64> = (0..row).map(sum).collect();
                let sums = &sums[tap.factors..][..row];
                close(sums, &plain, &format!("{} {tap:?} of {run:?}", kernels.name));
            }
        }
    }
}

#[test]
fn filters_of_one_channel_each() {
    depthwise_on_random_shapes::<f32>();
    depthwise_on_random_shapes::<f64>();
}

#[test]
fn the_gradient_of_filters_of_one_channel_each() {
    depthwise_gradient_on_random_shapes::<f32>();
    depthwise_gradient_on_random_shapes::<f64>();
}

/// What the comments of [`Transform`] say: a row for each pixel that comes out.
fn map_of(transform: Transform) -> Vec<Vec<f64>> {
    let rows: &[&[f64]] = match transform {
        Transform::WinogradSource => &[
            &[1.0, 0.0, -1.0, 0.0],
            &[0.0, 1.0, 1.0, 0.0],
            &[0.0, -1.0, 1.0, 0.0],
            &[0.0, -1.0, 0.0, 1.0],
        ],
        Transform::WinogradGradient => &[&[1.0, 0.0], &[1.0, 1.0], &[1.0, -1.0], &[0.0, 1.0]],
        Transform::WinogradResult => &[&[1.0, 1.0, 1.0, 0.0], &[0.0, 1.0, -1.0, 1.0]],
        Transform::UpsamplingSource => &[&[1.0, -1.0, 0.0], &[0.0, 1.0, 0.0], &[0.0, -1.0, 1.0]],
        Transform::UpsamplingGradient => {
            &[&[0.0, -1.0, 0.0, 1.0], &[0.0, 1.0, 1.0, 0.0], &[1.0, 0.0, -1.0, 0.0]]
        }
        Transform::UpsamplingResult => &[&[1.0, 1.0, 0.0], &[0.0, 1.0, 1.0]],
    };
    rows.iter().map(|row| row.to_vec()).collect()
}

fn tiles_on_random_shapes<T: Real>(transform: Transform) {
    let map = map_of(transform);
    let (before, after) = transform.sizes();
    assert_eq!((map[0].len(), map.len()), (before, after));
    for kernels in T::forms() {
        let mut random = ChaCha8Rng::seed_from_u64(6);
        for _ in 0..CASES / 4 {
            let (rows, tiles) = (random.random_range(1..5), random.random_range(1..5));
            let channels = random.random_range(1..40);
            let kept = (random.random_range(1..=after), random.random_range(1..=after));
            // Tiles of the source may overlap; those of the target do not.
            let mut steps = |side: usize, apart: usize| {
                let across = channels + random.random_range(0..3);
                let tiles_step = apart * across;
                let down = (tiles - 1) * tiles_step + side * across;
                Steps { rows: apart * down, tiles: tiles_step, down, across }
            };
            let (from, to) = (steps(before, 1), steps(after, after));
            let last = (rows - 1) * from.rows + (tiles - 1) * from.tiles;
            let read = (before - 1) * (from.down + from.across);
            let source: Vec<T> =
                values(&mut random, last + read + channels.next_multiple_of(kernels.lanes));
            let pixel = |place: usize, count: usize, side: usize, kept: usize| {
                place / side + 1 < count || place % side < kept
            };
            let places: Vec<(usize, usize)> = (0..rows * after)
                .flat_map(|y| (0..tiles * after).map(move |x| (y, x)))
                .filter(|&(y, x)| pixel(y, rows, after, kept.0) && pixel(x, tiles, after, kept.1))
                .collect();
            let at = |y: usize, x: usize| y * to.down + x * to.across;
            let end = places.iter().map(|&(y, x)| at(y, x) + channels).max().unwrap();
            let untouched: Vec<T> = values(&mut random, end);
            let mut target = untouched.clone();
            let run = TileMap { transform, source: &source, from, to, rows, tiles, kept, channels };
            kernels.tiles(&run, &mut target);

            let mut plain: Vec<f64> = untouched.iter().map(|value| value.wide()).collect();
            for (y, x) in places {
                for c in 0..channels {
                    let first = y / after * from.rows + x / after * from.tiles + c;
                    let term = |k: usize| {
                        let (i, j) = (k / before, k % before);
                        let value = source[first + i * from.down + j * from.across].wide();
                        map[y % after][i] * map[x % after][j] * value
                    };
                    plain[at(y, x) + c] = (0..before * before).map(term).sum();
                }
            }
            close(&target, &plain, &format!("{} {transform:?}", kernels.name));
        }
    }
}

#[test]
fn maps_of_tiles() {
    for transform in [
        Transform::WinogradSource,
        Transform::WinogradGradient,
        Transform::WinogradResult,
        Transform::UpsamplingSource,
        Transform::UpsamplingGradient,
        Transform::UpsamplingResult,
    ] {
        tiles_on_random_shapes::<f32>(transform);
        tiles_on_random_shapes::<f64>(transform);
    }
}

/// What [`Overlap`] makes, by sums over all pixels of all tiles.
fn plain_overlap<T: Real>(run: &Overlap<'_, T>, (y, x, c): (usize, usize, usize)) -> f64 {
    // Of a source's pixel, the planes' shares along one side.
    let map = map_of(Transform::WinogradSource);
    let shares = |place: usize, tile: usize, first: isize| {
        let pixel = usize::try_from(place as isize - first - 2 * tile as isize).ok();
        (0..4)
            .map(|plane| pixel.and_then(|i| map[plane].get(i).copied()).unwrap_or(0.0))
            .collect::<Vec<_>>()
    };
    let mut sum = run.bias[c].wide();
    for (row, tile) in
        (0..run.tiles.0).flat_map(|row| (0..run.tiles.1).map(move |tile| (row, tile)))
    {
        let first = row * run.from.rows + tile * run.from.tiles + c;
        for (i, down) in shares(y, row, run.first.0).iter().enumerate() {
            for (j, across) in shares(x, tile, run.first.1).iter().enumerate() {
                let value = run.planes[first + i * run.from.down + j * run.from.across];
                sum += down * across * value.wide();
            }
        }
    }
    sum
}

fn overlap_on_random_shapes<T: Real>() {
    for kernels in T::forms() {
        let mut random = ChaCha8Rng::seed_from_u64(5);
        for _ in 0..CASES {
            let tiles = (random.random_range(1..5), random.random_range(1..5));
            let channels = random.random_range(1..40);
            let whole = usize::next_multiple_of(channels, kernels.lanes);
            let mut side = |tiles: usize| {
                let first = -(random.random_range(0..3_usize) as isize);
                (first, random.random_range(1..=(2 * tiles + 2).strict_sub_signed(-first)))
            };
            let ((top, height), (left, width)) = (side(tiles.0), side(tiles.1));
            let across = channels + random.random_range(0..5);
            let from = Steps {
                rows: 4 * across * 5 * tiles.1,
                tiles: across,
                down: 20 * across,
                across: 4 * across,
            };
            let row_step = width * channels + random.random_range(0..5);

            let last = (tiles.0 - 1) * from.rows + (tiles.1 - 1) * from.tiles;
            let planes: Vec<T> = values(&mut random, last + 3 * (from.down + from.across) + whole);
            let bias: Vec<T> = values(&mut random, whole);
            // What lies between the rows must stay.
            let end = (height - 1) * row_step + (width - 1) * channels + whole;
            let before: Vec<T> = values(&mut random, end);
            let mut image = before.clone();
            let run = Overlap {
                planes: &planes,
                from,
                tiles,
                above: 0,
                below: 0,
                first: (top, left),
                size: (height, width),
                row_step,
                channels,
                bias: &bias,
            };
            // All rows of tiles at once, or those above a cut before those below.
            let cut = random.random_range(0..tiles.0);
            for rows in [0..cut, cut..tiles.0] {
                if !rows.is_empty() {
                    let part = Overlap {
                        planes: &planes[rows.start * from.rows..],
                        tiles: (rows.len(), tiles.1),
                        above: rows.start,
                        below: tiles.0 - rows.end,
                        ..run
                    };
                    kernels.overlap(&part, &mut image);
                }
            }

            let mut plain: Vec<f64> = before.iter().map(|value| value.wide()).collect();
            for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
                for c in 0..channels {
                    plain[y * row_step + x * channels + c] = plain_overlap(&run, (y, x, c));
                }
            }
            close(&image, &plain, kernels.name);
        }
    }
}

#[test]
fn overlapping_tiles() {
    overlap_on_random_shapes::<f32>();
    overlap_on_random_shapes::<f64>();
}

fn refuses(what: impl FnOnce() + std::panic::UnwindSafe) {
    assert!(std::panic::catch_unwind(what).is_err(), "a buffer too short was accepted");
}

#[test]
fn buffers_that_are_one_value_too_short_are_refused() {
    for kernels in f32::forms() {
        let matrix = Packed::new(6, 5, kernels.lanes);
        let run = |source: &[f32], result: &mut [f32]| {
            let run = Product {
                source,
                source_step: 3,
                segments: 2,
                segment_step: 10,
                pieces: 1,
                piece_step: 0,
                piece_length: 3,
                matrix: &matrix,
                pixels: 4,
                result_step: 5,
            };
            kernels.product(&run, result);
        };
        let (source, result) = (3 * 3 + 10 + 3, 4 * 5);
        run(&vec![0.0; source], &mut vec![0.0; result]);
        refuses(|| run(&vec![0.0; source - 1], &mut vec![0.0; result]));
        refuses(|| run(&vec![0.0; source], &mut vec![0.0; result - 1]));

        let outer = |left: &[f32], right: &[f32], sums: &mut [f32]| {
            let side = |values, length| Pixels { values, row_step: 9, step: 2, length };
            let (left, right) = (side(left, 2), side(right, 3));
            kernels.outer(&Outer { left, right, rows: 2, pixels: 3 }, sums);
        };
        let stride = Outer::<f32>::stride(3, kernels.lanes);
        let (left, right, sums) = (9 + 4 + 2, 9 + 4 + stride, 2 * stride);
        outer(&vec![0.0; left], &vec![0.0; right], &mut vec![0.0; sums]);
        refuses(|| outer(&vec![0.0; left - 1], &vec![0.0; right], &mut vec![0.0; sums]));
        refuses(|| outer(&vec![0.0; left], &vec![0.0; right - 1], &mut vec![0.0; sums]));
        refuses(|| outer(&vec![0.0; left], &vec![0.0; right], &mut vec![0.0; sums - 1]));

        let tiles = |source: &[f32], target: &mut [f32]| {
            let from = Steps { rows: 50, tiles: 6, down: 20, across: 3 };
            let to = Steps { rows: 40, tiles: 6, down: 20, across: 3 };
            let transform = Transform::WinogradResult;
            let (rows, tiles, kept, channels) = (2, 3, (1, 2), 3);
            let run = TileMap { transform, source, from, to, rows, tiles, kept, channels };
            kernels.tiles(&run, target);
        };
        let source = 50 + 2 * 6 + 3 * (20 + 3) + 3_usize.next_multiple_of(kernels.lanes);
        let target = 40 + 2 * 6 + 3 + 3;
        tiles(&vec![0.0; source], &mut vec![0.0; target]);
        refuses(|| tiles(&vec![0.0; source - 1], &mut vec![0.0; target]));
        refuses(|| tiles(&vec![0.0; source], &mut vec![0.0; target - 1]));

        let overlap = |planes: &[f32], bias: &[f32], size, target: &mut [f32]| {
            let from = Steps { rows: 50, tiles: 6, down: 20, across: 3 };
            let (tiles, first, row_step, channels) = ((2, 3), (-1, -1), 30, 3);
            let (above, below) = (0, 0);
            let run = Overlap {
                planes,
                from,
                tiles,
                above,
                below,
                first,
                size,
                row_step,
                channels,
                bias,
            };
            kernels.overlap(&run, target);
        };
        let whole = 3_usize.next_multiple_of(kernels.lanes);
        let (planes, target, size) =
            (50 + 2 * 6 + 3 * (20 + 3) + whole, 4 * 30 + 6 * 3 + whole, (5, 7));
        let zeros = |count| vec![0.0; count];
        overlap(&zeros(planes), &zeros(whole), size, &mut zeros(target));
        refuses(|| overlap(&zeros(planes - 1), &zeros(whole), size, &mut zeros(target)));
        refuses(|| overlap(&zeros(planes), &zeros(whole - 1), size, &mut zeros(target)));
        refuses(|| overlap(&zeros(planes), &zeros(whole), size, &mut zeros(target - 1)));
        refuses(|| overlap(&zeros(planes), &zeros(whole), (6, 7), &mut zeros(target + 30)));
    }
}

#[test]
fn a_matrix_packed_for_another_form_is_refused() {
    for kernels in f32::forms() {
        let matrix = Packed::new(1, 1, 2 * kernels.lanes);
        refuses(|| {
            let run = Product {
                source: &[1.0],
                source_step: 1,
                segments: 1,
                segment_step: 1,
                pieces: 1,
                piece_step: 1,
                piece_length: 1,
                matrix: &matrix,
                pixels: 1,
                result_step: 1,
            };
            kernels.product(&run, &mut [0.0]);
        });
    }
}

/// Every value that a row of logits can hold, far beyond where Keras clips.
fn logits<T: Real>() -> Vec<T> {
    (-4000..=4000).map(|i| T::of(f64::from(i) / 100.0)).collect()
}

fn sigmoid_and_its_loss<T: Real>() {
    for kernels in T::forms() {
        let mut results = logits::<T>();
        kernels.sigmoid(&mut results);
        let plain: Vec<f64> =
            logits::<T>().iter().map(|z| 1.0 / (1.0 + (-z.wide()).exp())).collect();
        close(&results, &plain, kernels.name);

        let (smallest, largest) = (T::of(-16.0), T::of(16.0));
        let targets: Vec<T> = values(&mut ChaCha8Rng::seed_from_u64(3), logits::<T>().len());
        let mut gradient = logits::<T>();
        let loss = LogitLoss { smallest, largest, scale: T::of(0.5) };
        let sum = kernels.logit_loss(loss, &mut gradient, &targets);
        let pairs = || logits::<T>().into_iter().zip(&targets).map(|(z, t)| (z.wide(), t.wide()));
        let clipped = |z: f64| z.clamp(smallest.wide(), largest.wide());
        let exact: f64 = pairs().map(|(z, t)| clipped(z).exp().ln_1p() - t * clipped(z)).sum();
        assert!((sum - exact).abs() <= bar::<T>() * exact.abs(), "{}: {sum} {exact}", kernels.name);
        let slope = |(z, t): (f64, f64)| {
            if z.abs() <= largest.wide() { 0.5 * (1.0 / (1.0 + (-z).exp()) - t) } else { 0.0 }
        };
        close(&gradient, &pairs().map(slope).collect::<Vec<f64>>(), kernels.name);
    }
}

#[test]
fn the_sigmoid_and_the_cross_entropy_of_logits() {
    sigmoid_and_its_loss::<f32>();
    sigmoid_and_its_loss::<f64>();
}

/// From the smallest numbers to those beyond which nothing changes, on both sides of 0.
fn of_all_sizes() -> Vec<f64> {
    let sizes = (0..=400).map(|i| 10_f64.powf(f64::from(i) / 50.0 - 6.0));
    sizes.clone().chain(sizes.map(|x| -x)).chain([0.0]).collect()
}

const WITH_EXPONENTIALS: [Activation; 7] = [
    Activation::Elu,
    Activation::Tanh,
    Activation::Exponential,
    Activation::Softplus,
    Activation::Silu,
    Activation::Gelu,
    Activation::Mish,
];

/// The result and the derivative by float64's own functions.
fn by_float64(activation: Activation, x: f64) -> (f64, f64) {
    let sigmoid = 1.0 / (1.0 + (-x).exp());
    let softplus = if x > 0.0 { x + (-x).exp().ln_1p() } else { x.exp().ln_1p() };
    let below = 0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2);
    let density = (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let steep = |x: f64| 1.0 / x.cosh() / x.cosh();
    match activation {
        Activation::Elu => {
            if x > 0.0 {
                (x, 1.0)
            } else {
                (x.exp_m1(), x.exp())
            }
        }
        Activation::Tanh => (x.tanh(), steep(x)),
        Activation::Exponential => (x.exp(), x.exp()),
        Activation::Softplus => (softplus, sigmoid),
        Activation::Silu => (x * sigmoid, sigmoid * (1.0 + x * (1.0 - sigmoid))),
        Activation::Gelu => (x * below, below + x * density),
        Activation::Mish => (x * softplus.tanh(), softplus.tanh() + x * steep(softplus) * sigmoid),
        _ => unreachable!("it has no exponential"),
    }
}

fn activations_at_all_sizes<T: Real>() {
    // Beyond these the exponential ends, and numbers have no longer all their digits.
    let (most, least) = if T::epsilon().wide() > 1e-10 { (80.0, 1e-30) } else { (600.0, 1e-290) };
    let values: Vec<T> =
        of_all_sizes().into_iter().filter(|x| x.abs() <= most).map(T::of).collect();
    let ones = vec![T::one(); values.len()];
    for kernels in T::forms() {
        for activation in WITH_EXPONENTIALS {
            let function = Activate::Activation(activation);
            let (mut results, mut slopes) = (ones.clone(), ones.clone());
            kernels.activate(function, &values, &mut results);
            kernels.activate_gradient(function, &values, &ones, &mut slopes);
            for (x, (y, slope)) in values.iter().zip(results.into_iter().zip(slopes)) {
                let (x, exact) = (x.wide(), by_float64(activation, x.wide()));
                // A square of this size is itself rounded before it is an exponent.
                let places = 6.0 * T::epsilon().wide() * (1.0 + x.abs()).powi(2).min(30.0);
                let near = |ours: f64, exact: f64, size: f64| {
                    (ours - exact).abs() <= places * size.max(least)
                };
                // There the slopes of some cross zero.
                let size = if (-2.0..0.0).contains(&x) { 1.0 } else { exact.1.abs() };
                assert!(
                    near(y.wide(), exact.0, exact.0.abs()) && near(slope.wide(), exact.1, size),
                    "{activation:?}, {}, of {x}: {y:?}, {slope:?}, not {exact:?}",
                    kernels.name
                );
            }
        }
    }
}

/// What is no number stays so, and the largest ones have their limits.
fn activations_at_the_ends<T: Real>() {
    let values = [T::of(1e38), T::of(-1e38), T::nan()];
    for kernels in T::forms() {
        for activation in WITH_EXPONENTIALS {
            let function = Activate::Activation(activation);
            let (mut results, mut slopes) = ([T::one(); 3], [T::one(); 3]);
            kernels.activate(function, &values, &mut results);
            kernels.activate_gradient(function, &values, &[T::one(); 3], &mut slopes);
            let what = format!("{activation:?}, {}: {results:?}, {slopes:?}", kernels.name);
            for (place, x) in [1e38_f32, -1e38].into_iter().enumerate() {
                let exact = by_float64(activation, f64::from(x));
                let ours = (results[place].wide(), slopes[place].wide());
                for (ours, exact) in [(ours.0, exact.0), (ours.1, exact.1)] {
                    let both_end = exact.is_infinite() && ours.is_infinite();
                    let near = (ours - exact).abs() <= 1e-6 * exact.abs().max(1e-30);
                    assert!(both_end || near, "{what}, not {exact}");
                }
            }
            assert!(results[2].is_nan() && slopes[2].is_nan(), "{what}");
        }
    }
}

#[test]
fn activations_of_numbers_of_all_sizes() {
    activations_at_all_sizes::<f32>();
    activations_at_all_sizes::<f64>();
    activations_at_the_ends::<f32>();
    activations_at_the_ends::<f64>();
}

#[test]
fn of_equal_candidates_the_first_one_wins_the_pooling_and_its_gradient() {
    for kernels in f32::forms() {
        // Two rows of four pixels of one channel, pooled by 2x2.
        let source = [1.0, 3.0, 5.0, 5.0, 3.0, 2.0, 5.0, 0.0];
        let pool = Candidates { starts: &[0, 1, 4, 5], step: 2, channels: 1 };
        let (mut result, mut winners) = ([0.0; 2], [9; 2]);
        kernels.max_pool(&source, &pool, &mut result, &mut winners);
        close(&result, &[3.0, 5.0], kernels.name);
        assert_eq!(winners, [1, 0], "{}", kernels.name);
        let mut gradient = [7.0; 8];
        kernels.max_pool_gradient(&[2.0, 4.0], &winners, &pool, &mut gradient);
        close(&gradient, &[0.0, 2.0, 4.0, 0.0, 0.0, 0.0, 0.0, 0.0], kernels.name);
    }
}

fn pooling_and_sums_on_random_shapes<T: Real>() {
    for kernels in T::forms() {
        let mut random = ChaCha8Rng::seed_from_u64(4);
        for _ in 0..CASES {
            let (channels, pixels) = (random.random_range(1..70), random.random_range(1..9));
            let (height, width) = (random.random_range(1..4), random.random_range(1..4));
            let (row, step) = (pixels * width * channels, width * channels);
            let starts: Vec<usize> =
                (0..height * width).map(|k| k / width * row + k % width * channels).collect();
            let pool = Candidates { starts: &starts, step, channels };
            // Few different values, so that many candidates are equal.
            let source: Vec<T> =
                (0..height * row).map(|_| T::of(f64::from(random.random_range(-2..3)))).collect();
            let (mut result, mut winners) =
                (vec![T::zero(); pixels * channels], vec![9; pixels * channels]);
            kernels.max_pool(&source, &pool, &mut result, &mut winners);
            let gradient: Vec<T> = values(&mut random, pixels * channels);
            let mut given: Vec<T> = values(&mut random, source.len());
            kernels.max_pool_gradient(&gradient, &winners, &pool, &mut given);

            let mut plain = vec![0.0; source.len()];
            for i in 0..pixels * channels {
                let at = |k: usize| starts[k] + i / channels * step + i % channels;
                let first = (0..starts.len()).rev().max_by(|&a, &b| {
                    source[at(a)].partial_cmp(&source[at(b)]).expect("there is no NaN")
                });
                let first = first.expect("there are candidates");
                assert_eq!((result[i], usize::from(winners[i])), (source[at(first)], first));
                plain[at(first)] = gradient[i].wide();
            }
            close(&given, &plain, kernels.name);

            let before: Vec<T> = values(&mut random, channels);
            let mut sums = before.clone();
            let length = row - step; // all but the last pixels of a row
            let table = Table { values: &source, rows: height, row_step: row, length };
            kernels.column_sums(&table, &mut sums);
            let column = |c: usize| -> f64 {
                let rows = source.chunks_exact(row).map(|row| &row[..length]);
                rows.flat_map(|row| row.iter().skip(c).step_by(channels)).map(|v| v.wide()).sum()
            };
            let plain: Vec<f64> = (0..channels).map(|c| before[c].wide() + column(c)).collect();
            close(&sums, &plain, kernels.name);
        }
    }
}

#[test]
fn pooling_its_gradient_and_sums_by_channels() {
    pooling_and_sums_on_random_shapes::<f32>();
    pooling_and_sums_on_random_shapes::<f64>();
}

#[test]
fn what_is_not_a_number_passes_relu_and_pooling_and_their_gradients() {
    for kernels in f32::forms() {
        let mut values = [f32::NAN, -1.0, 2.0];
        kernels.relu(&mut values);
        assert!(values[0].is_nan(), "{}", kernels.name);
        close(&values[1..], &[0.0, 2.0], kernels.name);
        let mut gradient = [5.0, 6.0, 7.0];
        kernels.relu_gradient(&values, &mut gradient);
        close(&gradient, &[5.0, 0.0, 7.0], kernels.name);

        let pool = Candidates { starts: &[0, 1, 2], step: 3, channels: 1 };
        for source in [[f32::NAN, 1.0, 2.0], [1.0, f32::NAN, 2.0], [1.0, 2.0, f32::NAN]] {
            let (mut result, mut winners) = ([0.0], [9]);
            kernels.max_pool(&source, &pool, &mut result, &mut winners);
            assert!(result[0].is_nan() && source[usize::from(winners[0])].is_nan(), "{source:?}");
        }
    }
}

fn channels_on_random_shapes<T: Real>() {
    for kernels in T::forms() {
        let mut random = ChaCha8Rng::seed_from_u64(9);
        for _ in 0..CASES {
            let (pixels, channels) = (random.random_range(1..9), random.random_range(1..40));
            let [x, dy]: [Vec<T>; 2] = [0, 1].map(|_| values(&mut random, pixels * channels));
            let mut numbers = || values::<f64>(&mut random, channels);
            let (means, factors, slopes, offsets) = (numbers(), numbers(), numbers(), numbers());
            let all = (0..pixels * channels).map(|i| (i, i % channels));
            let distance = |i: usize, c: usize| x[i].wide() - means[c];

            let mut result = vec![T::zero(); pixels * channels];
            let lines = Lines { means: &means, factors: &factors, offsets: &offsets };
            kernels.lines(&lines, &x, &mut result);
            let line = |(i, c)| distance(i, c) * factors[c] + offsets[c];
            close(&result, &all.clone().map(line).collect::<Vec<_>>(), kernels.name);

            let run = Slopes {
                means: &means,
                factors: &factors,
                by_distance: &slopes,
                offsets: &offsets,
            };
            kernels.slopes(&run, &dy, &x, &mut result);
            let slope = |(i, c): (usize, usize)| {
                factors[c] * dy[i].wide() - distance(i, c) * slopes[c] - offsets[c]
            };
            close(&result, &all.clone().map(slope).collect::<Vec<_>>(), kernels.name);

            let [mut moments, mut products] = [Sums::new(channels), Sums::new(channels)];
            kernels.moments(&x, &means, &mut moments);
            kernels.products(&dy, &x, &means, &mut products);
            let [mut squares, mut by_gradient] = [Sums::new(channels), Sums::new(channels)];
            for (i, c) in all {
                let (distance, dy) = (distance(i, c), dy[i].wide());
                squares.0[0][c] += distance;
                squares.0[1][c] += distance * distance;
                by_gradient.0[0][c] += dy;
                by_gradient.0[1][c] += dy * distance;
            }
            for (ours, plain) in [(moments, squares), (products, by_gradient)] {
                (0..2).for_each(|sum| close(&ours.0[sum], &plain.0[sum], kernels.name));
            }
        }
    }
}

#[test]
fn lines_slopes_and_sums_by_channels() {
    channels_on_random_shapes::<f32>();
    channels_on_random_shapes::<f64>();
}
