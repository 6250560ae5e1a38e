//! One layer: what it computes, its gradients, and how its weights start.

use anyhow::Result;
use serde::Deserialize;
use serde_json::Value;
use tch::Tensor;

use super::arrays::Arrays;
use super::build::Alone;

/// Given `x`, `dy` and `weight0`, ...; asked for `y`, `dx`, `dweight0`, ... and the moving
/// statistics afterwards, `moving0`, ...
#[derive(Debug, Deserialize)]
pub struct Question {
    /// As a config would have it.
    layer: Value,
    training: bool,
    /// Of what `Dropout` and `GaussianNoise` draw.
    #[serde(default)]
    seed: i64,
}

impl Question {
    pub fn answer(&self, given: &Arrays) -> Result<Arrays> {
        let x = given.get("x")?.detach().set_requires_grad(true);
        let layer = Alone::new(&self.layer, &x.size()[1..], 0)?;
        layer.set_weights(&given.get_all("weight"))?;
        tch::manual_seed(self.seed);
        let y = layer.forward(&x, self.training);
        let pulled = (&y * given.get("dy")?).sum(y.kind());
        let mut inputs = vec![x];
        inputs.extend(layer.trainable());
        let mut gradients = Tensor::run_backward(&[&pulled], &inputs, false, false).into_iter();

        let mut answer = Arrays::default();
        answer.insert("y", y);
        answer.insert("dx", gradients.next().expect("one gradient for each input"));
        answer.insert_all("dweight", layer.in_keras(gradients));
        answer.insert_all("moving", layer.moving());
        Ok(answer)
    }
}

/// Asked for the weights that a layer of a new model has, `weight0`, ...
#[derive(Debug, Deserialize)]
pub struct Start {
    layer: Value,
    /// `[values]`, or height, width and channels.
    input: Vec<i64>,
    seed: u64,
}

impl Start {
    pub fn answer(&self) -> Result<Arrays> {
        let layer = Alone::new(&self.layer, &self.input, self.seed)?;
        let mut answer = Arrays::default();
        let weights = layer.trainable().into_iter().chain(layer.moving());
        answer.insert_all("weight", layer.in_keras(weights));
        Ok(answer)
    }
}
