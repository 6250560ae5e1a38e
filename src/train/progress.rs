//! What the user sees while the model trains: a bar on a terminal, plain lines in a file.

use std::io::{IsTerminal, stdout};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::policies::Action;
use super::{EpochRecord, EpochTiming, Observer, StepDone};
use crate::system::terminal::note;

/// How often the bar's figures change; reading the loss makes the step wait for it.
const REFRESH: Duration = Duration::from_millis(100);
/// Share of its time that training may wait for batches before data are called the slower part.
const SLOW_DATA: f64 = 0.05;
/// Lines that an epoch writes where there is no terminal.
const LINES: usize = 10;

const STYLE: &str = "{prefix} {bar:30} {pos}/{len}  {msg}  ETA {eta}";

/// A run's progress.
#[derive(Debug)]
pub struct Progress {
    epochs: usize,
    /// Images and steps seen in this epoch, which may have begun in another process.
    images: usize,
    steps: usize,
    /// Of the epoch that just ended.
    timing: Option<EpochTiming>,
    started: Instant,
    drawn: Instant,
    /// `None` where lines are written instead.
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Of a run of so many epochs.
    #[must_use]
    pub fn new(epochs: usize) -> Self {
        let now = Instant::now();
        let bar = stdout().is_terminal().then(styled_bar);
        Self { epochs, images: 0, steps: 0, timing: None, started: now, drawn: now, bar }
    }

    /// Takes the bar off the terminal, so that what is said next stays readable.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn figures(&self, done: &StepDone<'_>) -> String {
        let (loss, seconds) = (done.running.mean(), self.started.elapsed().as_secs_f64());
        let rate = self.images as f64 / seconds;
        let slower = slower(done.waited.as_secs_f64() / seconds);
        format!("loss {loss:.4}  {rate:.0} images/s  {slower}")
    }

    fn draw(&self, bar: &ProgressBar, done: &StepDone<'_>) {
        bar.set_prefix(format!("epoch {}/{}", done.epoch, self.epochs));
        bar.set_length(done.steps as u64);
        bar.set_position(done.step as u64);
        bar.set_message(self.figures(done));
    }

    fn print(&self, done: &StepDone<'_>) {
        let &StepDone { epoch, step, steps, .. } = done;
        let remaining = self.started.elapsed().mul_f64((steps - step) as f64 / self.steps as f64);
        let (epochs, figures) = (self.epochs, self.figures(done));
        note(format_args!(
            "epoch {epoch}/{epochs}  {step}/{steps}  {figures}  ETA {:#}",
            HumanDuration(remaining)
        ));
    }
}

/// What holds the training up: `compute is slower (waits for data 1 %)`.
fn slower(waiting: f64) -> String {
    let slower = if waiting > SLOW_DATA { "data is" } else { "compute is" };
    format!("{slower} slower (waits for data {:.0} %)", 100.0 * waiting)
}

fn styled_bar() -> ProgressBar {
    let style = ProgressStyle::with_template(STYLE).expect("the template is fixed");
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout());
    bar.with_style(style)
}

impl Observer for Progress {
    fn step_done(&mut self, done: &StepDone<'_>) {
        self.images += done.images;
        self.steps += 1;
        match &self.bar {
            Some(bar) if self.drawn.elapsed() >= REFRESH => {
                self.draw(bar, done);
                self.drawn = Instant::now();
            }
            None if done.step.is_multiple_of(done.steps.div_ceil(LINES)) => self.print(done),
            _ => {}
        }
    }

    fn epoch_timed(&mut self, timing: &EpochTiming) {
        self.timing = Some(*timing);
    }

    fn epoch_done(&mut self, record: &EpochRecord) {
        self.end();
        // A new one: `reset` would draw the old one again, which would then stay on the terminal.
        self.bar = self.bar.is_some().then(styled_bar);
        (self.images, self.steps, self.started) = (0, 0, Instant::now());
        let EpochRecord { epoch, loss, val_loss, .. } = record;
        let timing = self.timing.take().map_or_else(String::new, |timing| {
            let EpochTiming { seconds, images_per_second, waiting, .. } = timing;
            let slower = slower(waiting);
            format!("  {seconds:.1} s  {images_per_second:.0} images/s  {slower}")
        });
        note(format_args!(
            "epoch {epoch}/{}  loss {loss:.4}  val_loss {val_loss:.4}{timing}",
            self.epochs
        ));
    }
    fn policy_acted(&mut self, action: &Action) {
        if !matches!(action, Action::RememberWeights { .. }) {
            note(format_args!("{action}"));
        }
    }
}
