//! What the user hears of the images: a line for each where there is no terminal, else a bar; what
//! went wrong on stderr; and the sum of it all.

use std::collections::BTreeMap;
use std::io::{IsTerminal, stdout};
use std::path::{Path, PathBuf};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::formats::image_file::Loss;
use crate::system::terminal::{complain, note};

const STYLE: &str = "{bar:30} {pos}/{len}  {msg}  ETA {eta}";

/// What became of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The result is there.
    Written {
        /// The result's file.
        result: PathBuf,
        /// Images in it.
        pages: usize,
        /// What the image's file had and the result has not.
        losses: Vec<Loss>,
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
    /// Pages of the files among them that have several.
    pages: usize,
    /// How many were written without what their images' files had.
    losses: BTreeMap<Loss, usize>,
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
    /// Of so many images; a bar is drawn only by a process that is alone.
    #[must_use]
    pub fn new(total: usize, is_alone: bool) -> Self {
        let bar = (is_alone && stdout().is_terminal()).then(|| styled_bar(total));
        Self {
            total,
            written: 0,
            pages: 0,
            losses: BTreeMap::new(),
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
            Outcome::Written { result, pages, losses } => {
                self.written += 1;
                self.pages += if *pages > 1 { *pages } else { 0 };
                for &loss in losses {
                    *self.losses.entry(loss).or_default() += 1;
                }
                let aside = aside(*pages, losses);
                self.say(format_args!("{image} -> {}{aside}", result.display()));
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
        let pages = match self.pages {
            0 => String::new(),
            pages => format!(" ({pages} pages in TIFFs of several)"),
        };
        let without = |(loss, &count): (&Loss, &usize)| {
            let remedy = match loss {
                Loss::Colour => " (the model is grey; --per-channel keeps them)",
                _ => "",
            };
            format!("; {count} without {}{remedy}", loss.name(count))
        };
        let losses: String = self.losses.iter().map(without).collect();
        let kept = match self.kept {
            0 => String::new(),
            1 => "; 1 kept that was already there (--overwrite replaces it)".to_owned(),
            count => format!("; {count} kept that were already there (--overwrite replaces them)"),
        };
        format!("{} image{plural}{pages} in {seconds:.1} s, {rate}{losses}{kept}", self.written)
    }
}

/// What is said behind a result's name, in parentheses.
fn aside(pages: usize, losses: &[Loss]) -> String {
    let mut parts = Vec::new();
    if pages > 1 {
        parts.push(format!("{pages} pages"));
    }
    if !losses.is_empty() {
        let names: Vec<_> = losses.iter().map(|loss| loss.name(1)).collect();
        parts.push(format!("without {}", names.join(", ")));
    }
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join("; ")) }
}

fn styled_bar(total: usize) -> ProgressBar {
    let style = ProgressStyle::with_template(STYLE).expect("the template is fixed");
    let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::stdout());
    bar.with_style(style)
}
