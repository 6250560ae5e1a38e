//! A model with its engine and its optimizer: takes batches, gives losses and pictures.

use rand::Rng;
use tch::{Device, Tensor};

use super::device::device_name;
use crate::data::Batch;
use crate::engine::{self, Engine, Model, Step, kind_of};
use crate::exit::Misuse;
use crate::nn::Parameters;
use crate::optim::Optimizer;
use crate::plan::{Part, Plan};
use crate::random::{Purpose, stream};

/// Learns by gradient descent; a step changes its weights in place.
#[derive(Debug)]
pub struct Learner {
    model: Model,
    engine: Box<dyn Engine>,
    /// Why the engine is not the native one, where the plan leaves the choice.
    not_native: Option<String>,
    /// Holds what a resumed run needs beside the weights.
    pub optimizer: Optimizer,
    device: Device,
    seed: u64,
}

impl Learner {
    /// A model that has learned nothing yet.
    ///
    /// # Errors
    /// When the plan asks for an engine that cannot run its model.
    pub fn new(plan: &Plan, device: Device) -> Result<Self, Misuse> {
        let train = &plan.config.train;
        let (engine, not_native) = engine::choose(plan, Part::Whole, device)?;
        let model = Model::new(plan, device, kind_of(train.dtype));
        let lengths = model.trainable.iter().map(|tensor| tensor.numel() as i64).collect();
        let optimizer = Optimizer::new(&train.optimizer, &model.weights, lengths)
            .paced(train.learning_rate_schedule.clone(), train.warmup_steps);
        Ok(Self { model, engine, not_native, optimizer, device, seed: plan.seed() })
    }

    /// One step of gradient descent; `epoch` and `step` name the random numbers that it may draw.
    pub fn train_step(&mut self, batch: &Batch, epoch: u64, step: u64) -> Step {
        let seed = stream(self.seed, Purpose::Layers, epoch, step).next_u64();
        let step = self.engine.learn(&self.model, batch, seed);
        self.optimizer.step(&mut self.model.weights, &step.gradient);
        step
    }

    /// The batch's loss without learning from it, as a scalar on the device.
    pub fn loss(&mut self, batch: &Batch) -> Tensor {
        self.engine.loss(&self.model, batch)
    }

    /// Pictures in, pictures out: values channels last, one picture after the other.
    #[must_use]
    pub fn predict(&mut self, input: &[f32]) -> Vec<f32> {
        self.engine.predict(&self.model, input)
    }

    /// The batch's loss, as a scalar on the device, and its outputs as [`Learner::predict`] gives
    /// them, computed together.
    pub fn judge(&mut self, batch: &Batch) -> (Tensor, Vec<f32>) {
        self.engine.judge(&self.model, batch)
    }

    /// The same as a tensor in the model's own precision: `(N, H, W, C)`, on the device.
    pub fn outputs(&mut self, input: &[f32]) -> Tensor {
        self.engine.outputs(&self.model, input)
    }

    /// All weights by name.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.model.layers.parameters
    }

    /// The learning rate of the next step.
    #[must_use]
    pub fn learning_rate(&self) -> f64 {
        self.optimizer.current_rate()
    }

    /// What training ends with: the moving average of the weights takes their place where one is kept.
    /// `false` where none is.
    pub fn finalize(&mut self) -> bool {
        self.optimizer.finalize(&mut self.model.weights)
    }

    /// Whether all weights are numbers, the moving statistics too.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        let finite = |tensor: &Tensor| tensor.isfinite().all().int64_value(&[]) != 0;
        let mut moving = self.parameters().iter().filter(|parameter| !parameter.trainable);
        finite(&self.model.weights) && moving.all(|parameter| finite(&parameter.tensor))
    }

    /// The device's name in a config.
    #[must_use]
    pub fn device_name(&self) -> String {
        device_name(self.device)
    }

    /// What computes, for people: `native (AVX-512, 2 threads)`; with the reason where the plan would
    /// have allowed the native engine, but the model or the device does not.
    #[must_use]
    pub fn engine_name(&self) -> String {
        let name = self.engine.name();
        match &self.not_native {
            Some(reason) => format!("{name}, not native: {reason}"),
            None => name,
        }
    }
}
