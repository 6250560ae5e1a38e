//! Texts that people and other programs write: UTF-8, with or without the byte-order mark that some
//! editors begin it with.

use std::io::{Error, ErrorKind, Result};
use std::path::Path;

/// U+FEFF at the start of a file says that it is text, and is no part of it.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// What to do about a text that is not.
pub const SAVE_AS_UTF_8: &str = "save it as text in UTF-8";

/// Reads a text.
///
/// # Errors
/// When the system refuses, or the file is not UTF-8, which is [`ErrorKind::InvalidData`]; the remedy is
/// [`SAVE_AS_UTF_8`].
pub fn read(path: &Path) -> Result<String> {
    decode(std::fs::read(path)?)
}

fn decode(bytes: Vec<u8>) -> Result<String> {
    let other = |problem: String| Err(Error::new(ErrorKind::InvalidData, problem));
    if is_utf16(&bytes) {
        return other("it is text in UTF-16".to_owned());
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text.strip_prefix(BYTE_ORDER_MARK).map(str::to_owned).unwrap_or(text)),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let line = error.as_bytes()[..valid].split(|&byte| byte == b'\n').count();
            other(format!("line {line} is not in UTF-8"))
        }
    }
}

/// By its byte-order mark, or by the zeros that stand beside every letter of ASCII.
fn is_utf16(bytes: &[u8]) -> bool {
    matches!(bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, 1..=255, ..] | [1..=255, 0, ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_text_and_line_ends_stay() {
        let read = |text: &str| decode(text.as_bytes().to_vec()).unwrap();
        assert_eq!(read("\u{feff}a\r\nb\n"), "a\r\nb\n");
        assert_eq!(read("a\u{feff}"), "a\u{feff}");
        assert_eq!((read("\u{feff}"), read("")), (String::new(), String::new()));
    }

    #[test]
    fn other_encodings_are_named() {
        let utf16 = |to_bytes: fn(u16) -> [u8; 2], mark: &str| -> Vec<u8> {
            format!("{mark}a.png\n").encode_utf16().flat_map(to_bytes).collect()
        };
        for bytes in [
            utf16(u16::to_le_bytes, "\u{feff}"),
            utf16(u16::to_be_bytes, "\u{feff}"),
            utf16(u16::to_le_bytes, ""),
            utf16(u16::to_be_bytes, ""),
        ] {
            let error = decode(bytes).unwrap_err();
            assert_eq!(error.to_string(), "it is text in UTF-16");
        }
        // "Bücher" in Latin-1.
        let error = decode(b"a.png\nB\xfccher.png\n".to_vec()).unwrap_err();
        assert_eq!(error.to_string(), "line 2 is not in UTF-8");
    }
}
