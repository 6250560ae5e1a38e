//! The epoch loop ([`fit`]), the callbacks that steer it ([`policies`]: early stopping, plateaus), and what
//! observes it: the history, the progress bar, TensorBoard's event files, the parity trace. Where its
//! checkpoints lie on the disk is in [`crate::run`].

mod history;
pub mod history_csv;
pub mod library;
mod observer;
pub mod parity_trace;
pub mod policies;
mod progress;
mod state;
mod steering;
pub mod tensorboard;
mod timing;
pub mod together;
mod trainer;

pub use crate::engine::Step;
pub(crate) use history::is_curve_point;
pub use history::{EpochRecord, History};

pub use observer::{Observer, StepDone};
pub use progress::Progress;
pub use state::{Checkpointer, NoCheckpoints, Numbers, TrainingState};
pub use steering::Steering;
pub use timing::{EpochTiming, Timings};
pub use trainer::Trainer;

use tch::Kind;

use crate::data::corruption::Split;
use crate::data::{DataError, DataLoader, Dataset, Kept};
use crate::plan::{Plan, method_loader};
use crate::system::ranks::Lost;
use policies::Action;

/// Why training gave up.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// An image could not be read any more; what was learned before is as good as ever.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The loss is infinite or not a number.
    #[error(
        "the loss became {loss} in epoch {epoch}, so the weights are of no use; lower \
         train.optimizer.learning_rate (now {learning_rate}), or set \
         train.optimizer.clipnorm=1.0"
    )]
    Diverged {
        /// Mean over the epoch.
        loss: f64,
        /// Counts from 1.
        epoch: usize,
        /// That led there.
        learning_rate: f64,
    },
    /// The checkpointer could not keep the training's state.
    #[error(transparent)]
    Unkept(anyhow::Error),
    /// Another of the processes that train together is lost.
    #[error(transparent)]
    Lost(#[from] Lost),
}

/// How training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All epochs were trained, or as many as the policies wanted.
    Finished,
    /// The user stopped it within an epoch.
    Interrupted,
}

/// Trains from where `state` stands to the plan's epochs, or until a policy or the user stops it.
/// Observers see every step; the checkpointer keeps the state after each epoch, after the steps that it
/// wants, and where training is cut short.
///
/// # Errors
/// When the loss is no longer a number, an image cannot be read any more, or the checkpointer fails.
pub fn fit(
    plan: &Plan,
    data: &Dataset,
    trainer: &mut Trainer,
    state: &mut TrainingState,
    observers: &mut [&mut dyn Observer],
    checkpointer: &mut dyn Checkpointer,
) -> Result<Outcome, TrainError> {
    state.images = Some([data.train.len(), data.test.len()]);
    let outcome = train_epochs(plan, data, trainer, state, observers, checkpointer);
    let cut_short = matches!(outcome, Ok(Outcome::Interrupted) | Err(TrainError::Data(_)));
    // At an epoch's end it has just been kept.
    if cut_short && state.step > 0 {
        keep(state, trainer, checkpointer)?;
    }
    outcome
}

fn train_epochs(
    plan: &Plan,
    data: &Dataset,
    trainer: &mut Trainer,
    state: &mut TrainingState,
    observers: &mut [&mut dyn Observer],
    checkpointer: &mut dyn Checkpointer,
) -> Result<Outcome, TrainError> {
    let share = trainer.share();
    // What is read once is not worth keeping.
    let keeps = plan.config.train.epochs > state.epochs() + 1;
    let mut loader = |images, split| {
        let loader = DataLoader { share, ..method_loader(plan, images, split) };
        let kept = if keeps { trainer.predictor.keep(&loader) } else { Kept::Nothing };
        DataLoader { kept, ..loader }
    };
    let training = loader(&data.train, Split::Train);
    let test = loader(&data.test, Split::Test);
    let mut steering = Steering::new(&plan.config.train);
    steering.restore(&state.policies, state.remembered.as_ref(), trainer);
    while state.wants_more(plan) {
        let epoch = state.epochs() + 1;
        train_epoch(plan, training, trainer, state, observers, checkpointer)?;
        let loss = state.running.mean();
        check_finite(loss, epoch, trainer)?;
        if trainer.stops() {
            return Ok(Outcome::Interrupted);
        }
        let val_loss = together::val_loss(test, trainer, epoch)?;
        check_finite(val_loss, epoch, trainer)?;
        let timing = state.timings.epoch_done(epoch);
        let record = EpochRecord { epoch, loss, val_loss, learning_rate: trainer.learning_rate() };
        for observer in audience(&mut state.history, observers) {
            observer.epoch_timed(&timing);
            observer.epoch_done(&record);
        }
        for action in steering.epoch_done(&record, trainer) {
            tell(&action, state, observers);
        }
        // What the policies changed and remember belongs to the state that is kept.
        (state.policies, state.remembered) = steering.state();
        state.epoch_done();
        keep(state, trainer, checkpointer)?;
        // After the last epoch there is nothing left to stop.
        if trainer.stops() && state.wants_more(plan) {
            return Ok(Outcome::Interrupted);
        }
    }
    if let Some(action) = steering.train_done(trainer) {
        tell(&action, state, observers);
    }
    Ok(Outcome::Finished)
}

/// One pass over the training set, or what is left of it, until the user interrupts.
fn train_epoch(
    plan: &Plan,
    training: DataLoader<'_>,
    trainer: &mut Trainer,
    state: &mut TrainingState,
    observers: &mut [&mut dyn Observer],
    checkpointer: &mut dyn Checkpointer,
) -> Result<(), TrainError> {
    let epoch = state.epochs() + 1;
    let order = training.order(epoch as u64, plan.config.train.shuffle);
    let steps = training.steps();
    let left = order.get(state.step * training.batch_size..).unwrap_or_default();
    state.timings.epoch_begins(epoch, state.step);
    training.prefetch(epoch as u64, left, |batches| {
        while let Some(batch) = batches.next() {
            let batch = batch?;
            let step = state.step + 1;
            let images = batch.part().whole;
            let Step { loss, gradient } = trainer.shared_step(&batch, epoch as u64, step as u64)?;
            // Once, for all that add it up.
            let loss = loss.to_kind(Kind::Double);
            state.running.add(&loss, images);
            let done = StepDone {
                epoch,
                step,
                steps,
                images,
                loss: &loss,
                gradient: &gradient,
                running: &state.running,
                waited: batches.waited(),
                trainer,
            };
            for observer in audience(&mut state.history, observers) {
                observer.step_done(&done);
            }
            // After the history, which has waited for a GPU where an epoch ends.
            state.timings.step_done(&done);
            state.step = step;
            if trainer.stops() {
                break;
            }
            // After the last one, the epoch's own comes soon.
            if step < steps && checkpointer.wants_step(step) {
                for observer in &mut *observers {
                    observer.state_is_kept();
                }
                keep(state, trainer, checkpointer)?;
            }
        }
        Ok(())
    })
}

fn tell(action: &Action, state: &mut TrainingState, observers: &mut [&mut dyn Observer]) {
    for observer in audience(&mut state.history, observers) {
        observer.policy_acted(action);
    }
}

/// The history, which is the state's own, and all others that watch.
fn audience<'a>(
    history: &'a mut History,
    observers: &'a mut [&mut dyn Observer],
) -> impl Iterator<Item = &'a mut dyn Observer> {
    let others = observers.iter_mut().map(|observer| &mut **observer as &mut dyn Observer);
    std::iter::once(history as &mut dyn Observer).chain(others)
}

/// Keeps a state from which training can go on; one that is of no use must not take the place of
/// those before it.
fn keep(
    state: &mut TrainingState,
    trainer: &Trainer,
    checkpointer: &mut dyn Checkpointer,
) -> Result<(), TrainError> {
    state.history.read();
    if state.step > 0 {
        check_finite(state.running.mean(), state.epochs() + 1, trainer)?;
    }
    if !trainer.predictor.is_finite() {
        check_finite(f64::NAN, state.epochs() + usize::from(state.step > 0), trainer)?;
    }
    checkpointer.keep(state, trainer).map_err(TrainError::Unkept)
}

fn check_finite(loss: f64, epoch: usize, trainer: &Trainer) -> Result<(), TrainError> {
    if loss.is_finite() {
        return Ok(());
    }
    Err(TrainError::Diverged { loss, epoch, learning_rate: trainer.learning_rate() })
}
