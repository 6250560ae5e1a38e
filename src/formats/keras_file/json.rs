//! Keras's JSON as Python writes it: with `NaN` and `Infinity`, which JSON lacks, and now and then
//! packed as a text once more.

use std::borrow::Cow;

use serde_json::Value;

use super::error::Fault;
use crate::formats::checkpoint::shown;
use crate::formats::hdf5::Source;

/// What some editors put before a text.
pub(super) const MARK: &[u8] = b"\xef\xbb\xbf";
/// The most bytes of one document: the configs of the largest models that Keras has take 3 MB,
/// and a value may take a hundred times its text in memory.
const MAX_BYTES: u64 = 16 << 20;
/// What Python writes for numbers that JSON lacks; a longer name comes before what it holds.
const NOT_NUMBERS: [&str; 3] = ["-Infinity", "Infinity", "NaN"];

/// Reads a file that is one document.
pub(super) fn read(source: &Source) -> Result<Value, Fault> {
    check_length(source.len())?;
    let bytes = source.head(0, MAX_BYTES as usize)?;
    parse(&bytes, "JSON")
}

pub(super) fn check_length(length: u64) -> Result<(), Fault> {
    if length <= MAX_BYTES { Ok(()) } else { Err(Fault::LongJson(MAX_BYTES >> 20)) }
}

/// Parses a document called `name`. How deep it may be nested is bounded by serde_json.
pub(super) fn parse(bytes: &[u8], name: &str) -> Result<Value, Fault> {
    check_length(bytes.len() as u64)?;
    let bytes = bytes.strip_prefix(MARK).unwrap_or(bytes);
    let fault = |said: String| Fault::Json(shown(name), shown(&said));
    let text = str::from_utf8(bytes).map_err(|_| fault("not UTF-8".to_owned()))?;
    let parse =
        |text: &str| serde_json::from_str(&quoted(text)).map_err(|error| fault(error.to_string()));
    match parse(text)? {
        Value::String(inner) => parse(&inner),
        value => Ok(value),
    }
}

/// With quotes around each `NaN`, `Infinity` and `-Infinity` that is not within a text.
fn quoted(text: &str) -> Cow<'_, str> {
    if !NOT_NUMBERS.iter().any(|word| text.contains(word)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['"', '-', 'I', 'N']) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let word = NOT_NUMBERS.iter().find(|word| from.starts_with(**word));
        let length = match word {
            Some(word) => word.len(),
            None if from.starts_with('"') => text_length(from),
            None => 1,
        };
        let (taken, behind) = from.split_at(length);
        if word.is_some() {
            out.extend(["\"", taken, "\""]);
        } else {
            out.push_str(taken);
        }
        rest = behind;
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The bytes of the JSON text that `text` starts with, quotes included.
fn text_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Refuses what is no model's config.
pub(super) fn check_model(model: &Value) -> Result<(), Fault> {
    let has = |key| model.get(key).is_some();
    if has("class_name") && has("config") { Ok(()) } else { Err(Fault::OtherJson) }
}

/// A text in an object.
pub(super) fn text(object: &Value, key: &str) -> Option<String> {
    object.get(key)?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_that_json_lacks_become_texts_and_texts_stay() {
        let text = r#"{"a": [NaN, -Infinity, Infinity, -1], "NaN": "-Infinity \" NaN", "I": null}"#;
        let value = json!({
            "a": ["NaN", "-Infinity", "Infinity", -1], "NaN": "-Infinity \" NaN", "I": null
        });
        assert_eq!(parse(text.as_bytes(), "x").unwrap(), value);
    }

    #[test]
    fn a_document_packed_twice_is_unpacked() {
        let twice = serde_json::to_string(&r#"{"a": NaN}"#).unwrap();
        assert_eq!(parse(twice.as_bytes(), "x").unwrap(), json!({"a": "NaN"}));
    }

    #[test]
    fn damage_and_depth_are_sentences() {
        let deep = "[".repeat(100_000);
        for text in ["{", "{\"a\": NaN", "\"NaN", "", "\"\\\"", &deep, "\u{fffd}"] {
            let fault = parse(text.as_bytes(), "config.json").unwrap_err().to_string();
            assert!(fault.starts_with("is damaged: its `config.json` is no JSON ("), "{fault}");
        }
        let fault = parse(b"\"\xff\"", "x").unwrap_err().to_string();
        assert!(fault.contains("(not UTF-8)"), "{fault}");
    }
}
