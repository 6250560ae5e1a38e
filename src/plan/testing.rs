//! Layers as a config writes them, for tests that build graphs by hand.

use crate::config::Source;
use crate::config::entry::EntryLayer;
use crate::config::layers::Layer;

/// The layer of an entry like `layer = "Dense", units = 3`.
///
/// # Panics
/// When the config language has no such layer.
pub(crate) fn layer(toml: &str) -> Layer {
    let text = format!("name = \"one\"\n[model]\nlayers = [{{ {toml} }}]\n");
    let source = Source::parse(&text, "one", &[]).expect(toml);
    let entries = source.config.model.layers.expect("it was given");
    let EntryLayer::New(layer) = &entries[0].layer else { panic!("{toml} is no layer of its own") };
    layer.clone()
}
