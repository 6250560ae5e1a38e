//! An operation of a worker with the edges that it reads and writes: most are stages, from one edge to
//! another; where ways part or meet, there are more.

use std::collections::HashMap;

use super::axes::Axis;
use super::batch_norm::{BatchNorm, BatchNormOptions, Statistics};
use super::buffers::Buffers;
use super::call::{Call, Training};
use super::chance::Chance;
use super::grid::{Edge, Field, Margin, Size};
use super::kernels::{Kernels, Real};
use super::lower::{Kind, Merge, Operation};
use super::merges;
use super::penalties::{Penalty, Sampling};
use super::stages::{Parted, Stage};
use super::team::Team;
use super::worker::{Weights, stage};

/// What is done, and the places of its edges.
#[derive(Debug)]
pub(super) struct Step<T: Real> {
    work: Work<T>,
    inputs: Vec<usize>,
    outputs: Vec<usize>,
    /// Whether something learns from the gradient of an input.
    gradient_wanted: bool,
    /// Whether something of its own is learned.
    has_weights: bool,
}

#[derive(Debug)]
enum Work<T: Real> {
    Stage(Box<dyn Stage<T>>),
    Fork,
    Merge(Merge),
    Concatenate(Axis),
    BatchNorm(Box<BatchNorm<T>>),
    Chance(Chance<T>),
    Sampling(Sampling<T>),
    Penalty(Penalty),
    Parted(Box<Parted<T>>),
}

impl<T: Real> Step<T> {
    pub fn new(
        operation: &Operation,
        places: &HashMap<usize, usize>,
        learns: &[bool],
        kernels: &'static Kernels<T>,
        images: usize,
    ) -> Self {
        let work = match &operation.kind {
            Kind::Fork => Work::Fork,
            Kind::Merge(merge) => Work::Merge(*merge),
            Kind::Concatenate(axis) => Work::Concatenate(*axis),
            Kind::BatchNorm(options) => {
                Work::BatchNorm(Box::new(BatchNorm::new(options.clone(), kernels)))
            }
            Kind::Chance(draw, number) => {
                Work::Chance(Chance::new(*draw, *number, operation.input, images))
            }
            Kind::Sampling(options) => {
                Work::Sampling(Sampling::new(*options, operation.input, images))
            }
            Kind::Penalty(penalty) => Work::Penalty(*penalty),
            Kind::Parted(options) => {
                let output = operation.output;
                Work::Parted(Box::new(Parted::new(options.clone(), output, kernels, images)))
            }
            _ => Work::Stage(stage(operation, kernels, images)),
        };
        let of =
            |wires: &[usize]| -> Vec<usize> { wires.iter().map(|wire| places[wire]).collect() };
        let inputs = of(&operation.from);
        let gradient_wanted = inputs.iter().any(|&input| learns[input]);
        let has_weights = operation.kind.has_weights();
        Self { work, inputs, outputs: of(&operation.to), gradient_wanted, has_weights }
    }

    /// Takes over the weights.
    pub fn load(&mut self, weights: &Weights<T>) {
        match &mut self.work {
            Work::Stage(stage) => stage.load(&weights.values),
            Work::Parted(parted) => parted.load(&weights.values),
            Work::BatchNorm(norm) => norm.load(weights),
            _ => {}
        }
    }

    /// From now on it has the help of `team`.
    pub fn join(&mut self, team: &Team) {
        match &mut self.work {
            Work::Stage(stage) => stage.join(team),
            Work::Parted(parted) => parted.join(team),
            _ => {}
        }
    }

    /// Adds the gradients of the weights to those at their places in the row of all weights, and starts them anew.
    pub fn collect(&mut self, gradient: &mut [T]) {
        match &mut self.work {
            Work::Stage(stage) => stage.collect(gradient),
            Work::Parted(parted) => parted.collect(gradient),
            Work::BatchNorm(norm) => norm.collect(gradient),
            _ => {}
        }
    }

    /// What a batch normalisation has found in the batch that went forward last.
    pub fn statistics(&self) -> Option<(&BatchNormOptions, &Statistics)> {
        match &self.work {
            Work::BatchNorm(norm) => Some((norm.options(), norm.statistics())),
            _ => None,
        }
    }

    /// Tells what a stage reads around its edges: around the values of its input, and around the gradient of
    /// its output.
    pub fn set_margins(&self, margins: &mut [(Margin, Margin)]) {
        match &self.work {
            Work::Stage(stage) => {
                margins[self.inputs[0]].0 = stage.input_margin();
                margins[self.outputs[0]].1 = stage.gradient_margin();
            }
            Work::Parted(parted) => {
                for (&input, margin) in self.inputs.iter().zip(parted.input_margins()) {
                    margins[input].0 = margin;
                }
                margins[self.outputs[0]].1 = parted.gradient_margin();
            }
            _ => {}
        }
    }

    /// The first `images` of the outputs' values from those of the inputs, which only training needs again. Returns
    /// what the values add to the loss, before it is divided by the batch's size.
    pub fn forward(
        &mut self,
        edges: &mut [Edge<T>],
        buffers: &mut Buffers<T>,
        images: usize,
        call: Call<'_>,
    ) -> f64 {
        for &output in &self.outputs {
            buffers.fill(&mut edges[output].values);
        }
        let added = self.compute(edges, images, call);
        if matches!(call, Call::Inference) {
            for &input in &self.inputs {
                buffers.empty(&mut edges[input].values);
            }
        }
        added
    }

    fn compute(&mut self, edges: &mut [Edge<T>], images: usize, call: Call<'_>) -> f64 {
        match &mut self.work {
            Work::Stage(stage) => {
                let (input, output) = pair(edges, self.inputs[0], self.outputs[0]);
                stage.forward(&input.values, &mut output.values, images);
            }
            Work::Fork => {
                for &output in &self.outputs {
                    let (input, output) = pair(edges, self.inputs[0], output);
                    copy(&input.values, &mut output.values, images);
                }
            }
            Work::Merge(merge) => {
                merges::forward(*merge, edges, &self.inputs, self.outputs[0], images);
            }
            Work::BatchNorm(norm) => {
                let (input, output) = pair(edges, self.inputs[0], self.outputs[0]);
                norm.forward(&input.values, &mut output.values, images, call);
            }
            Work::Chance(chance) => {
                let (input, output) = pair(edges, self.inputs[0], self.outputs[0]);
                chance.forward(&input.values, &mut output.values, images, call);
            }
            Work::Concatenate(axis) => {
                let mut first = 0;
                for &input in &self.inputs {
                    let (input, output) = pair(edges, input, self.outputs[0]);
                    first = beside(*axis, &input.values, &mut output.values, first, images);
                }
            }
            Work::Sampling(sampling) => {
                let inputs = (self.inputs[0], self.inputs[1]);
                return sampling.forward(edges, inputs, self.outputs[0], images, call);
            }
            Work::Penalty(penalty) => {
                let (input, output) = pair(edges, self.inputs[0], self.outputs[0]);
                return penalty.forward(&input.values, &mut output.values, images);
            }
            Work::Parted(parted) => {
                parted.forward(edges, &self.inputs, self.outputs[0], images);
            }
        }
        0.0
    }

    /// The gradients of the inputs from those of the outputs, of which nothing is needed after.
    pub fn backward(
        &mut self,
        edges: &mut [Edge<T>],
        buffers: &mut Buffers<T>,
        images: usize,
        training: Training<'_>,
    ) {
        if self.gradient_wanted {
            for &input in &self.inputs {
                buffers.fill(&mut edges[input].gradient);
            }
        }
        if self.gradient_wanted || self.has_weights {
            self.differentiate(edges, images, training);
        }
        for &output in &self.outputs {
            let Edge { values, gradient } = &mut edges[output];
            buffers.empty(values);
            buffers.empty(gradient);
        }
    }

    fn differentiate(&mut self, edges: &mut [Edge<T>], images: usize, training: Training<'_>) {
        match &mut self.work {
            Work::Stage(stage) => {
                let (input, output) = pair(edges, self.inputs[0], self.outputs[0]);
                let wanted = self.gradient_wanted.then_some(&mut input.gradient);
                stage.backward(&input.values, output, wanted, images);
            }
            Work::Fork => {
                for (i, &output) in self.outputs.iter().enumerate() {
                    let (input, output) = pair(edges, self.inputs[0], output);
                    let change = if i == 0 { copy } else { add };
                    change(&output.gradient, &mut input.gradient, images);
                }
            }
            Work::Merge(merge) => {
                merges::backward(*merge, edges, &self.inputs, self.outputs[0], images);
            }
            Work::BatchNorm(norm) => {
                let (input, output) = pair(edges, self.inputs[0], self.outputs[0]);
                let wanted = self.gradient_wanted.then_some(&mut input.gradient);
                norm.backward(&input.values, output, wanted, images, training);
            }
            Work::Chance(chance) => {
                let (input, output) = pair(edges, self.inputs[0], self.outputs[0]);
                let wanted = self.gradient_wanted.then_some(&mut input.gradient);
                chance.backward(output, wanted, images);
            }
            Work::Concatenate(axis) => {
                let mut first = 0;
                for &input in &self.inputs {
                    let (input, output) = pair(edges, input, self.outputs[0]);
                    first = apart(*axis, &output.gradient, &mut input.gradient, first, images);
                }
            }
            Work::Sampling(sampling) => {
                let inputs = (self.inputs[0], self.inputs[1]);
                sampling.backward(edges, inputs, self.outputs[0], images, training.batch);
            }
            Work::Penalty(penalty) => {
                let (input, output) = pair(edges, self.inputs[0], self.outputs[0]);
                let Edge { values, gradient } = input;
                penalty.backward(values, output, gradient, images, training.batch);
            }
            Work::Parted(parted) => {
                let (inputs, output) = (&self.inputs, self.outputs[0]);
                parted.backward(edges, inputs, output, images, self.gradient_wanted);
            }
        }
    }
}

/// Two edges at once; a step never reads what it writes.
pub(super) fn pair<T>(
    edges: &mut [Edge<T>],
    input: usize,
    output: usize,
) -> (&mut Edge<T>, &mut Edge<T>) {
    let [input, output] =
        edges.get_disjoint_mut([input, output]).expect("a step's edges are not the same");
    (input, output)
}

pub(super) fn copy<T: Real>(source: &Field<T>, target: &mut Field<T>, images: usize) {
    target.zip_rows(source, 0..images, |to, from| to.copy_from_slice(from));
}

fn add<T: Real>(source: &Field<T>, target: &mut Field<T>, images: usize) {
    target.zip_rows(source, 0..images, |to, from| {
        to.iter_mut().zip(from).for_each(|(to, &from)| *to = *to + from);
    });
}

/// Along an axis: how many values of a row are next to each other until the axis begins anew; all of them where it
/// is the height.
fn run(axis: Axis, size: Size) -> usize {
    match axis {
        Axis::Height | Axis::Width => size.width * size.channels,
        Axis::Channels => size.channels,
    }
}

/// The rows of `whole` that a part has whose first place along the axis is `first`, and where in each run its own
/// begins; then the first place of the next part.
fn place(axis: Axis, part: Size, first: usize) -> (usize, usize, usize) {
    match axis {
        Axis::Height => (first, 0, first + part.height),
        Axis::Width => (0, first * part.channels, first + part.width),
        Axis::Channels => (0, first, first + part.channels),
    }
}

/// Copies `part` to the places of `whole` along the axis from `first` on; returns the one after them.
fn beside<T: Real>(
    axis: Axis,
    part: &Field<T>,
    whole: &mut Field<T>,
    first: usize,
    images: usize,
) -> usize {
    let size = part.grid.size;
    let (own, all) = (run(axis, size), run(axis, whole.grid.size));
    let (above, before, next) = place(axis, size, first);
    for (image, row) in rows(size, images) {
        let runs = whole.row_mut(image, above + row).chunks_exact_mut(all);
        for (to, from) in runs.zip(part.row(image, row).chunks_exact(own)) {
            to[before..][..own].copy_from_slice(from);
        }
    }
    next
}

/// The way back: from the places of `whole` along the axis from `first` on to `part`.
fn apart<T: Real>(
    axis: Axis,
    whole: &Field<T>,
    part: &mut Field<T>,
    first: usize,
    images: usize,
) -> usize {
    let size = part.grid.size;
    let (own, all) = (run(axis, size), run(axis, whole.grid.size));
    let (above, before, next) = place(axis, size, first);
    for (image, row) in rows(size, images) {
        let runs = whole.row(image, above + row).chunks_exact(all);
        for (to, from) in part.row_mut(image, row).chunks_exact_mut(own).zip(runs) {
            to.copy_from_slice(&from[before..][..own]);
        }
    }
    next
}

/// Each row of some images, with its image.
pub(super) fn rows(size: Size, images: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..images * size.height).map(move |row| (row / size.height, row % size.height))
}
