//! `--grid KEY=V1,V2,...`: lists of values, and every combination of them.

use super::name::{key_labels, name};
use crate::config::node::{Node, Value};
use crate::system::exit::UsageError;

/// More runs than this are taken for a typing error.
const MOST_RUNS: usize = 1000;
/// Keys that a sweep sets itself.
const OWN_KEYS: [&str; 3] = ["name", "output", "output.dir"];

/// Keys that tell what kind of thing a table is.
const KINDS: [&str; 3] = ["name", "kind", "layer"];

/// All values of all keys, as the user listed them.
#[derive(Debug)]
pub struct Grid {
    /// As typed.
    pub arguments: Vec<String>,
    axes: Vec<Axis>,
}

/// The values of one key.
#[derive(Debug)]
struct Axis {
    key: String,
    values: Vec<Choice>,
}

/// One value.
#[derive(Debug)]
struct Choice {
    /// As typed.
    text: String,
    /// The same for every spelling: `1e-3` and `0.001` are one.
    value: String,
}

/// One value for each key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Combination {
    /// Made of the values; a folder can have it.
    pub name: String,
    /// As `--set` takes them.
    pub settings: Vec<String>,
}

impl Grid {
    /// Reads the lists.
    ///
    /// # Errors
    /// For a list that is none, is empty, or has a value twice; for a key that has two lists, or that
    /// a sweep sets itself.
    pub fn parse(arguments: &[String]) -> Result<Self, UsageError> {
        let axes: Vec<Axis> =
            arguments.iter().map(|text| Axis::parse(text)).collect::<Result<_, _>>()?;
        for (index, axis) in axes.iter().enumerate() {
            if axes[..index].iter().any(|other| other.key == axis.key) {
                return Err(UsageError(format!(
                    "--grid names {0} twice; give all its values in one list, like --grid {0}=1,2",
                    axis.key
                )));
            }
        }
        Ok(Self { arguments: arguments.to_vec(), axes })
    }

    /// The keys that have lists.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.axes.iter().map(|axis| axis.key.as_str())
    }

    /// Every combination; the last list's values follow each other.
    ///
    /// # Errors
    /// When there are too many, or two would have the same name.
    pub fn combinations(&self) -> Result<Vec<Combination>, UsageError> {
        let lengths = self.axes.iter().map(|axis| axis.values.len());
        let count = lengths.fold(1_usize, usize::saturating_mul);
        if count > MOST_RUNS {
            return Err(UsageError(format!(
                "--grid makes {count} combinations; give lists of fewer values, or sweep in parts of \
                 at most {MOST_RUNS}"
            )));
        }
        let mut rows: Vec<Vec<&Choice>> = vec![vec![]];
        for axis in &self.axes {
            let longer =
                |row: Vec<_>| axis.values.iter().map(move |value| [&row[..], &[value]].concat());
            rows = rows.into_iter().flat_map(longer).collect();
        }
        let labels = key_labels(&self.keys().collect::<Vec<_>>());
        let combinations: Vec<_> = rows.iter().map(|row| self.combination(row, &labels)).collect();
        check_names(&combinations)?;
        Ok(combinations)
    }

    fn combination(&self, row: &[&Choice], labels: &[String]) -> Combination {
        let parts = labels.iter().zip(row).map(|(label, choice)| (label.as_str(), &*choice.value));
        let settings = self.axes.iter().zip(row);
        Combination {
            name: name(parts),
            settings: settings
                .map(|(axis, choice)| format!("{}={}", axis.key, choice.text))
                .collect(),
        }
    }
}

/// Names end in a checksum where they do not say all; two of these could be equal, if hardly ever.
fn check_names(combinations: &[Combination]) -> Result<(), UsageError> {
    let mut names = std::collections::HashSet::new();
    match combinations.iter().find(|one| !names.insert(&one.name)) {
        Some(twin) => Err(UsageError(format!(
            "--grid makes two combinations named {}; sweep over their values one after the other",
            twin.name
        ))),
        None => Ok(()),
    }
}

impl Axis {
    fn parse(argument: &str) -> Result<Self, UsageError> {
        let refuse = |problem: &str, remedy: &str| {
            Err(UsageError(format!("--grid {argument}: {problem}; {remedy}")))
        };
        let example = "write it like --grid train.batch_size=32,64";
        let Some((key, list)) = argument.split_once('=') else {
            return refuse("there is no `=` in it", example);
        };
        let key = key.trim();
        if key.is_empty() {
            return refuse("there is no key before the `=`", example);
        }
        if OWN_KEYS.contains(&key) {
            return refuse("a sweep names its runs and their folders itself", "use --out DIR");
        }
        let Some(texts) = split(list) else {
            return refuse("a bracket or a quote is not closed", "close it");
        };
        let mut values: Vec<Choice> = Vec::new();
        for text in texts {
            if text.is_empty() {
                return refuse("a value is missing", "write values with commas between them");
            }
            let value = Choice { value: canonical(&text, argument)?, text };
            if values.iter().any(|other| other.value == value.value) {
                let problem = format!("{} is in the list twice", value.text);
                return refuse(&problem, "name each value once");
            }
            values.push(value);
        }
        Ok(Self { key: key.to_owned(), values })
    }
}

/// The parts between commas, without white space around them. Commas within quotes, and within the
/// brackets of a list or a table, divide nothing. `None` where one of these is not closed.
fn split(list: &str) -> Option<Vec<String>> {
    let mut parts = vec![String::new()];
    let mut depth = 0_usize;
    let mut quote: Option<char> = None;
    let mut letters = list.chars();
    while let Some(letter) = letters.next() {
        let part = parts.last_mut()?;
        let begins = part.trim().is_empty();
        match (quote, letter) {
            (None, ',') if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            // Elsewhere they are letters of a text that is no TOML, like a path.
            (None, '"' | '\'') if depth > 0 || begins => quote = Some(letter),
            (None, '[' | '{') if depth > 0 || begins => depth += 1,
            (None, ']' | '}') => depth = depth.saturating_sub(1),
            (Some('"'), '\\') => {
                part.push(letter);
                part.extend(letters.next());
                continue;
            }
            (Some(open), close) if open == close => quote = None,
            _ => {}
        }
        part.push(letter);
    }
    let closed = depth == 0 && quote.is_none();
    closed.then(|| parts.iter().map(|part| part.trim().to_owned()).collect())
}

/// A value in the one spelling that all its spellings share; what is no TOML is a text, as for `--set`.
fn canonical(text: &str, argument: &str) -> Result<String, UsageError> {
    const KEY: &str = "value";
    let mut root = Node::empty();
    root.set(&format!("{KEY}={text}"))
        .map_err(|error| UsageError(format!("--grid {argument}: {}", error.problem)))?;
    Ok(match &root.value {
        Value::Table(entries) => entries.get(KEY).map(|node| spelled(&node.value)),
        _ => None,
    }
    .unwrap_or_default())
}

fn spelled(value: &Value) -> String {
    let nested = |value: &Value| match value {
        Value::String(text) => format!("{text:?}"),
        value => spelled(value),
    };
    match value {
        Value::String(text) => text.clone(),
        // As short as it can be: 0.001, 1e-7.
        Value::Float(number) => format!("{number:?}"),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| nested(&item.value)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Table(entries) => {
            // What kind of thing it is comes first, for the reader of a run's name.
            let (kinds, others): (Vec<_>, Vec<_>) =
                entries.iter().partition(|(key, _)| KINDS.contains(&key.as_str()));
            let entries = kinds.into_iter().chain(others);
            let entries = entries.map(|(key, node)| format!("{key} = {}", nested(&node.value)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn combinations(arguments: &[&str]) -> Result<Vec<Combination>, UsageError> {
        let arguments: Vec<String> = arguments.iter().map(|&text| text.to_owned()).collect();
        Grid::parse(&arguments)?.combinations()
    }

    fn names(arguments: &[&str]) -> Vec<String> {
        combinations(arguments).unwrap().into_iter().map(|one| one.name).collect()
    }

    fn refusal(arguments: &[&str]) -> String {
        combinations(arguments).unwrap_err().0
    }

    #[test]
    fn every_combination_is_made_and_the_last_list_runs_fastest() {
        let all = combinations(&["a.rate=1e-3, 3e-4", "seed=1,2"]).unwrap();
        let names: Vec<_> = all.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(
            names,
            ["rate=0.001,seed=1", "rate=0.001,seed=2", "rate=0.0003,seed=1", "rate=0.0003,seed=2"]
        );
        assert_eq!(all[2].settings, ["a.rate=3e-4", "seed=1"]);
    }

    #[test]
    fn commas_in_brackets_and_quotes_divide_nothing() {
        let parts = |list: &str| split(list).unwrap();
        assert_eq!(parts("[1, 2], [3, [4, 5]]"), ["[1, 2]", "[3, [4, 5]]"]);
        assert_eq!(
            parts(r#"{a = "x,}", b = [1]},{a='],'}"#),
            [r#"{a = "x,}", b = [1]}"#, "{a='],'}"]
        );
        assert_eq!(parts(r#""a\",b",'c\',d"#), [r#""a\",b""#, r"'c\'", "d"]);
        assert_eq!(parts("it's,a[1"), ["it's", "a[1"]);
        for open in ["[1, 2", "\"a,b", "{a = 1"] {
            assert_eq!(split(open), None, "{open}");
        }
    }

    #[test]
    fn a_value_that_is_there_in_two_spellings_is_refused() {
        for list in ["k=1,2,1", "k=1e-3,0.001", "k=[1,2],[1, 2]", "k=mse,\"mse\"", "k=0x10,16"] {
            assert!(refusal(&[list]).contains("twice"), "{list}: {}", refusal(&[list]));
        }
        assert_eq!(names(&["k=1,1.5"]).len(), 2);
    }

    #[test]
    fn lists_that_are_none_are_refused_with_the_remedy() {
        for (list, words) in [
            ("train.epochs", "no `=`"),
            ("=1,2", "no key"),
            ("train.epochs=", "missing"),
            ("train.epochs=1,,2", "missing"),
            ("train.epochs=1,2,", "missing"),
            ("k=[1,2", "not closed"),
            ("name=a,b", "--out"),
            ("output.dir=a,b", "--out"),
        ] {
            let refusal = refusal(&[list]);
            assert!(refusal.contains(words) && refusal.contains(list), "{refusal}");
        }
        assert!(refusal(&["k=1", "k=2"]).contains("names k twice"));
    }

    #[test]
    fn more_than_a_thousand_combinations_are_refused_even_where_their_number_overflows() {
        let list = |count: usize| (0..count).map(|i| i.to_string()).collect::<Vec<_>>().join(",");
        let grid = |count: usize, axes: usize| -> Vec<String> {
            (0..axes).map(|axis| format!("k{axis}={}", list(count))).collect()
        };
        assert_eq!(Grid::parse(&grid(10, 3)).unwrap().combinations().unwrap().len(), 1000);
        for (count, axes) in [(1001, 1), (11, 3), (1000, 30)] {
            let refusal = Grid::parse(&grid(count, axes)).unwrap().combinations().unwrap_err();
            assert!(refusal.0.contains("1000"), "{refusal}");
        }
    }
}
