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
        /// Whether the image is coloured and the result, of a grey model, is not.
        colour_lost: bool,
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
    /// Written, but without the alpha channel that their images have.
    without_alpha: usize,
    /// Written, but without the colours that their images have.
    without_colour: usize,
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
        Self {
            total,
            written: 0,
            without_alpha: 0,
            without_colour: 0,
            kept: 0,
            failed: 0,
            early: BTreeMap::new(),
            next: 0,
            started: Instant::now(),
            bar,
        }
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
            Outcome::Written { result, alpha_dropped, colour_lost } => {
                self.written += 1;
                self.without_alpha += usize::from(*alpha_dropped);
                self.without_colour += usize::from(*colour_lost);
                let alpha = if *alpha_dropped { " (without its alpha channel)" } else { "" };
                let colour = if *colour_lost { " (grey, as the model is)" } else { "" };
                self.say(format_args!("{image} -> {}{alpha}{colour}", result.display()));
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
            bar.set_message(self.rate());
        }
    }

    fn say(&self, line: std::fmt::Arguments<'_>) {
        if self.bar.is_none() {
            note(line);
        }
    }

    fn rate(&self) -> String {
        let rate = self.written as f64 / self.started.elapsed().as_secs_f64();
        let digits = usize::from(rate < 10.0); // large images take seconds
        format!("{rate:.digits$} images/s")
    }

    /// Prints the sum.
    pub fn end(&mut self) {
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
        if self.left() > 0 {
            complain(format_args!(
                "stopped; {} of {} images are left, which the same command without --overwrite goes \
                 on with",
                self.left(),
                self.total
            ));
        }
    }

    /// Number of images that failed.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.failed
    }

    /// Number of images that were not reached.
    #[must_use]
    pub fn left(&self) -> usize {
        self.total - self.written - self.kept - self.failed
    }

    fn sum(&self) -> String {
        let plural = if self.written == 1 { "" } else { "s" };
        let (seconds, rate) = (self.started.elapsed().as_secs_f64(), self.rate());
        let alpha = match self.without_alpha {
            0 => String::new(),
            1 => "; 1 without its alpha channel".to_owned(),
            count => format!("; {count} without their alpha channels"),
        };
        let colour = match self.without_colour {
            0 => String::new(),
            1 => "; 1 of a coloured image is grey (--per-channel keeps colours)".to_owned(),
            count => format!("; {count} of coloured images are grey (--per-channel keeps colours)"),
        };
        let kept = match self.kept {
            0 => String::new(),
            1 => "; 1 kept that was already there (--overwrite replaces it)".to_owned(),
            count => format!("; {count} kept that were already there (--overwrite replaces them)"),
        };
        format!("{} image{plural} in {seconds:.1} s, {rate}{alpha}{colour}{kept}", self.written)
    }
}

fn styled_bar(total: usize) -> ProgressBar {
    let style = ProgressStyle::with_template(STYLE).expect("the template is fixed");
    let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::stdout());
    bar.with_style(style)
}
