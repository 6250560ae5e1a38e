//! What computes losses, gradients and outputs. The trainer does not know which engine runs.
//!
//! - `native` is our own, on the CPU, for nearly all layers.
//! - `libtorch` takes every layer, and GPUs.

mod allocator;
mod criterion;
mod device;
mod kept;
mod libtorch;
mod model;
mod native;
mod pending;
mod recorder;

pub use device::{choose_device, choose_device_of, device_name};
pub use model::Model;
pub use pending::Pending;

use std::sync::Arc;

use tch::{Device, Kind, Tensor};

use crate::config::sections::{EngineChoice, Precision, Train};
use crate::data::{Batch, DataLoader, Kept};
use crate::plan::{Part, Plan};
use crate::system::exit::UsageError;
use crate::system::ranks::{self, Ranks};
use crate::system::torch_ext::Context;
use libtorch::Libtorch;
use native::Native;
use native::Unsupported;

/// What a step of gradient descent starts from, on the model's device, until the next step is computed.
#[derive(Debug)]
pub struct Step {
    /// The batch's loss, a scalar.
    pub loss: Tensor,
    /// Its gradient before clipping, `(P,)`.
    pub gradient: Tensor,
}

/// Computes with a model, or a part of it; by itself it changes nothing of it but moving statistics. Only an
/// engine of the whole model knows losses.
pub(crate) trait Engine: std::fmt::Debug {
    /// For people: `native (AVX-512, 2 threads)`.
    fn name(&self) -> String;

    /// From now on statistics of a batch are those of all that these train on, each of its share.
    fn join(&mut self, _ranks: &Arc<Ranks>) {}

    /// Keeps what it can of a set of images on its device, in place of what it had kept of that set before, and says what:
    /// batches may leave that out.
    fn keep(&mut self, _images: &DataLoader<'_>) -> Kept {
        Kept::Nothing
    }

    /// Loss and gradient of a batch; layers that draw random numbers draw them from `seed`. Of a process's share of a
    /// batch, what it adds to those of the whole one.
    fn loss_and_gradient(&mut self, model: &Model, batch: &Batch, seed: u64) -> Step;

    /// The same, and what is learned from it, which changes the model. What `learn` does is work on the device alone and
    /// the same in each step: it may be captured with the rest, and then started without being called again.
    fn step(
        &mut self,
        model: &Model,
        batch: &Batch,
        seed: u64,
        learn: &mut dyn FnMut(Step) -> Step,
    ) -> Step {
        learn(self.loss_and_gradient(model, batch, seed))
    }

    /// The loss without learning from it, a scalar on the device.
    fn loss(&mut self, model: &Model, batch: &Batch) -> Tensor;

    /// What the engine's part of the model gives, in the model's precision, on its device and in Keras's
    /// shape: images `(N, H, W, C)`, signals `(N, steps, channels)`, codes `(N, ...)`.
    fn outputs(&mut self, model: &Model, input: &[f32]) -> Tensor;

    /// The same in float32, one after the other, channels last.
    fn predict(&mut self, model: &Model, input: &[f32]) -> Vec<f32> {
        values_of(&self.outputs(model, input))
    }

    /// The same, without waiting for what a GPU computes.
    fn begin(&mut self, model: &Model, input: &[f32]) -> Pending {
        self.predict(model, input).into()
    }

    /// What the layers' values added to the loss in the last prediction, a scalar on the device.
    fn activity(&self, model: &Model) -> Option<Tensor>;

    /// Loss and outputs of a batch in one go.
    fn judge(&mut self, model: &Model, batch: &Batch) -> (Tensor, Vec<f32>);
}

/// The engine that the plan asks for, for a part of its model, and, where `auto` has to do without the
/// native one, why.
///
/// # Errors
/// When the native engine is asked for and cannot run the model.
pub(crate) fn choose(
    plan: &Plan,
    part: Part,
    device: Device,
) -> Result<(Box<dyn Engine>, Option<String>), UsageError> {
    allocator::keep_freed_blocks();
    plan.graph.section(part).map_err(|skip| {
        UsageError(format!(
            "the code alone does not give an image: {skip}; encode works, decode does not"
        ))
    })?;
    let train = &plan.config.train;
    let kind = kind_of(train.dtype);
    check_bfloat16(train, device, device::computes_bfloat16())?;
    if device != Device::Cpu {
        let context = Context { allow_tf32: train.allow_tf32, deterministic: train.deterministic };
        context.set().map_err(|problem| {
            let Context { allow_tf32, deterministic } = context;
            UsageError(format!(
                "libtorch does not take train.allow_tf32 = {allow_tf32} and train.deterministic = {deterministic} \
                 ({problem}); use train.device = \"cpu\""
            ))
        })?;
    }
    let libtorch = || Box::new(Libtorch::new(plan, part, device, kind));
    let reason = match train.engine {
        EngineChoice::Libtorch => return Ok((libtorch(), None)),
        _ if device != Device::Cpu => "it runs on the CPU only".to_owned(),
        _ if train.dtype == Precision::MixedBfloat16 => NOT_ROUNDED.to_owned(),
        _ => match native(plan, part, train.threads.unwrap_or_else(ranks::cores)) {
            Ok(engine) => return Ok((engine, None)),
            Err(unsupported) => unsupported.to_string(),
        },
    };
    match train.engine {
        EngineChoice::Native => Err(UsageError(format!(
            "`train.engine` is \"native\", but {reason}; use \"auto\" or \"libtorch\""
        ))),
        _ => Ok((libtorch(), Some(reason))),
    }
}

/// What computes a plan on a device, as processes that train together must have it alike: they normalise a whole batch by
/// other sums, and draw other numbers.
#[must_use]
pub fn computer(plan: &Plan, device: Device) -> &'static str {
    match device {
        Device::Cpu if on_cpu(plan) == NATIVE => "the native engine",
        Device::Cpu => "libtorch on the CPU",
        _ => "libtorch on a GPU",
    }
}

/// The engine that runs a plan on the CPU, for people; with the layer that keeps the native one out.
///
/// `libtorch, not native: it has no stage for dense (Dense, OrthogonalRegularizer of its outputs)`
#[must_use]
pub fn on_cpu(plan: &Plan) -> String {
    let train = &plan.config.train;
    match (train.engine, native::supports(plan)) {
        (EngineChoice::Libtorch, _) => "libtorch".to_owned(),
        _ if train.dtype == Precision::MixedBfloat16 => {
            format!("libtorch, not native: {NOT_ROUNDED}")
        }
        (_, Ok(())) => NATIVE.to_owned(),
        (_, Err(unsupported)) => format!("libtorch, not native: {unsupported}"),
    }
}

const NATIVE: &str = "native";

const NOT_ROUNDED: &str = "it does not compute in bfloat16";

/// Refuses what would silently take many times as long as float32: bfloat16 in software, unless it is asked for.
fn check_bfloat16(train: &Train, device: Device, in_hardware: bool) -> Result<(), UsageError> {
    let asked_for = train.engine == EngineChoice::Libtorch;
    let rounded = train.dtype == Precision::MixedBfloat16;
    if !rounded || device != Device::Cpu || in_hardware || asked_for {
        return Ok(());
    }
    Err(UsageError(
        "this processor does not multiply bfloat16 (it has no AVX-512 BF16, no AMX, nor Arm's BF16); use float32 \
         (train.dtype = \"float32\", of apply --precision float32), a GPU, or train.engine = \"libtorch\", which \
         computes it in software, many times slower"
            .to_owned(),
    ))
}

fn native(plan: &Plan, part: Part, threads: usize) -> Result<Box<dyn Engine>, Unsupported> {
    Ok(match plan.config.train.dtype {
        Precision::Float32 => Box::new(Native::<f32>::new(plan, part, threads)?),
        Precision::Float64 => Box::new(Native::<f64>::new(plan, part, threads)?),
        Precision::MixedBfloat16 => unreachable!("libtorch computes it"),
    })
}

/// libtorch's type for the weights of a precision.
#[must_use]
pub fn kind_of(precision: Precision) -> Kind {
    match precision {
        Precision::Float32 | Precision::MixedBfloat16 => Kind::Float,
        Precision::Float64 => Kind::Double,
    }
}

/// A tensor's values, row-major, in float32.
#[must_use]
pub fn values_of(tensor: &Tensor) -> Vec<f32> {
    let tensor = tensor.to_device(Device::Cpu).to_kind(Kind::Float).contiguous();
    let mut values = vec![0.0; tensor.numel()];
    let length = values.len();
    tensor.copy_data(&mut values, length);
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema::Section;

    #[test]
    fn bfloat16_needs_hardware_or_to_be_asked_for_in_software() {
        let train = |dtype, engine| Train { dtype, engine, ..Train::defaults() };
        let rounded = |engine| train(Precision::MixedBfloat16, engine);
        let refused = check_bfloat16(&rounded(EngineChoice::Auto), Device::Cpu, false).unwrap_err();
        let sentence = refused.to_string();
        assert!(
            sentence.contains("AVX-512 BF16") && sentence.contains("use float32"),
            "{sentence}"
        );
        for (train, device, in_hardware) in [
            (rounded(EngineChoice::Auto), Device::Cpu, true),
            (rounded(EngineChoice::Auto), Device::Cuda(0), false),
            (rounded(EngineChoice::Libtorch), Device::Cpu, false),
            (train(Precision::Float64, EngineChoice::Auto), Device::Cpu, false),
        ] {
            check_bfloat16(&train, device, in_hardware).unwrap();
        }
    }
}
