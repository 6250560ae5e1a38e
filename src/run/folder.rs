//! The folder that a run leaves behind, and the names of the files in it.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::plan::Plan;
use crate::run::lock::RunLock;
use crate::run::resume::Checkpoints;
use crate::system::atomic;
use crate::system::exit::UsageError;

/// What to do with a run that the folder already holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and this one is refused.
    Refuse,
    /// Its files are replaced.
    Replace,
    /// It goes on from its last checkpoint.
    Resume,
}

/// Where a run's files go.
#[derive(Debug)]
pub struct RunFolder {
    dir: PathBuf,
    name: String,
}

impl RunFolder {
    /// The folder that the plan names, or `out`; nothing is written yet.
    ///
    /// # Errors
    /// When it holds a run already that is not to go, another process trains in it, or it is no folder.
    pub fn choose(plan: &Plan, out: Option<&Path>, earlier: Existing) -> anyhow::Result<Self> {
        let folder = Self::place(plan, out);
        let shown = folder.dir.display();
        if folder.dir.exists() && !folder.dir.is_dir() {
            return Err(
                UsageError(format!("{shown} is a file; name a folder with --out DIR")).into()
            );
        }
        RunLock::check(&folder.dir)?;
        folder.check(earlier)?;
        Ok(folder)
    }

    /// The same without a look at what is there.
    #[must_use]
    pub fn place(plan: &Plan, out: Option<&Path>) -> Self {
        let config = &plan.config;
        let dir = out.map_or_else(|| config.output.dir.join(&config.name), Path::to_path_buf);
        Self { dir, name: config.name.clone() }
    }

    fn check(&self, earlier: Existing) -> anyhow::Result<()> {
        let shown = self.dir.display();
        let results = self.results().into_iter().any(|path| path.exists());
        let checkpoints = !self.checkpoints().newest_first()?.is_empty();
        match earlier {
            Existing::Refuse if results || checkpoints => Err(UsageError(format!(
                "{shown} already holds a run; add --resume to go on with it, --overwrite to replace it, \
                 or name another folder with --out DIR"
            ))
            .into()),
            Existing::Resume if results && !checkpoints => Err(UsageError(format!(
                "{shown} holds a run without checkpoints, which cannot go on; add --overwrite to replace \
                 it, or name another folder with --out DIR"
            ))
            .into()),
            _ => Ok(()),
        }
    }

    /// The folder of a run that was made, with its name; nothing is checked.
    #[must_use]
    pub fn of(dir: &Path, name: &str) -> Self {
        Self { dir: dir.to_owned(), name: name.to_owned() }
    }

    /// Makes the folder and takes it for this process, as long as the lock lives. What a killed process
    /// has left half written goes. The weights and images of an earlier run stay until this one has its
    /// own, but what `--resume` would go on from goes with the run.
    ///
    /// # Errors
    /// When another process was faster, or the folder cannot be made or written to.
    pub fn open(&self, earlier: Existing) -> anyhow::Result<RunLock> {
        let make = |dir: &Path| {
            let shown = dir.display();
            atomic::make_folder(dir).with_context(|| {
                format!(
                    "the folder {shown} cannot be made; free some space, or name another one with --out \
                     DIR"
                )
            })
        };
        make(&self.dir)?;
        let lock = RunLock::take(&self.dir)?;
        // Another process may have begun, and even ended, a run since it was looked at.
        self.check(earlier)?;
        let checkpoints = self.checkpoints();
        make(checkpoints.dir())?;
        for dir in [&self.dir, checkpoints.dir()] {
            let shown = dir.display();
            atomic::remove_parts(dir).with_context(|| format!("{shown} cannot be tidied"))?;
        }
        if earlier == Existing::Replace {
            checkpoints.clear()?;
            self.remove(&self.best())?;
            self.remove(&self.timings())?;
        }
        Ok(lock)
    }

    /// Writes the resolved config, which also shows that the folder can be written to.
    ///
    /// # Errors
    /// When it cannot.
    pub fn write_config(&self, plan: &Plan) -> anyhow::Result<()> {
        self.write(&self.config(), plan.config.to_toml().as_bytes())
    }

    /// Writes one file, whole or not at all.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write(&self, path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
        atomic::write(path, |file| file.write_all(bytes)).with_context(|| {
            format!(
                "{} cannot be written; free some space, or name another folder with --out DIR",
                path.display()
            )
        })
    }

    /// Removes a file of an earlier run that this one has nothing to replace with.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn remove(&self, path: &Path) -> anyhow::Result<()> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("{} cannot be removed", path.display()))
            }
            _ => Ok(()),
        }
    }

    /// The folder itself.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The resolved config, every default written out.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.dir.join("config.toml")
    }

    /// The run's figures, as JSON.
    #[must_use]
    pub fn history(&self) -> PathBuf {
        self.dir.join("history.json")
    }

    /// How long the epochs took, as JSON.
    #[must_use]
    pub fn timings(&self) -> PathBuf {
        self.dir.join("timings.json")
    }

    /// What the run can go on from.
    #[must_use]
    pub fn checkpoints(&self) -> Checkpoints {
        Checkpoints::in_folder(self.dir.join("checkpoints"))
    }

    /// The model of the epoch with the lowest val_loss.
    #[must_use]
    pub fn best(&self) -> PathBuf {
        self.dir.join(format!("{}-best.pt", self.name))
    }

    /// The run on one page.
    #[must_use]
    pub fn report(&self) -> PathBuf {
        self.dir.join("report.html")
    }

    /// The epochs' figures, for spreadsheets.
    #[must_use]
    pub fn csv(&self) -> PathBuf {
        self.dir.join("history.csv")
    }

    /// Event files.
    #[must_use]
    pub fn tensorboard(&self) -> PathBuf {
        self.dir.join("tensorboard")
    }

    /// Weights; the extension is `pt` or `safetensors`.
    #[must_use]
    pub fn weights(&self, extension: &str) -> PathBuf {
        self.dir.join(format!("{}.{extension}", self.name))
    }

    /// An image: `input`, `output`, `grid` or `loss`.
    #[must_use]
    pub fn image(&self, what: &str) -> PathBuf {
        self.dir.join(format!("{what}_{}.png", self.name))
    }

    /// Everything that training is done for.
    fn results(&self) -> Vec<PathBuf> {
        let images = ["input", "output", "grid", "loss"].map(|what| self.image(what));
        let weights = ["pt", "safetensors"].map(|extension| self.weights(extension));
        let figures = [self.history(), self.report(), self.csv()];
        weights.into_iter().chain(figures).chain(images).collect()
    }
}
