//! Names of runs: made of their values, readable, and safe as names of folders.

/// Longest name; file systems take 255 bytes, and a log adds its ending.
const LONGEST_NAME: usize = 200;
/// Longest value that is written out.
const LONGEST_VALUE: usize = 48;
/// Of a longer one, or one with letters that a file's name should not have, this much is kept.
const KEPT: usize = 32;

/// `learning_rate=0.001,batch_size=32`; the same for the same values, whatever else is in the grid.
pub(super) fn name<'a>(parts: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let parts: Vec<_> = parts.map(|(key, value)| format!("{key}={}", safe_value(value))).collect();
    let name = parts.join(",");
    if name.len() <= LONGEST_NAME {
        return name;
    }
    let sum = checksum(&name);
    format!("{}-{sum}", &name[..LONGEST_NAME - 1 - sum.len()]) // all of it is ASCII
}

/// The shortest ends of dotted keys that tell them apart: `learning_rate`, or `encoder.0.filters`
/// where other layers have `filters` too.
pub(super) fn key_labels(keys: &[&str]) -> Vec<String> {
    let end = |key: &str, steps: usize| {
        let all: Vec<&str> = key.split('.').collect();
        all[all.len().saturating_sub(steps)..].join(".")
    };
    let label = |(index, key): (usize, &&str)| {
        let longest = key.split('.').count();
        let unique = |steps: &usize| {
            let mut others = keys.iter().enumerate().filter(|(other, _)| *other != index);
            others.all(|(_, other)| end(other, *steps) != end(key, *steps))
        };
        end(key, (1..longest).find(unique).unwrap_or(longest))
    };
    let labels = keys.iter().enumerate().map(label);
    labels.map(|label| safe(&label.replace('[', ".").replace(']', ""))).collect()
}

/// The value itself where a folder's name can hold it, else its beginning and a checksum.
fn safe_value(value: &str) -> String {
    let plain = safe(value);
    if plain == value && (1..=LONGEST_VALUE).contains(&value.len()) {
        return plain;
    }
    let kept: String = plain.chars().take(KEPT).collect();
    let kept = kept.trim_matches('-');
    let dash = if kept.is_empty() { "" } else { "-" };
    format!("{kept}{dash}{}", checksum(value))
}

/// Letters, digits, `-`, `_`, `.` and `+`; a dash for what stands between them.
fn safe(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    for letter in text.chars() {
        let allowed = letter.is_ascii_alphanumeric() || "-_.+".contains(letter);
        match allowed {
            true => name.push(letter),
            false if !name.ends_with('-') => name.push('-'),
            false => {}
        }
    }
    name
}

fn checksum(text: &str) -> String {
    format!("{:08x}", crc32fast::hash(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_a_name_can_hold_are_written_out() {
        let parts =
            [("learning_rate", "0.001"), ("shuffle", "true"), ("loss", "mse"), ("x", "-1e-7")];
        assert_eq!(name(parts.into_iter()), "learning_rate=0.001,shuffle=true,loss=mse,x=-1e-7");
    }

    #[test]
    fn other_values_keep_their_beginning_and_get_a_checksum() {
        let one = safe_value("{ name = \"SGD\", learning_rate = 0.1 }");
        assert!(one.starts_with("name-SGD-learning_rate-0.1-"), "{one}");
        assert_ne!(one, safe_value("{ learning_rate = 0.1, name = \"Adam\" }"));
        for value in ["../../etc/passwd", "a b", "\u{1f600}", "a\nb", "", "x,y=z", "/"] {
            let name = safe_value(value);
            assert!(!name.is_empty() && safe(&name) == name && name != value, "{value:?}: {name}");
        }
    }

    #[test]
    fn a_name_is_never_too_long_for_a_file_system() {
        let long = ["key"; 50].map(|key| (key, "0.123456789"));
        let name = name(long.into_iter());
        assert_eq!(name.len(), LONGEST_NAME);
    }

    #[test]
    fn keys_are_as_short_as_tells_them_apart() {
        let labels = key_labels(&[
            "train.optimizer.learning_rate",
            "model.encoder[0].filters",
            "model.encoder[2].filters",
            "seed",
        ]);
        assert_eq!(labels, ["learning_rate", "encoder.0.filters", "encoder.2.filters", "seed"]);
        assert_eq!(key_labels(&["a.x", "x"]), ["a.x", "x"]);
    }
}
