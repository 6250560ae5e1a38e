//! What is made of the same position of several values of one size, as Keras's `layers/merging` has it: from
//! the first input to the last, two at a time.
//!
//! ```text
//! Add        y = a + b          da = dy            db = dy
//! Subtract   y = a - b          da = dy            db = -dy
//! Multiply   y = a * b          da = b * dy        db = a * dy
//! Average    y = (a + b) / n    da = dy / n        db = dy / n
//! Maximum    y = max(a, b)      the larger one takes dy; of equal ones each takes half, as on JAX and PyTorch
//! Minimum    y = min(a, b)      the smaller one likewise
//! ```

use super::grid::{Edge, Field};
use super::kernels::Real;
use super::lower::Merge;
use super::step::{copy, pair};

/// The first `images` of the output from those of the inputs.
pub(super) fn forward<T: Real>(
    merge: Merge,
    edges: &mut [Edge<T>],
    inputs: &[usize],
    output: usize,
    images: usize,
) {
    let (&first, others) = inputs.split_first().expect("a merge has inputs");
    let (input, result) = pair(edges, first, output);
    copy(&input.values, &mut result.values, images);
    for &other in others {
        let (input, result) = pair(edges, other, output);
        change(&mut result.values, &input.values, images, |y, x| match merge {
            Merge::Add | Merge::Average => y + x,
            Merge::Subtract => y - x,
            Merge::Multiply => y * x,
            Merge::Maximum => larger(y, x),
            Merge::Minimum => -larger(-y, -x),
        });
    }
    if merge == Merge::Average {
        let count = T::of(inputs.len() as f64);
        let (input, result) = pair(edges, first, output);
        change(&mut result.values, &input.values, images, |y, _| y / count);
    }
}

/// The gradients of the inputs from that of the output.
pub(super) fn backward<T: Real>(
    merge: Merge,
    edges: &mut [Edge<T>],
    inputs: &[usize],
    output: usize,
    images: usize,
) {
    let count = T::of(inputs.len() as f64);
    for (place, &index) in inputs.iter().enumerate() {
        let (input, result) = pair(edges, index, output);
        copy(&result.gradient, &mut input.gradient, images);
        let sign = match merge {
            Merge::Subtract if place > 0 => -T::one(),
            Merge::Average => T::one() / count,
            _ => continue,
        };
        change(&mut input.gradient, &result.gradient, images, |dx, _| dx * sign);
    }
    match merge {
        Merge::Multiply => multiply_by_the_others(edges, inputs, images),
        Merge::Maximum => share_out(edges, inputs, images, T::one()),
        Merge::Minimum => share_out(edges, inputs, images, -T::one()),
        Merge::Add | Merge::Subtract | Merge::Average => {}
    }
}

fn multiply_by_the_others<T: Real>(edges: &mut [Edge<T>], inputs: &[usize], images: usize) {
    for &index in inputs {
        for &other in inputs.iter().filter(|&&other| other != index) {
            let (input, factor) = pair(edges, index, other);
            change(&mut input.gradient, &factor.values, images, |dx, x| dx * x);
        }
    }
}

/// Takes from each input's gradient, which is the whole output's, what belongs to others: an input is held
/// against the largest of those before it, and against each one behind it, as the output was computed. With
/// `sign` -1 the smallest.
fn share_out<T: Real>(edges: &mut [Edge<T>], inputs: &[usize], images: usize, sign: T) {
    let half = T::of(0.5);
    let share = |own: T, other: T| {
        if own > other {
            T::one()
        } else if own == other {
            half
        } else {
            T::zero()
        }
    };
    let mut largest = edges[inputs[0]].values.clone();
    for (place, &index) in inputs.iter().enumerate().skip(1) {
        let values = edges[index].values.clone();
        let gradient = &mut edges[index].gradient;
        // Of this one and the largest before it, each takes its share; all before it are what that one is.
        pairs(gradient, &values, &largest, images, |dx, x, y| dx * share(sign * x, sign * y));
        for &before in &inputs[..place] {
            let gradient = &mut edges[before].gradient;
            pairs(gradient, &values, &largest, images, |dx, x, y| dx * share(sign * y, sign * x));
        }
        change(&mut largest, &values, images, |y, x| sign * larger(sign * y, sign * x));
    }
}

/// NaN stays NaN, so that a run that has diverged is told.
fn larger<T: Real>(a: T, b: T) -> T {
    if a > b || a.wide().is_nan() { a } else { b }
}

fn change<T: Real>(
    target: &mut Field<T>,
    source: &Field<T>,
    images: usize,
    of: impl Fn(T, T) -> T,
) {
    target.zip_rows(source, 0..images, |to, from| {
        to.iter_mut().zip(from).for_each(|(to, &from)| *to = of(*to, from));
    });
}

/// The same with two sources.
fn pairs<T: Real>(
    target: &mut Field<T>,
    first: &Field<T>,
    second: &Field<T>,
    images: usize,
    of: impl Fn(T, T, T) -> T,
) {
    for image in 0..images {
        for row in 0..target.grid.size.height {
            let (one, two) = (first.row(image, row), second.row(image, row));
            let places = target.row_mut(image, row).iter_mut().zip(one).zip(two);
            places.for_each(|((to, &one), &two)| *to = of(*to, one, two));
        }
    }
}
