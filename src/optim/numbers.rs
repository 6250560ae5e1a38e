//! Numbers that change from step to step, where kernels read them: a GPU that was told once what a step does finds
//! those of the next one in the same place.

use tch::{Device, Kind, Tensor, no_grad};

use crate::system::cuda::upload;

/// Some numbers, in the weights' memory and precision.
#[derive(Debug)]
pub(super) struct Numbers {
    values: Vec<f64>,
    /// `(K,)`
    buffer: Tensor,
    /// Views of it: scalars.
    tensors: Vec<Tensor>,
}

impl Numbers {
    /// So many zeros.
    pub fn new(count: usize, weights: &Tensor) -> Self {
        let count_i64 = i64::try_from(count).expect("a step has few numbers");
        let buffer = Tensor::zeros([count_i64], (weights.kind(), weights.device()));
        let tensors = (0..count_i64).map(|index| buffer.get(index)).collect();
        Self { values: vec![0.0; count], buffer, tensors }
    }

    /// The next step's.
    ///
    /// # Panics
    /// When they are more or fewer than before.
    pub fn set(&mut self, values: Vec<f64>) {
        assert_eq!(values.len(), self.values.len(), "each step has as many numbers");
        let (device, kind): (Device, Kind) = (self.buffer.device(), self.buffer.kind());
        let uploaded =
            upload(Tensor::from_slice(&values).to_kind(kind), Tensor::shallow_clone, device, kind);
        no_grad(|| self.buffer.copy_(&uploaded));
        self.values = values;
    }

    /// Each a scalar tensor.
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// As they were given.
    pub fn values(&self) -> &[f64] {
        &self.values
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Optimizer, Variable};
    use super::*;
    use crate::config::schema::Section;
    use crate::config::sections::{
        self, Adadelta, Adafactor, Adagrad, Adam, AdamMoments, Adamax, Ftrl, Lamb, Lion, Muon,
        Nadam, OptimizerOptions, RmsProp, Sgd,
    };

    /// Each rule, with all that a step may do beside it.
    fn all() -> Vec<sections::Optimizer> {
        macro_rules! with_options {
            ($($kind:ident($section:expr)),*) => {
                vec![$(sections::Optimizer::$kind({
                    let mut section = $section;
                    section.common = OptimizerOptions {
                        weight_decay: Some(0.1),
                        clipnorm: Some(1.0),
                        use_ema: true,
                        ..section.common
                    };
                    section
                })),*]
            };
        }
        // Adam in one pass over the CPU's memory is no GPU's way.
        let moments = AdamMoments { amsgrad: true, ..AdamMoments::defaults() };
        with_options!(
            Adam(Adam { moments, ..Adam::defaults() }),
            SGD(Sgd { momentum: 0.9, ..Sgd::defaults() }),
            RMSprop(RmsProp::defaults()),
            Adadelta(Adadelta::defaults()),
            Nadam(Nadam::defaults()),
            Adamax(Adamax::defaults()),
            Adagrad(Adagrad::defaults()),
            Lion(Lion::defaults()),
            Lamb(Lamb::defaults()),
            Ftrl(Ftrl::defaults()),
            Adafactor(Adafactor::defaults()),
            Muon(Muon { adam_weight_decay: Some(0.2), ..Muon::defaults() })
        )
    }

    /// As a GPU that was told once what a step does: it has neither the rate nor the count of steps, but finds all that
    /// follows from them in these tensors.
    #[test]
    fn a_step_reads_what_changes_where_the_weights_are() {
        for (options, kind) in
            all().iter().flat_map(|one| [(one, Kind::Float), (one, Kind::Double)])
        {
            let variables = [Variable::new("a", &[4, 3]), Variable::new("b", &[3])];
            let mut called = Tensor::randn([15], (kind, Device::Cpu));
            let mut replayed = called.copy();
            let [mut one, mut other] = [&called, &replayed]
                .map(|weights| Optimizer::new(options, weights, variables.to_vec()));
            assert!(other.is_uniform());
            let start = called.copy();
            for step in 0..5 {
                (one.learning_rate, other.learning_rate) =
                    (0.1 / f64::from(step + 1), 0.1 / f64::from(step + 1));
                let gradient = Tensor::randn([15], (kind, Device::Cpu));
                one.step(&mut called, &gradient);
                other.prepare();
                other.numbers.values.fill(f64::NAN);
                let count = std::mem::replace(&mut other.iterations, 1_000_000);
                other.learning_rate = f64::NAN;
                other.apply(&mut replayed, &gradient);
                other.iterations = count;
                other.advance();
            }
            assert_eq!(called, replayed, "{options:?}");
            assert_ne!(called, start, "{options:?}");
            let states = [one, other].map(|optimizer| optimizer.state());
            assert_eq!(states[0], states[1], "{options:?}");
        }
    }
}
