//! The `libtorch` engine: `nn::SequentialT` with autograd, on the CPU or a GPU.

use tch::nn::ModuleT;
use tch::{Device, Kind, Tensor, no_grad};

use super::{Engine, Model, Step};
use crate::config::layers::Layer;
use crate::data::Batch;
use crate::nn::Loss;
use crate::plan::Plan;

/// What is needed beside the model.
#[derive(Debug)]
pub(super) struct Libtorch {
    loss: Loss,
    device: Device,
    kind: Kind,
    /// Height, width and channels of a picture.
    shape: [i64; 3],
    draws_in_training: bool,
}

impl Libtorch {
    pub fn new(plan: &Plan, device: Device, kind: Kind) -> Self {
        Self {
            loss: plan.config.train.loss,
            device,
            kind,
            shape: plan.input_shape.map(|side| side as i64),
            draws_in_training: plan.layers.iter().any(|planned| {
                matches!(planned.layer, Layer::Dropout(_) | Layer::GaussianNoise(_))
            }),
        }
    }

    fn loss_of(&self, model: &Model, batch: &Batch, train: bool) -> Tensor {
        let input = self.pictures(&batch.input);
        let output = model.layers.forward_t(&input, train);
        match &batch.clean {
            Some(clean) => self.loss.of(&output, &self.pictures(clean)),
            None => self.loss.of(&output, &input),
        }
    }

    /// Channels-last values as `(N, C, H, W)` on the device.
    fn pictures(&self, values: &[f32]) -> Tensor {
        let [height, width, channels] = self.shape;
        Tensor::from_slice(values)
            .view([-1, height, width, channels])
            .permute([0, 3, 1, 2])
            .to_device(self.device)
            .to_kind(self.kind)
    }
}

impl Engine for Libtorch {
    fn name(&self) -> String {
        "libtorch".to_owned()
    }

    fn learn(&mut self, model: &Model, batch: &Batch, seed: u64) -> Step {
        if self.draws_in_training {
            tch::manual_seed(i64::from_le_bytes(seed.to_le_bytes()));
        }
        let loss = self.loss_of(model, batch, true);
        let gradients = Tensor::run_backward(&[&loss], &model.trainable, false, false);
        let rows: Vec<Tensor> = gradients.iter().map(|tensor| tensor.flatten(0, -1)).collect();
        Step { loss: loss.detach(), gradient: Tensor::cat(&rows, 0) }
    }

    fn loss(&mut self, model: &Model, batch: &Batch) -> Tensor {
        no_grad(|| self.loss_of(model, batch, false))
    }

    fn outputs(&mut self, model: &Model, input: &[f32]) -> Tensor {
        let output = no_grad(|| model.layers.forward_t(&self.pictures(input), false));
        output.permute([0, 2, 3, 1])
    }
}
