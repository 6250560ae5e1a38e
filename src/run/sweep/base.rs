//! What all runs of a sweep share: the config as it is written, without the grid's keys.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::Grid;
use crate::config::node::{Node, Value};
use crate::run::comparison::{Settings, changed, dotted};

/// Every key that the config file and `--set` write, by its dotted name. Defaults are not among them:
/// the next version may have others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Base(Map<String, Json>);

impl Base {
    /// Of a config's tree.
    #[must_use]
    pub fn of(root: &Node) -> Self {
        let table = match toml_of(&root.value) {
            toml::Value::Table(table) => table,
            _ => toml::Table::new(),
        };
        Self(dotted(&table).into_iter().collect())
    }

    /// The first key that is another one now, in words. The grid's own keys may change: each run has
    /// its own values of them.
    #[must_use]
    pub fn change(&self, now: &Self, grid: &Grid) -> Option<String> {
        let kept = |base: &Self| -> Settings {
            let settings =
                base.0.iter().filter(|(key, _)| !grid.keys().any(|axis| covers(axis, key)));
            settings.map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        let (before, now) = (kept(self), kept(now));
        changed(&before, &now).map(|(key, before, now)| change_in_words(key, before, now))
    }
}

/// "train.epochs = 3, and now it is 5".
#[must_use]
pub fn change_in_words(key: &str, before: Option<&Json>, now: Option<&Json>) -> String {
    match (before, now) {
        (Some(before), Some(now)) => format!("{key} = {before}, and now it is {now}"),
        (Some(before), None) => format!("{key} = {before}, and now it is not set"),
        (None, Some(now)) => format!("{key} not set, and now it is {now}"),
        (None, None) => format!("another {key}"),
    }
}

/// Whether a list of values for `axis` decides `key`.
fn covers(axis: &str, key: &str) -> bool {
    let rest = key.strip_prefix(axis);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

fn toml_of(value: &Value) -> toml::Value {
    match value {
        Value::Integer(number) => toml::Value::Integer(*number),
        Value::Float(number) => toml::Value::Float(*number),
        Value::Boolean(value) => toml::Value::Boolean(*value),
        Value::String(text) | Value::Other(text) => toml::Value::String(text.clone()),
        Value::Array(items) => {
            toml::Value::Array(items.iter().map(|item| toml_of(&item.value)).collect())
        }
        Value::Table(entries) => {
            let entries = entries.iter().map(|(key, node)| (key.clone(), toml_of(&node.value)));
            toml::Value::Table(entries.collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(toml: &str) -> Base {
        Base::of(&Node::parse(toml, "base.toml").unwrap())
    }

    fn change(before: &str, now: &str, grid: &str) -> Option<String> {
        base(before).change(&base(now), &Grid::parse(&[grid.to_owned()]).unwrap())
    }

    #[test]
    fn comments_and_the_order_of_keys_are_no_change() {
        let (before, now) = ("a = 1\nb = [1, 2]\n", "# new\nb = [ 1, 2 ]\na = 1 # same\n");
        assert_eq!(change(before, now, "seed=1"), None);
    }

    #[test]
    fn a_change_is_named_with_both_values() {
        let told = |before, now| change(before, now, "seed=1").unwrap();
        assert_eq!(
            told("[train]\nepochs = 3", "[train]\nepochs = 5"),
            "train.epochs = 3, and now it is 5"
        );
        assert_eq!(told("a = \"x\"", ""), "a = \"x\", and now it is not set");
        assert_eq!(told("", "a = 1"), "a not set, and now it is 1");
    }

    #[test]
    fn keys_of_the_grid_may_change_and_others_that_begin_alike_may_not() {
        let table = "[o]\nname = \"SGD\"\nrate = 1\n";
        assert_eq!(change(table, "o = 1", "o=1,2"), None);
        assert_eq!(change("[o]\nl = [{ f = 1 }]", "[o]\nl = [{ f = 2 }]", "o.l=[],[1]"), None);
        assert!(change("[o]\nrate = 1", "[o]\nrate = 2", "o.rat=1,2").is_some());
    }
}
