//! The `native` engine: the model's arithmetic on the CPU, by kernels of our own.
//!
//! A plan's graph is lowered into stages ([`lower`]), each of which has a forward and a backward pass over
//! buffers that they share and keep ([`buffers`]). A worker for every thread takes whole images through all stages
//! and back, a few at a time, so that what it needs stays in its core's cache; the workers meet only
//! to add up their gradients, in their own order, so that timing decides nothing. (Where a layer normalises by the whole
//! batch, or the loss looks at it as a whole, they meet there as well: [`call`].)
//!
//! With more cores there are more workers, up to one for each image of the batch; where there are more threads than
//! images, the others help these workers, and a convolution's work on one image is divided among such a [`team`]. What
//! does not shrink with their number is what each worker does once a step: it packs the weights, and its gradient is
//! added to the others'; both grow with the weights, not with the images.
//!
//! # What it computes
//!
//! All of it serves one loop, a convolution of one image, `fine (H, W, C)`, with `kernel (kh, kw, C, O)`:
//!
//! ```text
//! for (y, x) in coarse positions, o in 0..O:                       coarse (h, w, O)
//!     sum = bias[o]
//!     for (ky, kx) in taps, c in 0..C:
//!         sum += kernel[ky][kx][c][o] * fine[y * stride + ky - top][x * stride + kx - left][c]
//!     coarse[y][x][o] = sum
//! ```
//!
//! and its two transposes: the gradient of `fine`, which is also the way forward of `Conv2DTranspose`, and the
//! gradient of `kernel`. `Dense` is the loop with one tap. With a dilation, it is `ky * dilation - top`, and likewise
//! across; with groups, each group of channels has a loop of its own.
//!
//! # Words
//!
//! | word | what it is | where |
//! |---|---|---|
//! | fine, coarse | the two grids of a convolution: `Conv2D` reads the fine one and gives the coarse one, `Conv2DTranspose` the other way round | [`window`] |
//! | tap | one place `(ky, kx)` of the kernel, a matrix `(C, O)` | [`window`] |
//! | gather, scatter | the loop as it stands, from fine to coarse; its transpose, from coarse to fine | [`pass`] |
//! | group | channels of both grids that meet by themselves, side by side in a pixel | [`window`] |
//! | phase | fine positions with the same remainder by the stride: they meet the same taps | [`window`] |
//! | margin | zeros around a grid that windows may read | [`grid`] |
//! | field, edge | the values of some images; the values between two stages, with their gradient | [`grid`] |
//! | product, outer | the kernel of the loop: a row of positions times a packed matrix; its transpose, which sums up the kernel's gradient | [`kernels`] |
//! | piece | values of a window that lie side by side: a whole row of taps, or one tap where it is dilated or grouped | [`kernels`] |
//! | panel, lane | columns of a packed matrix that fill vectors; one value of a vector | [`kernels`] |
//! | tile, plane | 2x2 results that are computed together with fewer multiplications; for each of these multiplications, the values of all tiles | [`tiled`] |
//! | fold | nearest upsampling and the convolution after it as one transposed convolution; one of few channels turned round | [`fold`] |
//! | team | a worker's thread and its helpers, where there are more threads than images | [`team`] |
//! | part | some of the channels that a convolution reads, where they are concatenated | [`stages`] |
//!
//! `kernels/tests.rs` holds each kernel, in each of its forms, to such plain loops.

mod axes;
mod batch_norm;
mod buffers;
mod by_batch;
mod call;
mod chance;
mod convolutions;
mod direct;
mod fold;
#[cfg(test)]
mod graph_tests;
mod grid;
mod kernels;
mod loss;
mod lower;
mod memory;
mod merges;
mod pass;
mod penalties;
mod spin_wait;
mod stages;
mod step;
mod team;
#[cfg(test)]
mod team_tests;
#[cfg(test)]
mod tests;
mod tiled;
#[cfg(test)]
mod training_tests;
mod window;
mod worker;

pub use lower::Unsupported;

use std::iter::repeat;
use std::ops::Range;
use std::sync::Arc;

use tch::{Device, Tensor};

use super::criterion::{Criterion, sides};
use super::{Engine, Model, Step};
use crate::data::Batch;
use crate::nn;
use crate::plan::{Part, Plan, Section};
use crate::system::ranks::Ranks;
use call::{Meeting, Training};
use grid::Size;
use kernels::{Kernels, Real};
use lower::{Head, Kind, Operation};
use memory::zeros;
use stages::ConvolutionOptions;
use team::{Crew, Team};
use worker::{Share, Weights, Worker};

/// Whether all layers of a plan have stages.
///
/// # Errors
/// Names the first layer that has none.
pub(super) fn supports(plan: &Plan) -> Result<(), Unsupported> {
    lower::operations(&section_of(plan, Part::Whole)).map(drop)
}

fn section_of(plan: &Plan, part: Part) -> Section<'_> {
    plan.graph.section(part).expect("who asks for a part has found that it stands alone")
}

/// In one precision.
#[derive(Debug)]
pub(super) struct Native<T: Real> {
    kernels: &'static Kernels<T>,
    operations: Vec<Operation>,
    head: Head,
    /// The loss, where libtorch computes it.
    criterion: Criterion,
    threads: usize,
    /// Other processes that have shares of the same batches.
    ranks: Option<Arc<Ranks>>,
    crew: Crew,
    /// One for each thread, as soon as there are images for it: a single image needs the memory of
    /// one worker, however many cores there are.
    workers: Vec<Worker<T>>,
    /// Images at once that workers have been asked to have room for.
    room: usize,
    weights: Weights<T>,
    /// Images of the last prediction.
    last: usize,
    /// What goes in for each image: its own values, or its code's.
    input: Size,
    /// Shape of what comes out for each.
    output: Vec<usize>,
    /// The same as layers compute it, channels last: a signal is an image of one row.
    computed: Vec<i64>,
}

impl<T: Real> Native<T> {
    /// For a part of a plan whose layers all have stages, on so many threads.
    ///
    /// # Errors
    /// Names the first layer that has none.
    pub fn new(plan: &Plan, part: Part, threads: usize) -> Result<Self, Unsupported> {
        let loss = loss::elementwise(&plan.config.train.loss);
        let lowered = lower::lower(&section_of(plan, part), loss)?;
        Ok(Self::assemble(plan, part, lowered, threads, T::forms()[0]))
    }

    fn assemble(
        plan: &Plan,
        part: Part,
        (operations, head): (Vec<Operation>, Head),
        threads: usize,
        kernels: &'static Kernels<T>,
    ) -> Self {
        // What little libtorch still has to do is not worth threads, which would spin against ours.
        tch::set_num_threads(1);
        let count = plan.trainable();
        let section = section_of(plan, part);
        Self {
            kernels,
            head,
            criterion: Criterion::new(&plan.config.train.loss, &section, Device::Cpu, T::KIND),
            threads,
            ranks: None,
            crew: Crew::new(threads, heaviest(&operations)),
            operations,
            workers: Vec::new(),
            room: 1,
            weights: Weights { values: zeros(count), moving: Vec::new(), version: 0 },
            last: 0,
            input: Size::of(&section.input_shape().0),
            output: section.output_shape().0.clone(),
            computed: sides(&section.output_shape().computed()),
        }
    }

    /// Images of a worker's share; the last one may be smaller, and workers may be left without.
    fn share(&self, images: usize) -> usize {
        images.div_ceil(self.threads).max(1)
    }

    /// Workers that get a share.
    fn busy(&self, images: usize) -> usize {
        images.div_ceil(self.share(images))
    }

    /// Values that come out for an image.
    fn output_values(&self) -> usize {
        self.output.iter().product()
    }

    /// Values of a batch that the loss looks at.
    fn judged_values(&self, batch: &Batch) -> usize {
        batch.supervision.masked().map_or(batch.len * self.output_values(), <[u32]>::len)
    }

    /// Gives each worker its share of the images and its one of `parts`: the first ones to the first
    /// worker, and so on. Returns those who had something to do.
    fn divide<P: Send>(
        &mut self,
        images: usize,
        parts: impl IntoIterator<Item = P>,
        work: impl Fn(&mut Worker<T>, &Weights<T>, Range<usize>, P) + Sync,
    ) -> &mut [Worker<T>] {
        let each = self.share(images);
        let busy = self.busy(images);
        self.employ(busy, 1);
        let weights = &self.weights;
        let shares = (0..images).step_by(each).map(|first| first..(first + each).min(images));
        let jobs = self.workers.iter_mut().zip(shares).zip(parts);
        self.crew.work(jobs.collect(), |team, ((worker, share), part)| {
            worker.join(team);
            work(worker, weights, share, part);
            // Workers that are idle in the next call must not keep this one's threads.
            worker.join(&Team::alone());
        });
        &mut self.workers[..busy]
    }

    /// Sees to it that so many workers are there, each with room for so many images at once. New ones get as much as was
    /// ever asked for: training and validation take turns.
    fn employ(&mut self, count: usize, images: usize) {
        self.room = self.room.max(images);
        let room = self.room;
        self.workers.retain(|worker| worker.has_room(images));
        while self.workers.len() < count {
            let Self { input, operations, head, weights, kernels, .. } = &*self;
            let weights = weights.values.len();
            self.workers.push(Worker::new(*input, operations, *head, weights, kernels, room));
        }
    }

    /// Prepares a training step; where the model or its loss looks at the batch as a whole, a worker's
    /// share goes through a stage all at once.
    fn prepare_training(&mut self, batch: &Batch) -> Meeting {
        let images = batch.len;
        let norms = (self.operations.iter())
            .filter(|operation| matches!(operation.kind, Kind::BatchNorm(_)))
            .count();
        let busy = self.busy(images);
        let judged_whole = self.head == Head::Batch && !self.criterion.is_mean_over_images();
        if norms > 0 || judged_whole {
            self.employ(busy, self.share(images));
        }
        let met = if self.ranks.is_some() { batch.part().whole } else { images };
        Meeting::new(busy, 2 * norms, self.ranks.clone(), met)
    }

    /// Lets the moving statistics follow the batch of the last step.
    fn follow(&self, model: &Model) {
        let moving = model.parameters.moving_statistics();
        for (options, statistics) in self.workers[0].statistics() {
            for (tensor, batch) in
                moving[options.moving..].iter().zip([&statistics.mean, &statistics.variance])
            {
                nn::follow_batch(tensor, &Tensor::from_slice(batch), options.momentum);
            }
        }
    }

    /// Takes over the model's weights; a new version only if they differ, as packing them takes longer than predicting
    /// a small batch.
    fn read(&mut self, model: &Model) {
        let new = nn::values::<T>(&model.weights)
            .expect("the native engine's weights are in the processor's memory");
        let moving = model.parameters.moving_statistics().iter().map(values_of).collect();
        if differ(new, &self.weights.values) || moving != self.weights.moving {
            self.weights.values.copy_from_slice(new);
            self.weights.moving = moving;
            self.weights.version += 1;
        }
    }

    /// The batch's loss, and the gradients of each worker in its own.
    fn loss_by_values(&mut self, batch: &Batch, seed: u64) -> Tensor {
        let whole = batch.part().whole;
        // Of masked values each image has as many.
        let count = self.judged_values(batch) * whole / batch.len;
        let meeting = self.prepare_training(batch);
        let workers = self.divide(batch.len, 0.., |own, weights, images, worker| {
            let _attendance = meeting.attend();
            let training = Training::new(seed, &images, batch.part(), worker, &meeting);
            own.loss_and_gradient(weights, &Share { batch, images }, count, training);
        });
        mean_loss(workers, count, whole)
    }

    /// What the model gives for some images or codes, in its precision.
    fn results(&mut self, model: &Model, input: &[f32]) -> Vec<T> {
        self.read(model);
        let images = input.len() / self.input.values();
        self.last = images;
        let values = self.output_values();
        let mut outputs = zeros(images * values);
        let parts = outputs.chunks_mut(self.share(images) * values);
        self.divide(images, parts, |worker, weights, images, part| {
            worker.predict(weights, input, images, part);
        });
        outputs
    }
}

/// Multiplications of the convolution that takes most of them for an image.
fn heaviest(operations: &[Operation]) -> usize {
    let of =
        |options: &ConvolutionOptions| options.window.groups * options.window.multiplications();
    let each = |operation: &Operation| match &operation.kind {
        Kind::Convolution(options) => of(options),
        Kind::Parted(options) => options.parts.iter().map(of).max().unwrap_or(0),
        _ => 0,
    };
    operations.iter().map(each).max().unwrap_or(0)
}

/// Whether some value of the one is not that of the other, a number of them at a time.
fn differ<T: Real>(some: &[T], others: &[T]) -> bool {
    const AT_ONCE: usize = 1 << 10;
    let pairs = some.chunks(AT_ONCE).zip(others.chunks(AT_ONCE));
    // Not `some != others`, which looks at each value before it goes on to the next.
    let mut parts =
        pairs.map(|(some, others)| some.iter().zip(others).filter(|(a, b)| a != b).count());
    parts.any(|differing| differing > 0)
}

fn values_of<T: Real>(tensor: &Tensor) -> Vec<T> {
    let mut values = zeros(tensor.numel());
    let count = values.len();
    tensor.copy_data(&mut values, count);
    values
}

/// Of a batch, from each worker's sums: over `count` values the loss, over the images what their values add.
fn mean_loss<T: Real>(workers: &[Worker<T>], count: usize, images: usize) -> Tensor {
    let sum: f64 = workers.iter().map(|worker| worker.loss).sum();
    Tensor::from(sum / count as f64 + added(workers, images))
}

fn added<T: Real>(workers: &[Worker<T>], images: usize) -> f64 {
    workers.iter().map(|worker| worker.added).sum::<f64>() / images as f64
}

impl<T: Real> Engine for Native<T> {
    fn join(&mut self, ranks: &Arc<Ranks>) {
        self.ranks = Some(Arc::clone(ranks));
    }

    fn name(&self) -> String {
        let threads = self.threads;
        format!(
            "native ({}, {threads} thread{})",
            self.kernels.name,
            if threads == 1 { "" } else { "s" }
        )
    }

    fn loss_and_gradient(&mut self, model: &Model, batch: &Batch, seed: u64) -> Step {
        self.read(model);
        let loss = match self.head {
            Head::Batch if self.criterion.is_mean_over_images() => self.loss_by_images(batch, seed),
            Head::Batch => self.loss_by_batch(batch, seed),
            Head::Logits | Head::Outputs(_) => self.loss_by_values(batch, seed),
        };
        let busy = self.busy(batch.len);
        let workers = &mut self.workers[..busy];
        let (first, others) = workers.split_first_mut().expect("a batch is not empty");
        for worker in others {
            self.kernels.add_scaled(&mut first.gradient, &worker.gradient, T::one());
        }
        let gradient = Tensor::from_slice(&first.gradient);
        self.follow(model);
        Step { loss, gradient }
    }

    fn loss(&mut self, model: &Model, batch: &Batch) -> Tensor {
        if self.head == Head::Batch {
            return self.judge(model, batch).0;
        }
        self.read(model);
        let count = self.judged_values(batch);
        let workers = self.divide(batch.len, repeat(()), |worker, weights, images, ()| {
            worker.evaluate(weights, &Share { batch, images }, count);
        });
        mean_loss(workers, count, batch.len)
    }

    fn outputs(&mut self, model: &Model, input: &[f32]) -> Tensor {
        let sides: Vec<i64> =
            [-1].into_iter().chain(self.output.iter().map(|&side| side as i64)).collect();
        Tensor::from_slice(&self.results(model, input)).view(sides.as_slice())
    }

    fn predict(&mut self, model: &Model, input: &[f32]) -> Vec<f32> {
        T::singles(self.results(model, input))
    }

    fn activity(&self, _model: &Model) -> Option<Tensor> {
        let adds =
            |operation: &Operation| matches!(operation.kind, Kind::Penalty(_) | Kind::Sampling(_));
        let images = self.last.max(1);
        let busy = self.busy(images).min(self.workers.len());
        let added = || Tensor::from(added(&self.workers[..busy], images));
        self.operations.iter().any(adds).then(added)
    }

    fn judge(&mut self, model: &Model, batch: &Batch) -> (Tensor, Vec<f32>) {
        if self.head == Head::Batch {
            return self.judge_by_batch(model, batch);
        }
        self.read(model);
        let count = self.judged_values(batch);
        let mut outputs: Vec<T> = zeros(batch.len * self.output_values());
        let parts = outputs.chunks_mut(self.share(batch.len) * self.output_values());
        let workers = self.divide(batch.len, parts, |worker, weights, images, part| {
            worker.judge(weights, &Share { batch, images }, count, part);
        });
        (mean_loss(workers, count, batch.len), T::singles(outputs))
    }
}
