//! A file and the images that it holds: one, or the pages of a TIFF. The content decides on the format, not
//! the name.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek};
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};

use image::ImageFormat;

use super::decode::{self, caught, format_of};
use super::encode::Loss;
use super::{ImageError, ImageFile, ImageProblem, tiff};

/// A file that was looked into.
pub struct Album<R> {
    source: R,
    format: ImageFormat,
    /// Of a TIFF.
    pages: tiff::Contents,
}

impl<R> fmt::Debug for Album<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Album({:?}, {:?})", self.format, self.pages)
    }
}

/// One of several images of a file. They are counted from 0, as ImageMagick and the libraries for TIFF do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Page {
    /// Among the file's images.
    pub number: usize,
    found: tiff::Found,
}

impl Page {
    /// Number of pixels.
    #[must_use]
    pub fn pixels(self) -> usize {
        (self.found.height as usize).saturating_mul(self.found.width as usize)
    }
}

/// An image in a file: `a.png`, or `a.tif[3]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImagePlace {
    /// The file.
    pub path: PathBuf,
    /// Where the file has several images.
    pub page: Option<Page>,
}

/// What is read from the beginning and in between.
pub trait Readable: BufRead + Seek + Send {}

impl<R: BufRead + Seek + Send> Readable for R {}

/// A file, or what came out of a pipe.
pub type Opened = Box<dyn Readable>;

fn opened(path: &Path) -> io::Result<Opened> {
    let mut file = File::open(path)?;
    if file.metadata()?.is_file() {
        return Ok(Box::new(BufReader::new(file)));
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(Box::new(Cursor::new(bytes)))
}

impl Album<Opened> {
    /// Looks into a file.
    ///
    /// # Errors
    /// When it cannot be read, is none of the formats, or is a TIFF whose pages cannot be found.
    pub fn open(path: &Path) -> Result<Self, ImageProblem> {
        Self::of(opened(path).map_err(ImageProblem::Read)?)
    }
}

impl<R: BufRead + Seek> Album<R> {
    /// The same of anything that is read like a file.
    ///
    /// # Errors
    /// As [`Album::open`].
    pub fn of(mut source: R) -> Result<Self, ImageProblem> {
        let format = format_of(source.fill_buf().map_err(ImageProblem::Read)?)?;
        let pages = match format {
            ImageFormat::Tiff => tiff::contents(&mut source)?,
            _ => tiff::Contents::default(),
        };
        Ok(Self { source, format, pages })
    }

    /// Number of images, which is 1 at least.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "there is no empty one")]
    pub fn len(&self) -> usize {
        self.pages.images.len().max(1)
    }

    /// Whether it is a TIFF.
    #[must_use]
    pub fn is_tiff(&self) -> bool {
        self.format == ImageFormat::Tiff
    }

    /// The places of its images, where there are several.
    #[must_use]
    pub fn pages(&self) -> Vec<Page> {
        if self.len() == 1 {
            return Vec::new();
        }
        let pages = self.pages.images.iter().enumerate();
        pages.map(|(number, &found)| Page { number, found }).collect()
    }

    /// How many smaller copies and masks of its images it holds, which are left out.
    #[must_use]
    pub fn left_out(&self) -> [(Loss, usize); 2] {
        [(Loss::Reduced, self.pages.reduced), (Loss::Masks, self.pages.masks)]
    }

    /// Height and width of an image, upright.
    ///
    /// # Errors
    /// When it is damaged or has more pixels than `most`.
    ///
    /// # Panics
    /// When there is no such image.
    pub fn measure(&mut self, index: usize, most: u64) -> Result<(usize, usize), ImageProblem> {
        let Self { source, format, pages } = self;
        caught(AssertUnwindSafe(|| {
            if *format == ImageFormat::Tiff {
                return tiff::measure(source, pages.images[index], most);
            }
            source.rewind().map_err(ImageProblem::Read)?;
            decode::measure(source, *format, most)
        }))
    }

    /// Reads an image.
    ///
    /// # Errors
    /// When it is damaged, of a kind that is not read, or has more pixels than `most`.
    ///
    /// # Panics
    /// When there is no such image.
    pub fn decode(&mut self, index: usize, most: u64) -> Result<ImageFile, ImageProblem> {
        match self.format {
            ImageFormat::Tiff => {
                let image = self.pages.images[index];
                caught(AssertUnwindSafe(|| tiff::decode(&mut self.source, image, most)))
            }
            format => {
                let mut bytes = Vec::new();
                self.source.rewind().map_err(ImageProblem::Read)?;
                self.source.read_to_end(&mut bytes).map_err(ImageProblem::Read)?;
                caught(|| decode::decode(&bytes, format, most))
            }
        }
    }

    /// Bytes of the values of all images of a TIFF as results, at most.
    #[must_use]
    pub fn most_bytes(&self) -> u64 {
        let bytes = |found: &tiff::Found| {
            u64::from(found.height) * u64::from(found.width) * 3 * u64::from(found.value_bytes)
        };
        self.pages.images.iter().map(bytes).fold(0, u64::saturating_add)
    }

    /// The index of the only image.
    fn only(&self) -> Result<usize, ImageProblem> {
        match self.len() {
            1 => Ok(0),
            images => {
                let remedy = "save the one that is meant as a file of its own";
                Err(ImageProblem::Several { images, remedy })
            }
        }
    }
}

impl ImagePlace {
    /// The only image of a file.
    #[must_use]
    pub fn file(path: PathBuf) -> Self {
        Self { path, page: None }
    }

    /// Where the system finds it, links followed.
    #[must_use]
    pub fn canonicalize(&self) -> Option<Self> {
        Some(Self { path: self.path.canonicalize().ok()?, page: self.page })
    }

    /// The name that messages have for an image of a file of that name.
    #[must_use]
    pub fn named(&self, file: &Path) -> String {
        match self.page {
            Some(page) => format!("{}[{}]", file.display(), page.number),
            None => file.display().to_string(),
        }
    }

    /// As [`named`](Self::named) with its path.
    #[must_use]
    pub fn shown(&self) -> PathBuf {
        self.page.map_or_else(|| self.path.clone(), |_| self.to_string().into())
    }

    /// Reads an image of at most `most` pixels.
    ///
    /// # Errors
    /// When it cannot be read, is damaged, larger, of a kind that is not read, or is several.
    pub fn decode(&self, most: u64) -> Result<ImageFile, ImageError> {
        let read = || match self.page {
            None => Album::open(&self.path).and_then(|mut album| album.decode(album.only()?, most)),
            Some(page) => {
                let mut source = opened(&self.path).map_err(ImageProblem::Read)?;
                caught(AssertUnwindSafe(|| tiff::decode(&mut source, page.found, most)))
            }
        };
        read().map_err(|problem| self.error(problem))
    }

    /// Height and width, upright.
    ///
    /// # Errors
    /// When it cannot be read, is damaged, or is several.
    pub fn dimensions(&self) -> Result<(usize, usize), ImageError> {
        let read = || match self.page {
            None => {
                let mut album = Album::open(&self.path)?;
                album.measure(album.only()?, u64::MAX)
            }
            Some(page) => {
                let mut source = opened(&self.path).map_err(ImageProblem::Read)?;
                caught(AssertUnwindSafe(|| tiff::measure(&mut source, page.found, u64::MAX)))
            }
        };
        read().map_err(|problem| self.error(problem))
    }

    fn error(&self, problem: ImageProblem) -> ImageError {
        ImageError { path: self.shown(), problem }
    }
}

impl fmt::Display for ImagePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.named(&self.path))
    }
}

/// Reads the image of a file, of at most `most` pixels.
///
/// # Errors
/// When the file cannot be read, is none of the formats, is damaged, holds several images, or a larger one.
pub fn decode(path: &Path, most: u64) -> Result<ImageFile, ImageError> {
    ImagePlace::file(path.to_owned()).decode(most)
}

/// The same from memory.
///
/// # Errors
/// As [`decode()`], without a name.
pub fn decode_bytes(bytes: &[u8], most: u64) -> Result<ImageFile, ImageProblem> {
    let mut album = Album::of(Cursor::new(bytes))?;
    album.decode(album.only()?, most)
}

/// Height and width of a file's image, upright.
///
/// # Errors
/// When the file cannot be read, is none of the formats, or holds several images.
pub fn dimensions(path: &Path) -> Result<(usize, usize), ImageError> {
    ImagePlace::file(path.to_owned()).dimensions()
}

/// The same of a file in memory, of at most `most` pixels.
///
/// # Errors
/// When it is none of the formats, or larger.
pub fn measure(bytes: &[u8], most: u64) -> Result<(usize, usize), ImageProblem> {
    let mut album = Album::of(Cursor::new(bytes))?;
    album.measure(album.only()?, most)
}
