//! Bursts: several shots of one thing, each with noise of its own. Of any two the one is what a model sees and
//! the other what it should give, as in Lehtinen et al., "Noise2Noise", 2018: the mean of what it should give
//! is the clean image.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::error::DataError;
use super::listing::{Entry, Listing, divide, folder, without};
use super::part::Part;
use crate::config::data::ImageFolder;
use crate::system::terminal::complain;

/// The shots of one thing.
type Burst = Vec<Entry>;

/// The pairs of a folder of bursts.
pub(super) fn listing(data: &ImageFolder) -> Result<Listing, DataError> {
    let train = folder("data.train", &data.train)?;
    match data.test.as_deref() {
        Some(test) if !test.is_file() => {
            let test = test_pairs(test)?;
            let train = without(train, &test, &data.train, "the images of data.test")?;
            let train = pairs(&bursts(train, &data.train)?);
            Ok(Listing { train: (train, Part::Whole), test: (test, Part::Whole) })
        }
        Some(list) => Err(DataError::BurstList { list: list.to_owned() }),
        None => {
            // A burst is learned from or tested on, but never both.
            let bursts = bursts(train, &data.train)?;
            let firsts = bursts.iter().map(|burst| burst[0].clone()).collect();
            let Listing { train, test } = divide(firsts, &data.train, None, &data.files)?;
            let pairs_of = |(firsts, part): (Vec<Entry>, Part)| {
                let led = |burst: &&Burst| firsts.contains(&burst[0]);
                let bursts: Vec<Burst> = bursts.iter().filter(led).cloned().collect();
                (pairs(&bursts), part)
            };
            Ok(Listing { train: pairs_of(train), test: pairs_of(test) })
        }
    }
}

/// Those of a folder for the test set.
pub(super) fn test_pairs(test: &Path) -> Result<Vec<Entry>, DataError> {
    Ok(pairs(&bursts(folder("data.test", test)?, test)?))
}

/// The images of each folder, and the pages of each TIFF; single ones are named and left out.
fn bursts(entries: Vec<Entry>, folder: &Path) -> Result<Vec<Burst>, DataError> {
    let mut bursts: BTreeMap<PathBuf, Burst> = BTreeMap::new();
    for entry in entries {
        let of_pages = entry.input.page.is_some();
        let path = if of_pages { Some(entry.relative.as_path()) } else { entry.relative.parent() };
        bursts.entry(path.unwrap_or(Path::new("")).to_owned()).or_default().push(entry);
    }
    let (single, bursts): (Vec<Burst>, Vec<Burst>) =
        bursts.into_values().partition(|burst| burst.len() == 1);
    for burst in single {
        complain(format_args!("{} is the only shot of its burst; left out", burst[0].input));
    }
    if bursts.is_empty() {
        return Err(DataError::NoBursts { path: folder.to_owned() });
    }
    Ok(bursts)
}

/// Each shot with each other one.
fn pairs(bursts: &[Burst]) -> Vec<Entry> {
    let mut pairs = Vec::new();
    for burst in bursts {
        for (seen, shot) in burst.iter().enumerate() {
            let others = burst.iter().enumerate().filter(|&(other, _)| other != seen);
            pairs.extend(
                others.map(|(_, other)| Entry { clean: Some(other.input.clone()), ..shot.clone() }),
            );
        }
    }
    pairs
}
