//! The entries of a model's lists: each a layer and its place in the graph.

use super::ConfigError;
use super::layers::Layer;
use super::node::{Node, Value};
use super::schema::{Bounds, Field, Section, section, take_kind};

section! {
    /// What every layer takes beside its own keys.
    pub struct Connection {
        /// A name for other entries to read it by, unlike all others: letters, digits and `_`. Keras's own
        /// where not set: `conv2d`, `conv2d_1`, ...
        name: Option<String> = None;
        /// The entries before it that it reads, by their names; `input` is what the model receives. The entry
        /// just before where not set.
        inputs: Option<Vec<String>> = None;
    }
}

section! {
    /// The layer of an entry before once more, with the same weights.
    pub struct Shared {
        /// Name of that entry.
        of: String;
    }
}

/// What an entry computes.
#[allow(clippy::large_enum_variant)] // of a few entries, most are layers
#[derive(Debug, Clone, PartialEq)]
pub enum EntryLayer {
    /// A layer of its own.
    New(Layer),
    /// That of another entry.
    Shared(Shared),
}

impl EntryLayer {
    /// The name in a config of an entry that shares another one's layer.
    pub const SHARED: &str = "Shared";

    /// Keras's name of the layer, or `Shared`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::New(layer) => layer.name(),
            Self::Shared(_) => Self::SHARED,
        }
    }
}

/// A layer and its place in the graph.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerEntry {
    /// What it computes.
    pub layer: EntryLayer,
    /// What it is called and what it reads.
    pub connection: Connection,
}

impl Field for LayerEntry {
    fn takes() -> String {
        Layer::takes()
    }

    fn read(node: &Node, bounds: Option<Bounds>) -> Result<Self, ConfigError> {
        let (kind, rest) = take_kind(node, Layer::KIND, Layer::DEFAULT, &Self::takes())?;
        let connection = Connection::read_fields(&rest)?;
        let layer = if kind.1 == EntryLayer::SHARED {
            EntryLayer::Shared(Shared::read_table(&without_connection(&rest))?)
        } else {
            EntryLayer::New(Layer::read(&without_connection(node), bounds)?)
        };
        Ok(Self { layer, connection })
    }

    fn write(&self) -> Option<toml::Value> {
        let mut table = match &self.layer {
            EntryLayer::New(layer) => layer.write(),
            EntryLayer::Shared(shared) => {
                let keys = shared.write_table();
                Some(super::schema::with_kind(Layer::KIND, EntryLayer::SHARED, keys))
            }
        };
        if let Some(toml::Value::Table(table)) = &mut table {
            table.extend(self.connection.write_table());
        }
        table
    }
}

fn without_connection(node: &Node) -> Node {
    let mut node = node.clone();
    if let Value::Table(entries) = &mut node.value {
        for key in Connection::keys() {
            entries.remove(key.name);
        }
    }
    node
}
