//! What weights add to the loss: Keras's regularizers (`regularizers/regularizers.py`), added to the
//! loss and to its gradient in one place, whatever computes them.

use tch::{Tensor, no_grad};

use super::of_weight::{EPSILON, OfWeight};
use crate::config::layers::Layer;
use crate::config::regularizers::{L1, L1L2, L2, OrthogonalRegularizer, Regularizer, Vectors};
use crate::plan::Graph;

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
pub struct Penalty(Vec<OfWeight<Regularizer>>);

impl OfWeight<Regularizer> {
    fn penalty(&self, trainable: &[Tensor]) -> Tensor {
        self.said.of(&self.in_keras(trainable))
    }
}

impl Penalty {
    /// Of the weights of all layers, those of a shared layer once.
    #[must_use]
    pub fn new(graph: &Graph) -> Self {
        Self(OfWeight::all(graph, Layer::regularizer))
    }

    /// A batch's loss with the penalty of these weights.
    pub fn added_to(&self, loss: Tensor, trainable: &[Tensor]) -> Tensor {
        no_grad(|| self.0.iter().fold(loss, |loss, one| loss + one.penalty(trainable)))
    }

    /// The same with the loss's gradient, `(P,)`, by all trainable weights.
    pub fn added_to_step(
        &self,
        mut loss: Tensor,
        gradient: Tensor,
        trainable: &[Tensor],
    ) -> (Tensor, Tensor) {
        for one in &self.0 {
            let penalty = one.penalty(trainable);
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
