//! The `libtorch` engine: `nn::SequentialT` with autograd, on the CPU or a GPU.

use tch::nn::ModuleT;
use tch::{Device, Kind, Tensor, no_grad};

use super::criterion::{Criterion, batch_of, sides};
use super::model::Layers;
use super::{Engine, Model, Step, values_of};
use crate::config::sections::{Precision, Train};
use crate::data::{Batch, BatchPart};
use crate::nn::{Parameters, channels_last};
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
    /// For people.
    name: String,
    /// The layers that compute in place of the model's, where they do so in bfloat16.
    rounded: Option<Layers>,
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
            name: name(&plan.config.train, device),
            rounded: (plan.config.train.dtype == Precision::MixedBfloat16)
                .then(|| Layers::new(plan, Parameters::in_bfloat16(device))),
        }
    }

    /// Those that compute, with the model's values.
    fn layers<'a>(&'a self, model: &'a Model) -> &'a Layers {
        let Some(rounded) = &self.rounded else { return &model.layers };
        rounded.take_over(&model.layers);
        rounded
    }

    /// What layers read.
    fn computed(&self, input: &Tensor) -> Tensor {
        match self.rounded {
            Some(_) => input.to_kind(Kind::BFloat16),
            None => input.shallow_clone(),
        }
    }

    /// Loss and outputs of a batch.
    fn run(&self, layers: &Layers, batch: &Batch, train: bool) -> (Tensor, Tensor) {
        let input = self.criterion.tensor(&batch.input, &self.shape);
        layers.activity.take();
        // The loss is not rounded: Keras computes it in float32 under any policy.
        let output = layers.forward_t(&self.computed(&input), train).to_kind(input.kind());
        let images = 0..batch.len;
        let target = match &batch.clean {
            None if self.criterion.target == self.shape => input,
            // For an image a vector, perhaps: the same values in other sides.
            _ => self.criterion.target_of(batch, &images),
        };
        let loss = self.criterion.loss(batch, &images, &output, &target);
        let loss = match layers.activity.take() {
            Some(penalty) => loss + penalty,
            None => loss,
        };
        (loss, output)
    }
}

/// With all that makes it less exact than float32, or less repeatable.
fn name(train: &Train, device: Device) -> String {
    let on_gpu = device != Device::Cpu;
    let tf32 = on_gpu && train.allow_tf32 && train.dtype == Precision::Float32;
    let labels = [
        (train.dtype == Precision::MixedBfloat16, ", mixed_bfloat16"),
        (tf32, ", TF32"),
        (on_gpu && !train.deterministic, ", not deterministic"),
    ];
    let labels = labels.into_iter().filter(|(holds, _)| *holds);
    labels.fold("libtorch".to_owned(), |name, (_, label)| name + label)
}

impl Engine for Libtorch {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn loss_and_gradient(&mut self, model: &Model, batch: &Batch, seed: u64) -> Step {
        if self.draws_in_training {
            tch::manual_seed(i64::from_le_bytes(seed.to_le_bytes()));
        }
        let layers = self.layers(model);
        let (loss, _) = self.run(layers, batch, true);
        let gradients = Tensor::run_backward(&[&loss], &layers.trainable, false, false);
        let row = |tensor: &Tensor| tensor.to_kind(loss.kind()).flatten(0, -1);
        let rows: Vec<Tensor> = gradients.iter().map(row).collect();
        let (loss, gradient) = (loss.detach(), Tensor::cat(&rows, 0));
        match batch.part {
            None => Step { loss, gradient },
            Some(BatchPart { whole, .. }) => {
                let share = batch.len as f64 / whole as f64;
                Step { loss: loss * share, gradient: gradient * share }
            }
        }
    }

    fn loss(&mut self, model: &Model, batch: &Batch) -> Tensor {
        self.judge(model, batch).0
    }

    fn outputs(&mut self, model: &Model, input: &[f32]) -> Tensor {
        let input = self.criterion.tensor(input, &self.shape);
        let (layers, computed) = (self.layers(model), self.computed(&input));
        layers.activity.take();
        let output = no_grad(|| match self.part {
            Part::Whole => layers.forward_t(&computed, false),
            Part::Encoder => layers.encode(&computed, false),
            Part::Decoder => layers.decode(&computed, false),
        });
        channels_last(&output.to_kind(input.kind())).reshape(batch_of(&self.given))
    }

    fn activity(&self, model: &Model) -> Option<Tensor> {
        self.rounded.as_ref().unwrap_or(&model.layers).activity.take()
    }

    fn judge(&mut self, model: &Model, batch: &Batch) -> (Tensor, Vec<f32>) {
        let (loss, output) = no_grad(|| self.run(self.layers(model), batch, false));
        (loss, values_of(&channels_last(&output)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema::Section;

    #[test]
    fn what_is_less_exact_or_less_repeatable_stands_in_the_name() {
        let exact = Train::defaults();
        assert_eq!(name(&exact, Device::Cuda(0)), "libtorch");
        let fast = Train { allow_tf32: true, deterministic: false, ..Train::defaults() };
        assert_eq!(name(&fast, Device::Cuda(0)), "libtorch, TF32, not deterministic");
        assert_eq!(name(&fast, Device::Cpu), "libtorch", "these are of GPUs");
    }
}
