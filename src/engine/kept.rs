//! Sets of images that lie on a GPU, so that a step fetches nothing but the numbers of its images.

use tch::{Device, Kind, Tensor};

use super::recorder::Fields;
use crate::data::corruption::Split;
use crate::data::{Batch, DataError, DataLoader, Kept, KeptImages};
use crate::nn::{channels_first, channels_last};
use crate::system::cuda::{free_memory, upload};
use crate::system::ranks::Share;

/// Images that are brought there at once.
const AT_ONCE: usize = 1024;
/// The part of a GPU's free memory that sets may take: the other parts are for the model and its steps.
const SHARE: u64 = 4;

/// What is kept of the two sets.
#[derive(Debug, Default)]
pub(super) struct KeptSets {
    train: Option<Set>,
    test: Option<Set>,
}

/// All images of a set, channels last.
#[derive(Debug)]
struct Set {
    /// What the model sees, where that is kept.
    input: Option<Tensor>,
    /// What it should give, where that is not the input.
    target: Option<Tensor>,
}

/// Bytes that sets may take on a device.
pub(super) fn room(device: Device) -> u64 {
    match device {
        Device::Cuda(number) => free_memory(number).unwrap_or(0) / SHARE,
        _ => 0,
    }
}

impl KeptSets {
    /// Keeps of a set what `images` says, of which a step reads such fields.
    ///
    /// # Errors
    /// When an image cannot be read.
    pub fn keep(
        &mut self,
        images: &DataLoader<'_>,
        what: Kept,
        fields: impl Fn(&Batch) -> Fields,
    ) -> Result<(), DataError> {
        let set = self.set(images.split);
        // Its memory first: the new one may need it.
        *set = None;
        let whole =
            DataLoader { batch_size: AT_ONCE, share: Share::ALL, kept: Kept::Nothing, ..*images };
        let order = whole.order(1, false);
        let (mut inputs, mut targets) = (Vec::new(), Vec::new());
        whole.prefetch(1, &order, |batches| {
            for batch in batches {
                let Fields { input, target, .. } = fields(&batch?);
                inputs.extend((what == Kept::All).then(|| channels_last(&input)));
                targets.extend(target.as_ref().map(channels_last));
            }
            Ok::<(), DataError>(())
        })?;
        let joined = |parts: Vec<Tensor>| (!parts.is_empty()).then(|| Tensor::cat(&parts, 0));
        *set = Some(Set { input: joined(inputs), target: joined(targets) });
        Ok(())
    }

    /// Keeps nothing of a set.
    pub fn drop(&mut self, split: Split) {
        *self.set(split) = None;
    }

    /// What a step on a batch reads, of which `input` gives the part that the batch brings.
    ///
    /// # Panics
    /// When the set is not kept.
    pub fn fields(
        &self,
        images: &KeptImages,
        device: Device,
        input: impl FnOnce() -> Tensor,
    ) -> Fields {
        let set = match images.split {
            Split::Train => &self.train,
            Split::Test => &self.test,
        };
        let set = set.as_ref().expect("batches leave out what is kept");
        let indices = Tensor::from_slice(&images.indices);
        let indices = upload(indices, Tensor::shallow_clone, device, Kind::Int64);
        // They lie as those that a batch brings do, from which follows in which order libtorch adds up.
        let rows = |all: &Tensor| channels_first(&all.index_select(0, &indices));
        Fields {
            input: set.input.as_ref().map_or_else(input, rows),
            target: set.target.as_ref().map(rows),
            places: None,
        }
    }

    fn set(&mut self, split: Split) -> &mut Option<Set> {
        match split {
            Split::Train => &mut self.train,
            Split::Test => &mut self.test,
        }
    }
}
