//! The loss, in every spelling that Keras ever wrote.

use serde_json::{Map, Value};

use super::optimizer::plain_value;
use crate::config::losses::LossTable;
use crate::config::schema::Unwritten;
use crate::keras::json::{Object, list, number, shown, text};

/// Keras's other names.
const SHORT: [(&str, &str); 8] = [
    ("mse", "mean_squared_error"),
    ("mae", "mean_absolute_error"),
    ("bce", "binary_crossentropy"),
    ("mape", "mean_absolute_percentage_error"),
    ("msle", "mean_squared_logarithmic_error"),
    ("kld", "kl_divergence"),
    ("kullbackleiblerdivergence", "kl_divergence"),
    ("huberloss", "huber"),
];
/// What the mean over a batch is called; all the same where samples have no weights.
const MEANS: [&str; 5] =
    ["sum_over_batch_size", "auto", "mean", "mean_with_sample_weight", "sum_over_nonzero_weights"];

/// Convae's words for it; the error says what it is.
pub fn loss(value: &Value) -> Result<toml::Value, String> {
    match value {
        Value::String(name) => known(name).map(toml::Value::from).ok_or_else(|| shown(value)),
        Value::Array(items) => match items.as_slice() {
            [one] => loss(one),
            _ => Err(shown(value)),
        },
        Value::Object(items) => match text(value, "class_name") {
            Some("__tuple__") => match list(value, "items") {
                [one] => loss(one),
                _ => Err("several".to_owned()),
            },
            Some(_) => object(value),
            None => match items.values().collect::<Vec<_>>().as_slice() {
                [one] => loss(one),
                _ => Err("one for each of several outputs".to_owned()),
            },
        },
        _ => Err(shown(value)),
    }
}

fn object(value: &Value) -> Result<toml::Value, String> {
    let found = Object::of(value).filter(|object| !object.custom).ok_or_else(|| shown(value))?;
    if found.class == "function" {
        let name = found.config.as_str().ok_or_else(|| shown(value))?;
        return known(name).map(toml::Value::from).ok_or_else(|| shown(value));
    }
    let name = known(found.class).ok_or_else(|| shown(value))?;
    let empty = Map::new();
    let options = found.config.as_object().unwrap_or(&empty);
    let mut table = toml::Table::from_iter([("loss".to_owned(), name.into())]);
    for (option, value) in options {
        let taken = taken_over(name, option, value)?;
        table.extend(taken.map(|value| (option.clone(), value)));
    }
    if table.len() == 1 { Ok(name.into()) } else { Ok(table.into()) }
}

/// An option's value, or nothing where it is the default or says nothing; the error says what the loss lacks here.
fn taken_over(name: &str, option: &str, value: &Value) -> Result<Option<toml::Value>, String> {
    let lacking = || format!("{name} with {option} = {}", shown(value));
    match (option, value.as_str()) {
        ("name" | "fn" | "dtype", _) => return Ok(None),
        ("reduction", Some(mean)) if MEANS.contains(&mean) => return Ok(None),
        ("reduction", Some("sum")) => return Ok(Some("sum".into())),
        ("reduction", _) => return Err(lacking()), // none at all leaves nothing to minimise
        _ if value.is_null() => return Ok(None),
        _ => {}
    }
    let reference = LossTable::reference();
    let keys = reference.iter().filter(|(known, ..)| *known == name).flat_map(|(.., keys)| keys);
    match keys.into_iter().find(|key| key.name == option) {
        Some(key) => {
            let value = plain_value(tuple_of(value), key).ok_or_else(lacking)?;
            Ok((key.default != Unwritten::Value(value.clone())).then_some(value))
        }
        // The mean over it is a part of that over everything.
        None if option == "axis" && number(value) == Some(-1.0) => Ok(None),
        None => Err(lacking()),
    }
}

/// The items of a tuple, as Keras 3 writes one.
fn tuple_of(value: &Value) -> &Value {
    let items = value.get("items").filter(|_| text(value, "class_name") == Some("__tuple__"));
    items.unwrap_or(value)
}

/// `mse`, `MSE`, `mean_squared_error` and `MeanSquaredError` are one.
fn known(name: &str) -> Option<&'static str> {
    let bare = |name: &str| name.replace('_', "").to_lowercase();
    let wanted = bare(name);
    let long =
        SHORT.iter().find(|(short, _)| *short == wanted).map_or(wanted, |(_, long)| bare(long));
    let names = LossTable::NAMES.iter().copied();
    names.filter(|name| !LossTable::OURS.contains(name)).find(|name| bare(name) == long)
}
