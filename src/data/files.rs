//! A set of image files as samples of the model's shape: kept in memory, or decoded when asked for.

use std::borrow::Cow;
use std::path::Path;

use super::Draw;
use super::cut::Cut;
use super::error::DataError;
use super::fit::resized;
use super::listing::Entry;
use super::part::Part;
use super::scale::{Affine, Beyond, Constant, Measure, Scaling, Statistics, sampled_of_each};
use super::scan::{Budget, scan};
use super::target::Target;
use crate::config::data::ImageFiles;
use crate::formats::image_file::{ImageError, ImageFile, ImagePlace};
use crate::system::terminal::complain;

/// Images that were all decoded once, so that each can be used.
#[derive(Debug)]
pub(super) struct Files {
    target: Target,
    cut: Cut,
    part: Part,
    /// Measured, where it had to be.
    scaling: Scaling,
    max_pixels: u64,
    threads: usize,
    items: Vec<Item>,
    /// The first sample of each image, and the number of samples at the end.
    starts: Vec<usize>,
    /// Images that cannot be used.
    skipped: usize,
    /// Places of the samples in a larger set, where these are a part of one.
    numbers: Option<Vec<usize>>,
}

/// An image that can be used.
#[derive(Debug)]
pub(super) struct Item {
    pub entry: Entry,
    /// Among all images of the set, those that cannot be used too.
    pub place: usize,
    /// Height and width once decoded and resized.
    pub size: [usize; 2],
    /// Of its file.
    pub digest: u32,
    pub values: Values,
    /// Where memory has room for the whole set.
    pub kept: Option<Decoded>,
}

/// An image, or a pair, in the model's channels; resized where the config says so.
#[derive(Debug, Clone)]
pub(super) struct Decoded {
    pub input: ImageFile,
    /// The partner; or the same image in other channels, where the model should give those.
    pub clean: Option<ImageFile>,
    /// Whether its file has colours, of which a grey model sees the grey.
    pub lost_colour: bool,
    pub values: Values,
}

/// What is known of an image's values.
#[derive(Debug, Clone)]
pub(super) struct Values {
    /// To the model's, where each image has its own scale.
    affine: Affine,
    /// For a scale of all images, until that is measured.
    statistics: Option<Statistics>,
    /// The least and the greatest of what is seen, and of what the model should give.
    ranges: [[f32; 2]; 2],
}

impl Files {
    /// Decodes every image once, of which `part` is used; `set` names them in messages.
    pub(super) fn open(
        (entries, part): (Vec<Entry>, Part),
        set: &'static str,
        (target, scaling): (Target, Scaling),
        options: &ImageFiles,
        budget: &Budget,
    ) -> Result<Self, DataError> {
        let cut = match &options.patches {
            Some(patches) => Cut::Patches(patches.clone()),
            None => Cut::Whole(options.resize),
        };
        let (max_pixels, threads) = (options.max_pixels as u64, options.threads());
        let sampled = sampled_of_each(entries.len());
        let reader = Reader { target, cut: &cut, part, max_pixels, scaling, sampled };
        let (mut items, skipped) = scan(entries, set, reader, options, budget)?;
        let scaling = match scaling {
            Scaling::Unmeasured(measure) => Scaling::Set(measure, measured(&mut items, set)?),
            known => known,
        };
        let mut starts = vec![0];
        for item in &items {
            let last = starts[starts.len() - 1];
            starts.push(last + cut.count(item.size, [target.drawn[0], target.drawn[1]]));
        }
        hint_at_memory(&items, starts[items.len()], set, options.memory_mb);
        let numbers = None;
        Ok(Self {
            target,
            cut,
            part,
            scaling,
            max_pixels,
            threads,
            items,
            starts,
            skipped,
            numbers,
        })
    }

    /// As a part of a larger set, in which its images, one sample each, have these places.
    pub(super) fn numbered(self, numbers: &[usize]) -> Self {
        let numbers = self.items.iter().map(|item| numbers[item.place]).collect();
        Self { numbers: Some(numbers), ..self }
    }

    /// Place of a sample in the set that decides on its noise.
    pub(super) fn number(&self, sample: usize) -> usize {
        self.numbers.as_ref().map_or(sample, |numbers| numbers[sample])
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    pub(super) fn scaling(&self) -> Scaling {
        self.scaling
    }

    /// From a sample's values to the model's.
    pub(super) fn affine(&self, sample: usize) -> Affine {
        self.affine_of(&self.items[self.image_of(sample)])
    }

    fn affine_of(&self, item: &Item) -> Affine {
        match self.scaling {
            Scaling::EachImage(_) => item.values.affine,
            known => known.of_set(),
        }
    }

    /// Which values lie beyond 0..1.
    pub(super) fn beyond(&self) -> Beyond {
        let of = |item: &Item| Beyond::of(item.values.ranges, self.affine_of(item));
        Beyond::of_all(self.items.iter().map(of))
    }

    /// Number of samples.
    pub(super) fn len(&self) -> usize {
        self.starts[self.items.len()]
    }

    pub(super) fn skipped(&self) -> usize {
        self.skipped
    }

    /// Whether what the model sees is another file than what it should give.
    pub(super) fn is_paired(&self) -> bool {
        self.items.iter().any(|item| item.entry.clean.is_some())
    }

    pub(super) fn draws(&self) -> bool {
        self.cut.draws()
    }

    /// Threads that are worth having for making batches.
    pub(super) fn makers(&self) -> usize {
        self.threads
    }

    /// The image's path below its folder, with the patch's number where there are several.
    pub(super) fn name(&self, sample: usize) -> String {
        let image = self.image_of(sample);
        let name = self.items[image].entry.name();
        match self.starts[image + 1] - self.starts[image] {
            1 => name,
            _ => format!("{name}#{}", sample - self.starts[image]),
        }
    }

    /// The image that a sample is taken from; of a pair the clean one. `None` where the other set has
    /// samples of the same image.
    pub(super) fn place(&self, sample: usize) -> Option<&ImagePlace> {
        let entry = &self.items[self.image_of(sample)].entry;
        let place = entry.clean.as_ref().unwrap_or(&entry.input);
        (self.part == Part::Whole).then_some(place)
    }

    /// Of each image's file, in their order.
    pub(super) fn digests(&self) -> Vec<u32> {
        self.items.iter().map(|item| item.digest).collect()
    }

    /// The file of image `index`, which counts images and not samples.
    pub(super) fn file(&self, index: usize) -> &Path {
        &self.items[index].entry.input.path
    }

    /// Width and height of the part of the first image that is used.
    pub(super) fn extent(&self) -> String {
        let [height, width] = self.items[0].size;
        format!("{width}x{height}")
    }

    /// Appends a sample's values in units of white, and those of its clean partner where it has one.
    pub(super) fn push(
        &self,
        draw: Draw,
        sample: usize,
        input: &mut Vec<f32>,
        clean: &mut Vec<f32>,
    ) -> Result<(), DataError> {
        let image = self.image_of(sample);
        let item = &self.items[image];
        let picture = match &item.kept {
            Some(picture) => Cow::Borrowed(picture),
            None => Cow::Owned(self.reader().read(&item.entry).map_err(changed_since)?),
        };
        let size = picture.size();
        if size != item.size {
            return Err(DataError::Changed { path: item.entry.input.shown() });
        }
        let target = &self.target;
        let (place, patch) = ((sample, sample - self.starts[image]), target.drawn);
        let spot = self.cut.spot(draw, place, [size, [patch[0], patch[1]]], target.steps());
        spot.push(&picture.input.samples, size[1], patch, input);
        if let Some(partner) = &picture.clean {
            let shape = match self.cut {
                Cut::Whole(_) => partner.shape,
                Cut::Patches(_) => target.clean,
            };
            spot.on_clean(target).push(&partner.samples, partner.shape[1], shape, clean);
        }
        Ok(())
    }

    fn reader(&self) -> Reader<'_> {
        let &Self { target, ref cut, part, max_pixels, .. } = self;
        // What is measured was measured when they were opened.
        let scaling = match self.scaling {
            Scaling::Unset => Scaling::Unset,
            _ => Scaling::Set(Measure::Unit, Affine::UNIT),
        };
        Reader { target, cut, part, max_pixels, scaling, sampled: 0 }
    }

    fn image_of(&self, sample: usize) -> usize {
        self.starts.partition_point(|&start| start <= sample) - 1
    }
}

/// The scale of all images together.
fn measured(items: &mut [Item], set: &'static str) -> Result<Affine, DataError> {
    let mut found = items.iter_mut().filter_map(|item| item.values.statistics.take());
    let mut all = found.next().expect("a set has an image, and each is measured");
    found.for_each(|other| all.add(&other));
    all.affine().map_err(|Constant(value)| DataError::Constant { set, value })
}

/// An image that fitted once and does not any more was replaced while the model learned.
fn changed_since(error: DataError) -> DataError {
    use DataError::{Changed, PairSizes, Size, Small, Undivided};
    match error {
        Size { path, .. }
        | Small { path, .. }
        | Undivided { path, .. }
        | PairSizes { noisy: path, .. } => Changed { path },
        error => error,
    }
}

/// Cutting many patches out of images that are not kept decodes each of them as many times.
fn hint_at_memory(items: &[Item], samples: usize, set: &str, memory_mb: usize) {
    let kept = items.iter().all(|item| item.kept.is_some());
    if memory_mb > 0 && !kept && samples > items.len() {
        complain(format_args!(
            "the {set} take more than data.memory_mb = {memory_mb} when decoded, so each is decoded {:.0} \
             times in an epoch; raise it where the machine has the memory",
            samples as f64 / items.len() as f64
        ));
    }
}

impl Values {
    /// The same, without leaving the statistics behind in what is kept.
    pub(super) fn taken(&mut self) -> Self {
        Self { statistics: self.statistics.take(), ..*self }
    }
}

impl Decoded {
    /// Height and width.
    pub(super) fn size(&self) -> [usize; 2] {
        [self.input.shape[0], self.input.shape[1]]
    }

    /// What it takes in memory.
    pub(super) fn bytes(&self) -> usize {
        let images = [Some(&self.input), self.clean.as_ref()];
        let bytes = |image: &ImageFile| image.samples.len() * image.samples.value_bytes();
        images.into_iter().flatten().map(bytes).sum()
    }

    /// Whether an alpha channel was dropped from it.
    pub(super) fn alpha_dropped(&self) -> bool {
        self.input.alpha_dropped || self.clean.as_ref().is_some_and(|image| image.alpha_dropped)
    }
}

/// Makes images of files.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    pub target: Target,
    pub cut: &'a Cut,
    /// Of what patches are cut from.
    pub part: Part,
    pub max_pixels: u64,
    pub scaling: Scaling,
    /// Values that are kept for percentiles.
    pub sampled: usize,
}

impl Reader<'_> {
    /// Decodes an image, or a pair, and sees whether it can be used.
    pub(super) fn read(self, entry: &Entry) -> Result<Decoded, DataError> {
        let Target { drawn: [.., channels], clean: [.., others], .. } = self.target;
        let image = self.decode(&entry.input)?;
        if let Some(place) = &entry.clean {
            let partner = self.decode(place)?;
            let lost_colour =
                (channels == 1 && image.is_coloured()) || (others == 1 && partner.is_coloured());
            let (image, partner) = (image.with_channels(channels), partner.with_channels(others));
            self.check_pair(entry, &image, &partner, place)?;
            return self.fitting(&entry.input, image, Some(partner), lost_colour);
        }
        let lost_colour = channels == 1 && others == 1 && image.is_coloured();
        let partner = (others != channels).then(|| image.clone().with_channels(others));
        self.fitting(&entry.input, image.with_channels(channels), partner, lost_colour)
    }

    fn decode(self, place: &ImagePlace) -> Result<ImageFile, DataError> {
        let image = place.decode(self.max_pixels).map_err(DataError::Image)?.bare();
        if self.scaling == Scaling::Unset {
            let refused = |problem| DataError::Image(ImageError { path: place.shown(), problem });
            image.samples.check_unit().map_err(refused)?;
        }
        Ok(image)
    }

    /// What there is to know of the values of a whole image, before it is resized or cut.
    fn look(
        self,
        place: &ImagePlace,
        image: &ImageFile,
        clean: Option<&ImageFile>,
    ) -> Result<Values, DataError> {
        let refused = |problem| DataError::Image(ImageError { path: place.shown(), problem });
        let affine = self.scaling.of_image(&image.samples).map_err(refused)?;
        let statistics = match self.scaling {
            Scaling::Unmeasured(measure) => {
                Some(Statistics::of(measure, &image.samples, self.sampled))
            }
            _ => None,
        };
        let seen = image.samples.range();
        let given = clean.map_or(seen, |clean| clean.samples.range());
        Ok(Values { affine, statistics, ranges: [seen, given] })
    }

    /// The sizes of a pair are to each other as those of the model's input and output. Once they are resized
    /// they differ no more, and yet may show different parts.
    fn check_pair(
        self,
        entry: &Entry,
        noisy: &ImageFile,
        clean: &ImageFile,
        place: &ImagePlace,
    ) -> Result<(), DataError> {
        let Target { drawn, clean: wanted, output, .. } = self.target;
        let sizes = [noisy, clean].map(|image| [image.shape[0], image.shape[1]]);
        let fits = |axis: usize| sizes[0][axis] * wanted[axis] == sizes[1][axis] * drawn[axis];
        // A model that gives less than it sees may have partners that are the middle already.
        let is_output = matches!(self.cut, Cut::Whole(None)) && sizes[1] == output[..2];
        if (fits(0) && fits(1)) || is_output {
            return Ok(());
        }
        let ratio = |axis: usize| [wanted[axis], drawn[axis]];
        let (noisy, clean) = (entry.input.shown(), place.shown());
        Err(DataError::PairSizes { noisy, clean, sizes, ratios: [ratio(0), ratio(1)] })
    }

    /// The images resized where the config says so; otherwise they have to be of a size that fits.
    fn fitting(
        self,
        place: &ImagePlace,
        image: ImageFile,
        clean: Option<ImageFile>,
        lost_colour: bool,
    ) -> Result<Decoded, DataError> {
        let size = |shape: [usize; 3]| [shape[0], shape[1]];
        let (found, expected) = (size(image.shape), size(self.target.drawn));
        let path = || place.shown();
        let values = self.look(place, &image, clean.as_ref())?;
        let (input, clean) = match self.cut {
            Cut::Whole(Some(how)) => {
                let clean = clean.map(|clean| resized(clean, size(self.target.clean), *how));
                (resized(image, expected, *how), clean)
            }
            Cut::Whole(None) if found != expected => {
                return Err(DataError::Size { path: path(), found, expected });
            }
            Cut::Whole(None) => (image, clean),
            Cut::Patches(_) if self.cut.count(found, expected) == 0 => {
                return Err(DataError::Small { path: path(), found, expected });
            }
            Cut::Patches(_) => (self.part.of(image, clean, &self.target))
                .ok_or_else(|| DataError::Undivided { path: path(), found, expected })?,
        };
        Ok(Decoded { input, clean, lost_colour, values })
    }
}
