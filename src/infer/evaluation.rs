//! How good a model is on a set of images: its loss, and how close its input and its output are to
//! the targets, image by image. One pass over the set; printing is the command's.

use std::ops::Range;

use rayon::iter::{IntoParallelIterator, ParallelIterator};
use serde::Serialize;
use tch::Tensor;

use super::{LossTotal, Predictor, RunningLoss};
use crate::data::corruption::Split;
use crate::data::{Batch, DataError, DataLoader, Images, Target};
use crate::formats::codes::number;
use crate::formats::image_file::{Orientation, Walk, lies_down};
use crate::infer::apply::mirrored;
use crate::infer::metrics::{MetricError, psnr, ssim};
use crate::nn::channels_first;
use crate::plan::{Plan, loader, method_loader};
use crate::system::ranks::{Lost, Ranks, Share};

/// Why a set was not evaluated to its end.
#[derive(Debug, thiserror::Error)]
pub enum EvaluationError {
    /// An image could not be read any more.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Two images could not be compared.
    #[error(transparent)]
    Metric(#[from] MetricError),
    /// Another of the processes that evaluate together is lost.
    #[error(transparent)]
    Lost(#[from] Lost),
}

/// How close images are to their targets.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quality {
    /// In decibels; infinite for equal images, which JSON writes as null.
    pub psnr: f64,
    /// `None` where the images are too small for it.
    pub ssim: Option<f64>,
}

/// Of several images.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Means {
    /// In decibels, over the images that do not equal their targets; infinite where all do, which JSON
    /// writes as null.
    pub psnr: f64,
    /// Over all images; `None` where they are too small for it.
    pub ssim: Option<f64>,
    /// Images that `psnr` leaves out, as they equal their targets: one infinite PSNR would make the mean
    /// infinite.
    #[serde(skip_serializing_if = "is_zero")]
    pub left_out: usize,
}

impl From<Means> for Quality {
    fn from(Means { psnr, ssim, .. }: Means) -> Self {
        Self { psnr, ssim }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for it
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// Of one image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ImageQuality {
    /// Its file's, or its place in the set.
    pub name: String,
    /// `None` where the input is the target, or has another shape.
    pub input: Option<Quality>,
    /// What the model makes of it.
    pub output: Quality,
}

/// Of a set of images, and of each.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// As training calls it val_loss.
    pub loss: f64,
    /// `None` where the inputs are the targets, or have another shape.
    pub input: Option<Means>,
    /// Of what the model makes of them.
    pub output: Means,
    /// In the set's order.
    pub per_image: Vec<ImageQuality>,
}

/// "1 input and 2 outputs equal their targets, and the mean PSNR leaves them out"; `None` where it
/// leaves none out.
#[must_use]
pub fn left_out(input: Option<Means>, output: Means) -> Option<String> {
    let count = |count: usize, what: &str| {
        let plural = if count == 1 { "" } else { "s" };
        (count > 0).then(|| format!("{count} {what}{plural}"))
    };
    let inputs = input.map_or(0, |input| input.left_out);
    let counts = [count(inputs, "input"), count(output.left_out, "output")];
    let told: Vec<String> = counts.into_iter().flatten().collect();
    let (equal, them) = match inputs + output.left_out {
        1 => ("equals its target", "it"),
        _ => ("equal their targets", "them"),
    };
    let sentence = format!("{} {equal}, and the mean PSNR leaves {them} out", told.join(" and "));
    (!told.is_empty()).then_some(sentence)
}

/// Runs the model over all images, corrupted as the plan says. Of several processes each takes a part of the images, and
/// all get the same.
///
/// # Errors
/// When an image cannot be read any more, or another process is lost.
pub fn measure(
    plan: &Plan,
    test: &Images,
    predictor: &mut Predictor,
    ranks: Option<&Ranks>,
) -> Result<Evaluation, EvaluationError> {
    measure_all(plan, test, ranks, |batch| judge(plan, test.target(), predictor, batch))
}

/// The same of the first `count` images, at least one.
///
/// # Errors
/// As [`measure`].
pub fn measure_first(
    plan: &Plan,
    test: &Images,
    count: usize,
    predictor: &mut Predictor,
) -> Result<Evaluation, EvaluationError> {
    let judge = |batch: &Batch| judge(plan, test.target(), predictor, batch);
    Ok(measure_part(plan, test, 0..count.min(test.len()), judge)?.into())
}

/// How a model sees images for the mean of several outputs.
#[derive(Debug)]
pub struct Views {
    /// Each is turned back.
    pub orientations: &'static [Orientation],
    /// The model for images that lie down, where they have another size then.
    pub lying: Option<(Plan, Predictor)>,
}

/// As [`measure`], with the mean of the outputs on images that are seen in several ways.
///
/// # Errors
/// As [`measure`].
pub fn measure_augmented(
    plan: &Plan,
    test: &Images,
    predictor: &mut Predictor,
    views: &mut Views,
    ranks: Option<&Ranks>,
) -> Result<Evaluation, EvaluationError> {
    measure_all(plan, test, ranks, |batch| {
        let outputs = views.mean(plan, test.target(), predictor, batch);
        (loss_of(plan, test.target(), predictor, &outputs, batch), outputs)
    })
}

impl Views {
    fn mean(
        &mut self,
        plan: &Plan,
        target: &Target,
        predictor: &mut Predictor,
        batch: &Batch,
    ) -> Vec<f32> {
        let share = self.orientations.len() as f32;
        let mut mean = vec![0.0; batch.len * target.output.iter().product::<usize>()];
        for &orientation in self.orientations {
            let [seen, given] = [target.input, target.output]
                .map(|[height, width, _]| Walk::new(orientation, [height, width]));
            let turned: Vec<f32> = (batch.input.chunks_exact(values_of(target.input)))
                .flat_map(|image| turned(image, seen, target.input[2]))
                .collect();
            let outputs = match &mut self.lying {
                Some((plan, lying)) if lies_down(orientation) => {
                    outputs(plan, lying, &turned, seen.size)
                }
                _ => outputs(plan, predictor, &turned, seen.size),
            };
            let channels = target.output[2];
            for (output, mean) in (outputs.chunks_exact(values_of(target.output)))
                .zip(mean.chunks_exact_mut(values_of(target.output)))
            {
                for (place, pixel) in output.chunks_exact(channels).enumerate() {
                    let start =
                        given.pixel(place / given.size[1], place % given.size[1]) * channels;
                    for (mean, value) in mean[start..].iter_mut().zip(pixel) {
                        *mean += value / share;
                    }
                }
            }
        }
        mean
    }
}

fn values_of(shape: [usize; 3]) -> usize {
    shape.iter().product()
}

/// An image of so many channels as it is seen.
fn turned(image: &[f32], seen: Walk, channels: usize) -> Vec<f32> {
    let places = (0..seen.size[0]).flat_map(|y| (0..seen.size[1]).map(move |x| (y, x)));
    let pixel = |(y, x)| image[seen.pixel(y, x) * channels..][..channels].to_vec();
    places.flat_map(pixel).collect()
}

/// All images, in one process or in several, with the loss and the outputs that `judge` finds.
fn measure_all(
    plan: &Plan,
    test: &Images,
    ranks: Option<&Ranks>,
    judge: impl FnMut(&Batch) -> (Tensor, Vec<f32>),
) -> Result<Evaluation, EvaluationError> {
    let share = ranks.map_or(Share::ALL, Ranks::share);
    let own = share.range(test.len());
    let part = measure_part(plan, test, own.clone(), judge)?;
    match ranks {
        None => Ok(part.into()),
        Some(ranks) => Ok(gathered(test, &part, own, ranks)?.into()),
    }
}

/// What was found of some images of a set.
#[derive(Debug)]
struct Measured {
    loss: LossTotal,
    per_image: Vec<ImageQuality>,
}

/// Some images, batch by batch, with the loss and the outputs that `judge` finds.
fn measure_part(
    plan: &Plan,
    test: &Images,
    part: Range<usize>,
    mut judge: impl FnMut(&Batch) -> (Tensor, Vec<f32>),
) -> Result<Measured, EvaluationError> {
    let test_loader = loader(plan, test, Split::Test);
    let order = test_loader.order(0, false);
    let mut loss = RunningLoss::default();
    let mut per_image = Vec::with_capacity(part.len());
    test_loader.prefetch(0, &order[part.clone()], |batches| {
        for batch in batches {
            let batch = batch?;
            let (batch_loss, output) = judge(&batch);
            loss.add(&batch_loss, batch.len);
            let first = part.start + per_image.len();
            let indices: Vec<usize> = (first..first + batch.len).collect();
            let found = qualities(test, &indices, &batch, &output)?;
            per_image.extend(indices.into_iter().zip(found).map(|(index, (input, output))| {
                ImageQuality { name: name_of(test, index), input, output }
            }));
        }
        Ok::<_, EvaluationError>(())
    })?;
    Ok(Measured { loss: loss.total(), per_image })
}

fn name_of(test: &Images, index: usize) -> String {
    test.name(index).unwrap_or_else(|| number(index, test.len()))
}

/// What all processes have found, of which this one has its own part.
fn gathered(
    test: &Images,
    part: &Measured,
    own: Range<usize>,
    ranks: &Ranks,
) -> Result<Measured, Lost> {
    let numbers = |quality: Option<Quality>| match quality {
        Some(Quality { psnr, ssim: Some(ssim) }) => [1.0, psnr, 1.0, ssim],
        Some(Quality { psnr, ssim: None }) => [1.0, psnr, 0.0, 0.0],
        None => [0.0; 4],
    };
    let mut row = vec![0.0; 2 + NUMBERS * test.len()];
    (row[0], row[1]) = (part.loss.sum, part.loss.images as f64);
    for (image, place) in part.per_image.iter().zip(own) {
        let [input, output] = [image.input, Some(image.output)].map(numbers);
        row[2 + NUMBERS * place..][..NUMBERS].copy_from_slice(&[input, output].concat());
    }
    // Of each number one process alone brings more than 0.
    ranks.sum(&mut row)?;
    let quality = |numbers: &[f64]| Quality {
        psnr: numbers[1],
        ssim: (numbers[2] > 0.0).then_some(numbers[3]),
    };
    let image = |(index, numbers): (usize, &[f64])| ImageQuality {
        name: name_of(test, index),
        input: (numbers[0] > 0.0).then(|| quality(numbers)),
        output: quality(&numbers[NUMBERS / 2..]),
    };
    Ok(Measured {
        loss: LossTotal { sum: row[0], images: row[1] as usize },
        per_image: row[2..].chunks_exact(NUMBERS).enumerate().map(image).collect(),
    })
}

/// Of an image in a message: whether there is an input's PSNR, that PSNR, and so of its SSIM; then the same of the output.
const NUMBERS: usize = 8;

/// Loss and outputs of a batch.
fn judge(
    plan: &Plan,
    target: &Target,
    predictor: &mut Predictor,
    batch: &Batch,
) -> (Tensor, Vec<f32>) {
    let [height, width, _] = target.input;
    if [height, width] == [plan.input_shape[0], plan.input_shape[1]] {
        return predictor.judge(batch);
    }
    let kept = outputs(plan, predictor, &batch.input, [height, width]);
    (loss_of(plan, target, predictor, &kept, batch), kept)
}

/// Outputs for images of a size. Those of a size that the model does not give back are continued as in a mirror
/// to the plan's, as `apply` does, and what it gives beyond them is left out.
fn outputs(
    plan: &Plan,
    predictor: &mut Predictor,
    images: &[f32],
    [height, width]: [usize; 2],
) -> Vec<f32> {
    let ([rows, columns, seen], [.., given]) = (plan.input_shape, plan.output_shape());
    if [height, width] == [rows, columns] {
        return predictor.predict(images);
    }
    let images = images.chunks_exact(height * width * seen);
    let shape = [height, width, seen];
    let padded: Vec<f32> =
        images.flat_map(|image| mirrored(image, shape, [rows, columns])).collect();
    let outputs = predictor.predict(&padded);
    let lines = outputs.chunks_exact(columns * given).enumerate();
    lines
        .filter(|(line, _)| line % rows < height)
        .flat_map(|(_, line)| line[..width * given].iter().copied())
        .collect()
}

/// The loss of outputs for a batch, with all penalties: of signals and vectors in their own axes, as the engines
/// compute it.
fn loss_of(
    plan: &Plan,
    target: &Target,
    predictor: &Predictor,
    outputs: &[f32],
    batch: &Batch,
) -> Tensor {
    let given = plan.graph.shape(plan.graph.output);
    let sides = if given.0.len() == 3 { target.output.to_vec() } else { given.computed().0 };
    let batch_of: Vec<i64> =
        [-1].into_iter().chain(sides.iter().map(|&side| side as i64)).collect();
    let tensor =
        |values: &[f32]| channels_first(&Tensor::from_slice(values).view(batch_of.as_slice()));
    let loss = plan.config.train.loss.computed(given.0.len());
    predictor.penalized(loss.of(&tensor(outputs), &tensor(batch.target())))
}

impl From<Measured> for Evaluation {
    fn from(Measured { loss, per_image }: Measured) -> Self {
        Self::of(loss.sum / loss.images as f64, per_image)
    }
}

impl Evaluation {
    fn of(loss: f64, per_image: Vec<ImageQuality>) -> Self {
        let inputs: Option<Vec<Quality>> = per_image.iter().map(|image| image.input).collect();
        Self {
            loss,
            input: inputs.map(|inputs| mean(inputs.into_iter())),
            output: mean(per_image.iter().map(|image| image.output)),
            per_image,
        }
    }

    /// Of the whole set, from its parts: each with the places of its images in the whole.
    #[must_use]
    pub fn joined(parts: Vec<(Self, Vec<usize>)>) -> Self {
        let count: usize = parts.iter().map(|(_, places)| places.len()).sum();
        let weighted = parts.iter().map(|(part, places)| part.loss * places.len() as f64);
        let loss = weighted.sum::<f64>() / count.max(1) as f64;
        let placed =
            parts.into_iter().flat_map(|(part, places)| places.into_iter().zip(part.per_image));
        let mut placed: Vec<(usize, ImageQuality)> = placed.collect();
        placed.sort_by_key(|&(place, _)| place);
        Self::of(loss, placed.into_iter().map(|(_, image)| image).collect())
    }
}

/// The loss over a set of images, each batch weighted by its size as in Keras.
///
/// # Errors
/// When an image cannot be read any more.
pub fn mean_loss(
    plan: &Plan,
    images: &Images,
    predictor: &mut Predictor,
) -> Result<f64, DataError> {
    let LossTotal { sum, images } =
        total_loss(method_loader(plan, images, Split::Test), predictor)?;
    Ok(sum / images as f64)
}

/// What a process's share of every batch of test images adds to that.
///
/// # Errors
/// As [`mean_loss`].
pub fn total_loss(test: DataLoader<'_>, predictor: &mut Predictor) -> Result<LossTotal, DataError> {
    let order = test.order(0, false);
    let mut loss = RunningLoss::default();
    test.prefetch(0, &order, |batches| {
        for batch in batches {
            let batch = batch?;
            if batch.len > 0 {
                loss.add(&predictor.loss(&batch), batch.len);
            }
        }
        Ok(loss.total())
    })
}

/// Of the inputs, where they are not the targets and have their shape, and of the outputs of a batch, all of them
/// brought back from the model's scale.
fn qualities(
    test: &Images,
    indices: &[usize],
    batch: &Batch,
    outputs: &[f32],
) -> Result<Vec<(Option<Quality>, Quality)>, MetricError> {
    let target = test.target();
    let (shape, comparable) = (target.output, target.output == target.input);
    let values: usize = shape.iter().product();
    let [input, outputs, targets] =
        [&batch.input, outputs, batch.target()].map(|values| test.shown(indices, values));
    let of = |all: &[f32], index: usize| {
        let range = index * values..(index + 1) * values;
        quality(shape, &all[range.clone()], &targets[range])
    };
    let both = |index| {
        let input = (comparable && batch.clean.is_some()).then(|| of(&input, index)).transpose()?;
        Ok((input, of(&outputs, index)?))
    };
    (0..batch.len).into_par_iter().map(both).collect()
}

fn quality(shape: [usize; 3], image: &[f32], target: &[f32]) -> Result<Quality, MetricError> {
    let ssim = match ssim(shape, image, target) {
        Err(MetricError::TooSmall { .. }) => None,
        other => Some(other?),
    };
    Ok(Quality { psnr: psnr(image, target)?, ssim })
}

/// Image by image, in order, so that threads decide nothing.
fn mean(qualities: impl Iterator<Item = Quality>) -> Means {
    let (mut psnr, mut ssim, mut count, mut equal) = (0.0, Some(0.0), 0, 0);
    for quality in qualities {
        if quality.psnr == f64::INFINITY {
            equal += 1;
        } else {
            psnr += quality.psnr;
        }
        ssim = ssim.zip(quality.ssim).map(|(sum, ssim)| sum + ssim);
        count += 1;
    }
    let ssim = ssim.map(|sum| sum / f64::from(count));
    if equal == count {
        return Means { psnr: f64::INFINITY, ssim, left_out: 0 };
    }
    Means { psnr: psnr / f64::from(count - equal), ssim, left_out: equal as usize }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean_of(psnrs: &[f64]) -> Means {
        mean(psnrs.iter().map(|&psnr| Quality { psnr, ssim: Some(0.5) }))
    }

    #[test]
    fn images_that_equal_their_targets_are_left_out_of_the_mean_psnr_alone() {
        let means = mean_of(&[10.0, f64::INFINITY, 20.0]);
        assert_eq!(means, Means { psnr: 15.0, ssim: Some(0.5), left_out: 1 });
        let json = serde_json::to_string(&means).unwrap();
        assert_eq!(json, r#"{"psnr":15.0,"ssim":0.5,"left_out":1}"#);
        let none = Means { left_out: 0, ..means };
        assert_eq!(serde_json::to_string(&none).unwrap(), r#"{"psnr":15.0,"ssim":0.5}"#);
        assert!(mean_of(&[f64::INFINITY; 2]).psnr.is_infinite());
        assert!(mean_of(&[10.0, f64::NAN]).psnr.is_nan());
    }

    #[test]
    fn what_is_left_out_is_said_with_its_number() {
        let with = |left_out: usize| Means { psnr: 1.0, ssim: None, left_out };
        assert_eq!(left_out(Some(with(0)), with(0)), None);
        let said = |input, output| left_out(input, with(output)).unwrap();
        assert_eq!(said(None, 1), "1 output equals its target, and the mean PSNR leaves it out");
        assert_eq!(
            said(Some(with(1)), 2),
            "1 input and 2 outputs equal their targets, and the mean PSNR leaves them out"
        );
    }
}
