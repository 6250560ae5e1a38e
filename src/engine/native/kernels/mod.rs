//! The hot loops. Each is written once, over vectors of any width, and compiled for AVX-512, for AVX2
//! with FMA, and for whatever the target has anyway; the CPU decides which form runs.
//!
//! This is the only module with unsafe loops. They stay behind [`Kernels`], whose methods check all
//! lengths before the loops run over pointers; a form's table is handed out only where
//! [`Real::forms`] found its instructions.

#![allow(unsafe_code)]
// Only what is inlined into a form is compiled with that form's instructions.
#![allow(clippy::inline_always)]

mod channels;
mod depthwise;
mod elementwise;
mod forms;
mod lanes;
mod outer;
mod overlap;
mod packed;
mod pointwise;
mod product;
mod real;
mod softmax;
#[cfg(test)]
mod tests;
mod tiles;

pub(in crate::engine) use channels::{Lines, Slopes, Sums};
pub(in crate::engine) use depthwise::{Depthwise, DepthwiseGradient, Tap};
pub(in crate::engine) use elementwise::sum_of;
pub(in crate::engine) use outer::{Outer, Pixels, rows_of_sums};
pub(in crate::engine) use overlap::Overlap;
pub(in crate::engine) use packed::Packed;
pub(in crate::engine) use pointwise::Activate;
pub(in crate::engine) use product::Product;
pub(in crate::engine) use real::Real;
pub(in crate::engine) use tiles::{Steps, TileMap, Transform};

/// The kernels compiled for one instruction set.
#[derive(Debug)]
pub(in crate::engine) struct Kernels<T: 'static> {
    /// Of the instruction set.
    pub name: &'static str,
    /// Values in a vector.
    pub lanes: usize,
    product: unsafe fn(&Product<'_, T>, &mut [T]),
    outer: unsafe fn(&Outer<'_, T>, &mut [T]),
    depthwise: unsafe fn(&Depthwise<'_, T>, &mut [T]),
    depthwise_gradient: unsafe fn(&DepthwiseGradient<'_, T>, &mut [T]),
    tiles: unsafe fn(&TileMap<'_, T>, &mut [T]),
    overlap: unsafe fn(&Overlap<'_, T>, &mut [T]),
    relu: unsafe fn(&mut [T]),
    relu_gradient: unsafe fn(&[T], &mut [T]),
    sigmoid: unsafe fn(&mut [T]),
    activate: unsafe fn(Activate, &[T], &mut [T]),
    activate_gradient: unsafe fn(Activate, &[T], &[T], &mut [T]),
    softmax: unsafe fn(&[T], &mut [T], usize),
    softmax_gradient: unsafe fn(&[T], &[T], &mut [T], usize),
    add_scaled: unsafe fn(&mut [T], &[T], T),
    column_sums: unsafe fn(&Table<'_, T>, &mut [T]),
    max_pool: unsafe fn(&[T], &Candidates<'_>, &mut [T], &mut [u8]),
    max_pool_gradient: unsafe fn(&[T], &[u8], &Candidates<'_>, &mut [T]),
    logit_loss: unsafe fn(LogitLoss<T>, &mut [T], &[T]) -> f64,
    moments: unsafe fn(&[T], &[f64], &mut Sums),
    lines: unsafe fn(&Lines<'_>, &[T], &mut [T]),
    products: unsafe fn(&[T], &[T], &[f64], &mut Sums),
    slopes: unsafe fn(&Slopes<'_>, &[T], &[T], &mut [T]),
}

/// Of a cross-entropy on logits.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct LogitLoss<T> {
    /// Beyond these, Keras clips the probability.
    pub smallest: T,
    pub largest: T,
    /// Factor of the gradient: one over the number of values in the batch.
    pub scale: T,
}

/// Rows of values.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Table<'a, T> {
    /// From the first row's first value on.
    pub values: &'a [T],
    /// Number of rows.
    pub rows: usize,
    /// Distance between neighbouring rows.
    pub row_step: usize,
    /// Values of a row.
    pub length: usize,
}

impl<'a, T> Table<'a, T> {
    #[inline(always)]
    fn rows(&self) -> impl Iterator<Item = &'a [T]> {
        let Self { values, rows, row_step, length } = *self;
        (0..rows).map(move |row| &values[row * row_step..][..length])
    }
}

/// What the pixels of a row are pooled from.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Candidates<'a> {
    /// Where each candidate of the first pixel starts, at most 256 of them.
    pub starts: &'a [usize],
    /// Distance between the candidates of neighbouring pixels.
    pub step: usize,
    /// Values of a pixel.
    pub channels: usize,
}

/// Each method panics where a slice is too short; those that go value by value stop where one ends.
impl<T: Real> Kernels<T> {
    /// See [`Product`].
    pub fn product(&self, run: &Product<'_, T>, result: &mut [T]) {
        run.check(result);
        assert_eq!(run.matrix.lanes(), self.lanes, "packed for another form");
        // SAFETY: checked just now; this table exists only where the CPU has the instructions.
        unsafe { (self.product)(run, result) }
    }

    /// See [`Outer`]; the sums' rows are [`Outer::stride`] apart.
    pub fn outer(&self, run: &Outer<'_, T>, sums: &mut [T]) {
        run.check(sums, self.lanes);
        // SAFETY: as above.
        unsafe { (self.outer)(run, sums) }
    }

    /// See [`Depthwise`].
    pub fn depthwise(&self, run: &Depthwise<'_, T>, result: &mut [T]) {
        run.check(result, self.lanes);
        // SAFETY: as above.
        unsafe { (self.depthwise)(run, result) }
    }

    /// See [`DepthwiseGradient`]; the sums' rows are filled up to whole vectors.
    pub fn depthwise_gradient(&self, run: &DepthwiseGradient<'_, T>, sums: &mut [T]) {
        run.check(sums, self.lanes);
        // SAFETY: as above.
        unsafe { (self.depthwise_gradient)(run, sums) }
    }

    /// See [`TileMap`].
    pub fn tiles(&self, run: &TileMap<'_, T>, target: &mut [T]) {
        run.check(target, self.lanes);
        // SAFETY: as above.
        unsafe { (self.tiles)(run, target) }
    }

    /// See [`Overlap`].
    pub fn overlap(&self, run: &Overlap<'_, T>, target: &mut [T]) {
        run.check(target, self.lanes);
        // SAFETY: as above.
        unsafe { (self.overlap)(run, target) }
    }

    /// `max(x, 0)` in place.
    pub fn relu(&self, values: &mut [T]) {
        // SAFETY: this table exists only where the CPU has the instructions.
        unsafe { (self.relu)(values) }
    }

    /// Zeroes the gradient where the result is 0.
    pub fn relu_gradient(&self, results: &[T], gradient: &mut [T]) {
        // SAFETY: as above.
        unsafe { (self.relu_gradient)(results, gradient) }
    }

    /// `1 / (1 + e^-x)` in place.
    pub fn sigmoid(&self, values: &mut [T]) {
        // SAFETY: as above.
        unsafe { (self.sigmoid)(values) }
    }

    /// The function of each value.
    pub fn activate(&self, function: Activate, values: &[T], results: &mut [T]) {
        // SAFETY: as above.
        unsafe { (self.activate)(function, values, results) }
    }

    /// Each gradient times the function's derivative at the value.
    pub fn activate_gradient(
        &self,
        function: Activate,
        values: &[T],
        gradient: &[T],
        results: &mut [T],
    ) {
        // SAFETY: as above.
        unsafe { (self.activate_gradient)(function, values, gradient, results) }
    }

    /// Of pixels of so many channels.
    pub fn softmax(&self, values: &[T], results: &mut [T], channels: usize) {
        // SAFETY: as above.
        unsafe { (self.softmax)(values, results, channels) }
    }

    /// The values' gradient, from the results and theirs.
    pub fn softmax_gradient(
        &self,
        results: &[T],
        gradient: &[T],
        input_gradient: &mut [T],
        channels: usize,
    ) {
        // SAFETY: as above.
        unsafe { (self.softmax_gradient)(results, gradient, input_gradient, channels) }
    }

    /// Adds `factor * term` to each sum.
    pub fn add_scaled(&self, sums: &mut [T], terms: &[T], factor: T) {
        // SAFETY: as above.
        unsafe { (self.add_scaled)(sums, terms, factor) }
    }

    /// Adds all pixels channel by channel.
    pub fn column_sums(&self, table: &Table<'_, T>, sums: &mut [T]) {
        // SAFETY: as above.
        unsafe { (self.column_sums)(table, sums) }
    }

    /// The largest candidate of each pixel of a row, and which it was: of equals the first.
    pub fn max_pool(
        &self,
        source: &[T],
        pool: &Candidates<'_>,
        result: &mut [T],
        winners: &mut [u8],
    ) {
        // SAFETY: as above.
        unsafe { (self.max_pool)(source, pool, result, winners) }
    }

    /// Gives each pixel's gradient to its winner and zeroes its other candidates.
    pub fn max_pool_gradient(
        &self,
        gradient: &[T],
        winners: &[u8],
        pool: &Candidates<'_>,
        result: &mut [T],
    ) {
        // SAFETY: as above.
        unsafe { (self.max_pool_gradient)(gradient, winners, pool, result) }
    }

    /// The summed loss; the logits give way to the gradient.
    pub fn logit_loss(&self, loss: LogitLoss<T>, logits: &mut [T], targets: &[T]) -> f64 {
        // SAFETY: as above.
        unsafe { (self.logit_loss)(loss, logits, targets) }
    }

    /// Adds each value's distance from its channel's number, and the distance's square.
    pub fn moments(&self, values: &[T], from: &[f64], sums: &mut Sums) {
        // SAFETY: as above.
        unsafe { (self.moments)(values, from, sums) }
    }

    /// See [`Lines`], for a row of pixels.
    pub fn lines(&self, lines: &Lines<'_>, values: &[T], results: &mut [T]) {
        // SAFETY: as above.
        unsafe { (self.lines)(lines, values, results) }
    }

    /// Adds each gradient, and its product with the value's distance from its channel's mean.
    pub fn products(&self, gradient: &[T], values: &[T], means: &[f64], sums: &mut Sums) {
        // SAFETY: as above.
        unsafe { (self.products)(gradient, values, means, sums) }
    }

    /// See [`Slopes`], for a row of pixels.
    pub fn slopes(&self, slopes: &Slopes<'_>, gradient: &[T], values: &[T], results: &mut [T]) {
        // SAFETY: as above.
        unsafe { (self.slopes)(slopes, gradient, values, results) }
    }
}
