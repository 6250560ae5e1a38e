//! One of Keras's small objects, a regularizer for one, in the words of the config's family for it.

use serde_json::{Map, Value};

use super::json::{Object, shown};
use super::training::plain_value;
use crate::config::schema::Key;

/// A family of the config language: the texts that it takes, and its members.
pub struct Family {
    /// Each with the member that it means.
    pub texts: &'static [(&'static str, &'static str)],
    /// Name, description and keys of each.
    pub members: Vec<(&'static str, &'static str, Vec<Key>)>,
}

impl Family {
    /// A text, or a table with the member's `name`.
    ///
    /// # Errors
    /// Says what it is, where the family has no such member.
    pub fn read(&self, value: &Value) -> Result<toml::Value, String> {
        if let Value::String(text) = value {
            let known = self.texts.iter().find(|(known, name)| known == text || name == text);
            return known.map(|(text, _)| (*text).into()).ok_or_else(|| shown(value));
        }
        let object = Object::of(value).filter(|object| !object.custom);
        let object = object.ok_or_else(|| shown(value))?;
        let known = self.members.iter().find(|(name, ..)| *name == object.class);
        let (name, _, keys) = known.ok_or_else(|| shown(value))?;
        let mut table = toml::Table::from_iter([("name".to_owned(), toml::Value::from(*name))]);
        let empty = Map::new();
        for (option, value) in object.config.as_object().unwrap_or(&empty) {
            let key = keys.iter().find(|key| key.name == option);
            let said = match (key, value) {
                (_, Value::Null) => continue,
                (None, _) if matches!(option.as_str(), "name" | "dtype") => continue,
                (Some(_), Value::String(text)) => Some(text.as_str().into()),
                (Some(key), value) => plain_value(value, key),
                (None, _) => None,
            };
            let said = said.ok_or_else(|| format!("{name} with {option} = {}", shown(value)))?;
            table.insert(option.clone(), said);
        }
        let text = self.texts.iter().find(|(_, known)| known == name);
        Ok(match text {
            Some((text, _)) if table.len() == 1 => (*text).into(),
            _ => toml::Value::Table(table),
        })
    }
}
