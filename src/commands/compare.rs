//! `convae compare`: what sets runs apart, and how they did.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::cli::Compare;
use crate::comparison::{Comparison, Run, labels};
use crate::exit::Misuse;
use crate::sweep::Record;
use crate::{output, output_file};

/// The picture where none is named.
const PICTURE: &str = "compare.png";

/// Prints the table, draws the curves.
///
/// # Errors
/// When a folder holds no run, or the picture cannot be written.
pub fn run(args: &Compare) -> anyhow::Result<u8> {
    let picture = picture(args)?;
    let comparison = Comparison::of(runs(&args.runs)?);

    if args.json {
        output::print_json(&comparison.json()?)?;
    } else {
        output::print(&comparison.table())?;
    }
    if let Some(picture) = &picture {
        comparison.draw(picture)?;
    }
    if !args.json {
        say_where(args, picture.as_deref());
    }
    Ok(0)
}

/// Where the curves go. A picture that was not asked for by name must not stand in the way of the
/// table: one that is there already is kept.
fn picture(args: &Compare) -> anyhow::Result<Option<PathBuf>> {
    if let Some(path) = &args.out {
        output_file::check(path, &["png"], args.overwrite)?;
        return Ok(Some(path.clone()));
    }
    let path = PathBuf::from(PICTURE);
    if args.json || (path.exists() && !args.overwrite) {
        return Ok(None);
    }
    output_file::check(&path, &["png"], args.overwrite)?;
    Ok(Some(path))
}

fn say_where(args: &Compare, picture: Option<&Path>) {
    match picture {
        Some(picture) => {
            output::note(format_args!("The curves are drawn in {}", picture.display()));
        }
        None if args.out.is_none() => output::note(format_args!(
            "{PICTURE} is already there and was kept; add --overwrite to replace it, or name \
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
            return Err(Misuse(format!("{shown} is named twice; name each run once")).into());
        }
    }
    let folders: Vec<PathBuf> = runs.iter().map(|run| run.folder.clone()).collect();
    for (run, label) in runs.iter_mut().zip(labels(&folders)) {
        run.label = label;
    }
    Ok(runs)
}
