//! Evaluates questions about single layers, optimizers, losses and models for
//! `scripts/parity/cases`, which holds the answers against Keras.
//!
//! ```text
//! cargo run --example parity_probe -- QUESTIONS.json GIVEN.safetensors ANSWERS.safetensors
//! ```
//!
//! What a question looks like stands in `tests/parity/`.

#[path = "../tests/parity/mod.rs"]
mod parity;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};

use parity::arrays::{Arrays, values};
use parity::{Answers, Questions};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("parity_probe: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let paths: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [questions, given, answers] = paths.as_slice() else {
        bail!("name three files: QUESTIONS.json GIVEN.safetensors ANSWERS.safetensors");
    };
    let text = std::fs::read_to_string(questions)
        .with_context(|| format!("{} cannot be read", questions.display()))?;
    let (given, _) = Arrays::read(given)?;
    write(answers, &Questions::parse(&text)?.answer(&given)?)
}

/// The arrays, with the JSON as metadata.
fn write(path: &Path, answers: &Answers) -> Result<()> {
    let arrays = answers.arrays.iter().map(|(name, tensor)| {
        let shape: Vec<usize> = tensor.size().iter().map(|&side| side as usize).collect();
        let bytes: Vec<u8> = values(tensor).iter().flat_map(|value| value.to_le_bytes()).collect();
        (name, shape, bytes)
    });
    let arrays: Vec<_> = arrays.collect();
    let views = (arrays.iter())
        .map(|(name, shape, bytes)| Ok((name, TensorView::new(Dtype::F64, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>>>()?;
    let json = serde_json::to_string(&answers.json)?;
    serialize_to_file(views, Some([("answers".to_owned(), json)].into()), path)
        .with_context(|| format!("{} cannot be written", path.display()))
}
