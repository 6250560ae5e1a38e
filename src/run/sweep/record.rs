//! `sweep.json`: what a sweep began with, and what has become of its runs.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::{Base, Combination, Grid};
use crate::run::comparison::{self, Run};
use crate::system::exit::UsageError;
use crate::system::output_folder;
use crate::system::text_file;

const FILE: &str = "sweep.json";

/// A sweep as its folder keeps it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Record {
    /// The version that began it.
    convae: String,
    /// The lists of the last call.
    grid: Vec<String>,
    /// What all runs share; as the sweep began.
    base: Base,
    /// Those of the last call in their order, then those of earlier ones.
    pub runs: Vec<RunRecord>,
}

/// One run of a sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Its folder's name.
    pub name: String,
    /// Its values, as `--set` takes them.
    pub settings: Vec<String>,
    /// What has become of it.
    pub state: State,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What has become of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It has not begun.
    Waiting,
    /// It began; a sweep that was killed could not write down how it ended.
    Running,
    /// It came to its end.
    Finished,
    /// It was stopped, and saved what it had learned.
    Interrupted,
    /// It gave up, or crashed.
    Failed,
}

impl Record {
    /// Of a sweep that has not begun.
    #[must_use]
    pub fn new(base: Base) -> Self {
        let convae = env!("CARGO_PKG_VERSION").to_owned();
        Self { convae, grid: Vec::new(), base, runs: Vec::new() }
    }

    /// The record in a sweep's folder; `None` where there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(folder: &Path) -> anyhow::Result<Option<Self>> {
        let path = folder.join(FILE);
        let shown = path.display();
        let text = match text_file::read(&path) {
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                return Ok(None);
            }
            text => text.with_context(|| format!("{shown} cannot be read"))?,
        };
        serde_json::from_str(&text).map(Some).map_err(|error| {
            UsageError(format!(
                "{shown} is not as convae writes it ({error}); name another folder with --out DIR"
            ))
            .into()
        })
    }

    /// Writes it into the sweep's folder.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let json = serde_json::to_string_pretty(self).context("the record is not JSON")?;
        output_folder::write(&folder.join(FILE), &json)
    }

    /// Takes up the runs of another call: those that are there keep their state.
    ///
    /// # Errors
    /// When what all runs share is not what the sweep began with.
    pub fn extend(
        &mut self,
        base: &Base,
        grid: &Grid,
        combinations: &[Combination],
        folder: &Path,
    ) -> Result<(), UsageError> {
        if let Some(change) = self.base.change(base, grid) {
            return Err(UsageError(format!(
                "the sweep in {} began with {change}; call it as before, or name another folder with \
                 --out DIR",
                folder.display()
            )));
        }
        self.grid.clone_from(&grid.arguments);
        let mut earlier = std::mem::take(&mut self.runs);
        for Combination { name, settings } in combinations {
            let known = earlier.iter().position(|run| run.name == *name);
            self.runs.push(known.map_or_else(
                || RunRecord {
                    name: name.clone(),
                    settings: settings.clone(),
                    state: State::Waiting,
                    error: None,
                },
                |index| earlier.remove(index),
            ));
        }
        self.runs.append(&mut earlier);
        Ok(())
    }

    /// The runs that have begun, as their folders tell it and, where they failed, this record. A run
    /// whose folder the user has removed is left out.
    ///
    /// # Errors
    /// When a run cannot be read.
    pub fn read_runs(&self, folder: &Path) -> Result<Vec<Run>, UsageError> {
        let begun = self.runs.iter().filter(|run| run.state != State::Waiting);
        let there = begun.filter(|run| folder.join(&run.name).is_dir());
        let read = |run: &RunRecord| {
            let mut found = Run::read(&folder.join(&run.name), run.name.clone())?;
            if let (State::Failed, Some(error)) = (run.state, &run.error) {
                found.state = comparison::State::Failed(error.clone());
            }
            Ok(found)
        };
        there.map(read).collect()
    }

    /// What has become of a run; `None` where there is no such run.
    #[must_use]
    pub fn state(&self, name: &str) -> Option<State> {
        self.runs.iter().find(|run| run.name == name).map(|run| run.state)
    }

    /// Notes what has become of a run.
    pub(super) fn set(&mut self, name: &str, state: State, error: Option<String>) {
        if let Some(run) = self.runs.iter_mut().find(|run| run.name == name) {
            (run.state, run.error) = (state, error);
        }
    }
}
