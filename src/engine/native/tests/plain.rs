//! A model's loss, gradient and outputs in plain loops of float32: what rounding alone costs a case.
//!
//! Every sum is taken term by term in the order in which the loops below name the terms, each product and
//! each sum rounded to float32. Rust's arithmetic neither fuses nor reorders, so the result is the same
//! on every processor. Activations and the loss are taken in float64 and rounded once.

use std::ops::Range;

use tch::nn::ModuleT;
use tch::{Kind as Precision, Tensor};

use crate::data::Batch;
use crate::engine::native::grid::Size;
use crate::engine::native::kernels::Activate;
use crate::engine::native::lower::{Kind, Operation};
use crate::engine::native::pass::Direction;
use crate::engine::native::stages::{ConvolutionOptions, DepthwiseOptions};
use crate::engine::native::window::{Side, Window};
use crate::nn::{Elu, LeakyReLU, Loss, PoolOptions, Rescaling};

/// A model as [`super::lower::operations`] gives it, and a mistake that it makes on purpose.
pub(super) struct Plain<'a> {
    pub operations: &'a [Operation],
    pub weights: &'a [f32],
    pub loss: Loss,
    pub mistake: Mistake,
}

/// What a kernel could do wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Mistake {
    None,
    /// Functions of one value are off by one in the last place, as they may be.
    LastPlace,
    /// Every sum is rounded to this many bits instead of float32's 24.
    Bits(u32),
    /// Where this weight meets its first input of an image, the term is left out.
    LostTerm(usize),
    /// This weight takes the value of the one beside it.
    WrongTap(usize),
}

/// `factor * input[i]` is added to `output[o]`; without an input, the factor alone.
struct Term {
    output: usize,
    input: Option<usize>,
    factor: Factor,
}

#[derive(Clone, Copy)]
enum Factor {
    Weight(usize),
    Constant(f32),
}

impl Plain<'_> {
    /// Loss, gradient and outputs.
    pub fn results(&self, batch: &Batch) -> [Tensor; 3] {
        let images = batch.input.chunks_exact(batch.input.len() / batch.len);
        let values: Vec<Vec<Vec<f32>>> = images.map(|image| self.forward(image)).collect();
        let last: Vec<f32> =
            values.iter().flat_map(|values| values.last().unwrap()).copied().collect();
        let each = last.len() / batch.len;
        let target = Tensor::from_slice(batch.target()).to_kind(Precision::Double);
        let masked = batch.supervision.masked().map(|places| {
            let of_each = places.len() / batch.len;
            let places = places.iter().enumerate();
            let places = places.map(|(i, &place)| (i / of_each * each + place as usize) as i64);
            Tensor::from_slice(&places.collect::<Vec<_>>())
        });
        let (loss, slopes) = derivative(&last, |outputs| match &masked {
            None => self.loss.of(outputs, &target),
            Some(places) => {
                self.loss.of(&outputs.index_select(0, places), &target.index_select(0, places))
            }
        });
        let mut gradient = vec![0.0; self.weights.len()];
        for (values, slopes) in values.iter().zip(slopes.chunks_exact(each)) {
            self.backward(values, slopes, &mut gradient);
        }
        [Tensor::from_slice(&loss), Tensor::from_slice(&gradient), Tensor::from_slice(&last)]
    }

    /// An image, then what each operation gives.
    fn forward(&self, image: &[f32]) -> Vec<Vec<f32>> {
        let mut values = vec![image.to_vec()];
        for operation in self.operations {
            let input = values.last().unwrap();
            let output = if let Kind::Activate(function) = operation.kind {
                let results = activation(function, input).0;
                results.into_iter().map(|value| self.off_by_one(value)).collect()
            } else {
                let mut sums = vec![0.0; operation.output.values()];
                self.for_each_term(
                    operation,
                    input,
                    &mut |Term { output, input: from, factor }| {
                        let factor = match factor {
                            Factor::Weight(weight) => self.weight(weight),
                            Factor::Constant(value) => value,
                        };
                        let value = from.map_or(1.0, |i| input[i]);
                        sums[output] = self.rounded(sums[output] + factor * value);
                    },
                );
                sums
            };
            values.push(output);
        }
        values
    }

    /// From the loss's slopes by an image's outputs to the gradient of the weights, which is added up.
    fn backward(&self, values: &[Vec<f32>], slopes: &[f32], gradient: &mut [f32]) {
        let mut slopes = slopes.to_vec();
        for (operation, input) in self.operations.iter().zip(values).rev() {
            slopes = if let Kind::Activate(function) = operation.kind {
                let own = activation(function, input).1;
                own.iter().zip(&slopes).map(|(own, slope)| own * slope).collect()
            } else {
                let mut sums = vec![0.0; input.len()];
                self.for_each_term(
                    operation,
                    input,
                    &mut |Term { output, input: from, factor }| {
                        let factor = match factor {
                            Factor::Weight(weight) => {
                                let value = from.map_or(1.0, |i| input[i]);
                                gradient[weight] =
                                    self.rounded(gradient[weight] + value * slopes[output]);
                                self.weight(weight)
                            }
                            Factor::Constant(value) => value,
                        };
                        if let Some(i) = from {
                            sums[i] = self.rounded(sums[i] + factor * slopes[output]);
                        }
                    },
                );
                sums
            };
        }
    }

    fn weight(&self, weight: usize) -> f32 {
        match self.mistake {
            Mistake::WrongTap(wrong) if wrong == weight => self.weights[weight + 1],
            _ => self.weights[weight],
        }
    }

    fn off_by_one(&self, value: f32) -> f32 {
        let is_off = self.mistake == Mistake::LastPlace && value.is_normal();
        if is_off { f32::from_bits(value.to_bits() + 1) } else { value }
    }

    fn rounded(&self, sum: f32) -> f32 {
        let Mistake::Bits(bits) = self.mistake else { return sum };
        let lost = f32::MANTISSA_DIGITS - bits;
        let half = 1_u32 << (lost - 1);
        f32::from_bits((sum.to_bits() + half) & !((1 << lost) - 1))
    }

    /// The terms of a linear operation; those of a maximum are its winners.
    fn for_each_term(&self, operation: &Operation, input: &[f32], visit: &mut dyn FnMut(Term)) {
        let (before, after) = (operation.input, operation.output);
        let copy =
            |output, input| Term { output, input: Some(input), factor: Factor::Constant(1.0) };
        match &operation.kind {
            Kind::Activate(_) => unreachable!("an activation is no sum"),
            Kind::Fork
            | Kind::Merge(_)
            | Kind::Concatenate(_)
            | Kind::Parted(_)
            | Kind::Broadcast => {
                unreachable!("these cases are chains")
            }
            Kind::BatchNorm(_) | Kind::Sampling(_) | Kind::Penalty(_) | Kind::Chance(..) => {
                unreachable!("these cases compute each image by itself")
            }
            Kind::Softmax
            | Kind::PRelu(_)
            | Kind::LayerNorm(_)
            | Kind::GroupNorm(..)
            | Kind::UnitNorm
            | Kind::GlobalPool { .. }
            | Kind::Permute(_)
            | Kind::DepthToSpace(_)
            | Kind::Repeat(_) => unreachable!("held to libtorch in `graph_tests`"),
            Kind::Reshape => (0..after.values()).for_each(|i| visit(copy(i, i))),
            Kind::Upsample(rows, columns) => for_each_pixel(after, |y, x, c| {
                visit(copy(at(after, y, x, c), at(before, y / rows, x / columns, c)));
            }),
            Kind::PadOrCrop(down, across) => for_each_pixel(after, |y, x, c| {
                let place = |i: usize, by: isize| i.checked_add_signed(-by);
                if let (Some(row), Some(column)) = (place(y, *down), place(x, *across))
                    && row < before.height
                    && column < before.width
                {
                    visit(copy(at(after, y, x, c), at(before, row, column, c)));
                }
            }),
            Kind::MaxPool(pool) => for_each_pixel(after, |y, x, c| {
                let first_of_the_largest = pixels(*pool, before, (y, x)).reduce(|best, other| {
                    let value = |(row, column)| input[at(before, row, column, c)];
                    if value(other) > value(best) { other } else { best }
                });
                let (row, column) = first_of_the_largest.unwrap();
                visit(copy(at(after, y, x, c), at(before, row, column, c)));
            }),
            Kind::AveragePool(pool) => for_each_pixel(after, |y, x, c| {
                let share = 1.0 / pixels(*pool, before, (y, x)).count() as f32;
                for (row, column) in pixels(*pool, before, (y, x)) {
                    visit(Term {
                        output: at(after, y, x, c),
                        input: Some(at(before, row, column, c)),
                        factor: Factor::Constant(share),
                    });
                }
            }),
            Kind::Bilinear(rows, columns) => for_each_pixel(after, |y, x, c| {
                for (row, down) in neighbours(y, *rows, before.height) {
                    for (column, across) in neighbours(x, *columns, before.width) {
                        visit(Term {
                            output: at(after, y, x, c),
                            input: Some(at(before, row, column, c)),
                            factor: Factor::Constant((down * across) as f32),
                        });
                    }
                }
            }),
            Kind::Convolution(ConvolutionOptions {
                window,
                direction,
                coarse_first,
                kernel,
                bias,
                ..
            }) => {
                self.convolution(window, (*direction, *coarse_first), (kernel, bias), visit);
            }
            Kind::Depthwise(DepthwiseOptions { window, kernel, bias, .. }) => {
                self.convolution(window, (Direction::Gather, true), (kernel, bias), visit);
            }
        }
    }

    /// The bias, then tap by tap, coarse pixel by coarse pixel.
    fn convolution(
        &self,
        window: &Window,
        (direction, coarse_first): (Direction, bool),
        (kernel, bias): (&Range<usize>, &Option<Range<usize>>),
        visit: &mut dyn FnMut(Term),
    ) {
        let (fine, coarse) = (window.fine_size(), window.coarse_size());
        let result = if direction == Direction::Gather { coarse } else { fine };
        if let Some(bias) = bias {
            for_each_pixel(result, |y, x, c| {
                let factor = Factor::Weight(bias.start + c);
                visit(Term { output: at(result, y, x, c), input: None, factor });
            });
        }
        let mut lost = false;
        for_each_meeting(window, |tap, (i, y, x), (j, v, u)| {
            let matrix = if coarse_first {
                j * window.fine + i % window.fine
            } else {
                i * window.coarse + j % window.coarse
            };
            let weight = kernel.start + matrix * window.taps() + tap;
            if self.mistake == Mistake::LostTerm(weight) && !std::mem::replace(&mut lost, true) {
                return;
            }
            let (fine, coarse) = (at(fine, y, x, i), at(coarse, v, u, j));
            let (output, input) = match direction {
                Direction::Gather => (coarse, fine),
                Direction::Scatter => (fine, coarse),
            };
            visit(Term { output, input: Some(input), factor: Factor::Weight(weight) });
        });
    }
}

/// Calls `meet` with each tap and the fine and the coarse value that meet under it: channel, row, column.
fn for_each_meeting(
    window: &Window,
    mut meet: impl FnMut(usize, (usize, usize, usize), (usize, usize, usize)),
) {
    // Fine pixel of each tap and coarse pixel of a side, where there is one.
    let pairs = |side: Side| {
        (0..side.taps).map(move |tap| {
            let fine = move |coarse: usize| {
                (coarse * side.stride + tap * side.dilation).checked_add_signed(-side.offset)
            };
            let coarse = 0..side.coarse;
            let inside = coarse.filter_map(move |q| fine(q).map(|p| (p, q)));
            inside.filter(move |&(p, _)| p < side.fine).collect::<Vec<_>>()
        })
    };
    let columns: Vec<Vec<(usize, usize)>> = pairs(window.columns).collect();
    for (tap_row, rows) in pairs(window.rows).enumerate() {
        for (tap_column, columns) in columns.iter().enumerate() {
            let tap = tap_row * window.columns.taps + tap_column;
            for &(y, v) in &rows {
                for &(x, u) in columns {
                    for i in 0..window.fine * window.groups {
                        let first = i / window.fine * window.coarse;
                        for j in first..first + window.coarse {
                            meet(tap, (i, y, x), (j, v, u));
                        }
                    }
                }
            }
        }
    }
}

/// The pixels under a window, from the first to the last that exists.
fn pixels(
    pool: PoolOptions,
    input: Size,
    (y, x): (usize, usize),
) -> impl Iterator<Item = (usize, usize)> {
    let range = |place: usize, length: usize, window: usize, stride: usize| {
        let before = pool.padding.added(length, window, stride).0;
        (place * stride).saturating_sub(before)..(place * stride + window - before).min(length)
    };
    let rows = range(y, input.height, pool.pool_size.0, pool.strides.0);
    let columns = range(x, input.width, pool.pool_size.1, pool.strides.1);
    rows.flat_map(move |row| columns.clone().map(move |column| (row, column)))
}

/// Of a new row or column, the two that it lies between, with their shares.
fn neighbours(i: usize, factor: usize, length: usize) -> [(usize, f64); 2] {
    let place = ((i as f64 + 0.5) / factor as f64 - 0.5).max(0.0);
    let (pixel, share) = (place as usize, place.fract());
    [(pixel, 1.0 - share), ((pixel + 1).min(length - 1), share)]
}

fn at(size: Size, row: usize, column: usize, channel: usize) -> usize {
    (row * size.width + column) * size.channels + channel
}

fn for_each_pixel(size: Size, mut visit: impl FnMut(usize, usize, usize)) {
    for row in 0..size.height {
        for column in 0..size.width {
            (0..size.channels).for_each(|channel| visit(row, column, channel));
        }
    }
}

/// The function of each value, and its derivative there.
fn activation(function: Activate, values: &[f32]) -> (Vec<f32>, Vec<f32>) {
    derivative(values, |values| match function {
        Activate::Activation(activation) => activation.apply(values),
        Activate::LeakyRelu(negative_slope) => LeakyReLU { negative_slope }.forward_t(values, true),
        Activate::Relu(options) => options.forward_t(values, true),
        Activate::Elu(alpha) => Elu { alpha }.forward_t(values, true),
        Activate::Line(scale, offset) => Rescaling { scale, offset }.forward_t(values, true),
    })
}

/// A function of some values, and the derivative of its sum by each of them: in float64, rounded once.
fn derivative(values: &[f32], function: impl Fn(&Tensor) -> Tensor) -> (Vec<f32>, Vec<f32>) {
    let values = Tensor::from_slice(values).to_kind(Precision::Double).set_requires_grad(true);
    let result = function(&values);
    let slopes = Tensor::run_backward(&[result.sum(Precision::Double)], &[&values], false, false);
    let single = |tensor: &Tensor| -> Vec<f32> {
        Vec::try_from(tensor.detach().to_kind(Precision::Float).flatten(0, -1)).unwrap()
    };
    (single(&result), single(&slopes[0]))
}
