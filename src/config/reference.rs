//! The reference of all keys, written from the declarations themselves.

use super::corruption::CorruptionKind;
use super::data::{Data, Patches};
use super::layers::Layer;
use super::policies::{EarlyStopping, LearningRateSchedule, ReduceLROnPlateau};
use super::schema::{Key, Section};
use super::sections::{Config, Model, Optimizer, Output, Train};

/// Every section, key, default and layer of the config language, as Markdown.
#[must_use]
pub fn reference() -> String {
    let mut page = vec![INTRODUCTION.to_owned()];
    for (title, doc, keys) in [
        ("The top of the file", Config::DOC, Config::keys()),
        ("`[model]`", Model::DOC, Model::keys()),
        ("`[train]`", Train::DOC, Train::keys()),
        ("`[train.early_stopping]`", EarlyStopping::DOC, EarlyStopping::keys()),
        ("`[train.reduce_lr_on_plateau]`", ReduceLROnPlateau::DOC, ReduceLROnPlateau::keys()),
        ("`[output]`", Output::DOC, Output::keys()),
        ("`[data.patches]`", Patches::DOC, Patches::keys()),
    ] {
        page.push(format!("\n## {title}\n\n{}\n\n{}", doc.trim(), key_table(&keys)));
    }
    for (title, members) in [
        ("`[data]`, by `kind`", Data::reference()),
        ("`[corruption]`, by `kind`", CorruptionKind::reference()),
        ("`[train.optimizer]`, by `name`", Optimizer::reference()),
        ("`[train.learning_rate_schedule]`, by `name`", LearningRateSchedule::reference()),
        ("Layers of `model.encoder` and `model.decoder`, by `layer`", Layer::reference()),
    ] {
        page.push(format!("\n## {title}\n"));
        for (name, doc, keys) in members {
            page.push(format!("\n### {name}\n\n{}\n", doc.trim()));
            if !keys.is_empty() {
                page.push(format!("\n{}", key_table(&keys)));
            }
        }
    }
    page.concat()
}

const INTRODUCTION: &str = "\
# The config, key by key

Written by `cargo run -- reference > configs/REFERENCE.md`; a test fails when it is out of date.
Names and defaults are Keras's where Keras has them. A key without a default must be given.
Any key can be set from the command line: `--set train.epochs=3`,
`--set model.encoder[0].filters=16`.
";

fn key_table(keys: &[Key]) -> String {
    let rows = keys.iter().map(|key| {
        let default = key.default.as_ref().map_or("**must be given**".to_owned(), |value| {
            if is_short(value) { format!("`{value}`") } else { "see its section".to_owned() }
        });
        format!("| `{}` | {} | {default} | {} |\n", key.name, key.takes, key.doc.trim())
    });
    format!("| key | takes | default | |\n|---|---|---|---|\n{}", rows.collect::<String>())
}

/// Defaults that are whole sections would fill the page, and stand in their own tables.
fn is_short(value: &str) -> bool {
    !value.starts_with('{') || value.len() < 30
}
