//! `convae --config FILE`: from a config to weights and pictures.

use std::path::Path;
use std::time::Instant;

use anyhow::Context;

use crate::cli::Train;
use crate::config::Source;
use crate::corruption::Split;
use crate::data::Dataset;
use crate::exit::Misuse;
use crate::history_csv::HistoryCsv;
use crate::output::note;
use crate::plan::Plan;
use crate::resume::FolderKeeper;
use crate::run_folder::{Earlier, RunFolder};
use crate::run_report::write_report;
use crate::saved_model::{rescued, save_model};
use crate::showcase::write_pictures;
use crate::summary::summary;
use crate::tensorboard::{self, TensorBoard};
use crate::trace::Trace;
use crate::train::{
    History, Learner, Observer, Outcome, Progress, TrainError, TrainingState, choose_device, feed,
    fit,
};
use crate::{exit, interrupt};

use super::go_on;

/// Trains, saves, draws.
///
/// # Errors
/// When the config, the data or the folder is refused, training diverges, or a file cannot be
/// written.
pub fn run(args: &Train) -> anyhow::Result<u8> {
    let earlier = earlier(args)?;
    let plan = Plan::new(Source::open(&args.config, &args.overrides)?)?;
    let device = choose_device(&plan.config.train.device)?;
    let folder = RunFolder::choose(&plan, args.out.as_deref(), earlier)?;
    args.trace.as_deref().map(Trace::check).transpose()?;
    // Held already while checkpoints are read; where there are none, no folder is made for bad data.
    let held = (args.resume && folder.dir().is_dir()).then(|| folder.open(earlier)).transpose()?;
    let saved = if args.resume { go_on::find(&folder, &plan)? } else { None };
    let opening = Instant::now();
    let data = Dataset::open(&plan.config.data, plan.input_shape)?;
    if let Some(saved) = &saved {
        go_on::check_data(saved, &data)?;
    }
    let opening = opening.elapsed().as_secs_f64();
    let _lock = held.map_or_else(|| folder.open(earlier), Ok)?;
    folder.write_config(&plan)?;
    interrupt::install().context("Ctrl-C cannot be watched for")?;
    if args.attended {
        interrupt::when_stdin_ends();
    }

    let mut learner = Learner::new(&plan, device)?;
    let mut history = History::new(&plan, &learner);
    history.skipped_files = data.train.skipped() + data.test.skipped();
    history.pictures = [data.train.len(), data.test.len()];
    introduce(&plan, &data, &learner);
    let goes_on = saved.is_some();
    let mut state = match saved {
        Some(saved) => go_on::restore(saved, &folder, &mut learner, &history)?,
        None => TrainingState::new(history),
    };
    state.digests = Some(data.digests());
    let mut progress = Progress::new(plan.config.train.epochs);
    let mut trace =
        args.trace.as_deref().map(|dir| Trace::begin(dir, &plan, &data, &learner)).transpose()?;
    let steps = feed(&plan, &data.train, Split::Train).steps();
    let mut keeper = FolderKeeper::new(&plan, &folder, steps, goes_on);
    let mut views = Views::begin(&folder, &plan, &state.history)?;
    let observers: &mut [&mut dyn Observer] =
        &mut [&mut progress, &mut trace, &mut views.tensorboard, &mut views.csv];
    let outcome = fit(&plan, &data, &mut learner, &mut state, observers, &mut keeper);
    progress.end();
    let (outcome, lost) = match outcome {
        Ok(outcome) => (outcome, None),
        // What was learned before is worth as much as after Ctrl-C.
        Err(TrainError::Data(error)) => (Outcome::Interrupted, Some(error)),
        Err(TrainError::Unkept(error)) => return Err(error),
        Err(error) => return Err(error.into()),
    };
    let mut history = state.history;
    history.interrupted = outcome == Outcome::Interrupted;

    save_weights(&folder, &plan, &learner, &history)?;
    write_history(&folder, &history)?;
    if let Some(error) = lost {
        let saved =
            format!("what was learned is saved in {}; --resume goes on", folder.dir().display());
        return Err(anyhow::Error::from(error).context(saved));
    }
    let drawing = Instant::now();
    write_pictures(&folder, &plan, &data.test, &mut learner, &history)?;
    views.end(&folder, &history);
    if plan.config.output.report {
        let phases = [("opening the data", opening), ("pictures", drawing.elapsed().as_secs_f64())];
        let phases = phases.map(|(what, seconds)| (what.to_owned(), seconds)).to_vec();
        write_report(&folder, &plan, &data.test, &mut learner, phases)?;
    } else {
        folder.remove(&folder.report())?;
    }
    if let (Some(trace), Outcome::Finished) = (trace, outcome) {
        trace.finish(&plan, &data, &mut learner)?;
    }
    let code = conclude(&folder, &history);
    // What was asked for and could not be written was said when it happened.
    Ok(if code == 0 && views.failed() { exit::FAILED } else { code })
}

/// What is written of the training on request, while it goes on.
struct Views {
    tensorboard: Option<TensorBoard>,
    csv: Option<HistoryCsv>,
}

impl Views {
    /// Opens what the plan asks for, and removes what an earlier run left of the rest; a run that goes
    /// on adds to what it wrote `before`.
    fn begin(folder: &RunFolder, plan: &Plan, before: &History) -> anyhow::Result<Self> {
        let (events, csv) = (folder.tensorboard(), folder.csv());
        let output = &plan.config.output;
        let tensorboard = if output.tensorboard {
            Some(TensorBoard::begin(&events, before.epochs.len())?)
        } else {
            tensorboard::remove(&events)?;
            None
        };
        let csv = if output.csv {
            Some(HistoryCsv::begin(&csv, &before.epochs).with_context(|| {
                format!("{} cannot be written; name another folder with --out DIR", csv.display())
            })?)
        } else {
            folder.remove(&csv)?;
            None
        };
        Ok(Self { tensorboard, csv })
    }

    /// Adds the pictures that the run ends with.
    fn end(&mut self, folder: &RunFolder, history: &History) {
        if let Some(tensorboard) = &mut self.tensorboard {
            tensorboard.picture("test_pictures", &folder.picture("grid"), history.epochs.len());
        }
    }

    fn failed(&self) -> bool {
        self.tensorboard.as_ref().is_some_and(TensorBoard::failed)
            || self.csv.as_ref().is_some_and(HistoryCsv::failed)
    }
}

fn earlier(args: &Train) -> Result<Earlier, Misuse> {
    match (args.resume, args.overwrite, &args.trace) {
        (true, true, _) => Err(Misuse(
            "--resume goes on with a run and --overwrite replaces it; give one of the two".to_owned(),
        )),
        (true, _, Some(_)) => Err(Misuse(
            "--trace records a run from its beginning, so it does not go with --resume; leave one out"
                .to_owned(),
        )),
        (true, _, None) => Ok(Earlier::GoesOn),
        (_, true, _) => Ok(Earlier::Goes),
        _ => Ok(Earlier::Stays),
    }
}

/// What is about to happen.
fn introduce(plan: &Plan, data: &Dataset, learner: &Learner) {
    let train = &plan.config.train;
    for line in summary(plan).lines() {
        note(format_args!("{line}"));
    }
    note(format_args!(
        "Training on {} pictures, validating on {}: {} epoch(s), batch size {}, {}, {}, {} on {}, \
         engine {}",
        data.train.len(),
        data.test.len(),
        train.epochs,
        train.batch_size,
        train.optimizer.name(),
        train.loss.name(),
        train.dtype.name(),
        learner.device_name(),
        learner.engine_name(),
    ));
    note(format_args!("Ctrl-C stops after the current step and saves; twice stops at once"));
}

fn save_weights(
    folder: &RunFolder,
    plan: &Plan,
    learner: &Learner,
    history: &History,
) -> anyhow::Result<()> {
    let save = |path: &Path| save_model(path, plan, learner, history);
    if let Err(error) = save(&folder.weights("pt")) {
        return Err(match rescued(plan, save) {
            Some(path) => error.context(format!("the weights are in {} instead", path.display())),
            None => error,
        });
    }
    let safetensors = folder.weights("safetensors");
    if plan.config.output.safetensors { save(&safetensors) } else { folder.remove(&safetensors) }
}

fn write_history(folder: &RunFolder, history: &History) -> anyhow::Result<()> {
    let json = serde_json::to_string_pretty(history).context("the history is not JSON")?;
    folder.write(&folder.history(), json.as_bytes())
}

/// Says where everything is; the exit code tells whether the run was cut short.
fn conclude(folder: &RunFolder, history: &History) -> u8 {
    let dir = folder.dir().display();
    let page = if folder.report().is_file() { "; all on one page: report.html" } else { "" };
    if history.interrupted {
        let done = history.epochs.len();
        note(format_args!(
            "Interrupted after {done} whole epoch(s); what was learned is saved in {dir}, and the same \
             command with --resume goes on"
        ));
        return exit::INTERRUPTED;
    }
    note(format_args!("Saved in {dir}: weights, pictures, history.json and config.toml{page}"));
    0
}
