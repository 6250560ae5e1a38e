//! `convae --config FILE`: from a config to weights and images.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use clap::Args;
use clap::builder::RangedU64ValueParser;

use super::processes;
use super::resume;
use super::trial::Trial;
use crate::config::Source;
use crate::config::method::Method;
use crate::data::Dataset;
use crate::data::corruption::Split;
use crate::engine::choose_device_of;
use crate::infer::model_file::{rescued, save_model};
use crate::plan::Plan;
use crate::plan::loader;
use crate::report::run_report::write_report;
use crate::report::showcase::write_images;
use crate::report::summary::summary;
use crate::run::folder::{Existing, RunFolder};
use crate::run::resume::FolderKeeper;
use crate::system::exit;
use crate::system::exit::UsageError;
use crate::system::interrupt;
use crate::system::ranks::{Place, Ranks};
use crate::system::terminal::note;
use crate::train::history_csv::HistoryCsv;
use crate::train::parity_trace::Trace;
use crate::train::tensorboard::{self, TensorBoard};
use crate::train::together;
use crate::train::{History, Observer, Outcome, Progress, TrainError, Trainer, TrainingState, fit};

/// Trains the model that a config describes.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools)] // each is a flag of its own
pub struct Train {
    /// The experiment, looked for here and then under configs/.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Sets a key of the config, like train.epochs=3; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
    /// Folder for the run's files, instead of runs/NAME.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Replaces the run that the folder already holds.
    #[arg(long)]
    pub overwrite: bool,
    /// Goes on with the run that the folder holds, from its last checkpoint.
    #[arg(long)]
    pub resume: bool,
    /// Starts from random weights, whatever model.weights says.
    #[arg(long)]
    pub fresh: bool,
    /// Also writes all that a replay in Keras needs, to an empty folder.
    #[arg(long, value_name = "DIR")]
    pub trace: Option<PathBuf>,
    /// Trains in so many processes on this machine, which share each batch and the cores; 1 is alone, whatever the
    /// environment says.
    #[arg(long, value_name = "COUNT", value_parser = RangedU64ValueParser::<usize>::new().range(1..=256))]
    pub processes: Option<usize>,
    /// Stops, as by Ctrl-C, when standard input ends: for a sweep's runs, whose sweep holds it open.
    #[arg(long, hide = true)]
    pub attended: bool,
}

pub(super) fn plan(args: &Train) -> anyhow::Result<Plan> {
    let mut source = Source::open(&args.config, &args.overrides)?;
    if args.fresh {
        source.config.model.weights = None;
    }
    Ok(Plan::new(source)?)
}

/// Trains, saves, draws.
///
/// # Errors
/// When the config, the data or the folder is refused, training diverges, or a file cannot be
/// written.
pub fn run(args: &Train) -> anyhow::Result<u8> {
    earlier(args)?;
    if args.processes == Some(1) {
        return train(args, plan(args)?, None, None);
    }
    match (args.processes, Place::of_environment()?) {
        (Some(count), Some(place)) => Err(UsageError(format!(
            "--processes {count} starts processes, and the environment says that this is rank {} of {} already (RANK and \
             WORLD_SIZE, or Slurm's variables); leave one out, or train alone with --processes 1",
            place.rank, place.size
        ))
        .into()),
        (Some(count), None) => processes::start(args, count),
        (None, Some(place)) => processes::take_part(args, place),
        (None, None) => train(args, plan(args)?, None, None),
    }
}

/// The same with a plan that is there already: for a `trial` with a page of its own, or as rank 0 of several processes.
pub(super) fn train(
    args: &Train,
    plan: Plan,
    trial: Option<&Trial>,
    ranks: Option<&Arc<Ranks>>,
) -> anyhow::Result<u8> {
    let earlier = earlier(args)?;
    plan.loss()?;
    let plan = plan.for_data()?;
    let target = plan.objective()?.target;
    let local_rank = ranks.map_or(0, |ranks| ranks.place().local_rank);
    let device = choose_device_of(&plan.config.train.device, local_rank)?;
    let folder = RunFolder::choose(&plan, args.out.as_deref(), earlier)?;
    args.trace.as_deref().map(|dir| Trace::check(dir, &plan)).transpose()?;
    // Held already while checkpoints are read; where there are none, no folder is made for bad data.
    let held = (args.resume && folder.dir().is_dir()).then(|| folder.open(earlier)).transpose()?;
    let (saved, plan) = if args.resume { resume::find(&folder, plan)? } else { (None, plan) };
    let opening = Instant::now();
    let data = Dataset::open(&plan.config.data, target)?;
    let plan = plan.with_scale_of(&data)?;
    plan.check_batches(&data.train)?;
    plan.check_batches(&data.test)?;
    if let Some(saved) = &saved {
        resume::check_data(saved, &data)?;
    }
    if let Some(ranks) = ranks {
        processes::check(ranks, &plan, &data, device)?;
    }
    let opening = opening.elapsed().as_secs_f64();
    let _lock = held.map_or_else(|| folder.open(earlier), Ok)?;
    folder.write_config(&plan)?;
    interrupt::install().context("Ctrl-C cannot be watched for")?;
    if args.attended {
        interrupt::when_stdin_ends();
    }
    let mut page = trial.map(|trial| trial.begin(&folder, &plan, device)).transpose()?;
    if let Some(trial) = trial {
        interrupt::when_time_is_over(trial.deadline.saturating_duration_since(Instant::now()));
    }

    let mut trainer = Trainer::new(&plan, device)?;
    if let Some(ranks) = ranks {
        trainer.join(Arc::clone(ranks));
    }
    let history = history_of(&plan, &data, &trainer, ranks);
    introduce(&plan, &data, &history);
    let goes_on = saved.is_some();
    let mut state = if let Some(saved) = saved {
        resume::restore(saved, &folder, &mut trainer, &history)?
    } else {
        trainer.start(&plan)?;
        TrainingState::new(history)
    };
    state.digests = Some(data.digests());
    if let Some(ranks) = ranks {
        together::share_state(ranks, &mut trainer, Some(&state))?;
    }
    let mut progress = Progress::new(plan.config.train.epochs);
    let mut trace =
        args.trace.as_deref().map(|dir| Trace::begin(dir, &plan, &data, &trainer)).transpose()?;
    let steps = loader(&plan, &data.train, Split::Train).steps();
    let mut checkpointer = FolderKeeper::new(&plan, &folder, steps, goes_on);
    if goes_on {
        checkpointer.prune(&state)?;
    }
    let mut views = Views::begin(&folder, &plan, &state.history)?;
    let observers: &mut [&mut dyn Observer] =
        &mut [&mut progress, &mut trace, &mut views.tensorboard, &mut views.csv, &mut page];
    let outcome = fit(&plan, &data, &mut trainer, &mut state, observers, &mut checkpointer);
    progress.end();
    if let (Some(ranks), Ok(_)) = (ranks, &outcome) {
        ranks.finish();
    }
    let (outcome, lost) = match outcome {
        Ok(outcome) => (outcome, None),
        // What was learned before is worth as much as after Ctrl-C.
        Err(TrainError::Data(error)) => (Outcome::Interrupted, Some(error)),
        Err(TrainError::Unkept(error)) => return Err(error),
        Err(error) => return Err(error.into()),
    };
    let mut history = state.history;
    history.interrupted = outcome == Outcome::Interrupted;

    save_weights(&folder, &plan, &trainer, &history)?;
    write_history(&folder, &history)?;
    if let Some(error) = lost {
        let saved =
            format!("what was learned is saved in {}; --resume goes on", folder.dir().display());
        return Err(anyhow::Error::from(error).context(saved));
    }
    let drawing = Instant::now();
    write_images(&folder, &plan, &data.test, &mut trainer.predictor, &history)?;
    views.end(&folder, &history);
    if plan.config.output.report {
        let phases = [("opening the data", opening), ("images", drawing.elapsed().as_secs_f64())];
        let phases = phases.map(|(what, seconds)| (what.to_owned(), seconds)).to_vec();
        write_report(&folder, &plan, &data.test, &mut trainer.predictor, phases)?;
    } else {
        folder.remove(&folder.report())?;
    }
    if let (Some(trace), Outcome::Finished) = (trace, outcome) {
        trace.finish(&plan, &data, &mut trainer)?;
    }
    let code = conclude(&folder, &history);
    if let Some(page) = &mut page {
        page.end(trainer.predictor.parameters(), ending(&history));
        note(format_args!("Before and after, to judge by: {}", page.path().display()));
    }
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

    /// Adds the images that the run ends with.
    fn end(&mut self, folder: &RunFolder, history: &History) {
        if let Some(tensorboard) = &mut self.tensorboard {
            tensorboard.add_image("test_images", &folder.image("grid"), history.epochs.len());
        }
    }

    fn failed(&self) -> bool {
        self.tensorboard.as_ref().is_some_and(TensorBoard::failed)
            || self.csv.as_ref().is_some_and(HistoryCsv::failed)
    }
}

pub(super) fn earlier(args: &Train) -> Result<Existing, UsageError> {
    match (args.resume, args.overwrite, &args.trace) {
        (true, true, _) => Err(UsageError(
            "--resume goes on with a run and --overwrite replaces it; give one of the two".to_owned(),
        )),
        (true, _, Some(_)) => Err(UsageError(
            "--trace records a run from its beginning, so it does not go with --resume; leave one out"
                .to_owned(),
        )),
        (true, _, None) => Ok(Existing::Resume),
        (_, true, _) => Ok(Existing::Replace),
        _ => Ok(Existing::Refuse),
    }
}

/// Of a run that has not begun.
fn history_of(
    plan: &Plan,
    data: &Dataset,
    trainer: &Trainer,
    ranks: Option<&Arc<Ranks>>,
) -> History {
    let mut history = History::new(plan, trainer);
    history.skipped_files = data.train.skipped() + data.test.skipped();
    history.images = [data.train.len(), data.test.len()];
    if let Some(ranks) = ranks {
        history.engine = format!("{}, {} processes", history.engine, ranks.place().size);
    }
    history
}

/// What is about to happen.
fn introduce(plan: &Plan, data: &Dataset, history: &History) {
    let train = &plan.config.train;
    for line in summary(plan).lines() {
        note(format_args!("{line}"));
    }
    note(format_args!(
        "Training on {} images, validating on {}: {} epoch(s), batch size {}, {}, {}, {} on {}, \
         engine {}",
        data.train.len(),
        data.test.len(),
        train.epochs,
        train.batch_size,
        train.optimizer.name(),
        train.loss.name(),
        train.dtype.name(),
        history.device,
        history.engine,
    ));
    if let Some(sentence) = data.train.target().said() {
        note(format_args!("{sentence}"));
    }
    if !matches!(train.method, Method::Supervised(_)) {
        note(format_args!(
            "Method {}: the targets are the noisy images, and losses are the method's own",
            train.method.name()
        ));
    }
    note(format_args!("Ctrl-C stops after the current step and saves; twice stops at once"));
}

fn save_weights(
    folder: &RunFolder,
    plan: &Plan,
    trainer: &Trainer,
    history: &History,
) -> anyhow::Result<()> {
    let save = |path: &Path| save_model(path, plan, &trainer.predictor, history);
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
    if history.interrupted && interrupt::time_is_over() {
        note(format_args!(
            "The time is over; what was learned is saved in {dir}, and the same command with --resume \
             goes on"
        ));
        return 0;
    }
    if history.interrupted {
        let done = history.epochs.len();
        note(format_args!(
            "Interrupted after {done} whole epoch(s); what was learned is saved in {dir}, and the same \
             command with --resume goes on"
        ));
        return exit::INTERRUPTED;
    }
    note(format_args!("Saved in {dir}: weights, images, history.json and config.toml{page}"));
    0
}

/// How a training ended, for its page.
fn ending(history: &History) -> &'static str {
    match history.interrupted {
        false => "Finished.",
        true if interrupt::time_is_over() => "The time was over before the last epoch.",
        true => "Interrupted; the same command with --resume goes on.",
    }
}
