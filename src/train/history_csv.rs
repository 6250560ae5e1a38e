//! The epochs' figures as a table for other programs: `history.csv`, a line for each epoch.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::system::atomic;
use crate::system::terminal::complain;
use crate::train::{EpochRecord, Observer, StepDone};

/// Figures that every epoch has; none depends on the clock, so that equal runs leave equal files.
const HEADER: &str = "epoch,loss,val_loss,learning_rate\n";

/// Rewrites the file after each epoch, whole or not at all.
#[derive(Debug)]
pub struct HistoryCsv {
    path: PathBuf,
    text: String,
    failed: bool,
}

impl HistoryCsv {
    /// The table with the lines of epochs that are over.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn begin(path: &Path, before: &[EpochRecord]) -> std::io::Result<Self> {
        let mut csv = Self { path: path.to_owned(), text: HEADER.to_owned(), failed: false };
        for record in before {
            csv.add(record);
        }
        csv.write()?;
        Ok(csv)
    }

    /// Whether it could not be written; it was said when it happened.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.failed
    }

    /// A line of an epoch, whose numbers read back as the same ones.
    fn add(&mut self, record: &EpochRecord) {
        let EpochRecord { epoch, loss, val_loss, learning_rate } = record;
        writeln!(self.text, "{epoch},{loss:?},{val_loss:?},{learning_rate:?}")
            .expect("a string takes every text");
    }

    fn write(&self) -> std::io::Result<()> {
        atomic::write(&self.path, |file| file.write_all(self.text.as_bytes()))
    }
}

impl Observer for HistoryCsv {
    fn step_done(&mut self, _done: &StepDone<'_>) {}

    fn epoch_done(&mut self, record: &EpochRecord) {
        self.add(record);
        // The next epoch tries again: the file is written whole each time.
        let written = self.write();
        if let (Err(error), false) = (&written, self.failed) {
            let path = self.path.display();
            complain(format_args!("{path} cannot be written ({error}); the training goes on"));
        }
        self.failed = written.is_err();
    }
}
