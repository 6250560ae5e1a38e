//! The optimizer, in every spelling that Keras ever wrote.

use serde_json::{Map, Value};

use super::schedule::{self, Rate};
use crate::config::schema::{Key, Unwritten};
use crate::config::sections::Optimizer;
use crate::keras::json::{Object, number, plain, shown};
use crate::keras::layers::whole_number;
use crate::keras::notes::Notes;
use crate::keras::version::Version;

/// Of a moving average that is not asked for.
const OF_AVERAGES: [&str; 2] = ["ema_momentum", "ema_overwrite_frequency"];

/// Where Keras's None is a 0 here, and not the default.
const OFF_AT_0: [&str; 3] = ["weight_decay", "adam_weight_decay", "rms_rate"];

/// An optimizer that convae has.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// `train.optimizer`.
    pub keys: toml::Table,
    /// `train.learning_rate_schedule`.
    pub schedule: Option<toml::Table>,
}

impl Found {
    /// For people.
    pub fn shown(&self) -> String {
        let name = self.keys.get("name").and_then(toml::Value::as_str).unwrap_or("?");
        let rate = self
            .keys
            .get("learning_rate")
            .map_or(String::new(), |rate| format!(", learning rate {rate}"));
        let schedule = self.schedule.as_ref().and_then(|schedule| schedule.get("name")?.as_str());
        let schedule = schedule.map_or(String::new(), |name| format!(", then {name}"));
        format!("{name}{rate}{schedule}")
    }
}

/// Convae's words for it; the error says what it is.
pub fn optimizer(given: &Value, version: Version, notes: &mut Notes) -> Result<Found, String> {
    if let Value::String(name) = given {
        let known = Optimizer::NAMES.iter().find(|known| known.eq_ignore_ascii_case(name));
        let name = known.ok_or_else(|| plain(name))?;
        let keys = toml::Table::from_iter([("name".to_owned(), toml::Value::from(*name))]);
        return Ok(Found { keys, schedule: None });
    }
    let object = keras_own(given).ok_or_else(|| shown(given))?;
    if object.class == "LossScaleOptimizer" {
        notes.add("the scale of the loss is left behind: convae computes in one precision");
        let inner = object.config.get("inner_optimizer").unwrap_or(&Value::Null);
        let inner = inner.as_object().map(|_| inner).ok_or_else(|| shown(given))?;
        return if keras_own(inner).is_some_and(|inner| inner.class == "LossScaleOptimizer") {
            Err(shown(given))
        } else {
            optimizer(inner, version, notes)
        };
    }
    let reference = Optimizer::reference();
    let known = reference.iter().find(|(name, ..)| *name == object.class);
    let (name, _, keys) = known.ok_or_else(|| shown(given))?;
    Ok(options(name, keys, object.config, version, notes))
}

/// Keras 2.11 to 2.15 registered their own as somebody's: `Custom>Adam`.
fn keras_own(given: &Value) -> Option<Object<'_>> {
    let object = Object::of(given)?;
    let class = given.get("class_name")?.as_str()?;
    let module = given.get("module").and_then(Value::as_str);
    let registered =
        class.strip_prefix("Custom>").is_some_and(|name| Optimizer::NAMES.contains(&name));
    (!object.custom || (registered && module.is_none())).then_some(object)
}

fn options(name: &str, keys: &[Key], config: &Value, version: Version, notes: &mut Notes) -> Found {
    let empty = Map::new();
    let config = config.as_object().unwrap_or(&empty);
    let averages = config.get("use_ema") == Some(&Value::Bool(true));
    let mut found = Found { keys: toml::Table::new(), schedule: None };
    found.keys.insert("name".to_owned(), name.into());
    for (option, value) in config {
        let key = keys.iter().find(|key| key.name == option);
        match (option.as_str(), key) {
            ("learning_rate" | "lr", _) => rate(value, &mut found, notes),
            // Of Nadam it is the momentum's.
            ("decay" | "schedule_decay", _) if name == "Nadam" => notes.add(format!(
                "{option} = {} of Nadam is left behind: here its momentum follows Keras 3's schedule, and its \
                 steps differ",
                shown(value)
            )),
            ("decay", _) => decay(value, &mut found),
            (option, Some(_)) if OF_AVERAGES.contains(&option) && !averages => {}
            // Of all gradients together, at that time (`keras/optimizers.py`, `get_gradients`).
            ("clipnorm", Some(key)) if version.is_multi_backend() => {
                if let Some(value) = plain_value(value, key) {
                    found.keys.insert("global_clipnorm".to_owned(), value);
                }
            }
            (option, Some(Key { default: Unwritten::Value(_), .. }))
                if OFF_AT_0.contains(&option) && value.is_null() =>
            {
                found.keys.insert(option.to_owned(), 0.0.into());
            }
            ("exclude_layers", Some(_)) => {
                let names = value.as_array().into_iter().flatten().filter_map(Value::as_str);
                let names = names.map(toml::Value::from).collect();
                found.keys.insert(option.clone(), toml::Value::Array(names));
            }
            (_, Some(key)) => {
                if let Some(value) = plain_value(value, key) {
                    found.keys.insert(option.clone(), value);
                }
            }
            (option, None) => unknown(option, value, notes),
        }
    }
    if ["RMSprop", "Adagrad"].contains(&name) && is_old(version, config) {
        notes.add(format!(
            "{name} of Keras 2 adds its epsilon outside the root, here it stands inside: where a gradient is \
             near 0 the steps differ"
        ));
    }
    if name == "Adagrad" && version.is_multi_backend() {
        found.keys.entry("initial_accumulator_value").or_insert_with(|| 0.0.into());
    }
    found
}

/// Whether it is of the time when an optimizer had a `decay`.
fn is_old(version: Version, config: &Map<String, Value>) -> bool {
    version.major < 3 && config.contains_key("decay")
}

fn rate(value: &Value, found: &mut Found, notes: &mut Notes) {
    match schedule::rate(value) {
        Rate::Constant(rate) => {
            found.keys.insert("learning_rate".to_owned(), rate.into());
        }
        Rate::Schedule(first, schedule) => {
            found.keys.insert("learning_rate".to_owned(), first.into());
            found.schedule = Some(schedule);
        }
        Rate::Unknown(first, what) => {
            let from = first.map_or(String::new(), |first| {
                format!(", of which the first rate, {first}, stays")
            });
            notes.add(format!("the schedule of the learning rate, {what}, is left behind{from}"));
            if let Some(first) = first {
                found.keys.insert("learning_rate".to_owned(), first.into());
            }
        }
    }
}

/// Keras 1's and 2's `decay`: the rate divided by 1 + decay * steps.
fn decay(value: &Value, found: &mut Found) {
    let decay = number(value).unwrap_or(0.0);
    if decay != 0.0 {
        found.schedule = Some(toml::Table::from_iter([
            ("name".to_owned(), toml::Value::from("InverseTimeDecay")),
            ("decay_steps".to_owned(), toml::Value::from(1)),
            ("decay_rate".to_owned(), toml::Value::from(decay)),
        ]));
    }
}

/// A number, or yes or no; nothing where it is not set.
pub fn plain_value(value: &Value, key: &Key) -> Option<toml::Value> {
    match value {
        Value::Bool(truth) => Some((*truth).into()),
        Value::Number(_) | Value::Object(_) => {
            let number = number(value)?;
            if key.takes.starts_with("a number") {
                Some(number.into())
            } else {
                whole_number(number)
            }
        }
        Value::Array(items) => Some(toml::Value::Array(
            items.iter().map(|item| plain_item(item, key)).collect::<Option<_>>()?,
        )),
        _ => None,
    }
}

fn plain_item(item: &Value, key: &Key) -> Option<toml::Value> {
    let number = number(item)?;
    if key.takes.contains("each entry a number") {
        Some(number.into())
    } else {
        whole_number(number)
    }
}

fn unknown(option: &str, value: &Value, notes: &mut Notes) {
    let harmless = matches!(option, "name" | "jit_compile" | "is_legacy_optimizer" | "dtype");
    if harmless || value.is_null() || value == &Value::Bool(false) {
        return;
    }
    notes.add(format!("the optimizer's {} = {} is left behind", plain(option), shown(value)));
}
