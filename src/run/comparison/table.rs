//! A comparison as text and as JSON.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::Comparison;
use super::figures::Best;
use super::run::{Run, State};
use crate::system::plain_text::one_line;

/// Differing keys that have room as columns; more of them get a table of their own.
const MOST_COLUMNS: usize = 6;
/// A value is cut after so many letters.
const LONGEST_VALUE: usize = 40;
/// Where there is nothing to show.
const NONE: &str = "-";
/// Behind the best figure of a column; the others get a space, so that digits stand under digits.
const MARK: &str = "*";

/// The tables, and below them what the mark means and what failed.
pub(super) fn text(comparison: &Comparison) -> String {
    let Comparison { runs, differing, best } = comparison;
    let beside = differing.len() <= MOST_COLUMNS;
    let mut parts = Vec::new();
    if !beside {
        parts.push(settings_table(runs, differing) + "\n");
    }
    parts.push(run_table(runs, if beside { differing } else { &[] }, best));
    if *best != Best::default() {
        parts.push(format!("\n{MARK} the best of its column\n"));
    }
    if runs.len() > 1 && best.loss.is_none() && best.images_per_second.is_some() {
        let reason = "the runs minimise different functions, so that their losses do not compare";
        parts.push(format!("No loss is marked: {reason}\n"));
    }
    for run in runs {
        if let State::Failed(reason) = &run.state {
            parts.push(one_line(&format!("{} failed: {reason}", run.label)) + "\n");
        }
    }
    parts.concat()
}

/// A row for each key, a column for each run.
fn settings_table(runs: &[Run], differing: &[String]) -> String {
    let mut table = bare();
    let labels = runs.iter().map(|run| one_line(&run.label));
    table.set_header(std::iter::once("config".to_owned()).chain(labels));
    for key in differing {
        let values = runs.iter().map(|run| setting(run, key));
        table.add_row(std::iter::once(key.clone()).chain(values));
    }
    lines(&table)
}

/// A row for each run, a column for each key and figure.
fn run_table(runs: &[Run], keys: &[String], best: &Best) -> String {
    let mut table = bare();
    let figures =
        ["epochs", "loss", "val_loss", "best\nval_loss", "in\nepoch", "seconds", "images/s"];
    let all_finished = runs.iter().all(|run| run.state == State::Finished);
    let state = (!all_finished).then(|| "state".to_owned());
    // A key stands on several lines, or it would make its column as wide as its dotted name.
    let keys_above = keys.iter().map(|key| key.replace('.', ".\n"));
    let figures_above = figures.iter().map(|&figure| figure.to_owned());
    let header: Vec<String> = (std::iter::once("run".to_owned()).chain(keys_above))
        .chain(figures_above)
        .chain(state)
        .collect();
    let height = header.iter().map(|cell| cell.lines().count()).max().unwrap_or(1);
    // Words stand at the foot of the header, above their figures.
    table.set_header(header.iter().map(|cell| "\n".repeat(height - cell.lines().count()) + cell));
    for run in runs {
        let values = keys.iter().map(|key| setting(run, key));
        let state = (!all_finished).then(|| run.state.name().to_owned());
        let row = std::iter::once(one_line(&run.label)).chain(values);
        table.add_row(row.chain(cells(run, best)).chain(state));
    }
    let last = 1 + keys.len() + figures.len();
    for (index, column) in table.column_iter_mut().enumerate() {
        if (1..last).contains(&index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    lines(&table)
}

/// The figures of a run.
fn cells(run: &Run, best: &Best) -> [String; 7] {
    let figures = &run.figures;
    let epochs = match run.planned_epochs() {
        Some(planned) if planned != figures.epochs => format!("{} of {planned}", figures.epochs),
        _ => figures.epochs.to_string(),
    };
    let cell = |figure: Option<f64>, best: Option<f64>, show: fn(f64) -> String| match figure {
        Some(value) if figure == best => show(value) + MARK,
        Some(value) => show(value) + " ",
        None => format!("{NONE} "),
    };
    [
        epochs,
        cell(figures.loss, best.loss, loss),
        cell(figures.val_loss, best.val_loss, loss),
        cell(figures.best_val_loss, best.lowest_val_loss, loss),
        figures.best_epoch.map_or(NONE.to_owned(), |epoch| epoch.to_string()),
        cell(figures.seconds, best.seconds, |seconds| format!("{seconds:.1}")),
        cell(figures.images_per_second, best.images_per_second, |rate| format!("{rate:.0}")),
    ]
}

/// Four decimals, as while training; of a small loss four digits.
fn loss(loss: f64) -> String {
    const SMALL: f64 = 0.01;
    if loss == 0.0 || loss.abs() >= SMALL { format!("{loss:.4}") } else { format!("{loss:.3e}") }
}

/// The value of a key in a cell.
fn setting(run: &Run, key: &str) -> String {
    let text = match run.setting(key) {
        None => return NONE.to_owned(),
        Some(Json::String(text)) => one_line(text),
        // As short as in the names of a sweep's runs: 1e-5.
        Some(Json::Number(number)) if number.is_f64() => {
            number.as_f64().map_or(NONE.to_owned(), |number| format!("{number:?}"))
        }
        Some(value) => value.to_string(),
    };
    match text.char_indices().nth(LONGEST_VALUE) {
        Some((end, _)) => format!("{}\u{2026}", &text[..end]),
        None => text,
    }
}

fn bare() -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table
}

/// Without the white space that would fill the last column.
fn lines(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// A comparison for programs.
#[derive(Serialize)]
pub(super) struct Document<'a> {
    /// Dotted names of the keys that differ.
    differing: &'a [String],
    runs: Vec<Entry<'a>>,
    /// Labels of the runs that have the best of each figure.
    best: Map<String, Json>,
}

#[derive(Serialize)]
struct Entry<'a> {
    run: &'a str,
    folder: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    /// The keys that differ; without those that this run does not have.
    config: Map<String, Json>,
    epochs: usize,
    planned_epochs: Option<usize>,
    loss_function: Option<&'a str>,
    loss: Option<f64>,
    val_loss: Option<f64>,
    best_val_loss: Option<f64>,
    best_epoch: Option<usize>,
    seconds: Option<f64>,
    images_per_second: Option<f64>,
}

pub(super) fn document(comparison: &Comparison) -> Document<'_> {
    let Comparison { runs, differing, best } = comparison;
    let runs_told = runs.iter().map(|run| entry(run, differing)).collect();
    Document { differing, runs: runs_told, best: winners(runs, best) }
}

fn entry<'a>(run: &'a Run, differing: &[String]) -> Entry<'a> {
    let config = differing.iter().filter_map(|key| Some((key.clone(), run.setting(key)?.clone())));
    let figures = &run.figures;
    Entry {
        run: &run.label,
        folder: run.folder.display().to_string(),
        state: run.state.name(),
        error: match &run.state {
            State::Failed(reason) => Some(reason),
            _ => None,
        },
        config: config.collect(),
        epochs: figures.epochs,
        planned_epochs: run.planned_epochs(),
        loss_function: run.loss_function(),
        loss: figures.loss,
        val_loss: figures.val_loss,
        best_val_loss: figures.best_val_loss,
        best_epoch: figures.best_epoch,
        seconds: figures.seconds,
        images_per_second: figures.images_per_second,
    }
}

fn winners(runs: &[Run], best: &Best) -> Map<String, Json> {
    let with = |figure: fn(&Run) -> Option<f64>, best: Option<f64>| -> Json {
        let winners = runs.iter().filter(|run| best.is_some() && figure(run) == best);
        winners.map(|run| Json::from(run.label.as_str())).collect()
    };
    [
        ("loss", with(|run| run.figures.loss, best.loss)),
        ("val_loss", with(|run| run.figures.val_loss, best.val_loss)),
        ("best_val_loss", with(|run| run.figures.best_val_loss, best.lowest_val_loss)),
        ("seconds", with(|run| run.figures.seconds, best.seconds)),
        ("images_per_second", with(|run| run.figures.images_per_second, best.images_per_second)),
    ]
    .into_iter()
    .map(|(figure, labels)| (figure.to_owned(), labels))
    .collect()
}
