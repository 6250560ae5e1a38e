//! A model with its optimizer: takes batches, gives losses and pictures.

use rand::Rng;
use tch::nn::ModuleT;
use tch::{Device, Kind, Tensor, no_grad};

use super::device::device_name;
use super::kind_of;
use crate::config::layers::Layer;
use crate::data::Batch;
use crate::model::Autoencoder;
use crate::nn::Loss;
use crate::optim::Optimizer;
use crate::plan::Plan;
use crate::random::{Purpose, stream};

/// What a step of gradient descent gives, on the device.
#[derive(Debug)]
pub struct Step {
    /// The batch's loss before the step, a scalar.
    pub loss: Tensor,
    /// Its gradient before clipping, `(P,)`.
    pub gradient: Tensor,
}

/// The `libtorch` engine: `nn::SequentialT` with autograd.
#[derive(Debug)]
pub struct Learner {
    /// Lies on the device; a step changes its weights in place.
    pub model: Autoencoder,
    /// Holds what a resumed run needs beside the weights.
    pub optimizer: Optimizer,
    /// All learned weights, `(P,)`; the model's tensors are views of it.
    weights: Tensor,
    trainable: Vec<Tensor>,
    loss: Loss,
    device: Device,
    kind: Kind,
    /// Height, width and channels of a picture.
    shape: [i64; 3],
    seed: u64,
    draws_in_training: bool,
}

impl Learner {
    /// A model that has learned nothing yet.
    #[must_use]
    pub fn new(plan: &Plan, device: Device) -> Self {
        let train = &plan.config.train;
        let kind = kind_of(train.dtype);
        let model = Autoencoder::new(plan, device, kind);
        let trainable = model.parameters.trainable();
        let weights = model.parameters.flatten();
        let lengths = trainable.iter().map(|tensor| tensor.numel() as i64).collect();
        let optimizer = Optimizer::new(&train.optimizer, &weights, lengths);
        Self {
            model,
            optimizer,
            weights,
            trainable,
            loss: train.loss,
            device,
            kind,
            shape: plan.input_shape.map(|side| side as i64),
            seed: plan.seed(),
            draws_in_training: plan.layers.iter().any(|planned| {
                matches!(planned.layer, Layer::Dropout(_) | Layer::GaussianNoise(_))
            }),
        }
    }

    /// One step of gradient descent; `epoch` and `step` name the random numbers that it may draw.
    pub fn train_step(&mut self, batch: &Batch, epoch: u64, step: u64) -> Step {
        if self.draws_in_training {
            let seed = stream(self.seed, Purpose::Layers, epoch, step).next_u64();
            tch::manual_seed(i64::from_le_bytes(seed.to_le_bytes()));
        }
        let loss = self.loss_of(batch, true);
        let gradients = Tensor::run_backward(&[&loss], &self.trainable, false, false);
        let rows: Vec<Tensor> = gradients.iter().map(|tensor| tensor.flatten(0, -1)).collect();
        let gradient = Tensor::cat(&rows, 0);
        self.optimizer.step(&mut self.weights, &gradient);
        Step { loss: loss.detach(), gradient }
    }

    /// The batch's loss without learning from it, as a scalar on the device.
    pub fn loss(&self, batch: &Batch) -> Tensor {
        no_grad(|| self.loss_of(batch, false))
    }

    fn loss_of(&self, batch: &Batch, train: bool) -> Tensor {
        let input = self.pictures(&batch.input);
        let output = self.model.forward_t(&input, train);
        match &batch.clean {
            Some(clean) => self.loss.of(&output, &self.pictures(clean)),
            None => self.loss.of(&output, &input),
        }
    }

    /// Pictures in, pictures out: values channels last, one picture after the other.
    #[must_use]
    pub fn predict(&self, input: &[f32]) -> Vec<f32> {
        let output = self.outputs(input).to_device(Device::Cpu).to_kind(Kind::Float).contiguous();
        let mut values = vec![0.0; output.numel()];
        let length = values.len();
        output.copy_data(&mut values, length);
        values
    }

    /// The same as a tensor in the model's own precision: `(N, H, W, C)`, on the device.
    pub fn outputs(&self, input: &[f32]) -> Tensor {
        let output = no_grad(|| self.model.forward_t(&self.pictures(input), false));
        output.permute([0, 2, 3, 1])
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

    /// The learning rate of the next step.
    #[must_use]
    pub fn learning_rate(&self) -> f64 {
        self.optimizer.learning_rate
    }

    /// The device's name in a config.
    #[must_use]
    pub fn device_name(&self) -> String {
        device_name(self.device)
    }
}
