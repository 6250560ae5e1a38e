//! What the user sees while the runs train: a line for each run at work and one for all on a
//! terminal, else a line for each thing that happens.

use std::io::{IsTerminal, stdout};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Job, State};
use crate::system::terminal::note;

const RUN_STYLE: &str = "{prefix}  {wide_msg}";
const ALL_STYLE: &str = "{bar:30} {msg}";
/// Steps of the bar of all runs.
const FINENESS: u64 = 1000;

/// The progress of a sweep.
pub(super) struct Progress {
    runs: Vec<Tracked>,
    started: Instant,
    /// `None` where lines are written instead.
    bars: Option<Bars>,
}

/// One run.
struct Tracked {
    name: String,
    epochs: usize,
    /// Epochs that it had when this call began: a continued run does not begin at 0.
    before: Option<f64>,
    /// Epochs that it has now.
    done: f64,
    ended: bool,
    /// Whether it was said that it has to wait.
    waits: bool,
    bar: Option<ProgressBar>,
}

struct Bars {
    all: ProgressBar,
    group: MultiProgress,
}

/// What a training's line says: `epoch 2/3  100/1875  loss 0.1234 ...`.
#[derive(Debug, PartialEq)]
struct Line {
    /// Epochs trained, the part of the present one included.
    done: f64,
    /// The last whole epoch before this line.
    whole: f64,
    /// Whether it tells of a whole epoch.
    epoch_ends: bool,
}

impl Progress {
    /// Of runs that have not begun.
    pub(super) fn new(jobs: &[Job]) -> Self {
        let tracked = |job: &Job| Tracked {
            name: job.name.clone(),
            epochs: job.config.train.epochs,
            before: None,
            done: 0.0,
            ended: false,
            waits: false,
            bar: None,
        };
        Self {
            runs: jobs.iter().map(tracked).collect(),
            started: Instant::now(),
            bars: stdout().is_terminal().then(Bars::new),
        }
    }

    pub(super) fn begins(&mut self, name: &str) {
        let Some(index) = self.index(name) else { return };
        match &self.bars {
            Some(bars) => {
                let bar = bars.group.insert_before(&bars.all, ProgressBar::new_spinner());
                bar.set_style(style(RUN_STYLE));
                bar.set_prefix(name.to_owned());
                bar.set_message("begins");
                self.runs[index].bar = Some(bar);
            }
            None => note(format_args!("{name}: begins")),
        }
    }

    /// A run that an earlier sweep left behind is still saving what it learned.
    pub(super) fn waits_for(&mut self, name: &str) {
        let Some(index) = self.index(name) else { return };
        if !std::mem::replace(&mut self.runs[index].waits, true) {
            self.aside(|| note(format_args!("{name}: waits until its earlier process has ended")));
        }
    }

    /// A line that a run has printed.
    pub(super) fn says(&mut self, name: &str, text: &str) {
        let (Some(index), Some(line)) = (self.index(name), Line::read(text)) else { return };
        let run = &mut self.runs[index];
        run.before.get_or_insert(line.whole);
        run.done = line.done;
        match &run.bar {
            Some(bar) => bar.set_message(text.to_owned()),
            None if line.epoch_ends => note(format_args!("{name}: {text}")),
            None => {}
        }
        self.show_all();
    }

    /// A run was asked to stop.
    pub(super) fn stops(&mut self, name: &str) {
        let Some(index) = self.index(name) else { return };
        match &self.runs[index].bar {
            Some(bar) => bar.set_message("stops after its step, and saves"),
            None => note(format_args!("{name}: stops after its step, and saves")),
        }
    }

    pub(super) fn ends(&mut self, name: &str, state: State) {
        let Some(index) = self.index(name) else { return };
        let run = &mut self.runs[index];
        run.ended = true;
        if let Some(bar) = run.bar.take() {
            bar.finish_and_clear();
        }
        let what = match state {
            State::Finished => "finished",
            State::Interrupted => "interrupted, and saved",
            _ => "failed",
        };
        let left = self.runs.iter().filter(|run| !run.ended).count();
        let rest = match left {
            0 => String::new(),
            left => format!("; {left} run(s) left{}", self.remaining()),
        };
        self.aside(|| note(format_args!("{name}: {what}{rest}")));
        self.show_all();
    }

    /// Prints without breaking the bars.
    pub(super) fn aside(&self, print: impl FnOnce()) {
        match &self.bars {
            Some(bars) => bars.group.suspend(print),
            None => print(),
        }
    }

    /// Takes the bars off the terminal.
    pub(super) fn close(&self) {
        if let Some(bars) = &self.bars {
            bars.all.finish_and_clear();
        }
    }

    fn index(&self, name: &str) -> Option<usize> {
        self.runs.iter().position(|run| run.name == name)
    }

    fn show_all(&self) {
        let Some(bars) = &self.bars else { return };
        let ended = self.runs.iter().filter(|run| run.ended).count();
        let (total, left) = self.epochs();
        let share = if total > 0.0 { 1.0 - left / total } else { 1.0 };
        bars.all.set_position((share * FINENESS as f64) as u64);
        bars.all.set_message(format!("{ended}/{} runs{}", self.runs.len(), self.remaining()));
    }

    /// Epochs of all runs, and those that are left. A run that failed has none left.
    fn epochs(&self) -> (f64, f64) {
        let total: usize = self.runs.iter().map(|run| run.epochs).sum();
        let left =
            self.runs.iter().filter(|run| !run.ended).map(|run| run.epochs as f64 - run.done);
        (total as f64, left.sum())
    }

    /// How long the rest takes at the pace so far.
    fn remaining(&self) -> String {
        let trained = |run: &Tracked| run.done - run.before.unwrap_or(run.done);
        let trained: f64 = self.runs.iter().map(trained).sum();
        let pace = trained / self.started.elapsed().as_secs_f64();
        match Duration::try_from_secs_f64(self.epochs().1 / pace) {
            Ok(left) => format!("  ETA {:#}", HumanDuration(left)),
            Err(_) => String::new(), // nothing was trained yet
        }
    }
}

impl Bars {
    fn new() -> Self {
        let group = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
        let all = group.add(ProgressBar::new(FINENESS));
        all.set_style(style(ALL_STYLE));
        Self { all, group }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is fixed")
}

impl Line {
    fn read(text: &str) -> Option<Self> {
        let mut words = text.strip_prefix("epoch ")?.split_whitespace();
        let (epoch, _) = ratio(words.next()?)?;
        let step = words.next().and_then(ratio);
        let share = step.map_or(1.0, |(step, steps)| step / steps);
        Some(Self { done: epoch - 1.0 + share, whole: epoch - 1.0, epoch_ends: step.is_none() })
    }
}

/// `3/12` as 3 and 12.
fn ratio(word: &str) -> Option<(f64, f64)> {
    let (part, whole) = word.split_once('/')?;
    let (part, whole): (u32, u32) = (part.parse().ok()?, whole.parse().ok()?);
    (whole > 0).then(|| (part.into(), whole.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Source;

    #[test]
    fn lines_of_a_training_tell_how_far_it_is() {
        let read =
            |text: &str| Line::read(text).map(|line| (line.done, line.whole, line.epoch_ends));
        assert_eq!(read("epoch 2/3  5/20  loss 0.1"), Some((1.25, 1.0, false)));
        assert_eq!(read("epoch 3/3  loss 0.1  val_loss 0.2"), Some((3.0, 2.0, true)));
        for other in ["", "epoch", "epoch x/y", "epoch 1", "Training on 64 images", "epoch 1/0 a"] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn a_continued_run_does_not_count_what_it_had_before() {
        let toml = "name = \"x\"\n[train]\nepochs = 10\n[model]\nencoder = []\ndecoder = []\n";
        let config = Source::parse(toml, "x.toml", &[]).unwrap().config;
        let job = |name: &str| Job { name: name.to_owned(), config: config.clone() };
        let mut progress = Progress::new(&[job("a"), job("b")]);
        progress.started = Instant::now().checked_sub(Duration::from_secs(10)).unwrap();
        assert_eq!(progress.remaining(), "");
        progress.says("a", "epoch 9/10  10/10  loss 0.1");
        // One epoch in ten seconds: the other's ten and this one's last take 110.
        assert_eq!(progress.remaining(), "  ETA 2m");
        progress.says("a", "epoch 10/10  loss 0.1  val_loss 0.1");
        progress.ends("a", State::Finished);
        assert_eq!(progress.remaining(), "  ETA 50s");
    }
}
