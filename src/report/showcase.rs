//! The images that a run leaves: the first test digit, a grid of them, and the loss curves.

use crate::data::Scaling;
use crate::data::corruption::Split;
use crate::data::{Batch, Images};
use crate::infer::Predictor;
use crate::plan::Plan;
use crate::plan::loader;
use crate::report::{Curves, GridRow, LossPoint, Raster, ReportError, range_of, signal};
use crate::report::{write_grid, write_loss_curves, write_png};
use crate::run::folder::RunFolder;
use crate::train::{EpochRecord, History};

/// Writes `input`, `output`, `grid` and `loss`.
///
/// # Errors
/// When a test image cannot be read any more, or one of these cannot be written.
pub fn write_images(
    folder: &RunFolder,
    plan: &Plan,
    test: &Images,
    predictor: &mut Predictor,
    history: &History,
) -> anyhow::Result<()> {
    let shown = plan.config.output.grid_samples.min(test.len());
    let indices: Vec<usize> = (0..shown).collect();
    let batch = loader(plan, test, Split::Test).batch(0, &indices)?;
    let output = test.shown(&indices, &predictor.predict(&batch.input));
    let batch = as_shown(test, &indices, batch);

    let range = range_of(&[&batch.input, &output]);
    let inputs = pictures(&batch.input, plan.input_shape, range);
    let outputs = pictures(&output, plan.output_shape(), range);
    write_png(&folder.image("input"), &inputs[0])?;
    write_png(&folder.image("output"), &outputs[0])?;
    write_digits(folder, plan, &batch, range, [&inputs, &outputs])?;
    Ok(write_loss_curves(&folder.image("loss"), &curves(plan, history))?)
}

/// A batch of these images as people see it.
#[must_use]
pub fn as_shown(test: &Images, indices: &[usize], batch: Batch) -> Batch {
    let shown = |values: &Vec<f32>| test.shown(indices, values);
    Batch { input: shown(&batch.input), clean: batch.clean.as_ref().map(shown), ..batch }
}

/// Input over output, and under them the target where it differs from the input.
fn write_digits(
    folder: &RunFolder,
    plan: &Plan,
    batch: &Batch,
    range: [f32; 2],
    [inputs, outputs]: [&[Raster]; 2],
) -> Result<(), ReportError> {
    let targets = batch.clean.as_ref().map(|clean| pictures(clean, plan.output_shape(), range));
    let mut rows = vec![
        GridRow { label: "input", rasters: inputs },
        GridRow { label: "output", rasters: outputs },
    ];
    if let Some(targets) = &targets {
        rows.push(GridRow { label: "target", rasters: targets });
    }
    write_grid(&folder.image("grid"), &rows)
}

/// As [`rasters`], but what has one row is drawn as curves between the ends of a range ([`range_of`]): of a signal
/// or a row of values there is nothing to see in an image.
///
/// # Panics
/// As [`rasters`].
#[must_use]
pub fn pictures(values: &[f32], shape: [usize; 3], range: [f32; 2]) -> Vec<Raster> {
    match shape {
        [1, steps, channels] if steps > 1 => {
            let samples = values.chunks_exact(steps * channels);
            samples.map(|sample| signal::drawn(sample, channels, range)).collect()
        }
        _ => rasters(values, shape),
    }
}

/// What a model gives for some codes, as its outputs are drawn elsewhere. An image of one row stays one.
#[must_use]
pub fn decoded(plan: &Plan, outputs: &[f32]) -> Vec<Raster> {
    let mut outputs = outputs.to_vec();
    Scaling::of(&plan.config.data).show(&mut outputs);
    let outputs = outputs.as_slice();
    if plan.graph.shape(plan.graph.output).0.len() == 3 {
        rasters(outputs, plan.output_shape())
    } else {
        pictures(outputs, plan.output_shape(), range_of(&[outputs]))
    }
}

/// Height and width of what [`pictures`] draws of such values.
#[must_use]
pub fn drawn_size([height, width, _]: [usize; 3]) -> [usize; 2] {
    if height == 1 && width > 1 { signal::size(width) } else { [height, width] }
}

/// Channels-last values as images of a height, a width and channels. Of images that are neither grey nor RGB the
/// first three channels are shown as red, green and blue, or of two the first one as grey.
///
/// # Panics
/// When a side is 0, which no plan allows.
#[must_use]
pub fn rasters(values: &[f32], [height, width, channels]: [usize; 3]) -> Vec<Raster> {
    let shown = if channels < 3 { 1 } else { 3 };
    let split = values.chunks_exact(height * width * channels);
    split
        .map(|pixels| {
            let seen = pixels.chunks_exact(channels).flat_map(|pixel| &pixel[..shown]);
            Raster::new(height, width, shown, seen.copied().collect())
                .expect("the plan allows no empty images")
        })
        .collect()
}

fn curves(plan: &Plan, history: &History) -> Curves {
    let of_epochs = |loss: fn(&EpochRecord) -> f64| {
        let points = history.epochs.iter();
        points.map(|record| LossPoint { epoch: record.epoch as f64, loss: loss(record) }).collect()
    };
    Curves {
        title: format!("Loss of \"{}\"", plan.config.name),
        loss: plan.config.train.loss.name(),
        running: history.curve.iter().map(|&(epoch, loss)| LossPoint { epoch, loss }).collect(),
        // Of a single epoch the loss within it says more than its mean.
        training: if history.epochs.len() > 1 { of_epochs(|record| record.loss) } else { vec![] },
        validation: of_epochs(|record| record.val_loss),
    }
}
