//! What the user sees while the model trains: a bar on a terminal, plain lines in a file.

use std::io::{IsTerminal, stdout};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

use super::EpochRecord;

/// How often the bar's figures change; reading the loss makes the step wait for it.
const REFRESH: Duration = Duration::from_millis(100);
/// Lines that an epoch writes where there is no terminal.
const LINES: usize = 10;

const STYLE: &str = "{prefix} {bar:30} {pos}/{len}  {msg}  ETA {eta}";

/// A run's progress.
#[derive(Debug)]
pub struct Progress {
    epochs: usize,
    epoch: usize,
    steps: usize,
    pictures: usize,
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
        let bar = stdout().is_terminal().then(ProgressBar::no_length);
        Self { epochs, epoch: 0, steps: 0, pictures: 0, started: now, drawn: now, bar }
    }

    /// Begins epoch `epoch`, which counts from 1.
    pub fn start_epoch(&mut self, epoch: usize, steps: usize) {
        let now = Instant::now();
        (self.epoch, self.steps, self.pictures) = (epoch, steps, 0);
        (self.started, self.drawn) = (now, now);
        if let Some(bar) = &self.bar {
            let style = ProgressStyle::with_template(STYLE).expect("the template is fixed");
            bar.set_style(style);
            bar.reset();
            bar.set_prefix(format!("epoch {epoch}/{}", self.epochs));
            bar.set_length(steps as u64);
        }
    }

    /// After a step over so many pictures; `loss` is asked for only when it is shown.
    pub fn step(&mut self, step: usize, pictures: usize, loss: impl FnOnce() -> f64) {
        self.pictures += pictures;
        if let Some(bar) = &self.bar {
            if self.drawn.elapsed() >= REFRESH {
                self.drawn = Instant::now();
                bar.set_message(self.figures(loss()));
                bar.set_position(step as u64);
            }
        } else if step % self.steps.div_ceil(LINES) == 0 {
            let remaining =
                self.started.elapsed().div_f64(step as f64 / (self.steps - step) as f64);
            let (epoch, epochs, steps) = (self.epoch, self.epochs, self.steps);
            let eta = HumanDuration(remaining);
            let figures = self.figures(loss());
            println!("epoch {epoch}/{epochs}  {step}/{steps}  {figures}  ETA {eta:#}");
        }
    }

    fn figures(&self, loss: f64) -> String {
        let rate = self.pictures as f64 / self.started.elapsed().as_secs_f64();
        format!("loss {loss:.4}  {rate:.0} images/s")
    }

    /// After validation: one line that stays.
    pub fn finish_epoch(&mut self, record: &EpochRecord) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let EpochRecord { epoch, loss, val_loss, seconds, images_per_second } = record;
        println!(
            "epoch {epoch}/{}  loss {loss:.4}  val_loss {val_loss:.4}  {seconds:.1} s  \
             {images_per_second:.0} images/s",
            self.epochs
        );
    }
}
