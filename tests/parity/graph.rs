//! A whole model: its outputs, and the loss and all gradients of a batch.

use anyhow::{Result, bail};
use convae::config::Source;
use convae::data::Batch;
use convae::plan::Plan;
use convae::train::Trainer;
use serde::Deserialize;
use tch::{Device, no_grad};

use super::arrays::{Arrays, singles};

/// Given images `x`, `(N, H, W, C)`, a `target` for them and the weights under their names in a checkpoint; asked
/// of each engine that can run the model for its outputs `y`, the `loss` of a training step, the gradient of
/// each trainable weight and each moving statistic after it, `libtorch encoder.conv2d.weight`.
#[derive(Debug, Deserialize)]
pub struct Question {
    /// The config's text.
    toml: String,
}

impl Question {
    pub fn answer(&self, given: &Arrays) -> Result<Arrays> {
        let mut answer = Arrays::default();
        for engine in ["libtorch", "native"] {
            let engine_key = [format!("train.engine={engine}")];
            let plan = Plan::new(Source::parse(&self.toml, "the question", &engine_key)?)?;
            match Trainer::new(&plan, Device::Cpu) {
                Ok(trainer) => compute(trainer, engine, given, &mut answer)?,
                Err(error) if engine == "libtorch" => return Err(error.into()),
                // The native engine has no stage for some layer.
                Err(_) => {}
            }
        }
        Ok(answer)
    }
}

fn compute(mut trainer: Trainer, engine: &str, given: &Arrays, answer: &mut Arrays) -> Result<()> {
    for parameter in trainer.predictor.parameters().iter() {
        let value = given.get(&parameter.name)?;
        if value.size() != parameter.tensor.size() {
            let (name, sizes) = (&parameter.name, [value.size(), parameter.tensor.size()]);
            bail!("{name} has size {:?}, and should have {:?}", sizes[0], sizes[1]);
        }
        no_grad(|| parameter.tensor.shallow_clone().copy_(value));
    }
    let [x, target] = [given.get("x")?, given.get("target")?];
    let batch = Batch {
        len: x.size()[0] as usize,
        input: singles(x),
        clean: Some(singles(target)),
        ..Batch::default()
    };
    answer.insert(format!("{engine} y"), trainer.predictor.outputs(&batch.input));
    let step = trainer.train_step(&batch, 1, 1);
    answer.insert(format!("{engine} loss"), step.loss);
    let mut start = 0;
    for parameter in trainer.predictor.parameters().iter() {
        let name = format!("{engine} {}", parameter.name);
        if parameter.trainable {
            let count = parameter.tensor.numel() as i64;
            answer.insert(name, step.gradient.narrow(0, start, count).view_as(&parameter.tensor));
            start += count;
        } else {
            answer.insert(name, parameter.tensor.shallow_clone());
        }
    }
    Ok(())
}
