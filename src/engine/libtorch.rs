//! The `libtorch` engine: `nn::SequentialT` with autograd, on the CPU or a GPU.

use tch::nn::ModuleT;
use tch::{Device, Kind, Tensor, no_grad};

use super::{Engine, Model, Step, values_of};
use crate::data::Batch;
use crate::nn::{Losses, channels_first, channels_last};
use crate::plan::{Part, Plan, Shape};

/// What is needed beside the model.
#[derive(Debug)]
pub(super) struct Libtorch {
    loss: Losses,
    device: Device,
    kind: Kind,
    part: Part,
    /// Of what goes in, as layers compute on it ([`Shape::computed`]).
    shape: Vec<i64>,
    /// Of what should come out.
    target: Vec<i64>,
    /// Of what comes out, in Keras's shape.
    given: Vec<i64>,
    draws_in_training: bool,
}

impl Libtorch {
    /// # Panics
    /// When a connection leads past the code and the part is the decoder.
    pub fn new(plan: &Plan, part: Part, device: Device, kind: Kind) -> Self {
        let section = plan.graph.section(part).expect("it was asked for before");
        let loss = &plan.config.train.loss;
        let mut target = sides(&section.output_shape().computed());
        if let (true, Some(channels)) = (loss.of_classes(), target.last_mut()) {
            *channels = 1;
        }
        Self {
            loss: loss.computed(section.output_shape().0.len()),
            device,
            kind,
            part,
            shape: sides(&section.input_shape().computed()),
            target,
            given: sides(section.output_shape()),
            draws_in_training: plan.graph.nodes.iter().any(|node| node.layer.draws()),
        }
    }

    /// Loss and outputs of a batch.
    fn run(&self, model: &Model, batch: &Batch, train: bool) -> (Tensor, Tensor) {
        let input = self.tensor(&batch.input, &self.shape);
        model.activity.take();
        let output = model.forward_t(&input, train);
        let target = match &batch.clean {
            Some(clean) => self.tensor(clean, &self.target),
            None if self.target == self.shape => input,
            // The same values in other sides: a vector for an image.
            None => self.tensor(&batch.input, &self.target),
        };
        let loss = match batch.supervision.masked() {
            None => self.loss.of(&output, &target),
            Some(places) => {
                let places = places_of(places, batch.len).to_device(self.device);
                let masked = |tensor: &Tensor| {
                    let flat = channels_last(tensor).reshape([batch.len as i64, -1]);
                    flat.gather(1, &places, false)
                };
                self.loss.of(&masked(&output), &masked(&target))
            }
        };
        let loss = match model.activity.take() {
            Some(penalty) => loss + penalty,
            None => loss,
        };
        (loss, output)
    }

    /// Channels-last values of samples of that shape as the layers take them, `(N, C, H, W)` or `(N, F)`, on
    /// the device.
    fn tensor(&self, values: &[f32], shape: &[i64]) -> Tensor {
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
fn batch_of(shape: &[i64]) -> Vec<i64> {
    [-1].iter().chain(shape).copied().collect()
}

fn sides(shape: &Shape) -> Vec<i64> {
    shape.0.iter().map(|&side| side as i64).collect()
}

impl Engine for Libtorch {
    fn name(&self) -> String {
        "libtorch".to_owned()
    }

    fn loss_and_gradient(&mut self, model: &Model, batch: &Batch, seed: u64) -> Step {
        if self.draws_in_training {
            tch::manual_seed(i64::from_le_bytes(seed.to_le_bytes()));
        }
        let (loss, _) = self.run(model, batch, true);
        let gradients = Tensor::run_backward(&[&loss], &model.trainable, false, false);
        let rows: Vec<Tensor> = gradients.iter().map(|tensor| tensor.flatten(0, -1)).collect();
        Step { loss: loss.detach(), gradient: Tensor::cat(&rows, 0) }
    }

    fn loss(&mut self, model: &Model, batch: &Batch) -> Tensor {
        self.judge(model, batch).0
    }

    fn outputs(&mut self, model: &Model, input: &[f32]) -> Tensor {
        let input = self.tensor(input, &self.shape);
        model.activity.take();
        let output = no_grad(|| match self.part {
            Part::Whole => model.forward_t(&input, false),
            Part::Encoder => model.encode(&input, false),
            Part::Decoder => model.decode(&input, false),
        });
        channels_last(&output).reshape(batch_of(&self.given))
    }

    fn judge(&mut self, model: &Model, batch: &Batch) -> (Tensor, Vec<f32>) {
        let (loss, output) = no_grad(|| self.run(model, batch, false));
        (loss, values_of(&channels_last(&output)))
    }
}
