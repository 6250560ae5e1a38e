//! The folder that a run leaves behind, and the names of the files in it.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::atomic;
use crate::exit::Misuse;
use crate::plan::Plan;

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
    /// When it holds a run already and `overwrite` is not set, or is no folder.
    pub fn choose(plan: &Plan, out: Option<&Path>, overwrite: bool) -> Result<Self, Misuse> {
        let config = &plan.config;
        let dir = out.map_or_else(|| config.output.dir.join(&config.name), Path::to_path_buf);
        let folder = Self { dir, name: config.name.clone() };
        let shown = folder.dir.display();
        if folder.dir.exists() && !folder.dir.is_dir() {
            return Err(Misuse(format!("{shown} is a file; name a folder with --out DIR")));
        }
        match folder.results().into_iter().find(|path| path.exists()) {
            Some(_) if !overwrite => Err(Misuse(format!(
                "{shown} already holds a run; add --overwrite to replace it, or name another \
                 folder with --out DIR"
            ))),
            _ => Ok(folder),
        }
    }

    /// The folder of a run that was made, with its name; nothing is checked.
    #[must_use]
    pub fn of(dir: &Path, name: &str) -> Self {
        Self { dir: dir.to_owned(), name: name.to_owned() }
    }

    /// Makes the folder and writes the resolved config, which also shows that the folder can be
    /// written to. The weights and pictures of an earlier run stay until this one has its own.
    ///
    /// # Errors
    /// When the folder cannot be made or written to.
    pub fn open(&self, plan: &Plan) -> anyhow::Result<()> {
        let shown = self.dir.display();
        std::fs::create_dir_all(&self.dir).with_context(|| {
            format!("the folder {shown} cannot be made; name another one with --out DIR")
        })?;
        let config = plan.config.to_toml();
        self.write(&self.config(), config.as_bytes())
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

    /// A picture: `input`, `output`, `grid` or `loss`.
    #[must_use]
    pub fn picture(&self, what: &str) -> PathBuf {
        self.dir.join(format!("{what}_{}.png", self.name))
    }

    /// Everything that training is done for.
    fn results(&self) -> Vec<PathBuf> {
        let pictures = ["input", "output", "grid", "loss"].map(|what| self.picture(what));
        let weights = ["pt", "safetensors"].map(|extension| self.weights(extension));
        let figures = [self.history(), self.report(), self.csv()];
        weights.into_iter().chain(figures).chain(pictures).collect()
    }
}
