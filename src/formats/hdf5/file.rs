//! Groups and datasets, opened by name. Whatever a call makes the crate read counts towards a limit
//! that the file's length sets.

use std::fmt;
use std::sync::Arc;

use hdf5_reader::error::Error;
use hdf5_reader::messages::HdfMessage;
use hdf5_reader::{Datatype, Hdf5File, OpenOptions, Storage};

use super::attribute::Attributes;
use super::chunks::Assembly;
use super::elements::Elements;
use super::error::Hdf5Error;
use super::most_bytes;
use super::source::{Metered, Source};
use crate::formats::checkpoint::{Array, DType, shown};

/// The most bytes that describe one group or dataset; attributes take at most 64 KiB each, and more
/// than eight of them are stored elsewhere.
const MAX_HEADER: usize = 4 << 20;
/// The longest path, in bytes; every array keeps its own.
const MAX_PATH: usize = 1000;
/// How many times its own bytes a file may make us read about its groups, and what is allowed on top.
/// Files of Keras come to a fifth.
const MAX_READ: (u64, u64) = (4, 1 << 18);
/// What is read from a file at a time; a multiple of every element's size.
const PIECE: usize = 1 << 20;

/// An open HDF5 file. Copies are cheap and share what was read.
#[derive(Clone)]
pub struct File {
    crate_file: Hdf5File,
    metered: Arc<Metered>,
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("File").field(self.metered.source()).finish()
    }
}

impl File {
    /// Reads the start of a file; the rest is read when it is asked for.
    ///
    /// # Errors
    /// When it is not HDF5, and when the system refuses.
    pub fn open(source: Source) -> Result<Self, Hdf5Error> {
        let most_read = source.len().saturating_mul(MAX_READ.0).saturating_add(MAX_READ.1);
        let most = usize::try_from(most_bytes(source.len())).unwrap_or(usize::MAX);
        let metered = Arc::new(Metered::new(source, most_read));
        let options = OpenOptions::default()
            .with_chunk_cache_bytes(0)
            .with_chunk_cache_slots(0)
            .with_max_chunk_bytes(most)
            .with_max_read_bytes(most)
            .with_max_object_header_bytes(MAX_HEADER);
        let storage: Arc<dyn Storage> = metered.clone();
        let crate_file = Hdf5File::from_storage_with_options(storage, options)?;
        let end = crate_file.superblock().eof_address;
        if end > metered.len() && !is_undefined(&crate_file, end) {
            let detail = format!("it has {} bytes of {end}", metered.len());
            return Err(Hdf5Error::Damaged(detail));
        }
        Ok(Self { crate_file, metered })
    }

    /// The group that everything lies in.
    ///
    /// # Errors
    /// When the file does not say where it is.
    pub fn root(&self) -> Result<Group, Hdf5Error> {
        let group = self.crate_file.root_group()?;
        Ok(Group { file: self.clone(), inner: group, path: String::new() })
    }

    /// How many bytes the file has.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.metered.len()
    }
}

/// A group: a folder of the file.
#[derive(Clone)]
pub struct Group {
    file: File,
    inner: hdf5_reader::group::Group,
    path: String,
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Group").field(&self.path).finish()
    }
}

/// What lies directly in a group, in the file's order: most files are sorted by name.
#[derive(Clone, Debug)]
pub struct Members {
    /// The groups.
    pub groups: Vec<Group>,
    /// The datasets.
    pub datasets: Vec<Dataset>,
}

impl Group {
    /// Where it lies, such as `layers/conv2d`; the root's path is empty.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What tells it from every other group, whatever names lead to it.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.inner.address()
    }

    /// Its name within the group that it lies in; the root's is empty.
    #[must_use]
    pub fn name(&self) -> &str {
        last_name(&self.path)
    }

    /// What lies in it.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn members(&self) -> Result<Members, Hdf5Error> {
        let (groups, datasets) = self.inner.members()?;
        let groups = groups.into_iter().map(|inner| {
            let path = self.path_of(inner.name())?;
            Ok(Self { file: self.file.clone(), inner, path })
        });
        let datasets = datasets.into_iter().map(|inner| {
            let path = self.path_of(inner.name())?;
            Dataset::new(&self.file, inner, path)
        });
        let groups: Result<_, Hdf5Error> = groups.collect();
        let datasets: Result<_, Hdf5Error> = datasets.collect();
        Ok(Members { groups: groups?, datasets: datasets? })
    }

    /// The group at a path of names with slashes between; `None` where there is none.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn group(&self, path: &str) -> Result<Option<Self>, Hdf5Error> {
        let whole = self.path_of(path)?;
        let mut inner = self.inner.clone();
        for name in path.split('/').filter(|name| !name.is_empty()) {
            inner = match inner.group(name) {
                Ok(group) => group,
                Err(Error::GroupNotFound(_)) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
        }
        Ok(Some(Self { file: self.file.clone(), inner, path: whole }))
    }

    /// The dataset at a path of names with slashes between; `None` where there is none.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn dataset(&self, path: &str) -> Result<Option<Dataset>, Hdf5Error> {
        let whole = self.path_of(path)?;
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let Some(parent) = self.group(folder)? else { return Ok(None) };
        match parent.inner.dataset(name) {
            Ok(inner) => Dataset::new(&self.file, inner, whole).map(Some),
            Err(Error::DatasetNotFound(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Its attributes.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn attributes(&self) -> Result<Attributes, Hdf5Error> {
        let raw = self.inner.raw_attributes()?;
        let group = self.inner.clone();
        let fetch = move |reference: &[u8]| group.resolve_vlen_reference_bytes(reference, 1);
        Ok(Attributes::new(raw, self.file.length(), fetch))
    }

    /// The whole path of what lies in the group at `path`.
    fn path_of(&self, path: &str) -> Result<String, Hdf5Error> {
        if self.path.len() + path.len() >= MAX_PATH {
            let detail = format!("a path takes more than {MAX_PATH} bytes");
            return Err(Hdf5Error::Damaged(detail));
        }
        let path = path.trim_matches('/');
        Ok(if self.path.is_empty() { path.to_owned() } else { format!("{}/{path}", self.path) })
    }
}

/// An array in the file, whose values are read when they are asked for.
#[derive(Clone)]
pub struct Dataset {
    file: File,
    inner: hdf5_reader::Dataset,
    path: String,
    shape: Vec<usize>,
    elements: Option<Elements>,
}

impl fmt::Debug for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dataset({:?}, {:?}, {:?})", self.path, self.shape, self.elements)
    }
}

impl Dataset {
    fn new(file: &File, inner: hdf5_reader::Dataset, path: String) -> Result<Self, Hdf5Error> {
        let shape = inner.shape().iter().map(|&axis| usize::try_from(axis)).collect();
        let shape: Result<Vec<usize>, _> = shape;
        let shape = shape.map_err(|_| Hdf5Error::damaged("an axis is too long"))?;
        let elements = elements_of(file, &inner)?;
        Ok(Self { file: file.clone(), inner, path, shape, elements })
    }

    /// Where it lies, such as `layers/conv2d/vars/0`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its name within the group that it lies in.
    #[must_use]
    pub fn name(&self) -> &str {
        last_name(&self.path)
    }

    /// The length of each axis.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements that [`Dataset::read`] gives; `None` when there are no plain numbers to read.
    #[must_use]
    pub fn dtype(&self) -> Option<DType> {
        self.elements.map(Elements::dtype)
    }

    /// The bytes of what [`Dataset::read`] gives; `None` when it refuses in any case.
    #[must_use]
    pub fn byte_len(&self) -> Option<u64> {
        self.bytes_of(self.dtype()?.size())
    }

    fn bytes_of(&self, size: usize) -> Option<u64> {
        let mut sides = self.shape.iter().map(|&side| side as u64);
        sides.try_fold(size as u64, u64::checked_mul)
    }

    /// Reads the values. Shorter floating-point numbers become float32, whole numbers int64.
    ///
    /// # Errors
    /// When the elements are not plain numbers, when the file is damaged or claims too much, and
    /// when the system refuses.
    pub fn read(&self) -> Result<Array, Hdf5Error> {
        let refused = || Hdf5Error::Elements(shown(&self.path));
        let elements = self.elements.ok_or_else(refused)?;
        let most = most_bytes(self.file.length());
        let fits = |bytes: &u64| *bytes <= most;
        let length = self.bytes_of(elements.size()).filter(fits);
        self.byte_len().filter(fits).and(length).ok_or_else(|| self.too_large())?;
        let length = length.unwrap_or_default() as usize;
        let metered = &self.file.metered;
        let bytes = metered.within(most, || self.read_bytes(elements, length))?;
        Ok(Array::new(elements.dtype(), self.shape.clone(), bytes.ok_or_else(refused)?)?)
    }

    /// The values as an array has them, from `length` bytes of the file's elements. `Ok(None)` when a
    /// whole number is too large.
    fn read_bytes(&self, elements: Elements, length: usize) -> Result<Option<Vec<u8>>, Hdf5Error> {
        match self.layout()? {
            Layout::Here(bytes) if bytes.len() == length => Ok(convert(elements, &bytes)),
            Layout::Here(_) => {
                let detail = format!("`{}` does not fill its shape", shown(&self.path));
                Err(Hdf5Error::Damaged(detail))
            }
            Layout::At(address) => self.read_contiguous(elements, address, length),
            Layout::Nowhere => Ok(convert(elements, &self.filled(elements, length)?.into_bytes())),
            Layout::Chunked => Ok(convert(elements, &self.read_chunks(elements, length)?)),
        }
    }

    fn too_large(&self) -> Hdf5Error {
        let (path, length) = (shown(&self.path), self.file.length());
        Hdf5Error::TooLarge(format!("`{path}` of shape {:?} in {length} bytes", self.shape))
    }

    /// Where the values are, from the description of the dataset.
    fn layout(&self) -> Result<Layout, Hdf5Error> {
        use hdf5_reader::messages::layout::DataLayout;
        let header = self.file.crate_file.get_or_parse_header(self.inner.address())?;
        let has_files = |message: &HdfMessage| matches!(message, HdfMessage::ExternalFiles(_));
        if header.messages.iter().any(has_files) {
            let detail = format!("`{}` keeps its values in other files", shown(&self.path));
            return Err(Hdf5Error::Unsupported(detail));
        }
        // As the crate has it: the last one counts.
        let mut layouts = header.messages.iter().filter_map(|message| match message {
            HdfMessage::DataLayout(layout) => Some(&layout.layout),
            _ => None,
        });
        match layouts.next_back() {
            Some(DataLayout::Compact { data }) => Ok(Layout::Here(data.clone())),
            Some(DataLayout::Contiguous { address, .. }) => {
                let nowhere = is_undefined(&self.file.crate_file, *address);
                Ok(if nowhere { Layout::Nowhere } else { Layout::At(*address) })
            }
            Some(DataLayout::Chunked { .. }) => Ok(Layout::Chunked),
            None => Err(Hdf5Error::damaged(format!("`{}` is nowhere", shown(&self.path)))),
        }
    }

    /// Reads and converts values that lie side by side, piece by piece. `Ok(None)` when a whole
    /// number is too large.
    fn read_contiguous(
        &self,
        elements: Elements,
        address: u64,
        length: usize,
    ) -> Result<Option<Vec<u8>>, Hdf5Error> {
        // Addresses count from the superblock, before which others may have put something.
        let base = self.file.crate_file.superblock().base_address;
        let source = self.file.metered.source();
        let part = base.checked_add(address).and_then(|at| source.part(at, length as u64));
        let part = part.ok_or_else(|| {
            Hdf5Error::damaged(format!("`{}` reaches beyond its end", shown(&self.path)))
        })?;
        let mut piece = vec![0; PIECE.min(length)];
        let mut out = Vec::with_capacity(length / elements.size() * elements.dtype().size());
        for start in (0..length).step_by(PIECE) {
            let count = PIECE.min(length - start);
            part.read_at(start as u64, &mut piece[..count])?;
            if elements.convert(&piece[..count], &mut out).is_none() {
                return Ok(None);
            }
        }
        Ok(Some(out))
    }

    fn read_chunks(&self, elements: Elements, length: usize) -> Result<Vec<u8>, Hdf5Error> {
        let mut assembly = self.filled(elements, length)?;
        if length > 0 {
            for chunk in self.inner.iter_chunks()? {
                assembly.place(&chunk?)?;
            }
        }
        Ok(assembly.into_bytes())
    }

    /// As it is before anything is written to it.
    fn filled(&self, elements: Elements, length: usize) -> Result<Assembly, Hdf5Error> {
        let most = most_bytes(self.file.length()).saturating_mul(2);
        Ok(Assembly::new(&self.shape, &self.fill(elements)?, length, most))
    }

    /// The element that stands where none was written.
    fn fill(&self, elements: Elements) -> Result<Vec<u8>, Hdf5Error> {
        let stated = self.inner.fill_value().and_then(|fill| fill.value.clone());
        let fill = stated.unwrap_or_else(|| vec![0; elements.size()]);
        if fill.len() == elements.size() {
            return Ok(fill);
        }
        Err(Hdf5Error::damaged(format!("the fill value of `{}`", shown(&self.path))))
    }
}

fn last_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// Whether this address stands for none.
fn is_undefined(file: &Hdf5File, address: u64) -> bool {
    hdf5_reader::io::Cursor::is_undefined_offset(address, file.superblock().offset_size)
}

/// Where the values of a dataset are.
enum Layout {
    /// In its description.
    Here(Vec<u8>),
    /// Side by side, from this byte on.
    At(u64),
    /// In chunks, some of which may be missing.
    Chunked,
    /// None was ever written.
    Nowhere,
}

/// `None` when a whole number is too large.
fn convert(elements: Elements, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len() / elements.size() * elements.dtype().size());
    elements.convert(bytes, &mut out)?;
    Some(out)
}

fn elements_of(file: &File, dataset: &hdf5_reader::Dataset) -> Result<Option<Elements>, Hdf5Error> {
    /// Where a floating-point type's description says how many bits its exponent has.
    const EXPONENT_BITS: usize = 13;
    match dataset.dtype() {
        Datatype::Opaque { size: 2, .. } => {
            let raw = dataset.raw_attributes()?;
            let owned = dataset.clone();
            let fetch = move |reference: &[u8]| owned.resolve_vlen_reference_bytes(reference, 1);
            let name = Attributes::new(raw, file.length(), fetch).text("dtype")?;
            Ok((name.as_deref() == Some("bfloat16")).then_some(Elements::BFLOAT16))
        }
        datatype @ Datatype::FloatingPoint { size: 2, .. } => {
            let bits = dataset.raw_datatype()?.get(EXPONENT_BITS).copied().unwrap_or_default();
            Ok(Elements::of(datatype).and_then(|elements| elements.with_exponent_bits(bits)))
        }
        datatype => Ok(Elements::of(datatype)),
    }
}
