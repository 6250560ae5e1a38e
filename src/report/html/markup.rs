//! HTML and SVG as text. Everything that is not an element's own name goes through one place here
//! that escapes it, so that no name, path or config can become markup.

use std::fmt::{self, Display, Write};

use crate::system::plain_text::steers;

/// Elements of HTML that have no content, and no end either.
const VOID: [&str; 4] = ["img", "input", "link", "meta"];

/// A document under way.
#[derive(Debug, Default)]
pub(super) struct Markup(String);

/// An attribute: its name, and its value as it is, not escaped.
pub(super) type Attribute<'a> = (&'a str, &'a dyn Display);

impl Markup {
    /// An element with what `inside` puts into it.
    pub(super) fn element(
        &mut self,
        name: &'static str,
        attributes: &[Attribute<'_>],
        inside: impl FnOnce(&mut Self),
    ) {
        self.open(name, attributes);
        inside(self);
        self.raw(format_args!("</{name}>"));
        if !is_inline(name) {
            self.0.push('\n');
        }
    }

    /// An element that holds a text.
    pub(super) fn words(
        &mut self,
        name: &'static str,
        attributes: &[Attribute<'_>],
        text: impl Display,
    ) {
        self.element(name, attributes, |inside| inside.text(text));
    }

    /// An element without content.
    pub(super) fn empty(&mut self, name: &'static str, attributes: &[Attribute<'_>]) {
        if VOID.contains(&name) {
            self.open(name, attributes);
        } else {
            self.element(name, attributes, |_| {});
        }
    }

    /// A text, escaped.
    pub(super) fn text(&mut self, text: impl Display) {
        write!(Escaped(&mut self.0), "{text}").expect("a string takes every text");
    }

    /// Markup of our own; nothing that comes from outside may be in it.
    pub(super) fn raw(&mut self, markup: fmt::Arguments<'_>) {
        self.0.write_fmt(markup).expect("a string takes every text");
    }

    /// The finished text.
    pub(super) fn finish(self) -> String {
        self.0
    }

    fn open(&mut self, name: &'static str, attributes: &[Attribute<'_>]) {
        self.raw(format_args!("<{name}"));
        for (attribute, value) in attributes {
            self.raw(format_args!(" {attribute}=\""));
            self.text(value);
            self.0.push('"');
        }
        self.0.push('>');
    }
}

/// Elements within lines, after which white space would show.
fn is_inline(name: &str) -> bool {
    matches!(name, "a" | "abbr" | "b" | "code" | "span" | "tspan" | "text" | "td" | "th" | "pre")
}

/// Takes text and writes it so that it stays text, within elements and within quoted attributes.
struct Escaped<'a>(&'a mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for letter in text.chars() {
            match letter {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '\n' | '\t' => self.0.push(letter),
                // HTML has no way to write these; names of files may hold them, and marks that turn
                // the direction of a text would show another name than the file's.
                _ if steers(letter) || is_nothing(letter) => {
                    self.0.push(char::REPLACEMENT_CHARACTER);
                }
                _ => self.0.push(letter),
            }
        }
        Ok(())
    }
}

/// Code points that stand for no character, which HTML forbids.
fn is_nothing(letter: char) -> bool {
    matches!(letter, '\u{fdd0}'..='\u{fdef}') || (letter as u32) & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Markup)) -> String {
        let mut markup = Markup::default();
        write(&mut markup);
        markup.finish()
    }

    #[test]
    fn text_cannot_become_markup() {
        let hostile = "</b><script>alert('x' & \"y\")</script>";
        let html = written(|page| page.words("b", &[], hostile));
        let safe = "&lt;/b&gt;&lt;script&gt;alert(&#39;x&#39; &amp; &quot;y&quot;)&lt;/script&gt;";
        assert_eq!(html, format!("<b>{safe}</b>"));
    }

    #[test]
    fn an_attribute_cannot_be_left() {
        let html = written(|page| page.empty("img", &[("alt", &"\" onerror=\"alert(1)")]));
        assert_eq!(html, "<img alt=\"&quot; onerror=&quot;alert(1)\">");
    }

    #[test]
    fn what_html_cannot_write_is_replaced() {
        let html = written(|page| page.text("a\0b\u{202e}gpj.\u{ffff}\u{1b}[2J\r"));
        assert_eq!(html, "a\u{fffd}b\u{fffd}gpj.\u{fffd}\u{fffd}[2J\u{fffd}");
    }
}
