//! A loss with its gradient.

use anyhow::Result;
use serde::Deserialize;
use serde_json::{Value, json};
use tch::Tensor;

use super::arrays::Arrays;
use super::build::trained_with;

/// Given `output` and `target` of one shape; asked for the `value` and its `gradient` by the output.
#[derive(Debug, Deserialize)]
pub struct Question {
    /// As `[train]` would have it.
    loss: Value,
}

impl Question {
    pub fn answer(&self, given: &Arrays) -> Result<Arrays> {
        let loss = trained_with(&json!({"loss": self.loss}))?.config.train.loss;
        let output = given.get("output")?.detach().set_requires_grad(true);
        let value = loss.of(&channels_first(&output), &channels_first(given.get("target")?));
        let gradient = Tensor::run_backward(&[&value], &[output], false, false).remove(0);
        let mut answer = Arrays::default();
        answer.insert("value", value);
        answer.insert("gradient", gradient);
        Ok(answer)
    }
}

/// `(N, H, W, C)` as a model gives it to its loss.
fn channels_first(values: &Tensor) -> Tensor {
    if values.dim() == 4 { values.permute([0, 3, 1, 2]) } else { values.shallow_clone() }
}
