//! What a Keras model is compiled with: the config's optimizer and loss.

use serde_json::{Map, Value, json};

use super::KerasWeight;
use crate::config::losses::LossTable;
use crate::config::schema::Field;
use crate::config::sections::{Adam, AdamW, Ftrl, Optimizer};
use crate::formats::checkpoint::{Array, DType, Element};
use crate::infer::export::Exporter;
use crate::nn::{Losses, Term};

/// What `compile` is called with; null where the model has no loss of ours.
pub fn config(model: &Exporter) -> Value {
    let train = &model.plan.config.train;
    if !in_keras(&train.loss) {
        return Value::Null;
    }
    json!({
        "optimizer": optimizer(model),
        "loss": loss(&train.loss),
        "loss_weights": null,
        "metrics": null,
        "weighted_metrics": null,
        "run_eagerly": false,
        "steps_per_execution": 1,
        "jit_compile": "auto",
    })
}

/// Whether Keras has the loss.
pub fn in_keras(losses: &Losses) -> bool {
    match losses.0.as_slice() {
        [Term { loss, weight: 1.0, .. }] => !LossTable::OURS.contains(&loss.name()),
        _ => false,
    }
}

/// Its name, or an object where an option has another value than Keras's default.
fn loss(losses: &Losses) -> Value {
    let [term] = losses.0.as_slice() else { unreachable!("Keras's `loss` is one") };
    let table = LossTable::of(term).write().expect("it has a table");
    let Ok(Value::Object(mut options)) = serde_json::to_value(table) else {
        return json!(losses.name());
    };
    let name = term.loss.name();
    options.retain(|key, _| !["loss", "weight"].contains(&key.as_str()));
    json!({
        "module": "keras.losses",
        "class_name": class_of(name),
        "config": options,
        "registered_name": null,
    })
}

/// `mean_squared_error` is `MeanSquaredError`, but `kl_divergence` is `KLDivergence`.
fn class_of(name: &str) -> String {
    let word = |word: &str| match word {
        "kl" => "KL".to_owned(),
        _ => word[..1].to_uppercase() + &word[1..],
    };
    name.split('_').map(word).collect()
}

fn optimizer(model: &Exporter) -> Value {
    let train = &model.plan.config.train;
    let (name, mut options) = named(&train.optimizer);
    if let Some(schedule) = &train.learning_rate_schedule {
        let (name, mut schedule) = named(schedule);
        if !schedule.contains_key("values") {
            let rate = options["learning_rate"].clone();
            schedule.insert("initial_learning_rate".to_owned(), rate);
        }
        options["learning_rate"] = json!({
            "module": "keras.optimizers.schedules",
            "class_name": name,
            "config": schedule,
            "registered_name": null,
        });
    }
    // Keras's None is a key left out, and no TOML.
    if let Some(rate) = options.get_mut("rms_rate").filter(|rate| rate.as_f64() == Some(0.0)) {
        *rate = Value::Null;
    }
    json!({
        "module": "keras.optimizers",
        "class_name": name,
        "config": options,
        "registered_name": null,
    })
}

/// The name of a family's member, which is Keras's class, and its keys, which are Keras's arguments.
fn named(member: &impl Field) -> (String, Map<String, Value>) {
    let table = member.write().expect("it has a table");
    let Ok(Value::Object(mut options)) = serde_json::to_value(table) else {
        unreachable!("a table of TOML is an object of JSON")
    };
    let name = options.shift_remove("name").and_then(|name| name.as_str().map(str::to_owned));
    (name.expect("a member has a name"), options)
}

/// The variables of an optimizer that has not yet moved, in Keras's order (`optimizers/base_optimizer.py`):
/// without them Keras warns when it opens the file. Of a model that is not compiled there are none.
pub fn optimizer_state(model: &Exporter, weights: &[KerasWeight]) -> Vec<Array> {
    let train = &model.plan.config.train;
    if !in_keras(&train.loss) {
        return Vec::new();
    }
    let trainable: Vec<&KerasWeight> = weights.iter().filter(|weight| weight.trainable).collect();
    let mut state = vec![scalar(0_i64)];
    if train.learning_rate_schedule.is_none() {
        state.push(scalar(train.optimizer.learning_rate() as f32));
    }
    let common = train.optimizer.common();
    let mut groups = Vec::new();
    groups.extend(common.use_ema.then_some(vec![0.0]));
    groups.extend(common.gradient_accumulation_steps.map(|_| vec![0.0]));
    groups.extend(slots(&train.optimizer));
    for slots in groups {
        for KerasWeight { array, .. } in &trainable {
            state.extend(slots.iter().map(|&start| full(array.dtype(), array.shape(), start)));
        }
    }
    for weight in &trainable {
        state.extend(buffers_of(&train.optimizer, weight));
    }
    if let Optimizer::Nadam(_) = train.optimizer {
        // Its product of momenta, which has nothing of a weight's shape.
        let dtype = trainable.first().map_or(DType::F32, |weight| weight.array.dtype());
        state.push(full(dtype, &[], 1.0));
    }
    state
}

/// What the buffers of each weight start from, in groups: those of one group stand together, weight by weight.
fn slots(optimizer: &Optimizer) -> Vec<Vec<f64>> {
    let if_set = |set: bool| vec![0.0; usize::from(set)];
    match optimizer {
        Optimizer::Adam(Adam { moments, .. }) | Optimizer::AdamW(AdamW { moments, .. }) => {
            vec![vec![0.0; 2], if_set(moments.amsgrad)]
        }
        Optimizer::SGD(sgd) => vec![if_set(sgd.momentum > 0.0)],
        Optimizer::RMSprop(rms) => {
            vec![vec![0.0], if_set(rms.momentum > 0.0), if_set(rms.centered)]
        }
        Optimizer::Adadelta(_)
        | Optimizer::Nadam(_)
        | Optimizer::Adamax(_)
        | Optimizer::Lamb(_) => {
            vec![vec![0.0; 2]]
        }
        Optimizer::Adagrad(adagrad) => vec![vec![adagrad.initial_accumulator_value]],
        Optimizer::Lion(_) => vec![vec![0.0]],
        &Optimizer::Ftrl(Ftrl { initial_accumulator_value, .. }) => {
            vec![vec![initial_accumulator_value, 0.0]]
        }
        Optimizer::Adafactor(_) | Optimizer::Muon(_) => Vec::new(),
    }
}

/// A weight's buffers, where they are not the same for all weights.
fn buffers_of(optimizer: &Optimizer, weight: &KerasWeight) -> Vec<Array> {
    let shape = weight.array.shape();
    let zeros = |shape: &[usize]| full(weight.array.dtype(), shape, 0.0);
    match optimizer {
        Optimizer::Adafactor(_) => match shape {
            [outer @ .., rows, columns] => {
                let of = |side: &usize| zeros(&[outer, &[*side]].concat());
                vec![of(rows), of(columns), zeros(shape)]
            }
            // In place of means of rows and columns.
            _ => vec![scalar(0_i64), scalar(0_i64), zeros(shape)],
        },
        Optimizer::Muon(muon) => {
            let path = format!("{}/{}", weight.layer, weight.name);
            vec![zeros(shape); 1 + usize::from(muon.takes_adam(&path, shape.len()))]
        }
        _ => Vec::new(),
    }
}

fn scalar<T: Element>(value: T) -> Array {
    Array::from_values(&[], &[value]).expect("a scalar has one value")
}

fn full(dtype: DType, shape: &[usize], value: f64) -> Array {
    let count = shape.iter().product();
    let full = match dtype {
        DType::F64 => Array::from_values(shape, &vec![value; count]),
        _ => Array::from_values(shape, &vec![value as f32; count]),
    };
    full.expect("it has so many values")
}
