//! The `[data]` section: where the images come from, and how files become images of the
//! model's size. What is done with these keys stands in `data`.

use std::path::PathBuf;

use super::layers::{LARGEST_SIDE, Pair};
use super::schema::{Bounds, choice, family, section};

/// Largest count of images that a config may ask for.
const MANY: f64 = 1e9;
/// Bytes.
const MEGABYTE: usize = 1_000_000;
const COUNT: Bounds = Bounds::closed(1.0, MANY);
/// A test set of at least one image, and something left to learn from.
const FRACTION: Bounds = Bounds::above(0.0, 0.99);

/// How an image of another size becomes one of the model's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resize {
    /// Stretched.
    Exact,
    /// As large as fits, in the middle of black.
    Fit,
    /// As small as fills, the middle of it.
    Fill,
}

choice!(Resize { Exact = "exact", Fit = "fit", Fill = "fill" });

/// Where patches are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Side by side, all of the image.
    Grid,
    /// Anywhere, anew in each epoch.
    Random,
}

choice!(Place { Grid = "grid", Random = "random" });

/// What an image that cannot be used does to the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// It ends before anything is learned.
    Stop,
    /// It goes on without the image.
    Skip,
}

choice!(OnError { Stop = "stop", Skip = "skip" });

family! {
    /// The images to learn from; `mnist` where no kind is written.
    pub enum Data by "kind" or "mnist", like "{ kind = \"images\", train = \"photos\" }" {
        /// MNIST, or any set under the same file names (IDX), grey or with channels last.
        Mnist(Mnist) = "mnist",
        /// Fashion-MNIST, which `scripts/setup.sh --only fashion-mnist` fetches.
        FashionMnist(FashionMnist) = "fashion-mnist",
        /// IDX files of bytes under any name: images, grey or with channels last.
        Idx(IdxFiles) = "idx",
        /// Arrays of NumPy: Keras's `mnist.npz`, any other `.npz`, or one array as `.npy`; or a table as
        /// `.csv`. Bytes are divided by 255, 16-bit numbers by 65535, floating point must be in 0..1
        /// already, unless `any_values` is set.
        Npz(Npz) = "npz",
        /// A folder of images, searched recursively in the order of their paths: PNG, JPEG, BMP,
        /// TIFF (each page by itself), WebP and PNM; see docs/formats.md. Colour becomes grey, which is
        /// said, and grey becomes colour as `model.input_shape` asks, here and in arrays; alpha is dropped.
        Images(ImageFolder) = "images",
        /// Images that somebody else made noisy, beside the clean ones: two folders, matched by
        /// relative path without the ending. `[corruption]`, if any, comes on top.
        Pairs(Pairs) = "pairs",
    }
}

section! {
    /// MNIST, or any set under the same file names.
    pub struct Mnist {
        /// Folder with `train-images-idx3-ubyte` and `t10k-images-idx3-ubyte`, raw or `.gz`.
        dir: PathBuf = PathBuf::from("data/mnist");
        flatten samples: SampleCounts;
    }
}

section! {
    /// Fashion-MNIST.
    pub struct FashionMnist {
        /// Folder with `train-images-idx3-ubyte` and `t10k-images-idx3-ubyte`, raw or `.gz`.
        dir: PathBuf = PathBuf::from("data/fashion-mnist");
        flatten samples: SampleCounts;
    }
}

section! {
    /// IDX files under any name.
    pub struct IdxFiles {
        /// File of training images, raw or gzipped (in any number of members); `.gz` may be left
        /// out.
        train: PathBuf;
        /// File of test images.
        test: Option<PathBuf> = None;
        /// Without `test`: this last part of the training images is the test set, as Keras's
        /// `validation_split` has it; 0.1 where neither is set.
        test_fraction: Option<f64> = None, in FRACTION;
        flatten samples: SampleCounts;
    }
}

section! {
    /// Arrays of NumPy.
    pub struct Npz {
        /// The `.npz` or `.npy`; or a `.csv` with a line of names, then a line of numbers for each sample.
        file: PathBuf;
        /// Name of the training images' array: `(N, height, width)` or `(N, height, width,
        /// channels)`; of signals `(N, steps, channels)`, of vectors `(N, values)`.
        train: String = "x_train".to_owned();
        /// Name of the test images' array, unless `test_fraction` is set or the file is no `.npz`.
        test: String = "x_test".to_owned();
        /// This last part of the training images is the test set; for a `.npy` or `.csv` 0.1 where not set.
        test_fraction: Option<f64> = None, in FRACTION;
        /// Takes floating point beyond 0..1 as it is: signals and tables have no black and no white.
        any_values: bool = false;
        /// How values become the model's, like `"range"` or `{ kind = "mean_std", per = "image" }`; floats may lie
        /// beyond 0..1 then.
        scale: Option<Scale> = None;
        flatten samples: SampleCounts;
    }
}

section! {
    /// How many images of each set are used.
    pub struct SampleCounts {
        /// Use only the first so many training images; all where not set.
        train_samples: Option<usize> = None, in COUNT;
        /// Use only the first so many test images; all where not set.
        test_samples: Option<usize> = None, in COUNT;
    }
}

section! {
    /// A folder of images.
    pub struct ImageFolder {
        /// Folder of training images.
        train: PathBuf;
        /// Folder of test images, or a list of some of `train`: a text file with one path below
        /// that folder a line. Test images are never learned from, wherever they are.
        test: Option<PathBuf> = None;
        /// Whether the images of a folder within `train` (and `test`), or the pages of a TIFF, are shots of one
        /// thing with noise of their own: any two of them are a sample (Lehtinen et al., "Noise2Noise", 2018).
        bursts: bool = false;
        flatten files: ImageFiles;
    }
}

section! {
    /// Noisy images beside clean ones.
    pub struct Pairs {
        /// Folder of what the model sees.
        noisy: PathBuf;
        /// Folder of what it should give.
        clean: PathBuf;
        /// Folder with `noisy` and `clean` in it, for the test set, or a list of some pairs: a text
        /// file with one path below the folders a line. Test pairs are never learned from.
        test: Option<PathBuf> = None;
        flatten files: ImageFiles;
    }
}

/// Whether all images have one scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Per {
    /// All of them, measured once on the training images.
    Set,
    /// Each its own.
    Image,
}

choice!(Per { Set = "set", Image = "image" });

family! {
    /// How values become the model's: `(value - offset) / factor`, of values whose white is 1 (bytes / 255, 16 bits
    /// / 65535, floats as they are). Results are brought back to the image's own unit and type.
    pub enum Scale by "kind", like "{ kind = \"percentile\", per = \"image\" }" {
        /// Values stay as they are, floats beyond 0..1 too.
        Unit(UnitScale) = "unit" | "unit",
        /// The least value becomes 0, the greatest 1.
        Range(Measured) = "range" | "range",
        /// Two percentiles become 0 and 1, so that a few odd pixels decide on nothing; what lies beyond them
        /// is not clipped.
        Percentile(PercentileScale) = "percentile" | "percentile",
        /// The mean becomes 0, and a standard deviation 1.
        MeanStd(Measured) = "mean_std" | "mean_std",
    }
}

section! {
    /// As they are.
    pub struct UnitScale {}
}

section! {
    /// What is measured on images.
    pub struct Measured {
        /// `set`: once on the training images, before their corruption, of pairs on the noisy ones; or `image`: on
        /// each whole image by itself, in training before its corruption, in `apply` as it is: where a corruption is
        /// strong, take `set`.
        per: Per = Per::Set;
        /// The value that becomes 0; measured where not set, and then kept in the checkpoint.
        offset: Option<f64> = None;
        /// The distance that becomes 1; measured where not set, and then kept in the checkpoint.
        factor: Option<f64> = None, in Bounds::above(0.0, f64::INFINITY);
    }
}

section! {
    /// Between two percentiles.
    pub struct PercentileScale {
        /// Percent of the values that lie below what becomes 0.
        low: f64 = 0.1, in Bounds::closed(0.0, 49.0);
        /// Percent of the values that lie below what becomes 1.
        high: f64 = 99.9, in Bounds::closed(51.0, 100.0);
        flatten measured: Measured;
    }
}

impl Scale {
    /// Its measured numbers; `None` where nothing is measured.
    #[must_use]
    pub fn measured(&self) -> Option<&Measured> {
        match self {
            Self::Unit(_) => None,
            Self::Range(measured) | Self::MeanStd(measured) => Some(measured),
            Self::Percentile(own) => Some(&own.measured),
        }
    }

    fn measured_mut(&mut self) -> Option<&mut Measured> {
        match self {
            Self::Unit(_) => None,
            Self::Range(measured) | Self::MeanStd(measured) => Some(measured),
            Self::Percentile(own) => Some(&mut own.measured),
        }
    }
}

impl Data {
    /// What it says about values.
    #[must_use]
    pub fn scale(&self) -> Option<&Scale> {
        match self {
            Self::Npz(npz) => npz.scale.as_ref(),
            Self::Images(images) => images.files.scale.as_ref(),
            Self::Pairs(pairs) => pairs.files.scale.as_ref(),
            Self::Mnist(_) | Self::FashionMnist(_) | Self::Idx(_) => None,
        }
    }

    /// Keeps what was measured where one scale is for all images and none is written.
    pub fn keep_measured(&mut self, offset: f64, factor: f64) {
        let scale = match self {
            Self::Npz(npz) => &mut npz.scale,
            Self::Images(images) => &mut images.files.scale,
            Self::Pairs(pairs) => &mut pairs.files.scale,
            Self::Mnist(_) | Self::FashionMnist(_) | Self::Idx(_) => return,
        };
        if let Some(measured) = scale.as_mut().and_then(Scale::measured_mut)
            && measured.per == Per::Set
            && measured.offset.is_none()
            && measured.factor.is_none()
        {
            (measured.offset, measured.factor) = (Some(offset), Some(factor));
        }
    }
}

section! {
    /// How image files become images; at most one of `resize` and `patches` is set.
    pub struct ImageFiles {
        /// Without `test`: this last part of the images is the test set, as Keras's
        /// `validation_split` has it; 0.1 where neither is set. Where `patches` are cut from a
        /// single image, it is the last part of that image, and the two share no pixel.
        test_fraction: Option<f64> = None, in FRACTION;
        /// How images of another size become images of the model's: `exact` stretches
        /// them; `fit` keeps their proportions and fills up with black; `fill` keeps them
        /// and crops the middle. Where neither this nor `patches` is set, sizes must agree.
        resize: Option<Resize> = None;
        /// Cuts patches of the model's size out of the images, like `{ on = "random",
        /// per_image = 16 }`.
        patches: Option<Patches> = None;
        /// How values become the model's, like `"range"` or `{ kind = "mean_std", per = "image" }`. Where not set,
        /// values stay as they are, and floats have to lie in 0..1.
        scale: Option<Scale> = None;
        /// What an image that is damaged, or of a size that does not fit, does: `stop` the
        /// run before anything is learned, or `skip`, which names it and goes on without
        /// it.
        on_error: OnError = OnError::Stop;
        /// Images of more pixels are refused, before memory is taken for them.
        max_pixels: usize = 100_000_000, in COUNT;
        /// Decoded images are kept in memory where all of them take less than this;
        /// otherwise they are decoded anew in every epoch, while the model computes. 0
        /// keeps none.
        memory_mb: usize = 2_048, in Bounds::closed(0.0, MANY);
        /// Threads that decode; one for each core where not set. Nothing else depends on
        /// it.
        threads: Option<usize> = None, in Bounds::closed(1.0, 256.0);
        /// Use only the first so many training images; all where not set.
        train_samples: Option<usize> = None, in COUNT;
        /// Use only the first so many test images; all where not set.
        test_samples: Option<usize> = None, in COUNT;
    }
}

impl ImageFiles {
    /// Bytes that decoded images may take.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.memory_mb.saturating_mul(MEGABYTE)
    }
}

section! {
    /// Patches of the model's size, cut out of larger images.
    pub struct Patches {
        /// `grid` takes all of an image, side by side, the last ones of a row pushed back inside;
        /// `random` cuts anywhere, anew in each epoch (in the test set always at the same places).
        on: Place = Place::Grid;
        /// Height and width of a patch, for a model of open size; else patches have the model's.
        size: Option<Pair> = None, in Bounds::closed(1.0, LARGEST_SIDE);
        /// Of a grid, in pixels; the model's height and width where not set, so that patches do not
        /// overlap.
        stride: Option<usize> = None, in Bounds::closed(1.0, 65_536.0);
        /// Random patches of each image in an epoch; 1 where not set.
        per_image: Option<usize> = None, in Bounds::closed(1.0, 1e6), was "per_picture";
        /// Whether a training patch is mirrored, left to right, in half of all epochs.
        flips: bool = false;
        /// Whether a training patch is rotated by a random number of quarter turns in each epoch.
        rotations: bool = false, was "turns";
    }
}
