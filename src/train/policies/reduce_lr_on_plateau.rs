//! Lowering the learning rate, as in Keras's `callbacks/reduce_lr_on_plateau.py`.

use serde::{Deserialize, Serialize};

use super::{Action, Metrics, epochs, improves};
use crate::config::policies::ReduceLROnPlateau;
use crate::config::sections::Precision;

/// The policy.
#[derive(Debug)]
pub(super) struct Plateau {
    options: ReduceLROnPlateau,
    precision: Precision,
    pub state: State,
}

/// What it remembers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    /// Epochs since the last improvement or lowering.
    wait: usize,
    /// Epochs that still do not count.
    cooldown: usize,
    /// The lowest loss so far.
    best: Option<f64>,
    /// The rate that was set last.
    pub learning_rate: Option<f64>,
}

impl Plateau {
    pub fn new(options: ReduceLROnPlateau, precision: Precision) -> Self {
        Self { options, precision, state: State::default() }
    }

    pub fn judge(&mut self, metrics: Metrics, learning_rate: f64) -> Option<Action> {
        let ReduceLROnPlateau { monitor, min_delta, patience, cooldown, .. } = self.options;
        let (current, state) = (metrics.of(monitor), &mut self.state);
        if state.cooldown > 0 {
            state.cooldown -= 1;
            state.wait = 0;
        }
        let better = |best| improves(self.precision, current, min_delta, best);
        if state.best.is_none_or(better) {
            state.best = Some(current);
            state.wait = 0;
            return None;
        }
        if state.cooldown > 0 {
            return None;
        }
        state.wait += 1;
        if state.wait < patience {
            return None;
        }
        // At its lowest, the rate is asked for anew after every epoch.
        let to = self.lowered(learning_rate)?;
        let (monitor, waited) = (monitor.name(), epochs(self.state.wait));
        let reason = format!("reduce_lr_on_plateau: {monitor} has not improved for {waited}");
        self.state = State { wait: 0, cooldown, learning_rate: Some(to), best: self.state.best };
        Some(Action::SetLearningRate { from: learning_rate, to, reason })
    }

    /// Keras keeps the rate in the precision of its arithmetic, but multiplies in float64. In float32,
    /// the new rate is given as the shortest number that rounds to it, which reads as one would write it.
    fn lowered(&self, rate: f64) -> Option<f64> {
        let ReduceLROnPlateau { factor, min_lr, .. } = self.options;
        let lower = |rate: f64| (rate * factor).max(min_lr);
        // The bound is a float32 in both precisions.
        match self.precision {
            _ if rate as f32 <= min_lr as f32 => None,
            Precision::Float32 | Precision::MixedBfloat16 => {
                (lower(f64::from(rate as f32)) as f32).to_string().parse().ok()
            }
            Precision::Float64 => Some(lower(rate)),
        }
    }
}
