//! The images that paths stand for: files are taken as they are, folders are searched.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::{Album, ImageError, ImagePlace, ImageProblem, Loss};
use crate::system::terminal::complain;

/// Endings of the files that a search takes, in small letters.
const ENDINGS: [&str; 14] = [
    "png", "jpg", "jpeg", "jpe", "jfif", "bmp", "dib", "tif", "tiff", "webp", "pnm", "pbm", "pgm",
    "ppm",
];

/// Endings of images that we do not read.
const FOREIGN: [&str; 41] = [
    "gif", "heic", "heif", "hif", "avif", "jxl", "jp2", "j2k", "jpx", "jxr", "svg", "ico", "tga",
    "exr", "hdr", "pfm", "pcx", "psd", "xcf", "dds", "fits", "dcm", "dng", "cr2", "cr3", "crw",
    "nef", "nrw", "arw", "srf", "sr2", "orf", "rw2", "raf", "pef", "srw", "raw", "rwl", "iiq",
    "3fr", "erf",
];

/// An image and where it stood.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// Its path below the folder that was named; its name, where the file itself was.
    pub relative: PathBuf,
    /// To open it by.
    pub path: PathBuf,
}

/// An image and what to call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundImage {
    /// Its file's path below the folder that was named; the file's name, where it was named itself.
    pub relative: PathBuf,
    /// To read it by.
    pub place: ImagePlace,
}

impl FoundImage {
    /// The relative path, of a TIFF of several pages with the page's number: `a.tif[3]`.
    #[must_use]
    pub fn name(&self) -> String {
        self.place.named(&self.relative)
    }
}

/// The same as [`find`], each page of a TIFF by itself. What else the TIFFs hold is said to be left out.
///
/// # Errors
/// When a folder cannot be listed.
pub fn find_images(paths: &[PathBuf]) -> Result<Vec<FoundImage>, ImageError> {
    let mut images = Vec::new();
    let mut left_out = BTreeMap::new();
    for Found { relative, path } in find(paths)? {
        let found = |page| {
            let place = ImagePlace { path: path.clone(), page };
            FoundImage { relative: relative.clone(), place }
        };
        // A file that cannot be looked into is for its reader to name.
        let album = may_have_pages(&path).then(|| Album::open(&path).ok()).flatten();
        let pages = album.as_ref().map(Album::pages).unwrap_or_default();
        if pages.is_empty() {
            images.push(found(None));
        }
        images.extend(pages.into_iter().map(|page| found(Some(page))));
        for (loss, count) in album.iter().flat_map(Album::left_out).filter(|(_, count)| *count > 0)
        {
            let (files, all) = left_out.entry(loss).or_insert((0, 0));
            (*files, *all) = (*files + 1, *all + count);
        }
    }
    for (loss, (files, count)) in left_out {
        let what = match loss {
            Loss::Reduced => "thumbnail(s) or other smaller copies",
            _ => "mask(s)",
        };
        complain(format_args!("{count} {what} in {files} TIFF file(s) are left out"));
    }
    Ok(images)
}

/// Not so a file whose name says that it is of another format: with its content it would be refused.
fn may_have_pages(path: &Path) -> bool {
    !is_special(path) && (has_ending(path, &["tif", "tiff"]) || !has_ending(path, &ENDINGS))
}

/// Files as named, whatever they are and whether they exist, and the images in folders and their
/// subfolders, by their endings: in the order of `paths`, each folder's sorted by relative path.
/// Hidden files and folders are left out. Links are followed, but not into a folder that they stand
/// in. Images of formats that are not read are counted and named.
///
/// # Errors
/// When a folder cannot be listed.
pub fn find(paths: &[PathBuf]) -> Result<Vec<Found>, ImageError> {
    let mut all = Vec::new();
    for path in paths {
        if path.is_dir() {
            let (mut found, mut foreign) = (Vec::new(), Vec::new());
            search(path, Path::new(""), &mut Vec::new(), &mut found, &mut foreign)?;
            found.sort();
            all.append(&mut found);
            name_foreign(path, foreign);
        } else {
            let relative = path.file_name().map_or_else(|| path.clone(), PathBuf::from);
            all.push(Found { relative, path: path.clone() });
        }
    }
    Ok(all)
}

/// `above` are the folders on the way down, as the system knows them.
fn search(
    folder: &Path,
    relative: &Path,
    above: &mut Vec<PathBuf>,
    found: &mut Vec<Found>,
    foreign: &mut Vec<PathBuf>,
) -> Result<(), ImageError> {
    let refuse = |error| ImageError { path: folder.to_owned(), problem: ImageProblem::Read(error) };
    let real = folder.canonicalize().map_err(refuse)?;
    if above.contains(&real) {
        return Ok(());
    }
    above.push(real);
    for entry in fs::read_dir(folder).map_err(refuse)? {
        let entry = entry.map_err(refuse)?;
        let (name, path) = (entry.file_name(), entry.path());
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let relative = relative.join(&name);
        if path.is_dir() {
            search(&path, &relative, above, found, foreign)?;
        } else if has_ending(&path, &ENDINGS) && !is_special(&path) {
            found.push(Found { relative, path });
        } else if has_ending(&path, &FOREIGN) {
            foreign.push(relative);
        }
    }
    above.pop();
    Ok(())
}

/// Whether a file is called as an image that we read.
#[must_use]
pub fn is_called_an_image(path: &Path) -> bool {
    has_ending(path, &ENDINGS)
}

fn has_ending(path: &Path, endings: &[&str]) -> bool {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    ending.is_some_and(|ending| endings.contains(&ending.as_str()))
}

/// Says once of a folder, however often it is searched, what images it holds that are not read.
fn name_foreign(folder: &Path, mut foreign: Vec<PathBuf>) {
    static NAMED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    let mut named = NAMED.lock().unwrap_or_else(PoisonError::into_inner);
    if !foreign.is_empty() && named.insert(folder.to_owned()) {
        foreign.sort();
        complain(format_args!("{}", foreign_words(folder, &foreign)));
    }
}

fn foreign_words(folder: &Path, foreign: &[PathBuf]) -> String {
    /// More would hide what else is said.
    const SHOWN: usize = 3;
    let shown: Vec<_> = foreign.iter().take(SHOWN).map(|path| path.display().to_string()).collect();
    let more = if foreign.len() > SHOWN { ", ..." } else { "" };
    format!(
        "{} image(s) in {} are of formats that we do not read, and are left out ({}{more}); save them as \
         PNG or TIFF",
        foreign.len(),
        folder.display(),
        shown.join(", ")
    )
}

/// A pipe or a device, which would keep its reader waiting; a link to nothing is for the reader to
/// name.
fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|data| !data.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_of_formats_that_are_not_read_are_counted_and_three_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["d/a.GIF", "d/b.heic", "c.nef", "z.cr2", "a.png", "a.json", "notes.txt"];
        fs::create_dir(folder.path().join("d")).unwrap();
        for name in names {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let (mut found, mut foreign) = (Vec::new(), Vec::new());
        search(folder.path(), Path::new(""), &mut Vec::new(), &mut found, &mut foreign).unwrap();
        foreign.sort();
        assert_eq!(found.len(), 1);
        let words = foreign_words(Path::new("images"), &foreign);
        assert!(words.starts_with("4 image(s) in images"), "{words}");
        assert!(words.contains("(c.nef, d/a.GIF, d/b.heic, ...)"), "{words}");
    }
}
