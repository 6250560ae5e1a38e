//! How fast this machine trains a plan, by a few steps of it.

use std::time::{Duration, Instant};

use tch::Device;

use crate::data::corruption::Split;
use crate::data::{DataError, Dataset};
use crate::plan::{Plan, method_loader};
use crate::train::Trainer;

/// Steps before the clock starts: the first ones lay out memory and start threads.
const WARM_UP: usize = 2;
/// Fewest steps that are measured.
const FEWEST: usize = 3;

/// Seconds that an image of a batch takes, measured for about so long. What the steps have learned is forgotten.
///
/// # Errors
/// When the plan asks for an engine that cannot run its model, or an image cannot be read.
pub fn seconds_an_image(
    plan: &Plan,
    data: &Dataset,
    device: Device,
    time: Duration,
) -> anyhow::Result<f64> {
    let mut trainer = Trainer::new(plan, device)?;
    let training = method_loader(plan, &data.train, Split::Train);
    let mut started = Instant::now();
    let (mut steps, mut images) = (0, 0);
    for epoch in 1.. {
        let order = training.order(epoch, true);
        let done = training.prefetch(epoch, &order, |batches| -> Result<bool, DataError> {
            for batch in batches {
                let batch = batch?;
                let step = trainer.train_step(&batch, epoch, steps as u64 + 1);
                // A GPU has finished the step once its loss is here.
                let _ = step.loss.double_value(&[]);
                (steps, images) = (steps + 1, images + batch.len);
                if steps == WARM_UP {
                    (started, images) = (Instant::now(), 0);
                }
                if steps >= WARM_UP + FEWEST && started.elapsed() >= time {
                    return Ok(true);
                }
            }
            Ok(false)
        })?;
        if done {
            break;
        }
    }
    Ok(started.elapsed().as_secs_f64() / images as f64)
}
