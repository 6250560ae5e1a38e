//! From a layer or an optimizer on its own to what convae makes of it in a whole config: the probe
//! goes through config, plan and model like a user's run, so that nothing is built twice.

use anyhow::{Context, Result, bail};
use convae::config::Source;
use convae::engine::Model;
use convae::plan::Plan;
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor, no_grad};

/// A config with everything but the `[model]`'s layers and one section's keys set by the caller.
pub fn plan(config: &Value) -> Result<Plan> {
    let config = toml::Value::try_from(config).context("the question is not TOML")?;
    let text = toml::to_string(&config).context("the question is not TOML")?;
    Ok(Plan::new(Source::parse(&text, "the question", &[])?)?)
}

/// The plan of a small model with these entries in `[train]`.
pub fn trained_with(train: &Value) -> Result<Plan> {
    let layer = json!({"layer": "Dense", "units": 1});
    plan(&json!({
        "name": "probe",
        "model": {"input_shape": [1, 1, 1], "encoder": [layer], "decoder": []},
        "train": train,
    }))
}

/// One layer that receives `input`: `[values]`, steps and channels, or height, width and channels.
pub struct Alone {
    model: Model,
    gives_signals: bool,
}

impl Alone {
    /// The layer is the encoder's second. Before it, images of one channel are made into the
    /// input that it is to receive, since a config's images have 1 channel or 3; after it, one
    /// value is spread over the whole image, since an autoencoder has to close.
    pub fn new(layer: &Value, input: &[i64], seed: u64) -> Result<Self> {
        let (rows, columns) = match *input {
            [values] => (values, 1),
            [steps, channels] => (steps, channels),
            [height, width, channels] => (height, width * channels),
            _ => bail!("a layer's input has 1 to 3 axes beside the batch, not {}", input.len()),
        };
        let plan = plan(&json!({
            "name": "probe",
            "seed": seed,
            "model": {
                "input_shape": [rows, columns, 1],
                "encoder": [{"layer": "Reshape", "target_shape": input}, layer],
                "decoder": [
                    {"layer": "Flatten"},
                    {"layer": "Dense", "units": 1},
                    {"layer": "Reshape", "target_shape": [1, 1, 1]},
                    {"layer": "UpSampling2D", "size": [rows, columns]},
                ],
            },
        }))?;
        let gives_signals = plan.code_shape().0.len() == 2;
        Ok(Self { model: Model::new(&plan, Device::Cpu, Kind::Double), gives_signals })
    }

    /// `(N, H, W, C)`, `(N, steps, channels)` or `(N, F)`, in and out.
    pub fn forward(&self, x: &Tensor, training: bool) -> Tensor {
        let size = x.size();
        let (rows, columns) = match *size.as_slice() {
            [_, height, width, channels] => (height, width * channels),
            [_, steps, channels] => (steps, channels),
            _ => (size[1], 1),
        };
        let y = self.model.encode(&x.reshape([size[0], 1, rows, columns]), training);
        let y = if y.dim() == 4 { y.permute([0, 2, 3, 1]) } else { y };
        // A signal is computed as an image of one row.
        if self.gives_signals { y.squeeze_dim(1) } else { y }
    }

    fn of_the_layer(&self, trainable: bool) -> Vec<Tensor> {
        let of_kind = self
            .model
            .parameters
            .iter()
            .filter(|entry| entry.trainable == trainable && entry.name.starts_with("encoder."));
        of_kind.map(|entry| entry.tensor.shallow_clone()).collect()
    }

    /// What the optimizer moves, in PyTorch's layouts and Keras's order.
    pub fn trainable(&self) -> Vec<Tensor> {
        self.of_the_layer(true)
    }

    /// Moving statistics, in Keras's order.
    pub fn moving(&self) -> Vec<Tensor> {
        self.of_the_layer(false)
    }

    /// Sets all weights to those that Keras's layer has.
    pub fn set_weights(&self, weights: &[&Tensor]) -> Result<()> {
        let own: Vec<Tensor> = self.trainable().into_iter().chain(self.moving()).collect();
        if own.len() != weights.len() {
            bail!("the layer has {} weight tensors, not {}", own.len(), weights.len());
        }
        for (mut own, given) in own.into_iter().zip(weights) {
            let given = from_keras(given);
            if own.size() != given.size() {
                bail!("a weight has size {:?}, not {:?}", own.size(), given.size());
            }
            no_grad(|| own.copy_(&given));
        }
        Ok(())
    }
}

/// A kernel in Keras's layout as PyTorch has it: `(h, w, in, out)` to `(out, in, h, w)`,
/// transposed `(h, w, out, in)` to `(in, out, h, w)`, both of signals without h, `(in, out)` to `(out, in)`.
pub fn from_keras(weight: &Tensor) -> Tensor {
    match weight.dim() {
        4 => weight.permute([3, 2, 0, 1]),
        3 => weight.permute([2, 1, 0]),
        2 => weight.transpose(0, 1),
        _ => weight.shallow_clone(),
    }
}

/// The way back.
pub fn to_keras(weight: &Tensor) -> Tensor {
    match weight.dim() {
        4 => weight.permute([2, 3, 1, 0]),
        3 => weight.permute([2, 1, 0]),
        2 => weight.transpose(0, 1),
        _ => weight.shallow_clone(),
    }
}
