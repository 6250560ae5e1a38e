//! The weight tensors behind the flat buffer, as Keras has them.

use tch::Tensor;

use super::of_weight::axes_of;
use crate::plan::{Graph, Node, Weight};

/// A trainable weight tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Keras's `layer/weight`.
    pub path: String,
    /// PyTorch's sides, in which the buffer holds it.
    sides: Vec<i64>,
    /// PyTorch's axis for each of Keras's.
    axes: Vec<i64>,
}

impl Variable {
    /// One whose sides are in Keras's order in the buffer too.
    #[must_use]
    pub fn new(path: &str, sides: &[i64]) -> Self {
        let axes = (0..sides.len() as i64).collect();
        Self { path: path.to_owned(), sides: sides.to_vec(), axes }
    }

    /// Those of a model, in the order of the buffer.
    pub(crate) fn all(graph: &Graph) -> Vec<Self> {
        let of_node = |node: &Node| -> Vec<Self> {
            let trainable = node.weights.iter().filter(|weight| weight.trainable);
            trainable.map(|weight| Self::of(node, weight)).collect()
        };
        graph.nodes.iter().flat_map(of_node).collect()
    }

    fn of(node: &Node, weight: &Weight) -> Self {
        Self {
            path: format!("{}/{}", node.name, weight.keras_name),
            sides: weight.shape.iter().map(|&side| side as i64).collect(),
            axes: axes_of(weight),
        }
    }

    /// Number of its values.
    #[must_use]
    pub fn count(&self) -> i64 {
        self.sides.iter().product()
    }

    /// Keras's sides.
    pub(super) fn shape(&self) -> Vec<i64> {
        self.axes.iter().map(|&axis| self.sides[axis as usize]).collect()
    }

    /// A view of its part of a buffer in Keras's layout.
    fn view(&self, part: &Tensor) -> Tensor {
        part.view(self.sides.as_slice()).permute(self.axes.as_slice())
    }
}

/// Views of all tensors of a flat buffer in Keras's layouts.
pub(super) fn views(flat: &Tensor, variables: &[Variable]) -> Vec<Tensor> {
    let lengths: Vec<i64> = variables.iter().map(Variable::count).collect();
    let parts = flat.split_with_sizes(lengths.as_slice(), 0);
    variables.iter().zip(parts).map(|(variable, part)| variable.view(&part)).collect()
}
