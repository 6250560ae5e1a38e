//! Sets of images that lie on a GPU, so that a step fetches nothing but the numbers of its images.

use tch::{Cuda, Device, Kind, TchError, Tensor};

use super::recorder::Fields;
use crate::data::corruption::Split;
use crate::data::{Batch, DataLoader, Kept, KeptImages};
use crate::nn::{channels_first, channels_last};
use crate::system::cuda::{free_memory, upload};
use crate::system::ranks::{Share, neighbours};

/// Values that are brought there at once, and images.
const AT_ONCE: [usize; 2] = [1 << 20, 1024];
/// The part of a GPU's free memory that a set may take: the other parts are for the model and its steps.
const SHARE: u64 = 4;

/// What is kept of the two sets, by their [`Split`].
#[derive(Debug, Default)]
pub(super) struct KeptSets([Option<Set>; 2]);

/// All images of a set, channels last.
#[derive(Debug)]
struct Set {
    /// What the model sees, where that is kept.
    input: Option<Tensor>,
    /// What it should give, where that is not the input.
    target: Option<Tensor>,
}

/// Bytes that a set may take on a device, which other processes of this machine may share.
pub(super) fn room(device: Device) -> u64 {
    match device {
        Device::Cuda(number) => {
            let gpus = usize::try_from(Cuda::device_count()).unwrap_or(1).max(1);
            free_memory(number).unwrap_or(0) / SHARE / neighbours().div_ceil(gpus) as u64
        }
        _ => 0,
    }
}

/// Images of a set as they come to its place.
#[derive(Debug, Default)]
struct Rows {
    all: Option<Tensor>,
    count: i64,
}

impl Rows {
    /// Adds some of a set of so many, channels first.
    fn push(&mut self, rows: &Tensor, of: i64) -> Result<(), TchError> {
        let rows = channels_last(rows);
        let mut sizes = rows.size();
        let count = std::mem::replace(&mut sizes[0], of);
        if self.all.is_none() {
            self.all = Some(Tensor::f_empty(sizes, (rows.kind(), rows.device()))?);
        }
        if let Some(all) = &self.all {
            all.f_narrow(0, self.count, count)?.f_copy_(&rows)?;
        }
        self.count += count;
        Ok(())
    }
}

impl KeptSets {
    /// Keeps of a set what `images` says, of which a step reads such fields. Whether it did: an image may not be there any
    /// more, nor the memory.
    pub fn keep(
        &mut self,
        images: &DataLoader<'_>,
        what: Kept,
        fields: impl Fn(&Batch) -> Fields,
    ) -> bool {
        let count = images.images.len() as i64;
        let values = images.images.shape().iter().product::<usize>().max(1);
        let batch_size = (AT_ONCE[0] / values).clamp(1, AT_ONCE[1]);
        let whole = DataLoader { batch_size, share: Share::ALL, kept: Kept::Nothing, ..*images };
        let order = whole.order(1, false);
        let (mut inputs, mut targets) = (Rows::default(), Rows::default());
        let is_kept = whole.prefetch(1, &order, |batches| {
            batches.all(|batch| {
                let Ok(batch) = batch else { return false };
                let Fields { input, target, .. } = fields(&batch);
                let input = (what == Kept::All).then_some(&input);
                let pushed = input.map_or(Ok(()), |input| inputs.push(input, count));
                let target = target.as_ref();
                pushed
                    .and_then(|()| target.map_or(Ok(()), |target| targets.push(target, count)))
                    .is_ok()
            })
        });
        let set = Set { input: inputs.all, target: targets.all };
        self.0[images.split as usize] = is_kept.then_some(set);
        is_kept
    }

    /// What a set takes.
    #[cfg(test)]
    pub fn bytes(&self, split: Split) -> u64 {
        let set = self.0[split as usize].as_ref().expect("it is kept");
        let tensors = set.input.iter().chain(&set.target);
        tensors.map(|all| (all.numel() * all.kind().elt_size_in_bytes()) as u64).sum()
    }

    /// Keeps nothing of a set.
    pub fn drop(&mut self, split: Split) {
        self.0[split as usize] = None;
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
        let set = self.0[images.split as usize].as_ref().expect("batches leave out what is kept");
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
}
