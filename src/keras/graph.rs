//! A model's JSON as one graph: models inside models unpacked, calls in topological order.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use serde_json::Value as Json;

use super::json::{Object, list, plain, text};
use super::references::{Argument, Call, Reference, call, ends};
use super::refusal::Refusals;
use crate::plan::Names;

/// Models within models; beyond it a file is taken for an attack.
const DEEPEST: usize = 16;
/// Layers, their calls and what these read, models within models counted as often as they are used.
const MOST_WORK: usize = 200_000;

/// What a layer may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Value {
    /// One of the model's inputs.
    Input(usize),
    /// What a call gives.
    Call(usize),
}

/// A layer that is no model.
#[derive(Debug, Clone)]
pub struct Leaf<'a> {
    /// Class and options.
    pub object: Object<'a>,
    /// Its name in its model.
    pub name: &'a str,
    /// The models that it stands in, the outermost left out, and then the layer itself.
    pub place: Vec<Place<'a>>,
    /// Whether it is one of `keras.ops`.
    pub is_operation: bool,
    /// Keras's number of a layer that stands in several models.
    pub shared: Option<u64>,
}

impl Leaf<'_> {
    /// The name of the inner model that it stands in.
    pub fn within(&self) -> Option<&str> {
        self.place.iter().rev().nth(1).map(|place| place.name)
    }
}

/// Where a layer stands in its model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place<'a> {
    /// Its name.
    pub name: &'a str,
    /// How a `.keras` file calls its group: by class and number, `conv2d_1`.
    pub group: String,
    /// Its number in the list of layers.
    pub index: usize,
}

/// One use of a layer.
#[derive(Debug, Clone)]
pub struct Use<'a> {
    /// Number of the layer.
    pub leaf: usize,
    /// What it was called with.
    pub call: Call<'a, Value>,
}

/// An input of the model.
#[derive(Debug, Clone)]
pub struct Input<'a> {
    /// Its layer's name.
    pub name: &'a str,
    /// With the batch: `[null, 28, 28, 1]`.
    pub shape: &'a Json,
    /// The type of its values, where the file says one.
    pub dtype: Option<&'a str>,
}

/// A whole model.
#[derive(Debug, Default)]
pub struct Graph<'a> {
    /// Each once, in the order of their first use.
    pub leaves: Vec<Leaf<'a>>,
    /// In topological order.
    pub uses: Vec<Use<'a>>,
    /// What it takes.
    pub inputs: Vec<Input<'a>>,
    /// What it gives, and the name of the layer that gives it.
    pub outputs: Vec<(&'a str, Value)>,
    /// What is to be said of models in it, by their names.
    pub said: Vec<(&'a str, String)>,
}

/// Why a model's JSON is no graph.
type Broken = String;

/// Reads a model.
///
/// # Errors
/// When the JSON is no model, or contradicts itself; what convae lacks goes to `refusals`.
pub fn graph<'a>(model: &'a Json, refusals: &mut Refusals) -> Result<Graph<'a>, Broken> {
    let object = Object::of(model).ok_or("its model has no class_name")?;
    let mut walk = Walk { graph: Graph::default(), known: HashMap::new(), work: 0, refusals };
    let name = text(object.config, "name").unwrap_or("the model");
    match kind(&object) {
        Kind::Sequential => {
            let input = sequential_input(&object, 0).ok_or_else(|| {
                format!(
                    "{} does not say the shape of its input; open it in Keras, call \
                     model.build((None, height, width, channels)), and save it anew",
                    plain(name)
                )
            })?;
            walk.graph.inputs.push(input);
            let value = walk.sequential(&object, &[], Value::Input(0))?;
            walk.graph.outputs.push((name, value));
        }
        Kind::Functional => {
            let layers = Layers::of(&object);
            for read in ends(object.config.get("input_layers").unwrap_or(&Json::Null)) {
                let layer = layers.get(read.layer).ok_or_else(|| missing(read.layer))?;
                walk.graph.inputs.push(input_of(layer));
            }
            let inputs = (0..walk.graph.inputs.len()).map(Value::Input).collect();
            let outputs = walk.functional(&object, &[], inputs)?;
            let names = ends(object.config.get("output_layers").unwrap_or(&Json::Null));
            let names = names.iter().map(|read| read.layer);
            walk.graph.outputs = names.zip(outputs).collect();
        }
        Kind::Layer if halves(&object).is_some() => {
            let [encoder, decoder] = halves(&object).expect("there are some");
            walk.halves(object.class, encoder, decoder)?;
        }
        Kind::Layer => {
            let what = "is a model by a class of its own, whose code is in no file";
            let way_out = "save the Sequential or functional models that it is made of";
            walk.refusals.add(name, object.class, what, way_out);
        }
    }
    Ok(walk.graph)
}

fn missing(layer: &str) -> Broken {
    format!("its model reads a layer `{}` that it does not have", plain(layer))
}

/// Models and layers.
#[derive(PartialEq, Eq)]
enum Kind {
    Sequential,
    Functional,
    Layer,
}

fn kind(object: &Object) -> Kind {
    let has_graph = object.config.get("output_layers").is_some();
    match object.class {
        _ if object.custom => Kind::Layer,
        "Sequential" => Kind::Sequential,
        "Functional" | "Model" if has_graph => Kind::Functional,
        _ => Kind::Layer,
    }
}

/// The models that a model by a class of its own holds as its `encoder` and its `decoder`.
fn halves<'a>(model: &Object<'a>) -> Option<[&'a Json; 2]> {
    let half = |name: &str| {
        let half = model.config.get(name)?;
        Object::of(half).filter(|object| kind(object) != Kind::Layer).map(|_| half)
    };
    Some([half("encoder")?, half("decoder")?])
}

/// The layers of a model, in the file's order.
struct Layers<'a> {
    all: Vec<&'a Json>,
    by_name: HashMap<&'a str, usize>,
    groups: Vec<String>,
}

impl<'a> Layers<'a> {
    fn of(model: &Object<'a>) -> Self {
        let all: Vec<&Json> = match model.config {
            Json::Array(layers) => layers.iter().collect(), // a Sequential of Keras 1
            config => list(config, "layers").iter().collect(),
        };
        let names = all.iter().enumerate().map(|(index, layer)| (name_of(layer), index));
        let by_name = names.collect();
        Self { by_name, groups: groups(&all), all }
    }

    fn get(&self, name: &str) -> Option<&'a Json> {
        self.by_name.get(name).map(|&index| self.all[index])
    }

    fn place(&self, index: usize) -> Place<'a> {
        Place { name: name_of(self.all[index]), group: self.groups[index].clone(), index }
    }
}

/// As Keras 3 names the groups of its layers' weights: by class, counted; `keras.ops` have none.
fn groups(layers: &[&Json]) -> Vec<String> {
    let mut names = Names::default();
    let group = |layer: &&Json| {
        if is_operation(layer) {
            return String::new();
        }
        names.next(Object::of(layer).map_or("", |object| object.class))
    };
    layers.iter().map(group).collect()
}

/// By its module; an `.h5` file of Keras 3 names none, but each layer says there whether it is trainable.
fn is_operation(layer: &Json) -> bool {
    if let Some(module) = text(layer, "module") {
        return module.contains(".ops");
    }
    let is_modern = list(layer, "inbound_nodes").iter().any(Json::is_object);
    let config = layer.get("config");
    is_modern && config.is_some_and(|config| config.get("trainable").is_none())
}

fn name_of(layer: &Json) -> &str {
    let inner = layer.get("config").and_then(|config| text(config, "name"));
    text(layer, "name").or(inner).unwrap_or("")
}

fn is_input(object: &Object) -> bool {
    object.class == "InputLayer"
}

/// What an InputLayer, or the first layer of a Sequential, says.
fn input_of(layer: &Json) -> Input<'_> {
    let config = layer.get("config").unwrap_or(&Json::Null);
    let dtype = text(config, "input_dtype").or_else(|| text(config, "dtype"));
    let is_input = text(layer, "class_name") == Some("InputLayer");
    Input {
        name: name_of(layer),
        shape: shape_of(config).unwrap_or(&Json::Null),
        dtype: dtype.filter(|_| is_input),
    }
}

fn shape_of(config: &Json) -> Option<&Json> {
    ["batch_shape", "batch_input_shape"]
        .iter()
        .find_map(|key| config.get(key))
        .filter(|s| s.is_array())
}

/// From the first layer that says a shape, also within the first model.
fn sequential_input<'a>(model: &Object<'a>, depth: usize) -> Option<Input<'a>> {
    let layers = Layers::of(model);
    let first = layers.all.first()?;
    let own = input_of(first);
    if own.shape.is_array() {
        return Some(own);
    }
    let named = |shape| Some(Input { name: name_of(first), shape, dtype: None });
    if let Some(shape) = model.config.get("build_input_shape").filter(|shape| shape.is_array()) {
        return named(shape);
    }
    let built = first.get("build_config").and_then(|built| built.get("input_shape"));
    if let Some(shape) = built.filter(|shape| shape.is_array()) {
        return named(shape);
    }
    let inner = Object::of(first)?;
    match kind(&inner) {
        _ if depth >= DEEPEST => None,
        Kind::Sequential => sequential_input(&inner, depth + 1),
        Kind::Functional => {
            let read = *ends(inner.config.get("input_layers")?).first()?;
            Some(input_of(Layers::of(&inner).get(read.layer)?))
                .filter(|input| input.shape.is_array())
        }
        Kind::Layer => None,
    }
}

/// Whether a call asks for what a layer does in training, also where nothing is trained.
pub fn always_trains<R>(call: &Call<R>) -> bool {
    let asks = |argument: &Argument<R>| match argument {
        Argument::Plain(Json::Bool(asks)) => *asks,
        Argument::Plain(Json::Number(number)) => number.as_f64() != Some(0.0),
        _ => false,
    };
    call.kwargs.iter().any(|(name, argument)| *name == "training" && asks(argument))
}

struct Walk<'a, 'r> {
    graph: Graph<'a>,
    /// Numbers of the layers by where they stand.
    known: HashMap<Vec<usize>, usize>,
    work: usize,
    refusals: &'r mut Refusals,
}

impl<'a> Walk<'a, '_> {
    /// What a layer gives in a call.
    fn layer(
        &mut self,
        layer: &'a Json,
        place: &[Place<'a>],
        call: Call<'a, Value>,
    ) -> Result<Vec<Value>, Broken> {
        self.count(1 + call.reads().len(), place.len())?;
        let object = Object::of(layer).ok_or("one of its layers has no class_name")?;
        let kind = kind(&object);
        if kind != Kind::Layer && always_trains(&call) {
            let what = "is called with training = True, so that its dropout never ends";
            self.refusals.add(
                name_of(layer),
                object.class,
                what,
                "call it without that, and save the model anew",
            );
        }
        match kind {
            Kind::Sequential => {
                let input =
                    *call.reads().first().ok_or("one of its models is called with nothing")?;
                Ok(vec![self.sequential(&object, place, input)?])
            }
            Kind::Functional => self.functional(&object, place, call.reads()),
            Kind::Layer => {
                let leaf = self.leaf(layer, object, place);
                self.graph.uses.push(Use { leaf, call });
                Ok(vec![Value::Call(self.graph.uses.len() - 1)])
            }
        }
    }

    /// A model that gives what its decoder makes of its encoder's output; of several outputs, of the last: a
    /// variational autoencoder's are mean, log-variance and a draw.
    fn halves(
        &mut self,
        class: &'a str,
        encoder: &'a Json,
        decoder: &'a Json,
    ) -> Result<(), Broken> {
        let object = Object::of(encoder).ok_or("its encoder has no class_name")?;
        let inputs = match kind(&object) {
            Kind::Functional => {
                let layers = Layers::of(&object);
                let bound = ends(object.config.get("input_layers").unwrap_or(&Json::Null));
                let layer = |read: &Reference<'a>| {
                    layers.get(read.layer).map(input_of).ok_or_else(|| missing(read.layer))
                };
                bound.iter().map(layer).collect::<Result<Vec<_>, _>>()?
            }
            _ => sequential_input(&object, 0).into_iter().collect(),
        };
        if inputs.is_empty() {
            return Err("its encoder does not say the shape of its input".to_owned());
        }
        self.graph.inputs = inputs;
        let read = (0..self.graph.inputs.len()).map(|number| Argument::Read(Value::Input(number)));
        let codes = self.half("encoder", 0, encoder, read.collect())?;
        let code = *codes.last().ok_or("its encoder gives nothing")?;
        let (name, last) = (name_of(encoder), codes.len());
        if last > 1 {
            let said = format!(
                "gives {last} outputs, of which the decoder gets the last, and the others are left out"
            );
            self.graph.said.push((name, said));
        }
        let said = "is a model by a class of its own, whose code is in no file; it opens as its decoder on what \
                    its encoder gives";
        self.graph.said.push((class, said.to_owned()));
        let outputs = self.half("decoder", 1, decoder, vec![Argument::Read(code)])?;
        self.graph.outputs = outputs.into_iter().map(|value| (name_of(decoder), value)).collect();
        Ok(())
    }

    /// An inner model that the weights' file calls `group`.
    fn half(
        &mut self,
        group: &str,
        index: usize,
        model: &'a Json,
        args: Vec<Argument<'a, Value>>,
    ) -> Result<Vec<Value>, Broken> {
        let place = Place { name: name_of(model), group: group.to_owned(), index };
        self.layer(model, &[place], Call { args, kwargs: Vec::new() })
    }

    /// Takes a number of steps, of which there is an end.
    fn count(&mut self, steps: usize, depth: usize) -> Result<(), Broken> {
        self.work = self.work.saturating_add(steps);
        if self.work <= MOST_WORK && depth <= DEEPEST {
            return Ok(());
        }
        Err(format!(
            "its model is larger than any that convae opens: {MOST_WORK} layers and connections, models \
             within {DEEPEST} models"
        ))
    }

    fn leaf(&mut self, layer: &'a Json, object: Object<'a>, place: &[Place<'a>]) -> usize {
        let key = place.iter().map(|place| place.index).collect();
        let leaves = &mut self.graph.leaves;
        *self.known.entry(key).or_insert_with(|| {
            let (name, place) = (name_of(layer), place.to_vec());
            let shared = layer.get("shared_object_id").and_then(Json::as_u64);
            // Of a layer that several models use, Keras 3 gives the object's number from its second place on.
            let is_same = |leaf: &Leaf| {
                let ids_agree = match (shared, leaf.shared) {
                    (Some(one), Some(other)) => one == other,
                    (one, other) => one.or(other).is_some(),
                };
                ids_agree && leaf.name == name && leaf.object.class == object.class
            };
            if let Some(known) = leaves.iter().position(is_same) {
                return known;
            }
            leaves.push(Leaf { object, name, place, is_operation: is_operation(layer), shared });
            leaves.len() - 1
        })
    }

    fn sequential(
        &mut self,
        model: &Object<'a>,
        place: &[Place<'a>],
        input: Value,
    ) -> Result<Value, Broken> {
        let layers = Layers::of(model);
        self.count(layers.all.len(), place.len())?;
        let mut value = input;
        for (index, layer) in layers.all.iter().enumerate() {
            if Object::of(layer).is_some_and(|object| is_input(&object)) {
                continue;
            }
            let call = Call { args: vec![Argument::Read(value)], kwargs: Vec::new() };
            let given = self.layer(layer, &[place, &[layers.place(index)]].concat(), call)?;
            value = *given.first().ok_or("one of its models gives nothing")?;
        }
        Ok(value)
    }

    fn functional(
        &mut self,
        model: &Object<'a>,
        place: &[Place<'a>],
        inputs: Vec<Value>,
    ) -> Result<Vec<Value>, Broken> {
        let layers = Layers::of(model);
        self.count(layers.all.len(), place.len())?;
        let calls = Calls::of(model, &layers)?;
        let mut given: HashMap<(usize, usize), Vec<Value>> = HashMap::new();
        let bound = ends(model.config.get("input_layers").unwrap_or(&Json::Null));
        if bound.len() != inputs.len() {
            return Err(format!(
                "one of its models takes {} inputs and gets {}",
                bound.len(),
                inputs.len()
            ));
        }
        for (read, input) in bound.iter().zip(inputs) {
            let index = *layers.by_name.get(read.layer).ok_or_else(|| missing(read.layer))?;
            given.insert((index, 0), vec![input]);
        }
        for number in calls.order()? {
            let OneCall { layer, count, call } = &calls.all[number];
            let call = call.clone().resolve(|read| calls.value(read, &layers, &given));
            let call = call.ok_or("its layers read what no layer gives")?;
            let values =
                self.layer(layers.all[*layer], &[place, &[layers.place(*layer)]].concat(), call)?;
            given.insert((*layer, *count), values);
        }
        let outputs = ends(model.config.get("output_layers").unwrap_or(&Json::Null));
        let value = |read: &Reference<'a>| {
            calls.value(*read, &layers, &given).ok_or_else(|| missing(read.layer))
        };
        outputs.iter().map(value).collect()
    }
}

/// A call of a layer in its own model.
struct OneCall<'a> {
    layer: usize,
    /// Number of the call among the layer's.
    count: usize,
    call: Call<'a, Reference<'a>>,
}

/// All of a functional model.
struct Calls<'a> {
    all: Vec<OneCall<'a>>,
    /// Number of a call by layer and count.
    numbers: HashMap<(usize, usize), usize>,
    /// Where the file begins to count a layer's calls: some Kerases count the one that an inner model was
    /// built with.
    first: HashMap<usize, usize>,
    by_name: HashMap<&'a str, usize>,
}

impl<'a> Calls<'a> {
    fn of(model: &Object<'a>, layers: &Layers<'a>) -> Result<Self, Broken> {
        let is_layer = |name: &str| layers.by_name.contains_key(name);
        let mut calls = Self {
            all: Vec::new(),
            numbers: HashMap::new(),
            first: HashMap::new(),
            by_name: layers.by_name.clone(),
        };
        for (index, layer) in layers.all.iter().enumerate() {
            for (count, node) in list(layer, "inbound_nodes").iter().enumerate() {
                let call = call(node, &is_layer).ok_or_else(|| {
                    format!(
                        "it does not say in Keras's words what `{}` reads",
                        plain(name_of(layer))
                    )
                })?;
                calls.numbers.insert((index, count), calls.all.len());
                calls.all.push(OneCall { layer: index, count, call });
            }
        }
        let ends = ends(model.config.get("output_layers").unwrap_or(&Json::Null));
        for read in calls.all.iter().flat_map(|one| one.call.reads()).chain(ends) {
            let index = *layers.by_name.get(read.layer).ok_or_else(|| missing(read.layer))?;
            let first = calls.first.entry(index).or_insert(read.call);
            *first = (*first).min(read.call);
        }
        Ok(calls)
    }

    /// Layer and number of the call that a reference means.
    fn target(&self, read: Reference) -> Option<(usize, usize)> {
        let index = *self.by_name.get(read.layer)?;
        Some((index, read.call.checked_sub(*self.first.get(&index)?)?))
    }

    fn value(
        &self,
        read: Reference,
        layers: &Layers,
        given: &HashMap<(usize, usize), Vec<Value>>,
    ) -> Option<Value> {
        let target = self.target(read)?;
        let values = given.get(&target)?;
        let is_model =
            Object::of(layers.all[target.0]).is_some_and(|object| kind(&object) != Kind::Layer);
        // A layer with several outputs is refused by its class; which of them is read does not matter then.
        if is_model { values.get(read.output).copied() } else { values.first().copied() }
    }

    /// Each call after those that it reads, else in the file's order.
    fn order(&self) -> Result<Vec<usize>, Broken> {
        let mut waiting = vec![0_usize; self.all.len()];
        let mut readers: Vec<Vec<usize>> = vec![Vec::new(); self.all.len()];
        for (number, one) in self.all.iter().enumerate() {
            for read in one.call.reads() {
                if let Some(&before) =
                    self.target(read).and_then(|target| self.numbers.get(&target))
                {
                    waiting[number] += 1;
                    readers[before].push(number);
                }
            }
        }
        let free = (0..self.all.len()).filter(|&number| waiting[number] == 0).map(Reverse);
        let mut free: BinaryHeap<Reverse<usize>> = free.collect();
        let mut order = Vec::with_capacity(self.all.len());
        while let Some(Reverse(number)) = free.pop() {
            order.push(number);
            for &reader in &readers[number] {
                waiting[reader] -= 1;
                if waiting[reader] == 0 {
                    free.push(Reverse(reader));
                }
            }
        }
        if order.len() == self.all.len() {
            Ok(order)
        } else {
            Err("its layers read each other in a circle".to_owned())
        }
    }
}

impl Graph<'_> {
    /// Which uses a value needs.
    pub fn needed(&self, value: Value) -> Vec<bool> {
        let mut needed = vec![false; self.uses.len()];
        let mut open = vec![value];
        while let Some(value) = open.pop() {
            let Value::Call(number) = value else { continue };
            if !std::mem::replace(&mut needed[number], true) {
                open.extend(self.uses[number].call.reads());
            }
        }
        needed
    }
}
