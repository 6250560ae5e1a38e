//! `convae compare`: what sets runs apart, and how they did.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::report::write_comparison;
use crate::run::comparison::{Comparison, Run, labels};
use crate::run::sweep::Record;
use crate::system::exit::UsageError;
use crate::system::output_file;
use crate::system::terminal as output;

/// Prints what differs between runs in config and figures, and draws their curves together.
#[derive(Debug, Args)]
pub struct Compare {
    /// Folders of runs, like runs/noise, or of sweeps.
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// The image to draw, .png [default: compare.png, unless it is there or --json is given].
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Replaces the image if it is already there.
    #[arg(long)]
    pub overwrite: bool,
    /// Prints one JSON document instead of the table.
    #[arg(long)]
    pub json: bool,
}

/// The image where none is named.
const IMAGE: &str = "compare.png";

/// Prints the table, draws the curves.
///
/// # Errors
/// When a folder holds no run, or the image cannot be written.
pub fn run(args: &Compare) -> anyhow::Result<u8> {
    let image = image(args)?;
    let comparison = Comparison::of(runs(&args.runs)?);

    if args.json {
        output::print_json(&comparison.json()?)?;
    } else {
        output::print(&comparison.table())?;
    }
    if let Some(image) = &image {
        write_comparison(image, &comparison)?;
    }
    if !args.json {
        say_where(args, image.as_deref());
    }
    Ok(0)
}

/// Where the curves go. An image that was not asked for by name must not stand in the way of the
/// table: one that is there already is kept.
fn image(args: &Compare) -> anyhow::Result<Option<PathBuf>> {
    if let Some(path) = &args.out {
        output_file::check(path, &["png"], args.overwrite)?;
        return Ok(Some(path.clone()));
    }
    let path = PathBuf::from(IMAGE);
    if args.json || (path.exists() && !args.overwrite) {
        return Ok(None);
    }
    output_file::check(&path, &["png"], args.overwrite)?;
    Ok(Some(path))
}

fn say_where(args: &Compare, image: Option<&Path>) {
    match image {
        Some(image) => {
            output::note(format_args!("The curves are drawn in {}", image.display()));
        }
        None if args.out.is_none() => output::note(format_args!(
            "{IMAGE} is already there and was kept; add --overwrite to replace it, or name \
             another file with --out FILE"
        )),
        None => {}
    }
}

/// The runs in the folders; a sweep's folder stands for all its runs.
fn runs(named: &[PathBuf]) -> anyhow::Result<Vec<Run>> {
    let mut runs = Vec::new();
    for folder in named {
        match Record::read(folder)? {
            Some(record) => runs.extend(record.read_runs(folder)?),
            None => runs.push(Run::read(folder, String::new())?),
        }
    }
    let mut seen = HashSet::new();
    for run in &runs {
        let folder = run.folder.canonicalize().unwrap_or_else(|_| run.folder.clone());
        if !seen.insert(folder) {
            let shown = run.folder.display();
            return Err(UsageError(format!("{shown} is named twice; name each run once")).into());
        }
    }
    let folders: Vec<PathBuf> = runs.iter().map(|run| run.folder.clone()).collect();
    for (run, label) in runs.iter_mut().zip(labels(&folders)) {
        run.label = label;
    }
    Ok(runs)
}
