//! The modules of a model and the code of each, in TorchScript's serialised form of Python.

use std::fmt::Write as _;

use super::layer;
use crate::formats::checkpoint::script::Module;
use crate::infer::export::Exporter;
use crate::plan::{Graph, Part, Section, Value};

/// Where the code lies, for TorchScript.
const NAMESPACE: &str = "__torch__.convae";

/// A model's modules and their code.
pub struct Modules<'a> {
    /// The whole model, with its parts and their layers.
    pub root: Module<'a>,
    /// The code of all classes, each after those that it uses.
    pub source: String,
}

/// Writes one class for each layer, one for each part, and one for the whole.
pub fn modules(model: &Exporter) -> Modules<'_> {
    let graph = &model.plan.graph;
    let mut source = String::new();
    let mut parts = Vec::new();
    let classes = [(Part::Encoder, "Encoder"), (Part::Decoder, "Decoder"), (Part::Whole, "Model")];
    let in_two = !graph.nodes.iter().any(|node| node.part == Part::Whole);
    for (part, class_name) in
        classes.into_iter().filter(|(part, _)| (*part == Part::Whole) != in_two)
    {
        let mut modules = Vec::new();
        for (index, node) in model.nodes().filter(|(_, node)| node.part == part) {
            if node.layer.is_merge() || node.shares.is_some() {
                continue;
            }
            let weights = model.weights_of(node);
            let tensors: Vec<_> = (node.weights.iter())
                .filter_map(|weight| Some((weight.suffix.to_owned(), weights.get(weight.suffix)?)))
                .collect();
            let held: Vec<&str> = tensors.iter().map(|(name, _)| name.as_str()).collect();
            source += &class(&node.name, &attributes(&held), &methods(graph, index));
            modules.push(Module {
                class: qualified(&node.name),
                name: node.name.clone(),
                tensors,
                modules: Vec::new(),
            });
        }
        let calls = graph.section(part).ok().and_then(|section| calls(&section, Some(part)));
        source += &parent(class_name, &modules, calls);
        parts.push(Module {
            class: qualified(class_name),
            name: part.name().to_owned(),
            tensors: Vec::new(),
            modules,
        });
    }
    let whole = if graph.chain().is_some() && in_two {
        Some(vec!["x = (self.encoder).forward(x, )", "x = (self.decoder).forward(x, )"])
            .map(|lines| lines.into_iter().map(str::to_owned).collect())
    } else {
        graph.section(Part::Whole).ok().and_then(|section| calls(&section, None))
    };
    source += &parent("Autoencoder", &parts, whole);
    let class = qualified("Autoencoder");
    let root = Module { class, name: String::new(), tensors: Vec::new(), modules: parts };
    Modules { root, source }
}

/// The lines of the layer that a node uses, for the shapes that it meets there.
fn body(graph: &Graph, index: usize) -> Vec<String> {
    let (node, owner) = (&graph.nodes[index], &graph.nodes[graph.owner(index)]);
    let held: Vec<&str> = owner.weights.iter().map(|weight| weight.suffix).collect();
    layer::code(&node.layer, [graph.input_of(node), &node.output], &held)
}

/// The lines of a layer's `forward`, and of a method more for each use that needs others: a layer may be used
/// on vectors and on images.
fn methods(graph: &Graph, owner: usize) -> Vec<Vec<String>> {
    let mut bodies = vec![body(graph, owner)];
    for index in 0..graph.nodes.len() {
        let lines = if graph.owner(index) == owner { body(graph, index) } else { continue };
        if !bodies.contains(&lines) {
            bodies.push(lines);
        }
    }
    bodies
}

fn method_name(number: usize) -> String {
    if number == 0 { "forward".to_owned() } else { format!("forward_{number}") }
}

/// The lines that take `x` through a section, seen from the module of its part or from the whole model;
/// `None` where a part needs layers of the other one.
fn calls(section: &Section<'_>, within: Option<Part>) -> Option<Vec<String>> {
    let name = |value: Value| match value {
        _ if value == section.input => "x".to_owned(),
        Value::Input => "x".to_owned(),
        Value::Node(index) => format!("x{index}"),
    };
    let mut lines = vec![layer::to_row(section.input_shape())];
    for (index, node) in section.nodes() {
        let inputs: Vec<String> = node.inputs.iter().map(|&value| name(value)).collect();
        let graph = section.graph();
        let owner = &graph.nodes[graph.owner(index)];
        let module = match within {
            Some(part) if part != node.part || part != owner.part => return None,
            Some(_) => format!("self.{}", owner.name),
            None => format!("(self.{}).{}", owner.part.name(), owner.name),
        };
        let value = if node.layer.is_merge() {
            layer::merged(node, &inputs)
        } else {
            let lines = body(graph, index);
            let number = methods(graph, graph.owner(index)).iter().position(|one| *one == lines);
            let method = method_name(number.expect("the methods are those of all uses"));
            format!("({module}).{method}({}, )", inputs[0])
        };
        lines.push(format!("x{index} = {value}"));
    }
    if section.output != section.input {
        lines.push(format!("x = {}", name(section.output)));
    }
    lines.push(layer::from_row(section.output_shape()));
    Some(lines)
}

fn qualified(class: &str) -> String {
    format!("{NAMESPACE}.{class}")
}

fn attributes(tensors: &[&str]) -> String {
    let (buffers, parameters): (Vec<_>, Vec<_>) =
        tensors.iter().partition(|name| name.starts_with("running_"));
    let list = |names: &[&&str]| {
        names.iter().fold(String::new(), |all, name| all + &format!("\"{name}\", "))
    };
    let mut text = format!("  __parameters__ = [{}]\n", list(&parameters));
    let _ = writeln!(text, "  __buffers__ = [{}]", list(&buffers));
    for name in tensors {
        let _ = writeln!(text, "  {name} : Tensor");
    }
    text
}

/// A class with a method that takes `x` through the lines of each body, `forward` first.
fn class(name: &str, attributes: &str, bodies: &[Vec<String>]) -> String {
    let mut text = format!("class {name}(Module):\n{attributes}  training : bool\n");
    for (number, body) in bodies.iter().enumerate() {
        let (method, module) = (method_name(number), qualified(name));
        let _ = writeln!(text, "  def {method}(self: {module}, x: Tensor) -> Tensor:");
        for line in body.iter().filter(|line| !line.is_empty()) {
            let _ = writeln!(text, "    {line}");
        }
        text += "    return x\n";
    }
    text
}

/// A class that holds modules, and calls them where it is told how.
fn parent(name: &str, children: &[Module<'_>], calls: Option<Vec<String>>) -> String {
    let mut attributes = "  __parameters__ = []\n  __buffers__ = []\n".to_owned();
    for child in children {
        let _ = writeln!(attributes, "  {} : {}", child.name, child.class);
    }
    class(name, &attributes, calls.as_slice())
}
