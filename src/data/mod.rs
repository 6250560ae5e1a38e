//! The images: found, read from disk, checked, corrupted (`corruption`) and handed out in batches.

mod batches;
mod bursts;
pub mod corruption;
mod csv;
mod cut;
mod digest;
mod error;
mod files;
mod fit;
mod gzip;
mod idx;
mod images;
mod listing;
mod method;
mod npy;
mod npz;
mod part;
mod prefetch;
mod scale;
mod scan;
mod stored;
pub mod survey;
mod target;

use std::path::{Path, PathBuf};

pub use batches::{Batch, BatchPart, DataLoader, Kept, KeptImages};
pub use digest::Digests;
pub use error::{DataError, Supply};
pub use images::{Draw, Images};
pub use method::{Neighbors, Supervision};
pub use prefetch::Prefetch;
pub(crate) use prefetch::join;
pub use scale::{Affine, Constant, Measure, Scaling};

use crate::config::data::{IdxFiles, ImageFiles, Npz, SampleCounts};
use crate::config::sections::Data;
use crate::system::terminal::complain;
use files::Files;
use listing::{Entry, Listing, TEST_FRACTION};
use part::Part;
use scan::Budget;
pub(crate) use scan::SEES_GREY;
use stored::{Stored, split_at};
pub use target::Target;

/// Names of MNIST's files of images, and of those that take their place.
const TRAIN: &str = "train-images-idx3-ubyte";
const TEST: &str = "t10k-images-idx3-ubyte";

/// Training and test images of one shape.
#[derive(Debug)]
pub struct Dataset {
    /// To learn from, the first `data.train_samples` of them.
    pub train: Images,
    /// To judge by, the first `data.test_samples` of them.
    pub test: Images,
}

impl Dataset {
    /// Reads what the config names, as images for a model and what it should give; of one shape (height,
    /// width, channels), where input and output have the same.
    ///
    /// # Errors
    /// When a file is missing, damaged, or holds images of another shape.
    pub fn open(data: &Data, target: impl Into<Target>) -> Result<Self, DataError> {
        let (target, scaling) = (target.into(), Scaling::of(data));
        match data {
            Data::Images(images) => {
                of_files(listing::images(images)?, &images.files, (target, scaling))
            }
            Data::Pairs(pairs) => of_files(listing::pairs(pairs)?, &pairs.files, (target, scaling)),
            _ => {
                // The first file is held against the model before the second is read.
                let (train, rest) = stored_train(data, target)?;
                let test = rest.map_or_else(|| stored_test(data, target), Ok)?;
                let train = Images::of_stored(train, target, scaling)?;
                let test = Images::of_stored(test, target, train.scaling())?;
                Ok(Self { train, test })
            }
        }
    }

    /// What both sets are made of, to know them again.
    #[must_use]
    pub fn digests(&self) -> Digests {
        Digests { train: self.train.digests(), test: self.test.digests() }
    }

    /// The files that are not what they were when sets of as many images had these digests, each once.
    #[must_use]
    pub fn changed_since(&self, before: &Digests) -> Vec<&Path> {
        let now = self.digests();
        let mut changed: Vec<&Path> = Vec::new();
        for (images, before, now) in
            [(&self.train, &before.train, &now.train), (&self.test, &before.test, &now.test)]
        {
            let differ = |index: &usize| before.get(*index) != now.get(*index);
            changed.extend((0..now.len()).filter(differ).map(|index| images.file(index)));
        }
        changed.dedup(); // both sets may be of one file
        changed
    }

    /// The test images alone, of whatever sizes their files have: a set for each size, for which `target` says
    /// what is taken of an image of that height and width, or why nothing is. Each image is corrupted as it
    /// would be in a set of all of them.
    ///
    /// # Errors
    /// As [`Dataset::open`], and for the first image whose size is not taken.
    ///
    /// # Panics
    /// When the data are no image files.
    pub fn open_test_by_size(
        data: &Data,
        target: impl Fn([usize; 2]) -> Result<Target, String>,
    ) -> Result<Vec<Images>, DataError> {
        let scaling = Scaling::of_trained(data)?;
        let ((entries, part), options) = match data {
            Data::Images(images) => (listing::test_images(images)?, &images.files),
            Data::Pairs(pairs) => (listing::test_pairs(pairs)?, &pairs.files),
            _ => panic!("arrays have images of one size"),
        };
        let mut sizes: Vec<([usize; 2], Numbered)> = Vec::new();
        for (number, entry) in
            first((entries, part), options.test_samples).0.into_iter().enumerate()
        {
            let (height, width) = entry.input.dimensions().map_err(DataError::Image)?;
            let size = [height, width];
            match sizes.iter_mut().find(|(known, _)| *known == size) {
                Some((_, entries)) => entries.push((number, entry)),
                None => sizes.push((size, vec![(number, entry)])),
            }
        }
        let budget = Budget::new(options.memory());
        let set = |(size, entries): ([usize; 2], Numbered)| {
            let (numbers, entries): (Vec<usize>, Vec<Entry>) = entries.into_iter().unzip();
            let path = || entries[0].input.shown();
            let target =
                target(size).map_err(|reason| DataError::Untaken { path: path(), size, reason })?;
            let wanted = (target, scaling);
            let files = Files::open((entries, part), "test images", wanted, options, &budget)?;
            Ok(files.numbered(&numbers).into())
        };
        sizes.into_iter().map(set).collect::<Result<_, _>>().map(Images::judged_alike)
    }

    /// The test images alone.
    ///
    /// # Errors
    /// As [`Dataset::open`].
    pub fn open_test(data: &Data, target: impl Into<Target>) -> Result<Images, DataError> {
        let (target, scaling) = (target.into(), Scaling::of_trained(data)?);
        let open = |entries, options: &ImageFiles| {
            let budget = Budget::new(options.memory());
            let entries = first(entries, options.test_samples);
            let wanted = (target, scaling);
            Files::open(entries, "test images", wanted, options, &budget).map(Images::from)
        };
        match data {
            Data::Images(images) => open(listing::test_images(images)?, &images.files),
            Data::Pairs(pairs) => open(listing::test_pairs(pairs)?, &pairs.files),
            _ => Images::of_stored(stored_test(data, target)?, target, scaling),
        }
    }
}

/// Images with their places in the whole set.
type Numbered = Vec<(usize, Entry)>;

/// Height, width and channels of the first training image, of which no more is read than that; of an image file
/// those of a grey one.
///
/// # Errors
/// When there is none, or it does not tell.
pub fn first_shape(data: &Data) -> Result<[usize; 3], DataError> {
    let of_idx = |path: &Path, supply| idx::shape(&existing(path, supply)?, supply);
    let of_file = |listing: Listing| {
        let place = &listing.train.0[0].input;
        place.dimensions().map(|(height, width)| [height, width, 1]).map_err(DataError::Image)
    };
    match data {
        Data::Mnist(mnist) => of_idx(&mnist.dir.join(TRAIN), Supply::Mnist),
        Data::FashionMnist(fashion) => of_idx(&fashion.dir.join(TRAIN), Supply::FashionMnist),
        Data::Idx(files) => of_idx(&files.train, Supply::User),
        Data::Npz(npz) => npz::shape(npz, &npz.train),
        Data::Images(images) => of_file(listing::images(images)?),
        Data::Pairs(pairs) => of_file(listing::pairs(pairs)?),
    }
}

/// The samples of a `.npy` or a `.csv` in 0..1 where they are bytes, else as they are; with their shape, the number
/// of samples first.
///
/// # Errors
/// When the file cannot be read, or holds no numbers.
pub fn samples(path: &Path) -> Result<(Vec<usize>, Vec<f32>), DataError> {
    npz::samples(path)
}

fn of_files(
    listing: Listing,
    options: &ImageFiles,
    (target, scaling): (Target, Scaling),
) -> Result<Dataset, DataError> {
    let budget = Budget::new(options.memory());
    let divided = listing.train.1 != Part::Whole;
    let open =
        |entries, set, scaling| Files::open(entries, set, (target, scaling), options, &budget);
    let train = open(first(listing.train, options.train_samples), "training images", scaling)?;
    let test = open(first(listing.test, options.test_samples), "test images", train.scaling())?;
    if divided {
        complain(format_args!(
            "{} is the only image: training patches are cut from its first {} pixels, test patches from \
             its last {}",
            train.file(0).display(),
            train.extent(),
            test.extent()
        ));
    }
    Ok(Dataset { train: train.into(), test: test.into() })
}

fn first((mut all, part): (Vec<Entry>, Part), samples: Option<usize>) -> (Vec<Entry>, Part) {
    all.truncate(samples.unwrap_or(usize::MAX));
    (all, part)
}

/// The training images, and the test images where they are a part of the same file.
fn stored_train(data: &Data, target: Target) -> Result<(Stored, Option<Stored>), DataError> {
    match data {
        Data::Mnist(mnist) => {
            let train =
                idx(&mnist.dir.join(TRAIN), mnist.samples.train_samples, Supply::Mnist, target)?;
            Ok((train, None))
        }
        Data::FashionMnist(fashion) => {
            let (path, samples) = (fashion.dir.join(TRAIN), fashion.samples.train_samples);
            Ok((idx(&path, samples, Supply::FashionMnist, target)?, None))
        }
        Data::Idx(files) if files.test.is_some() => {
            Ok((idx(&files.train, files.samples.train_samples, Supply::User, target)?, None))
        }
        Data::Idx(IdxFiles { train, test_fraction, samples, .. }) => {
            let all = idx(train, None, Supply::User, target)?;
            divided(all, train, *test_fraction, samples)
        }
        Data::Npz(npz) => npz_train(npz, target),
        Data::Images(_) | Data::Pairs(_) => unreachable!("image files are not stored"),
    }
}

fn stored_test(data: &Data, target: Target) -> Result<Stored, DataError> {
    let (path, samples, supply) = match data {
        Data::Mnist(mnist) => (mnist.dir.join(TEST), mnist.samples.test_samples, Supply::Mnist),
        Data::FashionMnist(fashion) => {
            (fashion.dir.join(TEST), fashion.samples.test_samples, Supply::FashionMnist)
        }
        Data::Idx(IdxFiles { test: Some(test), samples, .. }) => {
            (test.clone(), samples.test_samples, Supply::User)
        }
        _ => {
            if let Data::Npz(npz) = data
                && let Some(test) = npz_test(npz, target)?
            {
                return Ok(test);
            }
            let (_, test) = stored_train(data, target)?;
            return Ok(test.expect("a test set that is no file of its own is a part of one"));
        }
    };
    idx(&path, samples, supply, target)
}

fn npz_train(npz: &Npz, target: Target) -> Result<(Stored, Option<Stored>), DataError> {
    let samples = &npz.samples;
    match (npz::open(npz, &npz.train)?, npz.test_fraction) {
        (Some(train), None) => {
            Ok((fitting(train, &npz.file, target)?.first(samples.train_samples), None))
        }
        (Some(all), fraction) => {
            divided(fitting(all, &npz.file, target)?, &npz.file, fraction, samples)
        }
        (None, fraction) => {
            let all = fitting(npz::open_single(npz)?, &npz.file, target)?;
            divided(all, &npz.file, fraction, samples)
        }
    }
}

/// The test set where it is an array of its own, which does not need the training images.
fn npz_test(npz: &Npz, target: Target) -> Result<Option<Stored>, DataError> {
    if npz.test_fraction.is_some() {
        return Ok(None);
    }
    let test = npz::open(npz, &npz.test)?;
    test.map(|test| Ok(fitting(test, &npz.file, target)?.first(npz.samples.test_samples)))
        .transpose()
}

fn divided(
    mut all: Stored,
    path: &Path,
    fraction: Option<f64>,
    samples: &SampleCounts,
) -> Result<(Stored, Option<Stored>), DataError> {
    let fraction = fraction.unwrap_or(TEST_FRACTION);
    let too_few = || listing::too_few(all.len(), path, fraction);
    let at = split_at(all.len(), fraction).ok_or_else(too_few)?;
    let rest = all.split_off(at);
    Ok((all.first(samples.train_samples), Some(rest.first(samples.test_samples))))
}

fn idx(
    path: &Path,
    samples: Option<usize>,
    supply: Supply,
    target: Target,
) -> Result<Stored, DataError> {
    let path = existing(path, supply)?;
    fitting(idx::open(&path, samples, supply)?, &path, target)
}

/// The images, if they have the height and width that are drawn for the model, and channels that can become
/// the model's.
fn fitting(mut stored: Stored, path: &Path, target: Target) -> Result<Stored, DataError> {
    let expected = target.drawn;
    // (N, steps, channels) are signals to a model of signals, and images to all others.
    if let [steps, channels, 1] = stored.shape
        && expected == [1, steps, channels]
    {
        stored.shape = expected;
    }
    let found = stored.shape;
    let channels = [expected[2], target.clean[2]];
    let becomes = |channels: usize| {
        found[2] == channels || (matches!(found[2], 1 | 3) && matches!(channels, 1 | 3))
    };
    if found[..2] != expected[..2] || !channels.into_iter().all(becomes) {
        return Err(DataError::Shape { path: path.to_owned(), found, expected });
    }
    if found[2] == 3 && channels == [1, 1] {
        let (count, file) = (stored.len(), path.display());
        complain(format_args!("{file}: its {count} images are in colour; {SEES_GREY}"));
    }
    Ok(stored)
}

/// The raw file, or its gzipped form.
fn existing(path: &Path, supply: Supply) -> Result<PathBuf, DataError> {
    let mut gzipped = path.as_os_str().to_owned();
    gzipped.push(".gz");
    let found = [path, Path::new(&gzipped)].into_iter().find(|path| path.is_file());
    found.map(Path::to_path_buf).ok_or_else(|| DataError::Missing { path: path.to_owned(), supply })
}
