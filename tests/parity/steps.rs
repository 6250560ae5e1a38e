//! A training: the losses of some steps, and the weights after them.

use anyhow::Result;
use convae::config::Source;
use convae::data::Batch;
use convae::plan::Plan;
use convae::train::Trainer;
use serde::Deserialize;
use tch::{Device, Tensor};

use super::arrays::{Arrays, singles};

/// Given images `x` of each step, `(steps, N, H, W, C)`, and a `target` for each; asked for the `losses` of a
/// training that starts from the weights which the config names, and the weights after the last step, under
/// their names in a checkpoint; and for the `output` of the first images before the first step.
#[derive(Debug, Deserialize)]
pub struct Question {
    /// The config's text.
    toml: String,
}

impl Question {
    pub fn answer(&self, given: &Arrays) -> Result<Arrays> {
        let plan = Plan::new(Source::parse(&self.toml, "the question", &[])?)?;
        let mut trainer = Trainer::new(&plan, Device::Cpu)?;
        trainer.start(&plan)?;
        let [x, target] = [given.get("x")?, given.get("target")?];
        let mut answer = Arrays::default();
        answer.insert("output", trainer.predictor.outputs(&singles(&x.get(0))));
        let losses: Vec<Tensor> = (0..x.size()[0])
            .map(|step| {
                let (input, clean) = (singles(&x.get(step)), singles(&target.get(step)));
                let batch = Batch {
                    len: x.size()[1] as usize,
                    input,
                    clean: Some(clean),
                    ..Batch::default()
                };
                trainer.train_step(&batch, 1, step as u64 + 1).loss
            })
            .collect();
        answer.insert("losses", Tensor::stack(&losses, 0));
        for parameter in trainer.predictor.parameters().iter() {
            answer.insert(parameter.name.clone(), parameter.tensor.shallow_clone());
        }
        Ok(answer)
    }
}
