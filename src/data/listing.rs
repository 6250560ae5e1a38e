//! Which images are learned from and which are tested on: files, and the pages of TIFFs. No file is opened
//! here but lists and, for the number of their pages, TIFFs.

use std::collections::{HashMap, HashSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::bursts;
use super::error::DataError;
use super::part::Part;
use super::stored::split_at;
use crate::config::data::{ImageFiles, ImageFolder, Pairs};
use crate::formats::image_file::{ImagePlace, find_images};
use crate::system::terminal::complain;
use crate::system::text_file;

/// Share of the images that are the test set where nothing is said.
pub(super) const TEST_FRACTION: f64 = 0.1;

/// What to set for another test set where `data.test` is set: no fraction goes with it.
const OTHER_TEST: &str = "data.test=PATH";

/// One image, or a pair of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its file's path below its folder.
    pub relative: PathBuf,
    /// What the model sees, before any corruption.
    pub input: ImagePlace,
    /// What it should give, where that is another file.
    pub clean: Option<ImagePlace>,
}

impl Entry {
    /// The relative path, with the page's number where its file has several.
    pub(super) fn name(&self) -> String {
        self.input.named(&self.relative)
    }

    /// What it has in common with its partner.
    fn key(&self) -> (PathBuf, Option<usize>) {
        (self.relative.with_extension(""), self.input.page.map(|page| page.number))
    }
}

/// Both sets, each in the order of its paths; a list keeps its own.
#[derive(Debug)]
pub(super) struct Listing {
    pub train: (Vec<Entry>, Part),
    pub test: (Vec<Entry>, Part),
}

impl Listing {
    fn of(train: Vec<Entry>, test: Vec<Entry>) -> Self {
        Self { train: (train, Part::Whole), test: (test, Part::Whole) }
    }
}

/// The images of a folder.
pub(super) fn images(data: &ImageFolder) -> Result<Listing, DataError> {
    if data.bursts {
        return bursts::listing(data);
    }
    let all = folder("data.train", &data.train)?;
    match data.test.as_deref() {
        Some(test) if !test.is_file() => {
            let test = folder("data.test", test)?;
            let train = without(all, &test, &data.train, "the images of data.test")?;
            Ok(Listing::of(train, test))
        }
        list => divide(all, &data.train, list, &data.files),
    }
}

/// The pairs of two folders.
pub(super) fn pairs(data: &Pairs) -> Result<Listing, DataError> {
    let all = both(["data.noisy", "data.clean"], &data.noisy, &data.clean)?;
    match data.test.as_deref() {
        Some(test) if !test.is_file() => {
            let test = pair_folder(test)?;
            let train = without(all, &test, &data.noisy, "the pairs of data.test")?;
            Ok(Listing::of(train, test))
        }
        list => divide(all, &data.noisy, list, &data.files),
    }
}

/// The test images alone: a folder of theirs does not need the training folder.
pub(super) fn test_images(data: &ImageFolder) -> Result<(Vec<Entry>, Part), DataError> {
    match data.test.as_deref() {
        Some(test) if data.bursts && !test.is_file() => {
            Ok((bursts::test_pairs(test)?, Part::Whole))
        }
        Some(test) if !test.is_file() => Ok((folder("data.test", test)?, Part::Whole)),
        _ => images(data).map(|listing| listing.test),
    }
}

/// The test pairs alone.
pub(super) fn test_pairs(data: &Pairs) -> Result<(Vec<Entry>, Part), DataError> {
    match data.test.as_deref() {
        Some(test) if !test.is_file() => Ok((pair_folder(test)?, Part::Whole)),
        _ => pairs(data).map(|listing| listing.test),
    }
}

/// Folders `noisy` and `clean` in one.
fn pair_folder(folder: &Path) -> Result<Vec<Entry>, DataError> {
    let (noisy, clean) = (folder.join("noisy"), folder.join("clean"));
    for path in [folder, &noisy, &clean] {
        if !path.is_dir() {
            return Err(DataError::NoFolder { key: "data.test", path: path.to_owned() });
        }
    }
    both(["data.test", "data.test"], &noisy, &clean)
}

fn both(keys: [&'static str; 2], noisy: &Path, clean: &Path) -> Result<Vec<Entry>, DataError> {
    let pairs = matched(folder(keys[0], noisy)?, folder(keys[1], clean)?)?;
    if pairs.is_empty() {
        return Err(DataError::NoPairs { noisy: noisy.into(), clean: clean.into() });
    }
    Ok(pairs)
}

pub(super) fn folder(key: &'static str, path: &Path) -> Result<Vec<Entry>, DataError> {
    if !path.is_dir() {
        return Err(DataError::NoFolder { key, path: path.to_owned() });
    }
    let found = find_images(&[path.to_owned()]).map_err(DataError::Image)?;
    if found.is_empty() {
        return Err(DataError::NothingFound { key, path: path.to_owned() });
    }
    let found = found.into_iter();
    Ok(found
        .map(|image| Entry { relative: image.relative, input: image.place, clean: None })
        .collect())
}

/// Partners by relative path without the ending, and by page; images without one are named and left out.
fn matched(noisy: Vec<Entry>, clean: Vec<Entry>) -> Result<Vec<Entry>, DataError> {
    let noisy_names = by_name(&noisy)?;
    let clean_names = by_name(&clean)?;
    for entry in &clean {
        if !noisy_names.contains_key(&entry.key()) {
            complain(format_args!("{} has no noisy partner; left out", entry.input));
        }
    }
    let mut pairs = Vec::new();
    for entry in noisy {
        match clean_names.get(&entry.key()) {
            Some(partner) => pairs.push(Entry { clean: Some((*partner).clone()), ..entry }),
            None => {
                complain(format_args!("{} has no clean partner; left out", entry.input));
            }
        }
    }
    Ok(pairs)
}

fn by_name(entries: &[Entry]) -> Result<HashMap<(PathBuf, Option<usize>), &ImagePlace>, DataError> {
    let mut names = HashMap::new();
    for entry in entries {
        if let Some(first) = names.insert(entry.key(), &entry.input) {
            let (first, second) = (first.shown(), entry.input.shown());
            return Err(DataError::Twins { first, second });
        }
    }
    Ok(names)
}

/// Nothing is learned from the test set, wherever its files are; `tested` names it.
pub(super) fn without(
    mut all: Vec<Entry>,
    test: &[Entry],
    folder: &Path,
    tested: &str,
) -> Result<Vec<Entry>, DataError> {
    let count = all.len();
    let real = |entry: &Entry| entry.input.canonicalize();
    let places: HashSet<ImagePlace> = test.iter().filter_map(real).collect();
    all.retain(|entry| real(entry).is_none_or(|place| !places.contains(&place)));
    if all.is_empty() {
        let (path, split) = (folder.to_owned(), format!("without {tested}"));
        let (left, setting) = ("nothing to learn from", OTHER_TEST);
        return Err(DataError::Split { count, path, split, left, setting });
    }
    Ok(all)
}

/// The test set is what a list names, or the last part; where `patches` are cut from a single image, the
/// last part of that image.
pub(super) fn divide(
    mut all: Vec<Entry>,
    folder: &Path,
    list: Option<&Path>,
    options: &ImageFiles,
) -> Result<Listing, DataError> {
    let Some(list) = list else {
        let fraction = options.test_fraction.unwrap_or(TEST_FRACTION);
        if options.patches.is_some() && all.len() == 1 {
            let train = (all.clone(), Part::First(fraction));
            return Ok(Listing { train, test: (all, Part::Last(fraction)) });
        }
        let at =
            split_at(all.len(), fraction).ok_or_else(|| too_few(all.len(), folder, fraction))?;
        let test = all.split_off(at);
        return Ok(Listing::of(all, test));
    };
    let lines = text_file::read(list).map_err(|error| {
        let path = list.to_owned();
        match error.kind() {
            ErrorKind::InvalidData => DataError::NotText { path, error },
            _ => DataError::Unreadable { path, error },
        }
    })?;
    // A file stands for all of its pages, and `a.tif[3]` for one.
    let mut places: HashMap<PathBuf, Vec<usize>> = HashMap::new();
    for (index, entry) in all.iter().enumerate() {
        places.entry(entry.relative.clone()).or_default().push(index);
        if entry.input.page.is_some() {
            places.entry(entry.name().into()).or_default().push(index);
        }
    }
    let (mut chosen, mut seen): (Vec<usize>, HashSet<usize>) = (Vec::new(), HashSet::new());
    for (line, written) in (1..).zip(lines.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let path = Path::new(written.trim());
        let relative = path.strip_prefix(".").unwrap_or(path);
        let named = places.get(relative).ok_or_else(|| DataError::NotListed {
            list: list.to_owned(),
            line,
            text: written.trim().to_owned(),
            folder: folder.to_owned(),
        })?;
        chosen.extend(named.iter().filter(|&&place| seen.insert(place)));
    }
    let test: Vec<Entry> = chosen.iter().map(|&place| all[place].clone()).collect();
    let listed = || format!("by {}", list.display());
    if test.is_empty() || test.len() == all.len() {
        let left = if test.is_empty() { "no test set" } else { "nothing to learn from" };
        let (count, path, setting) = (all.len(), folder.to_owned(), OTHER_TEST);
        return Err(DataError::Split { count, path, split: listed(), left, setting });
    }
    let train = (0..).zip(all).filter(|(i, _)| !seen.contains(i)).map(|(_, entry)| entry);
    Ok(Listing::of(train.collect(), test))
}

/// The refusal of a fraction that would leave one of the sets empty.
pub(super) fn too_few(count: usize, path: &Path, fraction: f64) -> DataError {
    let at = (count as f64 * (1.0 - fraction)).floor() as usize;
    let left = if at == 0 { "nothing to learn from" } else { "no test set" };
    let split = format!("test_fraction = {fraction}");
    // Of one image no fraction makes two sets.
    let setting = if count > 1 { "data.test_fraction=0.1" } else { OTHER_TEST };
    DataError::Split { count, path: path.to_owned(), split, left, setting }
}
