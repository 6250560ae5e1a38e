//! A plan's loss of a whole batch, as libtorch computes it.

use std::ops::Range;

use tch::{Device, Kind, Tensor};

use crate::data::Batch;
use crate::nn::{Losses, channels_first, channels_last};
use crate::plan::{Section, Shape};

/// The loss, and what it is of.
#[derive(Debug, Clone)]
pub(super) struct Criterion {
    loss: Losses,
    device: Device,
    kind: Kind,
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
        let Some(places) = batch.supervision.masked() else { return self.loss.of(output, target) };
        let each = places.len() / batch.len;
        let places = &places[images.start * each..images.end * each];
        let places = places_of(places, images.len()).to_device(self.device);
        let masked = |tensor: &Tensor| {
            let flat = channels_last(tensor).reshape([images.len() as i64, -1]);
            flat.gather(1, &places, false)
        };
        self.loss.of(&masked(output), &masked(target))
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
        channels_first(&Tensor::from_slice(values).view(batch_of(shape).as_slice()))
            .to_device(self.device)
            .to_kind(self.kind)
    }
}

/// Of as many values of each image, `(N, values)`.
fn places_of(places: &[u32], images: usize) -> Tensor {
    let places: Vec<i64> = places.iter().copied().map(i64::from).collect();
    Tensor::from_slice(&places).view([images as i64, -1])
}

/// With the batch.
pub(super) fn batch_of(shape: &[i64]) -> Vec<i64> {
    [-1].iter().chain(shape).copied().collect()
}

pub(super) fn sides(shape: &Shape) -> Vec<i64> {
    shape.0.iter().map(|&side| side as i64).collect()
}
