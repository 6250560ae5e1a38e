//! Early stopping, as in Keras's `callbacks/early_stopping.py`.

use serde::{Deserialize, Serialize};

use super::{Action, Metrics, epochs, improves};
use crate::config::policies::EarlyStopping;
use crate::config::sections::Precision;

/// The policy.
#[derive(Debug)]
pub(super) struct Patience {
    options: EarlyStopping,
    precision: Precision,
    pub state: State,
}

/// What it remembers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    /// Epochs since the last improvement.
    wait: usize,
    /// The lowest loss so far.
    best: Option<f64>,
    /// That had it; counts from 1.
    best_epoch: Option<usize>,
}

impl Patience {
    pub fn new(options: EarlyStopping, precision: Precision) -> Self {
        Self { options, precision, state: State::default() }
    }

    pub fn judge(&mut self, epoch: usize, metrics: Metrics) -> Option<Action> {
        let EarlyStopping { monitor, patience, restore_best_weights, .. } = self.options;
        if epoch <= self.options.start_from_epoch {
            return None;
        }
        let current = metrics.of(monitor);
        self.state.wait += 1;
        if self.state.best.is_none_or(|best| self.improves(current, best)) {
            self.state.best = Some(current);
            self.state.best_epoch = Some(epoch);
            // An epoch that does not come below the baseline is kept, but time runs on.
            if self.options.baseline.is_none_or(|baseline| self.improves(current, baseline)) {
                self.state.wait = 0;
            }
            return restore_best_weights.then_some(Action::RememberWeights { epoch });
        }
        // Keras never stops after the first epoch, which can only happen here with a baseline.
        (self.state.wait >= patience && epoch > 1).then(|| Action::Stop { reason: self.reason() })
    }

    pub fn train_end(&self) -> Option<Action> {
        let epoch = self.state.best_epoch.filter(|_| self.options.restore_best_weights)?;
        Some(Action::RestoreWeights { epoch })
    }

    fn improves(&self, current: f64, reference: f64) -> bool {
        improves(self.precision, current, self.options.min_delta, reference)
    }

    fn reason(&self) -> String {
        let State { wait, best, best_epoch } = self.state;
        let monitor = self.options.monitor.name();
        let best = match (best, best_epoch) {
            (Some(best), Some(epoch)) => format!(", the best was {best:.4} in epoch {epoch}"),
            _ => String::new(),
        };
        format!("early_stopping: {monitor} has not improved for {}{best}", epochs(wait))
    }
}
