//! What stands in a file's JSON, read without trust.

use serde_json::Value;

/// Letters of a value that are shown.
const LONGEST_SHOWN: usize = 80;

/// The text under a key.
pub fn text<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.get(key)?.as_str()
}

/// The items under a key; none where there is no list.
pub fn list<'a>(object: &'a Value, key: &str) -> &'a [Value] {
    object.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// What Keras wrote of one of its objects.
#[derive(Debug, Clone, Copy)]
pub struct Object<'a> {
    /// Its class, without the package that it is registered under.
    pub class: &'a str,
    /// Its options.
    pub config: &'a Value,
    /// Whether the class is somebody's own.
    pub custom: bool,
}

impl<'a> Object<'a> {
    /// `{"class_name": ..., "config": ..., "module": ..., "registered_name": ...}`, of which old files have
    /// the first two only.
    pub fn of(value: &'a Value) -> Option<Self> {
        let class = text(value, "class_name")?;
        let module = text(value, "module");
        let foreign = |module: &str| {
            let root = module.split('.').next().unwrap_or_default();
            !matches!(root, "keras" | "tensorflow" | "tf_keras" | "tf" | "builtins")
        };
        let (package, class) = class.rsplit_once('>').unwrap_or(("", class));
        let registered = text(value, "registered_name").and_then(|name| name.split_once('>'));
        let own = |package: &str| !matches!(package, "" | "keras");
        let custom = module.is_some_and(foreign)
            || own(package)
            || registered.is_some_and(|(package, _)| own(package));
        Some(Self { class, config: value.get("config").unwrap_or(&Value::Null), custom })
    }
}

/// A value for people: an object by its class, and never a Lambda's code.
pub fn shown(value: &Value) -> String {
    match value {
        Value::Object(_) => match Object::of(value) {
            Some(Object { class: "function", config: Value::String(name), .. }) => plain(name),
            Some(Object { class: "__lambda__", .. }) => "a lambda".to_owned(),
            Some(object) => plain(object.class),
            None => "an object".to_owned(),
        },
        Value::String(text) => format!("{:?}", brief(text)),
        Value::Array(items) if items.iter().all(is_short) => brief(&value.to_string()),
        Value::Array(items) => format!("a list of {}", items.len()),
        _ => value.to_string(),
    }
}

/// A name as a file gives it, without what steers a terminal and without end.
pub fn plain(name: &str) -> String {
    brief(&crate::system::plain_text::one_line(name))
}

fn brief(text: &str) -> String {
    match text.char_indices().nth(LONGEST_SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

fn is_short(item: &Value) -> bool {
    match item {
        Value::Array(items) => items.iter().all(|item| item.is_number() || item.is_null()),
        Value::Object(_) => false,
        Value::String(text) => text.len() < LONGEST_SHOWN / 2,
        _ => true,
    }
}

/// A number, also where NumPy's own form of it was written.
pub fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::Object(object) => object.get("value")?.as_f64(),
        _ => None,
    }
}

/// A learning rate as people wrote it: Keras keeps 0.001 as the float32 next to it, in every precision. Other
/// numbers stay as a file has them: Keras computes with those.
pub fn tidy(number: f64) -> f64 {
    let single = number as f32;
    let is_single = f64::from(single).to_bits() == number.to_bits();
    if is_single { single.to_string().parse().unwrap_or(number) } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_number_that_went_through_float32_gets_its_few_digits_back() {
        let shown = [0.001_000_000_047_497_451_3, 0.5, 0.1].map(|number| tidy(number).to_string());
        assert_eq!(shown, ["0.001", "0.5", "0.1"]);
        assert_eq!(number(&json!({ "type": "ndarray", "value": 0.25 })), Some(0.25));
    }

    #[test]
    fn the_code_of_a_lambda_is_not_shown() {
        let lambda =
            json!({ "class_name": "__lambda__", "config": { "value": ["4wEAAA", null, null] } });
        assert_eq!(shown(&lambda), "a lambda");
        assert_eq!(shown(&json!({ "value": ["4wEAAA", null, null] })), "an object");
        assert_eq!(shown(&json!([[1, 2], [3, 4]])), "[[1,2],[3,4]]");
    }

    #[test]
    fn a_class_is_somebodys_own_by_its_module_or_its_package() {
        let custom = |value: &Value| Object::of(value).unwrap().custom;
        assert!(!custom(&json!({ "class_name": "Conv2D", "config": {} })));
        assert!(!custom(
            &json!({ "class_name": "Conv2D", "module": "keras.layers", "registered_name": null })
        ));
        assert!(custom(
            &json!({ "class_name": "Conv2D", "module": "__main__", "registered_name": null })
        ));
        assert!(custom(&json!({ "class_name": "zoo>Conv2D", "config": {} })));
        assert_eq!(Object::of(&json!({ "class_name": "zoo>Sampling" })).unwrap().class, "Sampling");
    }
}
