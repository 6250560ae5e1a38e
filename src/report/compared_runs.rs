//! From a comparison of runs to the chart of their losses: which runs are drawn, and what it is called.

use std::path::Path;

use super::{Curves, LossPoint, MOST_RUNS, ReportError, write_curves_of_runs};
use crate::run::comparison::{Comparison, EpochFigures, Run};

/// Draws the losses of all runs in one chart; of more than can be told apart, those with the lowest
/// validation loss.
///
/// # Errors
/// When the image cannot be written.
pub fn write_comparison(path: &Path, comparison: &Comparison) -> Result<(), ReportError> {
    let drawn = comparison.best_runs(MOST_RUNS);
    let title = match comparison.len() {
        count if drawn.len() < count => {
            format!("Losses of the best {} of {count} runs", drawn.len())
        }
        1 => "Losses of one run".to_owned(),
        count => format!("Losses of {count} runs"),
    };
    let curves: Vec<Curves> = drawn.iter().map(|run| curves(run)).collect();
    write_curves_of_runs(path, &title, &comparison.loss_name(), &curves)
}

fn curves(run: &Run) -> Curves {
    let of_epochs = |loss: fn(&EpochFigures) -> Option<f64>| {
        let points = run.epochs.iter();
        points
            .map(|done| LossPoint {
                epoch: done.epoch as f64,
                loss: loss(done).unwrap_or(f64::NAN),
            })
            .collect()
    };
    let running = run.curve.iter();
    Curves {
        title: run.label.clone(),
        loss: String::new(),
        running: running
            .map(|&(epoch, loss)| LossPoint { epoch, loss: loss.unwrap_or(f64::NAN) })
            .collect(),
        training: of_epochs(|done| done.loss),
        validation: of_epochs(|done| done.val_loss),
    }
}
