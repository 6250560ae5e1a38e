//! From a layer or an optimizer on its own to what convae makes of it in a whole config: the probe
//! goes through config, plan and model like a user's run, so that nothing is built twice.

use anyhow::{Context, Result, bail};
use convae::config::Source;
use convae::engine::Model;
use convae::plan::{Plan, Weight};
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
    /// Keras's axis for each of PyTorch's, of each weight.
    axes: Vec<Vec<i64>>,
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
        let axes = |weight: &Weight| weight.keras_axes.iter().map(|&axis| axis as i64).collect();
        let axes = plan.graph.nodes[1].weights.iter().map(axes).collect();
        let gives_signals = plan.code_shape().0.len() == 2;
        Ok(Self { model: Model::new(&plan, Device::Cpu, Kind::Double), axes, gives_signals })
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
        for ((mut own, given), axes) in own.into_iter().zip(weights).zip(&self.axes) {
            let given = given.permute(axes);
            if own.size() != given.size() {
                bail!("a weight has size {:?}, not {:?}", own.size(), given.size());
            }
            no_grad(|| own.copy_(&given));
        }
        Ok(())
    }

    /// The layer's weights, or their gradients, in Keras's layouts and order.
    pub fn in_keras<'a>(
        &'a self,
        weights: impl Iterator<Item = Tensor> + 'a,
    ) -> impl Iterator<Item = Tensor> + 'a {
        weights.zip(&self.axes).map(|(weight, axes)| {
            let mut back = vec![0; axes.len()];
            axes.iter().zip(0..).for_each(|(&from, to)| back[from as usize] = to);
            weight.permute(&back)
        })
    }
}
