//! What a run measured, as it is kept in `history.json`.

use serde::{Deserialize, Serialize};

use super::{Learner, Observer, RunningLoss, StepDone};
use crate::plan::Plan;

/// libtorch's version; tch 0.26 links no other.
const LIBTORCH: &str = "2.13.0";
const TCH: &str = "0.26.0";

/// Points that the loss curve gets within each epoch.
const CURVE_POINTS: usize = 200;

/// Whether the curve gets a point after this step, the first being 1, of so many.
pub(crate) fn is_curve_point(step: usize, steps: usize) -> bool {
    step.is_multiple_of(steps.div_ceil(CURVE_POINTS)) || step == steps
}

/// A run's figures.
#[derive(Debug, Serialize, Deserialize)]
pub struct History {
    /// As in the config.
    pub name: String,
    /// As in the config.
    pub seed: u64,
    /// The one that was used: `cpu` or `cuda:N`, never `auto`.
    pub device: String,
    /// What computed: `native (AVX-512, 2 threads)`.
    pub engine: String,
    /// `float32` or `float64`.
    pub dtype: String,
    /// Weights that the optimizer moves.
    pub parameters: usize,
    /// With which the same seed gives the same run.
    pub versions: Versions,
    /// Image files that could not be used and were left out, of both sets.
    #[serde(default)]
    pub skipped_files: usize,
    /// Pictures of the training set, and of the test set.
    #[serde(default)]
    pub pictures: [usize; 2],
    /// Whether the run was stopped before its last epoch ended.
    pub interrupted: bool,
    /// Whole epochs only; one that was interrupted is not among them.
    pub epochs: Vec<EpochRecord>,
    /// Training loss within the epochs: (epochs elapsed, mean loss since the point before).
    pub curve: Vec<(f64, f64)>,
    /// Losses since the curve's last point.
    #[serde(skip)]
    pending: RunningLoss,
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
    /// Share of the training in which no batch was ready: data were slower than computing.
    #[serde(default)]
    pub waiting: f64,
}

impl History {
    /// Of a run that has not begun.
    #[must_use]
    pub fn new(plan: &Plan, learner: &Learner) -> Self {
        Self {
            name: plan.config.name.clone(),
            seed: plan.seed(),
            device: learner.device_name(),
            engine: learner.engine_name(),
            dtype: plan.config.train.dtype.name().to_owned(),
            parameters: plan.layers.iter().map(|layer| layer.trainable).sum(),
            versions: Versions {
                convae: env!("CARGO_PKG_VERSION").to_owned(),
                tch: TCH.to_owned(),
                libtorch: LIBTORCH.to_owned(),
            },
            skipped_files: 0,
            pictures: [0, 0],
            interrupted: false,
            epochs: Vec::new(),
            curve: Vec::new(),
            pending: RunningLoss::default(),
        }
    }
}

impl Observer for History {
    fn step_done(&mut self, done: &StepDone<'_>) {
        let &StepDone { epoch, step, steps, .. } = done;
        self.pending.add(done.loss, done.pictures);
        if is_curve_point(step, steps) {
            let elapsed = (epoch - 1) as f64 + step as f64 / steps as f64;
            self.curve.push((elapsed, std::mem::take(&mut self.pending).mean()));
        }
    }

    fn epoch_done(&mut self, record: &EpochRecord) {
        self.epochs.push(record.clone());
    }
}
