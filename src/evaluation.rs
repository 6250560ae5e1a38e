//! How good a model is on a set of pictures: its loss, and how close its input and its output are to
//! the targets, picture by picture. One pass over the set; printing is the command's.

use rayon::iter::{IntoParallelIterator, ParallelIterator};
use serde::Serialize;

use crate::codes::number;
use crate::corruption::Split;
use crate::data::{Batch, DataError, Images};
use crate::metrics::{MetricError, psnr, ssim};
use crate::plan::Plan;
use crate::train::{Learner, RunningLoss, feed};

/// Why a set was not evaluated to its end.
#[derive(Debug, thiserror::Error)]
pub enum EvaluationError {
    /// A picture could not be read any more.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Two pictures could not be compared.
    #[error(transparent)]
    Metric(#[from] MetricError),
}

/// How close pictures are to their targets.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quality {
    /// In decibels; infinite for equal pictures, which JSON writes as null.
    pub psnr: f64,
    /// `None` where the pictures are too small for it.
    pub ssim: Option<f64>,
}

/// Of one picture.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PictureQuality {
    /// Its file's, or its place in the set.
    pub name: String,
    /// `None` where the input is the target.
    pub input: Option<Quality>,
    /// What the model makes of it.
    pub output: Quality,
}

/// Of a set of pictures, and of each.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// As training calls it val_loss.
    pub loss: f64,
    /// Means; `None` where the inputs are the targets.
    pub input: Option<Quality>,
    /// Means.
    pub output: Quality,
    /// In the set's order.
    pub pictures: Vec<PictureQuality>,
}

/// Runs the model over all pictures, corrupted as the plan says.
///
/// # Errors
/// When a picture cannot be read any more.
pub fn measure(
    plan: &Plan,
    test: &Images,
    learner: &mut Learner,
) -> Result<Evaluation, EvaluationError> {
    measure_first(plan, test, test.len(), learner)
}

/// The same of the first `count` pictures, at least one.
///
/// # Errors
/// As [`measure`].
pub fn measure_first(
    plan: &Plan,
    test: &Images,
    count: usize,
    learner: &mut Learner,
) -> Result<Evaluation, EvaluationError> {
    let feed = feed(plan, test, Split::Test);
    let mut order = feed.order(0, false);
    order.truncate(count);
    let mut loss = RunningLoss::default();
    let mut pictures = Vec::with_capacity(order.len());
    feed.ahead(0, &order, |batches| {
        for batch in batches {
            let batch = batch?;
            let (batch_loss, output) = learner.judge(&batch);
            loss.add(&batch_loss, batch.len);
            for (input, output) in qualities(plan.input_shape, &batch, &output)? {
                let index = pictures.len();
                let name = test.name(index).unwrap_or_else(|| number(index, test.len()));
                pictures.push(PictureQuality { name, input, output });
            }
        }
        Ok::<_, EvaluationError>(())
    })?;
    let inputs: Option<Vec<Quality>> = pictures.iter().map(|picture| picture.input).collect();
    Ok(Evaluation {
        loss: loss.mean(),
        input: inputs.map(|inputs| mean(inputs.into_iter())),
        output: mean(pictures.iter().map(|picture| picture.output)),
        pictures,
    })
}

/// Of the inputs, where they are not the targets, and of the outputs of a batch.
fn qualities(
    shape: [usize; 3],
    batch: &Batch,
    outputs: &[f32],
) -> Result<Vec<(Option<Quality>, Quality)>, MetricError> {
    let values: usize = shape.iter().product();
    let of = |all: &[f32], index: usize| {
        let range = index * values..(index + 1) * values;
        quality(shape, &all[range.clone()], &batch.target()[range])
    };
    let both = |index| {
        let input = batch.clean.is_some().then(|| of(&batch.input, index)).transpose()?;
        Ok((input, of(outputs, index)?))
    };
    (0..batch.len).into_par_iter().map(both).collect()
}

fn quality(shape: [usize; 3], picture: &[f32], target: &[f32]) -> Result<Quality, MetricError> {
    let ssim = match ssim(shape, picture, target) {
        Err(MetricError::TooSmall { .. }) => None,
        other => Some(other?),
    };
    Ok(Quality { psnr: psnr(picture, target)?, ssim })
}

/// Picture by picture, in order, so that threads decide nothing.
fn mean(qualities: impl Iterator<Item = Quality>) -> Quality {
    let (mut psnr, mut ssim, mut count) = (0.0, Some(0.0), 0.0);
    for quality in qualities {
        psnr += quality.psnr;
        ssim = ssim.zip(quality.ssim).map(|(sum, ssim)| sum + ssim);
        count += 1.0;
    }
    Quality { psnr: psnr / count, ssim: ssim.map(|sum| sum / count) }
}
