//! `convae evaluate`: how good a trained model is on the test set.

use crate::cli::Evaluate;
use crate::corruption::Split;
use crate::data::{Dataset, Images};
use crate::metrics::{psnr, ssim};
use crate::output;
use crate::plan::Plan;
use crate::saved_model::{open_model, restore};
use crate::train::{Learner, choose_device, evaluate, feed};

/// Prints loss, PSNR and SSIM; of a denoiser also those of its input.
///
/// # Errors
/// When the checkpoint or the data is refused.
pub fn run(args: &Evaluate) -> anyhow::Result<u8> {
    let model = &args.model;
    let (plan, checkpoint) =
        open_model(&model.checkpoint, model.config.as_deref(), &model.overrides)?;
    let device = choose_device(&plan.config.train.device)?;
    let mut learner = restore(&model.checkpoint, &plan, &checkpoint, device)?;
    let test = Dataset::open_test(&plan.config.data, plan.input_shape)?;

    let loss = evaluate(&plan, &test, &mut learner)?;
    let (before, after) = qualities(&plan, &test, &mut learner)?;
    let mut lines = vec![
        format!("{} test pictures\n", test.len()),
        format!("loss ({})  {loss:.6}\n", plan.config.train.loss.name()),
        format!("output: {}\n", after.describe()),
    ];
    if before.pictures > 0 {
        lines.push(format!("input:  {}\n", before.describe()));
    }
    output::print(&lines.concat())?;
    Ok(0)
}

/// Means over the test set.
#[derive(Debug, Default)]
struct Quality {
    psnr: f64,
    /// `None` where the pictures are too small for it.
    ssim: Option<f64>,
    pictures: usize,
}

impl Quality {
    fn add(&mut self, shape: [usize; 3], picture: &[f32], target: &[f32]) -> anyhow::Result<()> {
        self.psnr += psnr(picture, target)?;
        self.ssim = ssim(shape, picture, target).ok().map(|value| self.ssim.unwrap_or(0.0) + value);
        self.pictures += 1;
        Ok(())
    }

    fn describe(&self) -> String {
        let mean = |sum: f64| sum / self.pictures as f64;
        let ssim =
            self.ssim.map_or("none (too small)".to_owned(), |sum| format!("{:.4}", mean(sum)));
        format!("PSNR {:.2} dB  SSIM {ssim}", mean(self.psnr))
    }
}

/// Of the input and of the output, each against the clean target.
fn qualities(
    plan: &Plan,
    test: &Images,
    learner: &mut Learner,
) -> anyhow::Result<(Quality, Quality)> {
    let (mut before, mut after) = (Quality::default(), Quality::default());
    let feed = feed(plan, test, Split::Test);
    let order = feed.order(0, false);
    for batch in feed.batches(0, &order) {
        let batch = batch?;
        let output = learner.predict(&batch.input);
        let values = test.values();
        let triples = (batch.input.chunks_exact(values))
            .zip(output.chunks_exact(values))
            .zip(batch.target().chunks_exact(values));
        for ((input, output), target) in triples {
            if feed.changes_pictures() {
                before.add(test.shape(), input, target)?;
            }
            after.add(test.shape(), output, target)?;
        }
    }
    Ok((before, after))
}
