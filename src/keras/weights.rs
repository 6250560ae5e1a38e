//! A file's weights as a checkpoint of the plan has them: PyTorch's names and layouts, in the model's precision.

use super::graph::{Leaf, Place};
use super::json::plain;
use super::matching::{OneWanted, Wanted, matched};
use super::version::Version;
use crate::config::layers::Layer;
use crate::config::sections::Precision;
use crate::formats::checkpoint::{Array, ArrayError, DType};
use crate::formats::keras_file::{KerasFile, Weight as FileWeight};
use crate::plan::{Node, Plan, Weight, snake_case};

/// Keras 1's kernels of Conv2DTranspose are `(h, w, in, out)`.
const TRANSPOSED_OF_KERAS_1: &[usize] = &[2, 3, 0, 1];

/// A layer of the plan that has weights, with where they stand in the file's model.
#[derive(Debug, Clone)]
pub struct Holder<'a> {
    /// Index of its node.
    pub node: usize,
    /// Where it stands.
    pub place: Vec<Place<'a>>,
}

/// The plan's weights from the file.
pub struct Found {
    /// Named as the plan's checkpoints name them.
    pub tensors: Vec<(String, Array)>,
    /// Whether the file's names decided, not order and shape.
    pub by_name: bool,
}

/// The layers that have weights, in the order of the file's model; `leaves` are those of the nodes.
pub fn holders<'a>(plan: &Plan, leaves: &[Option<&Leaf<'a>>]) -> Vec<Holder<'a>> {
    let nodes = plan.graph.nodes.iter().enumerate().zip(leaves);
    let mut holders: Vec<Holder> = nodes
        .filter(|((_, node), _)| !node.weights.is_empty())
        .filter_map(|((index, _), leaf)| {
            Some(Holder { node: index, place: leaf.as_ref()?.place.clone() })
        })
        .collect();
    holders.sort_by_cached_key(|holder| {
        holder.place.iter().map(|place| place.index).collect::<Vec<_>>()
    });
    holders
}

/// The same of a plan that came from a config: its own names, counted as Keras does.
pub fn holders_by_name(plan: &Plan) -> Vec<Holder<'_>> {
    let mut counts = std::collections::HashMap::<String, usize>::new();
    let mut holders = Vec::new();
    for (index, node) in
        plan.graph.nodes.iter().enumerate().filter(|(_, node)| node.shares.is_none())
    {
        let stem = snake_case(node.layer.name());
        let count = counts.entry(stem.clone()).or_default();
        *count += 1;
        let group = if *count == 1 { stem } else { format!("{stem}_{}", *count - 1) };
        if !node.weights.is_empty() {
            holders.push(Holder {
                node: index,
                place: vec![Place { name: &node.name, group, index }],
            });
        }
    }
    holders
}

/// Reads all weights of a plan.
///
/// # Errors
/// Names what does not fit, or is no number.
pub fn read(
    file: &KerasFile,
    version: Version,
    plan: &Plan,
    holders: &[Holder],
) -> Result<Found, String> {
    if file.backend.as_deref() == Some("theano") && version.major < 3 {
        return Err(
            "its kernels are mirrored, as Theano has them; open it once in Keras with TensorFlow, \
                    and save it anew"
                .to_owned(),
        );
    }
    let wanted: Vec<Wanted> = holders
        .iter()
        .map(|holder| Wanted {
            place: holder.place.clone(),
            weights: plan.graph.nodes[holder.node]
                .weights
                .iter()
                .map(|weight| {
                    one_wanted(weight, axes(&plan.graph.nodes[holder.node], weight, version))
                })
                .collect(),
        })
        .collect();
    let (groups, by_name) = matched(&file.weights, &wanted)?;
    let mut found: Vec<Option<Vec<(String, Array)>>> = vec![None; plan.graph.nodes.len()];
    for (holder, group) in holders.iter().zip(groups) {
        let node = &plan.graph.nodes[holder.node];
        let arrays = node.weights.iter().zip(group).map(|(weight, given)| {
            let array = torch_array(given, axes(node, weight, version), plan.config.train.dtype)?;
            Ok((format!("{}.{}", node.path(), weight.suffix), array))
        });
        found[holder.node] = Some(arrays.collect::<Result<_, String>>()?);
    }
    Ok(Found { tensors: found.into_iter().flatten().flatten().collect(), by_name })
}

/// Keras's axis for each of PyTorch's of a node's weight, and its shape in Keras.
pub fn keras_axes(node: &Node, number: usize, version: Version) -> (&'static [usize], Vec<usize>) {
    let weight = &node.weights[number];
    let axes = axes(node, weight, version);
    (axes, one_wanted(weight, axes).shape)
}

fn axes(node: &Node, weight: &Weight, version: Version) -> &'static [usize] {
    let is_kernel = weight.suffix == "weight";
    if version.major == 1 && is_kernel && matches!(node.layer, Layer::Conv2DTranspose(_)) {
        return TRANSPOSED_OF_KERAS_1;
    }
    weight.keras_axes
}

fn one_wanted(weight: &Weight, axes: &[usize]) -> OneWanted {
    let mut shape = vec![0; weight.shape.len()];
    for (side, &axis) in weight.shape.iter().zip(axes) {
        shape[axis] = *side;
    }
    OneWanted { name: weight.keras_name, shape, trainable: weight.trainable }
}

/// One weight in PyTorch's layout and the model's precision.
pub fn torch_array(
    given: &FileWeight,
    axes: &[usize],
    precision: Precision,
) -> Result<Array, String> {
    let array = given.read().map_err(|error| error.to_string())?;
    let name = plain(&given.name);
    let array = in_precision(array, precision)
        .map_err(|_| format!("its weight `{name}` holds whole numbers"))?;
    if let Some(value) = array.find(|value| !value.is_finite()) {
        return Err(format!("its weight `{name}` holds {value}, with which no model can compute"));
    }
    Ok(transposed(&array, axes))
}

fn in_precision(array: Array, precision: Precision) -> Result<Array, ArrayError> {
    match (array.dtype(), precision) {
        (DType::F32, Precision::Float32) | (DType::F64, Precision::Float64) => Ok(array),
        (DType::F32, Precision::Float64) => {
            let values = array.to_values::<f32>()?;
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            Array::from_values(array.shape(), &values)
        }
        _ => {
            let values = array.to_values::<f64>()?;
            let values: Vec<f32> = values.into_iter().map(|value| value as f32).collect();
            Array::from_values(array.shape(), &values)
        }
    }
}

/// The same values with `axes[i]` of the old axes as the new axis i.
pub fn transposed(array: &Array, axes: &[usize]) -> Array {
    let (old, size) = (array.shape(), array.dtype().size());
    let mut strides = vec![1; old.len()];
    for axis in (1..old.len()).rev() {
        strides[axis - 1] = strides[axis] * old[axis];
    }
    let shape: Vec<usize> = axes.iter().map(|&axis| old[axis]).collect();
    let steps: Vec<usize> = axes.iter().map(|&axis| strides[axis]).collect();
    let mut bytes = Vec::with_capacity(array.bytes().len());
    let mut at = vec![0; shape.len()];
    let mut offset = 0;
    for _ in 0..array.element_count() {
        bytes.extend_from_slice(&array.bytes()[offset * size..(offset + 1) * size]);
        for axis in (0..shape.len()).rev() {
            at[axis] += 1;
            offset += steps[axis];
            if at[axis] < shape[axis] {
                break;
            }
            offset -= steps[axis] * shape[axis];
            at[axis] = 0;
        }
    }
    Array::new(array.dtype(), shape, bytes).expect("as many values as before")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_change_places_as_numpy_has_it() {
        // numpy.arange(24.).reshape(2, 3, 4).transpose(2, 0, 1)
        let values: Vec<f32> = (0..24_u8).map(f32::from).collect();
        let array = Array::from_values(&[2, 3, 4], &values).unwrap();
        let turned = transposed(&array, &[2, 0, 1]);
        assert_eq!(turned.shape(), [4, 2, 3]);
        let expected: Vec<f32> =
            (0..24_u8).map(|i| f32::from(i % 6 / 3 * 12 + i % 3 * 4 + i / 6)).collect();
        assert_eq!(turned.to_values::<f32>().unwrap(), expected);
        let scalar = Array::from_values(&[], &[1.0_f32]).unwrap();
        assert_eq!(transposed(&scalar, &[]), scalar);
    }
}
