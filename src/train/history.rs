//! What a run measured, as it is kept in `history.json`.

use serde::{Deserialize, Serialize};

use super::policies::Action;
use super::{Observer, StepDone, Trainer};
use crate::infer::RunningLoss;
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
    /// Images of the training set, and of the test set.
    #[serde(default)]
    #[serde(rename = "pictures")]
    pub images: [usize; 2],
    /// Whether the run was stopped before its last epoch ended.
    pub interrupted: bool,
    /// The policy that ended training before its last epoch, and why.
    #[serde(default)]
    pub stopped: Option<String>,
    /// The epoch whose weights a policy put back at the end.
    #[serde(default)]
    pub restored_epoch: Option<usize>,
    /// Whole epochs only; one that was interrupted is not among them.
    pub epochs: Vec<EpochRecord>,
    /// Training loss within the epochs: (epochs elapsed, mean loss since the point before).
    pub curve: Vec<(f64, f64)>,
    /// Points that [`History::read`] adds to the curve: to read a loss is to wait for a GPU.
    #[serde(skip)]
    unread: Vec<(f64, RunningLoss)>,
    /// Losses since the last point.
    #[serde(skip)]
    pub(super) pending: RunningLoss,
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
    /// Mean over the training images, while the weights changed.
    pub loss: f64,
    /// Mean over the test images, after the epoch.
    pub val_loss: f64,
    /// At the epoch's end, before a policy changed it; 0 in files of older versions.
    #[serde(default)]
    pub learning_rate: f64,
}

impl History {
    /// As saved, on what computes from now on.
    #[must_use]
    pub fn going_on(self, now: &Self) -> Self {
        Self {
            device: now.device.clone(),
            engine: now.engine.clone(),
            versions: now.versions.clone(),
            skipped_files: now.skipped_files,
            ..self
        }
    }

    /// Of a run that has not begun.
    #[must_use]
    pub fn new(plan: &Plan, trainer: &Trainer) -> Self {
        Self {
            name: plan.config.name.clone(),
            seed: plan.seed(),
            device: trainer.predictor.device_name(),
            engine: trainer.predictor.engine_name(),
            dtype: plan.config.train.dtype.name().to_owned(),
            parameters: plan.trainable(),
            versions: Versions {
                convae: env!("CARGO_PKG_VERSION").to_owned(),
                tch: TCH.to_owned(),
                libtorch: LIBTORCH.to_owned(),
            },
            skipped_files: 0,
            images: [0, 0],
            interrupted: false,
            stopped: None,
            restored_epoch: None,
            epochs: Vec::new(),
            curve: Vec::new(),
            unread: Vec::new(),
            pending: RunningLoss::default(),
        }
    }
}

impl History {
    /// Brings the curve up to its last point.
    pub(super) fn read(&mut self) {
        let unread = std::mem::take(&mut self.unread).into_iter();
        self.curve.extend(unread.map(|(elapsed, loss)| (elapsed, loss.mean())));
    }
}

impl Observer for History {
    fn step_done(&mut self, done: &StepDone<'_>) {
        let &StepDone { epoch, step, steps, .. } = done;
        self.pending.add(done.loss, done.images);
        if is_curve_point(step, steps) {
            let elapsed = (epoch - 1) as f64 + step as f64 / steps as f64;
            self.unread.push((elapsed, std::mem::take(&mut self.pending)));
        }
        if step == steps {
            self.read();
        }
    }

    fn epoch_done(&mut self, record: &EpochRecord) {
        self.epochs.push(record.clone());
    }
    fn policy_acted(&mut self, action: &Action) {
        match action {
            Action::Stop { reason } => self.stopped = Some(reason.clone()),
            Action::RestoreWeights { epoch } => self.restored_epoch = Some(*epoch),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epochs_record_of_older_versions_with_its_times_is_still_read() {
        let old = r#"{ "epoch": 2, "loss": 0.25, "val_loss": 0.125, "seconds": 3.5,
            "images_per_second": 17142.9, "waiting": 0.01 }"#;
        let record: EpochRecord = serde_json::from_str(old).unwrap();
        assert_eq!((record.epoch, record.loss, record.val_loss), (2, 0.25, 0.125));
    }

    #[test]
    fn figures_survive_json_to_the_last_bit() {
        // 0.1 + 0.2 and its neighbours are what a reader that rounds twice gets wrong.
        for bits in (0..2000).map(|i| (0.1_f64 + 0.2).to_bits() + i * 0x1_2345_6789) {
            let record = EpochRecord {
                epoch: 1,
                loss: f64::from_bits(bits),
                val_loss: f64::from_bits(bits + 1),
                learning_rate: f64::from_bits(bits + 2),
            };
            let json = serde_json::to_string(&record).unwrap();
            assert_eq!(serde_json::from_str::<EpochRecord>(&json).unwrap(), record);
        }
    }
}
