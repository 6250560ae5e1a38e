//! The modules of a model and the code of each, in TorchScript's serialised form of Python.

use std::fmt::Write as _;

use super::layer;
use crate::checkpoint::script::Module;
use crate::export::TrainedModel;

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
pub fn modules(model: &TrainedModel) -> Modules<'_> {
    let mut source = String::new();
    let mut parts = Vec::new();
    for part in ["encoder", "decoder"] {
        let layers = model.layers().filter(|(of, _)| *of == part);
        let mut modules = Vec::new();
        for (_, planned) in layers {
            let weights = model.weights_of(part, planned);
            let tensors: Vec<_> = ["weight", "bias", "running_mean", "running_var"]
                .into_iter()
                .filter_map(|suffix| Some((suffix.to_owned(), weights.get(suffix)?)))
                .collect();
            let held: Vec<&str> = tensors.iter().map(|(name, _)| name.as_str()).collect();
            let body = layer::code(planned, &held);
            source += &class(&planned.name, &attributes(&held), &body);
            modules.push(Module {
                class: qualified(&planned.name),
                name: planned.name.clone(),
                tensors,
                modules: Vec::new(),
            });
        }
        let class_name = if part == "encoder" { "Encoder" } else { "Decoder" };
        let children = modules.iter().map(|module| (module.name.clone(), module.class.clone()));
        source += &sequence(class_name, &children.collect::<Vec<_>>());
        parts.push(Module {
            class: qualified(class_name),
            name: part.to_owned(),
            tensors: Vec::new(),
            modules,
        });
    }
    let children = parts.iter().map(|module| (module.name.clone(), module.class.clone()));
    source += &sequence("Autoencoder", &children.collect::<Vec<_>>());
    let class = qualified("Autoencoder");
    let root = Module { class, name: String::new(), tensors: Vec::new(), modules: parts };
    Modules { root, source }
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

/// A class whose `forward` takes `x` through the lines of `body`.
fn class(name: &str, attributes: &str, body: &[String]) -> String {
    let mut lines = String::new();
    for line in body.iter().filter(|line| !line.is_empty()) {
        let _ = writeln!(lines, "    {line}");
    }
    format!(
        "class {name}(Module):\n{attributes}  training : bool\n  def forward(self: {}, x: Tensor) -> \
         Tensor:\n{lines}    return x\n",
        qualified(name)
    )
}

/// A class that calls its modules one after the other.
fn sequence(name: &str, children: &[(String, String)]) -> String {
    let mut attributes = "  __parameters__ = []\n  __buffers__ = []\n".to_owned();
    for (child, class) in children {
        let _ = writeln!(attributes, "  {child} : {class}");
    }
    let calls: Vec<String> =
        children.iter().map(|(child, _)| format!("x = (self.{child}).forward(x, )")).collect();
    class(name, &attributes, &calls)
}
