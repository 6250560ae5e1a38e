//! Batches in a seeded order, corrupted on the way: what the trainer and the evaluator consume.

use rand::seq::SliceRandom;

use super::error::DataError;
use super::images::{Draw, Images};
use super::method::{Sample, Supervision};
use super::prefetch::{Prefetch, prefetch};
use crate::config::method::Method;
use crate::config::sections::Corruption;
use crate::data::corruption::Split;
use crate::system::random::{Purpose, stream};
use crate::system::ranks::Share;

/// Some images, channels last, one after the other.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// Number of images.
    pub len: usize,
    /// What the model sees: `len * height * width * channels` values.
    pub input: Vec<f32>,
    /// What it should give, in the output's shape; `None` where that is the input itself.
    pub clean: Option<Vec<f32>>,
    /// Which of its values the loss looks at.
    pub supervision: Supervision,
    /// Where it is a process's share of a batch: of which.
    pub part: Option<BatchPart>,
    /// Which images they are, where an engine keeps them: it then needs no targets, nor any input if it keeps that too.
    pub kept: Option<KeptImages>,
}

/// Images of a set that an engine keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptImages {
    /// Which of the two sets.
    pub split: Split,
    /// In that set.
    pub indices: Vec<i64>,
}

/// What an engine keeps of a set of images, so that batches need not bring it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Kept {
    /// Batches are whole.
    #[default]
    Nothing,
    /// What the model should give.
    Targets,
    /// What the model sees as well.
    All,
}

/// Where images stand in the batch that several processes share.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BatchPart {
    /// The number of the first one.
    pub first: usize,
    /// Images of the whole batch.
    pub whole: usize,
}

impl Batch {
    /// What the model should give.
    ///
    /// # Panics
    /// When an engine keeps it.
    #[must_use]
    pub fn target(&self) -> &[f32] {
        assert!(self.kept.is_none(), "the targets are where they are kept");
        self.clean.as_ref().unwrap_or(&self.input)
    }

    /// Where its images stand in the whole batch, which it may be itself.
    #[must_use]
    pub fn part(&self) -> BatchPart {
        self.part.unwrap_or(BatchPart { first: 0, whole: self.len })
    }
}

/// A set of images together with what is done to them.
#[derive(Debug, Clone, Copy)]
pub struct DataLoader<'a> {
    /// Clean, or pairs of which one is.
    pub images: &'a Images,
    /// Applied to each image of a batch.
    pub corruption: &'a Corruption,
    /// Makes samples of the images after that.
    pub method: &'a Method,
    /// Which of the two sets the images are, for their noise.
    pub split: Split,
    /// The run's; order and noise follow from it.
    pub seed: u64,
    /// Images of a batch, at least 1.
    pub batch_size: usize,
    /// What this process makes of each batch.
    pub share: Share,
    /// What batches leave out.
    pub kept: Kept,
}

impl<'a> DataLoader<'a> {
    /// Number of batches in an epoch; the last one may be smaller.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.images.len().div_ceil(self.batch_size)
    }

    /// Whether what the model sees differs from what it should give.
    #[must_use]
    pub fn changes_images(&self) -> bool {
        !matches!(self.method, Method::Supervised(_))
            || self.images.are_paired()
            || !self.images.target().is_input()
            || self.corruption.changes_images()
    }

    /// What is the same in each epoch, and could be kept: of images that lie in memory.
    #[must_use]
    pub fn keepable(&self) -> Kept {
        if !self.images.are_stored() || !matches!(self.method, Method::Supervised(_)) {
            return Kept::Nothing;
        }
        let is_drawn_anew = self.split == Split::Train && self.corruption.changes_in(2);
        if is_drawn_anew { Kept::Targets } else { Kept::All }
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

    /// What this process makes of the batch at `indices`.
    fn own(&self, epoch: u64, indices: &[usize]) -> Result<Batch, DataError> {
        if self.share == Share::ALL {
            return self.batch(epoch, indices);
        }
        let own = self.share.range(indices.len());
        let part = Some(BatchPart { first: own.start, whole: indices.len() });
        Ok(Batch { part, ..self.batch(epoch, &indices[own])? })
    }

    /// The batches of an order, made when they are asked for.
    pub fn batches(
        &self,
        epoch: u64,
        order: &'a [usize],
    ) -> impl Iterator<Item = Result<Batch, DataError>> {
        let loader = *self;
        order.chunks(self.batch_size).map(move |indices| loader.own(epoch, indices))
    }

    /// The same for `use_them`, made on threads of their own, a few ahead of what was taken.
    ///
    /// # Panics
    /// With `not enough memory` where no thread can be started.
    pub fn prefetch<R>(
        &self,
        epoch: u64,
        order: &[usize],
        use_them: impl FnOnce(&mut Prefetch) -> R,
    ) -> R {
        let chunks: Vec<&[usize]> = order.chunks(self.batch_size).collect();
        let make = |step: usize| self.own(epoch, chunks[step]);
        prefetch(self.images.makers(), chunks.len(), make, use_them)
    }

    /// The images at `indices`.
    ///
    /// # Errors
    /// When a file cannot be read any more.
    pub fn batch(&self, epoch: u64, indices: &[usize]) -> Result<Batch, DataError> {
        let kept = (self.kept != Kept::Nothing).then(|| KeptImages {
            split: self.split,
            indices: indices.iter().map(|&index| index as i64).collect(),
        });
        if self.kept == Kept::All {
            return Ok(Batch { len: indices.len(), kept, ..Batch::default() });
        }
        let draw = Draw { seed: self.seed, split: self.split, epoch };
        let target = self.images.target();
        let room = |shape: [usize; 3]| indices.len() * shape.iter().product::<usize>();
        let mut input = Vec::with_capacity(room(target.input));
        let wants_targets = self.changes_images() && kept.is_none();
        let mut output = wants_targets.then(|| Vec::with_capacity(room(target.output)));
        let mut supervision = Supervision::Full;
        let (mut image, mut partner) = (Vec::new(), Vec::new());
        for &index in indices {
            image.clear();
            partner.clear();
            self.images.push(draw, index, &mut image, &mut partner)?;
            if let (Method::Supervised(_), Some(output)) = (self.method, &mut output) {
                let clean = if partner.is_empty() { &image } else { &partner };
                let start = output.len();
                target.push_output(clean, output);
                self.images.scale(index, &mut output[start..]);
            }
            let (shape, number) = (target.drawn, self.images.number(index) as u64);
            self.corruption.apply(&mut image, shape, self.seed, self.split, epoch, number);
            self.images.scale(index, &mut image);
            match self.method.sample(&image, target.input, (draw, number), &mut supervision) {
                None => input.extend_from_slice(&image),
                Some(Sample { input: seen, target: wanted }) => {
                    input.extend(seen);
                    output.get_or_insert_default().extend(wanted);
                }
            }
        }
        Ok(Batch { len: indices.len(), input, clean: output, supervision, part: None, kept })
    }
}
