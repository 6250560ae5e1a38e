//! A model on arrays of NumPy and on tables: samples and results in Keras's shapes, without images between.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail, ensure};

use super::Predictor;
use crate::data::{Scaling, samples};
use crate::formats::npy::Header;
use crate::plan::{Graph, Plan, Shape};
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
    let mut name = array.file_stem().unwrap_or_default().to_os_string();
    name.push(".npy");
    folder.join(name)
}

/// Writes what the model gives for each sample of an array, float32, to `out`; returns how many there were.
///
/// # Errors
/// When the array cannot be read, has other samples than the model takes, or the result cannot be written.
pub fn apply_to_array(
    plan: &Plan,
    predictor: &mut Predictor,
    array: &Path,
    out: &Path,
) -> anyhow::Result<usize> {
    let graph = &plan.graph;
    let (shape, mut values) = samples(array)?;
    check_samples(graph, array, &shape)?;
    let sample = graph.input.values();
    let scales = Scaling::of_trained(&plan.config.data)?
        .of_samples(&values, sample)
        .map_err(|problem| anyhow!("{}: {problem}", array.display()))?;
    values.chunks_exact_mut(sample).zip(&scales).for_each(|(part, scale)| scale.apply(part));
    let each = predictor.at_once() * sample;
    let mut output: Vec<f32> =
        values.chunks(each).flat_map(|part| predictor.predict(part)).collect();
    let results = output.chunks_exact_mut(predictor.output_values());
    results.zip(&scales).for_each(|(part, scale)| scale.undo(part));
    if let Some(odd) = output.iter().find(|value| !value.is_finite()) {
        bail!("{}: the model's output holds {odd}; use another checkpoint", array.display());
    }
    let given = [&shape[..1], &graph.shape(graph.output).0].concat();
    let bytes: Vec<u8> = output.iter().flat_map(|value| value.to_le_bytes()).collect();
    atomic::write(out, |file| {
        file.write_all(&Header::bytes("<f4", &given))?;
        file.write_all(&bytes)
    })
    .with_context(|| format!("{} cannot be written; name another --out", out.display()))?;
    Ok(shape[0])
}

/// Samples have the model's shape, or as many values as its vectors, or lack the axis of one channel.
fn check_samples(graph: &Graph, array: &Path, shape: &[usize]) -> Result<(), UsageError> {
    let refuse = |problem: String, remedy: &str| {
        Err(UsageError(format!("{}: it {problem}; {remedy}", array.display())))
    };
    let Some((&count, sides)) = shape.split_first().filter(|(_, sides)| !sides.is_empty()) else {
        return refuse(format!("has shape {shape:?}"), "its first axis has to count the samples");
    };
    let sample = Shape(sides.to_vec());
    let is_vector = graph.input.0.len() == 1 && sample.values() == graph.input.values();
    let lacks_channel = graph.input.0.split_last() == Some((&1, sides));
    match () {
        () if count == 0 => refuse("holds no sample".to_owned(), "name another array"),
        () if sample == graph.input || is_vector || lacks_channel => Ok(()),
        () => {
            let problem = format!("holds samples of {sample}, and the model takes {}", graph.input);
            refuse(problem, "give samples of that shape")
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
