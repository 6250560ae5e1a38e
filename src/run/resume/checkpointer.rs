//! What is written while a run trains: its checkpoints, its best model, and how long it took.

use anyhow::Context;

use super::{Checkpoints, Place, file};
use crate::infer::model_file::{rescued, save_model};
use crate::plan::Plan;
use crate::run::folder::RunFolder;
use crate::system::atomic;
use crate::train::{Checkpointer, Trainer, TrainingState};

/// Keeps a training in its run's folder.
#[derive(Debug)]
pub struct FolderKeeper<'a> {
    plan: &'a Plan,
    folder: &'a RunFolder,
    checkpoints: Checkpoints,
    /// Steps of an epoch.
    steps: usize,
    /// Whether this process or one before it has kept a state.
    has_one: bool,
}

impl<'a> FolderKeeper<'a> {
    /// For a run whose epochs have so many steps; `has_one` where it goes on from a checkpoint.
    #[must_use]
    pub fn new(plan: &'a Plan, folder: &'a RunFolder, steps: usize, has_one: bool) -> Self {
        Self { plan, folder, checkpoints: folder.checkpoints(), steps, has_one }
    }

    /// Removes the checkpoints that this one leaves too old; also for a run that was killed before it did.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn prune(&self, state: &TrainingState) -> anyhow::Result<()> {
        let regular = |place: Place| place.step == self.steps || self.wants_step(place.step);
        let count = self.plan.config.train.keep_checkpoints;
        self.checkpoints.keep_last(count, self.place(state), regular)
    }

    fn place(&self, state: &TrainingState) -> Place {
        match state.step {
            0 => Place { epoch: state.epochs(), step: self.steps },
            step => Place { epoch: state.epochs() + 1, step },
        }
    }

    fn write(&self, state: &TrainingState, trainer: &Trainer) -> anyhow::Result<()> {
        // First, so that whoever finds the checkpoint of an epoch finds the best one up to it.
        if self.plan.config.train.keep_best && state.step == 0 && is_best(state) {
            save_model(&self.folder.best(), self.plan, &trainer.predictor, &state.history)?;
        }
        file::write(&self.checkpoints.file(self.place(state)), self.plan, state, trainer)
    }

    fn explain(
        &self,
        error: anyhow::Error,
        state: &TrainingState,
        trainer: &Trainer,
    ) -> anyhow::Error {
        let write = |path: &_| file::write(path, self.plan, state, trainer);
        let rescued = match rescued(self.plan, write) {
            Some(path) => format!("; the weights are in {} instead", path.display()),
            None => String::new(),
        };
        let remedy = if self.has_one {
            "the checkpoint before is kept: free some space and go on with --resume"
        } else {
            "there is no checkpoint yet: free some space"
        };
        error.context(format!("training stops, {remedy}{rescued}"))
    }
}

impl Checkpointer for FolderKeeper<'_> {
    fn wants_step(&self, step: usize) -> bool {
        self.plan.config.train.checkpoint_every.is_some_and(|every| step.is_multiple_of(every))
    }

    fn keep(&mut self, state: &TrainingState, trainer: &Trainer) -> anyhow::Result<()> {
        self.write(state, trainer).map_err(|error| self.explain(error, state, trainer))?;
        self.has_one = true;
        self.prune(state)?;
        let timings =
            serde_json::to_vec_pretty(&state.timings).context("the times are not JSON")?;
        // Nothing depends on them, so nothing waits for them either.
        let _ = atomic::write_one_of_many(&self.folder.timings(), &timings);
        Ok(())
    }
}

/// Whether no epoch before the last one had so low a val_loss.
fn is_best(state: &TrainingState) -> bool {
    let Some((last, before)) = state.history.epochs.split_last() else { return false };
    before.iter().all(|record| last.val_loss < record.val_loss)
}
