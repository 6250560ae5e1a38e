//! TOML with places: a tree whose every value remembers the line, or the `--set`, it came from.
//!
//! Nothing here knows what a key means; `schema` reads typed values out of this tree.

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
            node = node.child(&step, &origin).ok_or_else(|| {
                let remedy = "name a key as in `convae reference`, like model.encoder[0].filters";
                refuse(format!("{path} leads nowhere at `{step}`"), remedy)
            })?;
        }
        node.origin = origin;
        node.value = value;
        Ok(())
    }

    /// The child that a step of a path names; a missing key of a table is made.
    fn child(&mut self, step: &str, origin: &Origin) -> Option<&mut Node> {
        let path = join(&self.path, step);
        match &mut self.value {
            Value::Table(table) => Some(table.entry(step.to_owned()).or_insert_with(|| Node {
                origin: origin.clone(),
                path,
                value: Value::Table(BTreeMap::new()),
            })),
            Value::Array(items) => items.get_mut(step.parse::<usize>().ok()?),
            _ => None,
        }
    }

    /// Where the deepest existing part of `path` was written.
    #[must_use]
    pub fn origin_of(&self, path: &str) -> &Origin {
        let mut node = self;
        for step in steps(path) {
            let child = match &node.value {
                Value::Table(table) => table.get(&step),
                Value::Array(items) => step.parse::<usize>().ok().and_then(|i| items.get(i)),
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

/// `model.encoder[2].filters` as `model`, `encoder`, `2`, `filters`.
fn steps(path: &str) -> impl Iterator<Item = String> {
    path.split(['.', '[']).map(|step| step.trim_end_matches(']').trim().to_owned())
}

/// The path of a key inside the table at `parent`.
pub(super) fn join(parent: &str, key: &str) -> String {
    if parent.is_empty() { key.to_owned() } else { format!("{parent}.{key}") }
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
