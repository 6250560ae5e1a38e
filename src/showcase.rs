//! The pictures that a run leaves: the first test digit, a grid of them, and the loss curves.

use crate::corruption::Split;
use crate::data::{Batch, Images};
use crate::plan::Plan;
use crate::report::{Curves, GridRow, LossPoint, Picture, ReportError};
use crate::report::{write_grid, write_loss_curves, write_png};
use crate::run_folder::RunFolder;
use crate::train::{EpochRecord, History, Learner, feed};

/// Writes `input`, `output`, `grid` and `loss`.
///
/// # Errors
/// When a test picture cannot be read any more, or one of these cannot be written.
pub fn write_pictures(
    folder: &RunFolder,
    plan: &Plan,
    test: &Images,
    learner: &mut Learner,
    history: &History,
) -> anyhow::Result<()> {
    let shown = plan.config.output.grid_samples.min(test.len());
    let indices: Vec<usize> = (0..shown).collect();
    let batch = feed(plan, test, Split::Test).batch(0, &indices)?;
    let output = learner.predict(&batch.input);

    let inputs = pictures(&batch.input, plan.input_shape);
    let outputs = pictures(&output, plan.input_shape);
    write_png(&folder.picture("input"), &inputs[0])?;
    write_png(&folder.picture("output"), &outputs[0])?;
    write_digits(folder, plan, &batch, &inputs, &outputs)?;
    Ok(write_loss_curves(&folder.picture("loss"), &curves(plan, history))?)
}

/// Input over output, and under them the target where it differs from the input.
fn write_digits(
    folder: &RunFolder,
    plan: &Plan,
    batch: &Batch,
    inputs: &[Picture],
    outputs: &[Picture],
) -> Result<(), ReportError> {
    let targets = batch.clean.as_ref().map(|clean| pictures(clean, plan.input_shape));
    let mut rows = vec![
        GridRow { label: "input", pictures: inputs },
        GridRow { label: "output", pictures: outputs },
    ];
    if let Some(targets) = &targets {
        rows.push(GridRow { label: "target", pictures: targets });
    }
    write_grid(&folder.picture("grid"), &rows)
}

/// Channels-last values as pictures of a height, a width and channels.
///
/// # Panics
/// When that is no shape of a grey or RGB picture, which every plan has.
#[must_use]
pub fn pictures(values: &[f32], [height, width, channels]: [usize; 3]) -> Vec<Picture> {
    let split = values.chunks_exact(height * width * channels);
    split
        .map(|pixels| {
            Picture::new(height, width, channels, pixels.to_vec())
                .expect("the plan allows only grey and RGB pictures")
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
        loss: plan.config.train.loss.name().to_owned(),
        running: history.curve.iter().map(|&(epoch, loss)| LossPoint { epoch, loss }).collect(),
        // Of a single epoch the loss within it says more than its mean.
        training: if history.epochs.len() > 1 { of_epochs(|record| record.loss) } else { vec![] },
        validation: of_epochs(|record| record.val_loss),
    }
}
