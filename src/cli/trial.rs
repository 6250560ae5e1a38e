//! `convae try`: a folder of noisy images and no clean ones; looks, chooses, trains, and shows the result.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use tch::Device;

use super::train::{Train, earlier, train};
use crate::config::Source;
use crate::data::Dataset;
use crate::data::survey::{Noise, Survey};
use crate::engine::choose_device;
use crate::plan::Plan;
use crate::report::trial::{TrialPage, TrialWords};
use crate::run::folder::RunFolder;
use crate::run::trial::{Choice, findings, left_out, seconds_an_image};
use crate::system::exit::UsageError;
use crate::system::terminal::note;
use crate::system::text_file;

/// Share of the time that the measured steps take, and the most of it.
const MEASURING: f64 = 0.02;
const MOST_MEASURING: f64 = 3.0;
/// Share of the time after which training stops at the latest: images and pages take the rest.
const TRAINING: f64 = 0.95;
/// Share of what is left of that after measuring that training is planned for: the page and checkpoints take some, and
/// the machine may be slower later.
const PLANNED: f64 = 0.9;
/// Images that the measured steps cut patches from.
const PACED: usize = 16;

/// Learns to remove the noise of a folder of images that nobody has clean versions of.
#[derive(Debug, Args)]
pub struct Try {
    /// Folder of noisy images, searched recursively: PNG, JPEG, BMP, TIFF, WebP or PNM. One image is enough.
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,
    /// Minutes that all of it may take; training is as long as fits, and stops when 95 % of them are over.
    #[arg(long, value_name = "MINUTES", default_value = "10")]
    pub minutes: f64,
    /// Folder for the run's files, instead of runs/NAME, where NAME is the folder's.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Sets a key of the chosen config, like train.device=cpu; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
    /// Replaces the run that the folder already holds.
    #[arg(long)]
    pub overwrite: bool,
    /// Goes on with the run that the folder holds, as it was chosen then.
    #[arg(long)]
    pub resume: bool,
}

/// The time that there is.
fn time(minutes: f64) -> Result<Duration, UsageError> {
    /// A week.
    const MOST: f64 = 10_080.0;
    if minutes > 0.0 && minutes <= MOST {
        return Ok(Duration::from_secs_f64(60.0 * minutes));
    }
    Err(UsageError(format!(
        "--minutes is {minutes}, in which nothing can be learned; give more than 0, at most {MOST}"
    )))
}

/// What training needs to know beside its plan.
#[derive(Debug)]
pub(super) struct Trial {
    survey: Survey,
    noise: Noise,
    words: TrialWords,
    /// When training has to end.
    pub(super) deadline: Instant,
}

impl Trial {
    /// Writes the chosen config into the run's folder, which is this process's by now.
    pub(super) fn begin(
        &self,
        folder: &RunFolder,
        plan: &Plan,
        device: Device,
    ) -> anyhow::Result<TrialPage> {
        folder
            .write(&chosen_config(folder.dir(), &plan.config.name), self.words.config.as_bytes())?;
        Ok(TrialPage::new(folder, plan, device, &self.survey, &self.noise, self.words.clone())?)
    }
}

/// Looks at the folder, says what was found and what will be done, and trains.
///
/// # Errors
/// When the folder holds nothing to learn from, or as training does.
pub fn run(args: &Try) -> anyhow::Result<u8> {
    let deadline = Instant::now() + time(args.minutes)?.mul_f64(TRAINING);
    check_overrides(args)?;
    let name = name(&args.folder);
    let out = args.out.clone().unwrap_or_else(|| Path::new("runs").join(&name));
    let config = chosen_config(&out, &name);
    let before = args.resume.then(|| chosen_before(&config)).transpose()?;
    let call = call(args, &config, &out);
    let survey = Survey::of(&args.folder)?;
    let noise = worth_removing(&survey)?;
    let choice = noise.as_ref().map(|noise| Choice::of(&survey, noise, &name)).transpose()?;
    if let (Some(choice), None) = (&choice, &before) {
        let plan = plan(&choice.to_toml(), &config, &args.overrides)?;
        RunFolder::choose(&plan, call.out.as_deref(), earlier(&call)?)?;
    }
    let mut findings = findings(&survey);
    let left_out = left_out(&survey);
    let nothing_follows = choice.is_none();
    for (what, found) in findings.iter().chain(left_out.iter().filter(|_| nothing_follows)) {
        note(format_args!("{what:<11} {found}"));
    }
    findings.extend(left_out);
    let (Some(noise), Some(choice)) = (noise, choice) else {
        note(format_args!("It finds no noise worth removing, so nothing is trained or changed."));
        return Ok(0);
    };
    let (lead, text) = if let Some(text) = before {
        (format!("It goes on as chosen in {}.", config.display()), text)
    } else {
        let choice = fitted(choice, &config, args, deadline)?;
        (choice.sentence(), written(&choice, &config, args)?)
    };
    note(format_args!("{lead}"));
    let plan = plan(&text, &config, &args.overrides)?;
    let next = next_steps(args, &out, &name);
    let words = TrialWords { lead, findings, config: text, next };
    train(&call, plan, Some(&Trial { survey, noise, words, deadline }), None)
}

fn call(args: &Try, config: &Path, out: &Path) -> Train {
    Train {
        config: config.to_owned(),
        overrides: args.overrides.clone(),
        out: Some(out.to_owned()),
        overwrite: args.overwrite,
        resume: args.resume,
        fresh: false,
        trace: None,
        processes: None,
        attended: false,
    }
}

/// The name of the folder, as a run may have it.
fn name(folder: &Path) -> String {
    let real = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let written = real.file_name().unwrap_or_default().to_string_lossy();
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '-' };
    let name: String = written.chars().map(plain).take(60).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "images".to_owned() } else { name.to_owned() }
}

/// The noise, where there is enough of it.
fn worth_removing(survey: &Survey) -> Result<Option<Noise>, UsageError> {
    let folder = survey.folder.display();
    if survey.values.are_one() {
        return Err(UsageError(format!(
            "the images in {folder} have a single colour, so there is nothing to learn; name a folder of \
             photographs, scans or the like"
        )));
    }
    Choice::check(survey)?;
    let Some(noise) = &survey.noise else { return Ok(None) };
    Ok(noise.is_worth_removing(survey.values.span()).then(|| noise.clone()))
}

fn chosen_config(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.toml"))
}

fn chosen_before(config: &Path) -> anyhow::Result<String> {
    if !config.is_file() {
        let config = config.display();
        return Err(UsageError(format!(
            "{config} is missing, so there is nothing to go on with; leave out --resume"
        ))
        .into());
    }
    text_file::read(config).with_context(|| format!("{} cannot be read", config.display()))
}

fn plan(text: &str, config: &Path, overrides: &[String]) -> anyhow::Result<Plan> {
    Ok(Plan::new(Source::parse(text, &config.display().to_string(), overrides)?)?)
}

/// The run is found again by its name.
fn check_overrides(args: &Try) -> Result<(), UsageError> {
    let names = |set: &&String| set.split('=').next().is_some_and(|key| key.trim() == "name");
    match args.overrides.iter().find(names) {
        None => Ok(()),
        Some(set) => Err(UsageError(format!(
            "--set is {set}, and a run of `try` has the name of its folder; name another place with --out DIR"
        ))),
    }
}

/// The chosen config, with what the user set.
fn written(choice: &Choice, config: &Path, args: &Try) -> anyhow::Result<String> {
    let chosen = choice.to_toml();
    if args.overrides.is_empty() {
        return Ok(chosen);
    }
    let set: Vec<String> = args.overrides.iter().map(|set| format!("#   --set {set}\n")).collect();
    let set = set.concat();
    let config = plan(&chosen, config, &args.overrides)?.config.to_toml();
    Ok(format!("# Chosen by `convae try`, with\n{set}{config}"))
}

/// The choice, as long as there is time for.
fn fitted(choice: Choice, config: &Path, args: &Try, deadline: Instant) -> anyhow::Result<Choice> {
    let measuring = (60.0 * args.minutes * MEASURING).min(MOST_MEASURING);
    let mut overrides = args.overrides.clone();
    let held_out = choice.held_out();
    overrides.extend([
        format!("data.train_samples={PACED}"),
        format!("data.test_samples={held_out}"), // one alone may be damaged
    ]);
    let sample = choice.clone().lasting(1.0, 0.1);
    let plan = plan(&sample.to_toml(), config, &overrides)?.for_data()?;
    let data = Dataset::open(&plan.config.data, plan.objective()?.target)?;
    let device = choose_device(&plan.config.train.device)?;
    let image = seconds_an_image(&plan, &data, device, Duration::from_secs_f64(measuring))?;
    let left = deadline.saturating_duration_since(Instant::now()).as_secs_f64();
    Ok(choice.lasting(PLANNED * left, image * Choice::BATCH as f64))
}

/// What can be done with the model.
fn next_steps(args: &Try, out: &Path, name: &str) -> Vec<(String, String)> {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
    let path = |path: &Path| quoted(&path.display().to_string());
    let folder = path(&args.folder);
    let out_again = args.out.iter().map(|out| format!(" --out {}", path(out)));
    let sets = args.overrides.iter().map(|set| format!(" --set {}", quoted(set)));
    let options: Vec<String> = out_again.chain(sets).collect();
    let again = format!("convae try {folder} --minutes 60 --overwrite{}", options.concat());
    let checkpoint = path(&out.join(format!("{name}.pt")));
    vec![
        (
            "Clean all images of the folder:".to_owned(),
            format!("convae apply --checkpoint {checkpoint} --out cleaned {folder}"),
        ),
        ("Train longer, for a better result:".to_owned(), again),
        (
            "Train the same again, or change its config:".to_owned(),
            format!("convae --config {} --out runs/again", path(&chosen_config(out, name))),
        ),
    ]
}
