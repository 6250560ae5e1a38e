//! Does what the policies say: with the learner's weights and its learning rate, and in the order in
//! which Keras's `fit` does it.

use tch::Tensor;

use super::policies::{Action, Metrics, Policies, PolicyState};
use super::{EpochRecord, Learner, Observer};
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

    /// After an epoch and its validation; `true` where training is to stop.
    pub fn epoch_done(
        &mut self,
        record: &EpochRecord,
        learner: &mut Learner,
        observers: &mut [&mut dyn Observer],
    ) -> bool {
        let &EpochRecord { epoch, loss, val_loss, .. } = record;
        let rate = learner.optimizer.learning_rate;
        let actions = self.policies.epoch_end(epoch, Metrics { loss, val_loss }, rate);
        for action in &actions {
            self.act(action, learner, observers);
        }
        actions.iter().any(|action| matches!(action, Action::Stop { .. }))
    }

    /// When training ends by itself, early or not; after an interruption the weights stay as they are, so
    /// that it can go on from them. In Keras the moving average goes in first, and what was remembered
    /// takes its place; only that is done here, and said.
    pub fn train_done(&mut self, learner: &mut Learner, observers: &mut [&mut dyn Observer]) {
        let restore = self.policies.train_end().filter(|_| self.best.is_some());
        self.act(&restore.unwrap_or(Action::AverageWeights), learner, observers);
    }

    /// Does it and, where there was something to do, tells it.
    fn act(&mut self, action: &Action, learner: &mut Learner, observers: &mut [&mut dyn Observer]) {
        let done = match action {
            Action::RememberWeights { .. } => {
                self.best = Some(learner.parameters().values());
                true
            }
            Action::SetLearningRate { to, .. } => {
                learner.optimizer.learning_rate = *to;
                true
            }
            Action::Stop { .. } => true,
            Action::RestoreWeights { .. } => {
                let best = self.best.as_ref();
                best.inspect(|best| learner.parameters().set_values(best)).is_some()
            }
            Action::AverageWeights => learner.finalize(),
        };
        if done {
            for observer in observers {
                observer.policy_acted(action);
            }
        }
    }

    /// All that there is to save: what the policies remember, and the weights of the best epoch,
    /// `(P + moving,)`.
    #[must_use]
    pub fn state(&self) -> (PolicyState, Option<Tensor>) {
        (self.policies.state(), self.best.as_ref().map(Tensor::copy))
    }

    /// Goes on from what was saved.
    pub fn restore(&mut self, state: &PolicyState, best: Option<Tensor>, learner: &mut Learner) {
        self.policies.restore(state);
        self.best = best;
        if let Some(rate) = state.learning_rate() {
            learner.optimizer.learning_rate = rate;
        }
    }
}
