//! What a file's model is compiled with, in the config's words. What convae does not have is said and left
//! behind, and never keeps the layers from being opened.

mod loss;
mod optimizer;
mod schedule;

pub use optimizer::plain_value;
use serde_json::Value;

use super::json::{list, plain, shown, text};
use super::notes::Notes;
use super::version::Version;
use crate::config::Source;
use crate::plan::Plan;

/// The loss of a model whose own convae does not have.
pub const UNKNOWN: &str = "unknown";

/// Keys for `[train]`, and what they were in the file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Training {
    /// `loss`, `optimizer`, `learning_rate_schedule`.
    pub keys: toml::Table,
    /// For people: loss, optimizer and metrics, where the file says some.
    pub found: Vec<(&'static str, String)>,
}

/// Reads the `training_config` of an .h5 file, or the `compile_config` of a .keras file.
pub fn training(said: Option<&Value>, version: Version, notes: &mut Notes) -> Training {
    let mut training = Training::default();
    let said = said.filter(|said| said.as_object().is_some_and(|keys| !keys.is_empty()));
    let Some(said) = said else {
        training.keys.insert("loss".to_owned(), UNKNOWN.into());
        notes
            .add("the file says nothing of a loss or an optimizer: set train.loss before training");
        return training;
    };
    training.loss(said, notes);
    training.optimizer(said, version, notes);
    training.metrics(said, notes);
    others(said, notes);
    training
}

impl Training {
    fn loss(&mut self, said: &Value, notes: &mut Notes) {
        let given = said.get("loss").unwrap_or(&Value::Null);
        let weights = said.get("loss_weights").filter(|weights| !is_one(weights));
        let loss = match (loss::loss(given), weights) {
            (Ok(name), None) => Ok(name),
            (Ok(loss), Some(weights)) => {
                Err(format!("{} with loss_weights = {}", said_of(&loss), shown(weights)))
            }
            (Err(what), _) => Err(what),
        };
        let fits = |loss: toml::Value| {
            let keys = toml::Table::from_iter([("loss".to_owned(), loss.clone())]);
            refusal(&keys).map_or(Ok(loss), Err)
        };
        match loss.and_then(fits) {
            Ok(loss) => {
                self.found.push(("loss", said_of(&loss)));
                self.keys.insert("loss".to_owned(), loss);
            }
            Err(what) => {
                self.keys.insert("loss".to_owned(), UNKNOWN.into());
                notes.add(format!(
                    "the loss, {what}, is none that convae has: set train.loss before training"
                ));
                self.found.push(("loss", format!("{what} (not in convae)")));
            }
        }
    }

    fn optimizer(&mut self, said: &Value, version: Version, notes: &mut Notes) {
        let given = ["optimizer", "optimizer_config"].iter().find_map(|key| said.get(*key));
        let Some(given) = given.filter(|given| !given.is_null()) else {
            notes.add("the file names no optimizer: training takes Adam, unless train.optimizer says another");
            return;
        };
        let found = match optimizer::optimizer(given, version, notes) {
            Ok(found) => found,
            Err(what) => {
                notes.add(format!("the optimizer, {what}, is left behind: convae has no such one"));
                self.found.push(("optimizer", format!("{what} (not in convae)")));
                return;
            }
        };
        let shown = found.shown();
        let mut keys =
            toml::Table::from_iter([("optimizer".to_owned(), toml::Value::Table(found.keys))]);
        if let Some(schedule) = found.schedule {
            keys.insert("learning_rate_schedule".to_owned(), toml::Value::Table(schedule));
        }
        if let Some(why) = refusal(&keys)
            && keys.remove("learning_rate_schedule").is_some()
        {
            notes.add(format!("the schedule of the learning rate is left behind: {why}"));
            if refusal(&keys).is_some()
                && let Some(optimizer) =
                    keys.get_mut("optimizer").and_then(toml::Value::as_table_mut)
            {
                optimizer.remove("learning_rate"); // what the schedule starts from
            }
        }
        match refusal(&keys) {
            None => {
                self.keys.extend(keys);
                self.found.push(("optimizer", shown));
            }
            Some(why) => {
                notes.add(format!("the optimizer, {shown}, is left behind: {why}"));
                self.found.push(("optimizer", format!("{shown} (not as convae has it)")));
            }
        }
    }

    /// Convae measures what it always does.
    fn metrics(&mut self, said: &Value, notes: &mut Notes) {
        let mut names = Vec::new();
        for key in ["metrics", "weighted_metrics"] {
            metric_names(said.get(key).unwrap_or(&Value::Null), &mut names);
        }
        if names.is_empty() {
            return;
        }
        names.dedup();
        names.truncate(MOST_METRICS);
        let all = names.join(", ");
        notes.add(format!(
            "the metrics, {all}, are left behind: `convae evaluate` measures its own"
        ));
        self.found.push(("metrics", all));
    }
}

/// A loss for people.
fn said_of(loss: &toml::Value) -> String {
    loss.as_str().map_or_else(|| loss.to_string(), str::to_owned)
}

/// What else Keras's `compile` takes and convae does not.
fn others(said: &Value, notes: &mut Notes) {
    let mode = said.get("sample_weight_mode").filter(|mode| !mode.is_null());
    if let Some(mode) = mode {
        notes.add(format!("sample_weight_mode = {} is left behind", shown(mode)));
    }
}

/// Whether weights of losses are none, or 1.
fn is_one(weights: &Value) -> bool {
    match weights {
        Value::Null => true,
        Value::Number(number) => number.as_f64() == Some(1.0),
        Value::Array(items) => items.iter().all(is_one),
        Value::Object(items) => items.values().all(is_one),
        _ => false,
    }
}

/// Most metrics that are named.
const MOST_METRICS: usize = 12;

fn metric_names(value: &Value, names: &mut Vec<String>) {
    let inner: Vec<&Value> = match value {
        Value::String(name) => return names.push(plain(name)),
        Value::Array(items) => items.iter().collect(),
        Value::Object(items) => match text(value, "class_name") {
            Some("__tuple__") => list(value, "items").iter().collect(),
            Some(_) => return names.push(shown(value)),
            None => items.values().collect(),
        },
        _ => return,
    };
    for item in inner.into_iter().take(MOST_METRICS) {
        metric_names(item, names);
    }
}

/// Why a config with these keys of `[train]` is refused, if it is.
fn refusal(keys: &toml::Table) -> Option<String> {
    let layer = "layers = [{ layer = \"Conv2D\", filters = 1, kernel_size = 1 }]";
    let train: Vec<String> = keys.iter().map(|(key, value)| format!("{key} = {value}")).collect();
    let text = format!("name = \"x\"\n[model]\n{layer}\n[train]\n{}", train.join("\n"));
    let error = match Source::parse(&text, "x", &[]) {
        Ok(source) => Plan::new(source).err()?,
        Err(error) => error,
    };
    Some(error.problem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(said: &Value) -> (Training, Vec<String>) {
        let mut notes = Notes::default();
        let training =
            training(Some(said), Version { major: 3, minor: 8, of_tensorflow: false }, &mut notes);
        (training, notes.sentences())
    }

    #[test]
    fn every_spelling_of_a_loss_that_keras_wrote_is_read() {
        let class = |module: Value, config: Value| {
            json!({ "module": module, "class_name": "MeanSquaredError", "config": config,
                    "registered_name": null })
        };
        for given in [
            json!("mse"),
            json!("MSE"),
            json!("mean_squared_error"),
            json!("MeanSquaredError"),
            json!(["mse"]),
            json!([["mse"]]),
            json!({ "class_name": "__tuple__", "items": ["mse"] }),
            json!({ "decoder_output": "mse" }),
            json!({ "decoder_output": ["MSE"] }),
            json!({ "class_name": "MeanSquaredError", "config": { "reduction": "auto",
                    "name": "mean_squared_error" } }),
            json!({ "class_name": "MeanSquaredError", "config": { "reduction": "auto",
                    "name": "mean_squared_error", "fn": "mean_squared_error" } }),
            class(
                json!("keras.losses"),
                json!({ "name": "m", "reduction": "sum_over_batch_size" }),
            ),
            json!({ "class_name": "function", "module": "builtins", "config": "mean_squared_error",
                    "registered_name": "function" }),
            json!({ "class_name": "function", "module": "keras.losses", "config": "mse",
                    "registered_name": "mse" }),
        ] {
            let said = json!({ "loss": given, "loss_weights": [1.0], "optimizer": "adam" });
            let (training, notes) = read(&said);
            assert_eq!(training.keys["loss"].as_str(), Some("mean_squared_error"), "{given}");
            assert!(notes.is_empty(), "{given}: {notes:?}");
        }
        for (given, loss) in [
            (json!("bce"), "binary_crossentropy"),
            (json!("BinaryCrossentropy"), "binary_crossentropy"),
            (
                json!({ "class_name": "BinaryCrossentropy", "config": { "from_logits": false,
                     "label_smoothing": 0.0, "axis": -1 } }),
                "binary_crossentropy",
            ),
            (json!("mae"), "mean_absolute_error"),
            (json!("logcosh"), "log_cosh"),
            (json!("categorical_crossentropy"), "categorical_crossentropy"),
            (json!("SparseCategoricalCrossentropy"), "sparse_categorical_crossentropy"),
            (json!({ "class_name": "Dice", "config": { "axis": null } }), "dice"),
            (json!({ "class_name": "KLDivergence", "config": { "name": "k" } }), "kl_divergence"),
            (json!({ "class_name": "Huber", "config": { "delta": 1.0 } }), "huber"),
            (json!({ "class_name": "MeanAbsoluteError", "config": {} }), "mean_absolute_error"),
        ] {
            assert_eq!(
                read(&json!({ "loss": given })).0.keys["loss"].as_str(),
                Some(loss),
                "{given}"
            );
        }
    }

    #[test]
    fn the_options_of_a_loss_are_taken_over_where_they_are_not_keras_defaults() {
        let tuple = |axes: Value| json!({ "class_name": "__tuple__", "items": axes });
        for (class, config, written) in [
            ("Huber", json!({ "delta": 0.5 }), "{ loss = \"huber\", delta = 0.5 }"),
            (
                "MSE",
                json!({ "reduction": "sum" }),
                "{ loss = \"mean_squared_error\", reduction = \"sum\" }",
            ),
            (
                "BinaryCrossentropy",
                json!({ "from_logits": true, "label_smoothing": 0.0, "axis": -1 }),
                "{ loss = \"binary_crossentropy\", from_logits = true }",
            ),
            (
                "BinaryFocalCrossentropy",
                json!({ "apply_class_balancing": true, "alpha": 0.25, "gamma": 3.0 }),
                "{ loss = \"binary_focal_crossentropy\", apply_class_balancing = true, gamma = 3.0 }",
            ),
            (
                "CategoricalCrossentropy",
                json!({ "label_smoothing": 0.1, "axis": -1 }),
                "{ loss = \"categorical_crossentropy\", label_smoothing = 0.1 }",
            ),
            ("Dice", json!({ "axis": -1 }), "{ loss = \"dice\", axis = -1 }"),
            ("Dice", json!({ "axis": tuple(json!([1, 2])) }), "{ loss = \"dice\", axis = [1, 2] }"),
            (
                "Tversky",
                json!({ "alpha": 0.5, "beta": 0.75, "axis": null }),
                "{ loss = \"tversky\", beta = 0.75 }",
            ),
            (
                "CosineSimilarity",
                json!({ "axis": 1 }),
                "{ loss = \"cosine_similarity\", axis = 1 }",
            ),
        ] {
            let said = json!({ "loss": { "class_name": class, "config": config } });
            assert_eq!(read(&said).0.keys["loss"].to_string(), written, "{class}");
        }
    }

    #[test]
    fn a_loss_that_convae_lacks_is_said_and_left_unknown() {
        for (given, words) in [
            (json!("charbonnier_loss"), "\"charbonnier_loss\""),
            (
                json!({ "class_name": "function", "module": "builtins", "config": "my_loss",
                     "registered_name": "function" }),
                "my_loss",
            ),
            (json!({ "class_name": "me>MeanSquaredError", "config": {} }), "MeanSquaredError"),
            (
                json!({ "module": "keras.losses", "class_name": "Circle", "config": { "gamma": 80.0 } }),
                "Circle",
            ),
            (
                json!({ "class_name": "BinaryCrossentropy", "config": { "axis": 1 } }),
                "binary_crossentropy with axis = 1",
            ),
            (
                json!({ "class_name": "SparseCategoricalCrossentropy", "config": { "ignore_class": 255 } }),
                "sparse_categorical_crossentropy with ignore_class = 255",
            ),
            (
                json!({ "class_name": "MeanSquaredError", "config": { "reduction": "none" } }),
                "mean_squared_error with reduction = \"none\"",
            ),
            (
                json!({ "class_name": "MeanSquaredError", "config": { "reduction": null } }),
                "mean_squared_error with reduction = null",
            ),
            (
                json!({ "class_name": "BinaryCrossentropy", "config": { "label_smoothing": 1.5 } }),
                "`train.loss.label_smoothing` is 1.5",
            ),
            (json!(["mse", "mae"]), "[\"mse\",\"mae\"]"),
            (json!({ "class_name": "__lambda__", "config": { "value": ["4wEA"] } }), "a lambda"),
            (json!(null), "null"),
        ] {
            let (training, notes) = read(&json!({ "loss": given }));
            assert_eq!(training.keys["loss"].as_str(), Some(UNKNOWN), "{given}");
            assert!(notes[0].contains(words) && notes[0].contains("set train.loss"), "{notes:?}");
        }
        let (training, _) = read(&json!({ "loss": "mse", "loss_weights": { "out": 0.5 } }));
        assert_eq!(training.keys["loss"].as_str(), Some(UNKNOWN));
    }

    #[test]
    fn every_spelling_of_an_optimizer_that_keras_wrote_is_read() {
        let keras_3 = json!({ "name": "adam", "learning_rate": 0.000_500_000_023_748_725_7, "weight_decay": null,
            "clipnorm": null, "global_clipnorm": null, "clipvalue": null, "use_ema": false,
            "ema_momentum": 0.99, "ema_overwrite_frequency": null, "loss_scale_factor": null,
            "gradient_accumulation_steps": null, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7,
            "amsgrad": false });
        let keras_2 = json!({ "name": "Adam", "learning_rate": 0.000_500_000_023_748_725_7, "decay": 0.0,
            "beta_1": 0.899_999_976_158_142_1, "beta_2": 0.999_000_012_874_603_3, "epsilon": 1e-7,
            "amsgrad": false });
        let keras_1 = json!({ "lr": 0.000_500_000_023_748_725_7, "beta_1": 0.899_999_976_158_142_1,
            "beta_2": 0.999_000_012_874_603_3, "decay": 0.0, "epsilon": 1e-8 });
        for (key, given) in [
            (
                "optimizer",
                json!({ "module": "keras.optimizers", "class_name": "Adam", "config": keras_3,
                                  "registered_name": null }),
            ),
            ("optimizer_config", json!({ "class_name": "Custom>Adam", "config": keras_3 })),
            ("optimizer_config", json!({ "class_name": "Adam", "config": keras_2 })),
            (
                "optimizer",
                json!({ "module": "keras.optimizers.legacy", "class_name": "Adam",
                                  "config": keras_2, "registered_name": "Adam" }),
            ),
            ("optimizer_config", json!({ "class_name": "Adam", "config": keras_1 })),
            (
                "optimizer",
                json!({ "module": "keras.optimizers", "class_name": "LossScaleOptimizer",
                "registered_name": null, "config": { "initial_scale": 32768.0, "dynamic_growth_steps": 2000,
                "inner_optimizer": { "module": "keras.optimizers", "class_name": "Adam",
                "config": keras_3, "registered_name": null } } }),
            ),
        ] {
            let (training, _) = read(&json!({ "loss": "mse", key: given }));
            let optimizer = training.keys["optimizer"].as_table().unwrap();
            assert_eq!(optimizer["name"].as_str(), Some("Adam"), "{given}");
            assert_eq!(optimizer["learning_rate"].as_float(), Some(0.0005), "{given}");
            // Keras computes with the number that the file has, and only the rate is a float32 in every precision.
            let as_single = given.to_string().contains("0.8999999761581421");
            let beta = if as_single { 0.899_999_976_158_142_1 } else { 0.9 };
            assert_eq!(optimizer["beta_1"].as_float(), Some(beta), "{given}");
            assert!(!optimizer.contains_key("ema_momentum"), "{given}");
        }
        for (given, name) in [
            ("adam", "Adam"),
            ("RMSprop", "RMSprop"),
            ("sgd", "SGD"),
            ("adadelta", "Adadelta"),
            ("adamw", "AdamW"),
            ("nadam", "Nadam"),
            ("Lion", "Lion"),
        ] {
            let (training, _) = read(&json!({ "loss": "mse", "optimizer": given }));
            assert_eq!(training.keys["optimizer"].as_table().unwrap()["name"].as_str(), Some(name));
        }
    }

    #[test]
    fn what_keras_turns_off_by_none_is_off() {
        let of = |class: &str, config: Value| {
            let given = json!({ "class_name": class, "config": config });
            read(&json!({ "loss": "mse", "optimizer": given })).0.keys["optimizer"].to_string()
        };
        let muon = json!({ "exclude_layers": ["out"], "rms_rate": null, "weight_decay": null, "clipnorm": null });
        let written = of("Muon", muon);
        assert_eq!(
            written,
            "{ name = \"Muon\", exclude_layers = [\"out\"], rms_rate = 0.0, weight_decay = 0.0 }"
        );
        let written = of("AdamW", json!({ "weight_decay": null }));
        assert_eq!(written, "{ name = \"AdamW\", weight_decay = 0.0 }");
        let written = of("Adafactor", json!({ "weight_decay": null, "relative_step": false }));
        assert_eq!(written, "{ name = \"Adafactor\", relative_step = false }");
    }

    #[test]
    fn a_decay_of_keras_2_is_the_schedule_that_it_was() {
        let sgd = json!({ "class_name": "SGD", "config": { "lr": 0.1, "momentum": 0.9, "decay": 1e-4,
                          "nesterov": true } });
        let (training, notes) = read(&json!({ "loss": "mse", "optimizer_config": sgd }));
        let schedule = training.keys["learning_rate_schedule"].as_table().unwrap();
        assert_eq!(schedule["name"].as_str(), Some("InverseTimeDecay"));
        assert_eq!(
            (schedule["decay_steps"].as_integer(), schedule["decay_rate"].as_float()),
            (Some(1), Some(1e-4))
        );
        assert_eq!(
            training.keys["optimizer"].as_table().unwrap()["momentum"].as_float(),
            Some(0.9)
        );
        assert!(notes.is_empty(), "{notes:?}");
    }

    #[test]
    fn schedules_are_taken_over_with_their_first_rate() {
        let adam = |schedule: Value| {
            json!({ "loss": "mse", "optimizer": { "class_name": "Adam",
            "config": { "learning_rate": schedule } } })
        };
        let module = "keras.optimizers.schedules";
        let (training, notes) =
            read(&adam(json!({ "module": module, "class_name": "PiecewiseConstantDecay",
            "config": { "boundaries": [200_000], "values": [0.0001, 5e-5], "name": "P" } })));
        assert_eq!(training.keys["optimizer"]["learning_rate"].as_float(), Some(0.0001));
        assert_eq!(
            training.keys["learning_rate_schedule"]["name"].as_str(),
            Some("PiecewiseConstantDecay")
        );
        assert!(notes.is_empty(), "{notes:?}");
        let (training, notes) = read(&adam(json!({ "module": module, "class_name": "CosineDecay",
            "config": { "initial_learning_rate": 0.01, "decay_steps": 1000.0, "alpha": 0.0,
                        "warmup_target": null, "warmup_steps": 0, "name": "CosineDecay" } })));
        assert_eq!(training.keys["learning_rate_schedule"]["decay_steps"].as_integer(), Some(1000));
        assert!(notes.is_empty(), "{notes:?}");
        let (training, notes) = read(&adam(json!({ "module": "__main__", "class_name": "Warm",
            "registered_name": "me>Warm", "config": { "initial_learning_rate": 0.01 } })));
        assert_eq!(training.keys["optimizer"]["learning_rate"].as_float(), Some(0.01));
        assert!(!training.keys.contains_key("learning_rate_schedule"));
        assert!(notes[0].contains("Warm"), "{notes:?}");
    }

    #[test]
    fn an_optimizer_that_convae_lacks_leaves_the_usual_one() {
        let free =
            json!({ "class_name": "ScheduleFreeAdamW", "config": { "learning_rate": 0.001 } });
        let (training, notes) = read(&json!({ "loss": "mse", "optimizer": free }));
        assert!(!training.keys.contains_key("optimizer"));
        assert!(notes[0].contains("ScheduleFreeAdamW"), "{notes:?}");
        let muon = json!({ "class_name": "Muon", "config": { "exclude_layers": ["dense.*"] } });
        let (training, notes) = read(&json!({ "loss": "mse", "optimizer": muon }));
        assert!(!training.keys.contains_key("optimizer"));
        assert!(
            notes[0].contains("`train.optimizer.exclude_layers` is [\"dense.*\"]"),
            "{notes:?}"
        );
        let still = json!({ "class_name": "Adam", "config": { "learning_rate": 0.0 } });
        let (training, notes) = read(&json!({ "loss": "mse", "optimizer": still }));
        assert!(!training.keys.contains_key("optimizer"));
        assert!(notes[0].contains("learning_rate"), "{notes:?}");
    }

    #[test]
    fn metrics_are_named_in_every_form() {
        for given in [
            json!(["mae", "psnr"]),
            json!([["mae"], "psnr"]),
            json!({ "out": ["mae", { "class_name": "function", "config": "psnr" }] }),
        ] {
            let (_, notes) = read(&json!({ "loss": "mse", "metrics": given, "optimizer": "adam" }));
            assert!(notes[0].contains("mae, psnr"), "{given}: {notes:?}");
        }
        let said =
            json!({ "loss": "mse", "metrics": [], "weighted_metrics": null, "optimizer": "adam" });
        let (_, notes) = read(&said);
        assert!(notes.is_empty());
    }

    #[test]
    fn a_file_without_an_optimizer_says_which_one_training_takes() {
        let (training, notes) = read(&json!({ "loss": "mse" }));
        assert!(!training.keys.contains_key("optimizer"));
        assert!(notes[0].contains("names no optimizer: training takes Adam"), "{notes:?}");
    }

    #[test]
    fn a_schedule_that_does_not_fit_takes_no_optimizer_with_it() {
        let adam = |schedule: Value| {
            read(&json!({ "loss": "mse", "optimizer": { "class_name": "Adam",
                "config": { "learning_rate": schedule, "beta_1": 0.5 } } }))
        };
        let fractions = json!({ "class_name": "ExponentialDecay", "config": {
            "initial_learning_rate": 0.01, "decay_steps": 937.5, "decay_rate": 0.9 } });
        let warm_up = json!({ "class_name": "CosineDecay", "config": { "initial_learning_rate": 0.0,
            "decay_steps": 1000, "warmup_target": 0.001, "warmup_steps": 100 } });
        for (schedule, rate) in [(fractions, Some(0.01)), (warm_up, None)] {
            let (training, notes) = adam(schedule);
            assert!(!training.keys.contains_key("learning_rate_schedule"));
            let optimizer = training.keys["optimizer"].as_table().unwrap();
            assert_eq!(optimizer["beta_1"].as_float(), Some(0.5));
            assert_eq!(optimizer.get("learning_rate").and_then(toml::Value::as_float), rate);
            assert!(
                notes[0].contains("the schedule of the learning rate is left behind"),
                "{notes:?}"
            );
        }
    }

    #[test]
    fn a_decay_of_nadam_is_no_schedule_of_the_learning_rate() {
        let said = json!({ "loss": "mse", "optimizer_config": { "class_name": "Nadam",
            "config": { "learning_rate": 0.001, "decay": 0.004 } } });
        let (training, notes) = read(&said);
        assert!(!training.keys.contains_key("learning_rate_schedule"));
        assert!(notes[0].contains("decay = 0.004 of Nadam is left behind"), "{notes:?}");
    }

    #[test]
    fn a_clipnorm_of_keras_before_tensorflows_own_is_of_all_gradients() {
        for (of_tensorflow, minor, key) in
            [(false, 2, "global_clipnorm"), (true, 2, "clipnorm"), (false, 4, "clipnorm")]
        {
            let said = json!({ "loss": "mse", "optimizer_config": { "class_name": "Adam",
                "config": { "lr": 0.001, "clipnorm": 1.0 } } });
            let version = Version { major: 2, minor, of_tensorflow };
            let training = training(Some(&said), version, &mut Notes::default());
            let optimizer = training.keys["optimizer"].as_table().unwrap();
            assert_eq!(optimizer[key].as_float(), Some(1.0), "{optimizer}");
        }
    }
}
