//! The weights of a model, by name, in Keras's order; the learned ones lie in one flat buffer.

use tch::{Device, Kind, Tensor, no_grad};

use super::layout::{VECTOR, in_keras};
use super::resize::in_channels_last;
use super::window::to_i64;
use super::{Fans, Initializer, WholeBatch};
use crate::system::random::Stream;

/// Values that are drawn before they are copied into their tensor.
const DRAWN_AT_ONCE: usize = 1 << 20;

/// A named weight tensor.
#[derive(Debug)]
pub struct Parameter {
    /// As in a PyTorch state dict: `encoder.conv2d.weight`.
    pub name: String,
    /// In PyTorch's layout, shared with the layer that computes with it.
    pub tensor: Tensor,
    /// Whether the optimizer moves it; moving statistics are not trainable.
    pub trainable: bool,
}

/// All weights of a model.
#[derive(Debug)]
pub struct Parameters {
    entries: Vec<Parameter>,
    prefix: String,
    device: Device,
    kind: Kind,
    /// Of what normalisations have, which Keras's policies do not round.
    kind_of_norms: Kind,
    /// Whether starting values are drawn; a checkpoint's weights take the place of zeros.
    drawn: bool,
    /// What the layers with these weights look at.
    pub batch: WholeBatch,
}

impl Parameters {
    /// None yet; those that layers add will be of this kind, on this device.
    #[must_use]
    pub fn new(device: Device, kind: Kind) -> Self {
        Self {
            entries: Vec::new(),
            prefix: String::new(),
            device,
            kind,
            kind_of_norms: kind,
            drawn: true,
            batch: WholeBatch::default(),
        }
    }

    /// Zeros in bfloat16, for rounded values to be copied into. Those of normalisations are float32, as in Keras:
    /// `layers/normalization`, `autocast=False`.
    #[must_use]
    pub fn in_bfloat16(device: Device) -> Self {
        Self { kind_of_norms: Kind::Float, ..Self::without_values(device, Kind::BFloat16) }
    }

    /// None yet; those that layers add will be zeros, for a checkpoint's values to be copied into.
    #[must_use]
    pub fn without_values(device: Device, kind: Kind) -> Self {
        Self { drawn: false, ..Self::new(device, kind) }
    }

    /// Names what is added next: `encoder.conv2d`.
    pub fn enter(&mut self, prefix: String) {
        self.prefix = prefix;
    }

    /// A learned tensor, drawn from `stream`, with Keras's axis for each of its own.
    pub(super) fn draw(
        &mut self,
        name: &str,
        shape: &[usize],
        keras_axes: &[usize],
        initializer: Initializer,
        stream: &mut Stream,
    ) -> Tensor {
        self.draw_in(self.kind, name, (shape, keras_axes), initializer, stream)
    }

    fn draw_in(
        &mut self,
        kind: Kind,
        name: &str,
        (shape, keras_axes): (&[usize], &[usize]),
        initializer: Initializer,
        stream: &mut Stream,
    ) -> Tensor {
        let in_keras = in_keras(shape, keras_axes);
        let shape: Vec<i64> = shape.iter().map(|&side| to_i64(side)).collect();
        // libtorch takes the memory: where there is too little, it says so instead of aborting.
        let mut tensor = Tensor::zeros(shape, (kind, Device::Cpu));
        if kind == Kind::BFloat16 && self.device != Device::Cpu {
            // As Tensor Cores want them: cuDNN would turn them around for each batch.
            tensor = in_channels_last(&tensor);
        }
        if self.drawn {
            let axes: Vec<i64> = keras_axes.iter().map(|&axis| to_i64(axis)).collect();
            match initializer.matrix(&in_keras, stream) {
                Some(values) => tensor.copy_(&values.permute(axes)),
                None => fill(&tensor, initializer, Fans::of(&in_keras), stream),
            }
        }
        self.add(name, &tensor, true)
    }

    /// A normalisation's learned vector, drawn from `stream`.
    pub(super) fn draw_norm(
        &mut self,
        name: &str,
        length: usize,
        initializer: Initializer,
        stream: &mut Stream,
    ) -> Tensor {
        self.draw_in(self.kind_of_norms, name, (&[length], VECTOR), initializer, stream)
    }

    /// A learned vector, drawn from `stream`.
    pub(super) fn draw_vector(
        &mut self,
        name: &str,
        length: usize,
        initializer: Initializer,
        stream: &mut Stream,
    ) -> Tensor {
        self.draw(name, &[length], VECTOR, initializer, stream)
    }

    /// A vector of moving statistics.
    pub(super) fn moving(&mut self, name: &str, length: usize, value: f64) -> Tensor {
        let values = Tensor::full([to_i64(length)], value, (Kind::Double, Device::Cpu));
        self.add(name, &values.to_kind(self.kind_of_norms), false)
    }

    fn add(&mut self, name: &str, values: &Tensor, trainable: bool) -> Tensor {
        let tensor = values.to_device(self.device);
        let tensor = tensor.set_requires_grad(trainable);
        let shared = tensor.shallow_clone();
        self.entries.push(Parameter { name: format!("{}.{name}", self.prefix), tensor, trainable });
        shared
    }

    /// Every weight, in the order of the layers.
    pub fn iter(&self) -> impl Iterator<Item = &Parameter> {
        self.entries.iter()
    }

    /// The learned tensors, in the order of the layers.
    #[must_use]
    pub fn trainable(&self) -> Vec<Tensor> {
        let trainable = self.entries.iter().filter(|entry| entry.trainable);
        trainable.map(|entry| entry.tensor.shallow_clone()).collect()
    }

    /// The moving statistics, in the order of the layers.
    #[must_use]
    pub fn moving_statistics(&self) -> Vec<Tensor> {
        let moving = self.entries.iter().filter(|entry| !entry.trainable);
        moving.map(|entry| entry.tensor.shallow_clone()).collect()
    }

    /// A copy of all values, moving statistics too, in the order of the layers: `(P + moving,)`.
    pub fn values(&self) -> Tensor {
        let row = |entry: &Parameter| entry.tensor.detach().flatten(0, -1);
        no_grad(|| Tensor::cat(&self.entries.iter().map(row).collect::<Vec<_>>(), 0))
    }

    /// Takes such values in place of its own.
    ///
    /// # Panics
    /// When there are more or fewer of them.
    pub fn set_values(&self, values: &Tensor) {
        let lengths: Vec<i64> =
            self.entries.iter().map(|entry| to_i64(entry.tensor.numel())).collect();
        let parts = values.split_with_sizes(lengths.as_slice(), 0);
        for (entry, part) in self.entries.iter().zip(parts) {
            no_grad(|| entry.tensor.shallow_clone().copy_(&part.view_as(&entry.tensor)));
        }
    }

    /// Moves the learned tensors into one flat buffer, of which each becomes a view, so that an
    /// optimizer updates all of them at once. Returns the buffer, `(P,)`.
    pub fn flatten(&self) -> Tensor {
        let trainable = self.trainable();
        if trainable.is_empty() {
            return Tensor::zeros([0], (self.kind, self.device));
        }
        no_grad(|| {
            let rows: Vec<Tensor> =
                trainable.iter().map(|tensor| tensor.detach().flatten(0, -1)).collect();
            let flat = Tensor::cat(&rows, 0);
            let mut start = 0;
            for mut tensor in trainable {
                let length = tensor.numel();
                tensor.set_data(&flat.narrow(0, start, to_i64(length)).view_as(&tensor));
                start += to_i64(length);
            }
            flat
        })
    }
}

/// With values that each stand for themselves, drawn in PyTorch's order.
fn fill(tensor: &Tensor, initializer: Initializer, fans: Fans, stream: &mut Stream) {
    let (flat, count) = (tensor.view(-1), tensor.numel());
    for start in (0..count).step_by(DRAWN_AT_ONCE) {
        let values = initializer.draw(DRAWN_AT_ONCE.min(count - start), fans, stream);
        let mut part = flat.narrow(0, to_i64(start), to_i64(values.len()));
        part.copy_(&Tensor::from_slice(&values));
    }
}
