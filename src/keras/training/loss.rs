//! The loss, in every spelling that Keras ever wrote.

use serde_json::{Map, Value};

use crate::config::losses::LossTable;
use crate::keras::json::{Object, list, number, shown, text, tidy};

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
/// Names here that Keras does not have.
const OURS: [&str; 3] = ["charbonnier", "ssim", super::UNKNOWN];
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
    let delta = options.get("delta").and_then(number).filter(|_| name == "huber");
    let own = |key: &str| key == "delta" && delta.is_some();
    match (options.iter().find(|(key, value)| !own(key) && !is_neutral(key, value)), delta) {
        (Some((key, value)), _) => Err(format!("{name} with {key} = {}", shown(value))),
        (None, None | Some(1.0)) => Ok(name.into()),
        (None, Some(delta)) => {
            let keys = [("loss", toml::Value::from(name)), ("delta", tidy(delta).into())];
            Ok(toml::Table::from_iter(keys.map(|(key, value)| (key.to_owned(), value))).into())
        }
    }
}

fn is_neutral(key: &str, value: &Value) -> bool {
    match key {
        "name" | "fn" | "dtype" => true,
        _ if value.is_null() => true,
        "from_logits" => value == &Value::Bool(false),
        "label_smoothing" => number(value) == Some(0.0),
        "axis" => number(value) == Some(-1.0),
        "reduction" => value.as_str().is_some_and(|name| MEANS.contains(&name)),
        _ => false,
    }
}

/// `mse`, `MSE`, `mean_squared_error` and `MeanSquaredError` are one.
fn known(name: &str) -> Option<&'static str> {
    let bare = |name: &str| name.replace('_', "").to_lowercase();
    let wanted = bare(name);
    let long =
        SHORT.iter().find(|(short, _)| *short == wanted).map_or(wanted, |(_, long)| bare(long));
    let names = LossTable::NAMES.iter().copied();
    names.filter(|name| !OURS.contains(name)).find(|name| bare(name) == long)
}
