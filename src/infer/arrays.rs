//! A model on arrays of NumPy and on tables: samples and results in Keras's shapes, without images between.

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail, ensure};
use tch::Device;

use super::Predictor;
use super::model_file::OpenError;
use crate::data::{Scaling, samples};
use crate::formats::checkpoint::Checkpoint;
use crate::formats::npy::Header;
use crate::formats::npz;
use crate::plan::{Part, Plan, Shape};
use crate::system::atomic;
use crate::system::exit::UsageError;

/// What the names of such files end in.
const ENDINGS: [&str; 3] = ["npy", "npz", "csv"];

/// Whether a file is taken for an array, by its name.
#[must_use]
pub fn is_array(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| ENDINGS.contains(&ending.to_ascii_lowercase().as_str()))
}

/// Where the result of an array goes.
#[must_use]
pub fn result_of(array: &Path, folder: &Path) -> PathBuf {
    let mut name = OsString::from(name_of(array));
    name.push(".npy");
    folder.join(name)
}

/// What the result of an array is called: as its file, without the ending.
fn name_of(array: &Path) -> &OsStr {
    array.file_stem().unwrap_or_default()
}

/// What a model gives for the samples of an array.
#[derive(Debug)]
pub struct Outputs {
    /// The number of samples first.
    pub shape: Vec<usize>,
    values: Vec<f32>,
}

impl Outputs {
    /// As NumPy lays them out, float32: header and values.
    fn npy(&self) -> (Vec<u8>, Vec<u8>) {
        let values = self.values.iter().flat_map(|value| value.to_le_bytes()).collect();
        (Header::bytes("<f4", &self.shape), values)
    }

    /// Writes a `.npy`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, out: &Path) -> anyhow::Result<()> {
        let (header, values) = self.npy();
        deliver(out, &[header, values])
    }
}

/// Writes a `.npz` that holds what the model gives for each of these arrays by the array's name.
///
/// # Errors
/// When two of them have one name, or the file cannot be written.
pub fn write_archive(out: &Path, all: &[(&Path, Outputs)]) -> anyhow::Result<()> {
    let names = all.iter().map(|(array, _)| name_of(array).to_string_lossy());
    let names: Vec<_> = names.collect();
    let entries: Vec<npz::Entry<'_>> = (names.iter().zip(all))
        .map(|(name, (_, outputs))| {
            let (header, values) = outputs.npy();
            (&**name, header, values)
        })
        .collect();
    let bytes =
        npz::to_bytes(&entries).with_context(|| format!("{} cannot be laid out", out.display()))?;
    deliver(out, &[bytes])
}

fn deliver(out: &Path, parts: &[Vec<u8>]) -> anyhow::Result<()> {
    atomic::write(out, |file| parts.iter().try_for_each(|part| file.write_all(part)))
        .with_context(|| format!("{} cannot be written; name another --out", out.display()))
}

/// A model for arrays, at the size of the samples that it saw last.
#[derive(Debug)]
pub struct ArrayPredictor<'a> {
    path: &'a Path,
    checkpoint: &'a Checkpoint,
    device: Device,
    plan: Plan,
    predictor: Predictor,
}

impl<'a> ArrayPredictor<'a> {
    /// At the model's own size.
    ///
    /// # Errors
    /// As [`Predictor::restore`].
    pub fn new(
        path: &'a Path,
        plan: Plan,
        checkpoint: &'a Checkpoint,
        device: Device,
    ) -> Result<Self, OpenError> {
        let predictor = Predictor::restore(path, &plan, checkpoint, Part::Whole, device)?;
        Ok(Self { path, checkpoint, device, plan, predictor })
    }

    /// What the model gives for each sample of an array, in Keras's shape.
    ///
    /// # Errors
    /// When the array cannot be read, or has other samples than the model takes.
    pub fn outputs(&mut self, array: &Path) -> anyhow::Result<Outputs> {
        let (shape, mut samples) = samples(array)?;
        self.fit(array, &shape)?;
        let graph = &self.plan.graph;
        let sample = graph.input.values();
        let scales = Scaling::of_trained(&self.plan.config.data)?
            .of_samples(&samples, sample)
            .map_err(|problem| anyhow!("{}: {problem}", array.display()))?;
        samples.chunks_exact_mut(sample).zip(&scales).for_each(|(part, scale)| scale.apply(part));
        let predictor = &mut self.predictor;
        let mut values = predictor.predict_all(&samples);
        let results = values.chunks_exact_mut(predictor.output_values());
        results.zip(&scales).for_each(|(part, scale)| scale.undo(part));
        if let Some(odd) = values.iter().find(|value| !value.is_finite()) {
            bail!("{}: the model's output holds {odd}; use another checkpoint", array.display());
        }
        Ok(Outputs { shape: [&shape[..1], &graph.shape(graph.output).0].concat(), values })
    }

    /// Samples have the model's shape, or another one of a model of open size, or as many values as its vectors,
    /// or lack the axis of one channel.
    fn fit(&mut self, array: &Path, shape: &[usize]) -> anyhow::Result<()> {
        let refuse = |problem: String, remedy: &str| {
            Err(UsageError(format!("{}: it {problem}; {remedy}", array.display())).into())
        };
        let Some((&count, sides)) = shape.split_first().filter(|(_, sides)| !sides.is_empty())
        else {
            return refuse(
                format!("has shape {shape:?}"),
                "its first axis has to count the samples",
            );
        };
        let (input, sample) = (&self.plan.graph.input, Shape(sides.to_vec()));
        if count == 0 || sample.values() == 0 {
            return refuse("holds no sample".to_owned(), "name another array");
        }
        if input.0.len() == 1 && sample.values() == input.values() {
            return Ok(());
        }
        let is_grey = input.0.len() == sides.len() + 1 && input.0.last() == Some(&1);
        let sample = if is_grey { Shape([sides, &[1]].concat()) } else { sample };
        if sample == *input {
            return Ok(());
        }
        match self.plan.for_shape(&sample) {
            Ok(plan) => {
                let (path, checkpoint, device) = (self.path, self.checkpoint, self.device);
                self.predictor = Predictor::restore(path, &plan, checkpoint, Part::Whole, device)?;
                self.plan = plan;
                Ok(())
            }
            Err(reason) => {
                let sample = Shape(sides.to_vec());
                let problem = format!("holds samples of {sample}, and the model takes {input}");
                let why = if self.plan.sized_layer().is_none() { reason } else { String::new() };
                let why = if why.is_empty() { why } else { format!(" ({why})") };
                refuse(format!("{problem}{why}"), "give samples of that shape")
            }
        }
    }
}

/// Refuses a result that would take the place of its own array.
///
/// # Errors
/// With the remedy.
pub fn check_place(array: &Path, out: &Path) -> anyhow::Result<()> {
    let same =
        array.canonicalize().ok().is_some_and(|array| out.canonicalize().ok() == Some(array));
    ensure!(
        !same,
        UsageError(format!(
            "{} would be replaced by its result; name another --out",
            array.display()
        ))
    );
    Ok(())
}
