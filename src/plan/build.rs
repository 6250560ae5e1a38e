//! From a config's lists of layers to the graph: names, connections and shapes, each refused by its line.

use std::collections::HashMap;

use super::graph::{Graph, Part, Value};
use super::names::Names;
use super::shapes::{Shape, ShapeError};
use crate::config::entry::{EntryLayer, LayerEntry};
use crate::config::layers::Pair;
use crate::config::sections::Data;
use crate::config::{ConfigError, Source};

/// Beyond this many values (weights, or one image's activations) a model is taken for a typing
/// error: 2^31, or 8 GB in float32.
pub(super) const LARGEST_MODEL: usize = 1 << 31;
/// The name of what the model receives.
const INPUT: &str = "input";
/// Letters of a layer's name.
const LONGEST_NAME: usize = 200;
/// Words that stand for something else where TorchScript has a layer's name.
const RESERVED: &[&str] = &[
    "False",
    "None",
    "True",
    "and",
    "as",
    "assert",
    "async",
    "await",
    "break",
    "class",
    "continue",
    "def",
    "del",
    "elif",
    "else",
    "except",
    "finally",
    "for",
    "from",
    "global",
    "if",
    "import",
    "in",
    "is",
    "lambda",
    "nonlocal",
    "not",
    "or",
    "pass",
    "raise",
    "return",
    "try",
    "while",
    "with",
    "yield",
    "self",
    "torch",
    "training",
    "forward",
    "Module",
    "Tensor",
    "Encoder",
    "Decoder",
    "Model",
    "Autoencoder",
];
/// The sides that are tried for a model of open size, the smallest that fits first.
const SIDES: std::ops::RangeInclusive<usize> = 64..=1024;

/// The model of a config.
pub(super) struct Built {
    pub graph: Graph,
    /// Whether the config says where the code is.
    pub has_code: bool,
    /// Whether height and width are open, and of no size that `data.patches` gives; a signal's steps are a width.
    pub open: [bool; 2],
}

/// The graph for images of the config's size; where that is open, of the size of patches if it is given, else of
/// the smallest that its layers take.
pub(super) fn build(source: &Source) -> Result<Built, ConfigError> {
    let patch = patch_size(source)?;
    let shape = &source.config.model.input_shape.0;
    let entries = Entries::of(source)?;
    let is_open = |axis: usize| shape[axis].is_none();
    let open = match shape.len() {
        3 => [is_open(0), is_open(1)],
        2 => [false, is_open(0)],
        _ => [false; 2],
    };
    // An open side is the height or the width of an image, or a signal's steps, which are a width.
    let sized = |size: [usize; 2]| {
        let size = if shape.len() == 2 { [size[1], 0] } else { size };
        let sides = shape.iter().enumerate();
        Shape(sides.map(|(axis, side)| side.unwrap_or_else(|| size[axis])).collect())
    };
    let graph = match patch {
        _ if open == [false; 2] => entries.graph(sized([1, 1]))?,
        Some(size) => entries.graph(sized(size))?,
        None => entries.graph_of_open_size(sized)?,
    };
    if open != [false; 2] {
        check_open(source, &graph)?;
    }
    Ok(Built { graph, has_code: entries.has_code, open })
}

/// Every layer takes any size; two sides are those of a signal.
fn check_open(source: &Source, graph: &Graph) -> Result<(), ConfigError> {
    let refuse = |problem, remedy| Err(source.error("model.input_shape", problem, remedy));
    let is_image = graph.input.0.len() == 3;
    if let Some(node) = graph.sized_node() {
        let (taken, remedy) = if is_image {
            ("images of one size", "give height and width")
        } else {
            ("one number of steps", "give the number of steps")
        };
        return refuse(format!("is open, but `{}` takes {taken} only", node.name), remedy);
    }
    if !is_image && !graph.has_signals() {
        let problem = "is open, but no layer works along its steps, like Conv1D".to_owned();
        return refuse(problem, "give height and width");
    }
    Ok(())
}

/// Of a model of open size; one of its own size cuts patches of that.
fn patch_size(source: &Source) -> Result<Option<[usize; 2]>, ConfigError> {
    let patches = match &source.config.data {
        Data::Images(images) => &images.files.patches,
        Data::Pairs(pairs) => &pairs.files.patches,
        _ => &None,
    };
    let Some(Pair(height, width)) = patches.as_ref().and_then(|patches| patches.size) else {
        return Ok(None);
    };
    let differs = |own: Option<usize>, size: usize| own.is_some_and(|own| own != size);
    let fits = match source.config.model.input_shape.0[..] {
        [rows, columns, _] => !differs(rows, height) && !differs(columns, width),
        _ => false,
    };
    if !fits {
        let problem = format!("is {height}x{width}, but model.input_shape says otherwise");
        let remedy = "remove it, or set -1 for height and width in model.input_shape";
        return Err(source.error("data.patches.size", problem, remedy));
    }
    Ok(Some([height, width]))
}

/// An entry with the list that it stands in.
struct Placed<'a> {
    entry: &'a LayerEntry,
    part: Part,
    /// Like `model.encoder[2]`.
    path: String,
    name: String,
}

struct Entries<'a> {
    source: &'a Source,
    placed: Vec<Placed<'a>>,
    /// How many lead to the code.
    encoder: usize,
    has_code: bool,
}

impl<'a> Entries<'a> {
    fn of(source: &'a Source) -> Result<Self, ConfigError> {
        let model = &source.config.model;
        let lists = match (&model.encoder, &model.decoder, &model.layers) {
            (Some(encoder), Some(decoder), None) => {
                if let Some(code) = &model.code {
                    let problem =
                        format!("is {code:?}, but what `model.encoder` gives is the code");
                    return Err(source.error("model.code", problem, "remove it"));
                }
                vec![(Part::Encoder, "encoder", encoder), (Part::Decoder, "decoder", decoder)]
            }
            (None, None, Some(layers)) => vec![(Part::Whole, "layers", layers)],
            (None, None, None) => {
                let remedy = "give the lists `encoder` and `decoder`, or `layers`";
                return Err(source.error("model", "has no layers", remedy));
            }
            (Some(_), None, None) => {
                return Err(source.error("model.decoder", "is missing", "give a list of layers"));
            }
            (None, Some(_), None) => {
                return Err(source.error("model.encoder", "is missing", "give a list of layers"));
            }
            (_, _, Some(_)) => {
                let remedy = "keep `layers`, or the two lists `encoder` and `decoder`";
                return Err(source.error("model.layers", "stands beside the other lists", remedy));
            }
        };
        let placed = place(source, &lists)?;
        let (encoder, has_code) = match (&model.layers, &model.code) {
            (None, _) => (model.encoder.as_ref().map_or(0, Vec::len), true),
            (Some(_), None) => (placed.len(), false),
            (Some(_), Some(code)) => {
                let found = placed.iter().position(|placed| placed.name == *code);
                let index = found.ok_or_else(|| {
                    let names: Vec<&str> = placed.iter().map(|one| one.name.as_str()).collect();
                    source.error("model.code", format!("is {code:?}"), suggestion(code, &names))
                })?;
                (index + 1, true)
            }
        };
        Ok(Self { source, placed, encoder, has_code })
    }

    /// # Errors
    /// For the first entry that does not fit.
    fn graph(&self, input: Shape) -> Result<Graph, ConfigError> {
        let mut graph = Graph::new(input);
        let mut values = HashMap::from([(INPUT, Value::Input)]);
        let mut weights = 0_usize;
        for (index, placed) in self.placed.iter().enumerate() {
            let refuse = |ShapeError { problem, remedy }| {
                let problem = format!("({}) {problem}", placed.entry.layer.name());
                self.source.error(&placed.path, problem, remedy)
            };
            let inputs = self.inputs(placed, graph.output, &values)?;
            let (name, part) = (placed.name.clone(), placed.part);
            let added = match &placed.entry.layer {
                EntryLayer::New(layer) => graph.add(name, part, layer.clone(), inputs),
                EntryLayer::Shared(shared) => {
                    match self.value(placed, "of", &shared.of, &values)? {
                        Value::Node(of) => graph.add_shared(name, part, of, inputs),
                        Value::Input => Err(ShapeError {
                            problem: format!("shares the layer of `{INPUT}`, which is none"),
                            remedy: "name an entry before it".to_owned(),
                        }),
                    }
                }
            };
            let value = added.map_err(refuse)?;
            values.insert(&placed.name, value);
            if index + 1 == self.encoder {
                graph.code = value;
            }
            weights =
                weights.saturating_add(graph.nodes.last().expect("one was added").trainable());
            if weights > LARGEST_MODEL || graph.shape(value).values() > LARGEST_MODEL {
                let problem = "makes the model too large to compute".to_owned();
                let remedy = format!("keep weights and layer outputs below {LARGEST_MODEL} values");
                return Err(refuse(ShapeError { problem, remedy }));
            }
        }
        self.check(&graph, weights)?;
        Ok(graph)
    }

    /// For the smallest images that come out as large as they go in; else, for the smallest that the layers take.
    fn graph_of_open_size(
        &self,
        sized: impl Fn([usize; 2]) -> Shape,
    ) -> Result<Graph, ConfigError> {
        let mut first = None;
        for side in SIDES {
            let gives_back = |graph: &Graph| {
                let [input, output] = [&graph.input, graph.shape(graph.output)].map(|end| &end.0);
                output.len() == input.len()
                    && output.iter().zip(input).rev().skip(1).all(|(a, b)| a == b)
            };
            match self.graph(sized([side, side])) {
                Ok(graph) if gives_back(&graph) => return Ok(graph),
                Ok(graph) if !matches!(first, Some(Ok(_))) => first = Some(Ok(graph)),
                Ok(_) => {}
                // What every size has in common is told of the first.
                Err(error) => _ = first.get_or_insert(Err(error)),
            }
            if side == *SIDES.start() && matches!(first, Some(Err(_))) && !self.has_merges() {
                break;
            }
        }
        first.expect("there are sides to be tried")
    }

    /// Only at merges do sizes have to fit each other.
    fn has_merges(&self) -> bool {
        let is_merge =
            |layer: &EntryLayer| matches!(layer, EntryLayer::New(layer) if layer.is_merge());
        self.placed.iter().any(|placed| is_merge(&placed.entry.layer))
    }

    fn inputs(
        &self,
        placed: &Placed<'_>,
        before: Value,
        values: &HashMap<&str, Value>,
    ) -> Result<Vec<Value>, ConfigError> {
        match &placed.entry.connection.inputs {
            None => Ok(vec![before]),
            Some(names) => {
                names.iter().map(|name| self.value(placed, "inputs", name, values)).collect()
            }
        }
    }

    /// The value of an entry before, by its name.
    fn value(
        &self,
        placed: &Placed<'_>,
        key: &str,
        name: &str,
        values: &HashMap<&str, Value>,
    ) -> Result<Value, ConfigError> {
        values.get(name).copied().ok_or_else(|| {
            let later = self.placed.iter().any(|other| other.name == name);
            let problem = if later {
                format!("names {name:?}, which stands behind it")
            } else {
                format!("names {name:?}, and no entry before it is called that")
            };
            let remedy = if later {
                "put that entry before this one".to_owned()
            } else {
                let mut names: Vec<&str> = values.keys().copied().collect();
                names.sort_unstable();
                suggestion(name, &names)
            };
            self.source.error(&format!("{}.{key}", placed.path), problem, remedy)
        })
    }

    /// A model has something to learn, and computes nothing for nobody.
    fn check(&self, graph: &Graph, weights: usize) -> Result<(), ConfigError> {
        let Some(last) = self.placed.last() else {
            let list = if self.source.config.model.layers.is_some() { "layers" } else { "encoder" };
            let remedy = "add a layer with weights, like Conv2D";
            return Err(self.source.error(
                &format!("model.{list}"),
                "has nothing to learn",
                remedy,
            ));
        };
        let section = last.path.split('[').next().unwrap_or("model");
        if weights == 0 {
            let first = self.placed[0].path.split('[').next().unwrap_or("model");
            let problem = if first == section {
                "has nothing to learn"
            } else {
                "and the decoder have nothing to learn"
            };
            return Err(self.source.error(first, problem, "add a layer with weights, like Conv2D"));
        }
        self.check_needed(graph)
    }

    fn check_needed(&self, graph: &Graph) -> Result<(), ConfigError> {
        let needed = graph.needed();
        let Some(index) = needed.iter().position(|&needed| !needed) else { return Ok(()) };
        let Placed { name, path, .. } = &self.placed[index];
        let problem = format!("`{name}` is read by no other entry, and is not the last one");
        Err(self.source.error(path, problem, "remove it, or name it in the `inputs` of another"))
    }
}

fn suggestion(name: &str, known: &[&str]) -> String {
    crate::config::schema::suggest(name, known)
}

/// Every entry with its name: the config's, or Keras's.
fn place<'a>(
    source: &Source,
    lists: &[(Part, &str, &'a Vec<LayerEntry>)],
) -> Result<Vec<Placed<'a>>, ConfigError> {
    let mut given: HashMap<&str, String> = HashMap::new();
    let mut placed = Vec::new();
    for &(part, list, entries) in lists {
        for (i, entry) in entries.iter().enumerate() {
            let path = format!("model.{list}[{i}]");
            if let Some(name) = &entry.connection.name {
                check_name(source, &path, name)?;
                if let Some(other) = given.insert(name, path.clone()) {
                    let problem = format!("is {name:?}, the name of `{other}` too");
                    let remedy = "give each entry a name of its own";
                    return Err(source.error(&format!("{path}.name"), problem, remedy));
                }
            }
            placed.push(Placed { entry, part, path, name: String::new() });
        }
    }
    let mut names = Names::default();
    for one in &mut placed {
        one.name = match &one.entry.connection.name {
            Some(name) => name.clone(),
            // The next one that no entry has by its config.
            None => loop {
                let name = names.next(one.entry.layer.name());
                if !given.contains_key(name.as_str()) {
                    break name;
                }
            },
        };
    }
    Ok(placed)
}

fn check_name(source: &Source, path: &str, name: &str) -> Result<(), ConfigError> {
    match name_refusal(name) {
        Some(remedy) => Err(source.error(&format!("{path}.name"), format!("is {name:?}"), remedy)),
        None => Ok(()),
    }
}

/// Why no entry may have a name, which becomes a part of the names of tensors, and of attributes in PyTorch.
pub(crate) fn name_refusal(name: &str) -> Option<String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let fits = name.len() <= LONGEST_NAME
        && name.chars().all(allowed)
        && name.starts_with(|c: char| !c.is_ascii_digit());
    match () {
        () if name == INPUT => {
            Some("give another: that is the name of what the model receives".to_owned())
        }
        () if RESERVED.contains(&name) => {
            Some("give another: it is a word of PyTorch's".to_owned())
        }
        () if !fits => {
            Some(format!("give up to {LONGEST_NAME} letters, digits or `_`, no digit first"))
        }
        () => None,
    }
}
