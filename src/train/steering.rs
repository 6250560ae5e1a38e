//! Does what the policies say: with the trainer's weights and its learning rate, and in the order in
//! which Keras's `fit` does it.

use tch::Tensor;

use super::policies::{Action, Metrics, Policies, PolicyState};
use super::{EpochRecord, Trainer};
use crate::config::sections::Train;

/// The policies of a run, and the weights that they remember.
#[derive(Debug)]
pub struct Steering {
    policies: Policies,
    /// All weights of the best epoch, moving statistics too, in one row.
    best: Option<Tensor>,
}

impl Steering {
    /// Of a run that has not begun.
    #[must_use]
    pub fn new(train: &Train) -> Self {
        Self { policies: Policies::new(train), best: None }
    }

    /// After an epoch and its validation; returns what it has done.
    pub fn epoch_done(&mut self, record: &EpochRecord, trainer: &mut Trainer) -> Vec<Action> {
        let &EpochRecord { epoch, loss, val_loss, .. } = record;
        let rate = trainer.optimizer.learning_rate;
        let mut actions = self.policies.epoch_end(epoch, Metrics { loss, val_loss }, rate);
        actions.retain(|action| self.act(action, trainer));
        actions
    }

    /// When training ends by itself, early or not; after an interruption the weights stay as they are, so
    /// that it can go on from them. In Keras the moving average goes in first, and what was remembered
    /// takes its place; only that is done here, and returned.
    pub fn train_done(&mut self, trainer: &mut Trainer) -> Option<Action> {
        let restore = self.policies.train_end().filter(|_| self.best.is_some());
        let action = restore.unwrap_or(Action::AverageWeights);
        self.act(&action, trainer).then_some(action)
    }

    /// Does it; `false` where there was nothing to do.
    fn act(&mut self, action: &Action, trainer: &mut Trainer) -> bool {
        match action {
            Action::RememberWeights { .. } => {
                self.best = Some(trainer.predictor.parameters().values());
                true
            }
            Action::SetLearningRate { to, .. } => {
                trainer.optimizer.learning_rate = *to;
                true
            }
            Action::Stop { .. } => true,
            Action::RestoreWeights { .. } => {
                let best = self.best.as_ref();
                best.inspect(|best| trainer.predictor.parameters().set_values(best)).is_some()
            }
            Action::AverageWeights => trainer.finalize(),
        }
    }

    /// All that there is to save: what the policies remember, and the weights of the best epoch,
    /// `(P + moving,)`.
    #[must_use]
    pub fn state(&self) -> (PolicyState, Option<Tensor>) {
        (self.policies.state(), self.best.as_ref().map(Tensor::copy))
    }

    /// Goes on from what was saved.
    pub fn restore(&mut self, state: &PolicyState, best: Option<&Tensor>, trainer: &mut Trainer) {
        self.policies.restore(state);
        self.best = best.map(Tensor::copy);
        if let Some(rate) = state.learning_rate() {
            trainer.optimizer.learning_rate = rate;
        }
    }
}
