//! A model with the engine that computes with it: what every use of a trained model starts from, and what
//! a [`Trainer`](crate::train::Trainer) trains.

use std::path::Path;
use std::sync::Arc;

use tch::{Device, Tensor};

use crate::config::method::Method;
use crate::data::{Batch, DataLoader, Kept, Neighbors, Supervision};
use crate::engine::{self, Engine, Model, Pending, Step, device_name, kind_of};
use crate::formats::checkpoint::Checkpoint;
use crate::infer::model_file::{OpenError, check_size, restore_model};
use crate::nn::Parameters;
use crate::optim::{Constraints, Penalty};
use crate::plan::{Part, Plan};
use crate::system::exit::UsageError;
use crate::system::ranks::Ranks;

/// Values that go through a model at once, so that large images go in smaller batches.
pub(crate) const VALUES_AT_ONCE: usize = 1 << 20;
/// More samples at once gain nothing.
const MOST_AT_ONCE: usize = 256;

/// A whole model, its encoder or its decoder.
#[derive(Debug)]
pub struct Predictor {
    model: Model,
    penalty: Penalty,
    constraints: Constraints,
    engine: Box<dyn Engine>,
    /// Computes the halves of images that Neighbor2Neighbor trains on.
    half: Option<Box<dyn Engine>>,
    /// Why the engine is not the native one, where the plan leaves the choice.
    not_native: Option<String>,
    device: Device,
    /// Values of a sample that goes in, and of one that comes out.
    values: (usize, usize),
}

impl Predictor {
    /// The whole model, with weights drawn from the plan's seed.
    ///
    /// # Errors
    /// When the plan asks for an engine that cannot run its model.
    pub fn drawn(plan: &Plan, device: Device) -> Result<Self, UsageError> {
        let engine = engine::choose(plan, Part::Whole, device)?;
        let half = half_engine(plan, device)?;
        let model = Model::new(plan, device, kind_of(plan.config.train.dtype));
        Ok(Self { half, ..Self::assemble(plan, Part::Whole, device, model, engine) })
    }

    /// A part of a model with a checkpoint's weights; none are drawn. `path` is for messages.
    ///
    /// # Errors
    /// When the weights are not those of the plan's model, or the plan asks for an engine that cannot run it.
    pub fn restore(
        path: &Path,
        plan: &Plan,
        checkpoint: &Checkpoint,
        part: Part,
        device: Device,
    ) -> Result<Self, OpenError> {
        check_size(path, plan, checkpoint)?;
        let engine = engine::choose(plan, part, device)?;
        let model = restore_model(path, plan, checkpoint, device)?;
        Ok(Self::assemble(plan, part, device, model, engine))
    }

    fn assemble(
        plan: &Plan,
        part: Part,
        device: Device,
        model: Model,
        (engine, not_native): (Box<dyn Engine>, Option<String>),
    ) -> Self {
        let [input, output] = plan.graph.ends(part).map(|value| plan.graph.shape(value).values());
        let penalty = Penalty::new(&plan.graph);
        let constraints = Constraints::new(&plan.graph);
        let values = (input, output);
        Self { model, penalty, constraints, engine, half: None, not_native, device, values }
    }

    /// The outputs of some samples, one after the other, channels last; so are the inputs.
    #[must_use]
    pub fn predict(&mut self, input: &[f32]) -> Vec<f32> {
        self.engine.predict(&self.model, input)
    }

    /// The same of any number of samples, as many at a time as [`Predictor::at_once`] says. A GPU computes some while those
    /// before are fetched.
    #[must_use]
    pub fn predict_all(&mut self, input: &[f32]) -> Vec<f32> {
        let each = self.at_once() * self.values.0;
        let mut outputs = Vec::with_capacity(input.len() / self.values.0 * self.values.1);
        let mut before: Option<Pending> = None;
        for part in input.chunks(each) {
            let next = self.engine.begin(&self.model, part);
            outputs.extend(before.replace(next).map_or_else(Vec::new, Pending::values));
        }
        outputs.extend(before.map_or_else(Vec::new, Pending::values));
        outputs
    }

    /// The same as a tensor in the model's own precision, on the device: images `(N, H, W, C)`, codes
    /// `(N, ...)`.
    pub fn outputs(&mut self, input: &[f32]) -> Tensor {
        self.engine.outputs(&self.model, input)
    }

    /// What another part of the model gives for some samples: codes of images, or images of codes.
    ///
    /// # Errors
    /// When no engine computes that part.
    pub fn predict_part(
        &self,
        plan: &Plan,
        part: Part,
        input: &[f32],
    ) -> Result<Vec<f32>, UsageError> {
        let (mut engine, _) = engine::choose(plan, part, self.device)?;
        Ok(engine.predict(&self.model, input))
    }

    /// The batch's loss with all penalties, as Keras shows it, a scalar on the device.
    pub fn loss(&mut self, batch: &Batch) -> Tensor {
        let loss = match &batch.supervision {
            Supervision::Neighbors(_) => half_of(&mut self.half).loss(&self.model, batch),
            _ => self.engine.loss(&self.model, batch),
        };
        self.penalty.added_to(loss, &self.model.trainable)
    }

    /// A loss of outputs that [`Predictor::predict`] has just given, with all penalties.
    pub(crate) fn penalized(&self, loss: Tensor) -> Tensor {
        let loss = match self.engine.activity(&self.model) {
            Some(activity) => loss + activity,
            None => loss,
        };
        self.penalty.added_to(loss, &self.model.trainable)
    }

    /// The batch's loss as [`Predictor::loss`] has it, and its outputs as [`Predictor::predict`] gives
    /// them, computed together.
    pub fn judge(&mut self, batch: &Batch) -> (Tensor, Vec<f32>) {
        let (loss, outputs) = self.engine.judge(&self.model, batch);
        (self.penalty.added_to(loss, &self.model.trainable), outputs)
    }

    /// Loss and gradient of a batch without what the weights add ([`Predictor::learn`]); layers that draw random
    /// numbers draw them from `seed`. Of a process's share of a batch, what it adds to those of the whole one.
    ///
    /// Of [`Supervision::Neighbors`] `gamma` is the regularizer's factor.
    pub(crate) fn loss_and_gradient(&mut self, batch: &Batch, gamma: f64, seed: u64) -> Step {
        if batch.len == 0 {
            let weights = &self.model.weights;
            return Step { loss: Tensor::from(0.0), gradient: weights.zeros_like().detach() };
        }
        match &batch.supervision {
            Supervision::Neighbors(neighbors) => self.regularized(batch, neighbors, gamma, seed),
            _ => self.engine.loss_and_gradient(&self.model, batch, seed),
        }
    }

    /// Loss and gradient of a batch, with the weights' penalties, and what `optimize` makes of the weights for that
    /// gradient. It works on the device alone, and does the same in each step: a GPU may take the step as a whole, and
    /// then does not call it again.
    pub(crate) fn step(
        &mut self,
        batch: &Batch,
        gamma: f64,
        seed: u64,
        optimize: &mut dyn FnMut(&mut Tensor, &Tensor),
    ) -> Step {
        if batch.len == 0 || matches!(batch.supervision, Supervision::Neighbors(_)) {
            let step = self.loss_and_gradient(batch, gamma, seed);
            return self.learn(step, optimize);
        }
        let Self { model, penalty, constraints, engine, .. } = self;
        let mut learn = |step| learn(model, penalty, constraints, step, optimize);
        engine.step(model, batch, seed, &mut learn)
    }

    /// What follows [`Predictor::loss_and_gradient`] in a step.
    pub(crate) fn learn(
        &mut self,
        step: Step,
        optimize: &mut dyn FnMut(&mut Tensor, &Tensor),
    ) -> Step {
        learn(&self.model, &self.penalty, &self.constraints, step, optimize)
    }

    /// From now on statistics of a batch are those of all that these train on, each of its share.
    pub(crate) fn join(&mut self, ranks: &Arc<Ranks>) {
        self.engine.join(ranks);
        self.half.iter_mut().for_each(|half| half.join(ranks));
    }

    /// Lets the engine keep what it can of a set of images, in place of what it had kept of that set before. Batches may
    /// then leave out what this says.
    pub(crate) fn keep(&mut self, images: &DataLoader<'_>) -> Kept {
        self.engine.keep(images)
    }

    /// Neighbor2Neighbor's loss of a first image `a` and a second one `b` that are picked of a whole one `y`,
    /// with the model `f` and `r = pick(f(y))_1 - pick(f(y))_2`, which counts as a constant:
    ///
    /// ```text
    /// mean((f(a) - b)^2) + gamma mean((f(a) - b - r)^2)
    ///     = (1 + gamma) mean((f(a) - t)^2) + gamma / (1 + gamma) mean(r^2),   t = b + gamma / (1 + gamma) r
    /// ```
    ///
    /// So it is the mean squared error with another target.
    fn regularized(&mut self, batch: &Batch, neighbors: &Neighbors, gamma: f64, seed: u64) -> Step {
        let [first, second] = neighbors.pick(&self.engine.predict(&self.model, &neighbors.whole));
        let share = gamma / (1.0 + gamma);
        let differences = first.iter().zip(&second).map(|(a, b)| f64::from(a - b));
        let targets = batch.target().iter().zip(differences.clone());
        let target: Vec<f32> = targets.map(|(&b, r)| (f64::from(b) + share * r) as f32).collect();
        let own = batch.len as f64 / batch.part().whole as f64;
        let constant = own * share * differences.map(|r| r * r).sum::<f64>() / target.len() as f64;
        let batch = Batch {
            len: batch.len,
            input: batch.input.clone(),
            clean: Some(target),
            supervision: Supervision::Full,
            part: batch.part,
            kept: None,
        };
        let Step { loss, gradient } =
            half_of(&mut self.half).loss_and_gradient(&self.model, &batch, seed);
        Step { loss: loss * (1.0 + gamma) + constant, gradient: gradient * (1.0 + gamma) }
    }

    /// How many samples [`Predictor::predict`] should get at once.
    #[must_use]
    pub fn at_once(&self) -> usize {
        let most = self.values.0.max(self.values.1);
        (VALUES_AT_ONCE / most.max(1)).clamp(1, MOST_AT_ONCE)
    }

    /// Values of one output.
    #[must_use]
    pub fn output_values(&self) -> usize {
        self.values.1
    }

    /// All weights of the whole model by name.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.model.parameters
    }

    /// The trainable weights, `(P,)`, of which the layers' tensors are views.
    pub(crate) fn weights(&mut self) -> &mut Tensor {
        &mut self.model.weights
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

/// Adds the weights' penalties to loss and gradient, and changes the weights.
fn learn(
    model: &Model,
    penalty: &Penalty,
    constraints: &Constraints,
    Step { loss, gradient }: Step,
    optimize: &mut dyn FnMut(&mut Tensor, &Tensor),
) -> Step {
    let (loss, gradient) = penalty.added_to_step(loss, gradient, &model.trainable);
    optimize(&mut model.weights.shallow_clone(), &gradient);
    constraints.apply(&model.trainable);
    Step { loss, gradient }
}

/// For halves of the plan's images, where its method trains on such.
fn half_engine(plan: &Plan, device: Device) -> Result<Option<Box<dyn Engine>>, UsageError> {
    let Method::Neighbor2Neighbor(_) = plan.config.train.method else { return Ok(None) };
    let [height, width, _] = plan.input_shape;
    let half = plan.with_input_size([height / 2, width / 2]).map_err(|error| {
        UsageError(format!("`train.method` is neighbor2neighbor, but a layer {}", error.problem))
    })?;
    Ok(Some(engine::choose(&half, Part::Whole, device)?.0))
}

fn half_of(half: &mut Option<Box<dyn Engine>>) -> &mut dyn Engine {
    half.as_deref_mut().expect("only a plan of Neighbor2Neighbor makes batches of halves")
}
