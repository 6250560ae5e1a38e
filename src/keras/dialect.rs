//! Keras 1's and 2's words for what Keras 3 calls otherwise, so that everything else reads one language.

use serde_json::{Map, Value, json};

use super::json::Object;

/// A layer's class and options in Keras 3's words.
#[derive(Debug, Clone, PartialEq)]
pub struct Modern {
    /// Its class.
    pub class: String,
    /// Its options.
    pub config: Map<String, Value>,
}

/// Keras 1's class of transposed convolutions, which says its output's shape.
pub const OLD_TRANSPOSED: &str = "Deconvolution2D";

/// Options that have been given another name.
const RENAMED: [(&str, &str); 22] = [
    ("nb_filter", "filters"),
    ("subsample", "strides"),
    ("subsample_length", "strides"),
    ("filter_length", "kernel_size"),
    ("pool_length", "pool_size"),
    ("stride", "strides"),
    ("length", "size"),
    ("border_mode", "padding"),
    ("bias", "use_bias"),
    ("output_dim", "units"),
    ("init", "kernel_initializer"),
    ("beta_init", "beta_initializer"),
    ("gamma_init", "gamma_initializer"),
    ("atrous_rate", "dilation_rate"),
    ("p", "rate"),
    ("sigma", "stddev"),
    ("W_regularizer", "kernel_regularizer"),
    ("b_regularizer", "bias_regularizer"),
    ("W_constraint", "kernel_constraint"),
    ("b_constraint", "bias_constraint"),
    ("concat_axis", "axis"),
    ("dim_ordering", "data_format"),
];

/// Says it anew.
pub fn modern(object: &Object) -> Modern {
    let mut config = object.config.as_object().cloned().unwrap_or_default();
    let class = class_of(object.class, &mut config);
    for (old, new) in RENAMED {
        if let Some(value) = config.shift_remove(old) {
            config.entry(new).or_insert(value);
        }
    }
    if object.class == "ThresholdedReLU" {
        // Keras 3 has no such class; its theta was 1 where not said.
        let theta = config.shift_remove("theta").unwrap_or(json!(1.0));
        config.insert("threshold".to_owned(), theta);
    }
    if class == "LeakyReLU"
        && let Some(slope) = config.shift_remove("alpha")
    {
        config.entry("negative_slope").or_insert(slope);
    }
    if let (Some(rows), Some(columns)) =
        (config.shift_remove("nb_row"), config.shift_remove("nb_col"))
    {
        config.insert("kernel_size".to_owned(), json!([rows, columns]));
    }
    if let Some(format) = config.get_mut("data_format") {
        match format.as_str() {
            Some("tf" | "default") => *format = json!("channels_last"),
            Some("th") => *format = json!("channels_first"),
            _ => {}
        }
    }
    sides(&mut config);
    // Of a BatchNormalization of Keras 1: over the batch, as ever since.
    if config.get("mode") == Some(&json!(0)) {
        config.shift_remove("mode");
    }
    Modern { class, config }
}

fn class_of(class: &str, config: &mut Map<String, Value>) -> String {
    match class {
        "Convolution1D" | "AtrousConvolution1D" => "Conv1D",
        "Convolution2D" | "AtrousConvolution2D" => "Conv2D",
        OLD_TRANSPOSED => {
            config.shift_remove("output_shape"); // held against what the layer gives
            "Conv2DTranspose"
        }
        "Convolution2DTranspose" => "Conv2DTranspose",
        "SeparableConvolution1D" => "SeparableConv1D",
        "SeparableConvolution2D" => "SeparableConv2D",
        "ThresholdedReLU" => "ReLU",
        "GlobalAvgPool2D" => "GlobalAveragePooling2D",
        "GlobalMaxPool2D" => "GlobalMaxPooling2D",
        "GlobalAvgPool1D" => "GlobalAveragePooling1D",
        "GlobalMaxPool1D" => "GlobalMaxPooling1D",
        "DepthwiseConvolution2D" => "DepthwiseConv2D",
        "BatchNormalizationV1" | "BatchNormalizationV2" => "BatchNormalization",
        "Merge" => return merge(config),
        other => other,
    }
    .to_owned()
}

/// Keras 1's one class for all merges; others than these keep its name, which nobody knows.
fn merge(config: &mut Map<String, Value>) -> String {
    let mode = config.get("mode").and_then(Value::as_str);
    let class = match mode {
        Some("sum") => "Add",
        Some("mul") => "Multiply",
        Some("ave") => "Average",
        Some("max") => "Maximum",
        Some("concat") => "Concatenate",
        _ => return "Merge".to_owned(),
    };
    let said = ["name", "trainable", if class == "Concatenate" { "concat_axis" } else { "" }];
    config.retain(|key, _| said.contains(&key.as_str()));
    class.to_owned()
}

/// Keras 1's four sides in one row, or by name.
fn sides(config: &mut Map<String, Value>) {
    for (key, kind) in [("padding", "pad"), ("cropping", "crop")] {
        let Some(value) = config.get(key) else { continue };
        let named = |side: &str| value.get(format!("{side}_{kind}")).cloned();
        let four: Option<Vec<Value>> = match value {
            Value::Array(sides) if sides.len() == 4 => Some(sides.clone()),
            Value::Object(_) => ["top", "bottom", "left", "right"].into_iter().map(named).collect(),
            _ => None,
        };
        if let Some([top, bottom, left, right]) = four.as_deref() {
            let both = json!([[top, bottom], [left, right]]);
            config.insert(key.to_owned(), both);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(value: &Value) -> Value {
        let Modern { class, config } = modern(&Object::of(value).unwrap());
        json!({ "class": class, "config": config })
    }

    #[test]
    fn a_convolution_of_keras_1_is_said_in_the_words_of_keras_3() {
        let old = json!({ "class_name": "Convolution2D", "config": {
            "name": "c", "nb_filter": 8, "nb_row": 3, "nb_col": 5, "subsample": [2, 2],
            "border_mode": "same", "dim_ordering": "tf", "bias": true, "init": "glorot_uniform",
            "W_regularizer": null,
        } });
        let new = json!({ "class": "Conv2D", "config": {
            "name": "c", "filters": 8, "strides": [2, 2], "padding": "same", "use_bias": true,
            "kernel_initializer": "glorot_uniform", "kernel_regularizer": null,
            "data_format": "channels_last", "kernel_size": [3, 5],
        } });
        assert_eq!(said(&old), new);
    }

    #[test]
    fn layers_of_signals_of_keras_1_are_said_in_the_words_of_keras_3() {
        for (old, new) in [
            (
                json!({ "class_name": "Convolution1D", "config": { "nb_filter": 4, "filter_length": 3,
                    "subsample_length": 2, "border_mode": "same", "input_dim": 1, "input_length": 9 } }),
                json!({ "class": "Conv1D", "config": { "filters": 4, "kernel_size": 3, "strides": 2,
                    "padding": "same", "input_dim": 1, "input_length": 9 } }),
            ),
            (
                json!({ "class_name": "MaxPooling1D", "config": { "pool_length": 2, "stride": 2,
                    "border_mode": "valid" } }),
                json!({ "class": "MaxPooling1D", "config": { "pool_size": 2, "strides": 2,
                    "padding": "valid" } }),
            ),
            (
                json!({ "class_name": "UpSampling1D", "config": { "length": 3 } }),
                json!({ "class": "UpSampling1D", "config": { "size": 3 } }),
            ),
        ] {
            assert_eq!(said(&old), new);
        }
    }

    #[test]
    fn a_merge_of_keras_1_is_the_class_that_its_mode_became() {
        let old = json!({ "class_name": "Merge", "config": {
            "name": "m", "mode": "concat", "mode_type": "raw", "concat_axis": -1, "dot_axes": -1,
        } });
        let new = json!({ "class": "Concatenate", "config": { "name": "m", "axis": -1 } });
        assert_eq!(said(&old), new);
        let dot = json!({ "class_name": "Merge", "config": { "name": "m", "mode": "dot" } });
        assert_eq!(said(&dot)["class"], "Merge");
    }

    #[test]
    fn slopes_and_sides_of_keras_2_and_1_are_found() {
        let leaky = json!({ "class_name": "LeakyReLU", "config": { "alpha": 0.1 } });
        assert_eq!(said(&leaky)["config"], json!({ "negative_slope": 0.1 }));
        let theta = json!({ "class_name": "ThresholdedReLU", "config": { "theta": 0.5 } });
        assert_eq!(said(&theta), json!({ "class": "ReLU", "config": { "threshold": 0.5 } }));
        let pad = json!({ "class_name": "ZeroPadding2D", "config": { "padding": [1, 2, 3, 4] } });
        assert_eq!(said(&pad)["config"]["padding"], json!([[1, 2], [3, 4]]));
        let pad = json!({ "class_name": "ZeroPadding2D", "config": {
            "padding": { "top_pad": 1, "bottom_pad": 0, "left_pad": 2, "right_pad": 0 },
        } });
        assert_eq!(said(&pad)["config"]["padding"], json!([[1, 0], [2, 0]]));
    }
}
