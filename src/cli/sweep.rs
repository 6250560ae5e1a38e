//! `convae sweep`: a config trained with every combination of some values, and the runs compared.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::Args;
use clap::builder::RangedU64ValueParser;

use crate::config::node::Node;
use crate::config::schema::Section;
use crate::config::{self, Config, ConfigError, Source};
use crate::engine::choose_device;
use crate::plan::Plan;
use crate::report::write_comparison;
use crate::run::comparison::{Comparison, changed, dotted};
use crate::run::sweep::{
    Base, Combination, Grid, Job, Outcome, Record, State, change_in_words, supervise,
};
use crate::system::exit::{self, UsageError};
use crate::system::interrupt;
use crate::system::output_folder;
use crate::system::terminal as output;
use crate::system::terminal::note;

/// Trains a config once for every combination of some values, and compares the runs.
///
/// The same call again goes on where it stopped, however it was stopped; with more values it adds
/// their runs.
#[derive(Debug, Args)]
pub struct Sweep {
    /// The experiment, looked for here and then under configs/.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Values of a key, like train.batch_size=32,64; repeated, every combination is trained. Commas
    /// within brackets and quotes belong to a value.
    #[arg(long, required = true, value_name = "KEY=VALUE,...")]
    pub grid: Vec<String>,
    /// Sets a key of the config for all runs, like train.epochs=3; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
    /// Runs at once; these share the cores.
    #[arg(long, value_name = "COUNT", default_value_t = 1,
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=256))]
    pub jobs: usize,
    /// Folder for the runs' folders and their comparison, instead of runs/NAME-sweep.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Plans every combination, trains what is not trained yet, compares all.
///
/// # Errors
/// When the grid, one of its combinations or the folder is refused, or a file cannot be written. A
/// run that fails is no error of the sweep's: the exit code tells.
pub fn run(args: &Sweep) -> anyhow::Result<u8> {
    let grid = Grid::parse(&args.grid)?;
    let combinations = grid.combinations()?;
    let tree = config::read(&args.config, &args.overrides)?;
    let plans = plans(&tree, &combinations)?;
    let folder = folder(args, &plans[0]);

    let base = Base::of(&tree);
    let (mut record, _lock) = open(&folder, &base)?;
    record.extend(&base, &grid, &combinations, &folder)?;
    let all = jobs(&folder, &record, plans, args.jobs)?;
    let left: Vec<Job> =
        all.iter().filter(|job| !is_finished(&folder, &record, job)).cloned().collect();
    record.write(&folder)?;
    interrupt::install().context("Ctrl-C cannot be watched for")?;

    introduce(&folder, &all, &left, args.jobs);
    if supervise(&folder, &mut record, left, args.jobs)? == Outcome::Interrupted {
        say_how_to_go_on(&folder, &record, &all);
        return Ok(exit::INTERRUPTED);
    }
    compare(&folder, &record)?;
    Ok(conclude(&record, &all))
}

/// The plan of every combination, so that a mistake shows before anything runs.
fn plans(tree: &Node, combinations: &[Combination]) -> anyhow::Result<Vec<Plan>> {
    let mut plans: Vec<Plan> = Vec::with_capacity(combinations.len());
    for combination in combinations {
        let name = &combination.name;
        let plan = plan(tree, combination)
            .with_context(|| format!("the combination {name} is refused"))?;
        if let Some(twin) = plans.iter().position(|other| other.config == plan.config) {
            return Err(UsageError(format!(
                "the combinations {} and {name} are the same config; leave one of them out of --grid",
                combinations[twin].name
            ))
            .into());
        }
        plans.push(plan);
    }
    Ok(plans)
}

fn plan(tree: &Node, combination: &Combination) -> anyhow::Result<Plan> {
    let mut tree = tree.clone();
    for setting in &combination.settings {
        tree.set(setting).map_err(as_typed)?;
    }
    let trainable = |plan: Plan| plan.objective().map(|_| plan);
    let plan = Source::of(tree).and_then(Plan::new).and_then(trainable).map_err(|error| {
        let mine =
            combination.settings.iter().any(|setting| error.place == format!("--set {setting}"));
        if mine { as_typed(error) } else { error }
    })?;
    choose_device(&plan.config.train.device)?;
    Ok(plan)
}

/// The user wrote `--grid`, not `--set`.
fn as_typed(error: ConfigError) -> ConfigError {
    let place = error.place.replacen("--set", "--grid", 1);
    ConfigError { place, ..error }
}

fn folder(args: &Sweep, first: &Plan) -> PathBuf {
    let Config { name, output, .. } = &first.config;
    args.out.clone().unwrap_or_else(|| output.dir.join(format!("{name}-sweep")))
}

/// The record of the sweep that the folder holds, or a new one, with a lock that keeps another sweep
/// out while it lives.
fn open(folder: &Path, base: &Base) -> anyhow::Result<(Record, File)> {
    output_folder::check(folder)?;
    let shown = folder.display();
    let record = match Record::read(folder)? {
        Some(record) => record,
        None if is_empty(folder) => Record::new(base.clone()),
        None => {
            return Err(UsageError(format!(
                "{shown} holds other files than a sweep's; name a new folder with --out DIR"
            ))
            .into());
        }
    };
    output_folder::make(folder)?;
    let lock = File::open(folder).with_context(|| format!("{shown} cannot be read"))?;
    match lock.try_lock() {
        Ok(()) => Ok((record, lock)),
        Err(std::fs::TryLockError::WouldBlock) => Err(anyhow!(
            "another sweep is at work in {shown}; wait for it, or name another folder with --out DIR"
        )),
        Err(std::fs::TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("{shown} cannot be locked"))
        }
    }
}

/// Whether nothing is there, or a folder with nothing in it.
fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none())
}

/// The runs of this call, in the order of the record, each with the config that it has or will have: a
/// run that began keeps its number of threads, on which its last digits depend; others share the
/// cores.
fn jobs(
    folder: &Path,
    record: &Record,
    plans: Vec<Plan>,
    at_once: usize,
) -> anyhow::Result<Vec<Job>> {
    let share = (at_once > 1).then(|| threads_of_each(at_once));
    let mut jobs = Vec::with_capacity(plans.len());
    for (run, plan) in record.runs.iter().zip(plans) {
        let mut config = plan.config;
        let path = folder.join(&run.name).join("config.toml");
        if run.state != State::Waiting && path.exists() {
            let before = Source::open(&path, &[])?.config;
            config.train.threads = before.train.threads;
            check_unchanged(&path, &before, &config)?;
        } else if config.train.threads.is_none() {
            config.train.threads = share;
        }
        jobs.push(Job { name: run.name.clone(), config });
    }
    Ok(jobs)
}

fn threads_of_each(at_once: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (cores / at_once).max(1)
}

/// Refuses to go on with a run whose config is another one now.
fn check_unchanged(path: &Path, before: &Config, now: &Config) -> Result<(), UsageError> {
    let (before, now) = (dotted(&before.write_table()), dotted(&now.write_table()));
    let Some((key, before, now)) = changed(&before, &now) else { return Ok(()) };
    Err(UsageError(format!(
        "{} has {}; put it back, or name another folder with --out DIR",
        path.display(),
        change_in_words(key, before, now)
    )))
}

/// Whether the run has ended well, and its files are still there.
fn is_finished(folder: &Path, record: &Record, job: &Job) -> bool {
    record.state(&job.name) == Some(State::Finished)
        && folder.join(&job.name).join("history.json").exists()
}

/// What is about to happen.
fn introduce(folder: &Path, all: &[Job], left: &[Job], at_once: usize) {
    let (count, shown) = (all.len(), folder.display());
    if left.is_empty() {
        note(format_args!("All {count} run(s) in {shown} are finished already"));
        return;
    }
    let finished = match count - left.len() {
        0 => String::new(),
        finished => format!(", {finished} of them finished already"),
    };
    let order = match at_once.min(left.len()) {
        1 => "one after the other".to_owned(),
        at_once => format!("{at_once} at once"),
    };
    note(format_args!("{count} run(s) in {shown}{finished}; {order}"));
    let mut threads: Vec<_> = left.iter().map(|job| job.config.train.threads).collect();
    threads.sort_unstable();
    threads.dedup();
    match threads.as_slice() {
        [None] if at_once == 1 => {}
        [Some(threads)] => note(format_args!("Each run has {threads} thread(s): train.threads")),
        _ => note(format_args!(
            "Runs keep the threads that they have or began with (train.threads); a run without that \
             key has one for each core"
        )),
    }
    note(format_args!("Ctrl-C stops the runs after their steps and saves; the same call goes on"));
}

fn say_how_to_go_on(folder: &Path, record: &Record, all: &[Job]) {
    let count =
        |wanted: State| all.iter().filter(|job| record.state(&job.name) == Some(wanted)).count();
    note(format_args!(
        "Interrupted: of {} run(s) in {} {} are finished, {} were stopped and saved; call the same \
         command again to go on",
        all.len(),
        folder.display(),
        count(State::Finished),
        count(State::Interrupted)
    ));
}

/// Prints and writes the comparison of all runs that the folder holds.
fn compare(folder: &Path, record: &Record) -> anyhow::Result<()> {
    let runs = record.read_runs(folder)?;
    let comparison = Comparison::of(runs);
    output::print(&format!("\n{}", comparison.table()))?;
    let (json, image) = (folder.join("compare.json"), folder.join("compare.png"));
    output_folder::write(&json, &comparison.json()?)?;
    write_comparison(&image, &comparison)?;
    let shown = folder.display();
    note(format_args!(
        "Saved in {shown}: a folder for each run, compare.png, compare.json and logs"
    ));
    Ok(())
}

/// The exit code tells whether a run of this call failed; which and why was said when it did.
fn conclude(record: &Record, all: &[Job]) -> u8 {
    let failed = all.iter().filter(|job| record.state(&job.name) == Some(State::Failed)).count();
    if failed == 0 {
        return 0;
    }
    output::complain(format_args!(
        "{failed} of {} run(s) failed; the same command again tries them once more",
        all.len()
    ));
    exit::FAILED
}
