//! A config as a flat list of dotted names and values, in which differences are easy to see.

use serde_json::Value as Json;
use toml::{Table, Value};

/// `train.optimizer.learning_rate` and 0.001, in the order of the config.
pub type Settings = Vec<(String, Json)>;

/// Every value of a table with its dotted name. Tables in a list count from 0:
/// `model.encoder[2].filters`; a list of plain values is one value.
#[must_use]
pub fn dotted(table: &Table) -> Settings {
    let mut settings = Settings::new();
    collect("", &Value::Table(table.clone()), &mut settings);
    settings
}

fn collect(path: &str, value: &Value, settings: &mut Settings) {
    match value {
        Value::Table(table) if !table.is_empty() || path.is_empty() => {
            for (key, value) in table {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                collect(&path, value, settings);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_table) => {
            for (index, item) in items.iter().enumerate() {
                collect(&format!("{path}[{index}]"), item, settings);
            }
        }
        value => settings.push((path.to_owned(), plain(value))),
    }
}

/// A value of TOML as one of JSON; what JSON has no number for becomes text.
fn plain(value: &Value) -> Json {
    match value {
        Value::Integer(number) => (*number).into(),
        Value::Float(number) => serde_json::Number::from_f64(*number)
            .map_or_else(|| number.to_string().into(), Json::from),
        Value::Boolean(value) => (*value).into(),
        Value::String(text) => text.clone().into(),
        Value::Datetime(date) => date.to_string().into(),
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Table(table) => {
            Json::Object(table.iter().map(|(key, value)| (key.clone(), plain(value))).collect())
        }
    }
}

/// The first key whose value is not the same in both: its name, the value before and the one after.
#[must_use]
pub fn changed<'a>(
    before: &'a Settings,
    after: &'a Settings,
) -> Option<(&'a str, Option<&'a Json>, Option<&'a Json>)> {
    let keys = before.iter().chain(after).map(|(key, _)| key.as_str());
    keys.map(|key| (key, value_of(before, key), value_of(after, key)))
        .find(|(_, before, after)| before != after)
}

/// The value of a key.
pub(super) fn value_of<'a>(settings: &'a Settings, key: &str) -> Option<&'a Json> {
    settings.iter().find(|(name, _)| name == key).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(toml: &str) -> Settings {
        dotted(&toml.parse().unwrap())
    }

    #[test]
    fn every_value_has_a_dotted_name() {
        let text = "seed = 1\n[model]\ninput_shape = [28, 28, 1]\n\
                    encoder = [{ layer = \"Conv2D\", filters = 8 }, { layer = \"ReLU\" }]\n\
                    decoder = []\n[train]\noptimizer = { name = \"SGD\", learning_rate = 0.1 }\n";
        let names: Vec<_> = settings(text).into_iter().map(|(key, _)| key).collect();
        assert_eq!(
            names,
            [
                "seed",
                "model.input_shape",
                "model.encoder[0].layer",
                "model.encoder[0].filters",
                "model.encoder[1].layer",
                "model.decoder",
                "train.optimizer.name",
                "train.optimizer.learning_rate",
            ]
        );
        assert_eq!(settings(text)[1].1, serde_json::json!([28, 28, 1]));
    }

    #[test]
    fn the_first_change_is_found_whether_a_value_changed_came_or_went() {
        let one = settings("a = 1\nb = 2\n");
        assert_eq!(changed(&one, &one), None);
        for (other, key) in [("a = 1\nb = 3", "b"), ("a = 1", "b"), ("a = 1\nb = 2\nc = 0", "c")] {
            assert_eq!(changed(&one, &settings(other)).unwrap().0, key);
        }
    }
}
