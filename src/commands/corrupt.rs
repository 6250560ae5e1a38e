//! `convae corrupt`: what a config does to its pictures, looked at before any training.

use std::path::PathBuf;

use anyhow::Context;

use crate::cli::Corrupt;
use crate::config::Source;
use crate::config::corruption::{Corruption, CorruptionKind};
use crate::corruption::Split;
use crate::data::Dataset;
use crate::exit::Misuse;
use crate::output;
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
    std::fs::create_dir_all(&args.out).with_context(|| {
        format!("the folder {} cannot be made; name another one with --out", args.out.display())
    })?;

    let shown: Vec<usize> = (0..plan.config.output.grid_samples.min(data.train.len())).collect();
    let clean = feed(&plan, &data.train, Split::Train).batch(1, &shown).target().to_vec();
    let rows = rows(&plan, &clean);
    let rows: Vec<GridRow<'_>> =
        rows.iter().map(|(label, pictures)| GridRow { label, pictures }).collect();
    write_grid(&file, &rows)?;
    output::print(&format!(
        "Drawn in {}: {}\n",
        file.display(),
        plan.config.corruption.describe()
    ))?;
    Ok(0)
}

/// Where the picture goes; one that is there stays unless it may be replaced.
fn choose_file(args: &Corrupt, plan: &Plan) -> Result<PathBuf, Misuse> {
    let (dir, file) =
        (args.out.display(), args.out.join(format!("corrupt_{}.png", plan.config.name)));
    if args.out.exists() && !args.out.is_dir() {
        return Err(Misuse(format!("{dir} is a file; name a folder with --out")));
    }
    if file.exists() && !args.overwrite {
        return Err(Misuse(format!(
            "{} is already there; add --overwrite to replace it, or name another folder with --out",
            file.display()
        )));
    }
    Ok(file)
}

/// The clean pictures, what each kind of the list adds to the ones before it, and further epochs
/// where they differ.
fn rows(plan: &Plan, clean: &[f32]) -> Vec<(String, Vec<Picture>)> {
    let corruption = &plan.config.corruption;
    let mut rows = vec![("clean".to_owned(), pictures(clean, plan.input_shape))];
    if !corruption.changes_pictures() {
        return rows;
    }
    for count in 1..=corruption.0.len() {
        let first = Corruption(corruption.0[..count].to_vec());
        let label =
            format!("{}{}", if count > 1 { "+ " } else { "" }, corruption.0[count - 1].name());
        rows.push((label, corrupted(plan, &first, clean, 1)));
    }
    for epoch in (2..=EPOCHS).filter(|&epoch| corruption.changes_in(epoch)) {
        rows.push((format!("epoch {epoch}"), corrupted(plan, corruption, clean, epoch)));
    }
    rows
}

/// The pictures as the model would see them in this epoch.
fn corrupted(plan: &Plan, corruption: &Corruption, clean: &[f32], epoch: u64) -> Vec<Picture> {
    let mut values = clean.to_vec();
    let shape = plan.input_shape;
    let picture = shape.iter().product();
    for (index, values) in (0..).zip(values.chunks_exact_mut(picture)) {
        corruption.apply(values, shape, plan.seed(), Split::Train, epoch, index);
    }
    pictures(&values, shape)
}

impl Corruption {
    /// In a few words: "gaussian, then jpeg".
    fn describe(&self) -> String {
        let names: Vec<&str> = self.0.iter().map(CorruptionKind::name).collect();
        names.join(", then ")
    }
}
