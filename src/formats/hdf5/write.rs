//! Writes HDF5 files that hold groups, attributes and arrays, in one pass and without copying the
//! arrays: the format of HDF5 1.8, which every version since reads. Two equal trees give equal files.
//!
//! ```text
//! superblock | the header of each group and dataset, a group before its members | the arrays
//! ```

use std::collections::BTreeMap;
use std::io::{self, Write};

use hdf5_reader::checksum::jenkins_lookup3;

use super::SIGNATURE;
use crate::formats::checkpoint::{Array, DType};

/// Bytes of the superblock, version 2.
const SUPERBLOCK: u64 = 48;
/// Headers and arrays start at a multiple of this.
const ALIGNMENT: u64 = 8;
/// An address that stands for none.
const UNDEFINED: [u8; 8] = [0xff; 8];

/// The numbers of the messages that a header is made of.
mod message {
    pub(super) const DATASPACE: u8 = 1;
    pub(super) const LINK_INFO: u8 = 2;
    pub(super) const DATATYPE: u8 = 3;
    pub(super) const FILL_VALUE: u8 = 5;
    pub(super) const LINK: u8 = 6;
    pub(super) const LAYOUT: u8 = 8;
    pub(super) const GROUP_INFO: u8 = 10;
    pub(super) const ATTRIBUTE: u8 = 12;
}

/// The value of an attribute to be written. Texts are stored at a fixed width, which h5py gives back
/// as bytes: what every version of Keras can decode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewAttribute {
    /// One text.
    Text(String),
    /// A list of texts, which may be empty.
    Texts(Vec<String>),
}

/// A group to be written, with all that lies in it.
#[derive(Debug, Default)]
pub struct NewGroup<'a> {
    attributes: BTreeMap<String, NewAttribute>,
    members: BTreeMap<String, Member<'a>>,
}

#[derive(Debug)]
enum Member<'a> {
    Group(NewGroup<'a>),
    Dataset(&'a Array),
}

impl<'a> NewGroup<'a> {
    /// Sets an attribute.
    pub fn set(&mut self, name: &str, value: NewAttribute) {
        self.attributes.insert(name.to_owned(), value);
    }

    /// Whether it has an attribute of that name.
    #[must_use]
    pub fn is_set(&self, name: &str) -> bool {
        self.attributes.contains_key(name)
    }

    /// The group at a path of names with slashes between, made where it is missing.
    ///
    /// # Errors
    /// When a dataset has one of these names; gives the path back.
    pub fn group(&mut self, path: &str) -> Result<&mut Self, String> {
        path.split('/').filter(|name| !name.is_empty()).try_fold(self, |group, name| {
            let member = group.members.entry(name.to_owned());
            match member.or_insert_with(|| Member::Group(NewGroup::default())) {
                Member::Group(group) => Ok(group),
                Member::Dataset(_) => Err(path.to_owned()),
            }
        })
    }

    /// Adds an array at a path of names with slashes between.
    ///
    /// # Errors
    /// When something has this name already, or there is none; gives the path back.
    pub fn add(&mut self, path: &str, array: &'a Array) -> Result<(), String> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let members = &mut self.group(folder).map_err(|_| path.to_owned())?.members;
        if name.is_empty() || members.contains_key(name) {
            return Err(path.to_owned());
        }
        members.insert(name.to_owned(), Member::Dataset(array));
        Ok(())
    }

    /// Writes the file whose root this is.
    ///
    /// # Errors
    /// When an attribute takes more than 64 KiB, and whatever `out` returns.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let mut plan = Plan::default();
        plan.group(self)?;
        plan.write(out)
    }

    /// How many bytes [`NewGroup::write`] writes.
    ///
    /// # Errors
    /// When an attribute takes more than 64 KiB.
    pub fn byte_len(&self) -> io::Result<u64> {
        let mut plan = Plan::default();
        plan.group(self)?;
        Ok(plan.places().2)
    }
}

/// Everything in the order in which it is written.
#[derive(Default)]
struct Plan<'a> {
    headers: Vec<Header>,
    arrays: Vec<&'a Array>,
}

/// The description of a group or dataset, of which only addresses are missing.
#[derive(Default)]
struct Header {
    messages: Vec<u8>,
    /// Where in the messages the address of which header or array belongs.
    links: Vec<(usize, Target)>,
}

#[derive(Clone, Copy)]
enum Target {
    Header(usize),
    Array(usize),
}

impl<'a> Plan<'a> {
    /// Adds a group and all below it, and gives the number of its header.
    fn group(&mut self, group: &NewGroup<'a>) -> io::Result<usize> {
        let number = self.headers.len();
        self.headers.push(Header::default());
        let mut header = Header::default();
        // No order of creation is kept, and no index: the links follow one by one.
        header.add(message::LINK_INFO, &[&[0, 0][..], &UNDEFINED, &UNDEFINED].concat())?;
        header.add(message::GROUP_INFO, &[0, 0])?;
        for (name, value) in &group.attributes {
            header.add(message::ATTRIBUTE, &attribute(name, value))?;
        }
        for (name, member) in &group.members {
            let target = match member {
                Member::Group(group) => self.group(group)?,
                Member::Dataset(array) => self.dataset(array)?,
            };
            header.add(message::LINK, &link(name))?;
            header.point_to(Target::Header(target), 0);
        }
        self.headers[number] = header;
        Ok(number)
    }

    fn dataset(&mut self, array: &'a Array) -> io::Result<usize> {
        let mut header = Header::default();
        header.add(message::DATASPACE, &dataspace(Some(array.shape())))?;
        header.add(message::DATATYPE, &number_type(array.dtype()))?;
        // Version 3: space is taken when values are written, and nothing is filled in before.
        header.add(message::FILL_VALUE, &[3, 0b1010])?;
        let length = array.bytes().len() as u64;
        // Version 3: the values lie side by side.
        header.add(message::LAYOUT, &[&[3, 1][..], &UNDEFINED, &length.to_le_bytes()].concat())?;
        if length > 0 {
            header.point_to(Target::Array(self.arrays.len()), size_of_val(&length));
            self.arrays.push(array);
        }
        self.headers.push(header);
        Ok(self.headers.len() - 1)
    }

    /// Where each header and each array starts, and the length of the file.
    fn places(&self) -> (Vec<u64>, Vec<u64>, u64) {
        let mut at = SUPERBLOCK;
        let mut place = |length: usize| {
            let start = at;
            at = (start + length as u64).next_multiple_of(ALIGNMENT);
            start
        };
        let headers = self.headers.iter().map(|header| place(header.byte_len())).collect();
        let arrays = self.arrays.iter().map(|array| place(array.bytes().len())).collect();
        (headers, arrays, at)
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let (headers, arrays, end) = self.places();
        out.write_all(&superblock(headers[0], end))?;
        for header in &self.headers {
            let bytes = header.bytes(|target| match target {
                Target::Header(number) => headers[number],
                Target::Array(number) => arrays[number],
            });
            write_aligned(out, &bytes)?;
        }
        self.arrays.iter().try_for_each(|array| write_aligned(out, array.bytes()))
    }
}

impl Header {
    /// Before the messages: signature, version, flags and the messages' length in four bytes.
    const START: usize = 4 + 1 + 1 + 4;
    /// The checksum behind them.
    const END: usize = 4;

    fn add(&mut self, kind: u8, content: &[u8]) -> io::Result<()> {
        let too_long = || io::Error::new(io::ErrorKind::InvalidInput, "an attribute is too long");
        let length = u16::try_from(content.len()).map_err(|_| too_long())?;
        self.messages.push(kind);
        self.messages.extend(length.to_le_bytes());
        self.messages.push(0);
        self.messages.extend_from_slice(content);
        Ok(())
    }

    /// The last message holds this address, so many bytes before its end.
    fn point_to(&mut self, target: Target, behind: usize) {
        self.links.push((self.messages.len() - behind - UNDEFINED.len(), target));
    }

    fn byte_len(&self) -> usize {
        Self::START + self.messages.len() + Self::END
    }

    fn bytes(&self, address: impl Fn(Target) -> u64) -> Vec<u8> {
        /// The length of the messages takes four bytes; nothing else is kept.
        const FLAGS: u8 = 0b10;
        let mut messages = self.messages.clone();
        for &(at, target) in &self.links {
            messages[at..at + UNDEFINED.len()].copy_from_slice(&address(target).to_le_bytes());
        }
        let length = (messages.len() as u32).to_le_bytes();
        with_checksum([b"OHDR", &[2, FLAGS][..], &length, &messages].concat())
    }
}

fn superblock(root: u64, end: u64) -> Vec<u8> {
    /// Version 2, addresses and lengths of eight bytes, no flags.
    const START: [u8; 4] = [2, 8, 8, 0];
    let base = 0_u64;
    let addresses = [base.to_le_bytes(), UNDEFINED, end.to_le_bytes(), root.to_le_bytes()];
    with_checksum([SIGNATURE, &START, addresses.as_flattened()].concat())
}

fn with_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.extend(jenkins_lookup3(&bytes).to_le_bytes());
    bytes
}

fn write_aligned(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    out.write_all(bytes)?;
    let length = bytes.len() as u64;
    let padding = (length.next_multiple_of(ALIGNMENT) - length) as usize;
    out.write_all(&[0; ALIGNMENT as usize][..padding])
}

/// A hard link, up to the address.
fn link(name: &str) -> Vec<u8> {
    /// The name is UTF-8, which is stated, and its length takes two bytes.
    const FLAGS: u8 = 0b1_0001;
    const UTF8: u8 = 1;
    let length = (name.len() as u16).to_le_bytes();
    [&[1, FLAGS, UTF8][..], &length, name.as_bytes(), &UNDEFINED].concat()
}

/// The lengths of the axes; `None` is a single value.
fn dataspace(shape: Option<&[usize]>) -> Vec<u8> {
    const VERSION: u8 = 2;
    let shape = shape.unwrap_or_default();
    let kind = u8::from(!shape.is_empty());
    let mut bytes = vec![VERSION, shape.len() as u8, 0, kind];
    bytes.extend(shape.iter().flat_map(|&side| (side as u64).to_le_bytes()));
    bytes
}

fn number_type(dtype: DType) -> Vec<u8> {
    /// The version of the description, in the upper half of a byte; the class is in the lower.
    const VERSION: u8 = 1 << 4;
    let size = dtype.size() as u32;
    let bits = 8 * size as u16;
    let (class, flags, rest): (u8, [u8; 3], Vec<u8>) = match dtype {
        DType::I64 => (0, [0b1000, 0, 0], Vec::new()), // signed
        // The implied first bit of the fraction; where the sign is; then where exponent and fraction
        // are, how many bits they have, and what the exponent counts from.
        DType::F32 => (1, [0x20, 31, 0], [&[23, 8, 0, 23][..], &127_u32.to_le_bytes()].concat()),
        DType::F64 => (1, [0x20, 63, 0], [&[52, 11, 0, 52][..], &1023_u32.to_le_bytes()].concat()),
    };
    let start = [VERSION | class, flags[0], flags[1], flags[2]];
    let first_bit = [0, 0];
    [&start[..], &size.to_le_bytes(), &first_bit, &bits.to_le_bytes(), &rest].concat()
}

/// Texts of so many bytes each, filled up with zeros.
fn text_type(width: usize, ascii: bool) -> Vec<u8> {
    const VERSION_AND_CLASS: u8 = 1 << 4 | 3;
    const ZEROS: u8 = 1;
    const UTF8: u8 = 1 << 4;
    let flags = if ascii { ZEROS } else { ZEROS | UTF8 };
    [&[VERSION_AND_CLASS, flags, 0, 0][..], &(width as u32).to_le_bytes()].concat()
}

fn attribute(name: &str, value: &NewAttribute) -> Vec<u8> {
    const VERSION: u8 = 3;
    const UTF8: u8 = 1;
    let (texts, space) = match value {
        NewAttribute::Text(text) => (std::slice::from_ref(text), dataspace(None)),
        NewAttribute::Texts(texts) => (texts.as_slice(), dataspace(Some(&[texts.len()]))),
    };
    let width = texts.iter().map(String::len).max().unwrap_or(0).max(1);
    let kind = text_type(width, texts.iter().all(|text| text.is_ascii()));
    let sizes = [name.len() + 1, kind.len(), space.len()].map(|size| (size as u16).to_le_bytes());
    let mut bytes = vec![VERSION, 0];
    bytes.extend_from_slice(sizes.as_flattened());
    bytes.push(UTF8);
    bytes.extend_from_slice(name.as_bytes());
    bytes.push(0);
    bytes.extend(kind);
    bytes.extend(space);
    for text in texts {
        bytes.extend_from_slice(text.as_bytes());
        bytes.resize(bytes.len() + width - text.len(), 0);
    }
    bytes
}
