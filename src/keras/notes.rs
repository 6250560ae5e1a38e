//! What is said of a file that opens: what was found, and what was left behind.

use super::json::plain;

/// Names that one sentence lists.
const NAMED: usize = 4;

/// Sentences; those that differ by the layer only become one.
#[derive(Debug, Clone, Default)]
pub struct Notes {
    said: Vec<(String, Vec<String>)>,
}

impl Notes {
    /// Of the whole file.
    pub fn add(&mut self, sentence: impl Into<String>) {
        self.said.push((sentence.into(), Vec::new()));
    }

    /// Of a layer: `what` continues "the layer conv1 ".
    pub fn of_layer(&mut self, layer: &str, what: &str) {
        let layer = plain(layer);
        match self.said.iter_mut().find(|(said, layers)| said == what && !layers.is_empty()) {
            Some((_, layers)) => layers.push(layer),
            None => self.said.push((what.to_owned(), vec![layer])),
        }
    }

    /// A line each.
    pub fn sentences(&self) -> Vec<String> {
        self.said.iter().map(|(what, layers)| sentence(what, layers)).collect()
    }
}

fn sentence(what: &str, layers: &[String]) -> String {
    let names = layers.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match layers.len() {
        0 => what.to_owned(),
        1 => format!("{names}: {what}"),
        all if all <= NAMED => format!("{names}: {what}"),
        all => format!("{names} and {} more: {what}", all - NAMED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_of_several_layers_is_said_once() {
        let mut notes = Notes::default();
        for number in 0..6 {
            notes.of_layer(&format!("conv{number}"), "kernel_regularizer = L2 is left behind");
        }
        notes.add("uncompiled");
        notes.of_layer("one", "is frozen");
        assert_eq!(
            notes.sentences(),
            [
                "conv0, conv1, conv2, conv3 and 2 more: kernel_regularizer = L2 is left behind",
                "uncompiled",
                "one: is frozen",
            ]
        );
    }
}
