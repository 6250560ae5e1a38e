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
mod window;
mod worker;

pub use lower::Unsupported;

use rayon::prelude::*;
use tch::Tensor;

use super::{Engine, Model, Step};
use crate::data::Batch;
use crate::plan::Plan;
use kernels::{Kernels, Real};
use memory::zeros;
use worker::{Share, Worker};

/// In one precision.
#[derive(Debug)]
pub(super) struct Native<T: Real> {
    kernels: &'static Kernels<T>,
    workers: Vec<Worker<T>>,
    pool: rayon::ThreadPool,
    /// The step's weights, as the stages read them.
    weights: Vec<T>,
    /// Height, width and channels of a picture.
    shape: [usize; 3],
}

impl<T: Real> Native<T> {
    /// For a plan of layers that all have stages, on so many threads.
    ///
    /// # Errors
    /// Names the first layer that has none.
    pub fn new(plan: &Plan, threads: usize) -> Result<Self, Unsupported> {
        let kernels = T::forms()[0];
        Self::with_kernels(plan, threads, kernels)
    }

    fn with_kernels(
        plan: &Plan,
        threads: usize,
        kernels: &'static Kernels<T>,
    ) -> Result<Self, Unsupported> {
        let (operations, head) = lower::lower(plan)?;
        // What little libtorch still has to do is not worth threads, which would spin against ours.
        tch::set_num_threads(1);
        let count = plan.layers.iter().map(|layer| layer.trainable).sum();
        let workers =
            (0..threads).map(|_| Worker::new(&operations, head, count, kernels)).collect();
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("worker {i}"))
            .build()
            .unwrap_or_else(|_| panic!("not enough memory for {threads} threads"));
        Ok(Self { kernels, workers, pool, weights: zeros(count), shape: plan.input_shape })
    }

    /// Gives each worker its share of the pictures: the first ones to the first worker, and so on.
    fn divide(
        &mut self,
        pictures: usize,
        work: impl Fn(&mut Worker<T>, &[T], std::ops::Range<usize>) + Sync,
    ) {
        let each = pictures.div_ceil(self.workers.len());
        let weights = &self.weights;
        self.pool.install(|| {
            self.workers.par_iter_mut().enumerate().for_each(|(i, worker)| {
                let share = (i * each).min(pictures)..((i + 1) * each).min(pictures);
                work(worker, weights, share);
            });
        });
    }

    fn read(&mut self, weights: &Tensor) {
        let count = self.weights.len();
        weights.copy_data(&mut self.weights, count);
    }

    fn mean_loss(&self, count: usize) -> Tensor {
        let sum: f64 = self.workers.iter().map(|worker| worker.loss).sum();
        Tensor::from(sum / count as f64)
    }
}

impl<T: Real> Engine for Native<T> {
    fn name(&self) -> String {
        format!("native ({}, {} threads)", self.kernels.name, self.workers.len())
    }

    fn learn(&mut self, model: &Model, batch: &Batch, _seed: u64) -> Step {
        self.read(&model.weights);
        let count = batch.input.len();
        self.divide(batch.len, |worker, weights, pictures| {
            worker.learn(weights, &Share { batch, pictures }, count);
        });
        let (first, others) = self.workers.split_first_mut().expect("there is a worker");
        for worker in others {
            self.kernels.add(&mut first.gradient, &worker.gradient);
        }
        let gradient = Tensor::from_slice(&first.gradient);
        Step { loss: self.mean_loss(count), gradient }
    }

    fn loss(&mut self, model: &Model, batch: &Batch) -> Tensor {
        self.read(&model.weights);
        let count = batch.input.len();
        self.divide(batch.len, |worker, weights, pictures| {
            worker.evaluate(weights, &Share { batch, pictures }, count);
        });
        self.mean_loss(count)
    }

    fn outputs(&mut self, model: &Model, input: &[f32]) -> Tensor {
        self.read(&model.weights);
        let values: usize = self.shape.iter().product();
        let count = input.len() / values;
        let each = count.div_ceil(self.workers.len()).max(1);
        let mut outputs: Vec<T> = zeros(input.len());
        let weights = &self.weights;
        self.pool.install(|| {
            let parts = self.workers.par_iter_mut().zip(outputs.par_chunks_mut(each * values));
            parts.enumerate().for_each(|(i, (worker, part))| {
                let first = i * each;
                worker.predict(weights, input, first..first + part.len() / values, part);
            });
        });
        let [height, width, channels] = self.shape.map(|side| side as i64);
        Tensor::from_slice(&outputs).view([-1, height, width, channels])
    }
}
