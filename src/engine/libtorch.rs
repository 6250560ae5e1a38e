//! The `libtorch` engine: `nn::SequentialT` with autograd, on the CPU or a GPU.

use tch::nn::ModuleT;
use tch::{Device, Kind, Tensor, no_grad};

use super::criterion::{Criterion, batch_of, sides};
use super::{Engine, Model, Step, values_of};
use crate::data::Batch;
use crate::nn::channels_last;
use crate::plan::{Part, Plan};

/// What is needed beside the model.
#[derive(Debug)]
pub(super) struct Libtorch {
    criterion: Criterion,
    part: Part,
    /// Of what goes in, as layers compute on it ([`crate::plan::Shape::computed`]).
    shape: Vec<i64>,
    /// Of what comes out, in Keras's shape.
    given: Vec<i64>,
    draws_in_training: bool,
}

impl Libtorch {
    /// # Panics
    /// When a connection leads past the code and the part is the decoder.
    pub fn new(plan: &Plan, part: Part, device: Device, kind: Kind) -> Self {
        let section = plan.graph.section(part).expect("it was asked for before");
        Self {
            criterion: Criterion::new(&plan.config.train.loss, &section, device, kind),
            part,
            shape: sides(&section.input_shape().computed()),
            given: sides(section.output_shape()),
            draws_in_training: plan.graph.nodes.iter().any(|node| node.layer.draws()),
        }
    }

    /// Loss and outputs of a batch.
    fn run(&self, model: &Model, batch: &Batch, train: bool) -> (Tensor, Tensor) {
        let tensor = |values, shape| self.criterion.tensor(values, shape);
        let input = tensor(&batch.input, &self.shape);
        model.activity.take();
        let output = model.forward_t(&input, train);
        let target = match &batch.clean {
            Some(clean) => tensor(clean, &self.criterion.target),
            None if self.criterion.target == self.shape => input,
            // The same values in other sides: a vector for an image.
            None => tensor(&batch.input, &self.criterion.target),
        };
        let loss = self.criterion.loss(batch, &output, &target);
        let loss = match model.activity.take() {
            Some(penalty) => loss + penalty,
            None => loss,
        };
        (loss, output)
    }
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
        let input = self.criterion.tensor(input, &self.shape);
        model.activity.take();
        let output = no_grad(|| match self.part {
            Part::Whole => model.forward_t(&input, false),
            Part::Encoder => model.encode(&input, false),
            Part::Decoder => model.decode(&input, false),
        });
        channels_last(&output).reshape(batch_of(&self.given))
    }

    fn activity(&self, model: &Model) -> Option<Tensor> {
        model.activity.take()
    }

    fn judge(&mut self, model: &Model, batch: &Batch) -> (Tensor, Vec<f32>) {
        let (loss, output) = no_grad(|| self.run(model, batch, false));
        (loss, values_of(&channels_last(&output)))
    }
}
