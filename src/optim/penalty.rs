//! What weights add to the loss: Keras's regularizers (`regularizers/regularizers.py`), added to the
//! loss and to its gradient in one place, whatever computes them.

use tch::{Tensor, no_grad};

use crate::config::regularizers::{L1, L1L2, L2, OrthogonalRegularizer, Regularizer, Vectors};
use crate::plan::{Graph, Weight};

/// Keras's `backend.epsilon()`.
const EPSILON: f64 = 1e-7;

impl Regularizer {
    /// Of some values, a matrix of them in Keras's layout: a scalar, which autograd can follow.
    pub fn of(&self, values: &Tensor) -> Tensor {
        let kind = values.kind();
        match *self {
            Self::L1(L1 { l1 }) => values.abs().sum(kind) * l1,
            Self::L2(L2 { l2 }) => values.square().sum(kind) * l2,
            Self::L1L2(L1L2 { l1, l2 }) => {
                values.abs().sum(kind) * l1 + values.square().sum(kind) * l2
            }
            Self::OrthogonalRegularizer(OrthogonalRegularizer { factor, mode }) => {
                let vectors = match mode {
                    Vectors::Rows => values.shallow_clone(),
                    Vectors::Columns => values.transpose(0, 1),
                };
                mean_cosine(&vectors) * factor
            }
        }
    }
}

/// The mean absolute cosine between two rows. `0.5 * sum / pairs` is Keras's order.
fn mean_cosine(rows: &Tensor) -> Tensor {
    let kind = rows.kind();
    // `ops.nn.normalize`: no norm counts as less than epsilon.
    let squares = rows.square().sum_dim_intlist([1].as_slice(), true, kind);
    let unit = rows * squares.clamp_min(EPSILON * EPSILON).rsqrt();
    let count = rows.size()[0] as f64;
    let others: Tensor = 1.0 - Tensor::eye(rows.size()[0], (kind, rows.device()));
    let cosines: Tensor = unit.matmul(&unit.transpose(0, 1)) * others;
    cosines.abs().sum(kind) * 0.5 / (count * (count - 1.0) / 2.0)
}

/// The penalties of a model's weights.
#[derive(Debug)]
pub struct Penalty(Vec<WeightPenalty>);

/// Of one weight tensor.
#[derive(Debug)]
struct WeightPenalty {
    /// Its place among the trainable ones.
    index: usize,
    regularizer: Regularizer,
    /// PyTorch's axis for each of Keras's.
    axes: Vec<i64>,
}

impl WeightPenalty {
    fn of(&self, trainable: &[Tensor]) -> Tensor {
        self.regularizer.of(&trainable[self.index].permute(self.axes.as_slice()))
    }
}

impl Penalty {
    /// Of the weights of all layers, those of a shared layer once.
    #[must_use]
    pub fn new(graph: &Graph) -> Self {
        let weights = graph.nodes.iter().flat_map(|node| {
            let trainable = node.weights.iter().filter(|weight| weight.trainable);
            trainable.map(|weight| (node.layer.regularizer(weight.keras_name), weight))
        });
        let penalties = weights.enumerate().filter_map(|(index, (regularizer, weight))| {
            Some(WeightPenalty { index, regularizer: regularizer?.clone(), axes: axes_of(weight) })
        });
        Self(penalties.collect())
    }

    /// A batch's loss with the penalty of these weights.
    pub fn added_to(&self, loss: Tensor, trainable: &[Tensor]) -> Tensor {
        no_grad(|| self.0.iter().fold(loss, |loss, one| loss + one.of(trainable)))
    }

    /// The same with the loss's gradient, `(P,)`, by all trainable weights.
    pub fn added_to_step(
        &self,
        mut loss: Tensor,
        gradient: Tensor,
        trainable: &[Tensor],
    ) -> (Tensor, Tensor) {
        for one in &self.0 {
            let penalty = one.of(trainable);
            let weight = &trainable[one.index];
            let own = Tensor::run_backward(&[&penalty], &[weight], false, false).remove(0);
            let first: i64 =
                trainable[..one.index].iter().map(|weight| weight.numel() as i64).sum();
            let _ = gradient.narrow(0, first, own.numel() as i64).g_add_(&own.flatten(0, -1));
            loss += penalty.detach();
        }
        (loss, gradient)
    }
}

/// PyTorch's axis for each of Keras's.
pub(super) fn axes_of(weight: &Weight) -> Vec<i64> {
    let mut axes = vec![0; weight.keras_axes.len()];
    weight.keras_axes.iter().enumerate().for_each(|(own, &keras)| axes[keras] = own as i64);
    axes
}
