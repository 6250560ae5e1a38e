//! The state of Keras's optimizers as convae's checkpoints have it: each kind of buffer for all weights in one
//! row, so that training goes on as `fit` would.

use super::json::plain;
use super::mixed_state::mixed;
use super::version::Version;
use super::weights::{Holder, keras_axes, torch_array};
use crate::config::sections::{Adam, AdamW, Optimizer};
use crate::formats::checkpoint::Array;
use crate::formats::keras_file::{KerasFile, Weight, Weights};
use crate::plan::Plan;

/// A kind of buffer: convae's name, which is Keras 3's, and those of older Kerases.
type Slot = (&'static str, &'static [&'static str]);

const MOMENTUM: Slot = ("momentum", &["m"]);
const ACCUMULATOR: Slot = ("accumulator", &[]);
const VELOCITY: Slot = ("velocity", &["v", "rms"]);

/// What was taken over.
#[derive(Debug)]
pub struct State {
    /// Buffers by name, each `(P,)`.
    pub slots: Vec<(String, Array)>,
    /// Updates of the weights so far.
    pub iterations: i64,
}

/// The file's state for the plan's optimizer; none where the file holds none that says anything.
///
/// # Errors
/// Says why it cannot be taken over.
pub fn state(
    file: &KerasFile,
    version: Version,
    plan: &Plan,
    holders: &[Holder],
) -> Result<Option<State>, String> {
    let slots = slots_of(&plan.config.train.optimizer);
    let common = plan.config.train.optimizer.common();
    let (scalars, arrays): (Vec<&Weight>, Vec<&Weight>) =
        file.optimizer.iter().partition(|weight| weight.shape().is_empty());
    if file.optimizer.is_empty() {
        return Ok(None);
    }
    let iterations = scalars.first().ok_or("it does not say after how many steps it is")?;
    let iterations = count(iterations).ok_or("its number of steps is none")?;
    if iterations <= 0 {
        return Ok(None);
    }
    if slots.is_empty() && matches!(plan.config.train.optimizer, Optimizer::SGD(_)) {
        return Ok(Some(State { slots: Vec::new(), iterations })); // a schedule goes on from there
    }
    if common.use_ema || common.gradient_accumulation_steps.is_some() {
        return Err("it averages weights or collects gradients".to_owned());
    }
    let mut trained = Vec::new();
    for holder in holders {
        let node = &plan.graph.nodes[holder.node];
        let weights = node.weights.iter().enumerate().filter(|(_, weight)| weight.trainable);
        trained.extend(weights.map(|(number, _)| (holder.node, number)));
    }
    if let Some(slots) = mixed(&arrays, &trained, plan, version) {
        return Ok(Some(State { slots: slots?, iterations }));
    }
    let wanted = trained.len() * slots.len();
    let arrays = without_placeholders(arrays, wanted, trained.len());
    if arrays.len() != wanted {
        return Err(format!("it has {} arrays, and {wanted} are needed", arrays.len()));
    }
    let by_weight = matches!(file.weights, Weights::Tree(_))
        && !matches!(plan.config.train.optimizer, Optimizer::RMSprop(_));
    let kinds = by_kind(&arrays, &slots, trained.len(), by_weight);
    let fits = |(found, &(node, number)): (&&Weight, &(usize, usize))| {
        found.shape() == keras_axes(&plan.graph.nodes[node], number, version).1
    };
    if !kinds.iter().all(|kind| kind.iter().zip(&trained).all(fits)) {
        return Err("its arrays have other shapes than the weights".to_owned());
    }
    let mut found = Vec::new();
    for ((name, _), arrays) in slots.iter().zip(kinds) {
        found.push(((*name).to_owned(), row(&arrays, &trained, plan, version)?));
    }
    Ok(Some(State { slots: found, iterations }))
}

/// A whole number, which the first Keras 2 kept as a float.
fn count(weight: &Weight) -> Option<i64> {
    let array = weight.read().ok()?;
    let whole = array.to_values::<i64>().ok().and_then(|values| values.first().copied());
    let float = || array.to_values::<f32>().ok().and_then(|values| values.first().copied());
    whole.or_else(|| float().filter(|count| count.fract() == 0.0).map(|count| count as i64))
}

/// Keras 2.1 to 2.3 keep an array of one zero for each weight where Adam has no amsgrad.
fn without_placeholders(mut arrays: Vec<&Weight>, wanted: usize, weights: usize) -> Vec<&Weight> {
    let are_single = |arrays: &[&Weight]| arrays.iter().all(|array| array.shape() == [1]);
    if arrays.len() == wanted + weights && are_single(&arrays[wanted..]) {
        arrays.truncate(wanted);
    }
    arrays
}

fn slots_of(optimizer: &Optimizer) -> Vec<Slot> {
    match optimizer {
        Optimizer::Adam(Adam { moments, .. }) | Optimizer::AdamW(AdamW { moments, .. }) => {
            let mut slots = vec![MOMENTUM, VELOCITY];
            slots.extend(moments.amsgrad.then_some(("velocity_hat", &["vhat"][..])));
            slots
        }
        Optimizer::SGD(sgd) if sgd.momentum == 0.0 => Vec::new(),
        Optimizer::SGD(_) | Optimizer::Lion(_) => vec![MOMENTUM],
        Optimizer::RMSprop(rmsprop) => {
            let mut slots = vec![VELOCITY];
            slots.extend((rmsprop.momentum > 0.0).then_some(MOMENTUM));
            slots.extend(rmsprop.centered.then_some(("average_gradient", &["mg"][..])));
            slots
        }
        Optimizer::Adadelta(_) => {
            vec![("accumulated_grad", &["accum_grad"]), ("accumulated_delta_var", &["accum_var"])]
        }
        Optimizer::Nadam(_) | Optimizer::Lamb(_) => vec![MOMENTUM, VELOCITY],
        Optimizer::Adamax(_) => vec![MOMENTUM, ("norm", &["u", "v"])],
        Optimizer::Adagrad(_) => vec![ACCUMULATOR],
        Optimizer::Ftrl(_) => vec![ACCUMULATOR, ("linear", &[])],
        // The slots of each weight are its own: `mixed`.
        Optimizer::Adafactor(_) | Optimizer::Muon(_) => Vec::new(),
    }
}

/// The arrays of each kind, in the order of the weights: as their names say; where these say nothing, the first
/// two kinds stand side by side, weight `by_weight`, or all kinds one after the other.
fn by_kind<'f>(
    arrays: &[&'f Weight],
    slots: &[Slot],
    weights: usize,
    by_weight: bool,
) -> Vec<Vec<&'f Weight>> {
    let mut named: Vec<Vec<&Weight>> = vec![Vec::new(); slots.len()];
    for array in arrays {
        if let Some(kind) = slots.iter().position(|slot| is_kind(&array.name, slot)) {
            named[kind].push(array);
        }
    }
    if named.iter().all(|kind| kind.len() == weights) {
        return named;
    }
    let side_by_side = if by_weight { slots.len().min(2) } else { 1 };
    (0..slots.len())
        .map(|kind| {
            let place = |weight: usize| match kind {
                0 | 1 if side_by_side == 2 => weight * 2 + kind,
                _ => kind * weights + weight,
            };
            (0..weights).map(|weight| arrays[place(weight)]).collect()
        })
        .collect()
}

/// `training/Adam/conv/kernel/m:0`, `Adam/m/conv/kernel:0` and `adam/conv_kernel_momentum` are one kind.
fn is_kind(name: &str, (own, old): &Slot) -> bool {
    let parts: Vec<&str> = name.split('/').collect();
    let last = parts.last().map_or("", |last| last.split(':').next().unwrap_or(last));
    let all = || [*own].into_iter().chain(old.iter().copied());
    let ends = |kind: &str| {
        last == kind || last.strip_suffix(kind).is_some_and(|stem| stem.ends_with('_'))
    };
    all().any(ends)
        || parts.get(1).is_some_and(|part| parts.len() > 2 && all().any(|kind| kind == *part))
}

/// All arrays of a kind in the order of the plan's weights.
fn row(
    arrays: &[&Weight],
    trained: &[(usize, usize)],
    plan: &Plan,
    version: Version,
) -> Result<Array, String> {
    let precision = plan.config.train.dtype;
    let mut sorted: Vec<_> = trained.iter().zip(arrays).collect();
    sorted.sort_by_key(|(place, _)| **place);
    let (mut bytes, mut dtype, mut length) = (Vec::new(), None, 0);
    for ((node, number), array) in sorted {
        let axes = keras_axes(&plan.graph.nodes[*node], *number, version).0;
        let array = torch_array(array, axes, precision).map_err(|error| plain(&error))?;
        bytes.extend_from_slice(array.bytes());
        dtype = Some(array.dtype());
        length += array.element_count();
    }
    let dtype = dtype.ok_or("it is empty")?;
    Array::new(dtype, vec![length], bytes).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_a_buffer_is_known() {
        for name in [
            "training_19/Adam/conv2d_35/bias/m:0",
            "Adam/m/conv2d/bias:0",
            "adam/conv2d_bias_momentum",
        ] {
            assert!(is_kind(name, &MOMENTUM) && !is_kind(name, &VELOCITY), "{name}");
        }
        assert!(is_kind(
            "Adadelta/conv2d/kernel/accum_grad:0",
            &("accumulated_grad", &["accum_grad"])
        ));
        assert!(!is_kind("optimizer/vars/3", &VELOCITY));
        assert!(!is_kind("adam/conv2d_kernel_velocity_hat", &VELOCITY));
    }
}
