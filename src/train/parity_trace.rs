//! Everything that a replay of a training elsewhere needs, written while it happens: what went in,
//! what came out of every step, and the weights on the way. `scripts/parity.sh` reads it.
//!
//! Arrays are safetensors: weights in PyTorch's layouts under their checkpoint names, images as
//! `(N, H, W, C)`. Losses are JSON numbers, which hold every digit of a float64.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde::Serialize;

use crate::config::method::Method;
use crate::config::sections::Data;
use crate::data::corruption::Split;
use crate::data::{Batch, DataLoader, Dataset, Target};
use crate::formats::checkpoint::{Array, Checkpoint, save};
use crate::infer::model_file::array_of;
use crate::nn::Parameter;
use crate::plan::Plan;
use crate::plan::loader;
use crate::system::atomic;
use crate::system::exit::UsageError;
use crate::train::{EpochRecord, Observer, StepDone, Trainer};

/// Steps after which the weights are kept, counted over all epochs.
const KEPT_STEPS: [usize; 2] = [1, 10];
/// Test images whose outputs are kept.
const OUTPUTS: usize = 16;

/// An observer that writes a folder.
#[derive(Debug)]
pub struct Trace {
    dir: PathBuf,
    record: Record,
    /// Steps seen, over all epochs.
    steps: usize,
    /// The first thing that could not be written; observers cannot fail, so it is told at the end.
    failure: Option<anyhow::Error>,
}

/// The part that is numbers, `trace.json`.
#[derive(Debug, Default, Serialize)]
struct Record {
    format: u32,
    /// The loss of every step, one list an epoch.
    losses: Vec<Vec<f64>>,
    /// The epochs' means, as the history has them.
    epoch_losses: Vec<f64>,
    val_losses: Vec<f64>,
}

impl Trace {
    /// Refuses a folder that is in use, before anything expensive.
    ///
    /// # Errors
    /// When `dir` is there and not empty, or the plan has a method that a replay does not know.
    pub fn check(dir: &Path, plan: &Plan) -> Result<(), UsageError> {
        if !matches!(plan.config.train.method, Method::Supervised(_)) {
            return Err(UsageError(format!(
                "train.method is {}, and Keras's replay of a trace knows supervised training alone; leave \
                 --trace out",
                plan.config.train.method.name()
            )));
        }
        let empty =
            std::fs::read_dir(dir).map_or(!dir.exists(), |mut files| files.next().is_none());
        if empty {
            return Ok(());
        }
        Err(UsageError(format!(
            "{} is not an empty folder; name another one with --trace",
            dir.display()
        )))
    }

    /// Writes what is known before the first step.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn begin(
        dir: &Path,
        plan: &Plan,
        data: &Dataset,
        trainer: &Trainer,
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir)
            .with_context(|| format!("the folder {} cannot be made", dir.display()))?;
        let record = Record { format: 1, losses: vec![Vec::new()], ..Record::default() };
        let trace = Self { dir: dir.to_path_buf(), record, steps: 0, failure: None };
        trace.write("config.toml", plan.config.to_toml().as_bytes())?;
        trace.save("weights_initial", weights(trainer))?;
        trace.save_inputs(plan, data)?;
        Ok(trace)
    }

    /// The order of each epoch; what went in, where it is not what should come out; and what should
    /// come out, where a replay cannot read it from a file.
    fn save_inputs(&self, plan: &Plan, data: &Dataset) -> anyhow::Result<()> {
        let (train, test) =
            (loader(plan, &data.train, Split::Train), loader(plan, &data.test, Split::Test));
        let Target { input, output, clean, .. } = *data.train.target();
        let inputs: Dumped = (input, inputs_of);
        let targets: Dumped = (output, targets_of);
        // A replay reads images as they are in their files.
        let unreadable =
            !is_read_by_replays(&plan.config.data) || output != input || clean != input;
        let mut orders = Vec::new();
        for epoch in 1..=plan.config.train.epochs as u64 {
            let order = train.order(epoch, plan.config.train.shuffle);
            let order: Vec<i64> = order.into_iter().map(|index| index as i64).collect();
            orders.push((format!("epoch_{epoch}"), Array::from_values(&[order.len()], &order)?));
            let others = epoch == 1 || data.train.are_drawn();
            let other_inputs = others || plan.config.corruption.changes_in(epoch);
            if train.changes_images() && other_inputs {
                self.save_images(&format!("train_inputs_{epoch}"), train, epoch, inputs)?;
            }
            if unreadable && others {
                self.save_images(&format!("train_targets_{epoch}"), train, epoch, targets)?;
            }
        }
        if test.changes_images() {
            self.save_images("test_inputs", test, 0, inputs)?;
        }
        if unreadable {
            self.save_images("test_targets", test, 0, targets)?;
        }
        self.save("order", orders)
    }

    /// All images of a loader, by index.
    fn save_images(
        &self,
        name: &str,
        loader: DataLoader<'_>,
        epoch: u64,
        (shape, of): Dumped,
    ) -> anyhow::Result<()> {
        let all: Vec<usize> = (0..loader.images.len()).collect();
        let [height, width, channels] = shape;
        let batch = loader.batch(epoch, &all)?;
        let array = Array::from_values(&[all.len(), height, width, channels], of(&batch))?;
        self.save(name, vec![("pictures".to_owned(), array)])
    }

    /// Writes what is known after the last step.
    ///
    /// # Errors
    /// When a file cannot be written, now or before.
    pub fn finish(
        mut self,
        plan: &Plan,
        data: &Dataset,
        trainer: &mut Trainer,
    ) -> anyhow::Result<()> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        self.save("weights_last", weights(trainer))?;
        let shown: Vec<usize> = (0..OUTPUTS.min(data.test.len())).collect();
        let input = loader(plan, &data.test, Split::Test).batch(0, &shown)?.input;
        let output = array_of(&trainer.predictor.outputs(&input));
        self.save("outputs", vec![("pictures".to_owned(), output)])?;
        ensure!(
            self.record.losses.pop().is_some_and(|rest| rest.is_empty()),
            "the last epoch was cut short"
        );
        self.write("trace.json", serde_json::to_string(&self.record)?.as_bytes())
    }

    fn observe(&mut self, done: &StepDone<'_>) -> anyhow::Result<()> {
        self.steps += 1;
        if let Some(losses) = self.record.losses.last_mut() {
            losses.push(done.loss.double_value(&[]));
        }
        if self.steps == 1 {
            self.save("gradient", gradients(done))?;
        }
        if KEPT_STEPS.contains(&self.steps) {
            self.save(&format!("weights_step_{}", self.steps), weights(done.trainer))?;
        }
        Ok(())
    }

    fn save(&self, name: &str, tensors: Vec<(String, Array)>) -> anyhow::Result<()> {
        let path = self.dir.join(format!("{name}.safetensors"));
        Ok(save(&path, &Checkpoint { tensors, ..Checkpoint::default() })?)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let path = self.dir.join(name);
        atomic::write(&path, |file| file.write_all(bytes))
            .with_context(|| format!("{} cannot be written", path.display()))
    }
}

/// The shape of one sample, and which values of a batch they are.
type Dumped = ([usize; 3], fn(&Batch) -> &[f32]);

impl Observer for Trace {
    fn step_done(&mut self, done: &StepDone<'_>) {
        if self.failure.is_none() {
            self.failure = self.observe(done).err();
        }
    }

    fn epoch_done(&mut self, record: &EpochRecord) {
        self.record.losses.push(Vec::new());
        self.record.epoch_losses.push(record.loss);
        self.record.val_losses.push(record.val_loss);
    }
}

/// Whether `scripts/parity` reads the images from their own files.
fn is_read_by_replays(data: &Data) -> bool {
    match data {
        Data::Mnist(_) | Data::FashionMnist(_) => true,
        Data::Idx(_) | Data::Npz(_) | Data::Images(_) | Data::Pairs(_) => false,
    }
}

fn inputs_of(batch: &Batch) -> &[f32] {
    &batch.input
}

fn targets_of(batch: &Batch) -> &[f32] {
    batch.target()
}

fn weights(trainer: &Trainer) -> Vec<(String, Array)> {
    let parameters = trainer.predictor.parameters().iter();
    parameters.map(|Parameter { name, tensor, .. }| (name.clone(), array_of(tensor))).collect()
}

/// The flat gradient, cut up by weight tensor.
fn gradients(done: &StepDone<'_>) -> Vec<(String, Array)> {
    let mut start = 0;
    let trainable =
        done.trainer.predictor.parameters().iter().filter(|parameter| parameter.trainable);
    trainable
        .map(|Parameter { name, tensor, .. }| {
            let length = tensor.numel() as i64;
            let part = done.gradient.narrow(0, start, length).view_as(tensor);
            start += length;
            (name.clone(), array_of(&part))
        })
        .collect()
}
