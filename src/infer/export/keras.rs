//! Keras files: only Keras itself writes them, so a Python that has it is asked to.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, anyhow, bail};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::Exporter;
use crate::config::layers::Layer;
use crate::config::schema::Field;
use crate::formats::checkpoint::{Array, DType};
use crate::formats::npy;
use crate::system::atomic;
use crate::system::exit::UsageError;

/// What Python runs.
const SCRIPT: &str = include_str!("keras.py");
/// Its exit code where there is no Keras.
const NO_KERAS: i32 = 3;
/// What names the Python of the tests, which has Keras.
const VARIABLE: &str = "CONVAE_PYTHON";
/// Where `scripts/setup.sh --python` puts one.
const ENVIRONMENT: &str = ".venv/bin/python";

/// A Python interpreter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Python {
    program: PathBuf,
    /// Whether the user named it.
    named: bool,
}

impl Python {
    /// The one that is named; else that of `CONVAE_PYTHON`, of `.venv`, or `python3`.
    #[must_use]
    pub fn find(named: Option<&Path>) -> Self {
        if let Some(program) = named {
            return Self { program: program.to_owned(), named: true };
        }
        let variable = std::env::var_os(VARIABLE).filter(|program| !program.is_empty());
        let environment = Path::new(ENVIRONMENT);
        let program = match variable {
            Some(program) => PathBuf::from(program),
            None if environment.is_file() => environment.to_owned(),
            None => PathBuf::from("python3"),
        };
        Self { program, named: false }
    }

    /// Runs the script on a file.
    fn run(&self, jobs: &Path) -> anyhow::Result<Output> {
        let mut command = Command::new(&self.program);
        command
            .arg("-")
            .arg(jobs)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| self.absent(&error))?;
        let mut stdin = child.stdin.take().context("Python takes no script")?;
        // One that ends at once has not read all of it; why it ended is told below.
        let _ = stdin.write_all(SCRIPT.as_bytes());
        drop(stdin);
        child.wait_with_output().context("Python cannot be waited for")
    }

    fn absent(&self, error: &std::io::Error) -> anyhow::Error {
        let sentence = format!(
            "{} cannot be run ({error}); name a Python that has Keras with --python FILE",
            self.program.display()
        );
        if self.named { UsageError(sentence).into() } else { anyhow!(sentence) }
    }
}

/// A model and the file that it goes to.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// What to write.
    pub model: &'a Exporter,
    /// A name that ends in `.keras`.
    pub path: &'a Path,
}

/// Writes models in one call of Python, each file whole or not at all. The models are not compiled:
/// they are for predictions until someone compiles them.
///
/// # Errors
/// When there is no Python with Keras, Keras refuses, or a file cannot be written.
pub fn write_all(jobs: &[Job<'_>], python: &Python) -> anyhow::Result<()> {
    let folder = tempfile::tempdir().context("there is no place for temporary files")?;
    let whole = Value::Array(
        jobs.iter()
            .enumerate()
            .map(|(index, job)| describe(job.model, &folder, index))
            .collect::<anyhow::Result<_>>()?,
    );
    let list = folder.path().join("jobs.json");
    fs::write(&list, whole.to_string()).context("there is no room for temporary files")?;
    let outcome = python.run(&list)?;
    if !outcome.status.success() {
        let said = String::from_utf8_lossy(&outcome.stderr);
        let reason =
            said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        let program = python.program.display();
        if outcome.status.code() == Some(NO_KERAS) {
            bail!(
                "{program} has no Keras ({reason}); install one (pip install keras jax), or name a Python \
                 that has it with --python FILE"
            );
        }
        bail!("Keras did not write the model, run by {program}: {reason}");
    }
    for (index, job) in jobs.iter().enumerate() {
        let bytes = fs::read(file_of(&folder, index)).context("Keras left no file")?;
        atomic::write(job.path, |file| file.write_all(&bytes)).with_context(|| {
            format!("{} cannot be written; name another place with --out FILE", job.path.display())
        })?;
    }
    Ok(())
}

fn file_of(folder: &TempDir, index: usize) -> PathBuf {
    folder.path().join(format!("{index}.keras"))
}

/// What the script has to know of a model; its weights are left beside, as NumPy's files.
fn describe(model: &Exporter, folder: &TempDir, index: usize) -> anyhow::Result<Value> {
    let plan = &model.plan;
    let [height, width, channels] = plan.input_shape;
    let shape = if model.takes_other_sizes() {
        json!([null, null, channels])
    } else {
        json!([height, width, channels])
    };
    let mut layers = Vec::new();
    for (_, node) in model.nodes() {
        let weights = model.weights_of(node);
        let mut files = Vec::new();
        for weight in &node.weights {
            let Some(array) = weights.get(weight.suffix) else { continue };
            let file = folder.path().join(format!("{index}.{}.{}.npy", node.name, weight.suffix));
            fs::write(&file, numpy_bytes(array)).context("there is no room for temporary files")?;
            files.push(json!({
                "name": weight.keras_name,
                "file": file,
                "keras_axes": weight.keras_axes,
            }));
        }
        let inputs = node.inputs.iter().map(|&value| plan.graph.name_of(value));
        layers.push(json!({
            "class": node.layer.name(),
            "name": node.name,
            "shares": node.shares.map(|owner| &plan.graph.nodes[owner].name),
            "inputs": inputs.collect::<Vec<_>>(),
            "options": options_of(&node.layer)?,
            "weights": files,
        }));
    }
    let allowed = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
    Ok(json!({
        "out": file_of(folder, index),
        "name": plan.config.name.chars().map(allowed).collect::<String>(),
        "dtype": plan.config.train.dtype.name(),
        "input_shape": shape,
        "layers": layers,
        "output": plan.graph.name_of(plan.graph.output),
    }))
}

/// The layer's table in a config, every default written out: the keys are Keras's.
fn options_of(layer: &Layer) -> anyhow::Result<Value> {
    let table = layer.write().context("a layer has a table")?;
    let mut options = serde_json::to_value(table).context("a layer is no JSON")?;
    options.as_object_mut().context("a layer is a table")?.shift_remove("layer");
    Ok(options)
}

fn numpy_bytes(array: &Array) -> Vec<u8> {
    let descr = match array.dtype() {
        DType::F32 => "<f4",
        DType::F64 => "<f8",
        DType::I64 => "<i8",
    };
    let mut bytes = npy::Header::bytes(descr, array.shape());
    bytes.extend(array.bytes());
    bytes
}
