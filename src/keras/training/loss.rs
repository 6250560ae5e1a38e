//! The loss, in every spelling that Keras ever wrote.

use serde_json::{Map, Value};

use crate::config::schema::Field;
use crate::keras::json::{Object, list, number, shown, text};
use crate::nn::Loss;

/// Keras's short names.
const SHORT: [(&str, &str); 3] =
    [("mse", "mean_squared_error"), ("mae", "mean_absolute_error"), ("bce", "binary_crossentropy")];
/// What the mean over a batch is called; all the same where samples have no weights.
const MEANS: [&str; 5] =
    ["sum_over_batch_size", "auto", "mean", "mean_with_sample_weight", "sum_over_nonzero_weights"];

/// Convae's name for it; the error says what it is.
pub fn loss(value: &Value) -> Result<&'static str, String> {
    match value {
        Value::String(name) => known(name).ok_or_else(|| shown(value)),
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

fn object(value: &Value) -> Result<&'static str, String> {
    let found = Object::of(value).filter(|object| !object.custom).ok_or_else(|| shown(value))?;
    if found.class == "function" {
        let name = found.config.as_str().ok_or_else(|| shown(value))?;
        return known(name).ok_or_else(|| shown(value));
    }
    let name = known(found.class).ok_or_else(|| shown(value))?;
    let empty = Map::new();
    let options = found.config.as_object().unwrap_or(&empty);
    match options.iter().find(|(key, value)| !is_neutral(key, value)) {
        Some((key, value)) => Err(format!("{name} with {key} = {}", shown(value))),
        None => Ok(name),
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
    let names = Loss::choices().iter().map(|choice| choice.name);
    names.filter(|name| *name != super::UNKNOWN).find(|name| bare(name) == long)
}
