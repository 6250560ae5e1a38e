//! One thread's share of a step: whole images, forward and back, a few at a time; all of them where the batch as a
//! whole is looked at.

use std::collections::HashMap;
use std::ops::Range;

use super::batch_norm::{BatchNormOptions, Statistics};
use super::buffers::Buffers;
use super::call::{Call, Training};
use super::grid::{Edge, Field, Grid, Margin, Size};
use super::kernels::{Kernels, LogitLoss, Real};
use super::loss;
use super::lower::{Head, Kind, Operation};
use super::memory::zeros;
use super::stages::{
    AveragePool, Bilinear, Broadcast, Convolution, DepthToSpace, Depthwise, GlobalPool, GroupNorm,
    LayerNorm, MaxPool, PRelu, PadOrCrop, Permute, Pointwise, Reshape, Softmax, Stage, UnitNorm,
    Upsample,
};
use super::step::Step;
use super::team::Team;
use crate::data::Batch;

/// What a worker's images may take of the second-level cache, so that an image on its way back
/// finds what it left on its way forward.
const CACHE: usize = 512 << 10;
/// More at once gains nothing.
const MOST_IMAGES: usize = 16;

/// Stages with their buffers.
#[derive(Debug)]
pub(super) struct Worker<T: Real> {
    kernels: &'static Kernels<T>,
    steps: Vec<Step<T>>,
    /// The input first, then what each step gives; the last one is the output.
    edges: Vec<Edge<T>>,
    buffers: Buffers<T>,
    head: Head,
    /// Images that the buffers have room for.
    room: usize,
    /// Images that go through the stages at once.
    images: usize,
    /// Room for what one image should give, and for what it gave.
    targets: Vec<T>,
    outputs: Vec<T>,
    /// Of these what the loss looks at, where that is not all.
    chosen: Vec<T>,
    /// Version of the weights that the stages have packed.
    loaded: Option<u64>,
    /// Summed up over the last batch, over all values.
    pub loss: f64,
    /// What the layers' values added to it, summed up over the last images.
    pub added: f64,
    /// The gradient, in the order of the weights.
    pub gradient: Vec<T>,
}

/// All weights of a model, in one row.
#[derive(Debug)]
pub(super) struct Weights<T> {
    pub values: Vec<T>,
    /// The moving statistics, each by itself.
    pub moving: Vec<Vec<T>>,
    /// Changes when they do.
    pub version: u64,
}

/// The share of a batch.
#[derive(Debug, Clone)]
pub(super) struct Share<'a> {
    pub batch: &'a Batch,
    pub images: Range<usize>,
}

impl<T: Real> Worker<T> {
    pub fn new(
        input: Size,
        operations: &[Operation],
        head: Head,
        weights: usize,
        kernels: &'static Kernels<T>,
        least: usize,
    ) -> Self {
        let values: usize = operations.iter().map(|operation| operation.output.values()).sum();
        let images = (CACHE / (2 * values * size_of::<T>()).max(1)).clamp(1, MOST_IMAGES);
        let room = images.max(least);
        let places = places(operations);
        let learns = learns(operations, &places);
        let steps: Vec<_> = (operations.iter())
            .map(|operation| Step::new(operation, &places, &learns, kernels, room))
            .collect();
        let mut margins = vec![(Margin::default(), Margin::default()); places.len()];
        for step in &steps {
            step.set_margins(&mut margins);
        }
        let outputs =
            operations.iter().flat_map(|operation| operation.to.iter().map(|_| operation.output));
        let sizes: Vec<Size> = [input].into_iter().chain(outputs).collect();
        let edges = sizes.iter().zip(margins).map(|(&size, (margin, gradient_margin))| Edge {
            values: Field::empty(Grid { size, margin }),
            gradient: Field::empty(Grid { size, margin: gradient_margin }),
        });
        let edges: Vec<Edge<T>> = edges.collect();
        let values = edges.last().expect("there is an input").values.grid.size.values();
        Self {
            kernels,
            steps,
            edges,
            buffers: Buffers::new(room),
            head,
            room,
            images,
            targets: zeros(values),
            outputs: zeros(values),
            chosen: Vec::new(),
            loaded: None,
            loss: 0.0,
            added: 0.0,
            gradient: zeros(weights),
        }
    }

    /// Loss and gradient of a share; `count` is the number of values that the model gives for the whole batch.
    /// Where the model looks at the batch as a whole, all of the share goes through a stage before the next.
    pub fn loss_and_gradient(
        &mut self,
        weights: &Weights<T>,
        share: &Share<'_>,
        count: usize,
        training: Training<'_>,
    ) {
        self.learn(weights, share, training, |own, images| {
            own.loss_and_gradient_of_outputs(share.batch, images, count);
        });
    }

    /// The same with a loss of which `judge` gives the part of some images, from what came out for them, and its
    /// gradient.
    pub fn loss_and_gradient_by(
        &mut self,
        weights: &Weights<T>,
        share: &Share<'_>,
        training: Training<'_>,
        judge: impl Fn(&[T], &Range<usize>) -> (f64, Vec<T>),
    ) {
        self.learn(weights, share, training, |own, images| {
            let mut outputs = zeros(images.len() * own.outputs.len());
            own.write_outputs(&mut outputs);
            let (loss, slopes) = judge(&outputs, images);
            own.loss += loss;
            own.take_slopes(&slopes);
        });
    }

    /// A share forward and back; `judge` adds up the loss of the images that went forward, and leaves its gradient at
    /// the last edge.
    fn learn(
        &mut self,
        weights: &Weights<T>,
        share: &Share<'_>,
        training: Training<'_>,
        judge: impl Fn(&mut Self, &Range<usize>),
    ) {
        self.start(weights);
        for images in micro_batches(share.images.clone(), self.at_once(share)) {
            let training = training.at(&images, share.batch.part());
            self.forward(&share.batch.input, &images, Call::Training(training));
            judge(self, &images);
            self.backward(images.len(), training);
        }
        self.collect();
    }

    /// Images of a share that go through the stages at once: all, where their statistics are wanted.
    fn at_once(&self, share: &Share<'_>) -> usize {
        let is_whole = self.steps.iter().any(|step| step.statistics().is_some());
        if is_whole { share.images.len() } else { self.images }
    }

    /// All of a share through the stages, which keep what the way back needs; writes what comes out.
    pub fn forward_all(
        &mut self,
        weights: &Weights<T>,
        share: &Share<'_>,
        training: Training<'_>,
        output: &mut [T],
    ) {
        self.start(weights);
        self.forward(&share.batch.input, &share.images, Call::Training(training));
        self.write_outputs(output);
    }

    /// And back, from the gradients of what came out.
    pub fn backward_all(&mut self, slopes: &[T], images: usize, training: Training<'_>) {
        self.take_slopes(slopes);
        self.backward(images, training);
        self.collect();
    }

    /// Takes the gradients of what came out.
    fn take_slopes(&mut self, slopes: &[T]) {
        let Edge { gradient, .. } = self.edges.last_mut().expect("there is an input");
        self.buffers.fill(gradient);
        for (image, slopes) in slopes.chunks_exact(gradient.grid.size.values()).enumerate() {
            gradient.take_image(image, slopes);
        }
    }

    /// From now on it has the help of `team`.
    pub fn join(&mut self, team: &Team) {
        self.steps.iter_mut().for_each(|step| step.join(team));
    }

    /// Stages may share weights: each adds its own.
    fn collect(&mut self) {
        self.gradient.fill(T::zero());
        for step in &mut self.steps {
            step.collect(&mut self.gradient);
        }
    }

    /// Whether a share of so many images can go through the stages at once.
    pub fn has_room(&self, images: usize) -> bool {
        images <= self.room
    }

    /// What each batch normalisation has found in the batch of the last step.
    pub fn statistics(&self) -> impl Iterator<Item = (&BatchNormOptions, &Statistics)> {
        self.steps.iter().filter_map(Step::statistics)
    }

    /// The loss alone.
    pub fn evaluate(&mut self, weights: &Weights<T>, share: &Share<'_>, count: usize) {
        self.start(weights);
        for images in micro_batches(share.images.clone(), self.images) {
            self.forward(&share.batch.input, &images, Call::Inference);
            self.loss_and_gradient_of_outputs(share.batch, &images, count);
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
        self.start(weights);
        let micro_batches = micro_batches(share.images.clone(), self.images);
        for (images, output) in micro_batches.zip(output.chunks_mut(self.micro_batch_values())) {
            self.forward(&share.batch.input, &images, Call::Inference);
            self.write_outputs(output);
            self.loss_and_gradient_of_outputs(share.batch, &images, count);
        }
    }

    /// Writes the outputs of some images of `input`.
    pub fn predict(
        &mut self,
        weights: &Weights<T>,
        input: &[f32],
        images: Range<usize>,
        output: &mut [T],
    ) {
        self.start(weights);
        let micro_batches = micro_batches(images, self.images);
        for (images, output) in micro_batches.zip(output.chunks_mut(self.micro_batch_values())) {
            self.forward(input, &images, Call::Inference);
            self.write_outputs(output);
        }
    }

    /// What the last images have left.
    fn let_go(&mut self) {
        for Edge { values, gradient } in &mut self.edges {
            self.buffers.empty(values);
            self.buffers.empty(gradient);
        }
    }

    /// Values that a portion of the images gives.
    fn micro_batch_values(&self) -> usize {
        let last = self.edges.last().expect("there is an input");
        self.images * last.values.grid.size.values()
    }

    /// What the images that went forward gave.
    fn write_outputs(&self, output: &mut [T]) {
        let last = &self.edges.last().expect("there is an input").values;
        last.copy_images(0, output);
        if self.head == Head::Logits {
            self.kernels.sigmoid(output);
        }
    }

    fn start(&mut self, weights: &Weights<T>) {
        (self.loss, self.added) = (0.0, 0.0);
        if self.loaded == Some(weights.version) {
            return;
        }
        for step in &mut self.steps {
            step.load(weights);
        }
        self.loaded = Some(weights.version);
    }

    fn forward(&mut self, input: &[f32], images: &Range<usize>, call: Call<'_>) {
        self.let_go();
        let field = &mut self.edges[0].values;
        self.buffers.fill(field);
        let size = field.grid.size;
        let (values, row) = (size.values(), size.width * size.channels);
        let rows = input[images.start * values..images.end * values].chunks_exact(row);
        let height = field.grid.size.height;
        for (i, source) in rows.enumerate() {
            let target = field.row_mut(i / height, i % height);
            target.iter_mut().zip(source).for_each(|(to, &from)| *to = T::of(f64::from(from)));
        }
        for step in &mut self.steps {
            self.added += step.forward(&mut self.edges, &mut self.buffers, images.len(), call);
        }
    }

    /// Adds up the loss, and leaves its gradient at the last edge.
    fn loss_and_gradient_of_outputs(&mut self, batch: &Batch, images: &Range<usize>, count: usize) {
        let Edge { values, gradient } = self.edges.last_mut().expect("there is an input");
        self.buffers.fill(gradient);
        let size = values.grid.size.values();
        let masked = batch.supervision.masked();
        let each = masked.map(|places| places.len() / batch.len);
        let bound = |p: f64| T::of((T::of(p).wide() / (1.0 - T::of(p).wide())).ln());
        let scale = T::of(1.0 / count as f64);
        let limits = LogitLoss {
            smallest: bound(loss::EPSILON),
            largest: bound(1.0 - loss::EPSILON),
            scale,
        };
        let head = |kernels: &Kernels<T>, outputs: &mut [T], targets: &[T]| match self.head {
            Head::Logits => kernels.logit_loss(limits, outputs, targets),
            Head::Outputs(of) => loss::loss(of, outputs, targets, scale),
            Head::Batch => unreachable!("libtorch computes it"),
        };
        // A whole image at once: its rows may be too short to fill vectors.
        for (slot, image) in images.clone().enumerate() {
            let target = &batch.target()[image * size..(image + 1) * size];
            values.copy_images(slot, &mut self.outputs);
            if let (Some(places), Some(each)) = (masked, each) {
                let places = &places[image * each..(image + 1) * each];
                let (chosen, targets) = (&mut self.chosen, &mut self.targets);
                chosen.clear();
                chosen.extend(places.iter().map(|&place| self.outputs[place as usize]));
                let wanted = places.iter().map(|&place| f64::from(target[place as usize]));
                targets.iter_mut().zip(wanted).for_each(|(to, from)| *to = T::of(from));
                self.loss += head(self.kernels, chosen, &targets[..each]);
                self.outputs.fill(T::zero());
                for (&place, &slope) in places.iter().zip(&*chosen) {
                    self.outputs[place as usize] = slope;
                }
            } else {
                let places = self.targets.iter_mut().zip(target);
                places.for_each(|(to, &from)| *to = T::of(f64::from(from)));
                self.loss += head(self.kernels, &mut self.outputs, &self.targets);
            }
            gradient.take_image(slot, &self.outputs);
        }
    }

    fn backward(&mut self, images: usize, training: Training<'_>) {
        for step in self.steps.iter_mut().rev() {
            step.backward(&mut self.edges, &mut self.buffers, images, training);
        }
    }
}

/// Portions of so many images.
fn micro_batches(images: Range<usize>, at_once: usize) -> impl Iterator<Item = Range<usize>> {
    let end = images.end;
    images.step_by(at_once).map(move |first| first..(first + at_once).min(end))
}

/// Where each value lies among the edges: the input first, then in the order of the operations.
fn places(operations: &[Operation]) -> HashMap<usize, usize> {
    let input = operations.first().map_or(0, |operation| operation.from[0]);
    let given = operations.iter().flat_map(|operation| &operation.to).copied();
    std::iter::once(input).chain(given).zip(0..).collect()
}

/// Of each edge, whether weights stand before it, which learn from its gradient.
fn learns(operations: &[Operation], places: &HashMap<usize, usize>) -> Vec<bool> {
    let mut learns = vec![false; places.len()];
    for operation in operations {
        let before = operation.from.iter().any(|wire| learns[places[wire]]);
        for wire in &operation.to {
            learns[places[wire]] = before || operation.kind.has_weights();
        }
    }
    learns
}

pub(super) fn stage<T: Real>(
    operation: &Operation,
    kernels: &'static Kernels<T>,
    images: usize,
) -> Box<dyn Stage<T>> {
    let (input, output) = (operation.input, operation.output);
    match operation.kind.clone() {
        Kind::Convolution(options) => Box::new(Convolution::new(options, kernels, images)),
        Kind::Depthwise(options) => Box::new(Depthwise::new(options, kernels)),
        Kind::Activate(function) => Box::new(Pointwise::new(kernels, function)),
        Kind::MaxPool(options) => Box::new(MaxPool::new(options, (input, output), kernels, images)),
        Kind::AveragePool(options) => Box::new(AveragePool::new(options, input, output)),
        Kind::Upsample(rows, columns) => Box::new(Upsample { rows, columns }),
        Kind::Bilinear(rows, columns) => Box::new(Bilinear::new((rows, columns), input, kernels)),
        Kind::PadOrCrop(down, across) => Box::new(PadOrCrop { down, across }),
        Kind::Reshape => Box::new(Reshape),
        Kind::Softmax => Box::new(Softmax::new(kernels)),
        Kind::PRelu(options) => Box::new(PRelu::new(options, input)),
        Kind::LayerNorm(options) => Box::new(LayerNorm::new(options, input, images)),
        Kind::GroupNorm(groups, options) => {
            Box::new(GroupNorm::new(groups, options, input, images))
        }
        Kind::UnitNorm => Box::new(UnitNorm),
        Kind::GlobalPool { largest } => Box::new(GlobalPool::new(largest, input)),
        Kind::Permute(axes) => Box::new(Permute { axes }),
        Kind::DepthToSpace(block_size) => Box::new(DepthToSpace { block_size }),
        Kind::Repeat(times) => Box::new(Upsample { rows: 1, columns: times }),
        Kind::Broadcast => Box::new(Broadcast::new(input)),
        Kind::Fork
        | Kind::Merge(_)
        | Kind::Concatenate(_)
        | Kind::BatchNorm(_)
        | Kind::Sampling(_)
        | Kind::Penalty(_)
        | Kind::Parted(_)
        | Kind::Chance(..) => {
            unreachable!("a step, which needs no stage")
        }
    }
}
