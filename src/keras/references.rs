//! How a file says what a layer reads: `[["conv", 0, 0, {}]]` in Keras 1 and 2, `args` and `kwargs` with
//! `__keras_tensor__` in Keras 3.

use serde_json::Value;

use super::json::{Object, text};

/// Stands for a constant where Keras 2 would name a layer.
const CONSTANT: &str = "_CONSTANT_VALUE";

/// What another layer gave in one of its calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference<'a> {
    /// The other layer's name.
    pub layer: &'a str,
    /// Which of its calls, as the file counts.
    pub call: usize,
    /// Which of its outputs.
    pub output: usize,
}

/// An argument of a call; `R` is how it names what it reads.
#[derive(Debug, Clone, PartialEq)]
pub enum Argument<'a, R> {
    /// What another layer gave.
    Read(R),
    /// Several.
    List(Vec<Argument<'a, R>>),
    /// Anything else: a number, an option.
    Plain(&'a Value),
}

/// The arguments of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Call<'a, R> {
    /// By position.
    pub args: Vec<Argument<'a, R>>,
    /// By name.
    pub kwargs: Vec<(&'a str, Argument<'a, R>)>,
}

impl<'a, R: Copy> Argument<'a, R> {
    fn collect(&self, into: &mut Vec<R>) {
        match self {
            Self::Read(read) => into.push(*read),
            Self::List(items) => items.iter().for_each(|item| item.collect(into)),
            Self::Plain(_) => {}
        }
    }

    /// The same with what is read looked up.
    pub fn resolve<S>(self, look_up: &mut impl FnMut(R) -> Option<S>) -> Option<Argument<'a, S>> {
        Some(match self {
            Self::Read(read) => Argument::Read(look_up(read)?),
            Self::List(items) => Argument::List(
                items.into_iter().map(|item| item.resolve(look_up)).collect::<Option<_>>()?,
            ),
            Self::Plain(value) => Argument::Plain(value),
        })
    }
}

impl<'a, R: Copy> Call<'a, R> {
    /// All that is read, in order.
    pub fn reads(&self) -> Vec<R> {
        let mut reads = Vec::new();
        let named = self.kwargs.iter().map(|(_, argument)| argument);
        self.args.iter().chain(named).for_each(|argument| argument.collect(&mut reads));
        reads
    }

    /// The same with what is read looked up; `None` where something is not found.
    pub fn resolve<S>(self, mut look_up: impl FnMut(R) -> Option<S>) -> Option<Call<'a, S>> {
        let args = self.args.into_iter().map(|argument| argument.resolve(&mut look_up));
        let args = args.collect::<Option<_>>()?;
        let kwargs = self.kwargs.into_iter();
        let kwargs = kwargs
            .map(|(name, argument)| Some((name, argument.resolve(&mut look_up)?)))
            .collect::<Option<_>>()?;
        Some(Call { args, kwargs })
    }
}

/// One item of `inbound_nodes`; `None` where it is in no form that Keras wrote. `is_layer` tells names from
/// other texts.
pub fn call<'a>(
    node: &'a Value,
    is_layer: &dyn Fn(&str) -> bool,
) -> Option<Call<'a, Reference<'a>>> {
    match node {
        Value::Object(_) => Some(Call {
            args: node.get("args")?.as_array()?.iter().map(modern).collect(),
            kwargs: named(node.get("kwargs"), &modern),
        }),
        Value::Array(items) if items.first()?.is_string() => {
            let (first, options) = old(node)?;
            Some(Call {
                args: vec![first],
                kwargs: named(options, &|value| older(value, is_layer)),
            })
        }
        Value::Array(items) => {
            let found: Vec<_> = items.iter().map(old).collect::<Option<_>>()?;
            let options = found.first()?.1;
            let mut reads: Vec<_> = found.into_iter().map(|(read, _)| read).collect();
            let first = if reads.len() == 1 { reads.remove(0) } else { Argument::List(reads) };
            Some(Call {
                args: vec![first],
                kwargs: named(options, &|value| older(value, is_layer)),
            })
        }
        _ => None,
    }
}

fn named<'a>(
    options: Option<&'a Value>,
    read: &dyn Fn(&'a Value) -> Argument<'a, Reference<'a>>,
) -> Vec<(&'a str, Argument<'a, Reference<'a>>)> {
    let options = options.and_then(Value::as_object).into_iter().flatten();
    options.map(|(name, value)| (name.as_str(), read(value))).collect()
}

/// Keras 3.
fn modern(value: &Value) -> Argument<'_, Reference<'_>> {
    match value {
        Value::Array(items) => Argument::List(items.iter().map(modern).collect()),
        Value::Object(_) => {
            let tensor = Object::of(value).filter(|object| object.class == "__keras_tensor__");
            let read = tensor.and_then(|tensor| reference(tensor.config.get("keras_history")?));
            let tuple = (text(value, "class_name") == Some("__tuple__"))
                .then(|| value.get("items")?.as_array())
                .flatten();
            match (read, tuple) {
                (Some(read), _) => Argument::Read(read),
                (None, Some(items)) => Argument::List(items.iter().map(modern).collect()),
                (None, None) => Argument::Plain(value),
            }
        }
        _ => Argument::Plain(value),
    }
}

/// `["conv", 0, 0]`, perhaps with options behind; a constant is `["_CONSTANT_VALUE", -1, 2.0]`.
fn old(value: &Value) -> Option<(Argument<'_, Reference<'_>>, Option<&Value>)> {
    let items = value.as_array()?;
    if items.first()?.as_str()? == CONSTANT {
        return Some((Argument::Plain(items.get(2)?), items.get(3)));
    }
    Some((Argument::Read(reference(value)?), items.get(3)))
}

/// An option of Keras 2, which may name a layer.
fn older<'a>(value: &'a Value, is_layer: &dyn Fn(&str) -> bool) -> Argument<'a, Reference<'a>> {
    let read = reference(value).filter(|read| is_layer(read.layer));
    match (read, value) {
        (Some(read), _) => Argument::Read(read),
        (None, Value::Array(items)) => {
            Argument::List(items.iter().map(|item| older(item, is_layer)).collect())
        }
        _ => Argument::Plain(value),
    }
}

/// `["conv", 0, 0]`.
fn reference(value: &Value) -> Option<Reference<'_>> {
    let items = value.as_array()?;
    let number = |index: usize| usize::try_from(items.get(index)?.as_u64()?).ok();
    Some(Reference { layer: items.first()?.as_str()?, call: number(1)?, output: number(2)? })
}

/// All references in `input_layers` or `output_layers`: one, a list, or a dict of them.
pub fn ends(value: &Value) -> Vec<Reference<'_>> {
    match (reference(value), value) {
        (Some(read), _) => vec![read],
        (None, Value::Array(items)) => items.iter().flat_map(ends).collect(),
        (None, Value::Object(items)) => items.values().flat_map(ends).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn reads(node: &Value) -> Vec<(String, usize, usize)> {
        let call = call(node, &|name| name.starts_with("conv")).unwrap();
        let plain = |read: Reference| (read.layer.to_owned(), read.call, read.output);
        call.reads().into_iter().map(plain).collect()
    }

    #[test]
    fn every_form_of_a_connection_is_read() {
        let one = ("conv".to_owned(), 0, 0);
        let two = ("conv_1".to_owned(), 2, 1);
        assert_eq!(reads(&json!([["conv", 0, 0]])), std::slice::from_ref(&one));
        assert_eq!(reads(&json!(["conv", 0, 0, {}])), std::slice::from_ref(&one));
        let both = [one.clone(), two.clone()];
        assert_eq!(reads(&json!([["conv", 0, 0, {}], ["conv_1", 2, 1, {}]])), both);
        let with = json!(["conv", 0, 0, { "y": ["conv_1", 2, 1], "name": null }]);
        assert_eq!(reads(&with), both);
        let tensor = |name: &str, call: usize, output: usize| {
            json!({
                "class_name": "__keras_tensor__",
                "config": { "shape": [null, 8], "keras_history": [name, call, output] },
            })
        };
        let list =
            json!({ "args": [[tensor("conv", 0, 0), tensor("conv_1", 2, 1)]], "kwargs": {} });
        assert_eq!(reads(&list), both);
        let apart =
            json!({ "args": [tensor("conv", 0, 0)], "kwargs": { "b": tensor("conv_1", 2, 1) } });
        assert_eq!(reads(&apart), both);
    }

    #[test]
    fn a_constant_is_no_connection() {
        let node =
            json!(["_CONSTANT_VALUE", -1, 1.0, { "y": ["conv", 0, 0], "axes": ["other", 0, 0] }]);
        assert_eq!(reads(&node), [("conv".to_owned(), 0, 0)]);
        assert!(call(&json!([[7, 0, 0]]), &|_| true).is_none());
        assert!(call(&json!("conv"), &|_| true).is_none());
    }

    #[test]
    fn ends_are_one_a_list_or_a_dict() {
        assert_eq!(ends(&json!(["x", 0, 0])).len(), 1);
        assert_eq!(ends(&json!([["x", 0, 0], ["y", 1, 0]])).len(), 2);
        assert_eq!(ends(&json!({ "out": ["x", 0, 0] })).len(), 1);
        assert!(ends(&json!(null)).is_empty());
    }
}
