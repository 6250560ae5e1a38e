//! The `native` engine: the model's arithmetic on the CPU, by kernels of our own.
//!
//! A plan is lowered into stages ([`lower`]), each of which has a forward and a backward pass over
//! buffers that are allocated once. A worker for every thread takes whole pictures through all stages
//! and back, a few at a time, so that what it needs stays in its core's cache; the workers meet only
//! to add up their gradients, in their own order, so that timing decides nothing.
//!
//! With more cores there are more workers, up to one for each picture of the batch. What does not
//! shrink with their number is what each does once a step: it packs the weights, and its gradient is
//! added to the others'; both grow with the weights, not with the pictures.

mod awake;
mod direct;
mod fold;
mod grid;
mod kernels;
mod loss;
mod lower;
mod memory;
mod pass;
mod stages;
#[cfg(test)]
mod tests;
mod tiled;
mod window;
mod worker;

pub use lower::Unsupported;

use std::iter::repeat;
use std::ops::Range;

use tch::Tensor;

use super::{Engine, Model, Step};
use crate::data::Batch;
use crate::plan::{Part, Plan};
use awake::{Pending, Vigil};
use grid::Size;
use kernels::{Kernels, Real};
use lower::{Head, Operation};
use memory::zeros;
use worker::{Share, Weights, Worker};

/// Whether all layers of a plan have stages.
///
/// # Errors
/// Names the first layer that has none.
pub(super) fn supports(plan: &Plan) -> Result<(), Unsupported> {
    lower::operations(&plan.section(Part::Whole)).map(drop)
}

/// In one precision.
#[derive(Debug)]
pub(super) struct Native<T: Real> {
    kernels: &'static Kernels<T>,
    operations: Vec<Operation>,
    head: Head,
    threads: usize,
    /// One for each thread, as soon as there are pictures for it: a single picture needs the memory of
    /// one worker, however many cores there are.
    workers: Vec<Worker<T>>,
    pool: rayon::ThreadPool,
    vigil: Vigil,
    weights: Weights<T>,
    /// Room for those of the next call.
    next_weights: Vec<T>,
    /// What goes in for each picture: its own values, or its code's.
    input: Size,
    /// Shape of what comes out for each.
    output: Vec<usize>,
}

impl<T: Real> Native<T> {
    /// For a part of a plan whose layers all have stages, on so many threads.
    ///
    /// # Errors
    /// Names the first layer that has none.
    pub fn new(plan: &Plan, part: Part, threads: usize) -> Result<Self, Unsupported> {
        let lowered = lower::lower(&plan.section(part), plan.config.train.loss)?;
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
        let count = plan.layers.iter().map(|layer| layer.trainable).sum();
        let section = plan.section(part);
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads((threads - 1).max(1)) // one works on the caller's thread
            .thread_name(|i| format!("worker {i}"))
            .build()
            .unwrap_or_else(|_| panic!("not enough memory for {threads} threads"));
        Self {
            kernels,
            operations,
            head,
            threads,
            workers: Vec::new(),
            pool,
            vigil: Vigil::default(),
            weights: Weights { values: zeros(count), version: 0 },
            next_weights: zeros(count),
            input: Size::of(&section.input.0),
            output: section.output.0,
        }
    }

    /// Pictures of a worker's share; the last one may be smaller, and workers may be left without.
    fn share(&self, pictures: usize) -> usize {
        pictures.div_ceil(self.threads).max(1)
    }

    /// Gives each worker its share of the pictures and its one of `parts`: the first ones to the first
    /// worker, and so on. That one works on this thread, which would else only wait. Returns those
    /// who had something to do.
    fn divide<P: Send>(
        &mut self,
        pictures: usize,
        parts: impl IntoIterator<Item = P>,
        work: impl Fn(&mut Worker<T>, &Weights<T>, Range<usize>, P) + Sync,
    ) -> &mut [Worker<T>] {
        let each = self.share(pictures);
        let busy = pictures.div_ceil(each);
        while self.workers.len() < busy {
            let Self { input, operations, head, weights, kernels, .. } = &*self;
            let worker = Worker::new(*input, operations, *head, weights.values.len(), kernels);
            self.workers.push(worker);
        }
        let (weights, work) = (&self.weights, &work);
        let shares = (0..pictures).step_by(each).map(|first| first..(first + each).min(pictures));
        let mut jobs = self.workers.iter_mut().zip(shares).zip(parts);
        let first = jobs.next();
        let pending = &Pending::new(busy - 1);
        self.vigil.end();
        self.pool.in_place_scope(|scope| {
            for ((worker, share), part) in jobs {
                scope.spawn(move |_| {
                    work(worker, weights, share, part);
                    pending.done();
                });
            }
            if let Some(((worker, share), part)) = first {
                work(worker, weights, share, part);
            }
            pending.wait();
        });
        if busy > 1 {
            self.vigil.begin(&self.pool);
        }
        &mut self.workers[..busy]
    }

    /// Takes over the model's weights; a new version only if they differ, as packing them takes a tenth
    /// of the time in which a small batch is predicted.
    fn read(&mut self, weights: &Tensor) {
        let count = self.next_weights.len();
        weights.copy_data(&mut self.next_weights, count);
        if self.next_weights != self.weights.values {
            std::mem::swap(&mut self.next_weights, &mut self.weights.values);
            self.weights.version += 1;
        }
    }

    /// What the model gives for some pictures or codes, in its precision.
    fn results(&mut self, model: &Model, input: &[f32]) -> Vec<T> {
        self.read(&model.weights);
        let pictures = input.len() / self.input.values();
        let values: usize = self.output.iter().product();
        let mut outputs = zeros(pictures * values);
        let parts = outputs.chunks_mut(self.share(pictures) * values);
        self.divide(pictures, parts, |worker, weights, pictures, part| {
            worker.predict(weights, input, pictures, part);
        });
        outputs
    }
}

fn mean_loss<T: Real>(workers: &[Worker<T>], count: usize) -> Tensor {
    let sum: f64 = workers.iter().map(|worker| worker.loss).sum();
    Tensor::from(sum / count as f64)
}

impl<T: Real> Engine for Native<T> {
    fn name(&self) -> String {
        let threads = self.threads;
        format!(
            "native ({}, {threads} thread{})",
            self.kernels.name,
            if threads == 1 { "" } else { "s" }
        )
    }

    fn learn(&mut self, model: &Model, batch: &Batch, _seed: u64) -> Step {
        self.read(&model.weights);
        let (kernels, count) = (self.kernels, batch.input.len());
        let workers = self.divide(batch.len, repeat(()), |worker, weights, pictures, ()| {
            worker.learn(weights, &Share { batch, pictures }, count);
        });
        let loss = mean_loss(workers, count);
        let (first, others) = workers.split_first_mut().expect("a batch is not empty");
        for worker in others {
            kernels.add_scaled(&mut first.gradient, &worker.gradient, T::one());
        }
        Step { loss, gradient: Tensor::from_slice(&first.gradient) }
    }

    fn loss(&mut self, model: &Model, batch: &Batch) -> Tensor {
        self.read(&model.weights);
        let count = batch.input.len();
        let workers = self.divide(batch.len, repeat(()), |worker, weights, pictures, ()| {
            worker.evaluate(weights, &Share { batch, pictures }, count);
        });
        mean_loss(workers, count)
    }

    fn outputs(&mut self, model: &Model, input: &[f32]) -> Tensor {
        let sides: Vec<i64> =
            [-1].into_iter().chain(self.output.iter().map(|&side| side as i64)).collect();
        Tensor::from_slice(&self.results(model, input)).view(sides.as_slice())
    }

    fn predict(&mut self, model: &Model, input: &[f32]) -> Vec<f32> {
        T::singles(self.results(model, input))
    }

    fn judge(&mut self, model: &Model, batch: &Batch) -> (Tensor, Vec<f32>) {
        self.read(&model.weights);
        let count = batch.input.len();
        let mut outputs: Vec<T> = zeros(count);
        let parts = outputs.chunks_mut(self.share(batch.len) * self.input.values());
        let workers = self.divide(batch.len, parts, |worker, weights, pictures, part| {
            worker.judge(weights, &Share { batch, pictures }, count, part);
        });
        (mean_loss(workers, count), T::singles(outputs))
    }
}
