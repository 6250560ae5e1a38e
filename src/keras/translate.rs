//! A file's graph as the entries of a config: each layer in the config's words, under a name of its own, with
//! what it reads.

use std::collections::HashMap;

use serde_json::Value as Json;

use super::blocks::{self, Blocks};
use super::graph::{Graph, Input, Leaf, Use, Value};
use super::json::{Object, plain, shown, text};
use super::layers::{Findings, Words, check_call, words};
use super::names::Names;

/// Other names that are listed.
const RENAMED_SHOWN: usize = 6;
/// What keeps a model of several inputs or outputs from being opened.
const ONE_OF_EACH: &str = "convae takes models of one input and one output: keep those with \
                           keras.Model(model.inputs[0], model.outputs[0]), and save that";

/// What an entry reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The model's input.
    Input,
    /// What the entry of this number gives.
    Entry(usize),
}

/// A layer with its place in the model.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// As the config calls it.
    pub name: String,
    /// Its layer.
    pub kind: String,
    /// The layer's keys.
    pub keys: toml::Table,
    /// What it reads.
    pub inputs: Vec<Source>,
    /// Number of the file's layer that it is; none of an activation that was a layer's option.
    pub leaf: Option<usize>,
    /// The axis that it works along, which has to be the last.
    pub axis: Option<i64>,
    /// Whether the user or the layer's class alone says what it is.
    pub is_said: bool,
}

/// A model in the config's words.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Model {
    /// Height, width and channels; -1 is any.
    pub input_shape: Vec<i64>,
    /// Each after those that it reads; the last gives the output.
    pub entries: Vec<Entry>,
}

/// Says a graph in the config's words. Where something is refused, `findings` hold it, and the model is not
/// to be used.
pub fn translate(graph: &Graph, model: &Json, findings: &mut Findings) -> Model {
    let needed = needed(graph);
    let input_shape = the_input(graph, &needed, model, findings)
        .map_or(Vec::new(), |input| input_shape(input, findings).unwrap_or_default());
    the_output(graph, model, findings);
    let mut entries = Entries {
        names: Names::new(),
        known: HashMap::new(),
        values: HashMap::new(),
        all: Vec::new(),
        renamed: Vec::new(),
    };
    let blocks = blocks::find(graph);
    for (number, one) in graph.uses.iter().enumerate().filter(|(number, _)| needed[*number]) {
        match blocks.get(&number) {
            None => entries.add(graph, number, one.leaf, findings),
            Some(Some(blocks)) => entries.add_depth_to_space(graph, number, blocks),
            Some(None) => {}
        }
    }
    entries.say_names(findings);
    Model { input_shape, entries: entries.all }
}

/// Which uses the outputs need.
fn needed(graph: &Graph) -> Vec<bool> {
    let mut all = vec![false; graph.uses.len()];
    let outputs: std::collections::HashSet<Value> =
        graph.outputs.iter().map(|(_, value)| *value).collect();
    for value in outputs.into_iter().take(MOST_OUTPUTS) {
        let some = graph.needed(value);
        all.iter_mut().zip(some).for_each(|(all, some)| *all |= some);
    }
    all
}

/// Of a model of more outputs, which is refused anyway, the layers of the rest are not looked at.
const MOST_OUTPUTS: usize = 16;

fn name_of(model: &Json) -> (&str, &str) {
    let object = Object::of(model);
    let name = object.and_then(|object| text(object.config, "name")).unwrap_or("the model");
    (name, object.map_or("Model", |object| object.class))
}

/// The one input that is read.
fn the_input<'g, 'a>(
    graph: &'g Graph<'a>,
    needed: &[bool],
    model: &Json,
    findings: &mut Findings,
) -> Option<&'g Input<'a>> {
    let mut read = vec![false; graph.inputs.len()];
    for (one, _) in graph.uses.iter().zip(needed).filter(|(_, needed)| **needed) {
        for value in one.call.reads() {
            if let Value::Input(number) = value {
                read[number] = true;
            }
        }
    }
    let (name, class) = name_of(model);
    let used: Vec<&Input> =
        graph.inputs.iter().zip(&read).filter_map(|(input, read)| read.then_some(input)).collect();
    match used.as_slice() {
        [one] => {
            for idle in
                graph.inputs.iter().zip(&read).filter_map(|(input, read)| (!read).then_some(input))
            {
                findings.notes.of_layer(idle.name, "is an input that no layer reads, and left out");
            }
            Some(one)
        }
        [] => None,
        several => {
            let names: Vec<String> =
                several.iter().map(|input| plain(input.name)).take(8).collect();
            let what = format!("takes {} inputs ({})", several.len(), names.join(", "));
            findings.refusals.add(name, class, what, ONE_OF_EACH);
            several.first().copied()
        }
    }
}

fn the_output(graph: &Graph, model: &Json, findings: &mut Findings) {
    let mut values: Vec<Value> = Vec::new();
    let mut names = Vec::new();
    for (name, value) in graph.outputs.iter().take(1000) {
        if !values.contains(value) {
            values.push(*value);
            names.push(plain(name));
        }
    }
    if values.len() > 1 {
        let (name, class) = name_of(model);
        let what =
            format!("gives {} outputs ({})", values.len(), names[..names.len().min(8)].join(", "));
        findings.refusals.add(name, class, what, ONE_OF_EACH);
    }
}

/// Of one sample.
fn input_shape(input: &Input, findings: &mut Findings) -> Option<Vec<i64>> {
    let refuse = |what: String, way_out: &str, findings: &mut Findings| {
        findings.refusals.add(input.name, "InputLayer", what, way_out);
        None
    };
    if let Some(dtype) = input.dtype
        && !dtype.contains("float")
    {
        let what = format!("takes values of {}", plain(dtype));
        return refuse(
            what,
            "build the model with an Input of float32, and save it anew",
            findings,
        );
    }
    let sides = input.shape.as_array().map_or(&[][..], Vec::as_slice);
    let side = |side: &Json| {
        if side.is_null() { Some(-1) } else { side.as_i64().filter(|side| *side > 0) }
    };
    let shape: Option<Vec<i64>> = sides.iter().skip(1).map(side).collect();
    match shape {
        Some(shape) if matches!(shape.len(), 1..=3) && !shape[shape.len() - 1..].contains(&-1) => {
            Some(shape)
        }
        _ => {
            let what = format!(
                "takes inputs of shape {}, and convae takes vectors, signals and images, with their channels",
                shown(input.shape)
            );
            let way_out = "build the model with keras.Input((height, width, channels)), (steps, channels) or \
                           (values,), give it these weights, and save it";
            refuse(what, way_out, findings)
        }
    }
}

struct Entries {
    names: Names,
    /// What each layer of the file is, once it has been looked at; none where it was refused.
    known: HashMap<usize, Option<Words>>,
    /// The entry that gives what a use gives.
    values: HashMap<usize, Source>,
    all: Vec<Entry>,
    /// Names in the file and here, where they differ.
    renamed: Vec<(String, String)>,
}

impl Entries {
    fn add(&mut self, graph: &Graph, number: usize, leaf_number: usize, findings: &mut Findings) {
        let (leaf, one) = (&graph.leaves[leaf_number], &graph.uses[number]);
        check_call(leaf, &one.call, findings);
        let is_new = !self.known.contains_key(&leaf_number);
        let words =
            (self.known.entry(leaf_number).or_insert_with(|| words(leaf, one, findings))).clone();
        let inputs = self.sources(one);
        let Some(words) = words else {
            // Of a refused layer something has to be read on.
            let value = inputs.first().copied().unwrap_or(Source::Input);
            self.values.insert(number, value);
            return;
        };
        let name = self.name(leaf, is_new);
        let followed = words.then.map(|then| (format!("{name}_activation"), then));
        self.push(Entry {
            name,
            kind: words.kind,
            keys: words.keys,
            inputs,
            leaf: Some(leaf_number),
            axis: words.axis,
            is_said: words.is_said,
        });
        if let Some((name, (kind, keys))) = followed {
            let inputs = vec![Source::Entry(self.all.len() - 1)];
            let name = self.names.give(&name, None);
            self.push(Entry { name, kind, keys, inputs, leaf: None, axis: None, is_said: false });
        }
        self.values.insert(number, Source::Entry(self.all.len() - 1));
    }

    /// The last of three layers stands for all.
    fn add_depth_to_space(&mut self, graph: &Graph, number: usize, blocks: &Blocks) {
        let leaf_number = graph.uses[number].leaf;
        let words = Words::bare("DepthToSpace").with("block_size", blocks.block_size);
        let is_new = self.known.insert(leaf_number, Some(words.clone())).is_none();
        let inputs = self.sources(&graph.uses[blocks.first]);
        let name = self.name(&graph.leaves[leaf_number], is_new);
        let leaf = Some(leaf_number);
        // The shape that the file says is held against what this gives.
        self.push(Entry {
            name,
            kind: words.kind,
            keys: words.keys,
            inputs,
            leaf,
            axis: None,
            is_said: true,
        });
        self.values.insert(number, Source::Entry(self.all.len() - 1));
    }

    /// What a use reads.
    fn sources(&self, one: &Use) -> Vec<Source> {
        let source = |value: Value| match value {
            Value::Input(_) => Source::Input,
            Value::Call(call) => self.values.get(&call).copied().unwrap_or(Source::Input),
        };
        one.call.reads().into_iter().map(source).collect()
    }

    fn push(&mut self, entry: Entry) {
        self.all.push(entry);
    }

    fn name(&mut self, leaf: &Leaf, is_new: bool) -> String {
        let name = self.names.give(leaf.name, leaf.within().filter(|_| is_new));
        if is_new && name != leaf.name {
            self.renamed.push((plain(leaf.name), name.clone()));
        }
        name
    }

    fn say_names(&self, findings: &mut Findings) {
        if self.renamed.is_empty() {
            return;
        }
        let some =
            self.renamed.iter().take(RENAMED_SHOWN).map(|(old, new)| format!("{old} is {new}"));
        let some = some.collect::<Vec<_>>().join(", ");
        let more = match self.renamed.len().saturating_sub(RENAMED_SHOWN) {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        findings.notes.add(format!("layers with another name here: {some}{more}"));
    }
}
