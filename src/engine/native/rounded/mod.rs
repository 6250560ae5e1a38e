//! Convolutions whose factors are rounded to bfloat16, and whose sums are float32: what `train.dtype = "mixed_bfloat16"`
//! asks for. All that lies between them stays as it is, so that less is lost than where every layer gives bfloat16.
//!
//! The products come in tiles ([`Bfloat16`]): of a direction ([`pass`]), 64 pixels times 16 channels of the result, whose
//! terms are the channels of all taps; of the kernel's gradient ([`outer`]), 32 coarse channels times two taps of 16 fine
//! channels, whose terms are the pixels. The fields are rounded into the order in which tiles read them first.

mod outer;
mod pass;
#[cfg(test)]
mod tests;

use std::cell::Cell;

use super::grid::Field;
use super::kernels::{Bfloat16, Line, Real};
use super::pass::Direction;
use super::team::Team;
use super::window::{Side, Window};
use outer::Outer;
use pass::Pass;

/// Fewer channels than these leave most of a tile empty: then float32 is as fast, and loses nothing.
const FEWEST_CHANNELS: usize = 16;

/// Images from this one on.
type At<'a, T> = (&'a Field<T>, usize);
type AtMut<'a, T> = (&'a mut Field<T>, usize);

/// A convolution's arithmetic with its buffers.
#[derive(Debug)]
pub(super) struct Rounded<T: Real> {
    direction: Direction,
    forward: Pass<T>,
    backward: Pass<T>,
    outer: Outer<T>,
}

impl<T: Real> Rounded<T> {
    /// Whether there are tiles for a convolution: those whose windows lie side by side, and that have channels enough.
    pub fn suits(window: &Window) -> bool {
        let is_plain = |side: &Side| side.stride == 1;
        let pixels = window.rows.coarse * window.columns.coarse;
        is_plain(&window.rows)
            && is_plain(&window.columns)
            && window.groups == 1
            && pixels > 1
            && window.fine.min(window.coarse) >= FEWEST_CHANNELS
    }

    /// Computed by `form`.
    pub fn new(form: &'static Bfloat16<T>, window: Window, direction: Direction) -> Self {
        Self {
            direction,
            forward: Pass::new(form, &window, direction),
            backward: Pass::new(form, &window, direction.reverse()),
            outer: Outer::new(form, &window),
        }
    }

    /// Takes over a kernel as the window sees it, and the bias.
    pub fn load(&mut self, kernel: &[T], bias: Option<&[T]>) {
        self.forward.pack(kernel, bias);
        self.backward.pack(kernel, None);
    }

    /// `finish` is called on each row while it is in the cache.
    pub fn forward(
        &self,
        team: &Team,
        (source, from): At<'_, T>,
        (result, to): AtMut<'_, T>,
        images: usize,
        finish: impl Fn(&mut [T]) + Sync,
    ) {
        for image in 0..images {
            self.forward.run(team, (source, from + image), (&mut *result, to + image), &finish);
        }
    }

    /// Adds up the kernel's gradient, and computes the input's where it is wanted.
    pub fn backward(
        &mut self,
        team: &Team,
        (input, from): At<'_, T>,
        (gradient, of): At<'_, T>,
        mut result: Option<AtMut<'_, T>>,
        images: usize,
    ) {
        for image in 0..images {
            let (input, gradient) = ((input, from + image), (gradient, of + image));
            let (fine, coarse) = match self.direction {
                Direction::Gather => (input, gradient),
                Direction::Scatter => (gradient, input),
            };
            self.outer.add(team, fine, coarse);
            if let Some((result, to)) = &mut result {
                self.backward.run(team, gradient, (&mut **result, *to + image), &|_: &mut [T]| {});
            }
        }
    }

    /// Hands out the kernel's gradient, as the window sees it, and starts it anew.
    pub fn collect(&mut self, kernel: &mut [T]) {
        self.outer.collect(kernel);
    }
}

/// Calls `work` with so many lines for each purpose. A thread has the same ones for all convolutions, so that they stay in
/// its cache; what they hold at first is what the last one left.
fn with_lines<const N: usize>(counts: [usize; N], work: impl FnOnce([&mut [Line]; N])) {
    thread_local! { static LINES: Cell<Vec<Line>> = const { Cell::new(Vec::new()) }; }
    let mut lines = LINES.take();
    let count = counts.iter().sum();
    if lines.len() < count {
        lines = Vec::new();
        let room = lines.try_reserve_exact(count);
        assert!(room.is_ok(), "not enough memory for {count} values");
        lines.resize(count, Line::ZERO);
    }
    let mut rest = &mut lines[..];
    work(counts.map(|count| rest.split_off_mut(..count).expect("there are as many")));
    LINES.set(lines);
}
