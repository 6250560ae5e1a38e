//! Each form held to sums in float64 of what rounding leaves of the factors.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use tch::{Device, Kind, Tensor};

use super::*;
use crate::config::sections::Precision;
use crate::engine::Engine;
use crate::engine::libtorch::Libtorch;
use crate::engine::native::Native;
use crate::engine::native::graph_tests::{Builder, distance, model_of};
use crate::engine::native::grid::{Grid, Margin, Size};
use crate::engine::native::kernels::LINE;
use crate::engine::native::training_tests::batch;
use crate::plan::{Part, Plan, Value};

/// Sums of some hundred products in float32, relative to the sum of the products' sizes.
const FLOAT32: f64 = 1e-6;

/// To the nearest bfloat16, by arithmetic: 8 significant bits.
fn rounded(value: f32) -> f64 {
    let unit = 2f64.powi(f64::from(value).abs().log2().floor() as i32 - 7);
    if value == 0.0 { 0.0 } else { (f64::from(value) / unit).round_ties_even() * unit }
}

fn random(count: usize, random: &mut ChaCha8Rng) -> Vec<f32> {
    (0..count).map(|_| random.random_range(-1.0..1.0)).collect()
}

/// A field with a margin that may be wider than what is needed.
fn field(size: Size, margin: Margin, more: usize, images: usize) -> Field<f32> {
    let Margin { top, bottom, left, right } = margin;
    let margin = Margin { top: top + more, bottom, left: left + more, right };
    Field::new(Grid { size, margin }, images)
}

fn fill(field: &mut Field<f32>, images: usize, random_numbers: &mut ChaCha8Rng) {
    for image in 0..images {
        field.take_image(image, &random(field.grid.size.values(), random_numbers));
    }
}

/// A value of an image, zero in the margin.
fn at(field: &Field<f32>, image: usize, row: isize, column: isize, channel: usize) -> f64 {
    let size = field.grid.size;
    let inside =
        |place: isize, length: usize| usize::try_from(place).is_ok_and(|place| place < length);
    if !inside(row, size.height) || !inside(column, size.width) {
        return 0.0;
    }
    rounded(field.row(image, row as usize)[column as usize * size.channels + channel])
}

struct Case {
    window: Window,
    fine: Field<f32>,
    coarse: Field<f32>,
    kernel: Vec<f32>,
}

const IMAGES: usize = 2;

impl Case {
    fn new(numbers: &mut ChaCha8Rng) -> Self {
        let mut side = || {
            let (coarse, taps) = (numbers.random_range(1..36), numbers.random_range(1..=4));
            let dilation = numbers.random_range(1..=2);
            let offset = numbers.random_range(0..taps) as isize;
            let fine = coarse + numbers.random_range(0..3);
            Side { fine, coarse, taps, stride: 1, dilation, offset }
        };
        let (rows, columns) = (side(), side());
        let (fine, coarse) = (numbers.random_range(16..50), numbers.random_range(16..50));
        let window = Window { rows, columns, fine, coarse, groups: 1 };
        let more = numbers.random_range(0..2);
        let mut case = Self {
            window,
            fine: field(window.fine_size(), window.fine_margin(), more, IMAGES),
            coarse: field(window.coarse_size(), window.coarse_margin(), more, IMAGES),
            kernel: random(window.kernel(), numbers),
        };
        fill(&mut case.fine, IMAGES, numbers);
        fill(&mut case.coarse, IMAGES, numbers);
        case
    }

    /// Calls `visit` with each pair of pixels that meets, and their tap: fine row and column, coarse ones, tap.
    fn pairs(&self, mut visit: impl FnMut([isize; 2], [isize; 2], usize)) {
        let Window { rows, columns, .. } = self.window;
        for y in 0..rows.coarse as isize {
            for x in 0..columns.coarse as isize {
                for tap in 0..self.window.taps() {
                    let (row, column) = (tap / columns.taps, tap % columns.taps);
                    visit([y + rows.place(row), x + columns.place(column)], [y, x], tap);
                }
            }
        }
    }

    fn weight(&self, tap: usize, fine: usize, coarse: usize) -> f64 {
        rounded(self.kernel[(tap * self.window.fine + fine) * self.window.coarse + coarse])
    }
}

/// All pixels of an image, of one channel.
fn check(ours: impl Fn([usize; 3]) -> f32, exact: &[(f64, f64)], size: Size, channel: usize) {
    for (place, &(sum, sizes)) in exact.iter().enumerate() {
        let (row, column) = (place / size.width, place % size.width);
        let distance = (f64::from(ours([row, column, channel])) - sum).abs();
        assert!(distance <= FLOAT32 * sizes.max(1e-3), "{distance} at {row}, {column}, {channel}");
    }
}

#[test]
fn all_directions_are_sums_of_rounded_products() {
    let mut numbers = ChaCha8Rng::seed_from_u64(3);
    let suit = |case: &Case| Rounded::<f32>::suits(&case.window);
    let cases: Vec<Case> =
        std::iter::repeat_with(|| Case::new(&mut numbers)).filter(suit).take(8).collect();
    for case in &cases {
        for form in f32::bfloat16() {
            for (direction, threads) in [(Direction::Gather, 1), (Direction::Scatter, 3)] {
                agrees(case, form, direction, &Team::new(threads), &mut numbers);
            }
        }
    }
}

fn agrees(
    case: &Case,
    form: &'static Bfloat16<f32>,
    direction: Direction,
    team: &Team,
    numbers: &mut ChaCha8Rng,
) {
    let Case { window, fine, coarse, kernel } = case;
    let mut ours = Rounded::new(form, *window, direction);
    let (input, gradient) = match direction {
        Direction::Gather => (fine, coarse),
        Direction::Scatter => (coarse, fine),
    };
    let bias = random(gradient.grid.size.channels, numbers);
    ours.load(kernel, Some(&bias));
    let (mut output, mut input_gradient) = (gradient.clone(), input.clone());
    ours.forward(team, (input, 0), (&mut output, 0), IMAGES, |_| {});
    ours.backward(team, (input, 0), (gradient, 0), Some((&mut input_gradient, 0)), IMAGES);
    let mut kernel_gradient = vec![0.0; kernel.len()];
    ours.collect(&mut kernel_gradient);
    // The last image, and single channels of it.
    let image = IMAGES - 1;
    let (f, c) = (numbers.random_range(0..window.fine), numbers.random_range(0..window.coarse));
    let (to_fine, to_coarse) = match direction {
        Direction::Gather => (&input_gradient, &output),
        Direction::Scatter => (&output, &input_gradient),
    };
    let (fine_size, coarse_size) = (window.fine_size(), window.coarse_size());
    let start = |of_result: Direction, channel: usize| {
        if direction == of_result { f64::from(bias[channel]) } else { 0.0 }
    };
    let mut sums = vec![(start(Direction::Gather, c), 1.0); coarse_size.height * coarse_size.width];
    let mut fine_sums =
        vec![(start(Direction::Scatter, f), 1.0); fine_size.height * fine_size.width];
    let mut kernel_sums = vec![(0.0, 0.0); window.taps()];
    let add = |sum: &mut (f64, f64), term: f64| *sum = (sum.0 + term, sum.1 + term.abs());
    case.pairs(|[row, column], [y, x], tap| {
        for channel in 0..window.fine {
            let term = at(fine, image, row, column, channel) * case.weight(tap, channel, c);
            add(&mut sums[y as usize * coarse_size.width + x as usize], term);
        }
        for image in 0..IMAGES {
            add(
                &mut kernel_sums[tap],
                at(fine, image, row, column, f) * at(coarse, image, y, x, c),
            );
        }
        let inside =
            |place: isize, length| usize::try_from(place).is_ok_and(|place| place < length);
        if inside(row, fine_size.height) && inside(column, fine_size.width) {
            for channel in 0..window.coarse {
                let term = at(coarse, image, y, x, channel) * case.weight(tap, f, channel);
                add(&mut fine_sums[row as usize * fine_size.width + column as usize], term);
            }
        }
    });
    let of = |field: &Field<f32>, [row, column, channel]: [usize; 3]| {
        field.row(image, row)[column * field.grid.size.channels + channel]
    };
    check(|place| of(to_coarse, place), &sums, coarse_size, c);
    check(|place| of(to_fine, place), &fine_sums, fine_size, f);
    for (tap, (sum, sizes)) in kernel_sums.iter().enumerate() {
        let ours = kernel_gradient[(tap * window.fine + f) * window.coarse + c];
        let distance = (f64::from(ours) - sum).abs();
        assert!(distance <= FLOAT32 * sizes.max(1e-3), "{distance} of tap {tap}");
    }
}

#[test]
fn what_the_last_convolution_left_does_not_matter() {
    let mut numbers = ChaCha8Rng::seed_from_u64(4);
    let team = Team::alone();
    for form in f32::bfloat16() {
        let case = Case::new(&mut numbers);
        let mut ours = Rounded::new(form, case.window, Direction::Gather);
        ours.load(&case.kernel, None);
        let [first, second] = [0, 1].map(|round| {
            // Infinity, then what is no number.
            with_lines([40_000], |[lines]| lines.fill(Line([0x7f80 | round; LINE])));
            let mut result = case.coarse.clone();
            ours.forward(&team, (&case.fine, 0), (&mut result, 0), IMAGES, |_| {});
            ours.backward(&team, (&case.fine, 0), (&case.coarse, 0), None, IMAGES);
            let mut gradient = vec![0.0; case.kernel.len()];
            ours.collect(&mut gradient);
            assert!(gradient.iter().all(|value| value.is_finite()));
            (result.tail(0).to_vec(), gradient)
        });
        assert_eq!(first, second);
    }
}

/// Convolutions both ways with all that may stand around them: a pooling, a relu, parts, normalisation.
fn plan(dtype: Precision) -> Plan {
    let mut graph = Builder::new([12, 10, 3]);
    let first = graph.conv(20, "relu", Value::Input);
    let norm = graph.layer("layer = \"BatchNormalization\"", first);
    let second = graph.conv(33, "relu", norm);
    let pooled = graph.layer("layer = \"MaxPooling2D\"", second);
    let keys = "kernel_size = [2, 3], padding = \"same\", activation = \"relu\"";
    let back = format!("layer = \"Conv2DTranspose\", filters = 16, {keys}");
    let inner = graph.layer(&back, pooled);
    let up = graph.layer("layer = \"UpSampling2D\"", inner);
    let both = graph.merge("Concatenate", &[up, norm]);
    let last = graph.conv(16, "relu", both);
    graph.conv(3, "sigmoid", last);
    let mut plan = graph.plan();
    plan.config.train.dtype = dtype;
    plan
}

/// Losses, gradient and outputs of an engine.
fn results(engine: &mut dyn Engine, plan: &Plan, kind: Kind) -> Vec<Tensor> {
    let (model, batch) = (model_of(plan, kind), batch(plan, 5));
    let step = engine.loss_and_gradient(&model, &batch, 0);
    let (loss, outputs) = (engine.loss(&model, &batch), engine.outputs(&model, &batch.input));
    [step.loss, step.gradient, loss, outputs].map(|found| found.to_kind(Kind::Double)).into()
}

fn native<T: Real>(dtype: Precision, threads: usize) -> Vec<Tensor> {
    let plan = plan(dtype);
    let mut engine = Native::<T>::new(&plan, Part::Whole, threads).unwrap();
    results(&mut engine, &plan, T::KIND)
}

#[test]
fn a_model_in_mixed_bfloat16_is_no_farther_from_float64_than_where_each_layer_rounds() {
    let mixed = plan(Precision::MixedBfloat16);
    let mut libtorch = Libtorch::new(&mixed, Part::Whole, Device::Cpu, Kind::Float);
    let theirs = results(&mut libtorch, &mixed, Kind::Float);
    let exact = native::<f64>(Precision::Float64, 1);
    let alone = native::<f32>(Precision::MixedBfloat16, 1);
    for (place, (ours, theirs)) in alone.iter().zip(&theirs).enumerate() {
        let [ours, theirs] = [ours, theirs].map(|found| distance(found, &exact[place]));
        // Of float32 it would be 1e-6; a loss may come near by chance.
        let rounded = ours > 1e-5 && ours < 0.1;
        assert!(rounded && ours <= theirs.max(1e-3), "{place}: {ours:.1e}, libtorch {theirs:.1e}");
    }
    for threads in [1, 2, 8] {
        let ours = native::<f32>(Precision::MixedBfloat16, threads);
        // More threads than images share a convolution, whose bits do not know it; others add up gradients in another order.
        let bar = if threads == 1 { 0.0 } else { 1e-6 };
        for (ours, alone) in ours.iter().zip(&alone) {
            assert!(distance(ours, alone) <= bar, "{threads} threads");
        }
    }
}
