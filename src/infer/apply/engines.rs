//! The trained model, laid out for each size of images that it is given. The weights are there once;
//! what is laid out is an engine's room to compute in.

use std::path::Path;

use tch::Device;

use crate::engine::{self, Engine, Model, Pending, kind_of};
use crate::formats::checkpoint::Checkpoint;
use crate::infer::model_file::{OpenError, restore_model};
use crate::nn::Parameters;
use crate::plan::{Part, Plan};
use crate::system::exit::UsageError;

/// Pixels of all layouts that are kept at hand; one larger one is kept alone. The shipped layers take
/// about 0.7 KB a pixel on two threads.
const MOST_PIXELS: usize = 3 << 17;
/// What a layout counts for beside its pixels: it has threads of its own.
const EACH: usize = 1 << 12;

/// Engines of one model, the one used last at the end.
#[derive(Debug)]
pub struct Engines {
    plan: Plan,
    model: Model,
    device: Device,
    ready: Vec<([usize; 2], Box<dyn Engine>)>,
}

impl Engines {
    /// With the layout for the model's own size ready.
    ///
    /// # Errors
    /// When the weights do not fit.
    pub fn new(
        path: &Path,
        plan: &Plan,
        checkpoint: &Checkpoint,
        device: Device,
    ) -> Result<Self, OpenError> {
        let model = restore_model(path, plan, checkpoint, device)?;
        Ok(Self::of_model(plan, model, device)?)
    }

    /// The same without values: every weight has to be given one by [`Engines::set_weights`].
    ///
    /// # Errors
    /// When the plan asks for an engine that cannot run its model.
    pub fn without_values(plan: &Plan, device: Device) -> Result<Self, UsageError> {
        let model = Model::without_values(plan, device, kind_of(plan.config.train.dtype));
        Self::of_model(plan, model, device)
    }

    fn of_model(plan: &Plan, model: Model, device: Device) -> Result<Self, UsageError> {
        let (engine, _) = engine::choose(plan, Part::Whole, device)?;
        let [height, width, _] = plan.input_shape;
        Ok(Self { plan: plan.clone(), model, device, ready: vec![([height, width], engine)] })
    }

    /// Takes over all weights of a model of the same plan.
    pub fn set_weights(&mut self, weights: &Parameters) {
        self.model.parameters.set_values(&weights.values());
    }

    /// The model for images of that size: values channels last, one image after the other, in and out. A GPU computes while
    /// the caller goes on.
    ///
    /// # Errors
    /// When it cannot be laid out for them.
    pub fn of(&mut self, size: [usize; 2]) -> Result<impl FnMut(&[f32]) -> Pending, UsageError> {
        let place = if let Some(place) = self.ready.iter().position(|(ready, _)| *ready == size) {
            self.ready[place..].rotate_left(1);
            self.ready.len() - 1
        } else {
            let engine = self.laid_out(size)?;
            self.make_room(size);
            self.ready.push((size, engine));
            self.ready.len() - 1
        };
        let (engine, model) = (&mut self.ready[place].1, &self.model);
        Ok(|input: &[f32]| engine.begin(model, input))
    }

    fn laid_out(&self, size @ [height, width]: [usize; 2]) -> Result<Box<dyn Engine>, UsageError> {
        let plan = self.plan.with_input_size(size).map_err(|error| {
            UsageError(format!(
                "the model cannot be laid out for {width}x{height} pixels: a layer {}; resize it, or \
                 cut it into smaller ones",
                error.problem
            ))
        })?;
        Ok(engine::choose(&plan, Part::Whole, self.device)?.0)
    }

    fn make_room(&mut self, size: [usize; 2]) {
        let cost = |[height, width]: [usize; 2]| height * width + EACH;
        while !self.ready.is_empty()
            && self.ready.iter().map(|&(size, _)| cost(size)).sum::<usize>() + cost(size)
                > MOST_PIXELS
        {
            self.ready.remove(0);
        }
    }
}
