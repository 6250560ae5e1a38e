//! The state of optimizers that keep other buffers for one weight than for another, Adafactor's and Muon's: in Keras's
//! files weight by weight, in the order in which `build` adds them (`optimizers/adafactor.py`, `optimizers/muon.py`).

use super::json::plain;
use super::version::Version;
use super::weights::{keras_axes, torch_array};
use crate::config::sections::{Optimizer, Precision};
use crate::formats::checkpoint::{Array, DType};
use crate::formats::keras_file::Weight;
use crate::plan::Plan;

/// A buffer of one weight.
struct Buffer {
    slot: &'static str,
    shape: Vec<usize>,
    /// Keras's axis for each of its own: a weight's, or as it stands.
    axes: Vec<usize>,
}

/// Buffers by name, each flat and in the order of the plan's weights; none of an optimizer of another kind. `trained` are
/// the weights in the order of the file: each node, and the weight's number there.
pub fn mixed(
    arrays: &[&Weight],
    trained: &[(usize, usize)],
    plan: &Plan,
    version: Version,
) -> Option<Result<Vec<(String, Array)>, String>> {
    let slots: &[&str] = match plan.config.train.optimizer {
        Optimizer::Adafactor(_) => &["r", "c", "velocity"],
        Optimizer::Muon(_) => &["momentum", "velocity"],
        _ => return None,
    };
    let buffers: Vec<_> =
        trained.iter().map(|&place| (place, buffers_of(place, plan, version))).collect();
    Some(taken(arrays, buffers, plan).and_then(|found| {
        slots.iter().map(|slot| row(slot, &found, plan)).collect::<Result<Vec<_>, _>>()
    }))
}

fn buffers_of((node, number): (usize, usize), plan: &Plan, version: Version) -> Vec<Buffer> {
    let node = &plan.graph.nodes[node];
    let (axes, shape) = keras_axes(node, number, version);
    let own = |slot| Buffer { slot, shape: shape.clone(), axes: axes.to_vec() };
    let factor = |slot, left_out: usize| {
        let mut shape = shape.clone();
        shape.remove(shape.len() - left_out);
        Buffer { slot, axes: (0..shape.len()).collect(), shape }
    };
    match &plan.config.train.optimizer {
        Optimizer::Muon(muon) => {
            let path = format!("{}/{}", node.name, node.weights[number].keras_name);
            let velocity = muon.takes_adam(&path, shape.len()).then(|| own("velocity"));
            std::iter::once(own("momentum")).chain(velocity).collect()
        }
        _ if shape.len() > 1 => vec![factor("r", 1), factor("c", 2), own("velocity")],
        _ => vec![own("velocity")],
    }
}

/// What there is for a weight.
type OfWeight = ((usize, usize), Vec<(&'static str, Array)>);

/// The arrays of each weight, in the order of the plan.
fn taken(
    arrays: &[&Weight],
    buffers: Vec<((usize, usize), Vec<Buffer>)>,
    plan: &Plan,
) -> Result<Vec<OfWeight>, String> {
    let wanted: usize = buffers.iter().map(|(_, buffers)| buffers.len()).sum();
    if arrays.len() != wanted {
        return Err(format!("it has {} arrays, and {wanted} are needed", arrays.len()));
    }
    let mut rest = arrays.iter();
    let mut found = Vec::new();
    for (place, buffers) in buffers {
        let mut of_weight = Vec::new();
        for (buffer, array) in buffers.into_iter().zip(rest.by_ref()) {
            if array.shape() != buffer.shape {
                return Err("its arrays have other shapes than the weights".to_owned());
            }
            let array = torch_array(array, &buffer.axes, plan.config.train.dtype);
            of_weight.push((buffer.slot, array.map_err(|error| plain(&error))?));
        }
        found.push((place, of_weight));
    }
    found.sort_by_key(|(place, _)| *place);
    Ok(found)
}

/// A buffer of all weights; zeros stand for what a matrix of Muon's does not have.
fn row(slot: &str, found: &[OfWeight], plan: &Plan) -> Result<(String, Array), String> {
    let (dtype, width) = match plan.config.train.dtype {
        Precision::Float32 | Precision::MixedBfloat16 => (DType::F32, 4),
        Precision::Float64 => (DType::F64, 8),
    };
    let mut bytes = Vec::new();
    for ((node, number), arrays) in found {
        let own = arrays.iter().find(|(name, _)| *name == slot);
        match own {
            Some((_, array)) => bytes.extend_from_slice(array.bytes()),
            None if slot == "velocity" => {
                let count = plan.graph.nodes[*node].weights[*number].count();
                bytes.resize(bytes.len() + count * width, 0);
            }
            None => {} // a vector has no factors
        }
    }
    let array = Array::new(dtype, vec![bytes.len() / width], bytes);
    Ok((slot.to_owned(), array.map_err(|error| error.to_string())?))
}
