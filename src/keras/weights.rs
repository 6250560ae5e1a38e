//! A file's weights as a checkpoint of the plan has them: PyTorch's names and layouts, in the model's precision.

use super::graph::{Leaf, Place};
use super::json::plain;
use super::matching::{Matched, OneWanted, Wanted, matched};
use super::order::containers;
use super::version::Version;
use crate::config::layers::Layer;
use crate::config::sections::Precision;
use crate::formats::checkpoint::{Array, ArrayError, DType};
use crate::formats::keras_file::{KerasFile, Weight as FileWeight};
use crate::plan::{Node, Plan, Weight};

/// Keras 1's kernels of Conv2DTranspose are `(h, w, in, out)`.
const TRANSPOSED_OF_KERAS_1: &[usize] = &[2, 3, 0, 1];
/// Its kernels of Conv1D are `(k, 1, in, out)`, as those of images of one column.
const SIGNALS_OF_KERAS_1: &[usize] = &[3, 2, 0, 1];

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
    /// The file's layers whose weights the plan has no place for.
    pub left: Vec<String>,
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

/// The same of a plan that came from a config: its own names, and Keras's places of such a model's weights.
pub fn holders_by_name(plan: &Plan) -> Vec<Holder<'_>> {
    let nodes = &plan.graph.nodes;
    let has_weights = |(node, _): &(usize, String)| !nodes[*node].weights.is_empty();
    let holder = |(node, group): (usize, String)| Holder {
        node,
        place: vec![Place { name: &nodes[node].name, group, index: node }],
    };
    containers(&plan.graph).into_iter().filter(has_weights).map(holder).collect()
}

/// The version and the backend by which a file's weights are laid out: those of the file that holds them, else the
/// model's.
fn layout_of(file: &KerasFile) -> [Option<&str>; 2] {
    let own = [file.keras_version.as_deref(), file.backend.as_deref()];
    match &file.weights_of {
        Some([version, backend]) => [version.as_deref().or(own[0]), backend.as_deref().or(own[1])],
        None => own,
    }
}

/// Which Keras laid a file's weights out.
pub fn version_of_weights(file: &KerasFile, model: &serde_json::Value) -> Version {
    Version::of(layout_of(file)[0], model)
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
    let [_, backend] = layout_of(file);
    if backend == Some("theano") && version.major < 3 {
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
    let Matched { groups, by_name, left } = matched(&file.weights, &wanted)?;
    let mut found: Vec<Option<Vec<(String, Array)>>> = vec![None; plan.graph.nodes.len()];
    for (holder, group) in holders.iter().zip(groups) {
        let node = &plan.graph.nodes[holder.node];
        let arrays = node.weights.iter().zip(group).map(|(weight, given)| {
            let array = torch_array(given, axes(node, weight, version), plan.config.train.dtype)?;
            Ok((format!("{}.{}", node.path(), weight.suffix), array.reshaped(&weight.shape)))
        });
        found[holder.node] = Some(arrays.collect::<Result<_, String>>()?);
    }
    Ok(Found { tensors: found.into_iter().flatten().flatten().collect(), by_name, left })
}

/// Keras's axis for each of PyTorch's of a node's weight, and its shape in Keras.
pub fn keras_axes(node: &Node, number: usize, version: Version) -> (&'static [usize], Vec<usize>) {
    let weight = &node.weights[number];
    let axes = axes(node, weight, version);
    (axes, one_wanted(weight, axes).shape)
}

fn axes(node: &Node, weight: &Weight, version: Version) -> &'static [usize] {
    let is_kernel = weight.suffix == "weight";
    if version.major == 1 && is_kernel && matches!(node.layer, Layer::Conv1D(_)) {
        return SIGNALS_OF_KERAS_1;
    }
    if version.major == 1 && is_kernel && matches!(node.layer, Layer::Conv2DTranspose(_)) {
        return TRANSPOSED_OF_KERAS_1;
    }
    weight.keras_axes
}

fn one_wanted(weight: &Weight, axes: &[usize]) -> OneWanted {
    let mut shape = vec![1; axes.len()];
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
    Ok(array.transposed(axes))
}

fn in_precision(array: Array, precision: Precision) -> Result<Array, ArrayError> {
    match (array.dtype(), precision) {
        (DType::F32, Precision::Float32 | Precision::MixedBfloat16)
        | (DType::F64, Precision::Float64) => Ok(array),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Source;

    #[test]
    fn kernels_of_signals_have_a_width_of_one_in_keras_1_and_none_after() {
        let text = "name = \"signals\"\n[model]\ninput_shape = [9, 2]\nlayers = [\n\
                    { layer = \"Conv1D\", filters = 4, kernel_size = 3 }]\n";
        let plan = Plan::new(Source::parse(text, "signals", &[]).unwrap()).unwrap();
        let node = &plan.graph.nodes[0];
        let version = |major| Version { major, minor: 2, of_tensorflow: false };
        assert_eq!(keras_axes(node, 0, version(3)).1, [3, 2, 4]);
        let (axes, shape) = keras_axes(node, 0, version(1));
        assert_eq!(shape, [3, 1, 2, 4]);
        let values: Vec<f32> = (0..24_u8).map(f32::from).collect();
        let of = |shape: &[usize], axes| {
            Array::from_values(shape, &values).unwrap().transposed(axes).reshaped(&[4, 2, 3])
        };
        assert_eq!(of(&shape, axes).bytes(), of(&[3, 2, 4], node.weights[0].keras_axes).bytes());
    }

    #[test]
    fn a_config_names_the_places_of_weights_in_the_order_in_which_keras_counts_its_layers() {
        let conv = "layer = \"Conv2D\", kernel_size = 1";
        let text = format!(
            "name = \"branches\"\n[model]\ninput_shape = [8, 8, 1]\nlayers = [\n\
             {{ {conv}, filters = 2, name = \"short\", inputs = [\"input\"] }},\n\
             {{ {conv}, filters = 2, name = \"long\", inputs = [\"input\"] }},\n\
             {{ {conv}, filters = 2, name = \"longer\" }},\n\
             {{ layer = \"Add\", inputs = [\"short\", \"longer\"] }},\n\
             {{ {conv}, filters = 1, name = \"last\" }},\n]\n"
        );
        let plan = Plan::new(Source::parse(&text, "branches", &[]).unwrap()).unwrap();
        let places: Vec<(&str, String)> = holders_by_name(&plan)
            .into_iter()
            .map(|holder| (holder.place[0].name, holder.place[0].group.clone()))
            .collect();
        let expected = ["long", "short", "longer", "last"].into_iter().zip(0..);
        let group = |i: usize| if i == 0 { "conv2d".to_owned() } else { format!("conv2d_{i}") };
        assert_eq!(places, expected.map(|(name, i)| (name, group(i))).collect::<Vec<_>>());
    }
}
