//! TOML with places: a tree whose every value remembers the line, or the `--set`, it came from.
//!
//! Nothing here knows what a key means; `schema` reads typed values out of this tree.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{ConfigError, brief};

/// Letters of a `--set` argument that are shown.
const LONGEST_SET: usize = 80;

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// File (or another source's name) and line, counted from 1.
    Line(String, usize),
    /// The text of a `--set` argument.
    Set(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Line(file, line) => write!(f, "{file}:{line}"),
            Origin::Set(argument) => write!(f, "--set {}", brief(argument, LONGEST_SET)),
        }
    }
}

/// One value of the document.
#[derive(Debug, Clone)]
pub struct Node {
    /// The place that a message about the value names.
    pub origin: Origin,
    /// From the root, as a user would write it: `model.encoder[2].filters`.
    pub path: String,
    /// A list or a table holds nodes again, so that each entry has its own origin.
    pub value: Value,
}

/// The types of TOML that a config uses.
#[derive(Debug, Clone)]
pub enum Value {
    /// Of any radix, if it fits.
    Integer(i64),
    /// May be infinite or NaN, which no key takes.
    Float(f64),
    /// `true` or `false`.
    Boolean(bool),
    /// Without quotes, escapes resolved; also what follows a `--set` and is not TOML.
    String(String),
    /// In the order of the file.
    Array(Vec<Node>),
    /// By key; the order of the file is lost.
    Table(BTreeMap<String, Node>),
    /// A date or a number that no key takes, as written.
    Other(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Integer(value) => write!(f, "{value}"),
            Value::Float(value) => write!(f, "{value}"),
            Value::Boolean(value) => write!(f, "{value}"),
            Value::String(value) => write!(f, "{value:?}"),
            Value::Array(items) => {
                let items: Vec<String> = items.iter().map(|item| item.value.to_string()).collect();
                write!(f, "[{}]", items.join(", "))
            }
            Value::Table(_) => f.write_str("a table"),
            Value::Other(text) => f.write_str(text),
        }
    }
}

impl Node {
    /// A table with nothing in it.
    #[must_use]
    pub fn empty() -> Node {
        let origin = Origin::Line("defaults".to_owned(), 1);
        Node { origin, path: String::new(), value: Value::Table(BTreeMap::new()) }
    }

    /// Parses a whole document; `file` names it in messages.
    ///
    /// # Errors
    /// When the text is not TOML.
    pub fn parse(text: &str, file: &str) -> Result<Node, ConfigError> {
        // Counted once, as a hostile file may hold a hundred thousand values.
        let ends: Vec<usize> = text.match_indices('\n').map(|(end, _)| end).collect();
        let line = |offset: usize| ends.partition_point(|&end| end < offset) + 1;
        let place = |offset: usize| Origin::Line(file.to_owned(), line(offset));
        match DeTable::parse(text) {
            Ok(table) => Ok(Node {
                origin: place(0),
                path: String::new(),
                value: table_value(table.get_ref(), "", &place),
            }),
            Err(error) => Err(ConfigError {
                place: place(error.span().map_or(0, |span| span.start)).to_string(),
                problem: format!("this is not TOML: {}", error.message().replace('\n', ", ")),
                remedy: "compare the line with a file under configs/".to_owned(),
            }),
        }
    }

    /// Applies one `--set section.key=value`; a value that is not TOML is taken as a string.
    ///
    /// # Errors
    /// When the argument has no `=`, or its path runs through a value that is no table or list.
    pub fn set(&mut self, argument: &str) -> Result<(), ConfigError> {
        let origin = Origin::Set(argument.to_owned());
        let refuse = |problem: String, remedy: &str| ConfigError {
            place: origin.to_string(),
            problem,
            remedy: remedy.to_owned(),
        };
        let (path, text) = argument.split_once('=').ok_or_else(|| {
            let remedy = "write it like --set train.epochs=3";
            refuse("there is no `=` in it".to_owned(), remedy)
        })?;
        let path = path.trim();
        let place = |_| origin.clone();
        let value = match DeValue::parse(text.trim()) {
            Ok(value) => plain_value(value.get_ref(), path, &place),
            Err(_) => Value::String(text.trim().to_owned()),
        };
        let mut node = self;
        for step in steps(path) {
            if let Some((problem, remedy)) = node.dead_end(&step) {
                let problem = format!("{path} leads nowhere at `{step}`: {problem}");
                return Err(refuse(problem, &remedy));
            }
            node = node.child(&step, &origin);
        }
        node.origin = origin;
        node.value = value;
        Ok(())
    }

    /// Why a path goes no further than this value, and what to write instead; `None` where it does.
    fn dead_end(&self, step: &str) -> Option<(String, String)> {
        let here = if self.path.is_empty() { "the config" } else { &self.path };
        let place = index_of(step);
        match &self.value {
            Value::Table(_) if !is_bracketed(step) || self.is_unwritten_list() => None,
            Value::Table(_) => {
                Some((format!("`{here}` is a table, not a list"), format!("leave {step} out")))
            }
            Value::Array(items) if place.is_some_and(|place| place < items.len()) => None,
            Value::Array(items) => {
                let example = if place.is_some() { "" } else { &format!(".{step}") };
                let problem = format!("`{here}` is a list of {}", items.len());
                Some((problem, format!("name one of its entries, like {here}[0]{example}")))
            }
            value => {
                Some((format!("`{here}` is {value}"), format!("set all of it: --set {here}=...")))
            }
        }
    }

    /// Whether it stands for a list that no file writes, and of which `--set` has changed entries so
    /// far: a table with places for keys, which [`Node::completed`] makes a list.
    fn is_unwritten_list(&self) -> bool {
        match (&self.value, &self.origin) {
            (Value::Table(entries), Origin::Set(_)) => entries.keys().all(|key| is_bracketed(key)),
            _ => false,
        }
    }

    /// The child that a step of a path names, which leads somewhere; a missing key of a table is made.
    fn child(&mut self, step: &str, origin: &Origin) -> &mut Node {
        let path = join(&self.path, step);
        match (&mut self.value, index_of(step)) {
            (Value::Array(items), Some(place)) => &mut items[place],
            (Value::Table(table), _) => table.entry(step.to_owned()).or_insert_with(|| Node {
                origin: origin.clone(),
                path,
                value: Value::Table(BTreeMap::new()),
            }),
            _ => unreachable!("the path has a dead end here"),
        }
    }

    /// The value itself; of a list that no file writes, its default with the entries that `--set`
    /// gives.
    ///
    /// # Errors
    /// When the default is no list, or has no such entry.
    pub fn completed(&self, default: Option<&toml::Value>) -> Result<Cow<'_, Node>, ConfigError> {
        let Value::Table(entries) = &self.value else { return Ok(Cow::Borrowed(self)) };
        if entries.is_empty() || !self.is_unwritten_list() {
            return Ok(Cow::Borrowed(self));
        }
        let text = default.filter(|value| value.is_array()).map(toml::Value::to_string);
        let place = |_| self.origin.clone();
        let value = text.and_then(|text| {
            Some(plain_value(DeValue::parse(&text).ok()?.get_ref(), &self.path, &place))
        });
        let Some(value @ Value::Array(_)) = value else {
            let remedy =
                format!("leave the brackets out, or set all of it: --set {}=...", self.path);
            return Err(ConfigError::at(self, "is not written as a list", remedy));
        };
        let mut list = Node { value, ..self.clone() };
        for (step, entry) in entries {
            match list.dead_end(step) {
                Some((problem, remedy)) => {
                    let place = entry.origin.to_string();
                    return Err(ConfigError { place, problem, remedy });
                }
                None => *list.child(step, &entry.origin) = entry.clone(),
            }
        }
        Ok(Cow::Owned(list))
    }

    /// Where the deepest existing part of `path` was written.
    #[must_use]
    pub fn origin_of(&self, path: &str) -> &Origin {
        let mut node = self;
        for step in steps(path) {
            let child = match &node.value {
                Value::Table(table) => table.get(&step),
                Value::Array(items) => index_of(&step).and_then(|place| items.get(place)),
                _ => None,
            };
            match child {
                Some(child) => node = child,
                None => break,
            }
        }
        &node.origin
    }
}

/// `model.encoder[2].filters` as `model`, `encoder`, `[2]`, `filters`.
fn steps(path: &str) -> impl Iterator<Item = String> {
    let steps = path.replace('[', ".[");
    steps.split('.').map(|step| step.trim().to_owned()).collect::<Vec<_>>().into_iter()
}

/// Whether a step names an entry of a list, and no key.
fn is_bracketed(step: &str) -> bool {
    step.starts_with('[')
}

/// The place in a list that a step names: `[2]`, or `2`.
fn index_of(step: &str) -> Option<usize> {
    let inside = step.strip_prefix('[').and_then(|step| step.strip_suffix(']'));
    inside.unwrap_or(step).trim().parse().ok()
}

/// The path of a key inside the table, or of an entry of the list, at `parent`.
pub(super) fn join(parent: &str, key: &str) -> String {
    match parent {
        "" => key.to_owned(),
        _ if is_bracketed(key) => format!("{parent}{key}"),
        _ => format!("{parent}.{key}"),
    }
}

fn table_value(table: &DeTable<'_>, path: &str, place: &dyn Fn(usize) -> Origin) -> Value {
    let entries = table.iter().map(|(key, value)| {
        let path = join(path, key.get_ref());
        let node = node_of(value, key.span().start, path, place);
        (key.get_ref().to_string(), node)
    });
    Value::Table(entries.collect())
}

fn node_of(
    value: &Spanned<DeValue<'_>>,
    offset: usize,
    path: String,
    place: &dyn Fn(usize) -> Origin,
) -> Node {
    let plain = plain_value(value.get_ref(), &path, place);
    Node { origin: place(offset), path, value: plain }
}

fn plain_value(value: &DeValue<'_>, path: &str, place: &dyn Fn(usize) -> Origin) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| Value::Other(number.as_str().to_owned()), Value::Integer),
        DeValue::Float(number) => number
            .as_str()
            .parse()
            .map_or_else(|_| Value::Other(number.as_str().to_owned()), Value::Float),
        DeValue::Boolean(value) => Value::Boolean(*value),
        DeValue::Datetime(value) => Value::Other(value.to_string()),
        DeValue::Array(items) => Value::Array(
            (items.iter().enumerate())
                .map(|(i, item)| node_of(item, item.span().start, format!("{path}[{i}]"), place))
                .collect(),
        ),
        DeValue::Table(table) => table_value(table, path, place),
    }
}
