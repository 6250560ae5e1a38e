//! Losses that libtorch computes, on what the stages give: those that look at more than one value, sums of several, and
//! the rarer ones. Where they are a mean over images, as of structural similarity, each worker has its own judged; else
//! the whole batch is judged at once.

use std::ops::Range;

use tch::Tensor;

use super::call::Training;
use super::kernels::Real;
use super::memory::zeros;
use super::worker::Share;
use super::{Native, added, mean_loss, values_of};
use crate::data::Batch;
use crate::engine::criterion::{Criterion, batch_of};
use crate::engine::{Engine, Model};
use crate::nn::channels_first;

impl<T: Real> Native<T> {
    /// The loss of a batch that is the mean of its images', and the gradients of each worker in its own.
    pub(super) fn loss_by_images(&mut self, batch: &Batch, seed: u64) -> Tensor {
        let meeting = self.prepare_training(batch);
        let (criterion, computed) = (&self.criterion.clone(), &self.computed.clone());
        let whole = batch.part().whole;
        let judge = |outputs: &[T], images: &Range<usize>| {
            let outputs = tensor(outputs, computed).set_requires_grad(true);
            let share = images.len() as f64 / whole as f64;
            let loss = loss_of(criterion, batch, images, &outputs) * share;
            (loss.double_value(&[]), slopes(&loss, &outputs))
        };
        let workers = self.divide(batch.len, 0.., |own, weights, images, worker| {
            let _attendance = meeting.attend();
            let training = Training::new(seed, &images, batch.part(), worker, &meeting);
            own.loss_and_gradient_by(weights, &Share { batch, images }, training, judge);
        });
        mean_loss(workers, 1, whole)
    }

    /// The batch's loss, and the gradients of each worker in its own: all go forward, libtorch differentiates, all go
    /// back.
    pub(super) fn loss_by_batch(&mut self, batch: &Batch, seed: u64) -> Tensor {
        let meeting = self.prepare_training(batch);
        let each = self.share(batch.len) * self.output_values();
        let mut outputs: Vec<T> = zeros(batch.len * self.output_values());
        let parts = outputs.chunks_mut(each).zip(0..);
        self.divide(batch.len, parts, |own, weights, images, (part, worker)| {
            let _attendance = meeting.attend();
            let training = Training::new(seed, &images, batch.part(), worker, &meeting);
            own.forward_all(weights, &Share { batch, images }, training, part);
        });
        let outputs = tensor(&outputs, &self.computed).set_requires_grad(true);
        let loss = loss_of(&self.criterion, batch, &(0..batch.len), &outputs);
        let slopes: Vec<T> = slopes(&loss, &outputs);
        let parts = slopes.chunks(each).zip(0..);
        let workers = self.divide(batch.len, parts, |own, _, images, (slopes, worker)| {
            let _attendance = meeting.attend();
            let training = Training::new(seed, &images, batch.part(), worker, &meeting);
            own.backward_all(slopes, images.len(), training);
        });
        loss.detach() + added(workers, batch.len)
    }

    /// Loss and outputs, without learning.
    pub(super) fn judge_by_batch(&mut self, model: &Model, batch: &Batch) -> (Tensor, Vec<f32>) {
        let outputs = self.results(model, &batch.input);
        let given = tensor(&outputs, &self.computed);
        let loss = loss_of(&self.criterion, batch, &(0..batch.len), &given);
        let loss = match self.activity(model) {
            Some(added) => loss + added,
            None => loss,
        };
        (loss, T::singles(outputs))
    }
}

/// Outputs in Keras's shape; signals are images of one row.
fn tensor<T: Real>(outputs: &[T], shape: &[i64]) -> Tensor {
    Tensor::from_slice(outputs).view(batch_of(shape).as_slice())
}

/// Of some images' outputs in Keras's shape.
fn loss_of(
    criterion: &Criterion,
    batch: &Batch,
    images: &Range<usize>,
    outputs: &Tensor,
) -> Tensor {
    let target = criterion.target_of(batch, images);
    criterion.loss(batch, images, &channels_first(outputs), &target)
}

/// Of the loss by the outputs.
fn slopes<T: Real>(loss: &Tensor, outputs: &Tensor) -> Vec<T> {
    values_of(&Tensor::run_backward(&[loss], &[outputs], false, false)[0])
}
