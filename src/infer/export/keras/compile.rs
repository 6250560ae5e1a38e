//! What a Keras model is compiled with: the config's optimizer and loss.

use serde_json::{Map, Value, json};

use super::KerasWeight;
use crate::config::schema::Field;
use crate::config::sections::{Adam, AdamW, Optimizer};
use crate::formats::checkpoint::{Array, Element};
use crate::infer::export::Exporter;
use crate::nn::Loss;

/// What `compile` is called with; null where the model has no loss of ours.
pub fn config(model: &Exporter) -> Value {
    let train = &model.plan.config.train;
    if train.loss == Loss::Unknown {
        return Value::Null;
    }
    json!({
        "optimizer": optimizer(model),
        "loss": train.loss.name(),
        "loss_weights": null,
        "metrics": null,
        "weighted_metrics": null,
        "run_eagerly": false,
        "steps_per_execution": 1,
        "jit_compile": "auto",
    })
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
    if train.loss == Loss::Unknown {
        return Vec::new();
    }
    let trainable: Vec<&Array> =
        weights.iter().filter(|weight| weight.trainable).map(|weight| &weight.array).collect();
    let mut state = vec![scalar(0_i64)];
    if train.learning_rate_schedule.is_none() {
        state.push(scalar(train.optimizer.learning_rate() as f32));
    }
    let common = train.optimizer.common();
    let mut groups = Vec::new();
    groups.extend(common.use_ema.then_some(1));
    groups.extend(common.gradient_accumulation_steps.map(|_| 1));
    groups.extend(slots(&train.optimizer));
    for slots in groups {
        let copies = trainable.iter().flat_map(|array| std::iter::repeat_n(array, slots));
        state.extend(copies.map(|array| zeros_like(array)));
    }
    state
}

/// Buffers of each weight, in groups: those of one group stand together, weight by weight.
fn slots(optimizer: &Optimizer) -> Vec<usize> {
    let if_set = |set: bool| usize::from(set);
    match optimizer {
        Optimizer::Adam(Adam { moments, .. }) | Optimizer::AdamW(AdamW { moments, .. }) => {
            vec![2, if_set(moments.amsgrad)]
        }
        Optimizer::SGD(sgd) => vec![if_set(sgd.momentum > 0.0)],
        Optimizer::RMSprop(rms) => vec![1, if_set(rms.momentum > 0.0), if_set(rms.centered)],
        Optimizer::Adadelta(_) => vec![2],
    }
}

fn scalar<T: Element>(value: T) -> Array {
    Array::from_values(&[], &[value]).expect("a scalar has one value")
}

fn zeros_like(array: &Array) -> Array {
    let bytes = vec![0; array.bytes().len()];
    Array::new(array.dtype(), array.shape().to_vec(), bytes).expect("it has the same shape")
}
