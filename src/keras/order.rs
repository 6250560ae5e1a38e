//! The order in which Keras has a functional model's layers, whatever the order of the file: its archives
//! name weights by counting the layers of each class in that order.
//!
//! Source: Keras `ops/function.py`, `map_graph`, and `saving/saving_lib.py`, `_save_container_state`.

use crate::config::layers::Layer;
use crate::plan::{Graph, Names, Value};

/// The nodes that are layers of their own, in Keras's order, each with the name of its place among the archive's
/// `layers`: `conv2d_1`.
pub(crate) fn containers(graph: &Graph) -> Vec<(usize, String)> {
    let mut names = Names::default();
    let layers = layers(graph).into_iter();
    layers.map(|index| (index, names.next(graph.nodes[index].layer.name()))).collect()
}

/// By depth, which is the longest way to the output, the deepest first; at one depth, as a walk from the output
/// back to the input meets them.
fn layers(graph: &Graph) -> Vec<usize> {
    let walk = Walk::from_output(graph);
    let mut depth_of_node = vec![0_usize; graph.nodes.len()];
    let mut depth_of_layer = vec![0_usize; graph.nodes.len()];
    for &index in walk.finished.iter().rev() {
        let owner = graph.owner(index);
        let depth = depth_of_node[index].max(depth_of_layer[owner]);
        (depth_of_layer[owner], depth_of_node[index]) = (depth, depth);
        let node = &graph.nodes[index];
        for (position, &input) in node.inputs.iter().enumerate() {
            if let Value::Node(input) = input {
                let deeper = depth + layers_to(&node.layer, position);
                depth_of_node[input] = depth_of_node[input].max(deeper);
            }
        }
    }
    let mut layers = walk.met.clone();
    // Stable: at one depth they stay as they were met.
    layers.sort_by_key(|&owner| std::cmp::Reverse(depth_of_layer[owner]));
    layers
}

/// How many of Keras's layers stand for a node, from its output to one of its inputs: those that an export writes
/// for a layer that Keras lacks.
fn layers_to(layer: &Layer, input: usize) -> usize {
    match layer {
        Layer::DepthToSpace(_) => 3,
        Layer::Sampling(_) if input == 1 => 2,
        _ => 1,
    }
}

/// A walk from the output back to the input, depth first.
struct Walk {
    /// Layers in the order in which they were met.
    met: Vec<usize>,
    /// Nodes, each behind those that it reads.
    finished: Vec<usize>,
}

impl Walk {
    fn from_output(graph: &Graph) -> Self {
        let mut walk = Self { met: Vec::new(), finished: Vec::new() };
        let mut entered = vec![false; graph.nodes.len()];
        let mut seen = vec![false; graph.nodes.len()];
        // Each node with the number of its inputs that were followed.
        let mut open: Vec<(usize, usize)> = Vec::new();
        let enter = |value: Value, open: &mut Vec<(usize, usize)>, entered: &mut Vec<bool>| {
            if let Value::Node(index) = value
                && !std::mem::replace(&mut entered[index], true)
            {
                open.push((index, 0));
            }
        };
        enter(graph.output, &mut open, &mut entered);
        while let Some((index, followed)) = open.pop() {
            let owner = graph.owner(index);
            if followed == 0 && !std::mem::replace(&mut seen[owner], true) {
                walk.met.push(owner);
            }
            match graph.nodes[index].inputs.get(followed) {
                Some(&input) => {
                    open.push((index, followed + 1));
                    enter(input, &mut open, &mut entered);
                }
                None => walk.finished.push(index),
            }
        }
        walk
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::testing::layer;
    use crate::plan::{Part, Shape};

    #[test]
    fn two_branches_stand_in_the_order_of_their_depth_and_then_of_the_merge() {
        let mut graph = Graph::new(Shape(vec![8, 8, 1]));
        let mut add = |name: &str, kind: &str, inputs: Vec<Value>| {
            graph.add(name.to_owned(), Part::Encoder, layer(kind), inputs).unwrap()
        };
        let conv = "layer = \"Conv2D\", filters = 2, kernel_size = 3, padding = \"same\"";
        let short = add("short", conv, vec![Value::Input]);
        let long = add("long", conv, vec![Value::Input]);
        let longer = add("longer", conv, vec![long]);
        let merged = add("merged", "layer = \"Add\"", vec![short, longer]);
        add("last", conv, vec![merged]);
        let found: Vec<(String, String)> = containers(&graph)
            .into_iter()
            .map(|(index, place)| (graph.nodes[index].name.clone(), place))
            .collect();
        let expected = [
            ("long", "conv2d"),
            ("short", "conv2d_1"),
            ("longer", "conv2d_2"),
            ("merged", "add"),
            ("last", "conv2d_3"),
        ];
        assert_eq!(found, expected.map(|(name, place)| (name.to_owned(), place.to_owned())));
    }
}
