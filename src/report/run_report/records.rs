//! The figures of a run as its folder keeps them. Read with patience: a key that is not there, or not
//! known here, is no mistake, since runs of other versions have pages too.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::report::html::{EpochTime, Figures};
use crate::run::folder::RunFolder;
use crate::system::text_file;

/// Figures of an epoch that are times, which have a section of their own.
const TIMES: [&str; 3] = ["seconds", "images_per_second", "waiting"];

/// `history.json`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Records {
    #[serde(default)]
    pub(super) seed: u64,
    #[serde(default)]
    pub(super) interrupted: bool,
    #[serde(default)]
    pub(super) skipped_files: usize,
    /// Of the training set, and of the test set; 0 where it was not kept.
    #[serde(default)]
    #[serde(rename = "pictures")]
    pub(super) images: [usize; 2],
    #[serde(default)]
    pub(super) epochs: Vec<Map<String, Value>>,
    /// What JSON has no number for is null.
    #[serde(default)]
    curve: Vec<(Option<f64>, Option<f64>)>,
    /// Device, engine, versions and whatever else was kept.
    #[serde(flatten)]
    pub(super) others: Map<String, Value>,
}

impl Records {
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let text =
            text_file::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let damaged =
            || format!("{} is damaged; train again, or leave the page out", path.display());
        serde_json::from_str(&text).with_context(damaged)
    }

    /// (epoch, figure) wherever an epoch has it.
    pub(super) fn series(&self, figure: &str) -> Vec<(f64, f64)> {
        let of = |epoch: &Map<String, Value>| {
            Some((epoch.get("epoch")?.as_f64()?, epoch.get(figure)?.as_f64()?))
        };
        self.epochs.iter().filter_map(of).collect()
    }

    /// The training loss within the epochs; a point without a number stays one, which is told.
    pub(super) fn curve(&self) -> Vec<(f64, f64)> {
        let number = |value: Option<f64>| value.unwrap_or(f64::NAN);
        self.curve.iter().map(|&(epoch, loss)| (number(epoch), number(loss))).collect()
    }

    /// Every figure of every epoch but the times.
    pub(super) fn table(&self) -> Figures {
        let mut columns: Vec<String> = Vec::new();
        for name in self.epochs.iter().flat_map(Map::keys) {
            if !columns.contains(name) && !TIMES.contains(&name.as_str()) {
                columns.push(name.clone());
            }
        }
        let cells = |epoch: &Map<String, Value>| {
            columns.iter().map(|name| epoch.get(name).map_or_else(String::new, shown)).collect()
        };
        let rows = self.epochs.iter().map(cells).collect();
        Figures { columns, rows }
    }
}

/// Whole numbers as they are, others with four digits.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "\u{2013}".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => digits(number.as_f64().unwrap_or(f64::NAN)),
        Value::Object(map) => {
            let entries = map.iter().map(|(key, value)| format!("{key} {}", shown(value)));
            entries.collect::<Vec<_>>().join(", ")
        }
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(", "),
        _ => value.to_string(),
    }
}

/// Four of them: losses compare, rates of a millionth stay readable.
fn digits(number: f64) -> String {
    match number.abs() {
        0.01..1e6 => format!("{number:.4}"),
        0.0 => "0".to_owned(),
        0.0001..0.01 => format!("{number:.6}"),
        _ => format!("{number:.3e}"),
    }
}

/// Seconds of the epochs: of `timings.json` where there is one, else of `history.json`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Times {
    #[serde(default)]
    epochs: Vec<Timed>,
    /// Images of the training set.
    #[serde(skip)]
    images: usize,
}

#[derive(Debug, Deserialize)]
struct Timed {
    epoch: usize,
    seconds: f64,
    images_per_second: f64,
    #[serde(default)]
    waiting: f64,
}

impl Times {
    pub(super) fn read(folder: &RunFolder, records: &Records) -> anyhow::Result<Self> {
        let path = folder.dir().join("timings.json");
        let mut times = match text_file::read(&path) {
            Ok(text) => serde_json::from_str(&text)
                .with_context(|| format!("{} is damaged; delete it", path.display()))?,
            Err(error) if error.kind() == ErrorKind::NotFound => Self::of(records),
            Err(error) => {
                return Err(error).with_context(|| format!("{} cannot be read", path.display()));
            }
        };
        times.images = records.images[0];
        Ok(times)
    }

    fn of(records: &Records) -> Self {
        let timed =
            |epoch: &Map<String, Value>| serde_json::from_value(Value::Object(epoch.clone())).ok();
        Self { epochs: records.epochs.iter().filter_map(timed).collect(), images: 0 }
    }

    /// Where each epoch's seconds went; without the number of images all of them are the training's.
    pub(super) fn epochs(&self) -> Vec<EpochTime> {
        let split = |timed: &Timed| {
            let training = match self.images {
                0 => timed.seconds,
                images => (images as f64 / timed.images_per_second).min(timed.seconds),
            };
            EpochTime {
                epoch: timed.epoch,
                training,
                waiting: training * timed.waiting.clamp(0.0, 1.0),
                validation: timed.seconds - training,
            }
        };
        let known = self.epochs.iter().filter(|timed| timed.images_per_second > 0.0);
        known.map(split).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(json: &str) -> Records {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn figures_of_other_versions_are_shown_and_missing_ones_are_no_mistake() {
        let records = records(
            r#"{"epochs": [{"epoch": 1, "loss": 0.5, "seconds": 2.0},
                           {"epoch": 2, "loss": 0.25, "learning_rate": 0.001}],
                "curve": [[0.5, null]], "hardware": {"cores": 2}}"#,
        );
        let Figures { columns, rows } = records.table();
        assert_eq!(columns, ["epoch", "loss", "learning_rate"]);
        assert_eq!(rows, [["1", "0.5000", ""], ["2", "0.2500", "0.001000"]]);
        assert!(records.curve()[0].1.is_nan());
        assert_eq!(shown(&records.others["hardware"]), "cores 2");
    }

    #[test]
    fn seconds_are_divided_by_what_the_rate_says() {
        let mut records = records(
            r#"{"pictures": [100, 10], "epochs":
                [{"epoch": 1, "seconds": 3.0, "images_per_second": 50.0, "waiting": 0.25}]}"#,
        );
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::of(folder.path(), "any");
        let expected = EpochTime { epoch: 1, training: 2.0, waiting: 0.5, validation: 1.0 };
        assert_eq!(Times::read(&run, &records).unwrap().epochs(), [expected]);
        records.epochs.clear();
        assert!(Times::read(&run, &records).unwrap().epochs().is_empty());
        let kept = r#"{"epochs": [{"epoch": 1, "seconds": 3.0, "images_per_second": 50.0, "waiting": 0.25}]}"#;
        std::fs::write(folder.path().join("timings.json"), kept).unwrap();
        assert_eq!(Times::read(&run, &records).unwrap().epochs(), [expected]);
    }
}
