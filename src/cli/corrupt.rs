//! `convae corrupt`: what a config does to its images, looked at before any training.

use std::path::PathBuf;

use clap::Args;

use crate::config::Source;
use crate::config::corruption::{Corruption, CorruptionKind};
use crate::data::corruption::Split;
use crate::data::{DataError, DataLoader, Dataset, Target};
use crate::plan::Plan;
use crate::plan::loader;
use crate::report::range_of;
use crate::report::showcase::{as_shown, pictures};
use crate::report::{GridRow, Raster, write_grid};
use crate::system::exit::UsageError;
use crate::system::output_folder;
use crate::system::plain_text::one_line;
use crate::system::terminal as output;

/// Draws what a config does to the data before the model sees it.
#[derive(Debug, Args)]
pub struct Corrupt {
    /// The experiment, looked for here and then under configs/.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Sets a key of the config, like corruption.factor=0.2; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
    /// Folder for the image, corrupt_NAME.png.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Replaces an image that is already there.
    #[arg(long)]
    pub overwrite: bool,
}

/// Epochs that are shown where each has a corruption of its own.
const EPOCHS: u64 = 3;

/// Draws the first training images, clean and corrupted.
///
/// # Errors
/// When the config, the data or the folder is refused, or the image cannot be written.
pub fn run(args: &Corrupt) -> anyhow::Result<u8> {
    let plan = Plan::new(Source::open(&args.config, &args.overrides)?)?;
    let file = choose_file(args, &plan)?;
    let plan = plan.for_data()?;
    let data = Dataset::open(&plan.config.data, plan.target()?)?;
    let plan = plan.with_scale_of(&data)?;
    output_folder::make(&args.out)?;

    let shown: Vec<usize> = (0..plan.config.output.grid_samples.min(data.train.len())).collect();
    let rows = rows(&plan, loader(&plan, &data.train, Split::Train), &shown)?;
    let rows: Vec<GridRow<'_>> =
        rows.iter().map(|(label, rasters)| GridRow { label, rasters }).collect();
    write_grid(&file, &rows)?;
    output::print(&format!(
        "Drawn in {}: {}\n",
        one_line(&file.display().to_string()),
        plan.config.corruption.describe()
    ))?;
    Ok(0)
}

/// Where the image goes; one that is there stays unless it may be replaced.
fn choose_file(args: &Corrupt, plan: &Plan) -> Result<PathBuf, UsageError> {
    output_folder::check(&args.out)?;
    let file = args.out.join(format!("corrupt_{}.png", plan.config.name));
    if file.exists() && !args.overwrite {
        return Err(UsageError(format!(
            "{} is already there; add --overwrite to replace it, or name another folder with --out",
            file.display()
        )));
    }
    Ok(file)
}

/// The clean images, what each kind of the list adds to the ones before it, and further epochs
/// where they differ. Of pairs, also the partners as they are; of a target that is
/// not the uncorrupted input, also that.
fn rows(
    plan: &Plan,
    loader: DataLoader<'_>,
    indices: &[usize],
) -> Result<Vec<(String, Vec<Raster>)>, DataError> {
    let corruption = &plan.config.corruption;
    let Target { output, drawn, .. } = *loader.images.target();
    let batch = |count: usize, epoch: u64| {
        let corruption = Corruption(corruption.0[..count].to_vec());
        let batch = DataLoader { corruption: &corruption, ..loader }.batch(epoch, indices)?;
        Ok::<_, DataError>(as_shown(loader.images, indices, batch))
    };
    let all = corruption.0.len();
    let uncorrupted = batch(0, 1)?;
    let range = range_of(&[&uncorrupted.input, uncorrupted.target()]);
    let rasters = |values: &[f32], shape| pictures(values, shape, range);
    let mut rows = vec![("clean".to_owned(), rasters(uncorrupted.target(), output))];
    if uncorrupted.input != uncorrupted.target() {
        let label = if loader.images.are_paired() { "noisy" } else { "input" };
        rows.push((label.to_owned(), rasters(&uncorrupted.input, drawn)));
    }
    if !corruption.changes_images() {
        return Ok(rows);
    }
    for count in 1..=all {
        let label =
            format!("{}{}", if count > 1 { "+ " } else { "" }, corruption.0[count - 1].name());
        let shape = Corruption(corruption.0[..count].to_vec()).shape_of(drawn);
        rows.push((label, rasters(&batch(count, 1)?.input, shape)));
    }
    for epoch in (2..=EPOCHS).filter(|&epoch| corruption.changes_in(epoch)) {
        rows.push((
            format!("epoch {epoch}"),
            rasters(&batch(all, epoch)?.input, corruption.shape_of(drawn)),
        ));
    }
    Ok(rows)
}

impl Corruption {
    /// In a few words: "gaussian, then jpeg".
    fn describe(&self) -> String {
        let names: Vec<&str> = self.0.iter().map(CorruptionKind::name).collect();
        names.join(", then ")
    }
}
