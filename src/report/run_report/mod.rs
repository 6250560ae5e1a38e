//! Gathers what a run's page shows, from the files in its folder and from the model itself, and writes
//! the page. A run that just ended and one of long ago go the same way.

mod facts;
mod layers;
mod machine;
mod records;

use std::time::Instant;

use anyhow::Context;

use crate::config::layers::Layer;
use crate::config::schema::Field;
use crate::config::sections::Corruption;
use crate::data::Images;
use crate::data::corruption::Split;
use crate::infer::Predictor;
use crate::infer::evaluation::{Evaluation, ImageQuality, measure_first};
use crate::infer::latent;
use crate::plan::loader;
use crate::plan::{Part, Plan, Value};
use crate::report::html::{Latent, Level, RANKED, RunReport, Sample};
use crate::report::range_of;
use crate::report::showcase::{as_shown, decoded, pictures};
use crate::report::{Curves, LossPoint, Raster};
use crate::run::folder::RunFolder;
use crate::system::text_file;
use records::{Records, Times};

/// Test images that are measured at most; the page says so where there are more.
const MEASURED: usize = 2_000;
/// Values of the test images that are measured at most: as many as 2,000 digits have, times four.
/// Large images take their time.
const MEASURED_VALUES: usize = 4 * MEASURED * 28 * 28;
/// Test images shown at each level at most.
const SHOWN: usize = 10;
/// Images along a side of the plane of codes.
const PLANE: usize = 15;
/// How far it reaches: to two standard deviations.
const PLANE_SCALE: f32 = 2.0;

/// Writes the page of a run whose other files are there already.
///
/// `phases` tells what else took time, in seconds, as far as it is known.
///
/// # Errors
/// When one of the run's files or a test image cannot be read, or the page cannot be written.
pub fn write_report(
    folder: &RunFolder,
    plan: &Plan,
    test: &Images,
    predictor: &mut Predictor,
    phases: Vec<(String, f64)>,
) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut report = gather(folder, plan, test, predictor, phases)?;
    report.phases.push(("measuring for this page".to_owned(), started.elapsed().as_secs_f64()));
    folder.write(&folder.report(), report.to_html().as_bytes())
}

fn gather(
    folder: &RunFolder,
    plan: &Plan,
    test: &Images,
    predictor: &mut Predictor,
    phases: Vec<(String, f64)>,
) -> anyhow::Result<RunReport> {
    let records = Records::read(&folder.history())?;
    let times = Times::read(folder, &records)?;
    let config = text_file::read(&folder.config())
        .with_context(|| format!("{} cannot be read", folder.config().display()))?;
    let measured = measured(test);
    let (levels, trained_level, evaluation) = levels(plan, test, measured, predictor)?;
    let (best, worst) = ranks(&evaluation.per_image);
    Ok(RunReport {
        name: plan.config.name.clone(),
        lead: facts::lead(plan, &records),
        notices: facts::notices(&records, plan.config.train.epochs),
        config,
        layers: layers::boxes(plan),
        curves: curves(plan, &records),
        epochs: records.table(),
        levels,
        trained_level,
        loss: plan.config.train.loss.name(),
        latent: latent(plan, test, predictor)?,
        measured: (measured, test.len()),
        best: samples(plan, test, &best, &evaluation, predictor)?,
        worst: samples(plan, test, &worst, &evaluation, predictor)?,
        times: times.epochs(),
        phases,
        facts: facts::facts(&records, predictor),
    })
}

fn measured(test: &Images) -> usize {
    let target = test.target();
    let values = |shape: [usize; 3]| shape.iter().product::<usize>();
    let values = values(target.drawn).max(values(target.output));
    test.len().min(MEASURED).min((MEASURED_VALUES / values).max(RANKED))
}

/// What is shown at each level, which of them the model was trained for, and all that was measured
/// there.
fn levels(
    plan: &Plan,
    test: &Images,
    measured: usize,
    predictor: &mut Predictor,
) -> anyhow::Result<(Vec<Level>, usize, Evaluation)> {
    let shown: Vec<usize> = (0..SHOWN.min(plan.config.output.grid_samples).min(measured)).collect();
    let plans = plans(plan, test);
    let mut levels = Vec::with_capacity(plans.len());
    let mut trained = None;
    for (title, times, plan) in &plans {
        let found = measure_first(plan, test, measured, predictor)?;
        levels.push(Level {
            title: (*title).to_owned(),
            corruption: corruption_of(plan),
            loss: found.loss,
            input: found.input,
            output: found.output,
            samples: samples(plan, test, &shown, &found, predictor)?,
        });
        if *times == AS_TRAINED {
            trained = Some((levels.len() - 1, found));
        }
    }
    let (trained_level, evaluation) = trained.context("no level is the one of the training")?;
    Ok((levels, trained_level, evaluation))
}

const AS_TRAINED: f64 = 1.0;

/// Titles, strengths and plans of the levels, the weakest first; those that do not differ are left out.
fn plans(plan: &Plan, test: &Images) -> Vec<(&'static str, f64, Plan)> {
    let own = &plan.config.corruption;
    if !own.changes_images() {
        let title = if test.are_paired() { "as the data are" } else { "not corrupted" };
        return vec![(title, AS_TRAINED, plan.clone())];
    }
    let none = if test.are_paired() { "no corruption but the data's" } else { "not corrupted" };
    let levels = [
        (none, 0.0, own.only_shrinking()),
        ("half as strong", 0.5, own.scaled(0.5)),
        ("as trained", AS_TRAINED, own.clone()),
        ("twice as strong", 2.0, own.scaled(2.0)),
    ];
    let differs = |times: f64, corruption: &Corruption| times == AS_TRAINED || corruption != own;
    let levels = levels.into_iter().filter(|(_, times, corruption)| differs(*times, corruption));
    levels
        .map(|(title, times, corruption)| {
            let mut plan = plan.clone();
            plan.config.corruption = corruption;
            (title, times, plan)
        })
        .collect()
}

/// As a config says it.
fn corruption_of(plan: &Plan) -> String {
    plan.config.corruption.write().map_or_else(String::new, |value| value.to_string())
}

/// Places of the best, the best first, and of the worst, the worst first. Images that are equally
/// good stand in the set's order.
fn ranks(qualities: &[ImageQuality]) -> (Vec<usize>, Vec<usize>) {
    let psnr = |index: usize| qualities[index].output.psnr;
    let mut best: Vec<usize> = (0..qualities.len()).collect();
    let mut worst = best.clone();
    best.sort_by(|&a, &b| psnr(b).total_cmp(&psnr(a)));
    worst.sort_by(|&a, &b| psnr(a).total_cmp(&psnr(b)));
    best.truncate(RANKED);
    worst.truncate(RANKED);
    (best, worst)
}

/// The test images at `indices` and what the model makes of them.
fn samples(
    plan: &Plan,
    test: &Images,
    indices: &[usize],
    evaluation: &Evaluation,
    predictor: &mut Predictor,
) -> anyhow::Result<Vec<Sample>> {
    let batch = loader(plan, test, Split::Test).batch(0, indices)?;
    let output = test.shown(indices, &predictor.predict(&batch.input));
    let batch = as_shown(test, indices, batch);
    let range = range_of(&[&batch.input, &output]);
    let inputs = pictures(&batch.input, plan.input_shape, range);
    let of = |values: &[f32]| pictures(values, plan.output_shape(), range).into_iter();
    let outputs = of(&output);
    let targets: Vec<Option<Raster>> = match &batch.clean {
        Some(clean) => of(clean).map(Some).collect(),
        None => vec![None; indices.len()],
    };
    let all = indices.iter().zip(inputs).zip(outputs).zip(targets);
    let sample = |(((&index, input), output), target): (((&usize, Raster), Raster), _)| {
        let ImageQuality { name, input: before, output: after } = &evaluation.per_image[index];
        let (name, before, after) = (name.clone(), *before, *after);
        Sample { name, input, output, target, before, after }
    };
    Ok(all.map(sample).collect())
}

/// Of a model whose code is a draw, and whose decoder stands by itself.
fn latent(plan: &Plan, test: &Images, predictor: &Predictor) -> anyhow::Result<Option<Latent>> {
    let graph = &plan.graph;
    let draws = matches!(graph.code, Value::Node(index) if matches!(graph.nodes[index].layer, Layer::Sampling(_)));
    if !draws || test.len() < 2 || graph.section(Part::Decoder).is_err() {
        return Ok(None);
    }
    let images = |codes: &[f32], columns: usize| -> anyhow::Result<Raster> {
        let outputs = predictor.predict_part(plan, Part::Decoder, codes)?;
        Ok(Raster::mosaic(&decoded(plan, &outputs), columns))
    };
    let length = plan.code_shape().values();
    let two = loader(plan, test, Split::Test).batch(0, &[0, 1])?;
    let codes = predictor.predict_part(plan, Part::Encoder, &two.input)?;
    let (from, to) = codes.split_at(length);
    let plane = (length == 2).then(|| images(&latent::plane(PLANE, PLANE_SCALE), PLANE));
    Ok(Some(Latent {
        plane: plane.transpose()?.map(|plane| (plane, PLANE_SCALE)),
        walk: images(&latent::walk([from, to]), latent::STEPS)?,
        samples: images(&latent::draws(latent::STEPS, length, plan.seed()), latent::STEPS)?,
    }))
}

fn curves(plan: &Plan, records: &Records) -> Curves {
    let points = |points: Vec<(f64, f64)>| {
        points.into_iter().map(|(epoch, loss)| LossPoint { epoch, loss }).collect()
    };
    let training = records.series("loss");
    Curves {
        title: format!("Loss of \"{}\"", plan.config.name),
        loss: plan.config.train.loss.name(),
        running: points(records.curve()),
        // Of a single epoch the loss within it says more than its mean.
        training: if training.len() > 1 { points(training) } else { vec![] },
        validation: points(records.series("val_loss")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infer::evaluation::Quality;

    fn qualities(psnrs: &[f64]) -> Vec<ImageQuality> {
        let quality = |&psnr: &f64| ImageQuality {
            name: String::new(),
            input: None,
            output: Quality { psnr, ssim: None },
        };
        psnrs.iter().map(quality).collect()
    }

    #[test]
    fn the_best_and_the_worst_are_found_in_order() {
        let psnrs: Vec<f64> = (0..25).map(|i| f64::from(i * 7 % 25)).collect();
        let (best, worst) = ranks(&qualities(&psnrs));
        let psnrs_of = |indices: &[usize]| indices.iter().map(|&i| psnrs[i]).collect::<Vec<_>>();
        assert_eq!(psnrs_of(&best), (15..25).rev().map(f64::from).collect::<Vec<_>>());
        assert_eq!(psnrs_of(&worst), (0..10).map(f64::from).collect::<Vec<_>>());
    }

    #[test]
    fn of_three_images_all_three_are_best_and_worst_and_equal_images_come_first() {
        let (best, worst) = ranks(&qualities(&[10.0, f64::INFINITY, 20.0]));
        assert_eq!((best, worst), (vec![1, 2, 0], vec![0, 2, 1]));
        assert_eq!(ranks(&qualities(&[5.0, 5.0])), (vec![0, 1], vec![0, 1]));
    }
}
