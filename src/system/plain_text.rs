//! Text that is safe to show. Names of files, and what files say, may hold letters that steer a
//! terminal or turn the direction of what follows; these are shown as they are written in Rust:
//! `\u{1b}`.

/// Whether a letter does something instead of being seen: a control character, of which a line feed is
/// one, or a mark that changes the direction of the text.
#[must_use]
pub fn steers(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A name, or another text that has to stay within its line.
#[must_use]
pub fn one_line(text: &str) -> String {
    escaped(text, steers, |letter| letter.escape_default().to_string())
}

/// A text of several lines.
#[must_use]
pub fn lines(text: &str) -> String {
    let steers = |letter| letter != '\n' && steers(letter);
    escaped(text, steers, |letter| letter.escape_default().to_string())
}

/// A JSON document, of which the same values are read as before.
#[must_use]
pub fn json(document: &str) -> String {
    let steers = |letter| letter != '\n' && steers(letter);
    escaped(document, steers, |letter| format!("\\u{:04x}", u32::from(letter))) // all are below U+10000
}

fn escaped(text: &str, steers: impl Fn(char) -> bool, escape: impl Fn(char) -> String) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        if steers(letter) {
            safe.push_str(&escape(letter));
        } else {
            safe.push(letter);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a\u{1b}[31m\u{9b}2J\r\n\u{7f}\u{202e}gnp.\u{e9}";

    #[test]
    fn a_name_stays_within_its_line_and_steers_nothing() {
        assert_eq!(one_line(HOSTILE), r"a\u{1b}[31m\u{9b}2J\r\n\u{7f}\u{202e}gnp.é");
        assert_eq!(one_line("C:\\a b\u{3042}.png"), "C:\\a b\u{3042}.png");
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(lines("a\nb\tc\n"), "a\nb\\tc\n");
    }

    #[test]
    fn json_stays_json_and_says_the_same() {
        let document = serde_json::to_string_pretty(&[HOSTILE]).unwrap();
        let safe = json(&document);
        assert!(!safe.contains(|letter| letter != '\n' && steers(letter)), "{safe}");
        assert_eq!(serde_json::from_str::<[String; 1]>(&safe).unwrap(), [HOSTILE]);
    }
}
