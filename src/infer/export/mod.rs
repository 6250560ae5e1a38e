//! A trained model as files that other tools open by themselves, each with all that it computes.
//!
//! | format | opens with | images |
//! |---|---|---|
//! | [`Format::Onnx`] | onnxruntime and others | `(N, C, H, W)`, float32 |
//! | [`Format::Torchscript`] | `torch.jit.load`, libtorch | `(N, C, H, W)`, in the model's precision |
//! | [`Format::Keras`] | `keras.saving.load_model` | `(N, H, W, C)`, in the model's precision |
//! | [`Format::KerasWeights`] | `model.load_weights`: the weights alone | |
//! | [`Format::Safetensors`] | safetensors: the weights alone | |
//!
//! 0 is black and 1 is white; where `data.scale` is set, the file scales by itself. N is free, and so are height and width, unless a layer (Flatten,
//! Reshape) fixes them. Vectors are `(N, values)` and signals `(N, steps, channels)` in all of them.

mod keras;
mod onnx;
mod scale;
mod torchscript;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueEnum;
use tch::Device;

use crate::config::layers::Layer;
use crate::config::method::Method;
use crate::config::sections::{Data, Precision};
use crate::formats::checkpoint::{Array, Checkpoint, save};
use crate::infer::Predictor;
use crate::infer::model_file::{carry_history, described, open_model};
use crate::plan::{Axis, Node, Part, Plan, Shape};
use crate::system::atomic;
use crate::system::exit::UsageError;

/// What a model can be exported to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The weights, with PyTorch's names and layouts.
    Safetensors,
    /// A module that torch.jit.load opens.
    Torchscript,
    /// A graph for onnxruntime and others.
    Onnx,
    /// A Keras model, compiled with the config's loss and optimizer.
    Keras,
    /// The weights, with Keras's names and layouts, which load_weights opens.
    KerasWeights,
}

impl Format {
    /// What the name of such a file ends in.
    #[must_use]
    pub fn ending(self) -> &'static str {
        match self {
            Self::Safetensors => "safetensors",
            Self::Torchscript => "pt",
            Self::Onnx => "onnx",
            Self::Keras => "keras",
            Self::KerasWeights => "h5",
        }
    }

    /// The format that a file's name tells. `.pt` tells none: a checkpoint of weights has it too.
    #[must_use]
    pub fn told_by(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?;
        let all = [Self::Safetensors, Self::Onnx, Self::Keras, Self::KerasWeights];
        all.into_iter().find(|format| format.ending() == ending)
    }
}

/// A trained model: its plan and its weights, which were found to fit together.
#[derive(Debug)]
pub struct Exporter {
    /// What the model is.
    pub plan: Plan,
    /// Its weights in the plan's precision, and what the file says about itself.
    checkpoint: Checkpoint,
    /// With the weights, to compare what was exported with.
    predictor: Predictor,
}

/// The same with its layers' values in the weights' own precision, as the files compute.
fn unrounded(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    plan.config.train.dtype = plan.config.train.dtype.of_weights();
    plan
}

/// The weights of one layer.
struct LayerWeights<'a> {
    checkpoint: &'a Checkpoint,
    layer: String,
}

impl<'a> LayerWeights<'a> {
    /// By PyTorch's name: `weight`, `bias`, `running_mean` or `running_var`.
    fn get(&self, suffix: &str) -> Option<&'a Array> {
        self.checkpoint.tensor(&format!("{}.{suffix}", self.layer))
    }
}

impl Exporter {
    /// Opens a checkpoint; `config` is for weights that do not say what model they are of, and
    /// `overrides` are `key=value`, as after `--set`.
    ///
    /// # Errors
    /// As [`open_model`] and [`Predictor::restore`].
    pub fn open(path: &Path, config: Option<&Path>, overrides: &[String]) -> anyhow::Result<Self> {
        let (mut plan, found) = open_model(path, config, overrides)?;
        if let Some(affine) = scale::of(&plan)? {
            plan.graph = scale::framed(&plan.graph, affine);
        }
        let predictor =
            Predictor::restore(path, &unrounded(&plan), &found, Part::Whole, Device::Cpu)?;
        let mut checkpoint = described(&plan, predictor.parameters());
        carry_history(&found, &mut checkpoint);
        Ok(Self { plan, checkpoint, predictor })
    }

    /// Exports the model to `path`, whole or not at all; a file that is there is replaced.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let (file, out) = (folder.path().join("noise.pt"), folder.path().join("noise.onnx"));
    /// # let few = ["data.dir=tests/digits", "data.train_samples=32", "data.test_samples=32"];
    /// # let few: Vec<String> = few.map(str::to_owned).into();
    /// # let config = convae::Source::open("denoise.toml".as_ref(), &few)?;
    /// # convae::train(&convae::Plan::new(config)?)?.save(&file)?;
    /// let mut model = convae::Exporter::open(&file, None, &[])?;
    /// model.export(convae::ExportFormat::Onnx, &out)?;
    /// assert!(model.takes_other_sizes());
    /// # assert!(out.metadata()?.len() > 40_000);
    /// # anyhow::Ok(())
    /// ```
    ///
    /// # Errors
    /// When the format cannot hold the model, or the file cannot be written.
    pub fn export(&mut self, format: Format, path: &Path) -> anyhow::Result<()> {
        scale::check(&self.plan, format)?;
        let bytes = match format {
            Format::Safetensors => {
                let path = named(path, format)?;
                return Ok(save(&path, &self.checkpoint)?);
            }
            Format::Torchscript => torchscript::to_bytes(self)?,
            Format::Onnx => onnx::to_bytes(self)?,
            Format::Keras => return keras::write_model(self, path),
            Format::KerasWeights => return keras::write_weights(self, path),
        };
        atomic::write(path, |file| file.write_all(&bytes)).with_context(|| {
            format!("{} cannot be written; name another place with --out FILE", path.display())
        })
    }

    /// What the model makes of images: values channels last, one image after the other, in and out.
    #[must_use]
    pub fn outputs(&mut self, images: &[f32]) -> Vec<f32> {
        self.predictor.predict(images)
    }

    /// Whether height and width of the images, or the steps of the signals, are free.
    #[must_use]
    pub fn takes_other_sizes(&self) -> bool {
        self.plan.sized_layer().is_none()
    }

    /// The sizes of images that come out as large as they went in, as a sentence.
    #[must_use]
    pub fn sizes(&self) -> String {
        let [height, width, _] = self.plan.input_shape;
        if self.plan.graph.input.0.len() != 3 {
            let input = &self.plan.graph.input;
            if !self.takes_other_sizes() {
                return format!("shape {input}");
            }
            let period = self.plan.period(Axis::Columns);
            return format!(
                "{width} steps and others that differ from it by multiples of {period}"
            );
        }
        if !self.takes_other_sizes() {
            return format!("height {height}, width {width}");
        }
        let (rows, columns) = (self.plan.period(Axis::Rows), self.plan.period(Axis::Columns));
        format!(
            "height {height} and others that differ from it by multiples of {rows}, width {width} and \
             others that differ from it by multiples of {columns}"
        )
    }

    /// What a file of this format does about the data's scale, as a sentence; `None` where values stay as they are.
    #[must_use]
    pub fn scaled(&self, format: Format) -> Option<String> {
        scale::said(&self.plan, format)
    }

    /// The same of a file of this format.
    #[must_use]
    pub fn sizes_in(&self, format: Format) -> String {
        let [height, width, _] = self.plan.input_shape;
        if format == Format::Keras && self.is_fixed_in_keras() {
            return format!("height {height}, width {width}");
        }
        self.sizes()
    }

    /// Whether Keras's model takes one size, and this one others too.
    fn is_fixed_in_keras(&self) -> bool {
        self.takes_other_sizes() && keras::config::has_depth_to_space(&self.plan)
    }

    /// What the config asks of a training that a file of this format has no place for, in sentences.
    #[must_use]
    pub fn left_out(&self, format: Format) -> Vec<String> {
        let train = &self.plan.config.train;
        if format != Format::Keras {
            let unrounded = matches!(format, Format::Torchscript | Format::Onnx)
                && train.dtype == Precision::MixedBfloat16;
            let sentence = "the file's model computes in float32: mixed_bfloat16 is left out";
            return unrounded.then(|| sentence.to_owned()).into_iter().collect();
        }
        let mut said = self.of_other_layers();
        if !keras::in_keras(&train.loss) {
            said.push(format!("the model is not compiled: train.loss is {:?}", train.loss.name()));
            return said;
        }
        let keys = [
            ("method", !matches!(train.method, Method::Supervised(_))),
            ("warmup_steps", train.warmup_steps.is_some()),
            ("early_stopping", train.early_stopping.is_some()),
            ("reduce_lr_on_plateau", train.reduce_lr_on_plateau.is_some()),
        ];
        let left_out = keys.into_iter().filter(|(_, is_set)| *is_set);
        let sentence =
            |(key, _)| format!("train.{key} is left out: a Keras model has no place for it");
        said.extend(left_out.map(sentence));
        said
    }

    /// What Keras has no layer for, and what stands in its place.
    fn of_other_layers(&self) -> Vec<String> {
        let [height, width, _] = self.plan.input_shape;
        let said = self.is_fixed_in_keras().then(|| {
            format!(
                "the file's model takes images of {width}x{height} only: Keras has no DepthToSpace, and Reshape \
                 and Permute stand in its place"
            )
        });
        let drawing = self.nodes().find(|(_, node)| matches!(node.layer, Layer::Sampling(_)));
        let mean = drawing.map(|(_, node)| {
            format!(
                "the file's `{}` gives its mean, in training too, and adds nothing to the loss: Keras has no Sampling",
                node.name
            )
        });
        said.into_iter().chain(mean).collect()
    }

    /// What the model is, for people.
    fn description(&self) -> String {
        let ends = self.plan.graph.ends(Part::Whole);
        let [input, output] = ends.map(|end| layout_of(self.plan.graph.shape(end)));
        let layouts = if input == output {
            format!("Input and output: {input}")
        } else {
            format!("Input: {input}; output: {output}")
        };
        let name = &self.plan.config.name;
        let sizes = self.sizes();
        format!("{name}, an autoencoder by convae. {layouts}, {}; {sizes}.", self.values())
    }

    /// What the values mean.
    fn values(&self) -> &'static str {
        match &self.plan.config.data {
            Data::Npz(npz) if npz.any_values => "values of any range",
            data if data.scale().is_some() => {
                "values in units of white, where floats may lie beyond 0 to 1"
            }
            _ => "0 is black and 1 is white",
        }
    }

    /// The nodes that the output needs, in topological order.
    fn nodes(&self) -> impl Iterator<Item = (usize, &Node)> {
        let section = self.plan.graph.section(Part::Whole).expect("a whole model stands alone");
        section.nodes().collect::<Vec<_>>().into_iter()
    }

    /// The node whose weights another one computes with: itself, or the one that it shares them with.
    fn owner_of<'a>(&'a self, node: &'a Node) -> &'a Node {
        node.shares.map_or(node, |owner| &self.plan.graph.nodes[owner])
    }

    fn weights_of(&self, node: &Node) -> LayerWeights<'_> {
        LayerWeights { checkpoint: &self.checkpoint, layer: self.owner_of(node).path() }
    }
}

/// What a batch of such samples is to ONNX and TorchScript.
fn layout_of(shape: &Shape) -> &'static str {
    match shape.0.len() {
        1 => "vectors (N, values)",
        2 => "signals (N, steps, channels)",
        _ => "images (N, C, H, W)",
    }
}

/// A checkpoint's name decides on its format.
fn named(path: &Path, format: Format) -> Result<PathBuf, UsageError> {
    if path.extension().is_some_and(|ending| ending == format.ending()) {
        return Ok(path.to_owned());
    }
    let (shown, ending) = (path.display(), format.ending());
    Err(UsageError(format!("{shown} does not end in .{ending}; name a file that does")))
}
