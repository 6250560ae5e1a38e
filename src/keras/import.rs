//! A Keras file as a plan, its weights, and what is to be said of it.

use std::path::Path;

use super::code::{self, Code};
use super::dialect::OLD_TRANSPOSED;
use super::graph::{Leaf, graph};
use super::json::plain;
use super::layers::Findings;
use super::matching::held;
use super::notes::Notes;
use super::optimizer_state::{State, state};
use super::refusal::{KerasError, Refusals};
use super::stated::{Statements, is_shape, misfit};
use super::training::{Training, UNKNOWN, training};
use super::translate::{Entry, Model, Source, translate};
use super::version::Version;
use super::weights::{Holder, holders, holders_by_name, read, version_of_weights};
use crate::config::{self, ConfigError};
use crate::formats::checkpoint::Array;
use crate::formats::keras_file::{KerasFile, Weights};
use crate::plan::{Graph, Plan};

/// How weights are found where names do not say it.
const BY_ORDER: &str =
    "the weights were matched by their order and shapes: the file's names are others";

/// What the user asks for beside the file.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// A file with the weights, where the first one has none or others.
    pub weights: Option<&'a Path>,
    /// The config of the model whose weights a file holds that says no model.
    pub config: Option<&'a Path>,
    /// The layer that gives the code, by its name.
    pub code: Option<&'a str>,
    /// What the model is called here.
    pub name: &'a str,
    /// What layers are whose code is in no file: `NAME=LAYER`.
    pub layers: &'a [String],
}

/// A model in convae's words, with its weights.
#[derive(Debug)]
pub struct Imported {
    /// The model and its training.
    pub plan: Plan,
    /// Its config, without the defaults.
    pub config: toml::Table,
    /// The weights by name.
    pub tensors: Vec<(String, Array)>,
    /// The optimizer's, where the file has some.
    pub state: Option<State>,
    /// What the file is: its Keras, loss, optimizer and metrics.
    pub found: Vec<(&'static str, String)>,
    /// What was left behind, in sentences.
    pub notes: Vec<String>,
}

/// Opens a file of Keras's.
///
/// # Errors
/// When its bytes, its model or its weights are refused, each by the file's own names.
pub fn import(path: &Path, options: &Options) -> Result<Imported, KerasError> {
    import_open(path, &KerasFile::open(path, options.weights)?, options)
}

/// As [`import`], of a file that is open; `path` is for messages.
///
/// # Errors
/// When its model or its weights are refused, each by the file's own names.
pub fn import_open(
    path: &Path,
    file: &KerasFile,
    options: &Options,
) -> Result<Imported, KerasError> {
    match (&file.model, options.config) {
        (Some(_), Some(_)) => {
            let sentence = format!("{} says its model itself; leave --config out", path.display());
            Err(KerasError::Usage(sentence))
        }
        (None, Some(config)) => of_config(path, file, config, options),
        (Some(model), None) => of_model(path, file, model, options),
        (None, None) => {
            let sentence = format!(
                "{} holds weights alone; name the config of their model with --config FILE, or import its \
                 model.json with --weights {}",
                path.display(),
                path.display()
            );
            Err(KerasError::Usage(sentence))
        }
    }
}

/// Weights alone, for a model that a config describes.
fn of_config(
    path: &Path,
    file: &KerasFile,
    config: &Path,
    options: &Options,
) -> Result<Imported, KerasError> {
    if !options.layers.is_empty() {
        let sentence = "the config says what the layers are; leave --as out".to_owned();
        return Err(KerasError::Usage(sentence));
    }
    if options.code.is_some() {
        let sentence = "the config says where the code is; leave --code out".to_owned();
        return Err(KerasError::Usage(sentence));
    }
    let plan = Plan::new(config::Source::open(config, &[])?)?;
    let version = Version::of(file.keras_version.as_deref(), &serde_json::Value::Null);
    let broken = |problem: String| KerasError::broken(path, problem);
    let holders = holders_by_name(&plan);
    let found = read(file, version, &plan, &holders).map_err(broken)?;
    let mut notes = Notes::default();
    check_left(path, options, &found.left, &mut notes)?;
    if !found.by_name {
        notes.add(BY_ORDER);
    }
    if !file.optimizer.is_empty() {
        notes.add("the optimizer's state is left behind, it starts anew: the file does not say whose it is");
    }
    let table = plan.config.to_toml().parse::<toml::Table>().unwrap_or_default();
    let found_words = kind_words(file);
    Ok(Imported {
        plan,
        config: table,
        tensors: found.tensors,
        state: None,
        found: found_words,
        notes: notes.sentences(),
    })
}

/// What a model's JSON alone says, for tests: its config, and what is said of it.
#[cfg(test)]
pub(super) fn words_of(
    path: &Path,
    model: &serde_json::Value,
    version: Option<&str>,
    code: Option<&str>,
    layers: &[String],
) -> Result<(String, Vec<String>), KerasError> {
    let wishes = Options { weights: None, config: None, code, name: "net", layers };
    let drawn = draw(path, model, Version::of(version, model), None, &wishes)?;
    Ok((config::to_toml(drawn.config), drawn.notes.sentences()))
}

fn of_model(
    path: &Path,
    file: &KerasFile,
    model: &serde_json::Value,
    options: &Options,
) -> Result<Imported, KerasError> {
    let version = Version::of(file.keras_version.as_deref(), model);
    let drawn = draw(path, model, version, file.training.as_ref(), options)?;
    let Drawn { plan, config, mut notes, training, leaves, said } = drawn;
    if matches!(file.weights, Weights::None) {
        let sentence =
            format!("{} holds no weights; name their file with --weights FILE", path.display());
        return Err(KerasError::Usage(sentence));
    }
    let leaves: Vec<Option<&Leaf>> = leaves.iter().map(Option::as_ref).collect();
    check_left_out(path, &file.weights, &plan.graph, leaves.iter().copied().zip(said))?;
    let holders = holders(&plan, &leaves);
    let broken = |problem: String| KerasError::broken(path, problem);
    let layout = version_of_weights(file, model);
    let weights = read(file, layout, &plan, &holders).map_err(broken)?;
    check_left(path, options, &weights.left, &mut notes)?;
    if !weights.by_name {
        notes.add(BY_ORDER);
    }
    let state = if training.keys.contains_key("optimizer") {
        take_state(file, layout, &plan, &holders, &mut notes)
    } else {
        None
    };
    let mut found = kind_words(file);
    found.extend(training.found);
    Ok(Imported { plan, config, tensors: weights.tensors, state, found, notes: notes.sentences() })
}

/// Says whose weights stay unused; refuses where they are of a file that need not be of this model.
fn check_left(
    path: &Path,
    options: &Options,
    left: &[String],
    notes: &mut Notes,
) -> Result<(), KerasError> {
    /// Names that are shown.
    const MOST: usize = 5;
    let [.., _] = left else { return Ok(()) };
    let more = if left.len() > MOST { " and others" } else { "" };
    let names = left.iter().take(MOST).map(String::as_str).collect::<Vec<_>>().join(", ");
    if options.weights.is_none() && options.config.is_none() {
        notes.add(format!("the weights of {names}{more} are left behind: nothing reads them"));
        return Ok(());
    }
    let path = options.weights.unwrap_or(path);
    let problem = format!("it has weights of layers that the model lacks: {names}{more}");
    Err(KerasError::broken(path, problem))
}

/// A model in the config's words, before its weights.
struct Drawn<'a> {
    plan: Plan,
    config: toml::Table,
    notes: Notes,
    training: Training,
    /// The file's layer of each of the plan's nodes.
    leaves: Vec<Option<Leaf<'a>>>,
    /// Of each node: whether the user or the layer's class alone says what it is.
    said: Vec<bool>,
}

fn draw<'a>(
    path: &Path,
    model: &'a serde_json::Value,
    version: Version,
    compiled: Option<&serde_json::Value>,
    &Options { name, code, layers, .. }: &Options,
) -> Result<Drawn<'a>, KerasError> {
    let json = model;
    let stated = Statements::parse(layers).map_err(KerasError::Usage)?;
    let read = read_model(path, model, version, stated)?;
    let ReadIn { model, leaves, frozen, precision, mut notes } = read;
    let mut training = training(compiled, version, &mut notes);
    if precision == Some(ROUNDED) {
        notes.add(format!(
            "its policy {ROUNDED} is kept: with --set train.dtype=float32 it computes in float32, on any processor"
        ));
    }
    if let Some(precision) = precision {
        training.keys.insert("dtype".to_owned(), precision.into());
    }
    let draft = Draft { path, name, model: &model, leaves: &leaves };
    // Without a code first, to see the sizes.
    let plan = draft.plan(&draft.table(None, &training, &[]))?;
    draft.check_axes(&plan.graph)?;
    draft.check_output_shapes(&plan.graph)?;
    draft.check_shapes(json, &plan.graph)?;
    draft.thaw(&plan, &frozen, &mut training, &mut notes);
    let weighted: Vec<bool> =
        plan.graph.nodes.iter().map(|node| !node.weights.is_empty()).collect();
    let code = draft.code(&plan.graph, code)?;
    let split = code.as_ref().map(|code| draft.split(&plan.graph, code.index));
    let order = split.as_ref().map_or_else(|| (0..model.entries.len()).collect(), Split::order);
    let config = draft.table(split.as_ref(), &training, &weighted);
    let plan = draft.plan(&config)?;
    match &code {
        Some(code) => notes.add(&code.said),
        None => notes.add("no layer gives a code: --code LAYER names one"),
    }
    say_skip(&plan.graph, &mut notes);
    let leaf = |&entry: &usize| model.entries[entry].leaf.map(|leaf| leaves[leaf].clone());
    let leaves = order.iter().map(leaf).collect();
    let said = order.iter().map(|&entry| model.entries[entry].is_said).collect();
    Ok(Drawn { plan, config, notes, training, leaves, said })
}

fn kind_words(file: &KerasFile) -> Vec<(&'static str, String)> {
    let version = file.keras_version.as_deref().map_or("unknown".to_owned(), plain);
    vec![("Keras", version)]
}

/// A model that was read.
struct ReadIn<'a> {
    model: Model,
    leaves: Vec<Leaf<'a>>,
    frozen: Vec<String>,
    precision: Option<&'static str>,
    notes: Notes,
}

fn read_model<'a>(
    path: &Path,
    json: &'a serde_json::Value,
    version: Version,
    stated: Statements,
) -> Result<ReadIn<'a>, KerasError> {
    let (mut refusals, mut notes) = (Refusals::default(), Notes::default());
    let graph = graph(json, &mut refusals).map_err(|problem| KerasError::broken(path, problem))?;
    let mut findings = Findings {
        refusals: &mut refusals,
        notes: &mut notes,
        version,
        frozen: vec![],
        types: vec![],
        stated,
    };
    for (name, what) in &graph.said {
        findings.notes.of_layer(name, what);
    }
    let model = translate(&graph, json, &mut findings);
    findings.stated.check_used(&graph.leaves).map_err(KerasError::Usage)?;
    let precision = precision(&mut findings);
    let frozen = std::mem::take(&mut findings.frozen);
    if !refusals.0.is_empty() {
        return Err(KerasError::Refused { path: path.to_owned(), refusals });
    }
    if model.entries.is_empty() || model.input_shape.is_empty() {
        return Err(KerasError::broken(path, "its model has no layers between input and output"));
    }
    Ok(ReadIn { model, leaves: graph.leaves, frozen, precision, notes })
}

const ROUNDED: &str = "mixed_bfloat16";

/// One for all layers; of mixed precision, that of the weights, unless all round to bfloat16.
fn precision(findings: &mut Findings) -> Option<&'static str> {
    const OTHERWISE: &str =
        "build the model in float32 in Keras, give it these weights, and save it anew";
    let types = std::mem::take(&mut findings.types);
    if !types.is_empty() && types.iter().all(|(_, name)| name == ROUNDED) {
        return Some(ROUNDED);
    }
    let mut all = None;
    for (layer, name) in &types {
        let own = match name.as_str() {
            "float32" => "float32",
            "float64" => "float64",
            "mixed_float16" | ROUNDED => {
                findings.notes.of_layer(
                    layer,
                    &format!("{name} is left behind: here it computes in float32"),
                );
                "float32"
            }
            other => {
                let what = format!("computes in {}, which convae does not have", plain(other));
                findings.refusals.add(layer, "layer", what, OTHERWISE);
                continue;
            }
        };
        let first = *all.get_or_insert(own);
        if first != own {
            let what = format!("computes in {own}, others in {first}");
            findings.refusals.add(layer, "layer", what, OTHERWISE);
        }
    }
    all.filter(|precision| *precision != "float32")
}

fn take_state(
    file: &KerasFile,
    version: Version,
    plan: &Plan,
    holders: &[Holder],
    notes: &mut Notes,
) -> Option<State> {
    match state(file, version, plan, holders) {
        Ok(found) => {
            if let Some(State { iterations, .. }) = found {
                notes.add(format!(
                    "the optimizer's state after {iterations} steps is taken over: training goes on from there"
                ));
            }
            found
        }
        Err(why) => {
            notes.add(format!("the optimizer's state is left behind, it starts anew: {why}"));
            None
        }
    }
}

fn say_skip(graph: &Graph, notes: &mut Notes) {
    if let Err(skip) = graph.section(crate::plan::Part::Decoder) {
        notes.add(format!("{skip}: `encode` works, `decode` does not"));
    }
}

/// The way out for a layer that is not what it was taken for.
const SAY_IT: &str = "say with --as NAME='LAYER(key=value)' what it does";

/// Refuses a layer whose code is in no file, which is taken for one without weights, and has some in the file.
fn check_left_out<'a>(
    path: &Path,
    weights: &Weights,
    graph: &Graph,
    leaves: impl Iterator<Item = (Option<&'a Leaf<'a>>, bool)>,
) -> Result<(), KerasError> {
    let mut refusals = Refusals::default();
    for (node, (leaf, said)) in graph.nodes.iter().zip(leaves) {
        let Some(leaf) = leaf.filter(|_| said && node.weights.is_empty()) else { continue };
        let held = held(weights, &leaf.place);
        if node.shares.is_none() && held > 0 {
            let what =
                format!("has {held} weights in the file, and {} has none", node.layer.name());
            refusals.add(leaf.name, leaf.object.class, what, SAY_IT);
        }
    }
    if refusals.0.is_empty() {
        return Ok(());
    }
    Err(KerasError::Refused { path: path.to_owned(), refusals })
}

/// The entries of each half, by number.
struct Split {
    encoder: Vec<usize>,
    decoder: Vec<usize>,
}

impl Split {
    fn order(&self) -> Vec<usize> {
        [self.encoder.as_slice(), &self.decoder].concat()
    }
}

/// A model on its way to a config.
struct Draft<'a> {
    path: &'a Path,
    name: &'a str,
    model: &'a Model,
    leaves: &'a [Leaf<'a>],
}

impl Draft<'_> {
    fn plan(&self, table: &toml::Table) -> Result<Plan, KerasError> {
        let refused = |error: ConfigError| {
            let path = self.path.to_owned();
            KerasError::Plan { path, problem: by_name(&error, table) }
        };
        let text = config::to_toml(table.clone());
        let source = config::Source::parse(&text, "its config", &[]).map_err(refused)?;
        Plan::new(source).map_err(refused)
    }

    /// The config; entries that are `weighted` share their weights with those of the same layer before.
    fn table(&self, split: Option<&Split>, training: &Training, weighted: &[bool]) -> toml::Table {
        let shape = self.model.input_shape.iter().map(|&side| toml::Value::Integer(side));
        let mut model = toml::Table::new();
        model.insert("input_shape".to_owned(), toml::Value::Array(shape.collect()));
        match split {
            None => {
                let all: Vec<usize> = (0..self.model.entries.len()).collect();
                let [layers, _] = self.lists(&all, &[], weighted);
                model.insert("layers".to_owned(), layers);
            }
            Some(Split { encoder, decoder }) => {
                let [encoder, decoder] = self.lists(encoder, decoder, weighted);
                model.insert("encoder".to_owned(), encoder);
                model.insert("decoder".to_owned(), decoder);
            }
        }
        let mut table = toml::Table::new();
        table.insert("name".to_owned(), self.name.into());
        table.insert("model".to_owned(), toml::Value::Table(model));
        table.insert("train".to_owned(), toml::Value::Table(training.keys.clone()));
        table
    }

    /// The entries of two lists.
    fn lists(&self, first: &[usize], second: &[usize], weighted: &[bool]) -> [toml::Value; 2] {
        let mut owners: std::collections::HashMap<usize, &str> = std::collections::HashMap::new();
        let mut before = None;
        [first, second].map(|numbers| {
            let entries = numbers.iter().map(|&number| {
                let entry = &self.model.entries[number];
                let owner = entry.leaf.and_then(|leaf| owners.get(&leaf).copied());
                if let Some(leaf) = entry.leaf {
                    owners.entry(leaf).or_insert(&entry.name);
                }
                let table = self.entry(
                    entry,
                    owner.filter(|_| weighted.get(number) == Some(&true)),
                    before,
                );
                before = Some(number);
                toml::Value::Table(table)
            });
            toml::Value::Array(entries.collect())
        })
    }

    fn entry(&self, entry: &Entry, owner: Option<&str>, before: Option<usize>) -> toml::Table {
        let mut table = toml::Table::new();
        let kind = if owner.is_some() { "Shared" } else { &entry.kind };
        table.insert("layer".to_owned(), kind.into());
        table.insert("name".to_owned(), entry.name.as_str().into());
        let usual = before.map_or(Source::Input, Source::Entry);
        if entry.inputs != [usual] {
            let inputs = entry.inputs.iter().map(|input| match input {
                Source::Input => toml::Value::from("input"),
                Source::Entry(number) => self.model.entries[*number].name.as_str().into(),
            });
            table.insert("inputs".to_owned(), toml::Value::Array(inputs.collect()));
        }
        match owner {
            Some(owner) => {
                table.insert("of".to_owned(), owner.into());
            }
            None => table.extend(entry.keys.clone()),
        }
        table
    }

    /// Normalizations and softmaxes of another axis than the last would compute something else.
    fn check_axes(&self, graph: &Graph) -> Result<(), KerasError> {
        let mut refusals = Refusals::default();
        for (entry, node) in self.model.entries.iter().zip(&graph.nodes) {
            let last = graph.input_of(node).0.len() as i64;
            if let Some(axis) = entry.axis.filter(|axis| ![-1, last].contains(axis)) {
                let what = format!("works along axis {axis}, and here it does along the last");
                let way_out =
                    "build the model with the channels last, give it these weights, and save it";
                refusals.add(&entry.name, &entry.kind, what, way_out);
            }
        }
        self.unless(refusals)
    }

    /// Goes on unless something is refused.
    fn unless(&self, refusals: Refusals) -> Result<(), KerasError> {
        if refusals.0.is_empty() {
            return Ok(());
        }
        Err(KerasError::Refused { path: self.path.to_owned(), refusals })
    }

    /// Keras 1 says what its Deconvolution2D gives, also what another one would not.
    fn check_output_shapes(&self, graph: &Graph) -> Result<(), KerasError> {
        let mut refusals = Refusals::default();
        for (entry, node) in self.model.entries.iter().zip(&graph.nodes) {
            let leaf = entry.leaf.map(|leaf| &self.leaves[leaf]);
            let object =
                leaf.map(|leaf| leaf.object).filter(|object| object.class == OLD_TRANSPOSED);
            let said = object.and_then(|object| object.config.get("output_shape")?.as_array());
            let Some(said) = said else { continue };
            if !is_shape(said, &node.output) {
                let what = format!("gives {} here, and says another output_shape", node.output);
                let way_out =
                    "build the model with Conv2DTranspose, give it these weights, and save it";
                refusals.add(&entry.name, &entry.kind, what, way_out);
            }
        }
        self.unless(refusals)
    }

    /// Of layers whose code is in no file: what they are taken for gives the shape that the file says.
    fn check_shapes(&self, model: &serde_json::Value, graph: &Graph) -> Result<(), KerasError> {
        let mut refusals = Refusals::default();
        for (entry, node) in self.model.entries.iter().zip(&graph.nodes) {
            let leaf = entry.leaf.filter(|_| entry.is_said).map(|leaf| &self.leaves[leaf]);
            if let Some(leaf) = leaf
                && let Some(what) = misfit(model, leaf, node)
            {
                refusals.add(leaf.name, leaf.object.class, what, SAY_IT);
            }
        }
        self.unless(refusals)
    }

    /// Where the code is, by the user's word or by the sizes.
    fn code(&self, graph: &Graph, wish: Option<&str>) -> Result<Option<Code>, KerasError> {
        let Some(wish) = wish else { return Ok(code::find(graph)) };
        let entries = &self.model.entries;
        let original = |entry: &Entry| entry.leaf.map(|leaf| self.leaves[leaf].name) == Some(wish);
        let here = entries.iter().position(|entry| entry.name == wish);
        let found = here.or_else(|| entries.iter().position(original)).ok_or_else(|| {
            let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
            let remedy = config::schema::suggest(wish, &names);
            KerasError::Usage(format!(
                "--code is {wish:?}, which is no layer of {}; {remedy}",
                self.path.display()
            ))
        })?;
        // Its activation is a part of it.
        let follows =
            |entry: &Entry| entry.leaf.is_none() && entry.inputs == [Source::Entry(found)];
        let index = if entries.get(found + 1).is_some_and(follows) { found + 1 } else { found };
        Ok(Some(code::named(graph, index)))
    }

    /// What the code needs, and the rest.
    fn split(&self, graph: &Graph, code: usize) -> Split {
        let mut needed = vec![false; graph.nodes.len()];
        let mut open = vec![code];
        while let Some(index) = open.pop() {
            if !std::mem::replace(&mut needed[index], true) {
                open.extend(self.model.entries[index].inputs.iter().filter_map(
                    |input| match input {
                        Source::Input => None,
                        Source::Entry(number) => Some(*number),
                    },
                ));
            }
        }
        // The code stands last: nothing that it needs reads it.
        let (encoder, decoder) = (0..needed.len()).partition(|&index| needed[index]);
        Split { encoder, decoder }
    }

    /// Weights that the file keeps from training would learn here, so that is asked first.
    fn thaw(&self, plan: &Plan, frozen: &[String], training: &mut Training, notes: &mut Notes) {
        let names: std::collections::HashSet<&str> = frozen.iter().map(String::as_str).collect();
        let held = self.model.entries.iter().zip(&plan.graph.nodes).filter(|(entry, node)| {
            let leaf = entry.leaf.map(|leaf| self.leaves[leaf].name);
            !node.weights.is_empty() && leaf.is_some_and(|name| names.contains(name))
        });
        let held: Vec<&str> = held.map(|(entry, _)| entry.name.as_str()).collect();
        if held.is_empty() {
            return;
        }
        for name in &held {
            notes.of_layer(
                name,
                "is frozen in the file (trainable = False), and a training here changes it",
            );
        }
        let loss = training.keys.insert("loss".to_owned(), UNKNOWN.into());
        let loss = loss.filter(|loss| loss.as_str() != Some(UNKNOWN));
        if let Some(loss) = loss {
            notes.add(format!("to train with all layers, set train.loss = {loss}, the file's"));
        }
    }
}

/// A refusal of a config that nobody has seen: `model.layers[3]` by the layer's name.
fn by_name(error: &ConfigError, table: &toml::Table) -> String {
    let ConfigError { problem, remedy, .. } = error;
    let found = ["layers", "encoder", "decoder"].iter().find_map(|list| {
        let rest = problem.strip_prefix(&format!("`model.{list}["))?;
        let (number, rest) = rest.split_once(']')?;
        let entry = table.get("model")?.get(list)?.get(number.parse::<usize>().ok()?)?;
        let (name, layer) = (entry.get("name")?.as_str()?, entry.get("layer")?.as_str()?);
        let rest = match rest.strip_prefix('.') {
            Some(rest) => format!(": `{rest}"),
            None => rest.trim_start_matches('`').replacen(&format!(" ({layer})"), "", 1),
        };
        Some(format!("the layer {name} ({layer}){rest}"))
    });
    format!("{}; {remedy}", found.as_deref().unwrap_or(problem))
}
