//! What a layer's config says of single weights, as regularizers and constraints are.

use tch::Tensor;

use crate::config::layers::Layer;
use crate::plan::{Graph, Weight};

/// Keras's `backend.epsilon()`.
pub(super) const EPSILON: f64 = 1e-7;

/// What is said of one weight tensor.
#[derive(Debug)]
pub(super) struct OfWeight<T> {
    /// Its place among the trainable ones.
    pub index: usize,
    pub said: T,
    /// PyTorch's axis for each of Keras's.
    axes: Vec<i64>,
}

impl<T: Clone> OfWeight<T> {
    /// Of the weights of all layers, those of a shared layer once. `find` has what a layer says of the weight that
    /// Keras calls so.
    pub fn all(
        graph: &Graph,
        find: impl for<'a> Fn(&'a Layer, &str) -> Option<&'a T>,
    ) -> Vec<Self> {
        let weights = graph.nodes.iter().flat_map(|node| {
            let trainable = node.weights.iter().filter(|weight| weight.trainable);
            trainable.map(|weight| (find(&node.layer, weight.keras_name), weight))
        });
        let said = weights.enumerate().filter_map(|(index, (said, weight))| {
            Some(Self { index, said: said?.clone(), axes: axes_of(weight) })
        });
        said.collect()
    }

    /// A view of the weight in Keras's layout.
    pub fn in_keras(&self, trainable: &[Tensor]) -> Tensor {
        trainable[self.index].permute(self.axes.as_slice())
    }
}

/// PyTorch's axis for each of Keras's.
pub(super) fn axes_of(weight: &Weight) -> Vec<i64> {
    let mut axes = vec![0; weight.keras_axes.len()];
    weight.keras_axes.iter().enumerate().for_each(|(own, &keras)| axes[keras] = own as i64);
    axes
}
