//! Policies: after each epoch they take its losses, and give what is to be done. They do no I/O, know
//! no model, and what they remember can be saved. Keras calls them callbacks; these are checked
//! against its own on the same losses (`tests/program/policies.rs`).

mod early_stopping;
mod reduce_lr_on_plateau;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::config::policies::Monitor;
use crate::config::sections::{Precision, Train};
use early_stopping::Patience;
use reduce_lr_on_plateau::Plateau;

/// An epoch's losses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metrics {
    /// On the training set, while the weights changed.
    pub loss: f64,
    /// On the test set, after the epoch.
    pub val_loss: f64,
}

impl Metrics {
    fn of(self, monitor: Monitor) -> f64 {
        match monitor {
            Monitor::ValLoss => self.val_loss,
            Monitor::Loss => self.loss,
        }
    }
}

/// What is to be done; its `Display` says it in one line.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Keep a copy of the weights, moving statistics too: no epoch was better.
    RememberWeights {
        /// That just ended; counts from 1.
        epoch: usize,
    },
    /// Give the optimizer another learning rate.
    SetLearningRate {
        /// The rate so far.
        from: f64,
        /// The new one.
        to: f64,
        /// Why.
        reason: String,
    },
    /// Train no further.
    Stop {
        /// One line that begins with the policy's name.
        reason: String,
    },
    /// Put the remembered weights back.
    RestoreWeights {
        /// That they are of; counts from 1.
        epoch: usize,
    },
    /// Put the moving average of the weights in their place.
    AverageWeights,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RememberWeights { epoch } => {
                write!(f, "early_stopping: the weights of epoch {epoch} are remembered")
            }
            Self::SetLearningRate { from, to, reason } => {
                write!(f, "{reason}; learning rate {from} -> {to}")
            }
            Self::Stop { reason } => write!(f, "{reason}; training stops"),
            Self::RestoreWeights { epoch } => {
                write!(f, "early_stopping: the weights of epoch {epoch} are back")
            }
            Self::AverageWeights => {
                write!(f, "use_ema: the weights are now the moving average of all steps")
            }
        }
    }
}

/// All policies of a run.
#[derive(Debug)]
pub struct Policies {
    plateau: Option<Plateau>,
    patience: Option<Patience>,
}

/// What the policies remember; survives JSON to the last bit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PolicyState {
    /// Of `reduce_lr_on_plateau`.
    #[serde(default)]
    reduce_lr_on_plateau: reduce_lr_on_plateau::State,
    /// Of `early_stopping`.
    #[serde(default)]
    early_stopping: early_stopping::State,
}

impl PolicyState {
    /// The learning rate that a policy set last.
    #[must_use]
    pub fn learning_rate(&self) -> Option<f64> {
        self.reduce_lr_on_plateau.learning_rate
    }
}

impl Policies {
    /// Those that the config asks for.
    #[must_use]
    pub fn new(train: &Train) -> Self {
        let plateau = train.reduce_lr_on_plateau.clone();
        let patience = train.early_stopping.clone();
        Self {
            plateau: plateau.map(|options| Plateau::new(options, train.dtype)),
            patience: patience.map(|options| Patience::new(options, train.dtype)),
        }
    }

    /// What is to be done after an epoch, which counts from 1; `learning_rate` is the optimizer's own.
    pub fn epoch_end(&mut self, epoch: usize, metrics: Metrics, learning_rate: f64) -> Vec<Action> {
        let lower = self.plateau.as_mut().and_then(|policy| policy.judge(metrics, learning_rate));
        let patience = self.patience.as_mut();
        lower.into_iter().chain(patience.and_then(|policy| policy.judge(epoch, metrics))).collect()
    }

    /// What is to be done when training ends, whether a policy stopped it or not.
    #[must_use]
    pub fn train_end(&self) -> Option<Action> {
        self.patience.as_ref().and_then(Patience::train_end)
    }

    /// What they remember.
    #[must_use]
    pub fn state(&self) -> PolicyState {
        PolicyState {
            reduce_lr_on_plateau: self.plateau.as_ref().map(|p| p.state).unwrap_or_default(),
            early_stopping: self.patience.as_ref().map(|p| p.state).unwrap_or_default(),
        }
    }

    /// Goes on from what was saved.
    pub fn restore(&mut self, state: &PolicyState) {
        if let Some(plateau) = &mut self.plateau {
            plateau.state = state.reduce_lr_on_plateau;
        }
        if let Some(patience) = &mut self.patience {
            patience.state = state.early_stopping;
        }
    }
}

/// Whether `value` is below `reference` by more than `min_delta`. Keras compares in the precision of
/// its arithmetic: in float32, 0.5 is not below 0.50000001.
fn improves(precision: Precision, value: f64, min_delta: f64, reference: f64) -> bool {
    match precision {
        Precision::Float32 | Precision::MixedBfloat16 => {
            ((value + min_delta) as f32) < reference as f32
        }
        Precision::Float64 => value + min_delta < reference,
    }
}

/// `epoch` or `epochs`, after its number.
fn epochs(count: usize) -> String {
    format!("{count} epoch{}", if count == 1 { "" } else { "s" })
}
