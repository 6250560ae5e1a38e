//! `convae corrupt`: what a config does to its pictures, looked at before any training.

use std::path::PathBuf;

use crate::cli::Corrupt;
use crate::config::Source;
use crate::config::corruption::{Corruption, CorruptionKind};
use crate::corruption::Split;
use crate::data::{DataError, Dataset, Feed};
use crate::exit::Misuse;
use crate::output;
use crate::output_folder;
use crate::plain_text::one_line;
use crate::plan::Plan;
use crate::report::{GridRow, Picture, write_grid};
use crate::showcase::pictures;
use crate::train::feed;

/// Epochs that are shown where each has a corruption of its own.
const EPOCHS: u64 = 3;

/// Draws the first training pictures, clean and corrupted.
///
/// # Errors
/// When the config, the data or the folder is refused, or the picture cannot be written.
pub fn run(args: &Corrupt) -> anyhow::Result<u8> {
    let plan = Plan::new(Source::open(&args.config, &args.overrides)?)?;
    let file = choose_file(args, &plan)?;
    let data = Dataset::open(&plan.config.data, plan.input_shape)?;
    output_folder::make(&args.out)?;

    let shown: Vec<usize> = (0..plan.config.output.grid_samples.min(data.train.len())).collect();
    let rows = rows(&plan, feed(&plan, &data.train, Split::Train), &shown)?;
    let rows: Vec<GridRow<'_>> =
        rows.iter().map(|(label, pictures)| GridRow { label, pictures }).collect();
    write_grid(&file, &rows)?;
    output::print(&format!(
        "Drawn in {}: {}\n",
        one_line(&file.display().to_string()),
        plan.config.corruption.describe()
    ))?;
    Ok(0)
}

/// Where the picture goes; one that is there stays unless it may be replaced.
fn choose_file(args: &Corrupt, plan: &Plan) -> Result<PathBuf, Misuse> {
    output_folder::check(&args.out)?;
    let file = args.out.join(format!("corrupt_{}.png", plan.config.name));
    if file.exists() && !args.overwrite {
        return Err(Misuse(format!(
            "{} is already there; add --overwrite to replace it, or name another folder with --out",
            file.display()
        )));
    }
    Ok(file)
}

/// The clean pictures, what each kind of the list adds to the ones before it, and further epochs
/// where they differ. Of pairs, also the partners as they are.
fn rows(
    plan: &Plan,
    feed: Feed<'_>,
    shown: &[usize],
) -> Result<Vec<(String, Vec<Picture>)>, DataError> {
    let corruption = &plan.config.corruption;
    let drawn = |values: &[f32]| pictures(values, plan.input_shape);
    let batch = |count: usize, epoch: u64| {
        let corruption = Corruption(corruption.0[..count].to_vec());
        Feed { corruption: &corruption, ..feed }.batch(epoch, shown)
    };
    let all = corruption.0.len();
    let uncorrupted = batch(0, 1)?;
    let mut rows = vec![("clean".to_owned(), drawn(uncorrupted.target()))];
    if uncorrupted.clean.is_some() {
        rows.push(("noisy".to_owned(), drawn(&uncorrupted.input)));
    }
    if !corruption.changes_pictures() {
        return Ok(rows);
    }
    for count in 1..=all {
        let label =
            format!("{}{}", if count > 1 { "+ " } else { "" }, corruption.0[count - 1].name());
        rows.push((label, drawn(&batch(count, 1)?.input)));
    }
    for epoch in (2..=EPOCHS).filter(|&epoch| corruption.changes_in(epoch)) {
        rows.push((format!("epoch {epoch}"), drawn(&batch(all, epoch)?.input)));
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
