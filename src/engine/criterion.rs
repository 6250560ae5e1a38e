//! A plan's loss of a whole batch, as libtorch computes it.

use std::ops::Range;

use tch::{Device, Kind, Tensor};

use crate::data::Batch;
use crate::nn::{Losses, channels_first, channels_last};
use crate::plan::{Section, Shape};
use crate::system::cuda::upload;

/// The loss, and what it is of.
#[derive(Debug, Clone)]
pub(super) struct Criterion {
    loss: Losses,
    pub device: Device,
    pub kind: Kind,
    /// The shape of what should come out of a section, as layers compute it ([`Shape::computed`]).
    pub target: Vec<i64>,
}

impl Criterion {
    /// Of what a section gives, in that precision.
    pub fn new(loss: &Losses, section: &Section<'_>, device: Device, kind: Kind) -> Self {
        let output = section.output_shape();
        let mut target = sides(&output.computed());
        if let (true, Some(channels)) = (loss.of_classes(), target.last_mut()) {
            *channels = 1;
        }
        Self { loss: loss.computed(output.0.len()), device, kind, target }
    }

    /// Of some images of a batch, whose outputs and targets are as layers give them, `(N, C, H, W)` or `(N, F)`: a
    /// scalar. Where some values are hidden, of these alone.
    pub fn loss(
        &self,
        batch: &Batch,
        images: &Range<usize>,
        output: &Tensor,
        target: &Tensor,
    ) -> Tensor {
        self.loss_at(self.places_of(batch, images).as_ref(), output, target)
    }

    /// The same of a whole batch, where the hidden values are at such places.
    pub fn loss_at(&self, places: Option<&Tensor>, output: &Tensor, target: &Tensor) -> Tensor {
        let Some(places) = places else { return self.loss.of(output, target) };
        let masked = |tensor: &Tensor| {
            let flat = channels_last(tensor).reshape([places.size()[0], -1]);
            flat.gather(1, places, false)
        };
        self.loss.of(&masked(output), &masked(target))
    }

    /// Where values of some images of a batch are hidden, `(N, values)`, on the device; as many of each image.
    pub fn places_of(&self, batch: &Batch, images: &Range<usize>) -> Option<Tensor> {
        let places = batch.supervision.masked()?;
        let each = places.len() / batch.len;
        let places = &places[images.start * each..images.end * each];
        let places: Vec<i64> = places.iter().copied().map(i64::from).collect();
        let rows = |places: &Tensor| places.view([images.len() as i64, -1]);
        Some(upload(Tensor::from_slice(&places), rows, self.device, Kind::Int64))
    }

    /// What should come out for some images of a batch.
    pub fn target_of(&self, batch: &Batch, images: &Range<usize>) -> Tensor {
        let target = batch.target();
        let each = target.len() / batch.len;
        self.tensor(&target[images.start * each..images.end * each], &self.target)
    }

    /// Whether the loss of a batch is the mean of its images'.
    pub fn is_mean_over_images(&self) -> bool {
        self.loss.is_mean_over_images(self.target.len())
    }

    /// Channels-last values of samples of that shape as the layers take them, `(N, C, H, W)` or `(N, F)`, on
    /// the device.
    pub fn tensor(&self, values: &[f32], shape: &[i64]) -> Tensor {
        let sides = batch_of(shape);
        let view = |values: &Tensor| channels_first(&values.view(sides.as_slice()));
        upload(Tensor::from_slice(values), view, self.device, self.kind)
    }
}

/// With the batch.
pub(super) fn batch_of(shape: &[i64]) -> Vec<i64> {
    [-1].iter().chain(shape).copied().collect()
}

pub(super) fn sides(shape: &Shape) -> Vec<i64> {
    shape.0.iter().map(|&side| side as i64).collect()
}
