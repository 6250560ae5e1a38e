//! Cross-entropies: Keras's `binary_crossentropy`, `binary_focal_crossentropy`, `categorical_crossentropy` and
//! `sparse_categorical_crossentropy` (`losses/losses.py`, `backend/jax/nn.py`).

use tch::Tensor;

use super::EPSILON;
use super::axes::dimension;

/// How outputs and targets are probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Labels {
    /// Whether outputs are logits, not yet probabilities.
    pub from_logits: bool,
    /// Share of each target that is spread evenly over the classes.
    pub label_smoothing: f64,
}

impl Labels {
    /// Targets of one of two classes.
    fn binary(self, target: &Tensor) -> Tensor {
        self.smoothed(target, 2)
    }

    fn smoothed(self, target: &Tensor, classes: i64) -> Tensor {
        match self.label_smoothing {
            0.0 => target.shallow_clone(),
            share => target * (1.0 - share) + share / classes as f64,
        }
    }
}

/// Of each value.
pub(super) fn binary(labels: Labels, output: &Tensor, target: &Tensor) -> Tensor {
    let target = labels.binary(target);
    if labels.from_logits {
        let miss = (&target - 1.0) * (-output).log_sigmoid();
        return miss - target * output.log_sigmoid();
    }
    // libtorch's own refuses NaN, which is what tells a run that it has diverged.
    let p = output.clamp(EPSILON, 1.0 - EPSILON);
    -(&target * p.log() - (target - 1.0) * (-p + 1.0).log())
}

/// Of each value, less where the output is sure and right; of `alpha`, ones count so much and zeros the rest.
pub(super) fn focal(
    labels: Labels,
    alpha: Option<f64>,
    gamma: f64,
    output: &Tensor,
    target: &Tensor,
) -> Tensor {
    let target = labels.binary(target);
    let p = if labels.from_logits { output.sigmoid() } else { output.shallow_clone() };
    let wrong: Tensor = 1.0 - (&target * &p + (1.0 - &target) * (1.0 - &p));
    let focused = wrong.pow_tensor_scalar(gamma) * binary(Labels::default(), &p, &target);
    match alpha {
        Some(alpha) => focused * (&target * alpha + (1.0 - target) * (1.0 - alpha)),
        None => focused,
    }
}

/// Of the classes along `axis`, which it takes away.
pub(super) fn categorical(labels: Labels, axis: i64, output: &Tensor, target: &Tensor) -> Tensor {
    // Keras counts the classes on the last axis, whatever `axis` is.
    let target = labels.smoothed(target, output.size()[1]);
    let along = dimension(axis, output);
    let log = log_probabilities(labels.from_logits, along, output);
    -(target * log).sum_dim_intlist([along].as_slice(), false, output.kind())
}

/// The same of targets that are the classes' numbers, in one channel.
pub(super) fn sparse(from_logits: bool, output: &Tensor, target: &Tensor) -> Tensor {
    let classes = Tensor::arange(output.size()[1], (output.kind(), output.device()));
    let sides = if output.dim() == 4 { vec![1, -1, 1, 1] } else { vec![1, -1] };
    // A number that is no class is of no probability, as in Keras on JAX. It is cut as Keras casts it to int32.
    let target = target.trunc().eq_tensor(&classes.view(sides.as_slice())).to_kind(output.kind());
    categorical(Labels { from_logits, label_smoothing: 0.0 }, -1, output, &target)
}

fn log_probabilities(from_logits: bool, along: i64, output: &Tensor) -> Tensor {
    if from_logits {
        return output.log_softmax(along, output.kind());
    }
    let sum = output.sum_dim_intlist([along].as_slice(), true, output.kind());
    (output / sum).clamp(EPSILON, 1.0 - EPSILON).log()
}
