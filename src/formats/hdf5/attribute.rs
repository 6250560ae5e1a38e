//! Attributes: small values at a group. Texts of variable length lie elsewhere in the file and are
//! fetched when an attribute is asked for, with a limit to all of them together.

use hdf5_reader::error::Error;
use hdf5_reader::messages::attribute::AttributeMessage;
use hdf5_reader::messages::dataspace::DataspaceType;
use hdf5_reader::{Datatype, RawAttribute, StringPadding, StringSize, VarLenKind};

use super::elements::Elements;
use super::error::Hdf5Error;
use crate::formats::checkpoint::{Array, shown};

/// What an attribute holds.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// A text.
    Text(String),
    /// A list of texts.
    Texts(Vec<String>),
    /// Numbers, of any shape.
    Numbers(Array),
    /// Something else, such as a reference.
    Other,
}

/// Fetches the bytes that a reference of variable length points to.
type Fetch = Box<dyn Fn(&[u8]) -> Result<Vec<u8>, Error>>;

/// The attributes of one group or dataset.
pub struct Attributes {
    raw: Vec<RawAttribute>,
    fetch: Fetch,
    /// The most bytes of all texts of one attribute.
    most: u64,
}

impl std::fmt::Debug for Attributes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

impl Attributes {
    pub(super) fn new(
        raw: Vec<RawAttribute>,
        most: u64,
        fetch: impl Fn(&[u8]) -> Result<Vec<u8>, Error> + 'static,
    ) -> Self {
        Self { raw, fetch: Box::new(fetch), most }
    }

    /// The names, in the file's order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.raw.iter().map(RawAttribute::name)
    }

    /// The value of that name; `None` where there is none.
    ///
    /// # Errors
    /// When it is damaged or takes more bytes than the file has.
    pub fn get(&self, name: &str) -> Result<Option<Value>, Hdf5Error> {
        let found = self.raw.iter().find(|attribute| attribute.name() == name);
        found.map(|attribute| self.decode(attribute.message())).transpose()
    }

    /// The text of that name, or the only one in a list; `None` where there is none.
    ///
    /// # Errors
    /// As [`Attributes::get`], and when it is something else.
    pub fn text(&self, name: &str) -> Result<Option<String>, Hdf5Error> {
        match self.get(name)? {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(Value::Texts(mut texts)) if texts.len() == 1 => Ok(texts.pop()),
            Some(_) => Err(not_a_text(name)),
        }
    }

    /// The texts of that name; `None` where there are none. NumPy takes an empty list for one of
    /// numbers, which is why that too is an empty list here.
    ///
    /// # Errors
    /// As [`Attributes::get`], and when they are something else.
    pub fn texts(&self, name: &str) -> Result<Option<Vec<String>>, Hdf5Error> {
        match self.get(name)? {
            None => Ok(None),
            Some(Value::Texts(texts)) => Ok(Some(texts)),
            Some(Value::Text(text)) => Ok(Some(vec![text])),
            Some(Value::Numbers(array)) if array.element_count() == 0 => Ok(Some(Vec::new())),
            Some(_) => Err(not_a_text(name)),
        }
    }

    fn decode(&self, message: &AttributeMessage) -> Result<Value, Hdf5Error> {
        let damaged = || Hdf5Error::damaged(format!("its attribute `{}`", shown(&message.name)));
        let count = message.dataspace.num_elements().map_err(|_| damaged())?;
        let count = usize::try_from(count).map_err(|_| damaged())?;
        if let Some(format) = TextFormat::of(&message.datatype) {
            let texts = self.texts_of(&message.raw_data, count, format).ok_or_else(damaged)?;
            let scalar = message.dataspace.dataspace_type == DataspaceType::Scalar;
            return match <[String; 1]>::try_from(texts) {
                Ok([text]) if scalar => Ok(Value::Text(text)),
                Ok([text]) => Ok(Value::Texts(vec![text])),
                Err(texts) => Ok(Value::Texts(texts)),
            };
        }
        let Some(elements) = Elements::of(&message.datatype) else { return Ok(Value::Other) };
        let length = count.checked_mul(elements.size()).ok_or_else(damaged)?;
        let bytes = message.raw_data.get(..length).ok_or_else(damaged)?;
        let mut out = Vec::new();
        elements.convert(bytes, &mut out).ok_or_else(damaged)?;
        let shape = match message.dataspace.dataspace_type {
            DataspaceType::Null => vec![0],
            _ => message.dataspace.dims.iter().map(|&axis| axis as usize).collect(),
        };
        Ok(Value::Numbers(Array::new(elements.dtype(), shape, out)?))
    }

    /// All texts, or `None` when the bytes do not hold them or they take too much.
    fn texts_of(&self, raw: &[u8], count: usize, format: TextFormat) -> Option<Vec<String>> {
        let width = match format.size {
            StringSize::Fixed(width) => width as usize,
            StringSize::Variable => raw.len().checked_div(count).unwrap_or_default(),
        };
        let bytes = raw.get(..count.checked_mul(width)?)?;
        if width == 0 {
            return (count == 0).then(Vec::new);
        }
        let mut left = self.most;
        let texts = bytes.chunks_exact(width).map(|chunk| match format.size {
            StringSize::Fixed(_) => format.text(chunk),
            StringSize::Variable => {
                let length = u32::from_le_bytes(chunk.first_chunk().copied()?);
                left = left.checked_sub(u64::from(length))?;
                format.text(&(self.fetch)(chunk).ok()?)
            }
        });
        texts.collect()
    }
}

fn not_a_text(name: &str) -> Hdf5Error {
    Hdf5Error::damaged(format!("its attribute `{}` is not a text", shown(name)))
}

/// How a text is stored.
#[derive(Clone, Copy)]
struct TextFormat {
    size: StringSize,
    padding: StringPadding,
}

impl TextFormat {
    fn of(datatype: &Datatype) -> Option<Self> {
        match *datatype {
            Datatype::String { size, padding, .. } => Some(Self { size, padding }),
            Datatype::VarLen { kind: VarLenKind::String, padding, .. } => {
                Some(Self { size: StringSize::Variable, padding })
            }
            _ => None,
        }
    }

    /// Without what fills it up; `None` when it is not UTF-8.
    fn text(self, bytes: &[u8]) -> Option<String> {
        let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
        let text = str::from_utf8(&bytes[..end]).ok()?;
        let spaces = matches!(self.padding, StringPadding::SpacePad);
        Some(if spaces { text.trim_end_matches(' ') } else { text }.to_owned())
    }
}
