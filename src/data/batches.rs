//! Batches in a seeded order, corrupted on the way: what the trainer and the evaluator eat.

use std::sync::mpsc;
use std::thread;

use rand::seq::SliceRandom;

use super::Images;
use crate::config::sections::Corruption;
use crate::corruption::Split;
use crate::random::{Purpose, stream};

/// Some pictures, channels last, one after the other.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// Number of pictures.
    pub len: usize,
    /// What the model sees: `len * height * width * channels` values.
    pub input: Vec<f32>,
    /// What it should give; `None` where that is the input itself.
    pub clean: Option<Vec<f32>>,
}

impl Batch {
    /// What the model should give.
    #[must_use]
    pub fn target(&self) -> &[f32] {
        self.clean.as_ref().unwrap_or(&self.input)
    }
}

/// Batches that wait at most.
const AHEAD: usize = 2;

/// A set of pictures together with what is done to them.
#[derive(Debug, Clone, Copy)]
pub struct Feed<'a> {
    /// Clean.
    pub images: &'a Images,
    /// Applied to each picture of a batch.
    pub corruption: &'a Corruption,
    /// Which of the two sets the images are, for their noise.
    pub split: Split,
    /// The run's; order and noise follow from it.
    pub seed: u64,
    /// Pictures of a batch, at least 1.
    pub batch_size: usize,
}

impl<'a> Feed<'a> {
    /// Number of batches in an epoch; the last one may be smaller.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.images.len().div_ceil(self.batch_size)
    }

    /// The order of an epoch, which counts from 1: drawn if `shuffle`, else as stored.
    #[must_use]
    pub fn order(&self, epoch: u64, shuffle: bool) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.images.len()).collect();
        if shuffle {
            order.shuffle(&mut stream(self.seed, Purpose::Order, epoch, 0));
        }
        order
    }

    /// The batches of an order.
    pub fn batches(&self, epoch: u64, order: &'a [usize]) -> impl Iterator<Item = Batch> {
        let feed = *self;
        order.chunks(self.batch_size).map(move |indices| feed.batch(epoch, indices))
    }

    /// The same for `use_them`, made on a thread of their own, a few ahead of what was taken.
    ///
    /// # Panics
    /// With `not enough memory` where no thread can be started.
    pub fn ahead<R>(
        &self,
        epoch: u64,
        order: &[usize],
        use_them: impl FnOnce(mpsc::IntoIter<Batch>) -> R,
    ) -> R {
        thread::scope(|scope| {
            let (sender, batches) = mpsc::sync_channel(AHEAD);
            let make = move || {
                // It stops when nobody wants more.
                let _ = self.batches(epoch, order).try_for_each(|batch| sender.send(batch));
            };
            let maker = thread::Builder::new().name("batches".to_owned());
            maker.spawn_scoped(scope, make).expect("not enough memory for a thread");
            use_them(batches.into_iter())
        })
    }

    /// The pictures at `indices`.
    #[must_use]
    pub fn batch(&self, epoch: u64, indices: &[usize]) -> Batch {
        let values = self.images.values();
        let mut input = Vec::with_capacity(indices.len() * values);
        for &index in indices {
            self.images.push_scaled(index, &mut input);
        }
        let clean = self.corruption.changes_pictures().then(|| input.clone());
        for (picture, &index) in input.chunks_exact_mut(values).zip(indices) {
            let (shape, index) = (self.images.shape(), index as u64);
            self.corruption.apply(picture, shape, self.seed, self.split, epoch, index);
        }
        Batch { len: indices.len(), input, clean }
    }
}
