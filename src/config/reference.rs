//! The reference of all keys, written from the declarations themselves: one table, as Markdown for
//! people and as JSON for programs.

use serde_json::{Value, json};

use super::constraints::Constraint;
use super::corruption::CorruptionKind;
use super::data::{Data, Patches, Scale};
use super::entry::{Connection, EntryLayer, Shared};
use super::initializers::Initializer;
use super::layers::Layer;
use super::losses::LossTable;
use super::method::Method;
use super::policies::{EarlyStopping, LearningRateSchedule, ReduceLROnPlateau};
use super::regularizers::Regularizer;
use super::schema::{Field, Key, Section, Unwritten};
use super::sections::{Config, Model, Optimizer, Output, Train};

/// One kind of table that a config has.
struct Entry {
    /// Heads its part of the page.
    title: &'static str,
    /// Where such a table may stand; `[]` after a list of them.
    places: Vec<String>,
    keys: Keys,
}

/// What may stand in a table.
enum Keys {
    /// The same keys always, and what the table is for.
    Fixed(&'static str, Vec<Key>),
    /// The keys of one of several members, told apart by the key `by`.
    Family {
        by: &'static str,
        default: Option<&'static str>,
        /// Texts that mean a member with all of its defaults, each with the member's name.
        texts: &'static [(&'static str, &'static str)],
        /// Keys that each member takes beside its own.
        common: Vec<Key>,
        members: Vec<Member>,
    },
}

/// Name, description and keys.
type Member = (&'static str, &'static str, Vec<Key>);

/// Every kind of table, in the order of the page.
fn entries() -> Vec<Entry> {
    let mut entries = vec![
        fixed::<Config>("The top of the file", &[""]),
        fixed::<Model>("`[model]`", &["model"]),
        fixed::<Train>("`[train]`", &["train"]),
        fixed::<EarlyStopping>("`[train.early_stopping]`", &["train.early_stopping"]),
        fixed::<ReduceLROnPlateau>(
            "`[train.reduce_lr_on_plateau]`",
            &["train.reduce_lr_on_plateau"],
        ),
        fixed::<Output>("`[output]`", &["output"]),
        fixed::<Patches>("`[data.patches]`", &["data.patches"]),
    ];
    macro_rules! family {
        ($Family:ident, $title:literal, $places:expr) => {
            entries.push(Entry {
                title: $title,
                places: $places,
                keys: Keys::Family {
                    by: $Family::KIND,
                    default: $Family::DEFAULT,
                    texts: $Family::TEXTS,
                    common: Vec::new(),
                    members: $Family::reference(),
                },
            });
        };
    }
    family!(Data, "`[data]`, by `kind`", owned(&["data"]));
    family!(Scale, "`[data.scale]`, by `kind`", owned(&["data.scale"]));
    family!(CorruptionKind, "`[corruption]`, by `kind`", owned(&["corruption", "corruption[]"]));
    family!(LossTable, "Losses, by `loss`", owned(&["train.loss", "train.loss[]"]));
    family!(Method, "Methods, by `name`", owned(&["train.method"]));
    family!(Optimizer, "`[train.optimizer]`, by `name`", owned(&["train.optimizer"]));
    family!(
        LearningRateSchedule,
        "`[train.learning_rate_schedule]`, by `name`",
        owned(&["train.learning_rate_schedule"])
    );
    entries.push(layers());
    family!(
        Initializer,
        "Initializers of a layer's weights, by `name`",
        in_layers::<Initializer>()
    );
    family!(Constraint, "Constraints of a layer's weights, by `name`", in_layers::<Constraint>());
    family!(Regularizer, "Regularizers of a layer, by `name`", in_layers::<Regularizer>());
    entries
}

fn owned(places: &[&str]) -> Vec<String> {
    places.iter().map(|&place| place.to_owned()).collect()
}

/// Every place in a layer's table where a value of this type may stand.
fn in_layers<T: Field>() -> Vec<String> {
    let keys = Layer::reference().into_iter().flat_map(|(_, _, keys)| keys);
    let mut names: Vec<&str> =
        keys.filter(|key| key.takes == T::takes()).map(|key| key.name).collect();
    names.sort_unstable();
    names.dedup();
    let place = |list: &str, name: &str| format!("{list}.{name}");
    LISTS.iter().flat_map(|list| names.iter().map(|name| place(list, name))).collect()
}

/// The lists of a model's layers.
const LISTS: [&str; 3] = ["model.encoder[]", "model.decoder[]", "model.layers[]"];

fn layers() -> Entry {
    let shared = (EntryLayer::SHARED, Shared::DOC, Shared::keys());
    Entry {
        title: "Layers of the model, by `layer`",
        places: owned(&LISTS),
        keys: Keys::Family {
            by: Layer::KIND,
            default: Layer::DEFAULT,
            texts: Layer::TEXTS,
            common: Connection::keys(),
            members: Layer::reference().into_iter().chain([shared]).collect(),
        },
    }
}

fn fixed<S: Section>(title: &'static str, places: &[&str]) -> Entry {
    Entry { title, places: owned(places), keys: Keys::Fixed(S::DOC, S::keys()) }
}

/// Every section, key, default and layer of the config language, as Markdown.
#[must_use]
pub fn reference() -> String {
    let mut page = vec![INTRODUCTION.to_owned()];
    for Entry { title, keys, .. } in entries() {
        match keys {
            Keys::Fixed(doc, keys) => {
                page.push(format!("\n## {title}\n\n{}\n\n{}", doc.trim(), key_table(&keys)));
            }
            Keys::Family { common, members, .. } => {
                page.push(format!("\n## {title}\n"));
                if !common.is_empty() {
                    page.push(format!("\n{}\n\n{}", Connection::DOC.trim(), key_table(&common)));
                }
                page.extend(members.iter().map(member_text));
            }
        }
    }
    page.concat()
}

/// The same for programs: `{"sections": [...]}`, each section with the `places` where it may stand.
/// A section has `keys`; or it has `members`, each with keys of its own, the key `by` that tells
/// them apart, and `texts` that stand for a whole table, each with its member. A key has a `name` (and perhaps
/// an `old_name`, which works too), its `type` in words, a `default` (null where it is `required`, or
/// not set), the `choices` where it takes only those, and its `doc`.
#[must_use]
pub fn reference_json() -> Value {
    let sections = entries().into_iter().map(|Entry { places, keys, .. }| match keys {
        Keys::Fixed(doc, keys) => {
            json!({ "places": places, "doc": doc.trim(), "keys": keys_json(&keys) })
        }
        Keys::Family { by, default, texts, common, members } => {
            let texts: serde_json::Map<String, Value> =
                texts.iter().map(|(text, name)| ((*text).to_owned(), json!(name))).collect();
            let member = |(name, doc, keys): &Member| {
                let keys = [keys_json(keys), keys_json(&common)].concat();
                json!({ "name": name, "doc": doc.trim(), "keys": keys })
            };
            let members: Vec<Value> = members.iter().map(member).collect();
            json!({
                "places": places, "by": by, "default": default, "texts": texts, "members": members,
            })
        }
    });
    json!({ "sections": sections.collect::<Vec<_>>() })
}

fn keys_json(keys: &[Key]) -> Vec<Value> {
    let key = |key: &Key| {
        json!({
            "name": key.name,
            "old_name": key.old_name,
            "type": key.takes,
            "required": key.default == Unwritten::Refused,
            "default": if let Unwritten::Value(value) = &key.default { json!(value) } else { Value::Null },
            "choices": key.choices,
            "doc": key.doc.trim(),
        })
    };
    keys.iter().map(key).collect()
}

const INTRODUCTION: &str = "\
# The config, key by key

Written by `cargo run -- reference > configs/REFERENCE.md`; a test fails when it is out of date.
`cargo run -- reference --json` gives the same to programs.
Names and defaults are Keras's where Keras has them. A key without a default must be given.
Any key can be set from the command line: `--set train.epochs=3`,
`--set model.encoder[0].filters=16`.
";

fn member_text((name, doc, keys): &Member) -> String {
    let table = if keys.is_empty() { String::new() } else { format!("\n{}", key_table(keys)) };
    format!("\n### {name}\n\n{}\n{table}", doc.trim())
}

fn key_table(keys: &[Key]) -> String {
    let rows = keys.iter().map(|key| {
        let default = match &key.default {
            Unwritten::Refused => "**must be given**".to_owned(),
            Unwritten::Unset => "`not set`".to_owned(),
            Unwritten::Value(value) => short(&value.to_string()),
        };
        format!("| `{}` | {} | {default} | {} |\n", key.name, key.takes, key.doc.trim())
    });
    format!("| key | takes | default | |\n|---|---|---|---|\n{}", rows.collect::<String>())
}

/// Defaults that are whole sections would fill the page, and stand in their own tables.
fn short(value: &str) -> String {
    let is_short = !value.starts_with('{') || value.len() < 30;
    if is_short { format!("`{value}`") } else { "see its section".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys of every table, with the places where the table may stand.
    fn all_keys() -> Vec<(Vec<String>, Vec<Key>)> {
        let mut all = Vec::new();
        for Entry { places, keys, .. } in entries() {
            match keys {
                Keys::Fixed(_, keys) => all.push((places, keys)),
                Keys::Family { members, .. } => {
                    all.extend(members.into_iter().map(|(_, _, keys)| (places.clone(), keys)));
                }
            }
        }
        all
    }

    #[test]
    fn every_key_that_takes_a_table_has_a_section_that_says_what_stands_in_it() {
        let places: Vec<String> = entries().into_iter().flat_map(|entry| entry.places).collect();
        for (within, keys) in all_keys() {
            for key in keys {
                let listed = key.takes.contains("list");
                let alone = !listed && key.takes.contains("a table");
                if !key.takes.contains("table") {
                    continue;
                }
                for place in &within {
                    let place = super::super::node::join(place, key.name);
                    assert!(!alone || places.contains(&place), "{place} has no section");
                    let entry = format!("{place}[]");
                    assert!(!listed || places.contains(&entry), "{entry} has no section");
                }
            }
        }
    }

    #[test]
    fn no_key_stands_twice_in_a_table() {
        for (places, keys) in all_keys() {
            let mut names: Vec<&str> = keys.iter().map(|key| key.name).collect();
            names.sort_unstable();
            let twice = names.windows(2).find(|pair| pair[0] == pair[1]);
            assert_eq!(twice, None, "in {places:?}: a section and one flattened into it");
        }
    }

    #[test]
    fn the_json_says_of_a_key_what_its_declaration_says() {
        let reference = reference_json();
        let sections = reference["sections"].as_array().unwrap();
        let train = sections.iter().find(|section| section["places"][0] == "train").unwrap();
        let key = |name: &str| {
            let keys = train["keys"].as_array().unwrap();
            keys.iter().find(|key| key["name"] == name).unwrap().clone()
        };
        assert_eq!(key("epochs")["type"], "a whole number from 1 to 1000000");
        assert_eq!(
            (&key("epochs")["default"], &key("epochs")["required"]),
            (&json!(1), &json!(false))
        );
        assert_eq!(key("epochs")["choices"], json!([]));
        assert_eq!(key("warmup_steps")["default"], Value::Null);
        assert_eq!(key("optimizer")["default"]["beta_2"], 0.999);
        assert_eq!(key("dtype")["choices"][1], json!({ "name": "float64", "aliases": [] }));
        let losses = sections.iter().find(|section| section["by"] == "loss").unwrap();
        assert_eq!(losses["texts"]["mse"], "mean_squared_error");
        let layers = sections.iter().find(|section| section["by"] == "layer").unwrap();
        assert_eq!(
            layers["places"],
            json!(["model.encoder[]", "model.decoder[]", "model.layers[]"])
        );
        let keys = layers["members"][0]["keys"].as_array().unwrap();
        let filters = keys.iter().find(|key| key["name"] == "filters").unwrap();
        assert_eq!((&filters["name"], &filters["required"]), (&json!("filters"), &json!(true)));
        let data = sections.iter().find(|section| section["places"][0] == "data").unwrap();
        assert_eq!((&data["by"], &data["default"]), (&json!("kind"), &json!("mnist")));
    }
}
