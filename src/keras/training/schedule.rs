//! Schedules of the learning rate.

use serde_json::{Map, Value};

use super::optimizer::plain_value;
use crate::config::policies::LearningRateSchedule;
use crate::keras::json::{Object, number, shown, tidy};

/// How a file gives a learning rate.
pub enum Rate {
    /// A number.
    Constant(f64),
    /// The first rate, and `train.learning_rate_schedule`.
    Schedule(f64, toml::Table),
    /// The first rate, where it is known, and what the schedule is.
    Unknown(Option<f64>, String),
}

/// Reads one.
pub fn rate(value: &Value) -> Rate {
    if let Value::Number(_) = value {
        return number(value)
            .map_or_else(|| Rate::Unknown(None, shown(value)), |rate| Rate::Constant(tidy(rate)));
    }
    let Some(object) = Object::of(value) else {
        return Rate::Unknown(number(value).map(tidy), shown(value));
    };
    let empty = Map::new();
    let config = object.config.as_object().unwrap_or(&empty);
    let first = first_rate(config);
    let unknown = |what: String| Rate::Unknown(first, what);
    if object.custom {
        return unknown(shown(value));
    }
    let reference = LearningRateSchedule::reference();
    let known = reference.iter().find(|(name, ..)| *name == object.class);
    let (Some((name, _, keys)), Some(first)) = (known, first) else { return unknown(shown(value)) };
    let mut schedule = toml::Table::from_iter([("name".to_owned(), toml::Value::from(*name))]);
    let warms_up = config.get("warmup_target").is_some_and(|target| !target.is_null());
    for (option, value) in config {
        let key = keys.iter().find(|key| key.name == option);
        match (option.as_str(), key) {
            ("warmup_steps", _) if !warms_up => {} // Keras does not look at them then
            (_, Some(key)) => {
                if let Some(value) = plain_value(value, key) {
                    schedule.insert(option.clone(), value);
                }
            }
            ("name" | "initial_learning_rate", None) => {}
            (_, None) if value.is_null() => {}
            (_, None) => return unknown(format!("{name} with {option} = {}", shown(value))),
        }
    }
    Rate::Schedule(first, schedule)
}

fn first_rate(config: &Map<String, Value>) -> Option<f64> {
    let values = config.get("values").and_then(Value::as_array).and_then(|values| values.first());
    values.or_else(|| config.get("initial_learning_rate")).and_then(number).map(tidy)
}
