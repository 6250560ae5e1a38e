//! Why a Keras file cannot be opened here: all of it at once, by the user's own names.

use std::fmt;
use std::path::{Path, PathBuf};

use super::json::plain;
use crate::config::ConfigError;
use crate::formats::keras_file::KerasFileError;

/// Refusals that are printed; of more, the number is.
const SHOWN: usize = 20;

/// One thing that convae has no word for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The layer's name in the file.
    pub layer: String,
    /// Its class in Keras.
    pub class: String,
    /// What is the matter with it.
    pub what: String,
    /// What the user can do.
    pub way_out: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { layer, class, what, way_out } = self;
        write!(f, "{layer} ({class}) {what}; {way_out}")
    }
}

/// All of a file, in the order of its layers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusals(pub Vec<Refusal>);

impl Refusals {
    /// Adds one; the same is said once.
    pub fn add(&mut self, layer: &str, class: &str, what: impl Into<String>, way_out: &str) {
        let refusal = Refusal {
            layer: plain(layer),
            class: plain(class),
            what: what.into(),
            way_out: way_out.to_owned(),
        };
        if self.0.last() != Some(&refusal) {
            self.0.push(refusal);
        }
    }
}

impl Refusals {
    /// A line each, as far as people read; of more, the number is said.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.0.iter().take(SHOWN).map(ToString::to_string).collect();
        if let more @ 1.. = self.0.len().saturating_sub(SHOWN) {
            lines.push(format!("and {more} more"));
        }
        lines
    }
}

/// Why a file does not become a model.
#[derive(Debug, thiserror::Error)]
pub enum KerasError {
    /// Its bytes are refused.
    #[error(transparent)]
    File(#[from] KerasFileError),
    /// Parts of its model have no word here.
    #[error("{} cannot be opened here: {}", path.display(), refusals.lines().join("\n"))]
    Refused {
        /// The file.
        path: PathBuf,
        /// All of them.
        refusals: Refusals,
    },
    /// The file contradicts itself, or lacks what it needs.
    #[error("{}: {problem}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong, and the way out.
        problem: String,
    },
    /// All words are known, but the whole is not a model that convae runs.
    #[error("{} is a model that convae does not run: {problem}", path.display())]
    Plan {
        /// The file.
        path: PathBuf,
        /// What does not fit, by the layer's name, and what would.
        problem: String,
    },
    /// The config that was named is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The request does not fit the file.
    #[error("{0}")]
    Usage(String),
}

impl KerasError {
    /// Whether the user named the wrong thing, rather than the file being damaged.
    #[must_use]
    pub fn is_usage_error(&self) -> bool {
        match self {
            Self::File(error) => error.is_usage_error(),
            Self::Usage(_) | Self::Config(_) => true,
            Self::Refused { .. } | Self::Broken { .. } | Self::Plan { .. } => false,
        }
    }

    pub(super) fn broken(path: &Path, problem: impl Into<String>) -> Self {
        Self::Broken { path: path.to_owned(), problem: problem.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_refusals_are_counted_after_the_first_twenty() {
        let mut refusals = Refusals::default();
        for number in 0..33 {
            refusals.add(&format!("lambda_{number}"), "Lambda", "holds code", "rebuild it");
        }
        let lines = refusals.lines();
        assert_eq!(lines.len(), 20 + 1);
        assert_eq!(lines[19], "lambda_19 (Lambda) holds code; rebuild it");
        assert_eq!(lines[20], "and 13 more");
    }
}
