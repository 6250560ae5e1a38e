//! Layers whose code is in no file: what the user says that they are (`--as NAME=LAYER`), and well-known classes of
//! people's own. Nothing of a file is run, so that what can be checked is: that such a layer has no weights which
//! would be left out, and that it gives the shape that the file says.

use serde_json::{Map, Value as Json};

use super::graph::{Leaf, Use};
use super::json::{Object, list, plain, text};
use super::layers::{MERGES, Words};
use super::operations;
use crate::config::layers::Layer;
use crate::config::schema::suggest;
use crate::config::{self, Source};
use crate::plan::{Node, Shape};

/// What a layer is, by its name or its class.
#[derive(Debug)]
struct Statement {
    name: String,
    words: Words,
}

/// All that the user said.
#[derive(Debug, Default)]
pub struct Statements(Vec<Statement>);

impl Statements {
    /// From `NAME=LAYER`, where the layer is written as in Python: `Rescaling(scale=2, offset=-1)`.
    ///
    /// # Errors
    /// A sentence that says which one is wrong, and how.
    pub fn parse(texts: &[String]) -> Result<Self, String> {
        let parse = |text: &String| {
            statement(text).map_err(|problem| format!("--as {}: {problem}", plain(text)))
        };
        texts.iter().map(parse).collect::<Result<_, _>>().map(Self)
    }

    /// The words for a layer: those for its name go before those for its class.
    pub fn find(&self, leaf: &Leaf) -> Option<Words> {
        let called = |name: &str| self.0.iter().find(|one| one.name == name);
        let found = called(leaf.name).or_else(|| called(leaf.object.class));
        found.map(|one| one.words.clone())
    }

    /// Refuses what no layer is called.
    ///
    /// # Errors
    /// Names it, and the layers that may be meant.
    pub fn check_used(&self, leaves: &[Leaf]) -> Result<(), String> {
        let is_there =
            |name: &str| leaves.iter().any(|leaf| leaf.name == name || leaf.object.class == name);
        let Some(Statement { name, .. }) = self.0.iter().find(|one| !is_there(&one.name)) else {
            return Ok(());
        };
        let foreign = leaves.iter().filter(|leaf| is_foreign(leaf));
        let mut names: Vec<&str> =
            foreign.flat_map(|leaf| [leaf.name, leaf.object.class]).collect();
        names.sort_unstable();
        names.dedup();
        let remedy = match names.as_slice() {
            [] => "the file has no layer that needs it".to_owned(),
            names => plain(&suggest(name, names)),
        };
        Err(format!(
            "--as {}: no layer and no class of the file is called so; {remedy}",
            plain(name)
        ))
    }
}

fn statement(text: &str) -> Result<Statement, String> {
    const LIKE: &str = "write it like pixel_shuffle='DepthToSpace(block_size=2)'";
    let (name, call) = text.split_once('=').ok_or_else(|| format!("has no `=`; {LIKE}"))?;
    let (class, arguments) = match call.trim().split_once('(') {
        Some((class, rest)) => {
            let end = format!("has no `)` at its end; {LIKE}");
            (class, rest.strip_suffix(')').ok_or(end)?)
        }
        None => (call.trim(), ""),
    };
    if !Layer::NAMES.contains(&class) {
        return Err(format!("{class:?} is no layer; {}", suggest(class, Layer::NAMES)));
    }
    let mut keys = toml::Table::new();
    for argument in split(arguments) {
        let (key, value) = argument
            .split_once('=')
            .ok_or_else(|| format!("{argument:?} has no key; write it as key=value"))?;
        if value.trim() != "None" {
            keys.insert(key.trim().to_owned(), value_of(value)?);
        }
    }
    check(class, &keys)?;
    let words = Words { keys, is_said: true, ..Words::bare(class) };
    Ok(Statement { name: name.trim().to_owned(), words })
}

/// At the commas that are in no brackets and no quotes.
fn split(arguments: &str) -> Vec<&str> {
    let (mut depth, mut quote, mut start) = (0_usize, None, 0);
    let mut parts = Vec::new();
    for (at, letter) in arguments.char_indices() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (None, '\'' | '"') => quote = Some(letter),
            (None, '(' | '[') => depth += 1,
            (None, ')' | ']') => depth = depth.saturating_sub(1),
            (None, ',') if depth == 0 => {
                parts.push(&arguments[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&arguments[start..]);
    parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).collect()
}

/// A number, a text, a truth value or a tuple of Python's.
fn value_of(python: &str) -> Result<toml::Value, String> {
    let is_text = python.contains(['\'', '"']);
    let toml = match python.trim() {
        "True" => "true".to_owned(),
        "False" => "false".to_owned(),
        other if is_text => other.to_owned(),
        other => other.replace('(', "[").replace(')', "]"),
    };
    let table: Option<toml::Table> = format!("value = {toml}").parse().ok();
    let value = table.and_then(|mut table| table.remove("value"));
    value
        .ok_or_else(|| format!("{python:?} is no value; give a number, a text in quotes or a list"))
}

/// As the config language reads the layer.
fn check(class: &str, keys: &toml::Table) -> Result<(), String> {
    if let Some(key) = ["name", "inputs", "layer"].into_iter().find(|key| keys.contains_key(*key)) {
        return Err(format!("`{key}` is not a key of the layer; remove it"));
    }
    let mut entry = keys.clone();
    entry.insert(Layer::KIND.to_owned(), class.into());
    let layers = toml::Value::Array(vec![toml::Value::Table(entry)]);
    let model = toml::Table::from_iter([("layers".to_owned(), layers)]);
    let model = ("model".to_owned(), toml::Value::Table(model));
    let tree = toml::Table::from_iter([("name".to_owned(), "it".into()), model]);
    match Source::parse(&config::to_toml(tree), "it", &[]) {
        Ok(_) => Ok(()),
        Err(config::ConfigError { problem, remedy, .. }) => {
            Err(format!("{}; {remedy}", problem.replace("`model.layers[0].", "`")))
        }
    }
}

/// Whether no class of Keras's that convae knows says what a layer does.
pub fn is_foreign(leaf: &Leaf) -> bool {
    let class = leaf.object.class;
    leaf.object.custom || class == "Lambda" || operations::is_one(leaf) || !is_known(leaf)
}

fn is_known(leaf: &Leaf) -> bool {
    let class = super::dialect::modern(&leaf.object).class;
    MERGES.contains(&class.as_str())
        || Layer::NAMES.contains(&class.as_str())
        || class == "ActivityRegularization"
}

/// The keys by which people's own pixel shuffles name the side of a block.
const BLOCK_SIZES: [&str; 5] = ["block_size", "scale", "r", "size", "upscale_factor"];

/// A class of somebody's own that does what everybody's of that name does, and what is to be said of it.
pub fn well_known(leaf: &Leaf, one: &Use) -> Option<(Words, String)> {
    let config = leaf.object.config.as_object()?;
    match leaf.object.class {
        "DepthToSpace" | "PixelShuffler" | "SubpixelConv2D" => {
            let block = block_size(config)?;
            let said = format!(
                "is taken for DepthToSpace(block_size={block}) by its class; if its code does \
                 something else, say what it is with --as"
            );
            let words = Words { is_said: true, ..Words::bare("DepthToSpace") };
            Some((words.with("block_size", block), said))
        }
        "Sampling" if one.call.reads().len() == 2 => {
            let words = Words { is_said: true, ..Words::bare("Sampling") };
            Some((words, format!("is taken for Sampling by its class; {DRAWN}")))
        }
        _ => None,
    }
}

/// What is to be known of a Sampling.
const DRAWN: &str = "in training it draws from the mean and the log-variance that it reads, in that order, and \
                     gives the mean else; a training here adds their divergence (KL) to the loss once you set \
                     kl_weight on it";

/// One number for both sides.
fn block_size(config: &Map<String, Json>) -> Option<i64> {
    let mut given = BLOCK_SIZES.iter().filter_map(|key| config.get(*key));
    let (first, further) = (given.next()?, given.next());
    let block = match first {
        Json::Array(sides) => sides.first().filter(|side| sides.iter().all(|one| one == *side))?,
        number => number,
    };
    block.as_i64().filter(|_| further.is_none())
}

/// Why a node cannot be what a layer of the file was said to be: the file holds another shape of its output.
pub fn misfit(model: &Json, leaf: &Leaf, node: &Node) -> Option<String> {
    let mut shapes = Vec::new();
    collect_shapes(model, leaf.name, &mut shapes);
    let fits = |shape: &&[Json]| is_shape(shape, &node.output);
    let first = *shapes.first()?;
    let given = || Json::Array(first.get(1..).unwrap_or_default().to_vec()).to_string();
    (!shapes.iter().any(fits)).then(|| {
        format!(
            "gives {} in the file, and {} as {}",
            plain(&given()),
            node.output,
            node.layer.name()
        )
    })
}

/// Whether a shape with the batch, as a file says it, is this one; sides that it leaves open are any.
pub fn is_shape(said: &[Json], shape: &Shape) -> bool {
    let sides = said.get(1..).unwrap_or_default();
    let same = |(side, own): (&Json, &usize)| side.as_u64().is_none_or(|side| side == *own as u64);
    sides.len() == shape.0.len() && sides.iter().zip(&shape.0).all(same)
}

/// All shapes, with the batch, that a file gives for what layers of that name give.
fn collect_shapes<'a>(json: &'a Json, name: &str, shapes: &mut Vec<&'a [Json]>) {
    match json {
        Json::Object(object) => {
            let tensor = Object::of(json).filter(|object| object.class == "__keras_tensor__");
            if let Some(tensor) = tensor {
                let history = list(tensor.config, "keras_history");
                if history.first().and_then(Json::as_str) == Some(name) {
                    shapes.push(list(tensor.config, "shape"));
                }
            }
            for value in object.values() {
                collect_shapes(value, name, shapes);
            }
        }
        Json::Array(items) => {
            // In a Sequential each layer reads the one before.
            for pair in items.windows(2) {
                let named = pair[0].get("config").and_then(|config| text(config, "name"));
                let built = pair[1].get("build_config").map(|built| list(built, "input_shape"));
                let is_sequential = pair[1].get("inbound_nodes").is_none();
                if let (Some(own), Some(shape @ [_, ..]), true) = (named, built, is_sequential)
                    && own == name
                {
                    shapes.push(shape);
                }
            }
            for value in items {
                collect_shapes(value, name, shapes);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Result<(String, String, String), String> {
        let Statement { name, words, .. } = statement(text)?;
        Ok((name, words.kind, words.keys.to_string().replace('\n', " ").trim().to_owned()))
    }

    #[test]
    fn a_layer_is_said_as_python_makes_it() {
        let of = |text: &str| said(text).unwrap();
        let expect = |name: &str, kind: &str, keys: &str| {
            (name.to_owned(), kind.to_owned(), keys.to_owned())
        };
        assert_eq!(
            of("pixel_shuffle=DepthToSpace(block_size=2)"),
            expect("pixel_shuffle", "DepthToSpace", "block_size = 2")
        );
        assert_eq!(
            of("lambda = Rescaling( scale=0.5, offset=-1 )"),
            expect("lambda", "Rescaling", "scale = 0.5 offset = -1")
        );
        assert_eq!(of("MyBlock=Identity"), expect("MyBlock", "Identity", ""));
        assert_eq!(
            of("up=UpSampling2D(size=(2, 3), interpolation='bilinear')"),
            expect("up", "UpSampling2D", "size = [2, 3] interpolation = \"bilinear\"")
        );
        assert_eq!(
            of("c=Conv2D(filters=8, use_bias=False, kernel_size=3)"),
            expect("c", "Conv2D", "filters = 8 use_bias = false kernel_size = 3")
        );
        assert_eq!(of("r=ReLU(max_value=None)"), expect("r", "ReLU", ""));
    }

    #[test]
    fn what_is_no_layer_is_refused_by_what_is_wrong_with_it() {
        for (text, words) in [
            ("DepthToSpace", "has no `=`"),
            ("a=DepthToSpaec(block_size=2)", "did you mean `DepthToSpace`?"),
            ("a=DepthToSpace(block_size=2", "has no `)`"),
            ("a=DepthToSpace(2)", "\"2\" has no key"),
            ("a=DepthToSpace()", "`block_size` is missing"),
            ("a=DepthToSpace(block=2)", "`block` is not a key"),
            ("a=DepthToSpace(block_size=0.5)", "`block_size`"),
            ("a=Rescaling(scale=x)", "\"x\" is no value"),
            ("a=Identity(name='b')", "`name` is not a key"),
            ("a=Shared(of='b')", "\"Shared\" is no layer"),
        ] {
            let refused = said(text).unwrap_err();
            assert!(refused.contains(words), "{text}: {refused}");
        }
    }
}
