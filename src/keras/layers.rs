//! One layer of a file as an entry of a config. An option that convae lacks is refused unless its value means
//! what convae does anyway; a start of weights, or a pull at them in training, that convae lacks is left behind
//! and said. The keys of each layer are asked of the config language itself, so that a new layer there needs
//! no word here.

use serde_json::{Map, Value, json};

use super::activation::{self, Found, activation};
use super::dialect::{Modern, modern};
use super::graph::{Leaf, Use, always_trains};
use super::json::{number, plain, shown, text};
use super::member::Family;
use super::notes::Notes;
use super::operations;
use super::references::{Argument, Call};
use super::refusal::Refusals;
use super::stated::{Statements, is_foreign, well_known};
use super::version::Version;
use crate::config::constraints::Constraint;
use crate::config::initializers::Initializer;
use crate::config::layers::Layer;
use crate::config::regularizers::Regularizer;
use crate::config::schema::Key;

/// The layers that join several inputs.
pub const MERGES: [&str; 7] =
    ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"];
/// Says nothing about what a layer computes, or is looked at elsewhere.
const IGNORED: [&str; 17] = [
    "name",
    "dtype",
    "trainable",
    "seed",
    "batch_shape",
    "batch_input_shape",
    "input_shape",
    "input_dtype",
    "input_dim",
    "input_length",
    "build_config",
    "renorm_momentum",
    "supports_masking",
    "autocast",
    "activity_regularizer_config",
    "fused",
    "ragged",
];
const REBUILD: &str =
    "rebuild it in Keras from layers that convae has (`convae reference` lists them)";
const WITHOUT: &str =
    "build the model without that in Keras, give it these weights, and save it anew";

/// What a file needs to have said of it.
#[derive(Debug)]
pub struct Findings<'r> {
    /// What convae lacks.
    pub refusals: &'r mut Refusals,
    /// What is left behind.
    pub notes: &'r mut Notes,
    /// Who wrote the file.
    pub version: Version,
    /// Layers whose weights the file keeps from training.
    pub frozen: Vec<String>,
    /// Types that the layers compute with.
    pub types: Vec<(String, String)>,
    /// What the user says that layers are.
    pub stated: Statements,
}

/// A layer in a config's words.
#[derive(Debug, Clone, PartialEq)]
pub struct Words {
    /// Its name in a config.
    pub kind: String,
    /// Its keys.
    pub keys: toml::Table,
    /// An activation that has no place in the layer's own keys, and follows it.
    pub then: Option<(String, toml::Table)>,
    /// The axis that it works along, which has to be the last; counted with the batch.
    pub axis: Option<i64>,
    /// Whether it is what the user says, or its class by itself, and not what Keras's own class does.
    pub is_said: bool,
}

impl Words {
    /// A layer without options of its own.
    pub fn bare(kind: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            keys: toml::Table::new(),
            then: None,
            axis: None,
            is_said: false,
        }
    }

    /// An activation as a layer of its own.
    pub fn activation(found: Found) -> Self {
        let (kind, keys) = as_layer(found);
        Self { keys, ..Self::bare(&kind) }
    }

    /// With one of its keys.
    pub fn with(mut self, key: &str, value: impl Into<toml::Value>) -> Self {
        self.keys.insert(key.to_owned(), value.into());
        self
    }

    /// A Concatenate.
    pub fn concatenate(axis: i64) -> Self {
        Self::bare("Concatenate").with("axis", axis)
    }
}

fn as_layer(found: Found) -> (String, toml::Table) {
    let number = |key: &str, value: f64| (key.to_owned(), toml::Value::from(value));
    let (kind, keys) = match found {
        Found::Named("relu") => ("ReLU", vec![]),
        Found::Named(name) => ("Activation", vec![("activation".to_owned(), name.into())]),
        Found::Leaky(slope) => ("LeakyReLU", vec![number("negative_slope", slope)]),
        Found::Elu(alpha) => ("ELU", vec![number("alpha", alpha)]),
        Found::Relu { max_value, negative_slope, threshold } => {
            let mut keys = vec![number("threshold", threshold)];
            keys.push(number("negative_slope", negative_slope));
            keys.extend(max_value.map(|most| number("max_value", most)));
            ("ReLU", keys)
        }
    };
    (kind.to_owned(), toml::Table::from_iter(keys))
}

/// The words for a layer; `None` where it is refused.
pub fn words(leaf: &Leaf, first: &Use, findings: &mut Findings) -> Option<Words> {
    if let Some(words) = findings.stated.find(leaf) {
        return stated(words, leaf, findings);
    }
    if operations::is_one(leaf) {
        return operations::words(leaf, &first.call, findings);
    }
    let said = modern(&leaf.object);
    let mut layer = OneLayer { leaf, said, findings, refused: false };
    let words = layer.words(first);
    if layer.refused { None } else { words }
}

/// The user's words for a layer that is in no other's.
fn stated(words: Words, leaf: &Leaf, findings: &mut Findings) -> Option<Words> {
    if is_foreign(leaf) {
        findings.notes.of_layer(leaf.name, &format!("is taken for {}, as you say", words.kind));
        return Some(words);
    }
    let what = "is a layer that convae has, and --as would make another one of it";
    findings.refusals.add(leaf.name, leaf.object.class, what, "leave it out of --as");
    None
}

/// What a call adds to a layer: refused where it changes what the layer does.
pub fn check_call(leaf: &Leaf, call: &Call<super::graph::Value>, findings: &mut Findings) {
    let (name, class) = (leaf.name, leaf.object.class);
    let random = [
        "Dropout",
        "SpatialDropout1D",
        "SpatialDropout2D",
        "GaussianNoise",
        "GaussianDropout",
        "AlphaDropout",
        "BatchNormalization",
    ];
    if always_trains(call) && random.contains(&modern(&leaf.object).class.as_str()) {
        let what = "is called with training = True: what it does in training it does always";
        findings.refusals.add(name, class, what, "call it without that, and save the model anew");
    }
    let further = call.args.len() > 1
        || call.kwargs.iter().any(|(key, value)| {
            !matches!(*key, "training" | "mask") && !matches!(value, Argument::Plain(Value::Null))
        });
    if further && !operations::is_one(leaf) {
        let what = "is called with further arguments, which convae does not have";
        findings.refusals.add(
            name,
            class,
            what,
            "call it with its input alone, and save the model anew",
        );
    }
}

struct OneLayer<'l, 'r> {
    leaf: &'l Leaf<'l>,
    said: Modern,
    findings: &'l mut Findings<'r>,
    refused: bool,
}

impl OneLayer<'_, '_> {
    fn refuse(&mut self, what: impl Into<String>, way_out: &str) {
        self.refused = true;
        self.findings.refusals.add(self.leaf.name, self.leaf.object.class, what, way_out);
    }

    /// The way out for a layer whose code is not known.
    fn say_it(&self) -> String {
        let name = plain(self.leaf.name);
        format!("say what it is with --as {name}='LAYER(key=value)', or {REBUILD}")
    }

    fn note(&mut self, what: &str) {
        self.findings.notes.of_layer(self.leaf.name, what);
    }

    fn words(&mut self, first: &Use) -> Option<Words> {
        if self.leaf.object.custom {
            if let Some((words, said)) = well_known(self.leaf, first) {
                self.note(&said);
                return Some(words);
            }
            self.refuse(
                "is a layer by a class of its own, whose code is in no file",
                &self.say_it(),
            );
            return None;
        }
        let class = self.said.class.clone();
        let config = self.said.config.clone();
        if class == "Lambda" {
            self.refuse("is Python code, which is never run", &self.say_it());
            return None;
        }
        self.common(&config);
        if MERGES.contains(&class.as_str()) {
            return self.merge(&class, &config);
        }
        let has_keys = ["Activation", "LeakyReLU", "ReLU", "ELU", "Softmax"];
        if !has_keys.contains(&class.as_str()) {
            match activation::layer(&self.leaf.object, self.findings.version) {
                Some(Ok(found)) => {
                    let axis = self.axis(&config);
                    return Some(Words { axis, ..Words::activation(found) });
                }
                Some(Err(what)) => {
                    self.refuse(format!("is {what}, which convae does not have"), REBUILD);
                    return None;
                }
                None => {}
            }
        }
        let known = Layer::reference().into_iter().find(|(name, ..)| *name == class);
        let Some((_, _, keys)) = known else {
            self.refuse("is a layer that convae does not have", &self.say_it());
            return None;
        };
        Some(self.options(&class, &config, &keys))
    }

    /// What any layer may say.
    fn common(&mut self, config: &Map<String, Value>) {
        let name = self.leaf.name;
        if config.get("trainable") == Some(&json!(false)) {
            self.findings.frozen.push(name.to_owned());
        }
        if let Some(dtype) = config.get("dtype").and_then(type_of) {
            self.findings.types.push((name.to_owned(), dtype.to_owned()));
        }
        if config.get("data_format").and_then(Value::as_str) == Some("channels_first") {
            let what = "has its channels first";
            let way_out = "build the model with data_format = \"channels_last\", give it the same weights, and save it";
            self.refuse(what, way_out);
        }
    }

    fn merge(&mut self, class: &str, config: &Map<String, Value>) -> Option<Words> {
        let usual = if class == "Concatenate" { -1 } else { 0 };
        let axis = config.get("axis").map_or(Some(usual), Value::as_i64);
        match axis {
            _ if class != "Concatenate" => Some(Words::bare(class)),
            Some(axis) => Some(Words::concatenate(axis)),
            None => {
                self.refuse(format!("has axis = {}", shown(&config["axis"])), WITHOUT);
                None
            }
        }
    }

    fn options(&mut self, class: &str, config: &Map<String, Value>, keys: &[Key]) -> Words {
        let mut words = Words::bare(class);
        if !keys.iter().any(|key| key.name == "axis") {
            words.axis = self.axis(config);
        }
        for (option, value) in config {
            let key = keys.iter().find(|key| key.name == option);
            let value = if option == "axis" { the_only(value) } else { value };
            match (option.as_str(), key) {
                ("activation", Some(_)) => self.activation(value, class, &mut words),
                (option, key) if option.ends_with("_initializer") => {
                    self.initializer(option, value, key.is_some(), &mut words);
                }
                // Which Keras writes beside the layer's own keys, that say the same.
                ("activity_regularizer", None) if class == "ActivityRegularization" => {}
                (option, key) if option.ends_with("_regularizer") => {
                    self.regularizer(option, value, key.is_some(), &mut words);
                }
                (option, key) if option.ends_with("_constraint") => {
                    self.constraint(option, value, key.is_some(), &mut words);
                }
                (_, Some(key)) => self.plain(key, value, &mut words),
                (option, None) => self.unknown(option, value),
            }
        }
        self.bilinear(class, config);
        if words.then.is_some() && words.keys.remove("activity_regularizer").is_some() {
            self.note(
                "activity_regularizer is left behind: its activation is a layer of its own here",
            );
        }
        words
    }

    /// `axis` of a layer that works along one.
    fn axis(&mut self, config: &Map<String, Value>) -> Option<i64> {
        let value = config.get("axis")?;
        let axis = the_only(value).as_i64();
        if axis.is_none() {
            self.refuse(format!("has axis = {}", shown(value)), WITHOUT);
        }
        axis
    }

    fn activation(&mut self, value: &Value, class: &str, words: &mut Words) {
        match activation(value, self.findings.version) {
            Ok(Found::Named(name)) => {
                words.keys.insert("activation".to_owned(), name.into());
            }
            Ok(found) if class != "Activation" => words.then = Some(as_layer(found)),
            Ok(found) => (words.kind, words.keys) = as_layer(found),
            Err(what) => {
                self.refuse(
                    format!("has activation = {what}, which convae does not have"),
                    REBUILD,
                );
            }
        }
    }

    /// The weights are there already: how they began matters to a training from new ones only.
    fn initializer(&mut self, option: &str, value: &Value, has_key: bool, words: &mut Words) {
        if value.is_null() {
            return;
        }
        let usual = match option {
            "kernel_initializer" | "depthwise_initializer" | "pointwise_initializer" => {
                "glorot_uniform"
            }
            "gamma_initializer" | "moving_variance_initializer" => "ones",
            _ => "zeros",
        };
        let family = Family { texts: Initializer::TEXTS, members: Initializer::reference() };
        let given = match family.read(&todays_initializer(value)) {
            Ok(found) if has_key => {
                words.keys.insert(option.to_owned(), found);
                return;
            }
            Ok(found) if found.as_str() == Some(usual) => return,
            Ok(_) => shown(value),
            Err(what) => what,
        };
        self.note(&format!(
            "{option} = {given} is left behind: new weights would begin with {usual}"
        ));
    }

    fn regularizer(&mut self, option: &str, value: &Value, has_key: bool, words: &mut Words) {
        if value.is_null() {
            return;
        }
        let family = Family { texts: Regularizer::TEXTS, members: Regularizer::reference() };
        match family.read(&old_regularizer(value)) {
            Ok(found) if has_key => {
                if option == "activity_regularizer" && self.findings.version.is_multi_backend() {
                    self.note(
                        "activity_regularizer counts as its mean over the batch, as in Keras since 2.4",
                    );
                }
                if !is_nothing(&found) {
                    words.keys.insert(option.to_owned(), found);
                }
            }
            Ok(_) => self.left_behind(option, &shown(value)),
            Err(what) => self.left_behind(option, &what),
        }
    }

    fn constraint(&mut self, option: &str, value: &Value, has_key: bool, words: &mut Words) {
        if value.is_null() {
            return;
        }
        let family = Family { texts: Constraint::TEXTS, members: Constraint::reference() };
        match family.read(value) {
            Ok(found) if has_key => _ = words.keys.insert(option.to_owned(), found),
            Ok(_) => self.left_behind(option, &shown(value)),
            Err(what) => self.left_behind(option, &what),
        }
    }

    fn left_behind(&mut self, option: &str, what: &str) {
        self.note(&format!("{option} = {what} is left behind: training does without"));
    }

    fn plain(&mut self, key: &Key, value: &Value, words: &mut Words) {
        if value.is_null() {
            return; // not set, on either side
        }
        let known = |text: &str| {
            key.choices.is_empty()
                || key.choices.iter().any(|one| one.name == text || one.aliases.contains(&text))
        };
        match (value, to_toml(value, !key.takes.starts_with("a number"))) {
            (Value::String(text), _) if !known(text) => {
                let given = shown(value);
                self.refuse(
                    format!("has {} = {given}, which convae does not have", key.name),
                    WITHOUT,
                );
            }
            (_, Some(value)) => {
                words.keys.insert(key.name.to_owned(), value);
            }
            (_, None) => self.refuse(format!("has {} = {}", key.name, shown(value)), WITHOUT),
        }
    }

    fn unknown(&mut self, option: &str, value: &Value) {
        if IGNORED.contains(&option)
            || option == "axis"
            || value.is_null()
            || is_neutral(option, value)
        {
            return;
        }
        self.refuse(
            format!("has {option} = {}, which convae does not have", shown(value)),
            WITHOUT,
        );
    }

    /// Keras before 2.3 placed the pixels' centres elsewhere.
    fn bilinear(&mut self, class: &str, config: &Map<String, Value>) {
        let version = self.findings.version;
        let old = (version.major, version.minor) < (2, 3);
        let bilinear = config.get("interpolation").and_then(Value::as_str) == Some("bilinear");
        if old && bilinear && class == "UpSampling2D" {
            self.note("bilinear interpolation is that of Keras since 2.3; the Keras of this file placed the \
                       centres of the pixels elsewhere");
        }
    }
}

/// Keras 1's own way to write one, which has no class.
fn old_regularizer(value: &Value) -> Value {
    match (value.get("name"), value.get("l1"), value.get("l2")) {
        (Some(_), l1, l2) if value.get("class_name").is_none() => {
            json!({ "class_name": "L1L2", "config": { "l1": l1, "l2": l2 } })
        }
        _ => value.clone(),
    }
}

/// Whether all of its factors are 0.
fn is_nothing(regularizer: &toml::Value) -> bool {
    let Some(table) = regularizer.as_table() else { return false };
    let mut factors =
        table.iter().filter(|(key, _)| matches!(key.as_str(), "l1" | "l2" | "factor"));
    let first = factors.next().is_some_and(|(_, factor)| factor.as_float() == Some(0.0));
    first && factors.all(|(_, factor)| factor.as_float() == Some(0.0))
}

/// Whether an option that convae lacks asks for what convae does.
fn is_neutral(option: &str, value: &Value) -> bool {
    let all = |wanted: f64| match value {
        Value::Array(items) => items.iter().all(|item| item.as_f64() == Some(wanted)),
        value => number(value) == Some(wanted),
    };
    match option {
        "groups" => all(1.0),
        "data_format" => {
            matches!(value.as_str(), Some("channels_last" | "channels_first" | "default"))
        }
        "synchronized" | "renorm" | "sparse" | "unroll" | "rms_scaling" => value == &json!(false),
        _ => false,
    }
}

/// Keras writes an axis as a list too.
fn the_only(value: &Value) -> &Value {
    match value {
        Value::Array(items) if items.len() == 1 => &items[0],
        value => value,
    }
}

/// Of one of Keras's policies: its name.
fn type_of(dtype: &Value) -> Option<&str> {
    match dtype {
        Value::String(name) => Some(name),
        _ => dtype.get("config")?.get("name")?.as_str(),
    }
}

/// An initializer in today's words, without its seed: ours is the config's.
fn todays_initializer(value: &Value) -> Value {
    if let Value::String(name) = value {
        return todays_name(name).into();
    }
    let (Some(class), Some(options)) = (text(value, "class_name"), value.get("config")) else {
        return value.clone();
    };
    let mut options = options.as_object().cloned().unwrap_or_default();
    options.shift_remove("seed");
    let known = if class == "VarianceScaling" { variance_scaling(&options) } else { None };
    if known.is_some() {
        options.clear();
    }
    let mut value = value.clone();
    value["class_name"] = known.unwrap_or_else(|| todays_name(class)).into();
    value["config"] = options.into();
    value
}

/// Keras's aliases (`initializers/__init__.py`).
fn todays_name(name: &str) -> &str {
    match name {
        "normal" => "random_normal",
        "uniform" => "random_uniform",
        "zero" => "zeros",
        "one" => "ones",
        "IdentityInitializer" => "Identity",
        "OrthogonalInitializer" => "Orthogonal",
        name => name,
    }
}

/// The one that Keras 2 writes by its class and its options.
fn variance_scaling(options: &Map<String, Value>) -> Option<&'static str> {
    let text = |key: &str| options.get(key).and_then(Value::as_str);
    let with_axes = ["input_axes", "output_axes"]
        .iter()
        .any(|&axes| options.get(axes).is_some_and(|axes| !axes.is_null()));
    if with_axes {
        return None;
    }
    let scale = options.get("scale").and_then(number)?;
    Some(match (text("mode")?, text("distribution")?, scale) {
        ("fan_avg", "uniform", 1.0) => "GlorotUniform",
        ("fan_avg", "normal" | "truncated_normal", 1.0) => "GlorotNormal",
        ("fan_in", "uniform", 2.0) => "HeUniform",
        ("fan_in", "normal" | "truncated_normal", 2.0) => "HeNormal",
        ("fan_in", "uniform", 1.0) => "LecunUniform",
        ("fan_in", "normal" | "truncated_normal", 1.0) => "LecunNormal",
        _ => return None,
    })
}

/// Numbers, texts and lists of them; a side that is open is -1.
fn to_toml(value: &Value, whole: bool) -> Option<toml::Value> {
    Some(match value {
        Value::Null => toml::Value::Integer(-1),
        Value::Bool(truth) => toml::Value::Boolean(*truth),
        Value::String(text) => toml::Value::String(text.clone()),
        Value::Array(items) => toml::Value::Array(
            items.iter().map(|item| to_toml(item, whole)).collect::<Option<_>>()?,
        ),
        _ if whole => whole_number(number(value)?)?,
        _ => toml::Value::Float(number(value)?),
    })
}

/// A whole number, which a file may write as 2.0.
pub fn whole_number(number: f64) -> Option<toml::Value> {
    let whole = number.fract() == 0.0 && number.abs() < 9e15;
    whole.then_some(toml::Value::Integer(number as i64))
}
