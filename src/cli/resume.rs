//! What `--resume` does before training: finds the checkpoint to go on from, and what has changed.

use std::fs;

use anyhow::{Context, anyhow};

use crate::data::{Dataset, Scaling};
use crate::plan::Plan;
use crate::run::folder::RunFolder;
use crate::run::resume::{Kind, Saved, changes, check, read};
use crate::system::exit::UsageError;
use crate::system::terminal::{complain, note};
use crate::train::{History, Timings, Trainer, TrainingState};

/// The last checkpoint that is whole, and the plan with the scale that its training has measured; damaged ones are
/// named. `None` where there never was one, so that the run begins anew.
///
/// # Errors
/// When all are damaged, or the config is no longer one that the run can go on with.
pub fn find(folder: &RunFolder, mut plan: Plan) -> anyhow::Result<(Option<Saved>, Plan)> {
    let checkpoints = folder.checkpoints();
    let places = checkpoints.newest_first()?;
    if places.is_empty() {
        let dir = folder.dir().display();
        note(format_args!(
            "There is no checkpoint in {dir} to go on from, so training begins anew"
        ));
        return Ok((None, plan));
    }
    let mut newer: Option<anyhow::Error> = None;
    for place in places {
        match read(&checkpoints.file(place)) {
            Ok(saved) => {
                if let Some(error) = newer {
                    complain(format_args!("{error:#}; the checkpoint before it is used"));
                }
                if let Scaling::Set(_, affine) = Scaling::of(&saved.config.data) {
                    plan.config.data.keep_measured(affine.offset, affine.factor);
                }
                check_plan(&saved, &plan)?;
                let file = checkpoints.file(place);
                note(format_args!("Going on from {}", file.display()));
                return Ok((Some(saved), plan));
            }
            Err(error) => {
                if let Some(error) = newer.replace(error) {
                    complain(format_args!("{error:#}; the checkpoint before it is tried"));
                }
            }
        }
    }
    let error = newer.unwrap_or_else(|| anyhow!("there is no checkpoint"));
    Err(error.context("no checkpoint is whole, so begin anew with --overwrite"))
}

/// Tells what has changed in the config, and refuses what may not.
fn check_plan(saved: &Saved, plan: &Plan) -> Result<(), UsageError> {
    let changes = changes(&saved.config, &plan.config);
    check(&changes)?;
    let numbers = &saved.numbers;
    let begun = numbers.epochs + usize::from(numbers.step > 0);
    if plan.config.train.epochs < begun {
        return Err(UsageError(format!(
            "train.epochs is {}, but the run is in epoch {begun} already; give at least {begun}, or begin \
             anew with --overwrite",
            plan.config.train.epochs
        )));
    }
    for change in &changes {
        let rounding = match change.kind() {
            Kind::Rounding => {
                "; the last bits may differ from those of a run that was never stopped"
            }
            _ => "",
        };
        note(format_args!("Changed since: {change}{rounding}"));
    }
    Ok(())
}

/// Refuses data that are no longer those of the checkpoint.
///
/// # Errors
/// When there are more or fewer images, or other ones.
pub fn check_data(saved: &Saved, data: &Dataset) -> Result<(), UsageError> {
    check_images(saved, data)?;
    check_content(saved, data)
}

/// Gives the trainer what it had learned. `now` is the history of a run that would begin here.
///
/// # Errors
/// When the checkpoint is of another model, which its config does not say.
pub fn restore(
    mut saved: Saved,
    folder: &RunFolder,
    trainer: &mut Trainer,
    now: &History,
) -> anyhow::Result<TrainingState> {
    tell_what_computes(&saved.history, now);
    saved.history = saved.history.going_on(now);
    let mut state = saved.restore(trainer).context("the checkpoint does not fit")?;
    state.timings = timings(folder).unwrap_or_default();
    state.timings.truncate(state.epochs());
    Ok(state)
}

/// Images that came or went would change every order.
fn check_images(saved: &Saved, data: &Dataset) -> Result<(), UsageError> {
    let now = [data.train.len(), data.test.len()];
    match saved.numbers.images {
        Some(before) if before != now => Err(UsageError(format!(
            "there were {} training and {} test images, and are now {} and {}; put them back, or begin \
             anew with --overwrite",
            before[0], before[1], now[0], now[1]
        ))),
        _ => Ok(()),
    }
}

/// A file with another content would make it another run.
fn check_content(saved: &Saved, data: &Dataset) -> Result<(), UsageError> {
    let changed = saved.digests.as_ref().map(|digests| data.changed_since(digests));
    let Some([first, more @ ..]) = changed.as_deref() else { return Ok(()) };
    let more = match more.len() {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    Err(UsageError(format!(
        "{}{more} is not what it was when this run began; put the same data back, or begin anew with \
         --overwrite",
        first.display()
    )))
}

/// Another processor, or another version of a library, rounds differently.
fn tell_what_computes(before: &History, now: &History) {
    let computes = |history: &History| {
        let History { engine, device, versions, .. } = history;
        let (convae, libtorch) = (&versions.convae, &versions.libtorch);
        format!("{engine} on {device}, convae {convae}, libtorch {libtorch}")
    };
    let (before, now) = (computes(before), computes(now));
    if before != now {
        note(format_args!(
            "So far {before} computed, from now on {now}: the last bits may differ from those of a run \
             that was never stopped"
        ));
    }
}

/// As the process before left them; a file that is missing or damaged costs nothing but itself.
fn timings(folder: &RunFolder) -> Option<Timings> {
    serde_json::from_slice(&fs::read(folder.timings()).ok()?).ok()
}
