//! What results are called. `a.png` and `a.jpg` both give `a.png`, as long as they are alone; beside
//! each other, the JPEG gives `a.jpg.png`. That hangs on what lies there and not on the order in which
//! images are named, nor on which of them are named together, so that a later call goes on where an
//! earlier one stopped.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::formats::image_file::{Format, Found, ImageProblem, dimensions, is_called_an_image};

/// Files by what they would give, were each alone: file names in one folder.
type Folder = HashMap<OsString, Vec<PathBuf>>;

/// The names of the results of some images.
#[derive(Debug)]
pub struct Names<'a> {
    /// Folder for the results.
    out: &'a Path,
    /// The format of all results; by the images' names where not set.
    format: Option<Format>,
    found: &'a [Found],
    /// Of those whose results are called so, were each alone, the places among `found`.
    alike: HashMap<PathBuf, Vec<usize>>,
    folders: RefCell<HashMap<PathBuf, Rc<Folder>>>,
}

impl<'a> Names<'a> {
    /// For these images, below `out`.
    pub fn new(out: &'a Path, format: Option<Format>, found: &'a [Found]) -> Self {
        let mut alike: HashMap<PathBuf, Vec<usize>> = HashMap::new();
        for (index, Found { relative, .. }) in found.iter().enumerate() {
            alike.entry(short(relative, format)).or_default().push(index);
        }
        Self { out, format, found, alike, folders: RefCell::default() }
    }

    /// The format of an image's result.
    pub fn format(&self, image: &Found) -> Format {
        format_of(&image.relative, self.format)
    }

    /// Below the folder for the results.
    pub fn name(&self, image: &Found) -> PathBuf {
        let short = short(&image.relative, self.format);
        if short == image.relative || !self.is_contested(&short, image) {
            return short;
        }
        long(&image.relative, self.format(image))
    }

    /// Whether another image, named too or beside this one, would give the same result.
    fn is_contested(&self, name: &Path, image: &Found) -> bool {
        let named = self.alike.get(name).into_iter().flatten().map(|&index| &self.found[index]);
        let named = named.filter(|other| other.relative != image.relative).map(|other| &other.path);
        let folder = self.folder_of(&image.path);
        let beside = name.file_name().and_then(|name| folder.get(name)).into_iter().flatten();
        let beside = beside.filter(|other| other.file_name() != image.path.file_name());
        // An earlier result is no image to this end, though its folder may be the images' own.
        let result = self.out.join(name).canonicalize().ok();
        let is_result = |path: &Path| result.is_some() && path.canonicalize().ok() == result;
        named.chain(beside).any(|other| !is_result(other) && sniff(other).is_ok())
    }

    fn folder_of(&self, image: &Path) -> Rc<Folder> {
        let folder = match image.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let mut folders = self.folders.borrow_mut();
        let listed = || {
            let mut files = Folder::new();
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let name = entry.file_name();
                // A pipe would keep its reader waiting.
                let regular = fs::metadata(entry.path()).is_ok_and(|data| data.is_file());
                if regular && is_called_an_image(Path::new(&name)) {
                    let short = short(Path::new(&name), self.format).into_os_string();
                    files.entry(short).or_default().push(entry.path());
                }
            }
            Rc::new(files)
        };
        Rc::clone(folders.entry(folder.to_owned()).or_insert_with(listed))
    }
}

/// Whether a file is an image by its content, be it damaged; else a sentence that says what is wrong.
pub fn sniff(path: &Path) -> Result<(), String> {
    use ImageProblem::{Empty, NotAnImage, Read};
    // What comes out of a pipe comes once, and is for its reader.
    if fs::metadata(path).is_ok_and(|data| !data.is_file()) {
        return Ok(());
    }
    match dimensions(path).map_err(|error| error.problem) {
        Err(problem @ (Read(_) | Empty | NotAnImage)) => Err(problem.to_string()),
        _ => Ok(()),
    }
}

/// What the result of an image is called that is alone: an image's ending is replaced, another one is
/// part of the name.
fn short(relative: &Path, format: Option<Format>) -> PathBuf {
    let (own, format) = (Format::for_result_of(relative), format_of(relative, format));
    if own == Format::Tiff && format == Format::Tiff {
        return relative.to_owned();
    }
    if is_called_an_image(relative) {
        return relative.with_extension(ending(format));
    }
    long(relative, format)
}

/// The whole name, and the result's ending.
fn long(relative: &Path, format: Format) -> PathBuf {
    let mut name = relative.as_os_str().to_owned();
    name.push(".");
    name.push(ending(format));
    PathBuf::from(name)
}

fn format_of(relative: &Path, all: Option<Format>) -> Format {
    all.unwrap_or_else(|| Format::for_result_of(relative))
}

fn ending(format: Format) -> &'static str {
    match format {
        Format::Png => "png",
        Format::Tiff => "tif",
    }
}
