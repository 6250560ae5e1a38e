//! Looking at a folder of images that nobody has a clean version of: what files there are, what values they
//! have, and what their noise is like.

mod blocks;
mod correlation;
mod noise;
mod plane;
#[cfg(test)]
pub(crate) mod testing;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::DataError;
use crate::formats::image_file::{FoundImage, ImageError, ImageFile, Samples, find_images};
pub use noise::{Growth, Noise, Structure};
pub use plane::Plane;

/// Images that are decoded to measure their noise, spread over the folder.
const MEASURED: usize = 24;
/// Of a large image its middle is measured, of this side.
const WINDOW: usize = 1024;
/// Pixels that an image may have, as `data.max_pixels` has it.
const MOST_PIXELS: u64 = 100_000_000;
/// Values of each image that the range is taken from.
const PROBED: usize = 4096;
/// Share of the values below and above the range: hot and dead pixels.
const TAIL: f64 = 0.001;
/// Share of 0..1 that is much.
const WIDE: f64 = 0.5;

/// What a folder holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Survey {
    /// As named.
    pub folder: PathBuf,
    /// Files, and the images in them: pages of TIFFs count each.
    pub files: usize,
    /// Images of which the size is known.
    pub images: usize,
    /// Endings of the files' names, with the number of each.
    pub endings: Vec<(String, usize)>,
    /// Files that cannot be read, as sentences.
    pub damaged: Vec<String>,
    /// Height and width of the smallest image, by its shorter side.
    pub smallest: [usize; 2],
    /// The same of the largest one.
    pub largest: [usize; 2],
    /// The shorter sides of all images, the shortest first.
    pub sides: Vec<usize>,
    /// Images that were decoded.
    pub measured: usize,
    /// Whether some are coloured.
    pub is_coloured: bool,
    /// The values.
    pub values: Values,
    /// What the noise is like; deviations are shares of the file's range. `None` where the images tell nothing.
    pub noise: Option<Noise>,
}

/// Values of the images that were decoded.
#[derive(Debug, Clone, PartialEq)]
pub struct Values {
    /// White of the files: 255, or 65,535 where one has 16 bits, or 1 where all have floats.
    pub white: f64,
    /// The smallest and the largest, as shares of `white`.
    pub ends: [f64; 2],
    /// The same without a thousandth at either end.
    pub range: [f64; 2],
}

impl Survey {
    /// Looks at a folder and its subfolders. Files that cannot be read are told, and left out.
    ///
    /// # Errors
    /// When there is no folder, or no image that can be read.
    pub fn of(folder: &Path) -> Result<Self, DataError> {
        let (key, path) = ("data.train", folder.to_owned());
        if !folder.is_dir() {
            return Err(DataError::NoFolder { key, path });
        }
        let found = find_images(std::slice::from_ref(&path)).map_err(DataError::Image)?;
        if found.is_empty() {
            return Err(DataError::NothingFound { key, path });
        }
        let (mut all, mut looks, mut damaged) = (Vec::new(), Vec::new(), Vec::new());
        for (index, image) in found.iter().enumerate() {
            let size = image.place.dimensions().and_then(|(height, width)| {
                if is_next(looks.len(), MEASURED, index, found.len()) {
                    looks.push(image.place.decode(MOST_PIXELS)?.bare());
                }
                Ok([height, width])
            });
            match size {
                Ok(size) => all.push(size),
                Err(error) => damaged.push(error),
            }
        }
        if looks.is_empty() {
            return Err(none_usable(found.len(), damaged));
        }
        let planes: Vec<Plane> = looks.iter().flat_map(planes).collect();
        all.sort_unstable_by_key(|size| (size[0].min(size[1]), size[0].max(size[1])));
        Ok(Self {
            folder: path,
            files: files(&found).count(),
            images: all.len(),
            endings: endings(&found),
            damaged: damaged.iter().map(ToString::to_string).collect(),
            smallest: all[0],
            largest: all[all.len() - 1],
            sides: all.iter().map(|size| size[0].min(size[1])).collect(),
            measured: looks.len(),
            is_coloured: looks.iter().any(ImageFile::is_coloured),
            values: Values::of(&looks),
            noise: Noise::of(&planes),
        })
    }
}

impl Values {
    fn of(images: &[ImageFile]) -> Self {
        let white = images.iter().map(|image| match image.samples {
            Samples::Eight(_) => 255.0,
            Samples::Sixteen(_) => 65_535.0,
            Samples::Float(_) => 1.0,
        });
        let mut ends = [f64::INFINITY, f64::NEG_INFINITY];
        let mut probed = Vec::new();
        for image in images {
            let values = image.scaled();
            for &value in &values {
                ends = [ends[0].min(value.into()), ends[1].max(value.into())];
            }
            let step = values.len().div_ceil(PROBED);
            probed.extend(values.into_iter().step_by(step));
        }
        probed.sort_by(f32::total_cmp);
        let tail = (probed.len() as f64 * TAIL) as usize;
        let range = [tail, probed.len() - 1 - tail].map(|place| f64::from(probed[place]));
        Self { white: white.fold(1.0, f64::max), ends, range }
    }

    /// Share of the file's range that is used.
    #[must_use]
    pub fn span(&self) -> f64 {
        self.range[1] - self.range[0]
    }

    /// Whether they use much of 0..1, and no value is beyond.
    #[must_use]
    pub fn fill_the_unit(&self) -> bool {
        self.span() >= WIDE && self.ends[0] >= 0.0 && self.ends[1] <= 1.0
    }

    /// Whether all are the same.
    #[must_use]
    pub fn are_one(&self) -> bool {
        self.ends[0] >= self.ends[1]
    }
}

/// The middle of each channel, for grey images of one.
fn planes(image: &ImageFile) -> Vec<Plane> {
    let [_, width, channels] = image.shape;
    let used = if image.is_coloured() { channels } else { 1 };
    let [rows, columns] = middle(image, WINDOW);
    let plane = |channel: usize| {
        let at = |y: usize, x: usize| (y * width + x) * channels + channel;
        let places = rows.clone().flat_map(|y| columns.clone().map(move |x| at(y, x)));
        let values = places.map(|place| image.samples.scaled(place)).collect();
        Plane { height: rows.len(), width: columns.len(), values }
    };
    (0..used).map(plane).collect()
}

/// Rows and columns of the middle of an image, of this side at most.
fn middle(image: &ImageFile, most: usize) -> [Range<usize>; 2] {
    [image.shape[0], image.shape[1]].map(|side| {
        let length = side.min(most);
        let start = (side - length) / 2;
        start..start + length
    })
}

/// The middles of a few images, spread over the folder, of this side at most, with their names.
#[must_use]
pub fn windows(survey: &Survey, count: usize, side: usize) -> Vec<(String, ImageFile)> {
    let found = find_images(std::slice::from_ref(&survey.folder)).unwrap_or_default();
    let mut windows = Vec::new();
    for (index, image) in found.iter().enumerate() {
        if is_next(windows.len(), count, index, found.len())
            && let Ok(decoded) = image.place.decode(MOST_PIXELS)
        {
            windows.push((image.name(), window(&decoded.bare(), side)));
        }
    }
    windows
}

/// Whether an image is the next of those that are spread over all, when so many of `count` are there; one that cannot
/// be read is made up for by the next.
fn is_next(taken: usize, count: usize, index: usize, all: usize) -> bool {
    taken * all.max(count) <= index * count && taken < count
}

fn window(image: &ImageFile, side: usize) -> ImageFile {
    let [_, width, channels] = image.shape;
    let [rows, columns] = middle(image, side);
    let shape = [rows.len(), columns.len(), channels];
    let mut part = image.blank_of(shape);
    let line = |y: usize| (y * width + columns.start) * channels;
    let places = rows.flat_map(|y| line(y)..line(y) + columns.len() * channels);
    for (to, from) in places.enumerate() {
        part.samples.set_scaled(to, image.samples.scaled(from));
    }
    part
}

fn none_usable(count: usize, damaged: Vec<ImageError>) -> DataError {
    let first = damaged.into_iter().next().expect("an image that was not looked at is damaged");
    DataError::NoneUsable { count, set: "the folder", first: Box::new(DataError::Image(first)) }
}

/// The files, each once.
fn files(found: &[FoundImage]) -> impl Iterator<Item = &Path> {
    let first = |(index, image): &(usize, &FoundImage)| {
        *index == 0 || found[index - 1].place.path != image.place.path
    };
    found.iter().enumerate().filter(first).map(|(_, image)| image.place.path.as_path())
}

fn endings(found: &[FoundImage]) -> Vec<(String, usize)> {
    let mut endings = BTreeMap::new();
    for path in files(found) {
        let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        *endings.entry(ending).or_insert(0) += 1;
    }
    endings.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A scene with noise, as a file of 8 or of 16 bits of which 12 are used.
    fn save(path: &Path, index: u64, sigma: f32, deep: bool) {
        let scene = testing::scene(index);
        let noise = testing::white(index, &scene, sigma);
        let values = scene.values.iter().zip(noise).map(|(value, noise)| value + noise);
        let samples = if deep {
            Samples::Sixteen(values.map(|v| (v * 16.0).clamp(0.0, 4095.0) as u16).collect())
        } else {
            Samples::Eight(values.map(|v| v.round().clamp(0.0, 255.0) as u8).collect())
        };
        let image = ImageFile::new([scene.height, scene.width, 1], samples).unwrap();
        image.save(path).unwrap();
    }

    #[test]
    fn files_sizes_values_and_noise_of_a_folder_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for index in 0..3 {
            save(&at(&format!("{index}.png")), index, 20.0, false);
        }
        std::fs::write(at("broken.png"), "no image").unwrap();
        std::fs::create_dir(at("deep")).unwrap();
        let page = ImageFile::open(at("0.png")).unwrap();
        ImageFile::save_pages(at("deep/a.tif"), &[page.clone(), page]).unwrap();
        let survey = Survey::of(folder.path()).unwrap();
        assert_eq!((survey.files, survey.images, survey.measured), (5, 5, 5));
        assert_eq!(survey.endings, [("png".to_owned(), 4), ("tif".to_owned(), 1)]);
        assert_eq!((survey.smallest, survey.largest), ([160, 200], [160, 200]));
        assert!(survey.damaged[0].contains("broken.png") && survey.damaged.len() == 1);
        assert!(!survey.is_coloured && !survey.values.are_one());
        let sigma = survey.noise.unwrap().deviation * 255.0;
        assert!((sigma - 20.0).abs() < 2.0, "{sigma}");
    }

    #[test]
    fn twelve_bits_in_sixteen_use_a_sixteenth_of_the_range() {
        let folder = tempfile::tempdir().unwrap();
        save(&folder.path().join("a.tif"), 0, 20.0, true);
        let survey = Survey::of(folder.path()).unwrap();
        let [_, high] = survey.values.ends.map(|end| end * survey.values.white);
        assert!((3_000.0..=4_095.0).contains(&high.round()), "{high}");
        assert!(survey.values.span() < 1.0 / 16.0);
        assert!(survey.noise.unwrap().is_worth_removing(survey.values.span()));
    }

    #[test]
    fn a_folder_of_nothing_that_can_be_read_is_refused_with_the_first_reason() {
        let folder = tempfile::tempdir().unwrap();
        let refusal = || Survey::of(folder.path()).unwrap_err().to_string();
        assert!(refusal().contains("holds no image"), "{}", refusal());
        std::fs::write(folder.path().join("a.png"), "no image").unwrap();
        assert!(refusal().contains("a.png"), "{}", refusal());
    }
}
