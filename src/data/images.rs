//! Images of one shape, wherever they are: in memory as a file of arrays held them, or in image
//! files. Batches and commands see only this.

use std::path::Path;

use super::error::{DataError, Supply};
use super::files::Files;
use super::idx;
use super::scale::{Affine, Beyond, Scaling};
use super::stored::Stored;
use super::target::Target;
use crate::data::corruption::{Split, shrink};
use crate::formats::image_file::ImagePlace;
use crate::system::ranks::cores;

/// What samples that are drawn anew depend on, beside their index.
#[derive(Debug, Clone, Copy)]
pub struct Draw {
    /// The run's.
    pub seed: u64,
    /// Which of the two sets it is; the test set is the same in every epoch.
    pub split: Split,
    /// Counts from 1.
    pub epoch: u64,
}

/// Images of one shape, by index.
#[derive(Debug)]
pub struct Images {
    source: Source,
    target: Target,
    scaling: Scaling,
    beyond: Beyond,
}

#[derive(Debug)]
enum Source {
    /// What the model sees, and the same images in other channels where it should give those; with the scale of
    /// each, where each has its own.
    Stored(Stored, Option<Stored>, Vec<Affine>),
    Files(Files),
}

impl From<Files> for Images {
    fn from(files: Files) -> Self {
        let (target, scaling, beyond) = (*files.target(), files.scaling(), files.beyond());
        Self { source: Source::Files(files), target, scaling, beyond }
    }
}

impl Images {
    /// Reads a raw or gzipped IDX file, or its first `samples` images.
    ///
    /// # Errors
    /// When the file cannot be read, or is not what its header says.
    pub fn open(path: &Path, samples: Option<usize>) -> Result<Self, DataError> {
        let stored = idx::open(path, samples, Supply::Mnist)?;
        let target = Target::from(stored.shape);
        Self::of_stored(stored, target, Scaling::Unset)
    }

    /// Images that have the size and the channels that the target asks for, or grey or RGB ones. A scale that is
    /// to be measured is measured on them.
    pub(super) fn of_stored(
        stored: Stored,
        target: Target,
        scaling: Scaling,
    ) -> Result<Self, DataError> {
        let [input, clean] = [target.drawn[2], target.clean[2]];
        let partner = (input != clean).then(|| stored.clone().with_channels(clean));
        let stored = stored.with_channels(input);
        let (scaling, each) = stored.measured(scaling)?;
        let given = partner.as_ref().unwrap_or(&stored);
        let of = |images: &dyn Fn(&Stored) -> [f32; 2], affine| {
            Beyond::of([images(&stored), images(given)], affine)
        };
        let beyond = match scaling {
            Scaling::EachImage(_) => Beyond::of_all(
                (each.iter().enumerate())
                    .map(|(index, &affine)| of(&|images| images.range(index), affine)),
            ),
            known => of(&|images| images.pixels.range(), known.of_set()),
        };
        Ok(Self { source: Source::Stored(stored, partner, each), target, scaling, beyond })
    }

    /// Parts of one set, which are all shown in one unit: if one goes beyond 0..1, they all do.
    pub(super) fn judged_alike(mut parts: Vec<Self>) -> Vec<Self> {
        let beyond = Beyond::of_all(parts.iter().map(|part| part.beyond));
        for part in &mut parts {
            part.beyond = beyond;
        }
        parts
    }

    /// How values become the model's, measured where it had to be.
    #[must_use]
    pub fn scaling(&self) -> Scaling {
        self.scaling
    }

    /// Whether what the corruption sees has values beyond 0..1.
    #[must_use]
    pub fn go_beyond(&self) -> bool {
        self.beyond.seen
    }

    /// Whether what the model should give has values beyond 0..1 once they are scaled, as the loss sees them.
    #[must_use]
    pub fn targets_go_beyond(&self) -> bool {
        self.beyond.targets
    }

    /// From an image's values to the model's.
    fn affine(&self, index: usize) -> Affine {
        match (&self.source, self.scaling) {
            (Source::Files(files), _) => files.affine(index),
            (Source::Stored(.., each), Scaling::EachImage(_)) => each[index],
            (_, known) => known.of_set(),
        }
    }

    /// Makes values of an image the model's.
    pub fn scale(&self, index: usize, values: &mut [f32]) {
        self.affine(index).apply(values);
    }

    /// The model's values of some images, one after the other, as metrics and people see them: in units of white, and
    /// where images go beyond 0..1, with what the scale brings to 0..1 there.
    #[must_use]
    pub fn shown(&self, indices: &[usize], values: &[f32]) -> Vec<f32> {
        let mut shown = values.to_vec();
        let each = (values.len() / indices.len().max(1)).max(1);
        for (&index, values) in indices.iter().zip(shown.chunks_exact_mut(each)) {
            let affine = self.affine(index);
            affine.undo(values);
            if self.beyond.given {
                self.scaling.measure().shown(affine).apply(values);
            }
        }
        shown
    }

    /// Height, width and channels of what a model sees.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        self.target.input
    }

    /// What a model should give for an image.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Number of images; of patches, where images are cut into them.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.source {
            Source::Stored(stored, ..) => stored.len(),
            Source::Files(files) => files.len(),
        }
    }

    /// Only where none was asked for: data without images are refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The file that an image comes from, below its folder, where there is one; a patch of several
    /// has its number behind a `#`.
    #[must_use]
    pub fn name(&self, index: usize) -> Option<String> {
        match &self.source {
            Source::Stored(..) => None,
            Source::Files(files) => Some(files.name(index)),
        }
    }

    /// The file, or its page, that [`clean`](Self::clean) takes an image's values from, where there is one
    /// that no other set has parts of.
    #[must_use]
    pub fn place(&self, index: usize) -> Option<&ImagePlace> {
        match &self.source {
            Source::Stored(..) => None,
            Source::Files(files) => files.place(index),
        }
    }

    /// Place of an image in the set that decides on its noise: its index, but in a part of a larger set.
    #[must_use]
    pub fn number(&self, index: usize) -> usize {
        match &self.source {
            Source::Stored(..) => index,
            Source::Files(files) => files.number(index),
        }
    }

    /// Whether what the model sees is another image than what it should give, before corruption.
    #[must_use]
    pub fn are_paired(&self) -> bool {
        match &self.source {
            Source::Stored(..) => false,
            Source::Files(files) => files.is_paired(),
        }
    }

    /// Whether an index stands for another image in each epoch of training.
    #[must_use]
    pub fn are_drawn(&self) -> bool {
        match &self.source {
            Source::Stored(..) => false,
            Source::Files(files) => files.draws(),
        }
    }

    /// Files that were left out because they cannot be used.
    #[must_use]
    pub fn skipped(&self) -> usize {
        match &self.source {
            Source::Stored(..) => 0,
            Source::Files(files) => files.skipped(),
        }
    }

    /// Digests of what the images are made of: one for each file, or one for an array.
    pub fn digests(&self) -> Vec<u32> {
        match &self.source {
            Source::Stored(stored, ..) => vec![stored.digest()],
            Source::Files(files) => files.digests(),
        }
    }

    /// The file that digest `index` is of.
    pub(super) fn file(&self, index: usize) -> &Path {
        match &self.source {
            Source::Stored(stored, ..) => &stored.file,
            Source::Files(files) => files.file(index),
        }
    }

    /// Whether they lie in memory.
    pub(super) fn are_stored(&self) -> bool {
        matches!(self.source, Source::Stored(..))
    }

    /// Threads that are worth having for making batches; the batches do not depend on it.
    pub(super) fn makers(&self) -> usize {
        match &self.source {
            // One corrupts 130,000 digits a second, which is more than a few cores learn from; a GPU may want more.
            Source::Stored(..) => (cores() / 8).clamp(1, 4),
            Source::Files(files) => files.makers(),
        }
    }

    /// Appends an image's values in units of white, before any corruption and any scale, to `input`; the clean one's to `clean`, where
    /// that is another image.
    ///
    /// # Errors
    /// When its file cannot be read any more.
    ///
    /// # Panics
    /// When there is no such image.
    pub fn push(
        &self,
        draw: Draw,
        index: usize,
        input: &mut Vec<f32>,
        clean: &mut Vec<f32>,
    ) -> Result<(), DataError> {
        match &self.source {
            Source::Stored(stored, partner, _) => {
                stored.push(index, input);
                if let Some(partner) = partner {
                    partner.push(index, clean);
                }
                Ok(())
            }
            Source::Files(files) => files.push(draw, index, input, clean),
        }
    }

    /// An image's values in units of white as the test set has it: not mirrored, not turned, not corrupted but for
    /// being made smaller; of a pair the clean one, where a model could see it.
    ///
    /// # Errors
    /// When its file cannot be read any more.
    ///
    /// # Panics
    /// When there is no such image.
    pub fn clean(&self, index: usize) -> Result<Vec<f32>, DataError> {
        let draw = Draw { seed: 0, split: Split::Test, epoch: 0 };
        let (mut input, mut clean) = (Vec::new(), Vec::new());
        self.push(draw, index, &mut input, &mut clean)?;
        let Target { input: seen, drawn, clean: partner, .. } = self.target;
        Ok(match self.target.shrinking() {
            1 if clean.is_empty() || partner != seen => input,
            1 => clean,
            scale => shrink(&input, drawn, scale),
        })
    }
}
