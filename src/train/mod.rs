//! The epoch loop, and what it leaves behind.

mod device;
mod history;
mod learner;
mod observer;
mod progress;

pub use crate::engine::Step;
pub use device::choose_device;
pub(crate) use history::is_curve_point;
pub use history::{EpochRecord, History};
pub use learner::Learner;
pub use observer::{Observer, RunningLoss, StepDone};
pub use progress::Progress;

use std::time::{Duration, Instant};

use crate::corruption::Split;
use crate::data::{DataError, Dataset, Feed, Images};
use crate::interrupt;
use crate::plan::Plan;

/// Why training gave up.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A picture could not be read any more; what was learned before is as good as ever.
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
}

/// How training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All epochs were trained.
    Finished,
    /// The user stopped it within an epoch.
    Interrupted,
}

/// Trains for the plan's epochs, or until the user interrupts; observers see every step.
///
/// # Errors
/// When the loss is no longer a number, or a picture cannot be read any more.
pub fn fit(
    plan: &Plan,
    data: &Dataset,
    learner: &mut Learner,
    observers: &mut [&mut dyn Observer],
) -> Result<Outcome, TrainError> {
    let training = feed(plan, &data.train, Split::Train);
    for epoch in 1..=plan.config.train.epochs {
        let started = Instant::now();
        let (loss, waited) = train_epoch(plan, training, epoch, learner, observers)?;
        let training_seconds = started.elapsed().as_secs_f64();
        check_finite(loss, epoch, learner)?;
        if interrupt::requested() {
            return Ok(Outcome::Interrupted);
        }
        let val_loss = evaluate(plan, &data.test, learner)?;
        check_finite(val_loss, epoch, learner)?;
        let record = EpochRecord {
            epoch,
            loss,
            val_loss,
            seconds: started.elapsed().as_secs_f64(),
            images_per_second: data.train.len() as f64 / training_seconds,
            waiting: waited.as_secs_f64() / training_seconds,
        };
        for observer in observers.iter_mut() {
            observer.epoch_done(&record);
        }
        // After the last epoch there is nothing left to stop.
        if interrupt::requested() && epoch < plan.config.train.epochs {
            return Ok(Outcome::Interrupted);
        }
    }
    Ok(Outcome::Finished)
}

/// One pass over the training set; returns the mean loss while the weights changed, and how long
/// the steps waited for batches.
fn train_epoch(
    plan: &Plan,
    training: Feed<'_>,
    epoch: usize,
    learner: &mut Learner,
    observers: &mut [&mut dyn Observer],
) -> Result<(f64, Duration), DataError> {
    let order = training.order(epoch as u64, plan.config.train.shuffle);
    let steps = training.steps();
    let mut running = RunningLoss::default();
    training.ahead(epoch as u64, &order, |batches| {
        let mut step = 0;
        while let Some(batch) = batches.next() {
            let batch = batch?;
            step += 1;
            let Step { loss, gradient } = learner.train_step(&batch, epoch as u64, step as u64);
            running.add(&loss, batch.len);
            let done = StepDone {
                epoch,
                step,
                steps,
                pictures: batch.len,
                loss: &loss,
                gradient: &gradient,
                running: &running,
                waited: batches.waited(),
                learner,
            };
            for observer in observers.iter_mut() {
                observer.step_done(&done);
            }
            if interrupt::requested() {
                break;
            }
        }
        Ok((running.mean(), batches.waited()))
    })
}

fn check_finite(loss: f64, epoch: usize, learner: &Learner) -> Result<(), TrainError> {
    if loss.is_finite() {
        return Ok(());
    }
    Err(TrainError::Diverged { loss, epoch, learning_rate: learner.learning_rate() })
}

/// The loss over a set of pictures, each batch weighted by its size as in Keras.
///
/// # Errors
/// When a picture cannot be read any more.
pub fn evaluate(plan: &Plan, images: &Images, learner: &mut Learner) -> Result<f64, DataError> {
    let test = feed(plan, images, Split::Test);
    let order = test.order(0, false);
    let mut loss = RunningLoss::default();
    test.ahead(0, &order, |batches| {
        for batch in batches {
            let batch = batch?;
            loss.add(&learner.loss(&batch), batch.len);
        }
        Ok(loss.mean())
    })
}

/// The pictures with the plan's corruption and batch size.
#[must_use]
pub fn feed<'a>(plan: &'a Plan, images: &'a Images, split: Split) -> Feed<'a> {
    Feed {
        images,
        corruption: &plan.config.corruption,
        split,
        seed: plan.seed(),
        batch_size: plan.config.train.batch_size,
    }
}
