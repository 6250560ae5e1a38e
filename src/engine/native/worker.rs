//! One thread's share of a step: whole pictures, forward and back, a few at a time.

use std::ops::Range;

use super::grid::{Edge, Field, Grid, Margin, Size};
use super::kernels::{Kernels, LogitLoss, Real};
use super::loss;
use super::lower::{Head, Kind, Operation};
use super::memory::zeros;
use super::stages::{AveragePool, Convolution, MaxPool, Place, Repeat, Reshape, Stage};
use crate::data::Batch;

/// What a worker's pictures may take of the second-level cache, so that a picture on its way back
/// finds what it left on its way forward. Planes that are kept for it come on top.
const CACHE: usize = 512 << 10;
/// More at once gains nothing.
const MOST_PICTURES: usize = 16;

/// Stages with their buffers; allocated once.
#[derive(Debug)]
pub(super) struct Worker<T: Real> {
    kernels: &'static Kernels<T>,
    stages: Vec<Box<dyn Stage<T>>>,
    /// One more than stages: the input, then what each stage gives.
    edges: Vec<Edge<T>>,
    head: Head,
    /// Pictures that go through the stages at once.
    pictures: usize,
    /// Room for what one picture should give, and for what it gave.
    targets: Vec<T>,
    outputs: Vec<T>,
    /// Version of the weights that the stages have packed.
    loaded: Option<u64>,
    /// Summed up over the last batch, over all values.
    pub loss: f64,
    /// The same of the gradient, in the order of the weights.
    pub gradient: Vec<T>,
}

/// All weights of a model, in one row.
#[derive(Debug)]
pub(super) struct Weights<T> {
    pub values: Vec<T>,
    /// Changes when they do.
    pub version: u64,
}

/// The share of a batch.
#[derive(Debug, Clone)]
pub(super) struct Share<'a> {
    pub batch: &'a Batch,
    pub pictures: Range<usize>,
}

impl<T: Real> Worker<T> {
    pub fn new(
        input: Size,
        operations: &[Operation],
        head: Head,
        weights: usize,
        kernels: &'static Kernels<T>,
    ) -> Self {
        let values: usize = operations.iter().map(|operation| operation.output.values()).sum();
        let pictures = (CACHE / (2 * values * size_of::<T>()).max(1)).clamp(1, MOST_PICTURES);
        let stages: Vec<_> =
            operations.iter().map(|operation| stage(operation, kernels, pictures)).collect();
        let outputs = operations.iter().map(|operation| operation.output);
        let sizes: Vec<Size> = [input].into_iter().chain(outputs).collect();
        let edges = sizes.iter().enumerate().map(|(i, &size)| {
            let margin = stages.get(i).map_or(Margin::default(), |next| next.input_margin());
            let before = i.checked_sub(1).map(|i| &stages[i]);
            let gradient_margin = before.map_or(Margin::default(), |stage| stage.gradient_margin());
            Edge {
                values: Field::new(Grid { size, margin }, pictures),
                gradient: Field::new(Grid { size, margin: gradient_margin }, pictures),
            }
        });
        let edges: Vec<Edge<T>> = edges.collect();
        let values = sizes[0].values();
        Self {
            kernels,
            stages,
            edges,
            head,
            pictures,
            targets: zeros(values),
            outputs: zeros(values),
            loaded: None,
            loss: 0.0,
            gradient: zeros(weights),
        }
    }

    /// Loss and gradient of a share; `count` is the number of values in the whole batch.
    pub fn learn(&mut self, weights: &Weights<T>, share: &Share<'_>, count: usize) {
        self.load(weights);
        self.loss = 0.0;
        for pictures in self.portions(share.pictures.clone()) {
            self.forward(&share.batch.input, &pictures);
            self.meet_targets(share.batch.target(), &pictures, count);
            self.backward(pictures.len());
        }
        for stage in &mut self.stages {
            stage.collect(&mut self.gradient);
        }
    }

    /// The loss alone.
    pub fn evaluate(&mut self, weights: &Weights<T>, share: &Share<'_>, count: usize) {
        self.load(weights);
        self.loss = 0.0;
        for pictures in self.portions(share.pictures.clone()) {
            self.forward(&share.batch.input, &pictures);
            self.meet_targets(share.batch.target(), &pictures, count);
        }
    }

    /// The loss of a share, and its outputs.
    pub fn judge(
        &mut self,
        weights: &Weights<T>,
        share: &Share<'_>,
        count: usize,
        output: &mut [T],
    ) {
        self.load(weights);
        self.loss = 0.0;
        let portions = self.portions(share.pictures.clone());
        for (pictures, output) in portions.zip(output.chunks_mut(self.portion_values())) {
            self.forward(&share.batch.input, &pictures);
            self.write_outputs(output);
            self.meet_targets(share.batch.target(), &pictures, count);
        }
    }

    /// Writes the outputs of some pictures of `input`.
    pub fn predict(
        &mut self,
        weights: &Weights<T>,
        input: &[f32],
        pictures: Range<usize>,
        output: &mut [T],
    ) {
        self.load(weights);
        let portions = self.portions(pictures);
        for (pictures, output) in portions.zip(output.chunks_mut(self.portion_values())) {
            self.forward(input, &pictures);
            self.write_outputs(output);
        }
    }

    /// Values that a portion of the pictures gives.
    fn portion_values(&self) -> usize {
        let last = self.edges.last().expect("there is an input");
        self.pictures * last.values.grid.size.values()
    }

    /// What the pictures that went forward gave.
    fn write_outputs(&self, output: &mut [T]) {
        let last = &self.edges.last().expect("there is an input").values;
        last.copy_pictures(0, output);
        if self.head == Head::Logits {
            self.kernels.sigmoid(output);
        }
    }

    fn load(&mut self, weights: &Weights<T>) {
        if self.loaded == Some(weights.version) {
            return;
        }
        for stage in &mut self.stages {
            stage.load(&weights.values);
        }
        self.loaded = Some(weights.version);
    }

    fn portions(&self, pictures: Range<usize>) -> impl Iterator<Item = Range<usize>> + use<T> {
        let (end, step) = (pictures.end, self.pictures);
        pictures.step_by(step).map(move |first| first..(first + step).min(end))
    }

    fn forward(&mut self, input: &[f32], pictures: &Range<usize>) {
        let field = &mut self.edges[0].values;
        let size = field.grid.size;
        let (values, row) = (size.values(), size.width * size.channels);
        let rows = input[pictures.start * values..pictures.end * values].chunks_exact(row);
        let height = field.grid.size.height;
        for (i, source) in rows.enumerate() {
            let target = field.row_mut(i / height, i % height);
            target.iter_mut().zip(source).for_each(|(to, &from)| *to = T::of(f64::from(from)));
        }
        for (i, stage) in self.stages.iter_mut().enumerate() {
            let (before, after) = self.edges.split_at_mut(i + 1);
            stage.forward(&before[i].values, &mut after[0].values, pictures.len());
        }
    }

    /// Adds up the loss, and leaves its gradient at the last edge.
    fn meet_targets(&mut self, targets: &[f32], pictures: &Range<usize>, count: usize) {
        let Edge { values, gradient } = self.edges.last_mut().expect("there is an input");
        let size = values.grid.size.values();
        let targets = targets[pictures.start * size..pictures.end * size].chunks_exact(size);
        let bound = |p: f64| T::of((T::of(p).wide() / (1.0 - T::of(p).wide())).ln());
        let scale = T::of(1.0 / count as f64);
        let limits = LogitLoss {
            smallest: bound(loss::EPSILON),
            largest: bound(1.0 - loss::EPSILON),
            scale,
        };
        // A whole picture at once: its rows may be too short to fill vectors.
        for (picture, target) in targets.enumerate() {
            let places = self.targets.iter_mut().zip(target);
            places.for_each(|(to, &from)| *to = T::of(f64::from(from)));
            values.copy_pictures(picture, &mut self.outputs);
            self.loss += match self.head {
                Head::Logits => self.kernels.logit_loss(limits, &mut self.outputs, &self.targets),
                Head::Outputs(of) => loss::loss(of, &mut self.outputs, &self.targets, scale),
            };
            gradient.take_picture(picture, &self.outputs);
        }
    }

    fn backward(&mut self, pictures: usize) {
        for (i, stage) in self.stages.iter_mut().enumerate().rev() {
            let (before, after) = self.edges.split_at_mut(i + 1);
            let Edge { values, gradient } = &mut before[i];
            // Nothing learns from the gradient of the pictures themselves.
            let wanted = (i > 0).then_some(gradient);
            stage.backward(values, &mut after[0], wanted, pictures);
        }
    }
}

fn stage<T: Real>(
    operation: &Operation,
    kernels: &'static Kernels<T>,
    pictures: usize,
) -> Box<dyn Stage<T>> {
    let (input, output) = (operation.input, operation.output);
    match operation.kind.clone() {
        Kind::Convolution(options) => Box::new(Convolution::new(options, kernels, pictures)),
        Kind::Activate(activate) => Box::new(activate),
        Kind::MaxPool(options) => Box::new(MaxPool::new(options, input, output)),
        Kind::AveragePool(options) => Box::new(AveragePool::new(options, input, output)),
        Kind::Repeat(rows, columns) => Box::new(Repeat { rows, columns }),
        Kind::Place(down, across) => Box::new(Place { down, across }),
        Kind::Reshape => Box::new(Reshape),
    }
}
