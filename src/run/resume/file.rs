//! A training's state as one file. It is a model's file, too: its weights have their usual names, and
//! what a model has no use for stands beside them.

use std::path::Path;

use anyhow::{Context, anyhow, bail, ensure};

use crate::config::{Config, Source};
use crate::data::Digests;
use crate::formats::checkpoint::{Checkpoint, CheckpointError, load_sealed, save_sealed};
use crate::infer::model_file::{
    CONFIG, HISTORY, OPTIMIZER, POLICIES, array_of, copy_weights, described_with_history,
    not_a_number, tensor_of,
};
use crate::plan::Plan;
use crate::train::{History, Numbers, Trainer, TrainingState};

/// Name of the record of what is no tensor and no history.
const STATE: &str = "state.json";
/// Name of the record of the data's digests.
const DATA: &str = "data.json";
/// Name of the weights that a policy remembers.
const REMEMBERED: &str = "remembered";

/// What a file held.
#[derive(Debug)]
pub struct Saved {
    /// Of the run that wrote it.
    pub config: Config,
    /// Of whole epochs.
    pub history: History,
    /// Where it stood.
    pub numbers: Numbers,
    /// Of its data; older versions kept none.
    pub digests: Option<Digests>,
    checkpoint: Checkpoint,
}

/// Writes a state, whole or not at all, with a checksum.
///
/// # Errors
/// When it cannot be written, or holds a number that JSON cannot.
pub fn write(
    path: &Path,
    plan: &Plan,
    state: &TrainingState,
    trainer: &Trainer,
) -> anyhow::Result<()> {
    let mut checkpoint =
        described_with_history(plan, trainer.predictor.parameters(), &state.history)?;
    for (name, tensor) in trainer.optimizer.state() {
        checkpoint.tensors.push((format!("{OPTIMIZER}{name}"), array_of(&tensor)));
    }
    if let Some(tensor) = &state.remembered {
        checkpoint.tensors.push((format!("{POLICIES}{REMEMBERED}"), array_of(tensor)));
    }
    let numbers = serde_json::to_string_pretty(&state.numbers(trainer));
    checkpoint.records.insert(STATE.to_owned(), numbers.context("the state is not JSON")?);
    if let Some(digests) = &state.digests {
        let digests = serde_json::to_string_pretty(digests).context("the digests are not JSON")?;
        checkpoint.records.insert(DATA.to_owned(), digests);
    }
    Ok(save_sealed(path, &checkpoint)?)
}

/// Reads what [`write()`] wrote.
///
/// # Errors
/// When the file cannot be read, is damaged by a byte, holds NaN, or is no training's state.
pub fn read(path: &Path) -> anyhow::Result<Saved> {
    let checkpoint =
        load_sealed(path).map_err(|error: CheckpointError| anyhow!(error.problem()))?;
    let shown = path.display();
    if let Some((name, value)) = not_a_number(&checkpoint) {
        bail!("`{shown}` holds {value} in its `{name}`");
    }
    let record = |name: &str| {
        let text = checkpoint.records.get(name);
        text.with_context(|| format!("`{shown}` holds no {name}"))
    };
    let odd = |name: &str| format!("the {name} in `{shown}` cannot be read");
    let config = Source::parse(record(CONFIG)?, CONFIG, &[]).with_context(|| odd(CONFIG))?.config;
    let history: History = serde_json::from_str(record(HISTORY)?).with_context(|| odd(HISTORY))?;
    let numbers: Numbers = serde_json::from_str(record(STATE)?).with_context(|| odd(STATE))?;
    let digests = checkpoint.records.get(DATA).map(|text| serde_json::from_str(text)).transpose();
    let digests = digests.with_context(|| odd(DATA))?;
    ensure!(numbers.epochs == history.epochs.len(), "`{shown}` contradicts itself");
    Ok(Saved { config, history, numbers, digests, checkpoint })
}

impl Saved {
    /// Gives the trainer what it had learned, and the state what it was.
    ///
    /// # Errors
    /// When the file is of another model.
    pub fn restore(self, trainer: &mut Trainer) -> anyhow::Result<TrainingState> {
        copy_weights(trainer.predictor.parameters(), &self.checkpoint)?;
        let mut slots = Vec::new();
        for (name, array) in &self.checkpoint.tensors {
            if let Some(name) = name.strip_prefix(OPTIMIZER) {
                slots
                    .push((name.to_owned(), tensor_of(array).context("a slot has whole numbers")?));
            }
        }
        let optimizer = &mut trainer.optimizer;
        optimizer
            .restore(self.numbers.iterations, &slots)
            .map_err(|problem| anyhow!("its optimizer is another: {problem}"))?;
        optimizer.learning_rate = self.numbers.learning_rate;
        let mut state = TrainingState::restored(self.history, self.numbers);
        let remembered = self.checkpoint.tensor(&format!("{POLICIES}{REMEMBERED}"));
        state.remembered = remembered.and_then(tensor_of);
        Ok(state)
    }
}
