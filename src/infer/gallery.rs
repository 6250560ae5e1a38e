//! Images with names, read when they are needed: files of the user's, or one of a config's sets.
//! They are taken as they are; no corruption is applied, and of a pair the clean one is taken.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use crate::data::{Affine, Images, Scaling};
use crate::formats::codes::number;
use crate::formats::image_file::{FoundImage, ImageFile, ImagePlace, MOST_PIXELS, find_images};
use crate::system::exit::UsageError;

/// Images of one shape.
#[derive(Debug)]
pub struct Gallery {
    shape: [usize; 3],
    scaling: Scaling,
    source: Source,
    /// Images read so far whose alpha channel was left out.
    transparent: AtomicUsize,
    /// Images read so far of whose colours a grey model sees the grey.
    coloured: AtomicUsize,
}

#[derive(Debug)]
enum Source {
    Files(Vec<FoundImage>),
    /// The first so many of a set.
    Set(Box<Images>, usize),
}

impl Gallery {
    /// Image files, those in folders, and pages of TIFFs; each has to be of this shape. Their values become the
    /// model's as `scaling` says.
    #[must_use]
    pub fn of_files(files: Vec<FoundImage>, shape: [usize; 3], scaling: Scaling) -> Self {
        Self::new(shape, scaling, Source::Files(files))
    }

    /// The first `count` images of a set, or all.
    #[must_use]
    pub fn of_set(images: Images, count: Option<usize>) -> Self {
        let count = count.map_or(images.len(), |count| count.min(images.len()));
        Self::new(images.shape(), images.scaling(), Source::Set(Box::new(images), count))
    }

    fn new(shape: [usize; 3], scaling: Scaling, source: Source) -> Self {
        let [transparent, coloured] = [0, 0].map(AtomicUsize::new);
        Self { shape, scaling, source, transparent, coloured }
    }

    /// Number of images, readable or not.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.source {
            Source::Files(files) => files.len(),
            Source::Set(_, count) => *count,
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Height, width and channels.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// A file's path below the folder that was named, with its page's number where it has several; or a
    /// image's place in its set.
    #[must_use]
    pub fn name(&self, index: usize) -> String {
        match &self.source {
            Source::Files(files) => files[index].name(),
            Source::Set(images, _) => {
                images.name(index).unwrap_or_else(|| number(index, images.len()))
            }
        }
    }

    /// Where the system finds an image's file, links followed; arrays of images have none.
    #[must_use]
    pub fn place(&self, index: usize) -> Option<ImagePlace> {
        let place = match &self.source {
            Source::Files(files) => Some(&files[index].place),
            Source::Set(images, _) => images.place(index),
        };
        place?.canonicalize()
    }

    /// The model's values of some images, channels last; or why one has none, as a sentence with its path.
    #[must_use]
    pub fn read(&self, range: Range<usize>) -> Vec<Result<Vec<f32>, String>> {
        match &self.source {
            Source::Files(files) => {
                files[range].into_par_iter().map(|file| self.read_file(&file.place)).collect()
            }
            Source::Set(images, _) => range
                .into_par_iter()
                .map(|index| {
                    let mut values = images.clean(index).map_err(|error| error.to_string())?;
                    images.scale(index, &mut values);
                    Ok(values)
                })
                .collect(),
        }
    }

    /// An image as people see it.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn shown(&self, index: usize) -> Result<Vec<f32>, String> {
        match &self.source {
            Source::Files(files) => {
                let image = read(&files[index].place, self.shape)?.with_channels(self.shape[2]);
                let affine = self.scale_of(&files[index].place, &image)?;
                let mut values = image.scaled();
                if image.samples.check_unit().is_err() {
                    self.scaling.measure().shown(affine).apply(&mut values);
                }
                Ok(values)
            }
            Source::Set(images, _) => {
                let mut values = images.clean(index).map_err(|error| error.to_string())?;
                images.scale(index, &mut values);
                Ok(images.shown(&[index], &values))
            }
        }
    }

    fn scale_of(&self, place: &ImagePlace, image: &ImageFile) -> Result<Affine, String> {
        let refused = |problem| format!("{place}: {problem}");
        self.scaling.of_image(&image.samples).map_err(refused)
    }

    /// Files read so far that have transparency, which is dropped; a set has said so itself.
    #[must_use]
    pub fn transparent(&self) -> usize {
        self.transparent.load(Ordering::Relaxed)
    }

    /// Files read so far that are coloured, while the model is grey; a set has said so itself.
    #[must_use]
    pub fn coloured(&self) -> usize {
        self.coloured.load(Ordering::Relaxed)
    }

    fn read_file(&self, place: &ImagePlace) -> Result<Vec<f32>, String> {
        let image = read(place, self.shape)?;
        let channels = self.shape[2];
        let coloured = channels == 1 && image.is_coloured();
        self.transparent.fetch_add(usize::from(image.alpha_dropped), Ordering::Relaxed);
        self.coloured.fetch_add(usize::from(coloured), Ordering::Relaxed);
        let image = image.with_channels(channels);
        let mut values = image.scaled();
        self.scale_of(place, &image)?.apply(&mut values);
        Ok(values)
    }
}

/// An image of that height and width, in its own channels.
fn read(place: &ImagePlace, [height, width, _]: [usize; 3]) -> Result<ImageFile, String> {
    let refuse = |problem: &str| format!("{place}: {problem}");
    // The size is known from the first bytes, before memory is taken for the pixels.
    let (found_height, found_width) = place.dimensions().map_err(|error| error.to_string())?;
    if (found_height, found_width) != (height, width) {
        return Err(refuse(&format!(
            "it is {found_width}x{found_height} pixels, {width}x{height} are expected; resize it"
        )));
    }
    place.decode(MOST_PIXELS).map_err(|error| error.to_string())
}

/// The images that paths stand for, of which there is at least one.
///
/// # Errors
/// When a folder cannot be searched, or holds none.
pub fn found(paths: &[PathBuf]) -> anyhow::Result<Vec<FoundImage>> {
    let files = find_images(paths)?;
    if files.is_empty() {
        let shown: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        return Err(UsageError(format!(
            "no image is in {}; name a folder with PNG, JPEG, BMP, TIFF, WebP or PNM files",
            shown.join(", ")
        ))
        .into());
    }
    Ok(files)
}

/// Height and width of the first file that tells them.
#[must_use]
pub fn size_of(files: &[FoundImage]) -> Option<(usize, usize)> {
    files.iter().find_map(|file| file.place.dimensions().ok())
}
