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
use crate::engine::criterion::batch_of;
use crate::engine::{Engine, Model};
use crate::nn::channels_first;

impl<T: Real> Native<T> {
    /// The loss of a batch that is the mean of its images', and the gradients of each worker in its own.
    pub(super) fn loss_by_images(&mut self, batch: &Batch, seed: u64) -> Tensor {
        let meeting = self.prepare_training(batch.len);
        let (criterion, computed) = (&self.criterion.clone(), &batch_of(&self.computed));
        let judge = |outputs: &[T], images: &Range<usize>| {
            let outputs = Tensor::from_slice(outputs).view(computed.as_slice());
            let outputs = outputs.set_requires_grad(true);
            let target = criterion.target_of(batch, images);
            let loss = criterion.loss(batch, images, &channels_first(&outputs), &target);
            let loss = loss * (images.len() as f64 / batch.len as f64);
            let slopes = Tensor::run_backward(&[&loss], &[&outputs], false, false);
            (loss.double_value(&[]), values_of(&slopes[0]))
        };
        let workers = self.divide(batch.len, 0.., |own, weights, images, worker| {
            let _attendance = meeting.attend();
            let training = Training::new(seed, &images, batch.len, worker, &meeting);
            own.loss_and_gradient_by(weights, &Share { batch, images }, training, judge);
        });
        mean_loss(workers, 1, batch.len)
    }

    /// The batch's loss, and the gradients of each worker in its own: all go forward, libtorch differentiates, all go
    /// back.
    pub(super) fn loss_by_batch(&mut self, batch: &Batch, seed: u64) -> Tensor {
        let meeting = self.prepare_training(batch.len);
        let each = self.share(batch.len) * self.output_values();
        let mut outputs: Vec<T> = zeros(batch.len * self.output_values());
        let parts = outputs.chunks_mut(each).zip(0..);
        self.divide(batch.len, parts, |own, weights, images, (part, worker)| {
            let _attendance = meeting.attend();
            let training = Training::new(seed, &images, batch.len, worker, &meeting);
            own.forward_all(weights, &Share { batch, images }, training, part);
        });
        let outputs = self.tensor(&outputs).set_requires_grad(true);
        let loss = self.loss_of(batch, &outputs);
        let slopes: Vec<T> =
            values_of(&Tensor::run_backward(&[&loss], &[&outputs], false, false)[0]);
        let parts = slopes.chunks(each).zip(0..);
        let workers = self.divide(batch.len, parts, |own, _, images, (slopes, worker)| {
            let _attendance = meeting.attend();
            let training = Training::new(seed, &images, batch.len, worker, &meeting);
            own.backward_all(slopes, images.len(), training);
        });
        loss.detach() + added(workers, batch.len)
    }

    /// Of outputs in Keras's shape.
    fn loss_of(&self, batch: &Batch, outputs: &Tensor) -> Tensor {
        let images = 0..batch.len;
        let target = self.criterion.target_of(batch, &images);
        self.criterion.loss(batch, &images, &channels_first(outputs), &target)
    }

    /// Outputs in Keras's shape; signals are images of one row.
    fn tensor(&self, outputs: &[T]) -> Tensor {
        Tensor::from_slice(outputs).view(batch_of(&self.computed).as_slice())
    }

    /// Loss and outputs, without learning.
    pub(super) fn judge_by_batch(&mut self, model: &Model, batch: &Batch) -> (Tensor, Vec<f32>) {
        let outputs = self.results(model, &batch.input);
        let loss = self.loss_of(batch, &self.tensor(&outputs));
        let loss = match self.activity(model) {
            Some(added) => loss + added,
            None => loss,
        };
        (loss, T::singles(outputs))
    }
}
