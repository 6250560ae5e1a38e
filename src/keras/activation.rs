//! Activations as files name them: a word, Keras's own function, or a layer in an option's place.

use serde_json::{Map, Value};

use super::dialect::modern;
use super::json::{Object, number, shown};
use super::version::Version;
use crate::config::schema::Field;
use crate::nn::{Activation, LEAKY_RELU_SLOPE};

/// A function that convae has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Found {
    /// By its name in a config.
    Named(&'static str),
    /// A LeakyReLU of this slope.
    Leaky(f64),
    /// An ELU of this alpha.
    Elu(f64),
    /// A ReLU with options.
    Relu {
        /// The largest value.
        max_value: Option<f64>,
        /// Slope below the threshold.
        negative_slope: f64,
        /// Values up to it count as negative.
        threshold: f64,
    },
}

/// What an `activation` says; the error continues "has activation = ".
pub fn activation(value: &Value, version: Version) -> Result<Found, String> {
    match value {
        Value::Null => Ok(Found::Named("linear")),
        Value::String(name) => named(name, version),
        _ => match Object::of(value) {
            Some(object) if object.class == "function" => match object.config {
                Value::String(name) => named(name, version),
                _ => Err(shown(value)),
            },
            Some(object) if !object.custom => match object.config.get("axis") {
                Some(axis) if object.class == "Softmax" && axis != &Value::from(-1) => {
                    Err(format!("a Softmax with axis = {}", shown(axis)))
                }
                _ => layer(&object, version).unwrap_or_else(|| Err(shown(value))),
            },
            _ => Err(shown(value)),
        },
    }
}

fn named(name: &str, version: Version) -> Result<Found, String> {
    if name == "LeakyReLU" {
        return Ok(Found::Leaky(0.3)); // the layer with its default
    }
    if name == "hard_sigmoid" && version.major < 3 {
        let was = "\"hard_sigmoid\", which was 0.2 x + 0.5 before Keras 3 and is x / 6 + 0.5 here";
        return Err(was.to_owned());
    }
    let choices = Activation::choices().iter();
    let mut found = choices.filter(|choice| choice.name == name || choice.aliases.contains(&name));
    found.next().map(|choice| Found::Named(choice.name)).ok_or_else(|| shown(&Value::from(name)))
}

/// A layer that is an activation; `None` where it is none that is known here.
pub fn layer(object: &Object, version: Version) -> Option<Result<Found, String>> {
    let said = modern(object);
    let config = &said.config;
    let value = |key: &str, usual: f64| config.get(key).map_or(Some(usual), number);
    Some(match said.class.as_str() {
        "Activation" => activation(config.get("activation").unwrap_or(&Value::Null), version),
        "ReLU" => relu(config),
        "LeakyReLU" => {
            value("negative_slope", 0.3).map(leaky).ok_or_else(|| "LeakyReLU".to_owned())
        }
        "ELU" if value("alpha", 1.0) == Some(1.0) => Ok(Found::Named("elu")),
        "ELU" => value("alpha", 1.0).map(Found::Elu).ok_or_else(|| "ELU".to_owned()),
        "Softmax" if matches!(config.get("axis").map(number), None | Some(Some(-1.0))) => {
            Ok(Found::Named("softmax"))
        }
        "Softmax" => Err(format!("a Softmax with axis = {}", shown(&config["axis"]))),
        _ => return None,
    })
}

fn leaky(slope: f64) -> Found {
    if slope == LEAKY_RELU_SLOPE { Found::Named("leaky_relu") } else { Found::Leaky(slope) }
}

fn relu(config: &Map<String, Value>) -> Result<Found, String> {
    let given = |key: &str| config.get(key).and_then(number);
    let is_set = |key: &&str| config.get(*key).is_some_and(|value| !value.is_null());
    let options = ["max_value", "negative_slope", "threshold"];
    if let Some(key) = options.iter().find(|key| is_set(key) && given(key).is_none()) {
        return Err(format!("a ReLU with {key} = {}", shown(&config[*key])));
    }
    let (slope, threshold) = (given("negative_slope"), given("threshold"));
    let [slope, threshold] = [slope, threshold].map(|value| value.unwrap_or(0.0));
    Ok(match given("max_value") {
        None if threshold == 0.0 && slope == 0.0 => Found::Named("relu"),
        None if threshold == 0.0 => leaky(slope),
        Some(6.0) if threshold == 0.0 && slope == 0.0 => Found::Named("relu6"),
        max_value => Found::Relu { max_value, negative_slope: slope, threshold },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: Version = Version { major: 3, minor: 8, of_tensorflow: false };
    const OLD: Version = Version { major: 2, minor: 13, of_tensorflow: false };

    #[test]
    fn an_option_that_is_not_read_is_refused() {
        let object = |class: &str, config: Value| json!({ "class_name": class, "config": config });
        for (given, words) in [
            (object("Softmax", json!({ "axis": 1 })), "a Softmax with axis = 1"),
            (object("ReLU", json!({ "max_value": "six" })), "a ReLU with max_value = \"six\""),
        ] {
            assert_eq!(activation(&given, NOW).unwrap_err(), words);
        }
        assert_eq!(
            activation(&object("Softmax", json!({ "axis": -1 })), NOW),
            Ok(Found::Named("softmax"))
        );
    }

    #[test]
    fn each_spelling_of_an_activation_is_one_of_ours_where_it_is_equal() {
        for (given, found) in [
            (json!(null), Found::Named("linear")),
            (json!("relu"), Found::Named("relu")),
            (json!("swish"), Found::Named("silu")),
            (json!("LeakyReLU"), Found::Leaky(0.3)),
            (json!({ "class_name": "function", "config": "tanh" }), Found::Named("tanh")),
            (json!({ "class_name": "LeakyReLU", "config": { "alpha": 0.1 } }), Found::Leaky(0.1)),
            (
                json!({ "class_name": "LeakyReLU", "module": "keras.layers",
                     "config": { "negative_slope": 0.2 } }),
                Found::Named("leaky_relu"),
            ),
            (
                json!({ "class_name": "LeakyReLU", "config": { "alpha": { "type": "ndarray",
                     "value": 0.300_000_011_920_928_96 } } }),
                Found::Leaky(0.300_000_011_920_928_96),
            ),
            (
                json!({ "class_name": "ReLU", "config": { "max_value": 6.0 } }),
                Found::Named("relu6"),
            ),
            (
                json!({ "class_name": "ReLU", "config": { "max_value": null, "negative_slope": 0.1,
                     "threshold": 0.0 } }),
                Found::Leaky(0.1),
            ),
            (json!({ "class_name": "ELU", "config": { "alpha": 1.0 } }), Found::Named("elu")),
            (json!({ "class_name": "ELU", "config": { "alpha": 0.5 } }), Found::Elu(0.5)),
            (
                json!({ "class_name": "ReLU", "config": { "max_value": 1.0, "threshold": 0.5 } }),
                Found::Relu { max_value: Some(1.0), negative_slope: 0.0, threshold: 0.5 },
            ),
            (
                json!({ "class_name": "Activation", "config": { "activation": "selu" } }),
                Found::Named("selu"),
            ),
        ] {
            assert_eq!(activation(&given, NOW), Ok(found), "{given}");
        }
    }

    #[test]
    fn an_activation_of_another_function_is_refused_by_what_it_is() {
        for (given, words) in [
            (json!("my_function"), "\"my_function\""),
            (json!({ "class_name": "PReLU", "config": {} }), "PReLU"),
            (
                json!({ "class_name": "Softmax", "config": { "axis": 1 } }),
                "a Softmax with axis = 1",
            ),
            (json!({ "class_name": "me>LeakyReLU", "config": {} }), "LeakyReLU"),
            (json!({ "value": ["4wEA", null, null] }), "an object"),
        ] {
            let refused = activation(&given, NOW).unwrap_err();
            assert!(refused.starts_with(words), "{given}: {refused}");
        }
        assert!(activation(&json!("hard_sigmoid"), OLD).unwrap_err().contains("0.2 x + 0.5"));
        assert!(activation(&json!("hard_sigmoid"), NOW).is_ok());
    }
}
