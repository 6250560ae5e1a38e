//! What a run measured, as it is kept in `history.json`.

use serde::{Deserialize, Serialize};

use super::Learner;
use crate::plan::Plan;

/// libtorch's version; tch 0.26 links no other.
const LIBTORCH: &str = "2.13.0";
const TCH: &str = "0.26.0";

/// A run's figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct History {
    pub name: String,
    pub seed: u64,
    pub device: String,
    pub dtype: String,
    /// Weights that the optimizer moves.
    pub parameters: usize,
    pub versions: Versions,
    /// Whether the run was stopped before its last epoch ended.
    pub interrupted: bool,
    pub epochs: Vec<EpochRecord>,
    /// Training loss within the epochs: (epochs elapsed, mean loss since the point before).
    pub curve: Vec<(f64, f64)>,
}

/// What the run was made with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Versions {
    pub convae: String,
    pub tch: String,
    pub libtorch: String,
}

/// One epoch's figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Counts from 1.
    pub epoch: usize,
    /// Mean over the training pictures, while the weights changed.
    pub loss: f64,
    /// Mean over the test pictures, after the epoch.
    pub val_loss: f64,
    /// Training and validation.
    pub seconds: f64,
    /// Training pictures per second of training.
    pub images_per_second: f64,
}

impl History {
    /// Of a run that has not begun.
    #[must_use]
    pub fn new(plan: &Plan, learner: &Learner) -> Self {
        Self {
            name: plan.config.name.clone(),
            seed: plan.seed(),
            device: learner.device_name(),
            dtype: plan.config.train.dtype.name().to_owned(),
            parameters: plan.layers.iter().map(|layer| layer.trainable).sum(),
            versions: Versions {
                convae: env!("CARGO_PKG_VERSION").to_owned(),
                tch: TCH.to_owned(),
                libtorch: LIBTORCH.to_owned(),
            },
            interrupted: false,
            epochs: Vec::new(),
            curve: Vec::new(),
        }
    }
}
