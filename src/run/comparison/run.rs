//! A run as its folder tells it: the config, the epochs, and whether it came to its end.
//!
//! Read leniently, since it may come from another version, or from a run that was killed: a missing
//! figure is missing, and only what cannot be a run at all is refused.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use toml::Table;

use super::config::{Settings, dotted, value_of};
use super::figures::Figures;
use crate::config::Source;
use crate::config::schema::Section;
use crate::system::exit::UsageError;
use crate::system::text_file;

/// The files of a run that a comparison reads.
const CONFIG: &str = "config.toml";
const HISTORY: &str = "history.json";
const TIMINGS: &str = "timings.json";

/// How far a run came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// To its end.
    Finished,
    /// It was stopped, and saved what it had learned.
    Interrupted,
    /// It has not written its history: it was killed, or is still at work.
    Unfinished,
    /// It gave up; in its own words.
    Failed(String),
}

impl State {
    /// One word, for tables and programs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Interrupted => "interrupted",
            Self::Unfinished => "unfinished",
            Self::Failed(_) => "failed",
        }
    }
}

/// One run of a comparison.
#[derive(Debug)]
pub struct Run {
    /// Its name in tables and charts.
    pub label: String,
    /// Where it lies.
    pub folder: PathBuf,
    /// How far it came.
    pub state: State,
    /// What came out of it.
    pub figures: Figures,
    pub(super) settings: Settings,
    /// In order.
    pub epochs: Vec<EpochFigures>,
    /// Training loss within the epochs: (epochs elapsed, loss).
    pub curve: Vec<(f64, Option<f64>)>,
}

/// One epoch as the files have it; a loss that is no number is `null` there.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct EpochFigures {
    /// Counts from 1.
    pub epoch: usize,
    /// Mean over the training images.
    pub loss: Option<f64>,
    /// Mean over the test images.
    pub val_loss: Option<f64>,
    /// Of training and validation.
    pub seconds: Option<f64>,
    /// Training images per second of training.
    pub images_per_second: Option<f64>,
}

/// What is read of `history.json`.
#[derive(Default, Deserialize)]
struct History {
    #[serde(default)]
    interrupted: bool,
    #[serde(default)]
    /// In order.
    pub epochs: Vec<EpochFigures>,
    #[serde(default)]
    pub curve: Vec<(f64, Option<f64>)>,
}

/// What is read of `timings.json`.
#[derive(Default, Deserialize)]
struct Timings {
    #[serde(default)]
    /// In order.
    pub epochs: Vec<EpochFigures>,
}

impl Run {
    /// Reads the run in `folder`.
    ///
    /// # Errors
    /// When there is no run in it, or one of its files cannot be read.
    pub fn read(folder: &Path, label: String) -> Result<Self, UsageError> {
        let settings = settings(folder)?;
        let history: Option<History> = json(&folder.join(HISTORY))?;
        let timings: Timings = json(&folder.join(TIMINGS))?.unwrap_or_default();
        let state = match &history {
            None => State::Unfinished,
            Some(history) if history.interrupted => State::Interrupted,
            Some(_) => State::Finished,
        };
        let History { mut epochs, curve, .. } = history.unwrap_or_default();
        for epoch in &mut epochs {
            if let Some(timed) = timings.epochs.iter().find(|timed| timed.epoch == epoch.epoch) {
                epoch.seconds = timed.seconds.or(epoch.seconds);
                epoch.images_per_second = timed.images_per_second.or(epoch.images_per_second);
            }
        }
        let figures = Figures::of(&epochs);
        Ok(Self { label, folder: folder.to_path_buf(), state, figures, settings, epochs, curve })
    }

    /// The value of a key of its config.
    #[must_use]
    pub fn setting(&self, key: &str) -> Option<&Json> {
        value_of(&self.settings, key)
    }

    /// The function that it minimises.
    #[must_use]
    pub fn loss_function(&self) -> Option<&str> {
        self.setting("train.loss").and_then(Json::as_str)
    }

    /// The epochs that its config asks for.
    #[must_use]
    pub fn planned_epochs(&self) -> Option<usize> {
        let epochs = self.setting("train.epochs").and_then(Json::as_u64)?;
        usize::try_from(epochs).ok()
    }
}

/// The run's config with all defaults of this version; as it stands there if this version does not
/// understand it.
fn settings(folder: &Path) -> Result<Settings, UsageError> {
    let path = folder.join(CONFIG);
    let shown = path.display();
    let Some(text) = text(&path)? else {
        let what =
            if folder.is_dir() { "is no run: it has no config.toml" } else { "is no folder" };
        return Err(UsageError(format!(
            "{} {what}; name a folder that training has made, like runs/noise",
            folder.display()
        )));
    };
    if let Ok(source) = Source::parse(&text, &shown.to_string(), &[]) {
        return Ok(dotted(&source.config.write_table()));
    }
    text.parse::<Table>().map(|table| dotted(&table)).map_err(|error| {
        let error = error.message().replace('\n', ", ");
        UsageError(format!("{shown} is not TOML ({error}); leave this run out, or train it again"))
    })
}

/// What a JSON file holds; nothing where there is no such file.
fn json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, UsageError> {
    let Some(text) = text(path)? else { return Ok(None) };
    serde_json::from_str(&text).map(Some).map_err(|error| {
        let shown = path.display();
        UsageError(format!(
            "{shown} is not as convae writes it ({error}); leave this run out, or train it again"
        ))
    })
}

fn text(path: &Path) -> Result<Option<String>, UsageError> {
    match text_file::read(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => {
            let shown = path.display();
            Err(UsageError(format!("{shown} cannot be read ({error}); leave this run out")))
        }
    }
}
