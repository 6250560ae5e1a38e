//! Numbers that change from step to step, where kernels read them: a GPU that was told once what a step does finds
//! those of the next one in the same place.

use tch::{Device, Kind, Tensor, no_grad};

use crate::system::cuda::upload;

/// Some numbers, in the weights' memory and precision.
#[derive(Debug)]
pub(super) struct Numbers {
    /// As they were given, where the weights are in the processor's memory.
    values: Option<Vec<f64>>,
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
        let values = (buffer.device() == Device::Cpu).then(|| vec![0.0; count]);
        Self { values, buffer, tensors }
    }

    /// The next step's.
    ///
    /// # Panics
    /// When they are more or fewer than before.
    pub fn set(&mut self, values: Vec<f64>) {
        assert_eq!(values.len(), self.tensors.len(), "each step has as many numbers");
        let (device, kind): (Device, Kind) = (self.buffer.device(), self.buffer.kind());
        let uploaded =
            upload(Tensor::from_slice(&values).to_kind(kind), Tensor::shallow_clone, device, kind);
        no_grad(|| self.buffer.copy_(&uploaded));
        if let Some(own) = &mut self.values {
            *own = values;
        }
    }

    /// As it is where the weights are not in the processor's memory.
    #[cfg(test)]
    pub fn forget_values(&mut self) {
        self.values = None;
    }

    /// Each a scalar tensor.
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// As they were given, where the weights are in the processor's memory.
    pub fn values(&self) -> Option<&[f64]> {
        self.values.as_deref()
    }
}
