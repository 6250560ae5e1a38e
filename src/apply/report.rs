//! What the user hears of the images: a line for each where there is no terminal, else a bar; what
//! went wrong on stderr; and the sum of it all.

use std::collections::BTreeMap;
use std::io::{IsTerminal, stdout};
use std::path::{Path, PathBuf};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::{complain, note};

const STYLE: &str = "{bar:30} {pos}/{len}  {msg}  ETA {eta}";

/// What became of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The result is there.
    Written {
        /// The result's file.
        result: PathBuf,
        /// Whether the image had an alpha channel, which the result has not.
        alpha_dropped: bool,
    },
    /// An earlier result was left as it is.
    Kept(PathBuf),
    /// A sentence about the image.
    Failed(String),
}

/// Hears of the images in any order, and tells of them in theirs.
#[derive(Debug)]
pub struct Report {
    total: usize,
    written: usize,
    kept: usize,
    failed: usize,
    /// Heard of, but not yet their turn.
    early: BTreeMap<usize, (PathBuf, Outcome)>,
    next: usize,
    started: Instant,
    /// `None` where lines are written instead.
    bar: Option<ProgressBar>,
}

impl Report {
    /// Of so many images.
    #[must_use]
    pub fn new(total: usize) -> Self {
        let bar = stdout().is_terminal().then(|| styled_bar(total));
        let (early, started) = (BTreeMap::new(), Instant::now());
        Self { total, written: 0, kept: 0, failed: 0, early, next: 0, started, bar }
    }

    /// Image `index` is done.
    pub fn add(&mut self, index: usize, image: &Path, outcome: Outcome) {
        self.early.insert(index, (image.to_owned(), outcome));
        while let Some((image, outcome)) = self.early.remove(&self.next) {
            self.tell(&image, &outcome);
            self.next += 1;
        }
    }

    fn tell(&mut self, image: &Path, outcome: &Outcome) {
        let image = image.display();
        match outcome {
            Outcome::Written { result, alpha_dropped } => {
                self.written += 1;
                let alpha = if *alpha_dropped { " (without its alpha channel)" } else { "" };
                self.say(format_args!("{image} -> {}{alpha}", result.display()));
            }
            Outcome::Kept(result) => {
                self.kept += 1;
                self.say(format_args!("{image}: {} is already there, kept", result.display()));
            }
            Outcome::Failed(sentence) => {
                self.failed += 1;
                let complaint = || complain(format_args!("{image}: {sentence}"));
                self.bar.as_ref().map_or_else(complaint, |bar| bar.suspend(complaint));
            }
        }
        if let Some(bar) = &self.bar {
            bar.inc(1);
            bar.set_message(format!("{:.0} images/s", self.rate()));
        }
    }

    fn say(&self, line: std::fmt::Arguments<'_>) {
        if self.bar.is_none() {
            note(line);
        }
    }

    fn rate(&self) -> f64 {
        self.written as f64 / self.started.elapsed().as_secs_f64()
    }

    /// Prints the sum, and returns the number of images that failed. After an interruption some were
    /// not reached.
    pub fn end(&mut self) -> usize {
        for (_, (image, outcome)) in std::mem::take(&mut self.early) {
            self.tell(&image, &outcome);
        }
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        if self.written + self.kept > 0 {
            note(format_args!("{}", self.sum()));
        }
        if self.failed > 0 {
            complain(format_args!("{} of {} images failed", self.failed, self.total));
        }
        self.failed
    }

    fn sum(&self) -> String {
        let plural = if self.written == 1 { "" } else { "s" };
        let seconds = self.started.elapsed().as_secs_f64();
        let mut sum = format!(
            "{} image{plural} in {seconds:.1} s, {:.0} images/s",
            self.written,
            self.rate()
        );
        if self.kept > 0 {
            sum += &format!(
                "; {} kept that {} already there (--overwrite replaces them)",
                self.kept,
                if self.kept == 1 { "was" } else { "were" }
            );
        }
        sum
    }
}

fn styled_bar(total: usize) -> ProgressBar {
    let style = ProgressStyle::with_template(STYLE).expect("the template is fixed");
    let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::stdout());
    bar.with_style(style)
}
