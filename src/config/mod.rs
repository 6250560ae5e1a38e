//! Configs: TOML in Keras's vocabulary, read strictly into typed sections.
//!
//! Values are checked one by one here; whether they fit together is for `plan` to say.

pub mod constraints;
pub mod corruption;
pub mod data;
pub mod entry;
pub mod initializers;
pub mod layers;
pub mod losses;
pub mod method;
pub mod node;
pub mod policies;
mod reference;
pub mod regularizers;
pub mod schema;
pub mod sections;

use std::borrow::Cow;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

pub use reference::{reference, reference_json};
pub use sections::Config;

use crate::system::text_file;
use node::Node;
use schema::Section;

/// Folder that is searched for a config that is not where it was named.
const SHIPPED: &str = "configs";

/// Letters of a problem that are shown: what was received may be a page long.
const LONGEST_PROBLEM: usize = 250;

/// A mistake in a config: where it stands, what was received, and the remedy.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{place}: {}; {remedy}", brief(problem, LONGEST_PROBLEM))]
pub struct ConfigError {
    /// `file:line`, `--set` with its argument, or a file.
    pub place: String,
    /// What is wrong, with what was received.
    pub problem: String,
    /// What to write instead.
    pub remedy: String,
}

impl ConfigError {
    /// About the value at `node`: "file:line: `key` is what; remedy".
    #[must_use]
    pub fn at(node: &Node, problem: impl AsRef<str>, remedy: impl Into<String>) -> Self {
        let place = node.origin.to_string();
        let path = if node.path.is_empty() { "the config" } else { &node.path };
        Self { place, problem: format!("`{path}` {}", problem.as_ref()), remedy: remedy.into() }
    }
}

/// The text, or its start where it is longer than a reader would want it.
pub(crate) fn brief(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        Some((end, _)) => Cow::Owned(format!("{}...", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

/// A config together with the tree it was read from, which knows every value's line.
#[derive(Debug, Clone)]
pub struct Source {
    /// Every value is allowed; whether they fit together, [`crate::plan`] finds out.
    pub config: Config,
    root: Node,
}

impl Source {
    /// Reads the config that the user named, with `--set` arguments applied in order.
    ///
    /// # Errors
    /// When there is no such file, it cannot be read, or a value in it is refused.
    pub fn open(named: &Path, overrides: &[String]) -> Result<Self, ConfigError> {
        Self::of(read(named, overrides)?)
    }

    /// Reads a config from its tree.
    ///
    /// # Errors
    /// When a value in it is refused.
    pub fn of(root: Node) -> Result<Self, ConfigError> {
        Ok(Self { config: Config::read_table(&root)?, root })
    }

    /// Reads a config from text; `file` names it in messages.
    ///
    /// # Errors
    /// When the text is not TOML, or a value in it is refused.
    pub fn parse(text: &str, file: &str, overrides: &[String]) -> Result<Self, ConfigError> {
        Self::of(tree(text, file, overrides)?)
    }

    /// A mistake that concerns the value at `path`, which may be a default.
    #[must_use]
    pub fn error(
        &self,
        path: &str,
        problem: impl AsRef<str>,
        remedy: impl Into<String>,
    ) -> ConfigError {
        ConfigError {
            place: self.root.origin_of(path).to_string(),
            problem: format!("`{path}` {}", problem.as_ref()),
            remedy: remedy.into(),
        }
    }
}

/// The tree of the config that the user named, with `--set` arguments applied in order. Whether its
/// keys and values are those of a config, only [`Source::of`] finds out.
///
/// # Errors
/// When there is no such file, or it cannot be read as TOML.
pub fn read(named: &Path, overrides: &[String]) -> Result<Node, ConfigError> {
    let path = find(named)?;
    let file = path.display().to_string();
    let text = text_file::read(&path).map_err(|error| ConfigError {
        place: file.clone(),
        problem: format!("the config cannot be read: {error}"),
        remedy: match error.kind() {
            ErrorKind::InvalidData => text_file::SAVE_AS_UTF_8.to_owned(),
            _ => "name a TOML file that you may read".to_owned(),
        },
    })?;
    tree(&text, &file, overrides)
}

fn tree(text: &str, file: &str, overrides: &[String]) -> Result<Node, ConfigError> {
    let mut root = Node::parse(text, file)?;
    for argument in overrides {
        root.set(argument)?;
    }
    Ok(root)
}

/// The config where it was named, else under `configs/`.
fn find(named: &Path) -> Result<PathBuf, ConfigError> {
    let shipped = Path::new(SHIPPED).join(named);
    let found = [named, &shipped].into_iter().find(|path| path.is_file());
    found.map(Path::to_path_buf).ok_or_else(|| ConfigError {
        place: named.display().to_string(),
        problem: format!("there is no such config, here or under {SHIPPED}/"),
        remedy: match shipped_configs().as_slice() {
            [] => "name a TOML file".to_owned(),
            all => format!("shipped are {}", all.join(", ")),
        },
    })
}

fn shipped_configs() -> Vec<String> {
    let entries = std::fs::read_dir(SHIPPED).into_iter().flatten().flatten();
    let files = entries.map(|entry| PathBuf::from(entry.file_name()));
    let configs = files.filter(|file| file.extension().is_some_and(|kind| kind == "toml"));
    let mut names: Vec<String> = configs.map(|file| file.display().to_string()).collect();
    names.sort();
    names
}

impl Config {
    /// The whole config as TOML, every default written out, one layer a line.
    #[must_use]
    pub fn to_toml(&self) -> String {
        to_toml(self.write_table())
    }
}

/// A config's tree as a file has it, one layer a line.
#[must_use]
pub fn to_toml(tree: toml::Table) -> String {
    let (sections, keys): (Vec<_>, Vec<_>) =
        tree.into_iter().partition(|(_, value)| value.is_table());
    let mut lines: Vec<String> = keys.iter().map(|(key, value)| line(key, value)).collect();
    for (name, section) in &sections {
        lines.push(format!("\n[{name}]\n"));
        lines.extend(section.as_table().into_iter().flatten().map(|(key, value)| line(key, value)));
    }
    lines.concat()
}

fn line(key: &str, value: &toml::Value) -> String {
    format!("{key} = {}\n", by_line(value))
}

/// A list of tables with one of them a line, anything else on one line.
fn by_line(value: &toml::Value) -> String {
    match value.as_array() {
        Some(items) if items.iter().any(toml::Value::is_table) => {
            let lines: Vec<String> = items.iter().map(|item| format!("  {item},\n")).collect();
            format!("[\n{}]", lines.concat())
        }
        _ => value.to_string(),
    }
}
