//! What has changed in the config since a checkpoint, and whether training may go on with it.

use std::collections::BTreeSet;
use std::fmt;

use toml::Value;

use crate::config::Config;
use crate::config::schema::Section;
use crate::system::exit::UsageError;

/// Keys that decide how long training lasts and what is kept of it, but not what a step computes.
const FREE: [&str; 5] = [
    "train.epochs",
    "train.checkpoint_every",
    "train.keep_checkpoints",
    "train.keep_best",
    "train.distributed_timeout",
];
/// A section of such keys.
const FREE_SECTION: &str = "output.";
/// Keys with another value of which training computes the same up to rounding.
const ROUNDING: [&str; 7] = [
    "train.device",
    "train.engine",
    "train.threads",
    "train.distributed",
    "train.allow_tf32",
    "train.deterministic",
    "train.cuda_graphs",
];
/// Changes that a refusal names.
const NAMED: usize = 3;

/// What a change means for a run that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing for what it computes.
    Free,
    /// Its bits may differ from now on from those of a run that was never stopped.
    Rounding,
    /// It would be another run.
    Forbidden,
}

/// A key with its values, as TOML; `not set` where it has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Like `model.encoder[2].filters`.
    pub key: String,
    /// In the checkpoint.
    pub before: String,
    /// In the config that was named.
    pub now: String,
}

impl Change {
    /// What it means.
    #[must_use]
    pub fn kind(&self) -> Kind {
        let key = self.key.as_str();
        if FREE.contains(&key) || key.starts_with(FREE_SECTION) {
            Kind::Free
        } else if ROUNDING.contains(&key) {
            Kind::Rounding
        } else {
            Kind::Forbidden
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} was {} and is now {}", self.key, self.before, self.now)
    }
}

/// Every key whose value differs, defaults filled in on both sides.
#[must_use]
pub fn changes(before: &Config, now: &Config) -> Vec<Change> {
    let mut found = Vec::new();
    let table = |config: &Config| Value::Table(config.write_table());
    compare("", Some(&table(before)), Some(&table(now)), &mut found);
    found
}

/// Refuses changes that would make it another run.
///
/// # Errors
/// Naming them, and the keys that may change.
pub fn check(changes: &[Change]) -> Result<(), UsageError> {
    let forbidden = changes.iter().filter(|change| change.kind() == Kind::Forbidden);
    let forbidden: Vec<String> = forbidden.map(Change::to_string).collect();
    if forbidden.is_empty() {
        return Ok(());
    }
    let more = match forbidden.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let named = forbidden[..forbidden.len().min(NAMED)].join(", ");
    Err(UsageError(format!(
        "{named}{more}, with which a run cannot go on; only {FREE_SECTION}* and of train {} may change: put the rest back, \
         or begin anew with --overwrite",
        FREE.into_iter()
            .chain(ROUNDING)
            .filter_map(|key| key.strip_prefix("train."))
            .collect::<Vec<_>>()
            .join(", "),
    )))
}

fn compare(key: &str, before: Option<&Value>, now: Option<&Value>, found: &mut Vec<Change>) {
    if before == now {
        return;
    }
    match (before, now) {
        (Some(Value::Table(before)), Some(Value::Table(now))) => {
            let keys: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
            for name in keys {
                let path = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                compare(&path, before.get(name), now.get(name), found);
            }
        }
        (Some(Value::Array(before)), Some(Value::Array(now))) if before.len() == now.len() => {
            for (i, (before, now)) in before.iter().zip(now).enumerate() {
                compare(&format!("{key}[{i}]"), Some(before), Some(now), found);
            }
        }
        _ => found.push(Change { key: key.to_owned(), before: shown(before), now: shown(now) }),
    }
}

/// No longer than part of a line.
fn shown(value: Option<&Value>) -> String {
    match value {
        None => "not set".to_owned(),
        Some(Value::Array(items)) if items.iter().any(Value::is_table) => {
            format!("a list of {}", items.len())
        }
        Some(Value::Table(_)) => "a table".to_owned(),
        Some(value) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Source;

    fn config(sets: &[&str]) -> Config {
        let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
        Source::open("plain.toml".as_ref(), &sets).unwrap().config
    }

    fn kinds_of(sets: &[&str]) -> Vec<(String, Kind)> {
        let changes = changes(&config(&[]), &config(sets));
        changes.into_iter().map(|change| (change.to_string(), change.kind())).collect()
    }

    #[test]
    fn equal_configs_have_no_changes() {
        assert_eq!(kinds_of(&["train.epochs=1"]), []);
    }

    #[test]
    fn each_change_is_named_with_both_values() {
        let text = |text: &str, kind| (text.to_owned(), kind);
        let sets = [
            "train.epochs=3",
            "train.threads=2",
            "train.checkpoint_every=10",
            "output.dir=elsewhere",
            "seed=7",
            "model.encoder[0].filters=16",
            "corruption.kind=gaussian",
        ];
        let found = kinds_of(&sets);
        for expected in [
            text("train.epochs was 1 and is now 3", Kind::Free),
            text("train.threads was not set and is now 2", Kind::Rounding),
            text("train.checkpoint_every was not set and is now 10", Kind::Free),
            text("output.dir was \"runs\" and is now \"elsewhere\"", Kind::Free),
            text("seed was 42 and is now 7", Kind::Forbidden),
            text("model.encoder[0].filters was 32 and is now 16", Kind::Forbidden),
        ] {
            assert!(found.contains(&expected), "{expected:?} is not in {found:?}");
        }
        assert!(found.iter().any(|(change, _)| change.starts_with("corruption")), "{found:?}");
    }

    #[test]
    fn a_refusal_is_one_sentence_however_much_has_changed() {
        let other =
            config(&["seed=1", "train.batch_size=8", "train.loss=mse", "train.shuffle=false"]);
        let UsageError(sentence) = check(&changes(&config(&[]), &other)).unwrap_err();
        assert!(sentence.contains("seed was 42 and is now 1"), "{sentence}");
        assert!(
            sentence.contains(", and 1 more, with which") && sentence.len() < 450,
            "{sentence}"
        );
        assert!(check(&changes(&config(&[]), &config(&["train.epochs=2"]))).is_ok());
    }
}
