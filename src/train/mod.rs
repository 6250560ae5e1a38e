//! The epoch loop, and what it leaves behind.

mod device;
mod history;
mod learner;
mod progress;

pub use device::{choose_device, kind_of};
pub use history::{EpochRecord, History};
pub use learner::Learner;
pub use progress::Progress;

use std::time::Instant;

use tch::Tensor;

use crate::corruption::Split;
use crate::data::{Batch, Dataset, Feed, Images};
use crate::interrupt;
use crate::plan::Plan;

/// Points that the loss curve gets within each epoch.
const CURVE_POINTS: usize = 200;

/// Why training gave up.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    #[error(
        "the loss became {loss} in epoch {epoch}, so the weights are of no use; lower \
         train.optimizer.learning_rate (now {learning_rate}), or set \
         train.optimizer.clipnorm=1.0"
    )]
    Diverged { loss: f64, epoch: usize, learning_rate: f64 },
}

/// Trains for the plan's epochs, or until the user interrupts.
///
/// # Errors
/// When the loss is no longer a number.
pub fn fit(
    plan: &Plan,
    data: &Dataset,
    learner: &mut Learner,
    progress: &mut Progress,
    history: &mut History,
) -> Result<(), TrainError> {
    let training = feed(plan, &data.train, Split::Train);
    for epoch in 1..=plan.config.train.epochs {
        let started = Instant::now();
        let loss = train_epoch(plan, training, epoch, learner, progress, history);
        let training_seconds = started.elapsed().as_secs_f64();
        check(loss, epoch, learner)?;
        if interrupt::requested() {
            history.interrupted = true;
            break;
        }
        let val_loss = evaluate(plan, &data.test, learner);
        let record = EpochRecord {
            epoch,
            loss,
            val_loss,
            seconds: started.elapsed().as_secs_f64(),
            images_per_second: data.train.len() as f64 / training_seconds,
        };
        progress.finish_epoch(&record);
        history.epochs.push(record);
    }
    Ok(())
}

/// One pass over the training set; returns the mean loss while the weights changed.
fn train_epoch(
    plan: &Plan,
    training: Feed<'_>,
    epoch: usize,
    learner: &mut Learner,
    progress: &mut Progress,
    history: &mut History,
) -> f64 {
    let order = training.order(epoch as u64, plan.config.train.shuffle);
    let steps = training.steps();
    let mut epoch_loss = RunningLoss::default();
    let mut curve_loss = RunningLoss::default();
    progress.start_epoch(epoch, steps);
    for (step, batch) in (1..).zip(training.batches(epoch as u64, &order)) {
        let loss = learner.train_step(&batch, epoch as u64, step as u64);
        epoch_loss.add(&loss, &batch);
        curve_loss.add(&loss, &batch);
        if step % steps.div_ceil(CURVE_POINTS) == 0 || step == steps {
            let elapsed = (epoch - 1) as f64 + step as f64 / steps as f64;
            history.curve.push((elapsed, curve_loss.take()));
        }
        progress.step(step, batch.len, || epoch_loss.mean());
        if interrupt::requested() {
            break;
        }
    }
    epoch_loss.mean()
}

fn check(loss: f64, epoch: usize, learner: &Learner) -> Result<(), TrainError> {
    if loss.is_finite() {
        return Ok(());
    }
    Err(TrainError::Diverged { loss, epoch, learning_rate: learner.learning_rate() })
}

/// The loss over a set of pictures, each batch weighted by its size as in Keras.
#[must_use]
pub fn evaluate(plan: &Plan, images: &Images, learner: &Learner) -> f64 {
    let test = feed(plan, images, Split::Test);
    let order = test.order(0, false);
    let mut loss = RunningLoss::default();
    for batch in test.batches(0, &order) {
        loss.add(&learner.loss(&batch), &batch);
    }
    loss.mean()
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

/// A mean of batch losses, weighted by batch size. It stays on the device until it is asked for,
/// so that no step waits for the one before.
#[derive(Debug, Default)]
struct RunningLoss {
    sum: Option<Tensor>,
    pictures: usize,
}

impl RunningLoss {
    fn add(&mut self, loss: &Tensor, batch: &Batch) {
        let weighted = loss.to_kind(tch::Kind::Double) * batch.len as f64;
        self.sum = Some(match self.sum.take() {
            Some(sum) => sum + weighted,
            None => weighted,
        });
        self.pictures += batch.len;
    }

    /// NaN before the first batch.
    fn mean(&self) -> f64 {
        let sum = self.sum.as_ref().map_or(f64::NAN, |sum| sum.double_value(&[]));
        sum / self.pictures as f64
    }

    fn take(&mut self) -> f64 {
        std::mem::take(self).mean()
    }
}
