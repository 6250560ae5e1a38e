//! Why a data set cannot be used, and what to do about it.

use std::cmp::Ordering;
use std::path::PathBuf;

use crate::formats::image_file::ImageError;
use crate::system::exit::UsageError;
use crate::system::text_file;

/// Where a file comes from, which decides how to get it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Supply {
    /// MNIST, which the set-up fetches.
    Mnist,
    /// Fashion-MNIST, likewise.
    FashionMnist,
    /// The user's own.
    User,
}

impl Supply {
    fn where_missing(self) -> &'static str {
        match self {
            Self::Mnist => {
                "get MNIST with scripts/setup.sh, or name another folder with --set data.dir=FOLDER"
            }
            Self::FashionMnist => {
                "get it with scripts/setup.sh --only fashion-mnist, or name another folder with \
                 --set data.dir=FOLDER"
            }
            Self::User => "name a file that is there, raw or gzipped",
        }
    }

    fn where_damaged(self) -> &'static str {
        match self {
            Self::Mnist => "delete it and get it again with scripts/setup.sh",
            Self::FashionMnist => {
                "delete it and get it again with scripts/setup.sh --only fashion-mnist"
            }
            Self::User => "use another copy",
        }
    }
}

/// Why a data set cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// Neither the raw file nor its `.gz` is there.
    #[error("{} is missing; {}", path.display(), supply.where_missing())]
    Missing {
        /// Where the raw file was looked for, with its `.gz` beside it.
        path: PathBuf,
        /// Decides on the remedy.
        supply: Supply,
    },
    /// The system refused to read the file.
    #[error("{} cannot be read: {error}; check its name and permissions", path.display())]
    Unreadable {
        /// As it was opened.
        path: PathBuf,
        /// The system's reason.
        error: std::io::Error,
    },
    /// A list that is no text in UTF-8.
    #[error("{} cannot be read: {error}; {}", path.display(), text_file::SAVE_AS_UTF_8)]
    NotText {
        /// The list.
        path: PathBuf,
        /// What it is instead.
        error: std::io::Error,
    },
    /// The file does not unpack, or its header does not fit its length.
    #[error("{} is damaged: {problem}; {}", path.display(), supply.where_damaged())]
    Damaged {
        /// Raw or `.gz`.
        path: PathBuf,
        /// A sentence about the file as "it".
        problem: String,
        /// Decides on the remedy.
        supply: Supply,
    },
    /// The magic number is that of labels.
    #[error(
        "{} holds labels, not images (magic number {magic}); put the file whose name has \
         `images` in it there", path.display())]
    Labels {
        /// Raw or `.gz`.
        path: PathBuf,
        /// The file's first word.
        magic: u32,
    },
    /// The images do not fit `model.input_shape`.
    #[error(
        "{} holds images of {found:?} (height, width, channels), the model takes {expected:?}; \
         name other data, or a model.input_shape that fits it", path.display())]
    Shape {
        /// Raw or `.gz`.
        path: PathBuf,
        /// The file's height, width and channels.
        found: [usize; 3],
        /// The model's height, width and channels.
        expected: [usize; 3],
    },
    /// An array of NumPy that we do not take.
    #[error("{}: {problem}; {remedy}", path.display())]
    Array {
        /// The `.npz` or `.npy`.
        path: PathBuf,
        /// A sentence.
        problem: String,
        /// What to do.
        remedy: String,
    },
    /// A folder of images is not there.
    #[error("`{key}` is {}, which is no folder; name a folder of images", path.display())]
    NoFolder {
        /// Of the config.
        key: &'static str,
        /// As written.
        path: PathBuf,
    },
    /// A folder has no file with an image's ending.
    #[error(
        "{} holds no image, and neither do its subfolders; name a folder of PNG, JPEG, BMP, TIFF, \
         WebP or PNM files with --set {key}=FOLDER", path.display())]
    NothingFound {
        /// Of the config.
        key: &'static str,
        /// The folder.
        path: PathBuf,
    },
    /// No file of the two folders has a partner.
    #[error(
        "no image in {} has the name of one in {}; give both the same names, endings aside",
        noisy.display(), clean.display())]
    NoPairs {
        /// The folder.
        noisy: PathBuf,
        /// The folder.
        clean: PathBuf,
    },
    /// No folder, and no TIFF, has two images.
    #[error(
        "{} has no burst: no folder in it, and no TIFF, holds two images or more; give each burst a folder, \
         or set data.bursts=false", path.display())]
    NoBursts {
        /// The folder.
        path: PathBuf,
    },
    /// A list of images says of no burst whether it is tested on.
    #[error(
        "data.test is the list {}, and data.bursts needs a folder of bursts; name one, or leave data.test out",
        list.display())]
    BurstList {
        /// The file.
        list: PathBuf,
    },
    /// Two files of one folder differ by their endings only, so a partner cannot be told.
    #[error(
        "{} and {} differ by their endings only, so which of them belongs to the pair cannot be \
         told; rename one of them", first.display(), second.display())]
    Twins {
        /// The one in use.
        first: PathBuf,
        /// The other one.
        second: PathBuf,
    },
    /// A line of the test list.
    #[error(
        "{}:{line}: {text:?} is not among the images of {}; write paths below that folder, one a \
         line", list.display(), folder.display())]
    NotListed {
        /// The list.
        list: PathBuf,
        /// Counts from 1.
        line: usize,
        /// As written.
        text: String,
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// The test set would take all or nothing.
    #[error(
        "{} image(s) in {} leave {} after the split ({split}); give more images, or another \
         test set with --set {setting}", count, path.display(), left)]
    Split {
        /// Images in all.
        count: usize,
        /// Where they are.
        path: PathBuf,
        /// How they were split.
        split: String,
        /// The set that is empty.
        left: &'static str,
        /// What would split them otherwise, beside the keys that are set.
        setting: &'static str,
    },
    /// There is nothing to measure a scale on.
    #[error(
        "all values of the {set} are {value}, so there is no range to scale; use other images, or set \
         data.scale.offset and data.scale.factor"
    )]
    Constant {
        /// Which they are.
        set: &'static str,
        /// The one value.
        value: f32,
    },
    /// A test set alone, whose scale is measured on the training set.
    #[error(transparent)]
    Unmeasured(#[from] UsageError),
    /// Every image was skipped.
    #[error("none of the {count} image(s) of {set} can be used; the first one: {first}")]
    NoneUsable {
        /// Images in all.
        count: usize,
        /// Which they are.
        set: &'static str,
        /// Why the first cannot.
        first: Box<DataError>,
    },
    /// An image or a pair that cannot be used, before anything was learned and where it is not
    /// skipped.
    #[error("{0}, or go on without it with --set data.on_error=skip")]
    Broken(Box<DataError>),
    /// An image, or a folder of them, that cannot be read.
    #[error("{0}")]
    Image(ImageError),
    /// An image that had another size when it was first read.
    #[error(
        "{} has another size than when it was first read; leave the images as they are, and start \
         again", path.display())]
    Changed {
        /// The image.
        path: PathBuf,
    },
    /// An image of another size than the model's, and no rule what to do.
    #[error(
        "{} is {}x{} pixels, the model takes {}x{}; set data.resize (\"fit\", \"fill\" or \
         \"exact\") or data.patches (with their size, for a model of open size), or give a \
         model.input_shape that fits",
        path.display(), found[1], found[0], expected[1], expected[0])]
    Size {
        /// The image.
        path: PathBuf,
        /// Height and width.
        found: [usize; 2],
        /// Height and width.
        expected: [usize; 2],
    },
    /// An image of a size that a model of open size does not take.
    #[error(
        "{} is {}x{} pixels, which the model does not take: {reason}; resize it, or cut patches with \
         data.patches.size", path.display(), size[1], size[0])]
    Untaken {
        /// The image.
        path: PathBuf,
        /// Height and width.
        size: [usize; 2],
        /// Why not.
        reason: String,
    },
    /// An image that no patch can be cut from.
    #[error(
        "{} is {}x{} pixels, less than a patch of {}x{}; make model.input_shape smaller",
        path.display(), found[1], found[0], expected[1], expected[0])]
    Small {
        /// The image.
        path: PathBuf,
        /// Height and width.
        found: [usize; 2],
        /// Height and width.
        expected: [usize; 2],
    },
    /// The only image of all, in which two patches find no room.
    #[error(
        "{} is the only image and {}x{} pixels, too small for training patches and test patches of {}x{} \
         that share no pixel; give more images, a smaller model.input_shape, or a test set with --set \
         data.test=PATH", path.display(), found[1], found[0], expected[1], expected[0])]
    Undivided {
        /// The image.
        path: PathBuf,
        /// Height and width.
        found: [usize; 2],
        /// Height and width.
        expected: [usize; 2],
    },
    /// A pair of two sizes, before either is resized.
    #[error(
        "{} is {}x{} pixels and its partner {} is {}x{}; give {}",
        noisy.display(), sizes[0][1], sizes[0][0], clean.display(), sizes[1][1], sizes[1][0],
        wanted_sizes(*ratios))]
    PairSizes {
        /// What the model would see.
        noisy: PathBuf,
        /// What it would have to give.
        clean: PathBuf,
        /// Height and width of each.
        sizes: [[usize; 2]; 2],
        /// In height and width, how the clean one's side is to the noisy one's.
        ratios: [[usize; 2]; 2],
    },
}

/// "both the same size", or "a partner that is 2 times as wide and 2 times as high".
fn wanted_sizes([rows, columns]: [[usize; 2]; 2]) -> String {
    if rows[0] == rows[1] && columns[0] == columns[1] {
        return "both the same size".to_owned();
    }
    let times = |[clean, noisy]: [usize; 2]| match clean.cmp(&noisy) {
        Ordering::Equal => "just as".to_owned(),
        Ordering::Greater => format!("{} times as", clean / noisy),
        Ordering::Less => format!("1/{} as", noisy / clean),
    };
    format!(
        "a partner that is {} wide and {} high, as what the model gives is",
        times(columns),
        times(rows)
    )
}

impl DataError {
    /// Whether the user named the wrong data, rather than a file being damaged.
    #[must_use]
    pub fn is_usage_error(&self) -> bool {
        match self {
            Self::Unreadable { .. }
            | Self::Damaged { .. }
            | Self::Labels { .. }
            | Self::NoneUsable { .. }
            | Self::Image(_)
            | Self::Changed { .. } => false,
            Self::Broken(error) => error.is_usage_error(),
            Self::Missing { .. }
            | Self::Shape { .. }
            | Self::Array { .. }
            | Self::NoFolder { .. }
            | Self::NothingFound { .. }
            | Self::NoPairs { .. }
            | Self::NoBursts { .. }
            | Self::BurstList { .. }
            | Self::Twins { .. }
            | Self::NotText { .. }
            | Self::NotListed { .. }
            | Self::Split { .. }
            | Self::Constant { .. }
            | Self::Unmeasured(_)
            | Self::Size { .. }
            | Self::Small { .. }
            | Self::Untaken { .. }
            | Self::Undivided { .. }
            | Self::PairSizes { .. } => true,
        }
    }
}
