//! Several runs beside each other: what differs in their configs, their figures, their curves.
//!
//! Run folders come in, a table, JSON and curves go out; nothing is printed or written here. Runs of
//! older versions and runs that never ended are as welcome as finished ones.

mod config;
mod figures;
mod labels;
mod run;
mod table;

pub use config::{Settings, changed, dotted};
pub use figures::Figures;
pub use labels::labels;
pub use run::{EpochFigures, Run, State};

use figures::Best;

/// Keys that say where a run's files lie, not what it does.
const NOT_COMPARED: [&str; 2] = ["name", "output.dir"];

/// Runs with what sets them apart.
#[derive(Debug)]
pub struct Comparison {
    runs: Vec<Run>,
    /// Dotted names of the keys whose values are not the same in all runs, in the order of a config.
    differing: Vec<String>,
    best: Best,
}

impl Comparison {
    /// Of runs in the order in which they are to be shown.
    #[must_use]
    pub fn of(runs: Vec<Run>) -> Self {
        let differing = differing(&runs);
        let best = Best::of(&runs);
        Self { runs, differing, best }
    }

    /// For people: a row for each run, with the best figure of each column marked.
    #[must_use]
    pub fn table(&self) -> String {
        table::text(self)
    }

    /// The same for programs, as one JSON document.
    ///
    /// # Errors
    /// When a figure cannot be written as JSON, which none should.
    pub fn json(&self) -> serde_json::Result<String> {
        Ok(serde_json::to_string_pretty(&table::document(self))? + "\n")
    }

    /// Number of runs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.runs.len()
    }

    /// Whether there is no run.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// At most `most` runs, in the order of the table: of more, those with the lowest validation loss.
    #[must_use]
    pub fn best_runs(&self, most: usize) -> Vec<&Run> {
        let mut ranked: Vec<(f64, usize)> = (self.runs.iter().enumerate())
            .map(|(index, run)| (run.figures.best_val_loss.unwrap_or(f64::INFINITY), index))
            .collect();
        ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
        ranked.truncate(most);
        let mut chosen: Vec<usize> = ranked.into_iter().map(|(_, index)| index).collect();
        chosen.sort_unstable();
        chosen.into_iter().map(|index| &self.runs[index]).collect()
    }

    /// The function, or functions, that were minimised.
    #[must_use]
    pub fn loss_name(&self) -> String {
        let mut names: Vec<&str> = Vec::new();
        for name in self.runs.iter().filter_map(Run::loss_function) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if names.is_empty() { "loss".to_owned() } else { names.join(" and ") }
    }
}

/// Keys whose values are not the same everywhere; one that a run does not have differs.
fn differing(runs: &[Run]) -> Vec<String> {
    let mut keys: Vec<&String> = Vec::new();
    for (key, _) in runs.iter().flat_map(|run| &run.settings) {
        if !keys.contains(&key) && !NOT_COMPARED.contains(&key.as_str()) {
            keys.push(key);
        }
    }
    let same = |key: &str| runs.windows(2).all(|pair| pair[0].setting(key) == pair[1].setting(key));
    keys.into_iter().filter(|key| !same(key)).cloned().collect()
}
