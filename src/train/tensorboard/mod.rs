//! A training as TensorBoard's event files, with the tags and folders of Keras's own callback: run
//! `train` and run `validation`, so that their losses share a chart.

mod histogram;
mod proto;
mod record;

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use tch::Device;

use crate::engine::values_of;
use crate::infer::RunningLoss;
use crate::nn::Parameter;
use crate::system::terminal::complain;
use crate::train::{EpochRecord, Observer, StepDone, is_curve_point};
use histogram::bins;
use proto::Value;
use record::EventFile;

/// What the names of event files have in them, by which TensorBoard knows them.
const MARK: &str = "tfevents";
/// Between two writings within an epoch on a GPU: to read a loss is to wait for it.
const PAUSE: Duration = Duration::from_secs(1);
/// Folders of the two runs.
const RUNS: [&str; 2] = ["train", "validation"];

/// Writes what it sees of a training.
#[derive(Debug)]
pub struct TensorBoard {
    dir: PathBuf,
    train: EventFile,
    validation: EventFile,
    /// Points that are not written yet, by their step.
    unread: Vec<(i64, RunningLoss)>,
    /// When points were written last.
    written: Instant,
    /// Loss since the last point.
    pending: RunningLoss,
    failed: bool,
}

impl TensorBoard {
    /// Opens the event files of a run that begins after so many epochs. Those of an earlier run are
    /// removed, unless this one goes on from it: TensorBoard would draw both as one.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn begin(dir: &Path, epochs_before: usize) -> anyhow::Result<Self> {
        if epochs_before == 0 {
            remove(dir)?;
        }
        let open = |run: &str| {
            EventFile::create(&dir.join(run)).with_context(|| {
                let run = dir.join(run);
                format!(
                    "event files cannot be written to {}; name another folder with --out DIR",
                    run.display()
                )
            })
        };
        Ok(Self {
            dir: dir.to_owned(),
            train: open(RUNS[0])?,
            validation: open(RUNS[1])?,
            unread: Vec::new(),
            written: Instant::now(),
            pending: RunningLoss::default(),
            failed: false,
        })
    }

    /// Adds an image, PNG, as it is after so many epochs.
    pub fn add_image(&mut self, tag: &str, png: &Path, epoch: usize) {
        let added = fs::read(png).and_then(|bytes| {
            let value = Value::image(tag, bytes).ok_or(ErrorKind::InvalidData)?;
            self.validation.add(epoch as i64, vec![value])
        });
        self.settle(added);
    }

    /// Whether something could not be written; it was said when it happened.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.failed
    }

    /// The training goes on without event files; it may have hours behind it.
    fn settle(&mut self, written: io::Result<()>) {
        if let Err(error) = written
            && !self.failed
        {
            self.failed = true;
            let dir = self.dir.display();
            complain(format_args!(
                "the event files in {dir} cannot be written ({error}) and end here; the training goes on"
            ));
        }
    }

    fn add_step(&mut self, done: &StepDone<'_>) -> io::Result<()> {
        let &StepDone { epoch, step, steps, .. } = done;
        let number = (epoch - 1) * steps + step;
        self.unread.push((number as i64, std::mem::take(&mut self.pending)));
        if step < steps {
            let is_free = done.loss.device() == Device::Cpu;
            let is_due = is_free || self.written.elapsed() >= PAUSE;
            return if is_due { self.write_points() } else { Ok(()) };
        }
        self.write_points()?;
        let weights = done.trainer.predictor.parameters().iter();
        let histogram = |Parameter { name, tensor, .. }: &Parameter| {
            // TensorBoard groups tags by what stands before a slash.
            Value::histogram(&name.replace('.', "/"), &bins(&values_of(tensor)))
        };
        self.train.add(epoch as i64, weights.map(histogram).collect())
    }

    fn write_points(&mut self) -> io::Result<()> {
        self.written = Instant::now();
        for (number, loss) in std::mem::take(&mut self.unread) {
            self.train.add(number, vec![Value::scalar("batch_loss", loss.mean())])?;
        }
        Ok(())
    }

    fn add_epoch(&mut self, record: &EpochRecord) -> io::Result<()> {
        let epoch = record.epoch as i64;
        let training = vec![
            Value::scalar("epoch_loss", record.loss),
            Value::scalar("epoch_learning_rate", record.learning_rate),
        ];
        self.train.add(epoch, training)?;
        self.validation.add(epoch, vec![Value::scalar("epoch_loss", record.val_loss)])
    }
}

impl Drop for TensorBoard {
    /// A training may end within an epoch. After a panic a GPU may not answer any more.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.state_is_kept();
        }
    }
}

impl Observer for TensorBoard {
    fn step_done(&mut self, done: &StepDone<'_>) {
        if self.failed {
            return;
        }
        self.pending.add(done.loss, done.images);
        if is_curve_point(done.step, done.steps) {
            let written = self.add_step(done);
            self.settle(written);
        }
    }

    fn state_is_kept(&mut self) {
        if !self.failed {
            let written = self.write_points();
            self.settle(written);
        }
    }

    fn epoch_done(&mut self, record: &EpochRecord) {
        if !self.failed {
            let written = self.add_epoch(record);
            self.settle(written);
        }
    }
}

/// Removes the event files of an earlier run, and nothing else.
///
/// # Errors
/// When the system refuses.
pub fn remove(dir: &Path) -> anyhow::Result<()> {
    for run in RUNS {
        let run = dir.join(run);
        let Ok(entries) = fs::read_dir(&run) else { continue };
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.file_name().is_some_and(|name| name.to_string_lossy().contains(MARK)) {
                fs::remove_file(&path)
                    .with_context(|| format!("{} cannot be removed", path.display()))?;
            }
        }
        // Folders in which somebody has put something of their own stay.
        let _ = fs::remove_dir(&run);
    }
    let _ = fs::remove_dir(dir);
    Ok(())
}
